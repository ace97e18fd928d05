"""Sampling grids, shuffles, windows as columns."""

from call_kit import T, case

for mode in range(3):
    for pad in range(3):
        for al in (False, True):
            case("grid_sampler_2d", T(2, 2, 5, 6), T(2, 3, 4, 2, lo=-1.4, hi=1.4), mode, pad, al)
            case("grid_sampler", T(2, 2, 5, 6), T(2, 3, 4, 2, lo=-1.4, hi=1.4), mode, pad, al)
            if mode < 2:
                case("grid_sampler_3d", T(1, 2, 3, 4, 5), T(1, 2, 3, 2, 3, lo=-1.4, hi=1.4), mode, pad, al)
for al in (False, True):
    case("affine_grid_generator", T(2, 2, 3), [2, 3, 4, 5], al)
    case("affine_grid_generator", T(2, 3, 4), [2, 1, 3, 4, 2], al)
    case("affine_grid_generator", T(2, 2, 3), [2, 3, 1, 5], al)
case("pixel_shuffle", T(2, 8, 3, 2), 2)
case("pixel_shuffle", T(9, 2, 3), 3)
case("pixel_shuffle", T(2, 3, 8, 3, 2), 2)
case("pixel_unshuffle", T(2, 2, 4, 6), 2)
case("pixel_unshuffle", T(2, 4, 6), 2)
case("pixel_unshuffle", T(2, 2, 2, 6, 6), 3)
case("channel_shuffle", T(2, 6, 3, 2), 2)
case("channel_shuffle", T(2, 6, 3), 3)
case("native_channel_shuffle", T(2, 6, 3, 2), 2)
case("im2col", T(2, 3, 5, 6), [2, 3], [1, 1], [1, 1], [2, 1])
case("im2col", T(3, 5, 6), [2, 2], [2, 2], [0, 0], [1, 1])
case("col2im", T(1, 8, 9), [6, 6], [2, 2], [1, 1], [0, 0], [2, 2])
case("col2im", T(8, 9), [6, 6], [2, 2], [1, 1], [0, 0], [2, 2])
case("col2im", T(2, 18, 4 * 5), [4, 5], [3, 3], [1, 1], [1, 1], [1, 1])
