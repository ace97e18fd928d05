#include "backends/reference/twins/twins.h"
#include "format/tensor_info.h"

namespace floe::reference::twins {

Status PrepareCheck(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "check";
  return OkStatus();
}

Rule RunCheck(const KernelArgs& args, uint32_t, uint32_t, uint32_t, void*) {
  int64_t count = 0;
  if (!ElementCount(args.op->inputs[0], &count)) return Rule::kInstructionShape;
  const auto* condition = static_cast<const uint8_t*>(args.inputs[0]);
  for (int64_t i = 0; i < count; ++i) {
    if (condition[i] == 0) return Rule::kRunCheck;
  }
  return Rule::kNone;
}

}  // namespace floe::reference::twins
