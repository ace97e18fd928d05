#!/usr/bin/env python3
"""Writes cases.bin: inputs and expected outputs of every reference op.

The expected numbers come from ONNX Runtime, the ONNX reference evaluator or numpy, in double where
the engine can, never from Floe. Needs numpy, onnx 1.22.0, onnxruntime and ml_dtypes; run it from the
repository's root when ops or cases change:

    python3 tests/reference/make_cases.py [tests/reference/cases.bin]

The layout of the file is described in cases.h. Cases are listed by family at the end.
"""

import math
import re
import struct
import sys

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

RNG = np.random.default_rng(20240607)
BF16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = {np.dtype(np.float32): 1, np.dtype(np.float64): 2, np.dtype(np.float16): 3, BF16: 4,
          np.dtype(np.int8): 5, np.dtype(np.uint8): 6, np.dtype(np.int16): 7,
          np.dtype(np.uint16): 8, np.dtype(np.int32): 9, np.dtype(np.uint32): 10,
          np.dtype(np.int64): 11, np.dtype(np.uint64): 12, np.dtype(np.bool_): 13}
F32, F64, F16 = np.float32, np.float64, np.float16
INTS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
FLOATS = [F32, F64, F16, BF16]
# Relative error of one rounding to the type, and a little of the double computation before it.
EPSILON = {np.dtype(F32): 1.3e-7, np.dtype(F64): 1e-12, np.dtype(F16): 1e-3, BF16: 8e-3}

CASES = []
USED = {}


# --- the project's tables ------------------------------------------------------------------------

def read_ops():
    text = open("format/ops.def").read()
    rows = re.findall(r'FLOE_OP\((\w+), "(\w+)", (-?\d+), (-?\d+), (\d+),\s*"([^"]*)",\s*"([^"]*)"\)', text)
    return {name: {"attrs": [a.split(":") for a in attrs.split()], "max_inputs": int(hi)}
            for _, name, _, hi, _, attrs, _ in rows}


def read_pointwise():
    text = open("format/pointwise.h").read()
    return [m for m in re.findall(r'FLOE_PW\(\w+, "(\w+)", \d\)', text)]


OPS = read_ops()
PW = {name: i for i, name in enumerate(read_pointwise())}


def words(op, attrs):
    out = []
    double = lambda v: struct.unpack("<q", struct.pack("<d", v))[0]
    for name, kind in OPS[op]["attrs"]:
        v = attrs.pop(name)
        if kind == "int":
            out.append(int(v))
        elif kind == "float":
            out.append(double(v))
        else:
            out.append(len(v))
            out.extend(int(e) if kind == "ints" else double(e) for e in v)
    assert not attrs, (op, attrs)
    return out


# --- cases ---------------------------------------------------------------------------------------

def case(op, inputs, outputs, rtol=None, atol=0.0, code=(), label="", **attrs):
    """inputs and outputs: arrays, or None where absent. rtol: the default is one rounding."""
    inputs = [None if x is None else np.asarray(x) for x in inputs]
    outputs = [None if y is None else np.asarray(y) for y in (
        outputs if isinstance(outputs, (list, tuple)) else [outputs])]
    if rtol is None:
        rtol = max([EPSILON.get(y.dtype, 0) for y in outputs if y is not None])
    shape = "x".join(map(str, inputs[0].shape)) if inputs and inputs[0] is not None else ""
    dtype = next((t.dtype.name for t in inputs + outputs if t is not None), "")
    name = f"{op}/{label or len([c for c in CASES if c['op'] == op])}_{dtype}_{shape}"
    CASES.append(dict(name=name, op=op, attrs=words(op, attrs), inputs=inputs, outputs=outputs,
                      rtol=rtol, atol=atol, code=list(code)))


def tensor_bytes(t):
    if t is None:
        return struct.pack("<BB", 0, 0)
    out = struct.pack("<BB", DTYPES[t.dtype], t.ndim) + struct.pack(f"<{t.ndim}I", *t.shape)
    return out + np.ascontiguousarray(t).tobytes()


def write(path):
    out = bytearray(b"FLOECAS1" + struct.pack("<I", len(CASES)))
    for c in CASES:
        for text in (c["name"], c["op"]):
            out += struct.pack("<H", len(text)) + text.encode()
        out += struct.pack("<dd", c["rtol"], c["atol"])
        out += struct.pack("<BBBB", len(c["attrs"]), len(c["code"]), len(c["inputs"]), len(c["outputs"]))
        out += struct.pack(f"<{len(c['attrs'])}q", *c["attrs"])
        for instr in c["code"]:
            out += struct.pack("<BBBBBBHf", *instr)
        for t in c["inputs"] + c["outputs"]:
            out += tensor_bytes(t)
    open(path, "wb").write(out)
    print(f"{len(CASES)} cases, {len(out)} bytes, oracles {USED}, "
          f"ops {len({c['op'] for c in CASES})} of {len(OPS)}")
    missing = sorted(set(OPS) - {c["op"] for c in CASES} - {"dims"})
    assert not missing, missing


# --- oracles -------------------------------------------------------------------------------------

