"""Options of sessions and runs."""

import enum
import warnings

from .. import _core


class OptionWarning(UserWarning):
    """An option was set that means nothing here."""


_told = set()


def tell_once(option, reason):
    if option not in _told:
        _told.add(option)
        warnings.warn(
            f"raddle.onnxruntime: {option} means nothing here: {reason}", OptionWarning, stacklevel=3
        )


class GraphOptimizationLevel(enum.IntEnum):
    """ORT_DISABLE_ALL leaves the graph unfused; all others fuse."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(enum.IntEnum):
    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class ExecutionOrder(enum.IntEnum):
    DEFAULT = 0
    PRIORITY_BASED = 1
    MEMORY_EFFICIENT = 2


_MEMORY = "memory comes from the device's cache and a planned arena for each call"
_ONE_THREAD = "a call computes on its caller's thread; callers run beside each other"
_LOGS = "nothing is logged; errors come as exceptions"

# Option: (its default, values without effect to tell of, why). None: any value but the default.
_SESSION_OPTIONS = {
    "enable_cpu_mem_arena": (True, None, _MEMORY),
    "enable_mem_pattern": (True, None, _MEMORY),
    "enable_mem_reuse": (True, None, _MEMORY),
    "enable_profiling": (False, None, "`raddle run MODEL --profile` shows where time goes"),
    "execution_mode": (ExecutionMode.ORT_SEQUENTIAL, None, _ONE_THREAD),
    "execution_order": (ExecutionOrder.DEFAULT, None, "the order of nodes decides no result"),
    "graph_optimization_level": (GraphOptimizationLevel.ORT_ENABLE_ALL, (), ""),
    "inter_op_num_threads": (0, lambda value: value > 1, _ONE_THREAD),
    "intra_op_num_threads": (0, lambda value: value > 1, _ONE_THREAD),
    "log_severity_level": (-1, (), _LOGS),
    "log_verbosity_level": (0, (), _LOGS),
    "logid": ("", (), _LOGS),
    "optimized_model_filepath": ("", None, "there is no file of a compiled model"),
    "profile_file_prefix": ("onnxruntime_profile_", None, "there is no profile by option"),
    "use_deterministic_compute": (False, (), "every answer is deterministic"),
    "use_per_session_threads": (True, (), "sessions have no threads"),
}


class SessionOptions:
    """How to load a model. With a meaning here:

    - ``graph_optimization_level``: ORT_DISABLE_ALL loads without fusion
    - the config entry ``session.model_external_initializers_file_folder_path``: where external data lies,
      for a model of bytes

    Thread counts above 1, memory and execution modes, profiling and files of optimised models mean nothing
    (`OptionWarning`). Levels of logs are kept and do nothing.
    """

    def __init__(self):
        for name, (default, _, _) in _SESSION_OPTIONS.items():
            object.__setattr__(self, name, default)
        object.__setattr__(self, "_entries", {})

    def __setattr__(self, name, value):
        if name not in _SESSION_OPTIONS:
            raise AttributeError(f"SessionOptions has no option {name!r}")
        default, idle, reason = _SESSION_OPTIONS[name]
        tells = value != default if idle is None else idle(value) if callable(idle) else value in idle
        if tells:
            tell_once(f"SessionOptions.{name}", reason)
        object.__setattr__(self, name, value)

    def add_session_config_entry(self, key, value):
        if key != "session.model_external_initializers_file_folder_path":
            tell_once(f"the config entry {key}", "it is not read")
        self._entries[key] = value

    def get_session_config_entry(self, key):
        return self._entries[key]

    def add_free_dimension_override_by_name(self, name, size):
        tell_once("add_free_dimension_override_by_name", "plans are made for the shapes that come")

    def add_free_dimension_override_by_denotation(self, name, size):
        tell_once("add_free_dimension_override_by_denotation", "plans are made for the shapes that come")

    def register_custom_ops_library(self, path):
        raise _core.UnsupportedError("libraries of custom operators cannot be loaded")


class RunOptions:
    """How to run. ``terminate = True`` ends the runs that carry the options, now and later."""

    def __init__(self):
        self.log_severity_level = -1
        self.log_verbosity_level = 0
        self.logid = ""
        self.only_execute_path_to_fetches = True  # always so
        self._entries = {}
        self._cancel = _core.CancelToken()

    @property
    def terminate(self):
        return self._cancel.cancelled()

    @terminate.setter
    def terminate(self, value):
        if value:
            self._cancel.cancel()
        elif self._cancel.cancelled():
            self._cancel = _core.CancelToken()

    def add_run_config_entry(self, key, value):
        tell_once(f"the run's config entry {key}", "it is not read")
        self._entries[key] = value

    def get_run_config_entry(self, key):
        return self._entries[key]
