# The inputs and outputs of one call, as values of the library over Python's memory.


@cython.final
cdef class CancelToken:
    """Cancels any number of runs: give it to `Model.run` or `Model.submit` as ``cancel``."""

    cdef object __weakref__
    cdef rdl_cancel *_cancel

    def __init__(self):
        cdef rdl_error error
        _check(rdl_cancel_new(&self._cancel, &error), &error)

    def __dealloc__(self):
        rdl_cancel_release(self._cancel)

    def cancel(self):
        """Ends every run that carries the token, now and later, with `CancelledError`."""
        rdl_cancel_request(self._cancel)

    def cancelled(self):
        """Whether `cancel` was called."""
        return bool(rdl_cancel_requested(self._cancel))


@cython.final
@cython.freelist(8)
cdef class _Arguments:
    """Owns the values of a call and the buffers under them; both live until this object goes.

    Arrays lend their memory by the buffer protocol or DLPack; what cannot be lent as it stands (lists,
    negative strides, foreign byte order) is copied.
    """

    cdef size_t n_inputs, n_outputs, n_views
    cdef rdl_value **inputs
    cdef rdl_value **outputs
    cdef uint32_t *indices
    cdef Py_buffer *views
    cdef list given_outputs

    def __cinit__(self, size_t n_inputs, size_t n_outputs):
        self.inputs = <rdl_value **>calloc(n_inputs + n_outputs + 1, sizeof(rdl_value *))
        self.indices = <uint32_t *>calloc(n_outputs + 1, sizeof(uint32_t))
        self.views = <Py_buffer *>malloc((n_inputs + n_outputs + 1) * sizeof(Py_buffer))
        if self.inputs == NULL or self.indices == NULL or self.views == NULL:
            raise MemoryError()
        self.outputs = self.inputs + n_inputs
        self.n_inputs = n_inputs
        self.n_outputs = n_outputs

    def __dealloc__(self):
        cdef size_t index
        if self.inputs != NULL:
            for index in range(self.n_inputs + self.n_outputs):
                rdl_value_release(self.inputs[index])
        for index in range(self.n_views):
            PyBuffer_Release(&self.views[index])
        free(self.inputs)
        free(self.indices)
        free(self.views)

    cdef int set_input(self, size_t index, object given, Port port) except -1:
        try:
            self.inputs[index] = self.value_of(given, port._kind, port._dtype)
        except (Error, TypeError, ValueError, BufferError) as exception:
            exception.args = (f"input {port.name!r}: {exception}",)
            raise
        return 0

    cdef int set_output(self, size_t index, object given, Port port) except -1:
        cdef rdl_tensor *tensor = NULL
        if given is None:
            return 0
        if self.given_outputs is None:
            self.given_outputs = [None] * self.n_outputs
        try:
            if PyObject_CheckBuffer(given):
                tensor = self.wrap_buffer(given, PyBUF_WRITABLE)
                if tensor == NULL:
                    raise TypeError("the array has no data type, order or alignment that can be written")
            elif hasattr(given, "__dlpack__"):
                tensor = _tensor_from_dlpack(given)
            else:
                raise TypeError(f"{type(given).__name__} lends no memory")
        except (Error, TypeError, ValueError, BufferError) as exception:
            raise TypeError(f"array for output {port.name!r}: {exception}") from None
        self.outputs[index] = _value_over(tensor)
        self.given_outputs[index] = (given, tuple(given.shape))
        return 0

    cdef rdl_value *value_of(self, object given, rdl_value_kind kind, rdl_dtype wanted) except NULL:
        """The value for an object given where the model takes `kind` of `wanted`."""
        cdef rdl_tensor *tensor
        if isinstance(given, Tensor):
            return _value_over(rdl_tensor_retain((<Tensor>given)._tensor))
        if kind == RDL_VALUE_SEQUENCE:
            return self.sequence_of(given, wanted)
        if kind == RDL_VALUE_OPTIONAL and given is None:
            return _optional_of(NULL)
        if not PyObject_CheckBuffer(given):
            if hasattr(given, "__dlpack__"):
                return _value_over(_tensor_from_dlpack(given))
            if given is None or isinstance(given, (dict, set)):
                raise TypeError(f"cannot make a tensor of {type(given).__name__}")
            given = _array_of(given, wanted)
        tensor = self.wrap_buffer(given, 0)
        if tensor == NULL:
            given = numpy.asarray(given)
            tensor = self.wrap_buffer(_lendable(given), 0)
            if tensor == NULL:
                raise TypeError(f"no data type for elements of {given.dtype}")
            if _is_bfloat16(given):
                rdl_tensor_release(tensor)
                tensor = self.wrap_view(&self.views[self.n_views - 1], RDL_BF16)
        return _value_over(tensor)

    cdef rdl_value *sequence_of(self, object given, rdl_dtype wanted) except NULL:
        cdef rdl_error error
        cdef rdl_value *out = NULL
        cdef rdl_status status = RDL_OK
        cdef size_t index, count = len(given)
        cdef rdl_value **items = <rdl_value **>calloc(count + 1, sizeof(rdl_value *))
        if items == NULL:
            raise MemoryError()
        try:
            for index in range(count):
                items[index] = _copied_value(given[index], wanted)
            status = rdl_value_sequence(items, count, &out, &error)
        finally:
            for index in range(count):
                rdl_value_release(items[index])
            free(items)
        _check(status, &error)
        return out

    cdef rdl_tensor *wrap_buffer(self, object given, int flags) except? NULL:
        """A tensor over the object's buffer, which is held; NULL if the buffer cannot be lent as it is."""
        cdef Py_buffer *view = &self.views[self.n_views]
        cdef rdl_tensor *tensor
        cdef rdl_dtype dtype
        try:
            PyObject_GetBuffer(given, view, flags | PyBUF_FORMAT | PyBUF_STRIDES)
        except ValueError:
            if flags & PyBUF_WRITABLE:
                raise
            return NULL  # an array whose dtype the buffer protocol does not know
        dtype = _dtype_of_format(view.format, view.itemsize)
        if dtype == RDL_DTYPE_NONE or not _is_lendable(view):
            PyBuffer_Release(view)
            return NULL
        try:
            tensor = self.wrap_view(view, dtype)
        except BaseException:
            PyBuffer_Release(view)
            raise
        self.n_views += 1
        return tensor

    cdef rdl_tensor *wrap_view(self, Py_buffer *view, rdl_dtype dtype) except NULL:
        cdef rdl_error error
        cdef rdl_tensor *tensor = NULL
        cdef int64_t dims[RDL_MAX_RANK]
        cdef int64_t strides[RDL_MAX_RANK]
        cdef int64_t packed = 1, extent = 1
        cdef bint is_packed = True, is_empty = False
        cdef int axis
        if view.ndim > RDL_MAX_RANK:
            raise _exception(RDL_ERR_SHAPE, f"rank {view.ndim} is above {RDL_MAX_RANK}")
        for axis in range(view.ndim - 1, -1, -1):
            dims[axis] = view.shape[axis]
            strides[axis] = view.strides[axis] // view.itemsize
            is_packed = is_packed and (strides[axis] == packed or dims[axis] == 1)
            packed *= dims[axis]
            is_empty = is_empty or dims[axis] == 0
            extent += (dims[axis] - 1) * strides[axis]
        _check(rdl_tensor_wrap(dtype, view.ndim, dims, NULL if is_packed or is_empty else strides,
                               view.buf, 0 if is_empty else extent * view.itemsize, NULL, NULL,
                               &tensor, &error), &error)
        return tensor

    cdef _Arguments same_outputs(self):
        """Arguments that ask for the same outputs, without their values."""
        cdef _Arguments same = _Arguments(0, self.n_outputs)
        cdef size_t index
        for index in range(self.n_outputs):
            same.indices[index] = self.indices[index]
        same.given_outputs = self.given_outputs
        return same

    cdef list results(self, tuple ports):
        """The outputs as Python objects: the arrays given, or new ones."""
        cdef size_t index
        cdef Port port
        found = []
        for index in range(self.n_outputs):
            port = ports[self.indices[index]]
            if self.given_outputs is not None and self.given_outputs[index] is not None:
                found.append(self.written(index, port))
            else:
                found.append(_object_of(self.outputs[index]))
        return found

    cdef object written(self, size_t index, Port port):
        """The array given for an output, whose shape must be the one that the run wrote."""
        cdef rdl_tensor *tensor = rdl_value_tensor(self.outputs[index])
        given, wanted = self.given_outputs[index]
        shape = tuple([rdl_tensor_dims(tensor)[axis] for axis in range(rdl_tensor_rank(tensor))])
        if shape != wanted:
            raise _exception(RDL_ERR_SHAPE, f"output {port.name!r} has shape {list(shape)}, the array "
                                            f"given for it {list(wanted)}")
        return given


