#!/usr/bin/env python3
"""Writes the fixtures of the torch.export tests: tiny models as .pt2 files, and what eager mode computes as .npz.

    python3 tests/torch_export/make_fixtures.py OUT_FOLDER [--six]

Needs PyTorch (2.6 or newer). --six writes only the six models that every PyTorch since 2.6 can export, in the default
form, for the fixtures of older versions. Each NAME.npz holds in/ARGUMENT and out/NAME arrays as `floec --golden` reads
them; NAME.2.npz holds a second size of the dynamic dimensions. A model with state has steps: NAME.npz, NAME.2.npz, ...
are consecutive calls.
"""

import argparse
import os
import re

import numpy as np
import torch
from torch import nn
from torch.export import Dim


class Mlp(nn.Module):
    """Two linear layers, a module attribute and a keyword argument."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 7)
        self.fc2 = nn.Linear(7, 3)

    def forward(self, x, scale):
        return self.fc2(torch.relu(self.fc1(x))) * scale


class Conv(nn.Module):
    """In-place ops, batch norm, pooling and a dynamic batch."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4 * 4, 3)
        self.bn.running_mean.uniform_(-1, 1)
        self.bn.running_var.uniform_(0.5, 2)

    def forward(self, x):
        y = torch.relu_(self.bn(self.conv(x)))
        y = torch.nn.functional.max_pool2d(y, 2)
        return {"features": y, "logits": self.fc(torch.flatten(y, 1))}


class Tied(nn.Module):
    """Weights that share storage: tied, transposed, offset, expanded; buffers kept out of the state dict; constants."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.out = nn.Linear(6, 11, bias=False)
        self.out.weight = self.embed.weight
        base = torch.randn(40)
        self.register_buffer("first", base[4:16].view(3, 4))
        self.register_buffer("second", base[10:34].view(4, 6).t())
        self.register_buffer("spread", torch.randn(6, 1).expand(6, 5), persistent=False)
        self.mask = torch.tensor([True, False, True, True, False, True])

    def forward(self, ids):
        h = self.embed(ids)
        h = torch.where(self.mask, h, h * 2)
        extra = self.first.sum() + (self.second @ torch.ones(4)) + self.spread.sum(1)
        return self.out(h + extra)


class Counter(nn.Module):
    """Buffers that change with every call."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("total", torch.ones(2, 3))

    def forward(self, x):
        self.count.add_(1)
        self.total.mul_(0.5).add_(x)
        return self.total * self.count, self.count + 0


