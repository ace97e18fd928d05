#!/usr/bin/env python3
"""Rebuilds a full .onnx from a graph whose weights were stripped to a seed (models/exported).

    python3 models/restore_weights.py models/exported/resnet50.dynamo18.onnx -o resnet50.onnx

A stripped weight is an initializer with name, type and dims but without data, whose doc_string reads

    floe-weights:dist=DIST;seed=SEED;A=..;B=..

where DIST is normal or centred (mean, std) or uniform (low, high), all drawn by models/seeded.py. Every other
initializer holds its data. Needs onnx and numpy only; the same graph gives the same bytes.
"""

import argparse
import os
import sys

import numpy as np
import onnx
from google.protobuf.message import DecodeError

import seeded

PREFIX = "floe-weights:"
_DRAW = {"normal": (seeded.normal, ("mean", "std")), "centred": (seeded.centred, ("mean", "std")),
         "uniform": (seeded.uniform, ("low", "high"))}


def describe(dist, seed, a, b):
    """The doc_string of a stripped weight."""
    first, second = _DRAW[dist][1]
    return f"{PREFIX}dist={dist};seed={seed};{first}={a:.6g};{second}={b:.6g}"


def draw(description, shape):
    """The float32 array that a doc_string describes."""
    fields = dict(item.split("=") for item in description[len(PREFIX):].split(";"))
    function, names = _DRAW[fields["dist"]]
    return function(int(fields["seed"]), shape, *(float(fields[n]) for n in names))


def restore(model):
    """Fills the stripped weights of a ModelProto in place; returns how many there were."""
    count = 0
    for tensor in model.graph.initializer:
        if not tensor.doc_string.startswith(PREFIX):
            continue
        if tensor.data_type != onnx.TensorProto.FLOAT:
            raise ValueError(f"{tensor.name}: only float32 weights can be restored")
        array = draw(tensor.doc_string, tuple(tensor.dims))
        tensor.raw_data = np.ascontiguousarray(array, "<f4").tobytes()
        tensor.ClearField("doc_string")
        count += 1
    return count


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stripped", help="a graph from models/exported")
    parser.add_argument("-o", "--output", required=True, help="the .onnx file to write")
    args = parser.parse_args(argv)
    try:
        model = onnx.load(args.stripped)
        if not restore(model):
            print(f"restore_weights.py: {args.stripped} has no stripped weights", file=sys.stderr)
            return 3
    except (DecodeError, KeyError, ValueError) as e:
        print(f"restore_weights.py: {args.stripped} is not a stripped graph: {e}", file=sys.stderr)
        return 3
    except OSError as e:
        print(f"restore_weights.py: cannot read {args.stripped}: {e.strerror}", file=sys.stderr)
        return 1
    partial = f"{args.output}.{os.getpid()}.partial"
    try:
        with open(partial, "wb") as f:
            f.write(model.SerializeToString())
        os.replace(partial, args.output)
    except OSError as e:
        print(f"restore_weights.py: cannot write {args.output}: {e.strerror}", file=sys.stderr)
        return 1
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
