"""Small ONNX models of the tests, made in memory, each with its reference in float64 NumPy.

A model's weights come from its seed, so that a spawned process makes the same file. Inputs come
from a seed too: the one of the thread and the variant that they are for.
"""

import hashlib
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy

OPSET = 17
# |answer - reference| <= RELATIVE |reference| + ABSOLUTE, as in tests/conformance/values.py. Inputs
# and weights are scaled so that answers are of the order of one.
RELATIVE, ABSOLUTE = 1e-4, 1e-5
INPUT_SEED = 1000


@dataclass(frozen=True)
class Case:
    """A model.

    data       the ONNX file, bytes
    shapes     the shape of each input; every input is float32
    reference  inputs as float64 arrays -> the answer, a float64 array
    scales     inputs are uniform in [-scale, scale)
    absolute   absolute part of the tolerance
    """

    name: str
    data: bytes
    shapes: tuple
    reference: Callable
    scales: tuple
    absolute: float = ABSOLUTE

    def inputs(self, *seed):
        """float32 arrays for the model, of a seed: any integers, e.g. thread and variant."""
        # Beginning as no weight's seed does, or inputs would repeat the weights.
        generator = numpy.random.default_rng((INPUT_SEED, *seed))
        return [
            generator.uniform(-scale, scale, shape).astype(numpy.float32)
            for shape, scale in zip(self.shapes, self.scales)
        ]

    def expected(self, inputs):
        """The reference's answer, float64."""
        return self.reference(*(array.astype(numpy.float64) for array in inputs))


class _Graph:
    """Nodes and weights in the making; weights are kept in float64 too, for the reference."""

    def __init__(self, seed):
        self.generator = numpy.random.default_rng(seed)
        self.nodes, self.weights, self.values = [], [], {}

    def weight(self, name, *shape, fan_in=None, around=0.0):
        """A weight uniform around `around`, as wide as torch makes it for `fan_in`; float64."""
        bound = 1 / numpy.sqrt(fan_in if fan_in is not None else shape[-1])
        array = self.generator.uniform(around - bound, around + bound, shape).astype(numpy.float32)
        self.weights.append((name, array))
        self.values[name] = array.astype(numpy.float64)
        return self.values[name]

    def constant(self, name, array):
        self.weights.append((name, numpy.asarray(array)))
        return name

    def node(self, operator, inputs, output, **attributes):
        self.nodes.append((operator, inputs, output, attributes))
        return output

    def finish(self, name, inputs, reference, output, scales=None, shapes=None, absolute=ABSOLUTE):
        """The Case; inputs: {name: dims}, output: (name, dims), shapes: what inputs() makes."""
        shapes = tuple(shapes if shapes is not None else map(tuple, inputs.values()))
        return Case(
            name,
            _file_of(name, self.nodes, self.weights, [*inputs.items()], output),
            shapes,
            reference,
            tuple(scales if scales is not None else [1.0] * len(shapes)),
            absolute,
        )


def _file_of(name, nodes, weights, inputs, output):
    """The ONNX file, bytes. With RADDLE_TEST_CASES it is kept in that folder, where an interpreter finds it that
    has no package onnx (the one without the global lock)."""
    if "RADDLE_TEST_CASES" not in os.environ:
        return _encode(name, nodes, weights, inputs, output)
    described = [(key, array.dtype.str, array.shape) for key, array in weights]
    digest = hashlib.sha256(repr((name, nodes, described, inputs, output)).encode())
    for _, array in weights:
        digest.update(array.tobytes())
    path = pathlib.Path(os.environ["RADDLE_TEST_CASES"]) / f"{digest.hexdigest()}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(_encode(name, nodes, weights, inputs, output))
        part.rename(path)
    return path.read_bytes()


