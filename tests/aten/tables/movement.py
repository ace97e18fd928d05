"""Shapes and places: views, joins, splits, gathers, scatters, indices, creation."""

import torch
from torch.nn import functional as F

from case_kit import T, op

X = T(2, 3, 4)
VIEWS = {
    "reshape": lambda x: x.reshape(4, -1),
    "view": lambda x: x.view(6, 4),
    "view.minus": lambda x: x.view(2, -1),
    "flatten": lambda x: torch.flatten(x),
    "flatten.start": lambda x: torch.flatten(x, 1),
    "flatten.range": lambda x: x.flatten(0, 1),
    "unflatten": lambda x: x.unflatten(2, (2, 2)),
    "permute": lambda x: x.permute(2, 0, 1),
    "permute.negative": lambda x: x.permute(-1, 1, 0),
    "transpose": lambda x: x.transpose(0, 2),
    "transpose.negative": lambda x: x.transpose(-1, -2),
    "swapaxes": lambda x: torch.swapaxes(x, 0, 1),
    "movedim": lambda x: torch.movedim(x, 0, 2),
    "movedim.several": lambda x: torch.movedim(x, (0, 1), (1, 2)),
    "mT": lambda x: x.mT,
    "t": lambda x: x[0].t(),
    "T": lambda x: x[0].T,
    "moveaxis": lambda x: torch.moveaxis(x, 2, 0),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "unsqueeze.last": lambda x: x.unsqueeze(-1),
    "squeeze": lambda x: x.reshape(2, 1, 12, 1).squeeze(),
    "squeeze.dim": lambda x: x.reshape(2, 1, 12, 1).squeeze(1),
    "squeeze.dims": lambda x: x.reshape(2, 1, 12, 1).squeeze((1, 3)),
    "squeeze.not_one": lambda x: x.squeeze(0),
    "expand": lambda x: x[:, :1].expand(2, 5, 4),
    "expand.new_dim": lambda x: x.expand(2, -1, -1, -1),
    "expand_as": lambda x: x[:, :, :1].expand_as(x),
    "broadcast_to": lambda x: torch.broadcast_to(x[:1], (3, 3, 4)),
    "repeat": lambda x: x.repeat(2, 1, 3),
    "repeat.new_dim": lambda x: x.repeat(2, 1, 1, 2),
    "tile": lambda x: torch.tile(x, (2, 2)),
    "repeat_interleave": lambda x: torch.repeat_interleave(x, 2, dim=1),
    "repeat_interleave.flat": lambda x: torch.repeat_interleave(x, 3),
    "select": lambda x: x.select(1, 2),
    "select.negative": lambda x: x.select(-1, -2),
    "narrow": lambda x: x.narrow(2, 1, 2),
    "slice": lambda x: x[:, 1:],
    "slice.step": lambda x: x[:, :, ::2],
    "slice.negative": lambda x: x[:, -2:, :-1],
    "slice.clamped": lambda x: x[:, 1:99],
    "slice.empty": lambda x: x[:, 2:1],
    "index.int": lambda x: x[1],
    "index.none": lambda x: x[:, None, 1],
    "index.ellipsis": lambda x: x[..., 1],
    "index.mixed": lambda x: x[1, ..., 1:3, None],
    "flip": lambda x: x.flip(0),
    "flip.dims": lambda x: torch.flip(x, (0, -1)),
    "fliplr": lambda x: torch.fliplr(x),
    "flipud": lambda x: torch.flipud(x),
    "roll": lambda x: torch.roll(x, 1, 0),
    "roll.dims": lambda x: torch.roll(x, (1, -2), (1, 2)),
    "roll.flat": lambda x: torch.roll(x, 5),
    "roll.beyond": lambda x: torch.roll(x, 7, 1),
    "rot90": lambda x: torch.rot90(x, 1, (1, 2)),
    "rot90.three": lambda x: torch.rot90(x, 3, (0, 2)),
    "chunk": lambda x: x.chunk(2, 2),
    "chunk.uneven": lambda x: x.chunk(2, 1),
    "split": lambda x: x.split(2, 2),
    "split.uneven": lambda x: torch.split(x, 2, 1),
    "split.sizes": lambda x: x.split([1, 3], 2),
    "tensor_split": lambda x: torch.tensor_split(x, 3, 2),
    "tensor_split.places": lambda x: torch.tensor_split(x, (1, 3), 2),
    "hsplit": lambda x: torch.hsplit(x, 3),
    "vsplit": lambda x: torch.vsplit(x, 2),
    "dsplit": lambda x: torch.dsplit(x, 2),
    "unbind": lambda x: x.unbind(1),
    "unbind.some": lambda x: torch.unbind(x, -1)[2],
    "diagonal": lambda x: x.diagonal(0, 1, 2),
    "diagonal.offset": lambda x: torch.diagonal(x, 1, 0, 2),
    "diag.matrix": lambda x: torch.diag(x[0]),
    "diag.vector": lambda x: torch.diag(x[0, 0], 1),
    "diag_embed": lambda x: torch.diag_embed(x),
    "diag_embed.offset": lambda x: torch.diag_embed(x, -1, 0, 2),
    "diagflat": lambda x: torch.diagflat(x[0, 0]),
    "unfold": lambda x: x.unfold(2, 3, 1),
    "unfold.step": lambda x: x.unfold(2, 2, 2),
    "as_strided": lambda x: torch.as_strided(x, (2, 3), (3, 2), 4),
    "as_strided.overlap": lambda x: x.as_strided((4, 5), (3, 1)),
    "tril": lambda x: torch.tril(x),
    "triu": lambda x: torch.triu(x, 1),
    "tril.low": lambda x: x.tril(-1),
    "triu.negative": lambda x: x.triu(-1),
    "cat.self": lambda x: torch.cat((x, x * 2, x[:, :1]), 1),
    "contiguous": lambda x: x.transpose(0, 1).contiguous(),
    "clone": lambda x: x.transpose(0, 1).clone(),
    "detach": lambda x: x.detach() * 2,
    "numel": lambda x: x / x.numel(),
    "size": lambda x: x * x.size(1) + x.shape[2],
    "channels_last": lambda x: x[None].contiguous(memory_format=torch.channels_last),
    "atleast_3d": lambda x: torch.atleast_3d(x[0]),
    "atleast_2d": lambda x: torch.atleast_2d(x[0, 0]),
    "ravel": lambda x: x.transpose(0, 1).ravel(),
    "view_as": lambda x: x.view_as(x.reshape(4, 6)),
    "reshape_as": lambda x: x.transpose(0, 1).reshape_as(x),
    "is_contiguous": lambda x: x.permute(0, 2, 1).reshape(-1),
    "transposed.arithmetic": lambda x: x.transpose(0, 2) + x.transpose(0, 2).contiguous() * 2,
    "adjoint": lambda x: x.adjoint(),
    "view_chain": lambda x: x.view(6, 4).t().reshape(2, 12)[:, ::3].unsqueeze(0),
}
for name, f in VIEWS.items():
    op(name, f, X)
