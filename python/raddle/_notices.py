"""Notices of runs that have ended, for event loops and for callbacks.

An event loop watches one file descriptor for all its runs; callbacks are called by one thread for all of
them. Both read a queue of tokens that the library fills.
"""

import itertools
import logging
import os
import select
import threading
import weakref

from . import _core

_log = logging.getLogger(__name__)


class _Waiters:
    """What waits for runs, by token."""

    def __init__(self):
        self.queue = _core._CompletionQueue()
        self._waiting = {}
        self._tokens = itertools.count(1)

    def add(self, future, waiter):
        token = next(self._tokens)
        self._waiting[token] = waiter
        try:
            future._watch(self.queue, token)
        except BaseException:
            del self._waiting[token]
            raise

    def ended(self):
        """Takes the waiters whose runs have ended, one by one."""
        while (token := self.queue.take()) is not None:
            yield self._waiting.pop(token)


class _LoopWaiters(_Waiters):
    """Futures of one event loop that wait for runs."""

    def __init__(self, loop):
        super().__init__()
        loop.add_reader(self.queue.fileno(), self._wake)

    def _wake(self):
        for waiter in self.ended():
            if not waiter.done():
                waiter.set_result(None)


class _Caller(_Waiters):
    """Calls functions for runs that have ended, on a thread of its own."""

    def __init__(self):
        super().__init__()
        threading.Thread(target=self._serve, name="raddle-callbacks", daemon=True).start()

    def _serve(self):
        poll = select.poll()
        poll.register(self.queue.fileno(), select.POLLIN)
        while True:
            poll.poll()
            for future, function in self.ended():
                try:
                    function(future)
                except Exception:
                    _log.exception("a callback of a run raised an exception")
                del future, function  # or the last ones would live until the next come


_loops = weakref.WeakKeyDictionary()
_lock = threading.Lock()
_caller = None


def _waiters_of(loop):
    with _lock:
        if loop not in _loops:
            _loops[loop] = _LoopWaiters(loop)
        return _loops[loop]


async def wait(future):
    """Gives the future's result; the task sleeps until the run has ended."""
    import asyncio  # who awaits has it; callbacks go without its long import

    if not future.done():
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        _waiters_of(loop).add(future, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            future.cancel()
            raise
    return future.result()


def call_when_done(future, function):
    """Calls ``function(future)`` on the thread for callbacks once the run has ended."""
    global _caller
    with _lock:
        if _caller is None:
            _caller = _Caller()
    _caller.add(future, (future, function))


def _forget_after_fork():
    """A child starts afresh: the parent's runs do not end there."""
    global _caller, _lock, _loops
    _caller, _lock, _loops = None, threading.Lock(), weakref.WeakKeyDictionary()


os.register_at_fork(after_in_child=_forget_after_fork)
