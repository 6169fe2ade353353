"""How long callers wait for a lane: bounded by the turns of those who came before."""

import threading

import models
from support import Job, Threads, check_distinct, run_threads, share, wait_until

import raddle


def test_turns_go_round(device_name):
    """4 threads take the only lane 10 times each; who holds it gives it back when the other
    three are seen to wait. So every wait lasts exactly three turns of others: the turns go
    round, in one order.

    Seen to fail when lanes go to the newest waiter.
    """
    with raddle.Device(device_name, lanes=2) as device:
        turns = []

        def work(index):
            for _ in range(10):
                with raddle.Stream(device, timeout=20):
                    turns.append(index)
                    waiting = min(3, 40 - len(turns))  # towards the end fewer have a turn left
                    wait_until(lambda: device.info()["lane_waiters"] == waiting, what="the others' wait")

        run_threads(4, work)
    assert len(turns) == 40
    first = turns[:4]
    assert sorted(first) == [0, 1, 2, 3]
    assert turns == first * 10


def test_waits_for_runs(device_name):
    """8 threads x 50 calls (sim: 10) through 2 lanes, each with 20 s to get one: none runs out
    of time, and all answers are right. Nobody holds a lane or waits for one at the end.

    Seen to fail when the first element of every answer is off by 0.001.
    """
    case = models.matmul(64, 64, 64)
    with raddle.Device(device_name, lanes=3) as device:
        model = raddle.load(case.data, device)
        jobs = [Job(model, case, thread) for thread in range(8)]
        check_distinct(jobs)
        iterations, most = share(device, 50), [0]

        def work(index):
            for iteration in range(iterations):
                (got,) = model.run(jobs[index].inputs[iteration % 3], timeout=20)
                jobs[index].checked(got, iteration)
            return iterations

        crew = Threads(8, work)
        while crew.alive():
            most[0] = max(most[0], device.info()["lanes_leased"])
            threading.Event().wait(0.001)
        assert crew.join() == [iterations] * 8
        assert most[0] <= 2
        assert (device.info()["lanes_leased"], device.info()["lane_waiters"]) == (0, 0)
