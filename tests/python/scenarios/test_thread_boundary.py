"""One more thread at a time."""

import pytest
from support import run_program


@pytest.mark.parametrize("threads", range(2, 9))
def test_shared_linear(device_name, threads):
    """Scenario 4, Thread Boundary.

    One shared Linear 256 -> 256, batch 4; 2 to 8 threads with 10 calls each, a fresh process each
    (60 s). All answers are right, and the process ends with 0.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    report = run_program("thread_boundary", device_name, threads, limit=60)
    assert report == {"right": [10] * threads}
