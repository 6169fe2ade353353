"""The Python that tests with NumPy, onnx and ONNX Runtime run in: .venv, which tools/setup makes."""

import importlib.util
import os
import pathlib
import sys

PYTHON = pathlib.Path(__file__).resolve().parent.parent.parent / ".venv" / "bin" / "python"


def enter(*modules):
    """Goes on if the modules are there; else begins the script again in .venv, or, if that does not
    help, skips it (exit status 77)."""
    if all(importlib.util.find_spec(module) for module in modules):
        return
    if PYTHON.exists() and os.environ.get("RADDLE_TEST_PYTHON") != str(PYTHON):
        os.environ["RADDLE_TEST_PYTHON"] = str(PYTHON)
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    print(f"SKIP: not all of {', '.join(modules)} are there; tools/setup test brings them")
    sys.exit(77)
