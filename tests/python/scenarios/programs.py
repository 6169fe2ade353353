#!/usr/bin/env python3
"""programs.py NAME ARGUMENT...: what scenarios run in a process of its own, forks and exits among
it.

Each program checks by itself, and prints "report: JSON" with what it did, which the test looks at:
a process that ends early with status 0 has no report. See run_program in support.py.
"""

import atexit
import inspect
import json
import multiprocessing
import os
import pathlib
import signal
import statistics
import sys
import threading
import time
import traceback
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import models  # noqa: E402
from support import (  # noqa: E402
    Job,
    Threads,
    check_distinct,
    in_use,
    run_job,
    run_threads,
    wait_until,
)

import raddle  # noqa: E402

PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


def say(**report):
    print("report:", json.dumps(report), flush=True)


def jobs_of(case, device, threads, variants=3):
    """A job for each thread, all of one model."""
    model = raddle.load(case.data, device)
    return [Job(model, case, thread, variants=variants) for thread in range(threads)]


# --------------------------------------------------------------------------------- threads, timings


@program
def thread_boundary(device, threads):
    jobs = jobs_of(models.linear(256, 256, 4), device, threads)
    check_distinct(jobs)
    say(right=run_threads(threads, lambda index: run_job(jobs[index], 10)))


def timed(job, iterations):
    """Seconds that each call took; each answer is checked, outside of the time."""
    seconds = []
    for iteration in range(iterations):
        inputs = job.inputs[iteration % len(job.inputs)]
        start = time.perf_counter()
        got = job.model(*inputs)
        seconds.append(time.perf_counter() - start)
        job.checked(got, iteration)
    return seconds


@program
def benchmark_linear(device, threads, iterations):
    case = models.linear(256, 128, 4)
    jobs = [Job(raddle.load(case.data, device), case, thread) for thread in range(threads)]
    check_distinct(jobs)
    crew = Threads(threads, lambda index: timed(jobs[index], iterations))
    start = time.perf_counter()
    taken = [seconds for one in crew.join() for seconds in one]
    wall = time.perf_counter() - start
    cuts = statistics.quantiles(taken, n=100)
    say(
        right=len(taken),
        per_second=len(taken) / wall,
        mean_ms=statistics.mean(taken) * 1e3,
        p50_ms=cuts[49] * 1e3,
        p99_ms=cuts[98] * 1e3,
    )


@program
def large_workload(device, threads, iterations):
    case = models.linear(2048, 2048, 64)
    opened = raddle.Device(device, lanes=8)
    jobs = [Job(raddle.load(case.data, opened), case, thread, variants=2) for thread in range(threads)]
    check_distinct(jobs)
    most = 0
    crew = Threads(threads, lambda index: timed(jobs[index], iterations))
    start, processors = time.perf_counter(), time.process_time()
    while crew.alive():
        most = max(most, opened.info()["lanes_leased"])
        time.sleep(0.001)
    taken = crew.join()
    # Threads start together, and the last of them ends the measured time.
    say(
        right=[len(one) for one in taken],
        seconds=time.perf_counter() - start,
        processor_seconds=time.process_time() - processors,
        at_once=most,
    )


# --------------------------------------------------------------------------------------------- fork


class Child:
    """A forked child that calls work() and ends with status 0, or 1 if that raised. What work()
    returned comes back through a pipe."""

    def __init__(self, work, leave=os._exit):
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            status = 1
            try:
                with os.fdopen(writer, "w") as pipe:
                    json.dump(work(), pipe)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                leave(status)
        os.close(writer)
        self.reader = reader

    def end(self, limit=30, expected=0):
        """What the child returned; asserts that it has ended in time and with the status."""
        end = time.monotonic() + limit
        while (done := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"the child has not ended in {limit} s")
            time.sleep(0.005)
        with os.fdopen(self.reader) as pipe:
            said = pipe.read()
        assert os.waitstatus_to_exitcode(done[1]) == expected, (done, said)
        return json.loads(said) if said else None


