"""Ending calls early: by a token, a future, or a deadline; in every place where a call can be."""

import threading
import time

import models
import pytest
from support import SLOW, Job, Threads, check_distinct, in_use, run_job, wait_until

import raddle


def long_run(device):
    """(model, inputs) of a run of several seconds."""
    case = models.long_run()
    return raddle.load(case.data, device), case.inputs(0)


def short_job(device):
    case = models.matmul(64, 64, 64)
    return Job(raddle.load(case.data, device), case, 0)


def under_way(device, count=1):
    wait_until(lambda: device.info()["lanes_leased"] == count, what="a run under way")


def test_token_ends_runs_under_way(device):
    """4 threads with one token, each in the midst of a long run, and one with none: the token
    ends the four (CancelledError) and not the fifth. Lanes and memory are free again, later
    calls are right, and a run that carries the token later ends at once.

    Seen to fail when runs do not look at their token (cpu).
    """
    (model, inputs), job = long_run(device), short_job(device)
    token = raddle.CancelToken()
    before = in_use(device)
    other = Threads(1, lambda _: run_job(job, 50))

    def work(_):
        with pytest.raises(raddle.CancelledError):
            model.run(inputs, cancel=token)

    crew = Threads(4, work)
    wait_until(lambda: device.info()["lanes_leased"] >= 4, what="four runs under way")
    assert not token.cancelled()
    token.cancel()
    assert token.cancelled()
    start = time.monotonic()
    crew.join(20)
    assert time.monotonic() - start < 2 * SLOW
    assert other.join() == [50]
    with pytest.raises(raddle.CancelledError):
        model.run(inputs, cancel=token)
    job.run()
    assert device.info()["lanes_leased"] == 0
    assert in_use(device) == before


def test_token_ends_a_wait_for_a_lane(device_name):
    """With the only lane held, a call that waits for it ends when its token is cancelled;
    another goes on to wait, and is served.

    Seen to fail when cancelling wakes nobody.
    """
    case = models.add(10, 10)
    with raddle.Device(device_name, lanes=2) as device:
        job = Job(raddle.load(case.data, device), case, 0)
        token, held = raddle.CancelToken(), raddle.Stream(device)
        ended = []

        def cancelled():
            with pytest.raises(raddle.CancelledError):
                job.model.run(job.inputs[0], cancel=token)
            ended.append("cancelled")

        def served():
            job.run()
            ended.append("served")

        threads = [threading.Thread(target=target, daemon=True) for target in (cancelled, served)]
        for count, thread in enumerate(threads, 1):
            thread.start()
            wait_until(lambda: device.info()["lane_waiters"] == count, what="a waiting call")
        token.cancel()
        threads[0].join(20)
        assert ended == ["cancelled"] and device.info()["lane_waiters"] == 1
        held.close()
        threads[1].join(20)
        assert ended == ["cancelled", "served"]


def test_future_is_cancelled(device):
    """Of three submitted long runs the second is cancelled: it ends with CancelledError, its
    neighbours go on until they are cancelled too.

    Seen to fail when runs do not look at their token (cpu).
    """
    (model, inputs), job = long_run(device), short_job(device)
    futures = [model.submit(inputs) for _ in range(3)]
    wait_until(lambda: device.info()["lanes_leased"] >= 1, what="a run under way")
    assert futures[1].cancel()
    with pytest.raises(raddle.CancelledError):
        futures[1].result(timeout=20)
    assert futures[1].cancelled() and not futures[1].running()
    assert futures[0].running() or futures[2].running()
    for future in (futures[0], futures[2]):
        assert future.cancel()
        assert isinstance(future.exception(timeout=20), raddle.CancelledError)
    assert not futures[1].cancel()
    job.checked(job.submit(1).result(timeout=20)[0], 1)


@pytest.mark.parametrize("how", ["run", "submit"])
def test_deadline_ends_a_run_under_way(device, how):
    """A long run with 0.1 s ends with DeadlineError, not before that and long before its own
    end; the next call is right.

    Seen to fail when runs ignore their deadline.
    """
    (model, inputs), job = long_run(device), short_job(device)
    start = time.monotonic()
    with pytest.raises(raddle.DeadlineError):
        if how == "run":
            model.run(inputs, timeout=0.1)
        else:
            model.submit(inputs, timeout=0.1).result(timeout=20)
    assert 0.1 <= time.monotonic() - start < 2 * SLOW
    assert device.info()["lanes_leased"] == 0
    job.run()


def test_timeout_of_result_leaves_the_run(device):
    """`result` gives up after its time, and the run goes on: asked again it has the answer.

    Seen to fail when a result that gives up cancels the run.
    """
    case, job = models.product_chain(256, 100), short_job(device)
    long = Job(raddle.load(case.data, device), case, 0, variants=1)
    future = long.submit()
    with pytest.raises(raddle.DeadlineError):
        future.result(timeout=0)
    job.run()
    long.checked(future.result(timeout=30)[0])
    assert future.done() and future.exception() is None and not future.cancelled()


def test_closing_a_device_ends_its_runs(device_name):
    """A device is closed while 3 threads are in long runs: they end with an error that says so,
    each of them, and the close returns in time.

    Seen to fail when closing a device does not stop its runs.
    """
    device = raddle.Device(device_name, lanes=8)
    model, inputs = long_run(device)

    def work(_):
        with pytest.raises((raddle.ClosedError, raddle.CancelledError)):
            while True:  # one may have ended before the last begins
                model(*inputs)

    crew = Threads(3, work)
    under_way(device, 3)
    device.close(timeout=10)
    crew.join(10)
    with pytest.raises(raddle.ClosedError):
        model(*inputs)


def test_closing_a_model_lets_its_runs_end(device):
    """A model is closed while 4 threads run it: calls under way end with right answers, later
    ones with ClosedError; its memory is free then.

    Seen to fail when closing a model does nothing.
    """
    case = models.product_chain(256, 30)
    before = in_use(device)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, thread, variants=1) for thread in range(4)]
    check_distinct(jobs)

    def work(index):
        right = 0
        with pytest.raises(raddle.ClosedError):
            while True:
                jobs[index].run()
                right += 1
        return right

    crew = Threads(4, work)
    under_way(device, 4)
    model.close()
    assert sum(crew.join()) >= 4 - 1
    del jobs, model
    assert in_use(device) == before
