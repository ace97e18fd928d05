"""Complex numbers and Fourier transforms: made of real inputs, since TorchScript files have no complex ones."""

import torch
from torch import nn
from torch.nn import functional as F

from case_kit import T, net, op

C = torch.view_as_complex


def two(name, function, *shapes, **options):
    """A function of complex tensors; the inputs are their parts."""
    op(name, lambda *xs: function(*(C(x) for x in xs)), *(T(*shape, 2) for shape in shapes), **options)


# Arithmetic
two("add", lambda x, y: x + y, (3, 4), (4,))
two("sub.alpha", lambda x, y: torch.sub(x, y, alpha=2.5), (3, 4), (3, 1))
two("rsub", lambda x: 1.5 - x, (3, 4))
two("mul", lambda x, y: x * y, (3, 4), (3, 4))
two("div", lambda x, y: x / y, (3, 4), (3, 4))
two("scalars", lambda x: (x * 2 + 1) / 4 - 0.5, (3, 4))
two("complex_scalars", lambda x: x * (1 - 2j) + 3j, (3, 4))
two("neg", lambda x: -x, (5,))
two("conj", lambda x: x.conj() * x, (3, 4))
two("conj_physical", torch.conj_physical, (3, 4))
two("resolve_conj", lambda x: torch.resolve_conj(x.conj()), (3, 4))
two("abs", torch.abs, (3, 4))
two("angle", torch.angle, (3, 4))
two("exp", torch.exp, (3, 4))
two("log", torch.log, (3, 4))
two("sqrt", torch.sqrt, (3, 4))
two("sgn", torch.sgn, (3, 4))
two("reciprocal", torch.reciprocal, (3, 4))
two("pow.3", lambda x: x**3, (3, 4))
two("pow.minus_2", lambda x: x**-2, (3, 4))
two("pow.half", lambda x: x**0.5, (3, 4))
two("pow.tensor", lambda x, y: x**y, (3, 4), (3, 4))
two("eq", lambda x, y: (x == x) & (x != y), (3, 4), (3, 4))
two("isfinite", lambda x: torch.isfinite(x) | torch.isnan(x), (3, 4))
op("mul.real", lambda x, y: C(x) * y, T(3, 4, 2), T(3, 4))
op("real_div", lambda x, y: y / C(x), T(3, 4, 2), T(4))
op("add.f64", lambda x, y: C(x) + y, T(3, 4, 2), T(3, 4, dt="f64"))
op("angle.real", torch.angle, T(3, 5, kind="special"))
op("complex", torch.complex, T(3, 4), T(3, 4))
op("polar", torch.polar, T(3, 4, lo=0, hi=3), T(3, 4))
op("to_complex", lambda x: x.to(torch.complex64) * 1j, T(3, 4))
op("zeros", lambda x: torch.zeros(3, dtype=torch.complex64) + C(x), T(3, 2))
two("to_double", lambda x: x.to(torch.complex128), (3, 4))
two("real_imag", lambda x: x.real * 2 - x.imag, (3, 4))
two("ones_like", lambda x: x + torch.ones_like(x), (3, 4))

# Movement and reductions
two("reshape", lambda x: x.reshape(6, 2), (3, 4))
two("transpose", lambda x: x.transpose(0, 1), (3, 4))
two("permute", lambda x: x.permute(2, 0, 1), (2, 3, 4))
two("slice", lambda x: x[:, 1::2], (3, 5))
two("select", lambda x: x[1], (3, 5))
two("index", lambda x: x[torch.tensor([2, 0])], (3, 5))
two("cat", lambda x, y: torch.cat([x, y], 1), (3, 4), (3, 2))
op("cat.mixed", lambda x, y: torch.cat([C(x), y.to(torch.complex64)]), T(3, 2), T(2))
two("stack", lambda x, y: torch.stack([x, y]), (3, 4), (3, 4))
two("split", lambda x: [y * 2 for y in x.split(2, 1)], (3, 5))
two("unsqueeze", lambda x: x.unsqueeze(1).expand(3, 2, 4), (3, 4))
two("squeeze", lambda x: x.squeeze(1), (3, 1, 4))
two("flip", lambda x: x.flip(0), (3, 4))
two("roll", lambda x: x.roll(1, 1), (3, 4))
two("repeat", lambda x: x.repeat(2, 1), (3, 4))
two("sum", lambda x: x.sum(1), (3, 4))
two("mean", lambda x: x.mean(), (3, 4))
two("cumsum", lambda x: x.cumsum(0), (3, 4))
two("where", lambda x, y: torch.where(x.real > 0, x, y), (3, 4), (3, 4))
two("masked_fill", lambda x: x.masked_fill(x.imag > 0, 2.0), (3, 4))
two("pad", lambda x: F.pad(x, (1, 2)), (3, 4))
two("matmul", lambda x, y: x @ y, (2, 3, 4), (2, 4, 5))
two("mm", torch.mm, (3, 4), (4, 5))
two("mv", lambda x, y: x @ y, (3, 4), (4,))
two("vdot", torch.vdot, (5,), (5,))
op("matmul.real", lambda x, y: C(x) @ y.to(torch.complex64), T(3, 4, 2), T(4, 5))
two("outer", torch.outer, (3,), (4,))

