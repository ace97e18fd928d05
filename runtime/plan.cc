#include "runtime/plan.h"

#include <cstring>
#include <new>

#include "format/checked.h"
#include "runtime/shapes.h"

namespace floe::runtime {
namespace {

// Below this estimate, waking others costs more than it saves.
constexpr double kParallelNs = 3000;

bool WorthSharing(const Footprint& footprint) {
  return footprint.flops / 32 + footprint.bytes / 16 >= kParallelNs;
}

Status NoMemory(size_t bytes) {
  return Error(Code::kResourceExhausted, Rule::kHostMemory, static_cast<int64_t>(bytes));
}

// Hands out consecutive pieces. With a null base it only measures.
class Bump {
 public:
  explicit Bump(char* base) : base_(base) {}

  template <typename T>
  void Take(T** out, size_t count) {
    size_ = (size_ + alignof(T) - 1) / alignof(T) * alignof(T);
    if (base_ != nullptr) *out = reinterpret_cast<T*>(base_ + size_);
    size_ += count * sizeof(T);
  }
  // Offset of a 64-byte aligned piece. False on overflow.
  bool TakeAligned(int64_t bytes, int64_t* offset) {
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
  size_t size() const { return size_; }

 private:
  char* base_;
  size_t size_ = 0;
};

bool Overlap(const void* a, int64_t a_bytes, const void* b, int64_t b_bytes) {
  const auto* x = static_cast<const char*>(a);
  const auto* y = static_cast<const char*>(b);
  return x != nullptr && y != nullptr && x < y + b_bytes && y < x + a_bytes;
}

}  // namespace

// ---- Block --------------------------------------------------------------------------------------

Status Block::Allocate(size_t bytes) {
  constexpr size_t kHugePage = size_t{2} << 20;
  Free();
  data_ = allocator_.Allocate(bytes, bytes < kHugePage ? size_t{kAlignment} : kHugePage);
  bytes_ = data_ != nullptr ? bytes : 0;
  return data_ != nullptr ? OkStatus() : NoMemory(bytes);
}

void Block::Free() {
  allocator_.Release(data_, bytes_);
  data_ = nullptr;
  bytes_ = 0;
}

void Block::Swap(Block* other) {
  void* data = data_;
  const size_t bytes = bytes_;
  data_ = other->data_;
  bytes_ = other->bytes_;
  other->data_ = data;
  other->bytes_ = bytes;
}

// ---- Plan ---------------------------------------------------------------------------------------

void Plan::Destroy() {
  const Allocator allocator = allocator_;
  allocator.Release(tables_, tables_bytes_);
  allocator.Release(this, memory_bytes_);
}

void Plan::SetIo(uint32_t i, void* data) {
  io_[i].data = data;
  for (uint32_t p = io_[i].first_patch; p != kNoIndex; p = patches_[p].next) {
    *patches_[p].slot = data;
  }
}

uint32_t Plan::FirstUnset() const {
  for (uint32_t i = 0; i < input_count_ + output_count_; ++i) {
    if (io_[i].data == nullptr && io_[i].bytes != 0) return i;
  }
  return kNoIndex;
}

// ---- PlanBuilder --------------------------------------------------------------------------------

class PlanBuilder {
 public:
  explicit PlanBuilder(const PlanRequest& request)
      : request_(request), view_(request.model->view()) {}

  Status Build(Plan** plan);

 private:
  // Calls f(instruction index) in execution order, nested blocks after their instruction.
  template <typename F>
  Status ForEachInstruction(uint32_t block, F f) {
    const BlockDef& b = view_.blocks[block];
    for (uint32_t i = b.first_instruction; i < b.first_instruction + b.instruction_count; ++i) {
      FLOE_RETURN_IF_ERROR(f(i));
      const Instruction& ins = view_.instructions[i];
      for (uint32_t k = 0; k < ins.block_count; ++k) {
        FLOE_RETURN_IF_ERROR(ForEachInstruction(ins.first_block + k, f));
      }
    }
    return OkStatus();
  }
  template <typename F>
  void ForEachBlockValue(const BlockDef& b, F f) {
    for (uint32_t i = 0; i < b.param_count; ++i) f(b.first_param + i);
    for (uint32_t i = 0; i < b.result_count; ++i) f(b.first_result + i);
  }

