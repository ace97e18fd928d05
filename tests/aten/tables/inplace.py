"""In-place operators and views that are written through: what functionalisation must get right."""

import torch
from torch import nn
from torch.nn import functional as F

from case_kit import T, net, op


def inplace(name, change, *inputs):
    """A case that changes a copy of its first input and returns it together with the original."""

    def run(x, *rest):
        y = x.clone()
        change(y, *rest)
        return y, x

    if len(inputs) == 1:
        op(name, lambda x: run(x), *inputs)
    elif len(inputs) == 2:
        op(name, lambda x, y: run(x, y), *inputs)
    else:
        op(name, lambda x, y, z: run(x, y, z), *inputs)


X, Y = T(3, 4), T(4)
for method in ("add_", "sub_", "mul_", "div_", "copy_", "atan2_"):
    inplace(method, lambda x, y, m=method: getattr(x, m)(y), X, Y)
for method in (
    "relu_",
    "sigmoid_",
    "tanh_",
    "exp_",
    "neg_",
    "abs_",
    "sin_",
    "cos_",
    "floor_",
    "ceil_",
    "round_",
    "zero_",
    "square_",
    "erf_",
    "trunc_",
    "sign_",
    "expm1_",
    "frac_",
    "sinh_",
    "atan_",
    "nan_to_num_",
):
    inplace(method, lambda x, m=method: getattr(x, m)(), X)
for method in ("sqrt_", "log_", "log1p_", "rsqrt_", "reciprocal_", "log2_", "logit_"):
    inplace(method, lambda x, m=method: getattr(x, m)(), T(3, 4, lo=0.1, hi=0.9))
WITH_ARGUMENTS = {
    "add_.scalar": lambda x: x.add_(1.5),
    "add_.alpha": lambda x: x.add_(x[0].clone(), alpha=2),
    "mul_.scalar": lambda x: x.mul_(-2),
    "sub_.scalar": lambda x: x.sub_(0.5),
    "div_.scalar": lambda x: x.div_(4),
    "div_.mode": lambda x: x.div_(0.3, rounding_mode="floor"),
    "pow_": lambda x: x.pow_(2),
    "clamp_": lambda x: x.clamp_(-0.5, 0.5),
    "clamp_min_": lambda x: x.clamp_min_(0.1),
    "fill_": lambda x: x[1].fill_(3.5),
    "masked_fill_": lambda x: x.masked_fill_(x > 0, -1.0),
    "iadd": lambda x: x.__iadd__(2.0),
    "remainder_": lambda x: x.remainder_(0.7),
    "fmod_": lambda x: x.fmod_(0.7),
    "leaky_relu_": lambda x: F.leaky_relu_(x, 0.1),
    "elu_": lambda x: F.elu_(x),
    "hardtanh_": lambda x: F.hardtanh_(x),
    "relu6": lambda x: F.relu6(x, inplace=True),
    "silu": lambda x: F.silu(x, inplace=True),
    "hardswish": lambda x: F.hardswish(x, inplace=True),
    "threshold_": lambda x: F.threshold_(x, 0.1, 2.0),
    "tril_": lambda x: x.tril_(),
    "triu_": lambda x: x.triu_(1),
    "lerp_": lambda x: x.lerp_(torch.ones(4), 0.25),
    "addcmul_": lambda x: x.addcmul_(x, x, value=0.5),
    "cumsum_": lambda x: x.cumsum_(1),
    "index_fill_": lambda x: x.index_fill_(0, torch.tensor([0, 2]), 5.0),
    "fill_diagonal_": lambda x: x.fill_diagonal_(7.0),
    "floor_divide_": lambda x: x.floor_divide_(0.4),
    "dropout": lambda x: F.dropout(x, 0.5, False, True),
    "hardsigmoid": lambda x: F.hardsigmoid(x, inplace=True),
    "mish": lambda x: F.mish(x, inplace=True),
    "selu_": lambda x: F.selu(x, inplace=True),
}
for name, f in WITH_ARGUMENTS.items():
    inplace(name, f, X)
op("resize.unsqueeze_", lambda x: x.clone().unsqueeze_(1), X)
op("resize.squeeze_", lambda x: x.clone().unsqueeze(0).squeeze_(0), X)
op("resize.t_", lambda x: x.clone().t_(), X)
op("resize.transpose_", lambda x: x.clone().transpose_(0, 1), X)


def assign(name, statement, *inputs):
    """A case of an assignment `y... = ...` to parts of a copy of x0."""

    def run(*args):
        y = args[0].clone()
        scope = {"y": y, "x": args, "torch": torch}
        exec(statement, scope)
        return y

    count = len(inputs)
    op(
        name,
        (
            (lambda a: run(a))
            if count == 1
            else (lambda a, b: run(a, b)) if count == 2 else (lambda a, b, c: run(a, b, c))
        ),
        *inputs,
    )


