// Gathers, scatters, masks.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// --- index and index_put -------------------------------------------------------------------------

// x[i, :, j]: which axes are indexed, by tensors of one broadcast shape.
struct Indexing {
  std::vector<int64_t> axes;    // Indexed ones, ascending.
  std::vector<Value*> indices;  // One for each; broadcast to `shape`.
  ir::Shape shape;
  std::vector<int64_t> perm;  // Brings the indexed axes to the front.
  int64_t at = 0;             // Where the index dimensions stand in the result.
};

// [count, rank] as `rank` vectors.
std::vector<Value*> ColumnsOf(OpBuilder& b, Value* indices) {
  std::vector<Value*> columns;
  if (!b.ok()) return columns;
  const ir::Dim count = indices->shape()[0], rank = indices->shape()[1];
  for (int64_t i = 0; i < rank.constant(); ++i) {
    columns.push_back(b.Reshape(b.Slice(indices, 1, i, 1), {count}));
  }
  return columns;
}

// A mask as positions along each of its axes; as many as only the run knows, if it is no constant.
std::vector<Value*> PositionsOf(OpBuilder& b, Value* mask) {
  const auto known = b.ConstantOf(mask);
  if (!known) return ColumnsOf(b, b.Nonzero(mask));
  const std::vector<int64_t>& dims = known->dims();
  std::vector<std::vector<int64_t>> positions(dims.size());
  for (int64_t i = 0; i < known->count(); ++i) {
    if (known->IntAt(i) == 0) continue;
    int64_t rest = i;
    for (size_t axis = dims.size(); axis-- > 0;) {
      positions[axis].push_back(rest % dims[axis]);
      rest /= dims[axis];
    }
  }
  std::vector<Value*> values;
  for (const std::vector<int64_t>& p : positions) values.push_back(b.IntVector(p));
  return values;
}

Indexing ReadIndexing(OpBuilder& b, const Value* x, const std::vector<Value*>& given) {
  Indexing ix;
  int64_t axis = 0;
  for (Value* index : given) {
    if (index == nullptr) {
      ++axis;
      continue;
    }
    std::vector<Value*> parts = {index};
    if (index->dtype() == DType::kBool || index->dtype() == DType::kU8) {
      parts = PositionsOf(b, index);
      if (!b.ok()) return ix;
    }
    for (Value* part : parts) {
      ix.axes.push_back(axis++);
      ix.indices.push_back(b.Cast(part, DType::kI64));
    }
  }
  if (b.ok() && (ix.axes.empty() || axis > b.Rank(x))) b.Invalid("too many or no indices");
  if (!b.ok()) return ix;
  for (const Value* v : ix.indices) ix.shape = b.Broadcast(ix.shape, v->shape());
  for (Value*& v : ix.indices) v = b.Expand(v, ix.shape);
  ix.perm = ix.axes;
  for (int64_t a = 0; a < b.Rank(x); ++a) {
    if (std::find(ix.axes.begin(), ix.axes.end(), a) == ix.axes.end()) ix.perm.push_back(a);
  }
  const bool adjacent =
      ix.axes.back() - ix.axes.front() + 1 == static_cast<int64_t>(ix.axes.size());
  ix.at = adjacent ? ix.axes.front() : 0;
  return ix;
}

// The indices as one tensor [..., axes], for GatherNd and ScatterNd.
Value* Stacked(OpBuilder& b, const Indexing& ix) {
  const auto last = static_cast<int64_t>(ix.shape.size());
  std::vector<Value*> parts;
  for (Value* v : ix.indices) parts.push_back(b.Unsqueeze(v, last));
  return b.Concat(std::move(parts), last);
}

// The permutation from [index dims, rest] to the result's order: index dims from `at` on.
std::vector<int64_t> ResultPerm(const Indexing& ix, int64_t rank) {
  const auto count = static_cast<int64_t>(ix.shape.size());
  std::vector<int64_t> perm;
  for (int64_t i = 0; i < ix.at; ++i) perm.push_back(count + i);
  for (int64_t i = 0; i < count; ++i) perm.push_back(i);
  for (int64_t i = count + ix.at; i < rank; ++i) perm.push_back(i);
  return perm;
}

