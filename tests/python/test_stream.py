"""Streams and events from Python."""

import pathlib
import threading

import numpy
import pytest

import raddle

MODELS = pathlib.Path(__file__).parents[2] / ".cache" / "models"


@pytest.fixture(params=["cpu", "sim"])
def device(request):
    return raddle.Device(request.param, lanes=4)


def test_streams_held_together_have_lanes_of_their_own(device):
    streams = [raddle.Stream(device, timeout=0) for _ in range(3)]
    assert sorted(stream.lane for stream in streams) == [1, 2, 3]
    with pytest.raises(raddle.BusyError):
        raddle.Stream(device, timeout=0)
    with pytest.raises(raddle.DeadlineError):
        raddle.Stream(device, timeout=0.05)
    lane = streams[0].lane
    streams[0].close()
    streams[0].close()
    assert raddle.Stream(device, timeout=5).lane == lane
    with pytest.raises(raddle.ClosedError):
        streams[0].query()


def test_runs_go_through_the_stream_in_force(device):
    """All lanes are held, so a run can only be one through the stream that is in force."""
    model = raddle.load(MODELS / "linear_8x8.onnx", device)
    x = numpy.ones((2, 8), "float32")
    wanted = model(x)
    streams = [raddle.Stream(device, timeout=0) for _ in range(3)]
    with pytest.raises(raddle.BusyError):
        model.run([x], wait=False)
    with raddle.stream(streams[1]) as inforce:
        assert inforce is streams[1] and raddle.current_stream(device) is streams[1]
        assert numpy.array_equal(model.run([x], wait=False)[0], wanted)
        assert numpy.array_equal(model.submit([x]).result(timeout=10)[0], wanted)
        with raddle.stream(streams[2]):
            assert raddle.current_stream(device) is streams[2]
        assert raddle.current_stream(device) is streams[1]
        seen = []
        thread = threading.Thread(target=lambda: seen.append(raddle.current_stream(device).lane))
        thread.start()
        thread.join()
        assert seen == [0]  # another thread's streams are its own
    assert raddle.current_stream(device).lane == 0


def test_a_stream_is_given_back_with_its_last_reference(device):
    for _ in range(20):
        raddle.Stream(device, timeout=5)
    assert device.info()["lanes_leased"] <= 1


def test_events(device):
    model = raddle.load(MODELS / "linear_8x8.onnx", device)
    x = numpy.ones((2, 8), "float32")
    with raddle.Stream(device) as one, raddle.Stream(device) as two:
        event = raddle.Event(device)
        assert event.query()  # never recorded
        with raddle.stream(one):
            model(x)
            event.record()
            model(x)
            end = one.record_event()
        two.wait_event(event)
        two.wait_stream(one)
        end.synchronize(timeout=10)
        two.synchronize(timeout=10)
        raddle.synchronize(device, timeout=10)
        assert one.query() and end.query()
        assert event.elapsed_time(end) >= 0
    event.close()
    with pytest.raises(raddle.ClosedError):
        event.query()


def test_devices_do_not_mix(device):
    with raddle.Stream(device) as stream:
        with pytest.raises(raddle.ArgumentError):
            raddle.Event(raddle.Device("cpu", lanes=2)).record(stream)
