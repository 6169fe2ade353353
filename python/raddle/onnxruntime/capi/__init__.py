"""The part of onnxruntime.capi that programs use: its exceptions."""

from . import onnxruntime_pybind11_state as onnxruntime_pybind11_state
