"""More threads than lanes, one after another and all at once."""

import threading

import models
import pytest
from support import Job, check_distinct, memory_comes_back, run_threads, run_together, share

import raddle


@pytest.mark.parametrize("unbind", [True, False])
def test_sixty_four_threads_one_after_another(device, unbind):
    """Scenario 8, Wraparound.

    64 threads, one after another, each with a stream of its own leased without waiting and a 4x4
    call in it; the stream is closed, or dropped with its thread (the origin's "unbind"). There are
    31 leasable lanes, so one that is not given back fails the 32nd thread. Every answer is right;
    lanes are 1 to 31.

    Seen to fail when closing a stream keeps its lane; when the first element of every answer is off
    by 0.001.
    """
    case = models.add(4, 4)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, thread) for thread in range(64)]
    check_distinct(jobs)
    lanes = []

    def work(job):
        stream = raddle.Stream(device, timeout=0)
        lanes.append(stream.lane)
        with raddle.stream(stream):
            job.run()
        if unbind:
            stream.close()

    with memory_comes_back(device):
        for job in jobs:
            run_threads(1, lambda _, job=job: work(job), limit=5)
            assert device.info()["lanes_leased"] == 0
    assert len(lanes) == 64 and set(lanes) <= set(range(1, 32))


def test_sixty_four_threads_at_once(device):
    """64 threads x 10 calls on 31 lanes: who finds none waits; all answers are right.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.linear(256, 256, 4)
    model = raddle.load(case.data, device)
    run_together([Job(model, case, thread, variants=2) for thread in range(64)], share(device, 10))


def test_sixty_four_threads_on_two_lanes(device_name):
    """64 threads x 5 calls on two leasable lanes; at no time are more than two held.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.matmul(64, 64, 64)
    with raddle.Device(device_name, lanes=3) as device:
        model = raddle.load(case.data, device)
        jobs = [Job(model, case, thread, variants=1) for thread in range(64)]
        check_distinct(jobs)
        held, most, lock = [0], [0], threading.Lock()

        def work(index):
            for _ in range(5):
                with raddle.Stream(device) as stream, raddle.stream(stream):
                    with lock:
                        held[0] += 1
                        most[0] = max(most[0], held[0])
                    jobs[index].run()
                    with lock:
                        held[0] -= 1
            return 5

        assert run_threads(64, work) == [5] * 64
        assert most[0] == 2
