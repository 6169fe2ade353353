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
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="raddle make_models"
    )
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


MODELS = {
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