V = T(5, 6)
assign("set.row", "y[1] = 2.5", V)
assign("set.row_tensor", "y[1] = x[1]", V, T(6))
assign("set.column", "y[:, 2] = x[1]", V, T(5))
assign("set.slice", "y[1:3, ::2] = x[1]", V, T(2, 3))
assign("set.slice_broadcast", "y[1:4] = x[1]", V, T(6))
assign("set.element", "y[2, 3] = -7", V)
assign("set.negative", "y[-2:, -1] = x[1][0]", V, T(3))
assign("set.ellipsis", "y[..., 0] = 1.0", V)
assign("set.all", "y[:] = x[1]", V, T(6))
assign("set.mask", "y[y > 0] = 0.5", V)
assign("set.mask_tensor", "y[x[1]] = 9.0", V, T(5, 6, dt="bool"))
assign("set.mask_rows", "y[x[1]] = -3.0", V, T(5, dt="bool"))
assign("set.index", "y[x[1]] = x[2]", V, torch.tensor([4, 0]), T(2, 6))
assign("set.index_scalar", "y[:, x[1]] = 4.0", V, torch.tensor([4, 0]))
assign("set.index_pairs", "y[torch.tensor([0, 2]), torch.tensor([1, 5])] = x[1]", V, T(2))
assign("set.int", "y[1, 2:4] = 11", T(5, 6, dt="i64"))
assign("set.casts", "y[1] = x[1]", V, T(6, dt="i32"))
assign("set.casts_down", "y[1] = x[1]", T(5, 6, dt="i32"), T(6, lo=-9, hi=9))
assign("set.twice", "y[0] = 1.0\ny[0, 2] = 2.0\ny[:, 2] += 10.0", V)
assign("set.augmented", "y[1] += x[1]\ny[:, 0] *= 3.0\ny[2:, 1:] -= 1.0", V, T(6))
assign("set.overlap", "y[1:] = y[:-1].clone() * 2", V)
assign("set.permuted", "y.t()[1] = x[1]", V, T(5))
assign("set.bool", "y[1:3] = True", T(5, 6, dt="bool"))
assign("set.empty_slice", "y[3:3] = 5.0", V)
assign("view.add", "v = y.view(6, 5)\nv.add_(1.0)", V)
assign("view.row_relu", "v = y[1]\nv.relu_()", V)
assign("view.chain", "v = y[1:4]\nw = v[:, 2]\nw.mul_(5.0)\nv.add_(1.0)", V)
assign("view.after_base", "v = y[2]\ny.add_(1.0)\nv.mul_(2.0)", V)
assign("view.transpose", "y.t().mul_(torch.arange(6.0)[:, None])", V)
assign("view.diagonal", "y.diagonal().fill_(9.0)", V)
assign("view.unbind", "a, b, c, d, e = y.unbind(0)\na.add_(b)\nc.mul_(2.0)", V)
assign("view.split", "a, b = y.split(3, 1)\na.add_(b)\nb.zero_()", V)
assign("view.chunk", "a, b, c = y.chunk(3, 0)\nc.sub_(1.0)", V)
assign("view.narrow", "y.narrow(0, 1, 2).copy_(x[1])", V, T(2, 6))
assign("view.select", "y.select(1, 3).add_(x[1])", V, T(5))
assign("view.squeeze", "v = y.unsqueeze(0)\nv[0, 1].neg_()", V)
assign("view.flatten", "v = y.flatten()\nv[::7] = 0.25", V)
assign("view.permute_slice", "v = y.permute(1, 0)[1:5:2]\nv.copy_(v * 2 + 1)", V)
assign("view.as_strided", "y.as_strided((2, 2), (6, 1), 8).fill_(4.0)", V)
assign("view.expand_read", "v = y[:1].expand(5, 6)\nz = v + 1\ny.mul_(z)", V)
assign("inplace.index_put_", "y.index_put_((x[1],), x[2])", V, torch.tensor([4, 0]), T(2, 6))
assign(
    "inplace.index_put_accumulate", "y.index_put_((x[1],), x[2], accumulate=True)", V, torch.tensor([4, 0, 4]), T(3, 6)
)
assign("inplace.index_add_", "y.index_add_(0, x[1], x[2])", V, torch.tensor([4, 0, 4]), T(3, 6))
assign("inplace.index_copy_", "y.index_copy_(0, x[1], x[2])", V, torch.tensor([4, 0]), T(2, 6))
assign("inplace.scatter_", "y.scatter_(1, x[1], 2.0)", V, T(5, 2, dt="i64", lo=0, hi=6))
assign("inplace.scatter_add_", "y.scatter_add_(0, x[1], x[2])", V, T(4, 6, dt="i64", lo=0, hi=5), T(4, 6))
assign("inplace.scatter_reduce_", "y.scatter_reduce_(1, x[1], x[2], 'amax')", V, T(5, 4, dt="i64", lo=0, hi=6), T(5, 4))
assign("inplace.masked_scatter_", "y.masked_scatter_(x[1], x[2])", V, T(5, 6, dt="bool"), T(30))
assign("inplace.int_add_", "y.add_(3).mul_(x[1])", T(5, 6, dt="i32"), T(6, dt="i32"))
assign("inplace.int_div_", "y.div_(3, rounding_mode='trunc')", T(5, 6, dt="i32"))
assign("inplace.bool_", "y.logical_and_(x[1]).logical_not_()", T(5, 6, dt="bool"), T(6, dt="bool"))
assign("inplace.bitwise_", "y.bitwise_or_(x[1]).bitwise_xor_(5)", T(5, 6, dt="i32"), T(6, dt="i32"))
assign("inplace.compare_", "y.gt_(0.0)", V)
assign("inplace.f16_add_f32", "y.add_(x[1])", T(5, 6, dt="f16"), T(6))
assign("inplace.copy_casts", "y.copy_(x[1])", T(5, 6, dt="i32"), T(6, lo=-9, hi=9))
op("out.list", lambda x: [torch.zeros(3).add_(k) * x for k in range(3)], T(3))
op("loop.append", lambda x: torch.stack([x[i] * (i + 1) for i in range(4)]), T(4, 3))
op("loop.rolling", lambda x: sum((x[i] for i in range(1, 4)), x[0]), T(4, 3))
op("loop.write", lambda x: _write_rows(x), T(4, 3))
op("input.add_", lambda x: x.add_(1.0) * 2, X)
op("input.relu_", lambda x, y: torch.relu_(x) + y, X, X)
op("input.slice", lambda x: _write_input(x), V)


