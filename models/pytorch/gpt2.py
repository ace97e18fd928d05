"""GPT-2 as a plain PyTorch module, with its key and value caches as inputs or as buffers."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Conv1D(nn.Module):
    """A linear layer with its weight stored as [inputs, outputs], as GPT-2 has it."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.outputs = outputs
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        """[..., outputs]."""
        y = torch.addmm(self.bias, x.reshape(-1, x.size(-1)), self.weight)
        return y.view(x.size(0), x.size(1), self.outputs)


def gelu_new(x):
    """GELU by tanh, spelled out."""
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


class Attention(nn.Module):
    """Causal self-attention with a fused projection."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = Conv1D(width, 3 * width), Conv1D(width, width)

    def split(self, x):
        """[N, T, width] to [N, heads, T, width / heads]."""
        return x.view(x.size(0), x.size(1), self.heads, -1).transpose(1, 2)

    def project(self, x):
        """Queries, keys, values."""
        q, k, v = self.c_attn(x).chunk(3, dim=2)
        return self.split(q), self.split(k), self.split(v)

    def attend(self, q, k, v, mask):
        """[N, T, width]; mask is True where a query sees a key."""
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        y = y.transpose(1, 2)
        return self.c_proj(y.reshape(y.size(0), y.size(1), -1))


class Block(nn.Module):
    """A pre-norm block."""

    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.c_fc, self.mlp_proj = Conv1D(width, 4 * width), Conv1D(4 * width, width)

    def mlp(self, x):
        """The feed-forward half."""
        return x + self.mlp_proj(gelu_new(self.c_fc(self.ln_2(x))))


class Gpt2(nn.Module):
    """Keys and values of past tokens come in and all of them go out."""

    def __init__(self, width=768, heads=12, layers=12, vocab=50257, positions=1024):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(positions, width)
        self.h = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(width)

    def forward(self, ids, past_k, past_v):
        """(logits [N, T, vocab], k, v [layers, N, heads, P + T, head]) of ids [N, T] and past [.., P, ..]."""
        t, p = ids.shape[1], past_k.shape[3]
        place = torch.arange(t, device=ids.device) + p
        mask = torch.arange(t + p)[None, :] <= place[:, None]
        x = self.wte(ids) + self.wpe(place)
        keys, values = [], []
        for i, block in enumerate(self.h):
            q, k, v = block.attn.project(block.ln_1(x))
            k, v = torch.cat([past_k[i], k], dim=2), torch.cat([past_v[i], v], dim=2)
            keys.append(k)
            values.append(v)
            x = block.mlp(x + block.attn.attend(q, k, v, mask))
        return F.linear(self.ln_f(x), self.wte.weight), torch.stack(keys), torch.stack(values)


class Gpt2Cache(Gpt2):
    """The caches are buffers of a fixed length, written at the tokens' positions: one sequence, call after call."""

    def __init__(self, width=768, heads=12, layers=12, vocab=50257, positions=1024, cache=256):
        super().__init__(width, heads, layers, vocab, positions)
        for name in ("cache_k", "cache_v"):
            self.register_buffer(name, torch.zeros(layers, 1, heads, cache, width // heads))

    def forward(self, ids, place):
        """Logits [1, T, vocab] of ids [1, T] at the positions `place` [T]."""
        mask = torch.arange(self.cache_k.shape[3])[None, :] <= place[:, None]
        x = self.wte(ids) + self.wpe(place)
        for i, block in enumerate(self.h):
            q, k, v = block.attn.project(block.ln_1(x))
            self.cache_k[i].index_copy_(2, place, k)
            self.cache_v[i].index_copy_(2, place, v)
            x = block.mlp(x + block.attn.attend(q, self.cache_k[i], self.cache_v[i], mask))
        return F.linear(self.ln_f(x), self.wte.weight)
