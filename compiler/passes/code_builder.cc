#include "compiler/passes/code_builder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

constexpr PwOp kNone = PwOp::kCount;

// Ops with one instruction of the same meaning.
PwOp DirectUnary(OpId op) {
  switch (op) {
#define FLOE_SAME(name) \
  case OpId::k##name:   \
    return PwOp::k##name;
    FLOE_SAME(Neg)
    FLOE_SAME(Abs)
    FLOE_SAME(Sign)
    FLOE_SAME(Sqrt)
    FLOE_SAME(Rsqrt)
    FLOE_SAME(Reciprocal)
    FLOE_SAME(Exp)
    FLOE_SAME(Log)
    FLOE_SAME(Sin)
    FLOE_SAME(Cos)
    FLOE_SAME(Tanh)
    FLOE_SAME(Erf)
    FLOE_SAME(Sigmoid)
    FLOE_SAME(Ceil)
    FLOE_SAME(Floor)
    FLOE_SAME(Round)
    FLOE_SAME(Relu)
    FLOE_SAME(HardSwish)
    FLOE_SAME(Softplus)
    FLOE_SAME(Silu)
    FLOE_SAME(IsNan)
#undef FLOE_SAME
    case OpId::kLogicalNot:
      return PwOp::kNot;
    default:
      return kNone;
  }
}

PwOp DirectBinary(OpId op) {
  switch (op) {
    case OpId::kAdd:
      return PwOp::kAdd;
    case OpId::kSub:
      return PwOp::kSub;
    case OpId::kMul:
      return PwOp::kMul;
    case OpId::kDiv:
      return PwOp::kDiv;
    case OpId::kPow:
      return PwOp::kPow;
    case OpId::kMinimum:
      return PwOp::kMin;
    case OpId::kMaximum:
      return PwOp::kMax;
    case OpId::kEqual:
      return PwOp::kEq;
    case OpId::kNotEqual:
    case OpId::kLogicalXor:  // Bools are 0 or 1.
      return PwOp::kNe;
    case OpId::kLess:
      return PwOp::kLt;
    case OpId::kLessEqual:
      return PwOp::kLe;
    case OpId::kGreater:
      return PwOp::kGt;
    case OpId::kGreaterEqual:
      return PwOp::kGe;
    case OpId::kLogicalAnd:
      return PwOp::kAnd;
    case OpId::kLogicalOr:
      return PwOp::kOr;
    default:
      return kNone;
  }
}

bool IsComposite(OpId op) {
  switch (op) {
    case OpId::kTan:
    case OpId::kIsInf:
    case OpId::kLeakyRelu:
    case OpId::kElu:
    case OpId::kSelu:
    case OpId::kCelu:
    case OpId::kHardSigmoid:
    case OpId::kSoftsign:
    case OpId::kGelu:
    case OpId::kMish:
    case OpId::kThresholdedRelu:
    case OpId::kShrink:
    case OpId::kClamp:
      return true;
    default:
      return false;
  }
}

bool Commutes(PwOp op) {
  return op == PwOp::kAdd || op == PwOp::kMul || op == PwOp::kMin || op == PwOp::kMax ||
         op == PwOp::kEq || op == PwOp::kNe || op == PwOp::kAnd || op == PwOp::kOr;
}

bool IsPlain(DType t) { return t == DType::kF32 || t == DType::kBool; }

// Whether a load turns every number of this dtype into the same f32 as a cast.
bool LoadsLikeCast(DType t) {
  return IsPlain(t) || t == DType::kI32 || t == DType::kI64 || t == DType::kU8 || t == DType::kI8;
}

// A conversion of a whole tensor with constant numbers, as arithmetic on f32.
bool IsConversion(const ir::Node& node) {
  const bool quantize = node.op() == OpId::kQuantize;
  if (!quantize && node.op() != OpId::kDequantize) return false;
  const DType integers = (quantize ? node.output() : node.input(0))->dtype();
  const DType floats = (quantize ? node.input(0) : node.output())->dtype();
  return (integers == DType::kU8 || integers == DType::kI8) && floats == DType::kF32 &&
         node.Int("block") == 0 && ScalarOf(node.input(1)) &&
         (node.input(2) == nullptr || ScalarOf(node.input(2)));
}

bool IsPowerOfTwo(double v) {
  int exponent;
  return std::fabs(std::frexp(v, &exponent)) == 0.5 && std::fabs(v) < 0x1p100 &&
         std::fabs(v) > 0x1p-100;
}

}  // namespace

