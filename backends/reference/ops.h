// The meaning of every IR op, on dense logical tensors: plain loops, double accumulation where a
// float sum is formed. Used for constant folding, the IR evaluator, the oracle before lowering, and
// the kernel family `generic`. Never allocates: an op that needs working memory takes `scratch`.
#ifndef FLOE_BACKENDS_REFERENCE_OPS_H_
#define FLOE_BACKENDS_REFERENCE_OPS_H_

#include <cstdint>

#include "format/footprint.h"
#include "format/ops.h"

namespace floe::reference {

// Checks arity, dtypes, shapes (outputs' included) and attribute words (format/attrs.h) of an op on
// dense tensors, and fills scratch_bytes, in_place_inputs, flops. OpInfo::attrs are the op's words.
// kUnsupported (kInstructionDType) for a dtype that the op does not take. Total: any op, dims and
// attribute words give a status or are safe to run.
//
// Code: kPointwise needs a region over its inputs. kConv, kGemm, kMatMul (epilogue) and kSoftmax
// (prologue) may have code on f32 tensors; its operand i is input OpRow(op).min_inputs + i, and a
// bias or c is one of the operands then. Rank-1 operands go along axis 1 of a convolution, else the
// last.
//
// Axes may count from the end, except those of kReduce. Optional outputs of ops with several may be
// absent (kNone, null data). Cost: O(rank).
Status CheckOp(OpId op, const OpInfo& info, Footprint* footprint);

// Runs the op; `info` has passed CheckOp. Rule::kNone, kRunIndex or kRunDivideByZero; after an
// error the outputs' contents are unspecified. NaN and infinities follow numpy; integers wrap, also
// the least one divided by -1; shifts by the width or more give 0 (or the sign); float to int
// truncates and saturates, NaN gives 0; a reduction of nothing gives its identity (the mean: NaN,
// for integers kRunDivideByZero). Thread-safe.
Rule RunOp(OpId op, const OpInfo& info, const void* const* inputs, void* const* outputs,
           void* scratch);

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_OPS_H_
