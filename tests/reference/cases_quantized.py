"""Quantisation and integer products: the oracle is ONNX Runtime where it has the op, else numpy on int64."""

from case_tools import *  # noqa: F403: one vocabulary for all cases

RANGES = {np.int8: (-128, 127), np.uint8: (0, 255), np.int16: (-32768, 32767), np.uint16: (0, 65535)}


def whole(t, *shape):
    """Random values over the whole range of an integer type."""
    return extremes(t, max(4, int(np.prod(shape))))[:int(np.prod(shape))].reshape(shape)


def expand_scales(s, shape, axis, block):
    """Scales or zeros of the given granularity, one for each element."""
    s = np.asarray(s)
    if s.size == 1:
        return np.broadcast_to(s.reshape(()), shape)
    if block:
        return np.repeat(s, block, axis=axis).take(np.arange(shape[axis]), axis=axis)
    view = [1] * len(shape)
    view[axis] = -1
    return np.broadcast_to(s.reshape(view), shape)


def quantize_cases():
    """quantize and dequantize: all granularities and types, ties, limits, NaN."""
    granularities = [((7,), (), 0, 0), ((2, 3, 5), (), 1, 0), ((2, 3, 5), (3,), 1, 0), ((4, 6), (6,), -1, 0),
                     ((4, 7), (4, 3), 1, 3), ((5, 2, 300), (2, 2, 300), 0, 4), ((300, 3), (300,), 0, 0),
                     ((0, 3), (3,), 1, 0), ((1, 1), (1,), 0, 0)]
    for t, (low, high) in RANGES.items():
        for shape, of, axis, block in granularities:
            s = rand(*of, low=0.01, high=0.2) * F32(1 if t in (np.int8, np.uint8) else 0.01)
            z = (RNG.integers(low // 2, high // 2 + 1, of)).astype(t)
            x = rand(*shape, low=-20, high=20)
            attrs = dict(axis=axis, block=block)
            named = dict(axis=axis, block_size=block)
            limits = dict(reciprocal=0, min=low, max=high, to=DTYPES[np.dtype(t)])
            expanded = [expand_scales(v, shape, axis, block) for v in (s, z)]
            with np.errstate(all="ignore"):
                y = np.clip(np.rint(x / expanded[0]) + expanded[1], low, high).astype(t)
            if x.size:  # The oracle is checked against ONNX Runtime.
                ys, _, _ = oracle("QuantizeLinear", [x, s, z], engines=("ort",), opset=21, **named)
                assert (ys[0] == y).all(), (t, shape)
            case("quantize", [x, s, z], y, **attrs, **limits)
            case("quantize", [x, s], np.clip(np.rint(x / expanded[0]), low, high).astype(t), **attrs, **limits)
            with np.errstate(all="ignore"):
                y = np.clip(np.rint(x * (F32(1) / expanded[0])) + expanded[1], low, high).astype(t)
            case("quantize", [x, s, z], y, **attrs, **dict(limits, reciprocal=1))
            q = whole(t, *shape)
            y = (q.astype(np.int64) - expanded[1]).astype(F32) * expanded[0]
            case("dequantize", [q, s, z], y, rtol=0.0, to=1, **attrs)
            case("dequantize", [q, s], q.astype(F32) * expanded[0], rtol=0.0, to=1, **attrs)
    ties = np.array([0.5, 1.5, 2.5, 3.5, -0.5, -1.5, 126.5, 127.5, 128.5, 1e30, -1e30, np.inf, -np.inf, np.nan], F32)
    one = np.array(1, F32)
    for z in (0, 1):
        y = np.clip(np.rint(np.nan_to_num(ties, nan=0.0)).astype(F64) + z, -128, 127).astype(np.int8)
        case("quantize", [ties, one, np.array(z, np.int8)], y, axis=0, block=0, reciprocal=0, min=-128, max=127, to=5)
    # The division and the product with the reciprocal differ.
    x, s = np.array([.273939937], F32), np.array(.00214854861, F32)
    for reciprocal, y in ((0, 127), (1, 128)):
        case("quantize", [x, s], np.array([y], np.uint8), axis=0, block=0, reciprocal=reciprocal, min=0, max=255, to=6)
    case("quantize", [rand(9, low=-300, high=300), one], np.zeros(9, np.int8), axis=0, block=0, reciprocal=0, min=0,
         max=0, to=5)
    q = whole(np.int32, 2, 4)
    s = rand(4, low=1e-4, high=1e-3)
    case("dequantize", [q, s], q.astype(F32) * s, rtol=0.0, axis=1, block=0, to=1)
    x = rand(3, 4, dtype=F16)
    s = np.array(0.25, F16)
    case("quantize", [x, s], np.rint(x.astype(F32) / F32(0.25)).astype(np.int8), axis=0, block=0, reciprocal=0,
         min=-128, max=127, to=5)
    q = whole(np.int8, 3, 4)
    case("dequantize", [q, s], (q.astype(F32) * F32(0.25)).astype(F16), rtol=0.0, axis=0, block=0, to=3)
    for data in (rand(300, low=-3, high=5), rand(2, 3, low=1, high=2), rand(4, 3, low=-2, high=-1), np.zeros(5, F32),
                 np.zeros((0, 2), F32), np.array([1e-38, 0], F32)):
        if data.size == 0 or not data.any():
            ys = [data.astype(np.uint8), np.array(1, F32), np.array(0, np.uint8)]
        else:
            ys, _, _ = oracle("DynamicQuantizeLinear", [data], 3, engines=("ort",), opset=11)
        case("dynamic_quantize", [data], ys, rtol=0.0)
        case("dynamic_quantize", [data], [ys[0], None, ys[2]], rtol=0.0)


# --- integer products ----------------------------------------------------------------------------

def product_cases():
    """matmul_integer, conv_integer, qgemm and qconv."""
    for a, b in ((np.uint8, np.int8), (np.int8, np.int8), (np.uint8, np.uint8), (np.int8, np.uint8)):
        for sa, sb, za, zb in (((3, 5), (5, 4), (), ()), ((2, 3, 70), (70, 65), (3,), (65,)),
                               ((1, 1), (1, 1), (1,), (1,)), ((2, 1, 2, 3), (3, 3, 4), (), None), ((0, 3), (3, 2), None, None),
                               ((2, 0), (0, 3), None, None)):
            x, y = whole(a, *sa), whole(b, *sb)
            zeros = [None if z is None else whole(t, *z) if z else np.asarray(whole(t, 1)[0])
                     for z, t in ((za, a), (zb, b))]
            wide = x.astype(np.int64) - (0 if za is None else zeros[0].astype(np.int64).reshape(-1, 1))
            other = y.astype(np.int64) - (0 if zb is None else zeros[1].astype(np.int64))
            inputs = [x, y] + zeros
            while inputs[-1] is None:
                inputs.pop()
            case("matmul_integer", inputs, (wide @ other).astype(np.int32))
    convs = [((2, 3, 7, 6), (4, 3, 3, 2), [2, 1], [1, 0, 1, 2], [1, 1], 1),
             ((1, 4, 5, 5), (4, 1, 3, 3), [1, 1], [1, 1, 1, 1], [1, 1], 4),
             ((1, 2, 70), (3, 2, 5), [1], [4, 4], [2], 1),
             ((1, 6, 4, 3), (4, 3, 1, 1), [1, 1], [0, 0, 0, 0], [1, 1], 2),
             ((1, 1, 3, 4, 5), (2, 1, 2, 2, 2), [1, 2, 1], [0, 1, 0, 1, 0, 1], [1, 1, 2], 1)]
    for sx, sw, strides, pads, dilations, groups in convs:
        attrs = dict(strides=strides, pads=pads, dilations=dilations, groups=groups)
        named = dict(strides=strides, pads=pads, dilations=dilations, group=groups)
        for a, b in ((np.uint8, np.int8), (np.uint8, np.uint8), (np.int8, np.int8)):
            x, w = whole(a, *sx), whole(b, *sw)
            zx, zw = whole(a, 4)[2], whole(b, sw[0]) if b == np.int8 else np.asarray(whole(b, 4)[3])
            wide = (x.astype(np.int64) - int(zx)).astype(F64)
            per_filter = zw.astype(np.int64).reshape((-1,) + (1,) * (len(sw) - 1) if zw.ndim else ())
            filters = (w.astype(np.int64) - per_filter).astype(F64)
            sums, _, _ = oracle("Conv", [wide, filters], engines=("ref",), opset=11, **named)
            case("conv_integer", [x, w, np.asarray(zx), zw], np.rint(sums[0]).astype(np.int32), **attrs)
        requantised(sx, sw, attrs, named)
    gemms()


def rne(v, zero, low, high):
    """Rounds floats to quantised numbers, as the kernels do."""
    return (np.rint(np.clip(v, F32(low - zero), F32(high - zero))) + zero).astype(np.int64)


def forms(sums, channels, axis, name, inputs, attrs):
    """Every epilogue of a product whose sums (int64) are given; channels along `axis`."""
    view = [1] * sums.ndim
    view[axis] = channels
    per = lambda v: v.reshape(view)
    spread = max(1.0, float(np.abs(sums).max(initial=1)))
    scale = (rand(channels, low=60, high=300) / F32(spread)).astype(F32)
    ints, floats = RNG.integers(-500, 500, channels).astype(np.int32), rand(channels, low=-20, high=20)
    residual = whole(np.uint8, *sums.shape)
    for bias in (None, ints, floats):
        acc = sums + (per(ints) if bias is ints else 0)
        v = (acc.astype(np.int32).astype(F32) * per(scale)).astype(F32)
        if bias is floats:
            v = v + per(floats)
        operands = inputs + [scale] + ([bias] if bias is not None else [])
        case(name, operands, v, rtol=0.0, to=1, requant=[], ratios=[], **attrs)
        for zero, low, high in ((0, 0, 255), (128, 0, 255), (7, 7, 200)):
            q = rne(v, zero, low, high)
            case(name, operands, q.astype(np.uint8), to=6, requant=[zero, low, high], ratios=[], **attrs)
            ratios = [float(F32(0.7)), float(F32(0.45))]
            other = (residual.astype(np.int64) - 90).astype(F32) * F32(ratios[1])
            total = (q - zero).astype(F32) * F32(ratios[0]) + other
            y = rne(total, 100, 100, 250).astype(np.uint8)
            case(name, inputs + [scale, bias, residual], y, to=6,
                 requant=[zero, low, high, 100, 100, 250, 90], ratios=ratios, **attrs)


def requantised(sx, sw, attrs, named):
    """qconv."""
    x, w = whole(np.uint8, *sx), whole(np.int8, *sw)
    wide = (x.astype(np.int64) - 131).astype(F64)
    sums, _, _ = oracle("Conv", [wide, w.astype(F64)], engines=("ref",), opset=11, **named)
    forms(np.rint(sums[0]).astype(np.int64), sw[0], 1, "qconv", [x, w], dict(attrs, x_zero=131))


def gemms():
    """qgemm, with a static and with a dynamic range."""
    for sx, n in (((3, 5), 4), ((2, 3, 70), 65), ((7,), 3), ((1, 1), 1), ((2, 0), 3)):
        x, w = whole(np.uint8, *sx), whole(np.int8, sx[-1], n)
        sums = (x.astype(np.int64) - 93) @ w.astype(np.int64)
        forms(sums, n, sums.ndim - 1, "qgemm", [x, w], dict(x_zero=93))
        scale, bias, by = rand(n, low=0.01, high=0.02), rand(n), np.array(0.03, F32)
        v = sums.astype(F32) * (by * scale) + bias
        case("qgemm", [x, w, scale, bias, None, by, np.array([93], np.uint8)], v, rtol=0.0, x_zero=-1, to=1,
             requant=[], ratios=[])


# --- functions of bytes and the recurrence of bytes ----------------------------------------------

def byte_cases():
    """lookup and qavg_pool."""
    table = whole(np.uint8, 256)
    for shape in ((), (5,), (2, 3, 4), (0, 3)):
        x = whole(np.uint8, *shape) if shape else np.array(200, np.uint8)
        case("lookup", [x, table], table[x])
    case("lookup", [np.arange(256, dtype=np.uint8), table], table)
    for kernel, strides, pads, dilations, ceil in (([2], [1], [0, 0], [1], 0), ([3, 2], [2, 1], [1, 0, 1, 1], [1, 1], 0),
                                                   ([3, 3], [2, 2], [1, 1, 1, 1], [1, 1], 1),
                                                   ([2, 2, 2], [1, 1, 1], [0] * 6, [1, 1, 1], 0)):
        x = whole(np.uint8, 2, 3, *range(7, 7 - len(kernel), -1))
        attrs = dict(kernel=kernel, strides=strides, pads=pads, dilations=dilations, ceil_mode=ceil)
        for include in (0, 1):
            for x_zero, y_zero, ratio in ((0, 0, 1.0), (117, 33, float(F32(0.73)))):
                # The mean in double; ratio / n and its product with the sum are rounded to f32.
                wide = x.astype(F64) - x_zero
                named = dict(kernel_shape=kernel, strides=strides, pads=pads, dilations=dilations, ceil_mode=ceil,
                             count_include_pad=include)
                means, _, _ = oracle("AveragePool", [wide.astype(F32)], engines=("ort",), opset=19, **named)
                v = means[0].astype(F64) * ratio
                if (np.abs(v - np.floor(v) - 0.5) < 1e-4).any():  # A tie may round either way.
                    continue
                y = np.clip(np.rint(v) + y_zero, 0, 255).astype(np.uint8)
                case("qavg_pool", [x], y, **attrs, count_include_pad=include, x_zero=x_zero, y_zero=y_zero, ratio=ratio)


def run_dynamic_lstm(inputs, named):
    """ONNX Runtime's DynamicQuantizeLSTM in one thread: with more it quantises parts of h apart."""
    import onnxruntime
    from onnx import helper
    names = [f"x{i}" if v is not None else "" for i, v in enumerate(inputs)]
    node = helper.make_node("DynamicQuantizeLSTM", names, ["y0", "y1", "y2"], domain="com.microsoft", **named)
    value = lambda n, x: helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
    constants = [helper.make_tensor(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape, x.tobytes(), raw=True)
                 for n, x in zip(names, inputs) if n and n != "x0"]
    graph = helper.make_graph([node], "g", [value("x0", inputs[0])],
                              [helper.make_tensor_value_info(f"y{i}", 1, None) for i in range(3)], constants)
    m = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17),
                                                               helper.make_opsetid("com.microsoft", 1)])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(m.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, {"x0": inputs[0]})