bool IsExpressible(const ir::Node& node) {
  const ir::Value* y = node.output();
  if (IsConversion(node)) return true;
  if (y == nullptr || !IsPlain(y->dtype())) return false;
  const OpId op = node.op();
  if (op == OpId::kCast) {
    const DType from = node.input(0)->dtype();
    return y->dtype() == DType::kF32 ? LoadsLikeCast(from) : IsPlain(from);
  }
  if (op == OpId::kPow && node.input(0)->dtype() == DType::kF32 && ScalarOf(node.input(1))) {
    return true;  // The exponent may have another dtype.
  }
  const bool known = op == OpId::kWhere || op == OpId::kPRelu || IsComposite(op) ||
                     DirectUnary(op) != kNone || DirectBinary(op) != kNone;
  return known && std::all_of(node.inputs().begin(), node.inputs().end(),
                              [](const ir::Value* v) { return IsPlain(v->dtype()); });
}

CodeBuilder::CodeBuilder(const ir::Value* accumulator) : accumulator_(accumulator) {
  // A stand-in for the instruction that writes the accumulator: it is not part of the program.
  if (accumulator != nullptr) values_[accumulator] = Emit(PwOp::kMove);
}

CodeBuilder::Reg CodeBuilder::Emit(PwOp op, Reg a, Reg b, Reg c, float imm) {
  instrs_.push_back({op, a, b, c, 0, imm});
  return static_cast<Reg>(instrs_.size()) - 1;
}

CodeBuilder::Reg CodeBuilder::Load(ir::Value* value) {
  const auto it = std::find(operands_.begin(), operands_.end(), value);
  const auto index = it - operands_.begin();
  if (it == operands_.end()) operands_.push_back(value);
  const Reg r = Emit(PwOp::kLoad);
  instrs_.back().operand = static_cast<int>(index);
  return r;
}

CodeBuilder::Reg CodeBuilder::Of(ir::Value* value) {
  const auto it = values_.find(value);
  if (it != values_.end()) return it->second;
  const std::optional<double> number = ScalarOf(value);
  const Reg r = number ? Const(*number) : Load(value);
  values_[value] = r;
  return r;
}

void CodeBuilder::AddBias(ir::Value* bias) {
  const Reg loaded = Load(bias);
  values_[accumulator_] = Emit(PwOp::kAdd, values_[accumulator_], loaded);
}

CodeBuilder::Reg CodeBuilder::PowerOf(Reg x, double exponent) {
  if (exponent == 2.0) return Emit(PwOp::kMul, x, x);
  if (exponent == 3.0) return Emit(PwOp::kMul, Emit(PwOp::kMul, x, x), x);
  if (exponent == 0.5) return Emit(PwOp::kSqrt, x);
  if (exponent == -0.5) return Emit(PwOp::kRsqrt, x);
  if (exponent == -1.0) return Emit(PwOp::kReciprocal, x);
  return Emit(PwOp::kPow, x, Const(exponent));
}

// x op number, or number op x, where one instruction does it; else -1.
CodeBuilder::Reg CodeBuilder::BinaryWithNumber(const ir::Node& node, Reg x, double number,
                                               bool number_first) {
  const auto imm = static_cast<float>(number);
  const auto emit = [&](PwOp op, float v) { return Emit(op, x, -1, -1, v); };
  switch (node.op()) {
    case OpId::kAdd:
      return emit(PwOp::kAddImm, imm);
    case OpId::kMul:
      return imm == -1.0f ? Emit(PwOp::kNeg, x) : emit(PwOp::kMulImm, imm);
    case OpId::kMinimum:
      return emit(PwOp::kMinImm, imm);
    case OpId::kMaximum:
      return imm == 0.0f ? Emit(PwOp::kRelu, x) : emit(PwOp::kMaxImm, imm);
    case OpId::kSub:
      if (number_first) return imm == 0.0f ? Emit(PwOp::kNeg, x) : -1;
      return emit(PwOp::kAddImm, -imm);
    case OpId::kDiv:
      if (number_first) return imm == 1.0f ? Emit(PwOp::kReciprocal, x) : -1;
      return IsPowerOfTwo(imm) ? emit(PwOp::kMulImm, 1.0f / imm) : -1;  // Exact.
    case OpId::kPow:
      return number_first ? -1 : PowerOf(x, number);
    default:
      return -1;
  }
}

CodeBuilder::Reg CodeBuilder::Binary(const ir::Node& node) {
  ir::Value* a = node.input(0);
  ir::Value* b = node.input(1);
  const std::optional<double> number_a = ScalarOf(a);
  const std::optional<double> number_b = ScalarOf(b);
  Reg r = -1;
  if (number_b && !number_a) r = BinaryWithNumber(node, Of(a), *number_b, false);
  if (number_a && !number_b) r = BinaryWithNumber(node, Of(b), *number_a, true);
  if (r >= 0) return r;
  const Reg ra = Of(a);
  return Emit(DirectBinary(node.op()), ra, Of(b));
}

