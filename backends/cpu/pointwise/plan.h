// How a stand-alone pointwise region walks its tensors: the state of the kernel.
#ifndef FLOE_BACKENDS_CPU_POINTWISE_PLAN_H_
#define FLOE_BACKENDS_CPU_POINTWISE_PLAN_H_

#include <cstdint>

#include "backends/cpu/loops.h"
#include "backends/kernel.h"

namespace floe::cpu {

struct PointwisePlan {
  // Tensor 0 is the result, tensor 1 + i is input i; the result's innermost stride is 1. A tile is
  // `rows` iterations of the second innermost axis by `cols` of the innermost one.
  LoopNest nest;
  int64_t rows = 1;
  int64_t cols = 0;
  int64_t tiles = 0;
  int32_t registers = 1;
  uint32_t tasks = 0;
};

// Fills *plan; as Prepare.
void PlanPointwise(const OpInfo& op, const PrepareContext& context, PointwisePlan* plan);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_POINTWISE_PLAN_H_
