"""Linear algebra and neural networks."""

from case_tools import *  # noqa: F403: one vocabulary for all cases


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
    case("gemm", [a, b] + ops, y, alpha=1.0, beta=1.0, trans_a=0, trans_b=0, code=relu_of_sum,
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
    case("conv", [x, w, bias, residual, scale], y, code=code, atol=2e-6, label="epilogue", **base)
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
