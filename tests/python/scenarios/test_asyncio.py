"""Runs awaited by event loops: many at once, cancelled tasks, and several loops."""

import asyncio
import gc
import threading

import models
import pytest
from support import Job, check_distinct, run_threads, share, wait_until

import raddle


def jobs_on(device, count, case=None):
    case = case or models.linear(256, 128, 4)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, index, variants=1) for index in range(count)]
    check_distinct(jobs)
    return jobs


async def wait(future):
    return await future


async def ask(job):
    (got,) = await job.submit()
    job.checked(got)
    return got


def test_many_awaits_on_one_thread(device):
    """300 runs (sim: 60) awaited at once by one loop, each with its own data: all answers are
    right. It takes no thread for a run: those of Python do not grow.

    Seen to fail when the answers of all callers pass through one shared buffer; when the end of a
    run does not wake the loop.
    """
    count = share(device, 300)
    jobs = jobs_on(device, count)
    threads = threading.active_count()

    async def main():
        tasks = [asyncio.ensure_future(ask(job)) for job in jobs]
        await asyncio.sleep(0)
        assert threading.active_count() == threads
        return await asyncio.wait_for(asyncio.gather(*tasks), 40)

    answers = asyncio.run(main())
    assert len(answers) == count
    for job, got in zip(jobs, answers):
        job.checked(got)


def test_the_loop_goes_on_while_a_run_lasts(device):
    """While a long run is awaited the loop turns: 10 short runs, awaited one after another, end
    before it. Then it is cancelled, which the awaiting task gets as an error.

    Seen to fail when runs do not look at their token (cpu).
    """
    (quick,) = jobs_on(device, 1)
    case = models.long_run()
    slow, inputs = raddle.load(case.data, device), case.inputs(0)

    async def main():
        long = slow.submit(inputs)
        task = asyncio.ensure_future(wait(long))
        while device.info()["lanes_leased"] == 0:
            await asyncio.sleep(0)
        for _ in range(10):  # with two workers or more there is one beside the long run
            await asyncio.wait_for(ask(quick), 20)
        assert long.running()
        long.cancel()
        with pytest.raises(raddle.CancelledError):
            await task

    asyncio.run(main())


def test_cancelled_task_cancels_its_run(device):
    """A task that awaits a long run is cancelled: so is the run, whose lane is free soon after;
    a neighbour that awaits a run of its own gets its answer. A time limit of asyncio does the
    same.

    Seen to fail when an await that is cancelled leaves the run.
    """
    case = models.long_run()
    model, inputs = raddle.load(case.data, device), case.inputs(0)
    (job,) = jobs_on(device, 1)

    async def main():
        future = model.submit(inputs)
        task = asyncio.ensure_future(wait(future))
        await asyncio.sleep(0)  # the task awaits now
        while device.info()["lanes_leased"] == 0:
            await asyncio.sleep(0)
        neighbour = asyncio.ensure_future(ask(job))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(neighbour, 20)
        assert await asyncio.wait_for(ended(future), 20)
        limited = model.submit(inputs)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait(limited), 0.1)
        assert await asyncio.wait_for(ended(limited), 20)

    async def ended(future):
        while future.running():
            await asyncio.sleep(0.001)
        return future.cancelled()

    asyncio.run(main())
    wait_until(lambda: device.info()["lanes_leased"] == 0, what="a free lane")


def test_errors_reach_the_right_await(device):
    """Of 40 awaited runs every fourth has its time run out: it alone raises, the others are
    right.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.long_run()
    model, inputs = raddle.load(case.data, device), case.inputs(0)
    jobs = jobs_on(device, 40)

    async def fail():
        await model.submit(inputs, timeout=0.01)

    async def main():
        return await asyncio.wait_for(
            asyncio.gather(
                *(fail() if index % 4 == 0 else ask(job) for index, job in enumerate(jobs)),
                return_exceptions=True,
            ),
            40,
        )

    for index, (got, job) in enumerate(zip(asyncio.run(main()), jobs)):
        if index % 4 == 0:
            assert isinstance(got, raddle.DeadlineError), got
        else:
            job.checked(got)


def test_many_loops(device):
    """6 threads with a loop each, which await 20 runs each at the same time, three loops one
    after another in each thread: every loop gets its own answers. One future may be awaited by
    two loops.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    jobs = jobs_on(device, 120)
    shared = jobs[0].submit()

    def work(index):
        async def main():
            mine = jobs[20 * index : 20 * index + 20]
            answers = await asyncio.wait_for(asyncio.gather(*map(ask, mine)), 30)
            (got,) = await shared
            jobs[0].checked(got)
            return len(answers)

        return [asyncio.run(main()) for _ in range(3)]

    assert run_threads(6, work) == [[20] * 3] * 6


def test_callbacks_come_once_each(device):
    """100 futures with two callbacks each, and one that is added when the run has ended: each is
    called once, with its own future, on a thread that may ask for the result.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    jobs = jobs_on(device, 100)
    calls, lock = [], threading.Lock()
    futures = [job.submit() for job in jobs]

    def called(index, future):
        jobs[index].checked(future.result(timeout=0)[0])
        with lock:
            calls.append((index, future is futures[index]))

    for index, future in enumerate(futures):
        for _ in range(2):
            future.add_done_callback(lambda future, index=index: called(index, future))
    for future in futures:
        future.result(timeout=20)
    futures[7].add_done_callback(lambda future: called(7, future))
    wait_until(lambda: len(calls) == 201, what="every callback")
    assert sorted(calls) == sorted([(index, True) for index in range(100)] * 2 + [(7, True)])
    del futures
    gc.collect()
