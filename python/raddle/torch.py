"""PyTorch's modules on Raddle.

>>> fast = torch.compile(module, backend="raddle")
>>> model = raddle.from_torch(module, (example,))

Both export to ONNX in memory and run on the CPU from any number of threads; tensors go in and out without a
copy. They are for inference: a call that would need a gradient is refused. Needs torch, onnx and onnxscript.
"""

import contextlib
import io
import logging
import re
import threading
import warnings

import torch
from torch.utils import _pytree

from . import _core

__all__ = ["CompiledModule", "backend", "from_torch"]

_exporting = threading.Lock()  # torch.export is for one thread at a time


class FallbackWarning(UserWarning):
    """A part of a program runs by PyTorch, since Raddle cannot run it."""


@contextlib.contextmanager
def _without_fast_paths():
    """Attention is spelt out: its fused forms are operators of PyTorch alone."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def _encoder_layer(
    x,
    size,
    heads,
    qkv_weight,
    qkv_bias,
    out_weight,
    out_bias,
    use_gelu,
    norm_first,
    epsilon,
    norm1_weight,
    norm1_bias,
    norm2_weight,
    norm2_bias,
    weight1,
    bias1,
    weight2,
    bias2,
):
    """torch._transformer_encoder_layer_fwd without a mask, in operators that export."""
    functional = torch.nn.functional

    def attend(x):
        q, k, v = functional.linear(x, qkv_weight, qkv_bias).unflatten(-1, (3, heads, -1)).unbind(-3)
        found = functional.scaled_dot_product_attention(
            q.transpose(-2, -3), k.transpose(-2, -3), v.transpose(-2, -3)
        )
        return functional.linear(found.transpose(-2, -3).flatten(-2), out_weight, out_bias)

    def feed(x):
        hidden = functional.linear(x, weight1, bias1)
        hidden = functional.gelu(hidden) if use_gelu else functional.relu(hidden)
        return functional.linear(hidden, weight2, bias2)

    def norm1(x):
        return functional.layer_norm(x, (size,), norm1_weight, norm1_bias, epsilon)

    def norm2(x):
        return functional.layer_norm(x, (size,), norm2_weight, norm2_bias, epsilon)

    if norm_first:
        x = x + attend(norm1(x))
        return x + feed(norm2(x))
    x = norm1(x + attend(x))
    return norm2(x + feed(x))


def _spelt_out(graph_module):
    """The part with fused operators that have no mask spelt out."""
    for node in graph_module.graph.nodes:
        if (
            node.target is torch._transformer_encoder_layer_fwd
            and not node.kwargs
            and all(mask is None for mask in node.args[18:])
        ):
            node.target, node.args = _encoder_layer, node.args[:18]
    graph_module.recompile()
    return graph_module


def _why_not(error):
    """One line on why torch.onnx.export failed: the operators, or its own words."""
    said, cause = [], error
    while cause is not None:
        said.append(re.sub(r"\x1b\[\d+m", "", str(cause)).strip())
        cause = cause.__cause__
    operators = sorted(
        set(re.findall(r"No ONNX function found for <OpOverload\(op='([^']+)'", "\n".join(said)))
    )
    if operators:
        return f"PyTorch has no ONNX form of {', '.join(operators)}"
    return f"PyTorch cannot export the module to ONNX: {(said[-1] or repr(error)).splitlines()[0]}"


def _export(module, inputs, dynamic_shapes=None, opset=None):
    """The bytes of the module's ONNX model."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with torch.no_grad(), _without_fast_paths(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                tuple(inputs),
                dynamo=True,
                verbose=False,
                dynamic_shapes=dynamic_shapes,
                opset_version=opset,
            )
    except Exception as error:
        raise _core.UnsupportedError(_why_not(error)) from error
    file = io.BytesIO()
    program.save(file)
    return file.getvalue()


def _to_torch(value):
    return torch.from_dlpack(value) if isinstance(value, _core.Tensor) else torch.from_numpy(value)


