"""programs.py DOOR PICTURES: what programs that no one here wrote say through onnxruntime's interface.

DOOR is onnxruntime or raddle. RapidOCR reads a page made of text lines, Magika names the kinds of some files. One
JSON object on stdout.
"""

import json
import pathlib
import sys

import numpy

if sys.argv[1] == "raddle":
    import raddle

    raddle.onnxruntime.install()

# What follows imports onnxruntime, and gets what answers to that name.
from magika import Magika
from PIL import Image
from rapidocr_onnxruntime import RapidOCR

ROOT = pathlib.Path(__file__).parents[2]


def page(pictures):
    """Text lines below each other on white paper."""
    lines = [Image.open(path).convert("RGB") for path in sorted(pictures.glob("*.png"))[:8]]
    width = max(line.width for line in lines) + 80
    sheet = Image.new("RGB", (width, sum(line.height + 30 for line in lines) + 60), "white")
    top = 40
    for line in lines:
        sheet.paste(line, (40, top))
        top += line.height + 30
    return numpy.asarray(sheet)[:, :, ::-1]


def read(image):
    found, _ = RapidOCR()(image)
    return [{"box": box, "text": text, "score": float(score)} for box, text, score in found]


def name_kinds():
    files = [
        "README.md",
        "LICENSE",
        "Makefile",
        "meson.build",
        "src/model/run.c",
        "include/raddle/model.h",
        "tools/setup",
        "tools/run_tests",
        "pyproject.toml",
        "tests/python/programs.py",
    ]
    samples = [(ROOT / name).read_bytes() for name in files]
    samples.append(json.dumps({"numbers": list(range(500))}).encode())
    samples.append(b"<!doctype html><html><head><title>t</title></head><body>" + b"<p>text</p>" * 90)
    magika = Magika()
    return [
        {"label": str(result.output.label), "score": result.score}
        for result in map(magika.identify_bytes, samples)
    ]


import onnxruntime  # noqa: E402

print(
    json.dumps(
        {
            "version": onnxruntime.__version__,
            "text": read(page(pathlib.Path(sys.argv[2]))),
            "kinds": name_kinds(),
        }
    )
)
