"""The smallest calls, first alone, then from two and four threads."""

import models
import pytest
from support import Job, check_values, run_job, run_together

import raddle


def test_add_alone(device):
    """Scenario 2, Simple Parallel, its first part: a + b on 10x10, whose answer is exact.

    Seen to fail when the first element of every answer is off by 0.001.
    """
    case = models.add(10, 10)
    job = Job(raddle.load(case.data, device), case, 0)
    assert run_job(job, 5) == 5
    for (a, b), golden in zip(job.inputs, job.golden):
        assert (golden == a + b).all()
        check_values(golden, a.astype("float64") + b)


@pytest.mark.parametrize("threads", [2, 4])
def test_matmul(device, threads):
    """Scenario 2, Simple Parallel.

    2 and 4 threads with 5 products of 64^2 each; every answer within the tolerance and with the
    bits of the sequential run.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.matmul(64, 64, 64)
    model = raddle.load(case.data, device)
    run_together([Job(model, case, thread) for thread in range(threads)], 5)
