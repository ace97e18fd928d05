"""Products of matrices, einsum, other linear algebra, and whole expressions."""

import torch
from torch.utils import _pytree as pytree

from case_kit import T, op

PRODUCTS = {
    "mm": (torch.mm, T(3, 5), T(5, 4)),
    "bmm": (torch.bmm, T(2, 3, 5), T(2, 5, 4)),
    "mv": (torch.mv, T(3, 5), T(5)),
    "dot": (torch.dot, T(7), T(7)),
    "vdot": (torch.vdot, T(7), T(7)),
    "inner": (torch.inner, T(3, 5), T(4, 5)),
    "outer": (torch.outer, T(3), T(5)),
    "ger": (torch.ger, T(3), T(5)),
    "matmul.vv": (torch.matmul, T(5), T(5)),
    "matmul.mv": (torch.matmul, T(3, 5), T(5)),
    "matmul.vm": (torch.matmul, T(5), T(5, 3)),
    "matmul.bm": (torch.matmul, T(2, 3, 5), T(5, 4)),
    "matmul.mb": (torch.matmul, T(3, 5), T(2, 5, 4)),
    "matmul.bb": (torch.matmul, T(2, 1, 3, 5), T(4, 5, 2)),
    "matmul.bv": (torch.matmul, T(2, 3, 5), T(5)),
    "matmul.vb": (torch.matmul, T(3), T(2, 3, 5)),
    "matmul.one": (torch.matmul, T(1, 1), T(1, 1)),
    "matmul.empty": (torch.matmul, T(3, 0), T(0, 4)),
    "matmul.no_rows": (torch.matmul, T(0, 5), T(5, 4)),
    "kron": (torch.kron, T(2, 3), T(3, 2)),
    "cross": (lambda x, y: torch.linalg.cross(x, y), T(4, 3), T(4, 3)),
    "cross.dim": (lambda x, y: torch.cross(x, y, 0), T(3, 4), T(3, 4)),
    "tensordot": (lambda x, y: torch.tensordot(x, y, 2), T(2, 3, 4), T(3, 4, 5)),
    "tensordot.dims": (lambda x, y: torch.tensordot(x, y, ((1,), (0,))), T(2, 3, 4), T(3, 5)),
    "transposed": (lambda x, y: x.t() @ y.t(), T(5, 3), T(4, 5)),
    "matmul.transposed_batch": (lambda x, y: x @ y.transpose(1, 2), T(2, 3, 5), T(2, 4, 5)),
    "multi_dot": (lambda x, y: torch.linalg.multi_dot([x, y, x]), T(3, 4), T(4, 3)),
    "chain_matmul": (lambda x, y: torch.chain_matmul(x, y, x), T(3, 4), T(4, 3)),
    "linear": (torch.nn.functional.linear, T(3, 5), T(4, 5)),
    "bilinear": (lambda x, y: torch.nn.functional.bilinear(x, x, y), T(3, 4), T(2, 4, 4)),
    "vecdot": (torch.linalg.vecdot, T(3, 5), T(3, 5)),
}
for name, (f, a, b) in PRODUCTS.items():
    op(name, f, a, b)
for dt in ("f64", "f16", "bf16", "i32", "i64", "u8"):
    op(f"matmul.{dt}", torch.matmul, T(3, 5, dt=dt), T(5, 4, dt=dt))
    op(f"bmm.{dt}", torch.bmm, T(2, 3, 5, dt=dt), T(2, 5, 4, dt=dt))
