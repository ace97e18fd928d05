"""LLaMA-like decoders as plain PyTorch modules, small: RMS norms, rotary embeddings, grouped queries, SwiGLU, and the
keys and values of past tokens as inputs. The rotary embedding is written in both of the usual ways."""

import torch
from torch import nn
from torch.nn import functional as F


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + epsilon) * weight, spelled out."""

    def __init__(self, width, eps=1e-6):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        """As x."""
        variance = x.to(torch.float32).pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + self.eps)).to(x.dtype)


def angles(place, head: int, theta: float = 10000.0):
    """[T, head / 2]: the angle of every pair at every position."""
    frequency = 1.0 / (theta ** (torch.arange(0, head, 2, dtype=torch.float32, device=place.device) / head))
    return place[:, None].to(torch.float32) * frequency[None, :]


def rotate_half(x):
    """(-x2, x1) of halves (x1, x2)."""
    x1, x2 = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2:]
    return torch.cat((-x2, x1), dim=-1)


def rotate_halves(x, place):
    """Pairs lie half a head apart: x * cos + rotate_half(x) * sin, as in Hugging Face's models. x [N, H, T, D]."""
    a = angles(place, x.shape[-1])
    a = torch.cat((a, a), dim=-1)[None, None]
    return x * a.cos().to(x.dtype) + rotate_half(x) * a.sin().to(x.dtype)


def rotate_pairs(x, place):
    """Pairs are neighbours, taken as complex numbers, as in Meta's models. x [N, H, T, D]."""
    a = angles(place, x.shape[-1])
    turn = torch.polar(torch.ones_like(a), a)
    pairs = torch.view_as_complex(x.float().reshape(x.shape[0], x.shape[1], x.shape[2], -1, 2))
    return torch.view_as_real(pairs * turn[None, None]).flatten(3).type_as(x)


class Attention(nn.Module):
    """Causal self-attention with fewer heads of keys and values than of queries."""

    def __init__(self, width, heads, groups):
        super().__init__()
        self.heads, self.groups = heads, groups
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width // heads * groups, bias=False)
        self.v_proj = nn.Linear(width, width // heads * groups, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def project(self, x):
        """Queries [N, heads, T, D], keys and values [N, groups, T, D]."""
        n, t = x.shape[0], x.shape[1]
        q = self.q_proj(x).view(n, t, self.heads, -1).transpose(1, 2)
        k = self.k_proj(x).view(n, t, self.groups, -1).transpose(1, 2)
        return q, k, self.v_proj(x).view(n, t, self.groups, -1).transpose(1, 2)

    def repeat(self, x):
        """Every head as often as queries share it."""
        n, g, t, d = x.shape
        return x[:, :, None].expand(n, g, self.heads // self.groups, t, d).reshape(n, self.heads, t, d)

    def attend(self, q, k, v, mask):
        """[N, T, width]; mask is 0 where a query sees a key and minus infinity elsewhere."""
        scores = torch.matmul(q, self.repeat(k).transpose(2, 3)) * (q.shape[-1] ** -0.5) + mask
        weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
        y = torch.matmul(weights, self.repeat(v)).transpose(1, 2).contiguous()
        return self.o_proj(y.reshape(y.shape[0], y.shape[1], -1))


class Block(nn.Module):
    """A pre-norm block with a gated feed-forward half."""

    def __init__(self, width, heads, groups, ffn):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(width), RMSNorm(width)
        self.self_attn = Attention(width, heads, groups)
        self.gate_proj, self.up_proj = nn.Linear(width, ffn, bias=False), nn.Linear(width, ffn, bias=False)
        self.down_proj = nn.Linear(ffn, width, bias=False)

    def mlp(self, x):
        """The feed-forward half."""
        h = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


class Llama(nn.Module):
    """Keys and values of past tokens come in and all of them go out. `pairs`: rotates neighbours, else halves."""

    def __init__(self, width=512, heads=8, groups=2, ffn=1376, layers=8, vocab=32000, pairs=False):
        super().__init__()
        self.pairs = pairs
        self.embed_tokens = nn.Embedding(vocab, width)
        self.layers = nn.ModuleList([Block(width, heads, groups, ffn) for _ in range(layers)])
        self.norm = RMSNorm(width)
        self.lm_head = nn.Linear(width, vocab, bias=False)

    def rotate(self, x, place):
        """Turns every pair of features by its position's angle."""
        return rotate_pairs(x, place) if self.pairs else rotate_halves(x, place)

    def forward(self, ids, past_k, past_v):
        """(logits [N, T, vocab], k, v [layers, N, groups, P + T, D]) of ids [N, T] and past [.., P, ..]."""
        t, p = ids.shape[1], past_k.shape[3]
        place = torch.arange(t, device=ids.device) + p
        later = torch.arange(t + p, device=ids.device)[None, :] > place[:, None]
        x = self.embed_tokens(ids)
        mask = torch.zeros(1, dtype=x.dtype, device=ids.device).masked_fill(later, float("-inf"))
        keys, values = [], []
        for i, block in enumerate(self.layers):
            q, k, v = block.self_attn.project(block.input_layernorm(x))
            q, k = self.rotate(q, place), self.rotate(k, place)
            k, v = torch.cat([past_k[i], k], dim=2), torch.cat([past_v[i], v], dim=2)
            keys.append(k)
            values.append(v)
            x = block.mlp(x + block.self_attn.attend(q, k, v, mask))
        return self.lm_head(self.norm(x)), torch.stack(keys), torch.stack(values)


class LlamaCache(Llama):
    """The caches are buffers of a fixed length, written at the tokens' positions: one sequence, call after call."""

    def __init__(self, width=512, heads=8, groups=2, ffn=1376, layers=8, vocab=32000, pairs=False, cache=256):
        super().__init__(width, heads, groups, ffn, layers, vocab, pairs)
        for name in ("cache_k", "cache_v"):
            self.register_buffer(name, torch.zeros(layers, 1, groups, cache, width // heads))

    def forward(self, ids, place):
        """Logits [1, T, vocab] of ids [1, T] at the positions `place` [T]."""
        later = torch.arange(self.cache_k.shape[3], device=ids.device)[None, :] > place[:, None]
        x = self.embed_tokens(ids)
        mask = torch.zeros(1, dtype=x.dtype, device=ids.device).masked_fill(later, float("-inf"))
        for i, block in enumerate(self.layers):
            q, k, v = block.self_attn.project(block.input_layernorm(x))
            q, k = self.rotate(q, place), self.rotate(k, place)
            self.cache_k[i].index_copy_(2, place, k)
            self.cache_v[i].index_copy_(2, place, v)
            x = block.mlp(x + block.self_attn.attend(q, self.cache_k[i], self.cache_v[i], mask))
        return self.lm_head(self.norm(x))