class Shapes(nn.Module):
    """Arithmetic on dynamic sizes; views; sizes as values."""

    def forward(self, x):
        n, t = x.shape[0], x.shape[1]
        y = x.reshape(n * 2, t // 2, 6)
        z = torch.cat([x, torch.zeros(n, 4, 6)], dim=1)
        z[:, 1:3] += 1.0
        return z.flatten(1), torch.arange(t) * (n + 1), y


class Wrapped(nn.Module):
    """no_grad and autocast regions become sub-graphs."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        with torch.no_grad():
            y = self.fc(x)
        with torch.autocast("cpu", enabled=False):
            z = y.sin() * 2
        return z + x


class Autocast(nn.Module):
    """A region in bf16: its graph holds no casts."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = torch.relu(self.fc(x))
            z = torch.softmax(y, -1) @ x.t()
        return y.float(), z.float()


class Mapped(nn.Module):
    """A map over the first axis, with a closure."""

    def forward(self, x, y):
        from torch._higher_order_ops.map import map as torch_map
        return torch_map(lambda row, other: row.sin() + other, x, y)


class Gate(nn.Module):
    """A branch on data."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: self.fc(x), lambda x: x.cos() - 1, (x,))


class Loop(nn.Module):
    """A loop on data."""

    def forward(self, x):
        def condition(i, y):
            return i < 5

        def body(i, y):
            return i + 1, y * 0.5 + x

        from torch._higher_order_ops.while_loop import while_loop
        return while_loop(condition, body, (torch.zeros((), dtype=torch.int64), x.clone()))


class Scan(nn.Module):
    """scan and map over the first axis."""

    def forward(self, x):
        from torch._higher_order_ops.scan import scan

        def step(carry, row):
            total = carry + row
            return total, total * 2
        last, rows = scan(step, torch.zeros(3), x, dim=0)
        return last, rows


class ScanDynamic(nn.Module):
    """scan over an axis of dynamic length."""

    def forward(self, x):
        from torch._higher_order_ops.scan import scan

        def step(carry, row):
            total = carry + row
            return total, total * 2
        return scan(step, torch.zeros(3), x, dim=0)


class Flatten(nn.Module):
    """Products of two dynamic sizes: rows flattened, and taken apart again."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.fc = nn.Linear(6, 4)

    def forward(self, ids):
        n, t = ids.shape
        x = self.embedding(ids)
        rows = self.fc(x.view(n * t, 6))
        y = torch.softmax(rows.view(n, t, 4), 1)
        tail = x[:, 2:].reshape(-1, 6).sum(1)
        return y, rows + 1, tail, x.flatten(), torch.arange(n * t).view(n, t) + ids


class Strides(nn.Module):
    """Sizes divided by strides, slices that end inside or outside, halves."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(3, 4, 5, stride=2, padding=2)
        self.second = nn.Conv1d(4, 2, 3, stride=3, padding=1)

    def forward(self, x):
        y = torch.relu(self.first(x))
        z = self.second(y)
        return z, x[..., ::2] * 2, z.transpose(1, 2).flatten(0, 1)


class Select(nn.Module):
    """Results whose size depends on data."""

    def forward(self, x, keep):
        rows = x[keep]
        found = torch.nonzero(x > 0)
        return rows @ x.t(), found, torch.masked_select(x, x > 0.5).sum(), torch.relu(rows).sum(0), rows.flatten() + 1


class Repeat(nn.Module):
    """repeat_interleave with counts that are computed, and unique."""

    def forward(self, x, counts):
        longer = torch.repeat_interleave(x, counts, dim=0)
        torch._check(longer.shape[0] <= 60)
        values, inverse, found = torch.unique(counts, return_inverse=True, return_counts=True)
        return longer * 2, values, inverse, found


class Found(nn.Module):
    """Numbers of tensors as sizes: item(), and repeats whose sum is stated."""

    def forward(self, x, k, counts):
        size = k.item()
        torch._check(size >= 1)
        torch._check(size <= x.shape[0])
        i, j = torch.where(x > 0)
        longer = torch.repeat_interleave(x, counts, dim=0, output_size=10)
        return torch.arange(size) * 2, x[:size] + 1, x.narrow(0, 0, size).sum(0), x[i, j] + i, longer


class Padded(nn.Module):
    """Rows of a padded batch taken out and put back; windows and chunks of an axis."""

    def forward(self, x, lengths):
        mask = torch.arange(x.shape[1])[None] < lengths[:, None]
        rows = torch.tanh(x[mask] @ torch.ones(3, 5))
        y = torch.zeros(x.shape[0], x.shape[1], 5)
        y[mask] = rows
        a, b = x.chunk(2, 1)
        return y, rows, x.unfold(1, 3, 2), a * 2, b.sum(1)


class Rows(nn.Module):
    """As many elements as a mask takes, in rows of four."""

    def forward(self, x, keep):
        found = x[keep]
        torch._check(found.shape[0] % 4 == 0)
        rows = found.view(-1, 4)
        return rows.sum(1), torch.relu(rows) @ torch.ones(4, 3), rows.t().reshape(4, -1, 1), found * 2


def models():
    """name -> (module, args, kwargs, dynamic shapes, second inputs or a list of more or None)."""
    n = Dim("N", min=1, max=8)
    t = Dim("T", min=2, max=64)
    half = Dim("half", min=1, max=32)
    return {
        "mlp": (Mlp(), (torch.randn(2, 5),), {"scale": torch.randn(3)}, None, None),
        "conv": (Conv(), (torch.randn(3, 2, 4, 4),), {}, {"x": {0: n}}, (torch.randn(5, 2, 4, 4),)),
        "tied": (Tied(), (torch.randint(0, 11, (2, 4)),), {}, None, None),
        "counter": (Counter(), (torch.randn(2, 3),), {}, None, (torch.randn(2, 3),)),
        "shapes": (Shapes(), (torch.randn(3, 4, 6),), {}, {"x": {0: n, 1: 2 * half}}, (torch.randn(2, 10, 6),)),
        "gate": (Gate(), (torch.full((2, 3), 0.5),), {}, None, (torch.full((2, 3), -0.5),)),
        "wrapped": (Wrapped(), (torch.randn(2, 4),), {}, {"x": {0: t}}, (torch.randn(9, 4),)),
        "autocast": (Autocast(), (torch.randn(2, 4),), {}, None, None),
        "mapped": (Mapped(), (torch.randn(3, 2), torch.randn(2)), {}, None, None),
        "loop": (Loop(), (torch.randn(2, 3),), {}, None, (torch.randn(2, 3),)),
        "scan": (Scan(), (torch.randn(4, 3),), {}, None, None),
        "scan_dyn": (ScanDynamic(), (torch.randn(4, 3),), {}, {"x": {0: t}},
                     [(torch.randn(9, 3),), (torch.randn(2, 3),)]),
        "map_dyn": (Mapped(), (torch.randn(3, 2), torch.randn(2)), {}, {"x": {0: t}, "y": None},
                    [(torch.randn(7, 2), torch.randn(2)), (torch.randn(2, 2), torch.randn(2))]),
        "flatten": (Flatten(), (torch.randint(0, 11, (2, 5)),), {},
                    {"ids": {0: Dim("N", min=2, max=8), 1: Dim("T", min=4, max=64)}},
                    [(torch.randint(0, 11, (3, 7)),), (torch.randint(0, 11, (8, 64)),)]),
        "strides": (Strides(), (torch.randn(2, 3, 20),), {},
                    {"x": {0: Dim("N", min=2, max=8), 2: Dim("L", min=16, max=70)}},
                    [(torch.randn(3, 3, 33),), (torch.randn(8, 3, 70),)]),
        "select": (Select(), (torch.randn(6, 4), torch.tensor([1, 0, 1, 1, 0, 1]) > 0), {},
                   {"x": {0: t}, "keep": {0: t}},
                   [(torch.randn(3, 4), torch.tensor([0, 0, 0]) > 0), (torch.randn(11, 4), torch.randn(11) > 0)]),
        "found": (Found(), (torch.randn(4, 3), torch.tensor(3), torch.tensor([2, 0, 7, 1])), {},
                  {"x": {0: t}, "k": None, "counts": {0: t}},
                  [(torch.randn(5, 3), torch.tensor(5), torch.tensor([1, 1, 1, 1, 6])),
                   (torch.randn(2, 3), torch.tensor(1), torch.tensor([0, 10]))]),
        "padded": (Padded(), (torch.randn(2, 6, 3), torch.tensor([3, 6])), {},
                   {"x": {0: Dim("N", min=2, max=8), 1: 2 * Dim("L", min=3, max=16)},
                    "lengths": {0: Dim("N", min=2, max=8)}},
                   [(torch.randn(3, 8, 3), torch.tensor([1, 8, 2])), (torch.randn(8, 32, 3), torch.arange(1, 33, 4))]),
        "repeat": (Repeat(), (torch.randn(4, 3), torch.tensor([2, 0, 3, 1])), {}, {"x": {0: t}, "counts": {0: t}},
                   [(torch.randn(6, 3), torch.tensor([1, 1, 0, 2, 9, 1])), (torch.randn(2, 3), torch.tensor([5, 5]))]),
        "rows": (Rows(), (torch.randn(5, 6), torch.arange(30).reshape(5, 6) * 7 % 30 < 12), {},
                 {"x": {0: t}, "keep": {0: t}},
                 [(torch.randn(3, 6), torch.zeros(3, 6) > 0), (torch.randn(10, 6), torch.arange(60).reshape(10, 6) > 19)]),
    }


SIX = ("mlp", "conv", "tied", "counter", "shapes", "gate")


def flat(value, name="output"):
    """(name, array) of the tensors of a result: names are dictionary keys and positions."""
    if isinstance(value, torch.Tensor):
        return [(name, value.detach().numpy())]
    if isinstance(value, dict):
        return [pair for key, v in value.items() for pair in flat(v, f"{name}.{key}")]
    return [pair for i, v in enumerate(value) for pair in flat(v, f"{name}.{i}")]


def golden(module, args, kwargs, names):
    """The arrays of one call, with copies of the inputs from before it."""
    arrays = {f"in/{k}": v.clone().numpy() for k, v in zip(names, [*args, *kwargs.values()])}
    with torch.no_grad():
        result = module(*args, **kwargs)
    arrays.update({f"out/{name}": np.array(array, order="C") for name, array in flat(result)})
    return arrays


def short(match):
    """A frame's file without the folders of this machine."""
    path = match.group(1)
    inside = path.rfind("/torch/")
    return f'File "site-packages{path[inside:]}"' if inside >= 0 else f'File "{os.path.basename(path)}"'


def save(program, path):
    """Saves with short paths in the stack traces."""
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", torch.fx.Graph()).nodes:
            trace = node.meta.get("stack_trace")
            if trace:
                node.meta["stack_trace"] = re.sub(r'File "([^"]*)"', short, trace)
    torch.export.save(program, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--six", action="store_true")
    parser.add_argument("--only", help="names, separated by commas")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    torch.manual_seed(7)
    for name, (module, inputs, kwargs, shapes, second) in models().items():
        if (args.six and name not in SIX) or (args.only and name not in args.only.split(",")):
            continue
        module.eval()
        try:
            program = torch.export.export(module, inputs, kwargs, dynamic_shapes=shapes)
            save(program, os.path.join(args.out, f"{name}.pt2"))
            if not args.six:
                save(program.run_decompositions(), os.path.join(args.out, f"{name}.decomposed.pt2"))
        except Exception as error:  # An older PyTorch that cannot export it: the others are still worth having.
            print(f"{name}: {type(error).__name__}: {str(error)[:200]}")
            continue
        names = [s.arg.name for s in program.graph_signature.input_specs if s.kind.name == "USER_INPUT"]
        np.savez(os.path.join(args.out, f"{name}.npz"), **golden(module, inputs, kwargs, names))
        more = second if isinstance(second, list) else [second] if second is not None else []
        for i, again in enumerate(more):
            np.savez(os.path.join(args.out, f"{name}.{i + 2}.npz"), **golden(module, again, kwargs, names))
        print(name, "ok")


if __name__ == "__main__":
    main()
