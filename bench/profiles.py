#!/usr/bin/env python3
"""profiles.py BUILD [--docs FILE] [--runs N] [NAME]...: where the time of each model goes.

Each model is run once by `raddle bench` on one thread, which gives the time of a call and the peak of
fused multiply-adds of a core beside it, and once by `raddle run --trace`, which times every step. Shares
are of the highest peak of the whole run. --docs writes the page; without it it is printed.
"""

import argparse
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile

from bench import MODELS, ROOT, SILERO

SILERO_16K = SILERO[:SILERO.index("--set")]
# The cases of bench.py, and the models that it leaves out.
CASES = {
    **MODELS,
    "silero_op15": ("silero_vad_16k_op15", SILERO, None),
    "silero_half": ("silero_vad_half", SILERO_16K, None),
    "silero_openvino": ("silero_vad_openvino_16k", SILERO_16K, None),
    "control": ("control", ["--shape", "x=32x8"], None),
}
# Rows of a model: so many, or fewer if these have so much of the time.
MOST_ROWS = 8
SHARE_OF_ROWS = 0.9
# Below so many operations for each byte that it touches, reading bounds a step and not arithmetic.
FEW_OPERATIONS = 4.0


@dataclasses.dataclass
class Line:
    """A node with all its steps, or all nodes of an operator."""

    op: str
    node: str = ""
    shapes: str = ""
    us: float = 0.0
    flop: float = 0.0
    bytes: float = 0.0
    calls: int = 0
    nodes: int = 0
    deferred: bool = False

    def add(self, args, us):
        self.us += us
        self.flop += args.get("flop", 0)
        self.bytes += args["bytes"]


@dataclasses.dataclass
class Profile:
    name: str
    inputs: str
    call_us: float  # of a whole call, median
    own_peak: float  # GFLOP/s of a core beside the model's calls
    nodes: list
    operators: list
    peak: float = 0.0  # the highest of the run

    @property
    def disturbed(self):
        """Whether others had a part of the core while the model ran."""
        return self.own_peak < 0.8 * self.peak

    @property
    def us(self):
        return sum(line.us for line in self.nodes)

    @property
    def flop(self):
        return sum(line.flop for line in self.nodes)


# ---- measuring -----------------------------------------------------------------------------------


def inputs_of(name):
    """A case's options but ranges, which bench/compare alone has: the command's integers are 0..9."""
    words = CASES[name][1]
    pairs = [words[i:i + 2] for i in range(0, len(words), 2)]
    return [word for pair in pairs if pair[0] != "--range" for word in pair]


def command(build, name, *words):
    file, inputs = CASES[name][0], inputs_of(name)
    return [build / "src" / "cli" / "raddle", words[0], ROOT / ".cache" / "models" / f"{file}.onnx",
            *inputs, *words[1:]]


def run(words):
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"exit status {done.returncode}")
    return done.stdout


def gather(events):
    """Lines of the nodes, then of the operators, the slowest first."""
    nodes, operators, before = [], {}, None
    for event in events:
        if event["ph"] != "X":
            continue
        args, op = event["args"], event["name"]
        key = (op, args["node"], args.get("index"), event["cat"])
        if key != before:
            name = args["node"] or (f"#{args['index']}" if "index" in args else "")
            nodes.append(Line(op, name, args["shapes"], calls=int(args["calls"]),
                              deferred=event["cat"] == "deferred"))
            operators.setdefault(op, Line(op)).nodes += 1
        before = key
        nodes[-1].add(args, event["dur"])
        operators[op].add(args, event["dur"])
    slow = lambda line: -line.us  # noqa: E731
    return sorted(nodes, key=slow), sorted(operators.values(), key=slow)


def best_peak(build):
    """The highest peak of a core of some short looks: others rarely take part in all of them."""
    looks = [json.loads(run(command(build, "linear_8x8_b1", "bench", "--threads", "1", "--seconds",
                                    "0.01", "--json"))) for _ in range(20)]
    return max(max(look["core_gflops"], look["rows"][0]["peak_gflops"]) for look in looks)


def measure(build, name, runs, seconds):
    result = json.loads(run(command(build, name, "bench", "--threads", "1", "--seconds",
                                    str(seconds), "--json")))
    row = result["rows"][0]
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder) / "trace.json"
        run(command(build, name, "run", "--trace", trace, "--runs", str(runs)))
        nodes, operators = gather(json.loads(trace.read_text())["traceEvents"])
    given = [word for word in inputs_of(name) if "=" in word]
    own = max(row["peak_gflops"], result["core_gflops"])
    return Profile(name, ", ".join(given), row["p50_us"], own, nodes, operators), result


# ---- the page ------------------------------------------------------------------------------------


def time_text(us):
    return f"{us / 1000:.2f} ms" if us >= 1000 else f"{us:.2f} us"


def rate(line):
    return line.flop / line.us / 1e3 if line.flop and line.us else 0.0


def cells(line, profile):
    """Share of the time, time, GFLOP/s, share of the peak, GB/s."""
    gflops = rate(line)
    return (f"{line.us / profile.us:.1%} | {time_text(line.us)} | "
            f"{f'{gflops:.1f}' if gflops else '-'} | "
            f"{f'{gflops / profile.peak:.0%}' if gflops else '-'} | "
            f"{line.bytes / line.us / 1e3 if line.us else 0:.1f}")


