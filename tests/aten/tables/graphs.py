"""What is about the graph and not about an op: dynamic sizes, control flow, scripts, freezing, odd signatures."""

from typing import Dict, List, Optional, Tuple

import torch
from torch import nn
from torch.export import Dim
from torch.nn import functional as F

from case_kit import T, net, op

N, L = Dim("n", min=1, max=16), Dim("l", min=1, max=32)


def sizes(name, function, make, shape, *others, dyn=None):
    """A .pt2 with symbolic sizes, run at several."""
    op(name, function, sets=[[make(a)] for a in (shape, *others)], dyn=dyn, forms=("pt2",))


def f32(shape):
    return T(*shape)


FIRST = ({0: N},)
BOTH = ({0: N, 1: L},)
sizes("dynamic.relu", torch.relu, f32, (4, 3), (1, 3), (16, 3), dyn=FIRST)
sizes("dynamic.softmax", lambda x: F.softmax(x, 1), f32, (4, 3), (1, 1), (9, 32), dyn=BOTH)
sizes("dynamic.mean", lambda x: x.mean(0), f32, (4, 3), (2, 3), (9, 3), dyn=FIRST)
sizes("dynamic.sum_all", lambda x: x.sum(), f32, (4, 3), (2, 7), (9, 1), dyn=BOTH)
sizes("dynamic.reshape", lambda x: x.reshape(x.shape[0], -1), f32, (4, 3, 2), (1, 3, 2), (5, 3, 2), dyn=FIRST)
sizes("dynamic.flatten", lambda x: x.flatten(0, 1), f32, (4, 3, 2), (1, 5, 2), (5, 2, 2), dyn=BOTH)
sizes("dynamic.transpose", lambda x: x.transpose(0, 1) * 2, f32, (4, 3), (1, 5), (5, 2), dyn=BOTH)
sizes("dynamic.cat", lambda x: torch.cat([x, x[:, :1], x * 2], 1), f32, (4, 3), (1, 1), (5, 7), dyn=BOTH)
sizes(
    "dynamic.slice",
    lambda x: x[:, 1:] - x[:, :-1],
    f32,
    (4, 4),
    (1, 3),
    (5, 7),
    dyn=({0: N, 1: Dim("l", min=3, max=32)},),
)
sizes("dynamic.last", lambda x: x[:, -1], f32, (4, 3), (1, 1), (5, 7), dyn=BOTH)
sizes("dynamic.expand", lambda x: x[:, None].expand(-1, 3, -1) + 1, f32, (4, 3), (1, 1), (5, 7), dyn=BOTH)
sizes("dynamic.arange", lambda x: x + torch.arange(x.shape[1]), f32, (4, 3), (1, 1), (5, 7), dyn=BOTH)
sizes(
    "dynamic.causal",
    lambda x: x @ x.transpose(1, 2) + torch.triu(torch.full((x.shape[1], x.shape[1]), -9.0), 1),
    f32,
    (2, 3, 4),
    (1, 1, 4),
    (3, 7, 4),
    dyn=BOTH,
)
sizes(
    "dynamic.sdpa",
    lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    f32,
    (2, 3, 4),
    (1, 1, 4),
    (3, 7, 4),
    dyn=BOTH,
)
sizes("dynamic.matmul", lambda x: x @ x.transpose(-1, -2), f32, (2, 3, 4), (1, 2, 4), (3, 7, 4), dyn=BOTH)
sizes(
    "dynamic.interpolate",
    lambda x: F.interpolate(x, scale_factor=2.0),
    f32,
    (3, 2, 3, 4),
    (1, 2, 3, 4),
    (2, 2, 3, 4),
    dyn=FIRST,
)
sizes(
    "dynamic.interpolate_sizes",
    lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"),
    f32,
    (1, 2, 3, 4),
    (1, 2, 5, 6),
    (1, 2, 2, 9),
    dyn=({2: L, 3: Dim("w", min=2, max=16)},),
)
for mode in ("bilinear", "bicubic"):
    for how, options in (
        ("half", {"scale_factor": 0.5}),
        ("one_and_a_half", {"scale_factor": 1.5}),
        ("recomputed", {"scale_factor": 1.5, "recompute_scale_factor": True}),
        ("corners", {"scale_factor": 2.0, "align_corners": True}),
    ):
        sizes(
            f"dynamic.{mode}.{how}",
            lambda x, mode=mode, options=options: F.interpolate(x, mode=mode, **options),
            f32,
            (1, 2, 8, 6),
            (1, 2, 5, 7),
            (1, 2, 4, 9),
            dyn=({2: Dim("h", min=4, max=32), 3: Dim("w", min=4, max=16)},),
        )
