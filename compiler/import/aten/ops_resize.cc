// Upsampling and its relatives: each resized axis is resampled on its own, at positions that are
// computed as PyTorch does, in f32.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"
#include "compiler/import/resample.h"

namespace floe::aten {
namespace {

using import::Taps;
using ir::Dim;
using ir::Value;

// `param` of a row: the method, and the number of spatial axes in its low two bits.
enum Method : int64_t {
  kNearest = 1 << 2,
  kNearestExact = 2 << 2,
  kLinear = 3 << 2,
  kCubic = 4 << 2,
  kLinearSmooth = 5 << 2,  // With anti-aliasing.
  kCubicSmooth = 6 << 2,
  kLanczosSmooth = 7 << 2,
};
constexpr int64_t kSpatialMask = 3;

struct Axis {
  int64_t axis = 0;
  int64_t from = 0, to = 0;
  double given_scale = 0;  // Output over input, as the user gave it; 0: it follows from the sizes.
  bool wide = false;       // Of an f64 image.
};

// A result of PyTorch's f32 arithmetic; of f64's for images of that dtype.
double Rounded(const Axis& a, double v) {
  return a.wide ? v : static_cast<double>(static_cast<float>(v));
}

// Old positions per new one.
double Step(const Axis& a, bool align_corners) {
  const auto from = static_cast<double>(a.from), to = static_cast<double>(a.to);
  if (align_corners) return a.to > 1 ? Rounded(a, (from - 1) / (to - 1)) : 0;
  return Rounded(a, a.given_scale > 0 ? 1 / a.given_scale : from / to);
}

// Positions of the nearest pixel are f32 for every dtype.
Taps NearestTaps(Axis a, int64_t i, bool exact) {
  a.wide = false;
  const double at = static_cast<double>(i) + (exact ? 0.5 : 0);
  const double source = std::floor(Rounded(a, at * Step(a, false)));
  const double last = static_cast<double>(a.from - 1);
  return {{static_cast<int64_t>(std::clamp(source, 0.0, last))}, {1}};
}

// Where new position i lies among the old ones.
double SourceOf(const Axis& a, int64_t i, bool align_corners, bool cubic) {
  const double step = Step(a, align_corners);
  const auto at = static_cast<double>(i);
  if (align_corners) return Rounded(a, step * at);
  const double source = Rounded(a, Rounded(a, step * (at + 0.5)) - 0.5);
  return cubic ? source : std::max(source, 0.0);
}

Taps LinearTaps(const Axis& a, int64_t i, bool align_corners) {
  const double x = SourceOf(a, i, align_corners, false);
  const double last = static_cast<double>(a.from - 1);
  const auto low = static_cast<int64_t>(std::min(x, last));
  const int64_t high = std::min(low + 1, a.from - 1);
  const double w = std::clamp(x - static_cast<double>(low), 0.0, 1.0);
  return {{low, high}, {1 - w, w}};
}

constexpr double kCubicA = -0.75, kSmoothCubicA = -0.5;

Taps CubicTaps(const Axis& a, int64_t i, bool align_corners) {
  const double x =
      std::clamp(SourceOf(a, i, align_corners, true), -4.0, static_cast<double>(a.from) + 4);
  const auto base = static_cast<int64_t>(std::floor(x));
  Taps taps;
  for (int64_t k = base - 1; k <= base + 2; ++k) {
    taps.index.push_back(std::clamp<int64_t>(k, 0, a.from - 1));
    taps.weight.push_back(import::CubicWeight(kCubicA, static_cast<double>(k) - x));
  }
  return taps;
}

double SincOf(double x) {
  constexpr double kPi = std::numbers::pi;
  return x == 0 ? 1 : std::sin(kPi * x) / (kPi * x);
}

// How much a pixel at a distance counts.
double SmoothWeight(int64_t method, double d) {
  switch (method) {
    case kCubicSmooth:
      return import::CubicWeight(kSmoothCubicA, d);
    case kLanczosSmooth:
      return std::fabs(d) < 3 ? SincOf(d) * SincOf(d / 3) : 0;
    default:
      return std::max(0.0, 1 - std::fabs(d));
  }
}

// The filter is as wide as a new pixel where the image shrinks; weights sum to 1.
Taps SmoothTaps(const Axis& a, int64_t i, bool align_corners, int64_t method) {
  const double step = Step(a, align_corners);
  const double stretch = std::max(step, 1.0);
  const double reach = (method == kLanczosSmooth ? 3 : method == kCubicSmooth ? 2 : 1) * stretch;
  const double centre = step * (static_cast<double>(i) + 0.5);
  const double size = static_cast<double>(a.from);
  const auto begin = static_cast<int64_t>(std::clamp(centre - reach + 0.5, 0.0, size));
  const auto end = static_cast<int64_t>(std::clamp(centre + reach + 0.5, 0.0, size));
  Taps taps;
  double sum = 0;
  for (int64_t k = begin; k < end; ++k) {
    const double d = (static_cast<double>(k) - centre + 0.5) / stretch;
    const double w = SmoothWeight(method, d);
    taps.index.push_back(k);
    taps.weight.push_back(w);
    sum += w;
  }
  if (taps.index.empty()) return {{a.from - 1}, {1}};
  for (double& w : taps.weight) w /= sum;
  return taps;
}

Taps TapsOf(int64_t method, const Axis& a, int64_t i, bool align_corners) {
  switch (method) {
    case kNearest:
    case kNearestExact:
      return NearestTaps(a, i, method == kNearestExact);
    case kLinear:
      return LinearTaps(a, i, align_corners);
    case kCubic:
      return CubicTaps(a, i, align_corners);
    default:
      return SmoothTaps(a, i, align_corners, method);
  }
}

// The scales given beside a size, for each axis; 0 where there is none.
std::vector<double> GivenScales(OpBuilder& b, size_t n) {
  std::vector<double> scales(n, 0);
  if (b.Given("scale_factors")) {
    scales = b.Floats("scale_factors");
  } else if (n == 1) {
    scales[0] = b.Float("scales", 0);
  } else {
    static constexpr const char* kNames[] = {"scales_d", "scales_h", "scales_w"};
    for (size_t i = 0; i < n; ++i) scales[i] = b.Float(kNames[3 - n + i], 0);
  }
  if (scales.size() == 1) scales.assign(n, scales[0]);
  if (scales.size() == n) return scales;
  if (b.ok()) b.Invalid("the scale factors do not fit the image");
  return std::vector<double>(n, 0);
}

// The new size of an axis: given, or the old one times the scale.
Dim SizeOf(OpBuilder& b, const Dim& from, double scale) {
  const double rounded = std::nearbyint(scale);
  if (!from.is_constant()) {
    if (rounded == scale && scale >= 1 && scale <= 1e6) {
      return b.Mul(from, static_cast<int64_t>(rounded));
    }
    // Few binary digits: the product is exact for every size.
    constexpr int kDigits = 10;
    const double digits = std::ldexp(scale, kDigits);
    if (digits >= 1 && digits <= 1e6 && std::nearbyint(digits) == digits) {
      const std::optional<Dim> to =
          Dim::DivFloor(b.Mul(from, static_cast<int64_t>(digits)), int64_t{1} << kDigits);
      if (to) return *to;
    }
    b.Unsupported(absl::StrFormat("scale factor %g for a dynamic dimension", scale));
    return 1;
  }
  const double to = std::floor(static_cast<double>(from.constant()) * scale);
  if (to >= 1 && to < 1e9) return static_cast<int64_t>(to);
  b.Invalid(absl::StrFormat("scale factor %g", scale));
  return 1;
}

// Repeats each element along an axis `times` times: nearest positions of a whole scale.
Value* RepeatEach(OpBuilder& b, Value* x, int64_t axis, int64_t times) {
  ir::Shape wide = x->shape(), flat = x->shape();
  wide.insert(wide.begin() + axis + 1, Dim(times));
  flat[static_cast<size_t>(axis)] = b.Mul(flat[static_cast<size_t>(axis)], times);
  return b.Reshape(b.Expand(b.Unsqueeze(x, axis + 1), std::move(wide)), std::move(flat));
}

// An axis whose sizes are known at run time only. What Axis and Taps are to numbers, this is to
// tensors: positions and weights are vectors of [to], in `dtype`.
struct RunAxis {
  OpBuilder& b;
  int64_t axis;
  Dim from, to;
  double given_scale;
  bool align_corners;
  DType dtype;

