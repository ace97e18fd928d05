#!/usr/bin/env python3
"""Writes an ONNX model of a real architecture with seeded, well-scaled weights.

    python3 models/make.py resnet50 -o resnet50.onnx
    python3 models/make.py bert-base -o bert.onnx --dynamic --opset 17
    python3 models/make.py resnet18 -o twin.onnx --width 0.125 --size 64 --classes 10
    python3 models/make.py --list
    python3 models/make.py resnet50 --help

Needs onnx and numpy only. The same arguments give the same bytes.
"""

import argparse
import os
import sys

from recipes import RECIPES
from recipes.builder import RecipeError, check, positive


def parser():
    """The command line of every recipe."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--list", action="store_true", help="list the models and exit")
    names = top.add_subparsers(dest="model", metavar="NAME")
    for name, (module, description) in RECIPES.items():
        p = names.add_parser(name, help=description, description=module.__doc__,
                             formatter_class=argparse.RawDescriptionHelpFormatter)
        p.add_argument("-o", "--output", required=True, help="the .onnx file to write")
        p.add_argument("--opset", type=int, default=17, help="operator set, 7 to 27 (default 17)")
        p.add_argument("--seed", type=int, default=1, help="seed of the weights (default 1)")
        p.add_argument("--batch", type=positive(int), default=1, help="batch size of a static model (default 1)")
        p.add_argument("--dynamic", action="store_true", help="symbolic batch N (and sequence length T)")
        p.add_argument("--check", action="store_true", help="run onnx.checker on the result")
        module.options(p)
    return top


def make(argv):
    """Parses a recipe's arguments and returns (ModelProto, arguments)."""
    args = parser().parse_args(argv)
    return RECIPES[args.model][0].build(args), args


def write_whole(path, data):
    """Writes a file that appears whole or not at all."""
    partial = f"{path}.{os.getpid()}.partial"
    try:
        with open(partial, "wb") as f:
            f.write(data)
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def main(argv):
    """The command; returns the exit code."""
    if "--list" in argv:
        for name, (_, description) in RECIPES.items():
            print(f"{name:14}{description}")
        return 0
    if not argv:
        parser().print_usage(sys.stderr)
        return 2
    try:
        model, args = make(argv)
        if args.check:
            check(model)
        write_whole(args.output, model.SerializeToString())
    except RecipeError as e:
        print(f"make.py: {e}", file=sys.stderr)
        return 2
    except OSError as e:
        print(f"make.py: cannot write {args.output}: {e.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
