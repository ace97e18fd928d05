// Matrix products, convolutions and normalisations.
#include <algorithm>
#include <numeric>

#include "absl/strings/str_format.h"
#include "compiler/import/compose_einsum.h"
#include "compiler/import/onnx/ops.h"

namespace floe::onnx {

using ir::Value;

Value* MatMulOf(NodeBuilder& b, Value* a, Value* c) {
  if (a->rank() == 0 || c->rank() == 0) {
    if (b.ok()) b.Invalid("an operand is a scalar");
    return a;
  }
  const bool row = a->rank() == 1;
  const bool column = c->rank() == 1;
  if (row) a = b.Reshape(a, {1, b.Dim(a, 0)});
  if (column) c = b.Reshape(c, {b.Dim(c, 0), 1});
  Value* y = b.Binary(OpId::kMatMul, a, c);
  if (!b.ok() || (!row && !column)) return y;
  ir::Shape shape = y->shape();
  if (column) shape.pop_back();
  if (row) shape.erase(shape.end() - (column ? 1 : 2));
  return b.Reshape(y, std::move(shape));
}

namespace {

void MatMul(NodeBuilder& b) { b.Out(MatMulOf(b, b.In(0), b.In(1))); }

void Einsum(NodeBuilder& b) {
  std::vector<Value*> operands;
  for (size_t i = 0; i < b.InputCount(); ++i) operands.push_back(b.In(i));
  b.Out(import::EmitEinsum(b, b.String("equation", ""), operands));
}

void Gemm(NodeBuilder& b) {
  std::vector<Value*> inputs = {b.In(0), b.In(1)};
  if (Value* c = b.OptIn(2)) inputs.push_back(c);
  b.Out(b.Emit(OpId::kGemm, std::move(inputs),
               {{"alpha", b.Float("alpha", 1)},
                {"beta", b.Float("beta", 1)},
                {"trans_a", int64_t{b.Int("transA", 0) != 0}},
                {"trans_b", int64_t{b.Int("transB", 0) != 0}}}));
}

Value* SwapLastAxes(NodeBuilder& b, Value* x) {
  std::vector<int64_t> perm(x->rank());
  std::iota(perm.begin(), perm.end(), 0);
  if (perm.size() < 2) return x;
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return b.Transpose(x, std::move(perm));
}

void FusedMatMul(NodeBuilder& b) {
  Value* x = b.In(0);
  Value* y = b.In(1);
  if (b.Int("transA", 0) != 0) x = SwapLastAxes(b, x);
  if (b.Int("transB", 0) != 0) y = SwapLastAxes(b, y);
  if (b.Int("transBatchA", 0) != 0 || b.Int("transBatchB", 0) != 0) {
    return b.Unsupported("transposed batch axes (transBatchA, transBatchB)");
  }
  const double alpha = b.Float("alpha", 1);
  Value* product = MatMulOf(b, x, y);
  if (alpha != 1) product = b.Binary(OpId::kMul, product, b.ScalarLike(product, alpha));
  b.Out(product);
}

}  // namespace

std::vector<int64_t> FilterSizes(NodeBuilder& b, const Value* w) {
  std::vector<int64_t> sizes;
  for (int64_t i = 2; i < b.Rank(w); ++i) sizes.push_back(b.StaticDim(w, i));
  const std::vector<int64_t> stated = b.Ints("kernel_shape");
  if (!stated.empty() && stated != sizes && b.ok()) {
    b.Invalid("attribute 'kernel_shape' differs from the shape of the filter");
  }
  if (sizes.empty() && b.ok()) b.Invalid("the filter has no spatial axes");
  return sizes;
}

namespace {

std::vector<Value*> FilterOperands(NodeBuilder& b) {
  std::vector<Value*> inputs = {b.In(0), b.In(1)};
  if (Value* bias = b.OptIn(2)) inputs.push_back(bias);
  return inputs;
}

void Conv(NodeBuilder& b) {
  std::vector<Value*> inputs = FilterOperands(b);
  const Window w = ReadWindow(b, inputs[0], FilterSizes(b, inputs[1]));
  b.Out(b.Emit(OpId::kConv, std::move(inputs),
               {{"strides", w.strides},
                {"pads", w.pads},
                {"dilations", w.dilations},
                {"groups", b.Int("group", 1)}}));
}

// Padding that gives `output_shape`, or size * stride with SAME padding. What cannot be padded
// away is output padding.
void FitTransposed(NodeBuilder& b, const Value* x, const std::vector<int64_t>& output_shape,
                   const std::string& auto_pad, std::vector<int64_t>* output_padding, Window* w) {
  const size_t n = w->kernel.size();
  if (!output_shape.empty() && output_shape.size() != n && output_shape.size() != n + 2) {
    return b.Invalid("attribute 'output_shape' does not fit the image");
  }
  const size_t skip = output_shape.size() == n + 2 ? 2 : 0;
  constexpr int64_t kLimit = int64_t{1} << 30;
  const auto sane = [](const std::vector<int64_t>& list) {
    return std::all_of(list.begin(), list.end(), [](int64_t v) { return v >= 0 && v <= kLimit; });
  };
  if (!sane(output_shape) || !sane(*output_padding)) {
    return b.Invalid("output_shape or output_padding is out of range");
  }
  for (size_t i = 0; i < n; ++i) {
    const int64_t extent = (w->kernel[i] - 1) * w->dilations[i] + 1;
    int64_t total = extent - w->strides[i] + (*output_padding)[i];
    if (!output_shape.empty()) {
      const int64_t size = b.StaticDim(x, static_cast<int64_t>(i) + 2);
      if (size > kLimit) return b.Unsupported("an image of over 2^30 pixels a side");
      total = w->strides[i] * (size - 1) + (*output_padding)[i] + extent - output_shape[i + skip];
    }
    if (total < 0) {
      (*output_padding)[i] -= total;
      total = 0;
    }
    w->pads[i] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
    w->pads[i + n] = total - w->pads[i];
  }
}

void ConvTranspose(NodeBuilder& b) {
  std::vector<Value*> inputs = FilterOperands(b);
  const std::vector<int64_t> kernel = FilterSizes(b, inputs[1]);
  const std::string auto_pad = b.String("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  Window w = ReadWindow(b, inputs[0], kernel);
  std::vector<int64_t> padding = b.Ints("output_padding");
  if (padding.empty()) padding.assign(kernel.size(), 0);
  if (padding.size() != kernel.size() && b.ok()) {
    b.Invalid("attribute 'output_padding' does not fit the filter");
  }
  const std::vector<int64_t> output_shape = b.Ints("output_shape");
  if (b.ok() && (same || !output_shape.empty())) {
    FitTransposed(b, inputs[0], output_shape, auto_pad, &padding, &w);
  }
  b.Out(b.Emit(OpId::kConvTranspose, std::move(inputs),
               {{"strides", w.strides},
                {"pads", w.pads},
                {"dilations", w.dilations},
                {"groups", b.Int("group", 1)},
                {"output_padding", padding}}));
}

// --- normalisations ------------------------------------------------------------------------------

void BatchNorm(NodeBuilder& b) {
  b.IgnoreAttr("momentum");
  if (b.Int("spatial", 1) != 1) return b.Unsupported("statistics per element (spatial = 0)");
  if (b.Int("training_mode", 0) != 0) {
    return b.Unsupported("training_mode = 1; export the model in evaluation mode (model.eval())");
  }
  if (b.opset() < 14 && b.OutputCount() > 1) {
    for (size_t i = 1; i < b.OutputCount(); ++i) {
      if (b.WantsOutput(i)) {
        return b.Unsupported("training outputs; export the model in evaluation mode");
      }
    }
  }
  Value* x = b.In(0);
  std::vector<Value*> inputs = {x};
  for (size_t i = 1; i < 5; ++i) inputs.push_back(b.Cast(b.In(i), x->dtype()));
  b.Out(b.Emit(OpId::kBatchNorm, std::move(inputs), {{"epsilon", b.Float("epsilon", 1e-5f)}}));
}

void InstanceNorm(NodeBuilder& b) {
  b.Out(b.Emit(OpId::kInstanceNorm, {b.In(0), b.In(1), b.In(2)},
               {{"epsilon", b.Float("epsilon", 1e-5f)}}));
}

// Statistics are formed in fp32 at least; a request for less is not honoured exactly.
void ReadStashType(NodeBuilder& b) {
  const int64_t type = b.Int("stash_type", 1);
  if (type != 1 && type != 11) b.Unsupported(absl::StrFormat("stash_type = %d", type));
}

void GroupNorm(NodeBuilder& b) {
  Value* x = b.In(0);
  ReadStashType(b);
  const int64_t groups = b.Int("num_groups", 0);
  Value* scale = b.In(1);
  Value* bias = b.In(2);
  if (b.row().since < 21 && b.ok()) {
    // One number per group, to be repeated for the group's channels.
    const int64_t channels = b.StaticDim(x, 1);
    if (groups < 1 || channels % groups != 0) return b.Invalid("num_groups does not fit x");
    const auto repeat = [&](Value* v) {
      v = b.Expand(b.Reshape(v, {groups, 1}), {groups, channels / groups});
      return b.Reshape(v, {channels});
    };
    scale = repeat(scale);
    bias = repeat(bias);
  }
  b.Out(b.Emit(OpId::kGroupNorm, {x, scale, bias},
               {{"epsilon", b.Float("epsilon", 1e-5f)}, {"groups", groups}}));
}

// The shape of x from `axis` on.
ir::Shape Normalised(const Value* x, int64_t axis) {
  return {x->shape().begin() + axis, x->shape().end()};
}

// Layer normalisation with any scale and bias that broadcast.
std::vector<Value*> LayerNormOf(NodeBuilder& b, Value* x, Value* scale, Value* bias, int64_t axis,
                                double epsilon, size_t outputs) {
  const AttrList attrs = {{"axis", axis}, {"epsilon", epsilon}};
  if (!b.ok()) return std::vector<Value*>(outputs, x);
  const ir::Shape shape = Normalised(x, axis);
  const bool fits = (scale == nullptr || scale->shape() == shape) &&
                    (bias == nullptr || (bias->shape() == shape && scale != nullptr));
  std::vector<Value*> inputs = {x};
  if (fits && scale != nullptr) inputs.push_back(scale);
  if (fits && bias != nullptr) inputs.push_back(bias);
  std::vector<Value*> y = outputs > 1
                              ? b.EmitMany(OpId::kLayerNorm, std::move(inputs), outputs, attrs)
                              : std::vector<Value*>{b.Emit(OpId::kLayerNorm, inputs, attrs)};
  if (!fits) {
    if (scale != nullptr) y[0] = b.Binary(OpId::kMul, y[0], scale);
    if (bias != nullptr) y[0] = b.Binary(OpId::kAdd, y[0], bias);
  }
  return y;
}

void LayerNorm(NodeBuilder& b) {
  Value* x = b.In(0);
  ReadStashType(b);
  const size_t outputs = b.WantsOutput(2) ? 3 : b.WantsOutput(1) ? 2 : 1;
  const std::vector<Value*> y =
      LayerNormOf(b, x, b.OptIn(1), b.OptIn(2), b.Axis(b.Int("axis", -1), b.Rank(x)),
                  b.Float("epsilon", 1e-5f), outputs);
  for (size_t i = 0; i < y.size(); ++i) b.Out(i, y[i]);
}

void RmsNorm(NodeBuilder& b) {
  Value* x = b.In(0);
  ReadStashType(b);
  const int64_t axis = b.Axis(b.Int("axis", -1), b.Rank(x));
  Value* scale = b.OptIn(1);
  if (!b.ok()) return;
  const bool fits =
      scale != nullptr && scale->shape() == Normalised(x, axis) && scale->dtype() == x->dtype();
  std::vector<Value*> inputs = {x};
  if (fits) inputs.push_back(scale);
  Value* y = b.Emit(OpId::kRmsNorm, std::move(inputs),
                    {{"axis", axis}, {"epsilon", b.Float("epsilon", 1e-5f)}});
  if (scale != nullptr && !fits) y = b.Binary(OpId::kMul, y, scale);
  b.Out(y);
}

void LpNorm(NodeBuilder& b) {
  Value* x = b.In(0);
  b.Out(b.Emit(OpId::kLpNorm, {x},
               {{"axis", b.Axis(b.Int("axis", -1), b.Rank(x))}, {"p", b.Int("p", 2)}}));
}

void Lrn(NodeBuilder& b) {
  b.Out(b.Emit(OpId::kLrn, {b.In(0)},
               {{"alpha", b.Float("alpha", 1e-4f)},
                {"beta", b.Float("beta", 0.75)},
                {"bias", b.Float("bias", 1)},
                {"size", b.Int("size", 0)}}));
}

void MeanVariance(NodeBuilder& b) {
  Value* x = b.In(0);
  std::vector<int64_t> axes = b.Ints("axes");
  if (axes.empty()) axes = {0, 2, 3};
  axes = b.Axes(std::move(axes), b.Rank(x));
  Value* centred = b.Binary(OpId::kSub, x, b.Reduce(ReduceKind::kMean, x, axes, true));
  Value* square = b.Binary(OpId::kMul, centred, centred);
  Value* deviation = b.Unary(OpId::kSqrt, b.Reduce(ReduceKind::kMean, square, axes, true));
  b.Out(b.Binary(OpId::kDiv, centred, b.Binary(OpId::kAdd, deviation, b.ScalarLike(x, 1e-9))));
}

// y = LayerNorm(x + skip + bias); output 3 is the sum.
void SkipLayerNorm(NodeBuilder& b) {
  Value* sum = b.Binary(OpId::kAdd, b.In(0), b.In(1));
  Value* scale = b.In(2);
  Value* shift = b.OptIn(3);
  if (Value* bias = b.OptIn(4)) sum = b.Binary(OpId::kAdd, sum, bias);
  b.Out(0, LayerNormOf(b, sum, scale, shift, b.Axis(-1, b.Rank(sum)), b.Float("epsilon", 1e-12f),
                       1)[0]);
  b.Out(3, sum);
}

constexpr Row kRows[] = {
    {"Einsum", 12, Einsum},
    {"MatMul", 1, MatMul, OpId::kMatMul},
    {"Gemm", 7, Gemm, OpId::kGemm},
    {"Conv", 1, Conv, OpId::kConv},
    {"ConvTranspose", 1, ConvTranspose, OpId::kConvTranspose},
    {"BatchNormalization", 7, BatchNorm, OpId::kBatchNorm},
    {"InstanceNormalization", 6, InstanceNorm, OpId::kInstanceNorm},
    {"GroupNormalization", 18, GroupNorm},
    {"GroupNormalization", 21, GroupNorm, OpId::kGroupNorm},
    {"LayerNormalization", 17, LayerNorm, OpId::kLayerNorm},
    {"RMSNormalization", 23, RmsNorm, OpId::kRmsNorm},
    {"LpNormalization", 1, LpNorm, OpId::kLpNorm},
    {"LRN", 1, Lrn, OpId::kLrn},
    {"MeanVarianceNormalization", 9, MeanVariance},
    {"FusedMatMul", 1, FusedMatMul, OpId::kMatMul, 0, kMicrosoft},
    {"SkipLayerNormalization", 1, SkipLayerNorm, OpId::kIdentity, 0, kMicrosoft},
    // ONNX Runtime writes these two into the default domain or its own, in any opset.
    {"LayerNormalization", 1, LayerNorm, OpId::kLayerNorm, 0, kMicrosoft},
    {"SimplifiedLayerNormalization", 1, RmsNorm, OpId::kRmsNorm},
    {"SimplifiedLayerNormalization", 1, RmsNorm, OpId::kRmsNorm, 0, kMicrosoft},
};

}  // namespace

std::span<const Row> NetworkRows() { return kRows; }

}  // namespace floe::onnx