CodeBuilder::Reg CodeBuilder::Predicate(const ir::Node& node, Reg x) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const bool negative = node.Int("detect_negative") != 0;
  const bool positive = node.Int("detect_positive") != 0;
  if (negative && positive) return Emit(PwOp::kEq, Emit(PwOp::kAbs, x), Const(kInf));
  if (!negative && !positive) return Const(0);
  return Emit(PwOp::kEq, x, Const(positive ? kInf : -kInf));
}

CodeBuilder::Reg CodeBuilder::Composite(const ir::Node& node, Reg x) {
  const auto number = [&node](const char* attr) { return static_cast<float>(node.Float(attr)); };
  const auto imm = [this](PwOp op, Reg a, float v) { return Emit(op, a, -1, -1, v); };
  switch (node.op()) {
    case OpId::kTan:
      return Emit(PwOp::kDiv, Emit(PwOp::kSin, x), Emit(PwOp::kCos, x));
    case OpId::kIsInf:
      return Predicate(node, x);
    case OpId::kLeakyRelu:
      return imm(PwOp::kLeakyRelu, x, number("alpha"));
    case OpId::kElu:
      return imm(PwOp::kElu, x, number("alpha"));
    case OpId::kSelu:
      return imm(PwOp::kMulImm, imm(PwOp::kElu, x, number("alpha")), number("gamma"));
    case OpId::kCelu: {
      const float alpha = number("alpha");
      const Reg scaled = imm(PwOp::kMulImm, x, static_cast<float>(1.0 / node.Float("alpha")));
      const Reg below = imm(PwOp::kMulImm, imm(PwOp::kElu, scaled, 1.0f), alpha);
      return Emit(PwOp::kSelect, Emit(PwOp::kGt, x, Const(0)), x, below);
    }
    case OpId::kHardSigmoid: {
      const Reg line = imm(PwOp::kAddImm, imm(PwOp::kMulImm, x, number("alpha")), number("beta"));
      return imm(PwOp::kMinImm, imm(PwOp::kMaxImm, line, 0.0f), 1.0f);
    }
    case OpId::kSoftsign:
      return Emit(PwOp::kDiv, x, imm(PwOp::kAddImm, Emit(PwOp::kAbs, x), 1.0f));
    case OpId::kGelu:
      return Emit(node.Int("tanh") != 0 ? PwOp::kGeluTanh : PwOp::kGelu, x);
    case OpId::kMish:
      return Emit(PwOp::kMul, x, Emit(PwOp::kTanh, Emit(PwOp::kSoftplus, x)));
    case OpId::kThresholdedRelu: {
      const Reg above = Emit(PwOp::kGt, x, Const(node.Float("alpha")));
      return Emit(PwOp::kSelect, above, x, Const(0));
    }
    case OpId::kShrink: {
      const Reg limit = Const(node.Float("lambd"));
      const Reg below = Emit(PwOp::kLt, x, Emit(PwOp::kNeg, limit));
      const Reg inner = Emit(PwOp::kSelect, Emit(PwOp::kGt, x, limit),
                             imm(PwOp::kAddImm, x, -number("bias")), Const(0));
      return Emit(PwOp::kSelect, below, imm(PwOp::kAddImm, x, number("bias")), inner);
    }
    default: {  // kClamp
      Reg r = x;
      if (number("min") == 0.0f) {
        r = Emit(PwOp::kRelu, r);
      } else if (!(std::isinf(number("min")) && number("min") < 0)) {
        r = imm(PwOp::kMaxImm, r, number("min"));
      }
      const bool unbounded = std::isinf(number("max")) && number("max") > 0;
      return unbounded ? r : imm(PwOp::kMinImm, r, number("max"));
    }
  }
}

CodeBuilder::Reg CodeBuilder::Unary(const ir::Node& node) {
  const Reg x = Of(node.input(0));
  if (node.op() == OpId::kCast) {
    const bool to_bool = node.output()->dtype() == DType::kBool;
    if (to_bool && node.input(0)->dtype() != DType::kBool) return Emit(PwOp::kNe, x, Const(0));
    return x;
  }
  const PwOp op = DirectUnary(node.op());
  return op == kNone ? Composite(node, x) : Emit(op, x);
}

