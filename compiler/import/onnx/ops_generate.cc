// Constants, ranges, triangles, and space against depth.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/ops.h"

namespace floe::onnx {
namespace {

using ir::Dim;
using ir::Shape;
using ir::Value;

void Constant(NodeBuilder& b) {
  if (std::optional<ir::Tensor> t = b.TensorAttr("value")) {
    return b.Out(b.Constant(*std::move(t)));
  }
  if (b.HasAttr("value_float") || b.HasAttr("value_floats")) {
    const bool scalar = b.HasAttr("value_float");
    const std::vector<double> v =
        scalar ? std::vector<double>{b.Float("value_float", 0)} : b.Floats("value_floats");
    ir::Tensor t(DType::kF32, scalar ? std::vector<int64_t>{}
                                     : std::vector<int64_t>{static_cast<int64_t>(v.size())});
    for (size_t i = 0; i < v.size(); ++i) t.SetDouble(static_cast<int64_t>(i), v[i]);
    return b.Out(b.Constant(std::move(t)));
  }
  if (b.HasAttr("value_int") || b.HasAttr("value_ints")) {
    if (b.HasAttr("value_ints")) return b.Out(b.IntVector(b.Ints("value_ints")));
    ir::Tensor t(DType::kI64, {});
    t.SetInt(0, b.Int("value_int", 0));
    return b.Out(b.Constant(std::move(t)));
  }
  if (b.ok()) b.Unsupported("a constant that is no tensor of numbers (string or sparse)");
}

void ConstantOfShape(NodeBuilder& b) {
  Shape shape = b.DimsOf(b.In(0), "the requested shape");
  DType dtype = DType::kF32;
  double value = 0;
  if (const std::optional<ir::Tensor> t = b.TensorAttr("value")) {
    if (t->count() != 1) return b.Invalid("attribute 'value' is no single number");
    dtype = t->dtype();
    value = t->DoubleAt(0);
    constexpr double kExact = 9007199254740992.0;  // 2^53
    if (IsInt(dtype) && !(value > -kExact && value < kExact)) {
      return b.Unsupported("a value that a double does not hold");
    }
  }
  for (const Dim& d : shape) {
    if (b.Min(d) < 0) return b.Invalid("the requested shape has a negative dimension");
  }
  b.Out(b.Emit(OpId::kConstantOfShape, {}, {{"value", value}}, TensorType{dtype, shape}));
}

// Number of steps; the step must be a number.
Dim RangeLength(NodeBuilder& b, const Value* start, const Value* limit, const Value* delta) {
  const auto first = b.ScalarOf(start), last = b.ScalarOf(limit), step = b.ScalarOf(delta);
  if (!step) {
    b.Unsupported("a step that is computed at run time");
    return 0;
  }
  if (*step == 0 || !(std::fabs(*step) < 1e15)) {
    b.Invalid("the step is 0 or no number");
    return 0;
  }
  if (first && last) {
    const double n = std::ceil((*last - *first) / *step);
    if (!(n < 1e15)) b.Invalid("the range is endless");
    return n > 0 && n < 1e15 ? static_cast<int64_t>(n) : 0;
  }
  const std::vector<Dim> from = b.DimsOf(start, "the start"), to = b.DimsOf(limit, "the limit");
  if (!b.ok() || from.size() != 1 || to.size() != 1) return 0;
  const auto stride = static_cast<int64_t>(*step);
  const Dim way = stride > 0 ? b.Sub(to[0], from[0]) : b.Sub(from[0], to[0]);
  return b.DivFloor(b.Add(b.Larger(way, 0), std::abs(stride) - 1), std::abs(stride));
}

void Range(NodeBuilder& b) {
  std::vector<Value*> inputs = {b.In(0), b.In(1), b.In(2)};
  if (!b.ok()) return;
  for (Value*& v : inputs) v = b.Reshape(v, {});
  const Dim length = RangeLength(b, inputs[0], inputs[1], inputs[2]);
  const DType dtype = inputs[0]->dtype();
  b.Out(b.Emit(OpId::kRange, std::move(inputs), {}, TensorType{dtype, {length}}));
}

Value* TriluOf(NodeBuilder& b, Value* x, int64_t upper, int64_t k) {
  return b.Emit(OpId::kTrilu, {x}, {{"upper", upper}, {"k", k}});
}

void Trilu(NodeBuilder& b) {
  int64_t k = 0;
  if (Value* v = b.OptIn(1)) {
    const std::vector<int64_t> number = b.NumbersOf(v, "the diagonal k");
    if (number.size() != 1 && b.ok()) return b.Invalid("k is no scalar");
    if (b.ok()) k = std::clamp<int64_t>(number[0], -kFar, kFar);
  }
  b.Out(TriluOf(b, b.In(0), int64_t{b.Int("upper", 1) != 0}, k));
}

void EyeLike(NodeBuilder& b) {
  Value* x = b.In(0);
  DType dtype = x->dtype();
  if (b.HasAttr("dtype")) {
    const auto stated = DTypeOf(static_cast<int32_t>(b.Int("dtype", 1)));
    if (!stated.ok()) return b.Unsupported(std::string(stated.status().message()));
    dtype = *stated;
  }
  const int64_t k = std::clamp<int64_t>(b.Int("k", 0), -kFar, kFar);
  Value* ones = b.Emit(OpId::kConstantOfShape, {}, {{"value", 1.0}}, TensorType{dtype, x->shape()});
  b.Out(TriluOf(b, TriluOf(b, ones, 1, k), 0, k));
}

void DepthToSpace(NodeBuilder& b) {
  const std::string mode = b.String("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") return b.Invalid("attribute 'mode' is '" + mode + "'");
  b.Out(b.Emit(OpId::kDepthToSpace, {b.In(0)},
               {{"block", b.Int("blocksize", 0)}, {"crd", int64_t{mode == "CRD"}}}));
}

void SpaceToDepth(NodeBuilder& b) {
  b.Out(b.Emit(OpId::kSpaceToDepth, {b.In(0)}, {{"block", b.Int("blocksize", 0)}}));
}

// In inference nothing is dropped: the mask, if anyone reads it, is all true.
void Dropout(NodeBuilder& b) {
  b.IgnoreAttr("ratio");
  b.IgnoreAttr("seed");
  Value* x = b.In(0);
  Value* ratio = b.OptIn(1);
  if (Value* training = b.OptIn(2)) {
    const std::optional<double> on = b.ScalarOf(training);
    const std::optional<double> share = ratio == nullptr ? 0.5 : b.ScalarOf(ratio);
    if (b.ok() && (!on || (*on != 0 && share != 0.0))) {
      return b.Unsupported("training_mode; export the model in evaluation mode (model.eval())");
    }
  }
  b.Out(0, x);
  if (!b.WantsOutput(1)) return;
  const DType dtype = b.opset() < 10 ? x->dtype() : DType::kBool;
  b.Out(1, b.Emit(OpId::kConstantOfShape, {}, {{"value", 1.0}}, TensorType{dtype, x->shape()}));
}

constexpr Row kRows[] = {
    {"Dropout", 7, Dropout},
    {"Constant", 1, Constant},
    {"ConstantOfShape", 9, ConstantOfShape, OpId::kConstantOfShape},
    {"Range", 11, Range, OpId::kRange},
    {"Trilu", 14, Trilu, OpId::kTrilu},
    {"EyeLike", 9, EyeLike},
    {"DepthToSpace", 1, DepthToSpace, OpId::kDepthToSpace},
    {"SpaceToDepth", 1, SpaceToDepth, OpId::kSpaceToDepth},
};

}  // namespace

std::span<const Row> GenerateRows() { return kRows; }

}  // namespace floe::onnx
