#!/usr/bin/env python3
"""Writes tests/onnx/microsoft.pack: one-node models of domain com.microsoft, and ONNX Runtime's results.

    python3 tests/onnx/make_microsoft_cases.py [tests/onnx/microsoft.pack]

Also a small BERT as ONNX Runtime's transformer optimiser writes it. Needs onnxruntime 1.31, onnx 1.22 and sympy.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from pack_backend_subset import encode

RNG = np.random.default_rng(7)
TYPES = {np.dtype("float32"): TensorProto.FLOAT, np.dtype("int32"): TensorProto.INT32,
         np.dtype("int64"): TensorProto.INT64}
CASES = []


def rand(*shape, scale=1.0):
    """Multiples of 1/64, normal."""
    return (np.round(RNG.standard_normal(shape) * scale * 64) / 64).astype(np.float32)


def ints(values):
    """An i32 array."""
    return np.array(values, np.int32)


def mask(*shape):
    """Zeros and ones, each row with a one: -10000 in front of every score would leave them three digits."""
    m = RNG.integers(0, 2, shape)
    m[..., 0] = 1
    return ints(m)


def infer(model, feeds):
    """The model's outputs by ONNX Runtime, without optimisations."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def case(name, op, inputs, outputs=1, constants=(), **attrs):
    """A model of one node; inputs None are absent, `constants` are numbers of inputs that are initializers."""
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    wanted = [f"y{i}" if outputs >> i & 1 else "" for i in range(outputs.bit_length())]
    node = helper.make_node(op, names, wanted, domain="com.microsoft", **attrs)
    fed = {n: x for i, (n, x) in enumerate(zip(names, inputs)) if n and i not in constants}
    graph = helper.make_graph(
        [node], name, [helper.make_tensor_value_info(n, TYPES[x.dtype], x.shape) for n, x in fed.items()],
        [helper.make_empty_tensor_value_info(n) for n in wanted if n],
        [numpy_helper.from_array(inputs[i], names[i]) for i in constants])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17),
                                                                  helper.make_opsetid("com.microsoft", 1)])
    add(name, model.SerializeToString(), fed)


def add(name, model, fed):
    """Runs a model and keeps it."""
    results = infer(model, fed)
    files = [[numpy_helper.from_array(x).SerializeToString() for x in arrays] for arrays in (fed.values(), results)]
    if not all(np.isfinite(y).all() for y in results):
        raise RuntimeError(f"{name}: not finite")
    CASES.append((name, encode(name, model, [tuple(files)])))


def attention_cases():
    """Attention with its projections, in every form of its mask."""
    x, w, bias = rand(2, 5, 12), rand(12, 24, scale=0.5), rand(24)
    base = {"num_heads": 2}
    case("attention", "Attention", [x, w, bias], constants=(1, 2), **base)
    case("attention_scale", "Attention", [x, w, bias], constants=(1, 2), scale=0.3, **base)
    case("attention_mask", "Attention", [x, w, bias, ints([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])], constants=(1, 2), **base)
    case("attention_mask_3d", "Attention", [x, w, bias, mask(2, 5, 5)], constants=(1, 2), **base)
    case("attention_mask_value", "Attention", [x, w, bias, ints([[1, 0, 1, 0, 0], [1, 1, 1, 1, 1]])],
         constants=(1, 2), mask_filter_value=-2.0, **base)
    case("attention_lengths", "Attention", [x, w, bias, ints([3, 5])], constants=(1, 2), **base)
    case("attention_ends_and_starts", "Attention", [x, w, bias, ints([4, 5, 1, 2])], constants=(1, 2), **base)
    case("attention_causal", "Attention", [x, w, bias], constants=(1, 2), unidirectional=1, **base)
    case("attention_causal_mask", "Attention", [x, w, bias, ints([[0, 1, 1, 0, 1], [1, 1, 1, 1, 1]])],
         constants=(1, 2), unidirectional=1, **base)
    case("attention_sizes", "Attention", [x, rand(12, 28, scale=0.5), rand(28)], constants=(1, 2),
         qkv_hidden_sizes=[8, 8, 12], **base)
    past = rand(2, 2, 2, 3, 4)
    case("attention_past", "Attention", [x, w, bias, None, past], 3, constants=(1, 2), unidirectional=1, **base)
    case("attention_past_mask", "Attention", [x, w, bias, mask(2, 8), past], 3,
         constants=(1, 2), **base)
    case("attention_bias", "Attention", [x, w, bias, None, None, rand(2, 2, 5, 5)], constants=(1, 2), **base)
    case("attention_bias_shared", "Attention", [x, w, bias, None, None, rand(1, 2, 5, 5)], constants=(1, 2), **base)