for name in (
    "permute",
    "slice.step",
    "flip",
    "cat.self",
    "roll.dims",
    "split.uneven",
    "expand",
    "tril",
    "unfold",
    "repeat",
):
    op(f"{name}.i64", VIEWS[name], T(2, 3, 4, dt="i64"))
    op(
        f"{name}.bool",
        (lambda x, f=VIEWS[name]: f(x)) if name != "cat.self" else (lambda x: torch.cat((x, ~x), 1)),
        T(2, 3, 4, dt="bool"),
    )
    op(f"{name}.f16", VIEWS[name], T(2, 3, 4, dt="f16"))
for name in ("permute", "flatten", "unsqueeze", "flip", "split", "repeat", "slice.step", "transpose"):
    op(f"{name}.empty", VIEWS[name], T(2, 0, 4))
op("reshape.empty", lambda x: x.reshape(0, 7), T(2, 0, 4))
op("unsqueeze.0d", lambda x: x.unsqueeze(0), T())
op("expand.0d", lambda x: x.expand(3, 4), T())
op("reshape.0d", lambda x: x.reshape(()), T(1, 1))
op("flatten.0d", torch.flatten, T())
op("repeat.0d", lambda x: x.repeat(3), T())
op("broadcast_tensors", lambda x, y: torch.broadcast_tensors(x, y), T(3, 1), T(1, 4))
op("atleast.0d", lambda x: torch.atleast_1d(x), T())

