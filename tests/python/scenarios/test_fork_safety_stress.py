"""Fork while runs are under way, fork and forget, and real processes of `spawn` and `fork`."""

import pytest
from support import run_program, share


@pytest.mark.limit(120)
def test_fork_with_active_threads(device_name):
    """Scenario 22, Fork: Active Threads.

    8 threads loop over 32^2 products of their own data. Fork five times, each time when every
    thread has made 5 calls more; each child loads and runs with right bits (its parent's other
    threads are gone in the middle of calls) and ends with 0. Afterwards each thread makes 5 calls
    more, all right, and none fails.

    Seen to fail when the answers of all callers pass through one shared buffer; when a child keeps
    the lanes that the parent's threads held (cpu); when models of other devices are not refused in
    it (sim).
    """
    report = run_program("fork_active_threads", device_name, 5, limit=100)
    assert report["children"] == 5
    assert all(count >= 30 for count in report["calls"]) and len(report["calls"]) == 8


def test_parent_continues_after_fork(device_name):
    """Scenario 23, Fork: Parent Continues.

    Fork; the child ends at once with status 7, which is asserted; the parent makes 100 products of
    64^2, all right.

    Seen to fail when the parent's handler of the fork does not run, and its locks stay taken.
    """
    iterations = share(device_name, 100)
    report = run_program("fork_parent_continues", device_name, iterations)
    assert report == {"right": iterations}


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_multiprocessing(device_name, method):
    """Scenario 24, Fork: MP Spawn, and the same with `fork`.

    Two processes of multiprocessing, really started, load the model, make 6 calls and send their
    answers, which have the bits of the parent's; exit codes are 0. Meanwhile the parent makes 10
    products of 32^2.

    Seen to fail when answers differ by process.
    """
    report = run_program("multiprocess", device_name, method, limit=55)
    assert report == {"right": 10, "processes": 2, "method": method}
