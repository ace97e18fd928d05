#include "backends/cpu/tables.h"

#include <string_view>

#include "backends/cpu/cpuid.h"
#include "backends/reference/twins/twins.h"

namespace floe::cpu {

#define FLOE_DECLARE_KERNEL(name)                                                      \
  Status Prepare##name(const OpInfo& op, const PrepareContext& context, void* state,   \
                       Schedule* schedule);                                            \
  Rule Run##name(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, \
                 void* scratch);
#define FLOE_CPU_PLAIN_FAMILY(name)
#define FLOE_CPU_FAMILY(name) FLOE_DECLARE_KERNEL(name)
namespace sse2 {
#include "backends/cpu/families.list.def"
}  // namespace sse2
namespace avx2 {
#include "backends/cpu/families.list.def"
}  // namespace avx2
namespace avx512 {
#include "backends/cpu/families.list.def"
}  // namespace avx512
#undef FLOE_CPU_FAMILY
#undef FLOE_CPU_PLAIN_FAMILY
#define FLOE_CPU_MEMBER(isa, name) \
  namespace isa {                  \
  FLOE_DECLARE_KERNEL(name)        \
  }
#include "backends/cpu/isa_members.list.def"
#undef FLOE_CPU_MEMBER
#undef FLOE_DECLARE_KERNEL

namespace {

struct Isa {
  const char* name;
  const char* base;  // Empty: none.
  bool (*available)();
};
constexpr Isa kIsas[] = {
#define FLOE_CPU_ISA(name, base, available) {#name, #base, &available},
#include "backends/cpu/isas.list.def"
#undef FLOE_CPU_ISA
};

// The kernels of an ISA without a base.
constexpr void SetFamilies(std::string_view isa, KernelTable* table) {
#define FLOE_CPU_PLAIN_FAMILY(name)                                                             \
  table->kernels[static_cast<uint32_t>(KernelId::k##name)] = {&reference::twins::Prepare##name, \
                                                              &reference::twins::Run##name};
#define FLOE_CPU_FAMILY(name)                                                  \
  table->kernels[static_cast<uint32_t>(KernelId::k##name)] =                   \
      isa == "avx512" ? KernelImpl{&avx512::Prepare##name, &avx512::Run##name} \
      : isa == "avx2" ? KernelImpl{&avx2::Prepare##name, &avx2::Run##name}     \
                      : KernelImpl{&sse2::Prepare##name, &sse2::Run##name};
#include "backends/cpu/families.list.def"
#undef FLOE_CPU_FAMILY
#undef FLOE_CPU_PLAIN_FAMILY
}

// The kernels of an ISA's own beside its base's.
constexpr void SetMembers([[maybe_unused]] std::string_view isa,
                          [[maybe_unused]] KernelTable* table) {
#define FLOE_CPU_MEMBER(namespace_, name)                                                   \
  if (isa == #namespace_) {                                                                 \
    table->kernels[static_cast<uint32_t>(KernelId::k##name)] = {&namespace_::Prepare##name, \
                                                                &namespace_::Run##name};    \
  }
#include "backends/cpu/isa_members.list.def"
#undef FLOE_CPU_MEMBER
}

constexpr KernelTable MakeTable(std::string_view name) {
  for (const Isa& isa : kIsas) {
    if (name != isa.name) continue;
    const bool has_base = std::string_view(isa.base) != "";
    KernelTable table{};
    if (has_base) table = MakeTable(isa.base);
    table.backend = "cpu";
    table.isa = isa.name;
    table.available = isa.available;
    if (!has_base) SetFamilies(name, &table);
    SetMembers(name, &table);
    return table;
  }
  return KernelTable{};
}

}  // namespace

#define FLOE_CPU_ISA(name, base, available)              \
  namespace name {                                       \
  constinit const KernelTable kTable = MakeTable(#name); \
  }
#include "backends/cpu/isas.list.def"
#undef FLOE_CPU_ISA

}  // namespace floe::cpu
