#include "format/ops.h"

#include <cstring>

namespace floe {
namespace {

constexpr OpInfoRow kOps[] = {
#define FLOE_OP(id, name, min_inputs, max_inputs, outputs, attrs, operands) \
  {name, min_inputs, max_inputs, outputs, attrs, operands},
#include "format/ops.def"
#undef FLOE_OP
};
constexpr size_t kOpCount = sizeof(kOps) / sizeof(kOps[0]);
static_assert(kOpCount == static_cast<size_t>(OpId::kCount));

}  // namespace

const OpInfoRow& OpRow(OpId op) { return kOps[static_cast<size_t>(op)]; }

OpId FindOp(const char* name, uint64_t length) {
  for (size_t i = 0; i < kOpCount; ++i) {
    if (std::strlen(kOps[i].name) == length && std::memcmp(kOps[i].name, name, length) == 0) {
      return static_cast<OpId>(i);
    }
  }
  return OpId::kCount;
}

}  // namespace floe
