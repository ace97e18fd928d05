// Complex tensors in the rows of ops: pairs of reals on a last axis of 2 (Form::kComplex), taken
// apart into real and imaginary parts and joined again.
#ifndef FLOE_COMPILER_IMPORT_ATEN_COMPLEX_H_
#define FLOE_COMPILER_IMPORT_ATEN_COMPLEX_H_

#include <initializer_list>

#include "compiler/import/aten/op_builder.h"

namespace floe::aten {

struct Complex {
  ir::Value* re = nullptr;
  ir::Value* im = nullptr;  // Null: zero.
};

bool IsComplex(const IValue& v);

// One part of [..., 2]: 0 or 1.
ir::Value* ComplexPart(OpBuilder& b, ir::Value* pairs, int64_t which);
ir::Value* ZeroLike(OpBuilder& b, const ir::Value* x);
// [..., 2] of both parts.
ir::Value* JoinParts(OpBuilder& b, const Complex& z);
// Returns `z` from the op.
void ReturnParts(OpBuilder& b, const Complex& z);

// The type of the parts of what the arguments give together.
DType PartType(OpBuilder& b, std::initializer_list<const char*> names);
// An argument in parts of type `t`, or of its own type; a real one has no imaginary part.
Complex PartsOf(OpBuilder& b, const char* name, DType t);
Complex PartsOf(OpBuilder& b, const char* name);

// Arithmetic; operands of one type.
Complex Product(OpBuilder& b, const Complex& x, const Complex& y);
Complex Quotient(OpBuilder& b, const Complex& x, const Complex& y);
Complex Exponential(OpBuilder& b, const Complex& z);
Complex Logarithm(OpBuilder& b, const Complex& z);
ir::Value* Magnitude(OpBuilder& b, const Complex& z);

// The write through a view whose elements are the base's own, in order.
ir::Value* WritePairs(OpBuilder& b, ir::Value* base, ir::Value* view);

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_COMPLEX_H_
