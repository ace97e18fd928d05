// winograd_conv where a tile unit multiplies bf16: direct products of w take less time there than
// the transforms alone. Other types are the base ISA's.
#ifndef FLOE_BACKENDS_CPU_WINOGRAD_CONV_DIRECT_PAIRS_H_
#define FLOE_BACKENDS_CPU_WINOGRAD_CONV_DIRECT_PAIRS_H_

#include "backends/cpu/simd.h"
#include "backends/families/winograd.h"
#include "backends/kernel.h"

namespace floe::cpu {
namespace FLOE_BASE_ISA {
Status PrepareWinogradConv(const OpInfo& op, const PrepareContext& context, void* state,
                           Schedule* schedule);
Rule RunWinogradConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end,
                     void* scratch);
}  // namespace FLOE_BASE_ISA

namespace FLOE_ISA {
Status PrepareConv(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule);
Rule RunConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch);

Status PrepareWinogradConv(const OpInfo& op, const PrepareContext& context, void* state,
                           Schedule* schedule) {
  if (op.inputs[0].dtype != DType::kBF16) {
    return FLOE_BASE_ISA::PrepareWinogradConv(op, context, state, schedule);
  }
  TensorInfo inputs[kMaxOperands];
  return PrepareConv(winograd::ConvOf(op, inputs), context, state, schedule);
}

Rule RunWinogradConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end,
                     void* scratch) {
  if (args.op->inputs[0].dtype != DType::kBF16) {
    return FLOE_BASE_ISA::RunWinogradConv(args, phase, begin, end, scratch);
  }
  const winograd::PlainConv conv(args);
  return RunConv(conv.args, phase, begin, end, scratch);
}

}  // namespace FLOE_ISA
}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_WINOGRAD_CONV_DIRECT_PAIRS_H_
