# Tensors of the library as Python objects, and the way between Python's arrays and the library's values.

_DTYPES = {
    <int>RDL_F32: "float32",
    <int>RDL_U8: "uint8",
    <int>RDL_I8: "int8",
    <int>RDL_U16: "uint16",
    <int>RDL_I16: "int16",
    <int>RDL_I32: "int32",
    <int>RDL_I64: "int64",
    <int>RDL_STRING: "string",
    <int>RDL_BOOL: "bool",
    <int>RDL_F16: "float16",
    <int>RDL_F64: "float64",
    <int>RDL_U32: "uint32",
    <int>RDL_U64: "uint64",
    <int>RDL_BF16: "bfloat16",
}

cdef const char *_format(rdl_dtype dtype) noexcept nogil:
    """The format of the buffer protocol; NULL if it has none."""
    if dtype == RDL_F32:
        return "f"
    if dtype == RDL_F64:
        return "d"
    if dtype == RDL_I64:
        return "l"
    if dtype == RDL_I32:
        return "i"
    if dtype == RDL_BOOL:
        return "?"
    if dtype == RDL_F16:
        return "e"
    if dtype == RDL_U8:
        return "B"
    if dtype == RDL_I8:
        return "b"
    if dtype == RDL_U16:
        return "H"
    if dtype == RDL_I16:
        return "h"
    if dtype == RDL_U32:
        return "I"
    if dtype == RDL_U64:
        return "L"
    return NULL


cdef rdl_dtype _dtype_of_format(const char *format, Py_ssize_t size) noexcept nogil:
    """The dtype of a buffer's elements; RDL_DTYPE_NONE if the library has none for them."""
    cdef char letter
    if format == NULL:
        return RDL_U8
    if format[0] == c'@' or format[0] == c'=' or format[0] == c'<':
        format += 1
    letter = format[0]
    if letter == 0 or format[1] != 0:
        return RDL_DTYPE_NONE
    if letter == c'f':
        return RDL_F32
    if letter == c'd':
        return RDL_F64
    if letter == c'e':
        return RDL_F16
    if letter == c'?':
        return RDL_BOOL
    if letter == c'b' or letter == c'h' or letter == c'i' or letter == c'l' or letter == c'q':
        if size == 1:
            return RDL_I8
        if size == 2:
            return RDL_I16
        return RDL_I32 if size == 4 else RDL_I64
    if letter == c'B' or letter == c'H' or letter == c'I' or letter == c'L' or letter == c'Q':
        if size == 1:
            return RDL_U8
        if size == 2:
            return RDL_U16
        return RDL_U32 if size == 4 else RDL_U64
    return RDL_DTYPE_NONE


@cython.final
cdef class Tensor:
    """A tensor of the library, in host memory, for exchange without a copy.

    `numpy.asarray` (buffer protocol), `numpy.from_dlpack`, `torch.from_dlpack` and their like view its
    memory. Runs give NumPy arrays over such tensors; they give the tensor itself where NumPy has no data
    type for it (bfloat16).
    """

    cdef object __weakref__
    cdef rdl_tensor *_tensor
    cdef Py_ssize_t _shape[RDL_MAX_RANK]
    cdef Py_ssize_t _strides[RDL_MAX_RANK]

    def __init__(self):
        raise TypeError("raddle.Tensor has no constructor; runs make them")

    def __dealloc__(self):
        rdl_tensor_release(self._tensor)

    @property
    def shape(self):
        """Dimensions, a tuple."""
        return tuple([rdl_tensor_dims(self._tensor)[axis]
                      for axis in range(rdl_tensor_rank(self._tensor))])

    @property
    def dtype(self):
        """Name of the data type, e.g. ``"float32"``."""
        return _DTYPES[<int>rdl_tensor_dtype(self._tensor)]

    def __getbuffer__(self, Py_buffer *view, int flags):
        cdef rdl_dtype dtype = rdl_tensor_dtype(self._tensor)
        cdef const char *format = _format(dtype)
        cdef Py_ssize_t size = rdl_dtype_size(dtype)
        if format == NULL:
            raise BufferError(f"the buffer protocol has no format for {self.dtype}; use DLPack")
        view.buf = rdl_tensor_data(self._tensor)
        if view.buf == NULL:
            view.buf = <void *>self._shape  # no element is read; NULL is not allowed
        view.obj = self
        view.len = rdl_tensor_count(self._tensor) * size
        view.itemsize = size
        view.readonly = 0
        view.ndim = rdl_tensor_rank(self._tensor)
        view.format = <char *>format if flags & PyBUF_FORMAT else NULL
        view.shape = self._shape
        view.strides = self._strides
        view.suboffsets = NULL
        view.internal = NULL

    def __releasebuffer__(self, Py_buffer *view):
        pass

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        cdef rdl_error error
        cdef rdl_dlpack *out = NULL
        if dl_device is not None and tuple(dl_device) != (1, 0):
            raise BufferError("the tensor lies in host memory")
        if copy:
            raise BufferError("a copy is to be made by the consumer")
        if max_version is None or tuple(max_version) < (1, 0):
            return numpy.asarray(self).__dlpack__()
        _check(rdl_tensor_to_dlpack(self._tensor, &out, &error), &error)
        return PyCapsule_New(out, "dltensor_versioned", _free_capsule)

    def __array__(self, dtype=None, copy=None):
        array = numpy.asarray(memoryview(self), dtype=dtype)
        return array.copy() if copy else array

    def __repr__(self):
        return f"<raddle.Tensor {self.dtype} {list(self.shape)}>"


cdef void _free_capsule(object capsule) noexcept:
    """Frees a DLPack structure that nobody has taken out of its capsule."""
    cdef rdl_dlpack *dlpack
    if PyCapsule_IsValid(capsule, "dltensor_versioned"):
        dlpack = <rdl_dlpack *>PyCapsule_GetPointer(capsule, "dltensor_versioned")
        dlpack.deleter(dlpack)


cdef Tensor _tensor_over(rdl_tensor *tensor):
    """A Tensor that takes a reference of its own."""
    cdef Tensor made = Tensor.__new__(Tensor)
    cdef Py_ssize_t size = rdl_dtype_size(rdl_tensor_dtype(tensor))
    cdef int axis
    made._tensor = rdl_tensor_retain(tensor)
    for axis in range(rdl_tensor_rank(tensor)):
        made._shape[axis] = rdl_tensor_dims(tensor)[axis]
        made._strides[axis] = rdl_tensor_strides(tensor)[axis] * size
    return made


cdef object _object_of(rdl_value *value):
    """The Python object for a value: an array, a list (sequence), or None (an empty optional)."""
    cdef rdl_tensor *tensor
    cdef size_t index
    if rdl_value_get_kind(value) == RDL_VALUE_TENSOR:
        tensor = rdl_value_tensor(value)
        made = _tensor_over(tensor)
        return made if _format(rdl_tensor_dtype(tensor)) == NULL else numpy.asarray(made)
    if rdl_value_get_kind(value) == RDL_VALUE_SEQUENCE:
        return [_object_of(rdl_value_item(value, index)) for index in range(rdl_value_count(value))]
    return _object_of(rdl_value_item(value, 0)) if rdl_value_count(value) else None