for mode in ("nearest", "nearest-exact"):
    sizes(
        f"dynamic.{mode}.one_and_a_half",
        lambda x, mode=mode: F.interpolate(x, scale_factor=1.5, mode=mode),
        f32,
        (1, 2, 4, 6),
        (1, 2, 5, 7),
        (1, 2, 2, 9),
        dyn=({2: Dim("h", min=2, max=32), 3: Dim("w", min=2, max=16)},),
    )
op(
    "dynamic.resize_like",
    lambda x, y: F.interpolate(x, size=y.shape[2:], mode="bilinear") + y,
    sets=[[T(1, 2, a, b), T(1, 2, c, d)] for a, b, c, d in ((3, 4, 7, 5), (5, 6, 5, 6), (2, 9, 3, 2))],
    dyn=({2: Dim("h", min=2, max=16), 3: Dim("w", min=2, max=16)}, {2: Dim("a", min=2, max=16), 3: Dim("b", min=2, max=16)}),
    forms=("pt2",),
)
sizes("dynamic.pool", lambda x: F.adaptive_avg_pool2d(x, 1), f32, (2, 2, 6, 6), (1, 2, 6, 6), (3, 2, 6, 6), dyn=FIRST)
sizes("dynamic.pad", lambda x: F.pad(x, (1, 2)), f32, (4, 3), (1, 1), (5, 7), dyn=BOTH)
sizes(
    "dynamic.stack",
    lambda x: torch.stack([x, x + 1], 2).reshape(x.shape[0], x.shape[1] * 2),
    f32,
    (4, 3),
    (1, 1),
    (5, 7),
    dyn=BOTH,
)
sizes("dynamic.cumsum", lambda x: x.cumsum(1), f32, (4, 3), (1, 1), (5, 7), dyn=BOTH)
sizes("dynamic.topk", lambda x: x.topk(2, 1)[0], f32, (4, 3), (1, 2), (5, 7), dyn=({0: N, 1: Dim("l", min=2, max=32)},))
sizes("dynamic.normalise", lambda x: x / x.shape[1] ** 0.5 + x.size(0), f32, (4, 3), (1, 1), (5, 7), dyn=BOTH)
sizes("dynamic.zeros", lambda x: torch.cat([x, x.new_zeros(x.shape[0], 2)], 1), f32, (4, 3), (1, 1), (5, 7), dyn=BOTH)
op(
    "dynamic.two_inputs",
    lambda x, y: x @ y.t() + x.shape[0],
    sets=[[T(4, 3), T(5, 3)], [T(1, 3), T(2, 3)], [T(7, 3), T(32, 3)]],
    dyn=({0: N}, {0: L}),
    forms=("pt2",),
)
op(
    "dynamic.same_size",
    lambda x, y: x * y,
    sets=[[T(4, 3), T(4, 3)], [T(1, 3), T(1, 3)], [T(9, 3), T(9, 3)]],
    dyn=({0: N}, {0: N}),
    forms=("pt2",),
)
op(
    "dynamic.embedding",
    lambda i, w: F.embedding(i, w).sum(1),
    sets=[[T(n, t, dt="i64", lo=0, hi=5), T(5, 3)] for n, t in ((2, 3), (1, 1), (7, 9))],
    dyn=({0: N, 1: L}, None),
    forms=("pt2",),
)
for name, make, tail in (
    ("linear", lambda: nn.Linear(3, 5), ()),
    ("mlp", lambda: nn.Sequential(nn.Linear(3, 9), nn.GELU(), nn.LayerNorm(9), nn.Linear(9, 2)), ()),
):
    net(f"dynamic.{name}", make, sets=[[T(4, 3)], [T(1, 3)], [T(16, 3)]], dyn=FIRST, forms=("pt2",))
