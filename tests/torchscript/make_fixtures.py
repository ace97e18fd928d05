#!/usr/bin/env python3
"""Writes the fixtures of the TorchScript front end: tests/torchscript/fixtures/NAME.pt and NAME.npz.

    python3 tests/torchscript/make_fixtures.py [-o FOLDER] [NAME...]

Each module is scripted, traced or frozen, saved, and run in eager mode on one or more sets of inputs; the .npz has the
arrays K/in/NAME and K/out/I of set K (a set of a stateful module follows the one before). Needs torch 2.x or 1.13;
fixtures/torch1.13 holds what 1.13.1 wrote: -o tests/torchscript/fixtures/torch1.13 and the names that are there.
Source ranges are dropped from the archives, except in `ranges`, where the paths are made relative.
"""

import io
import os
import pickle
import sys
import warnings
import zipfile
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "fixtures")


class Gate(nn.Module):
    """Takes a branch by the sign of a sum."""

    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return -x


class DecisionGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = Gate()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, h):
        return torch.tanh(self.gate(self.linear(x)) + h)


class EarlyReturn(nn.Module):
    def forward(self, x):
        if x.max() > 5:
            return x - 5
        y = x + 1
        if y.min() < -3:
            return y * 10
        y = y.relu()
        return y * 0.5


class LoopOnData(nn.Module):
    def forward(self, x):
        n = 0
        while x.sum() < 100:
            x = x * 2 + 1
            n += 1
            if n > 20:
                break
        return x, n


class EarlyReturnInLoop(nn.Module):
    def forward(self, x):
        for i in range(6):
            x = x + i
            if x.sum() > 10:
                return x
        return -x


class Containers(nn.Module):
    def forward(self, x):
        parts: List[Tensor] = []
        for i in range(3):
            if i == 1:
                continue
            parts.append(x * i)
        d: Dict[str, Tensor] = {"a": x, "b": x + 1}
        total = torch.zeros_like(x)
        for key, value in d.items():
            if key != "a":
                total = total + value
        parts.extend([total, d["a"]])
        parts.insert(0, parts.pop())
        sizes = [p.size(0) for p in parts]
        pairs = [(i, s) for i, s in enumerate(sizes)]
        scale = float(sum([a * b for a, b in pairs])) / max(sizes)
        text = "{} of {}".format(len(parts), sizes[0])
        if text == "4 of 3" and "b" in d:
            scale = scale + 1.0
        return torch.stack(parts[::-1]) * scale


class Pair(NamedTuple):
    left: Tensor
    right: Tensor


class Nested(nn.Module):
    """Tuples, dicts and named tuples in and out."""

    def forward(self, xs: List[Tensor], pair: Tuple[Tensor, Tensor], d: Dict[str, Tensor],
                bias: Optional[Tensor] = None, scale: float = 2.0):
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        p = Pair(pair[0] * scale, pair[1])
        if bias is not None:
            total = total + bias
        return {"total": total, "d": d["k"] - 1}, [p.left, p.right], (p.left.size(0), total.sum().item() > 0)


class Counter(nn.Module):
    """Changes a buffer in place, a buffer by assignment, and a number."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(3))
        self.register_buffer("last", torch.ones(2, 3))
        self.calls: int = 0

    def forward(self, x):
        self.total += x.sum(0)
        y = x + self.last
        self.last = x * 2
        self.calls += 1
        if self.calls > 2:
            y = y * 100
        return y + self.total, self.calls


class Cache(nn.Module):
    """A list of tensors that is rewritten."""

    def __init__(self):
        super().__init__()
        self.cache: List[Tensor] = [torch.zeros(2), torch.zeros(2)]

    def forward(self, x):
        out = self.cache[0] + x
        self.cache[0] = self.cache[1]
        self.cache[1] = x
        return out


class Checked(nn.Module):
    def forward(self, x):
        assert x.dim() == 2, "x must be a matrix"
        assert bool((x > -10).all()), "x must be above -10"
        if x.sum() > 1000:
            raise ValueError("the sum is too large: {}".format(x.size(0)))
        return x.sqrt()


class InPlace(nn.Module):
    """Writes through views, in a branch on data, too."""

    def forward(self, x):
        y = x.clone()
        y[0] = 3.0
        y[:, 1:3] += 1
        z = y.t()
        if x.mean() > 0:
            z[0] = -1
            y.mul_(2)
        else:
            y.add_(10)
        return y, z


class ListInBranch(nn.Module):
    """A list and an attribute that the branches of an if on data change."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(3))

    def forward(self, x):
        outs: List[Tensor] = [x]
        if x.sum() > 0:
            outs.append(x + 1)
            self.seen = self.seen + x
        else:
            outs.append(x - 1)
        return outs[1] * 2, self.seen


