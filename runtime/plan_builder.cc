#include "runtime/plan_builder.h"

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include "format/limits.h"
#include "runtime/shapes.h"

namespace floe::runtime {

bool Bump::Take(int64_t bytes, int64_t* offset) {
  return CheckedRoundUp(size_, kAlignment, offset) && CheckedAdd(*offset, bytes, &size_);
}

bool PlanBuilder::ForEachInBlock(uint32_t block, InstructionFn f) {
  const BlockDef& b = view_.blocks[block];
  for (uint32_t i = b.first_instruction; i < b.first_instruction + b.instruction_count; ++i) {
    if (!(this->*f)(i)) return false;
    const Instruction& ins = view_.instructions[i];
    for (uint32_t k = 0; k < ins.block_count; ++k) {
      if (!ForEachInBlock(ins.first_block + k, f)) return false;
    }
  }
  return true;
}

// Calls f for the operands of an instruction and for its blocks' params and results.
void PlanBuilder::ForEachUse(const Instruction& ins, ValueFn f) {
  const uint32_t count = ins.input_count + uint32_t{ins.output_count};
  for (const uint32_t v : view_.operands.subspan(ins.first_operand, count)) {
    if (v != kNoIndex) (this->*f)(v);
  }
  for (uint32_t k = 0; k < ins.block_count; ++k) {
    ForEachUse(view_.blocks[ins.first_block + k], f);
  }
}

void PlanBuilder::ForEachUse(const BlockDef& b, ValueFn f) {
  for (const uint32_t v : view_.Params(b)) (this->*f)(v);
  for (const uint32_t v : view_.Results(b)) (this->*f)(v);
}

void PlanBuilder::CoverValue(uint32_t value) {
  draft_.values_.Cover(value, 1);
  draft_.values_.Cover(Root(value), 1);
  const Storage storage = RootStorage(value);
  if (storage == Storage::kInput || storage == Storage::kOutput) ++uses_of_io_;
}

void PlanBuilder::CoverBlock(const BlockDef& b) {
  draft_.block_values_.Cover(b.first_param, b.param_count);
  draft_.block_values_.Cover(b.first_result, b.result_count);
}

bool PlanBuilder::CoverInstruction(uint32_t index) {
  const Instruction& ins = view_.instructions[index];
  draft_.instructions_.Cover(index, 1);
  draft_.operands_.Cover(ins.first_operand, ins.input_count + uint32_t{ins.output_count});
  for (uint32_t k = 0; k < ins.block_count; ++k) CoverBlock(view_.blocks[ins.first_block + k]);
  ForEachUse(ins, &PlanBuilder::CoverValue);
  return true;
}

// Finds the ranges of the tables that the method uses.
bool PlanBuilder::Measure() {
  const MethodDef& method = view_.methods[request_.method];
  const BlockDef& root = view_.blocks[method.block];
  draft_.input_count_ = root.param_count;
  draft_.output_count_ = root.result_count;
  CoverBlock(root);
  ForEachUse(root, &PlanBuilder::CoverValue);
  return ForEachInstruction(&PlanBuilder::CoverInstruction);
}

// A table of the plan: where its pointer is, and how many of what it has room for.
struct PlanBuilder::Table {
  enum Per : uint8_t { kSymbol, kValue, kInstruction, kOperand, kBlockValue, kIo, kPatch };
  uint16_t slot;
  uint8_t element_bytes;
  Per per;
};

bool PlanBuilder::AllocatePlan() {
#define FLOE_TABLE(member, per) \
  { offsetof(Plan, member), sizeof(*std::declval<Plan&>().member), Table::per }
  static constexpr Table kTables[] = {
      FLOE_TABLE(symbols_, kSymbol),
      FLOE_TABLE(bound_symbols_, kSymbol),
      FLOE_TABLE(used_, kValue),
      FLOE_TABLE(infos_, kValue),
      FLOE_TABLE(bytes_, kValue),
      FLOE_TABLE(data_, kValue),
      FLOE_TABLE(io_index_, kValue),
      FLOE_TABLE(dims_offsets_, kValue),
      FLOE_TABLE(operand_infos_, kOperand),
      FLOE_TABLE(operand_data_, kOperand),
      FLOE_TABLE(operand_constants_, kOperand),
      FLOE_TABLE(block_data_, kBlockValue),
      FLOE_TABLE(staging_, kBlockValue),
      FLOE_TABLE(staging_offsets_, kBlockValue),
      FLOE_TABLE(ops_, kInstruction),
      FLOE_TABLE(steps_, kInstruction),
      FLOE_TABLE(reports_, kInstruction),
      FLOE_TABLE(state_offsets_, kInstruction),
      FLOE_TABLE(footprints_, kInstruction),
      FLOE_TABLE(io_, kIo),
      FLOE_TABLE(io_order_, kIo),
      FLOE_TABLE(patches_, kPatch),
  };
#undef FLOE_TABLE
  const size_t counts[] = {view_.symbols.size(),
                           draft_.values_.size(),
                           draft_.instructions_.size(),
                           draft_.operands_.size(),
                           draft_.block_values_.size(),
                           draft_.input_count_ + size_t{draft_.output_count_},
                           uses_of_io_};
  // The plan itself comes first, then this builder, then the tables.
  constexpr size_t kAhead = RoundUp(sizeof(Plan), 8) + RoundUp(sizeof(PlanBuilder), 8);
  size_t bytes = kAhead;
  for (const Table& t : kTables) bytes += RoundUp(t.element_bytes * counts[t.per], 8);
  auto* memory = static_cast<char*>(e_->Allocate(request_.allocator, bytes, kAlignment));
  if (memory == nullptr) return false;
  std::memset(memory, 0, bytes);
  char* at = memory + kAhead;
  for (const Table& t : kTables) {
    std::memcpy(reinterpret_cast<char*>(&draft_) + t.slot, &at, sizeof(at));
    at += RoundUp(t.element_bytes * counts[t.per], 8);
  }
  plan_ = new (memory) Plan(draft_);
  plan_->allocator_ = request_.allocator;
  plan_->memory_bytes_ = bytes;
  plan_->view_ = &view_;
  plan_->method_ = request_.method;
  return true;
}

void PlanBuilder::UseValue(uint32_t value) {
  plan_->used_[Local(value)] = true;
  plan_->used_[Local(Root(value))] = true;
}

bool PlanBuilder::UseOperands(uint32_t index) {
  ForEachUse(view_.instructions[index], &PlanBuilder::UseValue);
  return true;
}

bool PlanBuilder::FindUses() {
  ForEachUse(plan_->root(), &PlanBuilder::UseValue);
  return ForEachInstruction(&PlanBuilder::UseOperands);
}

// The file's arena offsets were checked at the bucket's corner. What is no bigger than there, and
// inside the arena, cannot overlap anything that it did not overlap there. Sizes that a run finds
// must leave every value as small as Bind found it: outputs and staging have that much room.
bool PlanBuilder::DescribeValue(uint32_t value, const int64_t* corner) {
  const ValueDef& def = view_.values[value];
  TensorInfo info;
  int64_t bytes;
  if (!ConcreteInfo(view_, value, plan_->symbols_, &info, &bytes, e_)) {
    return e_->Passes(missing_) && false;
  }
  // Everything else was checked when the program was opened: constants and states have fixed
  // shapes.
  const bool arena = static_cast<Storage>(def.storage) == Storage::kArena;
  if (arena || corner == plan_->bound_symbols_) {
    TensorInfo largest;
    int64_t limit;
    if (!ConcreteInfo(view_, value, corner, &largest, &limit, e_)) return false;
    bool fits = bytes <= limit;
    if (fits && arena) {
      const uint64_t offset = view_.arena_offsets[bucket().first_offset + def.link];
      fits = offset <= bucket().arena_bytes &&
             static_cast<uint64_t>(bytes) <= bucket().arena_bytes - offset;
    }
    // What does not fit is not described either: callers see no output beyond its buffer.
    if (!fits) return e_->Bad(Rule::kArenaRange, limit, bytes).ForValue(value);
  }
  plan_->infos_[Local(value)] = info;
  plan_->bytes_[Local(value)] = bytes;
  return true;
}

bool PlanBuilder::Describe(const int64_t* corner) {
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    if (!plan_->used_[Local(v)]) continue;
    if (!DescribeValue(v, corner)) return false;
  }
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    if (!plan_->used_[Local(v)] || Root(v) == v) continue;
    if (plan_->bytes_[Local(v)] != plan_->bytes_[Local(Root(v))]) {
      return e_->Bad(Rule::kAliasChain).ForValue(v);
    }
  }
  return true;
}

