"""MobileNetV2 as ONNX, batch norms not folded, ReLU6 as Clip.

Input "image" [N, 3, S, S], output "logits" [N, classes]. --width is the paper's width multiplier.
"""

from .builder import GraphBuilder, positive

# expansion, channels, repeats, first stride (table 2 of the paper)
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

# Standard deviation of a residual branch beside a shortcut of 1 or a little more.
_BRANCH = 0.6


def options(parser):
    """Command line options of this recipe."""
    parser.add_argument("--width", type=positive(float), default=1.0, help="multiplier; channels stay multiples of 8")
    parser.add_argument("--size", type=positive(int, 32), default=224, help="image height and width")
    parser.add_argument("--classes", type=positive(int), default=1000)


def build(args):
    """The ModelProto for parsed arguments."""
    g = GraphBuilder(args.model, args.opset, args.seed)
    n = "N" if args.dynamic else args.batch

    x = g.input("image", [n, 3, args.size, args.size])
    x = _unit(g, x, _divisible(32 * args.width), 3, "stem", stride=2)
    for stage, (expansion, channels, repeats, stride) in enumerate(_STAGES):
        for i in range(repeats):
            x = _block(g, x, expansion, _divisible(channels * args.width), stride if i == 0 else 1, f"stage{stage}.{i}")
    last = _divisible(1280 * args.width)
    x = _unit(g, x, last, 1, "head")
    y = g.classifier(x, args.classes, "fc", std_in=0.35)
    g.output(y, "logits", [n, args.classes])
    return g.model()


def _divisible(channels, by=8):
    """The multiple of `by` nearest to `channels`, never more than 10 % below it."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


def _unit(g, x, channels, kernel, name, stride=1, groups=1):
    x = g.conv(x, channels, kernel, name + ".conv", stride, groups)
    return g.relu6(g.batch_norm(x, name + ".bn"), name + ".relu6")


def _block(g, x, expansion, channels, stride, name):
    inputs = g.spatial[x][0]
    hidden = inputs * expansion
    y = x if expansion == 1 else _unit(g, x, hidden, 1, name + ".expand")
    y = _unit(g, y, hidden, 3, name + ".depthwise", stride, groups=hidden)
    residual = stride == 1 and inputs == channels
    y = g.conv(y, channels, 1, name + ".project.conv")
    y = g.batch_norm(y, name + ".project.bn", scale=_BRANCH if residual else 1.0)
    return g.add(x, y, name + ".add") if residual else y
