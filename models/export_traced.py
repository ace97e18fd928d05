#!/usr/bin/env python3
"""Exports the architectures of models/pytorch in every form that PyTorch writes, with goldens from eager.

    python3 models/export_traced.py [NAME ...]               # reduced sizes: models/traced/NAME.xz
    python3 models/export_traced.py --full [NAME ...] -o DIR # full sizes, as files in DIR

Forms: NAME.pt2 (torch.export's default), NAME.decomposed.pt2 (after run_decompositions), NAME.trace.pt, NAME.script.pt
(where the module can be scripted), NAME.onnx (torch.onnx.export, opset 17), and NAME.f16.* and NAME.bf16.* of .pt2 and
trace.pt. Weights are drawn by models/seeded.py, batch-norm statistics warmed by forwards. The bundles in models/traced
hold the files, without absolute paths and with the drawn weights cut out; models/restore_traced.py puts them together
again without PyTorch. Goldens are eager's outputs in f32; those of the half types have their weights rounded to the type first.
Needs torch 2.13.
"""

import argparse
import copy
import io
import json
import logging
import os
import re
import sys
import warnings
import zipfile

import torch
from torch import nn

import restore_traced
import seeded
from pytorch.gpt2 import Conv1D
from traced_models import DTYPES, MODELS, TOLERANCE

KEEP = 256  # parameters of at most so many elements keep their data


def seed_weights(model):
    """Draws all parameters; returns {name: description} of the large ones."""
    drawn, relu = {}, any(isinstance(m, (nn.ReLU, nn.BatchNorm2d)) for m in model.modules())
    kinds = {name: module for name, module in model.named_modules()}
    with torch.no_grad():
        for name, p in model.named_parameters():
            module = kinds[name.rpartition(".")[0]]
            recipe = _recipe(module, name.rpartition(".")[2], p, relu)
            seed = seeded.tensor_seed(1, name)
            recipe = (recipe[0], seed, float(f"{recipe[1]:.6g}"), float(f"{recipe[2]:.6g}"), list(p.shape))
            p.copy_(torch.from_numpy(restore_traced.draw(recipe, "f32")))
            if p.numel() > KEEP:
                drawn[name] = recipe
    return drawn


def _recipe(module, name, p, relu):
    """(distribution, a, b) for a parameter of a module."""
    if p.dim() < 2:
        if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)) and name == "weight":
            return "uniform", 0.75, 1.25
        return "normal", 0.0, 0.1
    if isinstance(module, nn.Embedding):
        return "normal", 0.0, 1.0
    if isinstance(module, (nn.LSTM, nn.GRU)):
        return "normal", 0.0, 1.5 / p.shape[1] ** 0.5
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        kind = "centred" if p.shape[1] > 1 else "normal"
        return kind, 0.0, (2.4 / p[0].numel()) ** 0.5
    fan_in = p.shape[0] if isinstance(module, (Conv1D, nn.ConvTranspose2d)) else p.shape[-1]
    if isinstance(module, (nn.Linear, Conv1D, nn.ConvTranspose2d, nn.MultiheadAttention)):
        return "normal", 0.0, ((1.6 if relu else 1.2) / fan_in) ** 0.5
    return "normal", 0.0, 0.5  # class tokens and positions


def inputs_of(specs, sizes, model, salt, first=0):
    """One run's inputs as tensors."""
    return tuple(torch.from_numpy(x) for x in restore_traced.draw_inputs(specs, sizes, model, salt, first))


def warm(model, specs, sizes, name):
    """Lets batch norms see data: their statistics are then those of the layers before them."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if norms:
        for m in norms:
            m.momentum = None
            m.train()
        with torch.no_grad():
            for k in range(3):
                model(*inputs_of(specs, {**sizes, "N": 4}, name, f"warm{k}"))
    for m in norms:
        m.momentum = 0.1
    return model.eval()


def neutral(data):
    """The archive without what depends on where it was made: of stack traces the frames in models/pytorch stay."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".debug_pkl"):
                continue
            if entry.filename.endswith("/models/model.json"):
                content = json.dumps(_without_paths(json.loads(content)), separators=(",", ":")).encode()
            info = zipfile.ZipInfo(entry.filename, (2026, 1, 1, 0, 0, 0))
            start = out.tell() + 30 + len(entry.filename.encode())
            pad = -(start + 4) % 64  # PyTorch puts data at multiples of 64 with an extra field of this kind
            info.extra = b"FB" + pad.to_bytes(2, "little") + b"Z" * pad
            new.writestr(info, content)
    return out.getvalue()


def _without_paths(x):
    if isinstance(x, list):
        return [_without_paths(y) for y in x]
    if not isinstance(x, dict):
        return x
    if isinstance(x.get("stack_trace"), str):
        frames = re.findall(r'File "[^"]*/(models/pytorch/\w+\.py)", (line \d+, in \w+\n[^\n]*)', x["stack_trace"])
        x = x | {"stack_trace": "\n".join(f'  File "{m[0]}", {m[1]}' for m in frames)}
    return {k: _without_paths(v) for k, v in x.items()}


