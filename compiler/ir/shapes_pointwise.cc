// Shape rules of element-by-element ops.
#include "absl/strings/str_format.h"
#include "compiler/ir/shape_rules.h"

namespace floe::ir {
namespace {

enum class Kind { kNumeric, kFloat, kInt, kBool, kAny };

absl::Status NeedKind(const Inference& n, size_t i, Kind kind) {
  const DType t = n.dtype(i);
  bool fits = true;
  const char* what = "";
  switch (kind) {
    case Kind::kAny:
      break;
    case Kind::kNumeric:
      fits = t != DType::kBool;
      what = "a number";
      break;
    case Kind::kFloat:
      fits = IsFloat(t);
      what = "a float";
      break;
    case Kind::kInt:
      fits = IsInt(t);
      what = "an integer";
      break;
    case Kind::kBool:
      fits = t == DType::kBool;
      what = "a bool";
      break;
  }
  if (fits) return absl::OkStatus();
  return n.Fail(absl::StrFormat("operand %d is %s, not %s", i, DTypeName(t), what));
}

absl::StatusOr<Shape> Broadcast(const Inference& n, const Shape& a, const Shape& b) {
  absl::StatusOr<Shape> shape = BroadcastShapes(n.graph, a, b);
  if (!shape.ok()) return n.Fail(std::string(shape.status().message()));
  return shape;
}

absl::Status SameDType(const Inference& n, size_t a, size_t b) {
  if (n.dtype(a) == n.dtype(b)) return absl::OkStatus();
  return n.Fail(absl::StrFormat("operands %d and %d have dtypes %s and %s", a, b,
                                DTypeName(n.dtype(a)), DTypeName(n.dtype(b))));
}

template <Kind kind>
absl::Status Binary(const Inference& n) {
  FLOE_TRY(NeedKind(n, 0, kind));
  FLOE_TRY(SameDType(n, 0, 1));
  FLOE_TRY_ASSIGN(Shape shape, Broadcast(n, n.shape(0), n.shape(1)));
  return n.Set(0, n.dtype(0), std::move(shape));
}

template <Kind kind>
absl::Status Compare(const Inference& n) {
  FLOE_TRY(Binary<kind>(n));
  return n.Set(0, DType::kBool, n.node.output()->shape());
}

absl::Status Pow(const Inference& n) {
  FLOE_TRY(NeedKind(n, 0, Kind::kNumeric));
  FLOE_TRY(NeedKind(n, 1, Kind::kNumeric));
  FLOE_TRY_ASSIGN(Shape shape, Broadcast(n, n.shape(0), n.shape(1)));
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status PRelu(const Inference& n) {
  FLOE_TRY(Binary<Kind::kNumeric>(n));
  if (n.node.output()->shape() == n.shape(0)) return absl::OkStatus();
  return n.Fail("the slope does not broadcast to x");
}

absl::Status Where(const Inference& n) {
  FLOE_TRY(NeedKind(n, 0, Kind::kBool));
  FLOE_TRY(SameDType(n, 1, 2));
  FLOE_TRY_ASSIGN(const Shape values, Broadcast(n, n.shape(1), n.shape(2)));
  FLOE_TRY_ASSIGN(Shape shape, Broadcast(n, n.shape(0), values));
  return n.Set(0, n.dtype(1), std::move(shape));
}

template <Kind kind>
absl::Status Unary(const Inference& n) {
  FLOE_TRY(NeedKind(n, 0, kind));
  return n.Set(0, n.dtype(0), n.shape(0));
}

absl::Status Predicate(const Inference& n) {
  FLOE_TRY(NeedKind(n, 0, Kind::kFloat));
  return n.Set(0, DType::kBool, n.shape(0));
}

absl::Status Cast(const Inference& n) {
  const int64_t to = n.node.Int("to");
  if (to <= 0 || to >= kDTypeCount) return n.Fail(absl::StrFormat("%d is no dtype", to));
  return n.Set(0, static_cast<DType>(to), n.shape(0));
}

// The result is f32 unless it was made bool or 8 bits wide.
absl::Status Region(const Inference& n) {
  Shape shape = n.shape(0);
  for (size_t i = 1; i < n.operand_count(); ++i) {
    FLOE_TRY_ASSIGN(shape, Broadcast(n, shape, n.shape(i)));
  }
  const DType made = n.node.output()->dtype();
  const bool narrow = made == DType::kBool || made == DType::kU8 || made == DType::kI8;
  return n.Set(0, narrow ? made : DType::kF32, std::move(shape));
}

constexpr ShapeRuleRow kRows[] = {
    {OpId::kAdd, Binary<Kind::kNumeric>},
    {OpId::kSub, Binary<Kind::kNumeric>},
    {OpId::kMul, Binary<Kind::kNumeric>},
    {OpId::kDiv, Binary<Kind::kNumeric>},
    {OpId::kPow, Pow},
    {OpId::kMod, Binary<Kind::kNumeric>},
    {OpId::kMinimum, Binary<Kind::kNumeric>},
    {OpId::kMaximum, Binary<Kind::kNumeric>},
    {OpId::kAtan2, Binary<Kind::kFloat>},
    {OpId::kHypot, Binary<Kind::kFloat>},
    {OpId::kCopySign, Binary<Kind::kFloat>},
    {OpId::kNextAfter, Binary<Kind::kFloat>},
    {OpId::kGcd, Binary<Kind::kInt>},
    {OpId::kFloorDiv, Binary<Kind::kNumeric>},
    {OpId::kEqual, Compare<Kind::kAny>},
    {OpId::kNotEqual, Compare<Kind::kAny>},
    {OpId::kLess, Compare<Kind::kNumeric>},
    {OpId::kLessEqual, Compare<Kind::kNumeric>},
    {OpId::kGreater, Compare<Kind::kNumeric>},
    {OpId::kGreaterEqual, Compare<Kind::kNumeric>},
    {OpId::kLogicalAnd, Binary<Kind::kBool>},
    {OpId::kLogicalOr, Binary<Kind::kBool>},
    {OpId::kLogicalXor, Binary<Kind::kBool>},
    {OpId::kBitwiseAnd, Binary<Kind::kInt>},
    {OpId::kBitwiseOr, Binary<Kind::kInt>},
    {OpId::kBitwiseXor, Binary<Kind::kInt>},
    {OpId::kBitShift, Binary<Kind::kInt>},
    {OpId::kPRelu, PRelu},
    {OpId::kWhere, Where},
    {OpId::kNeg, Unary<Kind::kNumeric>},
    {OpId::kAbs, Unary<Kind::kNumeric>},
    {OpId::kSign, Unary<Kind::kNumeric>},
    {OpId::kSqrt, Unary<Kind::kFloat>},
    {OpId::kRsqrt, Unary<Kind::kFloat>},
    {OpId::kReciprocal, Unary<Kind::kFloat>},
    {OpId::kExp, Unary<Kind::kFloat>},
    {OpId::kLog, Unary<Kind::kFloat>},
    {OpId::kSin, Unary<Kind::kFloat>},
    {OpId::kCos, Unary<Kind::kFloat>},
    {OpId::kTan, Unary<Kind::kFloat>},
    {OpId::kAsin, Unary<Kind::kFloat>},
    {OpId::kAcos, Unary<Kind::kFloat>},
    {OpId::kAtan, Unary<Kind::kFloat>},
    {OpId::kSinh, Unary<Kind::kFloat>},
    {OpId::kCosh, Unary<Kind::kFloat>},
    {OpId::kAsinh, Unary<Kind::kFloat>},
    {OpId::kAcosh, Unary<Kind::kFloat>},
    {OpId::kAtanh, Unary<Kind::kFloat>},
    {OpId::kErf, Unary<Kind::kFloat>},
    {OpId::kLog1p, Unary<Kind::kFloat>},
    {OpId::kExpm1, Unary<Kind::kFloat>},
    {OpId::kLog2, Unary<Kind::kFloat>},
    {OpId::kLog10, Unary<Kind::kFloat>},
    {OpId::kExp2, Unary<Kind::kFloat>},
    {OpId::kErfc, Unary<Kind::kFloat>},
    {OpId::kErfInv, Unary<Kind::kFloat>},
    {OpId::kLGamma, Unary<Kind::kFloat>},
    {OpId::kDigamma, Unary<Kind::kFloat>},
    {OpId::kBesselI0, Unary<Kind::kFloat>},
    {OpId::kTrunc, Unary<Kind::kFloat>},
    {OpId::kCeil, Unary<Kind::kFloat>},
    {OpId::kFloor, Unary<Kind::kFloat>},
    {OpId::kRound, Unary<Kind::kFloat>},
    {OpId::kLogicalNot, Unary<Kind::kBool>},
    {OpId::kBitwiseNot, Unary<Kind::kInt>},
    {OpId::kIsNan, Predicate},
    {OpId::kIsInf, Predicate},
    {OpId::kCast, Cast},
    {OpId::kRelu, Unary<Kind::kNumeric>},
    {OpId::kLeakyRelu, Unary<Kind::kFloat>},
    {OpId::kElu, Unary<Kind::kFloat>},
    {OpId::kSelu, Unary<Kind::kFloat>},
    {OpId::kCelu, Unary<Kind::kFloat>},
    {OpId::kSigmoid, Unary<Kind::kFloat>},
    {OpId::kHardSigmoid, Unary<Kind::kFloat>},
    {OpId::kHardSwish, Unary<Kind::kFloat>},
    {OpId::kTanh, Unary<Kind::kFloat>},
    {OpId::kSoftplus, Unary<Kind::kFloat>},
    {OpId::kSoftsign, Unary<Kind::kFloat>},
    {OpId::kGelu, Unary<Kind::kFloat>},
    {OpId::kSilu, Unary<Kind::kFloat>},
    {OpId::kMish, Unary<Kind::kFloat>},
    {OpId::kThresholdedRelu, Unary<Kind::kFloat>},
    {OpId::kShrink, Unary<Kind::kNumeric>},
    {OpId::kClamp, Unary<Kind::kNumeric>},
    {OpId::kPointwise, Region},
};

}  // namespace

std::span<const ShapeRuleRow> PointwiseRules() { return kRows; }

}  // namespace floe::ir
