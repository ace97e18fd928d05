#!/usr/bin/env python3
"""What an instruction costs before it computes anything: chains of tiny instructions of several kernel families.

    python3 bench/dispatch.py --build build/release

For each family a chain of 50 and one of 550 equal steps on a few elements are compiled and run by floe-bench; the
difference of their medians over that of their instructions is the cost of one instruction, its kernel's few elements included. The target of
100 ns is for what the runtime adds, so a row that meets it with its kernel meets it. Needs onnx and numpy.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SHORT, LONG, LIMIT_NS = 50, 550, 100.0


def softmax(i, x):
    """Softmax over four elements."""
    return 4, [helper.make_node("Softmax", [x], [f"y{i}"], axis=1)], {}


def layer_norm(i, x):
    """Layer norm over eight elements."""
    scale = {"s": np.linspace(0.5, 1.5, 8), "b": np.linspace(-1, 1, 8)}
    return 8, [helper.make_node("LayerNormalization", [x, "s", "b"], [f"y{i}"], axis=-1)], scale


def gemm(i, x):
    """A product of one row with a 16 x 16 matrix."""
    weights = np.random.default_rng(i).standard_normal((16, 16)) / 4
    return 16, [helper.make_node("MatMul", [x, f"w{i}"], [f"y{i}"])], {f"w{i}": weights}


def reduce_then_pointwise(i, x):
    """A maximum of four elements, then a subtraction that broadcasts it."""
    return 4, [helper.make_node("ReduceMax", [x], [f"m{i}"], axes=[1], keepdims=1),
               helper.make_node("Sub", [x, f"m{i}"], [f"y{i}"])], {}


def write(kind, count, path):
    """The ONNX model of a chain of `count` steps; a step is (elements, nodes, constants) of its number and input."""
    nodes, constants, x = [], {}, "x"
    for i in range(count):
        elements, more, weights = kind(i, x)
        nodes += more
        constants |= weights
        x = f"y{i}"
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, elements])
    tensors = [numpy_helper.from_array(np.asarray(w, np.float32), name) for name, w in constants.items()]
    graph = helper.make_graph(nodes, kind.__name__, [value("x")], [value(x)], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with open(path, "wb") as f:
        f.write(model.SerializeToString())


def measure(build, kind, count, folder):
    """(instructions, median nanoseconds of a run)."""
    base = os.path.join(folder, f"{kind.__name__}{count}")
    write(kind, count, base + ".onnx")
    run = lambda *command: subprocess.run(command, check=True, capture_output=True, text=True).stdout
    run(os.path.join(build, "tools", "floec"), base + ".onnx", "-o", base + ".floe")
    program = json.loads(run(os.path.join(build, "tools", "floe"), "inspect", "--json", base + ".floe"))
    result = json.loads(run(os.path.join(build, "bench", "floe-bench"), base + ".floe", "--min-time", "0.3", "--json"))
    return len(program["instructions"]), result["latency_ms"]["p50"] * 1e6


def main(argv):
    """The command; returns 1 if a row is over the limit."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build/release", help="build folder")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    args = p.parse_args(argv)
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in (softmax, layer_norm, gemm, reduce_then_pointwise):
            (few, short), (many, long) = (measure(args.build, kind, n, folder) for n in (SHORT, LONG))
            rows[kind.__name__] = {"ns": (long - short) / (many - few), "instructions": many, "what": kind.__doc__}
    if args.json:
        print(json.dumps(rows))
    else:
        print(f"{'ns':>7}  an instruction")
        for name, row in rows.items():
            print(f"{row['ns']:7.1f}  {name}: {row['what']}" + ("" if row["ns"] <= LIMIT_NS else "  OVER 100 ns"))
    return 0 if all(row["ns"] <= LIMIT_NS for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