two("prod", torch.prod, (3, 5))
two("prod.dim", lambda x: x.prod(1), (3, 7))
two("prod.keepdim", lambda x: x.prod(0, keepdim=True), (4, 3))
two("prod.double", lambda x: x.prod(1, dtype=torch.complex128), (3, 4))
for formula, shapes in {
    "ij,jk->ik": ((3, 4), (4, 5)),
    "bij,bjk->bik": ((2, 3, 4), (2, 4, 5)),
    "ii->i": ((4, 4),),
    "...ij,...kj->...ik": ((2, 3, 4), (2, 5, 4)),
    "i,i->": ((6,), (6,)),
    "ij,jk,kl->il": ((2, 3), (3, 4), (4, 2)),
}.items():
    name = formula.replace(",", "_").replace("->", "_to_").replace("...", "etc")
    two(f"einsum.{name}", lambda *xs, e=formula: torch.einsum(e, *xs), *shapes)
op("einsum.mixed", lambda x, y: torch.einsum("ij,jk->ik", C(x), y.to(torch.complex64)), T(3, 4, 2), T(4, 5))
for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "square", "log2", "log10", "log1p", "expm1", "sigmoid"):
    two(name, getattr(torch, name), (3, 5))
two("tanh.large", lambda x: torch.tanh(x * 60), (3, 5))
two("norm", lambda x: torch.linalg.vector_norm(x, dim=1), (3, 5))
two("norm.1", lambda x: torch.linalg.vector_norm(x, 1.0), (3, 5))
two("old_norm", lambda x: x.norm(), (3, 5))
two("any_all", lambda x: (x * (x.real > 0)).any(1) & ~x.all(), (3, 5))
two("count_nonzero", lambda x: torch.count_nonzero(x * (x.real > 0)), (3, 5))
two("var", lambda x: torch.var(x, 1), (3, 5))
two("std", lambda x: torch.std(x, dim=0, correction=0), (3, 5))
two("isclose", lambda x, y: torch.isclose(x, x + 1e-6 * y), (3, 5), (3, 5))
two("addmm", lambda c, x, y: torch.addmm(c, x, y, beta=0.5, alpha=2), (3, 5), (3, 4), (4, 5))
two("baddbmm", torch.baddbmm, (2, 3, 5), (2, 3, 4), (2, 4, 5))
two("addmv", torch.addmv, (3,), (3, 4), (4,))
two("linear", lambda x, w, b: F.linear(x, w, b), (2, 4), (3, 4), (3,))
two("conv1d", lambda x, w: F.conv1d(x, w, padding=1), (2, 3, 8), (4, 3, 3))
two("conv2d.bias", lambda x, w, b: F.conv2d(x, w, b, stride=2), (1, 3, 7, 6), (4, 3, 3, 2), (4,))
two("solve", lambda a, b: torch.linalg.solve(a + 4 * torch.eye(4), b), (4, 4), (4, 2), tol=1e-4)
two("solve.vector", lambda a, b: torch.linalg.solve(a + 4 * torch.eye(4), b), (4, 4), (4,), tol=1e-4)
two("inv", lambda a: torch.linalg.inv(a + 4 * torch.eye(4)), (2, 4, 4), tol=1e-4)
two("adjoint", lambda x: x.mH @ x, (3, 4))
two("column_stack", lambda x, y: torch.column_stack([x, y]), (3, 2), (3,))
two("diag_embed", torch.diag_embed, (2, 3))
two("rot90", torch.rot90, (3, 4))
two("fliplr", torch.fliplr, (3, 4))
two("take_along_dim", lambda x: torch.take_along_dim(x, torch.tensor([[2, 0], [1, 1], [0, 2]]), 1), (3, 4))

