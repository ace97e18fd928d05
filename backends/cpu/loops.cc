#include "backends/cpu/loops.h"

#include "backends/halo.h"

namespace floe::cpu {
int StorageAxis(const TensorInfo& t, int i) {
  if (t.layout != LayoutId::kChannelsLast || i == 0) return i;
  return i == t.rank - 1 ? 1 : i + 1;
}

void StartNest(const TensorInfo& y, LoopNest* nest) {
  *nest = LoopNest{};
  nest->axes = y.rank;
  nest->tensors = 1;
  int64_t strides[kMaxRank] = {};
  TensorStrides(y, strides, &nest->offset[0]);
  for (int i = 0; i < y.rank; ++i) {
    const int axis = StorageAxis(y, i);
    nest->size[i] = y.dims[axis];
    nest->stride[0][i] = strides[axis];
  }
}

void AddBroadcastOperand(const TensorInfo& y, const TensorInfo& operand, LoopNest* nest) {
  const int t = nest->tensors++;
  int64_t strides[kMaxRank] = {};
  TensorStrides(operand, strides, &nest->offset[t]);
  const int shift = y.rank - operand.rank;
  for (int i = 0; i < y.rank; ++i) {
    const int axis = StorageAxis(y, i) - shift;
    nest->stride[t][i] = axis >= 0 && operand.dims[axis] != 1 ? strides[axis] : 0;
  }
}

void CollapseNest(LoopNest* nest) {
  int kept = 0;
  for (int i = 0; i < nest->axes; ++i) {
    if (nest->size[i] == 1) continue;
    bool merge = kept > 0;
    for (int t = 0; t < nest->tensors && merge; ++t) {
      merge = nest->stride[t][kept - 1] == nest->stride[t][i] * nest->size[i];
    }
    const int to = merge ? kept - 1 : kept++;
    nest->size[to] = merge ? nest->size[to] * nest->size[i] : nest->size[i];
    for (int t = 0; t < nest->tensors; ++t) nest->stride[t][to] = nest->stride[t][i];
  }
  nest->axes = kept;
}

int64_t OuterIterations(const LoopNest& nest, int inner) {
  int64_t n = 1;
  for (int i = 0; i < nest.axes - inner; ++i) n *= nest.size[i];
  return n;
}

int64_t NestElements(const LoopNest& nest) { return OuterIterations(nest, 0); }

uint32_t TaskCount(int64_t work, int64_t grain, uint32_t workers) {
  if (work <= 0) return 0;
  if (workers <= 1) return 1;
  const int64_t wanted = int64_t{workers} * 4;
  const int64_t possible = (work + grain - 1) / grain;
  return static_cast<uint32_t>(possible < wanted ? possible : wanted);
}

bool HasHaloStorage(const TensorInfo& t) {
  return !t.halo.empty() && t.dims[0] > 0 && t.dims[1] > 0;
}

void ZeroHaloShare(const TensorInfo& t, void* base, uint32_t task, uint32_t tasks) {
  if (t.halo.empty()) return;
  const int64_t height = t.dims[2];
  if (height == 0) {
    int64_t begin, end;
    TaskShare(t.dims[0], task, tasks, &begin, &end);
    for (int64_t image = begin; image < end; ++image) ZeroHaloRows(t, base, image, 0, 0);
    return;
  }
  int64_t begin, end;
  TaskShare(t.dims[0] * height, task, tasks, &begin, &end);
  while (begin < end) {
    const int64_t image = begin / height, row = begin % height;
    const int64_t rows = end - begin < height - row ? end - begin : height - row;
    ZeroHaloRows(t, base, image, row, row + rows);
    begin += rows;
  }
}

}  // namespace floe::cpu