std::vector<int64_t> Inverse(const std::vector<int64_t>& perm) {
  std::vector<int64_t> inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) {
    inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  }
  return inverse;
}

void Index(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const Indexing ix = ReadIndexing(b, x, b.OptTensors("indices"));
  if (!b.ok()) return;
  if (ix.axes.size() == 1) return b.Return(b.Gather(x, ix.indices[0], ix.axes[0]));
  Value* y = b.Emit(OpId::kGatherNd, {b.Transpose(x, ix.perm), Stacked(b, ix)},
                    {{"batch_dims", int64_t{0}}});
  b.Return(b.Transpose(y, ResultPerm(ix, b.Rank(y))));
}

// x[mask] = value with one value for all: no positions are needed.
bool PutUnderMask(OpBuilder& b, Value* x, const std::vector<Value*>& indices, Value* values,
                  bool accumulate) {
  if (indices.size() != 1 || indices[0] == nullptr || indices[0]->dtype() != DType::kBool) {
    return false;
  }
  const ir::Dim count = CountOf(b, values);
  if (!(count == ir::Dim(1))) return false;
  Value* mask = indices[0];
  ir::Shape shape = mask->shape();
  while (shape.size() < x->rank()) shape.emplace_back(1);
  mask = b.Reshape(mask, std::move(shape));
  Value* value = b.Reshape(values, {});
  if (accumulate) value = b.Binary(OpId::kAdd, x, value);
  b.Return(b.Where(mask, value, x));
  return true;
}

void IndexPut(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const std::vector<Value*> indices = b.OptTensors("indices");
  Value* values = b.Cast(b.Tensor("values"), x->dtype());
  const bool accumulate = b.Bool("accumulate", false);
  if (!b.ok() || PutUnderMask(b, x, indices, values, accumulate)) return;
  const Indexing ix = ReadIndexing(b, x, indices);
  if (!b.ok()) return;
  Value* base = b.Transpose(x, ix.perm);
  ir::Shape front = ix.shape;
  front.insert(front.end(), base->shape().begin() + static_cast<int64_t>(ix.axes.size()),
               base->shape().end());
  const std::vector<int64_t> order = ResultPerm(ix, static_cast<int64_t>(front.size()));
  ir::Shape stated;
  for (const int64_t a : order) stated.push_back(front[static_cast<size_t>(a)]);
  Value* updates = b.Transpose(b.Expand(values, stated), Inverse(order));
  const auto reduction = accumulate ? ScatterReduction::kAdd : ScatterReduction::kNone;
  Value* y = b.Emit(OpId::kScatterNd, {base, Stacked(b, ix), updates},
                    {{"reduction", static_cast<int64_t>(reduction)}});
  b.Return(b.Transpose(y, Inverse(ix.perm)));
}

// --- along one axis ------------------------------------------------------------------------------

int64_t AxisArg(OpBuilder& b, const Value* x) {
  return b.Axis(b.Int("dim"), std::max<int64_t>(b.Rank(x), 1));
}

// Rank 0 behaves as one element along axis 0.
Value* AtLeast1d(OpBuilder& b, Value* x) { return x->rank() == 0 ? b.Reshape(x, {1}) : x; }

void IndexSelect(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const ir::Shape shape = x->shape();
  const int64_t axis = AxisArg(b, x);
  Value* index = AtLeast1d(b, b.Tensor("index"));
  if (!b.ok()) return;
  Value* y = b.Gather(AtLeast1d(b, x), index, axis);
  b.Return(shape.empty() ? b.Reshape(y, {}) : y);
}

// `x` cut to `like` in every axis but `axis`: gather and scatter ignore the rest.
Value* CutTo(OpBuilder& b, Value* x, const Value* like, int64_t axis) {
  for (int64_t i = 0; i < b.Rank(x) && b.ok(); ++i) {
    if (i != axis) x = b.Slice(x, i, 0, b.Dim(like, i));
  }
  return x;
}

void GatherOp(OpBuilder& b) {
  Value* x = AtLeast1d(b, b.Tensor("self"));
  Value* index = b.Tensor("index");
  const ir::Shape shape = index->shape();
  index = AtLeast1d(b, index);
  const int64_t axis = AxisArg(b, x);
  if (b.ok() && x->rank() != index->rank()) b.Invalid("index has another rank than the tensor");
  if (!b.ok()) return;
  Value* y = b.Emit(OpId::kGatherElements, {CutTo(b, x, index, axis), index}, {{"axis", axis}});
  b.Return(b.Reshape(y, shape));
}

