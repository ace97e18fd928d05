#!/usr/bin/env python3
"""Holds the full-size architectures of models/pytorch against eager, in every form and type that PyTorch writes.

    python3 models/check_traced.py --build build/release [NAME ...]

Exports one file at a time (models/export_traced.py), compiles it with floec, with eager's outputs at three sizes as
goldens, lets floe-bench --check compare, and deletes it. Dynamic dimensions are symbols with the bounds of
models/traced_models.py; where floec refuses that, each run's sizes are compiled as numbers. Deep networks with random
weights make much of roundings: where an f32 file is beyond its limit, it is held against eager in f64, and must be as near
to that as eager's own f32 is, to a factor of 2. Writes models/results/traced.json, one model after the other, and
traced.md; models that are not named keep their rows. Needs torch 2.13, up to 8 GB of memory, an hour on two cores.
"""

import argparse
import copy
import gc
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import torch

from export_traced import convert, example, export_forms, goldens_of, inputs_of, models_of
from restore_traced import TYPES, array_of, draw_inputs, pack
from traced_models import DTYPES, MODELS, TOLERANCE

HERE = os.path.dirname(os.path.abspath(__file__))


def write_goldens(spec, specs, name, runs, folder, prefix=""):
    """[(sizes, path)] of the runs that a fresh session can be held against."""
    files = []
    for k, (sizes, first, outputs) in enumerate(runs[:1] if spec.stateful else runs):
        arrays = {f"in/{i}": x for i, x in enumerate(draw_inputs(specs, sizes, name, k, first))}
        path = os.path.join(folder, f"{prefix}{k}.npz")
        np.savez(path, **arrays, **{f"out/{i}": array_of(t) for i, t in enumerate(outputs)})
        files.append((sizes, path))
    return files


def in_double(model, spec, specs, name):
    """(runs of eager in f64, the greatest error of eager in f32 against them)."""
    runs, worst, first = [], 0.0, 0
    for k, sizes in enumerate(spec.sizes[:1] if spec.stateful else spec.sizes):
        inputs = inputs_of(specs, sizes, name, k, first)
        outputs = []
        for dtype in (torch.float32, torch.float64):
            fresh = copy.deepcopy(model).to(dtype)
            with torch.no_grad():
                y = fresh(*[x.to(dtype) if x.is_floating_point() else x for x in inputs])
            outputs.append(y if isinstance(y, (tuple, list)) else (y,))
        for a, b in zip(*outputs):
            worst = max(worst, float((a.double() - b).abs().max() / b.abs().max()))
        runs.append((sizes, first, [pack(y.float()) for y in outputs[1]]))
    return runs, worst


def shape_flags(spec, specs, form, dtype, numbers):
    """floec's flags for the inputs; `numbers` are the symbols that are fixed."""
    flags = []
    for name, shape, kind in specs:
        dims = ",".join(str(numbers.get(d, d)) for d in shape)
        scalar = TYPES[dtype] if kind == "float" else "i64"
        flags += ["--shape", f"{name}=[{dims}]" + (f":{scalar}" if form.endswith(".pt") else "")]
    for symbol, (low, high) in spec.bounds.items():
        if symbol not in numbers:
            flags += ["--dim", f"{symbol}={low}..{high}"]
    return flags


def compile_and_check(args, path, flags, goldens, tolerance):
    """(seconds, error or None, message)"""
    out = path + ".floe"
    command = [args.floec, path, "-o", out, *flags, "--golden-rtol", str(tolerance), "--golden-atol", "0"]
    for golden in goldens:
        command += ["--golden", golden]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.monotonic() - start
    if done.returncode != 0:
        return seconds, None, done.stderr.strip()
    done = subprocess.run([args.bench, out, "--check", "--json", "--iterations", "1", "--warmup", "0"],
                          capture_output=True, text=True)
    os.remove(out)
    try:
        checks = json.loads(done.stdout)["checks"]
    except (ValueError, KeyError):
        return seconds, None, done.stderr.strip() or f"floe-bench gave {done.returncode}"
    return seconds, max(c["max_error"] for c in checks), "" if done.returncode == 0 else "differs"


def check_file(args, spec, specs, form, dtype, path, goldens, tolerance):
    """The row of a file."""
    fixed = {s: spec.sizes[0][s] for s in spec.fixed} if form.endswith("pt2") else {}
    fit = [g for s, g in goldens if all(s[f] == fixed[f] for f in fixed)]
    seconds, error, message = compile_and_check(args, path, shape_flags(spec, specs, form, dtype, fixed), fit, tolerance)
    row = {"bytes": os.path.getsize(path), "compile_s": round(seconds, 2), "error": error, "limit": tolerance,
           "runs": len(fit), "sizes": "symbols"}
    if error is None:  # each run's sizes as numbers
        row |= {"sizes": "numbers", "why": message, "error": None, "runs": 0}
        for sizes, golden in goldens:
            if any(sizes[f] != fixed[f] for f in fixed) or (form.endswith("pt2") and 0 in sizes.values()):
                continue  # torch.export knows no size of 0
            seconds, error, message = compile_and_check(
                args, path, shape_flags(spec, specs, form, dtype, sizes), [golden], tolerance)
            row["compile_s"], row["runs"] = round(seconds, 2), row["runs"] + 1
            if error is None:
                return row | {"error": None, "message": message}
            row["error"] = max(error, row["error"] or 0)
    return row


