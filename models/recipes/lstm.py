"""A word-level LSTM language model as ONNX (the "medium" model of Zaremba et al.: 2 layers of 650).

Inputs ids (int64 [T, N]), h0 and c0 (float32 [layers, N, hidden]); outputs logits [T, N, vocab], hn and cn like
h0 and c0, so that a caller can go on where it stopped. --width scales the hidden and the embedding size.
"""

import math

from .builder import GraphBuilder, positive


def options(parser):
    """Command line options of this recipe."""
    parser.add_argument("--width", type=positive(float), default=1.0, help="scales hidden and embedding size")
    parser.add_argument("--hidden", type=positive(int), help="hidden size (650 x width)")
    parser.add_argument("--embedding", type=positive(int), help="embedding size (the hidden size)")
    parser.add_argument("--layers", type=positive(int), default=2)
    parser.add_argument("--vocab", type=positive(int), default=10000)
    parser.add_argument("--length", type=positive(int), default=35, help="sequence length of a static model")


def build(args):
    """The ModelProto for parsed arguments."""
    hidden = args.hidden or round(650 * args.width)
    embedding = args.embedding or hidden
    g = GraphBuilder(args.model, args.opset, args.seed)
    t, n = ("T", "N") if args.dynamic else (args.length, args.batch)
    state = [args.layers, n, hidden]

    ids, h0, c0 = g.input("ids", [t, n], "int64"), g.input("h0", state), g.input("c0", state)
    x = g.node("Gather", [g.weight("embedding", (args.vocab, embedding), 1.0), ids], "embedding_lookup")
    h_in = g.split(h0, [1] * args.layers, 0, "h0_split")
    c_in = g.split(c0, [1] * args.layers, 0, "c0_split")
    h_out, c_out = [], []
    inputs, gain = embedding, 1.0
    for i in range(args.layers):
        x, h, c = _layer(g, x, h_in[i], c_in[i], inputs, hidden, gain, f"lstm.{i}")
        h_out.append(h)
        c_out.append(c)
        inputs, gain = hidden, 2.5  # the hidden state of the layer below is small
    logits = g.dense(x, hidden, args.vocab, "decoder", gain=4.5)  # the hidden state is small: about 0.2
    g.output(logits, "logits", [t, n, args.vocab])
    g.output(g.node("Concat", h_out, "hn_concat", axis=0), "hn", state)
    g.output(g.node("Concat", c_out, "cn_concat", axis=0), "cn", state)
    return g.model()


def _layer(g, x, h, c, inputs, hidden, gain, name):
    """One LSTM; the gates are i, o, f, c as ONNX orders them."""
    w = g.weight(f"{name}.w", (1, 4 * hidden, inputs), gain / math.sqrt(inputs))
    r = g.weight(f"{name}.r", (1, 4 * hidden, hidden), 1.5 / math.sqrt(hidden))
    b = g.weight(f"{name}.b", (1, 8 * hidden), 0.2)
    y, h, c = g.node("LSTM", [x, w, r, b, "", h, c], name, outputs=3, hidden_size=hidden)
    return g.squeeze(y, [1], f"{name}.squeeze"), h, c
