// Loop nests over tensors, shared by the kernels that walk strided data: built once at Prepare,
// kept in the kernel's state, the same for all ISAs.
#ifndef FLOE_BACKENDS_CPU_LOOPS_H_
#define FLOE_BACKENDS_CPU_LOOPS_H_

#include <cstdint>

#include "format/pointwise.h"
#include "format/tensor_info.h"

namespace floe::cpu {

inline constexpr int kMaxLoopTensors = 1 + static_cast<int>(kPwMaxOperands) + 1;

// Element `index` of tensor t is at offset[t] + sum of index[a] * stride[t][a]; axis 0 is the
// outermost. Tensor 0 is the one that is written.
struct LoopNest {
  int axes = 0;
  int tensors = 0;
  int64_t size[kMaxRank] = {};
  int64_t stride[kMaxLoopTensors][kMaxRank] = {};
  int64_t offset[kMaxLoopTensors] = {};
};

// Logical axis of storage position `i` of `t`, outermost first.
int StorageAxis(const TensorInfo& t, int i);
// Starts a nest over y's elements in storage order, with y as tensor 0.
void StartNest(const TensorInfo& y, LoopNest* nest);
// Adds an operand that is broadcast to y as numpy does (right-aligned logical axes).
void AddBroadcastOperand(const TensorInfo& y, const TensorInfo& operand, LoopNest* nest);
// Drops axes of one element and merges neighbours that all tensors walk as one.
void CollapseNest(LoopNest* nest);
// Iterations of all axes but the `inner` innermost ones.
int64_t OuterIterations(const LoopNest& nest, int inner);
int64_t NestElements(const LoopNest& nest);

// How many tasks for `work` units of which a task should have at least `grain`: a few for each
// worker, so that a worker that is late can be helped; one when there is one worker.
uint32_t TaskCount(int64_t work, int64_t grain, uint32_t workers);

// The share of task `task` of `tasks` in `units`: [begin, end).
inline void TaskShare(int64_t units, uint32_t task, uint32_t tasks, int64_t* begin, int64_t* end) {
  const int64_t each = units / tasks, rest = units % tasks;
  *begin = each * task + (task < rest ? task : rest);
  *end = *begin + each + (task < rest ? 1 : 0);
}

// Zeroes the share of task `task` in the halo of `t`, whatever the layout.
void ZeroHaloShare(const TensorInfo& t, void* base, uint32_t task, uint32_t tasks);
// True if a tensor without elements still has halo pixels to be written.
bool HasHaloStorage(const TensorInfo& t);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_LOOPS_H_
