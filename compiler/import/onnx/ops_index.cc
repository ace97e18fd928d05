// Gather, scatter and one-hot.
#include "absl/strings/str_format.h"
#include "compiler/import/onnx/ops.h"

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

constexpr Row kRows[] = {
    {"Gather", 1, GatherAlong, OpId::kGather},
    {"GatherElements", 11, GatherAlong, OpId::kGatherElements},
    {"GatherND", 11, GatherNd, OpId::kGatherNd},
    {"Scatter", 9, ScatterElements, OpId::kScatterElements},
    {"ScatterElements", 11, ScatterElements, OpId::kScatterElements},
    {"ScatterND", 11, ScatterNd, OpId::kScatterNd},
    {"OneHot", 9, OneHot, OpId::kOneHot},
};

}  // namespace

std::span<const Row> IndexRows() { return kRows; }

}  // namespace floe::onnx
