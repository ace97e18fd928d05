"""Normalisations."""

import math

import torch

from call_kit import T, case

for s in ((4, 5), (4, 5, 3), (2, 5, 3, 4), (2, 5, 3, 2, 2)):
    m, v, w, b = T(5), T(5, lo=0.3, hi=2), T(5), T(5)
    case("batch_norm", T(*s), w, b, m, v, False, 0.1, 1e-5, False)
    case("batch_norm", T(*s), None, None, m, v, False, 0.1, 0.1, True)
    case("batch_norm", T(*s), w, b, None, None, True, 0.1, 1e-5, True)
    case("native_batch_norm", T(*s), w, b, m, v, False, 0.1, 1e-5)
    case("_native_batch_norm_legit_no_training", T(*s), w, b, m, v, 0.1, 1e-5)
    case("_native_batch_norm_legit.no_stats", T(*s), w, b, True, 0.1, 1e-5)
    case("_native_batch_norm_legit", T(*s), w, b, m, v, False, 0.1, 1e-5)
    if len(s) > 2:
        case("instance_norm", T(*s), w, b, None, None, True, 0.1, 1e-5, True)
        case("instance_norm", T(*s), None, None, None, None, True, 0.1, 1e-5, True)
        case("instance_norm", T(*s), w, b, m, v, False, 0.1, 1e-5, True)
    case("group_norm", T(*s), 5, w, b)
    case("group_norm", T(*s), 1)
    case("native_group_norm", T(*s), w, b, s[0], 5, math.prod(s[2:]), 5, 1e-5)
    case("native_group_norm", T(*s), None, None, s[0], 5, math.prod(s[2:]), 1, 1e-5)
    case("layer_norm", T(*s), list(s[1:]), T(*s[1:]), T(*s[1:]))
    case("layer_norm", T(*s), [s[-1]])
    case("layer_norm", T(*s), [s[-1]], None, T(s[-1]))
    case("native_layer_norm", T(*s), list(s[1:]), T(*s[1:]), T(*s[1:]), 1e-5)
    case("native_layer_norm", T(*s), [s[-1]], T(s[-1]), None, 0.5)
    case("rms_norm", T(*s), [s[-1]], T(s[-1]))
    case("rms_norm", T(*s), list(s[1:]), None, 1e-3)
    case("_fused_rms_norm", T(*s), [s[-1]], T(s[-1]), 1e-5)
for dt in (torch.float16, torch.bfloat16, torch.float64):
    case(
        "batch_norm",
        T(2, 5, 3, dt=dt),
        T(5, dt=dt),
        T(5, dt=dt),
        T(5, dt=dt),
        T(5, lo=0.3, hi=2, dt=dt),
        False,
        0.1,
        1e-5,
        False,
    )
    case("layer_norm", T(3, 7, dt=dt), [7], T(7, dt=dt), T(7, dt=dt))
    case("rms_norm", T(3, 7, dt=dt) * 0.02, [7], T(7, dt=dt))
    case("group_norm", T(2, 6, 3, dt=dt), 2, T(6, dt=dt), T(6, dt=dt))
case("batch_norm", T(2, 5, 3, dt=torch.bfloat16), T(5), T(5), T(5), T(5, lo=0.3, hi=2), False, 0.1, 1e-5, False)
case("layer_norm", T(3, 7, dt=torch.bfloat16), [7], T(7), T(7))
case("layer_norm", T(0, 7), [7], T(7), T(7))
case("group_norm", T(0, 6, 3), 2, T(6), T(6))
for d in (0, 1, -1):
    case("_weight_norm", T(5, 4), T(*(5, 1) if d == 0 else (1, 4) if d == 1 else ()), d)
    case("norm_except_dim", T(5, 4, 2), 2, d)
case("_weight_norm_interface", T(5, 4, 3), T(5, 1, 1), 0)
case("renorm", T(4, 5, 3) * 2, 2, 1, 1.5)
case("renorm", T(4, 5) * 2, 1, 0, 3.0)
case("renorm", T(4, 5) * 2, float("inf"), -1, 0.5)
case("embedding_renorm", T(6, 3) * 2, torch.tensor([1, 4, 4, 2]), 1.0, 2.0)
