"""Ten operators and models, beside the reference alone and beside themselves in threads."""

import models
import pytest
from support import Job, run_together, share

import raddle

CASES = {
    "matmul": lambda: models.matmul(128, 256, 128),
    "bmm": lambda: models.bmm(8, 32, 64, 32),
    "linear": lambda: models.linear(256, 128, 8),
    "mlp": lambda: models.mlp([128, 256, 256, 64], 8),
    "conv1d": lambda: models.conv1d([4, 16, 8], 3, 2, 128),
    "layer_norm": lambda: models.layer_norm(8, 16, 64),
    "softmax": lambda: models.softmax(32, 128),
    "relu": lambda: models.relu(64, 256),
    "mean_of_squares": lambda: models.mean_of_squares(64, 128),
    "encoder_layer": lambda: models.encoder_layer(2, 16, 64, 4),
}


@pytest.mark.parametrize("threads", [1, 2, 4, 8])
@pytest.mark.parametrize("name", CASES)
def test_shared_model(device, name, threads):
    """10 models x {1, 2, 4, 8} threads x 10 calls (sim: 2), one shared model, each thread's data
    its own: the tolerance of models.py beside float64, and the bits of the sequential run (the
    origin: 1e-6).

    Seen to fail when the answers of all callers pass through one shared buffer (not with one
    thread).
    """
    case = CASES[name]()
    model = raddle.load(case.data, device)
    run_together([Job(model, case, thread) for thread in range(threads)], share(device, 10))


@pytest.mark.full
@pytest.mark.limit(600)
@pytest.mark.parametrize("name", CASES)
def test_shared_model_for_long(device, name):
    """The same with 16 threads x 500 calls (sim: 100)."""
    case = CASES[name]()
    model = raddle.load(case.data, device)
    run_together([Job(model, case, thread) for thread in range(16)], share(device, 500), limit=590)
