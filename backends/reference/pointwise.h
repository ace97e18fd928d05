// The pointwise bytecode, evaluated plainly: format/pointwise.h says what it means. Arithmetic is
// fp32 (one rounding per instruction); functions of libm are computed in double and rounded once.
#ifndef FLOE_BACKENDS_REFERENCE_POINTWISE_H_
#define FLOE_BACKENDS_REFERENCE_POINTWISE_H_

#include <cstdint>

#include "format/pointwise.h"
#include "format/tensor_info.h"

namespace floe::reference {

// Evaluates `code`, which has passed CheckPointwise, for every element of the result and stores r0
// (f32; for a bool result r0 != 0). Operands broadcast to the result's logical dims as numpy does,
// right-aligned; if channel_axis >= 0, an operand of rank 1 goes along that axis instead. r0_info
// is null, or the f32 tensor whose elements r0 holds at the start (an accumulator, a prologue's x);
// it broadcasts too. Dense and channels-last tensors (with a halo, which is not touched); operands
// f32, i32, i64, u8, i8 or bool. An operand or r0 may share the result's storage exactly. REQUIRES:
// shapes fit (ReadsAs).
Rule RunPointwiseProgram(const PwInstr* code, uint32_t count, const TensorInfo* operand_infos,
                         const void* const* operands, uint32_t operand_count,
                         const TensorInfo& result_info, void* result, const TensorInfo* r0_info,
                         const void* r0_data, int channel_axis);

// True if `operand` broadcasts to `result` under that rule.
bool ReadsAs(const TensorInfo& operand, const TensorInfo& result, int channel_axis);
// True for the dtypes that kLoad reads.
bool IsPointwiseOperand(DType t);

// One instruction on fp32 values a, b, c (unused ones are ignored; not kLoad).
float EvalPointwise(const PwInstr& instr, float a, float b, float c);

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_POINTWISE_H_