class Recurrent(nn.Module):
    """A scripted loop over time around a cell."""

    def __init__(self):
        super().__init__()
        self.gates = nn.Linear(9, 20)

    def forward(self, x):
        h = torch.zeros(x.size(1), 5)
        c = torch.zeros(x.size(1), 5)
        outs: List[Tensor] = []
        for t in x.unbind(0):
            i, f, g, o = self.gates(torch.cat([t, h], 1)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outs.append(h)
        return torch.stack(outs), (h, c)


class ForOnData(nn.Module):
    """A trip count and a list index that depend on data."""

    def forward(self, x, n):
        k = int(n.item())
        for i in range(k):
            x = x + i
        return x


class Forked(nn.Module):
    def forward(self, x):
        f = torch.jit.fork(torch.sin, x)
        g = torch.jit.fork(Forked.twice, x)
        return torch.jit.wait(f) + torch.jit.wait(g)

    @staticmethod
    def twice(x: Tensor):
        return x + x


@torch.jit.script
class Accumulator:
    def __init__(self, scale: float):
        self.scale = scale
        self.items: List[Tensor] = []

    def add(self, x: Tensor):
        self.items.append(x * self.scale)
        return self

    def total(self) -> Tensor:
        t = self.items[0]
        for x in self.items[1:]:
            t = t + x
        return t


class UsesClass(nn.Module):
    def forward(self, x):
        a = Accumulator(0.5)
        a.add(x).add(x + 1)
        return a.total()


class Small(nn.Module):
    """A network of several modules, some in containers, with batch norm and dropout."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
        self.blocks = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
        self.heads = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(3, 1)})
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        x = self.conv(x).mean([2, 3])
        for block in self.blocks:
            x = self.drop(torch.relu(block(x))) + x
        return self.heads["a"](x), self.heads["b"](x)


class Shapes(nn.Module):
    """Arithmetic on sizes that a trace and a script must keep symbolic."""

    def forward(self, x):
        n, c, h, w = x.shape
        y = x.reshape(n, c * h * w)
        z = x.view(n, c, -1).transpose(1, 2)
        if n > 100:
            y = y * 2
        return y, z, torch.ones(n, 2) * x.size(0)


class Numbers(nn.Module):
    def forward(self, x):
        a = x.size(0) // 2 + 7 % 3 - (-7) % 3 - (-7) // 2
        b = float(a) / 3.0 + 2 ** 3 + abs(-1.5) + round(2.5) + min(1, 2) + max(0.5, 0.25)
        c = int(b) if b > 3 else 0
        ok = not (a == 3 or b < 0) and isinstance(c, int)
        d = x.sum().item()
        e = d * 2.0 + a
        return torch.full([2], b) + c + int(ok), x * e


class Quantised(nn.Module):
    """Static int8 in eager mode: packed convolutions and linears, additions, concatenations."""

    def __init__(self):
        super().__init__()
        self.quant = torch.ao.quantization.QuantStub()
        self.conv = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.add = torch.ao.nn.quantized.FloatFunctional()
        self.linear = nn.Linear(4, 3)
        self.dequant = torch.ao.quantization.DeQuantStub()

    def forward(self, x):
        x = self.relu(self.conv(self.quant(x)))
        x = self.add.add(x, self.depthwise(x))
        x = self.add.cat([x, x], 2) if False else x
        return self.dequant(self.linear(x.mean([2, 3])))


def static_int8(x):
    m = Quantised().eval()
    m.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
    torch.ao.quantization.fuse_modules(m, [["conv", "relu"]], inplace=True)
    torch.ao.quantization.prepare(m, inplace=True)
    m(x)
    return torch.ao.quantization.convert(m)


def dynamic_int8():
    m = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    return torch.ao.quantization.quantize_dynamic(m, {nn.Linear})


def sets(*groups):
    return [tuple(g) for g in groups]


def rand(*shape, scale=1.0, seed=0):
    g = torch.Generator().manual_seed(seed + sum((i + 1) * s for i, s in enumerate(shape)))
    return torch.randn(*shape, generator=g) * scale


def modules():
    """(name, module, how, sets of inputs)."""
    x = rand(3, 4)
    yield "gate", DecisionGate(), "script", sets((x, rand(3, 4, seed=1)), (-x, x), (x * 0, x))
    yield "early_return", EarlyReturn(), "script", sets((x,), (x + 9,), (x - 9,), (x.abs(),))
    yield "loop_on_data", LoopOnData(), "script", sets((x.abs(),), (x.abs() + 50,), (x - 1000,))
    yield "return_in_loop", EarlyReturnInLoop(), "script", sets((x,), (x + 1,), (x - 100,), (x - 0.5,))
    yield "containers", Containers(), "script", sets((x,))
    yield "nested", Nested(), "script", sets(([x, x + 1, x * 2], (x, x - 1), {"k": x}), ([-x, -x, -x], (x, x), {"k": x}))
    yield "counter", Counter(), "script", sets((rand(2, 3),), (rand(2, 3, seed=5),), (rand(2, 3, seed=6),))
    yield "cache", Cache(), "script", sets((rand(2),), (rand(2, seed=5),), (rand(2, seed=6),))
    yield "checked", Checked(), "script", sets((x.abs(),))
    yield "in_place", InPlace(), "script", sets((x.abs(),), (-x.abs(),))
    yield "list_in_branch", ListInBranch(), "script", sets((rand(3).abs(),), (-rand(3).abs(),), (rand(3).abs(),))
    yield "recurrent", Recurrent(), "script", sets((rand(3, 2, 4),))
    yield "for_on_data", ForOnData(), "script", sets((x, torch.tensor(3)), (x, torch.tensor(0)))
    yield "forked", Forked(), "script", sets((x,))
    yield "uses_class", UsesClass(), "script", sets((x,))
    yield "numbers", Numbers(), "script", sets((rand(5, 2),), (rand(5, 2, seed=3),))
    for how in ("script", "trace", "freeze", "freeze_trace"):
        yield "small_" + how, Small().eval(), how, sets((rand(2, 2, 4, 4),))
    yield "shapes_script", Shapes(), "script", sets((rand(2, 3, 4, 5),), (rand(7, 3, 4, 5),))
    yield "shapes_trace", Shapes(), "trace", sets((rand(2, 3, 4, 5),), (rand(7, 3, 4, 5),))
    yield "gate_trace", nn.Sequential(torch.jit.script(Gate()), nn.Linear(4, 4)), "trace", sets((x.abs(),), (-x.abs(),))
    image = rand(2, 2, 6, 6)
    yield "int8_static", static_int8(image), "trace", sets((image,))
    yield "int8_dynamic", dynamic_int8(), "trace", sets((rand(4, 8),), (rand(4, 8, seed=2).abs(),))
    yield "int8_script", dynamic_int8(), "script", sets((rand(4, 8),))
    yield "ranges", Gate(), "script", sets((x.abs(),))


def leaves(value, prefix, out):
    """Flattens what forward() takes or returns as the front end does."""
    if isinstance(value, Tensor):
        out[prefix] = np.array(value.detach().numpy(), order="C")
    elif isinstance(value, bool):
        out[prefix] = np.array(value)
    elif isinstance(value, int):
        out[prefix] = np.array(value, np.int64)
    elif isinstance(value, float):
        out[prefix] = np.array(value, np.float64)
    elif isinstance(value, dict):
        for k, v in value.items():
            leaves(v, f"{prefix}.{k}", out)
    elif isinstance(value, (list, tuple)):
        for i, v in enumerate(value):
            leaves(v, f"{prefix}.{i}", out)
    elif value is not None:
        raise TypeError(type(value))
    return out


def relative(value):
    """A pickled source range with the paths of this machine taken out."""
    if isinstance(value, str):
        return os.path.basename(value) if value.endswith(".py") else value
    if isinstance(value, (tuple, list)):
        return type(value)(relative(v) for v in value)
    return value


def slim(data, keep_ranges):
    """The archive without source ranges and without padding."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as z, zipfile.ZipFile(out, "w") as w:
        for i in z.infolist():
            content = z.read(i)
            if i.filename.endswith(".debug_pkl"):
                if not keep_ranges:
                    continue
                content = pickle.dumps(relative(pickle.loads(content)), 2)
            if "serialization_id" in i.filename:
                continue
            info = zipfile.ZipInfo(i.filename, (1980, 1, 1, 0, 0, 0))
            small = len(content) < 64 or "/data/" in i.filename or "/constants/" in i.filename
            w.writestr(info, content, zipfile.ZIP_STORED if small else zipfile.ZIP_DEFLATED)
    return out.getvalue()


def save(name, module, how, inputs):
    module.eval() if how != "script" or name.startswith("small") else None
    if how.startswith("freeze"):
        module.eval()
    if how in ("trace", "freeze_trace"):
        scripted = torch.jit.trace(module, inputs[0], check_trace=False)
    else:
        scripted = torch.jit.script(module)
    if how.startswith("freeze"):
        scripted = torch.jit.freeze(scripted)
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    data = slim(buffer.getvalue(), name == "ranges")
    names = [p for p in module.forward.__code__.co_varnames[1:module.forward.__code__.co_argcount]]
    if isinstance(module, nn.Sequential):
        names = ["input"]
    arrays = {}
    scripted = torch.jit.load(io.BytesIO(data))
    for k, group in enumerate(inputs):
        for n, value in zip(names, group):
            for key, array in leaves(value, n, {}).items():
                arrays[f"{k}/in/{key}"] = array
        with torch.no_grad():
            result = scripted(*group)
        for key, array in leaves(result, "output", {}).items():
            arrays[f"{k}/out/{key}"] = array
    with open(os.path.join(FOLDER, name + ".pt"), "wb") as f:
        f.write(data)
    np.savez(os.path.join(FOLDER, name + ".npz"), **arrays)


def main():
    global FOLDER
    torch.manual_seed(0)
    torch.set_num_threads(1)
    only = sys.argv[1:]
    if only[:1] == ["-o"]:
        FOLDER, only = only[1], only[2:]
    os.makedirs(FOLDER, exist_ok=True)
    for name, module, how, inputs in modules():
        if not only or name in only:
            save(name, module, how, inputs)


if __name__ == "__main__":
    main()
