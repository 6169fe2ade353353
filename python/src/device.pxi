# Devices, their memory, streams and events.

_SIM_OPTIONS = ("seed", "workers", "max_delay_us", "fail_alloc", "fail_submit", "fail_wait",
                "fail_stream", "fail_thread", "lose_at", "sticky", "memory_bytes")


@cython.final
cdef class Device:
    """Where models run: ``"cpu"``, or ``"sim"``, an accelerator simulated on threads, for tests.

    ``Device("cpu")`` is the device that all share. With options a device of its own is opened:

    Args:
        lanes: most calls that run at the same time, plus one (default 32, on cpu at least twice the cores)
        memory_limit: most bytes of device memory
        plan_cache: plans (one for each set of input shapes) kept for a model

    and for ``"sim"`` faults to play, by number of the call that fails: seed, workers, max_delay_us,
    fail_alloc, fail_submit, fail_wait, fail_stream, fail_thread, lose_at, sticky, memory_bytes.
    """

    cdef object __weakref__
    cdef rdl_device _handle
    cdef bint _is_own
    cdef readonly str name

    def __init__(self, name="cpu", *, lanes=0, memory_limit=0, plan_cache=0, **sim):
        cdef rdl_error error
        cdef rdl_device_options options
        cdef rdl_sim_options faults
        cdef rdl_status status
        cdef bytes encoded = name.encode()
        cdef const char *c_name = encoded
        for key in sim:
            if name != "sim" or key not in _SIM_OPTIONS:
                raise TypeError(f"device {name!r} has no option {key!r}")
        self.name = name
        memset(&options, 0, sizeof(options))
        memset(&faults, 0, sizeof(faults))
        options.size = sizeof(options)
        options.lanes = lanes
        options.memory_limit_bytes = memory_limit
        options.plan_cache = plan_cache
        if sim:
            faults.seed = sim.get("seed", 0)
            faults.workers = sim.get("workers", 0)
            faults.max_delay_us = sim.get("max_delay_us", 0)
            faults.fail_alloc = sim.get("fail_alloc", 0)
            faults.fail_submit = sim.get("fail_submit", 0)
            faults.fail_wait = sim.get("fail_wait", 0)
            faults.fail_stream = sim.get("fail_stream", 0)
            faults.fail_thread = sim.get("fail_thread", 0)
            faults.lose_at = sim.get("lose_at", 0)
            faults.sticky = sim.get("sticky", False)
            faults.memory_bytes = sim.get("memory_bytes", 0)
            options.sim = &faults
        self._is_own = bool(sim or lanes or memory_limit or plan_cache)
        with nogil:
            status = rdl_device_open(c_name, &options if self._is_own else NULL, &self._handle,
                                     &error)
        _check(status, &error)

    def __dealloc__(self):
        cdef rdl_error error
        if self._is_own and self._handle.id != 0:
            with nogil:
                rdl_device_close(self._handle, rdl_deadline_in_ns(1_000_000_000), &error)

    def close(self, timeout=None):
        """Closes a device of one's own: calls in flight are cancelled, its models become stale."""
        cdef rdl_error error
        cdef rdl_status status
        cdef int64_t deadline = _deadline(timeout)
        if not self._is_own:
            raise StateError(f"the shared device {self.name!r} cannot be closed")
        with nogil:
            status = rdl_device_close(self._handle, deadline, &error)
        _check(status, &error)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._is_own:
            try:
                self.close()
            except ClosedError:
                pass

    def info(self):
        """What the device is and how busy, as a dict."""
        cdef rdl_device_info info
        info.size = sizeof(info)
        _check(rdl_device_get_info(self._handle, &info))
        return {
            "name": (<const char *>info.name).decode(),
            "isa": (<const char *>info.isa).decode(),
            "lanes": info.lanes,
            "lanes_leased": info.lanes_leased,
            "lane_waiters": info.lane_waiters,
            "memory_waiters": info.memory_waiters,
            "plan_cache": info.plan_cache,
            "memory_limit_bytes": info.memory_limit_bytes,
            "host_memory": bool(info.host_memory),
            "asynchronous": bool(info.asynchronous),
            "lost": bool(info.lost),
        }

    def __repr__(self):
        return f"raddle.Device({self.name!r})"

    def __reduce__(self):
        raise TypeError("a device cannot be pickled; open it in the process that uses it")


