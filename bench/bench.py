#!/usr/bin/env python3
"""bench.py BUILD [--only speed|load] [NAME]...: Raddle beside ONNX Runtime and OpenVINO, in tables.

speed: each line is one peer of one run of bench/compare: rounds in which every peer is measured in
turn, on the same inputs, intra-op width 1. "ratio" is the median of Raddle's rate by the peer's
within a round, with the lowest and highest; "cpu ratio" the peer's processor time for a call by
Raddle's, which others on the machine disturb less. Efficiency is ops(2) / (2 ops(1)), both medians.
A star marks a run with no undisturbed round.

load: medians of runs of bench/footprint, each engine in a process of its own.

The raw results go to build/bench-results.json.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIBRARIES = {
    "ort": ROOT / ".cache" / "ort" / "lib" / "libonnxruntime.so",
    "openvino": ROOT / ".cache" / "openvino" / "lib" / "libopenvino_c.so",
}
SILERO = ["--shape", "input=1x576", "--shape", "state=2x1x128", "--set", "sr=16000"]
# name: (file, inputs, floating-point operations of one call or None)
MODELS = {
    "linear_8x8_b1": ("linear_8x8", ["--shape", "x=1x8"], 2 * 8 * 8),
    "linear_512x256_b64": ("linear_512x256", ["--shape", "x=64x512"], 2 * 64 * 512 * 256),
    "mlp_b1": ("mlp_784_512_512_10", ["--shape", "x=1x784"], 1_337_344),
    "mlp_b8": ("mlp_784_512_512_10", ["--shape", "x=8x784"], 8 * 1_337_344),
    "mlp_b64": ("mlp_784_512_512_10", ["--shape", "x=64x784"], 64 * 1_337_344),
    "ppocr_cls": ("ppocr_cls", ["--shape", "x=1x3x48x192"], 32_631_000),
    "ppocr_det": ("ppocr_det", ["--shape", "x=1x3x320x320"], None),
    "ppocr_rec": ("ppocr_rec", ["--shape", "x=1x3x48x320"], None),
    "magika": ("magika", ["--shape", "bytes=1x2048", "--range", "bytes=0..256"], None),
    "silero_vad": ("silero_vad", SILERO, None),
    "silero_ifless": ("silero_vad_op18_ifless", SILERO, None),
    "silero_sequence": ("silero_vad_16k_sequence", ["--shape", "input=31x576"], None),
}
THREADS = (1, 2)
# What is loaded: the shared way of each engine; the libraries by the engine's name.
LOADED = {"raddle": None, "ort": LIBRARIES["ort"], "openvino_own": LIBRARIES["openvino"]}


def run(build, program, name, options):
    """The JSON object that a program writes on a model, and whether it was content."""
    file, inputs, _ = MODELS[name]
    command = [build / "bench" / program, ROOT / ".cache" / "models" / f"{file}.onnx"]
    command += inputs + options
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True)
    if not done.stdout:
        return {"error": done.stderr.strip()}, False
    return json.loads(done.stdout), done.returncode == 0


# ---- speed ---------------------------------------------------------------------------------------


def rate(value):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.2f} {unit}"
    return f"{value:.1f}  "


def span(summary):
    return f"{summary['median']:>7.3f} ({summary['low']:.3f}..{summary['high']:.3f})"


def peer_line(name, result, peer, alone):
    threads, flops = result["threads"], MODELS[name][2]
    ops, before = peer["ops_per_s"]["median"], alone.get(peer["name"])
    efficiency = f"{ops / (threads * before):.2f}" if before else "-"
    share = f"{ops * flops / 1e9 / peer['peak_gflops']['median']:.1%}" if flops else "-"
    wrong = peer["mismatches"] > 0 or not peer["within_tolerance"]
    return (
        f"{name:<18}{'*' if result['disturbed'] else ' '} {threads:>2}  {peer['name']:<12} "
        f"{rate(ops):>9} {span(peer['raddle_ratio']):<24} {span(peer['raddle_cpu_ratio']):<24} "
        f"{peer['p50_us']['median']:>9.2f} {peer['p99_us']['median']:>9.2f} "
        f"{peer['cpu_us']['median']:>9.2f} {efficiency:>5} {share:>6}{'  WRONG' if wrong else ''}"
    )


def verdict(result):
    """Raddle beside the peer that has the highest rate, and beside the one that needs the least
    processor time."""
    peers = [peer for peer in result["peers"] if peer["engine"] != "raddle"]
    if not peers:
        return "no peer"
    fast = max(peers, key=lambda peer: peer["ops_per_s"]["median"])
    lean = min(peers, key=lambda peer: peer["cpu_us"]["median"])
    return (
        f"best peer {fast['name']}: ratio {span(fast['raddle_ratio']).strip()}; least processor "
        f"time {lean['name']}: cpu ratio {span(lean['raddle_cpu_ratio']).strip()}"
    )


def print_speed(name, result, alone, good):
    for peer in result["peers"]:
        print(peer_line(name, result, peer, alone))
    print(f"{'':<24}{verdict(result)}")
    for peer, why in result["refused"].items():
        print(f"{'':<24}{peer} cannot: {why[:120]}...")
    error = max(peer["max_error"] for peer in result["peers"])
    print(
        f"{'':<24}{result['rounds']} rounds, {result['rounds_left_out']} left out; largest error "
        f"{error:.2g}; {result['core_gflops']:.0f} GFLOP/s a core; load average "
        f"{result['load_average']:.1f}{'; disturbed throughout' if result['disturbed'] else ''}"
        f"{'' if good else '; WRONG'}",
        flush=True,
    )


def measure_speed(options):
    results, right = [], True
    print(
        f"{'model':<19} {'T':>2}  {'peer':<12} {'ops/s':>9} {'  ratio (low..high)':<24} "
        f"{'cpu ratio (low..high)':<24} {'p50_us':>9} {'p99_us':>9} {'cpu_us':>9} {'eff.':>5} "
        f"{'peak':>6}"
    )
    for name in options.name or MODELS:
        alone = {}
        for threads in THREADS:
            result, good = run(options.build, "compare", name, [
                "--ort", LIBRARIES["ort"], "--openvino", LIBRARIES["openvino"],
                "--threads", threads, "--rounds", options.rounds, "--seconds", options.seconds,
            ])  # fmt: skip
            right = right and good
            results.append(dict(result, name=name, load_average=os.getloadavg()[0]))
            if "error" in result:
                print(f"{name:<19} {threads:>2}  {result['error']}", flush=True)
                continue
            print_speed(name, results[-1], alone, good)
            if threads == 1:
                alone = {p["name"]: p["ops_per_s"]["median"] for p in result["peers"]}
    return results, right


# ---- load time and memory ------------------------------------------------------------------------


def footprint(build, name, peer, runs):
    library = LOADED[peer]
    arguments = ["--peer", peer] + (["--library", library] if library else [])
    samples = []
    for _ in range(runs):
        sample, good = run(build, "footprint", name, arguments)
        if not good:
            return sample
        samples.append(sample)
    return {
        key: {"median": statistics.median(values), "low": min(values), "high": max(values)}
        for key in samples[0]
        for values in [[sample[key] for sample in samples]]
    }


def measure_load(options):
    results, right = [], True
    print(
        f"{'model':<18} {'peer':<13} {'load_ms (low..high)':<26} {'cpu_ms':>8} {'first_ms':>9} "
        f"{'start_MiB':>9} {'load_MiB':>9} {'10 calls':>9}"
    )
    for name in options.name or MODELS:
        for peer in LOADED:
            result = footprint(options.build, name, peer, options.runs)
            results.append(dict(result, name=name, peer=peer))
            if "error" in result:
                right = right and peer != "raddle"
                print(f"{name:<18} {peer:<13} {result['error'][:120]}", flush=True)
                continue
            load = result["load_ms"]
            times = f"{load['median']:8.1f} ({load['low']:.1f}..{load['high']:.1f})"
            print(
                f"{name:<18} {peer:<13} {times:<26} {result['load_cpu_ms']['median']:>8.1f} "
                f"{result['first_ms']['median']:>9.2f} "
                f"{result['start_mib']['median']:>9.1f} {result['load_mib']['median']:>9.1f} "
                f"{result['calls_mib']['median']:>9.1f}",
                flush=True,
            )
    return results, right


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("name", nargs="*", metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("--only", choices=("speed", "load"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--runs", type=int, default=5, help="processes for load time and memory")
    options = parser.parse_intermixed_args()
    unknown = [name for name in options.name if name not in MODELS]
    if unknown:
        parser.error(f"no model {unknown[0]}")
    results, right = {}, True
    for what, measure in (("speed", measure_speed), ("load", measure_load)):
        if options.only in (None, what):
            results[what], good = measure(options)
            right = right and good
    path = ROOT / "build" / "bench-results.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"raw results: {path.relative_to(ROOT)}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
