"""Programs that no one here wrote give the same answers when Raddle answers their import of onnxruntime."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def said():
    """What programs.py says through each of the two doors."""
    found = {}
    for door in ("onnxruntime", "raddle"):
        done = subprocess.run(
            [
                ROOT / ".cache" / "programs" / "bin" / "python",
                ROOT / "tests" / "python" / "programs.py",
                door,
                ROOT / ".cache" / "pictures",
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ, PYTHONWARNINGS="ignore"),
            check=True,
        )
        found[door] = json.loads(done.stdout.splitlines()[-1])
    return found["onnxruntime"], found["raddle"]


def test_each_is_answered_by_its_own_door(said):
    theirs, ours = said
    assert "raddle" in ours["version"] and "raddle" not in theirs["version"]


def test_rapidocr_reads_the_same_text(said):
    theirs, ours = said
    assert len(theirs["text"]) == 8 and "31 threads, one model" in {line["text"] for line in theirs["text"]}
    assert [line["text"] for line in ours["text"]] == [line["text"] for line in theirs["text"]]
    for mine, other in zip(ours["text"], theirs["text"]):
        assert mine["box"] == other["box"]
        assert mine["score"] == pytest.approx(other["score"], abs=1e-4)


def test_magika_names_the_same_kinds(said):
    theirs, ours = said
    assert len({kind["label"] for kind in theirs["kinds"]}) >= 5
    assert [kind["label"] for kind in ours["kinds"]] == [kind["label"] for kind in theirs["kinds"]]
    for mine, other in zip(ours["kinds"], theirs["kinds"]):
        assert mine["score"] == pytest.approx(other["score"], abs=1e-4)
