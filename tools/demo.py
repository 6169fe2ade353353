#!/usr/bin/env python3
"""demo.py BUILD PYTHON: real models from 1 to 31 threads, every value checked.

`raddle bench` compares the answers of all threads with the sequential run, bit for bit; threads of Python do the
same with the package in the build folder PYTHON, with onnxruntime beside it. Then ten real networks and the made
ones are compared with ONNX Runtime at several shapes, and threads read pictures of text lines with one shared
recogniser; the plot of their rate is also written to BUILD/read_lines.svg. Exits with 1 if anything is wrong.
"""

import os
import pathlib
import re
import subprocess
import sys

import leather
import plotext

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Title, file, shape of a call.
MODELS = [
    ("PP-OCR text direction (1x3x48x192)", "ppocr_cls.onnx", "x=1x3x48x192"),
    ("nn.Linear 512 -> 256, batch 64", "linear_512x256.onnx", "x=64x512"),
]
THREADS = "1,2,4,8,31"


def compare_networks(raddle):
    """Whether the table of values holds: tests/conformance/values.py, one line a model."""
    print("\nten real networks and the made ones beside ONNX Runtime, at several shapes", flush=True)
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "conformance" / "values.py", raddle,
         ROOT / ".cache" / "models"], text=True, stdout=subprocess.PIPE)
    cases, worst = {}, {}
    for name, absolute in re.findall(r"^# (\S+) .* (\S+e[-+]\d+) \S+e[-+]\d+ *$", done.stdout, re.M):
        cases[name] = cases.get(name, 0) + 1
        worst[name] = max(worst.get(name, 0.0), float(absolute))
    for name, count in cases.items():
        print(f"{name:24} {count:3} cases, largest error {worst[name]:.1e}")
    for line in re.findall(r"^not ok .*$", done.stdout, re.M):
        print(line)
    return done.returncode == 0 and len(cases) > 10


def plot(counts, rates, svg):
    """Lines per second by threads: in the terminal, and as a file."""
    plotext.bar([f"{n} threads" for n in counts], rates, orientation="horizontal", width=0.4)
    plotext.title("lines per second")
    plotext.theme("clear")
    plotext.plot_size(72, 12)
    print(plotext.uncolorize(plotext.build()))
    chart = leather.Chart("Text lines per second, by threads that share one model")
    chart.add_columns([(str(n), rate) for n, rate in zip(counts, rates)])
    chart.add_x_axis(name="threads")
    chart.add_y_axis(name="lines per second")
    chart.to_svg(str(svg), width=640, height=360)
    print(f"the same as a picture: {os.path.relpath(svg)}")


def read_lines(program, svg):
    """Threads read pictures of text lines; whether every text was right at every thread count."""
    pictures = sorted((ROOT / ".cache" / "pictures").glob("*.png"))
    cores, counts, rates, good = len(os.sched_getaffinity(0)), [], [], True
    print(f"\n{len(pictures)} pictures of text lines, read by threads that share one PP-OCR recogniser")
    print("threads      lines/s efficiency  cores used  cpu ms/line wrong lines", flush=True)
    starved = False
    for threads in map(int, THREADS.split(",")):
        done = subprocess.run(
            [program, ROOT / ".cache" / "models" / "ppocr_rec.onnx", str(threads), "3", *pictures],
            text=True, stdout=subprocess.PIPE)
        found = re.search(r": (\d+) lines in ([\d.]+) s \(([\d.]+) s of CPU\), ([\d.]+) lines/s, "
                          r"(\d+) wrong", done.stdout)
        if found is None:
            print(f"{program.name} ended with {done.returncode}: {done.stdout.strip()}")
            return False
        count, seconds, cpu, rate, wrong = (float(number) for number in found.groups())
        used, most = cpu / seconds, min(threads, cores)
        mark = "*" if used < 0.8 * most else " "
        starved = starved or mark == "*"
        counts.append(threads)
        rates.append(rate)
        good = good and done.returncode == 0 and wrong == 0
        print(f"{threads:7} {rate:12.1f} {rate / rates[0] / most:10.3f}{mark} {used:10.2f} "
              f"{1000 * cpu / count:12.2f} {wrong:11.0f}", flush=True)
        for line in re.findall(r"^.*: WRONG, .*$", done.stdout, re.M):
            print(line)
    if starved:
        print("* the threads got less than 80 % of the cores that they could use: either others hold the "
              "machine,\n  or they wait for each other; the rate says little then, the CPU time of a line "
              "more")
    texts = re.findall(r"\.png: (.*)", done.stdout)
    print("read: " + " | ".join(texts[:3] + texts[-3:]) + " | ...")
    plot(counts, rates, svg)
    return good


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    raddle = build / "src" / "cli" / "raddle"
    failed = False
    for title, file, shape in MODELS:
        print(f"\n{title}", flush=True)
        bench = subprocess.run([raddle, "bench", ROOT / ".cache" / "models" / file, "--shape", shape,
                                "--threads", THREADS, "--seconds", "1"])
        failed = failed or bench.returncode != 0
    python = subprocess.run(
        [sys.executable, ROOT / "bench" / "python_threads.py", ROOT / ".cache" / "models", "--peer",
         "--threads", THREADS, "--seconds", "0.3"],
        env=dict(os.environ, PYTHONPATH=str(pathlib.Path(sys.argv[2]).resolve() / "python")))
    failed = failed or python.returncode != 0
    failed = not compare_networks(raddle) or failed
    reader = build / "examples" / "example_read_lines"
    failed = not read_lines(reader, build / "read_lines.svg") or failed
    print("\nsome value was wrong" if failed else "\nevery value was right")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
