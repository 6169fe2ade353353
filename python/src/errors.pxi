# Exceptions: one class a status, each with the status's name and the library's message.


class Error(RuntimeError):
    """A call of Raddle failed.

    ``status`` is the name of the C status, e.g. ``"RDL_ERR_SHAPE"``; the text names the place and the
    cause.
    """

    status = "RDL_ERR_INTERNAL"


class ArgumentError(Error, ValueError):
    """An argument is not valid."""


class ShapeError(Error, ValueError):
    """A shape, a rank or a data type does not fit; the text names the input."""


class BufferSizeError(Error, ValueError):
    """An array given for an output is too small."""


class SizeOverflowError(Error, OverflowError):
    """A size does not fit into the machine's integers."""


class OutOfMemoryError(Error, MemoryError):
    """The host or the device has no memory left, or its limit is reached."""


class ClosedError(Error):
    """The model, device, stream or future was closed."""


class BusyError(Error):
    """Nothing was free at once, and the call was not to wait."""


class DeadlineError(Error, TimeoutError):
    """The time given to the call has passed."""


class CancelledError(Error):
    """The run was cancelled."""


class ModelError(Error, ValueError):
    """The file is not a valid model."""


class UnsupportedError(Error, NotImplementedError):
    """The model or the call needs something that Raddle does not have; the text lists it all."""


class FileError(Error, OSError):
    """A file cannot be read."""


class NotFoundError(Error, LookupError):
    """No device, stream or knob of that name."""


class DeviceError(Error):
    """A call of the device failed."""


class DeviceLostError(DeviceError):
    """The device is gone for good; open another one."""


class ForkedError(Error):
    """The handle belongs to the process that forked this one; load the model anew."""


class ThreadError(Error):
    """A thread could not be started."""


class ShutdownError(Error):
    """The runtime was shut down."""


class StateError(Error):
    """The call is not allowed in this state."""


class OperatorError(Error):
    """An operator failed on its data, e.g. an index out of range."""


class InternalError(Error):
    """A fault of the library; please report it."""


cdef dict _errors = {
    <int>RDL_ERR_ARGUMENT: ArgumentError,
    <int>RDL_ERR_SHAPE: ShapeError,
    <int>RDL_ERR_BUFFER_SIZE: BufferSizeError,
    <int>RDL_ERR_OVERFLOW: SizeOverflowError,
    <int>RDL_ERR_NO_MEMORY: OutOfMemoryError,
    <int>RDL_ERR_CLOSED: ClosedError,
    <int>RDL_ERR_BUSY: BusyError,
    <int>RDL_ERR_DEADLINE: DeadlineError,
    <int>RDL_ERR_CANCELLED: CancelledError,
    <int>RDL_ERR_MODEL: ModelError,
    <int>RDL_ERR_UNSUPPORTED: UnsupportedError,
    <int>RDL_ERR_IO: FileError,
    <int>RDL_ERR_NOT_FOUND: NotFoundError,
    <int>RDL_ERR_DEVICE: DeviceError,
    <int>RDL_ERR_DEVICE_LOST: DeviceLostError,
    <int>RDL_ERR_FORKED: ForkedError,
    <int>RDL_ERR_THREAD: ThreadError,
    <int>RDL_ERR_SHUTDOWN: ShutdownError,
    <int>RDL_ERR_STATE: StateError,
    <int>RDL_ERR_RUNTIME: OperatorError,
    <int>RDL_ERR_INTERNAL: InternalError,
}

for _kind in [Error, *_errors.values()]:
    _kind.__module__ = "raddle"


cdef object _exception(rdl_status status, str message):
    """The exception for a status, with a message or the status's own text."""
    kind = _errors.get(<int>status, InternalError)
    if not message:
        message = rdl_status_text(status).decode()
    exception = kind(message)
    exception.status = rdl_status_name(status).decode()
    return exception


cdef int _check(rdl_status status, rdl_error *error=NULL) except -1:
    """Raises unless status is RDL_OK; error, if given, has the message."""
    if status == RDL_OK:
        return 0
    message = ""
    if error != NULL:
        message = error.message[:].decode("utf-8", "replace")
    raise _exception(status, message)


cdef int64_t _deadline(timeout) except? -1:
    """The library's deadline that lies `timeout` seconds ahead; None is for ever."""
    if timeout is None:
        return RDL_FOREVER
    cdef double seconds = timeout
    if seconds != seconds:
        raise ValueError("the timeout is not a number")
    if seconds >= 9e9:
        return RDL_FOREVER
    if seconds <= 0:
        return RDL_NO_WAIT
    return rdl_deadline_in_ns(<int64_t>(seconds * 1e9))


# Longest time that a wait goes on before it looks whether Python has a signal to handle.
cdef int64_t _SLICE_NS = 50_000_000


cdef int64_t _slice(int64_t deadline) noexcept nogil:
    """The nearer of the deadline and the end of a slice."""
    cdef int64_t end = rdl_deadline_in_ns(_SLICE_NS)
    return deadline if deadline < end else end


cdef bint _goes_on(rdl_status status, int64_t deadline) except -1:
    """Whether a wait that ended with its slice has more slices; handles Python's signals in between."""
    if status != RDL_ERR_DEADLINE or rdl_now_ns() >= deadline:
        return False
    PyErr_CheckSignals()
    return True


def version():
    """The library's version, e.g. ``"0.1.0"``."""
    number = rdl_version()
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def knobs():
    """Every process-wide setting with its value in effect, as a dict of strings."""
    cdef char text[512]
    cdef size_t index = 0
    cdef const char *name = rdl_knob_name(0)
    found = {}
    while name != NULL:
        _check(rdl_knob(name, text, sizeof(text)))
        found[name.decode()] = (<const char *>text).decode("utf-8", "replace")
        index += 1
        name = rdl_knob_name(index)
    return found


def shutdown(timeout=None):
    """Ends the runtime: work in flight is cancelled, devices are closed, threads joined.

    Not needed before a process ends. ``timeout`` in seconds bounds the call (`DeadlineError`); calls made
    later raise `ShutdownError`.
    """
    cdef rdl_error error
    cdef rdl_status status
    cdef int64_t deadline = _deadline(timeout)
    with nogil:
        status = rdl_shutdown(deadline, &error)
    _check(status, &error)
