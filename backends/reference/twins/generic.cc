#include "backends/reference/ops.h"
#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {

Status PrepareGeneric(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "reference_op";
  return OkStatus();
}

Rule RunGeneric(const KernelArgs& args, uint32_t, uint32_t, uint32_t, void* scratch) {
  OpInfo inner = *args.op;
  inner.attrs = args.op->attrs + 1;
  inner.attr_count = args.op->attr_count - 1;
  return RunOp(static_cast<OpId>(args.op->attrs[0]), inner, args.inputs, args.outputs, scratch);
}

}  // namespace floe::reference::twins