  void CoverValue(uint32_t value);
  void CoverBlock(const BlockDef& b);
  Status Measure();
  Status AllocatePlan();
  void Layout(Bump* bump, Plan* plan) const;
  void UseValue(uint32_t value);
  Status FindUses();
  Status Describe();
  Status DescribeValue(uint32_t value, const int64_t* corner);
  Status ListIo();
  Status CheckInstruction(uint32_t index);
  Status CheckControl(uint32_t index);
  Status SizeStaging(const BlockDef& body, Bump* bump);
  Status AllocateTables();
  Status AllocateBlock();
  void* Locate(uint32_t value) const;
  void Resolve(uint32_t value, void** slot);
  void ResolvePointers();
  Status CheckOverlap(uint32_t index);
  Status PrepareInstruction(uint32_t index);

  uint32_t Root(uint32_t value) const {
    const ValueDef& v = view_.values[value];
    return static_cast<Storage>(v.storage) == Storage::kAlias ? v.link : value;
  }
  Storage RootStorage(uint32_t value) const {
    return static_cast<Storage>(view_.values[Root(value)].storage);
  }
  const BucketDef& bucket() const { return view_.buckets[plan_->bucket_]; }
  uint32_t Local(uint32_t value) const { return value - plan_->values_.first; }

  const PlanRequest& request_;
  const ProgramView& view_;
  Plan draft_;  // Ranges and counts, before there is memory.
  Plan* plan_ = nullptr;
  uint32_t uses_of_io_ = 0;
  uint32_t* io_index_ = nullptr;        // Of values.
  int64_t* dims_offsets_ = nullptr;     // Of kDims values, in tables.
  int64_t* staging_offsets_ = nullptr;  // Of block values; -1: none.
  Footprint* footprints_ = nullptr;
  int64_t scratch_ = 0;
  char* arena_ = nullptr;
  int64_t output_offset_ = 0;  // Of owned outputs, in the block.
};

void PlanBuilder::CoverValue(uint32_t value) {
  if (value == kNoIndex) return;
  draft_.values_.Cover(value, 1);
  draft_.values_.Cover(Root(value), 1);
  const Storage storage = RootStorage(value);
  if (storage == Storage::kInput || storage == Storage::kOutput) ++uses_of_io_;
}

void PlanBuilder::CoverBlock(const BlockDef& b) {
  draft_.block_values_.Cover(b.first_param, b.param_count);
  draft_.block_values_.Cover(b.first_result, b.result_count);
  ForEachBlockValue(b, [this](uint32_t i) { CoverValue(view_.block_values[i]); });
}

// Finds the ranges of the tables that the method uses.
Status PlanBuilder::Measure() {
  const MethodDef& method = view_.methods[request_.method];
  const BlockDef& root = view_.blocks[method.block];
  draft_.input_count_ = root.param_count;
  draft_.output_count_ = root.result_count;
  CoverBlock(root);
  return ForEachInstruction(method.block, [this](uint32_t i) {
    const Instruction& ins = view_.instructions[i];
    draft_.instructions_.Cover(i, 1);
    draft_.operands_.Cover(ins.first_operand, ins.input_count + uint32_t{ins.output_count});
    for (const uint32_t v : view_.Inputs(ins)) CoverValue(v);
    for (const uint32_t v : view_.Outputs(ins)) CoverValue(v);
    for (uint32_t k = 0; k < ins.block_count; ++k) CoverBlock(view_.blocks[ins.first_block + k]);
    return OkStatus();
  });
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
  bump->Take(&plan->patches_, uses_of_io_);
}

Status PlanBuilder::AllocatePlan() {
  Plan* self = nullptr;
  const auto layout_all = [this, &self](Bump* bump, Plan* plan) {
    bump->Take(&self, 1);
    Layout(bump, plan);
    bump->Take(&io_index_, draft_.values_.size());
    bump->Take(&dims_offsets_, draft_.values_.size());
    bump->Take(&staging_offsets_, draft_.block_values_.size());
    bump->Take(&footprints_, draft_.instructions_.size());
  };
  Bump sizer(nullptr);
  layout_all(&sizer, &draft_);
  void* memory = request_.allocator.Allocate(sizer.size(), kAlignment);
  if (memory == nullptr) return NoMemory(sizer.size());
  std::memset(memory, 0, sizer.size());
  Bump bump(static_cast<char*>(memory));
  layout_all(&bump, &draft_);
  plan_ = new (memory) Plan(draft_);
  plan_->allocator_ = request_.allocator;
  plan_->memory_bytes_ = sizer.size();
  plan_->view_ = &view_;
  plan_->method_ = request_.method;
  return OkStatus();
}

void PlanBuilder::UseValue(uint32_t value) {
  if (value == kNoIndex) return;
  plan_->used_[Local(value)] = true;
  plan_->used_[Local(Root(value))] = true;
}

Status PlanBuilder::FindUses() {
  const MethodDef& method = view_.methods[request_.method];
  const auto use = [this](uint32_t i) { UseValue(view_.block_values[i]); };
  ForEachBlockValue(view_.blocks[method.block], use);
  return ForEachInstruction(method.block, [this, use](uint32_t i) {
    const Instruction& ins = view_.instructions[i];
    for (const uint32_t v : view_.Inputs(ins)) UseValue(v);
    for (const uint32_t v : view_.Outputs(ins)) UseValue(v);
    for (uint32_t k = 0; k < ins.block_count; ++k) {
      ForEachBlockValue(view_.blocks[ins.first_block + k], use);
    }
    return OkStatus();
  });
}

// The file's arena offsets were checked at the bucket's corner. What is no bigger than there, and
// inside the arena, cannot overlap anything that it did not overlap there.
Status PlanBuilder::DescribeValue(uint32_t value, const int64_t* corner) {
  const ValueDef& def = view_.values[value];
  TensorInfo& info = plan_->infos_[Local(value)];
  int64_t& bytes = plan_->bytes_[Local(value)];
  FLOE_RETURN_IF_ERROR(ConcreteInfo(view_, value, plan_->symbols_, &info));
  FLOE_RETURN_IF_ERROR(TensorBytes(info, &bytes));
  switch (static_cast<Storage>(def.storage)) {
    case Storage::kArena: {
      TensorInfo largest;
      int64_t limit;
      FLOE_RETURN_IF_ERROR(ConcreteInfo(view_, value, corner, &largest));
      FLOE_RETURN_IF_ERROR(TensorBytes(largest, &limit));
      const uint64_t offset = view_.arena_offsets[bucket().first_offset + def.link];
      if (bytes > limit || offset > bucket().arena_bytes ||
          static_cast<uint64_t>(bytes) > bucket().arena_bytes - offset) {
        return Error(Code::kInvalidFile, Rule::kArenaRange, limit, bytes).ForValue(value);
      }
      return OkStatus();
    }
    case Storage::kConstant:
    case Storage::kIndex:
      if (static_cast<uint64_t>(bytes) == def.bytes) return OkStatus();
      return Error(Code::kInvalidFile, Rule::kConstantRange, static_cast<int64_t>(def.bytes), bytes)
          .ForValue(value);
    case Storage::kState:
      if (static_cast<uint64_t>(bytes) == view_.states[def.link].bytes) return OkStatus();
      return Error(Code::kInvalidFile, Rule::kStateRange).ForValue(value);
    default:
      return OkStatus();
  }
}

Status PlanBuilder::Describe() {
  const int64_t* corner = &view_.bucket_max[bucket().first_max];
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    if (!plan_->used_[Local(v)]) continue;
    FLOE_RETURN_IF_ERROR(DescribeValue(v, corner));
  }
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    if (!plan_->used_[Local(v)] || Root(v) == v) continue;
    if (plan_->bytes_[Local(v)] != plan_->bytes_[Local(Root(v))]) {
      return Error(Code::kInvalidFile, Rule::kAliasChain).ForValue(v);
    }
  }
  return OkStatus();
}

