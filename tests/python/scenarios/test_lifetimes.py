"""What is dropped while it is in use: futures, inputs, models, streams, threads."""

import gc
import threading
import weakref

import models
import numpy
from support import Job, check_distinct, in_use, run_threads, share, wait_until

import raddle


def jobs_on(device, count, case):
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, index, variants=1) for index in range(count)]
    check_distinct(jobs)
    return jobs


def test_futures_dropped_while_running(device):
    """100 submitted runs (sim: 20) of which every second future is dropped at once: the runs go on
    into arrays given for them, and are right there; the futures that were kept are right too.

    Seen to fail when the answers of all callers pass through one shared buffer; when a submitted
    run does not hold its inputs.
    """
    jobs = jobs_on(device, share(device, 100), models.product_chain(64, 20))
    outputs = [numpy.zeros((64, 64), numpy.float32) for _ in jobs]
    kept = {}
    for index, (job, output) in enumerate(zip(jobs, outputs)):
        future = job.submit(out=[output])
        if index % 2:
            kept[index] = future
        del future
    for index, future in kept.items():
        assert future.result(timeout=30)[0] is outputs[index]
    wait_until(
        lambda: all((output != 0).any() for output in outputs) and device.info()["lanes_leased"] == 0,
        what="the end of all runs",
    )
    for job, output in zip(jobs, outputs):
        job.checked(output)


def test_inputs_dropped_while_running(device):
    """Inputs that the caller drops right after the submit, and whose memory Python would hand out
    again, are held by the run: they are alive until it ends and then freed, and answers are right.

    Seen to fail when a submitted run does not hold its inputs; when what ended runs held is not let
    go.
    """
    jobs = jobs_on(device, 40, models.product_chain(96, 20))

    class Watched(numpy.ndarray):
        """An array that weak references see."""

    gone = []

    def submit(job):
        given = job.inputs[0][0].copy().view(Watched)
        gone.append(weakref.ref(given))
        return job.model.submit([given])

    futures = [submit(job) for job in jobs]
    churn = []
    while any(future.running() for future in futures):
        # What was freed too early would be written over by these.
        churn = [numpy.full((96, 96), 1e30, numpy.float32) for _ in range(50)]
    del churn
    for job, future in zip(jobs, futures):
        job.checked(future.result(timeout=20)[0])
    del future, futures
    gc.collect()

    def all_are_gone():
        # Looking at a later run's end lets go of what earlier ones held.
        jobs[0].submit().result(timeout=20)
        return all(reference() is None for reference in gone)

    wait_until(all_are_gone, what="the end of all inputs")


def test_model_dropped_while_running(device):
    """A model whose last name goes while its submitted runs are under way: they end right, and its
    memory is the device's again.

    Seen to fail when the answers of all callers pass through one shared buffer; when a submitted
    run does not hold its inputs.
    """
    before = in_use(device)
    jobs = jobs_on(device, 20, models.product_chain(128, 40))
    futures = [job.submit() for job in jobs]
    for job in jobs:
        job.model = None
    gc.collect()
    for job, future in zip(jobs, futures):
        job.checked(future.result(timeout=30)[0])
    del job, jobs, future, futures
    gc.collect()
    assert in_use(device) == before


def test_answers_outlive_model_and_device(device_name):
    """Answers stay as they are when model and device are closed and gone.

    Seen to fail when an answer does not hold its memory.
    """
    case = models.linear(64, 64, 8)
    device = raddle.Device(device_name, lanes=4)
    model = raddle.load(case.data, device)
    job = Job(model, case, 0)
    answers = [job.run(iteration) for iteration in range(3)]
    job.model = None
    model.close()
    device.close(timeout=20)
    del model, device
    gc.collect()
    with raddle.Device(device_name, lanes=4) as other:
        Job(raddle.load(case.data, other), case, 1)
    for iteration, got in enumerate(answers):
        job.checked(got, iteration)
        got += 1  # they are the caller's own, writable memory


def test_threads_end_with_streams_open(device):
    """31 threads end without closing the streams that they hold: the lanes stay leased, by the
    objects and not by the threads; other threads use those streams; when the objects go the lanes
    are free, all 31.

    Seen to fail when the answers of all callers pass through one shared buffer; when every stream
    says that its lane is 1.
    """
    case = models.matmul(32, 32, 32)
    jobs = jobs_on(device, 31, case)
    streams = run_threads(31, lambda index: raddle.Stream(device, timeout=0))
    assert device.info()["lanes_leased"] == 31

    def work(index):
        with raddle.stream(streams[index]):
            jobs[index].run()
        return streams[index].lane

    assert sorted(run_threads(31, work)) == list(range(1, 32))
    streams.clear()
    gc.collect()
    assert device.info()["lanes_leased"] == 0
    again = [raddle.Stream(device, timeout=0) for _ in range(31)]
    assert len({stream.lane for stream in again}) == 31


def test_thread_ends_inside_a_stream_context(device):
    """A thread ends by an exception inside `with raddle.stream(...)`: the stream is not in force
    for others, and a thread that comes after starts with the default stream.

    Seen to fail when every stream says that its lane is 1.
    """
    stream = raddle.Stream(device)

    def work():
        raddle.stream(stream).__enter__()  # and never leaves it

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert run_threads(1, lambda _: raddle.current_stream(device).lane) == [0]
    assert raddle.current_stream(device).lane == 0
    stream.close()
    del stream
    gc.collect()
    assert device.info()["lanes_leased"] == 0
