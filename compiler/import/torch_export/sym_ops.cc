#include "compiler/import/torch_export/sym_ops.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/import/emitter.h"
#include "compiler/import/torch_export/sym_expr.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_export {
namespace {

using aten::IValue;
using aten::Kind;
using Op = SymExpr::Op;

// What a row does where the operands are no sizes.
enum class Real {
  kNone,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod,
  kPow,
  kMax,
  kMin,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kNeg,
  kPos,
  kNot,
  kToInt,
  kToFloat,
  kSqrt,
  kCeil,
  kFloor,
  kAnd,
  kOr,
  kIte,
  kRound
};

struct Row {
  const char* target;
  size_t arguments;
  std::optional<Op> sizes;  // On integers.
  Real real;
  std::optional<OpId> run_time;  // Absent: a cast, or not needed.
};

constexpr Row kRows[] = {
    {"_operator.add", 2, Op::kAdd, Real::kAdd, OpId::kAdd},
    {"_operator.sub", 2, Op::kSub, Real::kSub, OpId::kSub},
    {"_operator.mul", 2, Op::kMul, Real::kMul, OpId::kMul},
    {"_operator.floordiv", 2, Op::kFloorDiv, Real::kFloorDiv, OpId::kFloorDiv},
    {"_operator.mod", 2, Op::kMod, Real::kMod, OpId::kMod},
    {"_operator.pow", 2, Op::kPow, Real::kPow, OpId::kPow},
    {"_operator.truediv", 2, std::nullopt, Real::kDiv, OpId::kDiv},
    {"_operator.neg", 1, Op::kNeg, Real::kNeg, OpId::kNeg},
    {"_operator.pos", 1, std::nullopt, Real::kPos, std::nullopt},
    {"_operator.eq", 2, Op::kEq, Real::kEq, OpId::kEqual},
    {"_operator.ne", 2, Op::kNe, Real::kNe, OpId::kNotEqual},
    {"_operator.lt", 2, Op::kLt, Real::kLt, OpId::kLess},
    {"_operator.le", 2, Op::kLe, Real::kLe, OpId::kLessEqual},
    {"_operator.gt", 2, Op::kGt, Real::kGt, OpId::kGreater},
    {"_operator.ge", 2, Op::kGe, Real::kGe, OpId::kGreaterEqual},
    {"_operator.and_", 2, std::nullopt, Real::kAnd, OpId::kLogicalAnd},
    {"_operator.or_", 2, std::nullopt, Real::kOr, OpId::kLogicalOr},
    {"torch.sym_max", 2, Op::kMax, Real::kMax, OpId::kMaximum},
    {"torch.sym_min", 2, Op::kMin, Real::kMin, OpId::kMinimum},
    {"torch.sym_not", 1, std::nullopt, Real::kNot, OpId::kLogicalNot},
    {"torch.sym_int", 1, std::nullopt, Real::kToInt, std::nullopt},
    {"torch.sym_float", 1, std::nullopt, Real::kToFloat, std::nullopt},
    {"torch.sym_ite", 3, std::nullopt, Real::kIte, std::nullopt},
    {"torch.sym_sqrt", 1, std::nullopt, Real::kSqrt, OpId::kSqrt},
    {"torch._sym_sqrt", 1, std::nullopt, Real::kSqrt, OpId::kSqrt},
    {"math.trunc", 1, std::nullopt, Real::kToInt, std::nullopt},
    {"math.ceil", 1, std::nullopt, Real::kCeil, OpId::kCeil},
    {"math.floor", 1, std::nullopt, Real::kFloor, OpId::kFloor},
    {"math.sqrt", 1, std::nullopt, Real::kSqrt, OpId::kSqrt},
    {"builtins.round", 1, std::nullopt, Real::kRound, OpId::kRound},
    {"builtins.max", 2, Op::kMax, Real::kMax, OpId::kMaximum},
    {"builtins.min", 2, Op::kMin, Real::kMin, OpId::kMinimum},
};

const Row* FindRow(const std::string& target) {
  for (const Row& row : kRows) {
    if (target == row.target) return &row;
  }
  return nullptr;
}

bool IsSize(const IValue& v) { return v.is_known() && v.kind() != Kind::kFloat; }

ir::Dim SizeOf(const IValue& v) {
  return v.kind() == Kind::kBool ? ir::Dim(v.bool_value() ? 1 : 0) : v.dim();
}

// A known number that depends on no symbol.
std::optional<double> NumberOf(const IValue& v) {
  if (!v.is_known()) return std::nullopt;
  switch (v.kind()) {
    case Kind::kFloat:
      return v.float_value();
    case Kind::kBool:
      return v.bool_value() ? 1.0 : 0.0;
    default:
      if (!v.dim().is_constant()) return std::nullopt;
      return static_cast<double>(v.int_value());
  }
}

absl::StatusOr<IValue> IntOf(double v) {
  constexpr double kLimit = 9.2e18;
  if (!(std::abs(v) < kLimit)) {
    return absl::InvalidArgumentError("a number that is no integer of 64 bits");
  }
  return IValue::Int(static_cast<int64_t>(v));
}

// On numbers; operands that are integers come here only for the operations without `sizes`.
absl::StatusOr<IValue> OnReals(Real real, double a, double b) {
  switch (real) {
    case Real::kAdd:
      return IValue::Float(a + b);
    case Real::kSub:
      return IValue::Float(a - b);
    case Real::kMul:
      return IValue::Float(a * b);
    case Real::kDiv:
    case Real::kFloorDiv:
    case Real::kMod:
      if (b == 0) return absl::InvalidArgumentError("a division by zero");
      if (real == Real::kDiv) return IValue::Float(a / b);
      return IValue::Float(real == Real::kMod ? a - b * std::floor(a / b) : std::floor(a / b));
    case Real::kPow:
      return IValue::Float(std::pow(a, b));
    case Real::kMax:
      return IValue::Float(a > b ? a : b);
    case Real::kMin:
      return IValue::Float(a < b ? a : b);
    case Real::kEq:
      return IValue::Bool(a == b);
    case Real::kNe:
      return IValue::Bool(a != b);
    case Real::kLt:
      return IValue::Bool(a < b);
    case Real::kLe:
      return IValue::Bool(a <= b);
    case Real::kGt:
      return IValue::Bool(a > b);
    case Real::kGe:
      return IValue::Bool(a >= b);
    case Real::kNeg:
      return IValue::Float(-a);
    case Real::kNot:
      return IValue::Bool(a == 0);
    case Real::kAnd:
      return IValue::Bool(a != 0 && b != 0);
    case Real::kOr:
      return IValue::Bool(a != 0 || b != 0);
    case Real::kToInt:
      return IntOf(std::trunc(a));
    case Real::kCeil:
      return IntOf(std::ceil(a));
    case Real::kFloor:
      return IntOf(std::floor(a));
    case Real::kRound:
      return IntOf(std::nearbyint(a));
    case Real::kToFloat:
      return IValue::Float(a);
    case Real::kSqrt:
      if (a < 0) return absl::InvalidArgumentError("the square root of a negative number");
      return IValue::Float(std::sqrt(a));
    default:
      return absl::InternalError("no such operation on numbers");
  }
}

// On sizes; absent where the result is no ir::Dim or depends on the symbols' values.
std::optional<IValue> OnSizes(Op op, const std::vector<IValue>& args,
                              const std::vector<ir::Symbol>& symbols) {
  SymExpr e;
  e.op = op;
  std::vector<ir::Dim> dims;
  for (size_t i = 0; i < args.size(); ++i) {
    dims.push_back(SizeOf(args[i]));
    SymExpr arg;
    arg.op = Op::kSymbol;
    arg.name = std::to_string(i);
    e.args.push_back(std::move(arg));
  }
  const auto lookup = [&](const std::string& name) -> std::optional<ir::Dim> {
    return dims[name == "0" ? 0 : 1];
  };
  const absl::StatusOr<ir::Dim> dim = ToDim(e, lookup, symbols);
  if (!dim.ok()) return std::nullopt;
  return op >= Op::kEq ? IValue::Bool(dim->constant() != 0) : IValue::Int(*dim);
}

// Emits scalars: i64, f64 and bool, as Python computes with them.
class ScalarEmitter : public import::Emitter {
 public:
  ScalarEmitter(ir::Graph& graph, const aten::CallSite& site)
      : Emitter(graph, site.provenance), name_(site.name) {}