def _encode(name, nodes, weights, inputs, output):
    import onnx
    from onnx import helper

    def port(key, dims):
        return helper.make_tensor_value_info(key, onnx.TensorProto.FLOAT, list(dims))

    graph = helper.make_graph(
        [helper.make_node(kind, given, [made], name=made, **more) for kind, given, made, more in nodes],
        name,
        [port(*item) for item in inputs],
        [port(*output)],
        [onnx.numpy_helper.from_array(array, key) for key, array in weights],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name="raddle tests")
    onnx.checker.check_model(model)
    return model.SerializeToString()


# ------------------------------------------------------------------------------ of two inputs


def add(*shape):
    """a + b."""
    graph = _Graph(0)
    graph.node("Add", ["a", "b"], "y")
    return graph.finish("add", {"a": shape, "b": shape}, lambda a, b: a + b, ("y", shape))


def matmul(m, k, n):
    """a @ b; batch dimensions, if any, are part of neither shape's last two: see bmm."""
    graph = _Graph(0)
    graph.node("MatMul", ["a", "b"], "y")
    return graph.finish(
        f"matmul_{m}x{k}x{n}",
        {"a": (m, k), "b": (k, n)},
        lambda a, b: a @ b,
        ("y", (m, n)),
        scales=(1.0, k**-0.5),
    )


def bmm(batch, m, k, n):
    """A batch of products."""
    graph = _Graph(0)
    graph.node("MatMul", ["a", "b"], "y")
    return graph.finish(
        f"bmm_{batch}x{m}x{k}x{n}",
        {"a": (batch, m, k), "b": (batch, k, n)},
        lambda a, b: a @ b,
        ("y", (batch, m, n)),
        scales=(1.0, k**-0.5),
    )


def matmul_relu(size=None):
    """max(a @ b, 0) of square matrices; size None: of any size, `sized` gives the inputs of one."""
    dims = ("n", "n") if size is None else (size, size)
    graph = _Graph(0)
    graph.node("MatMul", ["a", "b"], "ab")
    graph.node("Relu", ["ab"], "y")
    concrete = size if size is not None else 64
    return graph.finish(
        "matmul_relu",
        {"a": dims, "b": dims},
        lambda a, b: numpy.maximum(a @ b, 0),
        ("y", dims),
        scales=(1.0, concrete**-0.5),
        shapes=[(concrete, concrete)] * 2,
    )


def sized(case, size):
    """The case of a model of any size, with inputs of this one."""
    return Case(f"{case.name}_{size}", case.data, ((size, size),) * 2, case.reference, (1.0, size**-0.5))


# ------------------------------------------------------------------------------- of one input


def relu(*shape):
    """max(x, 0)."""
    graph = _Graph(0)
    graph.node("Relu", ["x"], "y")
    return graph.finish("relu", {"x": shape}, lambda x: numpy.maximum(x, 0), ("y", shape))


def softmax(*shape):
    """Over the last axis."""
    graph = _Graph(0)
    graph.node("Softmax", ["x"], "y", axis=-1)
    return graph.finish("softmax", {"x": shape}, _softmax, ("y", shape), scales=(4.0,))


def mean_of_squares(*shape):
    """The mean over the last axis of x x."""
    graph = _Graph(0)
    graph.node("Mul", ["x", "x"], "xx")
    graph.node("ReduceMean", ["xx"], "y", axes=[-1], keepdims=0)
    return graph.finish("mean_of_squares", {"x": shape}, lambda x: (x * x).mean(-1), ("y", shape[:-1]))


def linear(inputs, outputs, batch, seed=1):
    """x W + b."""
    graph = _Graph(seed)
    weight = graph.weight("w", outputs, inputs)
    bias = graph.weight("b", outputs, fan_in=inputs)
    graph.node("Gemm", ["x", "w", "b"], "y", transB=1)
    return graph.finish(
        f"linear_{inputs}x{outputs}",
        {"x": ("batch", inputs)},
        lambda x: x @ weight.T + bias,
        ("y", ("batch", outputs)),
        shapes=[(batch, inputs)],
    )