# In-place, through views
two("mul_", lambda x: (x * 1).mul_(2 + 1j), (3, 4))


def _write_parts(x):
    y = C(x).clone()
    torch.view_as_real(y)[..., 0] = 5
    return y


def _write_row(x):
    y = C(x).clone()
    y[1] = y[0] * 1j
    y.imag.add_(1)
    return y


op("write_parts", _write_parts, T(3, 4, 2))
op("write_row", _write_row, T(3, 4, 2))


def _put(x, y):
    z = C(x).clone()
    z[torch.tensor([2, 0])] = C(y)
    z[:, torch.tensor([1])] *= 1j
    return z


def _put_more(x):
    z = C(x).clone()
    z.index_put_((torch.tensor([0, 1, 0]),), torch.tensor(1 + 2j, dtype=torch.complex64), accumulate=True)
    z.index_add_(1, torch.tensor([0, 2]), z[:, :2].clone())
    z.index_fill_(0, torch.tensor([2]), 3.0)
    return z.scatter(1, torch.tensor([[0, 1], [2, 3], [1, 0]]), z[:, :2] * 2)


def _real_values(x, y):
    z = C(x).clone()
    z[torch.tensor([1])] = y.to(torch.complex64)
    return torch.index_copy(z, 0, torch.tensor([0]), z[2:3])


op("index_put", _put, T(3, 4, 2), T(2, 4, 2))
op("index_put.more", _put_more, T(3, 4, 2))
op("index_put.real", _real_values, T(3, 4, 2), T(4))
op("view.real", lambda x: C(x).view(torch.float32) * 2, T(3, 4, 2))
op("view.complex", lambda x: torch.view_as_real(x.view(torch.complex64) * 1j), T(3, 4))
op("view_as_real.read_after_write", lambda x: torch.view_as_real(C(x)) + 1, T(3, 2))


# Rotary embeddings as LLaMA computes them, with a complex buffer.
class Rotary(nn.Module):
    """Rotates pairs of features by angles that grow with the position."""

    def __init__(self, length, width):
        super().__init__()
        frequencies = 1.0 / (100.0 ** (torch.arange(0, width, 2) / width))
        angles = torch.outer(torch.arange(length), frequencies)
        self.register_buffer("turns", torch.polar(torch.ones_like(angles), angles))

    def forward(self, x):
        """x: [batch, length, width]."""
        pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * self.turns[: x.shape[1]]).flatten(2).type_as(x)


net("rotary", lambda: Rotary(6, 8), T(2, 5, 8))

# Fourier transforms
for name in ("fft", "ifft"):
    function = getattr(torch.fft, name)
    op(f"{name}.real", function, T(3, 8))
    two(name, function, (3, 7))
    two(f"{name}.ortho", lambda x, function=function: function(x, norm="ortho"), (3, 6))
    two(f"{name}.forward", lambda x, function=function: function(x, norm="forward"), (3, 6))
    two(f"{name}.padded", lambda x, function=function: function(x, n=9), (2, 6))
    two(f"{name}.cut", lambda x, function=function: function(x, n=4), (2, 6))
    two(f"{name}.axis", lambda x, function=function: function(x, dim=0), (6, 3))
for n in (1, 2, 5, 8, 12):
    op(f"rfft.{n}", torch.fft.rfft, T(3, n))
    op(f"rfft_irfft.{n}", lambda x, n=n: torch.fft.irfft(torch.fft.rfft(x), n=n), T(2, n))
