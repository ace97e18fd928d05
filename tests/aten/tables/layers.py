"""Modules of torch.nn: convolutions, pools, norms, resampling, linear layers, activations."""

import torch
from torch import nn
from torch.nn import functional as F

from case_kit import T, net, op

# Convolutions
for n, conv, transposed, extent in (
    (1, nn.Conv1d, nn.ConvTranspose1d, (9,)),
    (2, nn.Conv2d, nn.ConvTranspose2d, (7, 6)),
    (3, nn.Conv3d, nn.ConvTranspose3d, (4, 5, 4)),
):
    x = T(2, 4, *extent)
    CONFIGS = {
        "plain": dict(),
        "padded": dict(padding=1),
        "strided": dict(stride=2, padding=1),
        "dilated": dict(dilation=2, padding=2),
        "grouped": dict(groups=2, padding=1),
        "no_bias": dict(bias=False),
        "same": dict(padding="same"),
        "valid": dict(padding="valid"),
        "reflect": dict(padding=1, padding_mode="reflect"),
        "zeros_circular": dict(padding=1, padding_mode="circular"),
        "replicate": dict(padding=1, padding_mode="replicate"),
    }
    for name, c in CONFIGS.items():
        net(f"Conv{n}d.{name}", lambda c=c, k=conv: k(4, 6, 3, **c), x)
    net(f"Conv{n}d.depthwise", lambda k=conv: k(4, 8, 3, padding=1, groups=4), x)
    net(f"Conv{n}d.pointwise", lambda k=conv: k(4, 5, 1), x)
    net(f"Conv{n}d.unbatched", lambda k=conv: k(4, 5, 3), T(4, *extent))
    net(f"Conv{n}d.f64", lambda k=conv: k(4, 5, 3).double(), T(1, 4, *extent, dt="f64"))
    net(f"Conv{n}d.f16", lambda k=conv: k(4, 5, 3).half(), T(1, 4, *extent, dt="f16"))
    TRANSPOSED = {
        "plain": dict(),
        "strided": dict(stride=2),
        "padded": dict(stride=2, padding=1, output_padding=1),
        "grouped": dict(groups=2, stride=2),
        "dilated": dict(dilation=2),
        "no_bias": dict(bias=False, padding=1),
    }
    for name, c in TRANSPOSED.items():
        net(f"ConvTranspose{n}d.{name}", lambda c=c, k=transposed: k(4, 6, 3, **c), x)
    net(f"ConvTranspose{n}d.unbatched", lambda k=transposed: k(4, 6, 2, 2), T(4, *extent))
net("Conv2d.uneven", lambda: nn.Conv2d(3, 5, (3, 2), (2, 1), (1, 0), (1, 2)), T(1, 3, 8, 9))
net("Conv2d.same_even", lambda: nn.Conv2d(3, 5, 4, padding="same"), T(1, 3, 7, 9))
net("Conv2d.channels_last", lambda: nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last), T(1, 3, 7, 9))
net("Conv2d.bf16", lambda: nn.Conv2d(3, 5, 3).bfloat16(), T(1, 3, 7, 9, dt="bf16"))
op("F.conv2d", F.conv2d, T(2, 3, 6, 5), T(4, 3, 3, 2), T(4))
op("F.conv2d.no_bias", lambda x, w: F.conv2d(x, w, stride=(2, 1), padding=(0, 2)), T(2, 3, 6, 5), T(4, 3, 3, 2))
op("F.conv1d", lambda x, w: F.conv1d(x, w, groups=3), T(2, 3, 9), T(6, 1, 3))
op("F.conv_transpose2d", lambda x, w: F.conv_transpose2d(x, w, stride=3), T(2, 3, 4, 5), T(3, 2, 2, 2))
op(
    "F.conv_transpose1d.output_padding",
    lambda x, w: F.conv_transpose1d(x, w, stride=3, output_padding=2),
    T(2, 3, 4),
    T(3, 2, 4),
)
op(
    "convolution",
    lambda x, w, b: torch.convolution(x, w, b, (1, 2), (1, 1), (1, 1), False, (0, 0), 1),
    T(2, 3, 6, 5),
    T(4, 3, 3, 3),
    T(4),
)
op(
    "convolution.transposed",
    lambda x, w: torch.convolution(x, w, None, (2, 2), (1, 0), (1, 1), True, (1, 0), 1),
    T(2, 3, 4, 5),
    T(3, 4, 3, 2),
)
op("conv_tbc", lambda x, w, b: torch.conv_tbc(x, w, b, 1), T(7, 2, 3), T(3, 3, 4), T(4))

