#!/usr/bin/env python3
"""python_threads.py MODELS [--seconds S] [--threads 1,2,4,8,31] [--peer] [--json]: models called from Python threads.

Each thread has data of its own, made before; threads start at a barrier and call for S seconds; the median of
three such windows counts. Every eighth answer is compared, bit for bit, with that of the call made alone.
efficiency is ops_per_s over those of one thread, times the lesser of threads and cores. --peer runs onnxruntime
(one thread a call) in windows that alternate with Raddle's. Exits with 1 if an answer differs.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import threading
import time

import numpy

import raddle

CASES = [
    ("PP-OCR text direction, 1x3x48x192", "ppocr_cls.onnx", (1, 3, 48, 192)),
    ("nn.Linear 512 -> 256, batch 64", "linear_512x256.onnx", (64, 512)),
]
WINDOWS = 3
COMPARE_EACH = 8


def raddle_caller(path):
    return raddle.load(path)


def onnxruntime_caller(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    return lambda x: session.run(None, {port.name: x})[0]


class Window:
    """Threads that call until a time is over."""

    def __init__(self, call, inputs, wanted, seconds):
        self.call, self.inputs, self.wanted, self.seconds = call, inputs, wanted, seconds
        self.counts = [0] * len(inputs)
        self.wrong = [0] * len(inputs)
        self.barrier = threading.Barrier(len(inputs) + 1)

    def serve(self, n):
        call, x, wanted = self.call, self.inputs[n], self.wanted[n].tobytes()
        count = 0
        self.barrier.wait()
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            y = call(x)
            if count % COMPARE_EACH == 0 and y.tobytes() != wanted:
                self.wrong[n] += 1
            count += 1
        self.counts[n] = count

    def run(self):
        threads = [threading.Thread(target=self.serve, args=(n,)) for n in range(len(self.inputs))]
        for thread in threads:
            thread.start()
        self.barrier.wait()
        start = time.perf_counter()
        for thread in threads:
            thread.join()
        return sum(self.counts) / (time.perf_counter() - start), sum(self.wrong)


def measure(callers, shape, counts, seconds):
    """Rows for each caller: (threads, ops/s, efficiency, mismatches)."""
    cores = len(os.sched_getaffinity(0))
    random = numpy.random.default_rng(1)
    inputs = [random.random(shape, "float32") for _ in range(max(counts))]
    wanted = {name: [call(x) for x in inputs] for name, call in callers.items()}
    rows = {name: [] for name in callers}
    base = {}
    for threads in counts:
        found = {name: [] for name in callers}
        wrong = dict.fromkeys(callers, 0)
        for _ in range(WINDOWS):
            for name, call in callers.items():
                rate, mismatches = Window(call, inputs[:threads], wanted[name], seconds).run()
                found[name].append(rate)
                wrong[name] += mismatches
        for name, rates in found.items():
            rate = statistics.median(rates)
            base.setdefault(name, rate / threads)
            efficiency = rate / base[name] / min(threads, cores)
            rows[name].append((threads, rate, efficiency, wrong[name]))
    return rows


def overhead(callers, rounds=9, calls=3000):
    """Microseconds of a call of Linear 8 -> 8 with one row, alternating; the median of the rounds."""
    x = numpy.ones((1, 8), "float32")
    found = {name: [] for name in callers}
    for _ in range(rounds):
        for name, call in callers.items():
            start = time.perf_counter()
            for _ in range(calls):
                call(x)
            found[name].append((time.perf_counter() - start) / calls * 1e6)
    return {name: statistics.median(times) for name, times in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--threads", default="1,2,4,8,31")
    parser.add_argument("--peer", action="store_true", help="onnxruntime beside")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counts = [int(count) for count in options.threads.split(",")]
    makers = {"raddle": raddle_caller}
    if options.peer:
        makers["onnxruntime"] = onnxruntime_caller
    report, wrong = {"models": []}, 0
    for title, file, shape in CASES:
        callers = {name: make(options.models / file) for name, make in makers.items()}
        rows = measure(callers, shape, counts, options.seconds)
        wrong += sum(row[3] for one in rows.values() for row in one)
        report["models"].append({"title": title, "rows": rows})
        if not options.json:
            print(f"\n{title}, from Python")
            for name, lines in rows.items():
                print(f"  {name:12} threads      ops/s  efficiency  mismatches")
                for threads, rate, efficiency, mismatches in lines:
                    print(f"  {'':12} {threads:7} {rate:10.1f} {efficiency:11.3f} {mismatches:11}")
    callers = {name: make(options.models / "linear_8x8.onnx") for name, make in makers.items()}
    report["overhead_us"] = overhead(callers)
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        said = ", ".join(f"{name} {us:.2f} us" for name, us in report["overhead_us"].items())
        print(f"\na call of nn.Linear 8 -> 8 from Python: {said}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
