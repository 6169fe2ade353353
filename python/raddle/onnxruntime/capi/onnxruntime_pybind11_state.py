"""onnxruntime's exceptions, and which of Raddle's become them."""

import contextlib

import raddle


class Fail(Exception):
    """A failure of another kind."""


class InvalidArgument(Exception):
    """An input does not fit."""


class NoSuchFile(Exception):
    """The file is not there."""


class NoModel(Exception):
    """No model was given."""


class EngineError(Exception):
    """Not raised here."""


class RuntimeException(Exception):
    """An operator or the device failed."""


class InvalidProtobuf(Exception):
    """The file is not a model."""


class InvalidGraph(Exception):
    """Not raised here: `InvalidProtobuf` says what is wrong with a graph."""


class NotImplemented(Exception):
    """The model needs what is not there."""


_KINDS = (
    (raddle.FileError, NoSuchFile),
    (raddle.ModelError, InvalidProtobuf),
    (raddle.UnsupportedError, NotImplemented),
    (raddle.ShapeError, InvalidArgument),
    (raddle.ArgumentError, InvalidArgument),
    (raddle.BufferSizeError, InvalidArgument),
    (raddle.Error, RuntimeException),
)


@contextlib.contextmanager
def translated():
    """Raises Raddle's exceptions as onnxruntime's, with their text."""
    try:
        yield
    except raddle.Error as error:
        kind = next(theirs for ours, theirs in _KINDS if isinstance(error, ours))
        raise kind(f"[{error.status}] {error}") from error
