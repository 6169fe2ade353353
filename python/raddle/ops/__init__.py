"""Every operator of ONNX that Raddle has, called eagerly by its name.

>>> import raddle
>>> raddle.ops.MatMul(a, b)
>>> raddle.ops.Conv(x, w, b, pads=[1, 1, 1, 1])
>>> top, where = raddle.ops.TopK(x, 5, axis=0)

Inputs are arrays as `raddle.Model` takes them, None stands for an optional input that is left out, and
attributes go by keyword. The first call with new data types, ranks and attributes compiles; later ones find
it in a cache that all threads share. Needs the package onnx, whose schemas are the functions' documentation.
"""

import functools
import threading
from collections import OrderedDict

import numpy
import onnx
from onnx import helper, numpy_helper

from .. import _core

__all__ = ["call"]

_CACHE_SIZE = 512
# The library's numbers of data types are those of ONNX.
_ELEMENT_TYPES = {name: number for number, name in _core._DTYPES.items() if name != "string"}
_KIND = onnx.defs.OpSchema.AttrType
_CONVERT = {
    _KIND.FLOAT: float,
    _KIND.FLOATS: lambda values: [float(value) for value in values],
    _KIND.INT: int,
    _KIND.INTS: lambda values: [int(value) for value in values],
    _KIND.TENSOR: lambda value: numpy_helper.from_array(numpy.asarray(value)),
}

_cache = OrderedDict()  # key -> Model, the latest used last
_lock = threading.Lock()


def call(name, *inputs, domain="", opset=None, outputs=None, device=None, **attributes):
    """Calls the operator ``name``; ``raddle.ops.NAME`` is the same.

    Args:
        domain: the operator's domain; "" is ONNX's own
        opset: its version set; None: the newest that the package onnx knows
        outputs: how many outputs to compute; None: those that the operator must have (for Split: num_outputs)
        device: "cpu", "sim" or a `raddle.Device`

    Gives the output, or a tuple of several.
    """
    schema = _schema(name, domain, opset)
    given = [value if value is None or hasattr(value, "dtype") else numpy.asarray(value) for value in inputs]
    count = _output_count(schema, outputs, attributes)
    key = (
        name,
        domain,
        opset,
        count,
        device,
        tuple(None if value is None else (_dtype(value), len(value.shape)) for value in given),
        tuple((key, _hashable(attributes[key])) for key in sorted(attributes)),
    )
    model = _cached(key)
    if model is None:
        model = _core.load(_model(schema, given, count, attributes, opset), device)
        _keep(key, model)
    found = model.run([value for value in given if value is not None])
    return found[0] if count == 1 else tuple(found)


def _cached(key):
    with _lock:
        model = _cache.get(key)
        if model is not None:
            _cache.move_to_end(key)
        return model


def _keep(key, model):
    with _lock:
        _cache[key] = model
        if len(_cache) > _CACHE_SIZE:
            # Calls under way hold the model; it goes with the last of them.
            _cache.popitem(last=False)


def _dtype(value):
    return str(value.dtype).removeprefix("torch.")


def _hashable(value):
    if isinstance(value, numpy.ndarray):
        return (value.shape, value.dtype.str, value.tobytes())
    return tuple(map(_hashable, value)) if isinstance(value, (list, tuple)) else value


@functools.cache
def _schema(name, domain, opset):
    try:
        if opset is None:
            return onnx.defs.get_schema(name, domain)
        return onnx.defs.get_schema(name, opset, domain)
    except onnx.defs.SchemaError as error:
        place = f" of domain {domain!r}" if domain else ""
        raise AttributeError(f"ONNX has no operator {name!r}{place}") from error


def _output_count(schema, outputs, attributes):
    if outputs is not None:
        return outputs
    if schema.name == "Split" and "num_outputs" in attributes:
        return attributes["num_outputs"]
    return max(schema.min_output, 1)


def _attribute(schema, name, value):
    known = schema.attributes.get(name)
    if known is None:
        names = ", ".join(schema.attributes) or "none"
        raise TypeError(f"{schema.name} has no attribute {name!r}; it has {names}")
    convert = _CONVERT.get(known.type)
    return helper.make_attribute(name, convert(value) if convert else value, attr_type=int(known.type.value))


def _model(schema, given, count, attributes, opset):
    """The bytes of a model with the one node."""
    ports, names = [], []
    for place, value in enumerate(given):
        if value is None:
            names.append("")
            continue
        kind = _ELEMENT_TYPES.get(_dtype(value))
        if kind is None:
            raise TypeError(f"{schema.name}: input {place} has data type {value.dtype}, which ONNX lacks")
        names.append(f"input{place}")
        shape = [f"d{place}_{axis}" for axis in range(len(value.shape))]
        ports.append(helper.make_tensor_value_info(names[-1], kind, shape))
    outputs = [f"output{place}" for place in range(count)]
    node = helper.make_node(schema.name, names, outputs, domain=schema.domain)
    node.attribute.extend(_attribute(schema, *item) for item in sorted(attributes.items()))
    graph = helper.make_graph(
        [node], schema.name, ports, [onnx.ValueInfoProto(name=output) for output in outputs]
    )
    newest = opset or (onnx.defs.onnx_opset_version() if not schema.domain else schema.since_version)
    sets = [helper.make_opsetid(schema.domain, newest)]
    if schema.domain:
        sets.append(helper.make_opsetid("", onnx.defs.onnx_opset_version()))
    return helper.make_model(graph, opset_imports=sets, ir_version=10).SerializeToString()


def __getattr__(name):
    if name == "linalg":
        import importlib

        return importlib.import_module(".linalg", __name__)
    if name.startswith("_"):
        raise AttributeError(name)
    schema = _schema(name, "", None)
    function = functools.partial(call, name)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = schema.doc
    globals()[name] = function
    return function


def __dir__():
    return sorted({*globals(), *(s.name for s in onnx.defs.get_all_schemas() if not s.domain)})
