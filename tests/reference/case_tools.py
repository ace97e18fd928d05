"""Oracles, data and the case list of make_cases.py and make_torch_cases.py; cases.h describes the file format."""

import math
import re
import struct

import ml_dtypes
import numpy as np

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
    rows = re.findall(r'FLOE_OP\((\w+), "(\w+)", (-?\d+), (-?\d+), (-?\d+),\s*"([^"]*)",\s*"([^"]*)"\)', text)
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


# --- oracles -------------------------------------------------------------------------------------

def model(op_type, inputs, outputs, opset, attrs):
    from onnx import helper  # Here, as make_torch_cases.py does without ONNX.
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
    import onnx
    import onnxruntime
    m, feeds = model(op_type, inputs, outputs, opset, attrs)
    m = onnx.shape_inference.infer_shapes(m)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    s = onnxruntime.InferenceSession(m.SerializeToString(), options, ["CPUExecutionProvider"])
    return s.run(None, feeds)


def run_reference(op_type, inputs, outputs, opset, attrs):
    from onnx.reference import ReferenceEvaluator
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