# Joins
op("cat", lambda x, y: torch.cat([x, y], 0), T(2, 3), T(4, 3))
op("cat.negative", lambda x, y: torch.cat([x, y], -1), T(2, 3), T(2, 5))
op("cat.legacy_empty", lambda x, y: torch.cat([x, y], 0), T(0), T(4, 3))
op("cat.three", lambda x, y, z: torch.cat([x, y, z], 1), T(2, 3, dt="i32"), T(2, 1, dt="i32"), T(2, 2, dt="i32"))
op("stack", lambda x, y: torch.stack([x, y]), T(2, 3), T(2, 3))
op("stack.last", lambda x, y: torch.stack([x, y], -1), T(2, 3), T(2, 3))
op("stack.0d", lambda x, y: torch.stack([x, y]), T(), T())
op("hstack", lambda x, y: torch.hstack([x, y]), T(2, 3), T(2, 1))
op("vstack", lambda x, y: torch.vstack([x, y]), T(3), T(2, 3))
op("dstack", lambda x, y: torch.dstack([x, y]), T(2, 3), T(2, 3))
op("column_stack", lambda x, y: torch.column_stack([x, y]), T(3), T(3, 2))
op("block_diag", lambda x, y: torch.block_diag(x, y), T(2, 3), T(1, 2))
op("meshgrid.ij", lambda x, y: torch.meshgrid(x, y, indexing="ij"), T(3), T(4))
op("meshgrid.xy", lambda x, y: torch.meshgrid(x, y, indexing="xy"), T(3), T(4))
op("cartesian_prod", lambda x, y: torch.cartesian_prod(x, y), T(3), T(4))
op("combinations.three", lambda x: torch.combinations(x, 3), T(6), forms=("pt",))
op("combinations.repeated", lambda x: torch.combinations(x, with_replacement=True), T(4, dt="i64"), forms=("pt",))
op("combinations", lambda x: torch.combinations(x), T(4))
op("vander", lambda x: torch.vander(x, 3), T(4))
op(
    "repeat_interleave.tensor",
    lambda x, r: torch.repeat_interleave(x, r, dim=0, output_size=6),
    T(3, 2),
    torch.tensor([1, 2, 3]),
)
op("tril_indices", lambda x: x[torch.tril_indices(3, 4)[0], torch.tril_indices(3, 4)[1]], T(3, 4))

