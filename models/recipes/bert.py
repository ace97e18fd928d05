"""BERT-base (uncased sizes) as ONNX: post-norm encoder with erf-GELU and the pooler.

Inputs input_ids, attention_mask, token_type_ids (int64 [N, T]); outputs last_hidden_state [N, T, hidden] and
pooler_output [N, hidden]. --width scales hidden size, heads and FFN together; each can be set on its own.
"""

import math

import numpy as np

from .builder import GraphBuilder, RecipeError, positive


def options(parser):
    """Command line options of this recipe."""
    parser.add_argument("--width", type=positive(float), default=1.0, help="scales hidden size, heads and FFN size")
    parser.add_argument("--hidden", type=positive(int), help="hidden size (768 x width)")
    parser.add_argument("--heads", type=positive(int), help="attention heads (12 x width)")
    parser.add_argument("--ffn", type=positive(int), help="FFN size (4 x hidden)")
    parser.add_argument("--layers", type=positive(int), default=12)
    parser.add_argument("--vocab", type=positive(int), default=30522)
    parser.add_argument("--max-position", type=positive(int), default=512)
    parser.add_argument("--length", type=positive(int), default=128, help="sequence length of a static model")


def build(args):
    """The ModelProto for parsed arguments."""
    hidden = args.hidden or round(768 * args.width)
    heads = args.heads or max(1, round(12 * args.width))
    ffn = args.ffn or 4 * hidden
    if hidden % heads:
        raise RecipeError(f"hidden size {hidden} is not a multiple of {heads} heads")
    if args.dynamic and args.opset < 10:
        raise RecipeError("bert-base --dynamic needs Slice with inputs, which came with opset 10")
    if not args.dynamic and args.length > args.max_position:
        raise RecipeError(f"length {args.length} is beyond --max-position {args.max_position}")
    g = GraphBuilder(args.model, args.opset, args.seed)
    n, t = ("N", "T") if args.dynamic else (args.batch, args.length)

    ids, mask, types = (g.input(name, [n, t], "int64") for name in ("input_ids", "attention_mask", "token_type_ids"))
    x = _embed(g, ids, types, args, hidden)
    bias = _mask_bias(g, mask)
    for i in range(args.layers):
        x = _layer(g, x, bias, hidden, heads, ffn, f"encoder.{i}")
    pooled = _pool(g, x, hidden)
    g.output(x, "last_hidden_state", [n, t, hidden])
    g.output(pooled, "pooler_output", [n, hidden])
    return g.model()


def _embed(g, ids, types, args, hidden):
    words = g.weight("embeddings.word", (args.vocab, hidden), 1.0)
    positions = g.weight("embeddings.position", (args.max_position, hidden), 0.5)
    segments = g.weight("embeddings.type", (2, hidden), 0.5)
    index = g.constant("embeddings.position_ids", np.arange(args.max_position, dtype=np.int64)[None])
    if args.dynamic:
        length = g.node("Gather", [g.node("Shape", [ids], "embeddings.shape"), g.ints(1)], "embeddings.length", axis=0)
        index = g.node("Slice", [index, g.ints(0), length, g.ints(1)], "embeddings.positions")
    elif g.opset >= 10:
        index = g.node("Slice", [index, g.ints(0), g.ints(args.length), g.ints(1)], "embeddings.positions")
    else:
        index = g.node("Slice", [index], "embeddings.positions", axes=[1], starts=[0], ends=[args.length])
    x = g.node("Gather", [words, ids], "embeddings.word_lookup")
    x = g.add(x, g.node("Gather", [segments, types], "embeddings.type_lookup"), "embeddings.add_type")
    x = g.add(x, g.node("Gather", [positions, index], "embeddings.position_lookup"), "embeddings.add_position")
    return g.layer_norm(x, hidden, "embeddings.norm")


def _mask_bias(g, mask):
    """[N, 1, 1, T]: 0 where the mask is 1, -10000 where it is 0."""
    m = g.cast(g.unsqueeze(mask, [1, 2], "mask.unsqueeze"), "float32", "mask.cast")
    inverse = g.node("Sub", [g.scalar("1", 1.0), m], "mask.inverse")
    return g.node("Mul", [inverse, g.scalar("mask", -10000.0)], "mask.bias")


def _layer(g, x, bias, hidden, heads, ffn, name):
    head = hidden // heads

    def split_heads(part, perm):
        y = g.dense(x, hidden, hidden, f"{name}.{part}")
        y = g.node("Reshape", [y, g.ints(0, 0, heads, head)], f"{name}.{part}_heads")
        return g.node("Transpose", [y], f"{name}.{part}_transpose", perm=perm)

    query, key, value = (split_heads("query", [0, 2, 1, 3]), split_heads("key", [0, 2, 3, 1]),
                         split_heads("value", [0, 2, 1, 3]))
    scores = g.node("MatMul", [query, key], f"{name}.scores")
    scores = g.node("Div", [scores, g.scalar("head", math.sqrt(head))], f"{name}.scaled")
    weights = g.node("Softmax", [g.add(scores, bias, f"{name}.masked")], f"{name}.softmax", axis=3)
    context = g.node("MatMul", [weights, value], f"{name}.context")
    context = g.node("Transpose", [context], f"{name}.context_transpose", perm=[0, 2, 1, 3])
    context = g.node("Reshape", [context, g.ints(0, 0, hidden)], f"{name}.context_merge")
    y = g.dense(context, hidden, hidden, f"{name}.attention_out", gain=2.0)  # attention averages: less variance
    x = g.layer_norm(g.add(y, x, f"{name}.attention_add"), hidden, f"{name}.attention_norm")

    y = g.gelu(g.dense(x, hidden, ffn, f"{name}.ffn_in"), f"{name}.gelu")
    y = g.dense(y, ffn, hidden, f"{name}.ffn_out", gain=1.5)  # GELU keeps 0.43 of the second moment
    return g.layer_norm(g.add(y, x, f"{name}.ffn_add"), hidden, f"{name}.ffn_norm")


def _pool(g, x, hidden):
    first = g.node("Gather", [x, g.constant("const_first", np.array(0, np.int64))], "pooler.first", axis=1)
    weight = g.weight("pooler.weight", (hidden, hidden), 1.0 / math.sqrt(hidden))
    bias = g.weight("pooler.bias", (hidden,), 0.1)
    return g.node("Tanh", [g.node("Gemm", [first, weight, bias], "pooler.dense", transB=1)], "pooler.tanh")