def multi_head_cases():
    """MultiHeadAttention: cross attention, packed operands, caches, masks."""
    q, k, v = rand(2, 4, 12), rand(2, 6, 12), rand(2, 6, 8)
    base = {"num_heads": 2}
    case("mha", "MultiHeadAttention", [q, k, v], **base)
    case("mha_bias", "MultiHeadAttention", [q, k, v, rand(32)], **base)
    case("mha_scale", "MultiHeadAttention", [q, k, v], scale=0.2, **base)
    case("mha_lengths", "MultiHeadAttention", [q, k, v, None, ints([2, 6])], **base)
    case("mha_mask", "MultiHeadAttention", [q, k, v, None, mask(2, 6)], **base)
    case("mha_mask_3d", "MultiHeadAttention", [q, k, v, None, mask(2, 4, 6)], **base)
    case("mha_added", "MultiHeadAttention", [q, k, v, None, None, rand(1, 2, 4, 6)], **base)
    case("mha_mask_and_added", "MultiHeadAttention",
         [q, k, v, None, mask(2, 6), rand(2, 2, 4, 6)], **base)
    case("mha_heads", "MultiHeadAttention", [q, rand(2, 2, 6, 6), rand(2, 2, 6, 6)], **base)
    s = rand(2, 6, 12)
    case("mha_causal", "MultiHeadAttention", [s, rand(2, 6, 12), rand(2, 6, 12)], unidirectional=1, **base)
    case("mha_past", "MultiHeadAttention",
         [q, rand(2, 4, 12), rand(2, 4, 12), None, None, None, rand(2, 2, 3, 6), rand(2, 2, 3, 6)], 7, **base)
    case("mha_past_causal", "MultiHeadAttention",
         [q, rand(2, 4, 12), rand(2, 4, 12), rand(36), None, None, rand(2, 2, 3, 6), rand(2, 2, 3, 6)], 7,
         unidirectional=1, **base)


