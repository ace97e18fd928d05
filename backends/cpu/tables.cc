#include "backends/cpu/tables.h"

#include "backends/cpu/cpuid.h"
#include "backends/reference/twins/twins.h"

namespace floe::cpu {

#define FLOE_CPU_PLAIN_FAMILY(name)
#define FLOE_CPU_FAMILY(name)                                                          \
  Status Prepare##name(const OpInfo& op, const PrepareContext& context, void* state,   \
                       Schedule* schedule);                                            \
  Rule Run##name(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, \
                 void* scratch);
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

#define FLOE_CPU_PLAIN_FAMILY(name)                                                            \
  table.kernels[static_cast<uint32_t>(KernelId::k##name)] = {&reference::twins::Prepare##name, \
                                                             &reference::twins::Run##name};
#define FLOE_CPU_FAMILY(name) \
  table.kernels[static_cast<uint32_t>(KernelId::k##name)] = {&Prepare##name, &Run##name};
namespace sse2 {
constexpr KernelTable MakeTable() {
  KernelTable table{.backend = "cpu", .isa = "sse2", .available = &HasSse2, .kernels = {}};
#include "backends/cpu/families.list.def"
  return table;
}
}  // namespace sse2
namespace avx2 {
constexpr KernelTable MakeTable() {
  KernelTable table{.backend = "cpu", .isa = "avx2", .available = &HasAvx2, .kernels = {}};
#include "backends/cpu/families.list.def"
  return table;
}
}  // namespace avx2
namespace avx512 {
constexpr KernelTable MakeTable() {
  KernelTable table{.backend = "cpu", .isa = "avx512", .available = &HasAvx512, .kernels = {}};
#include "backends/cpu/families.list.def"
  return table;
}
}  // namespace avx512
#undef FLOE_CPU_FAMILY
#undef FLOE_CPU_PLAIN_FAMILY

constinit const KernelTable kSse2Table = sse2::MakeTable();
constinit const KernelTable kAvx2Table = avx2::MakeTable();
constinit const KernelTable kAvx512Table = avx512::MakeTable();

}  // namespace floe::cpu
