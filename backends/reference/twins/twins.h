// The plain twins: one simple implementation of every kernel family, written from the meaning of
// the family (backends/kernels.def) and the layouts (format/layouts.def), not from the fast
// kernels. They decode packed weights element by element and form sums in double. They are the
// oracle after lowering (`--backend reference`) and the way to run a file on a machine without the
// ISA that one wants to test.
#ifndef FLOE_BACKENDS_REFERENCE_TWINS_TWINS_H_
#define FLOE_BACKENDS_REFERENCE_TWINS_TWINS_H_

#include "backends/kernel.h"

namespace floe::reference::twins {

// backend "reference", isa "plain".
extern const KernelTable kTwinTable;

#define FLOE_TWIN(name)                                                                \
  Status Prepare##name(const OpInfo& op, const PrepareContext& context, void* state,   \
                       Schedule* schedule);                                            \
  Rule Run##name(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, \
                 void* scratch);
#include "backends/reference/twins/twins.list.def"
#undef FLOE_TWIN

}  // namespace floe::reference::twins

#endif  // FLOE_BACKENDS_REFERENCE_TWINS_TWINS_H_
