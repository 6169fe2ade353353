"""What all scenarios share: the devices, the tiers, and a time limit for each test.

The numbered scenarios have the threads, calls and sizes of the test suite of an earlier system,
"the origin", which mostly counted calls; here answers are checked (support.py). "Seen to fail when"
names what was broken once, in the library or the package, to see the test fail.

A file is run as a process of its own: `python -m pytest -q FILE`. A test that takes longer than its
limit (marker ``limit(seconds)``, LIMIT unless said) ends the process with the stacks of all
threads. There is no retry and no skip. Tests marked ``full`` are left out unless
RADDLE_TEST_TIER=full.
"""

import faulthandler
import gc
import os
import pathlib
import sys

import pytest

# The references' products: threads of BLAS would compete with those that are tested.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

# "cuda" joins here.
DEVICES = ["cpu", "sim"]
LIMIT = 60  # seconds

_failed = pytest.StashKey()
_stderr = None


def pytest_configure(config):
    global _stderr
    config.addinivalue_line("markers", "full: long; runs with RADDLE_TEST_TIER=full")
    config.addinivalue_line("markers", "limit(seconds): time limit of the test")
    _stderr = os.dup(2)  # nothing captures yet


def pytest_collection_modifyitems(config, items):
    if os.environ.get("RADDLE_TEST_TIER") == "full":
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    marker = item.get_closest_marker("limit")
    limit = marker.args[0] if marker else LIMIT
    faulthandler.dump_traceback_later(limit, exit=True, file=_stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    return report


@pytest.fixture(params=DEVICES)
def device_name(request):
    """The name of a device, for what opens its own, or runs in a process of its own."""
    return request.param


@pytest.fixture
def device(request, device_name):
    """A device of the test's own, of 32 lanes. Afterwards no lane is held, nobody waits, and no
    memory is in use: what a test leaves behind fails it."""
    import raddle
    import support

    opened = raddle.Device(device_name, lanes=32)

    def is_left():
        info = opened.info()
        held = info["lanes_leased"], info["lane_waiters"], info["memory_waiters"]
        return held == (0, 0, 0) and support.in_use(opened) == 0

    try:
        yield opened
        if not request.node.stash.get(_failed, False):  # else its frames live on, and hold things
            gc.collect()
            # Threads of the library and of the package may be a moment behind the test.
            support.wait_until(is_left, limit=5, what="the end of all use of the device")
    finally:
        opened.close(timeout=10)
