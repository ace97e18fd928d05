#!/usr/bin/env python3
"""Writes models/quantized: width-reduced twins quantised by ONNX Runtime's tool, and its own outputs for them.

    python3 models/make_quantized.py [NAME...]

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
from recipes.builder import GraphBuilder

ROOT = os.path.dirname(os.path.abspath(__file__))
IMAGE = ["--size", "64", "--classes", "100"]
BERT = ["--hidden", "64", "--heads", "4", "--ffn", "128", "--layers", "2", "--vocab", "100", "--max-position", "32",
        "--length", "9"]
LSTM = ["--hidden", "48", "--vocab", "90", "--length", "7"]


def functions(path):
    """A small convolutional network of what is a table, a mean or a join of bytes."""
    g = GraphBuilder("functions", 17, 1)
    x = g.conv(g.input("image", [1, 3, 24, 20]), 16, 3, "stem")
    silu = g.node("Mul", [x, g.node("Sigmoid", [x], "gate")], "silu")
    g.variance[silu], g.spatial[silu] = 0.4, g.spatial[x]
    small = g.node("AveragePool", [silu], "shrink", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    g.variance[small], g.spatial[small] = 0.1, (16, 12, 10)
    left = g.node("HardSwish", [g.conv(small, 12, 1, "left")], "left_swish")
    right = g.node("LeakyRelu", [g.conv(small, 20, 3, "right")], "right_leaky", alpha=0.1)
    both = g.node("Concat", [left, right], "both", axis=1)
    g.variance[both], g.spatial[both] = 0.6, (32, 12, 10)
    g.output(g.classifier(both, 50, "head", 0.3), "scores", [1, 50])
    write_whole(path, g.model().SerializeToString())


def attention(path):
    """Two transformer layers as ONNX Runtime's transformer optimiser writes them."""
    width, heads, rows = 32, 4, 9
    g = GraphBuilder("attention", 17, 1)
    ids, segments, mask = (g.input(n, [2, rows], "int64") for n in ("ids", "types", "mask_with_holes"))
    small = [g.node("Cast", [v], v + "_i32", to=6) for v in (ids, segments, mask)]
    microsoft = dict(domain="com.microsoft")
    norm = lambda n: [g.spread(n + ".weight", (width,), 0.75, 1.25), g.weight(n + ".bias", (width,), 0.1)]
    tables = [g.weight(n, (size, width), 1.0) for n, size in (("words", 90), ("places", 16), ("segments", 2))]
    x, _ = g.node("EmbedLayerNormalization", [*small[:2], *tables, *norm("embed"), small[2]], "embed", outputs=2,
                  **microsoft)
    for i in range(2):
        inputs = [x, g.weight(f"qkv{i}", (width, 3 * width), width ** -0.5), g.weight(f"qkv{i}.bias", (3 * width,), 0.1)]
        y = g.node("Attention", inputs + ([small[2]] if i == 0 else []), f"attention{i}", num_heads=heads,
                   unidirectional=i, **microsoft)
        x = g.node("SkipLayerNormalization", [x, y, *norm(f"norm{i}")], f"norm{i}", **microsoft)
    g.output(g.dense(x, width, 40, "head"), "scores", [2, rows, 40])
    model = g.model()
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    write_whole(path, model.SerializeToString())


# name, recipe or what writes the model, form, activations
TWINS = [
    ("resnet18.qdq", ["resnet18", "--width", "0.125", *IMAGE], "qdq", "u8"),
    ("resnet18.qoperator", ["resnet18", "--width", "0.125", *IMAGE], "qoperator", "u8"),
    ("resnet18.i8", ["resnet18", "--width", "0.125", *IMAGE], "qdq", "i8"),
    ("resnet50.qdq", ["resnet50", "--width", "0.0625", *IMAGE], "qdq", "u8"),
    ("mobilenetv2.qdq", ["mobilenetv2", "--width", "0.125", *IMAGE], "qdq", "u8"),
    ("mobilenetv2.qoperator", ["mobilenetv2", "--width", "0.125", *IMAGE], "qoperator", "u8"),
    ("bert.dynamic", ["bert-base", *BERT], "dynamic", "u8"),
    ("lstm.dynamic", ["lstm-lm", *LSTM], "dynamic", "u8"),
    ("functions.qdq", functions, "qdq", "u8"),
    ("functions.qoperator", functions, "qoperator", "u8"),
    ("attention.dynamic", attention, "dynamic", "u8"),
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
        elif "holes" in value.name:
            feeds[value.name] = (normal > -0.8).astype(np.int64)
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
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            floats, path = os.path.join(scratch, "floats.onnx"), os.path.join(folder, name + ".onnx")
            if callable(recipe):
                recipe(floats)
            else:
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
