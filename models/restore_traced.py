#!/usr/bin/env python3
"""Puts the files of a bundle in models/traced together again, without PyTorch: the same bytes as PyTorch wrote.

    python3 models/restore_traced.py models/traced/*.xz -o FOLDER

Writes NAME.pt2, NAME.trace.pt, ... (see models/export_traced.py), NAME.[TYPE.]K.npz for the runs (in/0, out/0, ...)
and index.json. A bundle is an .xz stream: u32 length of a JSON header, the header, then the bytes that the header's
pieces count off. A file is a list of pieces: a number (so many literal bytes) or [distribution, seed, a, b, shape]
(a weight, drawn by models/seeded.py, in the file's element type). Needs numpy only.
"""

import argparse
import hashlib
import json
import lzma
import os
import struct
import sys

import numpy as np

import seeded

_DRAW = {"normal": seeded.normal, "centred": seeded.centred, "uniform": seeded.uniform}
TYPES = {"": "f32", "f16.": "f16", "bf16.": "bf16"}


def draw(recipe, dtype):
    """The array that (distribution, seed, a, b, shape) describes; bf16 as its upper halves, in uint16."""
    kind, seed, a, b, shape = recipe
    x = _DRAW[kind](seed, tuple(shape), a, b)
    return x if dtype == "f32" else x.astype(np.float16) if dtype == "f16" else to_bf16(x)


def to_bf16(x):
    """uint16 of finite float32, rounded to nearest even."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def pack(x):
    """(dtype name, shape, bytes) of a torch tensor."""
    import torch
    x = x.detach().contiguous()
    name = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16", torch.int64: "i64"}[x.dtype]
    return name, list(x.shape), x.reshape(-1).view(torch.uint8).numpy().tobytes() if x.numel() else b""


def draw_inputs(specs, sizes, model, salt, first=0):
    """One run's inputs; floats are multiples of 1/32 below 4, which every dtype holds exactly."""
    arrays = []
    for name, shape, kind in specs:
        shape = tuple(sizes.get(d, d) for d in shape)
        key = seeded.tensor_seed(1, f"{model}/{name}/{salt}")
        if kind == "float":
            x = np.clip(np.round(seeded.normal(key, shape) * 32) / 32, -3.96875, 3.96875).astype(np.float32)
        elif kind == "mask":
            lengths = seeded.integers(key, (shape[0], 1), 1, shape[1] + 1)
            lengths[0] = shape[1]
            x = (np.arange(shape[1])[None] < lengths).astype(np.int64)
        elif kind == "place":
            x = np.arange(first, first + shape[0])
        else:
            x = seeded.integers(key, shape, 0, kind)
        arrays.append(np.ascontiguousarray(x))
    return arrays