 protected:
  std::string NextName(OpId) override { return name_; }
  std::string ConstantName() override { return name_ + "/constant"; }

 private:
  const std::string name_;
};

absl::StatusOr<IValue> AtRunTime(aten::Context& context, const Row& row,
                                 const std::vector<IValue>& args, const aten::CallSite& site) {
  ScalarEmitter e(context.graph(), site);
  std::vector<ir::Value*> operands;
  bool any_float = row.real == Real::kDiv || row.real == Real::kPow || row.real == Real::kSqrt ||
                   row.real == Real::kToFloat;
  for (const IValue& v : args) {
    any_float = any_float || v.kind() == Kind::kFloat;
    if (v.variable() != nullptr) {
      FLOE_TRY_ASSIGN(ir::Value * now, context.Read(v.variable()));
      operands.push_back(now);
    } else if (v.kind() == Kind::kInt) {
      operands.push_back(e.DimValue(v.dim()));
    } else {
      const bool is_float = v.kind() == Kind::kFloat;
      const double number = is_float ? v.float_value() : v.bool_value() ? 1 : 0;
      operands.push_back(e.Scalar(is_float ? DType::kF64 : DType::kBool, number));
    }
  }
  const bool logical = row.real == Real::kAnd || row.real == Real::kOr || row.real == Real::kNot;
  const DType dtype = logical ? DType::kBool : any_float ? DType::kF64 : DType::kI64;
  for (ir::Value*& x : operands) x = e.Cast(x, dtype);
  ir::Value* result = operands[0];
  if (row.run_time == OpId::kMod) {
    result = e.Emit(OpId::kMod, operands, {{"fmod", int64_t{0}}});
  } else if (row.run_time == OpId::kFloorDiv && any_float) {
    result = e.Unary(OpId::kFloor, e.Binary(OpId::kDiv, operands[0], operands[1]));
  } else if (row.run_time) {
    result = e.Emit(*row.run_time, operands);
  }
  const bool to_int = row.real == Real::kToInt || row.real == Real::kCeil ||
                      row.real == Real::kFloor || row.real == Real::kRound;
  if (to_int) result = e.Cast(result, DType::kI64);
  if (!e.ok()) return e.status();
  if (result->dtype() == DType::kI64 && result->content) return IValue::Int(result->content->at(0));
  if (result->dtype() == DType::kBool && result->is_constant()) {
    return IValue::Bool(result->constant().IntAt(0) != 0);
  }
  const Kind kind = result->dtype() == DType::kBool  ? Kind::kBool
                    : result->dtype() == DType::kI64 ? Kind::kInt
                                                     : Kind::kFloat;
  return IValue::Scalar(kind, context.NewVariable(result));
}

}  // namespace

