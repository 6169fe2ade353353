"""The type stubs say what the extension module has."""

import subprocess
import sys

# What Cython adds or leaves out by itself.
ALLOWED = r"""
raddle\._core\.(\w+\.)?__(reduce|setstate)_cython__
raddle\._core\.__test__
raddle\._core\.\w+\.__init__
raddle\._core\.Tensor\.__buffer__
"""


def test_stubs(tmp_path):
    (tmp_path / "allowed").write_text(ALLOWED)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy.stubtest",
            "raddle._core",
            "--concise",
            "--allowlist",
            tmp_path / "allowed",
            "--ignore-unused-allowlist",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
