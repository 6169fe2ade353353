"""Products of several kinds, in threads."""

import models
import pytest
from support import Job, run_together, share

import raddle


class Transposed(models.Case):
    """Products whose second input is a view: the transpose of an array [n, k]."""

    def inputs(self, *seed):
        a, b = super().inputs(*seed)
        turned = b.T.copy().T
        assert not turned.flags.c_contiguous
        return [a, turned]


def transposed_matmul(m, k, n):
    case = models.matmul(m, k, n)
    return Transposed(f"transposed_{case.name}", case.data, case.shapes, case.reference, case.scales)


CASES = {
    "bmm": lambda: models.bmm(32, 64, 128, 32),
    "transposed_view": lambda: transposed_matmul(128, 64, 128),
    "matmul": lambda: models.matmul(64, 128, 64),
}


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("name", CASES)
def test_products(device, name, threads):
    """Scenario 11, Linalg.

    2 and 4 threads x 20: batches (32, 64, 128) x (32, 128, 32); 128x64x128 with a transposed view
    as input; 64x128x64. Values, not shapes.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = CASES[name]()
    model = raddle.load(case.data, device)
    run_together([Job(model, case, thread) for thread in range(threads)], share(device, 20))
