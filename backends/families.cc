#include "backends/families.h"

#include "backends/kernel.h"
#include "backends/registry.h"

namespace floe {
namespace {

class Footprints final : public FootprintTable {
 public:
  Status Check(uint32_t kernel, const OpInfo& op, Footprint* footprint) const override {
    *footprint = Footprint{};
    if (op.input_count > kMaxOperands || op.output_count > kMaxOperands - op.input_count) {
      return Error(Code::kInvalidFile, Rule::kInstructionArity, kMaxOperands,
                   static_cast<int64_t>(op.input_count) + op.output_count);
    }
    switch (static_cast<KernelId>(kernel)) {
#define FLOE_FAMILY(name) \
  case KernelId::k##name: \
    return families::Check##name(op, footprint);
#include "backends/families.list.def"
#undef FLOE_FAMILY
      default:
        return Error(Code::kInvalidFile, Rule::kInstructionKernel, 0, kernel);
    }
  }
};

constinit const Footprints kFootprints;

}  // namespace

const FootprintTable& KernelFootprints() { return kFootprints; }

}  // namespace floe
