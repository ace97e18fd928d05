// Pooling and Col2Im, and the windows that it shares with convolution.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/ops.h"

namespace floe::onnx {

using ir::Value;

namespace {

// Numbers that make sense for a window; larger ones are certainly damage.
constexpr int64_t kLimit = int64_t{1} << 30;

std::vector<int64_t> IntsOr(NodeBuilder& b, const char* name, size_t count, int64_t fallback,
                            int64_t min) {
  std::vector<int64_t> v = b.Ints(name);
  if (v.empty()) v.assign(count, fallback);
  bool fits = v.size() == count;
  for (const int64_t n : v) fits = fits && n >= min && n <= kLimit;
  if (fits) return v;
  b.Invalid(absl::StrFormat("attribute '%s' does not fit: it needs %d numbers from %d on", name,
                            count, min));
  return std::vector<int64_t>(count, fallback);
}

// Pads so that the output has ceil(size / stride) elements on every axis.
void PadSame(NodeBuilder& b, const Value* x, bool upper, Window* w) {
  const size_t n = w->kernel.size();
  for (size_t i = 0; i < n; ++i) {
    const int64_t extent = (w->kernel[i] - 1) * w->dilations[i] + 1;
    int64_t total = extent - 1;
    // With stride 1 the size does not matter.
    if (w->strides[i] != 1) {
      const int64_t size = b.StaticDim(x, static_cast<int64_t>(i) + 2);
      const int64_t rest = size % w->strides[i];
      total = std::max<int64_t>(0, extent - (rest == 0 ? w->strides[i] : rest));
    }
    w->pads[i] = upper ? total / 2 : total - total / 2;
    w->pads[i + n] = total - w->pads[i];
  }
}

}  // namespace

Window ReadWindow(NodeBuilder& b, const Value* x, std::vector<int64_t> kernel) {
  const size_t n = kernel.size();
  if (x->rank() != n + 2 && b.ok()) {
    b.Invalid(absl::StrFormat("the window has %d axes, the image %s", n, b.Text(x->shape())));
  }
  for (const int64_t k : kernel) {
    if ((k < 1 || k > kLimit) && b.ok()) b.Invalid("the window's size is not positive");
  }
  Window w;
  w.kernel = std::move(kernel);
  w.strides = IntsOr(b, "strides", n, 1, 1);
  w.dilations = IntsOr(b, "dilations", n, 1, 1);
  const std::string auto_pad = b.String("auto_pad", "NOTSET");
  if (auto_pad == "NOTSET" || auto_pad.empty()) {
    w.pads = IntsOr(b, "pads", 2 * n, 0, 0);
    return w;
  }
  b.IgnoreAttr("pads");
  w.pads.assign(2 * n, 0);
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    if (b.ok()) PadSame(b, x, auto_pad == "SAME_UPPER", &w);
  } else if (auto_pad != "VALID") {
    b.Invalid("attribute 'auto_pad' is '" + auto_pad + "'");
  }
  return w;
}

