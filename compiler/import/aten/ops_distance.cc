// Distances and similarities of vectors.
#include <limits>
#include <optional>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Dim;
using ir::Value;

// Both operands in their common float dtype, expanded to one shape.
void CosineSimilarity(OpBuilder& b) {
  const DType t = b.FloatType({"x1", "x2"});
  Value* x = b.Operand("x1", t);
  Value* y = b.Operand("x2", t);
  if (!b.ok()) return;
  const ir::Shape shape = b.Broadcast(x->shape(), y->shape());
  const auto rank = static_cast<int64_t>(shape.size());
  const int64_t axis = rank == 0 ? 0 : b.Axis(b.Int("dim"), rank);
  x = b.Expand(x, shape);
  y = b.Expand(y, shape);
  const std::vector<int64_t> axes = rank == 0 ? std::vector<int64_t>{} : std::vector{axis};
  const double epsilon = b.Float("eps");
  const auto unit = [&](Value* v) {
    Value* norm = b.Emit(OpId::kClamp, {NormOver(b, v, 2, axes, true)},
                         {{"min", epsilon}, {"max", std::numeric_limits<double>::infinity()}});
    return b.Binary(OpId::kDiv, v, norm);
  };
  Value* product = b.Binary(OpId::kMul, unit(x), unit(y));
  b.Return(b.Reduce(ReduceKind::kSum, product, axes, false));
}

void PairwiseDistance(OpBuilder& b) {
  const DType t = b.FloatType({"x1", "x2"});
  Value* d = b.Binary(OpId::kSub, b.Operand("x1", t), b.Operand("x2", t));
  d = Plus(b, d, b.Float("eps"));
  if (!b.ok()) return;
  b.Return(NormOver(b, d, b.Float("p"), {b.Axis(-1, b.Rank(d))}, b.Bool("keepdim")));
}

// The norm of differences; without components it is 0.
Value* DistanceOf(OpBuilder& b, Value* d, double p) {
  if (!b.ok()) return d;
  const int64_t last = b.Axis(-1, b.Rank(d));
  if (b.Dim(d, last) == Dim(0)) return b.Reduce(ReduceKind::kSum, d, {last}, false);
  return NormOver(b, d, p, {last}, false);
}

// x1 [..., P, M] and x2 [..., R, M] to [..., P, R].
void AllDistances(OpBuilder& b) {
  const DType t = b.ResultType({"x1", "x2"});
  Value* x = b.Operand("x1", t);
  Value* y = b.Operand("x2", t);
  if (!b.ok()) return;
  if (x->rank() < 2 || y->rank() < 2) return b.Invalid("an operand has a rank below 2");
  x = b.Unsqueeze(x, b.Rank(x) - 1);
  y = b.Unsqueeze(y, b.Rank(y) - 2);
  b.Return(DistanceOf(b, b.Binary(OpId::kSub, x, y), b.Float("p")));
}

// Distances of row i to every later row, for each i.
void PairDistances(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (!b.ok()) return;
  if (x->rank() != 2) return b.Invalid("the operand is no matrix");
  const int64_t n = b.StaticDim(x, 0);
  constexpr int64_t kMostRows = 1 << 12;
  if (n > kMostRows) return b.Unsupported("distances of over 4096 rows to each other");
  std::vector<int64_t> first, second;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = i + 1; k < n; ++k) {
      first.push_back(i);
      second.push_back(k);
    }
  }
  Value* d =
      b.Binary(OpId::kSub, b.Gather(x, b.IntVector(first), 0), b.Gather(x, b.IntVector(second), 0));
  b.Return(DistanceOf(b, d, b.Float("p")));
}

constexpr Row kRows[] = {
    {"aten::cosine_similarity", CosineSimilarity},
    {"aten::pairwise_distance", PairwiseDistance},
    {"aten::cdist", AllDistances},
    {"aten::_cdist_forward", AllDistances},
    {"aten::pdist", PairDistances},
    {"aten::_pdist_forward", PairDistances},
};

}  // namespace

std::span<const Row> DistanceRows() { return kRows; }

}  // namespace floe::aten
