#!/usr/bin/env python3
"""onnx_nodes.py RADDLE [--device NAME] [--docs FILE] [-k WORD]: ONNX's own node tests, run by the command.

The cases are those that the onnx package generates, of every operator that Raddle names in
src/ops/list.h. A case passes if all outputs have the expected shape, dtype and values (the case's own
tolerances). A case that is refused counts as such only if it is named in REFUSED below, with the reason.
--docs writes the table of operators (docs/conformance.md).
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import environment  # noqa: E402

# What Raddle does not do, by its message: a case that is refused for another reason fails the test.
REFUSED = [
    (r"data type (FLOAT8\w+|FLOAT4\w+|U?INT[24]) is not supported", "elements of type {0}"),
    (r"dtype (b?f16) is not supported", "arithmetic in {0}, which is stored, moved and cast"),
    (r"(string)( tensors are| is) not supported", "strings"),
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
        if name not in ("MatMulBias", "Select"):
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


def subject(case):
    """The operator that a case is about: that of its first node, or of the function it expands."""
    return case.model.graph.node[0].op_type


def collect(word):
    """The generated cases whose operators are all there."""
    import onnx.backend.test.case.node as node_cases

    known = supported()
    for case in node_cases.collect_testcases(None):
        model = case.model
        if word and word not in case.name:
            continue
        version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
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

    model = folder / f"{case.name}.onnx"
    model.write_bytes(case.model.SerializeToString())
    graph = case.model.graph
    for inputs, outputs in case.data_sets:
        given, wanted = arrays(inputs, graph.input), arrays(outputs, graph.output)
        numpy.savez(folder / f"{case.name}.in.npz", **(given or {}))
        result = folder / f"{case.name}.out.npz"
        command = [raddle, "run", str(model), "--outputs", str(result), "--device", device]
        if given is not None:
            command += ["--inputs", str(folder / f"{case.name}.in.npz")]
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
    lines = [
        "# ONNX's node tests", "",
        "Made by `tests/conformance/onnx_nodes.py RADDLE --docs docs/conformance.md`; the same script runs",
        "as a test. Cases: those that the onnx package generates for the operators that are there.", "",
        f"{total['passed']} of {n} cases pass, {total['failed']} fail, {total['refused']} are refused with an error that",
        "names the reason: all of these are listed below. None of them is about a dtype that Raddle computes in.", "",
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