Status PlanBuilder::ListIo() {
  for (uint32_t i = 0; i < plan_->values_.size(); ++i) io_index_[i] = kNoIndex;
  const BlockDef& root = plan_->root();
  for (uint32_t i = 0; i < plan_->input_count_ + plan_->output_count_; ++i) {
    const bool is_input = i < plan_->input_count_;
    const uint32_t value = is_input
                               ? view_.block_values[root.first_param + i]
                               : view_.block_values[root.first_result + i - plan_->input_count_];
    const uint32_t storage_of = Root(value);
    if (RootStorage(value) != (is_input ? Storage::kInput : Storage::kOutput) ||
        io_index_[Local(storage_of)] != kNoIndex) {
      return Error(Code::kInvalidFile, Rule::kMethodRange).ForValue(value);
    }
    io_index_[Local(storage_of)] = i;
    plan_->io_[i].value = value;
    plan_->io_[i].bytes = plan_->bytes_[Local(value)];
    plan_->io_[i].first_patch = kNoIndex;
  }
  return OkStatus();
}

// Control flow copies between values: they must have the same size.
Status PlanBuilder::CheckControl(uint32_t index) {
  const Instruction& ins = view_.instructions[index];
  const auto outputs = view_.Outputs(ins);
  const auto inputs = view_.Inputs(ins);
  const bool loop = ins.kernel == static_cast<uint32_t>(KernelId::kLoop);
  const auto same = [this, index](uint32_t a, uint32_t b) {
    if (a == kNoIndex || b == kNoIndex || plan_->bytes(a) == plan_->bytes(b)) return OkStatus();
    return Error(Code::kInvalidFile, Rule::kBlockStructure, plan_->bytes(a), plan_->bytes(b))
        .At(index)
        .ForValue(a);
  };
  for (uint32_t k = 0; k < ins.block_count; ++k) {
    const BlockDef& block = view_.blocks[ins.first_block + k];
    const auto results = view_.Results(block);
    for (uint32_t o = 0; o < outputs.size(); ++o) {
      if (!loop) {
        FLOE_RETURN_IF_ERROR(same(outputs[o], results[o]));
        continue;
      }
      const uint32_t param = view_.Params(block)[o + 1];
      FLOE_RETURN_IF_ERROR(same(param, inputs[o + 2]));
      FLOE_RETURN_IF_ERROR(same(param, results[o + 1]));
      FLOE_RETURN_IF_ERROR(same(param, outputs[o]));
    }
  }
  return OkStatus();
}