op("rfft.ortho", lambda x: torch.fft.rfft(x, norm="ortho"), T(9))
op("rfft.int", lambda x: torch.fft.rfft(x, n=6, dim=0), T(5, 3, dt="i32"))
op("rfft.f64", torch.fft.rfft, T(3, 8, dt="f64"))
op("rfft.long", torch.fft.rfft, T(960))
op("fft.long", lambda x: torch.fft.fft(C(x)).abs(), T(1, 630, 2))
op("irfft.long", lambda x: torch.fft.irfft(torch.fft.rfft(x) * 2, n=800), T(800))
op("irfft.long_odd", lambda x: torch.fft.irfft(torch.fft.rfft(x), n=765), T(765))
two("irfft", torch.fft.irfft, (3, 5))
two("irfft.odd", lambda x: torch.fft.irfft(x, n=7), (3, 4))
two("hfft", lambda x: torch.fft.hfft(x), (3, 5))
op("ihfft", torch.fft.ihfft, T(3, 6))
for name in ("hfft2", "hfftn"):
    function = getattr(torch.fft, name)
    two(name, function, (2, 3, 4))
    two(f"{name}.s", lambda x, function=function: function(x, s=(4, 5), dim=(0, 1)), (3, 4, 2))
    two(f"{name}.ortho", lambda x, function=function: function(x, norm="ortho"), (3, 4))
for name in ("ihfft2", "ihfftn"):
    function = getattr(torch.fft, name)
    op(name, function, T(2, 3, 4))
    op(f"{name}.s", lambda x, function=function: function(x, s=(4, 5), dim=(0, 1)), T(3, 4, 2))
    op(f"{name}.forward", lambda x, function=function: function(x, norm="forward"), T(3, 5))
op("rfft2", torch.fft.rfft2, T(2, 4, 6))
op("irfft2", lambda x: torch.fft.irfft2(torch.fft.rfft2(x), s=(4, 5)), T(2, 4, 5))
two("fft2", torch.fft.fft2, (2, 3, 4))
two("ifft2.s", lambda x: torch.fft.ifft2(x, s=(4, 2)), (2, 3, 4))
two("fftn", torch.fft.fftn, (2, 3, 4))
two("ifftn.dims", lambda x: torch.fft.ifftn(x, dim=(0, 2), norm="ortho"), (2, 3, 4))
op("rfftn", torch.fft.rfftn, T(2, 3, 4))
op("irfftn", lambda x: torch.fft.irfftn(torch.fft.rfftn(x, dim=(0, 2)), s=(2, 5), dim=(0, 2)), T(2, 3, 5))
op("fftshift", torch.fft.fftshift, T(5, 4))
two("ifftshift", lambda x: torch.fft.ifftshift(x, dim=1), (3, 5))
op("fftfreq", lambda x: x * torch.fft.fftfreq(5, 0.5), T(3, 5))
op("rfftfreq", lambda x: x * torch.fft.rfftfreq(8), T(3, 5))
op("filter", lambda x: torch.fft.irfft(torch.fft.rfft(x) * torch.linspace(1, 0, 9), n=16), T(2, 16))


class FourierMixing(nn.Module):
    """The token mixing of FNet."""

    def forward(self, x):
        """x: [batch, tokens, features]."""
        return torch.fft.fft(torch.fft.fft(x, dim=-1), dim=-2).real


net("fnet", FourierMixing, T(2, 6, 8))


def stft(x, window=None, **options):
    """torch.stft with parts on a last axis."""
    return torch.view_as_real(torch.stft(x, 8, window=window, return_complex=True, **options))


op("stft", lambda x: stft(x, torch.hann_window(8)), T(2, 40))
op("stft.hop", lambda x: stft(x, torch.hann_window(6), hop_length=3, win_length=6, center=False), T(2, 40))
op("stft.normalized", lambda x: stft(x, hop_length=4, normalized=True), T(33))
op("stft.two_sided", lambda x: stft(x, onesided=False, pad_mode="constant"), T(1, 24))
op("spectrogram", lambda x: torch.stft(x, 16, 4, window=torch.hamming_window(16), return_complex=True).abs(), T(2, 64))
op(
    "istft",
    lambda x: torch.istft(
        torch.stft(x, 8, 2, window=torch.hann_window(8), return_complex=True), 8, 2, window=torch.hann_window(8)
    ),
    T(2, 40),
)
op(
    "istft.length",
    lambda x: torch.istft(
        torch.stft(x, 8, 4, normalized=True, return_complex=True), 8, 4, normalized=True, length=37
    ),
    T(40),
)
# Complex inputs and outputs
op("input", lambda x: x * 2 + x.conj(), T(3, 4, dt="c64"), forms=("pt2",))
op("input.f64", lambda x, y: x @ y, T(3, 4, dt="c128"), T(4, 2, dt="c128"), forms=("pt2",))
