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
// kUnsupported (kInstructionDType) for a dtype that the op does not take.
Status CheckOp(OpId op, const OpInfo& info, Footprint* footprint);

// Runs the op; `info` has passed CheckOp. Rule::kNone, kRunIndex or kRunDivideByZero.
Rule RunOp(OpId op, const OpInfo& info, const void* const* inputs, void* const* outputs,
           void* scratch);

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_OPS_H_