def _device_of(device):
    """The Device for a Device, a name, or None (the CPU)."""
    if isinstance(device, Device):
        return device
    return Device("cpu" if device is None else device)


def synchronize(device=None, timeout=None):
    """Waits until all work that was submitted to the device before the call has run."""
    cdef Device on = _device_of(device)
    cdef rdl_error error
    cdef rdl_status status = RDL_ERR_DEADLINE
    cdef int64_t deadline = _deadline(timeout)
    while True:
        with nogil:
            status = rdl_device_synchronize(on._handle, _slice(deadline), NULL, &error)
        if not _goes_on(status, deadline):
            break
    _check(status, &error)


def memory_stats(device=None):
    """Statistics of the device's memory, a dict under PyTorch's key names, in bytes and counts."""
    cdef Device on = _device_of(device)
    cdef int64_t values[64]
    cdef size_t index
    assert RDL_MEMORY_STAT_COUNT <= 64
    _check(rdl_memory_stats(on._handle, values))
    return {rdl_memory_stat_key(<rdl_memory_stat>index).decode(): values[index]
            for index in range(RDL_MEMORY_STAT_COUNT)}


def memory_allocated(device=None):
    """Bytes in use on the device."""
    return memory_stats(device)["allocated_bytes.all.current"]


def max_memory_allocated(device=None):
    """Most bytes that were in use on the device."""
    return memory_stats(device)["allocated_bytes.all.peak"]


def memory_reserved(device=None):
    """Bytes that the device gave, caches included."""
    return memory_stats(device)["reserved_bytes.all.current"]


def max_memory_reserved(device=None):
    """Most bytes that the device gave."""
    return memory_stats(device)["reserved_bytes.all.peak"]


def empty_cache(device=None):
    """Gives cached memory back to the system; returns how many bytes."""
    cdef Device on = _device_of(device)
    cdef size_t freed = 0
    cdef rdl_status status
    with nogil:
        status = rdl_memory_trim(on._handle, &freed)
    _check(status)
    return freed


def set_memory_limit(limit, device=None):
    """Sets the most bytes that the device may reserve; None or 0: no limit."""
    cdef Device on = _device_of(device)
    _check(rdl_memory_set_limit(on._handle, limit or 0))


@cython.final
cdef class Stream:
    """An ordered queue of work on a device. Holding it leases one of the device's lanes.

    >>> with raddle.Stream() as one, raddle.stream(one):
    ...     y = model(x)

    Args:
        timeout: seconds to wait for a free lane; None for ever, 0 fails at once (`BusyError`)
    """

    cdef object __weakref__
    cdef rdl_stream _handle
    cdef readonly Device device

    def __init__(self, device=None, *, timeout=None):
        cdef rdl_error error
        cdef rdl_status status
        cdef int64_t deadline = _deadline(timeout)
        self.device = _device_of(device)
        while True:
            with nogil:
                status = rdl_stream_open(self.device._handle, _slice(deadline) if deadline else 0,
                                         NULL, &self._handle, &error)
            if not _goes_on(status, deadline):
                break
        _check(status, &error)

    def __dealloc__(self):
        if self._handle.id != 0:
            with nogil:
                rdl_stream_close(self._handle)

    def close(self):
        """Gives the lane back once the stream's work has run. Harmless when done already."""
        with nogil:
            rdl_stream_close(self._handle)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    @property
    def lane(self):
        """Number of the lane: 0 the device's default, 1 and more leased ones."""
        cdef uint32_t lane = 0
        _check(rdl_stream_lane(self._handle, &lane))
        return lane

    def query(self):
        """Whether all work of the stream has run."""
        cdef c_bool done = 0
        _check(rdl_stream_query(self._handle, &done))
        return bool(done)

    def synchronize(self, timeout=None):
        """Waits until the stream's work submitted before the call has run."""
        cdef rdl_error error
        cdef rdl_status status
        cdef int64_t deadline = _deadline(timeout)
        while True:
            with nogil:
                status = rdl_stream_synchronize(self._handle, _slice(deadline), NULL, &error)
            if not _goes_on(status, deadline):
                break
        _check(status, &error)

    def record_event(self, event=None):
        """Records an event (a new one if None) behind the work that is in the stream now; returns it."""
        if event is None:
            event = Event(self.device)
        event.record(self)
        return event

    def wait_event(self, Event event not None):
        """Makes work submitted from now on wait for the event. The caller does not wait."""
        cdef rdl_error error
        cdef rdl_status status
        with nogil:
            status = rdl_stream_wait_event(self._handle, event._handle, &error)
        _check(status, &error)

    def wait_stream(self, Stream other not None):
        """Makes work submitted from now on wait for the work that is in the other stream now."""
        self.wait_event(other.record_event())

    def __repr__(self):
        return f"<raddle.Stream on {self.device.name}>"

    def __reduce__(self):
        raise TypeError("a stream cannot be pickled")


