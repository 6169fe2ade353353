"""More takers than lanes: exactly as many succeed as there are lanes, or all of them in turn."""

import threading
import time

import pytest
from support import Threads, run_threads, wait_until

import raddle

LANES, MORE = 31, 9  # leasable lanes, and takers beyond them: 40 as in the origin


def test_without_waiting_exactly_the_lanes_succeed(device):
    """40 threads ask at once with timeout 0, and hold what they get until all have asked: 31 get
    a stream, 31 distinct lanes, and 9 BusyError. Three rounds.

    Seen to fail when every stream says that its lane is 1.
    """
    for _ in range(3):
        asked = threading.Barrier(LANES + MORE)

        def work(_):
            try:
                stream = raddle.Stream(device, timeout=0)
            except raddle.BusyError:
                asked.wait(20)
                return None
            asked.wait(20)
            lane = stream.lane
            stream.close()
            return lane

        lanes = run_threads(LANES + MORE, work)
        assert sorted(lane for lane in lanes if lane is not None) == list(range(1, LANES + 1))
        assert lanes.count(None) == MORE
        assert device.info()["lanes_leased"] == 0


def test_waiting_all_succeed(device):
    """40 threads ask without a limit of time: 31 hold a lane until the other 9 are seen to wait;
    then all get one.

    Seen to fail when every stream says that its lane is 1.
    """
    go, got = threading.Event(), []

    def work(_):
        with raddle.Stream(device) as stream:
            got.append(stream.lane)
            assert go.wait(20)

    crew = Threads(LANES + MORE, work)
    wait_until(
        lambda: device.info()["lane_waiters"] == MORE and len(got) == LANES,
        what="nine waiting threads and the note of each of the others",
    )
    assert sorted(got) == list(range(1, LANES + 1))
    go.set()
    crew.join()
    assert len(got) == LANES + MORE


def test_waiting_in_order(device_name):
    """With the only lane held, 9 threads come to wait, one after another (each is seen to wait
    before the next comes): they are served in that order.

    Seen to fail when lanes go to the newest waiter.
    """
    with raddle.Device(device_name, lanes=2) as device:
        order = []
        held = raddle.Stream(device)

        def work(index):
            with raddle.Stream(device):
                order.append(index)

        threads = []
        for index in range(MORE):
            threads.append(threading.Thread(target=work, args=(index,), daemon=True))
            threads[-1].start()
            wait_until(lambda: device.info()["lane_waiters"] == len(threads), what="a waiting thread")
        assert order == []
        held.close()
        for thread in threads:
            thread.join(20)
        assert order == list(range(MORE))


@pytest.mark.parametrize("timeout", [0.05, 0.1])
def test_waiting_for_a_time(device, timeout):
    """With all lanes held, 9 threads that wait for a time get DeadlineError, not before the time
    has passed; the lanes are then given back, and 9 more threads that wait for a time all
    succeed.

    Seen to fail when closing a stream keeps its lane.
    """
    held = [raddle.Stream(device, timeout=0) for _ in range(LANES)]

    def refused(_):
        start = time.monotonic()
        with pytest.raises(raddle.DeadlineError):
            raddle.Stream(device, timeout=timeout)
        return time.monotonic() - start

    waited = run_threads(MORE, refused)
    assert all(timeout <= seconds < timeout + 10 for seconds in waited), waited
    assert device.info()["lane_waiters"] == 0
    for stream in held:
        stream.close()

    def served(_):
        with raddle.Stream(device, timeout=20) as stream:
            return stream.lane

    assert all(1 <= lane <= LANES for lane in run_threads(MORE, served))
