"""Calls are under way at the same time: shown by what holds what, not by sleeping."""

import models
import pytest
from support import SLOW, Job, Threads, check_distinct, wait_until

import raddle


def test_calls_hold_distinct_lanes_at_the_same_time(device):
    """4 threads make long calls without a stream of their own. At one moment all four hold a
    lane; none has ended by then. All answers are right.

    Seen to fail when runs take a lock of all runs.
    """
    case = models.product_chain(512, int(60 / SLOW))
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, thread, variants=1) for thread in range(4)]
    check_distinct(jobs)
    ended = []

    def work(index):
        jobs[index].run()
        ended.append(index)

    crew = Threads(4, work)
    seen = []

    def all_at_once():
        seen.append((device.info()["lanes_leased"], len(ended)))
        return seen[-1] == (4, 0)

    wait_until(all_at_once, what="four calls at once")
    crew.join()
    assert sorted(ended) == [0, 1, 2, 3]
    assert device.info()["lanes_leased"] == 0


def test_a_short_call_ends_during_a_long_one(device):
    """Short calls are begun after a long one and end while it lasts: calls do not queue behind each
    other. The long one is ended by a token then.

    Seen to fail when runs take a lock of all runs.
    """
    long, short = models.long_run(), models.matmul(64, 64, 64)
    slow, inputs = raddle.load(long.data, device), long.inputs(0)
    quick, token = Job(raddle.load(short.data, device), short, 1), raddle.CancelToken()

    def work(_):
        with pytest.raises(raddle.CancelledError):
            slow.run(inputs, cancel=token)

    crew = Threads(1, work)
    wait_until(lambda: device.info()["lanes_leased"] == 1, what="the long call's start")
    for iteration in range(3):
        quick.run(iteration)
        assert device.info()["lanes_leased"] == 1, "the short call has waited for the long one"
    token.cancel()
    crew.join()
