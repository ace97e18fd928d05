#include "runtime/plan.h"

#include "runtime/plan_builder.h"

namespace floe::runtime {

// ---- Block --------------------------------------------------------------------------------------

Status Block::Allocate(size_t bytes) {
  constexpr size_t kHugePage = size_t{2} << 20;
  Free();
  data_ = allocator_.Allocate(bytes, bytes < kHugePage ? size_t{kAlignment} : kHugePage);
  bytes_ = data_ != nullptr ? bytes : 0;
  if (data_ != nullptr) return OkStatus();
  return Error(Code::kResourceExhausted, Rule::kHostMemory, static_cast<int64_t>(bytes));
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

Status Plan::Make(const PlanRequest& request, Plan** plan) {
  return PlanBuilder(request).Build(plan);
}

}  // namespace floe::runtime