Status PlanBuilder::CheckInstruction(uint32_t index) {
  const Instruction& ins = view_.instructions[index];
  const uint32_t local = index - plan_->instructions_.first;
  Step& step = plan_->steps_[local];
  plan_->state_offsets_[local] = -1;
  if (ins.kernel == static_cast<uint32_t>(KernelId::kIf)) {
    step.kind = StepKind::kIf;
    return CheckControl(index);
  }
  if (ins.kernel == static_cast<uint32_t>(KernelId::kLoop)) {
    step.kind = StepKind::kLoop;
    return CheckControl(index);
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
  op.inputs = plan_->operand_infos_ + first;
  op.outputs = op.inputs + ins.input_count;
  op.input_count = ins.input_count;
  op.output_count = ins.output_count;
  op.attrs = view_.attrs.data() + ins.first_attr;
  op.attr_count = ins.attr_count;
  op.code = view_.code.data() + ins.first_code;
  op.code_count = ins.code_count;
  op.constants = constants ? plan_->operand_constants_ + first : nullptr;
  Footprint& footprint = footprints_[local];
  footprint = Footprint{};
  if (Status s = KernelFootprints().Check(ins.kernel, op, &footprint); !s.ok()) {
    return s.At(index);
  }
  if (footprint.scratch_bytes > scratch_) scratch_ = footprint.scratch_bytes;
  return OkStatus();
}

// A loop's result that is another of its params would be overwritten before it is copied.
Status PlanBuilder::SizeStaging(const BlockDef& body, Bump* bump) {
  const auto params = view_.Params(body);
  const auto results = view_.Results(body);
  for (uint32_t r = 1; r < results.size(); ++r) {
    for (uint32_t p = 0; p < params.size(); ++p) {
      if (p == r || Root(params[p]) != Root(results[r])) continue;
      int64_t offset;
      if (!bump->TakeAligned(plan_->bytes(results[r]), &offset)) {
        return Error(Code::kInvalidFile, Rule::kValueTooLarge).ForValue(results[r]);
      }
      staging_offsets_[body.first_result + r - plan_->block_values_.first] = offset;
    }
  }
  return OkStatus();
}

Status PlanBuilder::AllocateTables() {
  Bump bump(nullptr);
  const Status too_large = Error(Code::kInvalidFile, Rule::kValueTooLarge);
  for (uint32_t i = 0; i < plan_->block_values_.size(); ++i) staging_offsets_[i] = -1;
  FLOE_RETURN_IF_ERROR(
      ForEachInstruction(view_.methods[request_.method].block, [&](uint32_t index) {
        const uint32_t local = index - plan_->instructions_.first;
        if (plan_->steps_[local].kind == StepKind::kLoop) {
          return SizeStaging(view_.blocks[view_.instructions[index].first_block], &bump);
        }
        const int64_t bytes = footprints_[local].state_bytes;
        if (bytes != 0 && !bump.TakeAligned(bytes, &plan_->state_offsets_[local])) {
          return too_large.At(index);
        }
        return OkStatus();
      }));
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    if (!plan_->used_[Local(v)]) continue;
    if (static_cast<Storage>(view_.values[v].storage) != Storage::kDims) continue;
    if (!bump.TakeAligned(plan_->bytes(v) + kReadSlack, &dims_offsets_[Local(v)])) {
      return too_large.ForValue(v);
    }
  }
  if (bump.size() == 0) return OkStatus();
  void* memory = request_.allocator.Allocate(bump.size(), kAlignment);
  if (memory == nullptr) return NoMemory(bump.size());
  std::memset(memory, 0, bump.size());
  plan_->tables_ = static_cast<char*>(memory);
  plan_->tables_bytes_ = bump.size();
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    const ValueDef& def = view_.values[v];
    if (!plan_->used_[Local(v)] || static_cast<Storage>(def.storage) != Storage::kDims) continue;
    auto* out = reinterpret_cast<int64_t*>(plan_->tables_ + dims_offsets_[Local(v)]);
    for (int64_t i = 0; i < plan_->bytes(v) / 8; ++i) {
      const DimExpr& dim = view_.dims[view_.value_dims[def.offset + static_cast<uint64_t>(i)]];
      if (!EvalDim(view_, dim, plan_->symbols_, &out[i])) {
        return Error(Code::kInvalidFile, Rule::kDimRange).ForValue(v);
      }
    }
  }
  return OkStatus();
}