cdef bint _is_lendable(const Py_buffer *view) noexcept nogil:
    """Whether the library can read the buffer where it lies: aligned, strides whole and not negative."""
    cdef int axis
    if <size_t>view.buf % <size_t>view.itemsize != 0:
        return False
    for axis in range(view.ndim):
        if view.strides[axis] < 0 and view.shape[axis] > 1 or view.strides[axis] % view.itemsize != 0:
            return False
    return True


cdef object _is_bfloat16(array):
    return array.dtype.name == "bfloat16"


cdef object _lendable(array):
    """A copy of the array in C order and the machine's byte order; bfloat16 as its bits."""
    copy = numpy.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    return copy.view(numpy.uint16) if _is_bfloat16(array) else copy


cdef object _array_of(given, rdl_dtype wanted):
    """An array of what is no array; numbers take the data type that the model wants."""
    if wanted == RDL_DTYPE_NONE or wanted == RDL_BF16 or wanted == RDL_STRING or hasattr(given, "dtype"):
        return numpy.asarray(given)
    return numpy.asarray(given, dtype=_DTYPES[<int>wanted])


cdef rdl_value *_value_over(rdl_tensor *tensor) except NULL:
    """A value of the tensor, whose reference it takes, on failure too."""
    cdef rdl_error error
    cdef rdl_value *value = NULL
    cdef rdl_status status = rdl_value_from_tensor(tensor, &value, &error)
    rdl_tensor_release(tensor)
    _check(status, &error)
    return value


