#!/usr/bin/env python3
"""Exports the PyTorch architectures with both of PyTorch's ONNX exporters and strips the weights to a seed.

    python3 models/export_torch.py [NAME ...] [--directory models/exported]

Writes NAME.torchscript17.onnx (torch.onnx.export with dynamo=False, opset 17) and NAME.dynamo18.onnx
(dynamo=True, opset 18), each as its exporter writes it by default, with symbolic batch and sequence length.
Weights of more than 64 elements become descriptions that models/restore_weights.py turns into numbers again;
stack traces keep only the frames in models/pytorch. ONNX Runtime checks each graph against PyTorch before that.
Needs PyTorch, onnx, onnxscript and onnxruntime.
"""

import argparse
import io
import logging
import os
import re
import sys
import warnings

import numpy as np
import onnx
import torch
from onnx import numpy_helper

import make_goldens
import restore_weights
import seeded
from pytorch.bert import Bert
from pytorch.lstm import LSTMLanguageModel
from pytorch.mobilenet import MobileNetV2
from pytorch.resnet import resnet18, resnet50
from pytorch.scale import scale_weights
from pytorch.small import LeNet5, ResNet8

# torch.export takes the LSTM's length as symbolic, but the ONNX graph then reshapes to the example's: fix it there.
FIXED_BY_DYNAMO = {"lstm": "T", "lstm_tiny": "T"}
KEEP = 64  # initializers of at most so many elements keep their data


def _image(channels, size):
    return ((torch.zeros(2, channels, size, size),), ["image"], ["logits"], {"image": {0: "N"}, "logits": {0: "N"}})


def _bert(length):
    # Three tensors: torch.export would take one that is given twice for one input.
    ids, mask, types = (f(2, length, dtype=torch.int64) for f in (torch.zeros, torch.ones, torch.zeros))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {n: {0: "N", 1: "T"} for n in names + ["last_hidden_state"]} | {"pooler_output": {0: "N"}}
    return ((ids, mask, types), names, ["last_hidden_state", "pooler_output"], axes)


def _lstm(length, hidden):
    h0, c0 = torch.zeros(2, 3, hidden), torch.zeros(2, 3, hidden)
    states = {n: {1: "N"} for n in ("h0", "c0", "hn", "cn")}
    return ((torch.zeros(length, 3, dtype=torch.int64), h0, c0), ["ids", "h0", "c0"], ["logits", "hn", "cn"],
            states | {n: {0: "T", 1: "N"} for n in ("ids", "logits")})


_TINY_BERT = dict(hidden=64, heads=4, ffn=256, layers=2, vocab=200, max_position=64)

# name -> (makes the module, (example inputs, input names, output names, symbolic axes))
MODELS = {
    "lenet5": (LeNet5, _image(1, 28)),
    "resnet8": (ResNet8, _image(1, 28)),
    "resnet18": (resnet18, _image(3, 224)),
    "resnet18_tiny": (lambda: resnet18(width=8, classes=10), _image(3, 64)),
    "resnet50": (resnet50, _image(3, 224)),
    "resnet50_tiny": (lambda: resnet50(width=8, classes=10), _image(3, 64)),
    "mobilenetv2": (MobileNetV2, _image(3, 224)),
    "mobilenetv2_tiny": (lambda: MobileNetV2(width=0.25, classes=10), _image(3, 64)),
    "bert": (Bert, _bert(16)),
    "bert_tiny": (lambda: Bert(**_TINY_BERT), _bert(16)),
    "bert_eager_tiny": (lambda: Bert(**_TINY_BERT, eager=True), _bert(16)),
    "lstm": (LSTMLanguageModel, _lstm(35, 650)),
    "lstm_tiny": (lambda: LSTMLanguageModel(hidden=64, vocab=200), _lstm(7, 64)),
}