# Gathers and scatters
I34 = T(3, 4, dt="i64", lo=0, hi=3)
op("gather", lambda x, i: torch.gather(x, 0, i), T(3, 4), I34)
op("gather.dim1", lambda x, i: torch.gather(x, 1, i), T(3, 5), T(3, 7, dt="i64", lo=0, hi=5))
op("gather.smaller", lambda x, i: torch.gather(x, 2, i), T(3, 4, 5), T(2, 3, 6, dt="i64", lo=0, hi=5))
op("gather.i32_data", lambda x, i: torch.gather(x, 1, i), T(3, 5, dt="i32"), T(3, 7, dt="i64", lo=0, hi=5))
op("take_along_dim", lambda x: torch.take_along_dim(x, torch.argsort(x, 1), 1), T(3, 5))
op("take", lambda x, i: torch.take(x, i), T(3, 5), T(2, 4, dt="i64", lo=-15, hi=15))
op("index_select", lambda x, i: torch.index_select(x, 1, i), T(3, 5), T(4, dt="i64", lo=0, hi=5))
op("index_select.i32", lambda x, i: torch.index_select(x, 0, i), T(3, 5, dt="f16"), T(4, dt="i32", lo=0, hi=3))
P35 = T(
    3,
    5,
    dt="i64",
    then=lambda x: torch.stack([torch.randperm(6, generator=torch.Generator().manual_seed(k))[:5] for k in range(3)]),
)
op("scatter", lambda x, i, s: torch.scatter(x, 1, i, s), T(3, 6), P35, T(3, 5))
op("scatter.value", lambda x, i: x.scatter(1, i, 2.5), T(3, 6), P35)
op("scatter.dim0", lambda x, i, s: x.scatter(0, i, s), T(4, 5), T(1, 5, dt="i64", lo=0, hi=4), T(1, 5))
op(
    "scatter.add",
    lambda x, i, s: torch.scatter(x, 1, i, s, reduce="add"),
    T(3, 6),
    T(3, 9, dt="i64", lo=0, hi=6),
    T(3, 9),
)
op(
    "scatter.multiply",
    lambda x, i, s: torch.scatter(x, 1, i, s, reduce="multiply"),
    T(3, 6),
    T(3, 9, dt="i64", lo=0, hi=6),
    T(3, 9),
)
op("scatter_add", lambda x, i, s: torch.scatter_add(x, 1, i, s), T(3, 6), T(3, 9, dt="i64", lo=0, hi=6), T(3, 9))
op(
    "scatter_add.i32",
    lambda x, i, s: x.scatter_add(0, i, s),
    T(4, 5, dt="i32"),
    T(7, 5, dt="i64", lo=0, hi=4),
    T(7, 5, dt="i32"),
)
for reduce in ("sum", "prod", "mean", "amax", "amin"):
    for include in (True, False):
        op(
            f"scatter_reduce.{reduce}_{include}",
            lambda x, i, s, r=reduce, k=include: torch.scatter_reduce(x, 1, i, s, r, include_self=k),
            T(3, 6),
            T(3, 9, dt="i64", lo=0, hi=6),
            T(3, 9),
        )
    (
        op(
            f"index_reduce.{reduce}",
            lambda x, i, s, r=reduce: torch.index_reduce(x, 0, i, s, r),
            T(3, 4),
            T(5, dt="i64", lo=0, hi=3),
            T(5, 4),
            forms=("pt2", "pt") if reduce != "sum" else (),
        )
        if reduce != "sum"
        else None
    )
op("index_add", lambda x, i, s: torch.index_add(x, 0, i, s), T(4, 3), T(6, dt="i64", lo=0, hi=4), T(6, 3))
op(
    "index_add.alpha",
    lambda x, i, s: torch.index_add(x, 1, i, s, alpha=-2),
    T(2, 4),
    T(6, dt="i64", lo=0, hi=4),
    T(2, 6),
)
op("index_copy", lambda x, i, s: torch.index_copy(x, 0, i, s), T(4, 3), torch.tensor([2, 0]), T(2, 3))
op("index_fill", lambda x, i: torch.index_fill(x, 1, i, 1.5), T(4, 5), torch.tensor([2, 0]))
op("masked_scatter", torch.masked_scatter, T(4, 5), T(4, 5, dt="bool"), T(20))
op("masked_scatter.broadcast", torch.masked_scatter, T(4, 5), T(5, dt="bool"), T(4, 6))
op("put", lambda x, i, s: torch.Tensor.put(x, i, s), T(3, 4), torch.tensor([1, -2, 7]), T(3))
op("select_scatter", lambda x, s: torch.select_scatter(x, s, 1, 2), T(3, 4), T(3))
op("slice_scatter", lambda x, s: torch.slice_scatter(x, s, 1, 1, 6, 2), T(3, 7), T(3, 3))
op("diagonal_scatter", lambda x, s: torch.diagonal_scatter(x, s, 1), T(3, 4), T(3))
op("embedding", F.embedding, T(4, 3, dt="i64", lo=0, hi=9), T(9, 5))
op("embedding.i32", F.embedding, T(4, dt="i32", lo=0, hi=9), T(9, 5, dt="f16"))
op("embedding.padding", lambda i, w: F.embedding(i, w, padding_idx=2), T(4, 3, dt="i64", lo=0, hi=9), T(9, 5))
op("one_hot", lambda i: F.one_hot(i, 6), T(4, 3, dt="i64", lo=0, hi=6))
op("one_hot.sum", lambda i: F.one_hot(i, 6).float().mean(0), T(9, dt="i64", lo=0, hi=6))
for mode in ("sum", "mean", "max"):
    op(
        f"embedding_bag.{mode}",
        lambda i, w, m=mode: F.embedding_bag(i, w, mode=m),
        T(4, 3, dt="i64", lo=0, hi=9),
        T(9, 5),
    )
    op(
        f"embedding_bag.offsets_{mode}",
        lambda i, w, o, m=mode: F.embedding_bag(i, w, o, mode=m),
        T(10, dt="i64", lo=0, hi=9),
        T(9, 5),
        torch.tensor([0, 4, 4, 9]),
    )
