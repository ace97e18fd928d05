#include "compiler/passes/attention_masks.h"

#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

using ir::Dim;

// offset + 0, 1, 2, ... along one axis of a tensor whose other axes are 1.
struct Positions {
  Dim offset;
  size_t from_end = 0;  // 0: the last axis.
};

std::optional<Dim> NumberOf(const ir::Value* value) {
  if (value == nullptr || !value->content || value->content->size() != 1) return std::nullopt;
  return value->content->front();
}

std::optional<Positions> PositionsIn(const ir::Value* value) {
  std::optional<size_t> axis;
  for (size_t i = 0; i < value->rank(); ++i) {
    if (value->shape()[i] == Dim(1)) continue;
    if (axis) return std::nullopt;
    axis = i;
  }
  if (!axis) return std::nullopt;
  Positions p;
  p.from_end = value->rank() - 1 - *axis;
  for (int depth = 0; depth < 16; ++depth) {
    const ir::Node* node = value->producer();
    if (node == nullptr) return std::nullopt;
    if (node->op() == OpId::kReshape || node->op() == OpId::kCast ||
        node->op() == OpId::kIdentity) {
      value = node->input(0);
      continue;
    }
    if (node->op() == OpId::kAdd) {
      bool found = false;
      for (size_t i = 0; i < 2 && !found; ++i) {
        const std::optional<Dim> number = NumberOf(node->input(1 - i));
        const std::optional<Dim> sum = number ? Dim::Add(p.offset, *number) : std::nullopt;
        if (!sum || node->input(1 - i)->rank() > node->input(i)->rank()) continue;
        p.offset = *sum;
        value = node->input(i);
        found = true;
      }
      if (!found) return std::nullopt;
      continue;
    }
    if (node->op() != OpId::kRange) return std::nullopt;
    const std::optional<Dim> start = NumberOf(node->input(0)), delta = NumberOf(node->input(2));
    const std::optional<Dim> sum = start ? Dim::Add(p.offset, *start) : std::nullopt;
    if (!sum || delta != Dim(1)) return std::nullopt;
    p.offset = *sum;
    return p;
  }
  return std::nullopt;
}

// c, if a bool tensor says `allowed` exactly where j <= i + c.
std::optional<Dim> DiagonalOf(const ir::Value* value, bool allowed, int depth = 0) {
  const ir::Node* node = value->producer();
  if (node == nullptr || depth > 4) return std::nullopt;
  if (node->op() == OpId::kLogicalNot) return DiagonalOf(node->input(0), !allowed, depth + 1);
  if (node->op() == OpId::kReshape || node->op() == OpId::kIdentity) {
    const ir::Value* x = node->input(0);
    if (x->rank() < 2 || value->rank() < 2) return std::nullopt;
    for (size_t i = 1; i <= 2; ++i) {
      if (x->shape()[x->rank() - i] != value->shape()[value->rank() - i]) return std::nullopt;
    }
    return DiagonalOf(x, allowed, depth + 1);
  }
  const bool less = node->op() == OpId::kLess, less_equal = node->op() == OpId::kLessEqual;
  const bool greater = node->op() == OpId::kGreater;
  if (!less && !less_equal && !greater && node->op() != OpId::kGreaterEqual) return std::nullopt;
  // small < large or small <= large.
  const bool swapped = !less && !less_equal, equal = less_equal || (swapped && !greater);
  const std::optional<Positions> small = PositionsIn(node->input(swapped ? 1 : 0));
  const std::optional<Positions> large = PositionsIn(node->input(swapped ? 0 : 1));
  if (!small || !large || small->from_end + large->from_end != 1) return std::nullopt;
  const bool keys_small = small->from_end == 0;
  const Positions &key = keys_small ? *small : *large, &query = keys_small ? *large : *small;
  std::optional<Dim> c = Dim::Sub(query.offset, key.offset);
  if (!c) return std::nullopt;
  // allowed: key + ok <(=) query + oq. Not allowed: query + oq <(=) key + ok, the other way round.
  if (keys_small != allowed) return std::nullopt;
  if (keys_small && !equal) c = Dim::Sub(*c, Dim(1));
  if (!keys_small && equal) c = Dim::Sub(*c, Dim(1));
  return c;
}

// Whether element (i, j) of a constant allows exactly j <= i + c.
bool ConstantIsDiagonal(const ir::Tensor& t, int64_t c) {
  const size_t rank = t.dims().size();
  if (rank < 2 || (t.dtype() != DType::kF32 && t.dtype() != DType::kBool)) return false;
  const int64_t rows = t.dims()[rank - 2], columns = t.dims()[rank - 1];
  if (rows * columns != t.count() || t.count() == 0) return false;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const double v = t.DoubleAt(i * columns + j);
      const bool allowed = j <= i + c;
      const bool says = t.dtype() == DType::kBool ? v != 0 : v == 0;
      if (says != allowed || (t.dtype() == DType::kF32 && !allowed && !(v <= kMaskedScore))) {
        return false;
      }
    }
  }
  return true;
}

std::optional<int64_t> KindOf(const std::optional<Dim>& c, const Dim& queries, const Dim& keys) {
  if (c == Dim(0)) return 1;
  if (c && c == Dim::Sub(keys, queries)) return 2;
  return std::nullopt;
}

}  // namespace

bool IsMaskedScore(const ir::Value* value) {
  const std::optional<double> number = ScalarOf(value);
  return number && *number <= kMaskedScore;
}

std::optional<int64_t> CausalityOf(const ir::Value* mask, const Dim& queries, const Dim& keys) {
  if (mask->rank() < 2) return std::nullopt;
  if (mask->shape()[mask->rank() - 2] != queries || mask->shape().back() != keys) {
    return std::nullopt;
  }
  for (size_t i = 0; i + 2 < mask->rank(); ++i) {
    if (mask->shape()[i] != Dim(1)) return std::nullopt;
  }
  if (mask->is_constant()) {
    if (ConstantIsDiagonal(mask->constant(), 0)) return 1;
    if (!queries.is_constant() || !keys.is_constant()) return std::nullopt;
    const int64_t c = keys.constant() - queries.constant();
    return ConstantIsDiagonal(mask->constant(), c) ? std::optional<int64_t>(2) : std::nullopt;
  }
  const ir::Node* node = mask->producer();
  if (node == nullptr) return std::nullopt;
  if (node->op() == OpId::kSlice && node->input(0)->is_constant()) {
    // The corner of a triangle is a triangle.
    for (const int64_t v : node->Ints("starts")) {
      if (v != 0) return std::nullopt;
    }
    for (const int64_t v : node->Ints("steps")) {
      if (v != 1) return std::nullopt;
    }
    return ConstantIsDiagonal(node->input(0)->constant(), 0) ? std::optional<int64_t>(1)
                                                             : std::nullopt;
  }
  if (mask->dtype() == DType::kBool) return KindOf(DiagonalOf(mask, true), queries, keys);
  if (node->op() != OpId::kWhere) return std::nullopt;
  const auto zero = [node](size_t i) { return ScalarOf(node->input(i)) == 0.0; };
  if (IsMaskedScore(node->input(1)) && zero(2)) {
    return KindOf(DiagonalOf(node->input(0), false), queries, keys);
  }
  if (zero(1) && IsMaskedScore(node->input(2))) {
    return KindOf(DiagonalOf(node->input(0), true), queries, keys);
  }
  return std::nullopt;
}

}  // namespace floe::passes
