#!/usr/bin/env python3
"""onnx_nodes.py RADDLE [--device NAME] [--docs FILE] [-k WORD]: ONNX's own node tests, run by the command.

The cases are those that the onnx package generates, and the files of an older ONNX that Debian's
package libonnx-testdata installs, with models of older opsets: of both, every case whose operators
Raddle names in src/ops/list.h. A case passes if all outputs have the expected shape, dtype and values (the case's own
tolerances). A case that is refused counts as such only if it is named in REFUSED below, with the reason.
--docs writes the table of operators (docs/conformance.md).
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import itertools
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# Where Debian's package puts the files of ONNX 1.12: a folder a case, in these folders.
OLDER = pathlib.Path("/usr/share/libonnx-testdata/data")
# ONNX's converter leaves the slopes of PRelu, one a channel up to opset 6, as they are.
NOT_RAISED = {"PRelu"}
OLDER_FOLDERS = ("node", "simple", "pytorch-converted", "pytorch-operator")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import environment  # noqa: E402

# What Raddle does not do, by its message: a case that is refused for another reason fails the test.
REFUSED = [
    (r"data type (FLOAT8\w+|FLOAT4\w+|U?INT[24]) is not supported", "elements of type {0}"),
    (r"dtype (b?f16) is not supported", "arithmetic in {0}, which is stored, moved and cast"),
    (r"string( tensors are|\)? is) not supported", "strings"),
    (r"only tensors are supported", "sequences and optional values as inputs"),
    (r"training_mode is not supported", "training"),
]
# Operators whose results are drawn: only dtypes and shapes of such a case are compared.
DRAWN = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli",
         "Multinomial"}


def supported():
    """{operator: [versions]} of src/ops/list.h, without those that passes make."""
    versions = collections.defaultdict(list)
    for name, since in re.findall(r"^RDL__OP\((\w+), (\d+)\)$",
                                  (ROOT / "src/ops/list.h").read_text(), re.M):
        if name not in ("Embedding", "MatMulBias", "Select"):
            versions[name].append(int(since))
    return versions


def operators(graph):
    """Every operator of a graph and its subgraphs, as (domain, name)."""
    import onnx

    for node in graph.node:
        yield node.domain, node.op_type
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from operators(attribute.g)


def opset(model):
    """The version of the default domain that a model asks for; 0: none."""
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)


def subject(case):
    """The operator that a case is about: that of its first node, or of the function it expands."""
    return case.model.graph.node[0].op_type


@dataclasses.dataclass
class OlderCase:
    """A case of files, with the members of onnx's own; tolerances are those of its runner."""

    name: str
    model: object
    data_sets: list
    rtol: float = 1e-3
    atol: float = 1e-7


def load_value(path, port):
    """A value of a file: a tensor, or None for what is no tensor."""
    import onnx

    if port.type.WhichOneof("value") != "tensor_type":
        return None
    return onnx.TensorProto.FromString(path.read_bytes())


def has_bf16(graph):
    """Whether a graph takes or gives bf16: the files of ONNX 1.12 hold it as UINT16, cut where today's
    ONNX rounds, and in shapes that are not the model's."""
    import onnx

    return any(port.type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16
               for ports in (graph.input, graph.output) for port in ports)


def raised(model):
    """A model of an opset that Raddle reads: older ones as ONNX's own converter makes them opset 7; None
    if it cannot."""
    import onnx.version_converter

    if opset(model) >= 7:
        return model
    if any(name in NOT_RAISED for _, name in operators(model.graph)):
        return None
    try:
        return onnx.version_converter.convert_version(model, 7)
    except (RuntimeError, onnx.version_converter.ConvertError):
        return None


def older_cases(word):
    """The cases of files; their names begin with their folder."""
    import onnx

    for folder in OLDER_FOLDERS:
        for path in sorted((OLDER / folder).glob("*/model.onnx")):
            name = f"{folder}/{path.parent.name}"
            if word not in name:
                continue
            model = raised(onnx.load(path))
            if model is None or has_bf16(model.graph):
                continue
            sets = [tuple([load_value(data / f"{kind}_{i}.pb", port) for i, port in enumerate(ports)]
                          for kind, ports in (("input", model.graph.input[:count]),
                                              ("output", model.graph.output)))
                    for data in sorted(path.parent.glob("test_data_set_*"))
                    for count in [len(list(data.glob("input_*.pb")))]]
            yield OlderCase(name, model, sets)


def collect(word):
    """The cases whose operators are all there: those of the onnx package, then the older ones."""
    import onnx.backend.test.case.node as node_cases

    known = supported()
    for case in itertools.chain(node_cases.collect_testcases(None), older_cases(word)):
        model = case.model
        if word not in case.name:
            continue
        version = opset(model)
        names = list(operators(model.graph))
        if version >= 7 and not model.functions and all(
                domain in ("", "ai.onnx") and name in known and min(known[name]) <= version
                for domain, name in names):
            yield case


def arrays(protos, ports):
    """The tensors of a data set as arrays by name; None if one is no tensor that npz can hold. bf16 goes
    as its two bytes, the way its NumPy package stores it."""
    import numpy
    import onnx
    from onnx import numpy_helper

    result = {}
    for proto, port in zip(protos, ports):
        if isinstance(proto, onnx.TensorProto):
            proto = numpy_helper.to_array(proto)
        if not isinstance(proto, (numpy.ndarray, numpy.generic)):
            return None
        proto = numpy.asarray(proto)
        if proto.dtype.name == "bfloat16":
            proto = proto.view("V2")
        elif proto.dtype.name.startswith(("float8", "float4", "int4", "uint4", "int2", "uint2")) or (
                proto.dtype.kind not in "fiub"):
            return None
        result[port.name] = proto
    return result