bool IsSymOp(const std::string& target) { return FindRow(target) != nullptr; }

absl::StatusOr<IValue> CallSymOp(aten::Context& context, const std::string& target,
                                 const std::vector<IValue>& arguments, const aten::CallSite& site) {
  const Row* row = FindRow(target);
  if (row == nullptr) return absl::UnimplementedError(target + " has no mapping");
  if (arguments.size() != row->arguments) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s with %d arguments, not %d", target, arguments.size(), row->arguments));
  }
  bool sizes = true, numbers = true;
  for (const IValue& v : arguments) {
    if (!v.is_number()) {
      return absl::InvalidArgumentError(absl::StrFormat("%s of a %s", target, v.Describe()));
    }
    sizes = sizes && IsSize(v);
    numbers = numbers && NumberOf(v).has_value();
  }
  const IValue& a = arguments[0];
  if (row->real == Real::kIte) {
    if (const auto condition = NumberOf(a)) return arguments[*condition != 0 ? 1 : 2];
    const auto give = [&](size_t i) {
      return [&arguments, i]() -> absl::StatusOr<std::vector<IValue>> {
        return std::vector<IValue>{arguments[i]};
      };
    };
    FLOE_TRY_ASSIGN(const std::vector<IValue> chosen, context.If(a, give(1), give(2), site));
    return chosen.at(0);
  }
  const bool is_integer = a.kind() != Kind::kFloat;
  const bool keeps = row->real == Real::kPos || row->real == Real::kToInt ||
                     row->real == Real::kCeil || row->real == Real::kFloor ||
                     row->real == Real::kRound;
  if (keeps && is_integer && a.kind() == Kind::kInt) return a;
  if (row->real == Real::kPos) return a;
  if (sizes && row->sizes) {
    if (std::optional<IValue> v = OnSizes(*row->sizes, arguments, context.graph().symbols)) {
      return *std::move(v);
    }
    const bool divides = row->real == Real::kFloorDiv || row->real == Real::kMod;
    if (divides && SizeOf(arguments[1]) == ir::Dim(0)) {
      return absl::InvalidArgumentError("a division by zero");
    }
    // An integer power of a negative exponent is a float.
    if (!numbers || row->real != Real::kPow) return AtRunTime(context, *row, arguments, site);
  }
  if (!numbers) return AtRunTime(context, *row, arguments, site);
  const double b = arguments.size() > 1 ? *NumberOf(arguments[1]) : 0;
  return OnReals(row->real, *NumberOf(a), b);
}

}  // namespace floe::torch_export