op(
    "embedding_bag.weights",
    lambda i, w, s: F.embedding_bag(i, w, per_sample_weights=s, mode="sum"),
    T(4, 3, dt="i64", lo=0, hi=9),
    T(9, 5),
    T(4, 3),
)
op(
    "embedding_bag.last_offset",
    lambda i, w, o: F.embedding_bag(i, w, o, include_last_offset=True),
    T(10, dt="i64", lo=0, hi=9),
    T(9, 5),
    torch.tensor([0, 4, 7, 10]),
)
op("embedding_bag.padding", lambda i, w: F.embedding_bag(i, w, padding_idx=3), T(4, 5, dt="i64", lo=0, hi=9), T(9, 5))

# Indexing with tensors
op("index.rows", lambda x, i: x[i], T(5, 3), T(4, dt="i64", lo=-5, hi=5))
op("index.columns", lambda x, i: x[:, i], T(3, 5), T(4, dt="i64", lo=-5, hi=5))
op("index.pairs", lambda x, i, j: x[i, j], T(3, 5), T(4, dt="i64", lo=0, hi=3), T(4, dt="i64", lo=0, hi=5))
op("index.broadcast", lambda x, i, j: x[i, j], T(3, 5), T(4, 1, dt="i64", lo=0, hi=3), T(2, dt="i64", lo=0, hi=5))
op("index.apart", lambda x, i, j: x[i, :, j], T(3, 2, 5), T(4, dt="i64", lo=0, hi=3), T(4, dt="i64", lo=0, hi=5))
op("index.middle", lambda x, i, j: x[:, i, j], T(2, 3, 5), T(4, dt="i64", lo=0, hi=3), T(4, dt="i64", lo=0, hi=5))
op("index.matrix", lambda x, i: x[i], T(5, 3), T(2, 4, dt="i64", lo=0, hi=5))
op("index.with_slice", lambda x, i: x[1:, i, ::2], T(3, 4, 5), T(3, dt="i64", lo=0, hi=4))
op("index.bool_rows", lambda x, m: x[m], T(5, 3), T(5, dt="bool"))
op("index.bool_full", lambda x, m: x[m], T(5, 3), T(5, 3, dt="bool"))
op("index.bool_columns", lambda x, m: x[:, m], T(3, 5), T(5, dt="bool"))
op("index.none_and_tensor", lambda x, i: x[i, None], T(5, 3), T(4, dt="i64", lo=0, hi=5))
op("index.constant", lambda x: x[[2, 0, 1]], T(5, 3))
op("index.constant_columns", lambda x: x[:, torch.tensor([2, 0])], T(5, 3))
op("index.0d", lambda x, i: x[i], T(5, 3), T(dt="i64", lo=0, hi=5))
op("index.i32", lambda x, i: x[i], T(5, 3), T(4, dt="i32", lo=0, hi=5))
op("index_put", lambda x, i, v: torch.index_put(x, (i,), v), T(5, 3), torch.tensor([3, 0]), T(2, 3))
op(
    "index_put.accumulate",
    lambda x, i, v: torch.index_put(x, (i,), v, accumulate=True),
    T(5, 3),
    T(8, dt="i64", lo=0, hi=5),
    T(8, 3),
)
op(
    "index_put.pairs",
    lambda x, i, j, v: torch.index_put(x, (i, j), v),
    T(5, 3),
    torch.tensor([3, 0]),
    torch.tensor([1, 2]),
    T(2),
)
op("index_put.mask", lambda x, m, v: torch.index_put(x, (m,), v), T(5, 3), T(5, 3, dt="bool"), T())

