"""Convolutions and transposed convolutions."""

import torch

from call_kit import T, case

for n, ext in ((1, (9,)), (2, (7, 6)), (3, (4, 5, 4))):
    k = (3,) * n
    w = T(6, 4, *k)
    b = T(6)
    case(f"conv{n}d", T(2, 4, *ext), w, b)
    case(f"conv{n}d", T(4, *ext), w, b)
    case(f"conv{n}d", T(2, 4, *ext), w, None, [2] * n, [1] * n)
    case(f"conv{n}d", T(2, 4, *ext), w, b, [1] * n, [2] * n, [2] * n)
    case(f"conv{n}d", T(2, 4, *ext), T(6, 2, *k), b, [1], [1], [1], 2)
    case(f"conv{n}d.padding", T(2, 4, *ext), w, b, [1] * n, "same", [1] * n)
    case(f"conv{n}d.padding", T(2, 4, *ext), T(6, 4, *((2,) * n)), b, [1] * n, "same", [2] * n)
    case(f"conv{n}d.padding", T(2, 4, *ext), w, b, [2] * n, "valid")
    for dt in (torch.float64, torch.float16, torch.bfloat16):
        case(f"conv{n}d", T(1, 4, *ext, dt=dt), w.to(dt), b.to(dt))
    o = ".input" if n > 1 else ""
    wt = T(4, 6, *k)
    case(f"conv_transpose{n}d" + o, T(2, 4, *ext), wt, b)
    case(f"conv_transpose{n}d" + o, T(4, *ext), wt, b)
    case(f"conv_transpose{n}d" + o, T(2, 4, *ext), wt, b, [2] * n, [1] * n, [1] * n)
    case(f"conv_transpose{n}d" + o, T(2, 4, *ext), T(4, 3, *k), b, [2] * n, [0] * n, [0] * n, 2, [2] * n)
    case("convolution", T(2, 4, *ext), w, b, [1] * n, [1] * n, [1] * n, False, [0] * n, 1)
    case("convolution", T(2, 4, *ext), wt, b, [2] * n, [1] * n, [1] * n, True, [1] * n, 1)
    case("_convolution", T(2, 4, *ext), w, b, [1] * n, [1] * n, [1] * n, False, [0] * n, 1, False, False, True, True)
    case(
        "_convolution.deprecated", T(2, 4, *ext), w, b, [1] * n, [1] * n, [1] * n, False, [0] * n, 1, False, False, True
    )
    case("_convolution_mode", T(2, 4, *ext), w, b, [1] * n, "same", [1] * n, 1)
case("conv_tbc", T(7, 2, 3), T(3, 3, 4), T(4), 1)
case("conv2d", T(0, 3, 5, 5), T(4, 3, 3, 3), T(4))
case("thnn_conv2d", T(2, 4, 7, 6), T(6, 4, 3, 3), [3, 3], T(6), [1, 1], [1, 1])
case("slow_conv3d", T(2, 4, 4, 5, 4), T(6, 4, 3, 3, 3), [3, 3, 3], T(6), [1, 1, 1], [1, 1, 1])
