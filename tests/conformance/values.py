#!/usr/bin/env python3
"""values.py RADDLE MODELS [--docs FILE]: the answers of the command beside ONNX Runtime's.

Every model at several shapes, on cpu with every instruction set of the machine and on sim:
|a - b| <= 1e-4 |b| + 1e-5. Prints a line each with the largest errors; --docs writes them as a table
(docs/values.md). Needs NumPy and ONNX Runtime, which tools/setup brings.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import environment  # noqa: E402

RELATIVE, ABSOLUTE = 1e-4, 1e-5
BATCHES = (1, 3, 5, 8, 13, 64)
VAD = [(n, length, rate) for rate, length in ((16000, 576), (8000, 288)) for n in (1, 2, 5)]
CASES = (
    [("linear_8x8", {"x": (n, 8)}) for n in BATCHES]
    + [("linear_512x256", {"x": (n, 512)}) for n in BATCHES]
    + [("mlp_784_512_512_10", {"x": (n, 784)}) for n in BATCHES]
    + [("control", {"x": (n, 8)}) for n in (1, 3, 8)]
    + [("ppocr_cls", {"x": (n, 3, 48, width)}) for n, width in
       ((1, 192), (3, 192), (8, 192), (1, 320), (5, 64), (13, 100), (64, 192))]
    + [("ppocr_det", {"x": (n, 3, height, width)}) for n, height, width in
       ((1, 320, 320), (2, 96, 160), (1, 32, 224), (3, 64, 64))]
    + [("ppocr_rec", {"x": (n, 3, 48, width)}) for n, width in ((1, 320), (3, 96), (6, 170))]
    + [("magika", {"bytes": (n, 2048)}) for n in (1, 3, 8)]
    + [(name, {"input": (n, length), "state": (2, n, 128), "sr": rate})
       for name in ("silero_vad", "silero_vad_op18_ifless") for n, length, rate in VAD]
    + [("silero_vad_16k_op15", {"input": (n, 576), "state": (2, n, 128), "sr": 16000})
       for n in (1, 2, 5)]
    + [("silero_vad_half", {"input": (n, 576), "state": (2, n, 128)}) for n in (1, 2, 5)]
    + [("silero_vad_openvino_16k", {"input": (1, 576), "state": (2, 1, 128)})]
    + [("silero_vad_16k_sequence", {"input": (n, 576), "h": (1, 1, 128), "c": (1, 1, 128)})
       for n in (1, 4, 31)]
)
PLACES = ("cpu portable", "cpu avx2", "cpu avx512", "sim")
HEAD = "| model | shape | device | largest absolute error | largest relative error |"


def has_isa(wish):
    """Whether the machine has the instruction set."""
    flags = pathlib.Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    needs = {"portable": (), "avx2": (" avx2", " fma"),
             "avx512": (" avx512f", " avx512bw", " avx512dq", " avx512vl")}[wish]
    return all(need in flags for need in needs)


def answers(raddle, model, inputs, folder, place):
    """The outputs of one run of the command."""
    import numpy

    device, _, isa = place.partition(" ")
    outputs = folder / "out.npz"
    done = subprocess.run(
        [raddle, "run", str(model), "--inputs", str(inputs), "--outputs", str(outputs),
         "--device", device],
        env=dict(os.environ, **({"RADDLE_ISA": isa} if isa else {})),
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"exit status {done.returncode}")
    with numpy.load(outputs) as arrays:
        return {name: arrays[name] for name in arrays.files}


def compare(got, expected):
    """(largest absolute error, largest relative error, whether all lie within the bound)."""
    import numpy

    if got.shape != expected.shape or got.dtype != expected.dtype:
        raise RuntimeError(f"{got.dtype} {got.shape}, expected {expected.dtype} {expected.shape}")
    wanted = expected.astype(numpy.float64)
    error = numpy.abs(got.astype(numpy.float64) - wanted)
    within = bool((error <= RELATIVE * numpy.abs(wanted) + ABSOLUTE).all())
    relative = error / numpy.maximum(numpy.abs(wanted), 1e-30)
    return float(error.max()), float(relative.max()), within and bool(numpy.isfinite(got).all())


def case_text(ports):
    """The shapes, and the values of scalars, as a cell of the table."""
    if list(ports) == ["x"]:
        return "x".join(map(str, ports["x"]))
    return " ".join(f"{name}={'x'.join(map(str, port)) if isinstance(port, tuple) else port}"
                    for name, port in ports.items())


def make_inputs(ports, session):
    """Arrays by name: of a seed, or the scalar that is given."""
    import numpy

    generator = numpy.random.default_rng(len(case_text(ports)))
    arrays = {}
    for port in session.get_inputs():
        wanted = ports[port.name]
        if not isinstance(wanted, tuple):
            arrays[port.name] = numpy.array(wanted, numpy.int64)
        elif port.type == "tensor(int32)":
            arrays[port.name] = generator.integers(0, 257, wanted).astype(numpy.int32)
        else:
            arrays[port.name] = generator.uniform(-1, 1, wanted).astype(numpy.float32)
    return arrays


def measure(raddle, models, folder):
    """Yields (model, shapes, place, absolute, relative, fault) for every case."""
    import numpy
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    places = [place for place in PLACES
              if not place.startswith("cpu ") or has_isa(place.split()[1])]
    for name in dict.fromkeys(name for name, _ in CASES):
        path = models / f"{name}.onnx"
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for ports in (ports for case, ports in CASES if case == name):
            arrays = make_inputs(ports, session)
            inputs = folder / "in.npz"
            numpy.savez(inputs, **arrays)
            expected = session.run(None, arrays)
            for place in places:
                absolute = relative = 0.0
                fault = ""
                try:
                    got = answers(raddle, path, inputs, folder, place)
                    for port, right in zip(session.get_outputs(), expected):
                        a, r, within = compare(got[port.name], right)
                        absolute, relative = max(absolute, a), max(relative, r)
                        fault = fault or ("" if within else "outside the bound")
                except (RuntimeError, KeyError, subprocess.TimeoutExpired) as trouble:
                    fault = str(trouble)
                yield name, case_text(ports), place, absolute, relative, fault


def table(rows):
    lines = [
        "# Values beside ONNX Runtime", "",
        "Made by `tests/conformance/values.py RADDLE MODELS --docs docs/values.md`; the same script",
        f"runs as a test. Bound: |a - b| <= {RELATIVE:g} |b| + {ABSOLUTE:g}, where b is ONNX",
        "Runtime's answer. Inputs are uniform in [-1, 1). A large relative error belongs to a value",
        "near zero, whose absolute error the bound holds.", "", HEAD, "|---|---|---|---|---|",
    ]
    lines += [f"| {n} | {s} | {p} | {a:.1e} | {r:.1e} |" for n, s, p, a, r, _ in rows]
    return "\n".join(lines) + "\n"


def cells(text):
    """The first columns of a table: what was measured, without the numbers."""
    return [tuple(part.strip() for part in line.split("|")[1:3])
            for line in text.splitlines() if line.startswith("| ") and not line == HEAD]


def main():
    raddle, models = sys.argv[1], pathlib.Path(sys.argv[2])
    docs = pathlib.Path(sys.argv[4]) if sys.argv[3:4] == ["--docs"] else None
    missing = [name for name, _ in CASES if not (models / f"{name}.onnx").exists()]
    if missing:
        print(f"SKIP: no model {missing[0]} in {models}")
        return 77
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(raddle, models, pathlib.Path(folder)):
            rows.append(row)
            name, shape, place, absolute, relative, fault = row
            verdict = "not ok" if fault else "ok"
            print(f"# {name:20} {shape:12} {place:12} {absolute:.2e} {relative:.2e} {fault}")
            label = "_".join((name, shape, place)).replace(" ", "_").replace("=", "_")
            print(f"{verdict} {len(rows)} - {label}")
    if docs:
        docs.write_text(table(rows))
    stale = not (ROOT / "docs" / "values.md").exists() or set(
        cells((ROOT / "docs" / "values.md").read_text())) != {row[:2] for row in rows}
    print(f"{'not ok' if stale else 'ok'} {len(rows) + 1} - docs_values_has_these_cases")
    print(f"1..{len(rows) + 1}")
    return 1 if stale or any(row[5] for row in rows) else 0


if __name__ == "__main__":
    environment.enter("numpy", "onnxruntime")
    sys.exit(main())
