// Fourier transforms of real and complex tensors, short-time ones, and what goes with them. The
// rows take both forms of tensors.
#include <algorithm>
#include <cmath>
#include <optional>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"
#include "compiler/import/compose_fourier.h"

namespace floe::aten {
namespace {

using ir::Value;

// Bits of `param`: what kind of transform, and over what.
enum : int64_t {
  kInverse = 1,    // Turns the other way, and is scaled by 1 / n by default.
  kOfReal = 2,     // Half of the result of a real tensor: rfft.
  kToReal = 4,     // The real tensor that has this half: irfft, hfft.
  kConjugate = 8,  // hfft, ihfft: those of the conjugate.
  kOverTwo = 16,   // fft2: over the last two axes by default.
  kOverMany = 32,  // fftn: over all axes by default.
};

// A tensor, real [...] or complex [..., 2].
struct Signal {
  Value* x = nullptr;
  bool complex = false;
  int64_t rank = 0;  // Without the axis of the parts.
};

Signal SignalOf(OpBuilder& b, const char* name) {
  Signal s;
  s.x = b.Tensor(name);
  s.complex = b.Arg(name).is_tensor() && b.Arg(name).variable()->form == Form::kComplex;
  if (!b.ok()) return s;
  if (!IsFloat(s.x->dtype())) s.x = b.Cast(s.x, DType::kF32);
  s.rank = b.Rank(s.x) - (s.complex ? 1 : 0);
  return s;
}

void Return(OpBuilder& b, const Signal& s) {
  if (s.complex) return b.ReturnComplex(s.x);
  b.Return(s.x);
}

// With a zero imaginary part.
Signal AsComplex(OpBuilder& b, Signal s) {
  if (s.complex || !b.ok()) return s;
  Value* re = b.Unsqueeze(s.x, s.rank);
  s.x = b.Concat({re, b.Full(re->dtype(), re->shape(), 0)}, s.rank);
  s.complex = true;
  return s;
}

Signal Conjugated(OpBuilder& b, Signal s) {
  if (!s.complex) return s;
  ir::Tensor sign(s.x->dtype(), {2});
  sign.SetDouble(0, 1);
  sign.SetDouble(1, -1);
  s.x = b.Binary(OpId::kMul, s.x, b.Constant(std::move(sign)));
  return s;
}

// Cuts an axis off or fills it up with zeros.
void Resize(OpBuilder& b, Signal* s, int64_t axis, int64_t n) {
  const int64_t have = b.StaticDim(s->x, axis);
  if (b.ok() && n < 1) b.Invalid("a Fourier transform of no numbers");
  if (!b.ok() || have == n) return;
  if (have > n) {
    s->x = b.SliceAxis(s->x, axis, 0, n);
    return;
  }
  ir::Shape shape = s->x->shape();
  shape[static_cast<size_t>(axis)] = n - have;
  s->x = b.Concat({s->x, b.Full(s->x->dtype(), std::move(shape), 0)}, axis);
}

// Makes `axis` the last one before the parts, or puts the last one there (the same swap).
void SwapLast(OpBuilder& b, Signal* s, int64_t axis) {
  if (b.ok() && axis != s->rank - 1) s->x = SwapAxes(b, s->x, axis, s->rank - 1);
}

// One transform along one axis; `n` is the length of the result for kToReal, else of the input.
void TransformAxis(OpBuilder& b, Signal* s, int64_t axis, int64_t n, int64_t kind, double scale) {
  if (!b.ok()) return;
  if ((kind & kToReal) != 0) {
    *s = AsComplex(b, *s);
    Resize(b, s, axis, n / 2 + 1);
    SwapLast(b, s, axis);
    s->x = import::EmitFourierToReal(b, s->x, n, scale);
    s->complex = false;
    SwapLast(b, s, axis);
    return;
  }
  Resize(b, s, axis, n);
  if ((kind & kOfReal) != 0) {
    if (s->complex) return b.Invalid("rfft of complex numbers");
    SwapLast(b, s, axis);
    s->x = import::EmitFourierOfReal(b, s->x, false, scale);
  } else if (!s->complex && (kind & kInverse) == 0) {
    SwapLast(b, s, axis);
    s->x = import::EmitFourierOfReal(b, s->x, true, scale);
  } else {
    *s = AsComplex(b, *s);
    SwapLast(b, s, axis);
    s->x = import::EmitFourier(b, s->x, (kind & kInverse) != 0, scale);
  }
  s->complex = true;
  SwapLast(b, s, axis);
}

// Transforms over `axes`, the halved one last. `lengths`: as for TransformAxis, one per axis.
void TransformAxes(OpBuilder& b, Signal* s, const std::vector<int64_t>& axes,
                   const std::vector<int64_t>& lengths, int64_t kind, double scale) {
  const size_t last = axes.size() - 1;
  const auto others = [&] {
    const int64_t direction = kind & kInverse;
    for (size_t i = last; i-- > 0;) TransformAxis(b, s, axes[i], lengths[i], direction, 1);
  };
  if ((kind & kToReal) != 0) others();
  TransformAxis(b, s, axes[last], lengths[last], kind, scale);
  if ((kind & kToReal) == 0) others();
}

// The factor of all axes together for norm=None, "backward", "ortho", "forward".
double ScaleOf(OpBuilder& b, const std::string& norm, bool inverse, double count) {
  if (norm == "ortho") return 1 / std::sqrt(count);
  if (norm != "forward" && norm != "backward") b.Invalid("norm is '" + norm + "'");
  return inverse == (norm == "backward") ? 1 / count : 1;
}

// fft, ifft, rfft, irfft, hfft, ihfft and their forms over several axes.
void Transform(OpBuilder& b) {
  const int64_t kind = b.row().param;
  Signal s = SignalOf(b, "self");
  if (!b.ok()) return;
  std::vector<int64_t> axes, sizes;
  if ((kind & (kOverTwo | kOverMany)) == 0) {
    axes = {b.Int("dim")};
    if (b.Given("n")) sizes = {b.Int("n")};
  } else {
    if (b.Given("s")) sizes = b.Ints("s");
    if (b.Given("dim")) {
      axes = b.Ints("dim");
    } else {
      const auto rank = static_cast<size_t>(s.rank);
      const size_t count = sizes.empty() ? rank : std::min(sizes.size(), rank);
      for (size_t i = rank - count; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
    }
  }
  if (b.ok() && (axes.empty() || (!sizes.empty() && sizes.size() != axes.size()))) {
    b.Invalid("a Fourier transform over no axis, or over other axes than there are sizes");
  }
  if (!b.ok()) return;
  std::vector<int64_t> lengths;
  double count = 1;
  for (size_t i = 0; i < axes.size(); ++i) {
    axes[i] = b.Axis(axes[i], s.rank);
    if (!b.ok()) return;
    int64_t n = sizes.empty() ? -1 : sizes[i];
    const bool halved = (kind & kToReal) != 0 && i + 1 == axes.size();
    if (n == -1) n = halved ? 2 * (b.StaticDim(s.x, axes[i]) - 1) : b.StaticDim(s.x, axes[i]);
    if (b.ok() && n < 1) return b.Invalid("a Fourier transform of no numbers");
    lengths.push_back(n);
    count *= static_cast<double>(n);
  }
  const bool conjugate = (kind & kConjugate) != 0;
  // hfft goes forward, yet is the inverse of a real tensor's transform.
  const bool inverse = ((kind & kInverse) != 0) != conjugate;
  const std::string norm = b.Given("norm") ? b.String("norm") : "backward";
  const double scale = ScaleOf(b, norm, inverse, count);
  if (conjugate && (kind & kToReal) != 0) s = Conjugated(b, s);
  TransformAxes(b, &s, axes, lengths, kind, scale);
  if (conjugate && (kind & kOfReal) != 0) s = Conjugated(b, s);
  if (b.ok()) Return(b, s);
}

// _fft_r2c, _fft_c2r, _fft_c2c: what the above decompose into. normalization: 0 none, 1 by the root
// of the number of elements, 2 by it.
void Core(OpBuilder& b) {
  int64_t kind = b.row().param;
  Signal s = SignalOf(b, "self");
  std::vector<int64_t> axes = b.Ints("dim"), lengths;
  if (!b.ok()) return;
  if (axes.empty()) return Return(b, s);
  const int64_t normalization = b.Int("normalization");
  if (b.HasArg("forward") && !b.Bool("forward")) kind |= kInverse;
  if (b.HasArg("onesided") && !b.Bool("onesided")) kind &= ~kOfReal;
  double count = 1;
  for (int64_t& axis : axes) {
    axis = b.Axis(axis, s.rank);
    if (!b.ok()) return;
    const bool halved = b.HasArg("last_dim_size") && &axis == &axes.back();
    lengths.push_back(halved ? b.Int("last_dim_size") : b.StaticDim(s.x, axis));
    count *= static_cast<double>(lengths.back());
  }
  if (b.ok() && !(count >= 1)) b.Invalid("a Fourier transform of no numbers");
  if (!b.ok()) return;
  const double scale = normalization == 0   ? 1
                       : normalization == 1 ? 1 / std::sqrt(count)
                                            : 1 / count;
  TransformAxes(b, &s, axes, lengths, kind, scale);
  if (b.ok()) Return(b, s);
}

// fftshift; ifftshift (param 1): rolls by half of each axis.
void Shift(OpBuilder& b) {
  const Signal s = SignalOf(b, "self");
  std::vector<int64_t> axes, shifts;
  if (b.Given("dim")) {
    axes = b.Ints("dim");
  } else {
    for (int64_t i = 0; i < s.rank; ++i) axes.push_back(i);
  }
  for (int64_t& axis : axes) {
    axis = b.Axis(axis, s.rank);
    if (!b.ok()) return;
    const int64_t n = b.StaticDim(s.x, axis);
    shifts.push_back(b.row().param == 0 ? n / 2 : (n + 1) / 2);
  }
  if (!b.ok()) return;
  b.Return(b.CallMany("aten::roll", {b.Arg("self"), IValue::Ints(shifts), IValue::Ints(axes)})[0]);
}

// fftfreq; rfftfreq (param 1).
void Frequencies(OpBuilder& b) {
  const int64_t n = b.Int("n");
  const double d = b.Float("d");
  const DType t = b.DTypeArg("dtype", DType::kF32);
  if (b.ok() && (n < 1 || n > (int64_t{1} << 24) || d == 0)) b.Invalid("n or d is out of range");
  if (!b.ok()) return;
  const bool half = b.row().param != 0;
  const int64_t count = half ? n / 2 + 1 : n;
  ir::Tensor f(t, {count});
  for (int64_t i = 0; i < count; ++i) {
    const int64_t k = half || i < (n + 1) / 2 ? i : i - n;
    f.SetDouble(i, static_cast<double>(k) / (static_cast<double>(n) * d));
  }
  b.Return(b.Constant(std::move(f)));
}

// --- short-time transforms -----------------------------------------------------------------------

struct Frames {
  int64_t n = 0, hop = 0, width = 0;
  bool onesided = true;
};

Frames FramesOf(OpBuilder& b, bool complex) {
  Frames f;
  f.n = b.Int("n_fft");
  f.hop = b.Int("hop_length", f.n / 4);
  f.width = b.Int("win_length", f.n);
  f.onesided = b.Bool("onesided", !complex);
  if (b.ok() && (f.n < 1 || f.hop < 1 || f.width < 1 || f.width > f.n || f.n > (1 << 24) ||
                 f.hop > (1 << 24))) {
    b.Invalid("n_fft, hop_length or win_length is out of range");
  }
  return f;
}

// The window [n], filled up with zeros on both sides; null for ones.
Value* WindowOf(OpBuilder& b, const Frames& f, DType t) {
  Value* window = b.OptTensor("window");
  if (!b.ok() || (window == nullptr && f.width == f.n)) return nullptr;
  if (window == nullptr) window = b.Full(t, {f.width}, 1);
  window = b.Cast(window, t);
  if (window->shape() != ir::Shape{f.width}) {
    b.Invalid("the window's length is not win_length");
    return nullptr;
  }
  const int64_t before = (f.n - f.width) / 2, after = f.n - f.width - before;
  std::vector<Value*> parts;
  if (before > 0) parts.push_back(b.Full(t, {before}, 0));
  parts.push_back(window);
  if (after > 0) parts.push_back(b.Full(t, {after}, 0));
  return b.Concat(std::move(parts), 0);
}

void ShortTime(OpBuilder& b) {
  Signal s = SignalOf(b, "self");
  const Frames f = FramesOf(b, s.complex);
  if (!b.ok()) return;
  if (s.complex) return b.Unsupported("stft of a complex signal");
  if (b.Bool("align_to_window", false) && f.width != f.n) {
    return b.Unsupported("stft with align_to_window and a window shorter than n_fft");
  }
  const bool batched = s.rank == 2;
  if (!batched && s.rank != 1) return b.Invalid("a signal must have rank 1 or 2");
  Value* x = batched ? s.x : b.Unsqueeze(s.x, 0);
  if (b.HasArg("center") && b.Bool("center")) {
    const IValue pads = IValue::Ints({f.n / 2, f.n / 2});
    x = b.Unsqueeze(x, 1);
    x = b.Call("aten::pad", {b.Wrap(x), pads, IValue::String(b.String("pad_mode"))});
    if (b.ok()) x = b.Squeeze(x, 1);
  }
  if (b.ok() && b.StaticDim(x, 1) < f.n) b.Invalid("the signal is shorter than n_fft");
  if (!b.ok()) return;
  Value* window = WindowOf(b, f, x->dtype());
  x = b.Call("aten::unfold", {b.Wrap(x), IValue::Int(1), IValue::Int(f.n), IValue::Int(f.hop)});
  if (window != nullptr) x = b.Binary(OpId::kMul, x, window);
  const double scale = b.Bool("normalized") ? 1 / std::sqrt(static_cast<double>(f.n)) : 1;
  x = import::EmitFourierOfReal(b, x, !f.onesided, scale);  // [batch, frame, frequency, 2]
  x = b.Transpose(x, {0, 2, 1, 3});
  if (!b.ok()) return;
  if (!batched) x = b.Squeeze(x, 0);
  if (b.Bool("return_complex", false)) return b.ReturnComplex(x);
  b.Return(x);
}

// Adds frames [batch, n, frames] up where they overlap: [batch, length].
Value* OverlapAdd(OpBuilder& b, Value* x, const Frames& f, int64_t length) {
  const std::vector<int64_t> none = {0, 0, 0, 0};
  Value* y = b.Emit(OpId::kCol2Im, {x},
                    {{"image", std::vector<int64_t>{1, length}},
                     {"kernel", std::vector<int64_t>{1, f.n}},
                     {"strides", std::vector<int64_t>{1, f.hop}},
                     {"pads", none},
                     {"dilations", std::vector<int64_t>{1, 1}}});
  return b.ok() ? b.Reshape(y, {b.Dim(y, 0), length}) : y;
}

void InverseShortTime(OpBuilder& b) {
  const Signal s = SignalOf(b, "self");
  Frames f = FramesOf(b, false);
  if (!b.ok()) return;
  if (!s.complex) return b.Invalid("istft of real numbers");
  if (b.Bool("return_complex")) return b.Unsupported("istft to a complex signal");
  const bool batched = s.rank == 3;
  if (!batched && s.rank != 2) return b.Invalid("a spectrogram must have rank 2 or 3");
  Value* x = batched ? s.x : b.Unsqueeze(s.x, 0);
  const int64_t frames = b.StaticDim(x, 2);
  if (b.ok() && (frames < 1 || frames > (int64_t{1} << 32))) {
    b.Invalid("a spectrogram without frames, or with too many");
  }
  if (!b.ok()) return;
  Value* window = WindowOf(b, f, x->dtype());
  const double n = static_cast<double>(f.n);
  const double scale = b.Bool("normalized") ? 1 / std::sqrt(n) : 1 / n;
  x = import::EmitFourierToReal(b, b.Transpose(x, {0, 2, 1, 3}), f.n, scale);
  if (window != nullptr) x = b.Binary(OpId::kMul, x, window);
  if (!b.ok()) return;
  const int64_t length = f.n + f.hop * (frames - 1);
  Value* y = OverlapAdd(b, b.Transpose(x, {0, 2, 1}), f, length);
  // How much of the windows, squared, has gone into each sample.
  if (window == nullptr) window = b.Full(x->dtype(), {f.n}, 1);
  Value* square = b.Reshape(b.Binary(OpId::kMul, window, window), {1, f.n, 1});
  Value* weight = OverlapAdd(b, b.Expand(square, {1, f.n, frames}), f, length);
  const bool centred = b.Bool("center");
  const int64_t start = centred ? f.n / 2 : 0;
  const int64_t asked = b.Int("length", 0);
  if (asked < 0 || asked > (int64_t{1} << 40)) return b.Invalid("length is out of range");
  const int64_t end = b.Given("length") ? start + asked : length - start;
  if (b.ok() && (end <= start || start >= length)) b.Invalid("an empty signal");
  if (!b.ok()) return;
  const int64_t have = std::min(end, length) - start;
  y = b.Binary(OpId::kDiv, b.SliceAxis(y, 1, start, have), b.SliceAxis(weight, 1, start, have));
  Signal signal{y, false, 2};
  Resize(b, &signal, 1, end - start);
  if (!b.ok()) return;
  b.Return(batched ? signal.x : b.Squeeze(signal.x, 0));
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    {"aten::fft_fft", Transform, kNoIr, 0},
    {"aten::fft_ifft", Transform, kNoIr, kInverse},
    {"aten::fft_rfft", Transform, kNoIr, kOfReal},
    {"aten::fft_irfft", Transform, kNoIr, kToReal | kInverse},
    {"aten::fft_hfft", Transform, kNoIr, kToReal | kInverse | kConjugate},
    {"aten::fft_ihfft", Transform, kNoIr, kOfReal | kConjugate},
    {"aten::fft_hfft2", Transform, kNoIr, kOverTwo | kToReal | kInverse | kConjugate},
    {"aten::fft_ihfft2", Transform, kNoIr, kOverTwo | kOfReal | kConjugate},
    {"aten::fft_hfftn", Transform, kNoIr, kOverMany | kToReal | kInverse | kConjugate},
    {"aten::fft_ihfftn", Transform, kNoIr, kOverMany | kOfReal | kConjugate},
    {"aten::fft_fft2", Transform, kNoIr, kOverTwo},
    {"aten::fft_ifft2", Transform, kNoIr, kOverTwo | kInverse},
    {"aten::fft_rfft2", Transform, kNoIr, kOverTwo | kOfReal},
    {"aten::fft_irfft2", Transform, kNoIr, kOverTwo | kToReal | kInverse},
    {"aten::fft_fftn", Transform, kNoIr, kOverMany},
    {"aten::fft_ifftn", Transform, kNoIr, kOverMany | kInverse},
    {"aten::fft_rfftn", Transform, kNoIr, kOverMany | kOfReal},
    {"aten::fft_irfftn", Transform, kNoIr, kOverMany | kToReal | kInverse},
    {"aten::_fft_r2c", Core, kNoIr, kOfReal},
    {"aten::_fft_c2r", Core, kNoIr, kToReal | kInverse},
    {"aten::_fft_c2c", Core, kNoIr, 0},
    {"aten::fft_fftshift", Shift, kNoIr, 0},
    {"aten::fft_ifftshift", Shift, kNoIr, 1},
    {"aten::fft_fftfreq", Frequencies, kNoIr, 0},
    {"aten::fft_rfftfreq", Frequencies, kNoIr, 1},
    {"aten::stft", ShortTime},
    {"aten::istft", InverseShortTime},
};

}  // namespace

std::span<const Row> FourierRows() { return kRows; }

}  // namespace floe::aten
