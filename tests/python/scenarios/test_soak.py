"""Everything at once, for a while: RADDLE_SOAK_SECONDS, a few seconds unless said (an hour in
the origin)."""

import gc
import os
import threading
import time

import models
import numpy
import pytest
from support import Job, Threads, check_distinct, in_use, rss

import raddle

IS_FULL = os.environ.get("RADDLE_TEST_TIER") == "full"
SECONDS = float(os.environ.get("RADDLE_SOAK_SECONDS", "300" if IS_FULL else "4"))
SAMPLES = 40
MIB = 2**20


@pytest.mark.limit(SECONDS + 120)
def test_soak(device):
    """4 threads (two of them through a semaphore of one, as in the origin) with Linear and layer
    normalisation of width 256, batch 32, calls, submits and streams in turn, and one that loads,
    runs and drops models. Every answer is right and no thread dies. Over the last two thirds
    resident memory has a slope that gives less than 8 MiB an hour, or 8 MiB in the whole time if
    it is shorter; the device's memory in use is what it was.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    linear, norm = models.linear(256, 256, 32), models.layer_norm(32, 256)
    loaded = [raddle.load(case.data, device) for case in (linear, norm)]
    jobs = [Job(loaded[thread % 2], (linear, norm)[thread % 2], thread) for thread in range(4)]
    check_distinct(jobs)
    before = in_use(device)
    end = time.monotonic() + SECONDS
    gate, calls = threading.Semaphore(1), [0] * 5

    def call(job, kind, number):
        if kind == 0:
            job.run(number)
        elif kind == 1:
            job.checked(job.submit(number).result(timeout=60)[0], number)
        else:
            with raddle.Stream(device, timeout=60) as stream, raddle.stream(stream):
                job.run(number)

    def work(index):
        while time.monotonic() < end:
            if index == 4:
                Job(raddle.load(linear.data, device), linear, calls[4] % 7, variants=1)
            elif index < 2:
                with gate:
                    call(jobs[index], calls[index] % 3, calls[index])
            else:
                call(jobs[index], calls[index] % 3, calls[index])
            calls[index] += 1

    crew = Threads(5, work)
    times, sizes = [], []
    while crew.alive() and not crew.errors:
        times.append(time.monotonic())
        sizes.append(rss())
        threading.Event().wait(SECONDS / SAMPLES)
    crew.join(60)
    late = len(times) // 3
    slope = numpy.polyfit(times[late:], sizes[late:], 1)[0]
    print(device.name, f"{sum(calls)} calls in {SECONDS:.0f} s, slope {slope * 3600 / MIB:.1f} MiB/h")
    assert all(count > 0 for count in calls), calls
    gc.collect()
    assert in_use(device) == before
    grown = slope * SECONDS
    assert grown < max(8 * MIB, 8 * MIB * SECONDS / 3600), f"{slope:.0f} bytes a second"
