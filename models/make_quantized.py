#!/usr/bin/env python3
"""Writes models/quantized: width-reduced twins quantised by ONNX Runtime's tool, and its own outputs for them.

    python3 models/make_quantized.py

NAME.onnx and NAME.npz (in/NAME, out/NAME as ONNX Runtime computes them on this machine's CPU with its
integer kernels, and quantum: the step of the outputs, 0 for floats). Needs onnx, onnxruntime and numpy.
"""

import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

import seeded
from make import make, write_whole
from quantize_onnx import quantize

ROOT = os.path.dirname(os.path.abspath(__file__))
IMAGE = ["--size", "64", "--classes", "100"]
BERT = ["--hidden", "64", "--heads", "4", "--ffn", "128", "--layers", "2", "--vocab", "100", "--max-position", "32",
        "--length", "9"]
LSTM = ["--hidden", "48", "--vocab", "90", "--length", "7"]
# name, recipe, form, activations
TWINS = [
    ("resnet18.qdq", ["resnet18", "--width", "0.125", *IMAGE], "qdq", "u8"),
    ("resnet18.qoperator", ["resnet18", "--width", "0.125", *IMAGE], "qoperator", "u8"),
    ("resnet18.i8", ["resnet18", "--width", "0.125", *IMAGE], "qdq", "i8"),
    ("resnet50.qdq", ["resnet50", "--width", "0.0625", *IMAGE], "qdq", "u8"),
    ("mobilenetv2.qdq", ["mobilenetv2", "--width", "0.125", *IMAGE], "qdq", "u8"),
    ("mobilenetv2.qoperator", ["mobilenetv2", "--width", "0.125", *IMAGE], "qoperator", "u8"),
    ("bert.dynamic", ["bert-base", *BERT], "dynamic", "u8"),
    ("lstm.dynamic", ["lstm-lm", *LSTM], "dynamic", "u8"),
]


def inputs_of(model, seed):
    """Seeded inputs for a static model: normal images, small ids, masks of ones."""
    constants = {i.name for i in model.graph.initializer}
    feeds = {}
    for value in model.graph.input:
        if value.name in constants:
            continue
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        normal = seeded.normal(seeded.tensor_seed(seed, value.name), shape)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            feeds[value.name] = normal
        elif "mask" in value.name:
            feeds[value.name] = np.ones(shape, np.int64)
        else:
            feeds[value.name] = (np.abs(normal) * 25).astype(np.int64) % (2 if "type" in value.name else 90)
    return feeds


def quantum_of(model):
    """The scale of the dequantize that makes the model's first output, or 0."""
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers[model.graph.output[0].name]
    return float(constants[node.input[1]]) if node.op_type == "DequantizeLinear" else 0.0


def main():
    """The command."""
    folder = os.path.join(ROOT, "quantized")
    os.makedirs(folder, exist_ok=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    for name, recipe, form, activations in TWINS:
        with tempfile.TemporaryDirectory() as scratch:
            floats, path = os.path.join(scratch, "floats.onnx"), os.path.join(folder, name + ".onnx")
            model, _ = make([*recipe, "-o", floats])
            write_whole(floats, model.SerializeToString())
            quantize(floats, path, form, activations)
        model = onnx.load(path)
        feeds = inputs_of(model, 7)
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))
        arrays = {f"in/{k}": v for k, v in feeds.items()} | {f"out/{k}": v for k, v in outputs.items()}
        np.savez_compressed(os.path.join(folder, name + ".npz"), quantum=np.float32(quantum_of(model)), **arrays)
        print(name, os.path.getsize(path), {k: v.shape for k, v in outputs.items()}, quantum_of(model))
    return 0


if __name__ == "__main__":
    sys.exit(main())