  Value* Number(double v) const { return b.Scalar(dtype, v); }
  Value* Size(const Dim& d) const { return b.Cast(b.DimValue(d), dtype); }
  Value* Clamp(Value* x, double low, const Dim& high) const {
    return b.Binary(OpId::kMinimum, b.Binary(OpId::kMaximum, x, Number(low)), Size(high));
  }
  Value* Step() const {
    if (!align_corners && given_scale > 0) return Number(1 / given_scale);
    if (!align_corners) return b.Binary(OpId::kDiv, Size(from), Size(to));
    Value* most = b.Binary(OpId::kMaximum, Size(b.Sub(to, 1)), Number(1));
    return b.Binary(OpId::kDiv, Size(b.Sub(from, 1)), most);
  }
  // (new position + shift) * step - back.
  Value* Sources(double shift, double back) const {
    Value* at = Plus(b, b.Arange(to, dtype), shift);
    return Plus(b, b.Binary(OpId::kMul, at, Step()), -back);
  }
  // Rows of x at positions, which are cut to the axis.
  Value* Pick(Value* x, Value* positions) const {
    return b.Gather(x, b.Cast(Clamp(positions, 0, b.Sub(from, 1)), DType::kI64), axis);
  }
  Value* Weighted(Value* x, Value* positions, Value* weight) const {
    return b.Binary(OpId::kMul, Pick(x, positions), AlongAxis(b, weight, axis, b.Rank(x)));
  }
};

Value* LinearAtRun(const RunAxis& a, Value* x) {
  OpBuilder& b = a.b;
  const double half = a.align_corners ? 0 : 0.5;
  Value* source = a.Clamp(a.Sources(half, half), 0, b.Sub(a.from, 1));
  Value* low = b.Unary(OpId::kFloor, source);
  Value* w = b.Binary(OpId::kSub, source, low);
  Value* rest = b.Binary(OpId::kSub, a.Number(1), w);
  return b.Binary(OpId::kAdd, a.Weighted(x, low, rest), a.Weighted(x, Plus(b, low, 1), w));
}

// CubicWeight() of distances within 1, and of those from 1 to 2.
Value* NearCubic(OpBuilder& b, Value* d) {
  Value* inner = Plus(b, Times(b, d, kCubicA + 2), -(kCubicA + 3));
  return Plus(b, b.Binary(OpId::kMul, b.Binary(OpId::kMul, inner, d), d), 1);
}
Value* FarCubic(OpBuilder& b, Value* d) {
  Value* inner = Plus(b, Times(b, d, kCubicA), -5 * kCubicA);
  inner = Plus(b, b.Binary(OpId::kMul, inner, d), 8 * kCubicA);
  return Plus(b, b.Binary(OpId::kMul, inner, d), -4 * kCubicA);
}

Value* CubicAtRun(const RunAxis& a, Value* x) {
  OpBuilder& b = a.b;
  const double half = a.align_corners ? 0 : 0.5;
  Value* source = a.Sources(half, half);
  Value* base = b.Unary(OpId::kFloor, source);
  Value* t = b.Binary(OpId::kSub, source, base);
  Value* rest = b.Binary(OpId::kSub, a.Number(1), t);
  Value* const weights[] = {FarCubic(b, Plus(b, t, 1)), NearCubic(b, t), NearCubic(b, rest),
                            FarCubic(b, Plus(b, rest, 1))};
  Value* sum = nullptr;
  for (int k = 0; k < 4; ++k) {
    Value* part = a.Weighted(x, Plus(b, base, k - 1), weights[k]);
    sum = sum == nullptr ? part : b.Binary(OpId::kAdd, sum, part);
  }
  return sum;
}

Value* ResizeDynamic(OpBuilder& b, Value* x, int64_t method, RunAxis a) {
  const std::optional<Dim> times = b.Min(a.from) > 0 ? Dim::DivExact(a.to, a.from) : std::nullopt;
  const bool exact = method == kNearestExact;
  if (method == kNearest || exact) {
    const bool whole = times && times->is_constant() && times->constant() > 0;
    if (whole && (a.given_scale <= 0 || a.given_scale == static_cast<double>(times->constant()))) {
      return RepeatEach(b, x, a.axis, times->constant());
    }
    a.dtype = DType::kF32;  // As for every image.
    a.align_corners = false;
    return a.Pick(x, b.Unary(OpId::kFloor, a.Sources(exact ? 0.5 : 0, 0)));
  }
  if (method == kLinear) return LinearAtRun(a, x);
  if (method == kCubic) return CubicAtRun(a, x);
  b.Unsupported(absl::StrFormat("resizes axis %d from %s to %s with anti-aliasing; fix that size",
                                a.axis, b.Text(a.from), b.Text(a.to)));
  return x;
}

Value* ResizeAxis(OpBuilder& b, Value* x, int64_t method, const Axis& a, bool align_corners) {
  constexpr int64_t kLimit = int64_t{1} << 20;
  if (a.from < 1 || a.to < 1 || a.from > kLimit || a.to > kLimit) {
    b.Unsupported(absl::StrFormat("resizes an axis from %d to %d", a.from, a.to));
  }
  if (!b.ok()) return x;
  std::vector<Taps> taps;
  for (int64_t i = 0; i < a.to; ++i) taps.push_back(TapsOf(method, a, i, align_corners));
  return import::Resample(b, x, a.axis, taps);
}

// Where sizes are equal but the scale given is not 1, some of PyTorch's kernels copy the image; the
// others move pixels.
bool IgnoresScaleOfEqualSizes(int64_t method, size_t spatial) {
  return (method == kNearest && spatial == 2) || method == kLinear || method == kLinearSmooth ||
         method == kCubicSmooth || method == kLanczosSmooth;
}

void Resize(OpBuilder& b) {
  Value* x = b.Tensor(b.HasArg("self") ? "self" : "input");
  const auto n = static_cast<size_t>(b.row().param & kSpatialMask);
  const int64_t method = b.row().param & ~kSpatialMask;
  const bool align_corners = b.Bool("align_corners", false);
  const std::vector<double> scales = GivenScales(b, n);
  std::vector<Dim> sizes;
  if (b.Given("output_size")) sizes = b.SymInts("output_size");
  if (!b.ok()) return;
  if (x->rank() != n + 2) return b.Invalid("the image has another rank");
  for (size_t i = sizes.size(); i < n && !b.Given("output_size"); ++i) {
    sizes.push_back(SizeOf(b, b.Dim(x, static_cast<int64_t>(i) + 2), scales[i]));
  }
  if (sizes.size() != n) return b.Invalid("output_size does not fit the image");
  const bool nearest = method == kNearest || method == kNearestExact;
  if (!nearest && !IsFloat(x->dtype())) return b.Unsupported("interpolation between integers");
  // What lies between f16 numbers is computed in f32.
  const DType dtype = x->dtype();
  if (!nearest && dtype != DType::kF64) x = b.Cast(x, DType::kF32);
  for (size_t i = 0; i < n && b.ok(); ++i) {
    const auto axis = static_cast<int64_t>(i) + 2;
    const Dim from = b.Dim(x, axis);
    const bool scaled =
        scales[i] > 0 && scales[i] != 1 && !align_corners && !IgnoresScaleOfEqualSizes(method, n);
    if (from == sizes[i] && !scaled) continue;
    if (!from.is_constant() || !sizes[i].is_constant()) {
      const DType positions = dtype == DType::kF64 ? DType::kF64 : DType::kF32;
      x = ResizeDynamic(b, x, method,
                        {b, axis, from, sizes[i], scales[i], align_corners, positions});
    } else {
      x = ResizeAxis(b, x, method,
                     {axis, from.constant(), sizes[i].constant(), scales[i], dtype == DType::kF64},
                     align_corners);
    }
  }
  b.Return(b.Cast(x, dtype));
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    {"aten::upsample_nearest1d", Resize, kNoIr, kNearest | 1},
    {"aten::upsample_nearest2d", Resize, kNoIr, kNearest | 2},
    {"aten::upsample_nearest3d", Resize, kNoIr, kNearest | 3},
    {"aten::_upsample_nearest_exact1d", Resize, kNoIr, kNearestExact | 1},
    {"aten::_upsample_nearest_exact2d", Resize, kNoIr, kNearestExact | 2},
    {"aten::_upsample_nearest_exact3d", Resize, kNoIr, kNearestExact | 3},
    {"aten::upsample_linear1d", Resize, kNoIr, kLinear | 1},
    {"aten::upsample_bilinear2d", Resize, kNoIr, kLinear | 2},
    {"aten::upsample_trilinear3d", Resize, kNoIr, kLinear | 3},
    {"aten::upsample_bicubic2d", Resize, kNoIr, kCubic | 2},
    {"aten::_upsample_bilinear2d_aa", Resize, kNoIr, kLinearSmooth | 2},
    {"aten::_upsample_bicubic2d_aa", Resize, kNoIr, kCubicSmooth | 2},
    {"aten::_upsample_lanczos2d_aa", Resize, kNoIr, kLanczosSmooth | 2},
};

}  // namespace

std::span<const Row> ResizeRows() { return kRows; }

}  // namespace floe::aten
