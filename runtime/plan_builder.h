// How Bind makes a Plan: measure the method's tables, solve the shapes, re-check every
// instruction's footprint at the concrete shapes, allocate, resolve pointers, prepare kernels.
#ifndef FLOE_RUNTIME_PLAN_BUILDER_H_
#define FLOE_RUNTIME_PLAN_BUILDER_H_

#include <cstddef>
#include <cstdint>

#include "format/checked.h"
#include "format/error_sink.h"
#include "format/program.h"
#include "runtime/plan.h"

namespace floe::runtime {

// Hands out consecutive pieces. With a null base it only measures, and the pieces are null.
class Bump {
 public:
  explicit Bump(char* base) : base_(base) {}

  template <typename T>
  void Take(T** out, size_t count) {
    *out = static_cast<T*>(TakeBytes(count * sizeof(T), alignof(T)));
  }
  // Offset of a 64-byte aligned piece. False on overflow.
  bool TakeAligned(int64_t bytes, int64_t* offset);
  size_t size() const { return size_; }

 private:
  void* TakeBytes(size_t bytes, size_t alignment);  // Null when it only measures.

  char* base_;
  size_t size_ = 0;
};

// Builds one plan.
class PlanBuilder {
 public:
  PlanBuilder(const PlanRequest& request, ErrorSink* e)
      : request_(request), view_(request.model->view()), e_(e) {}
  // To describe a part of a plan again.
  PlanBuilder(Plan* plan, ErrorSink* e)
      : request_(plan->request_), view_(*plan->view_), e_(e), plan_(plan), where_(plan->where_) {}

  // Null, and an error, if there can be no plan.
  Plan* Build();
  bool SetSize(uint32_t symbol, int64_t value);

 private:
  using InstructionFn = bool (PlanBuilder::*)(uint32_t index);
  // Calls f for every instruction in execution order, nested blocks after their instruction.
  bool ForEachInstruction(InstructionFn f) {
    return ForEachInBlock(view_.methods[request_.method].block, f);
  }
  bool ForEachInBlock(uint32_t block, InstructionFn f);
  using ValueFn = void (PlanBuilder::*)(uint32_t value);
  void ForEachUse(const Instruction& ins, ValueFn f);
  void ForEachUse(const BlockDef& b, ValueFn f);

  void CoverValue(uint32_t value);
  void CoverBlock(const BlockDef& b);
  bool CoverInstruction(uint32_t index);
  bool Measure();
  bool Fill();
  bool AllocatePlan();
  void Layout(Bump* bump, Plan* plan) const;
  void UseValue(uint32_t value);
  bool UseOperands(uint32_t index);
  bool FindUses();
  bool Describe();
  bool DescribeValue(uint32_t value, const int64_t* corner);
  bool ListIo();
  bool CheckInstruction(uint32_t index);
  bool SizeStaging(const BlockDef& body);
  bool SizeTables(uint32_t index);
  bool AllocateTables();
  bool FillDims(uint32_t value);
  bool AllocateBlock();
  void* Locate(uint32_t value) const;
  void Resolve(uint32_t value, void** slot);
  void ResolveBlockValues(uint32_t first, uint32_t count);
  bool ResolveOperands(uint32_t index);
  bool ResolvePointers();
  bool CheckOverlap(uint32_t index);
  bool PrepareInstruction(uint32_t index);
  bool RefreshInstruction(uint32_t index);

  uint32_t Root(uint32_t value) const {
    const ValueDef& v = view_.values[value];
    return static_cast<Storage>(v.storage) == Storage::kAlias ? v.link : value;
  }
  Storage RootStorage(uint32_t value) const {
    return static_cast<Storage>(view_.values[Root(value)].storage);
  }
  bool IsDims(uint32_t value) const {
    return plan_->used_[Local(value)] &&
           static_cast<Storage>(view_.values[value].storage) == Storage::kDims;
  }
  const BucketDef& bucket() const { return view_.buckets[plan_->bucket_]; }
  uint32_t Local(uint32_t value) const { return value - plan_->values_.first; }
  // Whether its dims or content have symbols that the run has just found.
  bool IsChanged(uint32_t value) const;

  const PlanRequest& request_;
  const ProgramView& view_;
  ErrorSink* const e_;
  Plan draft_ = {};  // Ranges and counts, before there is memory.
  Plan* plan_ = nullptr;
  uint32_t uses_of_io_ = 0;
  PlanTables where_;
  Bump tables_{nullptr};
  int64_t scratch_ = 0;
  char* arena_ = nullptr;
  int64_t output_offset_ = 0;  // Of owned outputs, in the block.
  uint64_t changed_ = 0;       // Bit s: SetSize changes symbol s.
};

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_PLAN_BUILDER_H_
