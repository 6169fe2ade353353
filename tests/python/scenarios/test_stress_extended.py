"""Many threads, many calls, large products."""

import models
import pytest
from support import Job, run_together, share

import raddle


@pytest.mark.limit(120)
@pytest.mark.parametrize("threads, iterations, size", [(8, 100, 256), (16, 50, 256), (4, 20, 1024)])
def test_matmul_relu(device, threads, iterations, size):
    """Scenario 3, Extended Stress.

    relu(a @ b): 8 threads x 100 at 256^2, 16 x 50 at 256^2, 4 x 20 at 1024^2 (sim: a fifth of the
    calls). All answers are right, and their number.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.matmul_relu(size)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, thread) for thread in range(threads)]
    run_together(jobs, share(device, iterations), limit=100)
