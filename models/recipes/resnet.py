"""ResNet-18 and ResNet-50 (v1.5: the stride is on the 3x3 convolution) as ONNX, batch norms not folded.

Input "image" [N, 3, S, S], output "logits" [N, classes]. --width multiplies every channel count.
"""

from .builder import GraphBuilder, positive

_BLOCKS = {"resnet18": ("basic", (2, 2, 2, 2)), "resnet50": ("bottleneck", (3, 4, 6, 3))}

# Standard deviation of a residual branch beside a shortcut of about 1, and what a ReLU then leaves of the
# variance of their sum (mostly positive, so more than RELU_VARIANCE).
_BRANCH = 0.5
_RELU_AFTER_IDENTITY = 0.7


def options(parser):
    """Command line options of this recipe."""
    parser.add_argument("--width", type=positive(float), default=1.0, help="multiplies every channel count")
    parser.add_argument("--size", type=positive(int, 32), default=224, help="image height and width")
    parser.add_argument("--classes", type=positive(int), default=1000)


def build(args):
    """The ModelProto for parsed arguments."""
    kind, blocks = _BLOCKS[args.model]
    g = GraphBuilder(args.model, args.opset, args.seed)
    widths = [max(1, round(c * args.width)) for c in (64, 128, 256, 512)]
    expansion = 1 if kind == "basic" else 4
    n = "N" if args.dynamic else args.batch

    x = g.input("image", [n, 3, args.size, args.size])
    x = g.relu(g.batch_norm(g.conv(x, widths[0], 7, "stem.conv", stride=2), "stem.bn"), "stem.relu")
    x = g.max_pool(x, 3, 2, 1, "stem.pool")
    for stage, (width, count) in enumerate(zip(widths, blocks)):
        for i in range(count):
            stride = 2 if stage > 0 and i == 0 else 1
            x = _block(g, x, kind, width, width * expansion, stride, f"stage{stage + 1}.{i}")
    y = g.classifier(x, args.classes, "fc", std_in=0.35)
    g.output(y, "logits", [n, args.classes])
    return g.model()


def _block(g, x, kind, inner, outer, stride, name):
    def unit(y, channels, kernel, index, stride=1):
        y = g.batch_norm(g.conv(y, channels, kernel, f"{name}.conv{index}", stride), f"{name}.bn{index}")
        return g.relu(y, f"{name}.relu{index}")

    if kind == "basic":
        y, last, kernel = unit(x, inner, 3, 1, stride), 2, 3
    else:
        y, last, kernel = unit(unit(x, inner, 1, 1), inner, 3, 2, stride), 3, 1
    y = g.batch_norm(g.conv(y, outer, kernel, f"{name}.conv{last}"), f"{name}.bn{last}", scale=_BRANCH)

    if stride == 1 and g.spatial[x][0] == outer:
        return g.relu(g.add(y, x, f"{name}.add"), f"{name}.relu", _RELU_AFTER_IDENTITY)
    shortcut = g.batch_norm(g.conv(x, outer, 1, f"{name}.down.conv", stride), f"{name}.down.bn")
    return g.relu(g.add(y, shortcut, f"{name}.add"), f"{name}.relu")