op("addmm", torch.addmm, T(4), T(3, 5), T(5, 4))
op("addmm.scaled", lambda b, x, y: torch.addmm(b, x, y, beta=0.5, alpha=2.0), T(3, 1), T(3, 5), T(5, 4))
op("addmm.no_beta", lambda b, x, y: torch.addmm(b, x, y, beta=0), T(4), T(3, 5), T(5, 4))
op("addmm.i32", torch.addmm, T(4, dt="i32"), T(3, 5, dt="i32"), T(5, 4, dt="i32"))
op("addmv", lambda b, x, y: torch.addmv(b, x, y, alpha=0.5), T(3), T(3, 5), T(5))
op("addr", lambda m, x, y: torch.addr(m, x, y, beta=2.0, alpha=0.5), T(3, 5), T(3), T(5))
op("addbmm", lambda b, x, y: torch.addbmm(b, x, y, beta=0.5), T(3, 4), T(2, 3, 5), T(2, 5, 4))
op("baddbmm", lambda b, x, y: torch.baddbmm(b, x, y, beta=0.5, alpha=0.3), T(2, 3, 4), T(2, 3, 5), T(2, 5, 4))
op("baddbmm.broadcast", torch.baddbmm, T(4), T(2, 3, 5), T(2, 5, 4))
EINSUM = {
    "ij,jk->ik": (T(3, 4), T(4, 5)),
    "bij,bjk->bik": (T(2, 3, 4), T(2, 4, 5)),
    "ij,ij->": (T(3, 4), T(3, 4)),
    "ij,kj->ik": (T(3, 4), T(5, 4)),
    "i,j->ij": (T(3), T(4)),
    "bhqd,bhkd->bhqk": (T(2, 2, 3, 4), T(2, 2, 5, 4)),
    "bhqk,bkhd->bqhd": (T(2, 2, 3, 4), T(2, 4, 2, 5)),
    "...ij,...jk->...ik": (T(2, 3, 4), T(2, 4, 5)),
    "ij,jk": (T(3, 4), T(4, 5)),
    "bi,bj->b": (T(2, 3), T(2, 4)),
    "abc,cd->abd": (T(2, 3, 4), T(4, 5)),
    "nchw,kc->nkhw": (T(2, 3, 2, 2), T(4, 3)),
}
for formula, (a, b) in EINSUM.items():
    op(
        f"einsum.{formula.replace(',', '_').replace('->', '_to_').replace('...', 'etc')}",
        lambda x, y, e=formula: torch.einsum(e, x, y),
        a,
        b,
    )
for formula, a in {
    "ii->i": T(4, 4),
    "ii->": T(4, 4),
    "ijk->kij": T(2, 3, 4),
    "ij->j": T(3, 4),
    "bij->b": T(2, 3, 4),
}.items():
    op(f"einsum.{formula.replace('->', '_to_')}", lambda x, e=formula: torch.einsum(e, x), a)
op("einsum.three", lambda x, y, z: torch.einsum("ij,jk,kl->il", x, y, z), T(2, 3), T(3, 4), T(4, 2))
op("trace", torch.trace, T(4, 5))
op("matrix_power", lambda x: torch.linalg.matrix_power(x, 3), T(4, 4))
op("matrix_exp", torch.linalg.matrix_exp, T(3, 3, lo=-0.4, hi=0.4))
op("cov", torch.cov, T(3, 7))
op("corrcoef", torch.corrcoef, T(3, 7))
SQUARE = T(4, 4, then=lambda x: x @ x.t() + torch.eye(4))
for name in ("inv", "det", "slogdet", "cholesky", "qr", "svdvals", "eigvalsh", "pinv"):
    op(f"linalg.{name}", lambda x, f=getattr(torch.linalg, name): pytree.tree_leaves(f(x)), SQUARE, tol=1e-3)
op("linalg.solve", torch.linalg.solve, SQUARE, T(4, 2), tol=1e-3)
op(
    "linalg.solve_triangular",
    lambda a, b: torch.linalg.solve_triangular(a.triu(), b, upper=True),
    SQUARE,
    T(4, 2),
    tol=1e-3,
)
op("cholesky_solve", lambda a, b: torch.cholesky_solve(b, torch.linalg.cholesky(a)), SQUARE, T(4, 2), tol=1e-3)
for p in ("nuc", 2, -2):
    op(f"matrix_norm.{p}", lambda x, p=p: torch.linalg.matrix_norm(x, p), T(3, 4, 5), tol=1e-4)
    op(f"norm.{p}", lambda x, p=p: torch.linalg.norm(x, p, dim=(0, 2), keepdim=True), T(3, 4, 5), tol=1e-4)
op("nuclear_norm", lambda x: torch.norm(x, "nuc"), T(4, 5), tol=1e-4)
for p in (None, -2, "fro", 1, "nuc"):
    op(f"cond.{p}", lambda x, p=p: torch.linalg.cond(x, p), SQUARE, tol=1e-3)
LOW_RANK = T(2, 5, 4, then=lambda x: x[..., :2] @ x[..., :2].transpose(1, 2)[..., :2, :4])
op("matrix_rank", torch.linalg.matrix_rank, LOW_RANK)
op("matrix_rank.tol", lambda x: torch.linalg.matrix_rank(x, tol=0.5), T(3, 4, 4))
op("matrix_rank.rtol", lambda x: torch.linalg.matrix_rank(x, atol=0.1, rtol=0.2), T(3, 4, 4))
op("matrix_rank.hermitian", lambda x: torch.linalg.matrix_rank(x, hermitian=True), SQUARE)
op("tensorinv", lambda x: torch.linalg.tensorinv(x + 3 * torch.eye(6).reshape(2, 3, 6), ind=2), T(2, 3, 6), tol=1e-3)
op("tensorsolve", lambda a, b: torch.linalg.tensorsolve(a + 4 * torch.eye(6).reshape(2, 3, 6), b), T(2, 3, 6),
   T(2, 3), tol=1e-3)
