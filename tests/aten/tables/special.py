"""Special functions, numbers as bits, and other functions of tensors that models seldom use."""

import torch
from torch.nn import functional as F

from case_kit import T, op

# Zeta and gamma functions
op("zeta", torch.special.zeta, T(4, 5, lo=1.1, hi=9), T(4, 5, lo=0.1, hi=20))
op("zeta.f64", torch.special.zeta, T(4, 5, dt="f64", lo=1.1, hi=30), T(5, dt="f64", lo=0.1, hi=20))
op("zeta.negative", torch.special.zeta, T(6, then=lambda _: torch.tensor([2.0, 3, 4, 5, 2, 2.5])),
   T(6, lo=-7.9, hi=-0.1), tol=1e-4)
op("zeta.edges", torch.special.zeta, T(6, then=lambda _: torch.tensor([1.0, 0.5, 2, 3, 2.5, 2])),
   T(6, then=lambda _: torch.tensor([2.0, 2, 0, -3, -1.5, float("inf")])))
op("zeta.scalars", lambda x: torch.special.zeta(2.5, x) + torch.special.zeta(x + 1, 2), T(3, 4, lo=0.5, hi=6))
for name in ("gammainc", "gammaincc"):
    f = getattr(torch.special, name)
    op(name, f, T(5, 6, lo=0.05, hi=8), T(5, 6, lo=0, hi=12))
    op(f"{name}.f64", f, T(5, 6, dt="f64", lo=0.05, hi=30), T(6, dt="f64", lo=0, hi=60), tol=1e-9)
    op(f"{name}.large", f, T(12, lo=50, hi=900), T(12, lo=50, hi=900), tol=1e-4)
    op(f"{name}.edges", f, T(8, then=lambda _: torch.tensor([0.0, 0, 1, 2, 3, -1, 2, 5])),
       T(8, then=lambda _: torch.tensor([0.0, 1, 0, float("inf"), -1, 2, 1e-30, 1e4])))
op("igamma_", lambda x, y: (x * 1).igamma_(y), T(3, 4, lo=0.5, hi=3), T(3, 4, lo=0, hi=5))
op("igammac", torch.igammac, T(3, 1, lo=0.5, hi=3), T(4, lo=0, hi=5))

# The normal distribution's quantiles
op("ndtri", torch.special.ndtri, T(40, lo=0, hi=1))
op("ndtri.tails", torch.special.ndtri, T(12, then=lambda _: 10.0 ** -torch.arange(1.0, 37, 3)))
op("ndtri.f64", torch.special.ndtri, T(40, dt="f64", lo=0, hi=1))
op("ndtri.edges", torch.special.ndtri,
   T(7, then=lambda _: torch.tensor([0.0, 1, 0.5, -0.1, 1.1, float("nan"), 0.99999994])))

# view(dtype), and through it in place
BITS = {"f32": (torch.int32, torch.float32), "f16": (torch.int16, torch.float16),
        "bf16": (torch.int16, torch.bfloat16), "f64": (torch.int64, torch.float64)}
for dt, (ints, floats) in BITS.items():
    op(f"view.{dt}_bits", lambda x, t=ints: x.view(t), T(4, 6, dt=dt))
    op(f"view.{dt}_special", lambda x, t=ints: x.view(t) & 0x7FC0 if t == torch.int16 else x.view(t) >> 8,
       T(16, dt=dt, kind="special", then=lambda x: torch.where(x.isnan(), torch.nan, x)))
    op(f"view.{dt}_there_and_back", lambda x, t=ints, f=floats: (x.view(t) ^ 1).view(f), T(4, 6, dt=dt))
    op(f"view.{dt}_powers", lambda x, t=ints: x.view(t),
       T(30, dt=dt, then=lambda x: torch.exp2(torch.arange(-15, 15)).to(x.dtype)))
# f32 numbers below the normal ones count as zero in a run: no case has any.
op("view.f16_subnormal", lambda x: x.view(torch.int16),
   T(4, then=lambda _: torch.tensor([6e-8, -3e-5, 6.1e-5, 65504]).half()), forms=("pt2",))
