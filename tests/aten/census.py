#!/usr/bin/env python3
"""Lists what PyTorch offers and Floe's front ends have neither a row nor a case for.

    python3 tests/aten/census.py

A name counts as covered if an ATen op of that name has a row, or if a table of cases or a model's module uses it. What
is listed is either refused for the reasons in README.md, or no function of tensors at all. Needs torch.
"""

import glob
import inspect
import os
import re

import torch
from torch import nn

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPACES = {"torch.nn.functional": (nn.functional, ""), "torch.linalg": (torch.linalg, "linalg_"),
          "torch.fft": (torch.fft, "fft_"), "torch.special": (torch.special, "special_"), "torch": (torch, ""),
          "torch.Tensor": (torch.Tensor, "")}


def read(*patterns):
    """The text of all files that match."""
    paths = [p for pattern in patterns for p in sorted(glob.glob(os.path.join(ROOT, pattern)))]
    return "\n".join(open(p, encoding="utf-8").read() for p in paths)


def main():
    """The command."""
    rows = set(re.findall(r'"(?:aten|prim)::(\w+)(?:\.\w+)?"',
                          read("compiler/import/aten/*.cc", "compiler/import/torchscript/*.cc")))
    words = set(re.findall(r"\w+", read("tests/aten/tables/*.py", "tests/aten/call_tables/*.py", "models/pytorch/*.py")))
    schemas = dict.fromkeys(re.findall(r"^aten::(\w+)", read("compiler/import/aten/schemas.txt"), re.MULTILINE))
    missing = [n for n in schemas if n not in rows and not (n.endswith("_") and n[:-1] in rows)]
    print(f"aten ({len(schemas)} ops): {' '.join(sorted(missing))}\n")
    for title, (space, prefix) in SPACES.items():
        names = [n for n in dir(space) if not n.startswith("_") and callable(getattr(space, n))
                 and not inspect.isclass(getattr(space, n))]
        left = [n for n in names if not {n, prefix + n, n.rstrip("_")} & (rows | words) and prefix + n not in rows]
        print(f"{title} ({len(names)} names): {' '.join(left)}\n")
    modules = [n for n in dir(nn) if inspect.isclass(getattr(nn, n)) and issubclass(getattr(nn, n), nn.Module)]
    print(f"torch.nn ({len(modules)} modules): {' '.join(n for n in modules if n not in words)}")


if __name__ == "__main__":
    main()
