#!/usr/bin/env python3
"""Runs the ONNX backend suite (of the installed onnx package, 1.22) through Floe's importer and reference ops.

    python3 tests/onnx/run_backend_suite.py build/tests/onnx/onnx_backend_runner [--suite node] [--verbose]

Prints every case that is refused (with the reason) or wrong, and the counts. Exits 1 if anything is wrong.
Needs the onnx package; releases from 1.23 on no longer carry the data.
"""

import argparse
import os
import subprocess
import sys

import onnx.backend.test


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runner", help="the onnx_backend_runner binary")
    parser.add_argument("--suite", default="node", help="node, simple, pytorch-operator or pytorch-converted")
    parser.add_argument("--verbose", action="store_true", help="print passing cases too")
    args = parser.parse_args(argv)
    root = os.path.join(os.path.dirname(onnx.backend.test.__file__), "data", args.suite)
    if not os.path.isdir(root):
        print(f"this onnx release has no {root}; install onnx==1.22.0", file=sys.stderr)
        return 2
    folders = sorted(os.path.join(root, name) for name in os.listdir(root)
                     if os.path.exists(os.path.join(root, name, "model.onnx")))
    flags = ["--verbose"] if args.verbose else []
    return subprocess.run([args.runner, *flags, *folders], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
