"""Reductions, scans, sorting and searching."""

import torch

from case_kit import T, op

for name in ("sum", "mean", "prod", "amax", "amin", "std", "var", "logsumexp", "nansum", "nanmean"):
    f = getattr(torch, name)
    if name not in ("logsumexp",):
        op(f"{name}.all", lambda x, f=f: f(x), T(3, 5, lo=0.5, hi=1.5))
    op(f"{name}.dim", lambda x, f=f: f(x, 1), T(3, 5, 2))
    op(f"{name}.last", lambda x, f=f: f(x, -1), T(3, 5, 7))
    op(f"{name}.keepdim", lambda x, f=f: f(x, 0, keepdim=True), T(3, 5))
    op(f"{name}.f64", lambda x, f=f: f(x, 1), T(3, 5, dt="f64"))
    op(f"{name}.f16", lambda x, f=f: f(x, 1), T(3, 5, dt="f16"))
    op(f"{name}.special", lambda x, f=f: f(x, 1), T(5, 12, kind="special"))
    if name != "prod":
        op(f"{name}.dims", lambda x, f=f: f(x, dim=(0, 2)), T(3, 5, 2))
        op(f"{name}.dims_keep", lambda x, f=f: f(x, dim=(-1, -2), keepdim=True), T(3, 5, 2))
for dt in ("i32", "u8", "bool", "i8"):
    op(f"sum.{dt}", torch.sum, T(3, 5, dt=dt))
    op(f"sum.dim.{dt}", lambda x: x.sum(1), T(3, 5, dt=dt))
    op(f"prod.{dt}", lambda x: torch.prod(x, 1), T(3, 5, dt=dt, lo=1, hi=4) if dt != "bool" else T(3, 5, dt=dt))
op("sum.dtype", lambda x: x.sum(dtype=torch.float32), T(3, 5, dt="i32"))
op("sum.dim_dtype", lambda x: x.sum(0, dtype=torch.float64), T(3, 5))
op("mean.dtype", lambda x: x.mean(1, dtype=torch.float32), T(3, 5, dt="i32"))
op("prod.dtype", lambda x: x.prod(1, dtype=torch.float32), T(3, 5, dt="i32"))
op("sum.empty", torch.sum, T(0, 5))
op("sum.empty_dim", lambda x: x.sum(0), T(0, 5))
op("prod.empty_dim", lambda x: x.prod(0), T(0, 5))
op("mean.empty", torch.mean, T(0))
op("sum.0d", torch.sum, T())
op("sum.dim_of_0d", lambda x: x.sum(0), T())
op("sum.no_dims", lambda x: x.sum(dim=()), T(3, 4))
op("amax.i32", lambda x: torch.amax(x, (0, 1)), T(3, 5, 2, dt="i32"))
op("amin.bool", lambda x: torch.amin(x, 1), T(3, 5, dt="bool"))
for name in ("all", "any"):
    f = getattr(torch, name)
    op(f"{name}.bool", f, T(3, 5, dt="bool"))
    op(f"{name}.dim", lambda x, f=f: f(x, 1), T(4, 3, dt="bool"))
    op(f"{name}.dims", lambda x, f=f: f(x, dim=(0, 2)), T(2, 3, 2, dt="bool"))
    op(f"{name}.f32", lambda x, f=f: f(x, 0, keepdim=True), T(2, 8, kind="special"))
    op(f"{name}.i32", lambda x, f=f: f(x, 0), T(3, 8, dt="i32", lo=-1, hi=2))
    op(f"{name}.u8", f, T(3, dt="u8", lo=0, hi=2))
    op(f"{name}.empty", lambda x, f=f: f(x, 0), T(0, 3, dt="bool"))
