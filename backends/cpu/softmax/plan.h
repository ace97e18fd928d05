// How softmax walks its tensors: the state of the kernel.
#ifndef FLOE_BACKENDS_CPU_SOFTMAX_PLAN_H_
#define FLOE_BACKENDS_CPU_SOFTMAX_PLAN_H_

#include <cstdint>

#include "backends/cpu/loops.h"

namespace floe::cpu {

struct SoftmaxPlan {
  // x is [outer, axis, inner]. The prologue runs over rows of the last logical axis.
  int64_t outer = 1, axis = 1, inner = 1;
  int64_t row = 1;             // Elements of the last logical axis.
  int64_t rows_per_outer = 1;  // axis * inner / row.
  // Tensor 0 is the result, tensor i the prologue's operand i - 1; not collapsed.
  LoopNest nest;
  int32_t registers = 1;
  uint32_t tasks = 1;
  bool log = false;
};

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_SOFTMAX_PLAN_H_
