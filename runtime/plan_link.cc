// The second half of PlanBuilder: pointers, overlaps, prepared kernels.
#include "runtime/plan_builder.h"

namespace floe::runtime {
namespace {

// Below an estimate of 3 us (32 operations or 16 bytes take 1 ns), waking others costs more than it
// saves.
constexpr double kParallelFlops = 3000 * 32;

bool WorthSharing(const Footprint& footprint) {
  return footprint.flops + footprint.bytes * 2 >= kParallelFlops;
}

bool Overlap(const void* a, int64_t a_bytes, const void* b, int64_t b_bytes) {
  const auto* x = static_cast<const char*>(a);
  const auto* y = static_cast<const char*>(b);
  return x != nullptr && y != nullptr && x < y + b_bytes && y < x + a_bytes;
}

}  // namespace

// Where a value with storage of its own lives; null for inputs and outputs.
void* PlanBuilder::Locate(uint32_t value) const {
  const ValueDef& def = view_.values[value];
  switch (static_cast<Storage>(def.storage)) {
    case Storage::kArena:
      return arena_ + view_.arena_offsets[bucket().first_offset + def.link];
    case Storage::kConstant:
      return const_cast<uint8_t*>(view_.sections[def.link].data()) + def.offset;
    case Storage::kIndex:
      return const_cast<uint8_t*>(
                 view_.sections[static_cast<size_t>(SectionKind::kIndices)].data()) +
             def.offset;
    case Storage::kState:
      return request_.states[def.link];
    case Storage::kDims:
      return plan_->tables_ + plan_->dims_offsets_[Local(value)];
    default:
      return nullptr;
  }
}

void PlanBuilder::Resolve(uint32_t value, void** slot) {
  if (value == kNoIndex) return;
  const uint32_t root = Root(value);
  const uint32_t io = plan_->io_index_[Local(root)];
  *slot = plan_->data_[Local(root)];
  if (io == kNoIndex) return;
  Plan::Patch& patch = plan_->patches_[plan_->patch_count_];
  patch.slot = slot;
  patch.next = plan_->io_[io].first_patch;
  plan_->io_[io].first_patch = plan_->patch_count_++;
}

void PlanBuilder::ResolveBlockValues(uint32_t first, uint32_t count) {
  for (uint32_t i = first; i < first + count; ++i) {
    const uint32_t local = i - plan_->block_values_.first;
    Resolve(view_.block_values[i], &plan_->block_data_[local]);
    if (plan_->staging_offsets_[local] >= 0) {
      plan_->staging_[local] = plan_->tables_ + plan_->staging_offsets_[local];
    }
  }
}

bool PlanBuilder::ResolveOperands(uint32_t index) {
  const Instruction& ins = view_.instructions[index];
  const uint32_t count = ins.input_count + uint32_t{ins.output_count};
  for (uint32_t at = ins.first_operand; at < ins.first_operand + count; ++at) {
    Resolve(view_.operands[at], &plan_->operand_data_[at - plan_->operands_.first]);
  }
  for (uint32_t k = 0; k < ins.block_count; ++k) {
    const BlockDef& block = view_.blocks[ins.first_block + k];
    ResolveBlockValues(block.first_param, block.param_count);
    ResolveBlockValues(block.first_result, block.result_count);
  }
  return true;
}

// The method's own params and results are not copied: its io slots are all there is to them.
bool PlanBuilder::ResolvePointers() {
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    if (plan_->used_[Local(v)] && Root(v) == v) plan_->data_[Local(v)] = Locate(v);
  }
  if (!ForEachInstruction(&PlanBuilder::ResolveOperands)) return false;
  if (!request_.own_outputs) return true;
  char* memory = arena_ + output_offset_;
  for (uint32_t i = plan_->input_count_; i < plan_->input_count_ + plan_->output_count_; ++i) {
    plan_->SetIo(i, memory);
    memory += RoundUp(plan_->io(i).bytes, kAlignment);
  }
  return true;
}

// In-place execution was agreed on at the bucket's corner; smaller shapes must allow it too.
bool PlanBuilder::CheckOverlap(uint32_t index) {
  const Instruction& ins = view_.instructions[index];
  const Footprint& footprint = plan_->footprints_[index - plan_->instructions_.first];
  const auto inputs = view_.Inputs(ins);
  const auto outputs = view_.Outputs(ins);
  const auto data = [this](uint32_t v) { return plan_->data_[Local(Root(v))]; };
  for (uint32_t o = 0; o < outputs.size(); ++o) {
    const uint32_t y = outputs[o];
    if (y == kNoIndex) continue;
    for (uint32_t i = 0; i < inputs.size() + o; ++i) {
      const uint32_t x = i < inputs.size() ? inputs[i] : outputs[i - inputs.size()];
      if (x == kNoIndex || !Overlap(data(x), plan_->bytes(x), data(y), plan_->bytes(y))) continue;
      const bool in_place = o == 0 && i < inputs.size() &&
                            (footprint.in_place_inputs >> i & 1) != 0 && data(x) == data(y) &&
                            plan_->bytes(x) == plan_->bytes(y);
      if (in_place) continue;
      return e_->Bad(Rule::kInstructionAlias).At(index).ForValue(y).ForOperand(i);
    }
  }
  for (uint32_t i = 0; i < inputs.size(); ++i) {
    if ((footprint.slack_inputs >> i & 1) == 0 || inputs[i] == kNoIndex) continue;
    const Storage storage = RootStorage(inputs[i]);
    if (storage != Storage::kInput && storage != Storage::kOutput) continue;
    return e_->Bad(Rule::kInstructionOperand).At(index).ForOperand(i);
  }
  return true;
}

bool PlanBuilder::PrepareInstruction(uint32_t index) {
  const uint32_t local = index - plan_->instructions_.first;
  Step& step = plan_->steps_[local];
  if (step.kind != StepKind::kKernel) return true;
  if (!CheckOverlap(index)) return false;
  const Instruction& ins = view_.instructions[index];
  const KernelImpl* impl =
      ins.kernel < kMaxKernelId ? &request_.model->kernels().kernels[ins.kernel] : nullptr;
  if (impl == nullptr || impl->prepare == nullptr) {
    return e_->Fail(Code::kUnsupported, Rule::kInstructionKernel).At(index);
  }
  const Footprint& footprint = plan_->footprints_[local];
  const int64_t offset = plan_->state_offsets_[local];
  void* state = offset >= 0 ? plan_->tables_ + offset : nullptr;
  step.parallel = request_.workers > 1 && WorthSharing(footprint);
  PrepareContext context;
  context.workers = step.parallel ? request_.workers : 1;
  Schedule schedule;
  if (!e_->Passes(impl->prepare(plan_->ops_[local], context, state, &schedule))) {
    return e_->Again().At(index);
  }
  void** operands = plan_->operand_data_ + (ins.first_operand - plan_->operands_.first);
  step.run = impl->run;
  step.args.op = &plan_->ops_[local];
  step.args.inputs = operands;
  step.args.outputs = operands + ins.input_count;
  step.args.state = state;
  step.phases = schedule.tasks != 0 ? schedule.phases : 0;
  step.tasks = schedule.tasks;
  step.parallel = step.parallel && schedule.tasks > 1;
  plan_->reports_[local] = StepReport{schedule.variant, footprint.flops, footprint.bytes};
  return true;
}

}  // namespace floe::runtime
