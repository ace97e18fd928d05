#!/usr/bin/env python3
"""Writes the op- and module-level cases of the PyTorch front ends: tests/aten/cases.zip.

    python3 tests/aten/make_cases.py [--only REGEX] [--cache FOLDER] [--census FILE] [-o FILE]

Every row of tests/aten/tables becomes a module that is run in eager mode, exported with torch.export (pt2; decomposed
into core ATen, too: core) and traced with torch.jit.trace (pt). A form that PyTorch itself cannot make is left out and
named on the screen, as is a core form that is the same as the pt2 form. The archives' entries go, solid, into one zip
with an entry for each table; tests/aten/case_file.h describes the framing. Stack traces and sample inputs stay in some
cases only. Needs torch 2.13 (10 minutes on one core).
"""

import argparse
import collections
import glob
import hashlib
import importlib
import io
import json
import logging
import os
import pickle
import re
import struct
import sys
import time
import warnings
import zipfile

import torch
from torch.utils import _pytree as pytree

import case_kit

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = {v: k for k, v in case_kit.DTYPES.items()}
ROOT = os.path.dirname(os.path.dirname(HERE))


def clone(inputs):
    """Copies with the same strides."""
    return tuple(x.clone() if isinstance(x, torch.Tensor) else x for x in inputs)


def tensors(tree):
    """The tensors of any nest of containers."""
    return [x for x in pytree.tree_leaves(tree) if isinstance(x, torch.Tensor)]


def entries_of(data):
    """[(name, bytes)] of a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        return [(i.filename, z.read(i)) for i in z.infolist()]


def slim_json(data, full):
    """model.json without traces; with `full`, the traces' frames in this folder, with paths from the root."""
    model = json.loads(data)
    frame = re.compile(r'File "[^"]*/(tests/aten/[\w/]+\.py)", (line \d+, in [^\n]+\n[^\n]*)')

    def walk(x):
        if isinstance(x, list):
            for y in x:
                walk(y)
        elif isinstance(x, dict):
            if "target" in x and "metadata" in x:
                trace = "\n".join(
                    f'  File "{m[0]}", {m[1]}' for m in frame.findall(x["metadata"].get("stack_trace", ""))
                )
                keep = {k: v for k, v in x["metadata"].items() if k in ("nn_module_stack", "torch_fn")} if full else {}
                x["metadata"] = keep | ({"stack_trace": trace} if full and trace else {})
            for y in x.values():
                walk(y)

    walk(model)
    return json.dumps(model, separators=(",", ":")).encode()


def export_core(module, inputs, options, census):
    """The same after run_decompositions()."""
    return export_pt2(module, inputs, {k: v for k, v in options.items() if k != "full"} | {"core": True}, census)


def export_pt2(module, inputs, options, census):
    """The entries of the .pt2 that torch.export writes."""
    program = torch.export.export(module, clone(inputs), dynamic_shapes=options.get("dyn"), strict=False)
    if options.get("core"):
        wanted = tensors(module(*clone(inputs)))
        program = program.run_decompositions()
        for a, b in zip(wanted, tensors(program.module()(*clone(inputs))), strict=True):
            # PyTorch's decompositions have mistakes of their own (multilabel_margin_loss with padded targets).
            torch.testing.assert_close(b, a, rtol=1e-2, atol=1e-2, equal_nan=True)
    for graph in program.graph_module.modules():
        for node in getattr(getattr(graph, "graph", None), "nodes", ()):
            if node.op == "call_function":
                census[str(node.target)] += 1
    file = io.BytesIO()
    torch.export.save(program, file)
    full, out = options.get("full", False), []
    for name, data in entries_of(file.getvalue()):
        if name.endswith("/models/model.json"):
            data = slim_json(data, full)
        elif "/sample_inputs/" in name and not full:
            continue
        out.append((name, data))
    return out