for name in ("max", "min"):
    f = getattr(torch, name)
    op(f"{name}.all", f, T(3, 5))
    op(f"{name}.all_nan", f, T(3, 5, kind="special"))
    op(f"{name}.dim", lambda x, f=f: tuple(f(x, 1)), T(3, 5, 2))
    op(f"{name}.dim_keep", lambda x, f=f: tuple(f(x, -1, keepdim=True)), T(3, 5))
    op(f"{name}.dim_nan", lambda x, f=f: tuple(f(x, 0)), T(5, 12, kind="special"))
    op(f"{name}.i64", lambda x, f=f: tuple(f(x, 0)), T(7, 3, dt="i64", kind="perm"))
    op(f"{name}.i8_all", f, T(7, 3, dt="i8"))
    op(f"{name}.other", f, T(12, 1, kind="special"), T(12, kind="special"))
    op(f"{name}.values_only", lambda x, f=f: f(x, 1)[0], T(3, 5, dt="f64"))
for name in ("argmax", "argmin"):
    f = getattr(torch, name)
    op(f"{name}.all", f, T(3, 5))
    op(f"{name}.dim", lambda x, f=f: f(x, 1), T(3, 5, 2))
    op(f"{name}.keepdim", lambda x, f=f: f(x, 0, keepdim=True), T(3, 5))
    op(f"{name}.ties", lambda x, f=f: f(x, 1), T(6, 9, dt="i32", lo=0, hi=3))
    op(f"{name}.nan", lambda x, f=f: f(x, 1), T(5, 12, kind="special"))
    op(f"{name}.f16", lambda x, f=f: f(x, -1), T(3, 5, dt="f16"))
op("aminmax", lambda x: tuple(torch.aminmax(x, dim=1)), T(3, 5))
op("aminmax.all", lambda x: tuple(torch.aminmax(x)), T(3, 5, dt="i32"))
for unbiased in (True, False):
    for name in ("std", "var"):
        op(f"{name}.unbiased_{unbiased}", lambda x, f=getattr(torch, name), u=unbiased: f(x, unbiased=u), T(3, 7))
        op(
            f"{name}.dim_unbiased_{unbiased}",
            lambda x, f=getattr(torch, name), u=unbiased: f(x, (0,), unbiased=u),
            T(3, 7),
        )
for correction in (0, 1, 2):
    op(f"var.correction_{correction}", lambda x, c=correction: torch.var(x, 1, correction=c), T(3, 7, 2))
    op(f"std.correction_{correction}", lambda x, c=correction: x.std((0, 2), correction=c, keepdim=True), T(3, 7, 2))
op("std_mean", lambda x: torch.std_mean(x, 1), T(3, 7))
op("var_mean", lambda x: torch.var_mean(x, (1, 2), correction=0, keepdim=True), T(3, 7, 2))
op("var_mean.all", lambda x: torch.var_mean(x), T(3, 7))
op("var.large_mean", lambda x: torch.var(x, 1), T(3, 9, lo=99, hi=101))
op("median.all_odd", torch.median, T(3, 5))
op("median.all_even", torch.median, T(3, 4))
op("median.dim", lambda x: tuple(torch.median(x, 1)), T(3, 5))
op("median.dim_even", lambda x: tuple(torch.median(x, 1, keepdim=True)), T(3, 6, dt="i64", kind="perm"))
op("nanmedian", torch.nanmedian, T(3, 5, kind="special"))
op("nanmedian.dim", lambda x: torch.nanmedian(x, 1)[0], T(3, 9, kind="special"))
op("mode", lambda x: torch.mode(x, 1)[0], T(3, 9, dt="i32", lo=0, hi=4))
for mode in ("linear", "lower", "higher", "midpoint", "nearest"):
    op(f"quantile.{mode}", lambda x, m=mode: torch.quantile(x, 0.3, dim=1, interpolation=m), T(3, 8))
op("quantile.several", lambda x, q: torch.quantile(x, q, dim=0), T(9, 3), T(3, lo=0, hi=1))
op("quantile.flat", lambda x: torch.quantile(x, 0.75), T(9, 3))
op("nanquantile", lambda x: torch.nanquantile(x, 0.5, dim=1), T(4, 12, kind="special", then=lambda x: x.clamp(-9, 9)))
op("kthvalue", lambda x: tuple(torch.kthvalue(x, 3, dim=1)), T(3, 7))
op("kthvalue.dim0", lambda x: torch.kthvalue(x, 2, 0, True)[0], T(5, 4))
op("count_nonzero", lambda x: torch.count_nonzero(x, dim=1), T(3, 9, dt="i32", lo=-1, hi=2))
op("count_nonzero.all", torch.count_nonzero, T(3, 9, dt="bool"))
op("logsumexp.large", lambda x: torch.logsumexp(x, 1), T(3, 5, lo=-300, hi=300))
op("logsumexp.infinite", lambda x: torch.logsumexp(x, 1), T(1, 5, then=lambda x: x - float("inf")))
op("logsumexp.i64", lambda x: torch.logsumexp(x, 1), T(3, 5, dt="i64"))

