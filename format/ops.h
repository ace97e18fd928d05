// The op table of format/ops.def as constants: ids, names, arities, attribute and operand lists.
#ifndef FLOE_FORMAT_OPS_H_
#define FLOE_FORMAT_OPS_H_

#include <cstdint>

namespace floe {

enum class OpId : uint16_t {
#define FLOE_OP(id, name, min_inputs, max_inputs, outputs, attrs, operands) k##id,
#include "format/ops.def"
#undef FLOE_OP
  kCount,
};

enum class ReduceKind : uint8_t {
  kSum,
  kMean,
  kMax,
  kMin,
  kProd,
  kL1,
  kL2,
  kLogSum,
  kLogSumExp,
  kSumSquare,
};
enum class PadMode : uint8_t { kConstant, kReflect, kEdge, kWrap };
enum class GridMode : uint8_t { kBilinear, kNearest, kBicubic };
enum class GridPadding : uint8_t { kZeros, kBorder, kReflection };
enum class ScatterReduction : uint8_t { kNone, kAdd, kMul, kMax, kMin };

struct OpInfoRow {
  const char* name;
  int16_t min_inputs;
  int16_t max_inputs;    // -1: any number.
  int16_t max_outputs;   // -1: any number.
  const char* attrs;     // "axis:int keepdims:int"
  const char* operands;  // "x w b?"
};

// Control flow, checks and sizes: no functions of tensors, so that no reference kernel runs them.
constexpr bool IsControlOp(OpId op) {
  return op == OpId::kIf || op == OpId::kLoop || op == OpId::kCheck || op == OpId::kSize;
}

// The row of `op`, which must be a valid id.
const OpInfoRow& OpRow(OpId op);
// The op of that name, or OpId::kCount.
OpId FindOp(const char* name, uint64_t length);

}  // namespace floe

#endif  // FLOE_FORMAT_OPS_H_
