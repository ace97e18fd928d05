// The pointwise family: stand-alone regions over whole tensors, tile by tile through the VM.
#include "backends/cpu/lanes.h"
#include "backends/cpu/narrow.h"
#include "backends/cpu/pointwise/plan.h"
#include "backends/cpu/pointwise/tile_vm.h"
#include "backends/cpu/simd.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// Where a walk over tiles stands.
struct TileCursor {
  int64_t index[kMaxRank];          // Of the outer axes; then row and column.
  int64_t offset[kMaxLoopTensors];  // Elements, of the outer axes.
};

FLOE_INLINE void StartCursor(const PointwisePlan& plan, int64_t tile, TileCursor* cursor) {
  const LoopNest& n = plan.nest;
  const int inner = n.axes - 1, second = n.axes - 2;
  const int64_t col_tiles = (n.size[inner] + plan.cols - 1) / plan.cols;
  const int64_t row_tiles = (n.size[second] + plan.rows - 1) / plan.rows;
  cursor->index[inner] = tile % col_tiles * plan.cols;
  tile /= col_tiles;
  cursor->index[second] = tile % row_tiles * plan.rows;
  tile /= row_tiles;
  for (int a = second - 1; a >= 0; --a) {
    cursor->index[a] = tile % n.size[a];
    tile /= n.size[a];
  }
  for (int t = 0; t < n.tensors; ++t) {
    int64_t at = n.offset[t];
    for (int a = 0; a < second; ++a) at += cursor->index[a] * n.stride[t][a];
    cursor->offset[t] = at;
  }
}

FLOE_INLINE void AdvanceCursor(const PointwisePlan& plan, TileCursor* cursor) {
  const LoopNest& n = plan.nest;
  const int inner = n.axes - 1, second = n.axes - 2;
  cursor->index[inner] += plan.cols;
  if (cursor->index[inner] < n.size[inner]) return;
  cursor->index[inner] = 0;
  cursor->index[second] += plan.rows;
  if (cursor->index[second] < n.size[second]) return;
  cursor->index[second] = 0;
  for (int a = second - 1; a >= 0; --a) {
    if (++cursor->index[a] < n.size[a]) {
      for (int t = 0; t < n.tensors; ++t) cursor->offset[t] += n.stride[t][a];
      return;
    }
    cursor->index[a] = 0;
    for (int t = 0; t < n.tensors; ++t) cursor->offset[t] -= (n.size[a] - 1) * n.stride[t][a];
  }
}

// To the nearest integer, ties to even, saturating; NaN gives the least. (The offset makes signed
// bytes of unsigned ones.)
FLOE_INLINE void StoreBytes(const float* x, int64_t n, bool is_signed, uint8_t* y) {
  const F32 low = Broadcast(is_signed ? -128.0f : 0.0f);
  const F32 high = Broadcast(is_signed ? 127.0f : 255.0f);
  alignas(64) int32_t lanes[kWidth];
  for (int64_t i = 0; i < n; i += kWidth) {
    const int64_t count = n - i < kWidth ? n - i : kWidth;
    const F32 v = count == kWidth ? Load(x + i) : LoadTail(x + i, count);
    const I32 q = ToInt(MinOrSecond(MaxOrSecond(v, low), high));
#if defined(FLOE_ISA_AVX512)
    _mm_mask_storeu_epi8(y + i, TailMask(count), _mm512_cvtepi32_epi8(q));
    static_cast<void>(lanes);
#else
    Store(reinterpret_cast<float*>(lanes), FromBits(q));
    for (int64_t j = 0; j < count; ++j) y[i + j] = static_cast<uint8_t>(lanes[j]);
#endif
  }
}

FLOE_INLINE void StoreBrains(const float* x, int64_t n, uint16_t* y) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) StoreBrain(y + i, Load(x + i));
  if (i < n) StoreBrainTail(y + i, n - i, LoadTail(x + i, n - i));
}

FLOE_INLINE void RunRegionTile(const KernelArgs& args, const PointwisePlan& plan,
                               const TileCursor& cursor) {
  const OpInfo& op = *args.op;
  const LoopNest& n = plan.nest;
  const int inner = n.axes - 1, second = n.axes - 2;
  const int64_t row = cursor.index[second], col = cursor.index[inner];
  const int64_t rows_left = n.size[second] - row, cols_left = n.size[inner] - col;
  const int64_t rows = plan.rows < rows_left ? plan.rows : rows_left;
  const int64_t cols = plan.cols < cols_left ? plan.cols : cols_left;
  TileView views[kPwMaxOperands];
  for (uint32_t i = 0; i < op.input_count; ++i) {
    const int t = static_cast<int>(i) + 1;
    const int64_t at = cursor.offset[t] + row * n.stride[t][second] + col * n.stride[t][inner];
    views[i] = {static_cast<const char*>(args.inputs[i]) + at * DTypeSize(op.inputs[i].dtype),
                n.stride[t][second], n.stride[t][inner], op.inputs[i].dtype};
  }
  const int64_t at = cursor.offset[0] + row * n.stride[0][second] + col;
  const int64_t row_stride = n.stride[0][second];
  if (op.outputs[0].dtype == DType::kF32) {
    RunTileProgram(op.code, op.code_count, plan.registers, views, nullptr, rows, cols,
                   {static_cast<float*>(args.outputs[0]) + at, row_stride});
    return;
  }
  alignas(64) float result[1024];
  RunTileProgram(op.code, op.code_count, plan.registers, views, nullptr, rows, cols,
                 {result, cols});
  if (op.outputs[0].dtype == DType::kBF16) {
    uint16_t* y16 = static_cast<uint16_t*>(args.outputs[0]) + at;
    for (int64_t r = 0; r < rows; ++r) StoreBrains(result + r * cols, cols, y16 + r * row_stride);
    return;
  }
  uint8_t* y = static_cast<uint8_t*>(args.outputs[0]) + at;
  if (op.outputs[0].dtype != DType::kBool) {
    const bool is_signed = op.outputs[0].dtype == DType::kI8;
    for (int64_t r = 0; r < rows; ++r) {
      StoreBytes(result + r * cols, cols, is_signed, y + r * row_stride);
    }
    return;
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < cols; ++i) y[r * row_stride + i] = result[r * cols + i] != 0 ? 1 : 0;
  }
}

}  // namespace

Status PreparePointwise(const OpInfo& op, const PrepareContext& context, void* state,
                        Schedule* schedule) {
  PointwisePlan* plan = static_cast<PointwisePlan*>(state);
  PlanPointwise(op, context, plan);
  schedule->phases = 1;
  schedule->tasks = plan->tasks;
  schedule->variant = FLOE_VARIANT("f32_pointwise");
  return OkStatus();
}

Rule RunPointwise(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const PointwisePlan& plan = *static_cast<const PointwisePlan*>(args.state);
  for (uint32_t task = begin; task < end; ++task) {
    ZeroHaloShare(args.op->outputs[0], args.outputs[0], task, plan.tasks);
    int64_t first, last;
    TaskShare(plan.tiles, task, plan.tasks, &first, &last);
    if (first == last) continue;
    TileCursor cursor;
    StartCursor(plan, first, &cursor);
    for (int64_t tile = first; tile < last; ++tile) {
      RunRegionTile(args, plan, cursor);
      AdvanceCursor(plan, &cursor);
    }
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
