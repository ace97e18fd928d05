// What the checks of kernel families share. All sizes are untrusted: arithmetic is checked.
#ifndef FLOE_BACKENDS_FAMILIES_CHECK_H_
#define FLOE_BACKENDS_FAMILIES_CHECK_H_

#include <cstdint>

#include "format/footprint.h"
#include "format/status.h"
#include "format/tensor_info.h"

namespace floe::families {

inline Status Bad(Rule rule, int64_t expected = 0, int64_t got = 0) {
  return Error(Code::kInvalidFile, rule, expected, got);
}

// Operands are numbered inputs first, then outputs.
inline const TensorInfo& Operand(const OpInfo& op, uint32_t i) {
  return i < op.input_count ? op.inputs[i] : op.outputs[i - op.input_count];
}

// kInstructionArity unless min_inputs <= inputs <= max_inputs and outputs match.
Status CheckArity(const OpInfo& op, uint32_t min_inputs, uint32_t max_inputs, uint32_t outputs);

// Every present operand: a known dtype, a valid rank, non-negative dims, a layout that fits, and a
// size in bytes that fits in 63 bits (TensorBytes); of an empty one, other dims whose product is a
// bearable number of iterations. Sums the bytes into footprint->bytes. All later arithmetic on one
// operand's offsets can then not overflow.
Status CheckOperands(const OpInfo& op, Footprint* footprint);

// Operand i is present and has this dtype and layout; rank < 0: any.
Status CheckOperand(const OpInfo& op, uint32_t i, DType dtype, LayoutId layout, int rank = -1);

// Operand i's dim `axis` is `expected`.
Status CheckDim(const OpInfo& op, uint32_t i, int axis, int64_t expected);

// kInstructionAttr unless the instruction has exactly `count` attribute words.
Status CheckAttrCount(const OpInfo& op, uint32_t count);

// The epilogue of a GEMM-like family: code (may be empty) over operands inputs[extra...], all f32:
// one element (scalar), [channels] (channel, only if `channels` >= 0), or result-shaped
// (residual, only if `tensors`; dense or channels-last as the result, with its own halo).
Status CheckEpilogue(const OpInfo& op, uint32_t extra, int64_t channels, bool tensors);

// kValueTooLarge for a product of more than 2^31 rows: tilings multiply rows by tiles, and that
// must fit in 63 bits.
Status CheckRows(double rows);
// The same for the pixels of `y`, [N, C, H, W].
Status CheckImageRows(const TensorInfo& y);

// True if a and b have the same rank and dims.
bool SameDims(const TensorInfo& a, const TensorInfo& b);

}  // namespace floe::families

#endif  // FLOE_BACKENDS_FAMILIES_CHECK_H_
