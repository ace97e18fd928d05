#include "runtime/plan.h"

#include "format/sort.h"
#include "runtime/plan_builder.h"

namespace floe::runtime {

// ---- Block --------------------------------------------------------------------------------------

bool Block::Allocate(size_t bytes, ErrorSink* e) {
  constexpr size_t kHugePage = size_t{2} << 20;
  Free();
  data_ = e->Allocate(allocator_, bytes, bytes < kHugePage ? size_t{kAlignment} : kHugePage);
  bytes_ = data_ != nullptr ? bytes : 0;
  return data_ != nullptr;
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
  io_checked_ = false;
  io_[i].data = data;
  for (uint32_t p = io_[i].first_patch; p != kNoIndex; p = patches_[p].next) {
    *patches_[p].slot = data;
  }
}

bool Plan::CheckIo(ErrorSink* e) {
  if (io_checked_) return true;
  uint32_t count = 0;
  for (uint32_t i = 0; i < input_count_ + output_count_; ++i) {
    if (io_[i].bytes == 0) continue;  // An empty tensor has no memory to share.
    if (io_[i].data == nullptr) {
      return e
          ->Fail(Code::kFailedPrecondition,
                 i < input_count_ ? Rule::kBindMissing : Rule::kBindBytes)
          .ForValue(io_[i].value);
    }
    io_order_[count++] = i;
  }
  // In the order of their addresses, a buffer overlaps an earlier one if it begins before the
  // furthest end so far. Inputs may overlap each other: they look at the outputs' ends only.
  SortIndices(io_order_, count, io_, [](const void* io, uint32_t a, uint32_t b) {
    const auto* slots = static_cast<const IoSlot*>(io);
    return reinterpret_cast<uintptr_t>(slots[a].data) < reinterpret_cast<uintptr_t>(slots[b].data);
  });
  struct {
    uintptr_t end = 0;
    uint32_t value = kNoIndex;
  } furthest, furthest_output;
  for (uint32_t k = 0; k < count; ++k) {
    const IoSlot& slot = io_[io_order_[k]];
    const bool is_output = io_order_[k] >= input_count_;
    const auto begin = reinterpret_cast<uintptr_t>(slot.data);
    const auto& other = is_output ? furthest : furthest_output;
    if (other.end > begin) {
      return e->Fail(Code::kInvalidArgument, Rule::kBindOverlap, 0, other.value)
          .ForValue(slot.value);
    }
    const uintptr_t end = begin + static_cast<uintptr_t>(slot.bytes);
    if (end > furthest.end) furthest = {end, slot.value};
    if (is_output && end > furthest_output.end) furthest_output = {end, slot.value};
  }
  io_checked_ = true;
  return true;
}

bool Plan::SetSize(uint32_t instruction, int64_t value, ErrorSink* e) {
  return builder_->SetSize(instruction, value, e);
}

Plan* Plan::Make(const PlanRequest& request, ErrorSink* e) {
  return PlanBuilder(request, e).Build();
}

}  // namespace floe::runtime