# Pools
P = T(
    2,
    3,
    6,
    dt="i64",
    then=lambda x: torch.argsort(x + torch.rand(x.shape, generator=torch.Generator().manual_seed(1)), -1).reshape(
        2, 3, 2, 3
    )
    * 4,
)
for n, extent in ((1, (11,)), (2, (9, 8)), (3, (6, 5, 7))):
    x = T(2, 3, *extent)
    mp, ap, lp = (
        (getattr(nn, f"{k}Pool{n}d") for k in ("Max", "Avg", "LP"))
        if n < 3
        else (nn.MaxPool3d, nn.AvgPool3d, nn.LPPool3d)
    )
    for name, c in {
        "plain": dict(kernel_size=2),
        "strided": dict(kernel_size=3, stride=2),
        "padded": dict(kernel_size=3, stride=2, padding=1),
        "ceil": dict(kernel_size=3, stride=2, ceil_mode=True),
        "dilated": dict(kernel_size=2, dilation=2, stride=1),
    }.items():
        net(f"MaxPool{n}d.{name}", lambda c=c, k=mp: k(**c), x)
    net(f"MaxPool{n}d.indices", lambda k=mp: k(3, 2, 1, return_indices=True), T(2, 3, *extent))
    net(f"MaxPool{n}d.unbatched", lambda k=mp: k(2), T(3, *extent))
    for name, c in {
        "plain": dict(kernel_size=2),
        "padded": dict(kernel_size=3, stride=2, padding=1),
        "ceil": dict(kernel_size=3, stride=2, ceil_mode=True),
        "not_counted": dict(kernel_size=3, stride=2, padding=1, count_include_pad=False),
        "ceil_padded": dict(kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    }.items():
        net(f"AvgPool{n}d.{name}", lambda c=c, k=ap: k(**c), x)
    net(f"LPPool{n}d", lambda k=lp: k(2, 3, stride=2), x)
    ada, adm = getattr(nn, f"AdaptiveAvgPool{n}d"), getattr(nn, f"AdaptiveMaxPool{n}d")
    net(f"AdaptiveAvgPool{n}d.one", lambda k=ada: k(1), x)
    net(f"AdaptiveAvgPool{n}d.three", lambda k=ada: k(3), x)
    net(f"AdaptiveMaxPool{n}d.one", lambda k=adm: k(1), x)
    net(f"AdaptiveMaxPool{n}d.indices", lambda k=adm: k(3, return_indices=True), x)
    op(
        f"max_unpool{n}d",
        lambda x, f=getattr(F, f"max_unpool{n}d"), p=getattr(F, f"max_pool{n}d"): f(*p(x, 2, return_indices=True), 2),
        T(2, 3, *[e // 2 * 2 for e in extent]),
    )
op("max_unpool2d.given", lambda y, i: torch.ops.aten.max_unpool2d(y, i, (4, 6)), T(2, 3, 2, 3), P)
net("AvgPool2d.divisor", lambda: nn.AvgPool2d(2, divisor_override=3), T(2, 3, 6, 5))
net("AvgPool2d.uneven", lambda: nn.AvgPool2d((2, 3), (1, 2), (1, 0)), T(2, 3, 6, 5))
net("AdaptiveAvgPool2d.none", lambda: nn.AdaptiveAvgPool2d((None, 2)), T(2, 3, 6, 5))
net("AdaptiveAvgPool2d.larger", lambda: nn.AdaptiveAvgPool2d(7), T(1, 2, 4, 5))
net("AdaptiveAvgPool2d.even_cut", lambda: nn.AdaptiveAvgPool2d((3, 2)), T(1, 2, 6, 8))
net("AdaptiveMaxPool2d.uneven", lambda: nn.AdaptiveMaxPool2d((4, 3)), T(1, 2, 7, 8))
net("MaxUnpool2d.size", lambda: Unpool(), T(1, 2, 5, 7))
net("MaxPool2d.f16", lambda: nn.MaxPool2d(2), T(1, 2, 5, 7, dt="f16"))
op("max_pool2d.nan", lambda x: F.max_pool2d(x, 2), T(1, 2, 5, 6, kind="special"))
op("max_pool2d.negative", lambda x: F.max_pool2d(x, 3, 2, 1), T(1, 2, 5, 6, lo=-9, hi=-1))


class Unpool(nn.Module):
    """Max pool, then unpool to the size that it came from."""

    def forward(self, x):
        y, i = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(y, i, 2, output_size=x.shape[2:])


# Norms
net("BatchNorm1d", lambda: nn.BatchNorm1d(5), T(4, 5))
net("BatchNorm1d.3d", lambda: nn.BatchNorm1d(5), T(4, 5, 3))
net("BatchNorm2d", lambda: nn.BatchNorm2d(5), T(2, 5, 3, 4))
net("BatchNorm3d", lambda: nn.BatchNorm3d(5), T(2, 5, 3, 2, 2))
net("BatchNorm2d.not_affine", lambda: nn.BatchNorm2d(5, affine=False), T(2, 5, 3, 4))
net("BatchNorm2d.eps", lambda: nn.BatchNorm2d(5, eps=0.1), T(2, 5, 3, 4))
net("BatchNorm2d.untracked", lambda: nn.BatchNorm2d(5, track_running_stats=False), T(2, 5, 3, 4))
net("BatchNorm2d.f64", lambda: nn.BatchNorm2d(5).double(), T(2, 5, 3, 4, dt="f64"))
net("BatchNorm2d.f16", lambda: nn.BatchNorm2d(5).half(), T(2, 5, 3, 4, dt="f16"))
op("F.batch_norm", lambda x, m, v: F.batch_norm(x, m, v), T(2, 3, 4), T(3), T(3, lo=0.3, hi=2))
op("F.batch_norm.training", lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), T(2, 3, 4), T(3), T(3))
net("InstanceNorm1d", lambda: nn.InstanceNorm1d(3), T(2, 3, 7))
net("InstanceNorm2d", lambda: nn.InstanceNorm2d(3, affine=True), T(2, 3, 4, 5))
net("InstanceNorm3d", lambda: nn.InstanceNorm3d(3), T(2, 3, 2, 3, 4))
net("InstanceNorm2d.tracked", lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True), T(2, 3, 4, 5))
for shape in ((5,), (4, 5), (3, 4, 5)):
    net(f"LayerNorm.{len(shape)}", lambda s=shape: nn.LayerNorm(s), T(2, 3, 4, 5))
net("LayerNorm.not_affine", lambda: nn.LayerNorm(7, elementwise_affine=False), T(3, 7))
net("LayerNorm.no_bias", lambda: nn.LayerNorm(7, bias=False), T(3, 7))
net("LayerNorm.eps", lambda: nn.LayerNorm(7, eps=0.5), T(3, 7))
net("LayerNorm.f16", lambda: nn.LayerNorm(7).half(), T(3, 7, dt="f16"))
net("LayerNorm.bf16", lambda: nn.LayerNorm(7).bfloat16(), T(3, 7, dt="bf16"))
net("LayerNorm.f64", lambda: nn.LayerNorm(7).double(), T(3, 7, dt="f64"))
net("GroupNorm", lambda: nn.GroupNorm(2, 6), T(2, 6, 3, 4))
net("GroupNorm.one", lambda: nn.GroupNorm(1, 6), T(2, 6, 5))
net("GroupNorm.each", lambda: nn.GroupNorm(6, 6, affine=False), T(2, 6, 5))
net("GroupNorm.flat", lambda: nn.GroupNorm(3, 6), T(4, 6))
net("RMSNorm", lambda: nn.RMSNorm(7), T(3, 7))
net("RMSNorm.eps", lambda: nn.RMSNorm((4, 5), eps=1e-3), T(3, 4, 5))
net("RMSNorm.plain", lambda: nn.RMSNorm(7, elementwise_affine=False), T(2, 3, 7))
net("LocalResponseNorm", lambda: nn.LocalResponseNorm(3), T(2, 5, 3, 4))
net("LocalResponseNorm.even", lambda: nn.LocalResponseNorm(4, alpha=0.1, beta=0.5, k=2.0), T(2, 5, 6))
net("CrossMapLRN2d", lambda: nn.CrossMapLRN2d(3), T(2, 5, 3, 4))
op("F.layer_norm", lambda x: F.layer_norm(x, (4,)), T(3, 4))
op("F.rms_norm.handmade", lambda x, w: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w, T(3, 8), T(8))

# Linear layers
for dt, cast in (
    ("f32", lambda m: m),
    ("f16", lambda m: m.half()),
    ("bf16", lambda m: m.bfloat16()),
    ("f64", lambda m: m.double()),
):
    net(f"Linear.{dt}", lambda c=cast: c(nn.Linear(7, 5)), T(3, 7, dt=dt))
net("Linear.no_bias", lambda: nn.Linear(7, 5, bias=False), T(3, 7))
net("Linear.1d", lambda: nn.Linear(7, 5), T(7))
net("Linear.4d", lambda: nn.Linear(7, 5), T(2, 3, 2, 7))
net("Linear.empty", lambda: nn.Linear(7, 5), T(0, 7))
net("Bilinear", lambda: nn.Bilinear(4, 5, 3), T(6, 4), T(6, 5))
net("Bilinear.no_bias", lambda: nn.Bilinear(4, 5, 3, bias=False), T(2, 3, 4), T(2, 3, 5))
net("Identity", nn.Identity, T(3, 4))
net("Flatten", nn.Flatten, T(2, 3, 4))
net("Unflatten", lambda: nn.Unflatten(1, (2, 3)), T(2, 6, 4))
net("Dropout", nn.Dropout, T(3, 4))
net("Dropout2d", nn.Dropout2d, T(2, 3, 4, 2))
net("AlphaDropout", nn.AlphaDropout, T(3, 4))
net("FeatureAlphaDropout", nn.FeatureAlphaDropout, T(2, 3, 4))
net("Embedding", lambda: nn.Embedding(9, 5), T(3, 4, dt="i64", lo=0, hi=9))
net("Embedding.padding", lambda: nn.Embedding(9, 5, padding_idx=0), T(3, dt="i64", lo=0, hi=9))
net("EmbeddingBag", lambda: nn.EmbeddingBag(9, 5), T(3, 4, dt="i64", lo=0, hi=9))
net(
    "EmbeddingBag.offsets",
    lambda: nn.EmbeddingBag(9, 5, mode="max"),
    T(8, dt="i64", lo=0, hi=9),
    torch.tensor([0, 3, 5]),
)
net("CosineSimilarity", nn.CosineSimilarity, T(3, 5), T(3, 5))
net("CosineSimilarity.dim", lambda: nn.CosineSimilarity(dim=2), T(2, 3, 5), T(3, 5))
net("PairwiseDistance", nn.PairwiseDistance, T(3, 5), T(3, 5))
net("PairwiseDistance.p1", lambda: nn.PairwiseDistance(p=1.0, keepdim=True), T(3, 5), T(3, 5))
for name in (
    "Threshold",
    "ReLU",
    "ReLU6",
    "ELU",
    "SELU",
    "CELU",
    "GELU",
    "SiLU",
    "Mish",
    "Softplus",
    "Softsign",
    "Hardtanh",
    "Hardsigmoid",
    "Hardswish",
    "Hardshrink",
    "Softshrink",
    "Tanhshrink",
    "LogSigmoid",
    "Sigmoid",
    "Tanh",
    "LeakyReLU",
    "RReLU",
    "GLU",
    "Softmin",
):
    arguments = (0.1, 2.0) if name == "Threshold" else (1,) if name == "Softmin" else ()
    net(name, lambda n=name, a=arguments: getattr(nn, n)(*a), T(3, 8, lo=-4, hi=4))
net("PReLU", lambda: nn.PReLU(3), T(2, 3, 4))
net("PReLU.one", nn.PReLU, T(2, 3, 4))
net("Softmax", lambda: nn.Softmax(1), T(3, 8))
net("Softmax2d", nn.Softmax2d, T(2, 3, 2, 2))
net("LogSoftmax", lambda: nn.LogSoftmax(1), T(3, 8))
net("AdaptiveLogSoftmax.log_prob", lambda: LogProb(), T(4, 8))


class LogProb(nn.Module):
    """The part of nn.AdaptiveLogSoftmaxWithLoss without data-dependent control flow."""

    def __init__(self):
        super().__init__()
        self.head = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4, 8])

    def forward(self, x):
        return self.head.log_prob(x)