def mlp(widths, batch, seed=2):
    """Linear layers with Relu between them."""
    graph = _Graph(seed)
    layers, value = [], "x"
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        last = index == len(widths) - 2
        layers.append(
            (graph.weight(f"w{index}", outputs, inputs), graph.weight(f"b{index}", outputs, fan_in=inputs))
        )
        product = graph.node(
            "Gemm", [value, f"w{index}", f"b{index}"], "y" if last else f"h{index}", transB=1
        )
        value = product if last else graph.node("Relu", [product], f"r{index}")

    def reference(x):
        for index, (weight, bias) in enumerate(layers):
            x = x @ weight.T + bias
            x = x if index == len(layers) - 1 else numpy.maximum(x, 0)
        return x

    return graph.finish(
        "mlp",
        {"x": ("batch", widths[0])},
        reference,
        ("y", ("batch", widths[-1])),
        shapes=[(batch, widths[0])],
    )


def conv1d(channels, kernel, batch, length, seed=3):
    """Convolutions over a line, padded to the same length, with Relu between them."""
    graph = _Graph(seed)
    layers, value, pad = [], "x", kernel // 2
    for index, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
        last = index == len(channels) - 2
        layers.append(
            (
                graph.weight(f"w{index}", outputs, inputs, kernel, fan_in=inputs * kernel),
                graph.weight(f"b{index}", outputs, fan_in=inputs * kernel),
            )
        )
        product = graph.node(
            "Conv",
            [value, f"w{index}", f"b{index}"],
            "y" if last else f"h{index}",
            kernel_shape=[kernel],
            pads=[pad, pad],
        )
        value = product if last else graph.node("Relu", [product], f"r{index}")

    def reference(x):
        for index, (weight, bias) in enumerate(layers):
            padded = numpy.pad(x, ((0, 0), (0, 0), (pad, pad)))
            windows = numpy.lib.stride_tricks.sliding_window_view(padded, kernel, axis=2)
            x = numpy.einsum("bclk,ock->bol", windows, weight, optimize=True) + bias[:, None]
            x = x if index == len(layers) - 1 else numpy.maximum(x, 0)
        return x

    return graph.finish(
        "conv1d",
        {"x": ("batch", channels[0], length)},
        reference,
        ("y", ("batch", channels[-1], length)),
        shapes=[(batch, channels[0], length)],
    )


def layer_norm(*shape, seed=4):
    """Layer normalisation over the last axis, with scale and bias."""
    graph = _Graph(seed)
    norm = _layer_norm(graph, "norm", shape[-1], "x", "y")
    return graph.finish("layer_norm", {"x": shape}, norm, ("y", shape), scales=(2.0,))


def product_chain(size, count, rows=None, seed=5):
    """x W W ... W: `count` products, for runs that last. Rounding errors of all of them add up.

    x is square, or has so many rows.
    """
    shape = (rows if rows is not None else size, size)
    graph = _Graph(seed)
    # A rotation: answers keep the order of the inputs.
    turn, _ = numpy.linalg.qr(graph.generator.standard_normal((size, size)))
    weight = turn.astype(numpy.float32)
    graph.constant("w", weight)
    weight = weight.astype(numpy.float64)
    value = "x"
    for index in range(count):
        value = graph.node("MatMul", [value, "w"], "y" if index == count - 1 else f"h{index}")

    def reference(x):
        for _ in range(count):
            x = x @ weight
        return x

    return graph.finish("product_chain", {"x": shape}, reference, ("y", shape), absolute=10 * ABSOLUTE)


def long_run():
    """A run of several seconds (170 Gflop), to be ended early: its answer is not for comparing."""
    return product_chain(512, 40, rows=8192)


