#include "tests/format/fake_footprints.h"

#include <algorithm>
#include <cstring>

#include "backends/kernel.h"
#include "format/pointwise.h"

namespace floe::testing {
namespace {

Status Bad(Rule rule, uint32_t operand = kNoIndex) {
  Status s = Error(Code::kInvalidFile, rule);
  s.operand = operand;
  return s;
}

bool SameDims(const TensorInfo& a, const TensorInfo& b) {
  return a.rank == b.rank && std::equal(a.dims, a.dims + a.rank, b.dims);
}

Status CheckArity(const OpInfo& op, uint32_t inputs, uint32_t attrs) {
  if (op.input_count != inputs || op.output_count != 1) return Bad(Rule::kInstructionArity);
  if (op.attr_count != attrs) return Bad(Rule::kInstructionAttr);
  for (uint32_t i = 0; i < inputs; ++i) {
    if (!op.inputs[i].present()) return Bad(Rule::kInstructionOperand, i);
  }
  return op.outputs[0].present() ? OkStatus() : Bad(Rule::kInstructionOperand, inputs);
}

Status CheckCopy(const OpInfo& op, Footprint* f) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 0));
  if (op.inputs[0].dtype != op.outputs[0].dtype) return Bad(Rule::kInstructionDType, 1);
  if (!SameDims(op.inputs[0], op.outputs[0])) return Bad(Rule::kInstructionShape, 1);
  if (op.inputs[0].layout == op.outputs[0].layout) f->in_place_inputs = 1;
  return OkStatus();
}

Status CheckSize(const OpInfo& op) {
  if (op.input_count != 1 || op.output_count != 0) return Bad(Rule::kInstructionArity);
  if (op.attr_count != 1) return Bad(Rule::kInstructionAttr);
  if (op.inputs[0].dtype != DType::kI64) return Bad(Rule::kInstructionDType, 0);
  return op.inputs[0].rank == 0 ? OkStatus() : Bad(Rule::kInstructionShape, 0);
}

Status CheckRegion(const OpInfo& op, Footprint* f) {
  if (op.input_count < 1 || op.output_count != 1) return Bad(Rule::kInstructionArity);
  if (op.attr_count != 0) return Bad(Rule::kInstructionAttr);
  const TensorInfo& y = op.outputs[0];
  if (!y.present()) return Bad(Rule::kInstructionOperand, op.input_count);
  for (uint32_t i = 0; i < op.input_count; ++i) {
    const TensorInfo& x = op.inputs[i];
    int64_t count;
    if (!x.present()) return Bad(Rule::kInstructionOperand, i);
    if (x.layout != y.layout) return Bad(Rule::kInstructionLayout, i);
    if (!ElementCount(x, &count)) return Bad(Rule::kInstructionShape, i);
    if (!SameDims(x, y) && count != 1) return Bad(Rule::kInstructionShape, i);
    if (SameDims(x, y) && x.dtype == y.dtype) f->in_place_inputs |= uint64_t{1} << i;
  }
  return CheckPointwise(op.code, op.code_count, op.input_count, false);
}

Status CheckGather(const OpInfo& op, Footprint*) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 2, 1));
  const int64_t axis = op.attrs[0];
  const TensorInfo& x = op.inputs[0];
  if (axis < 0 || axis >= x.rank) return Bad(Rule::kInstructionAttr);
  if (op.inputs[1].dtype != DType::kI64) return Bad(Rule::kInstructionDType, 1);
  if (op.inputs[1].rank != 1 || op.outputs[0].rank != x.rank) return Bad(Rule::kInstructionShape);
  for (int a = 0; a < x.rank; ++a) {
    if (op.outputs[0].dims[a] != (a == axis ? op.inputs[1].dims[0] : x.dims[a])) {
      return Bad(Rule::kInstructionShape, 2);
    }
  }
  if (op.constants == nullptr || op.constants[1] == nullptr) return OkStatus();
  for (int64_t i = 0; i < op.inputs[1].dims[0]; ++i) {
    int64_t index;
    std::memcpy(&index, static_cast<const uint8_t*>(op.constants[1]) + 8 * i, 8);
    if (index < -x.dims[axis] || index >= x.dims[axis]) return Bad(Rule::kIndexConstant, 1);
  }
  return OkStatus();
}

Status CheckGemm(const OpInfo& op, Footprint* f) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 2, 0));
  const TensorInfo& w = op.inputs[1];
  if (w.layout != LayoutId::kGemmPanels16) return Bad(Rule::kInstructionLayout, 1);
  if (op.inputs[0].rank != 2 || op.inputs[0].dims[1] != w.dims[0] || op.outputs[0].rank != 2 ||
      op.outputs[0].dims[0] != op.inputs[0].dims[0] || op.outputs[0].dims[1] != w.dims[1]) {
    return Bad(Rule::kInstructionShape, 0);
  }
  f->scratch_bytes = kFakeGemmScratch;
  f->state_bytes = 128;
  f->slack_inputs = 2;
  return OkStatus();
}

class Table final : public FootprintTable {
 public:
  Status Check(uint32_t kernel, const OpInfo& op, Footprint* footprint) const override {
    *footprint = Footprint{};
    footprint->flops = kFakeFlops;
    switch (static_cast<KernelId>(kernel)) {
      case KernelId::kCopy:
        return CheckCopy(op, footprint);
      case KernelId::kSize:
        return CheckSize(op);
      case KernelId::kPointwise:
        return CheckRegion(op, footprint);
      case KernelId::kGather:
        return CheckGather(op, footprint);
      case KernelId::kGemm:
        return CheckGemm(op, footprint);
      default:
        return Error(Code::kUnsupported, Rule::kInstructionKernel, 0, kernel);
    }
  }
};

}  // namespace

const FootprintTable& FakeFootprints() {
  static const Table table;
  return table;
}

}  // namespace floe::testing