bool PlanBuilder::ListIo() {
  for (uint32_t i = 0; i < plan_->values_.size(); ++i) plan_->io_index_[i] = kNoIndex;
  const BlockDef& root = plan_->root();
  for (uint32_t i = 0; i < plan_->input_count_ + plan_->output_count_; ++i) {
    const bool is_input = i < plan_->input_count_;
    const uint32_t value = is_input
                               ? view_.block_values[root.first_param + i]
                               : view_.block_values[root.first_result + i - plan_->input_count_];
    const uint32_t storage_of = Root(value);
    if (RootStorage(value) != (is_input ? Storage::kInput : Storage::kOutput) ||
        plan_->io_index_[Local(storage_of)] != kNoIndex) {
      return e_->Bad(Rule::kMethodRange).ForValue(value);
    }
    plan_->io_index_[Local(storage_of)] = i;
    plan_->io_[i].value = value;
    plan_->io_[i].bytes = plan_->bytes_[Local(value)];
    plan_->io_[i].first_patch = kNoIndex;
  }
  return true;
}

// Whether this has changed anything.
bool PlanBuilder::DescribeOperands(uint32_t index) {
  const Instruction& ins = view_.instructions[index];
  const uint32_t count = ins.input_count + uint32_t{ins.output_count};
  bool changed = false;
  for (uint32_t at = ins.first_operand; at < ins.first_operand + count; ++at) {
    const uint32_t v = view_.operands[at];
    if (v == kNoIndex) continue;  // Zeros: as it should be.
    TensorInfo& info = plan_->operand_infos_[at - plan_->operands_.first];
    changed |= std::memcmp(info.dims, plan_->infos_[Local(v)].dims, sizeof(info.dims)) != 0;
    info = plan_->infos_[Local(v)];
  }
  return changed;
}

