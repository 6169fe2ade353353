"""Which stream a thread's calls go through."""

import models
import pytest
from support import Job, check_distinct, run_job, run_threads

import raddle


def test_threads_get_streams_of_their_own(device):
    """Scenario 5, Stream Assignment.

    Main thread: 3 x (a + b on 10x10), in the default stream, lane 0. Two threads hold a stream each
    and make one call in it (10 s): their lanes are distinct and not 0, each sees its own stream in
    force and main still the default one, both answers are right. When the streams are closed no
    lane is held.

    Seen to fail when the answers of all callers pass through one shared buffer; when every stream
    says that its lane is 1.
    """
    case = models.add(10, 10)
    model = raddle.load(case.data, device)
    jobs = [Job(model, case, thread) for thread in range(3)]
    check_distinct(jobs)
    assert raddle.current_stream(device).lane == 0
    assert run_job(jobs[2], 3) == 3

    def work(index):
        assert raddle.current_stream(device).lane == 0
        stream = raddle.Stream(device, timeout=0)
        with raddle.stream(stream):
            assert raddle.current_stream(device) is stream
            jobs[index].run()
        assert raddle.current_stream(device).lane == 0
        return stream

    streams = run_threads(2, work, limit=10)
    lanes = {stream.lane for stream in streams}
    assert len(lanes) == 2 and 0 not in lanes
    assert raddle.current_stream(device).lane == 0
    assert device.info()["lanes_leased"] == 2
    for stream in streams:
        stream.close()
    assert device.info()["lanes_leased"] == 0
    with pytest.raises(raddle.ClosedError):
        streams[0].synchronize()


def test_a_call_uses_the_lane_of_its_stream(device_name):
    """With every lane held as a stream, a call outside of them finds none, and calls in them go
    on.

    Seen to fail when every stream says that its lane is 1.
    """
    case = models.add(10, 10)
    with raddle.Device(device_name, lanes=3) as device:
        job = Job(raddle.load(case.data, device), case, 0)
        with raddle.Stream(device) as one, raddle.Stream(device) as two:
            assert {one.lane, two.lane} == {1, 2}
            with pytest.raises(raddle.BusyError):
                job.model.run(job.inputs[0], wait=False)
            for stream in (one, two, one):
                with raddle.stream(stream):
                    job.checked(job.model.run(job.inputs[0], wait=False)[0])
        job.checked(job.model.run(job.inputs[0], wait=False)[0])
