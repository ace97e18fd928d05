"""Recurrent layers and cells."""

import torch
from torch import nn

from call_kit import C, T, case

for cls, op, st in ((nn.LSTM, "lstm.input", 2), (nn.GRU, "gru.input", 1), (nn.RNN, "rnn_tanh.input", 1)):
    for layers in (1, 2):
        for bi in (False, True):
            for bf in (False, True):
                for bias in (True, False):
                    for dt in (torch.float32, torch.float64):
                        mod = cls(4, 5, num_layers=layers, bidirectional=bi, bias=bias).to(dt)
                        xx = T(3, 6, 4, dt=dt)
                        N = 3 if bf else 6
                        D = layers * (2 if bi else 1)
                        hx = [T(D, N, 5, dt=dt) for _ in range(st)]
                        P = [p.detach() for p in mod._flat_weights]
                        for cc in (False, True):
                            case(
                                op,
                                xx,
                                hx if st == 2 else hx[0],
                                [C(p) if cc else p for p in P],
                                bias,
                                layers,
                                0.3,
                                False,
                                bi,
                                bf,
                            )
for bi in (False, True):
    for bias in (True, False):
        mod = nn.LSTM(4, 5, num_layers=2, bidirectional=bi, proj_size=3, bias=bias)
        D = 2 * (2 if bi else 1)
        case(
            "lstm.input",
            T(6, 3, 4),
            [T(D, 3, 3), T(D, 3, 5)],
            [p.detach() for p in mod._flat_weights],
            bias,
            2,
            0.0,
            False,
            bi,
            False,
        )
mod = nn.RNN(4, 5, nonlinearity="relu")
case(
    "rnn_relu.input", T(6, 3, 4), T(1, 3, 5), [p.detach() for p in mod._flat_weights], True, 1, 0.0, False, False, False
)
case(
    "lstm.input",
    T(1, 2, 4),
    [T(1, 2, 5), T(1, 2, 5)],
    [p.detach() for p in nn.LSTM(4, 5)._flat_weights],
    True,
    1,
    0.0,
    False,
    False,
    False,
)
case(
    "gru.input",
    T(3, 2, 4, dt=torch.float16),
    T(1, 2, 5, dt=torch.float16),
    [p.detach() for p in nn.GRU(4, 5).half()._flat_weights],
    True,
    1,
    0.0,
    False,
    False,
    False,
)
for b in (True, False):
    for shape in ((3, 4),):
        bb = lambda n: (T(n), T(n)) if b else (None, None)
        case("lstm_cell", T(3, 4), [T(3, 5), T(3, 5)], T(20, 4), T(20, 5), *bb(20))
        case("gru_cell", T(3, 4), T(3, 5), T(15, 4), T(15, 5), *bb(15))
        case("rnn_tanh_cell", T(3, 4), T(3, 5), T(5, 4), T(5, 5), *bb(5))
        case("rnn_relu_cell", T(3, 4), T(3, 5), T(5, 4), T(5, 5), *bb(5))
