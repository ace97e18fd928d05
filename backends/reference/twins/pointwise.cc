#include "backends/reference/pointwise.h"
#include "backends/halo.h"
#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {

Status PreparePointwise(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "f32_pointwise__plain";
  return OkStatus();
}

Rule RunPointwise(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin == end) return Rule::kNone;
  const OpInfo& op = *args.op;
  ZeroHalo(op.outputs[0], args.outputs[0]);
  return RunPointwiseProgram(op.code, op.code_count, op.inputs, args.inputs, op.input_count,
                             op.outputs[0], args.outputs[0], nullptr, nullptr, -1);
}

}  // namespace floe::reference::twins
