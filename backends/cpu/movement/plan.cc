#include "backends/cpu/movement/plan.h"

#include <algorithm>
#include <cstring>

#include "backends/reference/element.h"
#include "format/attrs.h"
#include "format/checked.h"
#include "format/ops.h"

namespace floe::cpu {
namespace {

constexpr int64_t kUnitBytes = 16 << 10;  // Copied by a unit where one axis allows it.
constexpr int64_t kTaskBytes = 64 << 10;  // Worth another task.

// A box over y's elements in storage order; x strides are filled by the caller.
MoveBox BoxOver(const LoopNest& nest) {
  MoveBox box;
  box.axes = nest.axes;
  box.y_offset = nest.offset[0];
  box.x_offset = nest.offset[1];
  for (int a = 0; a < nest.axes; ++a) {
    box.size[a] = nest.size[a];
    box.y_stride[a] = nest.stride[0][a];
    box.x_stride[a] = nest.stride[1][a];
  }
  return box;
}

void MoveAxisTo(MoveBox* box, int from, int to) {
  const auto shift = [&](int64_t* v) {
    const int64_t moved = v[from];
    for (int a = from; a < to; ++a) v[a] = v[a + 1];
    v[to] = moved;
  };
  shift(box->size);
  shift(box->x_stride);
  shift(box->y_stride);
}

// Chooses how a collapsed nest is copied.
MoveBox MakeBox(LoopNest* nest, int64_t element_size) {
  CollapseNest(nest);
  if (nest->axes == 0) {
    nest->axes = 1;
    nest->size[0] = 1;
    nest->stride[0][0] = nest->stride[1][0] = 1;
  }
  MoveBox box = BoxOver(*nest);
  const int last = box.axes - 1;
  int64_t elements = 1;
  for (int a = 0; a < box.axes; ++a) elements *= box.size[a];
  if (box.x_stride[last] == 1 && box.y_stride[last] == 1) {
    box.kind = MoveBox::Kind::kRows;
    box.block = std::max<int64_t>(kUnitBytes / element_size, 1);
  } else {
    box.kind = MoveBox::Kind::kStrided;
    box.block = std::max<int64_t>(kUnitBytes / element_size / 4, 1);
    int along_x = -1;
    for (int a = 0; a < last; ++a) {
      if (box.x_stride[a] == 1 && box.size[a] > 1) along_x = a;
    }
    if (elements > 0 && along_x >= 0 && box.y_stride[last] == 1 && box.x_stride[last] != 0) {
      box.kind = MoveBox::Kind::kTranspose;
      MoveAxisTo(&box, along_x, last - 1);
      const int64_t columns = kUnitBytes / element_size / box.size[last];
      box.block = std::max<int64_t>(RoundUp(columns, 16), 16);
    }
  }
  const int blocked = box.kind == MoveBox::Kind::kTranspose ? last - 1 : last;
  if (elements > 0) {
    box.blocks = CeilDiv(box.size[blocked], box.block);
    box.units = box.blocks;
    for (int a = 0; a < box.axes; ++a) {
      const bool inside = a == blocked || (box.kind == MoveBox::Kind::kTranspose && a == last);
      if (!inside) box.units *= box.size[a];
    }
  }
  return box;
}

void FinishPlan(const OpInfo& op, const PrepareContext& context, MovePlan* plan) {
  const TensorInfo& y = op.outputs[0];
  plan->units = 0;
  for (uint32_t i = 0; i < plan->boxes; ++i) plan->units += plan->box()[i].units;
  int64_t elements = 0;
  (void)ElementCount(y, &elements);
  plan->tasks = std::min(TaskCount(elements * plan->element_size, kTaskBytes, context.workers),
                         static_cast<uint32_t>(std::min<int64_t>(plan->units, 1 << 20)));
  if (plan->tasks == 0 && (HasHaloStorage(y) || plan->fill_bytes > 0)) plan->tasks = 1;
}

void StartPlan(const OpInfo& op, uint32_t boxes, MovePlan* plan) {
  *plan = MovePlan{};
  plan->boxes = boxes;
  plan->element_size = static_cast<int32_t>(DTypeSize(op.outputs[0].dtype));
}

// Strides of x for y's storage axes through `axis_of`: the x axis of a logical y axis.
template <class F>
void AddMappedOperand(const TensorInfo& y, const TensorInfo& x, F&& map, LoopNest* nest) {
  int64_t strides[kMaxRank] = {};
  nest->tensors = 2;
  TensorStrides(x, strides, &nest->offset[1]);
  for (int i = 0; i < y.rank; ++i) {
    const int axis = StorageAxis(y, i);
    nest->stride[1][i] = map(axis, strides);
  }
}

uint64_t FillBits(DType dtype, double value) {
  uint64_t bits = 0;
  const auto put = [&](auto v) { std::memcpy(&bits, &v, sizeof(v)); };
  switch (dtype) {
    case DType::kF32:
      put(static_cast<float>(value));
      break;
    case DType::kF64:
      put(value);
      break;
    case DType::kF16:
      put(reference::Narrow16<10, 15>::FromDouble(value));
      break;
    case DType::kBF16:
      put(reference::Narrow16<7, 127>::FromDouble(value));
      break;
    case DType::kBool:
      put(static_cast<uint8_t>(value != 0 ? 1 : 0));
      break;
    case DType::kU64:
      // The check has bounded the value by the type's range.
      put(static_cast<uint64_t>(value));
      break;
    default:
      put(static_cast<int64_t>(value));  // Little-endian: narrower integers are the low bytes.
      break;
  }
  return bits;
}

}  // namespace

void PlanCopy(const OpInfo& op, const PrepareContext& context, MovePlan* plan) {
  StartPlan(op, 1, plan);
  LoopNest nest;
  StartNest(op.outputs[0], &nest);
  AddBroadcastOperand(op.outputs[0], op.inputs[0], &nest);
  plan->box()[0] = MakeBox(&nest, plan->element_size);
  FinishPlan(op, context, plan);
}

void PlanExpand(const OpInfo& op, const PrepareContext& context, MovePlan* plan) {
  PlanCopy(op, context, plan);
}

void PlanTranspose(const OpInfo& op, const PrepareContext& context, MovePlan* plan) {
  StartPlan(op, 1, plan);
  LoopNest nest;
  StartNest(op.outputs[0], &nest);
  AddMappedOperand(
      op.outputs[0], op.inputs[0],
      [&](int axis, const int64_t* strides) { return strides[op.attrs[axis]]; }, &nest);
  plan->box()[0] = MakeBox(&nest, plan->element_size);
  FinishPlan(op, context, plan);
}

void PlanSlice(const OpInfo& op, const PrepareContext& context, MovePlan* plan) {
  StartPlan(op, 1, plan);
  const TensorInfo& y = op.outputs[0];
  const int64_t* starts = op.attrs;
  const int64_t* steps = op.attrs + y.rank;
  int64_t elements = 0;
  (void)ElementCount(y, &elements);
  LoopNest nest;
  StartNest(y, &nest);
  // Steps of axes of one element are not bounded by the check; they are never used.
  AddMappedOperand(
      y, op.inputs[0],
      [&](int axis, const int64_t* strides) {
        return y.dims[axis] > 1 && elements > 0 ? strides[axis] * steps[axis] : 0;
      },
      &nest);
  if (elements > 0) {
    int64_t strides[kMaxRank] = {}, offset;
    TensorStrides(op.inputs[0], strides, &offset);
    for (int a = 0; a < y.rank; ++a) nest.offset[1] += starts[a] * strides[a];
  }
  plan->box()[0] = MakeBox(&nest, plan->element_size);
  FinishPlan(op, context, plan);
}

void PlanConcat(const OpInfo& op, const PrepareContext& context, MovePlan* plan) {
  StartPlan(op, op.input_count, plan);
  const TensorInfo& y = op.outputs[0];
  const int64_t axis = op.attrs[0];
  int64_t strides[kMaxRank] = {}, offset;
  TensorStrides(y, strides, &offset);
  int64_t at = 0;
  for (uint32_t i = 0; i < op.input_count; ++i) {
    const TensorInfo& x = op.inputs[i];
    LoopNest nest;
    StartNest(y, &nest);
    for (int a = 0; a < y.rank; ++a) nest.size[a] = x.dims[StorageAxis(y, a)];
    AddMappedOperand(
        y, x, [](int a, const int64_t* s) { return s[a]; }, &nest);
    nest.offset[0] += at * strides[axis];
    at += x.dims[axis];
    plan->box()[i] = MakeBox(&nest, plan->element_size);
  }
  FinishPlan(op, context, plan);
}

void PlanPad(const OpInfo& op, const PrepareContext& context, MovePlan* plan) {
  StartPlan(op, 1, plan);
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& y = op.outputs[0];
  const int64_t* before = op.attrs + 2;
  plan->fill = true;
  plan->fill_value = FillBits(y.dtype, WordFloat(op.attrs[1]));
  int64_t bytes = 0;
  (void)TensorBytes(y, &bytes);
  plan->fill_bytes = bytes;
  int64_t x_strides[kMaxRank] = {}, y_strides[kMaxRank] = {}, offset;
  TensorStrides(x, x_strides, &offset);
  TensorStrides(y, y_strides, &offset);
  LoopNest nest;
  StartNest(y, &nest);
  AddMappedOperand(
      y, x, [](int a, const int64_t* s) { return s[a]; }, &nest);
  // The box of y that x's elements fill; coordinates [first, last) of y.
  bool empty = false, all = true;
  for (int i = 0; i < y.rank; ++i) {
    const int a = StorageAxis(y, i);
    const int64_t first = std::clamp<int64_t>(before[a], 0, y.dims[a]);
    const int64_t last = std::clamp<int64_t>(before[a] + x.dims[a], first, y.dims[a]);
    nest.size[i] = last - first;
    empty |= last == first;
    all &= last - first == y.dims[a];
  }
  if (empty) {
    for (int i = 0; i < y.rank; ++i) nest.size[i] = 0;
  } else {
    for (int a = 0; a < y.rank; ++a) {
      const int64_t first = std::clamp<int64_t>(before[a], 0, y.dims[a]);
      nest.offset[0] += first * y_strides[a];
      nest.offset[1] += (first - before[a]) * x_strides[a];
    }
  }
  if (all) plan->fill_bytes = 0;
  plan->box()[0] = MakeBox(&nest, plan->element_size);
  FinishPlan(op, context, plan);
}

int64_t PadSource(uint8_t mode, int64_t i, int64_t size) {
  if (i >= 0 && i < size) return i;
  switch (static_cast<PadMode>(mode)) {
    case PadMode::kWrap: {
      const int64_t r = i % size;
      return r < 0 ? r + size : r;
    }
    case PadMode::kReflect: {
      if (size == 1) return 0;
      const int64_t period = 2 * (size - 1);
      int64_t r = i % period;
      if (r < 0) r += period;
      return r < size ? r : period - r;
    }
    default:
      return i < 0 ? 0 : size - 1;
  }
}

void PlanPadIndexed(const OpInfo& op, const PrepareContext& context, PadPlan* plan) {
  *plan = PadPlan{};
  plan->mode = static_cast<uint8_t>(op.attrs[0]);
  plan->constant = static_cast<PadMode>(plan->mode) == PadMode::kConstant;
  if (plan->constant) {
    PlanPad(op, context, plan->move());
    plan->tasks = plan->move()->tasks;
    return;
  }
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& y = op.outputs[0];
  plan->rank = y.rank;
  plan->element_size = static_cast<int32_t>(DTypeSize(y.dtype));
  int64_t x_strides[kMaxRank] = {}, y_strides[kMaxRank] = {};
  TensorStrides(x, x_strides, &plan->x_offset);
  TensorStrides(y, y_strides, &plan->y_offset);
  int64_t elements = 1;
  for (int i = 0; i < y.rank; ++i) {
    const int a = StorageAxis(y, i);
    plan->size[i] = y.dims[a];
    plan->source_size[i] = x.dims[a];
    plan->before[i] = op.attrs[2 + a];
    plan->x_stride[i] = x_strides[a];
    plan->y_stride[i] = y_strides[a];
    elements *= y.dims[a];
  }
  plan->rows = elements > 0 ? elements / (y.rank > 0 ? plan->size[y.rank - 1] : 1) : 0;
  plan->tasks = std::min(TaskCount(elements * plan->element_size, kTaskBytes, context.workers),
                         static_cast<uint32_t>(std::min<int64_t>(plan->rows, 1 << 20)));
  if (plan->tasks == 0 && HasHaloStorage(y)) plan->tasks = 1;
}

}  // namespace floe::cpu