# Norms
for p in (1, 2, 3, 0, float("inf"), float("-inf"), 0.5):
    op(f"norm.p{p}", lambda x, p=p: torch.norm(x, p=p, dim=1), T(3, 5))
    op(f"vector_norm.p{p}", lambda x, p=p: torch.linalg.vector_norm(x, p, dim=(0, 2), keepdim=True), T(3, 5, 2))
op("norm.fro", lambda x: torch.norm(x), T(3, 5))
op("norm.fro_dims", lambda x: torch.norm(x, p="fro", dim=(0, 1)), T(3, 5, 2))
op("norm.dtype", lambda x: torch.linalg.vector_norm(x, 2, dtype=torch.float64), T(3, 5))
op("linalg.norm", lambda x: torch.linalg.norm(x, dim=-1), T(3, 5))
op("matrix_norm", lambda x: torch.linalg.matrix_norm(x), T(2, 3, 5))
op("matrix_norm.one", lambda x: torch.linalg.matrix_norm(x, 1), T(2, 3, 5))
op("matrix_norm.inf", lambda x: torch.linalg.matrix_norm(x, float("inf")), T(2, 3, 5))
op("dist", lambda x, y: torch.dist(x, y, 2), T(3, 5), T(3, 5))
op("renorm", lambda x: torch.renorm(x, 2, 0, 1.0), T(3, 5))

# Scans
for name in ("cumsum", "cumprod", "logcumsumexp"):
    f = getattr(torch, name)
    op(f"{name}", lambda x, f=f: f(x, 1), T(3, 9))
    op(f"{name}.dim0", lambda x, f=f: f(x, 0), T(9, 2, 2))
    op(f"{name}.f64", lambda x, f=f: f(x, -1), T(3, 9, dt="f64"))
    op(f"{name}.f16", lambda x, f=f: f(x, -1), T(3, 9, dt="f16"))
    op(f"{name}.0d", lambda x, f=f: f(x, 0), T())
    if name != "logcumsumexp":
        op(f"{name}.i32", lambda x, f=f: f(x, 1), T(3, 9, dt="i32", lo=-2, hi=4))
        op(f"{name}.bool", lambda x, f=f: f(x, 0), T(9, dt="bool"))
        op(f"{name}.dtype", lambda x, f=f: f(x, 0, dtype=torch.float32), T(9, dt="i64", lo=1, hi=4))
        op(f"{name}.empty", lambda x, f=f: f(x, 0), T(0, 3))
for name in ("cummax", "cummin"):
    op(f"{name}", lambda x, f=getattr(torch, name): tuple(f(x, 1)), T(3, 9))
    op(f"{name}.ties", lambda x, f=getattr(torch, name): tuple(f(x, 0)), T(9, 3, dt="i64", lo=0, hi=4))
    op(f"{name}.nan", lambda x, f=getattr(torch, name): tuple(f(x, 1)), T(4, 12, kind="special"))
op("diff", lambda x: torch.diff(x), T(3, 6))
op("diff.n2_dim0", lambda x: torch.diff(x, n=2, dim=0), T(6, 2))
op("diff.bool", lambda x: torch.diff(x, dim=-1), T(3, 6, dt="bool"))
op("trapezoid", lambda y: torch.trapezoid(y, dx=0.5), T(3, 6))
op("trapezoid.x", torch.trapezoid, T(3, 6), T(6, then=lambda x: x.sort()[0]))
op("cumulative_trapezoid", lambda y: torch.cumulative_trapezoid(y), T(3, 6))

