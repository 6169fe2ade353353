"""Threads that run models at the same time, and the checks of what they get.

Every thread has inputs of its own. The same calls are made alone first: those answers are held
against the float64 reference (tolerance: tests/python/models.py), and every later answer against
those, bit for bit. So every answer is within the tolerance of the reference, and has the bits of
the sequential run.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import models
import numpy
from crew import Threads as Threads
from crew import run_threads as run_threads

import raddle

VARIANTS = 3  # inputs of one thread
# The simulated device computes on two threads and checks every access: it gets one of so many
# iterations.
SIM_DIVISOR = 5
# How many times slower instrumented code may be.
SLOW = float(os.environ.get("RADDLE_TEST_SLOW", "1"))
HERE = pathlib.Path(__file__).resolve().parent


def share(device, iterations):
    """How many of the iterations a device makes, "cpu" all of them, instrumented code one of SLOW. Threads
    are never fewer."""
    name = device if isinstance(device, str) else device.name
    return max(2, int(iterations / (SIM_DIVISOR if name == "sim" else 1) / SLOW))


def check_values(got, expected, absolute=models.ABSOLUTE):
    """Asserts float32 of the reference's shape, and values within the tolerance."""
    assert got.dtype == numpy.float32 and got.shape == expected.shape, (got.dtype, got.shape)
    error = numpy.abs(got.astype(numpy.float64) - expected)
    bound = models.RELATIVE * numpy.abs(expected) + absolute
    assert (error <= bound).all(), f"off by {error.max():.3g}, {(error > bound).sum()} elements"


def check_bits(got, golden, what=""):
    """Asserts the bits of the sequential run's answer."""
    assert got.dtype == golden.dtype and got.shape == golden.shape, (what, got.dtype, got.shape)
    same = got.view(numpy.uint32) == golden.view(numpy.uint32)
    assert same.all(), f"{what}: {(~same).sum()} of {same.size} elements have other bits"


class Job:
    """What one thread runs: a model, inputs of its own, and the answers of the sequential run."""

    def __init__(self, model, case, *seed, variants=VARIANTS):
        self.model, self.case = model, case
        self.inputs = [case.inputs(*seed, variant) for variant in range(variants)]
        self.golden = [model(*inputs) for inputs in self.inputs]
        for inputs, golden in zip(self.inputs, self.golden):
            check_values(golden, case.expected(inputs), case.absolute)

    def run(self, iteration=0):
        """One call, whose answer is checked; the answer."""
        variant = iteration % len(self.inputs)
        return self.checked(self.model(*self.inputs[variant]), iteration)

    def submit(self, iteration=0, **options):
        """Starts the call as a future. The run alone holds its inputs: they are copies."""
        inputs = [array.copy() for array in self.inputs[iteration % len(self.inputs)]]
        return self.model.submit(inputs, **options)

    def checked(self, got, iteration=0):
        check_bits(got, self.golden[iteration % len(self.golden)], f"call {iteration}")
        return got


def check_distinct(jobs):
    """Asserts that no two calls of the jobs have the same answer: an exchange would be seen."""
    answers = [golden.tobytes() for job in jobs for golden in job.golden]
    assert len(set(answers)) == len(answers)


def run_job(job, iterations):
    """Calls the job so many times; the first answer of each variant is looked at again at the
    end, when later calls have had their chance to write over it. Returns how many answers were
    right."""
    kept, right = [], 0
    for iteration in range(iterations):
        got = job.run(iteration)
        right += 1
        if iteration < len(job.inputs):
            kept.append(got)
    for iteration, got in enumerate(kept):
        job.checked(got, iteration)
    return right


def run_together(jobs, iterations, limit=45):
    """Each job on a thread of its own, all at the same time; asserts all answers and their
    number."""
    check_distinct(jobs)
    counts = run_threads(len(jobs), lambda index: run_job(jobs[index], iterations), limit)
    assert counts == [iterations] * len(jobs)


def wait_until(condition, limit=20, what="the condition"):
    """Waits for something that another thread brings about, which has no event to wait for."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"{what} did not come about in {limit} s"
        time.sleep(0.0005)


def in_use(device):
    """Bytes of device memory that something holds: what lanes keep for later calls is given back
    first."""
    raddle.synchronize(device, timeout=20)
    raddle.empty_cache(device)
    return raddle.memory_allocated(device)


@contextlib.contextmanager
def memory_comes_back(device):
    """Asserts that what is inside leaves as much device memory in use as it found."""
    before = in_use(device)
    yield
    after = in_use(device)
    assert after == before, f"{after - before} bytes more are in use than before"


def rss():
    """Bytes of memory that the process has from the system."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run_program(name, *arguments, limit=60):
    """Runs a function of programs.py in a process of its own. Asserts that it ends by itself
    with exit status 0, says nothing on the standard error, and has printed its report, which is
    returned."""
    done = subprocess.run(
        [sys.executable, str(HERE / "programs.py"), name, *map(str, arguments)],
        text=True,
        capture_output=True,
        timeout=limit,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.stderr == ""
    reports = [line for line in done.stdout.splitlines() if line.startswith("report: ")]
    assert len(reports) == 1, done.stdout
    return json.loads(reports[0].removeprefix("report: "))