cdef rdl_value *_optional_of(rdl_value *item) except NULL:
    cdef rdl_error error
    cdef rdl_value *value = NULL
    _check(rdl_value_optional(item, &value, &error), &error)
    return value


cdef rdl_tensor *_new_tensor(rdl_dtype dtype, shape) except NULL:
    cdef rdl_error error
    cdef rdl_tensor *tensor = NULL
    cdef int64_t dims[RDL_MAX_RANK]
    cdef int axis
    if len(shape) > RDL_MAX_RANK:
        raise _exception(RDL_ERR_SHAPE, f"rank {len(shape)} is above {RDL_MAX_RANK}")
    for axis in range(len(shape)):
        dims[axis] = shape[axis]
    _check(rdl_tensor_new(dtype, len(shape), dims, &tensor, &error), &error)
    return tensor


cdef rdl_value *_copied_value(object given, rdl_dtype wanted) except NULL:
    """A value with a copy of the object's elements."""
    cdef _Arguments one
    cdef rdl_error error
    cdef rdl_tensor *tensor
    cdef rdl_value *lent
    array = _array_of(given, wanted)
    one = _Arguments(1, 0)
    one.inputs[0] = one.value_of(array, RDL_VALUE_TENSOR, wanted)
    lent = one.inputs[0]
    tensor = _new_tensor(rdl_tensor_dtype(rdl_value_tensor(lent)), array.shape)
    _check(rdl_tensor_copy(rdl_value_tensor(lent), tensor, &error), &error)
    return _value_over(tensor)


cdef rdl_tensor *_tensor_from_dlpack(object given) except NULL:
    """A tensor over the memory of any object with __dlpack__."""
    cdef rdl_error error
    cdef rdl_tensor *tensor = NULL
    cdef rdl_dlpack *dlpack
    try:
        capsule = given.__dlpack__(max_version=(1, 0))
    except TypeError:
        capsule = None
    if capsule is None or not PyCapsule_IsValid(capsule, "dltensor_versioned"):
        # A producer of before DLPack 1.0: NumPy reads that form, and writes the new one.
        capsule = numpy.from_dlpack(given).__dlpack__(max_version=(1, 0))
    dlpack = <rdl_dlpack *>PyCapsule_GetPointer(capsule, "dltensor_versioned")
    _check(rdl_tensor_from_dlpack(dlpack, &tensor, &error), &error)
    PyCapsule_SetName(capsule, "used_dltensor_versioned")
    return tensor