def refuses(call):
    """Whether the call is refused as one on what the parent holds."""
    try:
        call()
    except raddle.ForkedError:
        return True
    return False


def work_of_child(job, device):
    """What a child can do: use the parent's model (on the CPU; elsewhere it is refused), load
    the model anew, run it from four threads, and get the parent's bits. Returns what it saw."""
    seen = {"inherited": 0, "refused": 0, "fresh": 0, "lanes_leased": 0}
    if device == "cpu":  # what the parent's threads held is free here; other devices are refused
        seen["lanes_leased"] = raddle.Device(device).info()["lanes_leased"]
    for iteration in range(6):
        try:
            job.run(iteration)
            seen["inherited"] += 1
        except raddle.ForkedError:
            seen["refused"] += 1
    anew = raddle.load(job.case.data, device)

    def run(_):
        for iteration in range(6):
            job.checked(anew(*job.inputs[iteration % len(job.inputs)]), iteration)
        return 6

    seen["fresh"] = sum(run_threads(4, run))
    job.checked(anew.submit(job.inputs[0]).result(timeout=20)[0])
    return seen


def expected_of_child(device):
    inherited = 6 if device == "cpu" else 0
    return {"inherited": inherited, "refused": 6 - inherited, "fresh": 24, "lanes_leased": 0}


@program
def fork_safety(device):
    (job,) = jobs_of(models.matmul(4, 4, 4), device, 1)
    held, event = raddle.Stream(device), raddle.Event(device)
    with raddle.stream(held):
        job.run()
    event.record(held)
    future = job.submit()
    future.result(timeout=20)
    on = raddle.Device(device)

    def child():
        refused = [
            refuses(call)
            for call in (
                held.synchronize,
                lambda: held.lane,
                event.query,
                future.result,
                future.done,
                lambda: event.record(held),
            )
        ]
        if device != "cpu":
            refused.append(refuses(on.info))
        return [refused, work_of_child(job, device)]

    for leave in (os._exit, sys.exit):
        refused, seen = Child(child, leave).end()
        assert all(refused), refused
        assert seen == expected_of_child(device), seen
    job.run()
    held.synchronize(timeout=20)
    with raddle.stream(held):
        job.run()
    say(children=2)


@program
def fork_active_threads(device, forks):
    threads = 8
    jobs = jobs_of(models.matmul(32, 32, 32), device, threads)
    check_distinct(jobs)
    calls, leave = [0] * threads, threading.Event()

    def loop(index):
        while not leave.is_set():
            jobs[index].run(calls[index])
            calls[index] += 1
        return calls[index]

    def advance(by):
        """Waits until every thread has made so many calls more."""
        goal = [count + by for count in calls]
        wait_until(
            lambda: all(count >= want or crew.errors for count, want in zip(calls, goal)),
            what="the progress of all threads",
        )

    crew = Threads(threads, loop)
    seen = []
    for _ in range(forks):
        advance(5)
        seen.append(Child(lambda: work_of_child(jobs[0], device)).end())
    advance(5)
    leave.set()
    crew.join()
    jobs[3].run()
    assert all(one == expected_of_child(device) for one in seen), seen
    say(children=len(seen), calls=calls)


@program
def fork_parent_continues(device, iterations):
    (job,) = jobs_of(models.matmul(64, 64, 64), device, 1)
    job.run()
    Child(lambda: None, lambda status: os._exit(7)).end(expected=7)
    say(right=run_job(job, iterations))


def spawned(pipe, device, thread):
    """The body of a process that is not forked of this one, or is: loads, runs, and sends the
    bits."""
    case = models.matmul(32, 32, 32)
    job = Job(raddle.load(case.data, device), case, thread)
    run_job(job, 6)
    pipe.send([golden.tobytes() for golden in job.golden])
    pipe.close()