# Creation
CREATION = {
    "arange": lambda x: x + torch.arange(4),
    "arange.step": lambda x: x + torch.arange(1, 9, 2),
    "arange.float": lambda x: x + torch.arange(0.0, 1.0, 0.25),
    "arange.down": lambda x: x + torch.arange(8, 0, -2),
    "linspace": lambda x: x + torch.linspace(-1, 1, 4),
    "logspace": lambda x: x + torch.logspace(0, 2, 4),
    "zeros": lambda x: x + torch.zeros(3, 4),
    "ones": lambda x: x + torch.ones(4, dtype=torch.float64),
    "full": lambda x: x + torch.full((3, 1), 2.5),
    "full.int": lambda x: x + torch.full((3, 1), 2),
    "zeros_like": lambda x: torch.zeros_like(x) + x,
    "ones_like": lambda x: torch.ones_like(x) * x,
    "full_like": lambda x: torch.full_like(x, 1.5) * x,
    "full_like.dtype": lambda x: torch.full_like(x, 7, dtype=torch.int32) + x,
    "new_zeros": lambda x: x.new_zeros(4) + x,
    "new_ones": lambda x: x.new_ones(3, 1) + x,
    "new_full": lambda x: x.new_full((4,), 3.0) + x,
    "new_tensor": lambda x: x.new_tensor([1.0, 2.0, 3.0, 4.0]) + x,
    "eye": lambda x: x @ torch.eye(4),
    "eye.wide": lambda x: x[:, :3] @ torch.eye(3, 5),
    "tensor": lambda x: x * torch.tensor([1.0, -2.0, 3.0, 0.5]),
    "scalar_tensor": lambda x: x * torch.tensor(3),
    "tensor.float_scalar": lambda x: x + torch.tensor(0.5, dtype=torch.float64),
    "empty_filled": lambda x: torch.empty(3, 4).fill_(2.0) * x,
    "empty_like_filled": lambda x: torch.empty_like(x).copy_(x * 3),
    "hann": lambda x: x * torch.hann_window(4),
    "triu_mask": lambda x: x[:3, :3].masked_fill(torch.triu(torch.ones(3, 3, dtype=torch.bool), 1), float("-inf")),
    "hamming": lambda x: x * torch.hamming_window(4, periodic=False),
    "arange.shape": lambda x: x + torch.arange(x.shape[1]),
    "zeros.shape": lambda x: torch.cat([x, torch.zeros(x.shape[0], 2)], 1),
}
for name, f in CREATION.items():
    op(f"make.{name}", f, T(3, 4))

# Padding
PADS = {
    "constant": lambda x: F.pad(x, (1, 2)),
    "constant.value": lambda x: F.pad(x, (1, 2, 0, 1), value=-1.5),
    "negative": lambda x: F.pad(x, (-1, 2, 1, -1)),
    "all_axes": lambda x: F.pad(x, (1, 0, 0, 1, 2, 1)),
    "reflect1d": lambda x: F.pad(x, (2, 3), mode="reflect"),
    "replicate1d": lambda x: F.pad(x, (2, 3), mode="replicate"),
    "circular1d": lambda x: F.pad(x, (2, 3), mode="circular"),
}
for name, f in PADS.items():
    op(f"pad.{name}", f, T(2, 3, 5))
for mode in ("reflect", "replicate", "circular"):
    op(f"pad.{mode}2d", lambda x, m=mode: F.pad(x, (2, 1, 0, 3), mode=m), T(1, 2, 4, 5))
    op(f"pad.{mode}3d", lambda x, m=mode: F.pad(x, (1, 1, 0, 1, 1, 0), mode=m), T(1, 2, 2, 3, 3))
op("pad.i64", lambda x: F.pad(x, (1, 2), value=9), T(2, 3, dt="i64"))
op("pad.bool", lambda x: F.pad(x, (1, 2), value=True), T(2, 3, dt="bool"))
op("pad.f16", lambda x: F.pad(x, (1, 2), mode="constant", value=0.1), T(2, 3, dt="f16"))
