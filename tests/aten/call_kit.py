"""The vocabulary of call_tables/: one call of an ATen overload a case, with what eager PyTorch answers."""

import json

import torch

DTYPES = {
    torch.float32: "f32",
    torch.float64: "f64",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "u8",
    torch.bool: "bool",
}
SCALAR_TYPES = {torch.float16: 5, torch.float32: 6, torch.float64: 7}  # c10's numbers.

cases = []
data = bytearray()
counts = {}


def T(*shape, dt=torch.float32, lo=None, hi=None):
    """A random tensor: normal, or uniform in [lo, hi); whole sixteenths, which compress well."""
    if dt == torch.bool:
        return torch.rand(shape) > 0.5
    if not dt.is_floating_point:
        return torch.randint(-5 if lo is None else lo, 6 if hi is None else hi, shape, dtype=dt)
    x = torch.randn(shape) if lo is None else torch.rand(shape) * (hi - lo) + lo
    return ((x * 16).round() / 16 if lo is None else x).to(dt)


class C:
    """A tensor that is a constant of the model; others are inputs."""

    def __init__(self, tensor):
        self.tensor = tensor


def write_tensor(tensor, constant=False):
    """Appends the elements to the data; gives what says where."""
    tensor = tensor.detach().contiguous()
    entry = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "at": len(data)}
    if tensor.numel() > 0:
        data.extend(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return {**entry, "const": True} if constant else entry


def encode(v):
    """A value as JSON: tensors and floats as objects, everything else as it is."""
    if isinstance(v, C):
        return write_tensor(v.tensor, True)
    if isinstance(v, torch.Tensor):
        return write_tensor(v)
    if isinstance(v, torch.dtype):
        return SCALAR_TYPES[v]
    if isinstance(v, float):
        return {"f": repr(v)}
    if isinstance(v, (list, tuple)):
        return [encode(x) for x in v]
    return v


def plain(v):
    """The value that PyTorch gets."""
    if isinstance(v, C):
        return v.tensor
    return [plain(x) for x in v] if isinstance(v, (list, tuple)) else v


def flat(v):
    """The results in order, lists opened."""
    return [y for x in v for y in flat(x)] if isinstance(v, (list, tuple)) else [v]


def case(op, *args, skip=(), **options):
    """Calls torch.ops.aten.OP; results whose numbers are in `skip` are not compared."""
    name, _, overload = op.partition(".")
    counts[op] = counts.get(op, 0) + 1
    entry = {"name": f"{op}#{counts[op]}", "op": f"aten::{op}", "args": encode(args)}
    entry["kwargs"] = {k: encode(v) for k, v in options.items()}
    with torch.no_grad():
        results = getattr(getattr(torch.ops.aten, name), overload or "default")(
            *plain(args), **{k: plain(v) for k, v in options.items()}
        )
    entry["expected"] = [
        write_tensor(y) if isinstance(y, torch.Tensor) and i not in skip else None for i, y in enumerate(flat(results))
    ]
    cases.append(entry)


def pack():
    """The cases of a table, compressed, as (JSON, data); the next table starts empty."""
    text = json.dumps(cases, separators=(",", ":")).encode()
    packed = text, bytes(data)
    cases.clear()
    data.clear()
    counts.clear()
    return packed
