#!/usr/bin/env python3
"""make_models.py DIR: write the small models of the tests, the demo and the benchmarks.

Weights come from one seed for each model, so that every machine makes the same file.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def dense(generator, name, inputs, outputs):
    """Weight [outputs, inputs] and bias [outputs] as torch.nn.Linear lays them out."""
    bound = 1 / np.sqrt(inputs)
    weight = generator.uniform(-bound, bound, (outputs, inputs)).astype(np.float32)
    bias = generator.uniform(-bound, bound, outputs).astype(np.float32)
    return [
        numpy_helper.from_array(weight, f"{name}.weight"),
        numpy_helper.from_array(bias, f"{name}.bias"),
    ]


def perceptron(widths, seed):
    """Gemm layers with Relu between them: x [batch, widths[0]] -> y [batch, widths[-1]]."""
    generator = np.random.default_rng(seed)
    nodes, weights = [], []
    value = "x"
    layers = len(widths) - 1
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        last = index == layers - 1
        name = f"fc{index}"
        weights += dense(generator, name, inputs, outputs)
        result = "y" if last else f"{name}.out"
        nodes.append(
            helper.make_node(
                "Gemm",
                [value, f"{name}.weight", f"{name}.bias"],
                [result],
                name=name,
                alpha=1.0,
                beta=1.0,
                transB=1,
            )
        )
        if not last:
            value = f"relu{index}.out"
            nodes.append(helper.make_node("Relu", [result], [value], name=f"relu{index}"))
    graph = helper.make_graph(
        nodes,
        "perceptron",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", widths[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", widths[-1]])],
        weights,
    )
    return finished(graph)


def scalar(name, values, kind=TensorProto.INT64):
    """A constant of rank 1."""
    return helper.make_tensor(name, kind, [len(values)], values)


def control():
    """What hangs on data: x [n, 8] -> y [8 n + 8 + k + 1], where k of x's elements are positive.

    The running sums of the rows (Scan), the running sums of the positive elements (Compress, whose
    result's length is data, and Loop, as often as there are such elements), and the last of these, doubled
    or negated (If).
    """
    f32, i64, flag = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
    value, node = helper.make_tensor_value_info, helper.make_node
    row = helper.make_graph(
        [node("Add", ["sum_in", "slice"], ["sum_out"], name="scan_add"),
         node("Identity", ["sum_out"], ["piece"], name="scan_piece")],
        "scan_body", [value("sum_in", f32, [8]), value("slice", f32, [8])],
        [value("sum_out", f32, [8]), value("piece", f32, [8])])
    step = helper.make_graph(
        [node("Gather", ["positive", "i"], ["item"], name="loop_gather"),
         node("Mul", ["item", "weight"], ["weighted"], name="loop_mul"),
         node("Add", ["acc_in", "weighted"], ["acc_out"], name="loop_add"),
         node("Identity", ["acc_out"], ["acc_piece"], name="loop_piece"),
         node("Identity", ["go_in"], ["go_out"], name="loop_go")],
        "loop_body",
        [value("i", i64, []), value("go_in", flag, []), value("acc_in", f32, [1])],
        [value("go_out", flag, []), value("acc_out", f32, [1]), value("acc_piece", f32, [1])])
    doubled = helper.make_graph([node("Add", ["acc", "acc"], ["doubled"], name="then_add")], "then", [],
                                [value("doubled", f32, [1])])
    negated = helper.make_graph([node("Neg", ["acc"], ["negated"], name="else_neg")], "else", [],
                                [value("negated", f32, [1])])
    nodes = [
        node("Scan", ["zero_row", "x"], ["row", "rows"], name="scan", body=row, num_scan_inputs=1),
        node("Reshape", ["x", "all"], ["flat"], name="flatten"),
        node("Greater", ["flat", "zero"], ["is_positive"], name="greater"),
        node("Compress", ["flat", "is_positive"], ["positive"], name="compress"),
        node("Size", ["positive"], ["count"], name="size"),
        node("Loop", ["count", "", "zero"], ["acc", "accs"], name="loop", body=step),
        node("Greater", ["acc", "three"], ["is_large"], name="is_large"),
        node("If", ["is_large"], ["last"], name="if", then_branch=doubled, else_branch=negated),
        node("Reshape", ["rows", "all"], ["rows_flat"], name="flatten_rows"),
        node("Reshape", ["accs", "all"], ["accs_flat"], name="flatten_accs"),
        node("Concat", ["rows_flat", "row", "accs_flat", "last"], ["y"], name="concat", axis=0),
    ]
    weights = [scalar("all", [-1]), scalar("zero", [0.0], f32), scalar("three", [3.0], f32),
               scalar("weight", [0.75], f32), scalar("zero_row", [0.0] * 8, f32)]
    graph = helper.make_graph(nodes, "control", [value("x", f32, ["n", 8])], [value("y", f32, ["m"])],
                              weights)
    return finished(graph)


def finished(graph):
    """The model of a graph, checked."""
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="raddle make_models"
    )
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


MODELS = {
    "control": control,
    "linear_512x256": lambda: perceptron([512, 256], seed=1),
    "linear_8x8": lambda: perceptron([8, 8], seed=2),
    "mlp_784_512_512_10": lambda: perceptron([784, 512, 512, 10], seed=3),
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in MODELS.items():
        path = folder / f"{name}.onnx"
        partial = path.with_suffix(".part")
        partial.write_bytes(make().SerializeToString(deterministic=True))
        partial.replace(path)


if __name__ == "__main__":
    main()
