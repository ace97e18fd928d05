"""Pointwise ops, casts and the pointwise bytecode."""

from case_tools import *  # noqa: F403: one vocabulary for all cases


# --- pointwise -----------------------------------------------------------------------------------

BROADCASTS = [((2, 3, 5), (2, 3, 5)), ((4, 1, 3), (2, 1)), ((7,), ()), ((), ()), ((1, 300), (2, 1)),
              ((0, 3), (1, 3)), ((2, 1, 3, 1, 2, 1, 2, 2), (1, 2, 1, 1, 1, 3, 1, 1))]


def binary_cases():
    arithmetic = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
                  "minimum": np.minimum, "maximum": np.maximum, "atan2": np.arctan2}
    compare = {"equal": np.equal, "not_equal": np.not_equal, "less": np.less,
               "less_equal": np.less_equal, "greater": np.greater, "greater_equal": np.greater_equal}
    logical = {"logical_and": np.logical_and, "logical_or": np.logical_or,
               "logical_xor": np.logical_xor}
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -1.5, 1e-40, 3e38], F32)
    grid = np.repeat(special, special.size), np.tile(special, special.size)
    for op, fn in {**arithmetic, **compare, **logical}.items():
        is_bool = op not in arithmetic
        for sa, sb in BROADCASTS if op == "add" else BROADCASTS[:2]:
            a, b = np.round(rand(*sa) * 4) / 4, np.round(rand(*sb) * 4) / 4
            case(op, [a, b], rounded(fn, np.bool_ if is_bool else F32, a, b))
        case(op, grid, rounded(fn, np.bool_ if is_bool else F32, *grid), label="special")
        for t in FLOATS[1:]:
            a, b = rand(3, 4, dtype=t), rand(4, dtype=t)
            case(op, [a, b], rounded(fn, np.bool_ if is_bool else t, a, b))
        if op in ("div", "atan2"):
            continue
        for t in INTS:
            a, b = extremes(t, 12).reshape(2, 6), extremes(t, 6)
            case(op, [a, b], no_warnings(fn, a, b))
        if is_bool:
            a, b = rand(2, 5, dtype=bool), rand(5, dtype=bool)
            case(op, [a, b], fn(a, b))
    for t in INTS:
        a, b = extremes(t, 40), extremes(t, 40)
        b[4:20] = rand(16, dtype=t)
        b[b == 0] = 3
        a[:3], b[:3] = np.iinfo(t).min, (1, 2, 3)
        if np.iinfo(t).min < 0:
            b[0] = -1
        q = np.array([int(abs(int(x)) // abs(int(y))) * (1 if (x < 0) == (y < 0) else -1)
                      for x, y in zip(a, b)], object)
        wrap = lambda v: np.array([int(e) & (2 ** (8 * np.dtype(t).itemsize) - 1) for e in v],
                                  np.uint64).astype(np.dtype(f"u{np.dtype(t).itemsize}")).view(t)
        case("div", [a, b], wrap(q))
        case("mod", [a, b], wrap([int(x) % int(y) for x, y in zip(a, b)]), fmod=0)
        case("mod", [a, b], wrap([int(math.copysign(abs(int(x)) % abs(int(y)), 1)) * (-1 if x < 0 else 1)
                                  if abs(int(x)) < 2**52 else
                                  (abs(int(x)) % abs(int(y))) * (-1 if x < 0 else 1)
                                  for x, y in zip(a, b)]), fmod=1)
        width = 8 * np.dtype(t).itemsize
        shifts = (np.arange(40) % (width + 3)).astype(t)
        left = [(int(x) << int(s)) if s < width else 0 for x, s in zip(a, shifts)]
        right = [(int(x) >> int(min(s, width))) for x, s in zip(a, shifts)]
        case("bit_shift", [a, shifts], wrap(left), right=0)
        case("bit_shift", [a, shifts], wrap(right), right=1)
        for op, fn in (("bitwise_and", np.bitwise_and), ("bitwise_or", np.bitwise_or),
                       ("bitwise_xor", np.bitwise_xor)):
            case(op, [a, b], fn(a, b))
        case("bitwise_not", [a], np.bitwise_not(a))
        exponent = (np.arange(40) % 6).astype(t)
        case("pow", [a, exponent], wrap([int(x) ** int(e) for x, e in zip(a, exponent)]))
    x, y = rand(9, dtype=bool), rand(9, dtype=bool)
    case("bitwise_xor", [x, y], x ^ y)
    case("bitwise_not", [x], ~x)
    for t in FLOATS:
        a, b = rand(3, 40, dtype=t, low=-9, high=9), rand(40, dtype=t, low=-3, high=3)
        case("mod", [a, b], rounded(np.fmod, t, a, b), fmod=1)
        case("mod", [a, b], rounded(np.mod, t, a, b), fmod=0, atol=1e-6)
        p = rand(3, 40, dtype=t, low=0.1, high=3)
        case("pow", [p, b], rounded(np.power, t, p, b))
    case("pow", grid, rounded(np.power, F32, *grid), label="special")
    a = rand(3, 5)
    case("pow", [a, np.array(3, np.int64)], rounded(np.power, F32, a, 3))
    case("pow", [np.array([-2, -1, 1, 2, 3]), np.array([-3, -3, -2, -1, 0])], np.array([0, -1, 1, 0, 1]))
    case("pow", [np.array([2, 3, 9], np.int32), np.array([0.5, 2, 0.5], F32)],
         np.array([1, 9, 3], np.int32))
    for t in (F32, F16, np.int32):
        x, slope = rand(2, 3, 4, dtype=t), rand(3, 1, dtype=t)
        case("prelu", [x, slope], np.where(x < 0, rounded(np.multiply, t, x, slope), x).astype(t))
    x = rand(5, 2)
    onnx_case("prelu", "PRelu", [x, rand(2)], {})
    for t in FLOATS + INTS + [np.bool_]:
        c, a, b = rand(2, 1, 4, dtype=bool), rand(3, 1, dtype=t), rand(2, 3, 4, dtype=t)
        case("where", [c, a, b], np.where(c, a, b))


UNARY = {
    "neg": (np.negative, -9, 9), "abs": (np.abs, -9, 9), "sign": (np.sign, -2, 2),
    "sqrt": (np.sqrt, 0, 9), "rsqrt": (lambda x: 1 / np.sqrt(x), 0.01, 9),
    "reciprocal": (lambda x: 1 / x, 0.1, 9), "exp": (np.exp, -9, 9), "log": (np.log, 1e-6, 9),
    "sin": (np.sin, -50, 50), "cos": (np.cos, -50, 50), "tan": (np.tan, -1.5, 1.5),
    "asin": (np.arcsin, -1, 1), "acos": (np.arccos, -1, 1), "atan": (np.arctan, -9, 9),
    "sinh": (np.sinh, -5, 5), "cosh": (np.cosh, -5, 5), "asinh": (np.arcsinh, -9, 9),
    "acosh": (np.arccosh, 1, 9), "atanh": (np.arctanh, -0.99, 0.99), "erf": (erf, -4, 4),
    "ceil": (np.ceil, -9, 9), "floor": (np.floor, -9, 9), "round": (np.rint, -9, 9),
    "relu": (lambda x: np.where(x < 0, 0, x), -2, 2), "sigmoid": (sigmoid, -20, 20),
    "hard_swish": (lambda x: x * np.clip(x / 6 + 0.5, 0, 1), -6, 6), "tanh": (np.tanh, -9, 9),
    "softplus": (softplus, -30, 30), "softsign": (lambda x: x / (1 + np.abs(x)), -9, 9),
    "silu": (lambda x: x * sigmoid(x), -20, 20),
    "mish": (lambda x: x * np.tanh(softplus(x)), -9, 9),
}
UNARY_ATTRS = [
    ("leaky_relu", dict(alpha=0.3), lambda x: np.where(x < 0, 0.3 * x, x)),
    ("elu", dict(alpha=1.7), lambda x: np.where(x < 0, 1.7 * np.expm1(x), x)),
    ("selu", dict(alpha=1.67, gamma=1.05), lambda x: 1.05 * np.where(x < 0, 1.67 * np.expm1(x), x)),
    ("celu", dict(alpha=0.6),
     lambda x: np.maximum(x, 0) + np.minimum(0, 0.6 * np.expm1(x / 0.6))),
    ("hard_sigmoid", dict(alpha=0.2, beta=0.5), lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    ("gelu", dict(tanh=0), gelu), ("gelu", dict(tanh=1), gelu_tanh),
    ("thresholded_relu", dict(alpha=0.7), lambda x: np.where(x > 0.7, x, 0)),
    ("shrink", dict(bias=0.3, lambd=0.9),
     lambda x: np.where(x < -0.9, x + 0.3, np.where(x > 0.9, x - 0.3, 0))),
    ("clamp", dict(min=-0.5, max=1.25), lambda x: np.clip(x, -0.5, 1.25)),
    ("clamp", dict(min=-math.inf, max=0.5), lambda x: np.minimum(x, 0.5)),
    ("clamp", dict(min=2.0, max=-2.0), lambda x: np.where(np.isnan(x), x, -2.0)),
]


def unary_cases():
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, 1.5, 2.5, -2.5, 1e-40, 3e38, -3e38],
                       F32)
    for op, (fn, low, high) in UNARY.items():
        for t in FLOATS:
            x = rand(3, 11, dtype=t, low=low, high=high)
            case(op, [x], rounded(fn, t, x), atol=1e-12)
        x = rand(301, low=low, high=high)
        case(op, [x], rounded(fn, F32, x))
        # Vectorised numpy functions of huge arguments are not better than libm's.
        s = special if op not in ("sin", "cos", "tan") else special[:-2]
        case(op, [s], rounded(fn, F32, s), label="special", atol=1e-44)
    for op, attrs, fn in UNARY_ATTRS:
        for t in FLOATS:
            x = rand(2, 3, 7, dtype=t, low=-3, high=3)
            case(op, [x], rounded(fn, t, x), **attrs)
        if op not in ("shrink", "thresholded_relu", "celu"):
            case(op, [special], rounded(fn, F32, special), label="special", atol=1e-44, **attrs)
    # The ONNX engines as a second opinion on the definitions.
    x = rand(2, 13, low=-4, high=4)
    for op, name, attrs in (("elu", "Elu", {"alpha": 1.3}), ("selu", "Selu", {"alpha": 1.6, "gamma": 1.1}),
                            ("celu", "Celu", {"alpha": 0.8}), ("mish", "Mish", {}),
                            ("hard_sigmoid", "HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
                            ("hard_swish", "HardSwish", {}), ("softplus", "Softplus", {}),
                            ("softsign", "Softsign", {}), ("shrink", "Shrink", {"bias": 0.2, "lambd": 0.6}),
                            ("thresholded_relu", "ThresholdedRelu", {"alpha": 0.4}),
                            ("leaky_relu", "LeakyRelu", {"alpha": 0.02}), ("round", "Round", {}),
                            ("erf", "Erf", {}), ("sign", "Sign", {})):
        onnx_case(op, name, [x], attrs, atol=1e-7)
    onnx_case("gelu", "Gelu", [x], {"tanh": 1}, {"approximate": "tanh"}, atol=1e-6)
    onnx_case("gelu", "Gelu", [x], {"tanh": 0}, {"approximate": "none"}, atol=1e-6)
    for t in INTS:
        x = extremes(t, 17)
        case("neg", [x], no_warnings(np.negative, x))
        case("abs", [x], no_warnings(np.abs, x))
        case("sign", [x], np.sign(x))
        case("relu", [x], np.maximum(x, np.array(0, t)))
        y = rand(17, dtype=t)
        case("clamp", [y], np.clip(y.astype(np.int64), 2, 5).astype(t), min=1.5, max=5.5)
    for t in (F32, F64, F16, BF16):
        x = no_warnings(special.astype, t)
        case("is_nan", [x], np.isnan(x.astype(F64)))
        for neg, pos in ((1, 1), (1, 0), (0, 1), (0, 0)):
            y = x.astype(F64)
            case("is_inf", [x], (np.isneginf(y) & bool(neg)) | (np.isposinf(y) & bool(pos)),
                 detect_negative=neg, detect_positive=pos)
    for t in (np.bool_, F32, np.int8, np.uint64):
        x = rand(23, dtype=t)
        x[3] = 0
        case("logical_not", [x], np.logical_not(x))


def cast_cases():
    everything = FLOATS + INTS + [np.bool_]
    for a in everything:
        x = rand(19, dtype=a, low=0, high=100)
        for b in everything:
            y = x != 0 if b == np.bool_ else (
                np.trunc(x.astype(F64)).astype(np.int64).astype(b) if np.dtype(a) in EPSILON and
                np.dtype(b).kind in "iu" else x.astype(F64).astype(b) if np.dtype(b) == BF16 else
                x.astype(b))
            case("cast", [x], y, rtol=0, to=DTYPES[np.dtype(b)])
    hostile = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.9, -2.9, 127.5, -128.5, 255.9, -0.5,
                        2147483648, -2147483648, 9.3e18, -9.3e18, 1.9e19], F64)
    for b in INTS:
        info = np.iinfo(b)
        want = [0 if math.isnan(v) else info.max if v >= float(info.max) else info.min
                if v <= float(info.min) else int(v) for v in hostile]
        case("cast", [hostile], np.array(want, b), label="saturate", to=DTYPES[np.dtype(b)])
    case("cast", [hostile], hostile != 0, label="nan_is_true", to=13)
    # Rounding: halfway cases, subnormals and overflow of the 16-bit types and of float.
    bits = RNG.integers(0, 1 << 16, 500).astype(np.uint16)
    f16 = bits.view(np.float16)
    f16 = f16[~np.isnan(f16)]
    step = np.spacing(np.abs(f16)).astype(F64)
    for k in (0.0, 0.25, 0.5, 0.75, 0.5000001):
        v = f16.astype(F64) + k * step
        case("cast", [v], no_warnings(lambda: v.astype(F16)), rtol=0, label=f"half{k}", to=3)
    b16 = bits.view(BF16)
    b16 = b16[np.isfinite(b16.astype(F32))]
    up = (b16.view(np.uint16) + 1).view(BF16)
    for k in (0.25, 0.5, 0.75):
        v = (b16.astype(F64) * (1 - k) + up.astype(F64) * k)
        v = v[np.isfinite(v)].astype(F32)
        case("cast", [v], v.astype(BF16), rtol=0, label=f"bf{k}", to=4)
    i = np.array([2**53 + 1, 2**62 + 2**38, -(2**62) - 2**38 - 1, 16777217, 2**63 - 1])
    case("cast", [i], i.astype(F32), rtol=0, label="once", to=1)
    case("cast", [f16], f16.astype(F32), rtol=0, to=1)
    case("cast", [b16], b16.astype(F32), rtol=0, to=1)


