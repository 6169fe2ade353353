"""Throughput of small calls, with every answer checked."""

import pytest
from support import run_program, share


@pytest.mark.parametrize("threads", [1, 2, 4, 8])
def test_linear(device_name, threads):
    """Scenario 6, Benchmark.

    Linear 256 -> 128, batch 4, a model for each thread; 1, 2, 4, 8 threads with 50 calls each, a
    process each (60 s). All calls end with the right answer. Calls a second, mean, p50 and p99 are
    printed (pytest -s); making models and inputs is outside of the time. Numbers are not judged:
    bench/ measures.

    Seen to fail when the answers of all callers pass through one shared buffer (not with one
    thread).
    """
    iterations = share(device_name, 50)
    report = run_program("benchmark_linear", device_name, threads, iterations, limit=60)
    print(device_name, threads, report)
    assert report["right"] == threads * iterations
    assert 0 < report["p50_ms"] <= report["p99_ms"]
