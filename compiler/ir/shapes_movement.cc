// Shape rules of ops that move elements or make tensors.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/ir/shape_rules.h"

namespace floe::ir {
namespace {

absl::Status Same(const Inference& n) { return n.Set(0, n.dtype(0), n.shape(0)); }

// For ops whose maker gives the result's type.
absl::Status NeedGivenType(const Inference& n) {
  if (n.node.output()->dtype() != DType::kNone) return absl::OkStatus();
  return n.Fail("the result's type is not set (the shape is part of this op)");
}

absl::Status Reshape(const Inference& n) {
  FLOE_TRY(NeedGivenType(n));
  const Shape shape = n.node.output()->shape();
  if (!SameCount(n.shape(0), shape)) {
    return n.Fail(absl::StrFormat("cannot reshape %s to %s: the numbers of elements differ",
                                  n.Text(n.shape(0)), n.Text(shape)));
  }
  return n.Set(0, n.dtype(0), shape);
}

absl::Status Transpose(const Inference& n) {
  const std::vector<int64_t>& perm = n.node.Ints("perm");
  FLOE_TRY(n.NeedCount("perm", n.rank(0)));
  Shape shape;
  std::vector<bool> seen(perm.size());
  for (const int64_t axis : perm) {
    FLOE_TRY(n.NeedAxis(axis, n.rank(0)));
    if (seen[static_cast<size_t>(axis)]) return n.Fail("perm names an axis twice");
    seen[static_cast<size_t>(axis)] = true;
    shape.push_back(n.shape(0)[static_cast<size_t>(axis)]);
  }
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status Expand(const Inference& n) {
  FLOE_TRY(NeedGivenType(n));
  const Shape shape = n.node.output()->shape();
  absl::StatusOr<Shape> both = BroadcastShapes(n.graph, n.shape(0), shape);
  if (!both.ok() || *both != shape) {
    return n.Fail(absl::StrFormat("cannot expand %s to %s", n.Text(n.shape(0)), n.Text(shape)));
  }
  return n.Set(0, n.dtype(0), shape);
}

// Every element that the slice reads exists, for every value of the symbols.
bool SliceFits(const Inference& n, const Dim& size, const Dim& length, int64_t start,
               int64_t step) {
  if (step == 0) return false;
  if (length == Dim(0)) return true;
  const std::optional<Dim> steps = Dim::Sub(length, 1);
  const std::optional<Dim> way = steps ? Dim::Mul(*steps, step) : std::nullopt;
  const std::optional<Dim> last = way ? Dim::Add(*way, start) : std::nullopt;
  if (!last) return false;
  const std::optional<Dim> room = Dim::Sub(size, step > 0 ? *last : Dim(start));
  if (!room || room->Min(n.graph.symbols) < 1) return false;
  return (step > 0 ? Dim(start) : *last).Min(n.graph.symbols) >= 0;
}

absl::Status Slice(const Inference& n) {
  FLOE_TRY(NeedGivenType(n));
  FLOE_TRY(n.NeedCount("starts", n.rank(0)));
  FLOE_TRY(n.NeedCount("steps", n.rank(0)));
  const Shape shape = n.node.output()->shape();
  if (shape.size() != n.rank(0)) return n.Fail("the result has another rank");
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t start = n.node.Ints("starts")[i];
    const int64_t step = n.node.Ints("steps")[i];
    if (!SliceFits(n, n.shape(0)[i], shape[i], start, step)) {
      return n.Fail(
          absl::StrFormat("%s elements from %d in steps of %d do not fit into axis %d of %s",
                          shape[i].ToString(n.graph.symbols), start, step, i, n.Text(n.shape(0))));
    }
  }
  return n.Set(0, n.dtype(0), shape);
}

absl::Status Concat(const Inference& n) {
  const int64_t axis = n.node.Int("axis");
  FLOE_TRY(n.NeedAxis(axis, n.rank(0)));
  const auto at = static_cast<size_t>(axis);
  Shape shape = n.shape(0);
  for (size_t i = 1; i < n.operand_count(); ++i) {
    FLOE_TRY(n.NeedRank(i, shape.size()));
    if (n.dtype(i) != n.dtype(0)) return n.Fail("operands have several dtypes");
    for (size_t k = 0; k < shape.size(); ++k) {
      if (k != at && n.shape(i)[k] != shape[k]) {
        return n.Fail(absl::StrFormat("operands 0 and %d differ on axis %d", i, k));
      }
    }
    const std::optional<Dim> sum = Dim::Add(shape[at], n.shape(i)[at]);
    if (!sum) return n.Fail("the result is too large");
    shape[at] = *sum;
  }
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status Pad(const Inference& n) {
  FLOE_TRY(n.NeedCount("before", n.rank(0)));
  FLOE_TRY(n.NeedCount("after", n.rank(0)));
  const int64_t mode = n.node.Int("mode");
  if (mode < 0 || mode > static_cast<int64_t>(PadMode::kWrap)) {
    return n.Fail(absl::StrFormat("%d is no mode of padding", mode));
  }
  Shape shape = n.shape(0);
  for (size_t i = 0; i < shape.size(); ++i) {
    const std::optional<Dim> some = Dim::Add(shape[i], n.node.Ints("before")[i]);
    const std::optional<Dim> all = some ? Dim::Add(*some, n.node.Ints("after")[i]) : std::nullopt;
    if (!all) return n.Fail("the result is too large");
    shape[i] = *all;
  }
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status NeedIndices(const Inference& n, size_t i) {
  if (n.dtype(i) == DType::kI64 || n.dtype(i) == DType::kI32) return absl::OkStatus();
  return n.Fail(absl::StrFormat("indices are %s, not i32 or i64", DTypeName(n.dtype(i))));
}

absl::Status Gather(const Inference& n) {
  FLOE_TRY(NeedIndices(n, 1));
  FLOE_TRY(n.NeedAxis(n.node.Int("axis"), n.rank(0)));
  const auto axis = static_cast<size_t>(n.node.Int("axis"));
  Shape shape(n.shape(0).begin(), n.shape(0).begin() + static_cast<ptrdiff_t>(axis));
  shape.insert(shape.end(), n.shape(1).begin(), n.shape(1).end());
  shape.insert(shape.end(), n.shape(0).begin() + static_cast<ptrdiff_t>(axis) + 1,
               n.shape(0).end());
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status GatherElements(const Inference& n) {
  FLOE_TRY(NeedIndices(n, 1));
  FLOE_TRY(n.NeedAxis(n.node.Int("axis"), n.rank(0)));
  FLOE_TRY(n.NeedRank(1, n.rank(0)));
  return n.Set(0, n.dtype(0), n.shape(1));
}

absl::Status GatherNd(const Inference& n) {
  FLOE_TRY(NeedIndices(n, 1));
  const int64_t batch = n.node.Int("batch_dims");
  const auto x_rank = static_cast<int64_t>(n.rank(0));
  const auto i_rank = static_cast<int64_t>(n.rank(1));
  if (i_rank < 1 || batch < 0 || batch >= i_rank || batch >= x_rank) {
    return n.Fail(absl::StrFormat("batch_dims %d does not fit", batch));
  }
  const Dim& tuple = n.shape(1).back();
  if (!tuple.is_constant() || tuple.constant() < 1 || tuple.constant() > x_rank - batch) {
    return n.Fail("the last axis of the indices must be a number and at most x's rank");
  }
  for (size_t i = 0; i < static_cast<size_t>(batch); ++i) {
    if (n.shape(0)[i] != n.shape(1)[i]) return n.Fail("batch axes differ");
  }
  Shape shape(n.shape(1).begin(), n.shape(1).end() - 1);
  shape.insert(shape.end(), n.shape(0).begin() + (batch + tuple.constant()), n.shape(0).end());
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status NeedReduction(const Inference& n) {
  const int64_t r = n.node.Int("reduction");
  if (r >= 0 && r <= static_cast<int64_t>(ScatterReduction::kMin)) return absl::OkStatus();
  return n.Fail(absl::StrFormat("%d is no reduction", r));
}

absl::Status ScatterElements(const Inference& n) {
  FLOE_TRY(NeedIndices(n, 1));
  FLOE_TRY(NeedReduction(n));
  FLOE_TRY(n.NeedAxis(n.node.Int("axis"), n.rank(0)));
  FLOE_TRY(n.NeedRank(1, n.rank(0)));
  FLOE_TRY(n.NeedShape(2, n.shape(1)));
  if (n.dtype(2) != n.dtype(0)) return n.Fail("updates have another dtype than x");
  return Same(n);
}

absl::Status ScatterNd(const Inference& n) {
  FLOE_TRY(NeedIndices(n, 1));
  FLOE_TRY(NeedReduction(n));
  if (n.rank(1) < 1) return n.Fail("indices are a scalar");
  const Dim& tuple = n.shape(1).back();
  if (!tuple.is_constant() || tuple.constant() < 1 ||
      tuple.constant() > static_cast<int64_t>(n.rank(0))) {
    return n.Fail("the last axis of the indices must be a number and at most x's rank");
  }
  Shape updates(n.shape(1).begin(), n.shape(1).end() - 1);
  updates.insert(updates.end(), n.shape(0).begin() + tuple.constant(), n.shape(0).end());
  FLOE_TRY(n.NeedShape(2, updates));
  if (n.dtype(2) != n.dtype(0)) return n.Fail("updates have another dtype than x");
  return Same(n);
}

absl::Status MaskedScatter(const Inference& n) {
  if (n.dtype(1) != DType::kBool) return n.Fail("the mask is not bool");
  if (n.dtype(2) != n.dtype(0)) return n.Fail("the source has another dtype than x");
  absl::StatusOr<Shape> both = BroadcastShapes(n.graph, n.shape(0), n.shape(1));
  if (!both.ok() || *both != n.shape(0)) return n.Fail("the mask does not broadcast to x");
  return Same(n);
}

absl::Status NonzeroStatic(const Inference& n) {
  const int64_t size = n.node.Int("size");
  if (size < 0) return n.Fail(absl::StrFormat("size is %d", size));
  return n.Set(0, DType::kI64, {size, static_cast<int64_t>(n.rank(0))});
}

absl::Status Nonzero(const Inference& n) {
  const Value& count = *n.node.input(1);
  if (!count.content || count.content->size() != 1)
    return n.Fail("the count is not known as a size");
  return n.Set(0, DType::kI64, {(*count.content)[0], static_cast<int64_t>(n.rank(0))});
}

absl::Status Tile(const Inference& n) {
  FLOE_TRY(n.NeedCount("repeats", n.rank(0)));
  Shape shape = n.shape(0);
  for (size_t i = 0; i < shape.size(); ++i) {
    const std::optional<Dim> product = Dim::Mul(shape[i], n.node.Ints("repeats")[i]);
    if (!product) return n.Fail("the result is too large");
    shape[i] = *product;
  }
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status ShapeOf(const Inference& n) {
  const auto rank = static_cast<int64_t>(n.rank(0));
  const int64_t start = n.node.Int("start");
  const int64_t end = n.node.Int("end");
  if (start < 0 || start > end || end > rank) {
    return n.Fail(absl::StrFormat("axes %d..%d lie outside a tensor of rank %d", start, end, rank));
  }
  return n.Set(0, DType::kI64, {end - start});
}

absl::Status DimsOf(const Inference& n) {
  FLOE_TRY(NeedGivenType(n));
  const Value& output = *n.node.output();
  if (output.dtype() != DType::kI64) return n.Fail("the result is not i64");
  if (!output.content) return n.Fail("the result's content is not set");
  for (const Dim& d : *output.content) {
    if (d.Min(n.graph.symbols) < 0) {
      return n.Fail(absl::StrFormat("%s can be negative", d.ToString(n.graph.symbols)));
    }
  }
  return absl::OkStatus();
}

absl::Status ConstantOfShape(const Inference& n) {
  FLOE_TRY(NeedGivenType(n));
  return n.Set(0, n.node.output()->dtype(), n.node.output()->shape());
}

absl::Status Range(const Inference& n) {
  FLOE_TRY(NeedGivenType(n));
  for (size_t i = 0; i < 3; ++i) {
    FLOE_TRY(n.NeedShape(i, {}));
    if (n.dtype(i) != n.dtype(0)) return n.Fail("operands have several dtypes");
  }
  if (n.node.output()->rank() != 1) return n.Fail("the result is no vector");
  return n.Set(0, n.dtype(0), n.node.output()->shape());
}

absl::Status OneHot(const Inference& n) {
  const int64_t axis = n.node.Int("axis");
  const int64_t depth = n.node.Int("depth");
  FLOE_TRY(n.NeedAxis(axis, n.rank(0) + 1));
  FLOE_TRY(n.NeedShape(1, {2}));
  if (depth < 0) return n.Fail(absl::StrFormat("depth is %d", depth));
  Shape shape = n.shape(0);
  shape.insert(shape.begin() + axis, depth);
  return n.Set(0, n.dtype(1), std::move(shape));
}

absl::Status Trilu(const Inference& n) {
  if (n.rank(0) < 2) return n.Fail("operand 0 has a rank below 2");
  return Same(n);
}

absl::Status DepthToSpace(const Inference& n) {
  FLOE_TRY(n.NeedRank(0, 4));
  const int64_t block = n.node.Int("block");
  if (block < 1 || block > (1 << 15)) return n.Fail(absl::StrFormat("block is %d", block));
  const Shape& s = n.shape(0);
  const std::optional<Dim> c = Dim::DivExact(s[1], block * block);
  const std::optional<Dim> h = Dim::Mul(s[2], block);
  const std::optional<Dim> w = Dim::Mul(s[3], block);
  if (!c || !h || !w) return n.Fail("channels are no multiple of block * block");
  return n.Set(0, n.dtype(0), {s[0], *c, *h, *w});
}

absl::Status SpaceToDepth(const Inference& n) {
  FLOE_TRY(n.NeedRank(0, 4));
  const int64_t block = n.node.Int("block");
  if (block < 1 || block > (1 << 15)) return n.Fail(absl::StrFormat("block is %d", block));
  const Shape& s = n.shape(0);
  const std::optional<Dim> c = Dim::Mul(s[1], block * block);
  const std::optional<Dim> h = Dim::DivExact(s[2], block);
  const std::optional<Dim> w = Dim::DivExact(s[3], block);
  if (!c || !h || !w) return n.Fail("the image's sides are no multiples of block");
  return n.Set(0, n.dtype(0), {s[0], *c, *h, *w});
}

constexpr ShapeRuleRow kRows[] = {
    {OpId::kIdentity, Same},
    {OpId::kReshape, Reshape},
    {OpId::kTranspose, Transpose},
    {OpId::kExpand, Expand},
    {OpId::kSlice, Slice},
    {OpId::kConcat, Concat},
    {OpId::kPad, Pad},
    {OpId::kGather, Gather},
    {OpId::kGatherElements, GatherElements},
    {OpId::kGatherNd, GatherNd},
    {OpId::kScatterElements, ScatterElements},
    {OpId::kScatterNd, ScatterNd},
    {OpId::kMaskedScatter, MaskedScatter},
    {OpId::kNonzeroStatic, NonzeroStatic},
    {OpId::kNonzero, Nonzero},
    {OpId::kTile, Tile},
    {OpId::kShapeOf, ShapeOf},
    {OpId::kDimsOf, DimsOf},
    {OpId::kConstantOfShape, ConstantOfShape},
    {OpId::kRange, Range},
    {OpId::kOneHot, OneHot},
    {OpId::kTrilu, Trilu},
    {OpId::kDepthToSpace, DepthToSpace},
    {OpId::kSpaceToDepth, SpaceToDepth},
};

}  // namespace

std::span<const ShapeRuleRow> MovementRules() { return kRows; }

}  // namespace floe::ir