def region_cases():
    sources = dict(re.findall(r'FLOE_PW\(\w+, "(\w+)", (\d)\)', open("format/pointwise.h").read()))
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.5, 2.5, 1e-40, 3e38], F32)
    x, y, z = special.reshape(10, 1, 1), special.reshape(10, 1), np.array([0, 1.0, -2.0, np.nan], F32)
    for name, count in sources.items():
        if name in ("load", "const"):
            continue
        code = [instr("load", k, operand=k) for k in range(3)]
        code += [instr(name, 3, *([0, 1, 2][:int(count)] + [0] * (3 - int(count))),
                       imm=0.75 if "imm" in name or name in ("leaky_relu", "elu") else 0),
                 instr("move", 0, 3)]
        ops = [x, y, z]
        if int(count) < 3:
            ops = [x, y[:, 0], z[:1]]
        if name in ("sin", "cos", "pow"):
            ops[0] = np.where(np.abs(ops[0]) > 1e30, 7, ops[0]).astype(F32)
        case("pointwise", ops, evaluate(code, ops, np.broadcast_shapes(*[o.shape for o in ops])),
             code=code, label=name, atol=1e-44)
        a, b, c = rand(7, 45, low=0.2), rand(7, 45), rand(7, 45)
        case("pointwise", [a, b, c], evaluate(code, [a, b, c], (7, 45)), code=code, label=name,
             atol=1e-7)
    mixed = [rand(2, 3, 4), rand(3, 1, dtype=np.int32), rand(4, dtype=np.int64),
             rand(2, 1, 1, dtype=np.uint8), rand(4, dtype=np.int8), rand(3, 4, dtype=bool)]
    code = [instr("load", 0, operand=0)]
    for k in range(1, 6):
        code += [instr("load", 1, operand=k), instr("fma", 0, 0, 1, 1)]
    code += [instr("const", 2, imm=0.5), instr("gt", 3, 0, 2), instr("select", 0, 3, 0, 2)]
    case("pointwise", mixed, evaluate(code, mixed, (2, 3, 4)), code=code, label="dtypes", atol=1e-6)
    code = [instr("load", 1, operand=0), instr("const", 2, imm=0.1), instr("lt", 0, 1, 2)]
    v = rand(5, 301)
    case("pointwise", [v], evaluate(code, [v], v.shape) != 0, code=code, label="bool")
    big = np.array([2**40 + 12345, -(2**62) - 2**38 - 1, 16777217], np.int64)
    case("pointwise", [big], big.astype(F32), code=[instr("load", 0, operand=0)], label="i64")
