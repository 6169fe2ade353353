# Models.

_KINDS = {
    <int>RDL_VALUE_TENSOR: "tensor",
    <int>RDL_VALUE_SEQUENCE: "sequence",
    <int>RDL_VALUE_OPTIONAL: "optional",
}


@cython.final
cdef class Port:
    """An input or an output of a model.

    Attributes:
        name: its name
        dtype: name of the data type, e.g. ``"float32"``; None if the model does not say
        shape: a tuple: a number, the name of a free dimension, or None for a free one without name; None in
            place of the tuple if the model does not say
        kind: ``"tensor"``, ``"sequence"`` or ``"optional"``
    """

    cdef rdl_value_kind _kind
    cdef rdl_dtype _dtype
    cdef readonly str name
    cdef readonly object dtype
    cdef readonly object shape
    cdef readonly str kind

    def __init__(self):
        raise TypeError("raddle.Port has no constructor; models have them")

    def __repr__(self):
        return f"Port(name={self.name!r}, dtype={self.dtype!r}, shape={self.shape!r}, kind={self.kind!r})"


cdef Port _port_of(const rdl_port *port):
    cdef Port made = Port.__new__(Port)
    cdef int axis
    made._kind = port.kind
    made._dtype = port.dtype
    made.name = port.name.decode("utf-8", "replace")
    made.dtype = _DTYPES.get(<int>port.dtype)
    made.kind = _KINDS[<int>port.kind]
    made.shape = None
    if port.rank >= 0:
        shape = []
        for axis in range(port.rank):
            if port.dims[axis] >= 0:
                shape.append(port.dims[axis])
            elif port.dim_names[axis] != NULL:
                shape.append(port.dim_names[axis].decode("utf-8", "replace"))
            else:
                shape.append(None)
        made.shape = tuple(shape)
    return made