class Bundle:
    """A model's files, with the drawn weights cut out, and its goldens."""

    def __init__(self, name, inputs, bounds, stateful):
        self.name, self.inputs, self.bounds, self.stateful = name, inputs, bounds, stateful
        self.files, self.goldens, self.tolerance = {}, {}, {}

    def add(self, file, dtype, data, drawn, fixed):
        """Takes a file; where bytes of a drawn weight stand, its recipe goes. `fixed` symbols are numbers in it."""
        places = []
        for recipe in drawn.values():
            raw = draw(recipe, TYPES[dtype]).tobytes()
            at = data.find(raw)
            if at >= 0:
                places.append((at, at + len(raw), list(recipe)))
        pieces, literals, end = [], [], 0
        for start, stop, recipe in sorted(places):
            if start < end:
                continue  # a tied weight
            pieces += [start - end, recipe]
            literals.append(data[end:start])
            end = stop
        pieces.append(len(data) - end)
        literals.append(data[end:])
        self.files[file] = {"dtype": dtype, "fixed": fixed, "pieces": pieces, "literals": b"".join(literals),
                            "sha256": hashlib.sha256(data).hexdigest()}

    def save(self, path):
        """Writes the bundle."""
        body, files = [], {}
        for name, f in self.files.items():
            files[name] = {k: f[k] for k in ("dtype", "fixed", "pieces", "sha256")}
            body.append(f["literals"])
        goldens = {}
        for dtype, runs in self.goldens.items():
            goldens[dtype] = []
            for sizes, first, outputs in runs:
                goldens[dtype].append([sizes, first, [t[:2] for t in outputs]])
                body += [t[2] for t in outputs]
        header = json.dumps({"name": self.name, "inputs": self.inputs, "bounds": self.bounds,
                             "stateful": self.stateful, "tolerance": self.tolerance, "files": files,
                             "goldens": goldens}).encode()
        with lzma.open(path, "wb", preset=7) as f:
            f.write(struct.pack("<I", len(header)) + header + b"".join(body))

    @staticmethod
    def load(path):
        """The bundle in a file."""
        with lzma.open(path) as f:
            data = f.read()
        size = struct.unpack_from("<I", data)[0]
        header, at = json.loads(data[4:4 + size]), 4 + size
        bundle = Bundle(*(header[k] for k in ("name", "inputs", "bounds", "stateful")))
        bundle.tolerance = header["tolerance"]
        for name, f in header["files"].items():
            size = sum(p for p in f["pieces"] if isinstance(p, int))
            bundle.files[name] = f | {"literals": data[at:at + size]}
            at += size
        for dtype, runs in header["goldens"].items():
            bundle.goldens[dtype] = []
            for sizes, first, outputs in runs:
                out = []
                for kind, shape in outputs:
                    size = int(np.prod(shape, dtype=np.int64)) * {"f32": 4, "i64": 8}.get(kind, 2)
                    out.append((kind, shape, data[at:at + size]))
                    at += size
                bundle.goldens[dtype].append((sizes, first, out))
        return bundle

    def bytes_of(self, name):
        """A whole file."""
        f, at, parts = self.files[name], 0, []
        for piece in f["pieces"]:
            if isinstance(piece, int):
                parts.append(f["literals"][at:at + piece])
                at += piece
            else:
                parts.append(draw(piece, TYPES[f["dtype"]]).tobytes())
        data = b"".join(parts)
        if hashlib.sha256(data).hexdigest() != f["sha256"]:
            raise ValueError(f"{name} came out differently")
        return data

    def write_files(self, folder):
        """Writes all files and runs; returns the model's entry of index.json."""
        entry = {"name": self.name, "inputs": [i[0] for i in self.inputs], "shapes": [i[1] for i in self.inputs],
                 "bounds": self.bounds,
                 "stateful": self.stateful, "files": [], "runs": {}}
        for name, f in self.files.items():
            path = os.path.join(folder, name)
            with open(path + ".part", "wb") as out:
                out.write(self.bytes_of(name))
            os.rename(path + ".part", path)
            entry["files"].append({"file": name, "dtype": f["dtype"], "fixed": f["fixed"], "tolerance": self.tolerance[f["dtype"]]})
        for dtype, runs in self.goldens.items():
            entry["runs"][dtype] = []
            for k, (sizes, first, outputs) in enumerate(runs):
                name = f"{self.name}.{dtype}{k}.npz"
                inputs = draw_inputs(self.inputs, sizes, self.name, k, first)
                arrays = {f"in/{i}": x for i, x in enumerate(inputs)}
                np.savez(os.path.join(folder, name), **arrays, **{f"out/{i}": array_of(t) for i, t in enumerate(outputs)})
                entry["runs"][dtype].append({"sizes": sizes, "file": name})
        return entry


def array_of(tensor):
    """The array of a stored output."""
    kind, shape, raw = tensor
    return np.frombuffer(raw, {"f32": np.float32, "i64": np.int64}[kind]).reshape(shape)


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", metavar="NAME.xz")
    parser.add_argument("-o", "--output", required=True, help="folder")
    args = parser.parse_args(argv)
    os.makedirs(args.output, exist_ok=True)
    index = []
    for path in args.bundles:
        try:
            index.append(Bundle.load(path).write_files(args.output))
        except (OSError, lzma.LZMAError, ValueError, KeyError) as e:
            print(f"restore_traced.py: {path}: {e}", file=sys.stderr)
            return 1
    with open(os.path.join(args.output, "index.json"), "w", encoding="utf-8") as f:
        json.dump(index, f, indent=1)
    print(f"{len(index)} models in {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
