// Reductions, scans, TopK and softmax.
#include <numeric>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/ops.h"

namespace floe::onnx {
namespace {

using ir::Value;

// `axes` absent or empty: all of them.
void ReduceOver(NodeBuilder& b, const std::vector<int64_t>& axes, bool none) {
  const bool keepdims = b.Int("keepdims", 1) != 0;
  const auto kind = static_cast<ReduceKind>(b.row().param);
  Value* x = b.In(0);
  std::vector<int64_t> all(x->rank());
  std::iota(all.begin(), all.end(), 0);
  std::vector<int64_t> over = axes.empty() ? all : b.Axes(axes, b.Rank(x));
  if (none) over.clear();
  if (x->dtype() != DType::kBool) return b.Out(b.Reduce(kind, x, std::move(over), keepdims));
  // The largest of bools is "any", the smallest "all".
  Value* y = b.Reduce(kind, b.Cast(x, DType::kU8), std::move(over), keepdims);
  b.Out(b.Cast(y, DType::kBool));
}

void ReduceByAttribute(NodeBuilder& b) { ReduceOver(b, b.Ints("axes"), false); }

void ReduceByInput(NodeBuilder& b) {
  const bool noop = b.Int("noop_with_empty_axes", 0) != 0;
  std::vector<int64_t> axes;
  if (Value* v = b.OptIn(1)) axes = b.NumbersOf(v, "the list of axes");
  ReduceOver(b, axes, noop && axes.empty());
}

void ArgReduce(NodeBuilder& b) {
  Value* x = b.In(0);
  b.Out(b.Emit(OpId::kArgReduce, {x},
               {{"max", b.row().param},
                {"axis", b.Axis(b.Int("axis", 0), b.Rank(x))},
                {"keepdims", b.Int("keepdims", 1)},
                {"select_last_index", b.Int("select_last_index", 0)}}));
}

// CumSum and CumProd.
void Scan(NodeBuilder& b) {
  Value* x = b.In(0);
  const std::vector<int64_t> axis = b.NumbersOf(b.In(1), "the axis");
  if (axis.size() != 1 && b.ok()) return b.Invalid("the axis is no scalar");
  b.Out(b.Emit(b.row().op, {x},
               {{"axis", b.Axis(axis.empty() ? 0 : axis[0], b.Rank(x))},
                {"exclusive", b.Int("exclusive", 0)},
                {"reverse", b.Int("reverse", 0)}}));
}

void TopKOf(NodeBuilder& b, int64_t k, bool largest, bool sorted) {
  Value* x = b.In(0);
  const std::vector<Value*> y = b.EmitMany(OpId::kTopK, {x}, 2,
                                           {{"k", k},
                                            {"axis", b.Axis(b.Int("axis", -1), b.Rank(x))},
                                            {"largest", int64_t{largest}},
                                            {"sorted", int64_t{sorted}}});
  b.Out(0, y[0]);
  if (b.WantsOutput(1)) b.Out(1, y[1]);
}

void TopK1(NodeBuilder& b) { TopKOf(b, b.Int("k", 0), true, true); }

void TopK(NodeBuilder& b) {
  const std::vector<int64_t> k = b.NumbersOf(b.In(1), "k");
  if (k.size() != 1 && b.ok()) return b.Invalid("k is no scalar");
  const bool largest = b.Int("largest", 1) != 0;
  TopKOf(b, k.empty() ? 0 : k[0], largest, b.Int("sorted", 1) != 0);
}

// Applies `op` along an axis, as from opset 13 on.
void Softmax(NodeBuilder& b) {
  Value* x = b.In(0);
  if (x->rank() == 0) x = b.Reshape(x, {1});
  Value* y = b.Emit(b.row().op, {x}, {{"axis", b.Axis(b.Int("axis", -1), b.Rank(x))}});
  b.Out(b.Reshape(y, b.In(0)->shape()));
}

// Before opset 13 all axes from `axis` on count as one. Axes of size 1 change nothing, so a
// reshape is needed only where two real axes meet.
struct Coerced {
  Value* x;
  int64_t axis;
};
Coerced Coerce(NodeBuilder& b) {
  Value* x = b.In(0);
  const int64_t rank = b.Rank(x);
  int64_t axis = b.Int("axis", 1);
  if (axis != rank) axis = b.Axis(axis, rank);
  const auto from = static_cast<size_t>(axis);
  int64_t real = 0, last = rank - 1;
  for (int64_t i = axis; i < rank; ++i) {
    if (b.Dim(x, i) == ir::Dim(1)) continue;
    ++real;
    last = i;
  }
  if (real <= 1 && last >= axis) return {x, last};
  ir::Shape shape(x->shape().begin(), x->shape().begin() + axis);
  shape.push_back(b.Product(x->shape(), from, x->rank()));
  return {b.Reshape(x, std::move(shape)), axis};
}

void Softmax1(NodeBuilder& b) {
  const Coerced c = Coerce(b);
  Value* y = b.Emit(b.row().op, {c.x}, {{"axis", c.axis}});
  b.Out(b.Reshape(y, b.In(0)->shape()));
}

// 1 at the first maximum along `axis`, 0 elsewhere.
Value* HardmaxAlong(NodeBuilder& b, Value* x, int64_t axis) {
  const int64_t depth = b.StaticDim(x, axis);
  Value* index = b.Emit(OpId::kArgReduce, {x},
                        {{"max", int64_t{1}},
                         {"axis", axis},
                         {"keepdims", int64_t{0}},
                         {"select_last_index", int64_t{0}}});
  if (!b.ok()) return index;
  ir::Tensor values(x->dtype(), {2});
  values.SetDouble(1, 1);
  return b.Emit(OpId::kOneHot, {index, b.Constant(std::move(values))},
                {{"axis", axis}, {"depth", depth}});
}

void Hardmax(NodeBuilder& b) {
  Value* x = b.In(0);
  b.Out(HardmaxAlong(b, x, b.Axis(b.Int("axis", -1), b.Rank(x))));
}

void Hardmax1(NodeBuilder& b) {
  const Coerced c = Coerce(b);
  b.Out(b.Reshape(HardmaxAlong(b, c.x, c.axis), b.In(0)->shape()));
}

constexpr int64_t Kind(ReduceKind kind) { return static_cast<int64_t>(kind); }

#define REDUCE(name, kind)                                               \
  {name, 1, ReduceByAttribute, OpId::kReduce, Kind(ReduceKind::kind)}, { \
    name, 18, ReduceByInput, OpId::kReduce, Kind(ReduceKind::kind)       \
  }

constexpr Row kRows[] = {
    {"ReduceSum", 1, ReduceByAttribute, OpId::kReduce, Kind(ReduceKind::kSum)},
    {"ReduceSum", 13, ReduceByInput, OpId::kReduce, Kind(ReduceKind::kSum)},
    REDUCE("ReduceMean", kMean),
    REDUCE("ReduceMax", kMax),
    REDUCE("ReduceMin", kMin),
    REDUCE("ReduceProd", kProd),
    REDUCE("ReduceL1", kL1),
    REDUCE("ReduceL2", kL2),
    REDUCE("ReduceLogSum", kLogSum),
    REDUCE("ReduceLogSumExp", kLogSumExp),
    REDUCE("ReduceSumSquare", kSumSquare),
    {"ArgMax", 1, ArgReduce, OpId::kArgReduce, 1},
    {"ArgMin", 1, ArgReduce, OpId::kArgReduce, 0},
    {"CumSum", 11, Scan, OpId::kCumSum},
    {"CumProd", 26, Scan, OpId::kCumProd},
    {"TopK", 1, TopK1, OpId::kTopK},
    {"TopK", 10, TopK, OpId::kTopK},
    {"Softmax", 1, Softmax1, OpId::kSoftmax},
    {"Softmax", 13, Softmax, OpId::kSoftmax},
    {"LogSoftmax", 1, Softmax1, OpId::kLogSoftmax},
    {"LogSoftmax", 13, Softmax, OpId::kLogSoftmax},
    {"Hardmax", 1, Hardmax1},
    {"Hardmax", 13, Hardmax},
};

}  // namespace

std::span<const Row> ReduceRows() { return kRows; }

}  // namespace floe::onnx
