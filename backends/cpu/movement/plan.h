// How the data-moving families walk their tensors: lists of strided block copies, made at Prepare.
//
// Copy, transpose, slice, expand, concat and constant pad are all one thing: boxes of elements with
// a stride per axis on both sides. Only the sizes of elements matter, not their types.
#ifndef FLOE_BACKENDS_CPU_MOVEMENT_PLAN_H_
#define FLOE_BACKENDS_CPU_MOVEMENT_PLAN_H_

#include <cstdint>

#include "backends/cpu/loops.h"
#include "backends/kernel.h"

namespace floe::cpu {

// One box. Element `index` goes from x_offset + index . x_stride to y_offset + index . y_stride.
// Units (the grain of tasks) are blocks of the last axis within the outer axes.
struct MoveBox {
  enum class Kind : uint8_t {
    kRows,       // Both innermost strides are 1: memcpy.
    kTranspose,  // Two innermost axes: (b, a), y stride 1 along a, x stride 1 along b.
    kStrided,
  };
  Kind kind = Kind::kRows;
  int axes = 1;
  int64_t size[kMaxRank] = {};
  int64_t x_stride[kMaxRank] = {};
  int64_t y_stride[kMaxRank] = {};
  int64_t x_offset = 0;
  int64_t y_offset = 0;
  int64_t block = 1;   // Elements of the blocked axis in a unit: the last, of kTranspose axis b.
  int64_t blocks = 0;  // Of that axis.
  int64_t units = 0;
};

// A list of boxes, box i from input i; or one box from input 0. With fill, phase 0 fills y.
struct MovePlan {
  uint32_t boxes = 0;
  uint32_t tasks = 0;
  int32_t element_size = 0;
  bool fill = false;
  int64_t units = 0;        // Of all boxes.
  uint64_t fill_value = 0;  // The element's bytes.
  int64_t fill_bytes = 0;
  // MoveBox[boxes] follow.

  MoveBox* box() { return reinterpret_cast<MoveBox*>(this + 1); }
  const MoveBox* box() const { return reinterpret_cast<const MoveBox*>(this + 1); }
};
constexpr int64_t MovePlanBytes(uint32_t boxes) {
  return static_cast<int64_t>(sizeof(MovePlan) + boxes * sizeof(MoveBox));
}

// As Prepare; the op has passed its family's Check.
void PlanCopy(const OpInfo& op, const PrepareContext& context, MovePlan* plan);
void PlanTranspose(const OpInfo& op, const PrepareContext& context, MovePlan* plan);
void PlanSlice(const OpInfo& op, const PrepareContext& context, MovePlan* plan);
void PlanExpand(const OpInfo& op, const PrepareContext& context, MovePlan* plan);
void PlanConcat(const OpInfo& op, const PrepareContext& context, MovePlan* plan);
void PlanPad(const OpInfo& op, const PrepareContext& context,
             MovePlan* plan);  // PadMode::kConstant

// Pad by reflection, repetition or wrapping: y's rows (storage order), each element from the
// source coordinate that PadSource gives.
struct PadPlan {
  bool constant = false;  // Then the MovePlan that follows is used.
  uint8_t mode = 0;
  uint8_t rank = 0;
  int32_t element_size = 0;
  uint32_t tasks = 0;
  int64_t rows = 0;
  // By storage axis of y, outermost first.
  int64_t size[kMaxRank] = {};
  int64_t source_size[kMaxRank] = {};
  int64_t before[kMaxRank] = {};
  int64_t x_stride[kMaxRank] = {};
  int64_t y_stride[kMaxRank] = {};
  int64_t x_offset = 0;
  int64_t y_offset = 0;

  MovePlan* move() { return reinterpret_cast<MovePlan*>(this + 1); }
  const MovePlan* move() const { return reinterpret_cast<const MovePlan*>(this + 1); }
};
static_assert(sizeof(PadPlan) % 8 == 0 && sizeof(MovePlan) % 8 == 0);
void PlanPadIndexed(const OpInfo& op, const PrepareContext& context, PadPlan* plan);
// Source coordinate of coordinate `i` (before is subtracted) on an axis of `size` > 0 elements.
int64_t PadSource(uint8_t mode, int64_t i, int64_t size);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_MOVEMENT_PLAN_H_