CodeBuilder::Reg CodeBuilder::Conversion(const ir::Node& node) {
  const auto scale = static_cast<float>(*ScalarOf(node.input(1)));
  const double zero_number = node.input(2) == nullptr ? 0.0 : *ScalarOf(node.input(2));
  const auto zero = static_cast<float>(zero_number);
  const auto imm = [this](PwOp op, Reg a, float v) { return Emit(op, a, -1, -1, v); };
  Reg r = Of(node.input(0));
  if (node.op() == OpId::kDequantize) {
    if (zero != 0.0f) r = imm(PwOp::kAddImm, r, -zero);
    return imm(PwOp::kMulImm, r, scale);
  }
  const bool exact = IsPowerOfTwo(static_cast<double>(scale));
  r = node.Int("reciprocal") != 0 || exact ? imm(PwOp::kMulImm, r, 1.0f / scale)
                                           : Emit(PwOp::kDiv, r, Const(scale));
  r = Emit(PwOp::kRound, r);
  if (zero != 0.0f) r = imm(PwOp::kAddImm, r, zero);
  const int64_t low = node.output()->dtype() == DType::kU8 ? 0 : -128;
  // The cast of a result to the whole range saturates by itself.
  if (node.Int("min") == low && node.Int("max") == low + 255) unbounded_[node.output()] = r;
  r = imm(PwOp::kMaxImm, r, static_cast<float>(node.Int("min")));
  return imm(PwOp::kMinImm, r, static_cast<float>(node.Int("max")));
}

void CodeBuilder::Add(const ir::Node& node) {
  Reg r;
  if (IsConversion(node)) {
    r = Conversion(node);
  } else if (node.op() == OpId::kWhere) {
    const Reg condition = Of(node.input(0));
    const Reg yes = Of(node.input(1));
    r = Emit(PwOp::kSelect, condition, yes, Of(node.input(2)));
  } else if (node.op() == OpId::kPRelu) {
    const Reg x = Of(node.input(0));
    const Reg scaled = Emit(PwOp::kMul, x, Of(node.input(1)));
    r = Emit(PwOp::kSelect, Emit(PwOp::kLt, x, Const(0)), scaled, x);
  } else if (DirectBinary(node.op()) != kNone) {
    r = Binary(node);
  } else {
    r = Unary(node);
  }
  values_[node.output()] = r;
}

std::optional<std::vector<PwInstr>> CodeBuilder::Finish(const ir::Value* result) const {
  if (operands_.size() > kPwMaxOperands) return std::nullopt;
  const bool has_accumulator = accumulator_ != nullptr;
  const auto unbounded = unbounded_.find(result);
  const Reg target = unbounded != unbounded_.end() ? unbounded->second : values_.at(result);
  // Instructions that lead to the result, and the last reader of each register.
  const size_t count = instrs_.size();
  std::vector<bool> needed(count);
  std::vector<size_t> last_use(count);
  needed[static_cast<size_t>(target)] = true;
  last_use[static_cast<size_t>(target)] = count;
  for (size_t i = count; i-- > 0;) {
    if (!needed[i] || (i == 0 && has_accumulator)) continue;
    for (const Reg source : {instrs_[i].a, instrs_[i].b, instrs_[i].c}) {
      if (source < 0) continue;
      const auto s = static_cast<size_t>(source);
      last_use[s] = std::max(last_use[s], i);
      needed[s] = true;
    }
  }
  std::vector<PwInstr> code;
  std::vector<int> home(count, -1);  // Virtual register -> machine register.
  std::vector<bool> busy(kPwRegisters);
  if (has_accumulator) {
    home[0] = 0;
    busy[0] = needed[0];
  }
  const auto release = [&](Reg r, size_t at) {
    if (r >= 0 && last_use[static_cast<size_t>(r)] == at) {
      busy[static_cast<size_t>(home[static_cast<size_t>(r)])] = false;
    }
  };
  const auto machine = [&](Reg r) {
    return r < 0 ? uint8_t{0} : static_cast<uint8_t>(home[static_cast<size_t>(r)]);
  };
  for (size_t i = has_accumulator ? 1 : 0; i < count; ++i) {
    if (!needed[i]) continue;
    const Instr& instr = instrs_[i];
    PwInstr pw;
    pw.op = static_cast<uint8_t>(instr.op);
    pw.a = machine(instr.a);
    pw.b = machine(instr.b);
    pw.c = machine(instr.c);
    // One spelling for equal programs: kernels look for hot forms.
    if (Commutes(instr.op) && pw.a > pw.b) std::swap(pw.a, pw.b);
    pw.operand = static_cast<uint8_t>(instr.operand);
    pw.imm = instr.imm;
    // A result may take the register of an operand that is read here for the last time.
    for (const Reg source : {instr.a, instr.b, instr.c}) release(source, i);
    const auto free = std::find(busy.begin(), busy.end(), false);
    if (free == busy.end()) return std::nullopt;
    home[i] = static_cast<int>(free - busy.begin());
    *free = true;
    pw.dst = static_cast<uint8_t>(home[i]);
    code.push_back(pw);
  }
  if (const uint8_t from = machine(target); from != 0 || code.empty()) {
    PwInstr move;
    move.op = static_cast<uint8_t>(PwOp::kMove);
    move.a = from;
    code.push_back(move);
  }
  if (code.size() > kPwMaxLength) return std::nullopt;
  return code;
}

}  // namespace floe::passes