bool PlanBuilder::CheckInstruction(uint32_t index) {
  const Instruction& ins = view_.instructions[index];
  const uint32_t local = index - plan_->instructions_.first;
  Step& step = plan_->steps_[local];
  // Control flow copies between values of equal type (kBlockStructure): nothing depends on shapes.
  if (ins.kernel == static_cast<uint32_t>(KernelId::kIf)) {
    step.kind = StepKind::kIf;
    return true;
  }
  if (ins.kernel == static_cast<uint32_t>(KernelId::kLoop)) {
    step.kind = StepKind::kLoop;
    return true;
  }
  if (ins.kernel == kKernelSize) {
    step.kind = StepKind::kSize;
    plan_->has_sizes_ = true;
  }
  const uint32_t first = ins.first_operand - plan_->operands_.first;
  const uint32_t count = ins.input_count + uint32_t{ins.output_count};
  DescribeOperands(index);
  bool constants = false;
  for (uint32_t k = 0; k < count; ++k) {
    const uint32_t v = view_.operands[ins.first_operand + k];
    if (v == kNoIndex || RootStorage(v) != Storage::kIndex) continue;
    plan_->operand_constants_[first + k] = Locate(Root(v));
    constants = true;
  }
  OpInfo& op = plan_->ops_[local];
  FillOp(view_, ins, plan_->operand_infos_ + first, &op);
  op.constants = constants ? plan_->operand_constants_ + first : nullptr;
  Footprint& footprint = plan_->footprints_[local];
  footprint = Footprint{};
  if (!e_->Passes(KernelFootprints().Check(ins.kernel, op, &footprint)))
    return e_->Again().At(index);
  if (footprint.scratch_bytes > scratch_) scratch_ = footprint.scratch_bytes;
  return true;
}

