#include "backends/registry.h"

#include "backends/cpu/tables.h"
#include "backends/reference/twins/twins.h"

namespace floe {
namespace {

constinit const KernelTable* const kTables[] = {
#define FLOE_CPU_ISA(name, base, available) &cpu::name::kTable,
#include "backends/cpu/isas.list.def"
#undef FLOE_CPU_ISA
    &reference::twins::kTwinTable,
};

}  // namespace

std::span<const KernelTable* const> AllKernelTables() { return kTables; }

const KernelTable* FindKernelTable(std::string_view backend, std::string_view isa) {
  // Tables are ordered best first, so the cap is where the search may start to accept.
  bool below_cap = isa.empty();
  for (const KernelTable* table : kTables) {
    if (backend != table->backend) continue;
    if (isa == table->isa) below_cap = true;
    if (below_cap && table->available()) return table;
  }
  return nullptr;
}

}  // namespace floe