void TakeAlongDim(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* index = b.Tensor("indices");
  if (!b.Given("dim")) {
    x = b.Reshape(x, {CountOf(b, x)});
    index = b.Reshape(index, {CountOf(b, index)});
    return b.Return(b.Emit(OpId::kGatherElements, {x, index}, {{"axis", int64_t{0}}}));
  }
  const int64_t axis = AxisArg(b, x);
  if (!b.ok()) return;
  ir::Shape xs = x->shape(), is = index->shape();
  xs[static_cast<size_t>(axis)] = 1;
  is[static_cast<size_t>(axis)] = 1;
  const ir::Shape common = b.Broadcast(xs, is);
  xs = is = common;
  if (!b.ok()) return;
  xs[static_cast<size_t>(axis)] = b.Dim(x, axis);
  is[static_cast<size_t>(axis)] = b.Dim(index, axis);
  b.Return(b.Emit(OpId::kGatherElements, {b.Expand(x, xs), b.Expand(index, is)}, {{"axis", axis}}));
}

void Take(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(b.Gather(b.Reshape(x, {CountOf(b, x)}), b.Tensor("index"), 0));
}

// --- scatters ------------------------------------------------------------------------------------

enum class Combine { kNone, kAdd, kMul, kMean, kMax, kMin };

Combine CombineOf(OpBuilder& b, const std::string& name) {
  if (name == "add" || name == "sum") return Combine::kAdd;
  if (name == "multiply" || name == "prod") return Combine::kMul;
  if (name == "mean") return Combine::kMean;
  if (name == "amax") return Combine::kMax;
  if (name == "amin") return Combine::kMin;
  b.Invalid("reduce '" + name + "' is none of sum, prod, mean, amax, amin");
  return Combine::kNone;
}

// What changes nothing under the combination.
double Neutral(Combine combine, DType t) {
  const bool max = combine == Combine::kMax;
  switch (combine) {
    case Combine::kMul:
      return 1;
    case Combine::kMax:
    case Combine::kMin:
      if (IsFloat(t)) return max ? -INFINITY : INFINITY;
      if (t == DType::kBool) return max ? 0 : 1;
      {
        const int64_t bits = 8 * DTypeSize(t) - (IsSignedInt(t) ? 1 : 0);
        const double top = std::ldexp(1.0, static_cast<int>(bits));
        return max ? (IsSignedInt(t) ? -top : 0) : top - 1;
      }
    default:
      return 0;
  }
}

Value* ScatterWith(OpBuilder& b, Value* x, Value* index, Value* updates, int64_t axis,
                   ScatterReduction reduction) {
  return b.Emit(OpId::kScatterElements, {x, index, updates},
                {{"axis", axis}, {"reduction", static_cast<int64_t>(reduction)}});
}

// All scatters: x, in which elements of `source` are combined at `index` along `axis`. Without
// `include_self` the old elements at those places do not count.
Value* Scatter(OpBuilder& b, Value* x, Value* index, Value* source, int64_t axis, Combine combine,
               bool include_self) {
  const ir::Shape shape = x->shape();
  x = AtLeast1d(b, x);
  index = b.Cast(AtLeast1d(b, index), DType::kI64);
  source = AtLeast1d(b, source);
  if (!b.ok()) return x;
  source = CutTo(b, source, index, axis);
  source = b.Slice(source, axis, 0, b.Dim(index, axis));
  constexpr ScatterReduction kReductions[] = {ScatterReduction::kNone, ScatterReduction::kAdd,
                                              ScatterReduction::kMul,  ScatterReduction::kAdd,
                                              ScatterReduction::kMax,  ScatterReduction::kMin};
  const auto filled = [&](const Value* like, double v) {
    return b.Full(x->dtype(), like->shape(), v);
  };
  Value* base = x;
  if (!include_self) {
    base = ScatterWith(b, x, index, filled(index, Neutral(combine, x->dtype())), axis,
                       ScatterReduction::kNone);
  }
  Value* y = ScatterWith(b, base, index, source, axis, kReductions[static_cast<size_t>(combine)]);
  if (combine == Combine::kMean) {
    Value* ones = filled(index, 1);
    Value* counts = filled(x, 1);
    if (!include_self) {
      counts = ScatterWith(b, counts, index, filled(index, 0), axis, ScatterReduction::kNone);
    }
    counts = ScatterWith(b, counts, index, ones, axis, ScatterReduction::kAdd);
    counts = b.Binary(OpId::kMaximum, counts, b.ScalarLike(counts, 1));
    y = b.Binary(IsFloat(y->dtype()) ? OpId::kDiv : OpId::kFloorDiv, y, counts);
  }
  return b.Reshape(y, shape);
}