net(
    "dynamic.conv",
    lambda: nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(True)),
    sets=[[T(n, 2, 8, 8)] for n in (2, 1, 5)],
    dyn=FIRST,
    forms=("pt2",),
)
net(
    "dynamic.conv_sizes",
    lambda: nn.Conv2d(2, 4, 3, 2, 1),
    sets=[[T(1, 2, h, w)] for h, w in ((8, 9), (3, 5), (16, 11))],
    dyn=({2: Dim("h", min=3, max=32), 3: Dim("w", min=3, max=32)},),
    forms=("pt2",),
)
net(
    "dynamic.lstm",
    lambda: nn.LSTM(3, 4, batch_first=True),
    sets=[[T(n, 5, 3)] for n in (2, 1, 4)],
    dyn=FIRST,
    forms=("pt2",),
)
net(
    "dynamic.encoder",
    lambda: nn.TransformerEncoderLayer(8, 2, 12, batch_first=True),
    sets=[[T(n, t, 8)] for n, t in ((2, 5), (3, 2), (4, 9))],
    dyn=({0: Dim("n", min=2, max=8), 1: Dim("t", min=2, max=16)},),
    forms=("pt2",),
)

# Control flow in .pt2
op(
    "cond",
    lambda x: torch.cond(x.sum() > 0, lambda x: x.sin() + 1, lambda x: x.cos() * 2, (x,)),
    sets=[[T(3, 4)], [T(3, 4, lo=0.5, hi=1)], [T(3, 4, lo=-1, hi=-0.5)]],
    forms=("pt2",),
)
op(
    "cond.closure",
    lambda x, y: torch.cond(x[0, 0] > 0, lambda x, y: (x + y, x), lambda x, y: (x - y, y), (x, y)),
    sets=[[T(3, 4, lo=a, hi=a + 1), T(3, 4)] for a in (0.1, -2.0)],
    forms=("pt2",),
)
op(
    "cond.nested",
    lambda x: torch.cond(
        x.sum() > 0, lambda x: torch.cond(x.max() > 2, lambda x: x * 2, lambda x: x * 3, (x,)), lambda x: x - 1, (x,)
    ),
    sets=[[T(3, 4, lo=a, hi=b)] for a, b in ((0.1, 1.0), (1.0, 5.0), (-2.0, -1.0))],
    forms=("pt2",),
)


class Gate(nn.Module):
    """A branch on a shape that is known, and one on data."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        if x.shape[0] > 2:
            x = x * 2
        return torch.cond(x.mean() > 0, self.a, self.b, (x,))


net("cond.modules", Gate, sets=[[T(3, 4, lo=0, hi=1)], [T(3, 4, lo=-1, hi=0)]], forms=("pt2",))


def _while(x):
    from torch._higher_order_ops.while_loop import while_loop

    return while_loop(lambda i, x: i < 5, lambda i, x: (i + 1, x * 1.5 + 0.1), (torch.tensor(0), x))


def _while_data(x):
    from torch._higher_order_ops.while_loop import while_loop

    return while_loop(lambda x: x.abs().max() > 0.5, lambda x: (x * 0.7,), (x,))


def _map(x):
    from torch._higher_order_ops.map import map as torch_map

    return torch_map(lambda row, y: row.cumsum(0) * y.sum(), x, x[0].clone())


def _scan(x):
    from torch._higher_order_ops.scan import scan

    return scan(lambda c, row: (c * 0.5 + row, c + row.sin()), torch.ones(4), x, dim=0)


op("while_loop", _while, T(3, 4), forms=("pt2",))
op("while_loop.data", _while_data, sets=[[T(3, 4)], [T(3, 4, lo=3, hi=9)], [T(3, 4, lo=0, hi=0.1)]], forms=("pt2",))
op("map", _map, T(3, 4), forms=("pt2",))
op("scan", _scan, T(5, 4), forms=("pt2",))
op("autocast_off", lambda x: _autocast(x), T(3, 4), forms=("pt2",))
op("no_grad", lambda x: _no_grad(x), T(3, 4))


def _autocast(x):
    with torch.autocast("cpu", enabled=False):
        y = x @ x.t()
    return y + 1


def _no_grad(x):
    with torch.no_grad():
        y = x.sin()
    with torch.enable_grad():
        z = y * 2
    return z.detach() + y


# Signatures
class Odd(nn.Module):
    """Containers in, containers out."""

    def forward(self, pair, table):
        return {"sum": pair[0] + table["x"], "rest": [pair[1] * 2, (table["y"], pair[0] - 1)]}


class Same(nn.Module):
    """Outputs that are inputs, equal outputs, constants, an unused input."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.arange(6.0).reshape(2, 3).sqrt())

    def forward(self, x, unused):
        y = x + self.table
        return x, y, y, self.table, self.table[0]