// A loop's result that is another of its params would be overwritten before it is copied.
bool PlanBuilder::SizeStaging(const BlockDef& body) {
  const auto params = view_.Params(body);
  const auto results = view_.Results(body);
  for (uint32_t r = 1; r < results.size(); ++r) {
    for (uint32_t p = 0; p < params.size(); ++p) {
      if (p == r || Root(params[p]) != Root(results[r])) continue;
      if (!tables_.Take(
              plan_->bytes(results[r]),
              &plan_->staging_offsets_[body.first_result + r - plan_->block_values_.first])) {
        return e_->Bad(Rule::kValueTooLarge).ForValue(results[r]);
      }
    }
  }
  return true;
}

bool PlanBuilder::SizeTables(uint32_t index) {
  const uint32_t local = index - plan_->instructions_.first;
  const StepKind kind = plan_->steps_[local].kind;
  plan_->state_offsets_[local] = -1;
  if (kind == StepKind::kLoop) {
    return SizeStaging(view_.blocks[view_.instructions[index].first_block]);
  }
  const int64_t bytes = plan_->footprints_[local].state_bytes;
  if (bytes != 0 && !tables_.Take(bytes, &plan_->state_offsets_[local])) {
    return e_->Bad(Rule::kValueTooLarge).At(index);
  }
  return true;
}

bool PlanBuilder::FillDims(uint32_t value) {
  const ValueDef& def = view_.values[value];
  auto* out = reinterpret_cast<int64_t*>(plan_->tables_ + plan_->dims_offsets_[Local(value)]);
  for (int64_t i = 0; i < plan_->bytes(value) / 8; ++i) {
    const DimExpr& dim = view_.dims[view_.value_dims[def.offset + static_cast<uint64_t>(i)]];
    if (!EvalDim(view_, dim, plan_->symbols_, &out[i])) {
      return e_->Passes(missing_) && e_->Bad(Rule::kDimRange).ForValue(value);
    }
  }
  return true;
}

bool PlanBuilder::AllocateTables() {
  for (uint32_t i = 0; i < plan_->block_values_.size(); ++i) plan_->staging_offsets_[i] = -1;
  if (!ForEachInstruction(&PlanBuilder::SizeTables)) return false;
  const IndexRange& values = plan_->values_;
  for (uint32_t v = values.first; v < values.end; ++v) {
    if (IsDims(v) && !tables_.Take(plan_->bytes(v) + kReadSlack, &plan_->dims_offsets_[Local(v)])) {
      return e_->Bad(Rule::kValueTooLarge).ForValue(v);
    }
  }
  if (tables_.size() == 0) return true;
  void* memory = e_->Allocate(request_.allocator, tables_.size(), kAlignment);
  if (memory == nullptr) return false;
  std::memset(memory, 0, tables_.size());
  plan_->tables_ = static_cast<char*>(memory);
  plan_->tables_bytes_ = tables_.size();
  return FillAllDims();
}

bool PlanBuilder::FillAllDims() {
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    if (IsDims(v) && !FillDims(v)) return false;
  }
  return true;
}