@cython.final
cdef class Model:
    """A loaded model; `load` makes one. Any number of threads may call it at the same time.

    Attributes:
        inputs: a tuple of `Port`, in the order of the file
        outputs: likewise
        metadata: a dict of strings: producer, graph, opset and others, and the file's own entries
        custom_metadata: the file's own entries alone
        device: the `Device` that it runs on

    Inputs are arrays of any kind that lends memory (NumPy, DLPack such as PyTorch's, the buffer protocol);
    they are read where they lie. Numbers and lists are converted to the data type that the model wants.
    Outputs are new NumPy arrays that no one else has, or the arrays given by ``out``.
    """

    cdef object __weakref__
    cdef rdl_model _handle
    cdef readonly Device device
    cdef readonly tuple inputs
    cdef readonly tuple outputs
    cdef readonly dict metadata
    cdef readonly dict custom_metadata
    cdef readonly object node_count, compiled_node_count, weight_bytes
    cdef dict _input_index, _output_index

    def __init__(self):
        raise TypeError("raddle.Model has no constructor; raddle.load makes one")

    def __dealloc__(self):
        rdl_model_close(self._handle)

    def close(self):
        """Closes the model: calls in flight finish, later ones raise `ClosedError`."""
        rdl_model_close(self._handle)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    cdef int _describe(self) except -1:
        cdef rdl_error error
        cdef rdl_model_info *info = NULL
        cdef const char *key
        cdef const char *value
        cdef size_t index
        _check(rdl_model_get_info(self._handle, &info, &error), &error)
        try:
            self.inputs = tuple([_port_of(rdl_model_info_input(info, index))
                                 for index in range(rdl_model_info_input_count(info))])
            self.outputs = tuple([_port_of(rdl_model_info_output(info, index))
                                  for index in range(rdl_model_info_output_count(info))])
            self.metadata, self.custom_metadata = {}, {}
            for index in range(rdl_model_info_metadata_count(info)):
                if rdl_model_info_metadata(info, index, &key, &value):
                    name = key.decode("utf-8", "replace")
                    self.metadata[name] = value.decode("utf-8", "replace")
                    # The library's own come first: five, and the opset of each further domain.
                    if index >= 5 and (self.custom_metadata or not name.startswith("opset ")):
                        self.custom_metadata[name] = self.metadata[name]
            self.node_count = rdl_model_info_node_count(info)
            self.compiled_node_count = rdl_model_info_compiled_node_count(info)
            self.weight_bytes = rdl_model_info_weight_bytes(info)
        finally:
            rdl_model_info_release(info)
        self._input_index = {port.name: index for index, port in enumerate(self.inputs)}
        self._output_index = {port.name: index for index, port in enumerate(self.outputs)}
        return 0

    def __call__(self, *args, out=None, **inputs):
        """Runs the model: inputs by position, or by name. Gives its output; several as a tuple.

        Args:
            out: an array to write the output into, or a sequence of one for each output

        An input that is called ``out``, or whose name is no Python name, goes through `run`.
        """
        cdef _Arguments arguments = self._arguments_by_call(args, inputs, out)
        found = self._run(arguments, None, None, True)
        return found[0] if len(found) == 1 else tuple(found)

    def run(self, feeds, outputs=None, *, out=None, timeout=None, CancelToken cancel=None, wait=True):
        """Runs the model and gives a list of outputs.

        Args:
            feeds: a dict of inputs by name, or a sequence of all in order
            outputs: names of the outputs to compute, in the order of the list; None: all
            out: arrays to write into: a sequence in the order of the list, or a dict by name
            timeout: seconds after which the run ends with `DeadlineError`
            cancel: a `CancelToken`
            wait: False: `BusyError` if no lane of the device is free at once
        """
        return self._run(self._arguments_by_feeds(feeds, outputs, out), timeout, cancel, wait)

    def submit(self, feeds, outputs=None, *, out=None, timeout=None, CancelToken cancel=None):
        """Starts a run and returns a `Future` at once; the arguments are those of `run`.

        The arrays given must not be changed before the run has ended.
        """
        cdef _Arguments arguments = self._arguments_by_feeds(feeds, outputs, out)
        cdef rdl_run_options options
        cdef rdl_error error
        cdef rdl_status status
        cdef Future future = Future.__new__(Future)
        cdef Stream inforce = _stream_in_force(self.device)
        _release_ended()
        _fill(&options, arguments, inforce, timeout, cancel, True)
        future._model = self
        future._outputs = arguments.same_outputs()
        future._completion = completion_new()
        if future._completion == NULL:
            raise MemoryError()
        token = next(_tokens)
        # The tuple holds what the run goes on using: memory, the token, the stream.
        _in_flight[token] = (arguments, cancel, inforce)
        status = RDL_ERR_NO_MEMORY
        error.message[0] = 0
        if completion_watch(future._completion, (<_CompletionQueue>_ended)._queue, token):
            with nogil:
                status = rdl_model_submit(self._handle, arguments.inputs, arguments.n_inputs,
                                          arguments.outputs, arguments.n_outputs, &options,
                                          completion_ended, future._completion, &future._request,
                                          &error)
        if status != RDL_OK:
            completion_release(future._completion)
            del _in_flight[token]
        _check(status, &error)
        return future

    cdef list _run(self, _Arguments arguments, timeout, CancelToken cancel, wait):
        cdef rdl_run_options options
        cdef rdl_error error
        cdef rdl_status status
        cdef Stream inforce = _stream_in_force(self.device)
        _fill(&options, arguments, inforce, timeout, cancel, wait)
        with nogil:
            status = rdl_model_run(self._handle, arguments.inputs, arguments.n_inputs,
                                   arguments.outputs, arguments.n_outputs, &options, &error)
        _check(status, &error)
        return arguments.results(self.outputs)

    cdef _Arguments _arguments_by_call(self, tuple args, dict named, out):
        cdef size_t count = len(self.inputs), n_outputs = len(self.outputs), index
        cdef _Arguments arguments = _Arguments(count, n_outputs)
        if <size_t>len(args) > count:
            raise TypeError(f"the model takes {count} inputs, not {len(args)}")
        for index in range(<size_t>len(args)):
            arguments.set_input(index, args[index], self.inputs[index])
        if named or <size_t>len(args) < count:
            self._set_named(arguments, named, len(args))
        for index in range(n_outputs):
            arguments.indices[index] = index
        if out is not None:
            self._set_outputs(arguments, [out] if n_outputs == 1 and not isinstance(
                out, (list, tuple, dict)) else out)
        return arguments

    cdef _Arguments _arguments_by_feeds(self, feeds, outputs, out):
        cdef size_t count = len(self.inputs), index
        cdef size_t n_outputs = len(self.outputs) if outputs is None else len(outputs)
        cdef _Arguments arguments = _Arguments(count, n_outputs)
        if isinstance(feeds, (list, tuple)):
            if <size_t>len(feeds) != count:
                raise TypeError(f"the model takes {count} inputs, not {len(feeds)}")
            for index in range(count):
                arguments.set_input(index, feeds[index], self.inputs[index])
        elif hasattr(feeds, "keys"):
            self._set_named(arguments, feeds, 0)
        else:
            raise TypeError(f"feeds is a dict or a sequence of inputs, not {type(feeds).__name__}")
        for index in range(n_outputs):
            arguments.indices[index] = index if outputs is None else self._output(outputs[index])
        if out is not None:
            self._set_outputs(arguments, out)
        return arguments

    cdef int _set_named(self, _Arguments arguments, named, size_t given) except -1:
        """Sets the inputs that come by name; the first `given` have come by position."""
        cdef size_t index
        for name in named.keys():
            place = self._input_index.get(name)
            if place is None:
                raise TypeError(f"the model has no input {name!r}; its inputs are "
                                f"{', '.join(map(repr, self._input_index))}")
            index = place
            if index < given:
                raise TypeError(f"input {name!r} is given twice")
            arguments.set_input(index, named[name], self.inputs[index])
        for index in range(given, arguments.n_inputs):
            if arguments.inputs[index] == NULL:
                raise TypeError(f"input {self.inputs[index].name!r} is missing")
        return 0

    cdef int _set_outputs(self, _Arguments arguments, out) except -1:
        cdef size_t index
        if hasattr(out, "keys"):
            places = {self.outputs[arguments.indices[index]].name: index
                      for index in range(arguments.n_outputs)}
            for name in out.keys():
                if name not in places:
                    raise TypeError(f"an array is given for {name!r}, which is no output of this call")
                index = places[name]
                arguments.set_output(index, out[name], self.outputs[arguments.indices[index]])
            return 0
        if <size_t>len(out) != arguments.n_outputs:
            raise TypeError(f"the call has {arguments.n_outputs} outputs, and out has {len(out)}")
        for index in range(arguments.n_outputs):
            arguments.set_output(index, out[index], self.outputs[arguments.indices[index]])
        return 0

    cdef object _output(self, name):
        place = self._output_index.get(name)
        if place is None:
            raise TypeError(f"the model has no output {name!r}; its outputs are "
                            f"{', '.join(map(repr, self._output_index))}")
        return place

    def warm_up(self, shapes, lanes=0):
        """Compiles the plan for input shapes ahead of the first run with them.

        Args:
            shapes: a shape for each input, in order, or a dict by name
            lanes: how many of the device's lanes get memory for it
        """
        cdef rdl_error error
        cdef rdl_status status
        cdef size_t count = len(self.inputs), index
        cdef int axis
        cdef uint32_t c_lanes = lanes
        if hasattr(shapes, "keys"):
            shapes = [shapes[port.name] for port in self.inputs]
        if <size_t>len(shapes) != count:
            raise TypeError(f"the model takes {count} inputs, not {len(shapes)}")
        cdef rdl_shape *given = <rdl_shape *>calloc(count + 1, sizeof(rdl_shape))
        if given == NULL:
            raise MemoryError()
        try:
            for index in range(count):
                if len(shapes[index]) > RDL_MAX_RANK:
                    raise _exception(RDL_ERR_SHAPE, f"rank {len(shapes[index])} is above {RDL_MAX_RANK}")
                given[index].rank = len(shapes[index])
                for axis in range(given[index].rank):
                    given[index].dims[axis] = shapes[index][axis]
            with nogil:
                status = rdl_model_warm_up(self._handle, given, count, c_lanes, &error)
        finally:
            free(given)
        _check(status, &error)

    def stats(self):
        """Counters of the model's plans (a plan is what it compiles for input shapes), as a dict."""
        cdef rdl_model_stats stats
        stats.size = sizeof(stats)
        _check(rdl_model_get_stats(self._handle, &stats))
        return {"plans": stats.plans, "plans_compiled": stats.plans_compiled,
                "plans_evicted": stats.plans_evicted, "largest_arena_bytes": stats.largest_arena_bytes}

    def __repr__(self):
        def said(ports):
            return ", ".join([f"{port.name}: {port.dtype}{list(port.shape) if port.shape is not None else ''}"
                              for port in ports])
        return f"<raddle.Model ({said(self.inputs)}) -> ({said(self.outputs)})>"

    def __reduce__(self):
        raise TypeError("a model cannot be pickled; load it in the process that uses it")


