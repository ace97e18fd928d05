#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {
namespace {

bool Always() { return true; }

constexpr KernelTable MakeTable() {
  KernelTable table{.backend = "reference", .isa = "plain", .available = &Always, .kernels = {}};
#define FLOE_TWIN(name) \
  table.kernels[static_cast<uint32_t>(KernelId::k##name)] = {&Prepare##name, &Run##name};
#include "backends/reference/twins/twins.list.def"
#undef FLOE_TWIN
  return table;
}

}  // namespace

constinit const KernelTable kTwinTable = MakeTable();

}  // namespace floe::reference::twins
