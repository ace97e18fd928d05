"""Reductions, movement, making, gathers and scatters."""

from case_tools import *  # noqa: F403: one vocabulary for all cases


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
