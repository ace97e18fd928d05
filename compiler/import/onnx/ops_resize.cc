// Resize, Upsample and GridSample. Each resized axis is a weighted sum of a few gathers with
// constant positions, or a product with a constant matrix where anti-aliasing needs many positions.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/ops.h"
#include "compiler/import/resample.h"

namespace floe::onnx {
namespace {

using import::Taps;
using ir::Value;

// What the attributes say, the same for every axis.
struct Sampling {
  std::string mode = "nearest";                // nearest, linear or cubic.
  std::string coordinates = "half_pixel";      // coordinate_transformation_mode
  std::string nearest = "round_prefer_floor";  // nearest_mode
  double cubic_a = -0.75;
  double extrapolation = 0;
  bool exclude_outside = false;
  bool antialias = false;
};

struct AxisPlan {
  int64_t axis = 0;
  int64_t from = 0, to = 0;  // Sizes.
  double scale = 1;
  double length = 0;  // from * scale, before it was rounded to `to`.
  double roi_begin = 0, roi_end = 1;
  // The new size where a run finds it or the old one. Then only the axis and the scale (0: it
  // follows from the sizes) are given.
  std::optional<ir::Dim> dynamic;
};

// Where output position i lies on the input's axis.
double SourceOf(const Sampling& s, const AxisPlan& p, int64_t i) {
  const auto x = static_cast<double>(i);
  const auto from = static_cast<double>(p.from), to = static_cast<double>(p.to);
  if (s.coordinates == "asymmetric") return x / p.scale;
  if (s.coordinates == "align_corners") return p.to == 1 ? 0 : x * (from - 1) / (p.length - 1);
  if (s.coordinates == "pytorch_half_pixel") return p.to == 1 ? 0 : (x + 0.5) / p.scale - 0.5;
  if (s.coordinates == "tf_half_pixel_for_nn") return (x + 0.5) / p.scale;
  if (s.coordinates == "tf_crop_and_resize") {
    const double begin = p.roi_begin * (from - 1);
    const double width = (p.roi_end - p.roi_begin) * (from - 1);
    return p.to == 1 ? begin + width / 2 : begin + x * width / (to - 1);
  }
  double offset = 0;
  if (s.coordinates == "half_pixel_symmetric") {
    offset = from / 2 * (1 - to / p.length);
  }
  return offset + (x + 0.5) / p.scale - 0.5;
}

int64_t NearestOf(const Sampling& s, double x) {
  if (s.nearest == "floor") return static_cast<int64_t>(std::floor(x));
  if (s.nearest == "ceil") return static_cast<int64_t>(std::ceil(x));
  if (s.nearest == "round_prefer_ceil") return static_cast<int64_t>(std::floor(x + 0.5));
  return static_cast<int64_t>(std::ceil(x - 0.5));
}

Taps TapsOf(const Sampling& s, const AxisPlan& p, double x) {
  const auto clamp = [&p](int64_t i) { return std::clamp<int64_t>(i, 0, p.from - 1); };
  Taps taps;
  if (s.mode == "nearest") {
    taps.index = {clamp(NearestOf(s, x))};
    taps.weight = {1};
    return taps;
  }
  const bool cubic = s.mode == "cubic";
  // Anti-aliasing widens the filter where the image shrinks.
  const double stretch = s.antialias ? std::min(p.scale, 1.0) : 1.0;
  const double reach = (cubic ? 2 : 1) / stretch;
  const auto base = static_cast<int64_t>(std::floor(x));
  const auto first = static_cast<int64_t>(std::floor(-reach)) + 1;
  double sum = 0;
  for (int64_t k = first; k <= 1 - first; ++k) {
    const double distance = (static_cast<double>(base + k) - x) * stretch;
    double weight =
        cubic ? import::CubicWeight(s.cubic_a, distance) : std::max(0.0, 1 - std::fabs(distance));
    const bool outside = base + k < 0 || base + k >= p.from;
    if (s.exclude_outside && outside) weight = 0;
    taps.index.push_back(clamp(base + k));
    taps.weight.push_back(weight);
    sum += weight;
  }
  if (sum != 0) {
    for (double& w : taps.weight) w /= sum;
  }
  return taps;
}

// [1, ..., length, ..., 1], to broadcast along `axis`.
std::vector<int64_t> AlongAxis(const Value* x, int64_t axis, int64_t length) {
  std::vector<int64_t> dims(x->rank(), 1);
  dims[static_cast<size_t>(axis)] = length;
  return dims;
}

Value* ResizeAxis(NodeBuilder& b, Value* x, const Sampling& s, const AxisPlan& p) {
  constexpr int64_t kLimit = int64_t{1} << 20;
  if (p.from < 1 || p.to < 1 || p.from > kLimit || p.to > kLimit || !(p.scale > 0)) {
    b.Unsupported(absl::StrFormat("an axis from %d to %d", p.from, p.to));
  }
  if (!b.ok()) return x;
  const bool crops = s.coordinates == "tf_crop_and_resize";
  ir::Tensor outside(DType::kBool, AlongAxis(x, p.axis, p.to));
  bool any_outside = false;
  std::vector<Taps> taps;
  for (int64_t i = 0; i < p.to; ++i) {
    const double at = SourceOf(s, p, i);
    const bool out = crops && (at < 0 || at > static_cast<double>(p.from - 1));
    outside.SetInt(i, out);
    any_outside = any_outside || out;
    taps.push_back(TapsOf(s, p, std::clamp(at, -1e6, 2e6)));
  }
  Value* y = import::Resample(b, x, p.axis, taps);
  if (any_outside) {
    y = b.Emit(OpId::kWhere, {b.Constant(std::move(outside)), b.ScalarLike(x, s.extrapolation), y});
  }
  return y;
}

Value* ResizeDynamic(NodeBuilder& b, Value* x, const Sampling& s, const AxisPlan& p) {
  import::DynamicAxis a = {p.axis, *p.dynamic, p.scale};
  bool known = s.mode != "cubic" && !s.antialias && !s.exclude_outside;
  if (s.coordinates == "asymmetric") {
    a.before = a.after = 0;
  } else if (s.coordinates == "align_corners") {
    a.corners = true;  // With a scale, the length counts before it is rounded.
    known = known && p.scale == std::floor(p.scale);
  } else if (s.coordinates == "tf_half_pixel_for_nn") {
    a.after = 0;
  } else if (s.coordinates == "pytorch_half_pixel") {
    known = known && b.Min(a.to) > 1;  // One position alone would be the first.
  } else {
    known = known && s.coordinates == "half_pixel";
  }
  if (s.mode == "nearest") {
    a.nearest = true;
    a.up = s.nearest == "ceil" || s.nearest == "round_prefer_floor";
    if (s.nearest == "round_prefer_floor") a.shift = -0.5;
    if (s.nearest == "round_prefer_ceil") a.shift = 0.5;
  }
  if (known) return import::ResampleDynamic(b, x, a);
  b.Unsupported(absl::StrFormat(
      "axis %d from %s to %s in mode '%s' with coordinates '%s'; fix that dimension", p.axis,
      b.Text(b.Dim(x, p.axis)), b.Text(a.to), s.mode, s.coordinates));
  return x;
}

void ResizeAxes(NodeBuilder& b, const Sampling& s, const std::vector<AxisPlan>& plans) {
  static constexpr const char* kCoordinates[] = {
      "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
      "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
  if (std::find(std::begin(kCoordinates), std::end(kCoordinates), s.coordinates) ==
      std::end(kCoordinates)) {
    return b.Unsupported("coordinate_transformation_mode '" + s.coordinates + "'");
  }
  if (s.mode != "nearest" && s.mode != "linear" && s.mode != "cubic") {
    return b.Unsupported("mode '" + s.mode + "'");
  }
  Value* x = b.In(0);
  if (s.mode != "nearest" && !IsFloat(x->dtype()) && b.ok()) {
    return b.Unsupported("interpolation between integers");
  }
  for (const AxisPlan& p : plans) {
    const bool same = p.from == p.to && p.scale == 1 && s.coordinates != "tf_crop_and_resize";
    if (!b.ok() || (same && !p.dynamic)) continue;
    x = p.dynamic ? ResizeDynamic(b, x, s, p) : ResizeAxis(b, x, s, p);
  }
  b.Out(x);
}

// One plan for each of `axes` that is not left as it is.
std::vector<AxisPlan> PlanByScales(NodeBuilder& b, const Value* x, const ir::Tensor& scales,
                                   const std::vector<int64_t>& axes) {
  std::vector<AxisPlan> plans;
  if (scales.count() != static_cast<int64_t>(axes.size())) {
    b.Invalid("scales need one number for each axis");
    return plans;
  }
  for (size_t i = 0; i < axes.size() && b.ok(); ++i) {
    AxisPlan p;
    p.axis = axes[i];
    p.scale = scales.DoubleAt(static_cast<int64_t>(i));
    if (const ir::Dim from = b.Dim(x, p.axis); !from.is_constant()) {
      if (p.scale == 1) continue;
      p.dynamic = import::Scaled(b, from, p.scale);
      plans.push_back(p);
      if (p.dynamic) continue;
      b.Unsupported(absl::StrFormat(
          "the scale %g of a dynamic dimension, which is no multiple of 1/16; fix it", p.scale));
      break;
    }
    p.from = b.StaticDim(x, p.axis);
    p.length = static_cast<double>(p.from) * p.scale;
    const double to = std::floor(p.length);
    p.to = to >= 0 && to < 1e9 ? static_cast<int64_t>(to) : 0;
    plans.push_back(p);
  }
  return plans;
}

std::vector<AxisPlan> PlanBySizes(NodeBuilder& b, const Value* x, const std::vector<ir::Dim>& sizes,
                                  const std::vector<int64_t>& axes, const std::string& policy) {
  std::vector<AxisPlan> plans;
  if (sizes.size() != axes.size()) {
    if (b.ok()) b.Invalid("sizes need one number for each axis");
    return plans;
  }
  double least = INFINITY, most = 0;
  for (size_t i = 0; i < axes.size() && b.ok(); ++i) {
    AxisPlan p;
    p.axis = axes[i];
    if (sizes[i] == b.Dim(x, p.axis) && !sizes[i].is_constant()) continue;
    if (!sizes[i].is_constant() || !b.Dim(x, p.axis).is_constant()) {
      if (policy != "stretch") {
        b.Unsupported("a size of a dynamic dimension that shall keep its aspect ratio");
      }
      p.scale = 0;
      p.dynamic = sizes[i];
      plans.push_back(p);
      continue;
    }
    p.from = b.StaticDim(x, p.axis);
    p.to = sizes[i].constant();
    p.length = static_cast<double>(p.to);
    p.scale = p.length / static_cast<double>(std::max<int64_t>(p.from, 1));
    least = std::min(least, p.scale);
    most = std::max(most, p.scale);
    plans.push_back(p);
  }
  if (policy == "stretch") return plans;
  if (policy != "not_larger" && policy != "not_smaller") {
    b.Invalid("attribute 'keep_aspect_ratio_policy' is '" + policy + "'");
  }
  for (AxisPlan& p : plans) {
    p.scale = policy == "not_larger" ? least : most;
    p.length = static_cast<double>(p.from) * p.scale;
    const double to = std::floor(p.length + 0.5);
    p.to = to >= 0 && to < 1e9 ? static_cast<int64_t>(to) : 0;
  }
  return plans;
}

std::vector<int64_t> AllAxes(const Value* x) {
  std::vector<int64_t> axes(x->rank());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

std::optional<ir::Tensor> NeedScales(NodeBuilder& b, size_t i) {
  std::optional<ir::Tensor> scales = b.ConstantOf(b.In(i));
  if (!scales && b.ok()) b.Unsupported("scales that are computed at run time");
  return b.ok() ? scales : std::nullopt;
}

// Opset 10 and Upsample: positions are multiples of 1 / scale, rounded down.
Sampling Old(NodeBuilder& b) {
  Sampling s;
  s.mode = b.String("mode", "nearest");
  if (s.mode == "bilinear") s.mode = "linear";
  s.coordinates = "asymmetric";
  s.nearest = "floor";
  return s;
}

void Upsample7(NodeBuilder& b) {
  Value* x = b.In(0);
  const std::vector<double> list = b.Floats("scales");
  ir::Tensor scales(DType::kF64, {static_cast<int64_t>(list.size())});
  for (size_t i = 0; i < list.size(); ++i) scales.SetDouble(static_cast<int64_t>(i), list[i]);
  ResizeAxes(b, Old(b), PlanByScales(b, x, scales, AllAxes(x)));
}

void Resize10(NodeBuilder& b) {
  Value* x = b.In(0);
  const Sampling s = Old(b);
  if (const auto scales = NeedScales(b, 1)) {
    ResizeAxes(b, s, PlanByScales(b, x, *scales, AllAxes(x)));
  }
}

// Older files pass an empty tensor for an absent operand.
Value* NonEmpty(NodeBuilder& b, size_t i) {
  Value* v = b.OptIn(i);
  return v == nullptr || v->shape() == ir::Shape{0} ? nullptr : v;
}

void ReadRoi(NodeBuilder& b, const std::vector<int64_t>& axes, std::vector<AxisPlan>* plans) {
  Value* v = NonEmpty(b, 1);
  const std::optional<ir::Tensor> roi = v == nullptr ? std::nullopt : b.ConstantOf(v);
  const auto n = static_cast<int64_t>(axes.size());
  if (!roi || roi->count() != 2 * n) {
    return b.Unsupported("tf_crop_and_resize without a constant region (roi)");
  }
  for (AxisPlan& p : *plans) {
    const int64_t i = std::find(axes.begin(), axes.end(), p.axis) - axes.begin();
    p.roi_begin = roi->DoubleAt(i);
    p.roi_end = roi->DoubleAt(i + n);
  }
}

void Resize(NodeBuilder& b) {
  Value* x = b.In(0);
  Sampling s;
  s.mode = b.String("mode", "nearest");
  s.coordinates = b.String("coordinate_transformation_mode", "half_pixel");
  s.nearest = b.String("nearest_mode", "round_prefer_floor");
  s.cubic_a = b.Float("cubic_coeff_a", -0.75);
  s.extrapolation = b.Float("extrapolation_value", 0);
  s.exclude_outside = b.Int("exclude_outside", 0) != 0;
  s.antialias = b.Int("antialias", 0) != 0;
  const std::string policy = b.String("keep_aspect_ratio_policy", "stretch");
  std::vector<int64_t> axes = b.Ints("axes");
  if (axes.empty()) axes = AllAxes(x);
  for (int64_t& axis : axes) axis = b.Axis(axis, b.Rank(x));
  b.IgnoreInput(1);
  std::vector<AxisPlan> plans;
  if (Value* sizes = NonEmpty(b, 3)) {
    b.IgnoreInput(2);
    plans = PlanBySizes(b, x, b.DimsOf(sizes, "the list of sizes"), axes, policy);
  } else if (NonEmpty(b, 2) == nullptr) {
    if (b.ok()) b.Invalid("both scales and sizes are missing");
  } else if (const auto scales = NeedScales(b, 2)) {
    plans = PlanByScales(b, x, *scales, axes);
  }
  if (s.coordinates == "tf_crop_and_resize" && b.ok()) ReadRoi(b, axes, &plans);
  if (b.ok()) ResizeAxes(b, s, plans);
}

void GridSample(NodeBuilder& b) {
  const std::string mode = b.String("mode", "linear");
  const std::string padding = b.String("padding_mode", "zeros");
  GridMode m = GridMode::kBilinear;
  if (mode == "nearest") {
    m = GridMode::kNearest;
  } else if (mode == "cubic" || mode == "bicubic") {
    m = GridMode::kBicubic;
  } else if (mode != "linear" && mode != "bilinear") {
    return b.Invalid("attribute 'mode' is '" + mode + "'");
  }
  GridPadding p = GridPadding::kZeros;
  if (padding == "border") {
    p = GridPadding::kBorder;
  } else if (padding == "reflection") {
    p = GridPadding::kReflection;
  } else if (padding != "zeros") {
    return b.Invalid("attribute 'padding_mode' is '" + padding + "'");
  }
  b.Out(b.Emit(OpId::kGridSample, {b.In(0), b.In(1)},
               {{"mode", static_cast<int64_t>(m)},
                {"padding", static_cast<int64_t>(p)},
                {"align_corners", int64_t{b.Int("align_corners", 0) != 0}}}));
}

constexpr Row kRows[] = {
    {"Upsample", 7, Upsample7},
    {"Upsample", 9, Resize10},
    {"Resize", 10, Resize10},
    {"Resize", 11, Resize},
    {"GridSample", 16, GridSample, OpId::kGridSample},
};

}  // namespace

std::span<const Row> ResizeRows() { return kRows; }

}  // namespace floe::onnx
