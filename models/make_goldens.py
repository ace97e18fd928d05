#!/usr/bin/env python3
"""Writes inputs and ONNX Runtime's outputs for a model, and the stored goldens of the width-reduced twins.

    python3 models/make_goldens.py MODEL.onnx -o golden.npz --dim N=3 --dim T=16
    python3 models/make_goldens.py --all        # models/goldens/*.npz and manifest.json, from golden_table.py's table
    python3 models/make_goldens.py --verify     # compares what ONNX Runtime gives now with what is stored

An .npz holds in/NAME for every input and out/NAME for every output. Inputs come from models/seeded.py: floats
are normal and rounded to multiples of 1/32 (they compress), token ids stay below their table's height, and an
attention_mask has one whole row and shorter ones. Needs onnx, onnxruntime and numpy.
"""

import argparse
import json
import os
import sys

import numpy as np
import onnx
import onnxruntime

import golden_table
import make
import restore_weights
import seeded

HERE = os.path.dirname(os.path.abspath(__file__))


def random_inputs(model, dims, seed=1):
    """{name: array} for the inputs of a ModelProto; `dims` gives the symbolic sizes."""
    weights = {t.name: t for t in model.graph.initializer}
    arrays = {}
    for value in model.graph.input:
        if value.name in weights:
            continue
        tensor = value.type.tensor_type
        try:
            shape = [dims[d.dim_param] if d.dim_param else d.dim_value for d in tensor.shape.dim]
        except KeyError as e:
            raise ValueError(f"{value.name} has a symbolic size: give --dim {e.args[0]}=...") from None
        key = seeded.tensor_seed(seed, value.name)
        if tensor.elem_type == onnx.TensorProto.FLOAT:
            arrays[value.name] = np.round(seeded.normal(key, shape) * 32) / np.float32(32)
        elif value.name == "attention_mask":
            lengths = seeded.integers(key, (shape[0], 1), 1, shape[1] + 1)
            lengths[0] = shape[1]
            arrays[value.name] = (np.arange(shape[1])[None] < lengths).astype(np.int64)
        else:
            high = min((weights[n.input[0]].dims[0] for n in model.graph.node
                        if n.op_type == "Gather" and n.input[1] == value.name and n.input[0] in weights), default=2)
            arrays[value.name] = seeded.integers(key, shape, 0, high)
    return arrays


def run(model, inputs):
    """{name: array} of ONNX Runtime's outputs, without its graph optimisations and on one thread."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def save(path, inputs, outputs):
    """Writes a golden file."""
    arrays = {f"in/{k}": v for k, v in inputs.items()} | {f"out/{k}": v for k, v in outputs.items()}
    np.savez_compressed(path, **arrays)


def error(outputs, golden):
    """The greatest error over all outputs, each relative to the greatest magnitude of the expected one."""
    return max(float(np.abs(outputs[k] - golden[f"out/{k}"]).max() / np.abs(golden[f"out/{k}"]).max())
               for k in outputs)


def load(entry):
    """The ModelProto of a manifest entry."""
    if "make" in entry:
        return make.make(entry["make"] + ["-o", "unused"])[0]
    model = onnx.load(os.path.join(HERE, entry["restore"]))
    restore_weights.restore(model)
    return model


def write_all(directory):
    """Writes every golden file and the manifest."""
    os.makedirs(directory, exist_ok=True)
    entries = golden_table.entries()
    written = set()
    for entry in entries:
        model = load(entry)
        for case in entry["cases"]:
            path = os.path.join(directory, case["file"])
            if path not in written:
                inputs = random_inputs(model, case["dims"])
                save(path, inputs, run(model, inputs))
                written.add(path)
            with np.load(path) as golden:
                case["inputs"] = {k[3:]: list(golden[k].shape) for k in golden if k.startswith("in/")}
    with open(os.path.join(directory, "manifest.json"), "w") as f:
        lines = ",\n".join(json.dumps(entry) for entry in entries)  # one line for each model: readable and small
        f.write(f'{{"models": [\n{lines}\n]}}\n')


def verify(directory):
    """Compares every entry of the manifest with its golden files; returns the number of failures."""
    with open(os.path.join(directory, "manifest.json")) as f:
        entries = json.load(f)["models"]
    failures = 0
    for entry in entries:
        model = load(entry)
        for case in entry["cases"]:
            with np.load(os.path.join(directory, case["file"])) as golden:
                worst = error(run(model, {k: golden["in/" + k] for k in case["inputs"]}), golden)
            bad = not worst <= entry["tolerance"]
            failures += bad
            print(f"{'FAILED' if bad else 'ok':8}{entry['name']:32}{case['file']:40}{worst:.1e}")
    return failures


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="an .onnx file")
    parser.add_argument("-o", "--output", help="the .npz file to write")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=SIZE", help="the size of a symbol")
    parser.add_argument("--seed", type=int, default=1, help="seed of the inputs")
    parser.add_argument("--all", action="store_true", help="write models/goldens")
    parser.add_argument("--verify", action="store_true", help="check models/goldens")
    args = parser.parse_args(argv)
    directory = os.path.join(HERE, "goldens")
    if args.all:
        write_all(directory)
    if args.verify:
        return 1 if verify(directory) else 0
    if args.all:
        return 0
    if not (args.model and args.output):
        parser.error("give MODEL.onnx and -o FILE, or --all, or --verify")
    try:
        dims = {name: int(size) for name, size in (d.split("=", 1) for d in args.dim)}
        model = onnx.load(args.model)
        inputs = random_inputs(model, dims, args.seed)
    except ValueError as e:
        print(f"make_goldens.py: {e}", file=sys.stderr)
        return 2
    except OSError as e:
        print(f"make_goldens.py: cannot read {args.model}: {e.strerror}", file=sys.stderr)
        return 1
    save(args.output, inputs, run(model, inputs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
