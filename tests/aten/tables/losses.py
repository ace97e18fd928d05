"""Losses, as modules and functions, with their reductions."""

import torch
from torch import nn
from torch.nn import functional as F

from case_kit import T, net, op

A, B = T(4, 5), T(4, 5)
SIMPLE = {
    "L1Loss": (A, B),
    "MSELoss": (A, B),
    "SmoothL1Loss": (A, B),
    "HuberLoss": (A, B),
    "KLDivLoss": (T(4, 5, lo=-3, hi=-0.2), T(4, 5, lo=0.1, hi=0.9)),
    "BCELoss": (T(4, 5, lo=0.05, hi=0.95), T(4, 5, lo=0, hi=1)),
    "BCEWithLogitsLoss": (A, T(4, 5, lo=0, hi=1)),
    "SoftMarginLoss": (A, T(4, 5, then=torch.sign)),
    "PoissonNLLLoss": (A, T(4, 5, lo=0.1, hi=4)),
    "MultiLabelSoftMarginLoss": (A, T(4, 5, lo=0, hi=1, then=torch.round)),
    "HingeEmbeddingLoss": (A, T(4, 5, then=torch.sign)),
}
for name, inputs in SIMPLE.items():
    for reduction in ("mean", "sum", "none"):
        net(f"{name}.{reduction}", lambda n=name, r=reduction: getattr(nn, n)(reduction=r), *inputs)
net("SmoothL1Loss.beta", lambda: nn.SmoothL1Loss(beta=0.3), A, B)
net("HuberLoss.delta", lambda: nn.HuberLoss(delta=0.4), A, B)
net("KLDivLoss.batchmean", lambda: nn.KLDivLoss(reduction="batchmean"), *SIMPLE["KLDivLoss"])
net(
    "KLDivLoss.log_target",
    lambda: nn.KLDivLoss(reduction="sum", log_target=True),
    T(4, 5, lo=-3, hi=-0.2),
    T(4, 5, lo=-3, hi=-0.2),
)
net(
    "PoissonNLLLoss.full",
    lambda: nn.PoissonNLLLoss(log_input=False, full=True),
    T(4, 5, lo=0.2, hi=3),
    T(4, 5, lo=0.1, hi=4),
)
op(
    "binary_cross_entropy.weight",
    lambda x, y, w: F.binary_cross_entropy(x, y, w),
    *SIMPLE["BCELoss"],
    T(5, lo=0.2, hi=2),
)
op(
    "bce_with_logits.weights",
    lambda x, y, w, p: F.binary_cross_entropy_with_logits(x, y, w, pos_weight=p),
    *SIMPLE["BCEWithLogitsLoss"],
    T(5, lo=0.2, hi=2),
    T(5, lo=0.2, hi=2),
)
net("GaussianNLLLoss", nn.GaussianNLLLoss, A, B, T(4, 5, lo=0.2, hi=2), forms=("pt2", "pt"))
SIGN = T(4, then=torch.sign)
for reduction in ("mean", "none"):
    net(f"MarginRankingLoss.{reduction}", lambda r=reduction: nn.MarginRankingLoss(0.3, reduction=r), T(4), T(4), SIGN)
    net(f"CosineEmbeddingLoss.{reduction}", lambda r=reduction: nn.CosineEmbeddingLoss(0.2, reduction=r), A, B, SIGN)
    net(f"TripletMarginLoss.{reduction}", lambda r=reduction: nn.TripletMarginLoss(reduction=r), A, B, T(4, 5))
    net(
        f"MultiMarginLoss.{reduction}",
        lambda r=reduction: nn.MultiMarginLoss(reduction=r),
        A,
        T(4, dt="i64", lo=0, hi=5),
    )
net("TripletMarginLoss.swap", lambda: nn.TripletMarginLoss(p=1.0, swap=True, reduction="none"), A, B, T(4, 5))
net("TripletMarginWithDistanceLoss", lambda: nn.TripletMarginWithDistanceLoss(margin=0.5), A, B, T(4, 5))
net(
    "MultiLabelMarginLoss",
    nn.MultiLabelMarginLoss,
    A,
    torch.tensor([[3, 0, -1, 1, 4], [0, 1, 2, -1, 3], [4, -1, 0, 1, 2], [2, 3, 1, -1, 0]]),
)
CLASS = T(4, dt="i64", lo=0, hi=5)
for reduction in ("mean", "sum", "none"):
    net(f"CrossEntropyLoss.{reduction}", lambda r=reduction: nn.CrossEntropyLoss(reduction=r), A, CLASS)
    net(f"NLLLoss.{reduction}", lambda r=reduction: nn.NLLLoss(reduction=r), T(4, 5, lo=-3, hi=0), CLASS)
    net(
        f"CrossEntropyLoss.smooth_{reduction}",
        lambda r=reduction: nn.CrossEntropyLoss(reduction=r, label_smoothing=0.1),
        A,
        CLASS,
    )
    net(
        f"CrossEntropyLoss.weight_{reduction}",
        lambda r=reduction: nn.CrossEntropyLoss(torch.linspace(0.5, 2, 5), reduction=r),
        A,
        CLASS,
    )
    net(
        f"CrossEntropyLoss.2d_{reduction}",
        lambda r=reduction: nn.CrossEntropyLoss(reduction=r, ignore_index=1),
        T(2, 5, 3, 4),
        T(2, 3, 4, dt="i64", lo=0, hi=5),
    )
    net(
        f"CrossEntropyLoss.probabilities_{reduction}",
        lambda r=reduction: nn.CrossEntropyLoss(reduction=r),
        A,
        T(4, 5, then=lambda x: x.softmax(1)),
    )
net(
    "CrossEntropyLoss.smooth_weight",
    lambda: nn.CrossEntropyLoss(torch.linspace(0.5, 2, 5), label_smoothing=0.2),
    A,
    CLASS,
)
net("CrossEntropyLoss.unbatched", nn.CrossEntropyLoss, T(5), T(dt="i64", lo=0, hi=5))
net("NLLLoss.weight", lambda: nn.NLLLoss(torch.linspace(0.5, 2, 5), ignore_index=2), T(4, 5, lo=-3, hi=0), CLASS)
net("NLLLoss.2d", nn.NLLLoss, T(2, 5, 3, 4, lo=-3, hi=0), T(2, 3, 4, dt="i64", lo=0, hi=5))
net(
    "CTCLoss",
    lambda: nn.CTCLoss(),
    T(6, 2, 5, then=lambda x: x.log_softmax(2)),
    T(2, 3, dt="i64", lo=1, hi=5),
    torch.tensor([6, 5]),
    torch.tensor([3, 2]),
)
op("F.pairwise_distance", F.pairwise_distance, A, B)
op("F.pdist", F.pdist, A)
for p in (1.0, 2.0, float("inf")):
    op(f"cdist.p{p}", lambda x, y, p=p: torch.cdist(x, y, p), T(2, 3, 4), T(2, 5, 4))
op("F.cosine_similarity", F.cosine_similarity, A, B)
op(
    "perplexity",
    lambda x, y: torch.exp(F.cross_entropy(x.view(-1, 5), y.view(-1))),
    T(2, 3, 5),
    T(2, 3, dt="i64", lo=0, hi=5),
)
