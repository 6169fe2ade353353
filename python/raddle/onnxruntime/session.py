"""Sessions."""

import os
import warnings
from typing import NamedTuple

from .. import _core
from .capi.onnxruntime_pybind11_state import NoModel, translated
from .options import GraphOptimizationLevel, SessionOptions, tell_once
from .values import OrtValue, SessionIOBinding, type_name

_CONFIG_FOLDER = "session.model_external_initializers_file_folder_path"


class NodeArg(NamedTuple):
    """An input or an output: its name, its type such as "tensor(float)", and its shape, a list of numbers,
    names of free dimensions, and None."""

    name: str
    type: str
    shape: list


class ModelMetadata(NamedTuple):
    """What the file says of itself."""

    custom_metadata_map: dict
    description: str
    domain: str
    graph_description: str
    graph_name: str
    producer_name: str
    version: int


class InferenceSession:
    """A loaded model, for any number of threads at the same time.

    Args:
        path_or_bytes: a file, or its bytes
        sess_options: `SessionOptions`
        providers: "CPUExecutionProvider", alone or with a dict of options, is what there is; others are
            warned of and left out. Its option "device" names a device of Raddle ("cpu", "sim") or
            is a `raddle.Device`; others mean nothing.
        provider_options: a dict for each provider
    """

    def __init__(self, path_or_bytes, sess_options=None, providers=None, provider_options=None, **kwargs):
        self._options = sess_options if sess_options is not None else SessionOptions()
        device = _device(providers or [], provider_options)
        for name in kwargs:
            tell_once(f"InferenceSession's argument {name}", "it is not read")
        if isinstance(path_or_bytes, (str, os.PathLike, bytes, bytearray, memoryview)):
            if not isinstance(path_or_bytes, os.PathLike) and len(path_or_bytes) == 0:
                raise NoModel("neither a path nor a model was given")
        else:
            raise TypeError(f"Unable to load from type '{type(path_or_bytes)}'")
        with translated():
            self._model = _core.load(
                path_or_bytes,
                device,
                fusion=self._options.graph_optimization_level != GraphOptimizationLevel.ORT_DISABLE_ALL,
                folder=self._options._entries.get(_CONFIG_FOLDER),
            )

    @property
    def raddle_model(self):
        """The `raddle.Model` under the session."""
        return self._model

    def run(self, output_names, input_feed, run_options=None):
        """Computes the outputs named (None or []: all) and gives a list of arrays."""
        missing = [port.name for port in self._model.inputs if port.name not in input_feed]
        if missing:
            raise ValueError(f"Required inputs ({missing}) are missing from input feed ({list(input_feed)}).")
        with translated():
            return self._model.run(
                {name: _plain(value) for name, value in input_feed.items()},
                output_names or None,
                cancel=run_options._cancel if run_options is not None else None,
            )

    def run_async(self, output_names, input_feed, callback, user_data, run_options=None):
        """Starts a run; ``callback(outputs, user_data, error)`` is called at its end, on another thread. error
        is "" on success."""
        with translated():
            future = self._model.submit(
                {name: _plain(value) for name, value in input_feed.items()},
                output_names or None,
                cancel=run_options._cancel if run_options is not None else None,
            )

        def ended(future):
            try:
                found, error = future.result(), ""
            except _core.Error as failure:
                found, error = [], f"[{failure.status}] {failure}"
            callback(found, user_data, error)

        future.add_done_callback(ended)

    def run_with_ort_values(self, output_names, input_dict_ort_values, run_options=None):
        """As `run`, from and to `OrtValue`."""
        found = self.run(output_names, input_dict_ort_values, run_options)
        return [OrtValue(value) for value in found]

    def io_binding(self):
        """Inputs and outputs bound to memory, for `run_with_iobinding`."""
        return SessionIOBinding(self)

    def run_with_iobinding(self, iobinding, run_options=None):
        """Runs from the bound inputs into the bound outputs."""
        with translated():
            iobinding._run(self._model, run_options)

    def get_inputs(self):
        return [_node_arg(port) for port in self._model.inputs]

    def get_outputs(self):
        return [_node_arg(port) for port in self._model.outputs]

    def get_overridable_initializers(self):
        return []

    def get_modelmeta(self):
        facts = self._model.metadata
        return ModelMetadata(
            dict(self._model.custom_metadata), "", "", "", facts["graph"], facts["producer"], 0
        )

    def get_session_options(self):
        return self._options

    def get_providers(self):
        return ["CPUExecutionProvider"]

    def get_provider_options(self):
        return {"CPUExecutionProvider": {}}

    def set_providers(self, providers=None, provider_options=None):
        """Sessions keep the device that they were loaded for."""
        _device(providers or [], provider_options)

    def disable_fallback(self):
        """There is nothing to fall back to."""

    enable_fallback = disable_fallback

    def end_profiling(self):
        tell_once("end_profiling", "`raddle run MODEL --profile` shows where time goes")
        return ""


def _plain(value):
    return value.numpy() if isinstance(value, OrtValue) else value


def _node_arg(port):
    shape = [] if port.shape is None else list(port.shape)
    return NodeArg(port.name, type_name(port.kind, port.dtype), shape)


def _device(providers, provider_options):
    """The device that the providers ask for; None: the CPU."""
    device, given = None, list(provider_options or [])
    for place, provider in enumerate(providers):
        name, options = provider if isinstance(provider, (tuple, list)) else (provider, {})
        if place < len(given):
            options = {**options, **given[place]}
        if name != "CPUExecutionProvider":
            warnings.warn(
                f"Specified provider '{name}' is not in available provider names."
                "Available providers: 'CPUExecutionProvider'",
                stacklevel=3,
            )
            continue
        for option, value in options.items():
            if option == "device":
                device = value
            else:
                tell_once(f"the provider's option {option}", "it is not read")
    return device
