#include "compiler/import/aten/promotion.h"

namespace floe::aten {
namespace {

int Category(DType t) {
  if (t == DType::kNone) return -1;
  return t == DType::kBool ? 0 : IsFloat(t) ? 2 : 1;
}

DType SignedOfSize(int64_t bytes) {
  switch (bytes) {
    case 1:
      return DType::kI8;
    case 2:
      return DType::kI16;
    case 4:
      return DType::kI32;
    default:
      return DType::kI64;
  }
}

DType PromoteInts(DType a, DType b) {
  const int64_t size_a = DTypeSize(a), size_b = DTypeSize(b);
  if (IsSignedInt(a) == IsSignedInt(b)) return size_a >= size_b ? a : b;
  const int64_t s = IsSignedInt(a) ? size_a : size_b;
  const int64_t u = IsSignedInt(a) ? size_b : size_a;
  return SignedOfSize(s > u ? s : 2 * u);
}

// The lower category yields, so its dtype matters only within an equal category.
DType Combine(DType higher, DType lower) {
  return Category(higher) >= Category(lower) ? (higher == DType::kNone ? lower : higher)
                                             : PromoteTypes(higher, lower);
}

}  // namespace

DType PromoteTypes(DType a, DType b) {
  if (a == DType::kNone || a == b) return b;
  if (b == DType::kNone) return a;
  if (Category(a) != Category(b)) return Category(a) > Category(b) ? a : b;
  if (!IsFloat(a)) return PromoteInts(a, b);
  if (DTypeSize(a) != DTypeSize(b)) return DTypeSize(a) > DTypeSize(b) ? a : b;
  return DType::kF32;  // f16 and bf16.
}

void ResultTypeState::AddTensor(DType dtype, size_t rank) {
  DType& slot = rank == 0 ? zero_ : dims_;
  slot = PromoteTypes(slot, dtype);
}

void ResultTypeState::AddNumber(Kind kind) {
  number_ = PromoteTypes(number_, kind == Kind::kBool  ? DType::kBool
                                  : kind == Kind::kInt ? DType::kI64
                                                       : DType::kF32);
}

DType ResultTypeState::Result() const { return Combine(dims_, Combine(zero_, number_)); }

}  // namespace floe::aten