# Sorting and searching
for descending in (False, True):
    op(f"sort.{descending}", lambda x, d=descending: tuple(torch.sort(x, 1, d)), T(4, 9))
    op(
        f"sort.stable_{descending}",
        lambda x, d=descending: tuple(torch.sort(x, dim=0, descending=d, stable=True)),
        T(9, 4, dt="i32", lo=0, hi=4),
    )
    op(f"sort.nan_{descending}", lambda x, d=descending: torch.sort(x, 1, d)[0], T(3, 12, kind="special"))
    op(f"argsort.{descending}", lambda x, d=descending: torch.argsort(x, -1, d), T(4, 9))
    op(f"topk.{not descending}", lambda x, d=descending: tuple(torch.topk(x, 3, dim=1, largest=not d)), T(4, 9))
    op(f"topk.dim0_{descending}", lambda x, d=descending: tuple(x.topk(2, 0, d)), T(6, 3, dt="i64", kind="perm"))
    op(f"topk.f16_{descending}", lambda x, d=descending: x.topk(4, -1, d)[0], T(3, 8, dt="f16"))
op("topk.all", lambda x: tuple(torch.topk(x, 7)), T(2, 7))
op("topk.nan", lambda x: torch.topk(x, 3)[0], T(3, 12, kind="special"))
op("argsort.stable", lambda x: torch.argsort(x, dim=1, stable=True), T(4, 9, dt="i32", lo=0, hi=3))
op("sort.bool", lambda x: torch.sort(x, stable=True)[0], T(9, dt="bool"))
op("sort.0d", lambda x: tuple(torch.sort(x)), T())
op("msort", torch.msort, T(5, 3))
for right in (False, True):
    op(
        f"searchsorted.{right}",
        lambda s, v, r=right: torch.searchsorted(s, v, right=r),
        T(9, lo=-2, hi=2, then=lambda x: x.sort()[0]),
        T(3, 4),
    )
    op(
        f"searchsorted.rows_{right}",
        lambda s, v, r=right: torch.searchsorted(s, v, right=r),
        T(3, 9, dt="i32", lo=0, hi=6, then=lambda x: x.sort()[0]),
        T(3, 5, dt="i32", lo=-1, hi=8),
    )
    op(
        f"bucketize.{right}",
        lambda v, s, r=right: torch.bucketize(v, s, right=r),
        T(4, 5),
        T(6, lo=-2, hi=2, then=lambda x: x.sort()[0]),
    )
op(
    "bucketize.int32",
    lambda v, s: torch.bucketize(v, s, out_int32=True),
    T(4, 5, dt="i64"),
    T(6, dt="i64", then=lambda x: x.sort()[0]),
)
op("searchsorted.sorter", lambda s, v: torch.searchsorted(s, v, sorter=torch.argsort(s)), T(9), T(5))
op("histc", lambda x: torch.histc(x, bins=5, min=-2, max=2), T(40))
op("histc.data", lambda x: torch.histc(x, bins=4), T(30))
op("histc.nan", lambda x: torch.histc(x, bins=6, min=-1, max=1), T(40, kind="special"))
op("bincount.weights", lambda x, w: torch.bincount(x, w, minlength=9), T(30, dt="i64", lo=0, hi=7), T(30), forms=("pt",))
op("bincount", lambda x: torch.bincount(x, minlength=7), T(30, dt="i64", lo=0, hi=7), forms=("pt",))
op("unique", lambda x: torch.unique(x), T(20, dt="i64", lo=0, hi=6))
op("unique.inverse", lambda x: torch.unique(x, return_inverse=True, return_counts=True), T(20, dt="i64", lo=0, hi=6))
op("unique_consecutive", lambda x: torch.unique_consecutive(x), T(20, dt="i64", lo=0, hi=2))
op("nonzero", torch.nonzero, T(4, 5, dt="i32", lo=-1, hi=2))
op("nonzero.bool", torch.nonzero, T(12, dt="bool"))
op("nonzero.tuple", lambda x: torch.nonzero(x, as_tuple=True), T(4, 5, dt="bool"))
op("argwhere", torch.argwhere, T(4, 5, dt="bool"))
op("where.one", lambda c: torch.where(c), T(4, 5, dt="bool"))
op("masked_select", torch.masked_select, T(4, 5), T(4, 5, dt="bool"))
