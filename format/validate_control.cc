// The types of If and Loop (backends/kernels.def says what they mean).
#include "format/validate.h"

namespace floe::validate {
namespace {

Status BadOperand(uint32_t position, int64_t expected, int64_t got) {
  return Bad(Rule::kInstructionOperand, expected, got).ForOperand(position);
}

Status CheckScalar(const ProgramView& p, uint32_t value, DType dtype, uint32_t position) {
  if (value == kNoIndex) return BadOperand(position, 1, 0);
  if (p.values[value].dtype != static_cast<uint8_t>(dtype)) {
    return Bad(Rule::kInstructionDType, static_cast<int64_t>(dtype), p.values[value].dtype)
        .ForValue(value)
        .ForOperand(position);
  }
  // Read as one plain element at the start of the storage.
  if (p.values[value].layout != static_cast<uint8_t>(LayoutId::kDense)) {
    return Bad(Rule::kInstructionLayout, 0, p.values[value].layout).ForValue(value);
  }
  if (!IsScalar(p, value)) {
    return Bad(Rule::kInstructionShape, 1, p.values[value].rank)
        .ForValue(value)
        .ForOperand(position);
  }
  return OkStatus();
}

// Values are copied byte by byte: type, layout and halo must be equal.
Status CheckSame(const ProgramView& p, uint32_t a, uint32_t b) {
  if (a == kNoIndex || b == kNoIndex || !SameType(p, a, b)) {
    return Bad(Rule::kBlockStructure, a, b).ForValue(b);
  }
  return OkStatus();
}

Status CheckCounts(const Instruction& i, uint32_t blocks, uint32_t attrs) {
  if (i.block_count != blocks) return Bad(Rule::kBlockStructure, blocks, i.block_count);
  if (i.attr_count != attrs) {
    return Bad(attrs == 0 ? Rule::kInstructionAttr : Rule::kLoopBound, attrs, i.attr_count);
  }
  if (i.code_count != 0) return Bad(Rule::kInstructionCode, 0, i.code_count);
  return OkStatus();
}

Status CheckIf(const ProgramView& p, const Instruction& i) {
  FLOE_RETURN_IF_ERROR(CheckCounts(i, 2, 0));
  if (i.input_count != 1) return Bad(Rule::kInstructionArity, 1, i.input_count);
  FLOE_RETURN_IF_ERROR(CheckScalar(p, p.Inputs(i)[0], DType::kBool, 0));
  for (uint32_t b = 0; b < 2; ++b) {
    const BlockDef& block = p.blocks[i.first_block + b];
    if (block.param_count != 0) return Bad(Rule::kBlockStructure, 0, block.param_count);
    if (block.result_count != i.output_count) {
      return Bad(Rule::kBlockStructure, i.output_count, block.result_count);
    }
    for (uint32_t k = 0; k < i.output_count; ++k) {
      FLOE_RETURN_IF_ERROR(CheckSame(p, p.Outputs(i)[k], p.Results(block)[k]));
    }
  }
  return OkStatus();
}

Status CheckLoop(const ProgramView& p, const Instruction& i) {
  FLOE_RETURN_IF_ERROR(CheckCounts(i, 1, 1));
  const int64_t max_trips = p.attrs[i.first_attr];
  if (max_trips < 1 || max_trips > kMaxTrips) return Bad(Rule::kLoopBound, kMaxTrips, max_trips);
  const uint32_t carried = i.output_count;
  if (i.input_count != carried + 2) {
    return Bad(Rule::kInstructionArity, carried + 2, i.input_count);
  }
  const auto inputs = p.Inputs(i);
  const auto outputs = p.Outputs(i);
  FLOE_RETURN_IF_ERROR(CheckScalar(p, inputs[0], DType::kI64, 0));
  FLOE_RETURN_IF_ERROR(CheckScalar(p, inputs[1], DType::kBool, 1));
  const BlockDef& body = p.blocks[i.first_block];
  if (body.param_count != carried + 1 || body.result_count != carried + 1) {
    return Bad(Rule::kBlockStructure, carried + 1, body.param_count);
  }
  const auto params = p.Params(body);
  const auto results = p.Results(body);
  FLOE_RETURN_IF_ERROR(CheckScalar(p, params[0], DType::kI64, kNoIndex));
  FLOE_RETURN_IF_ERROR(CheckScalar(p, results[0], DType::kBool, kNoIndex));
  for (uint32_t k = 0; k < carried; ++k) {
    FLOE_RETURN_IF_ERROR(CheckSame(p, outputs[k], inputs[k + 2]));
    FLOE_RETURN_IF_ERROR(CheckSame(p, outputs[k], params[k + 1]));
    FLOE_RETURN_IF_ERROR(CheckSame(p, outputs[k], results[k + 1]));
  }
  return OkStatus();
}

}  // namespace

Status CheckControl(const ProgramView& p, uint32_t instruction) {
  const Instruction& i = p.instructions[instruction];
  return i.kernel == kKernelIf ? CheckIf(p, i) : CheckLoop(p, i);
}

}  // namespace floe::validate