def model(op_type, inputs, outputs, opset, attrs):
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    outs = [f"y{i}" if w else "" for i, w in enumerate(outputs)]
    node = helper.make_node(op_type, names, outs, **attrs)
    value = lambda n, x: helper.make_tensor_value_info(
        n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
    graph = helper.make_graph(
        [node], "g", [value(n, x) for n, x in zip(names, inputs) if n],
        [helper.make_tensor_value_info(n, 0, None) for n in outs if n])
    for o in graph.output:
        o.ClearField("type")
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return m, {n: x for n, x in zip(names, inputs) if n}


def run_ort(op_type, inputs, outputs, opset, attrs):
    m, feeds = model(op_type, inputs, outputs, opset, attrs)
    m = onnx.shape_inference.infer_shapes(m)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    s = onnxruntime.InferenceSession(m.SerializeToString(), options, ["CPUExecutionProvider"])
    return s.run(None, feeds)


def run_reference(op_type, inputs, outputs, opset, attrs):
    m, feeds = model(op_type, inputs, outputs, opset, attrs)
    return ReferenceEvaluator(m).run(None, feeds)


def oracle(op_type, inputs, outputs=1, opset=21, engines=("ort64", "ort", "ref64"), **attrs):
    """The outputs of an ONNX node on `inputs`; floats are computed in double if an engine can, and
    rounded to the inputs' type. Returns (list of arrays, rtol, atol)."""
    inputs = [None if x is None else np.asarray(x) for x in inputs]
    outputs = [True] * outputs if isinstance(outputs, int) else outputs
    dtype = next(x.dtype for x in inputs if x is not None)
    is_float = dtype in EPSILON
    narrow = [x.astype(F32) if x is not None and x.dtype in EPSILON else x for x in inputs]
    wide = [x.astype(F64) if x is not None and x.dtype in EPSILON else x for x in inputs]
    for engine in engines:
        try:
            if engine == "ort":
                got = run_ort(op_type, inputs, outputs, opset, attrs)
            elif engine == "ort32":
                got = run_ort(op_type, narrow, outputs, opset, attrs)
            elif engine == "ref":
                got = run_reference(op_type, inputs, outputs, opset, attrs)
            elif engine == "ort64":
                got = run_ort(op_type, wide, outputs, opset, attrs)
            else:
                got = run_reference(op_type, wide, outputs, opset, attrs)
        except Exception:  # The engine lacks the op or the type: the next one.
            continue
        break
    else:
        raise RuntimeError(f"no engine runs {op_type} on {dtype}")
    USED[engine] = USED.get(engine, 0) + 1
    results = []
    for want in outputs:
        if not want:
            results.append(None)
            continue
        y = np.asarray(got.pop(0))
        results.append(y.astype(dtype) if is_float and y.dtype in EPSILON else y)
    if not is_float:
        return results, 0.0, 0.0
    exact = engine.endswith("64")
    return results, EPSILON[dtype] if exact else max(2e-5, EPSILON[dtype]), 0.0 if exact else 2e-6


def onnx_case(op, op_type, inputs, attrs, onnx_attrs=None, onnx_inputs=None, outputs=1, atol=None,
              keep=None, **options):
    """A case whose oracle is the ONNX op of that name. keep: which inputs the Floe op has."""
    attrs = {k: float(F32(v)) if isinstance(v, float) else v for k, v in attrs.items()}  # As ONNX.
    ys, rtol, extra = oracle(op_type, inputs if onnx_inputs is None else onnx_inputs, outputs,
                             **options, **(attrs if onnx_attrs is None else onnx_attrs))
    scale = max([float(np.nanmax(np.abs(y.astype(F64)), initial=0.0, where=np.isfinite(y.astype(F64))))
                 for y in ys if y is not None and y.dtype in EPSILON] + [0.0])
    # Sums cancel: their error is relative to the largest output, not to the element.
    case(op, inputs if keep is None else [inputs[i] for i in keep], ys, rtol=rtol,
         atol=(extra if atol is None else atol) + rtol * scale * 0.1, **attrs)


# --- data ----------------------------------------------------------------------------------------

def rand(*shape, dtype=F32, low=-2.0, high=2.0):
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return RNG.integers(0, 2, shape).astype(np.bool_)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        lo, hi = max(info.min, -9), min(info.max, 9)
        return RNG.integers(lo, hi + 1, shape).astype(dtype)
    return (RNG.random(shape) * (high - low) + low).astype(dtype)


def extremes(dtype, n):
    """Random values over the whole range of an integer type, both ends included."""
    info = np.iinfo(dtype)
    v = RNG.integers(info.min, info.max, n, dtype=dtype, endpoint=True)
    v[:4] = [info.min, info.max, 0 if info.min == 0 else -1, 1] if info.min < 0 else [
        info.min, info.max, 1, 2]
    return v


def rounded(fn, dtype, *inputs):
    """fn in double on the inputs, rounded to dtype."""
    with np.errstate(all="ignore"):
        return np.asarray(fn(*[np.asarray(x).astype(F64) for x in inputs])).astype(dtype)


erf = np.vectorize(math.erf, otypes=[F64])
erfc = np.vectorize(math.erfc, otypes=[F64])
sigmoid = lambda x: 1 / (1 + np.exp(-x))
softplus = lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
gelu = lambda x: 0.5 * x * erfc(-x / math.sqrt(2))
gelu_tanh = lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def no_warnings(fn, *args):
    with np.errstate(all="ignore"):
        return fn(*args)


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
        x = special.astype(t)
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


# --- the pointwise bytecode ----------------------------------------------------------------------

f32 = lambda v: np.asarray(v, F32)
PW_EVAL = {
    "move": lambda a, b, c, i: a, "add": lambda a, b, c, i: a + b, "sub": lambda a, b, c, i: a - b,
    "mul": lambda a, b, c, i: a * b, "div": lambda a, b, c, i: a / b,
    "min": lambda a, b, c, i: np.minimum(a, b), "max": lambda a, b, c, i: np.maximum(a, b),
    "pow": lambda a, b, c, i: np.power(F64(a), F64(b)),
    "fma": lambda a, b, c, i: F64(a) * F64(b) + F64(c),
    "select": lambda a, b, c, i: np.where(a != 0, b, c), "eq": lambda a, b, c, i: a == b,
    "ne": lambda a, b, c, i: a != b, "lt": lambda a, b, c, i: a < b, "le": lambda a, b, c, i: a <= b,
    "gt": lambda a, b, c, i: a > b, "ge": lambda a, b, c, i: a >= b,
    "and": lambda a, b, c, i: (a != 0) & (b != 0), "or": lambda a, b, c, i: (a != 0) | (b != 0),
    "not": lambda a, b, c, i: a == 0, "add_imm": lambda a, b, c, i: a + i,
    "mul_imm": lambda a, b, c, i: a * i, "min_imm": lambda a, b, c, i: np.minimum(a, i),
    "max_imm": lambda a, b, c, i: np.maximum(a, i), "neg": lambda a, b, c, i: -a,
    "abs": lambda a, b, c, i: np.abs(a), "sign": lambda a, b, c, i: np.sign(a),
    "sqrt": lambda a, b, c, i: np.sqrt(a), "rsqrt": lambda a, b, c, i: 1 / np.sqrt(F64(a)),
    "reciprocal": lambda a, b, c, i: f32(1) / a, "exp": lambda a, b, c, i: np.exp(F64(a)),
    "log": lambda a, b, c, i: np.log(F64(a)), "sin": lambda a, b, c, i: np.sin(F64(a)),
    "cos": lambda a, b, c, i: np.cos(F64(a)), "tanh": lambda a, b, c, i: np.tanh(F64(a)),
    "erf": lambda a, b, c, i: erf(a), "sigmoid": lambda a, b, c, i: sigmoid(F64(a)),
    "silu": lambda a, b, c, i: a * sigmoid(F64(a)), "gelu": lambda a, b, c, i: gelu(F64(a)),
    "gelu_tanh": lambda a, b, c, i: gelu_tanh(F64(a)), "relu": lambda a, b, c, i: np.maximum(a, f32(0)),
    "leaky_relu": lambda a, b, c, i: np.where(a < 0, i * a, a),
    "elu": lambda a, b, c, i: np.where(a < 0, i * np.expm1(F64(a)), a),
    "hard_swish": lambda a, b, c, i: F64(a) * np.clip(F64(a) / 6 + 0.5, 0, 1),
    "softplus": lambda a, b, c, i: softplus(F64(a)), "ceil": lambda a, b, c, i: np.ceil(a),
    "floor": lambda a, b, c, i: np.floor(a), "round": lambda a, b, c, i: np.rint(a),
    "is_nan": lambda a, b, c, i: np.isnan(a),
}


def instr(op, dst=0, a=0, b=0, c=0, operand=0, imm=0.0):
    return (PW[op], dst, a, b, c, operand, 0, float(F32(imm)))


def evaluate(code, operands, shape, r0=None):
    names = {i: n for n, i in PW.items()}
    r = [np.zeros(shape, F32)] * 16
    if r0 is not None:
        r[0] = np.broadcast_to(r0, shape).astype(F32)
    with np.errstate(all="ignore"):
        for op, dst, a, b, c, operand, _, imm in code:
            name = names[op]
            if name == "load":
                v = np.broadcast_to(operands[operand].astype(F32), shape)
            elif name == "const":
                v = np.full(shape, imm, F32)
            else:
                v = PW_EVAL[name](r[a], r[b], r[c], F32(imm))
            r[dst] = np.asarray(v).astype(F32)
    return r[0]


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


# --- reductions ----------------------------------------------------------------------------------

KINDS = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"]


def reduce_cases():
    for kind, name in enumerate(KINDS):
        for shape, axes, keep in (((3, 4, 5), (1,), 1), ((2, 3, 2, 3), (0, 2), 0), ((7,), (0,), 0),
                                  ((300, 2), (0,), 1), ((2, 3), (), 1)):
            low = 0.1 if "Log" in name else -2
            x = rand(*shape, low=low)
            ys, rtol, atol = oracle("Reduce" + name, [x, np.array(axes, np.int64)], keepdims=keep,
                                    noop_with_empty_axes=1,
                                    engines=("ref64",) if not axes else ("ort64", "ort", "ref64"))
            if not axes:
                fn = {"L1": np.abs, "L2": np.abs, "LogSum": np.log, "LogSumExp": lambda v: v,
                      "SumSquare": np.square}.get(name, lambda v: v)
                ys, rtol, atol = [rounded(fn, F32, x)], None, 0
            case("reduce", [x], ys, rtol=rtol, atol=atol + 2e-7, kind=kind, axes=axes, keepdims=keep,
                 label=name)
        for t in (F64, F16, BF16):
            x = rand(3, 5, dtype=t, low=0.2)
            ys, rtol, _ = oracle("Reduce" + name, [x, np.array([1], np.int64)], keepdims=0,
                                 engines=("ort64", "ref64"))
            case("reduce", [x], ys, rtol=rtol, kind=kind, axes=[1], keepdims=0, label=name)
    exact = {"Sum": np.sum, "Max": np.max, "Min": np.min, "Prod": np.prod,
             "L1": lambda v, axis, dtype=None: np.sum(np.abs(v), axis=axis, dtype=dtype),
             "SumSquare": lambda v, axis, dtype=None: np.sum(v * v, axis=axis, dtype=dtype)}
    for t in INTS:
        x = rand(3, 7, dtype=t)
        for name, fn in exact.items():
            wide = x.astype(np.int64)
            case("reduce", [x], fn(wide, axis=1).astype(t), kind=KINDS.index(name), axes=[1],
                 keepdims=0, label=name)
        case("reduce", [x], np.trunc(x.astype(F64).mean(axis=0)).astype(t), kind=1, axes=[0],
             keepdims=0, label="Mean")
    b = rand(4, 3, dtype=bool)
    case("reduce", [b], b.max(axis=0), kind=2, axes=[0], keepdims=0)
    case("reduce", [b], b.min(axis=0), kind=3, axes=[0], keepdims=0)
    nothing = {0: 0, 1: np.nan, 2: -np.inf, 3: np.inf, 4: 1, 5: 0, 6: 0, 7: -np.inf, 8: -np.inf, 9: 0}
    for kind, v in nothing.items():
        case("reduce", [np.zeros((2, 0, 3), F32)], np.full((2, 3), v, F32), kind=kind, axes=[1],
             keepdims=0, label="nothing")
    case("reduce", [np.zeros((0, 2), np.int8)], np.array([-128, -128], np.int8), kind=2, axes=[0],
         keepdims=0, label="nothing")
    case("reduce", [np.zeros((0, 2), np.uint16)], np.array([65535] * 2, np.uint16), kind=3, axes=[0],
         keepdims=0, label="nothing")
    s = np.array([[np.nan, 1, 2], [np.inf, 1, -np.inf], [np.inf, 1, 2], [-np.inf] * 3], F32)
    for kind, fn in enumerate([np.sum, np.mean, np.max, np.min, np.prod]):
        case("reduce", [s], rounded(lambda v: fn(v, axis=1), F32, s), kind=kind, axes=[1], keepdims=0,
             label="special")
    case("reduce", [s], np.array([np.nan, np.inf, np.inf, -np.inf], F32), kind=8, axes=[1],
         keepdims=0, label="special")
    case("reduce", [np.array([1000.0, 1000.0], F32)], np.array(1000 + math.log(2), F32), kind=8,
         axes=[0], keepdims=0, label="stable")
    for t in (F32, F64, F16, np.int8, np.uint64, np.int32):
        for axis, keep, last, op in ((0, 1, 0, "ArgMax"), (-1, 0, 1, "ArgMin"), (1, 1, 1, "ArgMax"),
                                     (2, 0, 0, "ArgMin")):
            x = np.round(rand(3, 4, 5, dtype=t)).astype(t)
            fn = np.argmax if op == "ArgMax" else np.argmin
            y = (x.shape[axis] - 1 - fn(np.flip(x, axis), axis)) if last else fn(x, axis)
            y = np.expand_dims(y, axis) if keep else y
            case("arg_reduce", [x], y.astype(np.int64), max=int(op == "ArgMax"), axis=axis,
                 keepdims=keep, select_last_index=last)
    v = np.array([1, np.nan, 3, np.nan], F32)
    case("arg_reduce", [v], np.array(np.argmax(v)), max=1, axis=0, keepdims=0, select_last_index=0)
    case("arg_reduce", [v], np.array(np.argmin(v)), max=0, axis=0, keepdims=0, select_last_index=0)
    onnx_case("arg_reduce", "ArgMax", [np.round(rand(4, 6))],
              dict(max=1, axis=1, keepdims=1, select_last_index=1),
              dict(axis=1, keepdims=1, select_last_index=1))
    for t in (F32, F64, np.int32, np.int64):
        for axis, exclusive, reverse in ((0, 0, 0), (1, 1, 0), (-1, 0, 1), (1, 1, 1)):
            x = rand(3, 4, 2, dtype=t)
            ys, rtol, atol = oracle("CumSum", [x, np.array(axis)], exclusive=exclusive,
                                    reverse=reverse)
            case("cumsum", [x], ys, rtol=rtol, atol=atol + (1e-6 if t == F32 else 1e-12), axis=axis,
                 exclusive=exclusive, reverse=reverse)
    for op, name in (("softmax", "Softmax"), ("log_softmax", "LogSoftmax")):
        for t in FLOATS:
            for shape, axis in (((3, 5), 1), ((2, 3, 4), 1), ((300,), 0), ((2, 1), -1), ((4, 3), 0)):
                onnx_case(op, name, [rand(*shape, dtype=t, low=-6, high=6)], {"axis": axis},
                          engines=("ort64", "ref64"))
        case(op, [np.zeros((0, 3), F32)], np.zeros((0, 3), F32), axis=1)
        case(op, [np.zeros((3, 0), F32)], np.zeros((3, 0), F32), axis=1)
    x = np.array([[1e4, 0, -1e4], [-np.inf, 0, 0], [np.nan, 0, 1], [-np.inf] * 3], F32)
    case("softmax", [x], np.array([[1, 0, 0], [0, .5, .5], [np.nan] * 3, [np.nan] * 3], F32), axis=1)
    x, mask, scale = rand(2, 3, 8), rand(1, 8, low=-3), rand(1)
    code = [instr("load", 1, operand=0), instr("load", 2, operand=1), instr("fma", 0, 0, 2, 1)]
    v = evaluate(code, [mask, scale], x.shape, x).astype(F64)
    e = np.exp(v - v.max(axis=1, keepdims=True))
    case("softmax", [x, mask, scale], (e / e.sum(axis=1, keepdims=True)).astype(F32), axis=1, code=code,
         rtol=1e-6, label="prologue")


# --- movement and making -------------------------------------------------------------------------

SOME = [F32, F64, F16, np.uint8, np.int64, np.bool_]


def movement_cases():
    for t in FLOATS + INTS + [np.bool_]:
        x = rand(2, 3, 4, dtype=t)
        case("transpose", [x], x.transpose(2, 0, 1), perm=[2, 0, 1])
        case("identity", [x], x)
        case("reshape", [x], x.reshape(4, 1, 6))
    for shape, perm in (((), []), ((5,), [0]), ((3, 1, 4), [1, 2, 0]), ((2, 0, 3), [2, 1, 0]),
                        ((2, 1, 3, 2, 1, 2, 1, 2), [7, 3, 1, 0, 6, 2, 5, 4]), ((3, 4, 5), [0, 1, 2])):
        x = rand(*shape)
        case("transpose", [x], x.transpose(perm), perm=perm)
    case("reshape", [(v := rand(1))], v.reshape(()))
    case("reshape", [np.zeros((0, 4), F32)], np.zeros((2, 0), F32))
    for t in SOME:
        x = rand(3, 1, dtype=t)
        case("expand", [x], np.ascontiguousarray(np.broadcast_to(x, (2, 3, 4))))
    case("expand", [(v := rand())], np.full((3, 2), v, F32))
    case("expand", [np.zeros((1, 0), F32)], np.zeros((4, 0), F32))
    x = rand(5, 6, 7)
    for s in ((slice(1, 4), slice(None), slice(6, None, -2)), (slice(4, None, -1), slice(0, 6, 5), slice(3, 4)),
              (slice(0, 0), slice(None), slice(None))):
        starts = [a.indices(n)[0] for a, n in zip(s, x.shape)]
        steps = [a.indices(n)[2] for a, n in zip(s, x.shape)]
        for t in (F32, np.int8, F64, F16):
            case("slice", [x.astype(t)], np.ascontiguousarray(x.astype(t)[s]), starts=starts, steps=steps)
    v = rand(3)
    case("slice", [v], v[2:3], starts=[2], steps=[1 << 40])
    for t in SOME:
        parts = [rand(2, n, 3, dtype=t) for n in (1, 0, 4)]
        case("concat", parts, np.concatenate(parts, 1), axis=1)
        case("concat", parts[:1], parts[0], axis=-1)
    many = [rand(n % 3, 2) for n in range(40)]
    case("concat", many, np.concatenate(many, 0), axis=0)
    modes = ["constant", "reflect", "edge", "wrap"]
    for mode, name in enumerate(modes):
        for t in (F32, np.int8, np.int64, F16):
            x = rand(3, 4, dtype=t)
            before, after = [2, 1], [1, 3]
            kw = {"constant_values": np.array(3, t)} if mode == 0 else {}
            case("pad", [x], np.pad(x, list(zip(before, after)), name, **kw), mode=mode, before=before,
                 after=after, value=3.0)
        x = rand(2, 5)
        kw = {"constant_values": 0.5} if mode == 0 else {}
        case("pad", [x], np.pad(x, [(0, 0), (7, 9)], name, **kw), mode=mode, before=[0, 7], after=[0, 9],
             value=0.5)
    x = rand(4, 5)
    case("pad", [x], np.pad(x[1:, :-2], [(0, 2), (1, 0)], constant_values=-1), mode=0, before=[-1, 1],
         after=[2, -2], value=-1.0)
    case("pad", [np.zeros((0, 2), F32)], np.full((3, 2), np.inf, F32), mode=0, before=[1, 0], after=[2, 0],
         value=math.inf)
    case("pad", [rand(2)], np.zeros(0, F32), mode=0, before=[-1], after=[-1], value=0.0)
    for t in SOME:
        x = rand(2, 1, 3, dtype=t)
        case("tile", [x], np.tile(x, (2, 3, 1)), repeats=[2, 3, 1])
    case("tile", [x], np.zeros((2, 0, 3), x.dtype), repeats=[1, 0, 1])
    for t in SOME:
        x = rand(2, 4, 5, dtype=t)
        for k in (0, 1, -2, 100, -(1 << 62)):
            kk = max(min(k, 100), -100)
            case("trilu", [x], np.triu(x, kk), upper=1, k=k)
            case("trilu", [x], np.tril(x, kk), upper=0, k=k)
    for t in (F32, np.uint8, np.int64):
        x = rand(2, 12, 2, 3, dtype=t)
        for crd, mode in ((0, "DCR"), (1, "CRD")):
            onnx_case("depth_to_space", "DepthToSpace", [x], dict(block=2, crd=crd),
                      dict(blocksize=2, mode=mode), engines=("ref",))
        x = rand(1, 3, 4, 6, dtype=t)
        onnx_case("space_to_depth", "SpaceToDepth", [x], dict(block=2), dict(blocksize=2),
                  engines=("ref",))
    onnx_case("depth_to_space", "DepthToSpace", [rand(1, 9, 2, 1)], dict(block=3, crd=0),
              dict(blocksize=3, mode="DCR"))
    onnx_case("space_to_depth", "SpaceToDepth", [rand(2, 2, 3, 9)], dict(block=3), dict(blocksize=3))


def make_cases():
    x = np.zeros((2, 0, 5, 7), np.int8)
    for start, end in ((0, 4), (1, 3), (-2, 4), (-9, 99), (3, 1)):
        case("shape_of", [x], np.array(x.shape[max(start, -4):end if end < 99 else None], np.int64),
             start=start, end=end)
    case("shape_of", [rand()], np.zeros(0, np.int64), start=0, end=0)
    for t in FLOATS + INTS + [np.bool_]:
        case("constant_of_shape", [], np.full((3, 2), 1, t), value=1.0)
    case("constant_of_shape", [], np.full(301, 2.5, F32), value=2.5)
    case("constant_of_shape", [], np.zeros((0, 3), F32), value=2.5)
    for t, args in ((F32, (0.5, 10, 0.75)), (np.int64, (10, -3, -2)), (np.int32, (3, 3, 1)), (F64, (1, 0, -0.1)),
                    (np.int16, (-4, 9, 5)), (np.int64, (0, 300, 1))):
        a = [np.array(v, t) for v in args]
        n = max(0, math.ceil((args[1] - args[0]) / args[2]))
        case("range", a, (args[0] + np.arange(n) * args[2]).astype(t), rtol=2e-7)
    for t, axis in ((np.int64, -1), (np.int32, 0), (F32, 1), (np.uint8, 2)):
        idx = RNG.integers(0, 5, (2, 3)).astype(t)
        if np.dtype(t).kind != "u":
            idx[0] = [-1, -5, 7]
        values = np.array([2, 5], F32)
        ys, _, _ = oracle("OneHot", [idx.astype(np.int64), np.array(5), values], axis=axis,
                          engines=("ref",))
        want = np.moveaxis(np.where((np.where(idx.astype(np.int64) < 0, idx.astype(np.int64) + 5,
                                              idx.astype(np.int64))[..., None] == np.arange(5)),
                                    5, 2), -1, axis).astype(F32)
        assert np.dtype(t).kind != "u" or np.array_equal(ys[0], want)
        case("one_hot", [idx, values], want, axis=axis, depth=5)
    case("one_hot", [np.array(1), np.array([0, 1], bool)], np.array([False, True, False]), axis=0, depth=3)


# --- gathers and scatters ------------------------------------------------------------------------

def index_cases():
    for t in SOME:
        for i in (np.int32, np.int64):
            x = rand(4, 3, 5, dtype=t)
            idx = RNG.integers(-3, 3, (2, 2)).astype(i)
            case("gather", [x, idx], np.take(x, idx, axis=1), axis=1)
            case("gather", [x, np.array(-1, i)], x[..., -1], axis=-1)
            idx = RNG.integers(-4, 4, (6, 2, 5)).astype(i)
            case("gather_elements", [x, idx],
                 np.take_along_axis(x[:, :2], np.where(idx < 0, idx + 4, idx), axis=0), axis=0)
            idx = RNG.integers(-3, 3, (2, 3, 2)).astype(i)
            case("gather_nd", [x, idx], x[idx[..., 0], idx[..., 1]], batch_dims=0)
    case("gather", [rand(0, 3), np.zeros(0, np.int64)], np.zeros((0, 3), F32), axis=0)
    case("gather", [rand(5), np.zeros((0, 2), np.int64)], np.zeros((0, 2), F32), axis=0)
    x, idx = rand(2, 3, 4), RNG.integers(-3, 3, (2, 5, 1))
    onnx_case("gather_nd", "GatherND", [x, idx], dict(batch_dims=1), engines=("ref", "ort"))
    onnx_case("gather_nd", "GatherND", [rand(2, 2, 3), RNG.integers(0, 3, (2, 2, 1))], dict(batch_dims=2))
    onnx_case("gather_elements", "GatherElements", [rand(3, 4), RNG.integers(-4, 4, (2, 6))], dict(axis=1))
    reductions = ["none", "add", "mul", "max", "min"]
    for r, name in enumerate(reductions):
        for t in (F32, np.int32, F64, np.int64):
            x = rand(4, 5, dtype=t)
            idx = np.array([[0, 2, -1], [3, 0, 1]]) if r == 0 else RNG.integers(-4, 4, (2, 3))
            onnx_case("scatter_elements", "ScatterElements", [x, idx, rand(2, 3, dtype=t)],
                      dict(axis=0, reduction=r), dict(axis=0, reduction=name), engines=("ref", "ort"))
            idx = np.array([[1, 2], [0, 4], [-1, 0]]) if r == 0 else RNG.integers(0, 3, (3, 2))
            onnx_case("scatter_nd", "ScatterND", [x, idx, rand(3, dtype=t)], dict(reduction=r),
                      dict(reduction=name), engines=("ref", "ort"))
            idx = np.array([[2], [-4]]) if r == 0 else np.array([[1], [1]])
            onnx_case("scatter_nd", "ScatterND", [x, idx, rand(2, 5, dtype=t)], dict(reduction=r),
                      dict(reduction=name), engines=("ref", "ort"))
    for t in (np.bool_, F16, np.uint8):
        x, idx, u = rand(3, 4, dtype=t), np.array([[0, -1]], np.int32), rand(1, 2, dtype=t)
        y = x.copy()
        y[0, [0, 3]] = u[0]
        case("scatter_elements", [x, idx, u], y, axis=1, reduction=0)
    x = rand(3)
    case("scatter_nd", [x, np.zeros((0, 1), np.int64), np.zeros(0, F32)], x, reduction=1)
    case("scatter_elements", [x, np.zeros(0, np.int64), np.zeros(0, F32)], x, axis=0, reduction=0)


# --- linear algebra ------------------------------------------------------------------------------

def linear_cases():
    def matmul(a, b, t):
        if np.dtype(t).kind in "iu":
            return np.matmul(a.astype(object), b.astype(object)) if 0 else np.matmul(a, b)
        return np.matmul(a.astype(F64), b.astype(F64)).astype(t)
    for t in FLOATS:
        for sa, sb in (((3, 4), (4, 5)), ((2, 1, 3, 7), (4, 7, 2)), ((9, 70), (70, 65)), ((4,), (4, 3)),
                       ((2, 3, 4), (4,)), ((5,), (5,)), ((2, 0, 3), (3, 4)), ((2, 3, 0), (0, 4)),
                       ((1, 2, 3), (5, 3, 2))):
            a, b = rand(*sa, dtype=t), rand(*sb, dtype=t)
            y = matmul(a, b, t)
            case("matmul", [a, b], y, atol=1e-6 if t == F32 else EPSILON[np.dtype(t)] * 0.1)
    for t in INTS:
        a, b = extremes(t, 12).reshape(3, 4), extremes(t, 8).reshape(4, 2)
        case("matmul", [a, b], no_warnings(np.matmul, a, b))
    for t in FLOATS:
        for trans_a, trans_b, c in ((0, 0, (3, 5)), (1, 0, (5,)), (0, 1, (3, 1)), (1, 1, ()), (0, 1, None)):
            a = rand(*((9, 3) if trans_a else (3, 9)), dtype=t)
            b = rand(*((5, 9) if trans_b else (9, 5)), dtype=t)
            inputs = [a, b] if c is None else [a, b, rand(*c, dtype=t)]
            attrs = dict(alpha=0.5, beta=1.25, trans_a=trans_a, trans_b=trans_b)
            onnx_case("gemm", "Gemm", inputs, attrs,
                      dict(alpha=0.5, beta=1.25, transA=trans_a, transB=trans_b),
                      engines=("ort64", "ref64"))
    a, b, c = rand(2, 3, dtype=np.int32), rand(3, 4, dtype=np.int32), rand(4, dtype=np.int32)
    case("gemm", [a, b, c], (2 * (a @ b) - c).astype(np.int32), alpha=2.0, beta=-1.0, trans_a=0, trans_b=0)
    case("gemm", [rand(2, 0), rand(0, 3), None], np.zeros((2, 3), F32), alpha=1.0, beta=1.0, trans_a=0,
         trans_b=0)
    a, b = rand(130, 3), rand(3, 131)
    case("gemm", [a, b, np.full(131, np.nan, F32)], rounded(np.matmul, F32, a, b), alpha=1.0, beta=0.0,
         trans_a=0, trans_b=0, atol=1e-6)
    # Epilogues: channel, residual and scalar operands.
    relu_of_sum = [instr("load", 1, operand=0), instr("add", 0, 0, 1), instr("load", 1, operand=1),
                   instr("mul", 0, 0, 1), instr("load", 1, operand=2), instr("add", 0, 0, 1),
                   instr("relu", 0, 0)]
    a, b = rand(4, 6), rand(6, 5)
    ops = [rand(5), rand(1), rand(4, 5)]
    y = evaluate(relu_of_sum, ops, (4, 5), np.matmul(a.astype(F64), b.astype(F64)).astype(F32))
    case("gemm", [a, b, None] + ops, y, alpha=1.0, beta=1.0, trans_a=0, trans_b=0, code=relu_of_sum,
         atol=1e-6, label="epilogue")
    case("matmul", [a, b] + ops, y, code=relu_of_sum, atol=1e-6, label="epilogue")
    a, b = rand(2, 3, 4), rand(2, 4, 3)
    code = [instr("mul_imm", 0, 0, imm=0.125), instr("load", 3, operand=0), instr("add", 0, 0, 3)]
    ops = [rand(2, 1, 3)]
    case("matmul", [a, b] + ops, evaluate(code, ops, (2, 3, 3), rounded(np.matmul, F32, a, b)), code=code,
         atol=1e-6, label="epilogue")


# --- convolutions --------------------------------------------------------------------------------

def conv_cases():
    configs = [  # x, w, strides, pads, dilations, groups
        ((2, 3, 7, 5), (4, 3, 3, 3), [1, 1], [1, 1, 1, 1], [1, 1], 1),
        ((1, 4, 9, 8), (6, 2, 3, 2), [2, 3], [0, 1, 2, 0], [2, 1], 2),
        ((2, 6, 5, 70), (6, 1, 3, 3), [1, 1], [1, 1, 1, 1], [1, 1], 6),
        ((2, 5, 4, 3), (7, 5, 1, 1), [1, 1], [0, 0, 0, 0], [1, 1], 1),
        ((1, 2, 3, 3), (2, 2, 1, 1), [2, 2], [0, 0, 0, 0], [1, 1], 1),
        ((2, 3, 17), (4, 3, 5), [2], [3, 1], [2], 1),
        ((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), [1, 2, 1], [1, 0, 1, 0, 1, 1], [1, 1, 2], 1),
        ((1, 2, 2, 2), (1, 2, 3, 3), [1, 1], [5, 4, 4, 5], [1, 1], 1),
    ]
    for t in FLOATS:
        for i, (sx, sw, strides, pads, dilations, groups) in enumerate(configs):
            if t != F32 and i not in (1, 5):
                continue
            inputs = [rand(*sx, dtype=t), rand(*sw, dtype=t)] + ([rand(sw[0], dtype=t)] if i % 2 else [])
            attrs = dict(strides=strides, pads=pads, dilations=dilations, groups=groups)
            onnx_case("conv", "Conv", inputs, attrs,
                      dict(strides=strides, pads=pads, dilations=dilations, group=groups),
                      engines=("ort64", "ref64"))
    base = dict(strides=[1, 1], pads=[1, 1, 1, 1], dilations=[1, 1], groups=1)
    x, w = rand(2, 3, 5, 5), rand(4, 3, 3, 3)
    ys, _, _ = oracle("Conv", [x, w], engines=("ort64", "ref64"), strides=[1, 1], pads=[1, 1, 1, 1],
                      dilations=[1, 1], group=1)
    code = [instr("load", 1, operand=0), instr("add", 0, 0, 1), instr("load", 2, operand=1),
            instr("add", 0, 0, 2), instr("load", 2, operand=2), instr("mul", 0, 0, 2), instr("relu", 0, 0)]
    bias, residual, scale = rand(4), rand(2, 4, 5, 5), rand(1)
    y = evaluate(code, [bias.reshape(4, 1, 1), residual, scale], ys[0].shape, ys[0])
    case("conv", [x, w, None, bias, residual, scale], y, code=code, atol=2e-6, label="epilogue", **base)
    case("conv", [rand(0, 3, 5, 5), w], np.zeros((0, 4, 5, 5), F32), **base)
    case("conv", [rand(2, 0, 5, 5), rand(4, 0, 3, 3), (b := rand(4))],
         np.broadcast_to(b.reshape(1, 4, 1, 1), (2, 4, 5, 5)), **base)
    transposed = [  # x, w, strides, pads, dilations, groups, output_padding
        ((1, 3, 4, 5), (3, 2, 3, 3), [1, 1], [0, 0, 0, 0], [1, 1], 1, [0, 0]),
        ((2, 4, 3, 4), (4, 3, 3, 2), [2, 3], [1, 0, 1, 1], [1, 1], 2, [1, 2]),
        ((1, 2, 7), (2, 2, 3), [3], [1, 1], [2], 1, [1]),
        ((1, 2, 3, 2, 3), (2, 1, 2, 2, 3), [2, 1, 2], [0, 0, 1, 1, 0, 1], [1, 1, 1], 1, [0, 0, 0]),
        ((2, 3, 4, 40), (3, 1, 2, 4), [2, 2], [0, 1, 0, 1], [1, 1], 3, [0, 0]),
    ]
    for t in FLOATS:
        for i, (sx, sw, strides, pads, dilations, groups, extra) in enumerate(transposed):
            if t != F32 and i != 1:
                continue
            inputs = [rand(*sx, dtype=t), rand(*sw, dtype=t)]
            inputs += [rand(sw[1] * groups, dtype=t)] if i % 2 else []
            attrs = dict(strides=strides, pads=pads, dilations=dilations, groups=groups,
                         output_padding=extra)
            onnx_case("conv_transpose", "ConvTranspose", inputs, attrs,
                      dict(strides=strides, pads=pads, dilations=dilations, group=groups,
                           output_padding=extra), engines=("ort32",))


# --- normalisations ------------------------------------------------------------------------------

def norm_cases():
    for t in FLOATS:
        for shape in ((2, 3, 4, 5), (4, 3), (1, 2, 300)):
            c = shape[1]
            inputs = [rand(*shape, dtype=t), rand(c, dtype=t), rand(c, dtype=t), rand(c, dtype=t),
                      rand(c, dtype=t, low=0.1)]
            onnx_case("batch_norm", "BatchNormalization", inputs, dict(epsilon=1e-3), engines=("ort64", "ref64"))
        for shape, axis in (((2, 3, 8), 2), ((2, 3, 4), -2), ((5, 300), 1), ((3,), 0)):
            n = shape[axis:] if axis else shape
            x, s, b = rand(*shape, dtype=t), rand(*n, dtype=t), rand(*n, dtype=t)
            for inputs in ([x, s, b], [x, s]):
                v = x.astype(F64)
                axes = tuple(range(axis % v.ndim, v.ndim))
                mean = v.mean(axis=axes, keepdims=True)
                inverse = 1 / np.sqrt(v.var(axis=axes, keepdims=True) + 1e-4)
                y = (v - mean) * inverse * s.astype(F64) + (b.astype(F64) if len(inputs) > 2 else 0)
                outs = [y.astype(t), mean.astype(F32), inverse.astype(F32)]
                case("layer_norm", inputs, outs if len(inputs) > 2 else outs[:1], axis=axis, epsilon=1e-4,
                     rtol=EPSILON[np.dtype(t)], atol=1e-6)
                ms = 1 / np.sqrt((v * v).mean(axis=axes, keepdims=True) + 1e-4)
                if len(inputs) == 2:
                    case("rms_norm", inputs, (v * ms * s.astype(F64)).astype(t), axis=axis, epsilon=1e-4)
            case("rms_norm", [x], (v * ms).astype(t), axis=axis, epsilon=1e-4)
            case("layer_norm", [x, None, b], [((v - mean) * inverse + b.astype(F64)).astype(t), None,
                                               inverse.astype(F64)], axis=axis, epsilon=1e-4,
                 rtol=EPSILON[np.dtype(t)], atol=1e-6)
    x, s, b = rand(2, 3, 4), rand(4), rand(4)
    onnx_case("layer_norm", "LayerNormalization", [x, s, b], dict(axis=-1, epsilon=1e-5), outputs=3,
              engines=("ort", "ref64"), atol=2e-6)
    case("layer_norm", [np.zeros((0, 4), F32), s, b], [np.zeros((0, 4), F32)], axis=1, epsilon=1e-5)
    for t in (F32, F64):
        for shape in ((2, 3, 4, 5), (1, 4, 7), (2, 2, 3, 2, 2)):
            c = shape[1]
            inputs = [rand(*shape, dtype=t), rand(c, dtype=t), rand(c, dtype=t)]
            onnx_case("instance_norm", "InstanceNormalization", inputs, dict(epsilon=1e-4),
                      engines=("ref64",), atol=1e-6)
    for t in FLOATS:
        for shape, g in (((2, 4, 3, 5), 2), ((1, 6, 7), 3), ((3, 4), 1), ((1, 4, 2, 2), 4)):
            x, s, b = rand(*shape, dtype=t), rand(shape[1], dtype=t), rand(shape[1], dtype=t)
            v = x.astype(F64).reshape(shape[0], g, -1)
            v = (v - v.mean(2, keepdims=True)) / np.sqrt(v.var(2, keepdims=True) + 1e-3)
            ch = (1, shape[1]) + (1,) * (len(shape) - 2)
            y = v.reshape(shape) * s.astype(F64).reshape(ch) + b.astype(F64).reshape(ch)
            case("group_norm", [x, s, b], y.astype(t), epsilon=1e-3, groups=g, atol=1e-6)
    onnx_case("group_norm", "GroupNormalization", [rand(2, 4, 3), rand(4), rand(4)],
              dict(epsilon=1e-3, groups=2), dict(epsilon=1e-3, num_groups=2), atol=2e-5)
    for t in (F32, F64, F16):
        for p in (1, 2):
            for shape, axis in (((3, 4), 1), ((2, 3, 4), -2), ((5,), 0)):
                x = rand(*shape, dtype=t)
                x.reshape(-1)[:shape[-1] if len(shape) == 2 else 0] = 0
                v = x.astype(F64)
                n = np.abs(v).sum(axis, keepdims=True) if p == 1 else np.sqrt((v * v).sum(axis, keepdims=True))
                case("lp_norm", [x], np.where(n == 0, 0, v / np.where(n == 0, 1, n)).astype(t), axis=axis, p=p)
    for size in (1, 2, 3, 5, 100):  # By hand: ONNX's evaluator takes the batch for the channels.
        x = rand(2, 6, 3, 2)
        v = x.astype(F64)
        squares = np.stack([(v[:, max(0, c - (size - 1) // 2):c + size // 2 + 1] ** 2).sum(1)
                            for c in range(6)], 1)
        case("lrn", [x], (v / (1.5 + 0.3 / size * squares) ** 0.75).astype(F32), alpha=0.3, beta=0.75,
             bias=1.5, size=size)
    onnx_case("lrn", "LRN", [rand(1, 5, 4, 4)], dict(alpha=1e-2, beta=0.5, bias=1.0, size=3), engines=("ort",))


# --- pools ---------------------------------------------------------------------------------------

def pool_cases():
    configs = [  # x, kernel, strides, pads, dilations, ceil
        ((2, 3, 7, 6), [2, 3], [2, 1], [0, 0, 0, 0], [1, 1], 0),
        ((1, 2, 9, 9), [3, 3], [2, 2], [1, 1, 1, 1], [1, 1], 0),
        ((1, 2, 8, 7), [3, 2], [2, 3], [1, 0, 0, 1], [2, 1], 1),
        ((2, 2, 11), [3], [2], [1, 1], [2], 0),
        ((1, 1, 4, 5, 6), [2, 2, 3], [1, 2, 2], [0, 1, 1, 1, 0, 1], [1, 1, 1], 0),
        ((1, 1, 5, 5), [5, 5], [1, 1], [0, 0, 0, 0], [1, 1], 0),
        ((1, 1, 6, 6), [2, 2], [4, 4], [0, 0, 0, 0], [1, 1], 1),
    ]
    for sx, kernel, strides, pads, dilations, ceil in configs:
        attrs = dict(kernel=kernel, strides=strides, pads=pads, dilations=dilations, ceil_mode=ceil)
        named = dict(kernel_shape=kernel, strides=strides, pads=pads, dilations=dilations, ceil_mode=ceil)
        for t in (F32, F64, F16):
            onnx_case("max_pool", "MaxPool", [rand(*sx, dtype=t)], attrs, named, outputs=2,
                      engines=("ort64", "ort"), opset=12)
        onnx_case("max_pool", "MaxPool", [rand(*sx, dtype=np.uint8)], attrs, named, engines=("ort",), opset=12)
        for include in (0, 1):
            onnx_case("avg_pool", "AveragePool", [rand(*sx)], dict(attrs, count_include_pad=include),
                      dict(named, count_include_pad=include), engines=("ort",), opset=19)
    x = rand(1, 1, 4)
    x[0, 0, 1] = np.nan
    case("max_pool", [x], np.array([[[np.nan, np.nan, x[0, 0, 2:].max()]]], F32), kernel=[2], strides=[1],
         pads=[0, 0], dilations=[1], ceil_mode=0)
    case("max_pool", [x[:, :, :1]], [np.array([[[-np.inf, x[0, 0, 0], -np.inf]]], F32),
                                     np.array([[[-1, 0, -1]]])], kernel=[1], strides=[1], pads=[1, 1],
         dilations=[1], ceil_mode=0)
    for t in (F64, F16, BF16):
        x = rand(1, 2, 6, dtype=t)
        y = (x.astype(F64)[..., 0::2] + x.astype(F64)[..., 1::2]) / 2
        case("avg_pool", [x], y.astype(t), kernel=[2], strides=[2], pads=[0, 0], dilations=[1], ceil_mode=0,
             count_include_pad=0)


# --- recurrent -----------------------------------------------------------------------------------

def recurrent_cases():
    names = {0: "forward", 1: "reverse", 2: "bidirectional"}
    steps, batch, size, hidden = 5, 3, 4, 6
    for op, name, gates in (("lstm", "LSTM", 4), ("gru", "GRU", 3), ("rnn", "RNN", 1)):
        for direction in (0, 1, 2):
            for variant in range(4):
                d = 2 if direction == 2 else 1
                x = rand(steps, batch, size)
                w, r = rand(d, gates * hidden, size, low=-1, high=1), rand(d, gates * hidden, hidden, low=-1, high=1)
                b = rand(d, 2 * gates * hidden) if variant else None
                lens = np.array([5, 2, 4], np.int32) if variant == 2 else None
                h0 = rand(d, batch, hidden, low=-1, high=1) if variant > 1 else None
                inputs = [x, w, r, b, lens, h0]
                attrs = dict(hidden=hidden, direction=direction)
                named = dict(hidden_size=hidden, direction=names[direction])
                if op == "lstm":
                    inputs += [rand(d, batch, hidden, low=-1, high=1) if variant > 1 else None,
                               rand(d, 3 * hidden, low=-1, high=1) if variant == 3 else None]
                elif op == "gru":
                    attrs["linear_before_reset"] = named["linear_before_reset"] = variant % 2
                else:
                    attrs["activation"] = variant % 3
                    named["activations"] = [["Tanh", "Relu", "Sigmoid"][variant % 3]] * d
                while inputs[-1] is None:
                    inputs.pop()
                outs = 3 if op == "lstm" else 2
                onnx_case(op, name, inputs, attrs, named, outputs=outs, engines=("ort",), opset=14, atol=2e-6)
    # Other types against the same numbers in float.
    for t in (F64, F16, BF16):
        x, w, r = rand(3, 2, 5, dtype=t), rand(1, 8, 5, dtype=t), rand(1, 8, 2, dtype=t)
        ys, _, _ = oracle("LSTM", [v.astype(F32) for v in (x, w, r)], 3, hidden_size=2, engines=("ort",), opset=14)
        case("lstm", [x, w, r], [ys[0].astype(t), None, ys[2].astype(t)], hidden=2, direction=0,
             rtol=max(EPSILON[np.dtype(t)], 1e-5), atol=1e-5)
        w, r = rand(1, 6, 5, dtype=t), rand(1, 6, 2, dtype=t)
        ys, _, _ = oracle("GRU", [v.astype(F32) for v in (x, w, r)], 2, hidden_size=2, engines=("ort",), opset=14)
        case("gru", [x, w, r], [None, ys[1].astype(t)], hidden=2, direction=0, linear_before_reset=0,
             rtol=max(EPSILON[np.dtype(t)], 1e-5), atol=1e-5)
    h = rand(1, 2, 3)
    case("rnn", [rand(0, 2, 4), rand(1, 3, 4), rand(1, 3, 3), None, None, h], [np.zeros((0, 1, 2, 3), F32), h],
         hidden=3, direction=0, activation=0)


def main():
    for family in (binary_cases, unary_cases, cast_cases, region_cases, reduce_cases, movement_cases, make_cases,
                   index_cases, linear_cases, conv_cases, norm_cases, pool_cases, recurrent_cases):
        family()
    write(sys.argv[1] if len(sys.argv) > 1 else "tests/reference/cases.bin")


if __name__ == "__main__":
    main()
