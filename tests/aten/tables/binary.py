"""Functions of two and three tensors, element by element: broadcasting, promotion, division modes, NaN rules."""

import itertools

import torch

from case_kit import DTYPES, T, op

ARITHMETIC = ("add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "maximum", "minimum")
for name in ARITHMETIC:
    f = getattr(torch, name)
    away = dict(lo=0.3, hi=4) if name in ("div", "floor_divide", "remainder", "fmod") else {}
    op(name, f, T(3, 5), T(3, 5, **away))
    op(f"{name}.broadcast", f, T(4, 1, 3), T(2, 1, **away))
    op(f"{name}.0d", f, T(2, 3), T(**(away or dict(lo=1, hi=2))))
    op(f"{name}.special", f, T(12, 1, kind="special"), T(12, kind="special"))
    op(f"{name}.i32", f, T(3, 5, dt="i32"), T(3, 5, dt="i32", lo=1))
    op(f"{name}.i64_negative", f, T(3, 5, dt="i64", lo=-50, hi=50), T(5, dt="i64", lo=-7, hi=0))
    op(f"{name}.u8", f, T(3, 5, dt="u8"), T(3, 5, dt="u8", lo=1, hi=4))
    op(f"{name}.f16", f, T(3, 5, dt="f16"), T(3, 5, dt="f16", **away))
    op(f"{name}.bf16", f, T(3, 5, dt="bf16"), T(5, dt="bf16", **away))
    op(f"{name}.f64", f, T(3, 5, dt="f64"), T(5, dt="f64", **away))
    op(f"{name}.empty", f, T(3, 0), T(1, 1, **away))
    op(f"{name}.mixed", f, T(3, 5, dt="i64"), T(5, **away))
    op(f"{name}.mixed_low", f, T(3, 5, dt="f16"), T(5, dt="i32", lo=1))
for name in ("add", "mul", "div", "maximum"):
    op(
        f"{name}.bool",
        getattr(torch, name),
        T(3, 5, dt="bool"),
        T(3, 5, dt="bool", then=lambda x: x | True) if name == "div" else T(5, dt="bool"),
    )
for name in (
    "pow",
    "atan2",
    "hypot",
    "copysign",
    "fmax",
    "fmin",
    "logaddexp",
    "logaddexp2",
    "xlogy",
    "nextafter",
    "float_power",
    "heaviside",
    "ldexp",
):
    f = getattr(torch, name)
    op(name, f, T(3, 5, lo=0.1, hi=3), T(3, 5, lo=-2, hi=2))
    op(f"{name}.broadcast", f, T(4, 1, lo=0.1, hi=3), T(6, lo=-2, hi=2))
    op(f"{name}.special", f, T(12, 1, kind="special"), T(12, kind="special"))
    if name not in ("nextafter",):
        op(f"{name}.f64", f, T(3, 5, lo=0.1, hi=3, dt="f64"), T(5, lo=-2, hi=2, dt="f64"))
    if name in ("pow", "atan2", "copysign", "fmax", "fmin", "xlogy", "float_power"):
        op(f"{name}.i32", f, T(3, 5, dt="i32"), T(3, 5, dt="i32", lo=0, hi=4))
        op(f"{name}.mixed", f, T(3, 5, dt="i64", lo=1, hi=5), T(5, lo=-2, hi=2))
for name in ("eq", "ne", "lt", "le", "gt", "ge"):
    f = getattr(torch, name)
    op(f"{name}.special", f, T(12, 1, kind="special"), T(12, kind="special"))
    op(f"{name}.i32", f, T(5, 7, dt="i32", lo=-2, hi=3), T(7, dt="i32", lo=-2, hi=3))
    op(f"{name}.mixed", f, T(5, 7, dt="i64", lo=-2, hi=3), T(7))
    op(f"{name}.scalar", lambda x, f=f: f(x, 1), T(5, 7, dt="i32", lo=-2, hi=3))
    op(f"{name}.float_scalar", lambda x, f=f: f(x, 0.5), T(5, 7, dt="i32", lo=-2, hi=3))
    op(f"{name}.bool", f, T(5, 7, dt="bool"), T(7, dt="bool"))
for name in ("logical_and", "logical_or", "logical_xor"):
    f = getattr(torch, name)
    op(f"{name}.bool", f, T(5, 7, dt="bool"), T(7, dt="bool"))
    op(f"{name}.f32", f, T(12, 1, kind="special"), T(12, kind="special"))
    op(f"{name}.i32", f, T(5, 7, dt="i32", lo=-1, hi=2), T(5, 1, dt="i64", lo=-1, hi=2))
for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    f = getattr(torch, name)
    op(f"{name}.bool", f, T(5, 7, dt="bool"), T(7, dt="bool"))
    op(f"{name}.i32", f, T(5, 7, dt="i32", lo=-99, hi=99), T(7, dt="i32", lo=-99, hi=99))
    op(f"{name}.mixed", f, T(5, 7, dt="u8"), T(7, dt="i64", lo=-99, hi=99))
    op(f"{name}.scalar", lambda x, f=f: f(x, 6), T(5, 7, dt="i16", lo=-99, hi=99))
for name in ("bitwise_left_shift", "bitwise_right_shift"):
    f = getattr(torch, name)
    op(f"{name}.i32", f, T(5, 7, dt="i32", lo=-99, hi=99), T(7, dt="i32", lo=0, hi=9))
    op(f"{name}.scalar", lambda x, f=f: f(x, 3), T(5, 7, dt="i64", lo=-99, hi=99))
for name in ("gcd", "lcm"):
    op(f"{name}.i32", getattr(torch, name), T(5, 7, dt="i32", lo=-60, hi=60), T(7, dt="i32", lo=1, hi=40))
op("shift.operators", lambda x: (x << 2, x >> 1), T(4, 5, dt="i32"))
op("logic.operators", lambda x, y: ((x > 0) & (y > 0) | ~(x > y)) ^ (y == x), T(4, 5), T(5))

# Division modes
MODES = {"true": None, "trunc": "trunc", "floor": "floor"}
for key, mode in MODES.items():
    op(
        f"div.{key}.i32",
        lambda x, y, m=mode: torch.div(x, y, rounding_mode=m),
        T(4, 9, dt="i32", lo=-40, hi=40),
        T(9, dt="i32", lo=-7, hi=0),
    )
    op(
        f"div.{key}.f32",
        lambda x, y, m=mode: torch.div(x, y, rounding_mode=m),
        T(4, 9, lo=-9, hi=9),
        T(9, lo=0.4, hi=3),
    )
    op(
        f"div.{key}.special",
        lambda x, y, m=mode: torch.div(x, y, rounding_mode=m),
        T(12, 1, kind="special"),
        T(12, kind="special"),
    )
    op(f"div.{key}.scalar", lambda x, m=mode: torch.div(x, -3, rounding_mode=m), T(4, 9, dt="i64", lo=-40, hi=40))
    op(
        f"div.{key}.mixed",
        lambda x, y, m=mode: torch.div(x, y, rounding_mode=m),
        T(4, 9, dt="i64", lo=-40, hi=40),
        T(9, lo=0.4, hi=3),
    )
    op(
        f"div.{key}.bool_by_int",
        lambda x, y, m=mode: torch.div(x, y, rounding_mode=m),
        T(4, 3, dt="bool"),
        T(3, dt="i8", lo=1, hi=4),
    )
    op(
        f"div.{key}.f16",
        lambda x, y, m=mode: torch.div(x, y, rounding_mode=m),
        T(4, 9, lo=-9, hi=9, dt="f16"),
        T(9, lo=0.4, hi=3, dt="f16"),
    )
op("floordiv.operator", lambda x: x // 4, T(4, 9, dt="i64", lo=-40, hi=40))
op("floordiv.operator_float", lambda x: x // 0.75, T(4, 9, lo=-9, hi=9))
op("mod.operator", lambda x: (x % 5, x % -5), T(4, 9, dt="i64", lo=-40, hi=40))
op("mod.operator_float", lambda x: (x % 0.7, x % -0.7), T(4, 9))
op("remainder.scalar_tensor", lambda x: torch.remainder(7, x), T(3, 5, dt="i32", lo=1, hi=6))
op("fmod.scalar", lambda x: torch.fmod(x, 0.7), T(4, 9))
op("fmod.i32_scalar", lambda x: torch.fmod(x, 4), T(4, 9, dt="i32"))
op("remainder.int_float_scalar", lambda x: torch.remainder(x, 2.5), T(4, 9, dt="i32"))

# Python scalars
for dt in ("f32", "f16", "i32", "u8", "bool", "i64"):
    op(f"scalar.int.{dt}", lambda x: (x + 2, x * 3, x / 4), T(3, 5, dt=dt))
    op(f"scalar.float.{dt}", lambda x: (x + 0.5, x * 1.5, x / 0.75), T(3, 5, dt=dt))
    if dt != "bool":
        op(f"scalar.reversed.{dt}", lambda x: (2 - x, 1.5 - x, 3 / (x + 20)), T(3, 5, dt=dt))
    op(f"scalar.true.{dt}", lambda x: (x + True, x * True), T(3, 5, dt=dt))
op("pow.scalar_2", lambda x: x**2, T(3, 5))
op("pow.scalar_3", lambda x: x**3, T(3, 5))
op("pow.scalar_half", lambda x: x**0.5, T(3, 5, lo=0, hi=5))
op("pow.scalar_negative", lambda x: x**-1.5, T(3, 5, lo=0.3, hi=5))
op("pow.scalar_zero", lambda x: x**0, T(2, 8, kind="special"))
op("pow.scalar_base", lambda x: 2**x, T(3, 5))
op("pow.scalar_base_float", lambda x: torch.pow(2.5, x), T(3, 5))
op("pow.i32_scalar", lambda x: x**3, T(3, 5, dt="i32"))
op("pow.i32_float_scalar", lambda x: x**1.5, T(3, 5, dt="i32", lo=0))
op("pow.wraps", lambda x: x**5, T(3, 5, dt="i8"))
op("pow.int_base", lambda x: torch.pow(2, x), T(3, 5, dt="i64", lo=0))
op("add.alpha", lambda x, y: torch.add(x, y, alpha=2.5), T(3, 5), T(5))
op("add.alpha_int", lambda x, y: torch.add(x, y, alpha=-3), T(3, 5, dt="i32"), T(5, dt="i64"))
op("sub.alpha", lambda x, y: torch.sub(x, y, alpha=0.5), T(3, 5), T(5))
op("sub.scalar_alpha", lambda x: torch.sub(x, 2.0, alpha=0.5), T(3, 5))
op("rsub", lambda x: torch.rsub(x, 2.0), T(3, 5))
op("rsub.tensor", lambda x, y: torch.rsub(x, y, alpha=2), T(3, 5), T(3, 5))
op("add.wraps_i8", torch.add, T(3, 5, dt="i8", lo=60, hi=127), T(3, 5, dt="i8", lo=60, hi=127))
op("mul.wraps_u8", torch.mul, T(3, 5, dt="u8", lo=10, hi=255), T(3, 5, dt="u8", lo=10, hi=255))
op("mul.wraps_i32", torch.mul, T(3, 5, dt="i32", lo=1 << 20, hi=1 << 30), T(3, 5, dt="i32", lo=1 << 20, hi=1 << 30))
op("sub.u8_wraps", torch.sub, T(3, 5, dt="u8"), T(3, 5, dt="u8"))
op("neg.u8", torch.neg, T(3, 5, dt="u8"))
op("abs.i8_lowest", torch.abs, T(4, 3, dt="i8", lo=-128, hi=-120))

# Type promotion: dimension tensors, 0-d tensors, both ways
PAIRS = list(itertools.combinations(("f32", "f64", "f16", "bf16", "i8", "u8", "i32", "i64", "bool"), 2))
for a, b in PAIRS:
    op(
        f"promote.{a}_{b}",
        lambda x, y: (x + y, y * x, x / (y + 20)),
        T(2, 3, dt=a),
        T(3, dt=b, lo=1, hi=5) if b != "bool" else T(3, dt=b),
    )
for a, b in (
    ("f16", "f32"),
    ("f32", "f64"),
    ("i8", "i64"),
    ("i32", "f64"),
    ("u8", "i8"),
    ("bool", "i32"),
    ("bf16", "f32"),
    ("i64", "f16"),
    ("f16", "i64"),
    ("i32", "bool"),
):
    op(
        f"promote.0d.{a}_{b}",
        lambda x, y: (x + y, y * x),
        T(2, 3, dt=a),
        T(dt=b, lo=1, hi=5) if b not in ("bool", "u8") else T(dt="u8", lo=1, hi=5, then=lambda x, d=DTYPES[b]: x.to(d)),
    )
op("promote.two_0d", lambda x, y: x * y, T(dt="f16", lo=1, hi=2), T(dt="f32", lo=1, hi=2))
op("promote.comparison", lambda x, y: x < y, T(2, 3, dt="u8"), T(3, dt="i8"))
op("promote.where", lambda c, x, y: torch.where(c, x, y), T(2, 3, dt="bool"), T(3, dt="i32"), T(2, 1, dt="f64"))
op("promote.cat", lambda x, y: torch.cat([x, y]), T(2, 3, dt="i32"), T(1, 3, dt="f16"))
op("promote.stack", lambda x, y: torch.stack([x, y]), T(2, 3, dt="i32"), T(2, 3, dt="f32"))
op("result_type", lambda x, y: x.to(torch.result_type(x, y)), T(2, 3, dt="i32"), T(3, dt="f16"))

# Three tensors
op("addcmul", lambda x, y, z: torch.addcmul(x, y, z, value=0.5), T(3, 5), T(5), T(3, 1))
op("addcdiv", lambda x, y, z: torch.addcdiv(x, y, z, value=-2.0), T(3, 5), T(5), T(3, 1, lo=0.5, hi=2))
op("addcmul.i32", lambda x, y, z: torch.addcmul(x, y, z, value=2), T(3, 5, dt="i32"), T(5, dt="i32"), T(3, 1, dt="i32"))
op("lerp.scalar", lambda x, y: torch.lerp(x, y, 0.3), T(3, 5), T(3, 5))
op("lerp.scalar_high", lambda x, y: torch.lerp(x, y, 0.8), T(3, 5), T(3, 5))
op("lerp.tensor", torch.lerp, T(3, 5), T(5), T(3, 1, lo=0, hi=1))
op("where", torch.where, T(4, 5, dt="bool"), T(4, 5), T(5))
op("where.scalar", lambda c, x: torch.where(c, x, 0.5), T(4, 5, dt="bool"), T(4, 5))
op("where.scalar_first", lambda c, x: torch.where(c, 2, x), T(4, 5, dt="bool"), T(4, 5, dt="i32"))
op("where.scalars", lambda c: torch.where(c, 1.0, -1.0), T(4, 5, dt="bool"))
op("where.f16", torch.where, T(5, dt="bool"), T(4, 5, dt="f16"), T(4, 1, dt="f16"))
op("where.nan", lambda x: torch.where(torch.isnan(x), torch.zeros_like(x), x), T(3, 6, kind="special"))
op("masked_fill", lambda x, m: x.masked_fill(m, -2.5), T(4, 5), T(5, dt="bool"))
op("masked_fill.inf", lambda x, m: x.masked_fill(m == 0, float("-inf")), T(4, 5), T(4, 5, dt="i32", lo=0, hi=2))
op("masked_fill.tensor", lambda x, m, v: x.masked_fill(m, v), T(4, 5), T(4, 1, dt="bool"), T())
op("masked_fill.int", lambda x, m: x.masked_fill(m, 7), T(4, 5, dt="i64"), T(4, 5, dt="bool"))
op("isclose", lambda x: torch.isclose(x, x + 1e-7), T(4, 5))
op("isclose.special", lambda x: torch.isclose(x, x * 1.0, equal_nan=True), T(2, 8, kind="special"))
op("isin", torch.isin, T(4, 5, dt="i64"), T(4, dt="i64"))
op("true_divide", torch.true_divide, T(4, 5, dt="i64"), T(5, dt="i64", lo=1))
op("chain", lambda x, y: ((x * y + 0.5).tanh() * (x - y).sigmoid()).exp().sub(1).abs().sqrt(), T(6, 7), T(7))
