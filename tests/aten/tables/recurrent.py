"""Recurrent layers, attention and transformers."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from case_kit import T, net, op

for name, kind in (("LSTM", nn.LSTM), ("GRU", nn.GRU), ("RNN", nn.RNN)):
    CONFIGS = {
        "plain": dict(),
        "layers": dict(num_layers=2),
        "both_ways": dict(bidirectional=True),
        "batch_first": dict(batch_first=True),
        "no_bias": dict(bias=False),
        "deep": dict(num_layers=2, bidirectional=True, batch_first=True),
        "dropout": dict(num_layers=2, dropout=0.3),
    }
    if name == "LSTM":
        CONFIGS["projected"] = dict(proj_size=3)
    if name == "RNN":
        CONFIGS["relu"] = dict(nonlinearity="relu")
    for label, c in CONFIGS.items():
        net(f"{name}.{label}", lambda k=kind, c=c: k(4, 5, **c), T(6, 3, 4))
    net(f"{name}.unbatched", lambda k=kind: k(4, 5), T(6, 4))
    net(f"{name}.one_step", lambda k=kind: k(4, 5), T(1, 2, 4))
    net(f"{name}.f64", lambda k=kind: k(4, 5).double(), T(3, 2, 4, dt="f64"))


class WithState(nn.Module):
    """A recurrent layer with its initial state given."""

    def __init__(self, kind, **options):
        super().__init__()
        self.layer = kind(4, 5, **options)

    def forward(self, x, h, c=None):
        return self.layer(x, h if c is None else (h, c))


net("LSTM.state", lambda: WithState(nn.LSTM), T(6, 3, 4), T(1, 3, 5), T(1, 3, 5))
net("LSTM.state_deep", lambda: WithState(nn.LSTM, num_layers=2, bidirectional=True), T(4, 2, 4), T(4, 2, 5), T(4, 2, 5))
net("GRU.state", lambda: WithState(nn.GRU), T(6, 3, 4), T(1, 3, 5))
net("RNN.state", lambda: WithState(nn.RNN, batch_first=True), T(3, 6, 4), T(1, 3, 5))
for name, kind in (("LSTMCell", nn.LSTMCell), ("GRUCell", nn.GRUCell), ("RNNCell", nn.RNNCell)):
    net(f"{name}", lambda k=kind: k(4, 5), T(3, 4))
    net(f"{name}.no_bias", lambda k=kind: k(4, 5, bias=False), T(3, 4))
net("GRUCell.state", lambda: nn.GRUCell(4, 5), T(3, 4), T(3, 5))
net("RNNCell.state", lambda: nn.RNNCell(4, 5, nonlinearity="relu"), T(3, 4), T(3, 5))


class Unrolled(nn.Module):
    """A cell in a Python loop over the sequence."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.LSTMCell(4, 5), nn.Linear(5, 2)

    def forward(self, x):
        h, c, outputs = x.new_zeros(x.shape[1], 5), x.new_zeros(x.shape[1], 5), []
        for t in range(x.shape[0]):
            h, c = self.cell(x[t], (h, c))
            outputs.append(self.out(h))
        return torch.stack(outputs)


net("LSTMCell.unrolled", Unrolled, T(4, 3, 4))


class Packed(nn.Module):
    """Last output of each direction joined: what classifiers do."""

    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.head = (
            nn.Embedding(11, 6),
            nn.GRU(6, 5, batch_first=True, bidirectional=True),
            nn.Linear(10, 3),
        )

    def forward(self, ids):
        y, h = self.rnn(self.embed(ids))
        return self.head(torch.cat([h[0], h[1]], -1)), y[:, -1]


net("GRU.classifier", Packed, T(2, 7, dt="i64", lo=0, hi=11))

# Attention
q, k, v = T(2, 3, 5, 4), T(2, 3, 7, 4), T(2, 3, 7, 4)
op("sdpa", F.scaled_dot_product_attention, q, k, v)
op(
    "sdpa.causal",
    lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    T(2, 3, 6, 4),
    T(2, 3, 6, 4),
    T(2, 3, 6, 4),
)
op("sdpa.causal_uneven", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), q, k, v)
op(
    "sdpa.mask_bool",
    lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
    q,
    k,
    v,
    T(2, 1, 5, 7, dt="bool", then=lambda m: m.index_fill(3, torch.tensor([0]), True)),
)
op(
    "sdpa.mask_row_all_false",
    lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
    q,
    k,
    v,
    T(5, 7, dt="bool", then=lambda m: m.index_fill(0, torch.tensor([1]), False)),
)
op("sdpa.mask_float", lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m), q, k, v, T(5, 7))
op("sdpa.scale", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=0.3), q, k, v)
op("sdpa.3d", F.scaled_dot_product_attention, T(2, 5, 4), T(2, 7, 4), T(2, 7, 6))
op("sdpa.2d", F.scaled_dot_product_attention, T(5, 4), T(7, 4), T(7, 3))
op("sdpa.broadcast", F.scaled_dot_product_attention, T(2, 3, 5, 4), T(1, 3, 7, 4), T(1, 3, 7, 4))
op(
    "sdpa.grouped",
    lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
    T(2, 4, 5, 4),
    T(2, 2, 7, 4),
    T(2, 2, 7, 4),
)
for dt in ("f64", "f16", "bf16"):
    op(f"sdpa.{dt}", F.scaled_dot_product_attention, T(1, 2, 5, 4, dt=dt), T(1, 2, 7, 4, dt=dt), T(1, 2, 7, 4, dt=dt))
