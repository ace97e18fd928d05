// Content inference: what is known, as dims, about the elements of small integer tensors. Exporters
// write shape arithmetic as tensors (Shape, Gather, Concat, ...); this resolves it to symbols.
#include <algorithm>
#include <limits>
#include <optional>

#include "compiler/ir/shape_rules.h"

namespace floe::ir {
namespace {

using Content = std::vector<Dim>;
using MaybeDim = std::optional<Dim>;
using MaybeContent = std::optional<Content>;

constexpr int64_t kMaxContent = 64;

// What a rule sees: a node whose result is a small integer or bool tensor of static shape.
struct Folding {
  const Graph& graph;
  const Node& node;
  std::vector<int64_t> dims;  // Of the result.
  int64_t count;

  const Content* in(size_t i) const {
    const Value* v = node.input(i);
    return v != nullptr && v->content ? &*v->content : nullptr;
  }
  std::vector<int64_t> in_dims(size_t i) const { return node.input(i)->StaticShape(); }
  int64_t Min(const Dim& d) const { return d.Min(graph.symbols); }
  int64_t Max(const Dim& d) const { return d.Max(graph.symbols); }
};

std::vector<int64_t> Unravel(int64_t index, const std::vector<int64_t>& dims) {
  std::vector<int64_t> at(dims.size());
  for (size_t i = dims.size(); i-- > 0;) {
    at[i] = index % dims[i];
    index /= dims[i];
  }
  return at;
}

int64_t Ravel(const std::vector<int64_t>& at, const std::vector<int64_t>& dims) {
  int64_t index = 0;
  for (size_t i = 0; i < dims.size(); ++i) index = index * dims[i] + at[i];
  return index;
}

// Element of operand `i` that meets result element `index` under broadcasting.
const Dim& Broadcast(const Folding& f, size_t i, int64_t index) {
  const std::vector<int64_t> at = Unravel(index, f.dims);
  const std::vector<int64_t> dims = f.in_dims(i);
  std::vector<int64_t> from(dims.size());
  for (size_t k = 0; k < dims.size(); ++k) {
    from[k] = dims[k] == 1 ? 0 : at[at.size() - dims.size() + k];
  }
  return (*f.in(i))[static_cast<size_t>(Ravel(from, dims))];
}

template <typename F>
MaybeContent ForEach(const Folding& f, size_t operands, F element) {
  for (size_t i = 0; i < operands; ++i) {
    if (f.in(i) == nullptr) return std::nullopt;
  }
  Content content;
  for (int64_t i = 0; i < f.count; ++i) {
    MaybeDim d = element(i);
    if (!d) return std::nullopt;
    content.push_back(*std::move(d));
  }
  return content;
}

// --- elements -----------------------------------------------------------------------------------

MaybeDim Divide(const Folding& f, const Dim& a, const Dim& b) {
  if (a.is_constant() && b.is_constant()) {
    if (b == Dim(0) || a == Dim(std::numeric_limits<int64_t>::min())) return std::nullopt;
    return Dim(a.constant() / b.constant());
  }
  if (MaybeDim exact = Dim::DivExact(a, b)) return exact;
  // Truncation is the floor where nothing is negative.
  if (!b.is_constant() || f.Min(a) < 0) return std::nullopt;
  return Dim::DivFloor(a, b.constant());
}

MaybeDim FloorDivide(const Dim& a, const Dim& b) {
  if (b == Dim(0) || a == Dim(std::numeric_limits<int64_t>::min())) return std::nullopt;
  if (MaybeDim exact = Dim::DivExact(a, b)) return exact;
  if (!b.is_constant()) return std::nullopt;
  if (a.is_constant() && b.constant() < 0) {
    const int64_t quotient = a.constant() / b.constant();
    return Dim(a.constant() > 0 ? quotient - 1 : quotient);  // There is a remainder.
  }
  return Dim::DivFloor(a, b.constant());
}

MaybeDim Modulo(const Folding& f, const Dim& a, const Dim& b) {
  if (f.Min(a) < 0 || f.Min(b) <= 0) return std::nullopt;
  if (a.is_constant() && b.is_constant()) return Dim(a.constant() % b.constant());
  const MaybeDim quotient = Divide(f, a, b);
  const MaybeDim product = quotient ? Dim::Mul(*quotient, b) : std::nullopt;
  return product ? Dim::Sub(a, *product) : std::nullopt;
}

MaybeDim Smaller(const Folding& f, const Dim& a, const Dim& b) {
  const MaybeDim difference = Dim::Sub(a, b);
  if (!difference) return std::nullopt;
  if (f.Max(*difference) <= 0) return a;
  if (f.Min(*difference) >= 0) return b;
  return Dim::Smaller(a, b);
}

MaybeDim Larger(const Folding& f, const Dim& a, const Dim& b) {
  const MaybeDim difference = Dim::Sub(a, b);
  if (!difference) return std::nullopt;
  if (f.Max(*difference) <= 0) return b;
  if (f.Min(*difference) >= 0) return a;
  return Dim::Larger(a, b);
}

// 1, 0, or unknown.
MaybeDim Compare(const Folding& f, OpId op, const Dim& a, const Dim& b) {
  const MaybeDim difference = Dim::Sub(a, b);
  if (!difference) return std::nullopt;
  const int64_t min = f.Min(*difference);
  const int64_t max = f.Max(*difference);
  const auto decide = [](bool yes, bool no) -> MaybeDim {
    if (yes) return Dim(1);
    if (no) return Dim(0);
    return std::nullopt;
  };
  switch (op) {
    case OpId::kEqual:
      return decide(min == 0 && max == 0, min > 0 || max < 0);
    case OpId::kNotEqual:
      return decide(min > 0 || max < 0, min == 0 && max == 0);
    case OpId::kLess:
      return decide(max < 0, min >= 0);
    case OpId::kLessEqual:
      return decide(max <= 0, min > 0);
    case OpId::kGreater:
      return decide(min > 0, max <= 0);
    default:
      return decide(min >= 0, max < 0);
  }
}

MaybeDim BinaryElement(const Folding& f, const Dim& a, const Dim& b) {
  switch (f.node.op()) {
    case OpId::kAdd:
      return Dim::Add(a, b);
    case OpId::kSub:
      return Dim::Sub(a, b);
    case OpId::kMul:
      return Dim::Mul(a, b);
    case OpId::kDiv:
      return Divide(f, a, b);
    case OpId::kFloorDiv:
      return FloorDivide(a, b);
    case OpId::kMod:
      return Modulo(f, a, b);
    case OpId::kMinimum:
      return Smaller(f, a, b);
    case OpId::kMaximum:
      return Larger(f, a, b);
    case OpId::kLogicalAnd:
      return Dim::Mul(a, b);
    case OpId::kLogicalOr:
      return Larger(f, a, b);
    default:
      return Compare(f, f.node.op(), a, b);
  }
}

MaybeDim UnaryElement(const Folding& f, const Dim& a) {
  switch (f.node.op()) {
    case OpId::kNeg:
      return Dim::Mul(a, -1);
    case OpId::kAbs:
      return f.Min(a) >= 0 ? MaybeDim(a) : f.Max(a) <= 0 ? Dim::Mul(a, -1) : std::nullopt;
    case OpId::kLogicalNot:
      return Dim::Sub(1, a);
    default:  // kCast
      if (f.node.output()->dtype() == DType::kBool) return Compare(f, OpId::kNotEqual, a, 0);
      return a;
  }
}

MaybeContent Binary(const Folding& f) {
  return ForEach(
      f, 2, [&f](int64_t i) { return BinaryElement(f, Broadcast(f, 0, i), Broadcast(f, 1, i)); });
}

MaybeContent Unary(const Folding& f) {
  return ForEach(f, 1, [&f](int64_t i) { return UnaryElement(f, (*f.in(0))[i]); });
}

MaybeContent Where(const Folding& f) {
  return ForEach(f, 3, [&f](int64_t i) -> MaybeDim {
    const Dim& condition = Broadcast(f, 0, i);
    if (Broadcast(f, 1, i) == Broadcast(f, 2, i)) return Broadcast(f, 1, i);
    if (!condition.is_constant()) return std::nullopt;
    return Broadcast(f, condition == Dim(0) ? 2 : 1, i);
  });
}

// --- movement -----------------------------------------------------------------------------------

MaybeContent ShapeOf(const Folding& f) {
  const Shape& shape = f.node.input(0)->shape();
  return Content(shape.begin() + f.node.Int("start"), shape.begin() + f.node.Int("end"));
}

MaybeContent Same(const Folding& f) {
  return f.in(0) == nullptr ? std::nullopt : MaybeContent(*f.in(0));
}

MaybeContent Expand(const Folding& f) {
  return ForEach(f, 1, [&f](int64_t i) -> MaybeDim { return Broadcast(f, 0, i); });
}

MaybeContent Slice(const Folding& f) {
  const auto& starts = f.node.Ints("starts");
  const auto& steps = f.node.Ints("steps");
  return ForEach(f, 1, [&](int64_t i) -> MaybeDim {
    std::vector<int64_t> at = Unravel(i, f.dims);
    for (size_t k = 0; k < at.size(); ++k) at[k] = starts[k] + at[k] * steps[k];
    return (*f.in(0))[static_cast<size_t>(Ravel(at, f.in_dims(0)))];
  });
}

MaybeContent Transpose(const Folding& f) {
  const auto& perm = f.node.Ints("perm");
  return ForEach(f, 1, [&](int64_t i) -> MaybeDim {
    const std::vector<int64_t> at = Unravel(i, f.dims);
    std::vector<int64_t> from(at.size());
    for (size_t k = 0; k < at.size(); ++k) from[static_cast<size_t>(perm[k])] = at[k];
    return (*f.in(0))[static_cast<size_t>(Ravel(from, f.in_dims(0)))];
  });
}

MaybeContent Gather(const Folding& f) {
  const auto axis = static_cast<size_t>(f.node.Int("axis"));
  return ForEach(f, 2, [&](int64_t i) -> MaybeDim {
    const std::vector<int64_t> at = Unravel(i, f.dims);
    const std::vector<int64_t> x = f.in_dims(0);
    const std::vector<int64_t> indices = f.in_dims(1);
    const auto middle = at.begin() + static_cast<ptrdiff_t>(axis);
    const auto behind = middle + static_cast<ptrdiff_t>(indices.size());
    const Dim& chosen = (*f.in(1))[static_cast<size_t>(Ravel({middle, behind}, indices))];
    if (!chosen.is_constant()) return std::nullopt;
    const int64_t index = chosen.constant() + (chosen.constant() < 0 ? x[axis] : 0);
    if (index < 0 || index >= x[axis]) return std::nullopt;
    std::vector<int64_t> from(at.begin(), middle);
    from.push_back(index);
    from.insert(from.end(), behind, at.end());
    return (*f.in(0))[static_cast<size_t>(Ravel(from, x))];
  });
}

MaybeContent Concat(const Folding& f) {
  const auto axis = static_cast<size_t>(f.node.Int("axis"));
  return ForEach(f, f.node.inputs().size(), [&](int64_t i) -> MaybeDim {
    std::vector<int64_t> at = Unravel(i, f.dims);
    for (size_t k = 0; k < f.node.inputs().size(); ++k) {
      const std::vector<int64_t> part = f.in_dims(k);
      if (at[axis] < part[axis]) return (*f.in(k))[static_cast<size_t>(Ravel(at, part))];
      at[axis] -= part[axis];
    }
    return std::nullopt;
  });
}

MaybeContent ConstantOfShape(const Folding& f) {
  const double value = f.node.Float("value");
  if (!(value >= -9007199254740992.0 && value <= 9007199254740992.0)) return std::nullopt;
  return Content(static_cast<size_t>(f.count), Dim(static_cast<int64_t>(value)));
}

MaybeContent Range(const Folding& f) {
  if (f.in(0) == nullptr || f.in(2) == nullptr) return std::nullopt;
  const Dim& start = (*f.in(0))[0];
  const Dim& delta = (*f.in(2))[0];
  return ForEach(f, 0, [&](int64_t i) -> MaybeDim {
    const MaybeDim way = Dim::Mul(delta, i);
    return way ? Dim::Add(start, *way) : std::nullopt;
  });
}

MaybeDim Accumulate(const Folding& f, ReduceKind kind, const Dim& a, const Dim& b) {
  switch (kind) {
    case ReduceKind::kSum:
      return Dim::Add(a, b);
    case ReduceKind::kProd:
      return Dim::Mul(a, b);
    case ReduceKind::kMin:
      return Smaller(f, a, b);
    case ReduceKind::kMax:
      return Larger(f, a, b);
    default:
      return std::nullopt;
  }
}

MaybeContent Reduce(const Folding& f) {
  if (f.in(0) == nullptr) return std::nullopt;
  const auto kind = static_cast<ReduceKind>(f.node.Int("kind"));
  const auto& axes = f.node.Ints("axes");
  const bool keep = f.node.Int("keepdims") != 0;
  const std::vector<int64_t> dims = f.in_dims(0);
  std::vector<MaybeDim> sums(static_cast<size_t>(f.count));
  for (int64_t i = 0; i < static_cast<int64_t>(f.in(0)->size()); ++i) {
    const std::vector<int64_t> at = Unravel(i, dims);
    std::vector<int64_t> to;
    for (size_t k = 0; k < at.size(); ++k) {
      const bool reduced = std::binary_search(axes.begin(), axes.end(), static_cast<int64_t>(k));
      if (!reduced || keep) to.push_back(reduced ? 0 : at[k]);
    }
    MaybeDim& sum = sums[static_cast<size_t>(Ravel(to, f.dims))];
    const Dim& element = (*f.in(0))[static_cast<size_t>(i)];
    sum = sum ? Accumulate(f, kind, *sum, element) : element;
    if (!sum) return std::nullopt;
  }
  Content content;
  for (MaybeDim& sum : sums) {
    if (!sum) return std::nullopt;  // A reduction over nothing.
    content.push_back(*std::move(sum));
  }
  return content;
}

MaybeContent Fold(const Folding& f) {
  switch (f.node.op()) {
    case OpId::kAdd:
    case OpId::kSub:
    case OpId::kMul:
    case OpId::kDiv:
    case OpId::kMod:
    case OpId::kMinimum:
    case OpId::kMaximum:
    case OpId::kEqual:
    case OpId::kNotEqual:
    case OpId::kLess:
    case OpId::kLessEqual:
    case OpId::kGreater:
    case OpId::kGreaterEqual:
    case OpId::kLogicalAnd:
    case OpId::kLogicalOr:
    case OpId::kFloorDiv:
      return Binary(f);
    case OpId::kNeg:
    case OpId::kAbs:
    case OpId::kLogicalNot:
    case OpId::kCast:
      return Unary(f);
    case OpId::kWhere:
      return Where(f);
    case OpId::kShapeOf:
      return ShapeOf(f);
    case OpId::kIdentity:
    case OpId::kReshape:
      return Same(f);
    case OpId::kExpand:
      return Expand(f);
    case OpId::kSlice:
      return Slice(f);
    case OpId::kTranspose:
      return Transpose(f);
    case OpId::kGather:
      return Gather(f);
    case OpId::kConcat:
      return Concat(f);
    case OpId::kConstantOfShape:
      return ConstantOfShape(f);
    case OpId::kRange:
      return Range(f);
    case OpId::kReduce:
      return Reduce(f);
    default:
      return std::nullopt;
  }
}

// Whether every element certainly lies in the dtype's range; what would wrap is not known.
bool Fits(const Folding& f, const Content& content, DType dtype) {
  const int64_t bits = 8 * DTypeSize(dtype);
  int64_t min = 0, max = 1;
  if (IsSignedInt(dtype)) {
    max = std::numeric_limits<int64_t>::max() >> (64 - bits);
    min = -max - 1;
  } else if (IsUnsignedInt(dtype)) {
    max = bits == 64 ? std::numeric_limits<int64_t>::max() : (int64_t{1} << bits) - 1;
  }
  return std::all_of(content.begin(), content.end(),
                     [&](const Dim& d) { return f.Min(d) >= min && f.Max(d) <= max; });
}

}  // namespace

std::optional<std::vector<Dim>> InferContent(const Graph& graph, const Node& node) {
  const Value& output = *node.output();
  if (!IsInt(output.dtype()) && output.dtype() != DType::kBool) return std::nullopt;
  if (!output.HasStaticShape()) return std::nullopt;
  for (const Value* input : node.inputs()) {
    const bool integer =
        input == nullptr || IsInt(input->dtype()) || input->dtype() == DType::kBool;
    if (node.op() != OpId::kShapeOf && (!integer || !input->content)) {
      if (node.op() != OpId::kRange) return std::nullopt;
    }
  }
  Folding f{graph, node, output.StaticShape(), 1};
  for (const int64_t d : f.dims) {
    if (d > kMaxContent) return std::nullopt;
    f.count *= d;
    if (f.count > kMaxContent) return std::nullopt;
  }
  MaybeContent content = Fold(f);
  if (content && !Fits(f, *content, output.dtype())) return std::nullopt;
  return content;
}

}  // namespace floe::ir