bool PlanBuilder::AllocateBlock() {
  Bump bump;
  int64_t arena;
  int64_t slack;
  int64_t stride = 0;
  int64_t scratch_bytes;
  int64_t scratch = 0;
  bool fits = bump.Take(static_cast<int64_t>(bucket().arena_bytes), &arena) &&
              bump.Take(kReadSlack, &slack) && CheckedRoundUp(scratch_, kAlignment, &stride) &&
              CheckedMul(stride, request_.workers, &scratch_bytes) &&
              bump.Take(scratch_bytes, &scratch);
  plan_->output_bytes_ = 0;
  fits = fits && bump.Take(0, &output_offset_);
  for (uint32_t i = 0; fits && request_.own_outputs && i < plan_->output_count_; ++i) {
    int64_t offset;
    fits = bump.Take(plan_->io(plan_->input_count_ + i).bytes, &offset);
  }
  if (!fits) return e_->Bad(Rule::kValueTooLarge);
  plan_->output_bytes_ = bump.size() - static_cast<size_t>(output_offset_);
  const size_t bytes = bump.size();
  if (request_.arena->Fits(bytes) && request_.arena->data() != nullptr) {
    arena_ = request_.arena->data();
  } else {
    if (!request_.fresh->Allocate(bytes, e_)) return false;
    arena_ = request_.fresh->data();
  }
  plan_->arena_bytes_ = bucket().arena_bytes;
  plan_->block_bytes_ = bytes;
  plan_->scratch_stride_ = static_cast<size_t>(stride);
  plan_->scratch_ = arena_ + scratch;
  return true;
}

bool PlanBuilder::Fill() {
  if (!FindUses()) return false;
  if (!SolveShapes(view_, view_.methods[request_.method], request_.inputs, request_.input_count,
                   request_.symbols, &missing_, &plan_->bucket_, e_))
    return false;
  std::memcpy(plan_->symbols_, request_.symbols, view_.symbols.size() * sizeof(int64_t));
  std::memcpy(plan_->bound_symbols_, plan_->symbols_, view_.symbols.size() * sizeof(int64_t));
  if (!Describe(view_.bucket_max.data() + bucket().first_max)) return false;
  if (!ListIo()) return false;
  if (!ForEachInstruction(&PlanBuilder::CheckInstruction)) return false;
  if (!AllocateTables()) return false;
  if (!AllocateBlock()) return false;
  if (!ResolvePointers()) return false;
  return ForEachInstruction(&PlanBuilder::PrepareInstruction);
}

// What was sized for the largest shapes stays in its place; smaller ones must not need more.
bool PlanBuilder::RefreshInstruction(uint32_t index) {
  const uint32_t local = index - plan_->instructions_.first;
  const bool kernel = plan_->steps_[local].kind == StepKind::kKernel;
  if (!kernel || (!DescribeOperands(index) && !stale_)) return true;
  Footprint& footprint = plan_->footprints_[local];
  const int64_t room = footprint.state_bytes;
  const bool checked = CheckInstruction(index);
  const int64_t needed = footprint.state_bytes;
  footprint.state_bytes = room;  // Later runs must know it, whatever becomes of this one.
  if (!checked) return false;
  if (needed > room || footprint.scratch_bytes > static_cast<int64_t>(plan_->scratch_stride_)) {
    return e_->Bad(Rule::kScratchSize, room, needed).At(index);
  }
  if (room != 0) {
    std::memset(plan_->tables_ + plan_->state_offsets_[local], 0, static_cast<size_t>(room));
  }
  return PrepareInstruction(index);
}

bool PlanBuilder::SetSize(uint32_t index, int64_t value, ErrorSink* e) {
  e_ = e;
  int64_t* symbols = plan_->symbols_;
  int64_t& found = symbols[view_.attrs[view_.instructions[index].first_attr]];
  found = value;
  CompleteSymbols(view_, Rule::kRunSize, symbols, &missing_);
  missing_.instruction = index;
  stale_ = (found == kNoSize && !e->Passes(missing_)) || !Describe(plan_->bound_symbols_) ||
           !FillAllDims() || !ForEachInstruction(&PlanBuilder::RefreshInstruction);
  if (stale_) {  // The message shall say with which sizes.
    std::memcpy(request_.symbols, symbols, view_.symbols.size() * sizeof(int64_t));
  }
  return !stale_;
}

Plan* PlanBuilder::Build() {
  if (!Measure() || !AllocatePlan()) return nullptr;
  if (Fill()) {
    plan_->builder_ = new (plan_ + 1) PlanBuilder(*this);
    return plan_;
  }
  plan_->Destroy();
  return nullptr;
}

}  // namespace floe::runtime
