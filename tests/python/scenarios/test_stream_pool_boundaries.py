"""Streams taken and given back, again and again."""

import threading

import models
from support import Job, Threads, check_distinct, run_job, run_threads, share, wait_until

import raddle


def test_two_hundred_threads_one_after_another(device):
    """Scenario 16, Round Robin.

    200 threads (sim: 40), one after another (5 s each), with a stream leased without waiting and a
    + b on 8x8. None is refused, every answer is right, no lane stays held, and lanes lie in 1 to
    31.

    Seen to fail when the first element of every answer is off by 0.001; when closing a stream keeps
    its lane.
    """
    case = models.add(8, 8)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, index, variants=1) for index in range(share(device, 200))]
    check_distinct(jobs)

    def work(job):
        with raddle.Stream(device, timeout=0) as stream, raddle.stream(stream):
            job.run()
            return stream.lane

    lanes = [run_threads(1, lambda _, job=job: work(job), limit=5)[0] for job in jobs]
    assert len(lanes) == len(jobs) and set(lanes) <= set(range(1, 32))
    assert device.info()["lanes_leased"] == 0


def test_rounds_of_eight_threads(device):
    """Scenario 17, Reuse Churn.

    10 rounds of 8 new threads with a product of 32^2 (10 s), each in a stream; the 8 streams of a
    round are held at once and have distinct lanes; all are free again after the round. Answers are
    right.

    Seen to fail when the answers of all callers pass through one shared buffer; when every stream
    says that its lane is 1.
    """
    case = models.matmul(32, 32, 32)
    model = raddle.load(case.data, device)
    for number in range(10):
        jobs = [Job(model, case, number, index) for index in range(8)]
        check_distinct(jobs)
        held = threading.Barrier(8)

        def work(index):
            with raddle.Stream(device, timeout=0) as stream, raddle.stream(stream):
                held.wait(10)
                assert run_job(jobs[index], 3) == 3
                held.wait(10)
                return stream.lane

        lanes = run_threads(8, work, limit=10)
        assert len(set(lanes)) == 8 and 0 not in lanes
        assert device.info()["lanes_leased"] == 0


def test_device_is_synchronised_while_threads_work(device):
    """Scenario 18, Sync Active.

    8 threads make at least 50 products of 64^2 each (sim: 10), until the main thread has
    synchronised the device 10 times, each time after every thread has made a call more (the origin
    sleeps 50 ms). All answers are right; each synchronise returns while the threads go on.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.matmul(64, 64, 64)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, thread) for thread in range(8)]
    check_distinct(jobs)
    calls, done = [0] * 8, threading.Event()

    def work(index):
        with raddle.Stream(device, timeout=0) as stream, raddle.stream(stream):
            while not done.is_set() or calls[index] < share(device, 50):
                jobs[index].run(calls[index])
                calls[index] += 1

    crew = Threads(8, work)
    for _ in range(10):
        seen = list(calls)
        wait_until(
            lambda: crew.errors or all(now > then for now, then in zip(calls, seen)),
            what="a call of every thread",
        )
        raddle.synchronize(device, timeout=10)
    done.set()
    crew.join(30)
    assert all(count >= share(device, 50) for count in calls)


def test_synchronise_waits_for_what_is_under_way(device):
    """When synchronise returns, a long run that was in a stream before has ended.

    Seen to fail when synchronising a device returns at once (sim; when on cpu recording the event
    waits already).
    """
    case = models.product_chain(256, 60)
    job = Job(raddle.load(case.data, device), case, 0, variants=1)
    with raddle.Stream(device) as stream:

        def work():
            with raddle.stream(stream):
                job.run()

        thread = threading.Thread(target=work)
        thread.start()
        wait_until(lambda: not stream.query(), what="the run's start")
        event = stream.record_event()
        raddle.synchronize(device, timeout=20)
        assert event.query()
        thread.join(20)
