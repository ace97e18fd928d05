#!/usr/bin/env python3
"""Puts the PyTorch files of models/traced together in a folder, once.

    python3 tests/e2e/make_traced.py OUTPUT_FOLDER

Needs numpy.
"""

import glob
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "models"))

import restore_traced  # noqa: E402


def main(argv):
    """The command; returns the exit code."""
    bundles = sorted(glob.glob(os.path.join(ROOT, "models", "traced", "*.xz")))
    return restore_traced.main([*bundles, "-o", argv[1]])


if __name__ == "__main__":
    sys.exit(main(sys.argv))
