"""Pools and unpools."""

import torch
from torch import nn

from call_kit import T, case

for n, ext in ((1, (11,)), (2, (9, 8)), (3, (6, 5, 7))):
    for x in (T(2, 3, *ext), T(3, *ext)):
        for a in (
            ([2] * n,),
            ([3] * n, [2] * n),
            ([3] * n, [2] * n, [1] * n),
            ([3] * n, [2] * n, [1] * n, [1] * n, True),
            ([2] * n, [1] * n, [0] * n, [2] * n),
            ([2],),
            ([2] * n, [3] * n, [1] * n, [1] * n, True),
        ):
            case(f"max_pool{n}d", x, *a)
            case(f"max_pool{n}d_with_indices", x, *a)
        for a in (
            ([2] * n,),
            ([3] * n, [2] * n, [1] * n),
            ([3] * n, [2] * n, [0] * n, True),
            ([3] * n, [2] * n, [1] * n, False, False),
            ([3] * n, [2] * n, [1] * n, True, False),
            ([3] * n, [2] * n, [1] * n, True, True),
            ([2] * n, [3] * n, [1] * n, True, True),
        ):
            case(f"avg_pool{n}d", x, *a)
            if n > 1 and len(a) > 1:
                case(f"avg_pool{n}d", x, *(a + (False, True)[len(a) - 3 :] if len(a) < 5 else a), 3)
        for o in (1, 3, 2, 4, 7, ext[0]):
            case(f"adaptive_avg_pool{n}d", x, [o] * n)
            case(f"adaptive_max_pool{n}d", x, [o] * n)
        y, i = getattr(torch.nn.functional, f"max_pool{n}d")(x, 2, return_indices=True)
        if n == 2:
            case("max_unpool2d", y, i, list(ext))
        if n == 3:
            case("max_unpool3d", y, i, list(ext), [2] * 3, [0] * 3)
case("max_pool2d", T(1, 2, 6, 6, dt=torch.int64), [2, 2])
case("max_pool2d", T(1, 2, 6, 6, dt=torch.float16), [2, 2])
case("adaptive_avg_pool2d", T(2, 3, 6, 8), [3, 2])
case("_adaptive_avg_pool2d", T(2, 3, 6, 8), [4, 1])
case("adaptive_max_pool2d", T(2, 3, 7, 8), [4, 3])
case("adaptive_avg_pool2d", T(2, 3, 4, 5, dt=torch.float16), [3, 3])
x = T(1, 2, 5, 6)
x[0, 0, 1, 1] = float("nan")
case("max_pool2d", x, [2, 2])
case("adaptive_max_pool2d", x, [2, 2], skip=(1,))
