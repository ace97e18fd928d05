"""Upsampling in every mode, by size and by scale."""

import torch

from call_kit import T, case

EXT = {1: (5,), 2: (4, 5), 3: (3, 4, 2)}
for n in (1, 2, 3):
    for dt in (torch.float32, torch.float64, torch.float16):
        x = T(2, 3, *EXT[n], dt=dt)
        for size in (
            [2 * e - 1 for e in EXT[n]],
            [2 * e for e in EXT[n]],
            [max(1, e // 2) for e in EXT[n]],
            list(EXT[n]),
            [7] * n,
            [1] * n,
        ):
            for op in (f"upsample_nearest{n}d", f"_upsample_nearest_exact{n}d"):
                case(op, x, size)
            lin = {1: "upsample_linear1d", 2: "upsample_bilinear2d", 3: "upsample_trilinear3d"}[n]
            for al in (False, True):
                case(lin, x, size, al)
                if n == 2:
                    case("upsample_bicubic2d", x, size, al)
                if n == 2 and dt != torch.float16:
                    case("_upsample_bilinear2d_aa", x, size, al)
                    case("_upsample_bicubic2d_aa", x, size, al)
        for sc in (2.0, 1.7, 0.6, 1.0, 3.0, 1.3, 2.5):
            for op in (f"upsample_nearest{n}d.vec", f"_upsample_nearest_exact{n}d.vec"):
                case(op, x, None, [sc] * n)
            for al in (False, True):
                case(lin + ".vec", x, None, al, [sc] * n)
                if n == 2:
                    case("upsample_bicubic2d.vec", x, None, al, [sc] * n)
                if n == 2 and dt == torch.float32:
                    case("_upsample_bilinear2d_aa.vec", x, None, al, [sc] * n)
        case(f"upsample_nearest{n}d", x, [2 * e for e in EXT[n]], *([2.0] * n))
        case(f"upsample_nearest{n}d", x, [int(1.7 * e) for e in EXT[n]], *([1.7] * n))
case("upsample_nearest2d", T(1, 2, 3, 4, dt=torch.uint8, lo=0, hi=200), [6, 8])
for op in ("upsample_nearest2d.vec", "_upsample_nearest_exact2d.vec"):
    case(op, T(1, 2, 3, 3), None, [1.3, 1.3])
for op in (
    "upsample_bilinear2d.vec",
    "upsample_bicubic2d.vec",
    "_upsample_bilinear2d_aa.vec",
    "_upsample_bicubic2d_aa.vec",
):
    for al in (False, True):
        case(op, T(1, 2, 3, 3), None, al, [1.3, 1.3])
        case(op, T(2, 4, 3, 3, dt=torch.float16) if not "aa" in op else T(2, 4, 3, 3), None, al, [0.9, 1.2])
