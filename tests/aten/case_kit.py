"""The vocabulary of the case tables in tests/aten/tables: inputs as descriptions, cases as rows.

A table calls op() for functions of tensors and net() for modules; make_cases.py turns each row into files. All
numbers of a case come from generators that its name seeds, so that a case does not depend on its neighbours.
"""

import os
import sys
import zlib

import torch
from torch import nn

DTYPES = {
    "f32": torch.float32,
    "f64": torch.float64,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "i8": torch.int8,
    "i16": torch.int16,
    "i32": torch.int32,
    "i64": torch.int64,
    "u8": torch.uint8,
    "bool": torch.bool,
    "c64": torch.complex64,
    "c128": torch.complex128,
}
SPECIAL = (float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-30, -3e4)


class T:
    """A tensor to be drawn: shape, dtype and the kind of its numbers.

    kind: normal (floats) or range (integers in lo..hi-1) by default; uniform in [lo, hi); special (normal with NaN,
    infinities, zeros of both signs and ties); perm (a permutation of 0..n-1 in random order); then `then` is applied.
    """

    def __init__(self, *shape, dt="f32", kind=None, lo=None, hi=None, then=None):
        self.shape, self.dt, self.kind, self.lo, self.hi, self.then = shape, dt, kind, lo, hi, then

    def draw(self, generator):
        """The tensor."""
        dtype, shape = DTYPES[self.dt], self.shape
        if self.kind == "perm":
            count = 1
            for d in shape:
                count *= d
            x = torch.randperm(count, generator=generator).reshape(shape).to(dtype)
        elif dtype.is_complex:
            x = torch.view_as_complex(torch.randn(*shape, 2, generator=generator, dtype=torch.float64)).to(dtype)
        elif dtype == torch.bool:
            x = torch.rand(shape, generator=generator) < 0.5
        elif not dtype.is_floating_point and self.kind is None:
            lo = (0 if self.dt == "u8" else -9) if self.lo is None else self.lo
            x = torch.randint(lo, 10 if self.hi is None else self.hi, shape, generator=generator).to(dtype)
        elif self.kind == "uniform" or self.lo is not None:
            lo, hi = (0.0 if self.lo is None else self.lo), (1.0 if self.hi is None else self.hi)
            x = (lo + (hi - lo) * torch.rand(shape, generator=generator, dtype=torch.float64)).to(dtype)
        else:
            x = torch.randn(shape, generator=generator, dtype=torch.float64)
            if self.kind == "special":
                flat = x.flatten()
                places = torch.randperm(flat.numel(), generator=generator)[: len(SPECIAL)]
                flat[places] = torch.tensor(SPECIAL[: len(places)], dtype=torch.float64)
                x = flat.reshape(shape)
            x = x.to(dtype)
        return x if self.then is None else self.then(x)


class Case:
    """A row: how to make the module, its inputs (one list for each data set) and how to judge it."""

    def __init__(self, family, name, make, sets, options, source):
        self.family, self.name, self.make, self.sets, self.options = family, name, make, sets, options
        self.source = source

    def seed(self, salt=0):
        """The number that seeds a generator of this case."""
        return zlib.crc32(f"{self.family}/{self.name}/{salt}".encode())

    def draw(self):
        """The inputs of every data set."""
        sets = []
        for k, descriptions in enumerate(self.sets):
            generator = torch.Generator().manual_seed(self.seed(k + 1))
            sets.append(tuple(d.draw(generator) if isinstance(d, T) else d for d in descriptions))
        return sets

    def module(self):
        """The module in eval mode, with weights of its own."""
        torch.manual_seed(self.seed())
        return vary(self.make()).eval()


CASES = []
_NAMES = set()


def _add(name, make, inputs, options):
    # The table's file is the family: the first frame outside this file.
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__:
        frame = frame.f_back
    source = frame.f_code.co_filename
    family = os.path.splitext(os.path.basename(source))[0]
    sets = options.pop("sets", None) or [list(inputs)]
    unique, n = name, 1
    while (family, unique) in _NAMES:
        n += 1
        unique = f"{name}-{n}"
    _NAMES.add((family, unique))
    CASES.append(Case(family, unique, make, sets, options, source))


def op(name, function, *inputs, **options):
    """A case of a function of tensors. Options: sets (input lists), tol, forms, dyn, full, stateful."""
    count = len((options.get("sets") or [inputs])[0])
    _add(name, lambda: function_module(function, count), inputs, options)


def net(name, make, *inputs, **options):
    """A case of a module, which `make` returns."""
    _add(name, make, inputs, options)


def function_module(function, count):
    """A module whose forward is the function; its parameters are x0, x1, ..."""
    names = ", ".join(f"x{i}" for i in range(count))
    scope = {"function": function}
    exec(f"def forward(self, {names}):\n    return function({names})\n", scope)  # export and trace want plain names
    return type("Case", (nn.Module,), {"forward": scope["forward"], "__module__": "__main__"})()


def vary(module):
    """Replaces what initialisers leave constant (ones, zeros) by numbers that show mistakes."""
    with torch.no_grad():
        for name, p in list(module.named_parameters()) + list(module.named_buffers()):
            if p.numel() < 2 or not p.is_floating_point() or not bool((p == p.flatten()[0]).all()):
                continue
            if "var" in name:
                p.uniform_(0.4, 2.0)
            elif "weight" in name or "gamma" in name:
                p.uniform_(0.5, 1.5)
            else:
                p.normal_(0.0, 0.5)
    return module
