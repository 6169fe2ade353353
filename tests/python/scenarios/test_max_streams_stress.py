"""All lanes at once."""

import threading
import time

import models
import pytest
from support import Job, check_distinct, run_job, run_threads, run_together, share

import raddle


@pytest.mark.limit(180)
def test_thirty_one_threads(device):
    """Scenario 13, Max Streams.

    relu(a @ b) of 256^2: 8 threads x 100, then 31 x 100, then three rounds of 31 x 50 (sim: a
    fifth), each thread in a stream of its own. All 31 streams are held at once and have the lanes 1
    to 31; a 32nd is refused; all answers are right. Scaling is printed.

    Seen to fail when the answers of all callers pass through one shared buffer; when every stream
    says that its lane is 1.
    """
    case = models.matmul_relu(256)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, thread, variants=2) for thread in range(31)]
    check_distinct(jobs)
    rate = {}
    start = time.perf_counter()
    run_together(jobs[:8], share(device, 100), limit=60)
    rate[8] = 8 * share(device, 100) / (time.perf_counter() - start)
    for iterations in (100, 50, 50, 50):
        iterations = share(device, iterations)
        barrier, full = threading.Barrier(31), []

        def work(index):
            with raddle.Stream(device, timeout=0) as stream, raddle.stream(stream):
                if barrier.wait(20) == 0:  # one of them looks, while all hold theirs
                    with pytest.raises(raddle.BusyError):
                        raddle.Stream(device, timeout=0)
                    full.append(device.info()["lanes_leased"])
                lane = stream.lane
                right = run_job(jobs[index], iterations)
                barrier.wait(60)
                return lane, right

        start = time.perf_counter()
        results = run_threads(31, work, limit=90)
        rate[31] = 31 * iterations / (time.perf_counter() - start)
        assert full == [31]
        assert sorted(lane for lane, _ in results) == list(range(1, 32))
        assert [right for _, right in results] == [iterations] * 31
    print(device.name, *(f"{count} threads: {value:.0f}/s" for count, value in rate.items()))
