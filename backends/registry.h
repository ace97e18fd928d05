// The list of kernel tables, and the footprint table that format's validator gets.
#ifndef FLOE_BACKENDS_REGISTRY_H_
#define FLOE_BACKENDS_REGISTRY_H_

#include <span>
#include <string_view>

#include "backends/kernel.h"

namespace floe {

// Every table of this build, best ISA first within a backend. Static, never empty.
std::span<const KernelTable* const> AllKernelTables();

// The best available table of `backend` ("cpu", "reference"). `isa` caps it ("avx2" on an AVX-512
// machine); empty: the best. Null if the build lacks the backend or the machine the ISA.
const KernelTable* FindKernelTable(std::string_view backend, std::string_view isa);

// Check of every family. Static.
const FootprintTable& KernelFootprints();

}  // namespace floe

#endif  // FLOE_BACKENDS_REGISTRY_H_