def export(module, spec, dynamo, fixed=""):
    """The ModelProto that an exporter writes; `fixed` are symbols that the dynamo exporter must not see."""
    inputs, input_names, output_names, axes = spec
    names = {"input_names": input_names, "output_names": output_names}
    if dynamo:
        dims = {symbol: torch.export.Dim(symbol, min=1, max=4096 if symbol == "N" else 512) for symbol in "NT"}
        shapes = tuple({axis: dims[symbol] for axis, symbol in axes[n].items() if symbol not in fixed}
                       for n in input_names)
        program = torch.onnx.export(module, inputs, dynamo=True, opset_version=18, dynamic_shapes=shapes,
                                    verbose=False, **names)
        return program.model_proto
    file = io.BytesIO()
    torch.onnx.export(module, inputs, file, dynamo=False, opset_version=17, dynamic_axes=axes, **names)
    return onnx.load_from_string(file.getvalue())


def check(module, model):
    """Stops unless the exported graph, run by ONNX Runtime, gives what PyTorch gives."""
    inputs = make_goldens.random_inputs(model, {"N": 3, "T": 9})
    outputs = make_goldens.run(model, inputs)
    with torch.no_grad():
        expected = module(*(torch.from_numpy(a) for a in inputs.values()))
    expected = expected if isinstance(expected, tuple) else (expected,)
    worst = make_goldens.error(outputs, {f"out/{k}": y.numpy() for k, y in zip(outputs, expected)})
    if not worst < 1e-4:
        raise RuntimeError(f"the exported graph is off by {worst:.1e}")


def strip_weights(model):
    """Replaces the data of every large float initializer by a description of numbers like it."""
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.size <= KEEP or array.dtype != np.float32:
            continue
        seed = seeded.tensor_seed(1, tensor.name)
        mean, std = float(array.mean(dtype=np.float64)), float(array.std(dtype=np.float64))
        if array.min() > 0:  # running variances and the like
            text = restore_weights.describe("uniform", seed, float(array.min()), float(array.max()))
        elif array.ndim == 4 and np.abs(array.mean((1, 2, 3))).max() < 1e-4 * std:
            text = restore_weights.describe("centred", seed, 0.0, std)
        else:
            text = restore_weights.describe("normal", seed, mean, std)
        for field in ("raw_data", "float_data", "external_data", "data_location"):
            tensor.ClearField(field)
        tensor.doc_string = text


def strip_traces(model):
    """Keeps of each stack trace the frames in models/pytorch, with paths as in this repository."""
    frame = re.compile(r'  File "[^"]*/(pytorch/\w+\.py)", (line \d+, in \w+\n    .*)')
    for node in [n for f in [model.graph, *model.functions] for n in f.node]:
        node.ClearField("doc_string")
        for entry in list(node.metadata_props):
            if entry.key == "pkg.torch.onnx.stack_trace":
                entry.value = "\n".join(f'File "models/{m[0]}", {m[1]}' for m in frame.findall(entry.value))
            elif entry.key != "namespace":
                node.metadata_props.remove(entry)
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    model.graph.ClearField("doc_string")


def main(argv):
    """The command; returns the exit code."""
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME", help=f"default: all of {', '.join(MODELS)}")
    parser.add_argument("--directory", default=os.path.join(here, "exported"), help="where the graphs go")
    args = parser.parse_args(argv)
    if unknown := set(args.models) - set(MODELS):
        parser.error(f"unknown model: {', '.join(sorted(unknown))}")
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for name in args.models or MODELS:
        make, spec = MODELS[name]
        for dynamo, suffix in ((False, "torchscript17"), (True, "dynamo18")):
            module = scale_weights(make())
            model = export(module, spec, dynamo, FIXED_BY_DYNAMO.get(name, ""))
            check(module, model)
            strip_weights(model)
            strip_traces(model)
            path = os.path.join(args.directory, f"{name}.{suffix}.onnx")
            with open(path, "wb") as f:
                f.write(model.SerializeToString())
            print(f"{path}: {len(model.graph.node)} nodes, {os.path.getsize(path)} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
