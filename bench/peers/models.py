#!/usr/bin/env python3
"""Makes the models of the peer comparison from PyTorch modules with seeded weights.

    python3 bench/peers/models.py FOLDER NAME...

Writes NAME.pt2 (torch.export), NAME.pt (traced), NAME.onnx (torch.onnx.export, opset 17), NAME.int8.onnx (quantised by
ONNX Runtime's own tool: QDQ with per-channel weights, calibrated on random images, for convolutional networks; dynamic
for the others), NAME.in.npz (inputs by name) and NAME.fp64.npz (the module's outputs in double precision, by position).
All sizes are numbers: every peer may specialise on them. Files that exist are kept. Needs torch, onnx, onnxruntime.
"""

import copy
import io
import logging
import os
import sys
import warnings

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "models"))

import export_traced  # noqa: E402
from pytorch.bert import Bert  # noqa: E402
from pytorch.gpt2 import Gpt2  # noqa: E402
from pytorch.lstm import LSTMLanguageModel  # noqa: E402
from pytorch.mobilenet import MobileNetV2  # noqa: E402
from pytorch.resnet import resnet18, resnet50  # noqa: E402
from pytorch.small import LeNet5  # noqa: E402
from pytorch.vit import VisionTransformer  # noqa: E402


def _image(size=224, channels=3):
    return [("image", ("N", channels, size, size), "float")]


def _bert(length):
    return [(n, (1, length), k) for n, k in (("input_ids", 30522), ("attention_mask", "ones"), ("token_type_ids", 2))]


def _lstm(length):
    return [("ids", (length, 1), 10000), ("h0", (2, 1, 650), "float"), ("c0", (2, 1, 650), "float")]


# name: (module, inputs as in models/traced_models.py, batch, how ONNX Runtime quantises it)
MODELS = {
    "lenet5": (LeNet5, _image(28, 1), 1, "static"),
    "resnet18": (resnet18, _image(), 1, "static"),
    "resnet50": (resnet50, _image(), 1, "static"),
    "mobilenetv2": (MobileNetV2, _image(), 1, "static"),
    "vit": (VisionTransformer, _image(), 1, "dynamic"),
    "bert-t32": (Bert, _bert(32), 1, "dynamic"),
    "bert-t128": (Bert, _bert(128), 1, "dynamic"),
    "lstm-t1": (LSTMLanguageModel, _lstm(1), 1, "dynamic"),
    "lstm-t35": (LSTMLanguageModel, _lstm(35), 1, "dynamic"),
    "gpt2-decode": (Gpt2, [("ids", (1, 1), 50257), *((n, (12, 1, 12, 64, 64), "float") for n in ("past_k", "past_v"))],
                    1, "dynamic"),
    "resnet50-n8": (resnet50, _image(), 8, "static"),
    "mobilenetv2-n8": (MobileNetV2, _image(), 8, "static"),
}


def inputs_of(name, salt):
    """{input: array} of a model."""
    _, specs, batch, _ = MODELS[name]
    plain = [(n, shape, 2 if kind == "ones" else kind) for n, shape, kind in specs]
    arrays = export_traced.restore_traced.draw_inputs(plain, {"N": batch}, name, salt)
    return {n: np.ones_like(x) if kind == "ones" else x for (n, _, kind), x in zip(specs, arrays)}


def module_of(name):
    """The seeded module, its batch norms warmed."""
    make, specs, batch, _ = MODELS[name]
    torch.manual_seed(1)
    model = make().eval()
    export_traced.seed_weights(model)
    return export_traced.warm(model, specs, {"N": batch}, name)


def _save(path, write):
    """Calls write(partial path); the file appears whole or not at all."""
    partial = path + ".partial"
    write(partial)
    os.replace(partial, path)


def _bytes(path, fill):
    file = io.BytesIO()
    fill(file)

    def write(partial):
        with open(partial, "wb") as f:
            f.write(file.getvalue())
    _save(path, write)


def _export_onnx(model, inputs, names, path):
    torch.backends.mha.set_fastpath_enabled(False)  # the exporter has no name for the fused layer
    _save(path, lambda p: torch.onnx.export(model, inputs, p, dynamo=False, opset_version=17, input_names=names))
    torch.backends.mha.set_fastpath_enabled(True)


def quantise(name, source, path):
    """ONNX Runtime's own quantisation of an ONNX file."""
    from onnxruntime import quantization as q

    pre = path + ".pre.onnx"
    q.shape_inference.quant_pre_process(source, pre, skip_symbolic_shape=True)
    if MODELS[name][3] == "dynamic":
        _save(path, lambda p: q.quantize_dynamic(pre, p, weight_type=q.QuantType.QInt8, per_channel=True))
    else:
        class Reader(q.CalibrationDataReader):
            """Eight batches of random images."""

            def __init__(self):
                self.left = iter([inputs_of(name, f"calibrate{k}") for k in range(8)])

            def get_next(self):
                return next(self.left, None)

        _save(path, lambda p: q.quantize_static(pre, p, Reader(), quant_format=q.QuantFormat.QDQ, per_channel=True,
                                                activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8))
    os.remove(pre)


def make(folder, name):
    """All files of a model."""
    base = os.path.join(folder, name)
    made = {}

    def module():
        if not made:
            made["m"] = module_of(name)
        return made["m"]

    arrays = inputs_of(name, 0)
    tensors = tuple(torch.from_numpy(x) for x in arrays.values())
    steps = {
        ".in.npz": lambda p: _bytes(p, lambda f: np.savez(f, **arrays)),
        ".onnx": lambda p: _export_onnx(module(), tensors, list(arrays), p),
        ".pt2": lambda p: _bytes(p, lambda f: torch.export.save(torch.export.export(module(), tensors, strict=False), f)),
        ".pt": lambda p: _bytes(p, lambda f: torch.jit.save(torch.jit.trace(module(), tensors, check_trace=False), f)),
        ".fp64.npz": lambda p: _bytes(p, lambda f: _write_fp64(module(), tensors, f)),
        ".int8.onnx": lambda p: quantise(name, base + ".onnx", p),
    }
    for suffix, step in steps.items():
        if not os.path.exists(base + suffix):
            with torch.no_grad():
                step(base + suffix)


def _write_fp64(model, tensors, file):
    double = copy.deepcopy(model).double()
    y = double(*[x.double() if x.is_floating_point() else x for x in tensors])
    y = y if isinstance(y, (tuple, list)) else (y,)
    np.savez(file, **{str(i): t.numpy() for i, t in enumerate(y)})


def main(argv):
    """The command."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder, names = argv[0], argv[1:] or list(MODELS)
    os.makedirs(folder, exist_ok=True)
    for name in names:
        make(folder, name)
        print(name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