def default_stream(device=None):
    """The device's default stream, which all share. Closing it does nothing."""
    cdef rdl_error error
    cdef Stream stream = Stream.__new__(Stream)
    stream.device = _device_of(device)
    _check(rdl_stream_default(stream.device._handle, &stream._handle, &error), &error)
    return stream


@cython.final
cdef class Event:
    """A point in a stream."""

    cdef object __weakref__
    cdef rdl_event _handle
    cdef readonly Device device

    def __init__(self, device=None):
        cdef rdl_error error
        self.device = _device_of(device)
        _check(rdl_event_open(self.device._handle, &self._handle, &error), &error)

    def __dealloc__(self):
        rdl_event_close(self._handle)

    def close(self):
        """Gives the event back. Harmless when done already."""
        rdl_event_close(self._handle)

    def record(self, stream=None):
        """Moves the event behind the work that is in the stream (None: `current_stream`) now."""
        cdef rdl_error error
        cdef Stream behind = current_stream(self.device) if stream is None else stream
        _check(rdl_event_record(self._handle, behind._handle, &error), &error)

    def wait(self, stream=None):
        """Makes work submitted to the stream (None: `current_stream`) from now on wait for the event."""
        (current_stream(self.device) if stream is None else stream).wait_event(self)

    def query(self):
        """Whether the newest record has completed; True if there is none."""
        cdef c_bool done = 0
        _check(rdl_event_query(self._handle, &done))
        return bool(done)

    def synchronize(self, timeout=None):
        """Waits for the newest record."""
        cdef rdl_error error
        cdef rdl_status status
        cdef int64_t deadline = _deadline(timeout)
        while True:
            with nogil:
                status = rdl_event_synchronize(self._handle, _slice(deadline), NULL, &error)
            if not _goes_on(status, deadline):
                break
        _check(status, &error)

    def elapsed_time(self, Event end not None):
        """Milliseconds from this event's record to that of `end`."""
        cdef rdl_error error
        cdef int64_t nanoseconds = 0
        _check(rdl_event_elapsed(self._handle, end._handle, &nanoseconds, &error), &error)
        return nanoseconds * 1e-6

    def __repr__(self):
        return f"<raddle.Event on {self.device.name}>"

    def __reduce__(self):
        raise TypeError("an event cannot be pickled")


# Streams that `stream()` has made current, innermost last, for each thread.
_current = threading.local()


class stream:
    """A context in which this thread's runs on the stream's device go through the stream."""

    __slots__ = ("_stream",)

    def __init__(self, stream):
        self._stream = stream

    def __enter__(self):
        if not hasattr(_current, "streams"):
            _current.streams = []
        _current.streams.append(self._stream)
        return self._stream

    def __exit__(self, *exception):
        _current.streams.pop()


cdef Stream _stream_in_force(Device device):
    """The stream that `stream()` has put in force for this thread and device; None: none."""
    streams = getattr(_current, "streams", None)
    if not streams:
        return None
    cdef Stream one
    for one in reversed(streams):
        if one.device._handle.id == device._handle.id:
            return one
    return None


def current_stream(device=None):
    """The stream that is in force for this thread; the device's default stream outside of `stream()`."""
    cdef Device on = _device_of(device)
    found = _stream_in_force(on)
    return default_stream(on) if found is None else found