// scatter.src, .value, .reduce, .value_reduce, scatter_add (param 1), scatter_reduce.
void ScatterOp(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t axis = AxisArg(b, x);
  Value* index = b.Tensor("index");
  Value* source = b.HasArg("value")
                      ? b.Expand(b.Operand("value", x->dtype()), AtLeast1d(b, index)->shape())
                      : b.Cast(b.Tensor("src"), x->dtype());
  Combine combine = b.row().param != 0 ? Combine::kAdd : Combine::kNone;
  if (b.HasArg("reduce")) combine = CombineOf(b, b.String("reduce"));
  const bool include_self = b.Bool("include_self", true);
  if (b.ok()) b.Return(Scatter(b, x, index, source, axis, combine, include_self));
}

// index_add, index_copy, index_fill, index_reduce: a vector of positions for whole slices.
void IndexWrite(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const ir::Shape shape = x->shape();
  const int64_t axis = AxisArg(b, x);
  Value* index = AtLeast1d(b, b.Tensor("index"));
  if (!b.ok()) return;
  Value* base = AtLeast1d(b, x);
  ir::Shape slab = base->shape();
  slab[static_cast<size_t>(axis)] = index->shape()[0];
  Value* source = nullptr;
  if (b.HasArg("value")) {
    source = b.Expand(b.Reshape(b.Operand("value", x->dtype()), {}), slab);
  } else {
    source = AtLeast1d(b, b.Cast(b.Tensor("source"), x->dtype()));
    if (b.HasArg("alpha")) {
      const Number alpha = b.Scalar("alpha");
      if (alpha.tensor != nullptr || alpha.value != 1) {
        source = b.Binary(OpId::kMul, source, b.NumberAs(alpha, x->dtype()));
      }
    }
    source = b.Expand(source, slab);
  }
  ir::Shape line(slab.size(), ir::Dim(1));
  line[static_cast<size_t>(axis)] = slab[static_cast<size_t>(axis)];
  Value* positions = b.Expand(b.Reshape(index, line), slab);
  Combine combine = b.row().param != 0 ? Combine::kAdd : Combine::kNone;
  if (b.HasArg("reduce")) combine = CombineOf(b, b.String("reduce"));
  const bool include_self = b.Bool("include_self", true);
  if (!b.ok()) return;
  Value* y = Scatter(b, base, positions, source, axis, combine, include_self);
  b.Return(b.Reshape(y, shape));
}

// put(self, index, source, accumulate): positions in the flat tensor.
void Put(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const ir::Shape shape = x->shape();
  Value* index = b.Tensor("index");
  Value* source = b.Cast(b.Tensor("source"), x->dtype());
  const ir::Dim count = CountOf(b, index), total = CountOf(b, x);
  const Combine combine = b.Bool("accumulate", false) ? Combine::kAdd : Combine::kNone;
  if (!b.ok()) return;
  Value* y = Scatter(b, b.Reshape(x, {total}), b.Reshape(index, {count}),
                     b.Reshape(source, {count}), 0, combine, true);
  b.Return(b.Reshape(y, shape));
}

// --- masks ---------------------------------------------------------------------------------------

void MaskedFill(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* value = b.Operand("value", x->dtype());
  b.Return(b.Where(b.Cast(b.Tensor("mask"), DType::kBool), b.Reshape(value, {}), x));
}

void MaskedScatter(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* mask = b.Tensor("mask");
  const ir::Shape shape = b.Broadcast(x->shape(), mask->shape());
  Value* source = b.Cast(b.Tensor("source"), x->dtype());
  if (!b.ok()) return;
  b.Return(b.Emit(OpId::kMaskedScatter, {b.Expand(x, shape), b.Expand(mask, shape), source}));
}

