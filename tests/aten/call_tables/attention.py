"""Attention and transformer layers as single ops."""

import torch

from call_kit import C, T, case

q, k, v = T(2, 3, 5, 4), T(2, 3, 7, 4), T(2, 3, 7, 4)
S = "scaled_dot_product_attention"
case(S, q, k, v)
case(S, q, k, v, None, 0.0, True)
case(S, q, q, q, None, 0.0, True)
case(S, q, k, v, scale=0.3)
case(S, T(2, 5, 4), T(2, 7, 4), T(2, 7, 6))
case(S, T(5, 4), T(7, 4), T(7, 3))
case(S, q, T(1, 3, 7, 4), T(1, 3, 7, 4))
m = T(2, 1, 5, 7, dt=torch.bool)
m[..., 0] = True
case(S, q, k, v, m)
m = T(5, 7, dt=torch.bool)
m[1] = False
case(S, q, k, v, m)
case(S, q, k, v, C(m))
mf = T(5, 7)
mf[2] = -float("inf")
case(S, q, k, v, mf)
case(S, q, k, v, T(5, 7))
case(S, q, k, v, T(1, 7))
case(S, T(2, 4, 5, 4), T(2, 2, 7, 4), T(2, 2, 7, 4), enable_gqa=True)
case(S, T(2, 4, 5, 4), T(2, 1, 7, 4), T(2, 1, 7, 4), enable_gqa=True)
for dt in (torch.float64, torch.float16, torch.bfloat16):
    case(S, q.to(dt), k.to(dt), v.to(dt))
    case(S, q.to(dt), k.to(dt), v.to(dt), T(5, 7, dt=dt))
case("_scaled_dot_product_flash_attention_for_cpu", q, k, v)
case("_scaled_dot_product_flash_attention_for_cpu", q, q, q, 0.0, True)
case("_scaled_dot_product_flash_attention_for_cpu", q, k, v, attn_mask=T(5, 7))
case("_scaled_dot_product_attention_math", q, k, v)
case("_scaled_dot_product_attention_math", q, k, v, T(5, 7))
x = T(2, 5, 8)
W = (T(24, 8) * 0.3, T(24) * 0.3, T(8, 8) * 0.3, T(8) * 0.3)
for need in (True, False):
    for avg in (True, False):
        case("_native_multi_head_attention", x, x, x, 8, 2, *W, None, need, avg, skip=() if need else (1,))
m0 = torch.triu(torch.ones(5, 5), 1).bool()
m1 = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 0, 0, 1]]).bool()
y = T(2, 6, 8)


def mha(*a, **k):
    case("_native_multi_head_attention", *a, **k)


mha(x, x, x, 8, 2, *W, m0, True, True, 0)
mha(x, x, x, 8, 2, *W, m1, True, True, 1)
mha(x, x, x, 8, 2, *W, T(2, 2, 5, 5, dt=torch.bool) & m0, True, True, 2)
for nf in (False, True):
    for g in (False, True):
        L = (T(24, 8) * 0.3, T(24) * 0.3, T(8, 8) * 0.3, T(8) * 0.3)
        case(
            "_transformer_encoder_layer_fwd",
            x,
            8,
            2,
            *L,
            g,
            nf,
            1e-5,
            T(8),
            T(8),
            T(8),
            T(8),
            T(12, 8) * 0.3,
            T(12),
            T(8, 12) * 0.3,
            T(8)
        )
        case(
            "_transformer_encoder_layer_fwd",
            x,
            8,
            2,
            *L,
            g,
            nf,
            1e-5,
            T(8),
            T(8),
            T(8),
            T(8),
            T(12, 8) * 0.3,
            T(12),
            T(8, 12) * 0.3,
            T(8),
            m1,
            1
        )
