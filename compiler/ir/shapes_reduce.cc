// Shape rules of reductions, scans and sorting.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/ir/shape_rules.h"

namespace floe::ir {
namespace {

Shape WithoutAxes(const Shape& shape, const std::vector<int64_t>& axes, bool keep) {
  Shape result;
  for (size_t i = 0; i < shape.size(); ++i) {
    const bool reduced = std::find(axes.begin(), axes.end(), static_cast<int64_t>(i)) != axes.end();
    if (!reduced) {
      result.push_back(shape[i]);
    } else if (keep) {
      result.push_back(1);
    }
  }
  return result;
}

absl::Status Reduce(const Inference& n) {
  const std::vector<int64_t>& axes = n.node.Ints("axes");
  for (size_t i = 0; i < axes.size(); ++i) {
    FLOE_TRY(n.NeedAxis(axes[i], n.rank(0)));
    if (i > 0 && axes[i] <= axes[i - 1]) return n.Fail("axes are not sorted");
  }
  const int64_t kind = n.node.Int("kind");
  if (kind < 0 || kind > static_cast<int64_t>(ReduceKind::kSumSquare)) {
    return n.Fail(absl::StrFormat("%d is no kind of reduction", kind));
  }
  if (n.dtype(0) == DType::kBool) return n.Fail("operand 0 is bool, not a number");
  return n.Set(0, n.dtype(0), WithoutAxes(n.shape(0), axes, n.node.Int("keepdims") != 0));
}

absl::Status ArgReduce(const Inference& n) {
  const int64_t axis = n.node.Int("axis");
  FLOE_TRY(n.NeedAxis(axis, n.rank(0)));
  return n.Set(0, DType::kI64, WithoutAxes(n.shape(0), {axis}, n.node.Int("keepdims") != 0));
}

absl::Status Scan(const Inference& n) {
  FLOE_TRY(n.NeedAxis(n.node.Int("axis"), n.rank(0)));
  return n.Set(0, n.dtype(0), n.shape(0));
}

absl::Status FloatScan(const Inference& n) {
  FLOE_TRY(n.NeedFloat(0));
  return Scan(n);
}

// Values and their indices.
absl::Status WithIndices(const Inference& n) {
  FLOE_TRY(n.Set(1, DType::kI64, n.shape(0)));
  return Scan(n);
}

absl::Status TopK(const Inference& n) {
  const int64_t axis = n.node.Int("axis");
  FLOE_TRY(n.NeedAxis(axis, n.rank(0)));
  Shape shape = n.shape(0);
  Dim& length = shape[static_cast<size_t>(axis)];
  const int64_t k = n.node.Int("k");
  if (k < 0 || k > length.Min(n.graph.symbols)) {
    return n.Fail(absl::StrFormat("k is %d, axis %d has %s elements", k, axis,
                                  length.ToString(n.graph.symbols)));
  }
  length = k;
  FLOE_TRY(n.Set(1, DType::kI64, shape));
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status SearchSorted(const Inference& n) {
  if (n.dtype(0) != n.dtype(1)) return n.Fail("operands have two dtypes");
  if (n.rank(0) < 1) return n.Fail("the sequence is a scalar");
  if (n.rank(0) > 1) {
    FLOE_TRY(n.NeedRank(1, n.rank(0)));
    for (size_t i = 0; i + 1 < n.rank(0); ++i) {
      if (n.shape(0)[i] != n.shape(1)[i]) {
        return n.Fail(absl::StrFormat("the sequences and the values differ on axis %d", i));
      }
    }
  }
  return n.Set(0, DType::kI64, n.shape(1));
}

absl::Status Softmax(const Inference& n) {
  FLOE_TRY(n.NeedFloat(0));
  FLOE_TRY(n.NeedAxis(n.node.Int("axis"), n.rank(0)));
  // A prologue may broadcast nothing: x has the result's shape.
  for (size_t i = n.operand_count(); i < n.node.inputs().size(); ++i) {
    absl::StatusOr<Shape> shape = BroadcastShapes(n.graph, n.shape(0), n.in(i).shape());
    if (!shape.ok() || *shape != n.shape(0)) {
      return n.Fail(absl::StrFormat("operand %d does not broadcast to x", i));
    }
  }
  return n.Set(0, n.dtype(0), n.shape(0));
}

constexpr ShapeRuleRow kRows[] = {
    {OpId::kReduce, Reduce},
    {OpId::kArgReduce, ArgReduce},
    {OpId::kCumSum, Scan},
    {OpId::kCumProd, Scan},
    {OpId::kCumMax, WithIndices},
    {OpId::kCumMin, WithIndices},
    {OpId::kLogCumSumExp, FloatScan},
    {OpId::kSort, WithIndices},
    {OpId::kTopK, TopK},
    {OpId::kSearchSorted, SearchSorted},
    {OpId::kSoftmax, Softmax},
    {OpId::kLogSoftmax, Softmax},
};

}  // namespace

std::span<const ShapeRuleRow> ReduceRules() { return kRows; }

}  // namespace floe::ir