def passes(row):
    """Whether a file is within its limit, or as near to the exact outputs as eager is."""
    if row["error"] is None:
        return False
    return row["error"] <= row["limit"] or row.get("exact_error", 1) <= 2 * row.get("eager_error", 0)


def check_model(args, name, folder):
    """The rows of a model: {"TYPE.FORM": row}."""
    spec = MODELS[name]
    specs, rows = spec.full_inputs, {}
    model, exported, _ = models_of(name, True)
    for dtype in DTYPES if spec.half else ("",):
        model_d, exported_d = convert(model, dtype), convert(exported, dtype)
        runs = goldens_of(spec, specs, copy.deepcopy(model_d), name)
        goldens = write_goldens(spec, specs, name, runs, folder)
        tolerance, exact = TOLERANCE.get(dtype, spec.tolerance), None
        inputs, wide = example(spec, specs, name, dtype), model if dtype == "f16." else None
        for form, data in export_forms(spec, model_d, exported_d, inputs, dtype, wide):
            if args.forms and dtype + form not in args.forms:
                continue
            path = os.path.join(folder, "model." + form)
            with open(path, "wb") as f:
                f.write(data)
            del data
            gc.collect()
            row = check_file(args, spec, specs, form, dtype, path, goldens, tolerance)
            if dtype == "" and row["error"] is not None and row["error"] > tolerance:
                if exact is None:
                    runs, own = in_double(model, spec, specs, name)
                    exact = write_goldens(spec, specs, name, runs, folder, "exact")
                again = check_file(args, spec, specs, form, dtype, path, exact, tolerance)
                row |= {"exact_error": again["error"], "eager_error": own}
            os.remove(path)
            rows[dtype + form] = row
            print(f"{name} {dtype}{form}: {row}", flush=True)
    return rows


def table(results):
    """The Markdown table of the results."""
    lines = ["<!-- written by models/check_traced.py -->", "# Full-size architectures against eager PyTorch", "",
             "Greatest error of any output at any of the runs' sizes, relative to the greatest output of eager in f32",
             "(with weights rounded to the type), its limit, and seconds of `floec` (on a busy machine). Where an error is",
             "beyond the limit: the error against eager in f64, and eager's own error in f32 against that. `numbers`: compiled",
             "for each run's sizes; everything else has symbols with bounds.", "",
             "| model | form | type | sizes | file, MB | floec, s | error | limit | error, eager's (f64) |",
             "|---|---|---|---|---|---|---|---|---|"]
    for name in MODELS:
        for key, row in results.get(name, {}).items():
            dtype, form = key.split(".", 1) if key.startswith(("f16.", "bf16.")) else ("f32", key)
            error = "refused" if row["error"] is None else f"{row['error']:.1e}"
            if not passes(row):
                error = f"**{error}**"
            exact = f"{row['exact_error']:.1e}, {row['eager_error']:.1e}" if "exact_error" in row else ""
            lines.append(f"| {name} | {form} | {dtype} | {row['sizes']} | {row['bytes'] / 1e6:.1f} | "
                         f"{row['compile_s']:.1f} | {error} | {row['limit']:g} | {exact} |")
    return "\n".join(lines) + "\n"


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME", help=f"default: all of {', '.join(MODELS)}")
    parser.add_argument("--build", default="build/release", help="the build folder (default build/release)")
    parser.add_argument("--forms", nargs="*", help="only these, such as pt2 or f16.trace.pt")
    parser.add_argument("-o", "--output", default=os.path.join(HERE, "results"), help="folder (default models/results)")
    parser.add_argument("--scratch", help="folder for the files (default: a temporary one)")
    args = parser.parse_args(argv)
    if unknown := set(args.models) - set(MODELS):
        parser.error(f"unknown model: {', '.join(sorted(unknown))}")
    args.floec = os.path.join(args.build, "tools", "floec")
    args.bench = os.path.join(args.build, "bench", "floe-bench")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.makedirs(args.output, exist_ok=True)
    path, failed = os.path.join(args.output, "traced.json"), 0
    for name in args.models or MODELS:
        with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
            rows = check_model(args, name, folder)
        results = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                results = json.load(f)
        results[name] = results.get(name, {}) | rows
        failed += sum(not passes(r) for r in rows.values())
        with open(path, "w", encoding="utf-8") as f:
            json.dump({n: results[n] for n in MODELS if n in results}, f, indent=1)
            f.write("\n")
        with open(os.path.join(args.output, "traced.md"), "w", encoding="utf-8") as f:
            f.write(table(results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