op("tensorsolve.dims",
   lambda a, b: torch.linalg.tensorsolve((a + 4 * torch.eye(6).reshape(2, 3, 6)).permute(2, 0, 1), b, dims=(0,)),
   T(2, 3, 6), T(2, 3), tol=1e-3)
op("lstsq", lambda a, b: list(torch.linalg.lstsq(a, b))[:3], T(6, 3), T(6, 2), tol=1e-3)
op("lstsq.wide", lambda a, b: torch.linalg.lstsq(a, b).solution, T(2, 3, 5), T(2, 3, 2), tol=1e-3)
op("svd.old", lambda x: torch.svd(x).S, T(2, 4, 3), tol=1e-4)
op("svd.old_product", lambda x: (lambda y: y.U @ torch.diag(y.S) @ y.V.t())(torch.svd(x)), T(4, 3), tol=1e-4)
op("qr.old", lambda x: torch.qr(x)[1].abs(), T(4, 3), tol=1e-4)
op("pinverse", torch.pinverse, T(4, 3), tol=1e-3)
op("cholesky_inverse", lambda x: torch.cholesky_inverse(torch.linalg.cholesky(x)), SQUARE, tol=1e-3)
op("triangular_solve", lambda b, a: torch.triangular_solve(b, a.triu())[0], T(4, 2), SQUARE, tol=1e-3)
op("triangular_solve.transpose",
   lambda b, a: torch.triangular_solve(b, a.tril(), upper=False, transpose=True)[0], T(4, 2), SQUARE, tol=1e-3)
op("householder_product", torch.linalg.householder_product, T(5, 3), T(3), tol=1e-4)
op("householder_product.batch", torch.linalg.householder_product, T(2, 5, 4), T(2, 2), tol=1e-4)
op("rmsnorm_matmul", lambda x, w: (x * torch.rsqrt(x.square().mean(-1, True) + 1e-5)) @ w, T(3, 8), T(8, 4))
op("standardise", lambda x: (x - x.mean(0)) / (x.std(0) + 1e-5), T(9, 4))
op("gram", lambda x: (x.flatten(2) @ x.flatten(2).transpose(1, 2)) / x[0].numel(), T(2, 3, 4, 5))
op("pairwise", lambda x: (x[:, None] - x[None]).pow(2).sum(-1).add(1e-6).sqrt(), T(5, 3))
op("box_iou", lambda a, b: _iou(a, b), T(4, 4, lo=0, hi=1), T(3, 4, lo=0, hi=1))
op("positional", lambda x: x + _positions(x.shape[1], x.shape[2]), T(2, 5, 6))
op("label_argmax", lambda x: torch.nn.functional.one_hot(x.softmax(-1).argmax(-1), 5), T(3, 5))
op("nms_scores", lambda x: (x > 0.5).float() * x.topk(3, 1).values.min(1, keepdim=True).values, T(3, 5, lo=0, hi=1))
op(
    "masked_mean",
    lambda x, m: (x * m[..., None]).sum(1) / m.sum(1, keepdim=True).clamp(min=1),
    T(2, 5, 3),
    T(2, 5, dt="f32", lo=0, hi=1, then=torch.round),
)
op("complex_free_fft", lambda x: torch.view_as_real(torch.fft.rfft(x)), T(3, 8))
op("stft_like", lambda x: x.unfold(-1, 4, 2) * torch.hann_window(4), T(2, 12))


def _iou(a, b):
    a = torch.cat([torch.minimum(a[:, :2], a[:, 2:]), torch.maximum(a[:, :2], a[:, 2:])], 1)
    b = torch.cat([torch.minimum(b[:, :2], b[:, 2:]), torch.maximum(b[:, :2], b[:, 2:])], 1)
    low, high = torch.max(a[:, None, :2], b[None, :, :2]), torch.min(a[:, None, 2:], b[None, :, 2:])
    inner = (high - low).clamp(min=0).prod(2)
    area = [(x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b)]
    return inner / (area[0][:, None] + area[1][None] - inner)


def _positions(length, width):
    place = torch.arange(length, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2).float() * (-4.0 / width))
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(place * rate)
    table[:, 1::2] = torch.cos(place * rate)
    return table