def export_forms(spec, model, exported, inputs, dtype, wide=None):
    """(form, bytes), one after the other; what PyTorch cannot write is named on the screen.

    With `wide`, the module in f32, that is traced and converted: tracing runs the module, for which f16 takes minutes.
    """
    names = [n for n, _, _ in spec.inputs]
    axes = {n: {i: d for i, d in enumerate(shape) if isinstance(d, str)} for n, shape, _ in spec.inputs}
    dims = {s: torch.export.Dim(s, min=max(low, 1), max=high) for s, (low, high) in spec.bounds.items()}
    shapes = tuple({i: dims[d] for i, d in axes[n].items() if d not in spec.fixed} or None for n in names)
    program = None

    def pt2(decomposed):
        nonlocal program
        if program is None:
            program = torch.export.export(exported, inputs, dynamic_shapes=shapes, strict=False)
        file = io.BytesIO()
        torch.export.save(program.run_decompositions() if decomposed else program, file)
        return neutral(file.getvalue())

    def script(module):
        file = io.BytesIO()
        torch.jit.save(module, file)
        return neutral(file.getvalue())

    def trace():
        state = copy.deepcopy(model.state_dict())
        if wide is None:
            traced = torch.jit.trace(model, inputs, check_trace=False)
        else:
            example = tuple(x.float() if x.is_floating_point() else x for x in inputs)
            traced = torch.jit.trace(copy.deepcopy(wide), example, check_trace=False).to(DTYPES[dtype])
        traced.load_state_dict(state, strict=False)  # tracing ran the module
        return script(traced)

    def onnx():
        file, module = io.BytesIO(), torch.jit.script(model) if spec.branches else model
        torch.backends.mha.set_fastpath_enabled(False)  # the exporter has no name for the fused layer
        torch.onnx.export(module, inputs, file, dynamo=False, opset_version=17, dynamic_axes=axes, input_names=names,
                          training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
        return file.getvalue()
    ways = {"pt2": lambda: pt2(False), "decomposed.pt2": lambda: pt2(True),
            "trace.pt": trace,
            "script.pt": lambda: script(torch.jit.script(model)), "onnx": onnx}
    for form in spec.forms:
        if dtype != "" and form not in ("pt2", "trace.pt"):
            continue
        try:
            torch.backends.mha.set_fastpath_enabled(True)
            with torch.no_grad():
                data = ways[form]()
        except Exception as e:
            print(f"  no {dtype}{form}: {type(e).__name__}: {(str(e).strip().splitlines() or [''])[0][:150]}", flush=True)
        else:
            yield form, data


def goldens_of(spec, specs, model, name):
    """[(sizes, first position, outputs)] of eager in f32, in order."""
    runs, first = [], 0
    model = copy.deepcopy(model).float()  # a stateful model starts anew
    for k, sizes in enumerate(spec.sizes):
        inputs = inputs_of(specs, sizes, name, k, first)
        with torch.no_grad():
            outputs = model(*[x.clone() for x in inputs])
        outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        runs.append((sizes, first, [restore_traced.pack(y) for y in outputs]))
        spread = max(float(y.abs().max()) for y in outputs)
        if not 1e-2 < spread < 1e4:
            raise RuntimeError(f"{name}: outputs of magnitude {spread}")
        first += sizes.get("T", 0) if spec.stateful else 0
    return runs


def convert(model, dtype):
    """A copy in another type; buffers too, but not the integers."""
    return copy.deepcopy(model).to(DTYPES[dtype])


def models_of(name, full):
    """(the module, what torch.export gets, {name: description} of the drawn weights), in f32."""
    spec = MODELS[name]
    torch.manual_seed(1)
    model = (spec.make if full else spec.small)().eval()
    drawn = seed_weights(model)
    warm(model, spec.full_inputs if full else spec.inputs, spec.sizes[0], name)
    exported = (spec.export_make if full else spec.export_small)().eval()
    exported.load_state_dict(model.state_dict())
    return model, exported, drawn


def example(spec, specs, name, dtype):
    """The first run's inputs in a type, as exporters take them."""
    return tuple(x.to(DTYPES[dtype]) if x.is_floating_point() else x
                 for x in inputs_of(specs, spec.sizes[0], name, 0))


def bundle_of(name, full):
    """The Bundle of a model."""
    spec = MODELS[name]
    specs = spec.full_inputs if full else spec.inputs
    model, exported, drawn = models_of(name, full)
    if full:
        drawn = {}  # written whole: no weights are cut out
    bundle = restore_traced.Bundle(name, specs, spec.bounds, spec.stateful)
    for dtype in DTYPES if spec.half else ("",):
        model_d, exported_d = convert(model, dtype), convert(exported, dtype)
        inputs = example(spec, specs, name, dtype)
        fresh = copy.deepcopy(model_d)
        for form, data in export_forms(spec, model_d, exported_d, inputs, dtype):
            fixed = {s: spec.sizes[0][s] for s in spec.fixed} if form.endswith("pt2") else {}
            bundle.add(f"{name}.{dtype}{form}", dtype, data, drawn, fixed)
        bundle.goldens[dtype] = goldens_of(spec, specs, fresh, name)
        bundle.tolerance[dtype] = TOLERANCE.get(dtype, spec.tolerance)
    return bundle


def main(argv):
    """The command; returns the exit code."""
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME", help=f"default: all of {', '.join(MODELS)}")
    parser.add_argument("--full", action="store_true", help="full sizes, written as complete files")
    parser.add_argument("-o", "--output", default=os.path.join(here, "traced"), help="folder (default models/traced)")
    args = parser.parse_args(argv)
    if unknown := set(args.models) - set(MODELS):
        parser.error(f"unknown model: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.makedirs(args.output, exist_ok=True)
    for name in args.models or MODELS:
        bundle = bundle_of(name, args.full)
        if args.full:
            bundle.write_files(args.output)
            print(f"{name}: {', '.join(bundle.files)}", flush=True)
            continue
        path = os.path.join(args.output, name + ".xz")
        bundle.save(path)
        print(f"{path}: {len(bundle.files)} files, {os.path.getsize(path)} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
