// The types of If and Loop (backends/kernels.def says what they mean).
#include "format/validate.h"

namespace floe::validate {
namespace {

bool BadOperand(Context* c, uint32_t position, int64_t expected, int64_t got) {
  return c->Bad(Rule::kInstructionOperand, expected, got).ForOperand(position);
}

bool CheckScalar(Context* c, uint32_t value, DType dtype, uint32_t position) {
  const ProgramView& p = c->p;
  if (value == kNoIndex) return BadOperand(c, position, 1, 0);
  if (p.values[value].dtype != static_cast<uint8_t>(dtype)) {
    return c->Bad(Rule::kInstructionDType, static_cast<int64_t>(dtype), p.values[value].dtype)
        .ForValue(value)
        .ForOperand(position);
  }
  // Read as one plain element at the start of the storage.
  if (p.values[value].layout != static_cast<uint8_t>(LayoutId::kDense)) {
    return c->Bad(Rule::kInstructionLayout, 0, p.values[value].layout).ForValue(value);
  }
  if (!IsScalar(p, value)) {
    return c->Bad(Rule::kInstructionShape, 1, p.values[value].rank)
        .ForValue(value)
        .ForOperand(position);
  }
  return true;
}

// Values are copied byte by byte: type, layout and halo must be equal.
bool CheckSame(Context* c, uint32_t a, uint32_t b) {
  if (a == kNoIndex || b == kNoIndex || !SameType(c->p, a, b)) {
    return c->Bad(Rule::kBlockStructure, a, b).ForValue(b);
  }
  return true;
}

bool CheckCounts(Context* c, const Instruction& i, uint32_t blocks, uint32_t attrs) {
  if (i.block_count != blocks) return c->Bad(Rule::kBlockStructure, blocks, i.block_count);
  if (i.attr_count != attrs) {
    return c->Bad(attrs == 0 ? Rule::kInstructionAttr : Rule::kLoopBound, attrs, i.attr_count);
  }
  if (i.code_count != 0) return c->Bad(Rule::kInstructionCode, 0, i.code_count);
  return true;
}

bool CheckIf(Context* c, const Instruction& i) {
  const ProgramView& p = c->p;
  if (!CheckCounts(c, i, 2, 0)) return false;
  if (i.input_count != 1) return c->Bad(Rule::kInstructionArity, 1, i.input_count);
  if (!CheckScalar(c, p.Inputs(i)[0], DType::kBool, 0)) return false;
  for (uint32_t b = 0; b < 2; ++b) {
    const BlockDef& block = p.blocks[i.first_block + b];
    if (block.param_count != 0) return c->Bad(Rule::kBlockStructure, 0, block.param_count);
    if (block.result_count != i.output_count) {
      return c->Bad(Rule::kBlockStructure, i.output_count, block.result_count);
    }
    for (uint32_t k = 0; k < i.output_count; ++k) {
      if (!CheckSame(c, p.Outputs(i)[k], p.Results(block)[k])) return false;
    }
  }
  return true;
}

bool CheckLoop(Context* c, const Instruction& i) {
  const ProgramView& p = c->p;
  if (!CheckCounts(c, i, 1, 1)) return false;
  const int64_t max_trips = p.attrs[i.first_attr];
  if (max_trips < 1 || max_trips > kMaxTrips) return c->Bad(Rule::kLoopBound, kMaxTrips, max_trips);
  const uint32_t carried = i.output_count;
  if (i.input_count != carried + 2) {
    return c->Bad(Rule::kInstructionArity, carried + 2, i.input_count);
  }
  const auto inputs = p.Inputs(i);
  const auto outputs = p.Outputs(i);
  if (!CheckScalar(c, inputs[0], DType::kI64, 0)) return false;
  if (!CheckScalar(c, inputs[1], DType::kBool, 1)) return false;
  const BlockDef& body = p.blocks[i.first_block];
  if (body.param_count != carried + 1 || body.result_count != carried + 1) {
    return c->Bad(Rule::kBlockStructure, carried + 1, body.param_count);
  }
  const auto params = p.Params(body);
  const auto results = p.Results(body);
  if (!CheckScalar(c, params[0], DType::kI64, kNoIndex)) return false;
  if (!CheckScalar(c, results[0], DType::kBool, kNoIndex)) return false;
  for (uint32_t k = 0; k < carried; ++k) {
    if (!CheckSame(c, outputs[k], inputs[k + 2])) return false;
    if (!CheckSame(c, outputs[k], params[k + 1])) return false;
    if (!CheckSame(c, outputs[k], results[k + 1])) return false;
  }
  return true;
}

}  // namespace

bool CheckControl(Context* c, uint32_t instruction) {
  const Instruction& i = c->p.instructions[instruction];
  return i.kernel == kKernelIf ? CheckIf(c, i) : CheckLoop(c, i);
}

}  // namespace floe::validate