def _refuse_gradients(tensors):
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        raise _core.UnsupportedError(
            "the call would need gradients, which Raddle does not compute; use torch.no_grad() or detach()"
        )


def _run(model, tensors):
    """The model's outputs, as tensors over the library's memory."""
    for tensor in tensors:
        if tensor.device.type != "cpu":
            raise _core.ArgumentError(f"a tensor lies on {tensor.device}; Raddle takes those of the CPU")
    with torch.no_grad():
        given = [tensor.detach().resolve_conj().resolve_neg() for tensor in tensors]
        return [_to_torch(value) for value in model.run(given)]


class CompiledModule:
    """A module that was exported and loaded; `from_torch` makes it. Any number of threads may call it.

    Attributes:
        model: the `raddle.Model`
    """

    def __init__(self, model, structure, takes):
        self.model = model
        self._structure = structure
        self._takes = takes

    def __call__(self, *inputs):
        tensors = [leaf for leaf in _pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
        if len(tensors) != self._takes:
            raise TypeError(f"the module was exported with {self._takes} tensors, {len(tensors)} are given")
        _refuse_gradients(tensors)
        return _pytree.tree_unflatten(_run(self.model, tensors), self._structure)

    def __repr__(self):
        return f"<raddle.torch.CompiledModule {self.model!r}>"


def from_torch(module, example_inputs, *, device=None, dynamic_shapes=None, opset=None):
    """Exports a module to ONNX in memory and loads it.

    Args:
        example_inputs: a tuple of tensors (nested containers are allowed), as the module is called with
        device: as in `raddle.load`
        dynamic_shapes: as in `torch.export.export`: which dimensions may differ from the examples'; None: none
        opset: version of ONNX's operator set; None: PyTorch's choice

    The module must be in evaluation mode and must give tensors (in containers) only. Parameters become part
    of the model; later changes of the module are not seen. Raises `UnsupportedError`, which names the
    operators that are missing.
    """
    if module.training:
        raise _core.ArgumentError("the module is in training mode; call module.eval() first")
    example_inputs = tuple(example_inputs)
    with torch.no_grad():
        outputs, structure = _pytree.tree_flatten(module(*example_inputs))
    for value in outputs:
        if not isinstance(value, torch.Tensor):
            raise _core.UnsupportedError(f"the module gives {type(value).__name__}, which is no tensor")
    with _exporting:
        model = _core.load(_export(module, example_inputs, dynamic_shapes, opset), device)
    takes = sum(isinstance(leaf, torch.Tensor) for leaf in _pytree.tree_leaves(example_inputs))
    if len(model.inputs) != takes:
        names = ", ".join(port.name for port in model.inputs)
        raise _core.UnsupportedError(f"of {takes} tensors the module reads only those called {names}")
    return CompiledModule(model, structure, takes)


def backend(graph_module, example_inputs, *, options=None):
    """The backend of ``torch.compile(module, backend="raddle")``.

    options of torch.compile:

    Args:
        fallback: True: a part that cannot be exported or run is left to PyTorch, with a `FallbackWarning`; the
            default raises `UnsupportedError`, which names what is missing
        device: as in `raddle.load`
    """
    options = dict(options or {})
    part = _Part(graph_module, options.pop("fallback", False), options.pop("device", None))
    if options:
        raise TypeError(f"backend raddle has no option {', '.join(map(repr, options))}")
    return part


class _Part:
    """A part of a program that torch.compile found: a function of tensors and sizes.

    Parameters and buffers become constants of a model, and a change of one in place is seen by its version.
    A model is made for each set of shapes and sizes. One lock guards the making; finished models are read
    without it, from a dict that is only added to or replaced.
    """

    def __init__(self, graph_module, fallback, device):
        self._graph = _spelt_out(graph_module)
        self._fallback = fallback
        self._device = device
        self._lock = threading.Lock()
        self._models = {}
        self._constant_state = None
        self._is_constant = [
            "_parameters_" in node.name or "_buffers_" in node.name
            for node in graph_module.graph.nodes
            if node.op == "placeholder"
        ]

    def __call__(self, *given):
        tensors, key, constants = [], [], []
        for value, constant in zip(given, self._is_constant):
            if not isinstance(value, torch.Tensor):
                key.append(value)
            elif constant or isinstance(value, torch.nn.Parameter):
                constants.append((value.data_ptr(), value._version))
            else:
                tensors.append(value)
                key.append((value.dtype, *value.shape))
        if torch.is_grad_enabled() and any(
            isinstance(value, torch.Tensor) and value.requires_grad for value in given
        ):
            return self._without(given, "the call needs gradients, which Raddle does not compute")
        made = self._made(given, tuple(key), constants)
        if isinstance(made, str):
            return self._graph(*given)
        model, places = made
        found = _run(model, tensors)
        return tuple(found[place] if kind == "tensor" else place for kind, place in places)

    def _made(self, given, key, constants):
        """The model for the key with the places of outputs in its list; the cause if there is none."""
        models = self._models
        if self._constant_state == constants and key in models:
            return models[key]
        with self._lock:
            if self._constant_state != constants:
                self._models, self._constant_state = {}, constants
            if key not in self._models:
                try:
                    self._models[key] = self._make(given)
                except _core.UnsupportedError as error:
                    if not self._fallback:
                        raise
                    self._models[key] = str(error)
                    warnings.warn(f"left to PyTorch: {error}", FallbackWarning, stacklevel=2)
            return self._models[key]

    def _without(self, given, cause):
        if not self._fallback:
            raise _core.UnsupportedError(f"{cause}; use torch.no_grad(), or the option fallback")
        return self._graph(*given)

    def _make(self, given):
        outputs = self._tried(given)
        kept = [place for place, value in enumerate(outputs) if isinstance(value, torch.Tensor)]
        if not kept:
            raise _core.UnsupportedError("a part of the program gives no tensor")
        places = [
            ("tensor", kept.index(place)) if place in kept else ("constant", value)
            for place, value in enumerate(outputs)
        ]
        module = _Frozen(self._graph, given, self._is_constant, kept)
        with _exporting:
            model = _core.load(_export(module, module.inputs), self._device)
        if len(model.inputs) != len(module.inputs):
            raise _core.UnsupportedError("a part of the program does not read all its inputs")
        return model, places

    def _tried(self, given):
        """What the part gives on copies of its inputs, which it must leave as they are."""
        copies = [value.detach().clone() if isinstance(value, torch.Tensor) else value for value in given]
        versions = [value._version if isinstance(value, torch.Tensor) else 0 for value in copies]
        with torch.no_grad():
            outputs = self._graph(*copies)
        for value, version in zip(copies, versions):
            if isinstance(value, torch.Tensor) and value._version != version:
                raise _core.UnsupportedError("a part of the program writes into its inputs or buffers")
        return outputs


class _Frozen(torch.nn.Module):
    """The part with its constants as buffers and its sizes as numbers; `inputs` are what is left."""

    def __init__(self, graph_module, given, is_constant, kept):
        super().__init__()
        self._graph = [graph_module]  # not a submodule: its inputs are the constants
        self._kept = kept
        self._given = []
        self.inputs = []
        for place, (value, constant) in enumerate(zip(given, is_constant)):
            if not isinstance(value, torch.Tensor):
                self._given.append(("number", int(value) if isinstance(value, torch.SymInt) else value))
            elif constant or isinstance(value, torch.nn.Parameter):
                self.register_buffer(f"constant_{place}", value.detach())
                self._given.append(("constant", f"constant_{place}"))
            else:
                self._given.append(("input", len(self.inputs)))
                self.inputs.append(value.detach())

    def forward(self, *inputs):
        given = [
            value if kind == "number" else getattr(self, value) if kind == "constant" else inputs[value]
            for kind, value in self._given
        ]
        outputs = self._graph[0](*given)
        return tuple(outputs[place] for place in self._kept)
