// Sorting, order statistics, running sums and the like.
#include <algorithm>
#include <cmath>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"
#include "compiler/import/unique.h"

namespace floe::aten {
namespace {

using ir::Value;

struct Ordered {
  Value* values;
  Value* indices;
};

// Rank 0 is ordered as one element.
Value* AtLeast1d(OpBuilder& b, Value* x) { return x->rank() == 0 ? b.Reshape(x, {1}) : x; }

int64_t AxisArg(OpBuilder& b, const Value* x, int64_t fallback = -1) {
  return b.Axis(b.Int("dim", fallback), std::max<int64_t>(b.Rank(x), 1));
}

Ordered SortOf(OpBuilder& b, Value* x, int64_t axis, bool descending) {
  const ir::Shape shape = x->shape();
  const std::vector<Value*> y = b.EmitMany(OpId::kSort, {AtLeast1d(b, x)}, 2,
                                           {{"axis", axis}, {"descending", int64_t{descending}}});
  return {b.Reshape(y[0], shape), b.Reshape(y[1], shape)};
}

// sort, argsort (param 1), msort (param 2).
void Sort(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t axis = b.row().param == 2 ? 0 : AxisArg(b, x);
  const Ordered y = SortOf(b, x, axis, b.Bool("descending", false));
  if (b.row().param != 1) b.Return(y.values);
  if (b.row().param != 2) b.Return(y.indices);
}

void TopK(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const ir::Shape shape = x->shape();
  const int64_t axis = AxisArg(b, x);
  const std::vector<Value*> y = b.EmitMany(OpId::kTopK, {AtLeast1d(b, x)}, 2,
                                           {{"k", b.Int("k")},
                                            {"axis", axis},
                                            {"largest", int64_t{b.Bool("largest")}},
                                            {"sorted", int64_t{b.Bool("sorted")}}});
  for (Value* v : y) b.Return(shape.empty() ? b.Reshape(v, {}) : v);
}

// One position along an axis.
Value* At(OpBuilder& b, Value* x, int64_t axis, int64_t index, bool keep) {
  Value* y = b.Slice(x, axis, index, 1);
  return keep || !b.ok() ? y : b.Squeeze(y, axis);
}

void KthValue(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const ir::Shape shape = x->shape();
  const int64_t axis = AxisArg(b, x), k = b.Int("k");
  const Ordered y = SortOf(b, AtLeast1d(b, x), axis, false);
  const bool keep = b.Bool("keepdim");
  if (!b.ok()) return;
  for (Value* v : {y.values, y.indices}) {
    Value* one = At(b, v, axis, k - 1, keep);
    b.Return(shape.empty() ? b.Reshape(one, {}) : one);
  }
}

// The lower median; NaN if there is one, unless they are ignored (param 1). With indices along
// `dim`.
void Median(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const ir::Shape shape = x->shape();
  const bool along = b.HasArg("dim");
  x = along ? AtLeast1d(b, x) : b.Reshape(x, {CountOf(b, x)});
  const int64_t axis = along ? AxisArg(b, x) : 0;
  const bool keep = along && b.Bool("keepdim");
  const bool ignore = b.row().param != 0;
  if (!b.ok()) return;
  const Ordered y = SortOf(b, x, axis, false);
  Value* position = nullptr;
  const ir::Dim size = b.Dim(x, axis);
  if (IsFloat(x->dtype())) {
    // NaNs are sorted last: the number of others tells where their middle is.
    Value* numbers = b.Cast(b.Unary(OpId::kLogicalNot, b.Unary(OpId::kIsNan, x)), DType::kI64);
    Value* count = b.Reduce(ReduceKind::kSum, numbers, {axis}, true);
    Value* all = b.DimValue(size);
    Value* one = b.Scalar(DType::kI64, 1);
    const auto middle = [&](Value* n) {
      Value* m = b.Binary(OpId::kDiv, b.Binary(OpId::kSub, n, one), b.Scalar(DType::kI64, 2));
      return b.Binary(OpId::kMaximum, m, b.Scalar(DType::kI64, 0));
    };
    Value* clean = b.Binary(OpId::kEqual, count, all);
    position = ignore ? middle(count)
                      : b.Where(clean, middle(all),
                                b.Binary(OpId::kMinimum, count, b.Binary(OpId::kSub, all, one)));
  } else {
    const int64_t n = b.StaticDim(x, axis);
    ir::Shape one = x->shape();
    one[static_cast<size_t>(axis)] = 1;
    position = b.Full(DType::kI64, std::move(one), static_cast<double>((n - 1) / 2));
  }
  for (Value* v : {y.values, y.indices}) {
    Value* picked = b.Emit(OpId::kGatherElements, {v, position}, {{"axis", axis}});
    if (!keep && b.ok()) picked = b.Squeeze(picked, axis);
    b.Return(along && shape.empty() ? b.Reshape(picked, {}) : picked);
    if (!along) return;
  }
}

// The most frequent value (the smallest of equals) and its last index.
void Mode(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const ir::Shape shape = x->shape();
  x = AtLeast1d(b, x);
  const int64_t axis = AxisArg(b, x);
  const int64_t rank = b.Rank(x), n = b.StaticDim(x, axis);
  if (!b.ok()) return;
  if (n == 0 || n > 4096) return b.Unsupported("mode along an axis of none or over 4096 elements");
  // How often each element occurs: comparisons of all pairs, on the last two axes.
  Value* line = SwapAxes(b, x, axis, rank - 1);
  Value* equal = b.Binary(OpId::kEqual, b.Unsqueeze(line, rank), b.Unsqueeze(line, rank - 1));
  Value* count = b.Reduce(ReduceKind::kSum, b.Cast(equal, DType::kI64), {rank}, false);
  Value* most = b.Reduce(ReduceKind::kMax, count, {rank - 1}, true);
  Value* is_mode = b.Binary(OpId::kEqual, count, most);
  Value* greatest = b.Reduce(ReduceKind::kMax, line, {rank - 1}, true);
  Value* value = b.Reduce(ReduceKind::kMin, b.Where(is_mode, line, greatest), {rank - 1}, true);
  Value* hit = b.Cast(b.Binary(OpId::kEqual, line, value), DType::kU8);
  Value* index = b.Emit(OpId::kArgReduce, {hit},
                        {{"max", int64_t{1}},
                         {"axis", rank - 1},
                         {"keepdims", int64_t{1}},
                         {"select_last_index", int64_t{1}}});
  for (Value* v : {value, index}) {
    Value* y = SwapAxes(b, v, axis, rank - 1);
    if (!b.Bool("keepdim") && b.ok()) y = b.Squeeze(y, axis);
    b.Return(shape.empty() ? b.Reshape(y, {}) : y);
  }
}

// quantile; nanquantile (param 1) counts numbers only. q: a number or a vector.
void Quantile(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const bool along = b.Given("dim");
  const int64_t old_rank = b.Rank(x);
  x = along ? AtLeast1d(b, x) : b.Reshape(x, {CountOf(b, x)});
  const int64_t axis = along ? AxisArg(b, x) : 0;
  const bool keep = b.Bool("keepdim");
  const std::string how = b.String("interpolation");
  Value* q = b.Operand("q", x->dtype());
  if (!b.ok()) return;
  const int64_t rank = b.Rank(x);
  const bool scalar_q = q->rank() == 0;
  q = AtLeast1d(b, q);
  Value* sorted = SwapAxes(b, SortOf(b, x, axis, false).values, axis, rank - 1);
  // Ranks: q * (count - 1) for each q (last axis of a new tensor).
  Value* nan = b.Unary(OpId::kIsNan, sorted);
  Value* numbers = b.Cast(b.Unary(OpId::kLogicalNot, nan), x->dtype());
  Value* count = b.Reduce(ReduceKind::kSum, numbers, {rank - 1}, true);
  Value* all = b.Cast(b.DimValue(b.Dim(x, axis)), x->dtype());
  Value* one = b.ScalarLike(x, 1);
  const bool skip = b.row().param != 0;
  Value* usable =
      skip ? b.Binary(OpId::kMaximum, count, one) : b.Expand(b.Reshape(all, {}), count->shape());
  Value* ranks = b.Binary(OpId::kMul, b.Binary(OpId::kSub, usable, one), q);
  Value* low = b.Unary(OpId::kFloor, ranks);
  Value* high = b.Unary(OpId::kCeil, ranks);
  if (how == "lower") high = low;
  if (how == "higher") low = high;
  if (how == "nearest") low = high = b.Unary(OpId::kRound, ranks);
  const auto pick = [&](Value* at) {
    return b.Emit(OpId::kGatherElements, {sorted, b.Cast(at, DType::kI64)}, {{"axis", rank - 1}});
  };
  Value* y = pick(low);
  if (how == "linear" || how == "midpoint") {
    Value* weight = how == "midpoint" ? b.ScalarLike(x, 0.5) : b.Binary(OpId::kSub, ranks, low);
    Value* gap = b.Binary(OpId::kSub, pick(high), y);
    y = b.Binary(OpId::kAdd, y, b.Binary(OpId::kMul, weight, gap));
    if (how == "midpoint") y = b.Where(b.Binary(OpId::kEqual, low, high), pick(low), y);
  }
  Value* spoiled = skip ? b.Binary(OpId::kEqual, count, b.ScalarLike(x, 0))
                        : b.Binary(OpId::kLess, count, b.Reshape(all, {}));
  y = b.Where(spoiled, b.ScalarLike(x, NAN), y);
  // [..., q] -> [q, ...] with the axis kept or dropped.
  std::vector<int64_t> perm = AllAxes(rank);
  perm.pop_back();
  perm.insert(perm.begin(), rank - 1);
  ir::Shape rest(y->shape().begin(), y->shape().end() - 1);
  y = b.Transpose(y, std::move(perm));
  if (!b.ok()) return;
  // The axis that was swapped to the end stands where `axis` was, of size 1.
  std::vector<int64_t> order = AllAxes(rank);
  ir::Shape shape = {q->shape()[0]};
  if (axis < rank - 1) {
    // rest has the former last axis at `axis`: move it back to the end.
    std::vector<int64_t> move = {0};
    for (int64_t i = 0; i < rank - 1; ++i) {
      if (i != axis) move.push_back(i + 1);
    }
    move.push_back(axis + 1);
    y = b.Transpose(y, std::move(move));
  }
  for (int64_t i = 0; i < rank; ++i) {
    if (i != axis) {
      shape.push_back(b.Dim(x, i));
    } else if (keep && along) {
      shape.emplace_back(1);
    }
  }
  if (keep && !along) shape.insert(shape.end(), static_cast<size_t>(old_rank), ir::Dim(1));
  if (scalar_q) shape.erase(shape.begin());
  b.Return(b.Reshape(y, std::move(shape)));
}

// --- running ops ---------------------------------------------------------------------------------

// cumsum, cumprod: integers run in i64.
void Cumulative(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const ir::Shape shape = x->shape();
  x = b.Cast(x, b.DTypeArg("dtype", IsFloat(x->dtype()) ? x->dtype() : DType::kI64));
  const int64_t axis = AxisArg(b, x);
  Value* y = b.Emit(b.row().ir, {AtLeast1d(b, x)},
                    {{"axis", axis}, {"exclusive", int64_t{0}}, {"reverse", int64_t{0}}});
  b.Return(b.Reshape(y, shape));
}

void CumulativeExtreme(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const ir::Shape shape = x->shape();
  const int64_t axis = AxisArg(b, x);
  for (Value* v : b.EmitMany(b.row().ir, {AtLeast1d(b, x)}, 2, {{"axis", axis}})) {
    b.Return(b.Reshape(v, shape));
  }
}

void LogCumSumExp(OpBuilder& b) {
  Value* x = b.Operand("self", b.FloatType({"self"}));
  const ir::Shape shape = x->shape();
  const int64_t axis = AxisArg(b, x);
  b.Return(b.Reshape(b.Emit(OpId::kLogCumSumExp, {AtLeast1d(b, x)}, {{"axis", axis}}), shape));
}

// Differences of neighbours, n times.
void Diff(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t axis = AxisArg(b, x);
  if (b.ok() && x->rank() == 0) b.Invalid("diff of a scalar");
  if (!b.ok()) return;
  std::vector<Value*> parts;
  if (b.Given("prepend")) parts.push_back(b.Tensor("prepend"));
  parts.push_back(x);
  if (b.Given("append")) parts.push_back(b.Tensor("append"));
  x = b.Concat(std::move(parts), axis);
  for (int64_t i = 0, n = b.Int("n"); i < n && b.ok(); ++i) {
    const ir::Dim size = b.Sub(b.Dim(x, axis), 1);
    if (b.Min(size) < 0) break;
    Value* next = b.Slice(x, axis, 1, size);
    Value* now = b.Slice(x, axis, 0, size);
    x = b.Binary(x->dtype() == DType::kBool ? OpId::kLogicalXor : OpId::kSub, next, now);
  }
  b.Return(x);
}

// trapezoid, cumulative_trapezoid (param 1).
void Trapezoid(OpBuilder& b) {
  Value* y = b.Operand("y", b.FloatType({"y"}));
  const int64_t axis = AxisArg(b, y);
  const ir::Dim size = b.Sub(b.Dim(y, axis), 1);
  if (!b.ok()) return;
  Value* sums = b.Binary(OpId::kAdd, b.Slice(y, axis, 1, size), b.Slice(y, axis, 0, size));
  if (b.HasArg("x")) {
    Value* x = b.Operand("x", y->dtype());
    const int64_t along = x->rank() == 1 ? 0 : axis;
    Value* steps = b.Binary(OpId::kSub, b.Slice(x, along, 1, size), b.Slice(x, along, 0, size));
    if (x->rank() == 1) {
      ir::Shape line(y->rank(), ir::Dim(1));
      line[static_cast<size_t>(axis)] = size;
      steps = b.Reshape(steps, std::move(line));
    }
    sums = b.Binary(OpId::kMul, sums, steps);
  } else {
    sums = b.Binary(OpId::kMul, sums, b.ScalarLike(y, b.Float("dx")));
  }
  sums = b.Binary(OpId::kMul, sums, b.ScalarLike(y, 0.5));
  if (b.row().param == 0) return b.Return(b.Reduce(ReduceKind::kSum, sums, {axis}, false));
  b.Return(b.Emit(OpId::kCumSum, {sums},
                  {{"axis", axis}, {"exclusive", int64_t{0}}, {"reverse", int64_t{0}}}));
}

// --- positions in sorted sequences ---------------------------------------------------------------

// searchsorted(sorted_sequence, self), bucketize(self, boundaries).
void SearchSorted(OpBuilder& b) {
  const bool bucketize = b.HasArg("boundaries");
  const DType t = b.ResultType({"self", bucketize ? "boundaries" : "sorted_sequence"});
  Value* sequence = b.Operand(bucketize ? "boundaries" : "sorted_sequence", t);
  Value* values = b.Operand("self", t);
  if (b.HasArg("sorter") && b.Given("sorter")) {
    Value* order = b.Tensor("sorter");
    sequence = b.Emit(OpId::kGatherElements, {sequence, order}, {{"axis", b.Rank(sequence) - 1}});
  }
  bool right = b.Bool("right");
  if (b.HasArg("side") && b.Given("side")) right = b.String("side") == "right";
  Value* y = b.Emit(OpId::kSearchSorted, {sequence, values}, {{"right", int64_t{right}}});
  b.Return(b.Cast(y, b.Bool("out_int32") ? DType::kI32 : DType::kI64));
}

// _unique, _unique2 (param 0), unique_consecutive (1): values, inverse, counts. What was not asked
// for is empty.
void Unique(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const bool flat = !b.Given("dim");
  if (b.ok() && !flat && b.Rank(x) != 1) return b.Unsupported("the unique slices along an axis");
  if (!b.ok()) return;
  const ir::Shape shape = x->shape();
  x = b.Reshape(x, {CountOf(b, x)});
  const import::UniqueElements u = import::Unique(b, x, b.row().param == 0);
  if (!b.ok()) return;
  const bool wants_inverse = b.Given("return_inverse") && b.Bool("return_inverse");
  const bool wants_counts = b.Given("return_counts") && b.Bool("return_counts");
  const auto none = [&b] { return b.IntVector({}); };
  b.Return(u.values);
  b.Return(wants_inverse ? b.Reshape(u.inverse, shape) : none());
  if (b.HasArg("return_counts")) b.Return(wants_counts ? u.counts : none());
}

// torch.gradient with equal steps: central differences, one-sided ones of order `edge_order` at
// both ends.
Value* GradientAlong(OpBuilder& b, Value* x, int64_t axis, double step, int64_t edge_order) {
  const int64_t n = b.StaticDim(x, axis);
  if (b.ok() && n <= edge_order) b.Invalid("gradient() needs more elements than edge_order");
  if (!b.ok()) return x;
  const auto part = [&](int64_t at, int64_t length) { return b.SliceAxis(x, axis, at, length); };
  const auto scaled = [&](Value* v, double factor) {
    return b.Binary(OpId::kMul, v, b.ScalarLike(v, factor));
  };
  // At an end: the element there, the next one and the one after it.
  const auto edge = [&](int64_t at, int64_t towards) {
    if (edge_order == 1) {
      return scaled(b.Binary(OpId::kSub, part(at + towards, 1), part(at, 1)),
                    static_cast<double>(towards) / step);
    }
    Value* sum = b.Binary(OpId::kAdd, scaled(part(at, 1), -1.5), scaled(part(at + towards, 1), 2));
    sum = b.Binary(OpId::kAdd, sum, scaled(part(at + 2 * towards, 1), -0.5));
    return scaled(sum, static_cast<double>(towards) / step);
  };
  std::vector<Value*> parts = {edge(0, 1)};
  if (n > 2) {
    parts.push_back(scaled(b.Binary(OpId::kSub, part(2, n - 2), part(0, n - 2)), 1 / (2 * step)));
  }
  parts.push_back(edge(n - 1, -1));
  return b.Concat(std::move(parts), axis);
}

void Gradient(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (!b.ok()) return;
  if (!IsFloat(x->dtype())) x = b.Cast(x, DType::kF32);
  std::vector<int64_t> axes;
  if (!b.Given("dim")) {
    for (int64_t i = 0; i < b.Rank(x); ++i) axes.push_back(i);
  } else if (b.Arg("dim").is_sequence()) {
    axes = b.Ints("dim");
  } else {
    axes = {b.Int("dim")};
  }
  std::vector<double> steps(axes.size(), 1);
  if (b.Given("spacing")) {
    const IValue& given = b.Arg("spacing");
    for (size_t i = 0; i < steps.size() && b.ok(); ++i) {
      if (given.is_sequence() && given.items().size() != steps.size()) {
        return b.Invalid("gradient() needs a spacing for each axis");
      }
      const IValue& one = given.is_sequence() ? given.items()[i] : given;
      if (one.is_tensor()) return b.Unsupported("gradient() at places that lie unevenly");
      const Number step = b.ScalarOf(one);
      if (step.tensor != nullptr) return b.Unsupported("gradient() with steps that are data");
      steps[i] = step.value;
    }
  }
  const int64_t order = b.Int("edge_order");
  if (b.ok() && order != 1 && order != 2) b.Invalid("edge_order must be 1 or 2");
  std::vector<Value*> results;
  for (size_t i = 0; i < axes.size() && b.ok(); ++i) {
    results.push_back(GradientAlong(b, x, b.Axis(axes[i], b.Rank(x)), steps[i], order));
  }
  if (b.ok()) b.ReturnList(results);
}

constexpr Row kRows[] = {
    {"aten::_unique", Unique},
    {"aten::_unique2", Unique},
    {"aten::unique_consecutive", Unique, OpId::kIdentity, 1},
    {"aten::gradient", Gradient},
    {"aten::sort", Sort},
    {"aten::argsort", Sort, OpId::kSort, 1},
    {"aten::msort", Sort, OpId::kSort, 2},
    {"aten::topk", TopK},
    {"aten::kthvalue", KthValue},
    {"aten::median", Median},
    {"aten::nanmedian", Median, OpId::kSort, 1},
    {"aten::mode", Mode},
    {"aten::quantile", Quantile},
    {"aten::nanquantile", Quantile, OpId::kSort, 1},
    {"aten::cumsum", Cumulative, OpId::kCumSum},
    {"aten::cumprod", Cumulative, OpId::kCumProd},
    {"aten::cummax", CumulativeExtreme, OpId::kCumMax},
    {"aten::cummin", CumulativeExtreme, OpId::kCumMin},
    {"aten::logcumsumexp", LogCumSumExp},
    {"aten::_logcumsumexp", LogCumSumExp},
    {"aten::diff", Diff},
    {"aten::trapezoid", Trapezoid},
    {"aten::trapz", Trapezoid},
    {"aten::cumulative_trapezoid", Trapezoid, OpId::kCumSum, 1},
    {"aten::searchsorted", SearchSorted},
    {"aten::bucketize", SearchSorted},
};

}  // namespace

std::span<const Row> OrderRows() { return kRows; }

}  // namespace floe::aten
