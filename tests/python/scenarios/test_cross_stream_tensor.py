"""What one stream makes, another uses."""

import queue
import threading

import models
import numpy
from support import Job, check_bits, check_values, run_threads, wait_until

import raddle


def test_consumer_uses_what_an_ended_thread_made(device):
    """Scenario 10, Cross-Stream.

    A producer thread multiplies 64^2 in its stream and ends, stream and all; a consumer takes the
    answer from a queue (5 s), multiplies it by another matrix in its own stream, and sums. The
    answer is the product of three matrices within the tolerance and has the bits of the same chain
    run alone; the producer's answer still has its own bits then.

    Seen to fail when the first element of every answer is off by 0.001.
    """
    case = models.matmul(64, 64, 64)
    model = raddle.load(case.data, device)
    for round_ in range(10):
        a, b = case.inputs(round_, 0)
        c = case.inputs(round_, 1)[1]
        golden_ab = model(a, b)
        golden = model(golden_ab, c)
        check_values(golden, a.astype(numpy.float64) @ b @ c)
        handed, lanes = queue.Queue(), []

        def produce(_):
            with raddle.Stream(device) as stream, raddle.stream(stream):
                lanes.append(stream.lane)
                handed.put(model(a, b))

        def consume(_):
            with raddle.Stream(device) as stream, raddle.stream(stream):
                ab = handed.get(timeout=5)
                return ab, model(ab, c)

        run_threads(1, produce)
        ((ab, abc),) = run_threads(1, consume)
        check_bits(ab, golden_ab)
        check_bits(abc, golden)
        assert abc.sum(dtype=numpy.float64) == golden.sum(dtype=numpy.float64)


def test_stream_waits_for_an_event_of_another(device):
    """A consumer's stream waits for an event behind a long run in the producer's stream: the short
    run that the consumer makes then ends after the long one. The host is free meanwhile, on sim.

    Seen to fail when every stream says that its lane is 1; when waiting for an event does nothing
    (sim).
    """
    long, short = models.product_chain(256, 60), models.add(10, 10)
    producer = Job(raddle.load(long.data, device), long, 0, variants=1)
    consumer = Job(raddle.load(short.data, device), short, 1)
    with raddle.Stream(device) as one, raddle.Stream(device) as two:
        assert one.lane != two.lane
        ended = []

        def produce():
            with raddle.stream(one):
                ended.append(producer.run())

        thread = threading.Thread(target=produce)
        thread.start()
        wait_until(lambda: not one.query(), what="the long run's start")
        event = one.record_event()
        two.wait_event(event)
        with raddle.stream(two):
            consumer.run()
        assert event.query(), "the consumer has overtaken the producer"
        thread.join(20)
        assert len(ended) == 1
