#include "backends/kernel.h"

namespace floe {
namespace {

constexpr KernelRow kRows[] = {
#define FLOE_KERNEL(id, name, text, attrs, operands, meaning) \
  {KernelId::k##name, text, attrs, operands, meaning},
#include "backends/kernels.def"
#undef FLOE_KERNEL
};

#define FLOE_KERNEL(id, name, text, attrs, operands, meaning) \
  static_assert((id) < kMaxKernelId, "kernel ids index KernelTable::kernels");
#include "backends/kernels.def"
#undef FLOE_KERNEL

}  // namespace

const KernelRow* FindKernel(uint32_t id) {
  for (const KernelRow& row : kRows) {
    if (static_cast<uint32_t>(row.id) == id) return &row;
  }
  return nullptr;
}

}  // namespace floe
