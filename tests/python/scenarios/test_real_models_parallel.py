"""Models of several layers, side by side."""

import models
import pytest
from support import Job, run_together, share

import raddle

CASES = {
    "mlp": lambda: models.mlp([256, 512, 512, 256], 4),
    "conv1d": lambda: models.conv1d([1, 64, 64, 1], 3, 4, 1024),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["shared", "of_each_thread"])
def test_two_threads(device, name, kind):
    """Scenario 7, Real Models.

    2 threads x 20: MLP 256-512-512-256, batch 4; Conv1d 1-64-64-1 of kernel 3 on (4, 1, 1024). One
    model for both threads, and a model for each. All answers are right; one attempt.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = CASES[name]()
    loaded = [raddle.load(case.data, device) for _ in range(1 if kind == "shared" else 2)]
    run_together([Job(loaded[thread % len(loaded)], case, thread) for thread in range(2)], share(device, 20))


def test_eight_threads_mixed(device):
    """Scenario 7, Real Models, the mixed case (which the origin leaves out): 8 threads x 20
    calls of four shared models, two threads each.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    cases = [
        models.mlp([256, 512, 512, 256], 4),
        models.conv1d([1, 16, 1], 3, 4, 256),
        models.encoder_layer(2, 16, 128, 4),
        models.linear(256, 256, 4),
    ]
    loaded = [raddle.load(case.data, device) for case in cases]
    run_together(
        [Job(loaded[thread % 4], cases[thread % 4], thread) for thread in range(8)], share(device, 20)
    )