namespace {

AttrList WindowAttrs(const Window& w, int64_t ceil_mode) {
  return {{"kernel", w.kernel},
          {"strides", w.strides},
          {"pads", w.pads},
          {"dilations", w.dilations},
          {"ceil_mode", ceil_mode}};
}

std::vector<int64_t> KernelAttr(NodeBuilder& b) {
  std::vector<int64_t> kernel = b.Ints("kernel_shape");
  if (kernel.empty() && b.ok()) b.Invalid("attribute 'kernel_shape' is missing");
  return kernel;
}

// Flat indices into images of two axes, counted along the first one.
Value* ColumnMajor(NodeBuilder& b, Value* indices, const Value* x) {
  if (x->rank() != 4) {
    b.Unsupported("indices in column-major order (storage_order = 1) but in two spatial axes");
    return indices;
  }
  Value* height = b.DimValue(x->shape()[2]);
  Value* width = b.DimValue(x->shape()[3]);
  const auto mod = [&b](Value* v, Value* divisor) {
    return b.Emit(OpId::kMod, {v, divisor}, {{"fmod", int64_t{0}}});
  };
  Value* in_plane = mod(indices, b.Binary(OpId::kMul, height, width));
  Value* plane = b.Binary(OpId::kSub, indices, in_plane);
  Value* row = b.Binary(OpId::kDiv, in_plane, width);
  Value* column = b.Binary(OpId::kMul, mod(in_plane, width), height);
  return b.Binary(OpId::kAdd, plane, b.Binary(OpId::kAdd, column, row));
}

void MaxPool(NodeBuilder& b) {
  Value* x = b.In(0);
  const Window w = ReadWindow(b, x, KernelAttr(b));
  const AttrList attrs = WindowAttrs(w, b.Int("ceil_mode", 0));
  const int64_t storage_order = b.Int("storage_order", 0);
  if (!b.WantsOutput(1)) return b.Out(b.Emit(OpId::kMaxPool, {x}, attrs));
  const std::vector<Value*> y = b.EmitMany(OpId::kMaxPool, {x}, 2, attrs);
  b.Out(0, y[0]);
  b.Out(1, storage_order == 0 ? y[1] : ColumnMajor(b, y[1], x));
}

void AveragePool(NodeBuilder& b) {
  Value* x = b.In(0);
  AttrList attrs = WindowAttrs(ReadWindow(b, x, KernelAttr(b)), b.Int("ceil_mode", 0));
  attrs.emplace_back("count_include_pad", b.Int("count_include_pad", 0));
  b.Out(b.Emit(OpId::kAvgPool, {x}, std::move(attrs)));
}

// |x|^p summed over the windows, to the power 1/p.
void LpPool(NodeBuilder& b) {
  Value* x = b.In(0);
  const Window w = ReadWindow(b, x, KernelAttr(b));
  const int64_t p = b.Int("p", 2);
  if (b.Int("ceil_mode", 0) != 0) return b.Unsupported("ceil_mode = 1");
  double count = 1;
  for (const int64_t k : w.kernel) count *= static_cast<double>(k);
  AttrList attrs = WindowAttrs(w, 0);
  attrs.emplace_back("count_include_pad", int64_t{1});
  const auto exponent = static_cast<double>(p);
  Value* power = b.Emit(OpId::kPow, {b.Unary(OpId::kAbs, x), b.ScalarLike(x, exponent)});
  Value* mean = b.Emit(OpId::kAvgPool, {power}, std::move(attrs));
  Value* sum = b.Binary(OpId::kMul, mean, b.ScalarLike(x, count));
  b.Out(b.Binary(OpId::kPow, sum, b.ScalarLike(x, 1 / exponent)));
}

std::vector<int64_t> SpatialAxes(const Value* x) {
  std::vector<int64_t> axes(x->rank() > 2 ? x->rank() - 2 : 0);
  std::iota(axes.begin(), axes.end(), 2);
  return axes;
}

void GlobalPool(NodeBuilder& b) {
  Value* x = b.In(0);
  b.Out(b.Reduce(static_cast<ReduceKind>(b.row().param), x, SpatialAxes(x), true));
}

void GlobalLpPool(NodeBuilder& b) {
  Value* x = b.In(0);
  const int64_t p = b.Int("p", 2);
  if (p == 1 || p == 2) {
    return b.Out(b.Reduce(p == 1 ? ReduceKind::kL1 : ReduceKind::kL2, x, SpatialAxes(x), true));
  }
  const auto exponent = static_cast<double>(p);
  Value* power = b.Binary(OpId::kPow, b.Unary(OpId::kAbs, x), b.ScalarLike(x, exponent));
  Value* sum = b.Reduce(ReduceKind::kSum, power, SpatialAxes(x), true);
  b.Out(b.Binary(OpId::kPow, sum, b.ScalarLike(x, 1 / exponent)));
}

void Col2Im(NodeBuilder& b) {
  Value* x = b.In(0);
  const std::vector<int64_t> image = b.NumbersOf(b.In(1), "the image's shape");
  const std::vector<int64_t> kernel = b.NumbersOf(b.In(2), "the block's shape");
  const size_t n = image.size();
  const std::vector<int64_t> strides = IntsOr(b, "strides", n, 1, 1);
  const std::vector<int64_t> pads = IntsOr(b, "pads", 2 * n, 0, 0);
  const std::vector<int64_t> dilations = IntsOr(b, "dilations", n, 1, 1);
  for (const int64_t size : image) {
    if ((size < 0 || size > kLimit) && b.ok()) b.Invalid("the image's shape is no shape");
  }
  b.Out(b.Emit(OpId::kCol2Im, {x},
               {{"image", image},
                {"kernel", kernel},
                {"strides", strides},
                {"pads", pads},
                {"dilations", dilations}}));
}

// The inverse of MaxPool: values go to their indices in an image of zeros. An output_shape only
// appends zeros; the indices count in the image without them.
void MaxUnpool(NodeBuilder& b) {
  Value* x = b.In(0);
  const Window w = ReadWindow(b, x, KernelAttr(b));
  std::vector<int64_t> wanted;
  if (b.HasInput(2)) wanted = b.NumbersOf(b.In(2), "the output's shape");
  if (!b.ok()) return;
  ir::Shape shape = {x->shape()[0], x->shape()[1]};
  const size_t n = w.kernel.size();
  for (size_t i = 0; i < n; ++i) {
    const ir::Dim steps = b.Mul(b.Sub(x->shape()[i + 2], 1), w.strides[i]);
    shape.push_back(b.Add(steps, w.kernel[i] - w.pads[i] - w.pads[i + n]));
  }
  const ir::Shape flat = {b.Product(shape, 0, shape.size())};
  const ir::Shape flat_x = {b.Product(x->shape(), 0, x->rank())};
  if (!b.ok()) return;
  Value* zeros = b.Emit(OpId::kConstantOfShape, {}, {{"value", 0.0}}, TensorType{x->dtype(), flat});
  Value* y =
      b.Emit(OpId::kScatterElements, {zeros, b.Reshape(b.In(1), flat_x), b.Reshape(x, flat_x)},
             {{"axis", int64_t{0}}, {"reduction", static_cast<int64_t>(ScatterReduction::kNone)}});
  y = b.Reshape(y, shape);
  if (!b.HasInput(2)) return b.Out(y);
  std::vector<int64_t> after(shape.size(), 0);
  if (wanted.size() != shape.size()) return b.Invalid("output_shape has another rank");
  for (size_t i = 0; i < shape.size() && b.ok(); ++i) {
    const ir::Dim more = b.Sub(wanted[i], shape[i]);
    if (!more.is_constant() || more.constant() < 0 || more.constant() > kLimit) {
      return b.Unsupported("an output_shape below the size that the window gives");
    }
    after[i] = more.constant();
  }
  b.Out(b.Emit(OpId::kPad, {y},
               {{"mode", static_cast<int64_t>(PadMode::kConstant)},
                {"before", std::vector<int64_t>(shape.size(), 0)},
                {"after", after},
                {"value", 0.0}}));
}

constexpr Row kRows[] = {
    {"MaxPool", 1, MaxPool, OpId::kMaxPool},
    {"AveragePool", 1, AveragePool, OpId::kAvgPool},
    {"MaxUnpool", 9, MaxUnpool},
    {"Col2Im", 18, Col2Im, OpId::kCol2Im},
    {"LpPool", 2, LpPool},
    {"GlobalAveragePool", 1, GlobalPool, OpId::kReduce, static_cast<int64_t>(ReduceKind::kMean)},
    {"GlobalMaxPool", 1, GlobalPool, OpId::kReduce, static_cast<int64_t>(ReduceKind::kMax)},
    {"GlobalLpPool", 2, GlobalLpPool},
};

}  // namespace

std::span<const Row> PoolRows() { return kRows; }

}  // namespace floe::onnx
