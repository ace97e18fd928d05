#include "compiler/import/aten/compose.h"

#include <numeric>

namespace floe::aten {
namespace {

using ir::Value;

// Whether the signs of two numbers differ: x < 0 != y < 0.
Value* SignsDiffer(OpBuilder& b, Value* x, Value* y) {
  const auto negative = [&](Value* v) { return b.Binary(OpId::kLess, v, b.ScalarLike(v, 0)); };
  return b.Binary(OpId::kLogicalXor, negative(x), negative(y));
}

Value* IsNonZero(OpBuilder& b, Value* x) {
  return b.Binary(OpId::kNotEqual, x, b.ScalarLike(x, 0));
}

}  // namespace

Value* FloorMod(OpBuilder& b, Value* x, Value* y) {
  if (!IsFloat(x->dtype())) return b.Emit(OpId::kMod, {x, y}, {{"fmod", int64_t{0}}});
  Value* mod = b.Emit(OpId::kMod, {x, y}, {{"fmod", int64_t{1}}});
  Value* other_sign = b.Binary(OpId::kLogicalAnd, IsNonZero(b, mod), SignsDiffer(b, mod, y));
  return b.Where(other_sign, b.Binary(OpId::kAdd, mod, y), mod);
}

Value* SignBit(OpBuilder& b, Value* x) {
  Value* zero = b.ScalarLike(x, 0);
  Value* negative = b.Binary(OpId::kLess, x, zero);
  if (!IsFloat(x->dtype())) return negative;
  // 1 / -0 is -inf.
  Value* minus_zero = b.Binary(OpId::kLogicalAnd, b.Binary(OpId::kEqual, x, zero),
                               b.Binary(OpId::kLess, b.Unary(OpId::kReciprocal, x), zero));
  return b.Binary(OpId::kLogicalOr, negative, minus_zero);
}

Value* IsFinite(OpBuilder& b, Value* x) {
  // x - x is 0 for numbers, NaN for infinities and NaN.
  Value* zero = b.ScalarLike(x, 0);
  return b.Binary(OpId::kEqual, b.Binary(OpId::kSub, x, x), zero);
}

std::vector<int64_t> AllAxes(int64_t rank) {
  std::vector<int64_t> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

Value* AllTrue(OpBuilder& b, Value* x) {
  Value* bytes = b.Cast(x, DType::kI32);
  if (x->rank() > 0) bytes = b.Reduce(ReduceKind::kMin, bytes, AllAxes(b.Rank(x)), false);
  return b.Cast(bytes, DType::kBool);
}

ir::Dim CountOf(OpBuilder& b, const Value* x) { return b.Product(x->shape(), 0, x->rank()); }

Value* SwapAxes(OpBuilder& b, Value* x, int64_t p, int64_t q) {
  std::vector<int64_t> perm = AllAxes(b.Rank(x));
  std::swap(perm[static_cast<size_t>(p)], perm[static_cast<size_t>(q)]);
  return p == q ? x : b.Transpose(x, std::move(perm));
}

}  // namespace floe::aten
