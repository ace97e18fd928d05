"""Ops that PyTorch defines: sorting, scans, special functions, nonzero, grid_sample, columns."""

import torch
import torch.nn.functional as F

from case_tools import *  # noqa: F403: one vocabulary for all cases

TORCH_INTS = [np.int8, np.uint8, np.int16, np.int32, np.int64]
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -1.5, 1.0, np.nan, np.inf]


def tensor(a):
    """A numpy array as a tensor of its type."""
    a = np.array(a, order="C")
    if a.dtype == BF16:
        return torch.from_numpy(a.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(a)


def array(t):
    """A tensor as a numpy array of its type."""
    return t.view(torch.int16).numpy().view(BF16) if t.dtype == torch.bfloat16 else t.numpy()


def in_double(fn, dtype, *inputs):
    """fn of PyTorch in double on the inputs, rounded to dtype."""
    y = array(fn(*[torch.from_numpy(np.asarray(x).astype(F64)) for x in inputs]))
    return no_warnings(y.astype, dtype)


def some(*shape, dtype=F32):
    """Random data with equal elements among them."""
    return np.round(rand(*shape, dtype=dtype).astype(F64) * 2).astype(dtype) if np.dtype(
        dtype) in EPSILON else rand(*shape, dtype=dtype)


# --- sorting -------------------------------------------------------------------------------------

def sort_cases():
    """sort and topk."""
    def both(x, axis, label=""):
        for descending in (0, 1):
            values, indices = torch.sort(tensor(x), dim=axis, descending=bool(descending), stable=True)
            case("sort", [x], [array(values), array(indices)], axis=axis, descending=descending, label=label)
            length = x.shape[axis]
            for k in sorted({0, min(1, length), length // 2, length}):
                pick = [slice(None)] * x.ndim
                pick[axis] = slice(0, k)
                outputs = [array(t)[tuple(pick)] for t in (values, indices)]
                case("topk", [x], outputs, k=k, axis=axis, largest=descending, sorted=k % 2, label=label)
    for t in FLOATS + TORCH_INTS + [np.bool_]:
        for shape, axis in (((7,), 0), ((3, 5, 4), 1), ((2, 3), -1)):
            both(some(*shape, dtype=t), axis)
    for shape, axis in (((1,), 0), ((3, 0), 1), ((0, 3), 1), ((300,), 0), ((2, 1, 3, 1, 2, 1, 2, 2), 4)):
        both(some(*shape), axis)
    for t in FLOATS:
        both(np.array([SPECIAL, SPECIAL[::-1]], t), 1, "special")
    both(extremes(np.int64, 20), 0, "extremes")
    x = np.array([2**63, 1, 2**64 - 1, 2**63 - 1], np.uint64)
    case("sort", [x], [np.sort(x), np.argsort(x)], axis=0, descending=0)
    x = some(4, 5)
    case("sort", [x], [None, array(torch.argsort(tensor(x), dim=0, stable=True))], axis=0, descending=0)
    case("topk", [x], [array(torch.topk(tensor(x), 2, dim=1).values)], k=2, axis=1, largest=1, sorted=1)


def search_cases():
    """searchsorted, also with NaN on either side."""
    for t in FLOATS + TORCH_INTS:
        for right in (0, 1):
            row = np.sort(some(9, dtype=t), axis=0)
            for values in (some(3, 4, dtype=t), some(dtype=t), some(0, dtype=t), some(31, dtype=t)):
                y = torch.searchsorted(tensor(row), tensor(values), right=bool(right))
                case("searchsorted", [row, values], array(y), right=right)
            rows, values = np.sort(some(2, 3, 8, dtype=t), axis=-1), some(2, 3, 5, dtype=t)
            y = torch.searchsorted(tensor(rows), tensor(values), right=bool(right))
            case("searchsorted", [rows, values], array(y), right=right)
    row = np.array([-np.inf, -1, 0, 0, 2, np.inf, np.nan, np.nan], F32)
    values = np.array(SPECIAL, F32)
    for right in (0, 1):
        y = torch.searchsorted(tensor(row), tensor(values), right=bool(right))
        case("searchsorted", [row, values], array(y), right=right, label="special")
        case("searchsorted", [row[:0], values], np.zeros(10, np.int64), right=right)


# --- scans ---------------------------------------------------------------------------------------

def scan_cases():
    """cumprod, cummax, cummin and logcumsumexp."""
    shapes = [((7,), 0), ((3, 5, 4), 1), ((2, 3), -1), ((0, 3), 1), ((3, 0), 1)]
    for shape, axis in shapes:
        for t in FLOATS:
            x = rand(*shape, dtype=t)
            y = in_double(lambda v: torch.cumprod(v, axis), t, x)
            case("cumprod", [x], y, axis=axis, exclusive=0, reverse=0, atol=1e-7)
            y = in_double(lambda v: torch.logcumsumexp(v, axis), t, x * 8)
            case("logcumsumexp", [x * 8], y, axis=axis, atol=1e-6 if t == F32 else 1e-9)
        for t in TORCH_INTS:
            x = rand(*shape, dtype=t)
            y = array(torch.cumprod(tensor(x), axis, dtype=tensor(x).dtype))
            case("cumprod", [x], y, axis=axis, exclusive=0, reverse=0)
            back = np.flip(array(torch.cumprod(tensor(np.flip(x, axis)), axis, dtype=tensor(x).dtype)), axis)
            case("cumprod", [x], back, axis=axis, exclusive=0, reverse=1)
        for t in FLOATS + TORCH_INTS + [np.bool_]:
            x = some(*shape, dtype=t)
            for op, fn in (("cummax", torch.cummax), ("cummin", torch.cummin)):
                values, indices = fn(tensor(x), axis)
                case(op, [x], [array(values), array(indices)], axis=axis)
    case("cumprod", [np.array([2, 3, 4], F32)], np.array([1, 2, 6], F32), axis=0, exclusive=1, reverse=0)
    case("cumprod", [np.array([2, 3, 4], F32)], np.array([12, 4, 1], F32), axis=0, exclusive=1, reverse=1)
    for t in FLOATS:
        x = np.array([[1, 3, 2, 3, np.nan, 5, np.nan, 7], [np.inf, -np.inf, np.inf, 0, -0.0, 0, 1, -np.inf]], t)
        for op, fn in (("cummax", torch.cummax), ("cummin", torch.cummin)):
            values, indices = fn(tensor(x), 1)
            case(op, [x], [array(values), array(indices)], axis=1, label="special")
            case(op, [x], [None, array(indices)], axis=1, label="special")
        x = np.array([[-np.inf, -np.inf, 0, 1, np.inf, 2], [1, 1000, 1000, np.nan, 1, 2]], t)
        case("logcumsumexp", [x], in_double(lambda v: torch.logcumsumexp(v, 1), t, x), axis=1, label="special")


# --- functions -----------------------------------------------------------------------------------

UNARY = {
    "log1p": (torch.log1p, -0.99, 9), "expm1": (torch.expm1, -9, 9), "log2": (torch.log2, 1e-6, 9),
    "log10": (torch.log10, 1e-6, 9), "exp2": (torch.exp2, -9, 9), "trunc": (torch.trunc, -9, 9),
    "erfc": (torch.erfc, -4, 9), "erfinv": (torch.erfinv, -1, 1), "lgamma": (torch.lgamma, -20, 60),
    "digamma": (torch.digamma, -20, 60), "i0": (torch.special.i0, -20, 20),
}


def unary_cases():
    """Functions of one number, over their range, near their limits and at special values."""
    limits = np.array(SPECIAL + [2, -2, 1e-30, -1e-30, 1e-4, -1e-4, 0.999999, -0.999999, 60, -60, 1 - 6e-8, -3, 0.5],
                      F32)
    for op, (fn, low, high) in UNARY.items():
        # lgamma and digamma are zero in places, where only the absolute error is small.
        atol = 1e-12 if op in ("lgamma", "digamma") else 0.0
        for t in FLOATS:
            for shape in ((5, 60), ()):
                x = rand(*shape, dtype=t, low=low, high=high)
                case(op, [x], in_double(fn, t, x), atol=atol)
        x = limits[np.isfinite(limits)] if op == "i0" else limits  # PyTorch gives NaN for i0(inf).
        case(op, [x], in_double(fn, F32, x), atol=atol, label="special")
        wide = np.array([1e-300, 1e300, -1e300, 1e-16, 1 - 1e-16], F64)
        if op != "i0":
            case(op, [wide], in_double(fn, F64, wide), atol=atol, label="wide")
    tails = np.array([1 - 2.0**-e for e in range(1, 50)] + [2.0**-e for e in range(1, 40)], F64)
    case("erfinv", [tails], in_double(torch.erfinv, F64, tails), label="tails")


def binary_cases():
    """floor_div and hypot."""
    grid = np.repeat(SPECIAL, 10).astype(F32), np.tile(SPECIAL, 10).astype(F32)
    case("floor_div", grid, array(torch.floor_divide(tensor(grid[0]), tensor(grid[1]))), label="special")
    case("hypot", grid, in_double(torch.hypot, F32, *grid), label="special")
    for t in FLOATS:
        a, b = rand(3, 40, dtype=t, low=-9, high=9), rand(40, dtype=t, low=-3, high=3)
        case("floor_div", [a, b], array(torch.floor_divide(tensor(a), tensor(b))))
        case("hypot", [a, b], in_double(torch.hypot, t, a, b))
        a, b = some(5, 40, dtype=t), some(40, dtype=t)
        case("floor_div", [a, b], array(torch.floor_divide(tensor(a), tensor(b))), label="halves")
    for t in TORCH_INTS:
        a, b = extremes(t, 40), extremes(t, 40)
        b[4:20] = rand(16, dtype=t)
        b[(b == 0) | ((a == np.iinfo(t).min) & (b == b.dtype.type(-1) if np.iinfo(t).min else False))] = 3
        case("floor_div", [a, b], array(torch.floor_divide(tensor(a), tensor(b))))
    case("floor_div", [np.array([-128], np.int8), np.array([-1], np.int8)], np.array([-128], np.int8))


def matrix_cases():
    """Dense linear algebra; vectors that may have either sign are compared in products that do not show it."""
    def matrices(*shape, t):
        return rand(*shape, dtype=t)
    tol = {np.dtype(F32): 1e-5, np.dtype(F64): 1e-10, np.dtype(F16): 1e-2, BF16: 6e-2}
    def check(op, inputs, outputs, **attrs):
        t = inputs[0].dtype
        outputs = [None if y is None else array(y).astype(t) for y in outputs]
        scale = max([float(np.abs(y.astype(F64)).max(initial=0, where=np.isfinite(y.astype(F64))))
                     for y in outputs if y is not None] + [1.0])
        case(op, inputs, outputs, rtol=tol[t], atol=tol[t] * scale, **attrs)
    wide = lambda x: torch.from_numpy(x.astype(F64))
    for t in FLOATS:
        for batch in ((), (2,), (2, 3)) if t == F32 else ((2,),):
            for n in (1, 4, 7) if t in (F32, F64) else (3,):
                x = matrices(*batch, n, n, t=t)
                x = (x + 3 * n * np.eye(n)).astype(t)
                b = matrices(*batch, n, 3, t=t)
                check("solve", [x, b], [torch.linalg.solve(wide(x), wide(b))])
                sign, log = torch.linalg.slogdet(wide(x))
                check("det", [x], [None, sign, log])
                check("det", [x], [torch.linalg.det(wide(x))])
                for upper in (0, 1):
                    y = torch.linalg.solve_triangular(wide(x), wide(b), upper=bool(upper))
                    check("triangular_solve", [x, b], [y], upper=upper, unit_diagonal=0)
                    definite = (x.astype(F64) @ np.swapaxes(x.astype(F64), -1, -2)).astype(t)
                    definite = ((definite + np.swapaxes(definite, -1, -2)) / 2).astype(t)
                    if t in (F32, F64):
                        y = torch.linalg.cholesky(wide(definite), upper=bool(upper))
                        check("cholesky", [definite], [y], upper=upper)
                    triangle = "U" if upper else "L"
                    check("eigh", [x], [torch.linalg.eigvalsh(wide(x), UPLO=triangle)], upper=upper)
            for rows, columns in ((4, 4), (6, 3), (3, 5), (1, 4), (4, 1)):
                x = matrices(*batch, rows, columns, t=t)
                check("qr", [x], torch.linalg.qr(wide(x)))
                check("svd", [x], [None, torch.linalg.svdvals(wide(x))])
    unit = np.array([[5, 2, 0], [7, 5, -1], [3, 4, 5]], F32)
    b = rand(3, 2)
    y = torch.linalg.solve_triangular(wide(unit), wide(b), upper=False, unitriangular=True)
    check("triangular_solve", [unit, b], [y], upper=0, unit_diagonal=1)
    # A matrix whose pivots must be exchanged, a singular one, one that is not definite.
    x = np.array([[0, 1, 2], [3, 0, 1], [1, 1, 0]], F32)
    check("solve", [x, b], [torch.linalg.solve(wide(x), wide(b))])
    check("det", [x], [torch.linalg.det(wide(x)), *torch.linalg.slogdet(wide(x))])
    case("det", [np.array([[1, 2], [2, 4]], F32)], [np.array(0, F32), np.array(0, F32), np.array(-np.inf, F32)])
    case("det", [np.zeros((2, 0, 0), F32)], [np.ones(2, F32), np.ones(2, F32), np.zeros(2, F32)])
    case("cholesky", [np.array([[1, 9], [2, 1]], F32)], np.array([[1, 0], [2, np.nan]], F32), upper=0)
    case("eigh", [np.diag([3.0, -1, 2]).astype(F32)],
         [np.array([-1, 2, 3], F32), np.eye(3, dtype=F32)[:, [1, 2, 0]]], upper=0)
    case("svd", [np.diag([1.0, 3, 2]).astype(F32)], [np.eye(3, dtype=F32)[:, [1, 2, 0]], np.array([3, 2, 1], F32),
                                                      np.eye(3, dtype=F32)[[1, 2, 0]]])
    case("svd", [np.zeros((3, 2), F32)], [None, np.zeros(2, F32)])
    case("qr", [np.zeros((3, 2), F32)], [np.eye(3, 2, dtype=F32), np.zeros((2, 2), F32)])
    for op in ("copysign", "nextafter"):
        grid = np.repeat(SPECIAL, 10), np.tile(SPECIAL, 10)
        for t in (F32, F64):
            a, b = (v.astype(t) for v in grid)
            case(op, [a, b], array(getattr(torch, op)(tensor(a), tensor(b))), rtol=0)
    a, b = rand(3, 4, dtype=F16), rand(4, dtype=F16)
    case("copysign", [a, b], array(torch.copysign(tensor(a), tensor(b))))
    for t in TORCH_INTS:
        a, b = extremes(t, 40), extremes(t, 40)
        b[4:20] = rand(16, dtype=t)
        case("gcd", [a, b], array(torch.gcd(tensor(a), tensor(b))))


def scatter_cases():
    """Every reduction of a scatter on every dtype."""
    names = {1: "sum", 2: "prod", 3: "amax", 4: "amin"}
    for t in FLOATS + TORCH_INTS + [np.bool_]:
        for reduction, name in names.items():
            if t == np.bool_ and reduction > 2:
                continue
            x, source = rand(4, 5, dtype=t), rand(6, 5, dtype=t)
            index = RNG.integers(0, 4, (6, 5))
            y = array(tensor(x).scatter_reduce(0, tensor(index), tensor(source), name))
            case("scatter_elements", [x, index, source], y, axis=0, reduction=reduction, atol=2e-6,
                 rtol=6 * EPSILON.get(np.dtype(t), 0))
        index = RNG.integers(-4, 4, (7, 1))
        x, source = rand(4, 3, dtype=t), rand(7, 3, dtype=t)
        y = array(tensor(x).index_put((tensor(index[:, 0]),), tensor(source), accumulate=True))
        case("scatter_nd", [x, index, source], y, reduction=1, atol=2e-6, rtol=6 * EPSILON.get(np.dtype(t), 0))
    x, source = np.array([1, np.nan, 3, 4], F32), np.array([np.nan, 5, np.inf, 1, np.nan], F32)
    index = np.array([0, 1, 2, 3, 3])
    for reduction, name in names.items():
        y = array(tensor(x).scatter_reduce(0, tensor(index), tensor(source), name))
        case("scatter_elements", [x, index, source], y, axis=0, reduction=reduction, label="special")


def pool_cases():
    """max_pool's indices count in the whole tensor, PyTorch's in a plane."""
    configs = [((2, 3, 9), 3, 2, 1, 1, 0), ((2, 3, 9), 2, 3, 1, 2, 1),
               ((1, 2, 6, 7), (3, 2), (2, 1), (1, 0), (1, 2), 0), ((1, 2, 6, 7), (3, 3), (2, 2), (1, 1), (1, 1), 1),
               ((2, 1, 4, 5, 6), (2, 3, 2), (1, 2, 2), (1, 1, 0), (1, 1, 2), 0),
               ((2, 1, 5, 5, 5), (2, 2, 2), (3, 3, 3), (0, 1, 1), (2, 1, 1), 1)]
    for shape, kernel, stride, pad, dilation, ceil in configs:
        n = len(shape) - 2
        many = lambda v: list(v) if isinstance(v, tuple) else [v] * n
        for t in (F32, F64):
            x = rand(*shape, dtype=t)
            y, index = getattr(F, f"max_pool{n}d")(tensor(x), kernel, stride, pad, dilation, bool(ceil), True)
            planes = np.arange(shape[0] * shape[1]).reshape(shape[:2] + (1,) * n) * int(np.prod(shape[2:]))
            case("max_pool", [x], [array(y), array(index) + planes], kernel=many(kernel), strides=many(stride),
                 pads=many(pad) * 2, dilations=many(dilation), ceil_mode=ceil)


# --- indices -------------------------------------------------------------------------------------

def index_cases():
    """nonzero_static and masked_scatter."""
    for t in FLOATS + TORCH_INTS + [np.bool_]:
        for shape in ((7,), (3, 4), (2, 3, 2), (), (0, 2)):
            x = np.where(RNG.integers(0, 2, shape) != 0, some(*shape, dtype=t), np.zeros(shape, t)).astype(t)
            for size in (0, 3, 20):
                for fill in (-1, 0):
                    y = torch.nonzero_static(tensor(x), size=size, fill_value=fill)
                    case("nonzero_static", [x], array(y), size=size, fill_value=fill)
        for shape, masked in (((7,), (7,)), ((3, 4), (4,)), ((3, 4), (3, 1)), ((2, 3, 2), ()), ((), ()),
                              ((0, 2), (2,))):
            x, mask, source = rand(*shape, dtype=t), rand(*masked, dtype=bool), rand(5, 4, dtype=t)
            y = tensor(x).masked_scatter(tensor(mask), tensor(source))
            case("masked_scatter", [x, mask, source], array(y))
    case("nonzero_static", [np.array([np.nan, 0, -0.0, 1], F32)], np.array([[0], [3]]), size=2, fill_value=7)
    x = rand(3)
    case("masked_scatter", [x, np.zeros(3, bool), np.zeros(0, F32)], x)


def nonzero_cases():
    """nonzero: the count is an operand."""
    for t in FLOATS + TORCH_INTS + [np.bool_]:
        for shape in ((7,), (3, 4), (2, 3, 2), (1,), (), (0, 2)):
            x = np.where(RNG.integers(0, 2, shape) != 0, some(*shape, dtype=t), np.zeros(shape, t)).astype(t)
            y = array(torch.nonzero(tensor(x)))
            case("nonzero", [x, np.array(len(y), np.int64)], y)
    case("nonzero", [np.array([np.nan, 0, -0.0, 1], F32), np.array(2, np.int64)], np.array([[0], [3]]))


# --- images --------------------------------------------------------------------------------------

MODES = ["bilinear", "nearest", "bicubic"]
PADDINGS = ["zeros", "border", "reflection"]


def sample_cases():
    """grid_sample in all modes, beyond the image, and on regular grids, where "nearest" meets ties."""
    def sample(x, grid, mode, padding, align, label=""):
        single = grid.dtype != F64
        t, g = (tensor(v.astype(F32 if single else F64)) for v in (x, grid))
        y = array(F.grid_sample(t, g, MODES[mode], PADDINGS[padding], bool(align))).astype(x.dtype)
        case("grid_sample", [x, grid], y, mode=mode, padding=padding, align_corners=align, label=label,
             rtol=EPSILON[x.dtype], atol=2e-5 if single else 1e-12)
    for mode in range(3):
        for padding in range(3):
            for align in (0, 1):
                for t in (F32, F64):
                    sample(rand(2, 3, 5, 7, dtype=t), rand(2, 4, 3, 2, dtype=t), mode, padding, align)
                    if mode != 2:
                        sample(rand(1, 2, 3, 4, 5, dtype=t), rand(1, 2, 3, 2, 3, dtype=t), mode, padding, align)
                sample(rand(1, 1, 1, 3), rand(1, 2, 2, 2), mode, padding, align, "thin")
                sample(rand(1, 2, 4, 4), rand(1, 3, 3, 2, low=-9, high=9), mode, padding, align, "far")
                for out in (3, 8, 12):
                    for theta in ([[1.0, 0, 0], [0, 1, 0]], [[0.5, 0, 0.25], [0, -2, 0]]):
                        grid = F.affine_grid(torch.tensor([theta]), [1, 1, out, out], align_corners=bool(align))
                        sample(rand(1, 2, 6, 4), array(grid), mode, padding, align, "regular")
    for t in (F16, BF16):
        sample(rand(2, 2, 4, 3, dtype=t), rand(2, 3, 3, 2, dtype=t, low=-1, high=1), 0, 0, 0)
        sample(rand(2, 2, 4, 3, dtype=t), rand(2, 3, 3, 2, low=-1, high=1), 2, 1, 1)
    grid = np.array([[[[np.nan, 0], [0, np.nan], [0.5, 0.5]]]], F32)
    for mode in (0, 1):
        for padding in (1, 2):
            sample(rand(1, 2, 4, 4), grid, mode, padding, 0, "special")
    sample(rand(2, 3, 4, 4), np.zeros((2, 0, 3, 2), F32), 0, 0, 0, "nothing")
    x = rand(1, 2, 4)  # One spatial axis, by hand.
    grid = np.array([[[-1.0], [-0.25], [0.5], [3]]], F32)
    case("grid_sample", [x, grid], np.stack([x[..., 0], x[..., 1], x[..., 2], 0 * x[..., 0]], -1), mode=1, padding=0,
         align_corners=0)


def column_cases():
    """im2col and col2im in two axes against unfold and fold; in one and three by hand."""
    configs = [((2, 3, 7, 6), (2, 3), (2, 1), (0, 0), (1, 1)), ((1, 2, 5, 5), (3, 3), (1, 1), (1, 1), (1, 1)),
               ((2, 1, 8, 9), (3, 2), (2, 3), (1, 2), (2, 1)), ((1, 4, 3, 3), (1, 1), (2, 2), (0, 0), (1, 1)),
               ((0, 2, 4, 4), (2, 2), (1, 1), (0, 0), (1, 1))]
    for shape, kernel, stride, pad, dilation in configs:
        attrs = dict(kernel=list(kernel), strides=list(stride), pads=list(pad) * 2, dilations=list(dilation))
        for t in FLOATS + [np.int32]:
            x = rand(*shape, dtype=t)
            wide = torch.from_numpy(x.astype(F64))
            y = F.unfold(wide, kernel, dilation, pad, stride)
            case("im2col", [x], array(y).astype(t), **attrs)
            c = rand(*y.shape, dtype=t)
            image = F.fold(torch.from_numpy(c.astype(F64)), shape[2:], kernel, dilation, pad, stride)
            case("col2im", [c], array(image).astype(t), image=list(shape[2:]), atol=1e-6 if t == F32 else 1e-12,
                 **attrs)
    x = rand(2, 3, 7)
    windows = np.stack([np.pad(x, [(0, 0), (0, 0), (1, 0)])[..., s:s + 4:2] for s in (0, 2, 4)], -1)
    case("im2col", [x], windows.reshape(2, 6, 3), kernel=[2], strides=[2], pads=[1, 0], dilations=[2])
    x = rand(1, 2, 3, 4, 5)
    y = tensor(x).unfold(2, 2, 1).unfold(3, 3, 1).unfold(4, 2, 3)
    y = y.permute(0, 1, 5, 6, 7, 2, 3, 4).reshape(1, 2 * 12, 2 * 2 * 2)
    case("im2col", [x], array(y), kernel=[2, 3, 2], strides=[1, 1, 3], pads=[0] * 6, dilations=[1] * 3)
    x = rand(1, 3, 4)
    y = np.zeros((1, 1, 8), F32)
    for p in range(4):
        for k in range(3):
            if 0 <= 2 * p + k - 1 < 8:
                y[0, 0, 2 * p + k - 1] += x[0, k, p]
    case("col2im", [x], y, image=[8], kernel=[3], strides=[2], pads=[1, 1], dilations=[1], atol=1e-6)
    case("col2im", [np.zeros((1, 4, 0), F32)], np.zeros((1, 1, 1, 1), F32), image=[1, 1], kernel=[2, 2], strides=[1, 1],
         pads=[0] * 4, dilations=[1, 1])


# --- attention -----------------------------------------------------------------------------------

def attention_cases():
    """attention, by PyTorch's in double; rows without keys by its products and softmax."""
    def sdpa(q, k, v, mask, scale, causal, zero_empty):
        q, k, v = (torch.from_numpy(x.astype(F64)) for x in (q, k, v))
        heads = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(heads, 1), v.repeat_interleave(heads, 1)
        rows, keys = q.shape[2], k.shape[2]
        bias = torch.zeros(rows, keys, dtype=torch.float64)
        if causal:
            offset = keys - rows if causal == 2 else 0
            bias.masked_fill_(torch.ones(rows, keys).tril(offset) == 0, -math.inf)
        if mask is not None:
            m = torch.from_numpy(np.array(mask))
            bias = bias + (torch.where(m, 0.0, -math.inf) if mask.dtype == np.bool_ else m.double())
        y = torch.softmax(q @ k.transpose(2, 3) * scale + bias, -1) @ v
        if zero_empty:
            y = torch.where((bias == -math.inf).all(-1, keepdim=True), 0.0, y)
        return y.numpy().astype(F32)

    def one(b, h, g, s, n, d, e, mask=None, scale=0.5, causal=0, zero_empty=0):
        q, k, v = rand(b, h, s, d), rand(b, g, n, d), rand(b, g, n, e)
        y = sdpa(q, k, v, mask, scale, causal, zero_empty)
        case("attention", [q, k, v] + ([] if mask is None else [mask]), y, atol=1e-6, scale=scale, causal=causal,
             zero_empty=zero_empty)
    one(1, 1, 1, 1, 1, 1, 1)
    one(2, 3, 3, 5, 7, 4, 6)
    one(2, 6, 2, 3, 3, 4, 2, scale=-1.5)
    for causal in (1, 2):
        one(1, 2, 2, 5, 5, 3, 3, causal=causal)
        one(1, 2, 2, 3, 6, 3, 3, causal=causal)
        one(1, 2, 2, 6, 3, 3, 3, causal=causal, zero_empty=1)
    one(1, 1, 1, 6, 3, 3, 3, causal=2)
    for shape in ((2, 3, 4, 5), (2, 1, 1, 5), (4, 5), (3, 4, 1), (5,), ()):
        one(2, 3, 3, 4, 5, 3, 3, mask=rand(*shape))
    for zero_empty in (0, 1):
        one(2, 3, 3, 4, 5, 3, 3, mask=np.array([True, False, True, False])[:, None], zero_empty=zero_empty)
    one(2, 3, 3, 4, 5, 3, 3, mask=RNG.random((2, 1, 4, 5)) < 0.6, zero_empty=1)
    one(1, 2, 2, 4, 0, 3, 3, zero_empty=1)
    one(0, 2, 2, 4, 3, 3, 3)


# --- rotary embeddings ---------------------------------------------------------------------------

def rotary_cases():
    """rotary, by PyTorch's products of complex numbers in double."""
    def one(x, leads, rotated, interleaved, shared):
        width = rotated // 2 if shared else rotated
        cos, sin = (rand(*lead, width) for lead in leads)

        def pairs(t, as_pairs):
            t = torch.from_numpy(t.astype(F64))
            halves = (t[..., 0::2], t[..., 1::2]) if as_pairs else (t[..., :rotated // 2], t[..., rotated // 2:])
            return [h.contiguous() for h in halves]
        x1, x2 = pairs(x[..., :rotated], interleaved)
        # A pair's two numbers turn by angles of their own.
        c = [torch.from_numpy(cos.astype(F64))] * 2 if shared else pairs(cos, interleaved)
        s = [torch.from_numpy(sin.astype(F64))] * 2 if shared else pairs(sin, interleaved)
        z = torch.complex(x1, x2)
        first = (z * torch.complex(*torch.broadcast_tensors(c[0], s[0]))).real
        second = (z * torch.complex(*torch.broadcast_tensors(c[1], s[1]))).imag
        turned = torch.stack([first, second], -1).flatten(-2) if interleaved else torch.cat([first, second], -1)
        y = np.concatenate([turned.numpy(), x[..., rotated:].astype(F64)], -1).astype(F32)
        case("rotary", [x, cos, sin], y, atol=1e-6, interleaved=int(interleaved), rotated=rotated)
    for interleaved in (False, True):
        for shared in (False, True):
            one(rand(2, 3, 5, 8), [(5,), (1, 1, 5)], 8, interleaved, shared)
            one(rand(2, 3, 5, 7), [(2, 1, 5), (1, 3, 1)], 4, interleaved, shared)
            one(rand(3, 6), [(), (3,)], 2, interleaved, shared)
            one(rand(10), [(), ()], 10, interleaved, shared)
            one(rand(0, 4), [(1,), (0,)], 4, interleaved, shared)
