"""Raddle: neural-network inference that many threads call at the same time.

>>> import numpy, raddle
>>> model = raddle.load("model.onnx")
>>> y = model(numpy.zeros((1, 3, 48, 192), "float32"))  # from any thread, as many as you like

Every answer has the bits that the same call made alone would give. The interpreter lock is given up while
a model computes, so threads run on all cores, in every build of Python.
"""

from ._core import (
    ArgumentError,
    BufferSizeError,
    BusyError,
    CancelledError,
    CancelToken,
    ClosedError,
    DeadlineError,
    Device,
    DeviceError,
    DeviceLostError,
    Error,
    Event,
    FileError,
    ForkedError,
    Future,
    InternalError,
    Model,
    ModelError,
    NotFoundError,
    OperatorError,
    OutOfMemoryError,
    Port,
    ShapeError,
    ShutdownError,
    SizeOverflowError,
    StateError,
    Stream,
    Tensor,
    ThreadError,
    UnsupportedError,
    current_stream,
    default_stream,
    empty_cache,
    knobs,
    load,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    memory_stats,
    set_memory_limit,
    shutdown,
    stream,
    synchronize,
    version,
)

__version__ = version()

__all__ = [
    "ArgumentError",
    "BufferSizeError",
    "BusyError",
    "CancelledError",
    "CancelToken",
    "ClosedError",
    "DeadlineError",
    "Device",
    "DeviceError",
    "DeviceLostError",
    "Error",
    "Event",
    "FileError",
    "ForkedError",
    "Future",
    "InternalError",
    "Model",
    "ModelError",
    "NotFoundError",
    "OperatorError",
    "OutOfMemoryError",
    "Port",
    "ShapeError",
    "ShutdownError",
    "SizeOverflowError",
    "StateError",
    "Stream",
    "Tensor",
    "ThreadError",
    "UnsupportedError",
    "current_stream",
    "default_stream",
    "empty_cache",
    "knobs",
    "load",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "set_memory_limit",
    "shutdown",
    "stream",
    "synchronize",
    "version",
]


def __getattr__(name):
    # These need packages that the rest does not.
    if name in ("ops", "onnxruntime", "torch"):
        import importlib

        return importlib.import_module(f".{name}", __name__)
    if name == "from_torch":
        from .torch import from_torch

        return from_torch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
