#!/usr/bin/env python3
"""demo.py BUILD: real models from 1 to 31 threads, every value checked.

For each model `raddle bench` compares the answers of all threads with the sequential run, bit for
bit, and `raddle run` is held against ONNX Runtime.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Title, file, shapes under load, shapes for the comparison of values.
MODELS = [
    (
        "PP-OCR text direction (1x3x48x192)",
        "ppocr_cls.onnx",
        {"x": (1, 3, 48, 192)},
        {"x": (16, 3, 48, 192)},
    ),
    (
        "nn.Linear 512 -> 256, batch 64",
        "linear_512x256.onnx",
        {"x": (64, 512)},
        {"x": (64, 512)},
    ),
]
THREADS = "1,2,4,8,31"
ABSOLUTE, RELATIVE = 1e-5, 1e-4


def shape_options(shapes):
    for name, dims in shapes.items():
        yield "--shape"
        yield f"{name}={'x'.join(map(str, dims))}"


def against_oracle(raddle, path, shapes):
    """Largest error against ONNX Runtime, and whether all values are within the tolerance."""
    random = np.random.default_rng(7)
    feeds = {name: random.uniform(-1, 1, dims).astype(np.float32) for name, dims in shapes.items()}
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = pathlib.Path(folder, "in.npz"), pathlib.Path(folder, "out.npz")
        np.savez(inputs, **feeds)
        subprocess.run(
            [raddle, "run", path, "--inputs", inputs, "--outputs", outputs],
            check=True, stdout=subprocess.DEVNULL,
        )
        with np.load(outputs) as archive:
            ours = {name: archive[name] for name in archive.files}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    worst, good, values = 0.0, True, set()
    for output, theirs in zip(session.get_outputs(), session.run(None, feeds)):
        mine = ours[output.name]
        if mine.shape != theirs.shape:
            return float("inf"), False
        error = np.abs(mine - theirs)
        values.update(theirs.ravel().tolist())
        worst = max(worst, float(error.max(initial=0)))
        good = good and bool((error <= RELATIVE * np.abs(theirs) + ABSOLUTE).all())
    # An oracle that says one thing only would prove little.
    return worst, good and len(values) > 2


def main():
    raddle = pathlib.Path(sys.argv[1]).resolve() / "src" / "cli" / "raddle"
    failed = False
    for title, file, shapes, compared in MODELS:
        path = ROOT / ".cache" / "models" / file
        print(f"\n{title}", flush=True)
        bench = subprocess.run(
            [raddle, "bench", path, "--threads", THREADS, "--seconds", "1", *shape_options(shapes)]
        )
        worst, good = against_oracle(raddle, path, compared)
        print(
            f"against ONNX Runtime {onnxruntime.__version__}: largest error {worst:.2g}, "
            f"{'within' if good else 'OUTSIDE'} {RELATIVE:g} |value| + {ABSOLUTE:g}",
            flush=True,
        )
        failed = failed or bench.returncode != 0 or not good
    print("\nsome value was wrong" if failed else "\nevery value was right")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
