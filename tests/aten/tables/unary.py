"""Functions of one tensor, element by element: floats, special values, promotion of integers, other dtypes."""

import torch
from torch.nn import functional as F

from case_kit import DTYPES, T, op

# name -> (lowest, highest) input of interest
FLOAT = {
    "abs": (-3, 3),
    "acos": (-1, 1),
    "acosh": (1, 5),
    "asin": (-1, 1),
    "asinh": (-4, 4),
    "atan": (-4, 4),
    "atanh": (-0.99, 0.99),
    "ceil": (-4, 4),
    "cos": (-7, 7),
    "cosh": (-3, 3),
    "deg2rad": (-360, 360),
    "digamma": (0.2, 6),
    "erf": (-3, 3),
    "erfc": (-3, 3),
    "erfinv": (-0.95, 0.95),
    "exp": (-4, 4),
    "exp2": (-4, 4),
    "expm1": (-2, 2),
    "floor": (-4, 4),
    "frac": (-4, 4),
    "i0": (-4, 4),
    "lgamma": (0.2, 6),
    "log": (0.05, 9),
    "log10": (0.05, 9),
    "log1p": (-0.9, 4),
    "log2": (0.05, 9),
    "logit": (0.05, 0.95),
    "neg": (-3, 3),
    "positive": (-3, 3),
    "rad2deg": (-4, 4),
    "reciprocal": (0.3, 4),
    "round": (-4, 4),
    "rsqrt": (0.1, 9),
    "sigmoid": (-5, 5),
    "sign": (-3, 3),
    "sgn": (-3, 3),
    "sin": (-7, 7),
    "sinc": (-3, 3),
    "sinh": (-3, 3),
    "sqrt": (0, 9),
    "square": (-3, 3),
    "tan": (-1.3, 1.3),
    "tanh": (-3, 3),
    "trunc": (-4, 4),
    "nan_to_num": (-3, 3),
}
KEEPS_INTEGERS = ("abs", "ceil", "floor", "neg", "positive", "round", "sign", "sgn", "square", "trunc", "nan_to_num")
NOT_OF_BOOL = ("neg", "positive", "ceil", "floor", "round", "trunc", "frac", "sign", "nan_to_num", "sgn")

for number, (name, (lo, hi)) in enumerate(FLOAT.items()):
    function = getattr(torch, name)
    op(name, function, T(3, 7, lo=lo, hi=hi))
    # i0 of infinity is NaN in PyTorch's vectorised code and infinity in its plain code.
    finite = (lambda x: x.clamp(-9, 9)) if name == "i0" else None
    op(f"{name}.special", function, T(2, 3, 4, kind="special", then=finite))
    if name in KEEPS_INTEGERS:
        op(f"{name}.i32", function, T(5, 3, dt="i32"))
        op(f"{name}.i64", function, T(7, dt="i64", lo=-1000, hi=1000))
    elif name != "frac":
        op(f"{name}.i64", function, T(4, 3, dt="i64", lo=1, hi=2 if hi <= 1 else 5))
        op(f"{name}.bool", function, T(6, dt="bool"))
    op(f"{name}." + ("f64", "f16")[number % 2], function, T(2, 5, dt=("f64", "f16")[number % 2], lo=lo, hi=hi))
    if number % 4 == 0:
        op(f"{name}.bf16", function, T(3, 5, dt="bf16", lo=lo, hi=hi))
    if number % 5 == 0:
        op(f"{name}.0d", function, T(lo=lo, hi=hi))
    if number % 7 == 0:
        op(f"{name}.empty", function, T(0, 4))

for name in ("isnan", "isinf", "isfinite", "isneginf", "isposinf", "signbit", "logical_not"):
    function = getattr(torch, name)
    op(f"{name}.special", function, T(3, 8, kind="special"))
    op(f"{name}.i32", function, T(4, 3, dt="i32"))
for dt in ("i8", "i32", "u8", "bool"):
    op(f"bitwise_not.{dt}", torch.bitwise_not, T(3, 5, dt=dt))
op("logical_not.bool", torch.logical_not, T(3, 5, dt="bool"))
op("isreal", torch.isreal, T(3, 4))

# Parameters
op("round.decimals", lambda x: torch.round(x, decimals=2), T(3, 5))
op("round.negative_decimals", lambda x: torch.round(x, decimals=-1), T(3, 5, lo=-99, hi=99))
op("round.half_to_even", torch.round, T(12, dt="f32", kind="perm", then=lambda x: x - 5.5))
op("logit.eps", lambda x: torch.logit(x, 0.1), T(3, 5, lo=0, hi=1))
op("nan_to_num.values", lambda x: torch.nan_to_num(x, nan=1.5, posinf=7.0, neginf=-8.0), T(3, 6, kind="special"))
op("nan_to_num.f16", lambda x: torch.nan_to_num(x), T(3, 6, kind="special", dt="f16"))
for n in (0, 2, 3):
    op(f"polygamma.{n}", lambda x, n=n: torch.polygamma(n, x), T(3, 4, lo=0.5, hi=5))