Status PlanBuilder::AllocateBlock() {
  Bump bump(nullptr);
  int64_t arena;
  int64_t slack;
  int64_t stride;
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
    fits = bump.TakeAligned(plan_->output(i).bytes, &offset);
  }
  if (!fits) return Error(Code::kInvalidFile, Rule::kValueTooLarge);
  plan_->output_bytes_ = bump.size() - static_cast<size_t>(output_offset_);
  const size_t bytes = bump.size();
  if (request_.arena->Fits(bytes) && request_.arena->data() != nullptr) {
    arena_ = request_.arena->data();
  } else {
    FLOE_RETURN_IF_ERROR(request_.fresh->Allocate(bytes));
    arena_ = request_.fresh->data();
  }
  plan_->arena_bytes_ = bucket().arena_bytes;
  plan_->block_bytes_ = bytes;
  plan_->scratch_stride_ = static_cast<size_t>(stride);
  plan_->scratch_ = arena_ + scratch;
  return OkStatus();
}

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
      return plan_->tables_ + dims_offsets_[Local(value)];
    default:
      return nullptr;
  }
}

void PlanBuilder::Resolve(uint32_t value, void** slot) {
  if (value == kNoIndex) return;
  const uint32_t root = Root(value);
  const uint32_t io = io_index_[Local(root)];
  *slot = plan_->data_[Local(root)];
  if (io == kNoIndex) return;
  Plan::Patch& patch = plan_->patches_[plan_->patch_count_];
  patch.slot = slot;
  patch.next = plan_->io_[io].first_patch;
  plan_->io_[io].first_patch = plan_->patch_count_++;
}

void PlanBuilder::ResolvePointers() {
  for (uint32_t v = plan_->values_.first; v < plan_->values_.end; ++v) {
    if (plan_->used_[Local(v)] && Root(v) == v) plan_->data_[Local(v)] = Locate(v);
  }
  const auto resolve_block = [this](const BlockDef& b) {
    ForEachBlockValue(b, [this](uint32_t i) {
      const uint32_t local = i - plan_->block_values_.first;
      Resolve(view_.block_values[i], &plan_->block_data_[local]);
      if (staging_offsets_[local] >= 0) {
        plan_->staging_[local] = plan_->tables_ + staging_offsets_[local];
      }
    });
  };
  // The method's own params and results are not copied: its io slots are all there is to them.
  (void)ForEachInstruction(view_.methods[request_.method].block, [&](uint32_t index) {
    const Instruction& ins = view_.instructions[index];
    for (uint32_t k = 0; k < ins.input_count + uint32_t{ins.output_count}; ++k) {
      const uint32_t at = ins.first_operand + k;
      Resolve(view_.operands[at], &plan_->operand_data_[at - plan_->operands_.first]);
    }
    for (uint32_t k = 0; k < ins.block_count; ++k) {
      resolve_block(view_.blocks[ins.first_block + k]);
    }
    return OkStatus();
  });
  if (!request_.own_outputs) return;
  char* memory = arena_ + output_offset_;
  for (uint32_t i = 0; i < plan_->output_count_; ++i) {
    plan_->SetOutput(i, memory);
    memory += RoundUp(plan_->output(i).bytes, kAlignment);
  }
}