for name, n in (
    ("ZeroPad1d", 3),
    ("ZeroPad2d", 4),
    ("ReflectionPad1d", 3),
    ("ReflectionPad2d", 4),
    ("ReplicationPad1d", 3),
    ("ReplicationPad2d", 4),
    ("ReplicationPad3d", 5),
    ("ReflectionPad3d", 5),
    ("CircularPad1d", 3),
    ("CircularPad2d", 4),
    ("ZeroPad3d", 5),
    ("CircularPad3d", 5),
):
    net(name, lambda k=name: getattr(nn, k)(1), T(*(2, 2, 3, 4, 3)[:n]))
net("ConstantPad1d", lambda: nn.ConstantPad1d((1, 2), 0.5), T(2, 3, 4))
net("ConstantPad2d", lambda: nn.ConstantPad2d((1, 0, 2, 1), -0.5), T(2, 3, 4))
net("ConstantPad3d", lambda: nn.ConstantPad3d(1, 2.5), T(1, 2, 2, 3, 2))
net("PixelShuffle", lambda: nn.PixelShuffle(2), T(2, 8, 3, 2))
net("PixelShuffle.three", lambda: nn.PixelShuffle(3), T(9, 2, 3))
net("PixelUnshuffle", lambda: nn.PixelUnshuffle(2), T(2, 2, 4, 6))
net("ChannelShuffle", lambda: nn.ChannelShuffle(2), T(2, 6, 3, 2))
net("Unfold", lambda: nn.Unfold((2, 3), padding=1, stride=(2, 1)), T(2, 3, 5, 6))
net("Unfold.dilated", lambda: nn.Unfold(2, dilation=2), T(1, 2, 5, 6))
net("Fold", lambda: nn.Fold((4, 5), (2, 3), padding=1), T(2, 12, 25))
net("Fold.strided", lambda: nn.Fold((6, 6), 2, stride=2), T(1, 8, 9))