# Eager itself is that far off near the poles.
op("polygamma.negative", lambda x: torch.polygamma(1, x), T(3, 4, kind="uniform", lo=-4.9, hi=-0.2), tol=1e-4)
for name in ("i0e", "i1", "i1e", "erfcx", "log_ndtr", "spherical_bessel_j0"):
    function = getattr(torch.special, name)
    op(f"special.{name}.wide", function, T(40, kind="uniform", lo=-30 if name != "erfcx" else -4, hi=30))
    op(f"special.{name}.f64", function, T(40, dt="f64", kind="uniform", lo=-4, hi=30))
op("view_dtype.u8", lambda x: x.view(torch.uint8) // 2, T(3, 4, dt="i8"))
op("polygamma", lambda x: torch.polygamma(1, x), T(3, 4, lo=0.5, hi=5))
op("mvlgamma", lambda x: torch.mvlgamma(x, 2), T(3, 4, lo=1.5, hi=5))
op("special.expit", torch.special.expit, T(3, 4))
op("special.log_ndtr", torch.special.log_ndtr, T(3, 4, lo=-3, hi=3))
op("special.ndtr", torch.special.ndtr, T(3, 4, lo=-3, hi=3))
op("special.entr", torch.special.entr, T(3, 4, lo=-1, hi=3))
op("special.i1", torch.special.i1, T(3, 4, lo=-3, hi=3))
op("special.xlog1py", torch.special.xlog1py, T(3, 4, lo=0, hi=2), T(3, 4, lo=0, hi=2))

# Clamps: scalars, one side, tensors, NaN
op("clamp", lambda x: torch.clamp(x, -0.5, 0.75), T(3, 7))
op("clamp.min", lambda x: torch.clamp(x, min=0.25), T(3, 7))
op("clamp.max", lambda x: torch.clamp(x, max=0.25), T(3, 7))
op("clamp.special", lambda x: torch.clamp(x, -1.0, 1.0), T(4, 6, kind="special"))
op("clamp.int_with_float", lambda x: torch.clamp(x, -2.5, 3.5), T(4, 6, dt="i32"))
op("clamp.int", lambda x: torch.clamp(x, -2, 3), T(4, 6, dt="i64"))
op("clamp.u8", lambda x: x.clamp(min=3), T(4, 6, dt="u8"))
op("clamp.min_above_max", lambda x: torch.clamp(x, 1.0, -1.0), T(3, 7))
op("clamp.tensor", torch.clamp, T(3, 7), T(7, hi=0, lo=-1), T(3, 1, lo=0, hi=1))
op("clamp.tensor_nan", torch.clamp, T(4, 12), T(12, kind="special"), T(4, 1, lo=0, hi=1))
op("clamp.tensor_int", torch.clamp, T(3, 7, dt="i32"), T(7, dt="i64", hi=0), T(3, 1, dt="i32", lo=0))
op("clip", lambda x: torch.clip(x, -1, 1), T(2, 3, 4))
op("clamp_min", lambda x: torch.clamp_min(x, 0.1), T(2, 3, 4))
op("clamp_max", lambda x: torch.clamp_max(x, 0.1), T(2, 3, 4))
op("clamp_min.tensor", torch.clamp_min, T(2, 3, 4), T(3, 1))
op("clamp_max.tensor", torch.clamp_max, T(2, 3, 4), T(4))

# Activations, as functions
ACTIVATIONS = {
    "relu": F.relu,
    "relu6": F.relu6,
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "leaky_relu": F.leaky_relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "tanhshrink": F.tanhshrink,
    "logsigmoid": F.logsigmoid,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "rrelu": F.rrelu,
}
for number, (name, function) in enumerate(ACTIVATIONS.items()):
    op(f"F.{name}", function, T(3, 11, lo=-5, hi=5))
    finite = (lambda x: x.clamp(-9, 9)) if name == "gelu" else None  # of infinity: as for i0
    op(f"F.{name}.special", function, T(2, 13, kind="special", then=finite))
    dt = ("f16", "f64", "bf16")[number % 3]
    op(f"F.{name}.{dt}", function, T(2, 3, 3, dt=dt))
op("F.relu.i32", F.relu, T(3, 4, dt="i32"))
op("F.relu6.i64", F.relu6, T(3, 4, dt="i64"))
op("F.hardtanh.i8", lambda x: F.hardtanh(x, -2, 3), T(3, 4, dt="i8"))
op("F.elu.alpha", lambda x: F.elu(x, alpha=0.6), T(3, 5))
op("F.celu.alpha", lambda x: F.celu(x, alpha=2.5), T(3, 5))
op("F.leaky_relu.slope", lambda x: F.leaky_relu(x, 0.2), T(3, 5))
op("F.gelu.tanh", lambda x: F.gelu(x, approximate="tanh"), T(3, 9, lo=-4, hi=4))
op("F.softplus.beta", lambda x: F.softplus(x, beta=2.0, threshold=3.0), T(3, 9, lo=-4, hi=4))
op("F.hardtanh.limits", lambda x: F.hardtanh(x, -0.3, 0.6), T(3, 9))
op("F.hardshrink.lambda", lambda x: F.hardshrink(x, 0.3), T(3, 9))
op("F.softshrink.lambda", lambda x: F.softshrink(x, 0.3), T(3, 9))
op("F.threshold", lambda x: F.threshold(x, 0.2, -1.5), T(3, 9))
op("F.threshold.i32", lambda x: F.threshold(x, 1, 7), T(3, 9, dt="i32"))
op("F.glu", F.glu, T(3, 10))
op("F.glu.dim0", lambda x: F.glu(x, 0), T(4, 3, 2))
op("F.prelu", F.prelu, T(2, 3, 4), T(3))
op("F.prelu.one", F.prelu, T(2, 3, 4), T(1))
op("F.softmax", lambda x: F.softmax(x, -1), T(3, 11))
op("F.softmax.dim0", lambda x: F.softmax(x, 0), T(5, 2, 3))
op("F.softmax.dim1", lambda x: F.softmax(x, 1), T(2, 5, 3))
op("F.softmax.dtype", lambda x: F.softmax(x, -1, dtype=torch.float64), T(3, 5))
op("F.softmax.f16", lambda x: F.softmax(x, -1), T(3, 5, dt="f16"))
op("F.softmax.int_to_float", lambda x: F.softmax(x, -1, dtype=torch.float32), T(3, 5, dt="i64"))
op("F.softmax.large", lambda x: F.softmax(x, -1), T(3, 5, lo=-300, hi=300))
op("F.softmax.masked_row", lambda x, m: F.softmax(x.masked_fill(m, float("-inf")), -1), T(4, 6), T(4, 6, dt="bool"))
op("F.softmax.0d", lambda x: F.softmax(x, 0), T())
op("F.softmin", lambda x: F.softmin(x, 1), T(3, 5))
op("F.log_softmax", lambda x: F.log_softmax(x, -1), T(3, 11))
op("F.log_softmax.dim1", lambda x: F.log_softmax(x, 1), T(2, 5, 3))
op("F.log_softmax.bf16", lambda x: F.log_softmax(x, 0), T(5, 3, dt="bf16"))
op("F.normalize", F.normalize, T(3, 5))
op("F.normalize.p1", lambda x: F.normalize(x, p=1.0, dim=0), T(3, 5))

# Conversions between every two of these
KINDS = ("f32", "f64", "f16", "bf16", "i8", "u8", "i16", "i32", "i64", "bool")
for a in KINDS:
    for b in KINDS:
        if a != b:
            lo = 0 if b == "u8" else -9
            source = T(3, 5, dt=a) if a in ("bool", "u8") else T(3, 5, dt=a, lo=lo, hi=10)
            op(
                f"to.{a}_{b}",
                lambda x, d=DTYPES[b]: x.to(d),
                source,
                forms=("pt2", "pt") if len(a + b) % 2 else ("pt2",),
            )
op("to.wrap_i8", lambda x: x.to(torch.int8), T(3, 9, dt="i32", lo=-1000, hi=1000))
op("to.wrap_u8", lambda x: x.to(torch.uint8), T(3, 9, dt="i64", lo=-1000, hi=1000))
op("to.wrap_i16", lambda x: x.to(torch.int16), T(3, 9, dt="i64", lo=-100000, hi=100000))
op("to.float_methods", lambda x: (x.half(), x.float(), x.double(), x.long(), x.int(), x.bool()), T(3, 4, dt="i16"))
op("to.truncates", lambda x: x.to(torch.int32), T(4, 9, lo=-99, hi=99))
op("to.f16_overflow", lambda x: x.to(torch.float16), T(3, 5, lo=-200000, hi=200000))
op("to.nan_to_bool", lambda x: x.to(torch.bool), T(2, 8, kind="special"))
op("type_as", lambda x, y: x.type_as(y), T(3, 4), T(2, dt="i32"))
op("to_other", lambda x, y: x.to(y), T(3, 4, dt="i64"), T(2, dt="f64"))
op("view_dtype", lambda x: x.view(torch.int32), T(3, 4))