def grouped_cases():
    """GroupQueryAttention: prompts and decoding, packed, rotated, with windows and caps."""
    def one(name, batch, new, past, heads=4, groups=2, size=16, packed=False, rotary=0, positions=False, added=False,
            **attrs):
        total = new + past
        q, k, v = rand(batch, new, heads * size), rand(batch, new, groups * size), rand(batch, new, groups * size)
        cache = [rand(batch, groups, past, size) for _ in range(2)]
        if packed:
            q, k, v = np.concatenate([q, k, v], -1), None, None
        inputs = [q, k, v, *cache, ints([total - 1] * batch), ints([total])]
        if rotary:
            angle = np.outer(np.arange(64), 0.5 ** np.arange(rotary // 2)).astype(np.float32)
            inputs += [np.cos(angle), np.sin(angle)]
            attrs |= {"do_rotary": 1}
        if positions or added:
            inputs += [None] * (9 - len(inputs))
            inputs.append((np.arange(new)[None] + np.full((batch, 1), past)).astype(np.int64) if positions else None)
        if added:
            inputs.append(rand(batch, 1, new, total))
        case("gqa_" + name, "GroupQueryAttention", inputs, 7, num_heads=heads, kv_num_heads=groups, **attrs)
    one("prompt", 2, 5, 0)
    one("decode", 2, 1, 6)
    one("packed", 1, 5, 0, packed=True)
    one("packed_decode", 2, 1, 4, packed=True)
    one("rotary", 2, 5, 0, rotary=16)
    one("rotary_decode", 2, 1, 7, rotary=16)
    one("rotary_interleaved", 1, 5, 0, rotary=16, rotary_interleaved=1)
    one("rotary_packed", 1, 5, 0, rotary=16, packed=True)
    one("window", 1, 9, 0, local_window_size=3)
    one("window_decode", 1, 1, 9, local_window_size=4)
    one("cap", 2, 5, 0, softcap=2.0)
    one("scale", 2, 5, 0, scale=0.1)
    one("one_group", 1, 5, 0, groups=1)
    one("added", 1, 5, 0, added=True)
    one("positions", 1, 5, 0, rotary=16, positions=True)


def rotary_cases():
    """RotaryEmbedding of com.microsoft: inputs of both ranks, positions of both forms."""
    angle = np.outer(np.arange(20), 0.6 ** np.arange(4)).astype(np.float32)
    caches = [np.cos(angle), np.sin(angle)]
    flat, heads = rand(2, 5, 24), rand(2, 3, 5, 8)
    place = np.array([[0, 1, 2, 3, 4], [7, 8, 9, 10, 11]], np.int64)
    for interleaved in (0, 1):
        tail = "_interleaved" if interleaved else ""
        case("rotary" + tail, "RotaryEmbedding", [flat, place, *caches], interleaved=interleaved)
        case("rotary_heads" + tail, "RotaryEmbedding", [heads, place, *caches], interleaved=interleaved)
        case("rotary_offset" + tail, "RotaryEmbedding", [flat, np.array([3], np.int64), *caches], interleaved=interleaved)
    case("rotary_part", "RotaryEmbedding", [rand(2, 5, 36), place, *caches], num_heads=3, rotary_embedding_dim=8)


def norm_cases():
    """Norms with sums, embeddings, activations and products."""
    x, skip, scale, shift, bias = rand(2, 3, 8), rand(2, 3, 8), rand(8), rand(8), rand(8)
    case("skip_layer_norm", "SkipLayerNormalization", [x, skip, scale, shift, bias], epsilon=1e-5)
    case("skip_layer_norm_sum", "SkipLayerNormalization", [x, skip, scale, shift, bias], 9, epsilon=1e-5)
    case("skip_layer_norm_bare", "SkipLayerNormalization", [x, skip, scale])
    case("skip_layer_norm_shared", "SkipLayerNormalization", [x, rand(1, 3, 8), scale, shift])
    case("skip_rms_norm", "SkipSimplifiedLayerNormalization", [x, skip, scale, bias], epsilon=1e-6)
    case("skip_rms_norm_sum", "SkipSimplifiedLayerNormalization", [x, skip, scale], 9, epsilon=1e-6)
    ids, segments = ints(RNG.integers(0, 20, (2, 4))), ints(RNG.integers(0, 2, (2, 4)))
    tables = [rand(20, 8), rand(6, 8), rand(2, 8)]
    kept = ints([[1, 1, 1, 0], [1, 1, 0, 0]])
    case("embed", "EmbedLayerNormalization", [ids, segments, *tables, scale, shift, kept], 3, epsilon=1e-6)
    case("embed_no_segments", "EmbedLayerNormalization", [ids, None, *tables[:2], None, scale, shift], 3)
    case("embed_sum", "EmbedLayerNormalization", [ids, segments, *tables, scale, shift, kept], 7)
    case("embed_positions", "EmbedLayerNormalization",
         [ids, segments, *tables, scale, shift, None, ints(RNG.integers(0, 6, (2, 4)))], 3)
    case("fast_gelu", "FastGelu", [x])
    case("fast_gelu_bias", "FastGelu", [x, bias])
    case("bias_gelu", "BiasGelu", [x, bias])
    case("gelu", "Gelu", [x])
    case("quick_gelu", "QuickGelu", [x])
    case("quick_gelu_alpha", "QuickGelu", [x], alpha=1.0)
    case("fused_matmul", "FusedMatMul", [rand(2, 3, 4), rand(2, 5, 4)], transB=1, alpha=0.5)
    case("fused_matmul_a", "FusedMatMul", [rand(2, 4, 3), rand(2, 4, 5)], transA=1)


def optimised_bert():
    """A BERT of two small layers, as onnxruntime.transformers.optimizer fuses it."""
    from onnxruntime.transformers import optimizer
    models = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "models")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bert.onnx")
        subprocess.run([sys.executable, os.path.join(models, "restore_weights.py"),
                        os.path.join(models, "exported", "bert_tiny.torchscript17.onnx"), "-o", path], check=True)
        model = optimizer.optimize_model(path, "bert", num_heads=0, hidden_size=0, opt_level=0)
    ops = {n.op_type for n in model.model.graph.node}
    if not {"Attention", "SkipLayerNormalization", "EmbedLayerNormalization"} <= ops:
        raise RuntimeError(f"the optimiser left {sorted(ops)}")
    kept = np.array([[1] * 7, [1, 1, 1, 1, 0, 0, 0]], np.int64)
    feeds = {"input_ids": RNG.integers(0, 40, (2, 7)), "attention_mask": kept,
             "token_type_ids": RNG.integers(0, 2, (2, 7))}
    add("bert", model.model.SerializeToString(), {i.name: feeds[i.name] for i in model.model.graph.input})


def main(argv):
    """The command."""
    for family in (attention_cases, multi_head_cases, grouped_cases, rotary_cases, norm_cases, optimised_bert):
        family()
    path = argv[1] if len(argv) > 1 else "tests/onnx/microsoft.pack"
    with open(path, "wb") as f:
        for _, data in sorted(CASES):
            f.write(data)
    print(f"{len(CASES)} cases, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main(sys.argv)