class Tied(nn.Module):
    """Two names for one weight, a transposed one, a slice of one."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight
        whole = torch.randn(6, 8)
        self.transposed = nn.Parameter(whole.t())
        self.part = nn.Parameter(whole[1:5, ::2])

    def forward(self, ids):
        x = self.embedding(ids)
        return self.head(x @ self.part) + self.transposed.sum(0, keepdim=True).mean()


class Buffers(nn.Module):
    """Persistent and other buffers, constants of several types."""

    def __init__(self):
        super().__init__()
        self.register_buffer("a", torch.randn(4))
        self.register_buffer("b", torch.randn(4), persistent=False)
        self.register_buffer("mask", torch.tensor([True, False, True, True]))
        self.register_buffer("steps", torch.tensor(3))
        self.table = torch.randn(3, 4)
        self.scale = 1.25

    def forward(self, x):
        return torch.where(self.mask, x * self.a, x + self.b) * self.scale + self.table + self.steps


class WithInts(nn.Module):
    """Python numbers among the inputs."""

    def forward(self, x, dim: int, scale: float):
        return x.sum(dim) * scale


net(
    "signature.containers",
    lambda: Odd(),
    (T(3, 4).draw(torch.Generator().manual_seed(1)), T(3, 4).draw(torch.Generator().manual_seed(2))),
    {"x": T(3, 4).draw(torch.Generator().manual_seed(3)), "y": T(2).draw(torch.Generator().manual_seed(4))},
    forms=("pt2",),
)
net("signature.aliases", Same, T(2, 3), T(2))
net("signature.numbers", WithInts, T(3, 4), 1, 0.5, forms=("pt2",))
net("weights.tied", Tied, T(2, 3, dt="i64", lo=0, hi=7))
net("weights.buffers", Buffers, T(3, 4))
net("weights.channels_last", lambda: nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last), T(1, 3, 5, 5))
op("constant_output", lambda x: (x, torch.ones(2, 3) * 2.5), T(3))
op("scalar_arithmetic", lambda x: x * (x.shape[0] + 1) // 2 + x.dim(), T(3, 4))
op("asserts", lambda x: _asserts(x), T(3, 4, lo=0.5, hi=1))
op("lists", lambda x: [y * k for k, y in enumerate(x.unbind(0))], T(3, 4))
op("data_in_python", lambda x: x * torch.tensor([[1.0, 2.0], [3.0, 4.0]]).repeat(2, 2)[:3], T(3, 4))


def _asserts(x):
    torch._assert(x.shape[1] == 4, "four columns")
    torch._check(x.shape[0] > 1)
    return x.log()


# TorchScript beyond traces
class ScriptedGate(nn.Module):
    """A branch on data, as in PyTorch's tutorial."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x.sum() > 0):
            return x
        else:
            return -x


class ScriptedLoop(nn.Module):
    """Loops over numbers and tensors, a list, an early return."""

    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(4, 5)
        self.steps: int = 3

    def forward(self, x: torch.Tensor, h: Optional[torch.Tensor] = None) -> Tuple[torch.Tensor, torch.Tensor]:
        if h is None:
            h = torch.zeros(x.size(1), 5)
        outputs: List[torch.Tensor] = []
        for i in range(x.size(0)):
            h = self.cell(x[i], h)
            outputs.append(h)
        for _ in range(self.steps):
            h = h * 0.5
        return torch.stack(outputs), h


class ScriptedWhile(nn.Module):
    """A loop whose end depends on data."""

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        n = torch.zeros(1)
        while bool(x.abs().max() > 0.5):
            x = x * 0.7
            n = n + 1
        return x, n


