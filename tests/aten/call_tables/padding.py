"""Padding in every mode."""

import torch

from call_kit import T, case

x4 = T(2, 3, 4, 5)
for p in ([1, 2], [1, 0, 2, 1], [-1, 2, 0, -1], [0, 0], [1, 1, 1, 1, 1, 1], [2, -2]):
    case("constant_pad_nd", x4, p, 0.5)
    case("pad", x4, p, "constant", None)
    case("pad", x4, p)
    case("constant_pad_nd", T(2, 3, 4, 5, dt=torch.int64), p, 3)
case("constant_pad_nd", T(3, dt=torch.bool), [1, 1], True)
case("pad", x4, [1, 1], "constant", -float("inf"))
case("constant_pad_nd", T(0, 3), [1, 1, 1, 0], 2.0)
for m in ("reflect", "replicate", "circular"):
    case("pad", T(2, 3, 4), [1, 2], m)
    case("pad", T(3, 4), [3, 1], m)
    case("pad", x4, [1, 2, 3, 1], m)
    case("pad", T(3, 4, 5), [1, 2, 3, 1], m)
    case("pad", T(1, 2, 3, 4, 5), [1, 2, 1, 1, 2, 2], m)
for n in (1, 2, 3):
    for k in ("reflection", "replication"):
        case(f"{k}_pad{n}d", T(*(2, 2, 3, 4, 3)[: n + 2]), [1] * 2 * n)
        case(f"{k}_pad{n}d", T(*(2, 3, 4, 3)[: n + 1]), [1] * 2 * n)
case("_pad_circular", T(2, 3, 4), [2, 1])
case("replication_pad1d", T(2, 3, 4), [-1, 2])
case("reflection_pad1d", T(2, 3, 4), [-1, 2])
