"""BERT's encoder with the pooler as a plain PyTorch module, with both spellings of attention in use."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Layer(nn.Module):
    """One post-norm encoder layer."""

    def __init__(self, hidden, heads, ffn, eager):
        super().__init__()
        self.heads, self.head, self.eager = heads, hidden // heads, eager
        self.query, self.key, self.value = (nn.Linear(hidden, hidden) for _ in range(3))
        self.attention_out = nn.Linear(hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden, eps=1e-12)
        self.ffn_in = nn.Linear(hidden, ffn)
        self.ffn_out = nn.Linear(ffn, hidden)
        self.ffn_norm = nn.LayerNorm(hidden, eps=1e-12)
        self.dropout = nn.Dropout(0.1)

    def split_heads(self, x):
        """[N, T, hidden] to [N, heads, T, head]."""
        return x.view(x.size(0), x.size(1), self.heads, self.head).transpose(1, 2)

    def attend(self, x, bias):
        """Self-attention before the output projection."""
        q, k, v = self.split_heads(self.query(x)), self.split_heads(self.key(x)), self.split_heads(self.value(x))
        if self.eager:
            scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.head) + bias
            y = torch.matmul(self.dropout(F.softmax(scores, dim=-1)), v)
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        y = y.transpose(1, 2).contiguous()
        return y.view(y.size(0), y.size(1), self.heads * self.head)

    def forward(self, x, bias):
        """The layer's output."""
        x = self.attention_norm(x + self.dropout(self.attention_out(self.attend(x, bias))))
        return self.ffn_norm(x + self.dropout(self.ffn_out(F.gelu(self.ffn_in(x)))))


class Bert(nn.Module):
    """BERT; eager=True spells attention out as matmul and softmax."""

    def __init__(self, hidden=768, heads=12, ffn=3072, layers=12, vocab=30522, max_position=512, eager=False):
        super().__init__()
        self.word = nn.Embedding(vocab, hidden)
        self.position = nn.Embedding(max_position, hidden)
        self.segment = nn.Embedding(2, hidden)
        self.norm = nn.LayerNorm(hidden, eps=1e-12)
        self.layers = nn.ModuleList(Layer(hidden, heads, ffn, eager) for _ in range(layers))
        self.pooler = nn.Linear(hidden, hidden)
        self.register_buffer("position_ids", torch.arange(max_position)[None], persistent=False)

    def forward(self, input_ids, attention_mask, token_type_ids):
        """(last_hidden_state [N, T, hidden], pooler_output [N, hidden]) of three int64 [N, T]."""
        positions = self.position_ids[:, :input_ids.shape[1]]
        x = self.norm(self.word(input_ids) + self.segment(token_type_ids) + self.position(positions))
        bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -10000.0
        for layer in self.layers:
            x = layer(x, bias)
        return x, torch.tanh(self.pooler(x[:, 0]))
