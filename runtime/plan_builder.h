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

// Measures consecutive pieces of 64-byte aligned memory.
class Bump {
 public:
  // The piece's offset. False on overflow.
  bool Take(int64_t bytes, int64_t* offset);
  size_t size() const { return static_cast<size_t>(size_); }

 private:
  int64_t size_ = 0;
};

// Builds one plan.
class PlanBuilder {
 public:
  PlanBuilder(const PlanRequest& request, ErrorSink* e)
      : request_(request), view_(request.model->view()), e_(e) {}

  // Null, and an error, if there can be no plan.
  Plan* Build();
  // Plan::SetSize: the builder stays with its plan.
  bool SetSize(uint32_t index, int64_t value, ErrorSink* e);

 private:
  struct Table;
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
  void UseValue(uint32_t value);
  bool UseOperands(uint32_t index);
  bool FindUses();
  bool Describe(const int64_t* corner);
  bool DescribeValue(uint32_t value, const int64_t* corner);
  bool ListIo();
  bool CheckInstruction(uint32_t index);
  bool SizeStaging(const BlockDef& body);
  bool SizeTables(uint32_t index);
  bool AllocateTables();
  bool FillAllDims();
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
  bool DescribeOperands(uint32_t index);

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

  const PlanRequest request_;
  const ProgramView& view_;
  ErrorSink* e_;
  Status missing_;  // Why dims may have no value: the first symbol that has none.
  Plan draft_ = {};  // Ranges and counts, before there is memory.
  Plan* plan_ = nullptr;
  uint32_t uses_of_io_ = 0;
  Bump tables_;
  int64_t scratch_ = 0;
  char* arena_ = nullptr;
  int64_t output_offset_ = 0;  // Of owned outputs, in the block.
  bool stale_ = false;         // SetSize has failed: not all instructions are prepared.
};

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_PLAN_BUILDER_H_
