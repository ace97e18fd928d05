#!/usr/bin/env python3
"""Writes torch_cases.bin: inputs and expected outputs of the reference ops whose meaning is PyTorch's.

The expected numbers come from PyTorch, in double where it can. Needs torch 2.13, numpy and ml_dtypes; run it from the
repository's root when these ops or their cases change:

    python3 tests/reference/make_torch_cases.py [tests/reference/torch_cases.bin]

case_tools.py has the file format and the data, cases_torch.py the cases.
"""

import sys

import cases_torch as torch_cases
from case_tools import write


def main():
    """The command."""
    for family in (torch_cases.sort_cases, torch_cases.search_cases, torch_cases.scan_cases,
                   torch_cases.unary_cases, torch_cases.binary_cases, torch_cases.index_cases,
                   torch_cases.sample_cases, torch_cases.column_cases, torch_cases.matrix_cases,
                   torch_cases.scatter_cases, torch_cases.pool_cases,
                   torch_cases.attention_cases, torch_cases.nonzero_cases, torch_cases.rotary_cases):
        family()
    write(sys.argv[1] if len(sys.argv) > 1 else "tests/reference/torch_cases.bin")


if __name__ == "__main__":
    main()