def _write_rows(x):
    y = torch.zeros_like(x)
    for i in range(4):
        y[i] = x[3 - i] * (i + 1)
    return y


def _write_input(x):
    x[1:3] = 0.5
    return x.sum(0)


class Counter(nn.Module):
    """A buffer that every call changes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.linspace(0.0, 1.0, 4))

    def forward(self, x):
        self.total.add_(x.sum(0))
        return self.total * 2, x + self.total


class Cache(nn.Module):
    """A key cache that is written at a position and read whole."""

    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.linspace(-1.0, 1.0, 24).reshape(6, 4))

    def forward(self, x, position):
        self.cache.index_copy_(0, position, x)
        return torch.softmax(x @ self.cache.t(), -1) @ self.cache


class CacheSlice(nn.Module):
    """The same through a slice that is assigned."""

    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.linspace(-1.0, 1.0, 24).reshape(6, 4))

    def forward(self, x):
        self.cache[:-1] = self.cache[1:].clone()
        self.cache[-1] = x[0]
        return self.cache.mean(0)


class Blocks(nn.Module):
    """In-place activations and sums as in ResNets."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.b(self.a(x)))
        y += x
        return self.relu(y)


def _out(x, y):
    z = torch.empty_like(x)
    torch.add(x, y, alpha=2, out=z)
    torch.mul(z, y, out=z)
    return z + 1


def _out_cast(x):
    z = torch.zeros(3, 4, dtype=torch.float64)
    torch.exp(x, out=z[:2])
    return z


op("out", _out, T(3, 4), T(3, 4))
op("out.view_and_type", _out_cast, T(2, 4))
op("out.resized", lambda x: torch.pow(x, 2, out=x.new_empty(0)) * 3, T(3, 4))
op("out.sum", lambda x: torch.sum(x, 1, out=x.new_zeros(3)) + 1, T(3, 4))
op("resize_", lambda x: (x + 1).resize_(2, 3), T(3, 4))
op("input.relu_", lambda x: x.relu_() + 1, T(3, 4))
op("input.view", lambda x, y: x[1].add_(y), T(3, 4), T(4))
op("input.two", lambda x, y: (x.mul_(2), y.copy_(x))[0] * 3, T(3, 4), T(3, 4))
op("input.unread", lambda x, y: x.t().zero_() + y, T(3, 4), T(4, 3))

net("state.counter", Counter, sets=[[T(3, 4)], [T(3, 4)], [T(3, 4)]], stateful=True, forms=("pt2", "pt"))
net("state.cache", Cache, sets=[[T(2, 4), torch.tensor([k, k + 1])] for k in (0, 2, 4)], stateful=True)
net("state.shift", CacheSlice, sets=[[T(1, 4)] for _ in range(3)], stateful=True)
net("net.residual", Blocks, T(1, 3, 5, 6))
net("net.residual_full", Blocks, T(1, 3, 5, 6), full=True)
