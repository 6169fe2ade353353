"""Values outside of the interpreter's arrays, and inputs and outputs bound to memory."""

import ctypes

import numpy

from .. import _core

_TYPES = {
    "float32": "float",
    "float64": "double",
    "float16": "float16",
    "bfloat16": "bfloat16",
}
# The library's numbers of data types are those of ONNX.
_ELEMENT_TYPES = {name: number for number, name in _core._DTYPES.items()}


def type_name(kind, dtype):
    """onnxruntime's name for a type, such as "tensor(float)"."""
    if dtype is None:
        return "unknown"
    tensor = f"tensor({_TYPES.get(dtype, dtype)})"
    return {"tensor": tensor, "sequence": f"seq({tensor})", "optional": f"optional({tensor})"}[kind]


def _host_only(device_type):
    if device_type != "cpu":
        raise _core.UnsupportedError(f"values lie in host memory, not on {device_type!r}")


class OrtValue:
    """A value: an array, or a list of arrays. It lies in host memory; arrays are not copied."""

    def __init__(self, value):
        self._value = value

    @staticmethod
    def ortvalue_from_numpy(numpy_obj, device_type="cpu", device_id=0):
        _host_only(device_type)
        return OrtValue(numpy_obj)

    @staticmethod
    def ortvalue_from_shape_and_type(shape, element_type, device_type="cpu", device_id=0):
        _host_only(device_type)
        if isinstance(element_type, int):
            element_type = _core._DTYPES[element_type]
        return OrtValue(numpy.empty(shape, element_type))

    @staticmethod
    def from_dlpack(data, is_bool_tensor=False):
        array = numpy.from_dlpack(data)
        return OrtValue(array.view(numpy.bool_) if is_bool_tensor else array)

    def numpy(self):
        return self._value

    def __dlpack__(self, **options):
        return self._value.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._value.__dlpack_device__()

    def shape(self):
        return list(self._value.shape)

    def data_type(self):
        return type_name("tensor" if self.is_tensor() else "sequence", self._dtype())

    def element_type(self):
        return _ELEMENT_TYPES[self._dtype()]

    def _dtype(self):
        return str((self._value if self.is_tensor() else self._value[0]).dtype)

    def has_value(self):
        return self._value is not None

    def is_tensor(self):
        return not isinstance(self._value, list)

    def is_tensor_sequence(self):
        return isinstance(self._value, list)

    def is_sparse_tensor(self):
        return False

    def device_name(self):
        return "cpu"

    def data_ptr(self):
        return self._value.ctypes.data

    def tensor_size_in_bytes(self):
        return self._value.nbytes

    def update_inplace(self, array):
        self._value[...] = array


def _array_at(pointer, element_type, shape):
    """An array over memory of the caller's, which stays the caller's."""
    if isinstance(element_type, int):
        element_type = _core._DTYPES[element_type]
    dtype = numpy.dtype(element_type)
    size = int(numpy.prod(shape, dtype=numpy.int64)) * dtype.itemsize
    memory = (ctypes.c_char * size).from_address(pointer)
    return numpy.frombuffer(memory, dtype).reshape(shape)


class IOBinding:
    """Inputs and outputs of a session bound to memory of the caller's."""

    def __init__(self, session):
        self._session = session
        self._inputs, self._outputs, self._found = {}, {}, []

    def bind_cpu_input(self, name, arr_on_cpu):
        self._inputs[name] = arr_on_cpu

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        _host_only(device_type)
        self._inputs[name] = _array_at(buffer_ptr, element_type, shape)

    def bind_ortvalue_input(self, name, ortvalue):
        self._inputs[name] = ortvalue.numpy()

    def bind_output(
        self, name, device_type="cpu", device_id=0, element_type=None, shape=None, buffer_ptr=None
    ):
        """Without a pointer the output is allocated by the run."""
        _host_only(device_type)
        self._outputs[name] = None if buffer_ptr is None else _array_at(buffer_ptr, element_type, shape)

    def bind_ortvalue_output(self, name, ortvalue):
        self._outputs[name] = ortvalue.numpy()

    def clear_binding_inputs(self):
        self._inputs.clear()

    def clear_binding_outputs(self):
        self._outputs.clear()

    def synchronize_inputs(self):
        """Inputs lie in host memory."""

    def synchronize_outputs(self):
        """A run has ended when it returns."""

    def get_outputs(self):
        return [OrtValue(value) for value in self._found]

    def copy_outputs_to_cpu(self):
        return [numpy.array(value) for value in self._found]

    def _run(self, model, run_options):
        self._found = model.run(
            self._inputs,
            list(self._outputs),
            out=dict(self._outputs),
            cancel=run_options._cancel if run_options is not None else None,
        )


SessionIOBinding = IOBinding
