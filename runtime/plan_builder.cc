#include "runtime/plan_builder.h"

#include <cstring>
#include <new>

#include "format/limits.h"
#include "runtime/shapes.h"

namespace floe::runtime {
void* Bump::TakeBytes(size_t bytes, size_t alignment) {
  const size_t begin = (size_ + alignment - 1) / alignment * alignment;
  size_ = begin + bytes;
  return base_ != nullptr ? base_ + begin : nullptr;
}

bool Bump::TakeAligned(int64_t bytes, int64_t* offset) {
  int64_t begin;
  int64_t end;
  if (!CheckedRoundUp(static_cast<int64_t>(size_), kAlignment, &begin) ||
      !CheckedAdd(begin, bytes, &end)) {
    return false;
  }
  *offset = begin;
  size_ = static_cast<size_t>(end);
  return true;
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

void PlanBuilder::Layout(Bump* bump, Plan* plan) const {
  const size_t values = draft_.values_.size();
  const size_t instructions = draft_.instructions_.size();
  const size_t operands = draft_.operands_.size();
  const size_t block_values = draft_.block_values_.size();
  bump->Take(&plan->symbols_, view_.symbols.size());
  bump->Take(&plan->used_, values);
  bump->Take(&plan->infos_, values);
  bump->Take(&plan->bytes_, values);
  bump->Take(&plan->data_, values);
  bump->Take(&plan->operand_infos_, operands);
  bump->Take(&plan->operand_data_, operands);
  bump->Take(&plan->operand_constants_, operands);
  bump->Take(&plan->block_data_, block_values);
  bump->Take(&plan->staging_, block_values);
  bump->Take(&plan->ops_, instructions);
  bump->Take(&plan->steps_, instructions);
  bump->Take(&plan->reports_, instructions);
  bump->Take(&plan->state_offsets_, instructions);
  bump->Take(&plan->io_, draft_.input_count_ + size_t{draft_.output_count_});
  bump->Take(&plan->io_order_, draft_.input_count_ + size_t{draft_.output_count_});
  bump->Take(&plan->patches_, uses_of_io_);
}

bool PlanBuilder::AllocatePlan() {
  Plan* self = nullptr;
  const auto layout_all = [this, &self](Bump* bump, Plan* plan) {
    bump->Take(&self, 1);
    Layout(bump, plan);
    bump->Take(&where_.io_index, draft_.values_.size());
    bump->Take(&where_.dims_offsets, draft_.values_.size());
    bump->Take(&where_.staging_offsets, draft_.block_values_.size());
    bump->Take(&where_.footprints, draft_.instructions_.size());
    bump->Take(&where_.state_bytes, draft_.instructions_.size());
  };
  Bump sizer(nullptr);
  layout_all(&sizer, &draft_);
  void* memory = e_->Allocate(request_.allocator, sizer.size(), kAlignment);
  if (memory == nullptr) return false;
  std::memset(memory, 0, sizer.size());
  Bump bump(static_cast<char*>(memory));
  layout_all(&bump, &draft_);
  plan_ = new (memory) Plan(draft_);
  plan_->allocator_ = request_.allocator;
  plan_->memory_bytes_ = sizer.size();
  plan_->view_ = &view_;
  plan_->method_ = request_.method;
  plan_->request_ = request_;
  plan_->where_ = where_;
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
// inside the arena, cannot overlap anything that it did not overlap there.
bool PlanBuilder::DescribeValue(uint32_t value, const int64_t* corner) {
  const ValueDef& def = view_.values[value];
  TensorInfo& info = plan_->infos_[Local(value)];
  int64_t& bytes = plan_->bytes_[Local(value)];
  if (!e_->Passes(ConcreteInfo(view_, value, plan_->symbols_, &info, &bytes))) return false;
  // Everything else was checked when the program was opened: constants and states have fixed
  // shapes.
  if (static_cast<Storage>(def.storage) != Storage::kArena) return true;
  TensorInfo largest;
  int64_t limit;
  if (!e_->Passes(ConcreteInfo(view_, value, corner, &largest, &limit))) return false;
  const uint64_t offset = view_.arena_offsets[bucket().first_offset + def.link];
  if (bytes > limit || offset > bucket().arena_bytes ||
      static_cast<uint64_t>(bytes) > bucket().arena_bytes - offset) {
    return e_->Bad(Rule::kArenaRange, limit, bytes).ForValue(value);
  }
  return true;
}

bool PlanBuilder::Describe() {
  const int64_t* corner = view_.bucket_max.data() + bucket().first_max;
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    if (!plan_->used_[Local(v)] || (changed_ != 0 && !IsChanged(v))) continue;
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
  for (uint32_t i = 0; i < plan_->values_.size(); ++i) where_.io_index[i] = kNoIndex;
  const BlockDef& root = plan_->root();
  for (uint32_t i = 0; i < plan_->input_count_ + plan_->output_count_; ++i) {
    const bool is_input = i < plan_->input_count_;
    const uint32_t value = is_input
                               ? view_.block_values[root.first_param + i]
                               : view_.block_values[root.first_result + i - plan_->input_count_];
    const uint32_t storage_of = Root(value);
    if (RootStorage(value) != (is_input ? Storage::kInput : Storage::kOutput) ||
        where_.io_index[Local(storage_of)] != kNoIndex) {
      return e_->Bad(Rule::kMethodRange).ForValue(value);
    }
    where_.io_index[Local(storage_of)] = i;
    plan_->io_[i].value = value;
    plan_->io_[i].bytes = plan_->bytes_[Local(value)];
    plan_->io_[i].first_patch = kNoIndex;
  }
  return true;
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
    return true;
  }
  const uint32_t first = ins.first_operand - plan_->operands_.first;
  const uint32_t count = ins.input_count + uint32_t{ins.output_count};
  bool constants = false;
  for (uint32_t k = 0; k < count; ++k) {
    const uint32_t v = view_.operands[ins.first_operand + k];
    plan_->operand_infos_[first + k] = v == kNoIndex ? TensorInfo{} : plan_->infos_[Local(v)];
    if (v == kNoIndex || RootStorage(v) != Storage::kIndex) continue;
    plan_->operand_constants_[first + k] = Locate(Root(v));
    constants = true;
  }
  OpInfo& op = plan_->ops_[local];
  FillOp(view_, ins, plan_->operand_infos_ + first, &op);
  op.constants = constants ? plan_->operand_constants_ + first : nullptr;
  Footprint& footprint = where_.footprints[local];
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
      if (!tables_.TakeAligned(
              plan_->bytes(results[r]),
              &where_.staging_offsets[body.first_result + r - plan_->block_values_.first])) {
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
  const int64_t bytes = where_.footprints[local].state_bytes;
  where_.state_bytes[local] = bytes;
  if (bytes != 0 && !tables_.TakeAligned(bytes, &plan_->state_offsets_[local])) {
    return e_->Bad(Rule::kValueTooLarge).At(index);
  }
  return true;
}

bool PlanBuilder::FillDims(uint32_t value) {
  const ValueDef& def = view_.values[value];
  auto* out = reinterpret_cast<int64_t*>(plan_->tables_ + where_.dims_offsets[Local(value)]);
  for (int64_t i = 0; i < plan_->bytes(value) / 8; ++i) {
    const DimExpr& dim = view_.dims[view_.value_dims[def.offset + static_cast<uint64_t>(i)]];
    if (!EvalDim(view_, dim, plan_->symbols_, &out[i])) {
      return e_->Bad(Rule::kDimRange).ForValue(value);
    }
  }
  return true;
}

bool PlanBuilder::AllocateTables() {
  for (uint32_t i = 0; i < plan_->block_values_.size(); ++i) where_.staging_offsets[i] = -1;
  if (!ForEachInstruction(&PlanBuilder::SizeTables)) return false;
  const IndexRange& values = plan_->values_;
  for (uint32_t v = values.first; v < values.end; ++v) {
    if (IsDims(v) &&
        !tables_.TakeAligned(plan_->bytes(v) + kReadSlack, &where_.dims_offsets[Local(v)])) {
      return e_->Bad(Rule::kValueTooLarge).ForValue(v);
    }
  }
  if (tables_.size() == 0) return true;
  void* memory = e_->Allocate(request_.allocator, tables_.size(), kAlignment);
  if (memory == nullptr) return false;
  std::memset(memory, 0, tables_.size());
  plan_->tables_ = static_cast<char*>(memory);
  plan_->tables_bytes_ = tables_.size();
  for (uint32_t v = values.first; v < values.end; ++v) {
    if (IsDims(v))
      if (!FillDims(v)) return false;
  }
  return true;
}

bool PlanBuilder::AllocateBlock() {
  Bump bump(nullptr);
  int64_t arena;
  int64_t slack;
  int64_t stride = 0;
  int64_t scratch_bytes;
  int64_t scratch = 0;
  bool fits = bump.TakeAligned(static_cast<int64_t>(bucket().arena_bytes), &arena) &&
              bump.TakeAligned(kReadSlack, &slack) &&
              CheckedRoundUp(scratch_, kAlignment, &stride) &&
              CheckedMul(stride, request_.workers, &scratch_bytes) &&
              bump.TakeAligned(scratch_bytes, &scratch);
  plan_->output_bytes_ = 0;
  fits = fits && bump.TakeAligned(0, &output_offset_);
  for (uint32_t i = 0; fits && request_.own_outputs && i < plan_->output_count_; ++i) {
    int64_t offset;
    fits = bump.TakeAligned(plan_->io(plan_->input_count_ + i).bytes, &offset);
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
                   request_.symbols, &plan_->bucket_, e_))
    return false;
  std::memcpy(plan_->symbols_, request_.symbols, view_.symbols.size() * sizeof(int64_t));
  if (!Describe()) return false;
  if (!ListIo()) return false;
  if (!ForEachInstruction(&PlanBuilder::CheckInstruction)) return false;
  if (!AllocateTables()) return false;
  if (!AllocateBlock()) return false;
  if (!ResolvePointers()) return false;
  return ForEachInstruction(&PlanBuilder::PrepareInstruction);
}

bool PlanBuilder::IsChanged(uint32_t value) const {
  const ValueDef& def = view_.values[value];
  const auto changed = [this](uint64_t first, uint64_t count) {
    for (const uint32_t d : view_.value_dims.subspan(first, count)) {
      if ((SymbolsOf(view_, view_.dims[d]) & changed_) != 0) return true;
    }
    return false;
  };
  if (changed(def.first_dim, def.rank)) return true;
  return IsDims(value) &&
         changed(def.offset, static_cast<uint64_t>(plan_->bytes(value)) / sizeof(int64_t));
}

// What was sized for the largest shapes is there; smaller ones must not need more.
bool PlanBuilder::RefreshInstruction(uint32_t index) {
  const uint32_t local = index - plan_->instructions_.first;
  if (plan_->steps_[local].kind != StepKind::kKernel) return true;
  const Instruction& ins = view_.instructions[index];
  bool changed = false;
  const uint32_t count = ins.input_count + uint32_t{ins.output_count};
  for (const uint32_t v : view_.operands.subspan(ins.first_operand, count)) {
    changed = changed || (v != kNoIndex && IsChanged(v));
  }
  if (!changed) return true;
  const int64_t offset = plan_->state_offsets_[local];
  const int64_t room = where_.state_bytes[local];
  if (!CheckInstruction(index)) return false;
  const Footprint& footprint = where_.footprints[local];
  if (footprint.state_bytes > room ||
      footprint.scratch_bytes > static_cast<int64_t>(plan_->scratch_stride_)) {
    return e_->Bad(Rule::kScratchSize, room, footprint.state_bytes).At(index);
  }
  if (offset >= 0) std::memset(plan_->tables_ + offset, 0, static_cast<size_t>(room));
  return PrepareInstruction(index);
}

bool PlanBuilder::SetSize(uint32_t symbol, int64_t value) {
  const SymbolDef& def = view_.symbols[symbol];
  if (value < def.min || value > def.max) {
    return e_->Fail(Code::kOutOfRange, Rule::kRunSize, value < def.min ? def.min : def.max, value);
  }
  plan_->symbols_[symbol] = value;
  if (!DeriveSymbols(view_, symbol, plan_->symbols_, e_)) return false;
  changed_ = uint64_t{1} << symbol;
  for (size_t s = symbol; s < view_.symbols.size(); ++s) {
    const SymbolDef& other = view_.symbols[s];
    if (!IsDerived(other)) continue;
    const uint64_t sources =
        SymbolsOf(view_, view_.dims[other.a]) | SymbolsOf(view_, view_.dims[other.b]);
    if ((sources & changed_) != 0) changed_ |= uint64_t{1} << s;
  }
  if (!Describe()) return false;
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    if (IsDims(v) && IsChanged(v) && !FillDims(v)) return false;
  }
  return ForEachInstruction(&PlanBuilder::RefreshInstruction);
}

Plan* PlanBuilder::Build() {
  if (!Measure() || !AllocatePlan()) return nullptr;
  if (Fill()) return plan_;
  plan_->Destroy();
  return nullptr;
}

}  // namespace floe::runtime
