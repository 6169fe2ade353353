"""The end of a process, with everything still alive. Each test ends several processes and looks
at their exit status; nothing is tried again."""

import pytest
from support import run_program


def test_cleanup_then_exit(device_name):
    """Scenario 19, Static: Cleanup.

    20 models with weights of 64^2, one after the other, each run and dropped; then synchronise and
    empty the cache: no byte is in use or reserved, and the process ends with 0.

    Seen to fail when the weights of a closed model are not freed.
    """
    assert run_program("exit_cleanup", device_name) == {"used": 0, "reserved": 0}


def test_runs_in_an_exit_handler(device_name):
    """Scenario 20, Static: Atexit.

    5 products of 64^2, and an exit handler that runs, synchronises and submits, with right answers.
    The report comes from the handler.

    Seen to fail when the package shuts the library down before exit handlers run.
    """
    assert run_program("exit_atexit", device_name) == {"right": 5}


@pytest.mark.limit(90)
def test_threads_with_streams_then_exit(device_name):
    """Scenario 21, Static: Thread Cleanup.

    8 threads make 5 models and a stream each, all run between two barriers (8 x 15 right answers, 8
    distinct lanes); the threads end, models and streams live on, the process ends with 0. Three
    times.

    Seen to fail when every stream says that its lane is 1; when the first element of every answer
    is off by 0.001.
    """
    for _ in range(3):
        report = run_program("exit_threads", device_name)
        assert report["done"] == [15] * 8
        assert len(set(report["lanes"])) == 8 and 0 not in report["lanes"]


@pytest.mark.limit(90)
def test_exit_with_runs_in_flight(device_name):
    """The process ends while daemon threads run models and submitted runs are under way. Three
    times.

    Seen to fail when a destructor of the library destroys the lanes; when the package shuts down
    before exit handlers run; under TSan, when the arrays of runs under way go with the interpreter.
    """
    for _ in range(3):
        assert run_program("exit_in_flight", device_name)["running"] > 0


def test_shutdown_then_exit(device_name):
    """An explicit shutdown ends submitted runs, whose answers are right or say that they were
    cancelled; later calls are refused; the process ends with 0.

    Seen to fail when the first element of every answer is off by 0.001.
    """
    assert run_program("exit_shutdown", device_name) == {"ended": 8, "refused": True}