def encoder_layer(batch, length, width, heads, hidden=None, seed=6, layers=1):
    """Transformer encoder layers: self-attention and two linear layers, each added and
    normalised."""
    graph = _Graph(seed)
    hidden = hidden if hidden is not None else 2 * width
    steps, value = [], "x"
    for layer in range(layers):
        output = "y" if layer == layers - 1 else f"l{layer}.out"
        steps.append(_encoder(graph, f"l{layer}", (batch, length, width), heads, hidden, value, output))
        value = output

    def reference(x):
        for step in steps:
            x = step(x)
        return x

    return graph.finish(
        "encoder_layer", {"x": (batch, length, width)}, reference, ("y", (batch, length, width))
    )


def _encoder(graph, name, shape, heads, hidden, value, output):
    batch, length, width = shape
    split = graph.constant(f"{name}.split", numpy.array([batch, length, heads, width // heads]))
    joined = graph.constant(f"{name}.joined", numpy.array([batch, length, width]))
    scale = graph.constant(f"{name}.scale", numpy.float32((width // heads) ** -0.5))

    def project(kind, source, inputs, outputs):
        weight = graph.weight(f"{name}.{kind}.w", inputs, outputs, fan_in=inputs)
        bias = graph.weight(f"{name}.{kind}.b", outputs, fan_in=inputs)
        product = graph.node("MatMul", [source, f"{name}.{kind}.w"], f"{name}.{kind}.product")
        return (
            graph.node("Add", [product, f"{name}.{kind}.b"], f"{name}.{kind}"),
            lambda x: x @ weight + bias,
        )

    steps, parts = {}, {}
    for kind, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        projected, steps[kind] = project(kind, value, width, width)
        shaped = graph.node("Reshape", [projected, split], f"{name}.{kind}.heads")
        parts[kind] = graph.node("Transpose", [shaped], f"{name}.{kind}.turned", perm=order)
    scores = graph.node("MatMul", [parts["q"], parts["k"]], f"{name}.scores")
    scores = graph.node("Mul", [scores, scale], f"{name}.scaled")
    scores = graph.node("Softmax", [scores], f"{name}.weights", axis=-1)
    mixed = graph.node("MatMul", [scores, parts["v"]], f"{name}.mixed")
    mixed = graph.node("Transpose", [mixed], f"{name}.mixed.turned", perm=[0, 2, 1, 3])
    mixed = graph.node("Reshape", [mixed, joined], f"{name}.mixed.joined")
    mixed, steps["o"] = project("o", mixed, width, width)
    mixed = graph.node("Add", [value, mixed], f"{name}.added")
    steps["n1"] = _layer_norm(graph, f"{name}.n1", width, mixed, f"{name}.n1")
    inner, steps["f1"] = project("f1", f"{name}.n1", width, hidden)
    inner = graph.node("Relu", [inner], f"{name}.relu")
    inner, steps["f2"] = project("f2", inner, hidden, width)
    inner = graph.node("Add", [f"{name}.n1", inner], f"{name}.added2")
    steps["n2"] = _layer_norm(graph, f"{name}.n2", width, inner, output)

    def reference(x):
        q, k, v = (steps[kind](x).reshape(batch, length, heads, -1).swapaxes(1, 2) for kind in "qkv")
        weights = _softmax(q @ k.swapaxes(2, 3) * (width // heads) ** -0.5)
        mixed = (weights @ v).swapaxes(1, 2).reshape(batch, length, width)
        x = steps["n1"](x + steps["o"](mixed))
        return steps["n2"](x + steps["f2"](numpy.maximum(steps["f1"](x), 0)))

    return reference


def _layer_norm(graph, name, width, value, output):
    scale = graph.weight(f"{name}.scale", width, around=1.0)
    bias = graph.weight(f"{name}.bias", width)
    graph.node("LayerNormalization", [value, f"{name}.scale", f"{name}.bias"], output, axis=-1, epsilon=1e-5)

    def reference(x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / numpy.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale + bias

    return reference


def _softmax(x):
    weights = numpy.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
