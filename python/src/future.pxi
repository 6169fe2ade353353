# Submitted runs. The library tells their end through completions (completion.h): a worker of the library
# never runs Python.

# Calls whose runs may still read or write Python's memory: token -> _Arguments.
_in_flight = {}
# For ever: when the interpreter clears its modules at the end, runs may be under way.
Py_INCREF(_in_flight)
_tokens = itertools.count(1)


cdef class _CompletionQueue:
    """The tokens of runs that have ended, and a file descriptor that is readable while there are any."""

    cdef object __weakref__
    cdef completion_queue *_queue

    def __cinit__(self):
        self._queue = completion_queue_new()
        if self._queue == NULL:
            raise OSError("no memory or file descriptor for the notices of ended runs")

    def __dealloc__(self):
        completion_queue_release(self._queue)

    def fileno(self):
        return completion_queue_fd(self._queue)

    def take(self):
        """The oldest token; None if there is none."""
        cdef uint64_t token = 0
        return token if completion_queue_take(self._queue, &token) else None


_ended = _CompletionQueue()


def _release_ended():
    """Lets go of the memory of runs that have ended."""
    while (token := _ended.take()) is not None:
        _in_flight.pop(token, None)


def _forget_after_fork():
    """In a child, runs of the parent never end: what they hold is left as it is."""
    global _ended
    _ended = _CompletionQueue()


os.register_at_fork(after_in_child=_forget_after_fork)


@cython.final
cdef class Future:
    """A submitted run. Any thread may wait for it, cancel it, or await it.

    Dropping it lets the run go on to its end. Awaiting it takes no thread; an awaiting task that is
    cancelled cancels the run.
    """

    cdef object __weakref__
    cdef rdl_request _request
    cdef completion *_completion
    cdef Model _model
    cdef _Arguments _outputs  # which outputs, and the arrays given for them

    def __init__(self):
        raise TypeError("raddle.Future has no constructor; Model.submit makes them")

    def __dealloc__(self):
        rdl_request_close(self._request)
        completion_release(self._completion)

    def done(self):
        """Whether the run has ended, by whatever cause."""
        cdef c_bool done = 0
        _check(rdl_request_done(self._request, &done))
        return bool(done)

    def running(self):
        """Whether the run has not ended."""
        return not self.done()

    def cancel(self):
        """Asks the run to end early; True if it had not ended yet. `result` then raises
        `CancelledError`, unless the run was faster."""
        had_ended = self.done()
        rdl_request_cancel(self._request)
        return not had_ended

    def cancelled(self):
        """Whether the run has ended by being cancelled."""
        return self.done() and isinstance(self.exception(), CancelledError)

    def result(self, timeout=None):
        """Waits for the end and gives the outputs, a list; raises what the run failed with.

        Args:
            timeout: seconds; when they have passed, `DeadlineError` is raised and the run goes on
        """
        cdef _Arguments taken = self._outputs.same_outputs()
        cdef rdl_error error
        cdef rdl_status status = self._wait(_deadline(timeout), taken, &error)
        _release_ended()
        _check(status, &error)
        return taken.results(self._model.outputs)

    def exception(self, timeout=None):
        """Waits for the end and gives the exception that the run failed with; None if it succeeded."""
        cdef rdl_error error
        cdef c_bool done = 0
        cdef rdl_status status = self._wait(_deadline(timeout), None, &error)
        _release_ended()
        if status == RDL_OK:
            return None
        found = _exception(status, error.message[:].decode("utf-8", "replace"))
        _check(rdl_request_done(self._request, &done))
        if not done:
            raise found
        return found

    cdef rdl_status _wait(self, int64_t deadline, _Arguments taken, rdl_error *error) except *:
        cdef rdl_status status
        cdef rdl_value **outputs = NULL
        cdef size_t n_outputs = 0
        cdef c_bool done = 0
        if taken is not None:
            outputs, n_outputs = taken.outputs, taken.n_outputs
        error.message[0] = 0
        while True:
            with nogil:
                status = rdl_request_wait(self._request, _slice(deadline) if deadline else 0, outputs,
                                          n_outputs, error)
            if status != RDL_ERR_DEADLINE:
                return status
            if rdl_request_done(self._request, &done) != RDL_OK or done:
                # It ended meanwhile, or the deadline that passed is the run's own.
                return rdl_request_wait(self._request, RDL_NO_WAIT, outputs, n_outputs, error)
            if rdl_now_ns() >= deadline:
                return status
            PyErr_CheckSignals()

    def add_done_callback(self, function):
        """Has ``function(future)`` called, on a thread of the package, once the run has ended."""
        from raddle import _notices
        _notices.call_when_done(self, function)

    def _watch(self, _CompletionQueue queue not None, uint64_t token):
        """Has token put into the queue when the run ends, or now if it has."""
        self.done()  # in a child, a run of the parent is refused here
        if not completion_watch(self._completion, queue._queue, token):
            raise MemoryError()

    def __await__(self):
        from raddle import _notices
        return _notices.wait(self).__await__()

    def __repr__(self):
        try:
            state = "ended" if self.done() else "running"
        except Error as error:
            state = str(error)
        return f"<raddle.Future, {state}>"

    def __reduce__(self):
        raise TypeError("a future cannot be pickled")
