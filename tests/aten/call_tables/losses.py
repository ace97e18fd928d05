"""Losses with their reductions."""

import torch

from call_kit import T, case

A, B = T(4, 5), T(4, 5)
SG = T(4, 5).sign()
for r in range(3):
    for dt in (torch.float32, torch.float64):
        a, b = A.to(dt), B.to(dt)
        case("mse_loss", a, b, r)
        case("l1_loss", a, b, r)
        case("smooth_l1_loss", a, b, r)
        case("smooth_l1_loss", a, b, r, 0.3)
        case("smooth_l1_loss", a, b, r, 0.0)
        case("huber_loss", a, b, r, 0.4)
        case("soft_margin_loss", a, SG.to(dt), r)
        case("binary_cross_entropy", T(4, 5, lo=0, hi=1).to(dt), T(4, 5, lo=0, hi=1).to(dt), None, r)
        case("binary_cross_entropy_with_logits", a, T(4, 5, lo=0, hi=1).to(dt), None, None, r)
        case("kl_div", a, T(4, 5, lo=0.1, hi=0.9).to(dt), r)
        case("kl_div", a, b, r, log_target=True)
        case("poisson_nll_loss", a, T(4, 5, lo=0.1, hi=4).to(dt), True, False, 1e-8, r)
        case("poisson_nll_loss", T(4, 5, lo=0.2, hi=3).to(dt), T(4, 5, lo=0.1, hi=4).to(dt), False, True, 1e-8, r)
        case("hinge_embedding_loss", a, SG.to(dt), 0.7, r)
        case("margin_ranking_loss", a, b, SG.to(dt), 0.3, r)
        case("cosine_embedding_loss", a, b, T(4).sign().to(dt), 0.2, r)
        case("triplet_margin_loss", a, b, T(4, 5).to(dt), 1.0, 2.0, 1e-6, False, r)
        case("triplet_margin_loss", a, b, T(4, 5).to(dt), 1.0, 1.0, 1e-6, True, r)
    case("mse_loss", A, T(5), r)
    case("mse_loss", T(), T(), r)
    case("kl_div", A, torch.tensor([0.0, 1.0, 0.5, 0.0, 0.2]), r)
    case("binary_cross_entropy", torch.tensor([0.0, 1.0, 0.5]), torch.tensor([1.0, 1.0, 0.0]), T(3), r)
    case("binary_cross_entropy_with_logits", A, T(4, 5, lo=0, hi=1), T(5), T(5, lo=0.1, hi=2), r)
    case(
        "binary_cross_entropy_with_logits",
        torch.tensor([100.0, -100.0, float("inf")]),
        torch.tensor([0.0, 1.0, 1.0]),
        None,
        None,
        r,
    )
    case("cosine_embedding_loss", T(5), T(5), torch.tensor(1.0), 0.2, r)
    case("cosine_embedding_loss", A, B, torch.tensor([1, -1, 1, -1]), 0.2, r)
    c = torch.randint(0, 5, (4,))
    ci = c.clone()
    ci[1] = -100
    lp = A.log_softmax(1)
    w = T(5, lo=0.2, hi=2)
    for cls in (c, ci):
        for ww in (None, w):
            case("nll_loss", lp, cls, ww, r)
            case("nll_loss_forward", lp, cls, ww, r, -100)
            case("nll_loss_nd", lp, cls, ww, r)
            for ls in (0.0, 0.1):
                case("cross_entropy_loss", A, cls, ww, r, -100, ls)
                case("cross_entropy_loss", A, c, ww, r, 2, ls)
    case("nll_loss", lp[0], c[0], None, r)
    case("nll_loss", lp, torch.full((4,), -100), None, r)
    im = T(2, 5, 3, 4)
    t = torch.randint(0, 5, (2, 3, 4))
    case("nll_loss2d", im, t, w, r, 1)
    case("nll_loss2d_forward", im, t, None, r, 1, skip=(1,))
    case("nll_loss_nd", im, t, w, r)
    case("nll_loss_nd", T(2, 5, 3), torch.randint(0, 5, (2, 3)), w, r)
    for ls in (0.0, 0.2):
        case("cross_entropy_loss", im, t, w, r, 1, ls)
        case("cross_entropy_loss", A, B.softmax(1), None, r, -100, ls)
        case("cross_entropy_loss", A, B.softmax(1), w, r, -100, ls)
        case("cross_entropy_loss", im, T(2, 5, 3, 4).softmax(1), w, r, -100, ls)
        case("cross_entropy_loss", A[0], c[0], None, r, -100, ls)
        case("cross_entropy_loss", A[0], B[0].softmax(0), None, r, -100, ls)
    n = A.clone()
    n[1] = float("nan")
    case("nll_loss", n, ci, None, r)
    for p in (1, 2):
        case("multi_margin_loss", A, c, p, 0.8, None, r)
        case("multi_margin_loss", A, c, p, 1, w, r)
    case("multi_margin_loss", A[0], c[0], 1, 1, None, r)
    tl = torch.tensor([[3, 0, -1, 1, 4], [0, 1, 2, -1, 3], [4, -1, 0, 1, 2], [2, 3, 1, -1, 0]])
    case("multilabel_margin_loss", A, tl, r)
    case("multilabel_margin_loss", A[0], tl[0], r)
    case("multilabel_margin_loss_forward", A, tl, r)
torch.float64 = torch.float64
lp = T(6, 3, 5).log_softmax(2)
tg = torch.randint(1, 5, (3, 4))
tg[0, 1] = tg[0, 0]
for r in range(3):
    for zi in (False, True):
        case("ctc_loss.IntList", lp, tg, [6, 5, 4], [2, 3, 1], 0, r, zi)
        case("ctc_loss.Tensor", lp, tg, torch.tensor([6, 5, 6]), torch.tensor([2, 3, 0]), 0, r, zi)
        case("ctc_loss.IntList", lp, tg.reshape(-1)[:7], [6, 5, 6], [2, 4, 1], 0, r, zi)
        case("ctc_loss.IntList", lp, tg, [2, 2, 6], [4, 4, 4], 0, r, zi)
    case("ctc_loss.IntList", lp, torch.randint(0, 4, (3, 4)), [6, 5, 4], [2, 3, 1], 4, r)
    case("ctc_loss.Tensor", lp.to(torch.float64), tg, torch.tensor([6, 5, 6]), torch.tensor([2, 3, 4]), 0, r)
    case("ctc_loss.Tensor", lp, tg.reshape(-1)[:6], torch.tensor([6, 6, 6]), torch.tensor([3, 1, 2]), 0, r)
case("_ctc_loss", lp, tg, [6, 5, 4], [2, 3, 1], skip=(1,))
case("_fused_rms_norm", T(3, 7), [7], T(7), 1e-5)
