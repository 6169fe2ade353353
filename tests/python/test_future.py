"""Submitted runs: waiting, awaiting, cancelling, callbacks, and futures that nobody keeps."""

import asyncio
import gc
import pathlib
import threading
import time

import numpy
import pytest
from crew import run_threads

import raddle

MODELS = pathlib.Path(__file__).parents[2] / ".cache" / "models"


@pytest.fixture(params=["cpu", "sim"])
def model(request):
    return raddle.load(MODELS / "mlp_784_512_512_10.onnx", request.param)


def inputs(seed, rows=3):
    return numpy.random.default_rng(seed).standard_normal((rows, 784), "float32")


@pytest.fixture
def slow():
    """A model and an input that take seconds on the simulated device."""
    device = raddle.Device("sim", seed=1, max_delay_us=1_000_000, workers=1)
    return raddle.load(MODELS / "mlp_784_512_512_10.onnx", device), inputs(0)


def test_results_are_those_of_calls(model):
    futures = [model.submit([inputs(seed)]) for seed in range(40)]
    for seed, future in enumerate(futures):
        assert numpy.array_equal(future.result()[0], model(inputs(seed)))
        assert future.done() and not future.running() and not future.cancelled()
        assert future.exception() is None


def test_a_result_can_be_taken_by_many_threads(model):
    wanted, future = model(inputs(1)), model.submit([inputs(1)])
    found = run_threads(8, lambda _: future.result()[0])
    assert all(numpy.array_equal(one, wanted) for one in found)


def test_a_result_goes_where_the_caller_says(model):
    out = numpy.zeros((3, 10), "float32")
    future = model.submit({"x": inputs(2)}, out={"y": out})
    assert future.result()[0] is out and numpy.array_equal(out, model(inputs(2)))


def test_mistakes_come_at_once_and_failures_with_the_result(model):
    with pytest.raises(TypeError, match="missing"):
        model.submit({})
    future = model.submit([inputs(0)[:, :700]])
    with pytest.raises(raddle.ShapeError, match="700"):
        future.result()
    assert isinstance(future.exception(), raddle.ShapeError)


def test_a_wait_ends_and_the_run_goes_on(slow):
    model, x = slow
    future = model.submit([x])
    with pytest.raises(raddle.DeadlineError):
        future.result(timeout=0.01)
    assert future.result(timeout=30)[0].shape == (3, 10)


def test_a_run_has_a_deadline_of_its_own(slow):
    model, x = slow
    future = model.submit([x], timeout=0.01)
    with pytest.raises(raddle.DeadlineError):
        future.result(timeout=30)
    assert future.done()
    with pytest.raises(raddle.DeadlineError):
        model.run([x], timeout=0.01)


def test_cancel(slow):
    model, x = slow
    future = model.submit([x])
    assert future.cancel()
    with pytest.raises(raddle.CancelledError):
        future.result(timeout=30)
    assert future.cancelled() and not future.cancel()
    token = raddle.CancelToken()
    futures = [model.submit([x], cancel=token) for _ in range(3)]
    token.cancel()
    assert token.cancelled()
    for future in futures:
        with pytest.raises(raddle.CancelledError):
            future.result(timeout=30)


def test_callbacks_are_called_once_each(model):
    called, lock, done = [], threading.Lock(), threading.Event()

    def note(future):
        with lock:
            called.append(future)
            if len(called) == 60:
                done.set()

    futures = [model.submit([inputs(seed)]) for seed in range(20)]
    for future in futures:
        future.add_done_callback(note)
        future.add_done_callback(lambda future: 1 / 0)
        future.add_done_callback(note)
        future.result()
        future.add_done_callback(note)
    assert done.wait(20)
    assert sorted(map(id, called)) == sorted(3 * list(map(id, futures)))


def test_futures_that_nobody_keeps_leave_nothing(model):
    """Inputs are changed as soon as nobody has them: a run that read them late would differ or crash."""
    wanted = model(inputs(5, rows=64))
    outs = [numpy.zeros((64, 10), "float32") for _ in range(50)]
    for out in outs:
        model.submit([inputs(5, rows=64)], out=[out])
        gc.collect()
    for _ in range(200):
        if all(numpy.array_equal(out, wanted) for out in outs):
            break
        time.sleep(0.05)
    assert all(numpy.array_equal(out, wanted) for out in outs)
    future = model.submit([inputs(5)])
    future.result()
    for _ in range(200):
        raddle._core._release_ended()
        if not raddle._core._in_flight:
            break
        time.sleep(0.05)
    assert not raddle._core._in_flight


def test_awaiting_takes_no_thread(model):
    async def many():
        before = threading.active_count()
        runs = [asyncio.ensure_future(_await(model, seed)) for seed in range(100)]
        await asyncio.sleep(0)
        assert threading.active_count() == before
        return await asyncio.gather(*runs)

    for seed, found in enumerate(asyncio.run(many())):
        assert numpy.array_equal(found, model(inputs(seed)))


async def _await(model, seed):
    return (await model.submit([inputs(seed)]))[0]


def test_each_event_loop_hears_of_its_own(model):
    failures = []

    def serve(seed):
        for _ in range(3):
            if not numpy.array_equal(asyncio.run(_await(model, seed)), wanted[seed]):
                failures.append(seed)

    wanted = [model(inputs(seed)) for seed in range(8)]
    run_threads(8, serve)
    assert not failures


def test_a_task_that_is_cancelled_cancels_its_run(slow):
    model, x = slow

    async def main():
        future = model.submit([x])

        async def wait():
            await future

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(raddle.CancelledError):
            await future

    asyncio.run(main())


def test_await_raises_what_the_run_failed_with(model):
    with pytest.raises(raddle.ShapeError):
        asyncio.run(_fail(model))


async def _fail(model):
    await model.submit([numpy.zeros((1, 3), "float32")])
