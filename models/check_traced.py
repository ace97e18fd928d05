#!/usr/bin/env python3
"""Holds the full-size architectures of models/pytorch against eager, in every form and type that PyTorch writes.

    python3 models/check_traced.py --build build/release [NAME ...]

Exports one file at a time (models/export_traced.py), compiles it with floec, with eager's outputs at three sizes as
goldens, lets floe-bench --check compare, and deletes it. Dynamic dimensions are symbols with the bounds of
models/traced_models.py; where floec refuses that, each run's sizes are compiled as numbers. Deep networks with random
weights make much of roundings: where an f32 file is beyond its limit, it is held against eager in f64, and must be as near
to that as eager's own f32 is, to a factor of 2. Writes models/results/traced.json, one model after the other, and
prints the table of models/README.md; models that are not named keep their rows, and --table alone prints it again.
Needs torch 2.13, up to 8 GB of memory, two hours on one core.
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
            flags += ["--dim", f"{symbol}={max(low, least_of(form))}..{high}"]
    return flags


def least_of(form):
    """The least size that a form knows: torch.export takes no dimension of 0."""
    return 1 if form.endswith("pt2") else 0


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
    goldens = [(s, g) for s, g in goldens
               if all(s[f] == fixed[f] for f in fixed) and min(s.values()) >= least_of(form)]
    fit = [g for _, g in goldens]
    seconds, error, message = compile_and_check(args, path, shape_flags(spec, specs, form, dtype, fixed), fit, tolerance)
    row = {"bytes": os.path.getsize(path), "compile_s": round(seconds, 2), "error": error, "limit": tolerance,
           "runs": len(fit), "sizes": "symbols"}
    if error is None:  # each run's sizes as numbers
        row |= {"sizes": "numbers", "why": message, "error": None, "runs": 0}
        for sizes, golden in goldens:
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


def worst(rows, dtype):
    """The greatest error of a type's files, in bold if one of them fails; empty if there are none."""
    of_type = [r for k, r in rows.items() if type_of(k) == dtype]
    if not of_type:
        return ""
    error = "refused" if any(r["error"] is None for r in of_type) else f"{max(r['error'] for r in of_type):.1e}"
    return error if all(passes(r) for r in of_type) else f"**{error}**"


def type_of(key):
    """The type of a row's key, f32 or as in "f16.trace.pt"."""
    first = key.partition(".")[0]
    return first if first + "." in DTYPES else "f32"


def table(results):
    """The Markdown table of the results, a line for each model; DTYPES' keys end in dots."""
    lines = ["| model | files | sizes | f32 | limit | beyond it: from f64, eager's | f16 | bf16 | floec, s |",
             "|---|---|---|---|---|---|---|---|---|"]
    for name in MODELS:
        rows = results.get(name)
        if not rows:
            continue
        exact = [r for r in rows.values() if "exact_error" in r]
        beside = "" if not exact else (f"{max(r['exact_error'] for r in exact):.1e}, "
                                       f"{max(r['eager_error'] for r in exact):.1e}")
        sizes = "numbers" if any(r["sizes"] == "numbers" for r in rows.values()) else "symbols"
        limit = next(r["limit"] for k, r in rows.items() if type_of(k) == "f32")
        lines.append(f"| {name} | {len(rows)} | {sizes} | {worst(rows, 'f32')} | {limit:g} | {beside} | "
                     f"{worst(rows, 'f16')} | {worst(rows, 'bf16')} | "
                     f"{max(r['compile_s'] for r in rows.values()):.1f} |")
    return "\n".join(lines) + "\n"


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME", help=f"default: all of {', '.join(MODELS)}")
    parser.add_argument("--build", default="build/release", help="the build folder (default build/release)")
    parser.add_argument("--forms", nargs="*", help="only these, such as pt2 or f16.trace.pt")
    parser.add_argument("-o", "--output", default=os.path.join(HERE, "results"), help="folder (default models/results)")
    parser.add_argument("--table", action="store_true", help="run nothing: print the table of what is in the folder")
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
    path, failed, results = os.path.join(args.output, "traced.json"), 0, {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            results = json.load(f)
    for name in () if args.table else args.models or MODELS:
        with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
            rows = check_model(args, name, folder)
        results[name] = results.get(name, {}) | rows
        for row in rows.values():
            row.pop("why", None)
        failed += sum(not passes(r) for r in rows.values())
        with open(path, "w", encoding="utf-8") as f:
            json.dump({n: results[n] for n in MODELS if n in results}, f, indent=1)
            f.write("\n")
    print(table(results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