void MaskedSelect(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* mask = b.Tensor("mask");
  const ir::Shape shape = b.Broadcast(x->shape(), mask->shape());
  if (!b.ok()) return;
  x = b.Expand(x, shape);
  const Indexing ix = ReadIndexing(b, x, {b.Expand(mask, shape)});
  if (!b.ok()) return;
  b.Return(b.Emit(OpId::kGatherNd, {x, Stacked(b, ix)}, {{"batch_dims", int64_t{0}}}));
}

// nonzero, argwhere; param 1: as a list of columns (nonzero_numpy, where without choices).
void Nonzero(OpBuilder& b) {
  Value* x = b.Tensor(b.HasArg("condition") ? "condition" : "self");
  const auto known = b.ConstantOf(x);
  if (!known) {
    Value* indices = b.Nonzero(x);
    return b.row().param != 0 ? b.ReturnList(ColumnsOf(b, indices)) : b.Return(indices);
  }
  ir::Tensor mask(DType::kBool, known->dims());
  for (int64_t i = 0; i < known->count(); ++i) mask.SetInt(i, known->DoubleAt(i) != 0 ? 1 : 0);
  std::vector<Value*> columns = PositionsOf(b, b.Constant(std::move(mask)));
  if (b.row().param != 0) return b.ReturnList(columns);
  if (columns.empty()) return b.Unsupported("nonzero of a scalar");
  for (Value*& column : columns) column = b.Unsqueeze(column, 1);
  b.Return(b.Concat(std::move(columns), 1));
}

void NonzeroStatic(OpBuilder& b) {
  b.Return(b.Emit(OpId::kNonzeroStatic, {b.Tensor("self")},
                  {{"size", b.Int("size")}, {"fill_value", b.Int("fill_value")}}));
}

void IsIn(OpBuilder& b) {
  const DType t = b.ResultType({"elements", "element", "test_elements", "test_element"});
  Value* elements = b.Operand(b.HasArg("elements") ? "elements" : "element", t);
  Value* tests = b.Operand(b.HasArg("test_elements") ? "test_elements" : "test_element", t);
  tests = b.Reshape(tests, {CountOf(b, tests)});
  if (!b.ok()) return;
  Value* equal = b.Binary(OpId::kEqual, b.Unsqueeze(elements, b.Rank(elements)), tests);
  Value* any = b.Reduce(ReduceKind::kMax, b.Cast(equal, DType::kU8), {b.Rank(elements)}, false);
  any = b.Cast(any, DType::kBool);
  b.Return(b.Bool("invert") ? b.Unary(OpId::kLogicalNot, any) : any);
}

constexpr Row kRows[] = {
    {"aten::index.Tensor", Index},
    {"aten::index.Tensor_hacked_twin", Index},
    {"aten::_unsafe_index", Index},
    {"aten::index_put", IndexPut},
    {"aten::_unsafe_index_put", IndexPut},
    {"aten::_index_put_impl", IndexPut},
    {"aten::index_select", IndexSelect},
    {"aten::gather", GatherOp},
    {"aten::take_along_dim", TakeAlongDim},
    {"aten::take", Take},
    {"aten::scatter", ScatterOp},
    {"aten::scatter_add", ScatterOp, OpId::kIdentity, 1},
    {"aten::scatter_reduce", ScatterOp},
    {"aten::index_add", IndexWrite, OpId::kIdentity, 1},
    {"aten::index_copy", IndexWrite},
    {"aten::index_fill", IndexWrite},
    {"aten::index_reduce", IndexWrite},
    {"aten::put", Put},
    {"aten::masked_fill", MaskedFill},
    {"aten::masked_scatter", MaskedScatter},
    {"aten::masked_select", MaskedSelect},
    {"aten::nonzero", Nonzero},
    {"aten::argwhere", Nonzero},
    {"aten::nonzero_numpy", Nonzero, OpId::kIdentity, 1},
    {"aten::where", Nonzero, OpId::kIdentity, 1},
    {"aten::nonzero_static", NonzeroStatic},
    {"aten::isin", IsIn},
};

}  // namespace

std::span<const Row> IndexRows() { return kRows; }

}  // namespace floe::aten
