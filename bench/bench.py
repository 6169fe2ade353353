#!/usr/bin/env python3
"""bench.py BUILD [--rounds N] [--seconds S] [NAME]...: Raddle beside ONNX Runtime, in one table.

Each line is one run of bench/compare: rounds in which every peer is measured in turn, on the same
inputs, intra-op width 1. "ratio" is the median of Raddle's rate by the peer's within a round, with
the lowest and highest. Efficiency is ops(2) / (2 ops(1)), both medians. The raw results go to
build/bench-results.json.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# name: (file, shapes, floating-point operations of one call)
MODELS = {
    "linear_8x8_b1": ("linear_8x8.onnx", {"x": "1x8"}, 2 * 8 * 8),
    "linear_512x256_b64": ("linear_512x256.onnx", {"x": "64x512"}, 2 * 64 * 512 * 256),
    "mlp_b1": ("mlp_784_512_512_10.onnx", {"x": "1x784"}, 1_337_344),
    "mlp_b8": ("mlp_784_512_512_10.onnx", {"x": "8x784"}, 8 * 1_337_344),
    "mlp_b64": ("mlp_784_512_512_10.onnx", {"x": "64x784"}, 64 * 1_337_344),
    "ppocr_cls": ("ppocr_cls.onnx", {"x": "1x3x48x192"}, 32_631_000),
}
THREADS = (1, 2)


def run(build, name, threads, options):
    file, shapes, _ = MODELS[name]
    command = [
        build / "bench" / "compare",
        ROOT / ".cache" / "models" / file,
        "--library", ROOT / ".cache" / "ort" / "lib" / "libonnxruntime.so",
        "--threads", threads, "--rounds", options.rounds, "--seconds", options.seconds,
    ]
    for port, dims in shapes.items():
        command += ["--shape", f"{port}={dims}"]
    done = subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE)
    if not done.stdout:
        sys.exit(f"{name}: compare failed")
    return json.loads(done.stdout), done.returncode == 0


def rate(value):
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.2f} k"


def lines(name, result, alone):
    flops = MODELS[name][2]
    threads = result["threads"]
    for peer in result["peers"]:
        ops, ratio, cpu = peer["ops_per_s"], peer["raddle_ratio"], peer["cpu_us"]
        before = alone.get(peer["name"])
        efficiency = f"{ops['median'] / (threads * before):.3f}" if before else "-"
        share = ops["median"] * flops / 1e9 / peer["peak_gflops"]["median"]
        yield (
            f"{name:<20} {threads:>2}  {peer['name']:<12} {rate(ops['median']):>9} "
            f"{ratio['median']:>6.3f} ({ratio['low']:.3f}..{ratio['high']:.3f}) "
            f"{peer['p50_us']['median']:>9.2f} {peer['p99_us']['median']:>9.2f} "
            f"{cpu['median']:>9.2f} {efficiency:>6} {share:>6.1%}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("name", nargs="*", metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_intermixed_args()
    unknown = [name for name in options.name if name not in MODELS]
    if unknown:
        parser.error(f"no model {unknown[0]}")
    results, right = [], True
    print(
        f"{'model':<20} {'T':>2}  {'peer':<12} {'ops/s':>9} {'ratio':>6} {'(low..high)':<14} "
        f"{'p50_us':>9} {'p99_us':>9} {'cpu_us':>9} {'eff.':>6} {'peak':>6}"
    )
    for name in options.name or MODELS:
        alone = {}
        for threads in THREADS:
            result, good = run(options.build, name, threads, options)
            right = right and good
            results.append(dict(result, name=name))
            for line in lines(name, result, alone):
                print(line)
            print(
                f"{'':<20} {result['rounds']} rounds, {result['rounds_left_out']} left out; "
                f"largest error {result['max_error']:.2g}; {result['mismatches']:.0f} mismatches; "
                f"{result['core_gflops']:.0f} GFLOP/s a core"
                f"{'; DISTURBED throughout' if result['disturbed'] else ''}"
                f"{'' if good else '; WRONG'}",
                flush=True,
            )
            if threads == 1:
                alone = {p["name"]: p["ops_per_s"]["median"] for p in result["peers"]}
    path = ROOT / "build" / "bench-results.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"raw results: {path.relative_to(ROOT)}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
