// The pointwise bytecode: epilogues of GEMM-like kernels and stand-alone pointwise regions.
//
// A program is a straight line of PwInstr over fp32 registers r0..r15, one lane per element. It is
// file format: the writer stores it, the validator checks it with CheckPointwise, every backend
// runs it. There are no jumps, so its cost is its length. Comparisons yield 1.0f or 0.0f.
//
// In a region, operands are the instruction's inputs, broadcast to the result's shape; kLoad reads
// an operand's elements as fp32 (bool and u8 as 0..255, i32/i64 rounded to nearest even). The value
// of register r0 after the last instruction is the result; for a bool result it is r0 != 0.
// In an epilogue, r0 holds the accumulator at the start, operand i is the kernel's i-th epilogue
// operand, and the operand's shape decides its kind: [1] scalar, [C] channel (the last physical
// axis), the result's shape: residual with its own pitch.
#ifndef FLOE_FORMAT_POINTWISE_H_
#define FLOE_FORMAT_POINTWISE_H_

#include <cstdint>

#include "format/status.h"

namespace floe {

inline constexpr uint32_t kPwRegisters = 16;
inline constexpr uint32_t kPwMaxLength = 64;
inline constexpr uint32_t kPwMaxOperands = 12;

// FLOE_PW(Enum, "name", sources): sources is the number of register sources a, b, c (0..3).
#define FLOE_PW_OPS(FLOE_PW)                                                                \
  FLOE_PW(Load, "load", 0)   /* dst = operand[operand] */                                   \
  FLOE_PW(Const, "const", 0) /* dst = imm */                                                \
  FLOE_PW(Move, "move", 1)                                                                  \
  FLOE_PW(Add, "add", 2)                                                                    \
  FLOE_PW(Sub, "sub", 2)                                                                    \
  FLOE_PW(Mul, "mul", 2)                                                                    \
  FLOE_PW(Div, "div", 2)                                                                    \
  FLOE_PW(Min, "min", 2) /* NaN if either is */                                             \
  FLOE_PW(Max, "max", 2)                                                                    \
  FLOE_PW(Pow, "pow", 2)                                                                    \
  FLOE_PW(Fma, "fma", 3)       /* a * b + c, one rounding where the ISA has it, else two */ \
  FLOE_PW(Select, "select", 3) /* a != 0 ? b : c */                                         \
  FLOE_PW(Eq, "eq", 2)                                                                      \
  FLOE_PW(Ne, "ne", 2)                                                                      \
  FLOE_PW(Lt, "lt", 2)                                                                      \
  FLOE_PW(Le, "le", 2)                                                                      \
  FLOE_PW(Gt, "gt", 2)                                                                      \
  FLOE_PW(Ge, "ge", 2)                                                                      \
  FLOE_PW(And, "and", 2) /* a != 0 && b != 0 */                                             \
  FLOE_PW(Or, "or", 2)                                                                      \
  FLOE_PW(Not, "not", 1) /* a == 0 */                                                       \
  FLOE_PW(AddImm, "add_imm", 1)                                                             \
  FLOE_PW(MulImm, "mul_imm", 1)                                                             \
  FLOE_PW(MinImm, "min_imm", 1)                                                             \
  FLOE_PW(MaxImm, "max_imm", 1)                                                             \
  FLOE_PW(Neg, "neg", 1)                                                                    \
  FLOE_PW(Abs, "abs", 1)                                                                    \
  FLOE_PW(Sign, "sign", 1)                                                                  \
  FLOE_PW(Sqrt, "sqrt", 1)                                                                  \
  FLOE_PW(Rsqrt, "rsqrt", 1)                                                                \
  FLOE_PW(Reciprocal, "reciprocal", 1)                                                      \
  FLOE_PW(Exp, "exp", 1)                                                                    \
  FLOE_PW(Log, "log", 1)                                                                    \
  FLOE_PW(Sin, "sin", 1)                                                                    \
  FLOE_PW(Cos, "cos", 1)                                                                    \
  FLOE_PW(Tanh, "tanh", 1)                                                                  \
  FLOE_PW(Erf, "erf", 1)                                                                    \
  FLOE_PW(Sigmoid, "sigmoid", 1)                                                            \
  FLOE_PW(Silu, "silu", 1)                                                                  \
  FLOE_PW(Gelu, "gelu", 1) /* 0.5 x (1 + erf(x / sqrt 2)) */                                \
  FLOE_PW(GeluTanh, "gelu_tanh", 1)                                                         \
  FLOE_PW(Relu, "relu", 1)                                                                  \
  FLOE_PW(LeakyRelu, "leaky_relu", 1) /* imm = alpha */                                     \
  FLOE_PW(Elu, "elu", 1)              /* imm = alpha */                                     \
  FLOE_PW(HardSwish, "hard_swish", 1)                                                       \
  FLOE_PW(Softplus, "softplus", 1)                                                          \
  FLOE_PW(Ceil, "ceil", 1)                                                                  \
  FLOE_PW(Floor, "floor", 1)                                                                \
  FLOE_PW(Round, "round", 1) /* half to even */                                             \
  FLOE_PW(IsNan, "is_nan", 1)

enum class PwOp : uint8_t {
#define FLOE_PW(id, name, sources) k##id,
  FLOE_PW_OPS(FLOE_PW)
#undef FLOE_PW
      kCount,
};

// 12 bytes, the same in memory and in the file (struct PwInstr of floe.fbs).
struct PwInstr {
  uint8_t op = 0;   // PwOp.
  uint8_t dst = 0;  // Register.
  uint8_t a = 0;    // Register sources; unused ones are 0.
  uint8_t b = 0;
  uint8_t c = 0;
  uint8_t operand = 0;    // kLoad: operand number.
  uint16_t reserved = 0;  // Zero.
  float imm = 0.0f;       // kConst and the ops that say so; else 0. Any bit pattern is valid.

  friend bool operator==(const PwInstr&, const PwInstr&) = default;
};
static_assert(sizeof(PwInstr) == 12);

const char* PwOpName(PwOp op);
int PwOpSources(PwOp op);

// kInstructionCode unless: 1 <= count <= kPwMaxLength, ops and registers are in range, operand
// numbers are below `operands`, every register is written before it is read (r0 counts as written
// when `epilogue`), and r0 is written at the end.
Status CheckPointwise(const PwInstr* code, uint32_t count, uint32_t operands, bool epilogue);

}  // namespace floe

#endif  // FLOE_FORMAT_POINTWISE_H_
