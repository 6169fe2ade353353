"""Every Python example of the guides runs, in a folder that holds the models."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ["docs/python.md", "docs/migration.md", "README.md"]
EXAMPLES = [
    (f"{page}:{text[: found.start()].count(chr(10)) + 1}", found[1])
    for page in PAGES
    for text in [(ROOT / page).read_text()]
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.S | re.M)
]


def test_the_pages_have_examples():
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("place, program", EXAMPLES, ids=[place for place, _ in EXAMPLES])
def test_example(place, program):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT / ".cache" / "models",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
