# cython: language_level=3, binding=True, freethreading_compatible=True
"""The C API of Raddle for Python: errors, devices, streams, models and submitted runs.

Thread rules. Every object here may be used by any thread: what an object holds is set when it is made and
not changed afterwards; what changes is the library's, which has its own order. The interpreter lock is
given up in every call that computes, waits, reads files or compiles.
"""

cimport cython
from cpython.buffer cimport (
    Py_buffer, PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_CheckBuffer,
    PyObject_GetBuffer)
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport (
    PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New, PyCapsule_SetName)
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from api cimport *

import itertools
import os
import threading

import numpy

include "errors.pxi"
include "device.pxi"
include "tensor.pxi"
include "arguments.pxi"
include "future.pxi"
include "model.pxi"