// In-place execution was agreed on at the bucket's corner; smaller shapes must allow it too.
Status PlanBuilder::CheckOverlap(uint32_t index) {
  const Instruction& ins = view_.instructions[index];
  const Footprint& footprint = footprints_[index - plan_->instructions_.first];
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
      return Error(Code::kInvalidFile, Rule::kInstructionAlias).At(index).ForValue(y).ForOperand(i);
    }
  }
  for (uint32_t i = 0; i < inputs.size(); ++i) {
    if ((footprint.slack_inputs >> i & 1) == 0 || inputs[i] == kNoIndex) continue;
    const Storage storage = RootStorage(inputs[i]);
    if (storage != Storage::kInput && storage != Storage::kOutput) continue;
    return Error(Code::kInvalidFile, Rule::kInstructionOperand).At(index).ForOperand(i);
  }
  return OkStatus();
}

Status PlanBuilder::PrepareInstruction(uint32_t index) {
  const uint32_t local = index - plan_->instructions_.first;
  Step& step = plan_->steps_[local];
  if (step.kind != StepKind::kKernel) return OkStatus();
  FLOE_RETURN_IF_ERROR(CheckOverlap(index));
  const Instruction& ins = view_.instructions[index];
  const KernelImpl* impl =
      ins.kernel < kMaxKernelId ? &request_.model->kernels().kernels[ins.kernel] : nullptr;
  if (impl == nullptr || impl->prepare == nullptr) {
    return Error(Code::kUnsupported, Rule::kInstructionKernel).At(index);
  }
  const Footprint& footprint = footprints_[local];
  const int64_t offset = plan_->state_offsets_[local];
  void* state = offset >= 0 ? plan_->tables_ + offset : nullptr;
  step.parallel = request_.workers > 1 && WorthSharing(footprint);
  PrepareContext context;
  context.workers = step.parallel ? request_.workers : 1;
  Schedule schedule;
  if (Status s = impl->prepare(plan_->ops_[local], context, state, &schedule); !s.ok()) {
    return s.At(index);
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
  return OkStatus();
}

Status PlanBuilder::Build(Plan** plan) {
  FLOE_RETURN_IF_ERROR(Measure());
  FLOE_RETURN_IF_ERROR(AllocatePlan());
  const MethodDef& method = view_.methods[request_.method];
  const auto build = [&]() -> Status {
    FLOE_RETURN_IF_ERROR(FindUses());
    FLOE_RETURN_IF_ERROR(SolveShapes(view_, method, request_.inputs, request_.input_count,
                                     request_.symbols, &plan_->bucket_));
    std::memcpy(plan_->symbols_, request_.symbols, view_.symbols.size() * sizeof(int64_t));
    FLOE_RETURN_IF_ERROR(Describe());
    FLOE_RETURN_IF_ERROR(ListIo());
    FLOE_RETURN_IF_ERROR(
        ForEachInstruction(method.block, [this](uint32_t i) { return CheckInstruction(i); }));
    FLOE_RETURN_IF_ERROR(AllocateTables());
    FLOE_RETURN_IF_ERROR(AllocateBlock());
    ResolvePointers();
    return ForEachInstruction(method.block, [this](uint32_t i) { return PrepareInstruction(i); });
  };
  if (Status s = build(); !s.ok()) {
    plan_->Destroy();
    return s;
  }
  *plan = plan_;
  return OkStatus();
}

Status Plan::Make(const PlanRequest& request, Plan** plan) {
  return PlanBuilder(request).Build(plan);
}

}  // namespace floe::runtime