class ScriptedText(nn.Module):
    """Strings, dictionaries, asserts, arithmetic on numbers."""

    def __init__(self, mode: str):
        super().__init__()
        self.mode = mode
        self.scale: Dict[str, float] = {"double": 2.0, "half": 0.5}
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.dim() == 2, "a matrix"
        for i, layer in enumerate(self.layers):
            x = layer(x) * self.scale[self.mode] if i % 2 == 0 else layer(x)
        if self.mode == "double":
            x = x + float(x.size(0)) / 2
        elif x.size(1) > 100:
            raise RuntimeError("too wide")
        k = max(int(x.size(1) // 3), 1)
        return x[:, k:] if self.training else x[:, :-k]


class ScriptedSwitch(nn.Module):
    """An early return in a branch on data, with values that both branches change."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        if bool(y.mean() > 0):
            y = self.b(y)
            return y + 1
        z = torch.relu(y)
        if bool((z > 0).any()):
            z = z * 2
        return z - y


class ScriptedState(nn.Module):
    """An attribute that is replaced at every call."""

    def __init__(self):
        super().__init__()
        self.register_buffer("hidden", torch.linspace(0.0, 1.0, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.hidden = torch.tanh(self.hidden + x.sum(0))
        return x + self.hidden


class Inside(nn.Module):
    """A layer with several signatures of forward, called with one of them."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        y, state = self.layer(x)
        return y, y.sum(0)


POSITIVE, NEGATIVE = T(3, 4, lo=0.1, hi=1), T(3, 4, lo=-1, hi=-0.1)
SCRIPT = dict(forms=("pt",), script=True)
net("script.gate", ScriptedGate, sets=[[POSITIVE], [NEGATIVE], [T(3, 4)]], **SCRIPT)
net("script.loop", ScriptedLoop, T(3, 2, 4), **SCRIPT)
net("script.loop_state", ScriptedLoop, T(3, 2, 4), T(2, 5), **SCRIPT)
net("script.while", ScriptedWhile, sets=[[T(3, 4)], [T(3, 4, lo=5, hi=9)], [T(3, 4, lo=0, hi=0.1)]], **SCRIPT)
net("script.text", lambda: ScriptedText("double"), T(3, 4), **SCRIPT)
net("script.text_half", lambda: ScriptedText("half"), T(3, 4), **SCRIPT)
net("script.switch", ScriptedSwitch, sets=[[T(3, 4)], [T(3, 4, lo=1, hi=4)], [T(3, 4, lo=-4, hi=-1)]], **SCRIPT)
net("script.state", ScriptedState, sets=[[T(3, 4)], [T(3, 4)], [T(3, 4)]], stateful=True, **SCRIPT)
for name, make, x in (
    ("lstm", lambda: Inside(nn.LSTM(4, 5, 2, bidirectional=True)), T(6, 3, 4)),
    ("gru", lambda: Inside(nn.GRU(4, 5, batch_first=True)), T(2, 6, 4)),
    (
        "conv",
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(True), nn.MaxPool2d(2)),
        T(1, 3, 6, 6),
    ),
    ("norms", lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.LayerNorm(5)), T(2, 4, 3, 5)),
    ("encoder", lambda: nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), T(2, 5, 8)),
    ("upsample", lambda: nn.Upsample(scale_factor=2.0, mode="bilinear"), T(1, 2, 3, 4)),
    ("embedding_bag", lambda: nn.EmbeddingBag(9, 5), T(3, 4, dt="i64", lo=0, hi=9)),
    (
        "adaptive",
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 3), nn.LogSoftmax(1)),
        T(2, 2, 5, 6),
    ),
    ("attention", lambda: nn.TransformerDecoderLayer(8, 2, 12), T(3, 2, 8)),
    (
        "activations",
        lambda: nn.Sequential(nn.GELU(), nn.Hardswish(), nn.PReLU(), nn.Softplus(), nn.ELU(inplace=True)),
        T(3, 4),
    ),
):
    inputs = (x, T(5, 2, 8)) if name == "attention" else (x,)
    net(f"script.{name}", make, *inputs, **SCRIPT)
    if name in ("lstm", "conv", "norms", "adaptive", "activations"):
        net(f"frozen.script.{name}", make, *inputs, freeze=True, **SCRIPT)
        net(f"frozen.trace.{name}", make, *inputs, freeze=True, forms=("pt",))
