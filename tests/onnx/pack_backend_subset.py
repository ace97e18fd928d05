#!/usr/bin/env python3
"""Packs cases of the ONNX backend suite into tests/onnx/backend_subset.pack.

    python3 tests/onnx/pack_backend_subset.py PASSED.txt -o tests/onnx/backend_subset.pack

PASSED.txt holds lines "PASS name" (run_backend_suite.py --verbose prints them). Cases are chosen by size, smallest
first, some for each op and version, until the budget is used. Needs onnx 1.22.
"""

import argparse
import glob
import os
import struct
import sys

import onnx
import onnx.backend.test


def case_files(folder):
    """(model bytes, [(inputs, outputs)]) of a case."""
    def read(path):
        with open(path, "rb") as f:
            return f.read()
    sets = []
    for data in sorted(glob.glob(os.path.join(folder, "test_data_set_*"))):
        numbered = []
        for kind in ("input", "output"):
            count = len(glob.glob(os.path.join(data, f"{kind}_*.pb")))
            numbered.append([read(os.path.join(data, f"{kind}_{i}.pb")) for i in range(count)])
        sets.append(tuple(numbered))
    return read(os.path.join(folder, "model.onnx")), sets


def blob(data):
    """A byte string with its length."""
    return struct.pack("<I", len(data)) + data


def encode(name, model, sets):
    """One case of the pack."""
    out = blob(name.encode()) + blob(model) + struct.pack("<I", len(sets))
    for inputs, outputs in sets:
        for files in (inputs, outputs):
            out += struct.pack("<I", len(files)) + b"".join(blob(f) for f in files)
    return out


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("passed")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--budget", type=int, default=1_000_000, help="bytes (default 1 MB)")
    parser.add_argument("--per-op", type=int, default=8, help="cases for each set of ops (default 8)")
    args = parser.parse_args(argv)
    root = os.path.join(os.path.dirname(onnx.backend.test.__file__), "data", "node")
    with open(args.passed, encoding="utf-8") as f:
        names = [line.split()[1] for line in f if line.startswith("PASS ")]
    cases = []
    for name in names:
        model, sets = case_files(os.path.join(root, name))
        ops = tuple(sorted({n.op_type for n in onnx.load_from_string(model).graph.node}))
        cases.append((ops, encode(name, model, sets), name))
    cases.sort(key=lambda c: (len(c[1]), c[2]))
    chosen, used, of_op = [], 0, {}
    for ops, data, name in cases:
        if of_op.get(ops, 0) >= args.per_op or used + len(data) > args.budget:
            continue
        of_op[ops] = of_op.get(ops, 0) + 1
        used += len(data)
        chosen.append((name, data))
    with open(args.output, "wb") as f:
        for _, data in sorted(chosen):
            f.write(data)
    print(f"{len(chosen)} cases, {used} bytes, {len(of_op)} sets of ops")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
