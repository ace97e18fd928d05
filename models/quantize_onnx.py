#!/usr/bin/env python3
"""Quantises an ONNX model with ONNX Runtime's own tool, on seeded inputs: what Floe's integer kernels are measured on.

    python3 models/quantize_onnx.py resnet50.onnx -o resnet50.qdq.onnx --form qdq
    python3 models/quantize_onnx.py resnet50.onnx -o resnet50.qop.onnx --form qoperator
    python3 models/quantize_onnx.py bert.onnx -o bert.dynamic.onnx --form dynamic

Static forms: per-channel i8 weights, u8 activations (--activations i8 for the tool's other default), minimum and
maximum of --samples seeded images. Dynamic: i8 weights of matrix products, recurrences and gathers. Needs onnx,
onnxruntime and numpy; the same arguments and releases give the same bytes.
"""

import argparse
import os
import sys
import tempfile

import numpy as np
import onnx
from onnxruntime.quantization import (CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType,
                                      quantize_dynamic, quantize_static)
from onnxruntime.quantization.shape_inference import quant_pre_process

import seeded


class Images(CalibrationDataReader):
    """Seeded normal inputs for every graph input of a model; symbolic dimensions are 1."""

    def __init__(self, path, samples, seed):
        graph = onnx.load(path, load_external_data=False).graph
        constants = {i.name for i in graph.initializer}
        self.shapes = {v.name: [d.dim_value or 1 for d in v.type.tensor_type.shape.dim]
                       for v in graph.input if v.name not in constants}
        self.left, self.seed = samples, seed

    def get_next(self):
        """The next sample, or None."""
        if self.left == 0:
            return None
        self.left -= 1
        return {name: seeded.normal(seeded.tensor_seed(self.seed, f"{name}/{self.left}"), shape)
                for name, shape in self.shapes.items()}


def quantize(path, output, form, activations="u8", samples=8, seed=1, per_channel=True):
    """Writes the quantised model."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = os.path.join(folder, "prepared.onnx")
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        if form == "dynamic":
            # Other domains' results have no inferred type: they are f32.
            quantize_dynamic(prepared, output, weight_type=QuantType.QInt8, per_channel=per_channel,
                             extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
            return
        quantize_static(prepared, output, Images(path, samples, seed),
                        quant_format=QuantFormat.QDQ if form == "qdq" else QuantFormat.QOperator,
                        activation_type=QuantType.QUInt8 if activations == "u8" else QuantType.QInt8,
                        weight_type=QuantType.QInt8, per_channel=per_channel,
                        calibrate_method=CalibrationMethod.MinMax)


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--form", choices=("qdq", "qoperator", "dynamic"), required=True)
    parser.add_argument("--activations", choices=("u8", "i8"), default="u8")
    parser.add_argument("--samples", type=int, default=8, help="calibration inputs (default 8)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the calibration inputs (default 1)")
    parser.add_argument("--per-tensor", action="store_true", help="one scale for a whole weight")
    args = parser.parse_args(argv)
    quantize(args.model, args.output, args.form, args.activations, args.samples, args.seed, not args.per_tensor)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