cdef int _fill(rdl_run_options *options, _Arguments arguments, Stream inforce, timeout,
               CancelToken cancel, wait) except -1:
    memset(options, 0, sizeof(options[0]))
    options.size = sizeof(options[0])
    options.output_indices = arguments.indices
    if inforce is not None:
        options.stream = inforce._handle
    if timeout is not None:
        options.deadline_ns = max(_deadline(timeout), 1)
    if cancel is not None:
        options.cancel = cancel._cancel
    options.no_wait = not wait
    return 0


def load(source, device=None, *, fusion=True, folder=None, memory_limit=0, timeout=None,
         CancelToken cancel=None):
    """Loads an ONNX model and compiles it for a device.

    Args:
        source: a path, or the file's bytes
        device: ``"cpu"`` (the default), ``"sim"`` or a `Device`
        fusion: False leaves the graph as it is in the file, for comparisons
        folder: where external data lies, for a source of bytes
        memory_limit: most bytes of host memory for graph and weights; 0: no limit
        timeout: seconds until `DeadlineError`
        cancel: a `CancelToken`

    Raises `FileError`, `ModelError` (not a valid model), `UnsupportedError` (the text lists every operator
    that is missing), `OutOfMemoryError`.
    """
    cdef rdl_load_options options
    cdef rdl_error error
    cdef rdl_status status
    cdef Py_buffer view
    cdef bytes path, encoded_folder
    cdef const char *c_path
    cdef Model model = Model.__new__(Model)
    model.device = _device_of(device)
    memset(&options, 0, sizeof(options))
    options.size = sizeof(options)
    options.device = model.device._handle
    options.no_fusion = not fusion
    options.memory_limit_bytes = memory_limit
    if timeout is not None:
        options.deadline_ns = max(_deadline(timeout), 1)
    if cancel is not None:
        options.cancel = cancel._cancel
    if folder is not None:
        encoded_folder = os.fsencode(folder)
        options.folder = encoded_folder
    if isinstance(source, (str, os.PathLike)):
        path = os.fsencode(source)
        c_path = path
        with nogil:
            status = rdl_model_load(c_path, &options, &model._handle, &error)
    else:
        PyObject_GetBuffer(source, &view, 0)
        try:
            with nogil:
                status = rdl_model_load_memory(view.buf, view.len, &options, &model._handle, &error)
        finally:
            PyBuffer_Release(&view)
    _check(status, &error)
    model._describe()
    return model