def lstm_cases():
    """qlstm against ONNX Runtime: all directions, with and without bias and states."""
    names = {0: "forward", 1: "reverse", 2: "bidirectional"}
    for steps, batch, size, hidden in ((1, 1, 5, 4), (4, 1, 7, 18), (3, 2, 16, 16), (5, 1, 3, 33)):
        for direction in (0, 1, 2):
            for variant in range(3):
                d, columns = 2 if direction == 2 else 1, 4 * hidden
                x = rand(steps, batch, size)
                w, r = (RNG.integers(-127, 128, (d, k, columns)).astype(np.int8) for k in (size, hidden))
                ws, rs = rand(d, columns, low=0.002, high=0.01), rand(d, columns, low=0.002, high=0.008)
                b = rand(d, 2 * columns, low=-1, high=1) if variant else None
                h0, c0 = (rand(d, batch, hidden, low=-1, high=1) if variant == 2 else None for _ in range(2))
                zeros = np.zeros((d, columns), np.int8)
                ys = run_dynamic_lstm([x, w, r, b, None, h0, c0, None, ws, zeros, rs, zeros],
                                      dict(hidden_size=hidden, direction=names[direction]))
                inputs = [x, w, r, ws, rs, b, h0, c0]
                while inputs[-1] is None:
                    inputs.pop()
                case("qlstm", inputs, ys, rtol=1e-5, atol=2e-6, hidden=hidden, direction=direction)
    case("qlstm", inputs[:5] + [b], [None, run_dynamic_lstm([x, w, r, b, None, None, None, None, ws, zeros, rs, zeros],
                                                           dict(hidden_size=hidden, direction="bidirectional"))[1]],
         rtol=1e-5, atol=2e-6, hidden=hidden, direction=2)
