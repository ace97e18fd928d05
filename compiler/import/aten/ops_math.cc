// Arithmetic, comparison and elementwise functions.
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// --- two operands --------------------------------------------------------------------------------

// add, sub and rsub: other is scaled by alpha.
void Add(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  Value* self = b.Operand("self", t);
  Value* other = b.Operand("other", t);
  if (b.HasArg("alpha")) {
    const Number alpha = b.Scalar("alpha");
    if (alpha.tensor != nullptr || alpha.value != 1) {
      other = b.Binary(OpId::kMul, other, b.NumberAs(alpha, t));
    }
  }
  if (b.row().param != 0) std::swap(self, other);  // rsub.
  if (t == DType::kBool && b.row().ir == OpId::kAdd) {
    return b.Return(b.Binary(OpId::kLogicalOr, self, other));
  }
  b.Return(b.Binary(b.row().ir, self, other));
}

void Binary(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  Value* self = b.Operand("self", t);
  Value* other = b.Operand("other", t);
  b.Return(b.Binary(b.row().ir, self, other));
}

// --- one operand ---------------------------------------------------------------------------------

// Functions that give floats: ints and bools become f32.
void FloatUnary(OpBuilder& b) {
  b.Return(b.Unary(b.row().ir, b.Operand("self", b.FloatType({"self"}))));
}

// Functions that keep the dtype.
void Unary(OpBuilder& b) { b.Return(b.Unary(b.row().ir, b.Tensor("self"))); }

constexpr Row kRows[] = {
    {"aten::add", Add, OpId::kAdd},        {"aten::sub", Add, OpId::kSub},
    {"aten::rsub", Add, OpId::kSub, 1},    {"aten::eq", Binary, OpId::kEqual},
    {"aten::exp", FloatUnary, OpId::kExp}, {"aten::relu", Unary, OpId::kRelu},
};

}  // namespace

std::span<const Row> MathRows() { return kRows; }

}  // namespace floe::aten
