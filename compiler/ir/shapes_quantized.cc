// Shape rules of quantisation and of integer products.
#include <iterator>

#include "absl/strings/str_format.h"
#include "compiler/ir/shape_rules.h"

namespace floe::ir {
namespace {

bool IsByte(DType t) { return t == DType::kU8 || t == DType::kI8; }

absl::Status NeedDType(const Inference& n, size_t i, DType t) {
  if (!n.has(i) || n.dtype(i) == t) return absl::OkStatus();
  return n.Fail(
      absl::StrFormat("operand %d is %s, wanted is %s", i, DTypeName(n.dtype(i)), DTypeName(t)));
}

bool IsOne(const Shape& s) { return s.size() <= 1 && (s.empty() || s[0] == Dim(1)); }

// One scale, one per index of the axis, or one per block along it; the zero is shaped likewise.
absl::Status NeedScales(const Inference& n, DType zero) {
  FLOE_TRY(n.NeedFloat(1));
  FLOE_TRY(NeedDType(n, 2, zero));
  FLOE_TRY(n.NeedShape(2, n.shape(1)));
  const int64_t block = n.node.Int("block");
  if (block < 0) return n.Fail(absl::StrFormat("block is %d", block));
  const Shape& scale = n.shape(1);
  if (IsOne(scale) && block == 0) return absl::OkStatus();
  const int64_t axis = n.node.Int("axis");
  FLOE_TRY(n.NeedAxis(axis, n.rank(0)));
  Shape wanted = {n.shape(0)[static_cast<size_t>(axis)]};
  if (block > 0) {
    wanted = n.shape(0);
    Dim& length = wanted[static_cast<size_t>(axis)];
    const std::optional<Dim> room = Dim::Add(length, block - 1);
    const std::optional<Dim> blocks = room ? Dim::DivFloor(*room, block) : std::nullopt;
    if (!blocks)
      return n.Fail(
          "the number of blocks overflows; fix the dimensions that it is made of with --dim");
    length = *blocks;
  }
  if (scale == wanted) return absl::OkStatus();
  return n.Fail("the scales are no " + n.Text(wanted));
}

absl::StatusOr<DType> Target(const Inference& n) {
  const int64_t to = n.node.Int("to");
  if (to <= 0 || to >= kDTypeCount) return n.Fail(absl::StrFormat("%d is no dtype", to));
  return static_cast<DType>(to);
}

absl::Status Quantize(const Inference& n) {
  FLOE_TRY(n.NeedFloat(0));
  FLOE_TRY_ASSIGN(const DType to, Target(n));
  FLOE_TRY(NeedScales(n, to));
  return n.Set(0, to, n.shape(0));
}

absl::Status Dequantize(const Inference& n) {
  if (!IsInt(n.dtype(0))) return n.Fail("x is no integer");
  FLOE_TRY_ASSIGN(const DType to, Target(n));
  if (!IsFloat(to)) return n.Fail("the result is no float");
  FLOE_TRY(NeedScales(n, n.dtype(0)));
  return n.Set(0, to, n.shape(0));
}

absl::Status DynamicQuantize(const Inference& n) {
  FLOE_TRY(NeedDType(n, 0, DType::kF32));
  FLOE_TRY(n.Set(1, DType::kF32, {}));
  FLOE_TRY(n.Set(2, DType::kU8, {}));
  return n.Set(0, DType::kU8, n.shape(0));
}

// Operand `zero`, if there: one number or one for each of `count`.
absl::Status NeedZeros(const Inference& n, size_t zero, size_t of, const Dim& count) {
  if (!n.has(zero)) return absl::OkStatus();
  FLOE_TRY(NeedDType(n, zero, n.dtype(of)));
  if (IsOne(n.shape(zero)) || n.shape(zero) == Shape{count}) return absl::OkStatus();
  return n.Fail(
      absl::StrFormat("operand %d is neither one number nor one per row or column", zero));
}

absl::Status NeedBytes(const Inference& n) {
  if (IsByte(n.dtype(0)) && IsByte(n.dtype(1))) return absl::OkStatus();
  return n.Fail("the operands are not u8 or i8");
}

absl::Status MatMulInteger(const Inference& n) {
  FLOE_TRY(NeedBytes(n));
  FLOE_TRY_ASSIGN(Shape shape, MatMulShape(n));
  FLOE_TRY(NeedZeros(n, 2, 0, n.shape(0)[n.rank(0) - 2]));
  FLOE_TRY(NeedZeros(n, 3, 1, n.shape(1).back()));
  return n.Set(0, DType::kI32, std::move(shape));
}

absl::Status ConvInteger(const Inference& n) {
  FLOE_TRY(NeedBytes(n));
  FLOE_TRY_ASSIGN(Shape shape, ConvShape(n));
  FLOE_TRY(NeedZeros(n, 2, 0, Dim(1)));
  FLOE_TRY(NeedZeros(n, 3, 1, n.shape(1)[0]));
  return n.Set(0, DType::kI32, std::move(shape));
}

// x u8, w i8; scale and bias one per output channel; a residual like the result.
absl::Status Requantised(const Inference& n, const Dim& channels, Shape shape) {
  FLOE_TRY_ASSIGN(const DType to, Target(n));
  if (to != DType::kU8 && to != DType::kF32) return n.Fail("the result is neither u8 nor f32");
  FLOE_TRY(NeedDType(n, 0, DType::kU8));
  FLOE_TRY(NeedDType(n, 1, DType::kI8));
  FLOE_TRY(NeedDType(n, 2, DType::kF32));
  FLOE_TRY(n.NeedShape(2, {channels}));
  if (n.has(3) && n.dtype(3) != DType::kF32) FLOE_TRY(NeedDType(n, 3, DType::kI32));
  FLOE_TRY(n.NeedShape(3, {channels}));
  FLOE_TRY(NeedDType(n, 4, DType::kU8));
  FLOE_TRY(n.NeedShape(4, shape));
  const size_t words = to == DType::kF32 ? 0 : n.has(4) ? 7 : 3;
  FLOE_TRY(n.NeedCount("requant", words));
  return n.Set(0, to, std::move(shape));
}

absl::Status QGemm(const Inference& n) {
  FLOE_TRY(n.NeedRank(1, 2));
  if (n.rank(0) < 1 || n.shape(0).back() != n.shape(1)[0]) return n.Fail("inner sizes differ");
  Shape shape = n.shape(0);
  shape.back() = n.shape(1)[1];
  return Requantised(n, n.shape(1)[1], std::move(shape));
}

absl::Status QConv(const Inference& n) {
  FLOE_TRY_ASSIGN(Shape shape, ConvShape(n));
  return Requantised(n, n.shape(1)[0], std::move(shape));
}

absl::Status Lookup(const Inference& n) {
  FLOE_TRY(NeedDType(n, 0, DType::kU8));
  FLOE_TRY(NeedDType(n, 1, DType::kU8));
  FLOE_TRY(n.NeedShape(1, {256}));
  return n.Set(0, DType::kU8, n.shape(0));
}

// x [T,N,I] f32, w [D,I,4H] and r [D,H,4H] i8, a scale for each of their columns.
absl::Status QLstm(const Inference& n) {
  FLOE_TRY(n.NeedRank(0, 3));
  const int64_t hidden = n.node.Int("hidden");
  const int64_t direction = n.node.Int("direction");
  if (hidden < 1 || hidden > (int64_t{1} << 31) || direction < 0 || direction > 2) {
    return n.Fail(absl::StrFormat("hidden is %d, direction is %d", hidden, direction));
  }
  constexpr DType kTypes[] = {DType::kF32, DType::kI8, DType::kI8, DType::kF32, DType::kF32};
  for (size_t i = 0; i < n.operand_count(); ++i) {
    FLOE_TRY(NeedDType(n, i, i < std::size(kTypes) ? kTypes[i] : DType::kF32));
  }
  const int64_t d = direction == 2 ? 2 : 1, columns = 4 * hidden;
  const Dim& steps = n.shape(0)[0];
  const Dim& batch = n.shape(0)[1];
  const Shape state = {d, batch, hidden};
  FLOE_TRY(n.NeedShape(1, {d, n.shape(0)[2], columns}));
  FLOE_TRY(n.NeedShape(2, {d, hidden, columns}));
  FLOE_TRY(n.NeedShape(3, {d, columns}));
  FLOE_TRY(n.NeedShape(4, {d, columns}));
  FLOE_TRY(n.NeedShape(5, {d, 2 * columns}));
  FLOE_TRY(n.NeedShape(6, state));
  FLOE_TRY(n.NeedShape(7, state));
  FLOE_TRY(n.Set(0, DType::kF32, {steps, d, batch, hidden}));
  FLOE_TRY(n.Set(1, DType::kF32, state));
  return n.Set(2, DType::kF32, state);
}

constexpr ShapeRuleRow kRows[] = {
    {OpId::kQuantize, Quantize},
    {OpId::kDequantize, Dequantize},
    {OpId::kDynamicQuantize, DynamicQuantize},
    {OpId::kMatMulInteger, MatMulInteger},
    {OpId::kConvInteger, ConvInteger},
    {OpId::kQGemm, QGemm},
    {OpId::kQConv, QConv},
    {OpId::kLookup, Lookup},
    {OpId::kQLstm, QLstm},
};

}  // namespace

std::span<const ShapeRuleRow> QuantizedRules() { return kRows; }

}  // namespace floe::ir
