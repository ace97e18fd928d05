#!/usr/bin/env python3
"""Makes the five full-size models of models/recipes in a folder, once.

    python3 tests/e2e/make_full_size.py OUTPUT_FOLDER

Needs onnx and numpy, 2 GB of memory and 700 MB of disk.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMES = ("resnet18", "resnet50", "mobilenetv2", "bert-base", "lstm-lm")


def main(argv):
    """The command; returns the exit code."""
    os.makedirs(argv[1], exist_ok=True)
    for name in NAMES:
        path = os.path.join(argv[1], name + ".onnx")
        if os.path.exists(path):
            continue
        make = [sys.executable, os.path.join(ROOT, "models", "make.py"), name, "-o", path + ".part"]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        os.rename(path + ".part", path)
    print(f"{len(NAMES)} models in {argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
