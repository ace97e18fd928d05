#!/usr/bin/env python3
"""Writes calls.zip: calls of single ATen overloads (call_tables/) with the results of eager PyTorch.

    pip install torch==2.13.0 numpy && python3 tests/aten/make_calls.py

Exports use few of the overloads; decomposed, frozen and older models use the others. The zip has TABLE.json, the calls,
and TABLE.bin, the elements of their tensors, little-endian.
"""

import importlib
import os
import sys
import zipfile

import torch

FOLDER = os.path.dirname(os.path.abspath(__file__))


def main():
    sys.path.insert(0, FOLDER)
    kit = importlib.import_module("call_kit")
    tables = sorted(
        f[:-3] for f in os.listdir(os.path.join(FOLDER, "call_tables")) if f.endswith(".py") and not f.startswith("__")
    )
    with zipfile.ZipFile(os.path.join(FOLDER, "calls.zip"), "w") as out:
        for table in tables:
            torch.manual_seed(1)
            importlib.import_module(f"call_tables.{table}")
            for name, content in zip((f"{table}.json", f"{table}.bin"), kit.pack()):
                out.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    main()
