#!/usr/bin/env python3
"""command.py RADDLE MODELS: the command as its user types it.

Needs NumPy and the models, which tools/setup brings; it starts itself again with the Python that
has them.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


class Cases:
    def __init__(self, raddle, models, folder):
        self.raddle, self.models, self.folder = raddle, models, folder
        self.linear = models / "linear_8x8.onnx"

    def call(self, *arguments, status=0):
        done = subprocess.run(
            [str(part) for part in (self.raddle, *arguments)],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
        )
        expect(
            done.returncode == status,
            f"{' '.join(map(str, arguments))}: exit status {done.returncode}, not {status}\n"
            f"{done.stdout}{done.stderr}",
        )
        return done

    def refused(self, *arguments, says, status=1):
        """The fault is one line that starts with the command's name and says what is wrong."""
        done = self.call(*arguments, status=status)
        lines = done.stderr.splitlines()
        if status == 1:
            expect(len(lines) == 1, f"{len(lines)} lines: {done.stderr}")
        expect(lines[0].startswith("raddle"), done.stderr)
        expect(says in done.stderr, f"{says!r} is not in: {done.stderr}")

    def npz(self, name, **arrays):
        path = self.folder / name
        np.savez(path, **arrays)
        return path

    def weights(self):
        graph = onnx.load(self.linear).graph
        return [onnx.numpy_helper.to_array(one) for one in graph.initializer]

    # ---- run ---------------------------------------------------------------------------------

    def run_given_inputs_right(self):
        weight, bias = self.weights()
        x = np.random.default_rng(3).uniform(-1, 1, (5, 8)).astype(np.float32)
        out = self.folder / "out.npz"
        self.call("run", self.linear, "--inputs", self.npz("x.npz", x=x), "--outputs", out)
        with np.load(out) as archive:
            expect(archive.files == ["y"], archive.files)
            expect(np.allclose(archive["y"], x @ weight.T + bias, rtol=1e-4, atol=1e-5), "values")

    def run_fortran_order_same(self):
        x = np.random.default_rng(4).uniform(-1, 1, (5, 8)).astype(np.float32)
        answers = []
        for name, array in (("c", x), ("f", np.asfortranarray(x))):
            out = self.folder / f"{name}_out.npz"
            path = self.npz(f"{name}_in.npz", x=array)
            self.call("run", self.linear, "--inputs", path, "--outputs", out)
            with np.load(out) as archive:
                answers.append(archive["y"].tobytes())
        expect(answers[0] == answers[1], "Fortran order gives another answer")

    def run_compressed_archive_read(self):
        path = self.folder / "small.npz"
        np.savez_compressed(path, x=np.zeros((2, 8), np.float32))
        self.call("run", self.linear, "--inputs", path)

    def run_seed_repeats(self):
        said = [
            self.call("run", self.linear, "--shape", "x=3x8", "--seed", seed).stdout
            for seed in (1, 1, 2)
        ]
        expect(said[0] == said[1] and said[0] != said[2], "seeds")
        expect("3x8" in said[0], said[0])

    def run_sim_same_as_cpu(self):
        answers = []
        for device in ("cpu", "sim"):
            out = self.folder / f"{device}.npz"
            self.call("run", self.linear, "--shape", "x=3x8", "--device", device, "--outputs", out)
            with np.load(out) as archive:
                answers.append(archive["y"].tobytes())
        expect(answers[0] == answers[1], "sim and cpu differ")

    def run_faults_named(self):
        missing = self.folder / "missing.onnx"
        self.refused("run", missing, says="missing.onnx")
        text = self.folder / "text.onnx"
        text.write_text("this is no model")
        self.refused("run", text, says="text.onnx")
        self.refused("run", self.linear, "--shape", "z=1x8", says="it has x")
        self.refused("run", self.linear, "--shape", "x=1x9", says="[batch, 8]")
        self.refused("run", self.linear, "--device", "abacus", says="abacus")
        self.refused("run", self.linear, "--outputs", self.folder / "no" / "o.npz", says="o.npz")

    def run_bad_archives_refused(self):
        good = self.npz("good.npz", x=np.zeros((2, 8), np.float32))
        content = good.read_bytes()
        bad = self.folder / "bad.npz"
        bad.write_bytes(content[:-30])
        self.refused("run", self.linear, "--inputs", bad, says="bad.npz")
        # The data of the array: its checksum no longer fits.
        place = content.index(b"NUMPY") + 140
        bad.write_bytes(content[:place] + b"\x55" + content[place + 1 :])
        self.refused("run", self.linear, "--inputs", bad, says="bad.npz")
        path = self.npz("other.npz", z=np.zeros(3, np.float32))
        self.refused("run", self.linear, "--inputs", path, says="it has x")
        path = self.npz("wide.npz", x=np.zeros((2, 9), np.float32))
        self.refused("run", self.linear, "--inputs", path, says="x")
        path = self.npz("type.npz", x=np.zeros((2, 8), np.complex64))
        self.refused("run", self.linear, "--inputs", path, says="c8")
        path = self.npz("text.npz", x=np.array([["a"] * 8]))
        self.refused("run", self.linear, "--inputs", path, says="not read")

    def usage_explained(self):
        self.refused(says="command", status=2)
        self.refused("fly", says="fly", status=2)
        self.refused("run", says="MODEL", status=2)
        self.refused("run", self.linear, "--shape", "x", says="NAME=", status=2)
        self.refused("bench", self.linear, "--threads", "0", says="0", status=2)
        self.refused("bench", self.linear, "--seconds", "never", says="never", status=2)
        for command in ((), ("run",), ("bench",)):
            expect("Usage: raddle" in self.call(*command, "--help").stdout, command)
        expect(self.call("--version").stdout.startswith("raddle "), "version")

    # ---- bench -------------------------------------------------------------------------------

    def bench_json_complete(self):
        done = self.call(
            "bench", self.linear, "--threads", "1,3", "--seconds", "0.05", "--json"
        )
        result = json.loads(done.stdout)
        expect([row["threads"] for row in result["rows"]] == [1, 3], done.stdout)
        for row in result["rows"]:
            expect(row["mismatches"] == 0 and row["errors"] == 0, done.stdout)
            expect(row["ops_per_s"] > 0 and row["p50_us"] <= row["p99_us"], done.stdout)
            expect(row["checked"] >= 50 * row["threads"], done.stdout)
        expect(result["distinct_answers"] == 3, done.stdout)

    def bench_table_has_rows(self):
        said = self.call("bench", self.linear, "--threads", "2,1", "--seconds", "0.05").stdout
        heads = ["threads", "ops_per_s", "p50_us", "p99_us", "efficiency", "mismatches", "errors"]
        expect(all(head in said for head in heads), said)
        rows = [line.split()[0] for line in said.splitlines()[2:4]]
        expect(rows == ["2", "1"], said)

    def bench_31_threads_right(self):
        self.call("bench", self.models / "mlp_784_512_512_10.onnx", "--threads", "31",
                  "--shape", "x=3x784", "--seconds", "0.2")


def main():
    raddle, models = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    names = [
        name for name in vars(Cases) if name.split("_")[0] in ("run", "bench", "usage")
    ]
    print(f"1..{len(names)}")
    failed = False
    for number, name in enumerate(names, 1):
        with tempfile.TemporaryDirectory() as folder:
            try:
                getattr(Cases(raddle, models, pathlib.Path(folder)), name)()
                print(f"ok {number} - {name}")
            except (Failed, subprocess.TimeoutExpired) as fault:
                failed = True
                print("\n".join("# " + line for line in str(fault).splitlines()))
                print(f"not ok {number} - {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        import numpy as np
        import onnx
    except ImportError:
        if not PYTHON.exists() or os.environ.get("RADDLE_TEST_PYTHON"):
            print("SKIP: no Python with NumPy and onnx (tools/setup demo)")
            sys.exit(77)
        os.environ["RADDLE_TEST_PYTHON"] = "1"
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    sys.exit(main())
