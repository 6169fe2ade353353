"""Threads that begin together, for all tests of the package."""

import threading
import time


class Threads:
    """Threads that begin together; see `run_threads`."""

    def __init__(self, count, work):
        self.results, self.errors = [None] * count, []
        self._barrier = threading.Barrier(count)
        self._threads = [
            threading.Thread(target=self._run, args=(index, work), daemon=True) for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, index, work):
        try:
            self._barrier.wait()
            self.results[index] = work(index)
        except BaseException as error:
            self.errors.append(error)

    def alive(self):
        """Whether any has not ended."""
        return any(thread.is_alive() for thread in self._threads)

    def join(self, limit=45):
        """Waits for all; asserts that they end in time, and that none of them failed. The
        results."""
        end = time.monotonic() + limit
        for thread in self._threads:
            thread.join(max(0, end - time.monotonic()))
        if self.errors:
            raise BaseExceptionGroup(
                f"{len(self.errors)} of {len(self._threads)} threads failed", self.errors
            )
        alive = sum(thread.is_alive() for thread in self._threads)
        assert not alive, f"{alive} threads have not ended in {limit} s"
        return self.results


def run_threads(count, work, limit=45):
    """Calls work(index) on `count` threads from a barrier; the results. A failure of any is
    raised."""
    return Threads(count, work).join(limit)
