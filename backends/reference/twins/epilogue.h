// Epilogue programs for the twins of GEMM-like families, one element at a time.
#ifndef FLOE_BACKENDS_REFERENCE_TWINS_EPILOGUE_H_
#define FLOE_BACKENDS_REFERENCE_TWINS_EPILOGUE_H_

#include <cstdint>

#include "backends/kernel.h"

namespace floe::reference::twins {

// Element `at` of a buffer of f32, f16 or bf16.
double NumberAt(DType dtype, const void* data, int64_t at);

// The epilogue of one instruction; operands start at input `extra`. Borrows `args`.
class TwinEpilogue {
 public:
  // channel_axis: the logical axis of the result that [C] operands follow; -1: none.
  TwinEpilogue(const KernelArgs& args, uint32_t extra, int channel_axis);

  // The result at logical index `index` of output 0 from the accumulator.
  float Apply(double accumulator, const int64_t* index) const;

 private:
  float Operand(uint32_t i, const int64_t* index) const;

  const KernelArgs& args_;
  uint32_t extra_;
  int channel_axis_;
};

// Stores Apply(accumulator, index) at `index` of output 0 (dense or channels-last, f32 or bf16).
class TwinResult {
 public:
  TwinResult(const KernelArgs& args, uint32_t extra, int channel_axis);
  void Store(double accumulator, const int64_t* index) const;

 private:
  TwinEpilogue epilogue_;
  void* base_;
  bool narrow_;
  int rank_;
  int64_t strides_[kMaxRank];
  int64_t offset_;
};

}  // namespace floe::reference::twins

#endif  // FLOE_BACKENDS_REFERENCE_TWINS_EPILOGUE_H_
