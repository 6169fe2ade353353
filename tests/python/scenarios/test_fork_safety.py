"""Fork: the child works, and what it cannot use is refused."""

import pytest
from support import run_program


@pytest.mark.limit(90)
def test_child_works_and_handles_of_the_parent_are_refused(device_name):
    """Scenario 1, Fork Safety.

    A 4x4 product, a held stream, an event and a future; fork. In the child the parent's stream,
    event and future are refused (ForkedError), CPU models work on, those of other devices are
    refused, and a model loaded anew gives the parent's bits from four threads. Child and parent end
    with status 0, the child both by _exit and through the interpreter's end; then the parent's
    stream and model still work.

    Seen to fail when a child keeps the lanes that the parent's threads held (cpu); when models of
    other devices are not refused in it (sim).
    """
    assert run_program("fork_safety", device_name, limit=80) == {"children": 2}