# Resampling
for mode, n, extents in (
    ("nearest", 1, (5,)),
    ("nearest", 2, (4, 5)),
    ("nearest", 3, (3, 4, 2)),
    ("nearest-exact", 1, (5,)),
    ("nearest-exact", 2, (4, 5)),
    ("nearest-exact", 3, (3, 4, 2)),
    ("linear", 1, (5,)),
    ("bilinear", 2, (4, 5)),
    ("bicubic", 2, (5, 6)),
    ("trilinear", 3, (3, 4, 2)),
    ("area", 2, (6, 5)),
):
    x, label = T(1, 2, *extents), f"interpolate.{mode}{n}d"
    for align in (False, True) if "linear" in mode or mode == "bicubic" else (None,):
        options = {"align_corners": align} if align is not None else {}
        end = {None: "", True: ".aligned", False: ""}[align]
        op(
            f"{label}.size{end}",
            lambda x, m=mode, o=options, s=tuple(2 * e - 1 for e in extents): F.interpolate(x, size=s, mode=m, **o),
            x,
        )
        op(f"{label}.scale{end}", lambda x, m=mode, o=options: F.interpolate(x, scale_factor=2.0, mode=m, **o), x)
        op(
            f"{label}.scale_uneven{end}",
            lambda x, m=mode, o=options: F.interpolate(x, scale_factor=1.7, mode=m, **o),
            x,
        )
        op(
            f"{label}.down{end}",
            lambda x, m=mode, o=options, s=tuple(max(1, e // 2) for e in extents): F.interpolate(
                x, size=s, mode=m, **o
            ),
            x,
        )
op(
    "interpolate.recompute",
    lambda x: F.interpolate(x, scale_factor=1.6, mode="bilinear", recompute_scale_factor=True),
    T(1, 2, 4, 5),
)
op("interpolate.antialias", lambda x: F.interpolate(x, size=(3, 4), mode="bilinear", antialias=True), T(1, 2, 7, 9))
op("interpolate.f16", lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"), T(1, 2, 3, 4, dt="f16"))
op("interpolate.u8_nearest", lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), T(1, 2, 3, 4, dt="u8"))
net("Upsample", lambda: nn.Upsample(scale_factor=2), T(1, 2, 3, 4))
net("Upsample.bilinear", lambda: nn.Upsample(size=(5, 7), mode="bilinear", align_corners=True), T(1, 2, 3, 4))
net("UpsamplingNearest2d", lambda: nn.UpsamplingNearest2d(scale_factor=3), T(1, 2, 3, 4))
net("UpsamplingBilinear2d", lambda: nn.UpsamplingBilinear2d(scale_factor=2), T(1, 2, 3, 4))
for mode in ("bilinear", "nearest", "bicubic"):
    for padding in ("zeros", "border", "reflection"):
        for align in (False, True):
            op(
                f"grid_sample.{mode}_{padding}_{align}",
                lambda x, g, m=mode, p=padding, a=align: F.grid_sample(x, g, m, p, a),
                T(2, 2, 5, 6),
                T(2, 3, 4, 2, lo=-1.4, hi=1.4),
            )
op(
    "grid_sample.3d",
    lambda x, g: F.grid_sample(x, g, align_corners=False),
    T(1, 2, 3, 4, 5),
    T(1, 2, 3, 2, 3, lo=-1.2, hi=1.2),
)
op(
    "grid_sample.3d_nearest",
    lambda x, g: F.grid_sample(x, g, "nearest", "border", True),
    T(1, 2, 3, 4, 5),
    T(1, 2, 3, 2, 3, lo=-1.2, hi=1.2),
)
for align in (False, True):
    op(f"affine_grid.{align}", lambda t, a=align: F.affine_grid(t, (2, 3, 4, 5), a), T(2, 2, 3))
    op(f"affine_grid.3d_{align}", lambda t, a=align: F.affine_grid(t, (2, 1, 3, 4, 2), a), T(2, 3, 4))
op(
    "spatial_transformer",
    lambda x, t: F.grid_sample(x, F.affine_grid(t, x.shape, align_corners=False), align_corners=False),
    T(2, 3, 5, 6),
    T(2, 2, 3, lo=-1, hi=1),
)

# Blocks
net(
    "Sequential.mlp",
    lambda: nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 4), nn.Softmax(-1)),
    T(3, 5),
    full=True,
)
net(
    "Sequential.cnn",
    lambda: nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    ),
    T(2, 3, 8, 7),
)
net(
    "Sequential.depthwise",
    lambda: nn.Sequential(
        nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.BatchNorm2d(4), nn.ReLU6(True), nn.Conv2d(4, 6, 1), nn.Hardswish(True)
    ),
    T(1, 4, 6, 7),
)
net("weight_norm", lambda: torch.nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)), T(3, 5))
net("weight_norm.old", lambda: torch.nn.utils.weight_norm(nn.Conv1d(3, 4, 3)), T(2, 3, 7))
net("spectral_norm", lambda: torch.nn.utils.parametrizations.spectral_norm(nn.Linear(5, 4)), T(3, 5))
net("ParameterList", lambda: Listed(), T(3, 5))


class Listed(nn.Module):
    """Parameters and modules in lists and dictionaries."""

    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(5, 5)) for _ in range(2)])
        self.named = nn.ParameterDict({"a": nn.Parameter(torch.randn(5))})
        self.layers = nn.ModuleList([nn.Linear(5, 5) for _ in range(2)])
        self.choice = nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})

    def forward(self, x):
        for w, layer in zip(self.weights, self.layers):
            x = self.choice["tanh"](layer(x @ w))
        return self.choice["relu"](x + self.named["a"])
