"""Normalisation and attention in threads."""

import models
import pytest
from support import Job, run_together, share

import raddle


def test_layer_norm(device):
    """8 threads x 50 (sim: 10) of layer normalisation on (16, 32, 256).

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.layer_norm(16, 32, 256)
    model = raddle.load(case.data, device)
    run_together([Job(model, case, thread) for thread in range(8)], share(device, 50))


def test_encoder_layer(device):
    """8 threads x 20 (sim: 4) of a transformer encoder layer of width 128 with 4 heads.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.encoder_layer(4, 32, 128, 4)
    model = raddle.load(case.data, device)
    run_together([Job(model, case, thread) for thread in range(8)], share(device, 20))


@pytest.mark.parametrize("kind", ["layer_norm", "softmax", "relu"])
def test_main_thread_beside_others(device, kind):
    """(16, 128, 768), with softmax and relu as controls: main alone, then 2 threads x 10 (sim:
    2), then main again, always the same bits. (The origin's batch is 512 long.)

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = getattr(models, kind)(16, 128, 768)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, thread, variants=1) for thread in range(3)]
    run_together(jobs[1:], share(device, 10))
    jobs[0].run()