def trace_pt(module, inputs, options, census):
    """The entries of the .pt that torch.jit.trace (or .script) writes; options["names"] gets its parameters."""
    if options.get("script"):
        traced = torch.jit.script(module)
    else:
        state = {k: v.clone() for k, v in module.state_dict().items()}
        traced = torch.jit.trace(module, clone(inputs), check_trace=False)
        traced.load_state_dict(state, strict=False)  # tracing ran the module
        check_trace(traced, module, inputs, state)
    if options.get("freeze"):
        traced = torch.jit.freeze(traced)

    def count(block):
        for node in block.nodes():
            schema = node.schema()
            census[schema.split("(")[0] if schema != "(no schema)" else node.kind()] += 1
            for inner in node.blocks():
                count(inner)

    count(traced.inlined_graph)
    options["names"] = [a.name for a in traced.forward.schema.arguments[1:]]
    file = io.BytesIO()
    torch.jit.save(traced, file)
    return [(n, d) for n, d in entries_of(file.getvalue()) if not n.endswith(".debug_pkl")]


def forget_classes():
    """Empties TorchScript's table of classes, so that each case's class keeps its plain name."""
    torch._C._jit_clear_class_registry()
    torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
    torch.jit._state._clear_class_state()


def check_trace(traced, module, inputs, state):
    """Stops if the trace itself is not what eager is (it may freeze a number to a tensor of another type)."""
    wanted, got = [], []
    for m, outputs in ((module, wanted), (traced, got)):
        m.load_state_dict(state, strict=False)
        outputs += tensors(m(*clone(inputs)))
        m.load_state_dict(state, strict=False)
    for a, b in zip(wanted, got, strict=True):
        if a.dtype != b.dtype or a.shape != b.shape:
            raise RuntimeError(f"the trace gives {b.dtype} {tuple(b.shape)}, eager {a.dtype} {tuple(a.shape)}")