@program
def multiprocess(device, method):
    jobs = jobs_of(models.matmul(32, 32, 32), device, 2)
    context = multiprocessing.get_context(method)
    pipes, processes = [], []
    for thread in range(2):
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=spawned, args=(writer, device, thread))
        process.start()
        writer.close()
        pipes.append(reader)
        processes.append(process)
    right = run_job(jobs[0], 10)
    for job, pipe, process in zip(jobs, pipes, processes):
        assert pipe.poll(40), "a process has sent nothing"
        assert pipe.recv() == [golden.tobytes() for golden in job.golden]
        process.join(20)
        assert process.exitcode == 0, process.exitcode
    say(right=right, processes=len(processes), method=context.get_start_method())


# --------------------------------------------------------------------------------------------- exit


@program
def exit_cleanup(device):
    on = raddle.Device(device, lanes=8)
    for index in range(20):
        (job,) = jobs_of(models.linear(64, 64, 64, seed=index), on, 1, variants=1)
        job.run()
    del job
    say(used=in_use(on), reserved=raddle.memory_reserved(on))


@program
def exit_atexit(device):
    (job,) = jobs_of(models.matmul(64, 64, 64), device, 1)

    def at_exit():
        # What raises here is printed by the interpreter, and the test finds no report.
        job.run()
        raddle.synchronize(device, timeout=20)
        job.checked(job.submit().result(timeout=20)[0])
        say(right=run_job(job, 5))

    atexit.register(at_exit)
    assert run_job(job, 5) == 5


KEPT = []  # what lives until the interpreter ends


@program
def exit_threads(device):
    threads, done = 8, []
    barrier = threading.Barrier(threads)

    def work(index):
        cases = [models.matmul(16 + index, 8, 4 + number) for number in range(5)]
        jobs = [Job(raddle.load(case.data, device), case, index) for case in cases]
        stream = raddle.Stream(device)
        KEPT.append((jobs, stream))
        barrier.wait(10)
        with raddle.stream(stream):
            right = sum(run_job(job, 3) for job in jobs)
        barrier.wait(10)
        done.append(right)

    run_threads(threads, work, limit=20)
    say(done=done, lanes=sorted(stream.lane for _, stream in KEPT))


@program
def exit_in_flight(device):
    """The process ends while runs are under way: submitted ones, and those of daemon threads."""
    case = models.product_chain(512, 40)
    (job,) = jobs_of(case, device, 1, variants=1)
    begun = threading.Barrier(5)

    def loop():
        begun.wait()
        while True:
            job.run()

    for _ in range(4):
        threading.Thread(target=loop, daemon=True).start()
    begun.wait()
    futures = [job.submit() for _ in range(40)]
    for future in futures[:2]:
        future.add_done_callback(lambda _: None)
    on = raddle.Device(device)
    wait_until(lambda: on.info()["lanes_leased"] > 0, what="a run under way")
    KEPT.extend(futures)
    say(running=sum(future.running() for future in futures))


@program
def exit_shutdown(device):
    (job,) = jobs_of(models.matmul(64, 64, 64), device, 1)
    futures = [job.submit(iteration) for iteration in range(8)]
    raddle.shutdown(timeout=20)
    ended = 0
    for iteration, future in enumerate(futures):
        try:
            job.checked(future.result(timeout=0)[0], iteration)
            ended += 1
        except (raddle.CancelledError, raddle.ClosedError):
            ended += 1
    refused = False
    try:
        raddle.load(job.case.data, device)
    except raddle.ShutdownError:
        refused = True
    say(ended=ended, refused=refused)


def main():
    name, *given = sys.argv[1:]
    function = PROGRAMS[name]
    count = len(inspect.signature(function).parameters)
    assert len(given) == count, f"{name} takes {count} arguments"
    function(*(int(one) if one.isdigit() else one for one in given))


if __name__ == "__main__":
    # Forking is what is tested, threads or not.
    warnings.simplefilter("ignore", DeprecationWarning)
    main()
