"""What calls leave behind: nothing."""

import gc
import os

import models
import numpy
import pytest
from support import Job, in_use, memory_comes_back, rss, run_threads, run_together, share

import raddle


def test_thousand_calls(device):
    """1,000 calls (sim: 200), looked at every tenth part: neither the device's memory in use nor
    the number of live Python objects grows (the origin: below 100 objects).

    Seen to fail when weights of a closed model are not freed (at its end).
    """
    case = models.linear(256, 128, 4)
    job = Job(raddle.load(case.data, device), case, 0)
    calls = share(device, 1000)
    samples = []
    for call in range(calls):
        job.run(call)
        if call % (calls // 10) == 0:
            gc.collect()
            samples.append((in_use(device), len(gc.get_objects())))
    used, objects = zip(*samples[1:])
    assert set(used) == {used[0]}
    assert max(objects) - min(objects) < 20, objects


def test_eight_threads(device):
    """8 threads x 100 calls (sim: 20): the device's memory in use is what it was.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.linear(256, 128, 4)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, thread) for thread in range(8)]
    with memory_comes_back(device):
        run_together(jobs, share(device, 100))


@pytest.mark.parametrize("what", ["runs", "submits", "failures", "loads", "streams"])
def test_resident_memory(device, what):
    """Rounds of calls of each kind: resident memory does not grow by round. After a warm-up the
    slope over 10 rounds is below a quarter of what a leak of one array a call would give; file
    descriptors stay as many.

    Seen to fail when what ended runs held is not let go (submits).
    """
    case = models.add(128, 128)  # 64 KiB an array
    job = Job(raddle.load(case.data, device), case, 0)
    wrong = numpy.zeros((1, 1), numpy.float32)
    per_round = 60
    rounds = {
        "runs": lambda: job.run(),
        "submits": lambda: job.checked(job.submit().result(timeout=20)[0]),
        "failures": lambda: fails(lambda: job.model.run([job.inputs[0][0], wrong])),
        "loads": lambda: Job(raddle.load(case.data, device), case, 0, variants=1),
        "streams": lambda: in_stream(job, device),
    }
    sizes = []
    for number in range(15):
        for _ in range(per_round):
            rounds[what]()
        gc.collect()
        if number == 4:
            descriptors = len(os.listdir("/proc/self/fd"))
        if number >= 5:
            sizes.append(rss())
    slope = numpy.polyfit(range(len(sizes)), sizes, 1)[0]
    assert slope < 0.25 * per_round * 128 * 128 * 4, f"{slope:.0f} bytes a round"
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def fails(call):
    with pytest.raises(raddle.ShapeError):
        call()


def in_stream(job, device):
    with raddle.Stream(device) as stream, raddle.stream(stream):
        job.run()
        event = stream.record_event()
    event.synchronize(timeout=20)


def test_threads_that_come_and_go(device):
    """Threads leave no memory of the device behind.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.linear(256, 128, 4)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, thread, variants=1) for thread in range(8)]
    with memory_comes_back(device):
        for _ in range(share(device, 50)):
            run_threads(8, lambda index: jobs[index].run() is not None)
