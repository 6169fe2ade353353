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
sys.path.insert(0, str(ROOT / "tests" / "support"))
import environment  # noqa: E402

GROUPS = ("run", "set", "profile", "inspect", "doctor", "usage", "bench")


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


class Cases:
    def __init__(self, raddle, models, folder):
        self.raddle, self.models, self.folder = raddle, models, folder
        self.linear = models / "linear_8x8.onnx"

    def call(self, *arguments, status=0, **variables):
        done = subprocess.run(
            [str(part) for part in (self.raddle, *arguments)],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
            env={**os.environ, **variables},
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

    def model(self, name, inputs, outputs, nodes):
        """A model of ONNX's own operators; inputs and outputs are (name, dtype, dims)."""
        def infos(ports):
            return [
                onnx.helper.make_tensor_value_info(one, getattr(onnx.TensorProto, dtype), dims)
                for one, dtype, dims in ports
            ]

        graph = onnx.helper.make_graph(
            [onnx.helper.make_node(op, i, o, name=f"{op}_node") for op, i, o in nodes],
            "test", infos(inputs), infos(outputs),
        )
        opset = [onnx.helper.make_opsetid("", 17)]
        path = self.folder / f"{name}.onnx"
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
        return path

    def echo(self, dtype, dims):
        """y = x."""
        return self.model(
            f"echo_{dtype}", [("x", dtype, dims)], [("y", dtype, dims)], [("Identity", ["x"], ["y"])]
        )

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

    def run_fault_names_path_once(self):
        text = self.folder / "text.onnx"
        text.write_text("this is no model")
        for path in (text, self.folder / "missing.onnx", self.folder):
            said = self.call("run", path, status=1).stderr
            expect(said.count(str(path)) == 1, said)
            expect(said.startswith(f"raddle: {path}: "), said)

    def run_no_fusion_same_nodes_as_file(self):
        relu = self.model(
            "relu", [("x", "FLOAT", ["n", 4]), ("w", "FLOAT", [4, 3])], [("y", "FLOAT", ["n", 3])],
            [("MatMul", ["x", "w"], ["p"]), ("Relu", ["p"], ["y"])],
        )
        for arguments, nodes in (((), 1), (("--no-fusion",), 2)):
            found = json.loads(self.call("inspect", relu, "--json", *arguments).stdout)
            expect(len(found["nodes"]) == nodes, found)
            self.call("run", relu, *arguments)

    # ---- set -----------------------------------------------------------------------------------

    def set_of_each_dtype(self):
        cases = [
            ("FLOAT", "0.5,-2", [0.5, -2]), ("DOUBLE", "1e-9,inf", [1e-9, np.inf]),
            ("FLOAT16", "1.0009,65504", [np.float16(1.0009), 65504]),
            ("INT64", "-9223372036854775808,7", [-2**63, 7]), ("INT8", "-128,127", [-128, 127]),
            ("UINT8", "255,0", [255, 0]), ("UINT64", "18446744073709551615,1", [2**64 - 1, 1]),
            ("BOOL", "true,0", [True, False]),
        ]
        for dtype, text, values in cases:
            out = self.folder / "out.npz"
            model = self.echo(dtype, ["n"])
            self.call("run", model, "--set", f"x={text}", "--outputs", out)
            with np.load(out) as archive:
                got = archive["y"]
            expect(got.tolist() == np.array(values, got.dtype).tolist(), f"{dtype}: {got}")

    def set_scalar_and_fill(self):
        scalar = self.echo("INT64", [])
        said = self.call("run", scalar, "--set", "x=16000").stdout
        expect("min 16000  max 16000" in said, said)
        said = self.call("run", self.linear, "--set", "x=0", "--shape", "x=3x8").stdout
        expect("3x8" in said, said)

    def set_faults_named(self):
        model = self.echo("INT8", ["n"])
        self.refused("run", model, "--set", "x=128", says="128 is not in -128..127")
        self.refused("run", model, "--set", "x=1.5", says="'1.5' is not a number")
        self.refused("run", model, "--set", "x=1,,2", says="--set x: '' is not a number")
        self.refused("run", model, "--set", "z=1", says="it has x")
        self.refused("run", model, "--set", "x=1,2", "--shape", "x=3", says="has 3 elements")
        path = self.npz("x.npz", x=np.zeros(2, np.int8))
        self.refused("run", model, "--set", "x=1", "--inputs", path, says="both an array")
        self.refused("run", model, "--set", "x", says="NAME=V", status=2)
        self.refused("run", model, "--set", "x=", says="NAME=V", status=2)

    # ---- profile -------------------------------------------------------------------------------

    def profile_table_complete(self):
        model = self.models / "mlp_784_512_512_10.onnx"
        said = self.call("run", model, "--shape", "x=2x784", "--profile", "--runs", "3").stdout
        for head in ("time_us", "share", "GFLOP/s", "operator", "node", "shapes", "2x784"):
            expect(head in said, said)
        expect("total, of the medians of 3 runs" in said, said)
        table = said.split("time_us")[1].splitlines()[1:]
        times = [float(line.split()[0]) for line in table if line.strip()]
        expect(len(times) >= 3 and times == sorted(times, reverse=True), said)
        self.refused("run", model, "--runs", "3", says="--profile", status=2)
        self.refused("run", model, "--profile", "--runs", "0", says="0", status=2)

    def profile_trace_opens(self):
        for device in ("cpu", "sim"):
            trace = self.folder / "trace.json"
            self.call("run", self.models / "control.onnx", "--shape", "x=5x8", "--trace", trace,
                      "--device", device)
            events = json.loads(trace.read_text())["traceEvents"]
            steps = [event for event in events if event["ph"] == "X"]
            expect({event["ph"] for event in events} == {"X", "M"}, events)
            end = 0
            for step in steps:
                expect(abs(step["ts"] - end) < 1e-6 and step["dur"] > 0, step)
                expect(step["pid"] == 1 and "shapes" in step["args"], step)
                end = step["ts"] + step["dur"]
            expect(any(step["args"]["calls"] > 1 for step in steps), "the loop's nodes")
        self.refused("run", self.linear, "--trace", self.folder / "no" / "t.json", says="t.json")

    # ---- inspect -------------------------------------------------------------------------------

    def inspect_tells_graph_and_plan(self):
        found = json.loads(self.call("inspect", self.linear, "--shape", "x=5x8", "--json").stdout)
        graph = onnx.load(self.linear)
        expect(found["inputs"] == [{"name": "x", "dtype": "f32", "dims": ["batch", 8]}], found)
        expect(found["metadata"]["opset"] == str(graph.opset_import[0].version), found)
        expect(found["metadata"]["producer"].startswith(graph.producer_name), found)
        expect(found["file_nodes"] == len(graph.graph.node), found)
        expect(found["parameters"]["elements"] == 8 * 8 + 8, found)
        expect(found["parameters"]["bytes"] == 4 * (8 * 8 + 8), found)
        expect(sum(one["count"] for one in found["operators"]) == len(found["nodes"]), found)
        plan = found["plan"]
        expect(sum(step["flop"] for step in plan["steps"]) == 2 * 5 * 8 * 8, plan)
        expect(plan["steps"][0]["shapes"].endswith("-> 5x8"), plan)
        places = {buffer["value"]: buffer["place"] for buffer in plan["buffers"]}
        expect(places["x"] == "input" and places["y"] == "output", plan)

    def inspect_without_shapes_asks(self):
        said = self.call("inspect", self.linear).stdout
        expect("[batch, 8]" in said and "--shape x=..." in said, said)
        expect("plan" not in json.loads(self.call("inspect", self.linear, "--json").stdout), "plan")

    def inspect_lists_all_unsupported(self):
        model = self.model(
            "odd", [("x", "FLOAT", [4])], [("z", "FLOAT", [4])],
            [("NoSuchOperator", ["x"], ["y"]), ("Abs", ["y"], ["w"]), ("Unheard", ["w"], ["z"])],
        )
        self.refused("inspect", model, says="NoSuchOperator")
        self.refused("inspect", model, says="Unheard")

    # ---- doctor --------------------------------------------------------------------------------

    def doctor_tells_machine(self):
        said = json.loads(self.call("doctor", "--json", RADDLE_ISA="portable").stdout)
        expect([one["opens"] for one in said["devices"]] == [True, True], said)
        settings = said["settings"]
        expect(settings["isa"] == "portable" and settings["isa_asked"] == "portable", said)
        cores = len(os.sched_getaffinity(0))
        expect(settings["affinity_cores"] == str(cores), said)
        expect(said["environment"]["RADDLE_ISA"] == "portable", said)
        text = self.call("doctor").stdout
        expect(all(f"  {name} " in text for name in settings), text)

    def doctor_complains_of_unknown_isa(self):
        done = self.call("doctor", "--json", status=1, RADDLE_ISA="abacus")
        expect("abacus" in json.loads(done.stdout)["complaint"], done.stdout)
        expect("raddle: warning: RADDLE_ISA=abacus" in done.stderr, done.stderr)
        self.call("run", self.linear, RADDLE_ISA="abacus")

    # ---- use -----------------------------------------------------------------------------------

    def usage_explained(self):
        self.refused(says="command", status=2)
        self.refused("fly", says="fly", status=2)
        self.refused("run", says="MODEL", status=2)
        self.refused("run", self.linear, "--shape", "x", says="NAME=", status=2)
        self.refused("bench", self.linear, "--threads", "0", says="0", status=2)
        self.refused("bench", self.linear, "--seconds", "never", says="never", status=2)
        self.refused("help", "fly", says="fly", status=2)
        self.refused("doctor", "it", says="it", status=2)
        for command in ((), ("run",), ("bench",), ("inspect",), ("doctor",)):
            expect("Usage: raddle" in self.call(*command, "--help").stdout, command)
        expect(self.call("--version").stdout.startswith("raddle "), "version")

    def usage_progress_only_on_terminals(self):
        command = [self.raddle, "bench", self.linear, "--threads", "1", "--seconds", "0.05"]
        expect(self.call(*command[1:]).stderr == "", "progress without a terminal")
        ours, theirs = os.openpty()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=120)
        os.close(theirs)
        shown = os.read(ours, 1 << 16).decode()
        os.close(ours)
        expect(done.returncode == 0 and "row 1 of 1: 1 thread" in shown, shown)
        expect(shown.endswith("\r\033[K"), "the line is left there")

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

    def bench_integers_and_set(self):
        model = self.model(
            "mixed", [("x", "FLOAT", ["n", 4]), ("k", "INT64", [1]), ("b", "BOOL", ["n", 4])],
            [("y", "FLOAT", ["n", 4]), ("z", "INT64", [1])],
            [("Where", ["b", "x", "x"], ["y"]), ("Add", ["k", "k"], ["z"])],
        )
        done = self.call("bench", model, "--set", "k=41", "--shape", "x=3x4", "--shape", "b=3x4",
                         "--threads", "2", "--seconds", "0.05", "--json", "--no-fusion")
        row = json.loads(done.stdout)["rows"][0]
        expect(row["errors"] == 0 and row["mismatches"] == 0 and row["checked"] >= 100, done.stdout)

    def bench_31_threads_right(self):
        self.call("bench", self.models / "mlp_784_512_512_10.onnx", "--threads", "31",
                  "--shape", "x=3x784", "--seconds", "0.2")


def main():
    raddle, models = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    names = [
        name for name in vars(Cases) if name.split("_")[0] in GROUPS
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
    environment.enter("numpy", "onnx")
    import numpy as np
    import onnx

    sys.exit(main())
