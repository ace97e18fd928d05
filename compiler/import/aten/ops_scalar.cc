// Arithmetic on numbers that are known at run time only: sizes that are no expressions of symbols,
// and elements of tensors. What is known is computed by the front ends.
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// A number as a rank-0 tensor of `kind`.
Value* NumberOfKind(OpBuilder& b, const IValue& v, Kind kind) {
  const Number n = b.ScalarOf(v);
  return b.NumberAs(n, kind == Kind::kFloat ? DType::kF64
                       : kind == Kind::kInt ? DType::kI64
                                            : DType::kBool);
}

void ReturnNumber(OpBuilder& b, Kind kind, Value* value) {
  b.Return(IValue::Scalar(kind, b.context().NewVariable(value)));
}

// Two numbers, as floats if either is one. param: 0 arithmetic, 1 comparison, 2 true division.
void Binary(OpBuilder& b) {
  const IValue& x = b.Arg(b.schema().arguments[0].name);
  const IValue& y = b.Arg(b.schema().arguments[1].name);
  const bool floats = x.kind() == Kind::kFloat || y.kind() == Kind::kFloat || b.row().param == 2;
  const Kind kind = floats ? Kind::kFloat : Kind::kInt;
  Value* result = b.Binary(b.row().ir, NumberOfKind(b, x, kind), NumberOfKind(b, y, kind));
  ReturnNumber(b, b.row().param == 1 ? Kind::kBool : kind, result);
}

// Conversions: Float(x), Int(x), Bool(x) of numbers and of tensors with one element.
void Convert(OpBuilder& b) {
  const auto kind = static_cast<Kind>(b.row().param);
  const IValue& v = b.Arg(b.schema().arguments[0].name);
  const Number n = b.ScalarOf(v);
  if (!b.ok()) return;
  if (n.tensor == nullptr) {
    if (kind == Kind::kFloat) return b.Return(IValue::Float(n.value));
    if (kind == Kind::kInt) return b.Return(IValue::Int(n.integer));
    return b.Return(IValue::Bool(n.value != 0));
  }
  if (kind == v.kind()) return b.Return(v);
  ReturnNumber(b, kind, b.Reshape(NumberOfKind(b, v, kind), {}));
}

void Negate(OpBuilder& b) {
  const IValue& v = b.Arg(b.schema().arguments[0].name);
  ReturnNumber(b, v.kind(), b.Unary(OpId::kNeg, NumberOfKind(b, v, v.kind())));
}

// Functions of a float: sqrt, ceil and floor (which give ints).
void Function(OpBuilder& b) {
  const IValue& v = b.Arg(b.schema().arguments[0].name);
  Value* y = b.Unary(b.row().ir, NumberOfKind(b, v, Kind::kFloat));
  if (b.row().param == 0) return ReturnNumber(b, Kind::kFloat, y);
  ReturnNumber(b, Kind::kInt, b.Cast(y, DType::kI64));
}

#define FLOE_NUMBERS(name, op, param)                                                     \
  {"aten::" name ".int", Binary, op, param}, {"aten::" name ".float", Binary, op, param}, \
      {"aten::" name ".int_float", Binary, op, param}, {                                  \
    "aten::" name ".float_int", Binary, op, param                                         \
  }

constexpr Row kRows[] = {
    FLOE_NUMBERS("add", OpId::kAdd, 0),
    FLOE_NUMBERS("sub", OpId::kSub, 0),
    FLOE_NUMBERS("mul", OpId::kMul, 0),
    FLOE_NUMBERS("div", OpId::kDiv, 2),
    FLOE_NUMBERS("floordiv", OpId::kFloorDiv, 0),
    FLOE_NUMBERS("pow", OpId::kPow, 2),
    FLOE_NUMBERS("eq", OpId::kEqual, 1),
    FLOE_NUMBERS("ne", OpId::kNotEqual, 1),
    FLOE_NUMBERS("lt", OpId::kLess, 1),
    FLOE_NUMBERS("le", OpId::kLessEqual, 1),
    FLOE_NUMBERS("gt", OpId::kGreater, 1),
    FLOE_NUMBERS("ge", OpId::kGreaterEqual, 1),
    {"aten::neg.int", Negate},
    {"aten::neg.float", Negate},
    {"aten::sqrt.int", Function, OpId::kSqrt},
    {"aten::sqrt.float", Function, OpId::kSqrt},
    {"aten::ceil.float", Function, OpId::kCeil, 1},
    {"aten::floor.float", Function, OpId::kFloor, 1},
    {"aten::Float", Convert, OpId::kCast, static_cast<int64_t>(Kind::kFloat)},
    {"aten::FloatImplicit", Convert, OpId::kCast, static_cast<int64_t>(Kind::kFloat)},
    {"aten::Int", Convert, OpId::kCast, static_cast<int64_t>(Kind::kInt)},
    {"aten::IntImplicit", Convert, OpId::kCast, static_cast<int64_t>(Kind::kInt)},
    {"aten::Bool", Convert, OpId::kCast, static_cast<int64_t>(Kind::kBool)},
};

#undef FLOE_NUMBERS

}  // namespace

std::span<const Row> ScalarRows() { return kRows; }

}  // namespace floe::aten