op("view.i32_f32", lambda x: x.view(torch.float32), T(3, 4, dt="i32", lo=0x3F000000, hi=0x41000000))
op("view.f32_u8", lambda x: x.view(torch.uint8), T(3, 4))
op("view.u8_f32", lambda x: (x * 1).view(torch.float32),
   T(3, 8, dt="u8", then=lambda x: torch.randn(3, 2, generator=torch.Generator().manual_seed(3)).view(torch.uint8)))
op("view.f32_i16", lambda x: x.view(torch.int16), T(3, 4))
op("view.i16_i32", lambda x: x.view(torch.int32), T(3, 4, dt="i16", lo=-30000, hi=30000))
op("view.i64_i8", lambda x: x.view(torch.int8), T(3, 2, dt="i64", lo=-(2**40), hi=2**40))
op("view.f64_f32", lambda x: x.view(torch.int32), T(3, 2, dt="f64"))
op("view.bool", lambda x: x.view(torch.uint8) + 1, T(3, 4, dt="bool"))
op("view.exponent", lambda x: ((x.view(torch.int32) >> 23) & 255) - 127, T(3, 4))


def _flip_signs(x):
    y = x.clone()
    y.view(torch.int32)[1:].bitwise_xor_(-(2**31))
    return y


op("view.write", _flip_signs, T(3, 4))
op("rsqrt_by_bits", lambda x: (0x5F3759DF - (x.view(torch.int32) >> 1)).view(torch.float32), T(3, 4, lo=0.1, hi=90))
op("frexp", lambda x: list(torch.frexp(x)), T(4, 6))
op("frexp.f64", lambda x: list(torch.frexp(x)), T(4, 6, dt="f64"))
op("frexp.powers", lambda x: torch.frexp(x).mantissa, T(9, then=lambda _: torch.exp2(torch.arange(-4.0, 5))))

# Differences, windows, sequences
op("gradient", lambda x: list(torch.gradient(x)), T(4, 5))
op("gradient.spacing", lambda x: list(torch.gradient(x, spacing=0.5, dim=1)), T(4, 5))
op("gradient.edges", lambda x: list(torch.gradient(x, spacing=[2.0, 0.25], dim=(0, 1), edge_order=2)), T(4, 5))
op("gradient.two", lambda x: list(torch.gradient(x, dim=0)), T(2, 3))
op("kaiser_window", lambda x: x * torch.kaiser_window(7), T(7))
op("kaiser_window.beta", lambda x: x * torch.kaiser_window(8, periodic=False, beta=5.0), T(8))
pad_sequence = torch.nn.utils.rnn.pad_sequence
op("pad_sequence", lambda x, y, z: pad_sequence([x, y, z]), T(4, 3), T(2, 3), T(5, 3))
op("pad_sequence.batch", lambda x, y: pad_sequence([x, y], True, -1.5), T(4), T(6))
op("pad_sequence.left", lambda x, y: pad_sequence([x, y], True, 2.0, "left"), T(4, 2), T(6, 2))
for size in ((5, 9), (13, 17), (8, 4)):
    op(f"lanczos.{size[0]}x{size[1]}",
       lambda x, s=size: F.interpolate(x, size=s, mode="lanczos", antialias=True), T(1, 2, 8, 11))

# Fake quantisation, and products with bytes
op("fake_quantize", lambda x: torch.fake_quantize_per_tensor_affine(x, 0.05, 3, 0, 255), T(4, 6))
op("fake_quantize.i8", lambda x: torch.fake_quantize_per_tensor_affine(x, 0.02, 0, -127, 127), T(4, 6))
op("fake_quantize.ties", lambda x: torch.fake_quantize_per_tensor_affine(x, 0.5, 1, 0, 15),
   T(17, then=lambda _: torch.arange(-2.0, 2.25, 0.25)))
op("fake_quantize.tensors",
   lambda x: torch.fake_quantize_per_tensor_affine(x, torch.tensor(0.1), torch.tensor(5, dtype=torch.int32), 0, 15),
   T(4, 6))
op("fake_quantize.channels",
   lambda x: torch.fake_quantize_per_channel_affine(
       x, torch.tensor([0.1, 0.02, 0.3]), torch.tensor([0, 2, -3], dtype=torch.int32), 1, -128, 127),
   T(2, 3, 4))
op("weight_int8pack_mm", torch._weight_int8pack_mm, T(3, 64), T(32, 64, dt="i8", lo=-128, hi=127),
   T(32, lo=0.01, hi=0.1), tol=1e-4)