op("attention.handmade", lambda q, k, v: torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(4), -1) @ v, q, k, v)


class SelfAttention(nn.Module):
    """nn.MultiheadAttention called with one tensor."""

    def __init__(self, need_weights, mask=False, **options):
        super().__init__()
        self.attention, self.need, self.mask = nn.MultiheadAttention(8, 2, **options), need_weights, mask

    def forward(self, x):
        mask = torch.triu(torch.ones(x.shape[-2], x.shape[-2], dtype=torch.bool), 1) if self.mask else None
        return tuple(y for y in self.attention(x, x, x, need_weights=self.need, attn_mask=mask) if y is not None)


for need in (True, False):
    net(f"MultiheadAttention.{need}", lambda n=need: SelfAttention(n), T(5, 2, 8))
    net(f"MultiheadAttention.batch_first_{need}", lambda n=need: SelfAttention(n, batch_first=True), T(2, 5, 8))
    net(f"MultiheadAttention.masked_{need}", lambda n=need: SelfAttention(n, mask=True, batch_first=True), T(2, 5, 8))
net("MultiheadAttention.no_bias", lambda: SelfAttention(True, bias=False, batch_first=True), T(2, 5, 8))
net("MultiheadAttention.bias_kv", lambda: SelfAttention(True, add_bias_kv=True), T(5, 2, 8))
net("MultiheadAttention.zero", lambda: SelfAttention(True, add_zero_attn=True), T(5, 2, 8))
net("MultiheadAttention.unbatched", lambda: SelfAttention(True), T(5, 8))


class CrossAttention(nn.Module):
    """Query, keys and values of different widths, with padded keys."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=5, batch_first=True)

    def forward(self, q, k, v, padded):
        return self.attention(q, k, v, key_padding_mask=padded)


net(
    "MultiheadAttention.cross",
    CrossAttention,
    T(2, 3, 8),
    T(2, 5, 6),
    T(2, 5, 5),
    torch.tensor([[False] * 5, [False, False, True, True, True]]),
)
for norm_first in (False, True):
    for activation in ("relu", "gelu"):
        net(
            f"TransformerEncoderLayer.{norm_first}_{activation}",
            lambda n=norm_first, a=activation: nn.TransformerEncoderLayer(
                8, 2, 12, activation=a, norm_first=n, batch_first=True
            ),
            T(2, 5, 8),
        )
net("TransformerEncoderLayer.seq_first", lambda: nn.TransformerEncoderLayer(8, 2, 12), T(5, 2, 8))
net(
    "TransformerEncoder",
    lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), 2),
    T(2, 5, 8),
)
net(
    "TransformerEncoder.normed",
    lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12), 1, norm=nn.LayerNorm(8)),
    T(5, 2, 8),
)
net("TransformerDecoderLayer", lambda: nn.TransformerDecoderLayer(8, 2, 12, batch_first=True), T(2, 3, 8), T(2, 5, 8))
net(
    "TransformerDecoder", lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12), 2), T(3, 2, 8), T(5, 2, 8)
)
net("Transformer", lambda: nn.Transformer(8, 2, 1, 1, 12, batch_first=True), T(2, 4, 8), T(2, 3, 8))


class Rotary(nn.Module):
    """Rotary positions as Llama-like models write them."""

    def __init__(self):
        super().__init__()
        self.register_buffer("inverse", 1.0 / (100.0 ** (torch.arange(0, 4, 2).float() / 4)), persistent=False)

    def forward(self, x):
        angle = torch.outer(torch.arange(x.shape[-2], dtype=torch.float32), self.inverse)
        angle = torch.cat([angle, angle], -1)
        half = torch.cat([-x[..., 2:], x[..., :2]], -1)
        return x * angle.cos() + half * angle.sin()


class Gpt(nn.Module):
    """A pre-norm block with fused qkv, a causal mask from a buffer and gelu_new."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.register_buffer("mask", torch.tril(torch.ones(16, 16, dtype=torch.bool))[None, None], persistent=False)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = (y.view(n, t, 2, 4).transpose(1, 2) for y in self.qkv(self.norm1(x)).split(c, dim=2))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(4))
        scores = torch.where(self.mask[:, :, :t, :t], scores, torch.finfo(scores.dtype).min)
        y = (F.softmax(scores, -1) @ v).transpose(1, 2).contiguous().view(n, t, c)
        x = x + self.out(y)
        h = self.up(self.norm2(x))
        h = 0.5 * h * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (h + 0.044715 * torch.pow(h, 3.0))))
        return x + self.down(h)


class SwiGlu(nn.Module):
    """Gated feed-forward with RMS norm."""

    def __init__(self):
        super().__init__()
        self.norm, self.gate, self.up, self.down = (
            nn.RMSNorm(8),
            nn.Linear(8, 12, bias=False),
            nn.Linear(8, 12, bias=False),
            nn.Linear(12, 8, bias=False),
        )

    def forward(self, x):
        h = self.norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


net("block.rotary", Rotary, T(2, 3, 5, 4))
net("block.gpt", Gpt, T(2, 6, 8), full=True)
net("block.swiglu", SwiGlu, T(2, 5, 8))