def short(text, most):
    return text if len(text) <= most else "..." + text[3 - most:]


def sentence(profile):
    """Where the time goes, in words."""
    first = profile.operators[0]
    parts = [f"{first.op} has {first.us / profile.us:.0%} of the time"
             + (f" in {first.nodes} nodes" if first.nodes > 1 else "")
             + (f", at {rate(first) / profile.peak:.0%} of the peak" if first.flop else "")]
    counted = [line for line in profile.nodes if line.flop]
    spent = sum(line.us for line in counted)
    if counted:
        text = f"all products together have {spent / profile.us:.0%}"
        text += f" at {profile.flop / spent / 1e3 / profile.peak:.0%} of the peak"
        waiting = sum(line.us for line in counted if line.flop < FEW_OPERATIONS * line.bytes)
        if waiting > 0.2 * spent:
            text += (f" ({waiting / spent:.0%} of that in products with fewer than {FEW_OPERATIONS:.0f} "
                     "operations for a byte, which reading bounds)")
        parts.append(text)
    others = [line for line in profile.operators if not line.flop and line is not first]
    if others and profile.us - spent > 0.05 * profile.us:
        parts.append(f"of the rest {others[0].op} has the most, {others[0].us / profile.us:.0%}")
    if any(line.deferred for line in profile.nodes):
        late = sum(line.us for line in profile.nodes if line.deferred)
        parts.append(f"{late / profile.us:.0%} is run node by node, since shapes hang on data")
    return "; ".join(parts) + "."


def section(profile):
    lines = [
        f"## {profile.name}", "",
        f"{CASES[profile.name][0]}.onnx; {profile.inputs}. A call takes {time_text(profile.call_us)}"
        + (" (others were at work)" if profile.disturbed else "")
        + f", its steps one by one {time_text(profile.us)}; {profile.flop / 1e9:.4g} GFLOP of products, "
        f"{profile.flop / profile.call_us / 1e3:.1f} GFLOP/s in a call, "
        f"{profile.flop / profile.call_us / 1e3 / profile.peak:.0%} of the peak of {profile.peak:.0f}.",
        "", sentence(profile), "",
        "| share | time | GFLOP/s | of peak | GB/s | operator | node | shapes |",
        "|---|---|---|---|---|---|---|---|"]
    told = 0.0
    for line in profile.nodes[:MOST_ROWS]:
        if told >= SHARE_OF_ROWS * profile.us:
            break
        told += line.us
        calls = f" x {line.calls}" if line.calls > 1 else ""
        lines.append(f"| {cells(line, profile)} | {line.op}{calls} | {short(line.node, 32)} "
                     f"| {short(line.shapes, 56)} |")
    lines += ["", "By operator: " + ", ".join(
        f"{line.op} {line.us / profile.us:.0%}" for line in profile.operators[:6]) + ".", ""]
    return lines


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def warning(profiles):
    """A line where the peak cannot be right: something was faster."""
    fastest = max(rate(line) for one in profiles for line in one.nodes)
    if fastest <= profiles[0].peak:
        return []
    return [f"**Others were at work: a step reached {fastest:.0f} GFLOP/s, more than the peak that was "
            "measured. Shares of the peak are too high.**", ""]


def page(result, profiles):
    lines = [
        "# Profiles", "",
        "Made by `make profiles` (bench/profiles.py). For each model: the time of a call on one thread, and",
        "where it goes when its steps are run one by one, each waited for and timed (medians). GFLOP counts",
        "products, convolutions and recurrences, two for a multiply-add; the peak is that of a loop of fused",
        "multiply-adds on one core, the highest of many short ones beside the models. A model",
        "whose own peak was below 80 % of it is marked: others had a part of the core. GB/s counts all that",
        "a step reads and writes, weights included, once. Below a few microseconds a step's time is mostly",
        "that of the clock and the step itself: shares of small models say little.", "",
        *warning(profiles),
        f"Machine: {processor()}, {result['cores']} cores, instruction set {result['isa']}; "
        f"peak {profiles[0].peak:.0f} GFLOP/s a core.", "",
        "| model | input | call | GFLOP | GFLOP/s | of peak | most time |", "|---|---|---|---|---|---|---|"]
    for one in profiles:
        gflops = one.flop / one.call_us / 1e3
        top = one.operators[0]
        lines.append(f"| {one.name} | {one.inputs} | {time_text(one.call_us)} | {one.flop / 1e9:.4g} "
                     f"| {gflops:.1f} | {gflops / one.peak:.0%} | {top.op} {top.us / one.us:.0%} |")
    lines.append("")
    for one in profiles:
        lines += section(one)
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--docs", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    unknown = set(options.names) - set(CASES)
    if unknown:
        parser.error(f"no model {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    profiles = []
    for name in options.names or CASES:
        print(f"profiling {name}", file=sys.stderr)
        try:
            profile, result = measure(options.build, name, options.runs, options.seconds)
            profiles.append(profile)
        except RuntimeError as trouble:
            print(f"{name}: {trouble}", file=sys.stderr)
            return 1
    highest = max(best_peak(options.build), *(one.own_peak for one in profiles))
    for profile in profiles:
        profile.peak = highest
    text = page(result, profiles)
    if options.docs:
        options.docs.write_text(text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
