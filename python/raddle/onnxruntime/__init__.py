"""The interface of the Python package onnxruntime over Raddle.

>>> from raddle import onnxruntime as ort
>>> session = ort.InferenceSession("model.onnx")
>>> session.run(None, {"x": x})

A program that uses onnxruntime changes this one import; `install()` answers the imports of packages that
import onnxruntime themselves. One session is called by any number of threads, each call computes on its
caller's thread, and the answers are those of the call made alone.

What an option means here stands at its class. An option that means nothing here says so once, by a
`OptionWarning`.
"""

import sys

from .. import _core
from .options import (
    ExecutionMode,
    ExecutionOrder,
    GraphOptimizationLevel,
    OptionWarning,
    RunOptions,
    SessionOptions,
)
from .session import InferenceSession, ModelMetadata, NodeArg
from .values import IOBinding, OrtValue, SessionIOBinding
from . import capi

__version__ = f"1.20.0+raddle.{_core.version()}"  # the interface that is followed, and who follows it

__all__ = [
    "ExecutionMode",
    "ExecutionOrder",
    "GraphOptimizationLevel",
    "IOBinding",
    "InferenceSession",
    "ModelMetadata",
    "NodeArg",
    "OptionWarning",
    "OrtValue",
    "RunOptions",
    "SessionIOBinding",
    "SessionOptions",
    "capi",
    "disable_telemetry_events",
    "enable_telemetry_events",
    "get_all_providers",
    "get_available_providers",
    "get_build_info",
    "get_device",
    "get_version_string",
    "install",
    "set_default_logger_severity",
    "set_default_logger_verbosity",
]


def get_available_providers():
    """Execution providers; Raddle's kernels for the CPU go by onnxruntime's name for them."""
    return ["CPUExecutionProvider"]


get_all_providers = get_available_providers


def get_device():
    """The kind of device that a session takes by default."""
    return "CPU"


def get_version_string():
    return __version__


def get_build_info():
    return f"raddle {_core.version()}, {_core.knobs()['isa']}"


def disable_telemetry_events():
    """Nothing is sent anywhere."""


enable_telemetry_events = disable_telemetry_events


def set_default_logger_severity(severity):
    """Nothing is logged here; errors come as exceptions."""


set_default_logger_verbosity = set_default_logger_severity


def install():
    """Has ``import onnxruntime`` give this module, in this process, to whoever imports it from now on."""
    sys.modules["onnxruntime"] = sys.modules[__name__]
    sys.modules["onnxruntime.capi"] = capi
    sys.modules["onnxruntime.capi.onnxruntime_pybind11_state"] = capi.onnxruntime_pybind11_state