def make(case):
    """A dictionary with the forms, the data sets and the censuses of a case, or with what went wrong."""
    result = {"forms": {}, "errors": {}, "census": {}}
    options = case.options
    sets = case.draw()
    module = case.module()
    result["sets"] = []
    with torch.no_grad():
        for inputs in sets:
            given = clone(inputs)
            outputs = tensors(module(*given))
            before, after = ([pack_tensor(x) for x in tensors(xs)] for xs in (inputs, given))
            written = [struct.pack("<I", i) + b for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
            result["sets"].append([before, [pack_tensor(y) for y in outputs], written])
    for form, function in (("pt2", export_pt2), ("core", export_core), ("pt", trace_pt)):
        if ("pt2" if form == "core" else form) not in options.get("forms", ("pt2", "pt")):
            continue
        forget_classes()
        census = collections.Counter()
        try:
            with torch.no_grad():
                result["forms"][form] = function(case.module(), sets[0], options, census)
            result["names"] = options.get("names", [])
            result["census"][form] = census
            if form == "core" and same_graph(result["forms"].get("pt2"), result["forms"]["core"]):
                del result["forms"]["core"]
        except Exception as e:
            result["errors"][form] = f"{type(e).__name__}: {str(e).strip().splitlines()[0] if str(e).strip() else ''}"
    return result


def same_graph(a, b):
    """Whether two .pt2 have the same nodes."""

    def nodes(entries):
        models = [json.loads(d) for n, d in entries or () if n.endswith("/models/model.json")]
        return [[(n["target"], n["inputs"]) for n in m["graph_module"]["graph"]["nodes"]] for m in models]

    return nodes(a) == nodes(b)


def blob(data):
    """A byte string with its length."""
    return struct.pack("<I", len(data)) + data


def pack_tensor(x):
    """dtype, rank, dims, bytes."""
    x = x.detach().resolve_conj().contiguous()
    x = torch.view_as_real(x) if x.is_complex() else x
    raw = x.reshape(-1).view(torch.uint8).numpy().tobytes() if x.numel() else b""
    return blob(NAMES[x.dtype].encode()) + struct.pack(f"<I{x.dim()}q", x.dim(), *x.shape) + blob(raw)


def pack_case(case, result):
    """One case of a bundle."""
    options = {k: v for k, v in case.options.items() if k in ("tol", "stateful", "full")}
    options["names"] = result.get("names", [])
    out = [blob(case.name.encode()), blob(json.dumps(options, sort_keys=True).encode())]
    out.append(struct.pack("<I", len(result["forms"])))
    for form, entries in result["forms"].items():
        out += [blob(form.encode()), struct.pack("<I", len(entries))]
        out += [part for name, data in entries for part in (blob(name.encode()), blob(data))]
    out.append(struct.pack("<I", len(result["sets"])))
    for groups in result["sets"]:
        for group in groups:
            out += [struct.pack("<I", len(group)), *group]
    return b"".join(out)


def cached(case, folder, salts):
    """make(), remembered in `folder` as long as the table and the kit stay as they are."""
    if not folder:
        return make(case)
    key = hashlib.sha256(f"{salts[case.source]}{case.family}/{case.name}".encode()).hexdigest()[:24]
    path = os.path.join(folder, key)
    if os.path.exists(path):
        with open(path, "rb") as f:
            return pickle.load(f)
    result = make(case)
    with open(path, "wb") as f:
        pickle.dump(result, f)
    return result


def read_salts():
    """{table: hash of it and of the generator}."""

    def digest(path):
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    kit = digest(os.path.join(HERE, "case_kit.py")) + digest(os.path.join(HERE, "make_cases.py"))
    return {c.source: kit + digest(c.source) for c in case_kit.CASES}


def write_census(path, results):
    """Lines "form op count cases" in the order of the number of cases."""
    with open(path, "w", encoding="utf-8") as f:
        for form in ("pt2", "core", "pt"):
            total, cases = collections.Counter(), collections.Counter()
            for _, r in results:
                for name, n in r["census"].get(form, {}).items():
                    total[name] += n
                    cases[name] += 1
            f.write(f"# {form}: {len(total)} overloads\n")
            for name, n in sorted(cases.items(), key=lambda e: (-e[1], e[0])):
                f.write(f"{form} {name} {total[name]} in {n} cases\n")


def write_zip(path, results):
    """The bundles, an entry for each table."""
    bundles = collections.OrderedDict()
    for case, result in results:
        bundles.setdefault(case.family, []).append(pack_case(case, result))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for family, cases in bundles.items():
            info = zipfile.ZipInfo(family, (2026, 1, 1, 0, 0, 0))  # fixed, so that the bytes repeat
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, struct.pack("<I", len(cases)) + b"".join(cases))
            print(f"{family}: {len(cases)} cases, {z.getinfo(family).compress_size} bytes")
    print(f"{len(results)} cases, {os.path.getsize(path)} bytes")


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="regular expression on family/name")
    parser.add_argument("--cache", help="folder that keeps the results of unchanged tables")
    parser.add_argument("--census", help="file for the ops that the cases use")
    parser.add_argument("--list", action="store_true", help="only count the cases")
    parser.add_argument("-o", "--output", help="default: tests/aten/cases.zip unless --only is given")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    sys.path.insert(0, HERE)
    for table in sorted(glob.glob(os.path.join(HERE, "tables", "[a-z]*.py"))):
        importlib.import_module("tables." + os.path.splitext(os.path.basename(table))[0])
    chosen = [c for c in case_kit.CASES if re.search(args.only, f"{c.family}/{c.name}")]
    if args.list:
        print(*sorted(collections.Counter(c.family for c in chosen).items()), len(chosen), sep="\n")
        return 0
    if args.cache:
        os.makedirs(args.cache, exist_ok=True)
    salts, results, start, bad = read_salts(), [], time.time(), 0
    for n, case in enumerate(chosen):
        label = f"{case.family}/{case.name}"
        try:
            result = cached(case, args.cache, salts)
        except Exception as e:
            print(f"BAD {label}: {type(e).__name__}: {str(e).strip()[:300]}", flush=True)
            bad += 1
            continue
        for form, error in result["errors"].items():
            print(f"no {form} of {label}: {error[:200]}", flush=True)
        if result["forms"]:
            results.append((case, result))
        if n % 100 == 99:
            print(f"{n + 1}/{len(chosen)} after {time.time() - start:.0f} s", flush=True)
    if args.census:
        write_census(args.census, results)
    output = args.output or (None if args.only else os.path.join(HERE, "cases.zip"))
    if output:
        write_zip(output, results)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
