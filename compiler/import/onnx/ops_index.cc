// Gather, scatter and one-hot.
#include <algorithm>

#include "compiler/import/onnx/ops.h"
#include "compiler/import/unique.h"

namespace floe::onnx {
namespace {

using ir::Value;

void GatherAlong(NodeBuilder& b) {
  Value* x = b.In(0);
  b.Out(b.Emit(b.row().op, {x, b.In(1)}, {{"axis", b.Axis(b.Int("axis", 0), b.Rank(x))}}));
}

void GatherNd(NodeBuilder& b) {
  b.Out(b.Emit(OpId::kGatherNd, {b.In(0), b.In(1)}, {{"batch_dims", b.Int("batch_dims", 0)}}));
}

int64_t Reduction(NodeBuilder& b) {
  const std::string name = b.String("reduction", "none");
  if (name == "none") return static_cast<int64_t>(ScatterReduction::kNone);
  if (name == "add") return static_cast<int64_t>(ScatterReduction::kAdd);
  if (name == "mul") return static_cast<int64_t>(ScatterReduction::kMul);
  if (name == "max") return static_cast<int64_t>(ScatterReduction::kMax);
  if (name == "min") return static_cast<int64_t>(ScatterReduction::kMin);
  b.Invalid("attribute 'reduction' is '" + name + "'");
  return 0;
}

void ScatterElements(NodeBuilder& b) {
  Value* x = b.In(0);
  b.Out(b.Emit(OpId::kScatterElements, {x, b.In(1), b.In(2)},
               {{"axis", b.Axis(b.Int("axis", 0), b.Rank(x))}, {"reduction", Reduction(b)}}));
}

void ScatterNd(NodeBuilder& b) {
  b.Out(b.Emit(OpId::kScatterNd, {b.In(0), b.In(1), b.In(2)}, {{"reduction", Reduction(b)}}));
}

void OneHot(NodeBuilder& b) {
  Value* indices = b.In(0);
  const std::optional<double> depth = b.ScalarOf(b.In(1));
  if (!depth && b.ok()) return b.Unsupported("a depth that is computed at run time");
  if (depth && !(*depth >= 0 && *depth < 2147483648.0)) return b.Invalid("the depth is no size");
  Value* values = b.In(2);
  indices = b.Cast(indices, DType::kI64);
  b.Out(b.Emit(OpId::kOneHot, {indices, values},
               {{"axis", b.Axis(b.Int("axis", -1), b.Rank(indices) + 1)},
                {"depth", depth ? static_cast<int64_t>(*depth) : 0}}));
}

// [rank, count], the transpose of what PyTorch gives.
void NonZero(NodeBuilder& b) {
  Value* x = b.In(0);
  if (!b.ok()) return;
  b.Out(b.Transpose(b.Nonzero(x), {1, 0}));
}

// The slices of x (or elements, without an axis) at which a vector of bool holds, which may be
// shorter than the axis.
void Compress(NodeBuilder& b) {
  Value* x = b.In(0);
  const bool flat = !b.HasAttr("axis");
  const int64_t axis = flat ? 0 : b.Axis(b.Int("axis", 0), b.Rank(x));
  Value* condition = b.In(1);
  if (!b.ok()) return;
  if (condition->rank() != 1) return b.Invalid("the condition is no vector");
  if (flat) x = b.Reshape(x, {b.Product(x->shape(), 0, x->rank())});
  const ir::Dim size = b.Dim(x, axis), count = condition->shape()[0];
  if (b.ok() && b.Max(b.Sub(count, size)) > 0) {
    condition = b.SliceAxis(condition, 0, 0, b.Smaller(count, size));
  }
  Value* positions = b.Nonzero(condition);
  if (!b.ok()) return;
  positions = b.Reshape(positions, {b.Dim(positions, 0)});
  b.Out(b.Emit(OpId::kGather, {x, positions}, {{"axis", axis}}));
}

void UniqueElements(NodeBuilder& b) {
  Value* x = b.In(0);
  if (b.HasAttr("axis") && b.ok() && b.Rank(x) != 1) {
    b.Axis(b.Int("axis", 0), b.Rank(x));
    return b.Unsupported("the unique slices along an axis");
  }
  b.IgnoreAttr("axis");
  const bool sorted = b.Int("sorted", 1) != 0;
  if (!b.ok()) return;
  x = b.Reshape(x, {b.Product(x->shape(), 0, x->rank())});
  import::UniqueElements u = import::Unique(b, x, /*sort=*/true);
  if (!b.ok()) return;
  if (!sorted) {
    // In the order of first occurrence: sorted by where that is.
    const std::vector<Value*> both =
        b.EmitMany(OpId::kSort, {u.first}, 2, {{"axis", int64_t{0}}, {"descending", int64_t{0}}});
    Value* order = both[1];
    // The inverse of a permutation is what sorts it.
    Value* places =
        b.EmitMany(OpId::kSort, {order}, 2, {{"axis", int64_t{0}}, {"descending", int64_t{0}}})[1];
    const auto take = [&b](Value* from, Value* at) {
      return b.Emit(OpId::kGather, {from, at}, {{"axis", int64_t{0}}});
    };
    u = {take(u.values, order), both[0], take(places, u.inverse), take(u.counts, order)};
  }
  Value* const results[] = {u.values, u.first, u.inverse, u.counts};
  for (size_t i = 0; i < std::min<size_t>(b.OutputCount(), 4); ++i) b.Out(i, results[i]);
}

constexpr Row kRows[] = {
    {"Gather", 1, GatherAlong, OpId::kGather},
    {"GatherElements", 11, GatherAlong, OpId::kGatherElements},
    {"GatherND", 11, GatherNd, OpId::kGatherNd},
    {"Scatter", 9, ScatterElements, OpId::kScatterElements},
    {"ScatterElements", 11, ScatterElements, OpId::kScatterElements},
    {"ScatterND", 11, ScatterNd, OpId::kScatterNd},
    {"OneHot", 9, OneHot, OpId::kOneHot},
    {"NonZero", 9, NonZero},
    {"Compress", 9, Compress},
    {"Unique", 11, UniqueElements},
};

}  // namespace

std::span<const Row> IndexRows() { return kRows; }

}  // namespace floe::onnx
