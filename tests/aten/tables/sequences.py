"""Packed sequences: recurrent layers over batches of sequences of several lengths."""

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from case_kit import T, net

LENGTHS = [6, 4, 4, 1]


class Packed(nn.Module):
    """Packs, runs a layer, unpacks; the lengths are data, or a constant."""

    def __init__(self, layer, lengths=None, states=False, total=None, value=0.0, ordered=True):
        super().__init__()
        self.layer, self.lengths, self.states = layer, lengths, states
        self.total, self.value, self.ordered = total, value, ordered

    def forward(self, x, lengths=None):
        """x: padded sequences; lengths: i64 [batch] if they are data."""
        if self.lengths is not None:
            lengths = torch.tensor(self.lengths)
        first = self.layer.batch_first
        packed = pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=self.ordered)
        y, states = self.layer(packed)
        y, n = pad_packed_sequence(y, batch_first=first, padding_value=self.value, total_length=self.total)
        return (y, n, states) if self.states else (y, n)


class Embedded(nn.Module):
    """Works on the packed data itself."""

    def __init__(self):
        super().__init__()
        self.embedding, self.layer, self.head = nn.Embedding(7, 3), nn.GRU(3, 4), nn.Linear(4, 2)

    def forward(self, x, lengths):
        """x: [steps, batch] i64."""
        packed = pack_padded_sequence(x, lengths)
        packed = PackedSequence(self.embedding(packed.data), packed.batch_sizes)
        y, _ = self.layer(packed)
        y = PackedSequence(torch.relu(self.head(y.data)), y.batch_sizes)
        return pad_packed_sequence(y)[0]


def lengths(*values):
    """Lengths as an input."""
    return T(len(values), dt="i64", then=lambda _: torch.tensor(values))


LAYERS = {
    "lstm": lambda **o: nn.LSTM(3, 4, **o),
    "gru": lambda **o: nn.GRU(3, 4, **o),
    "rnn": lambda **o: nn.RNN(3, 4, **o),
    "rnn_relu": lambda **o: nn.RNN(3, 4, nonlinearity="relu", **o),
}
PT = ("pt",)  # torch.export 2.13 refuses pack_padded_sequence with lengths that are data.
for name, make in LAYERS.items():
    net(f"{name}", lambda make=make: Packed(make(), states=True), T(6, 4, 3), lengths(*LENGTHS))
    net(f"{name}.constant", lambda make=make: Packed(make(), LENGTHS, True), T(6, 4, 3))
    net(
        f"{name}.both_ways",
        lambda make=make: Packed(make(bidirectional=True, num_layers=2, batch_first=True), states=True),
        sets=[[T(4, 6, 3), lengths(*LENGTHS)], [T(4, 6, 3), lengths(6, 6, 2, 1)]],
    )
net("lstm.total", lambda: Packed(nn.LSTM(3, 4), total=8), T(6, 4, 3), lengths(*LENGTHS))
net("lstm.padding", lambda: Packed(nn.LSTM(3, 4), value=-1.5), T(6, 4, 3), lengths(*LENGTHS))
net("lstm.shorter", lambda: Packed(nn.LSTM(3, 4), [5, 3, 3, 2]), T(6, 4, 3))
net("lstm.unsorted", lambda: Packed(nn.LSTM(3, 4), ordered=False, states=True), T(6, 4, 3), lengths(3, 6, 1, 5))
net("gru.unsorted", lambda: Packed(nn.GRU(3, 4, batch_first=True), [2, 6, 5], True, ordered=False), T(3, 6, 3))
net("embedded", Embedded, T(6, 4, dt="i64", lo=0, hi=7), lengths(*LENGTHS))
PADDED = T(6, 4, dt="i64", lo=0, hi=7, then=lambda x: x.masked_fill(torch.arange(6)[:, None] >= torch.tensor(LENGTHS), -1))
net("embedded.padding_ids", Embedded, PADDED, lengths(*LENGTHS))
net("lstm.total_shorter", lambda: Packed(nn.LSTM(3, 4), [4, 3, 3, 2], total=4), T(6, 4, 3))