def differs(got, expected, case):
    """What is wrong with an output; empty if nothing is."""
    import numpy

    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    if got.dtype != expected.dtype:
        return f"dtype {got.dtype}, expected {expected.dtype}"
    if got.dtype.kind == "V":
        import ml_dtypes

        got, expected = (a.view(ml_dtypes.bfloat16).astype(numpy.float32) for a in (got, expected))
    if any(name in DRAWN for _, name in operators(case.model.graph)):
        return ""
    try:
        numpy.testing.assert_allclose(got, expected, rtol=case.rtol, atol=case.atol)
    except AssertionError as trouble:
        return " ".join(str(trouble).split())[:160]
    return ""


def run(raddle, device, case, folder):
    """(verdict, text): passed, refused with the message, or failed with the cause."""
    import numpy

    folder = folder / case.name.replace("/", "-")
    folder.mkdir()
    model = folder / "model.onnx"
    model.write_bytes(case.model.SerializeToString())
    graph = case.model.graph
    for inputs, outputs in case.data_sets:
        given, wanted = arrays(inputs, graph.input), arrays(outputs, graph.output)
        numpy.savez(folder / "in.npz", **(given or {}))
        result = folder / "out.npz"
        command = [raddle, "run", str(model), "--outputs", str(result), "--device", device]
        if given is not None:
            command += ["--inputs", str(folder / "in.npz")]
        try:
            done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=60)
        except subprocess.TimeoutExpired:
            return "failed", "no answer in 60 s"
        if done.returncode:
            message = done.stderr.strip()
            return ("refused" if done.returncode == 1 and reason(message) else "failed"), message
        if given is None or wanted is None:
            return "failed", "values that the command cannot read were not refused"
        with numpy.load(result) as got:
            for port in graph.output:
                if port.name not in got.files:
                    return "failed", f"no output {port.name}"
                fault = differs(got[port.name], wanted[port.name], case)
                if fault:
                    return "failed", f"{port.name}: {fault}"
    return "passed", ""


def reason(message):
    """Why a case is refused; empty if it should not be."""
    for pattern, why in REFUSED:
        found = re.search(pattern, message)
        if found:
            return why.format(*found.groups())
    return ""


def table(results):
    """docs/conformance.md."""
    versions = supported()
    tally = collections.defaultdict(collections.Counter)
    for case, verdict, _ in results:
        tally[subject(case)][verdict] += 1
    total = collections.Counter(verdict for _, verdict, _ in results)
    n = sum(total.values())
    why = collections.defaultdict(list)
    for case, verdict, message in results:
        if verdict != "passed":
            why[reason(message) or message].append(case.name)
    older = sum(isinstance(case, OlderCase) for case, _, _ in results)
    opsets = collections.Counter(opset(case.model) for case, _, _ in results)
    lines = [
        "# ONNX's node tests", "",
        "Made by `tests/conformance/onnx_nodes.py RADDLE --docs docs/conformance.md`; the same script runs",
        f"as a test. {n - older} cases are those that the onnx package generates, and {older} are files of ONNX 1.12",
        "that Debian's package libonnx-testdata installs, with models of older opsets; those below opset 7",
        "are raised to 7 by ONNX's own converter, those of bf16 are left out (ONNX cut then, and rounds now).",
        "Of both, all whose operators are there.", "",
        f"{total['passed']} of {n} cases pass, {total['failed']} fail, {total['refused']} are refused with an error",
        "that names the reason: all of these are listed below. None of them is about a dtype that Raddle computes in.",
        "Of what is drawn by chance only dtypes and shapes are compared.", "",
        "Cases by opset: " + ", ".join(f"{version}: {opsets[version]}" for version in sorted(opsets)) + ".", "",
        "| operator | since versions | cases | passed |", "|---|---|---|---|"]
    for name in sorted(tally):
        count = tally[name]
        lines.append(f"| {name} | {', '.join(map(str, sorted(versions[name])))} | {sum(count.values())} "
                     f"| {count['passed']} |")
    lines += ["", "## Cases that are refused"]
    for text in sorted(why):
        lines += ["", f"### {text}: {len(why[text])} cases", "", ", ".join(sorted(why[text])) + "."]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raddle")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--docs", type=pathlib.Path)
    parser.add_argument("-k", dest="word", default="")
    options = parser.parse_args()
    if not OLDER.exists():
        print(f"SKIP: no files of older opsets: {OLDER} is not installed")
    cases = list(collect(options.word))
    results = []
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        work = [pool.submit(run, options.raddle, options.device, case, pathlib.Path(folder))
                for case in cases]
        for case, job in zip(cases, work):
            results.append((case, *job.result()))
    bad = 0
    for number, (case, verdict, text) in enumerate(results, 1):
        fine = verdict in ("passed", "refused")
        bad += not fine
        if verdict != "passed":
            print(f"# {case.name}: {verdict}: {text}")
        print(f"{'ok' if fine else 'not ok'} {number} - {case.name}")
    print(f"1..{len(results)}")
    count = collections.Counter(verdict for _, verdict, _ in results)
    print(f"# {count['passed']} passed, {count['refused']} refused, {count['failed']} failed")
    if options.docs:
        options.docs.write_text(table(results))
    return 1 if bad or not results else 0


if __name__ == "__main__":
    environment.enter("numpy", "onnx")
    sys.exit(main())
