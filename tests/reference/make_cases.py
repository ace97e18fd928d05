#!/usr/bin/env python3
"""Writes cases.bin: inputs and expected outputs of every reference op.

The expected numbers come from ONNX Runtime, the ONNX reference evaluator or numpy, in double where
the engine can, never from Floe. Needs numpy, onnx 1.22.0, onnxruntime and ml_dtypes; run it from the
repository's root when ops or cases change:

    python3 tests/reference/make_cases.py [tests/reference/cases.bin]

case_tools.py has the oracles, the other modules the cases by family.
"""

import sys

import cases_nn as nn
import cases_pointwise as pointwise
import cases_quantized as quantized
import cases_tensor as tensor
from case_tools import write


def main():
    for family in (pointwise.binary_cases, pointwise.unary_cases, pointwise.cast_cases,
                   pointwise.region_cases, tensor.reduce_cases, tensor.movement_cases,
                   tensor.make_cases, tensor.index_cases, nn.linear_cases, nn.conv_cases,
                   nn.norm_cases, nn.pool_cases, nn.recurrent_cases, quantized.quantize_cases,
                   quantized.product_cases, quantized.byte_cases, quantized.lstm_cases):
        family()
    write(sys.argv[1] if len(sys.argv) > 1 else "tests/reference/cases.bin")


if __name__ == "__main__":
    main()
