// Layer norm (Ba et al. 2016) and RMS norm (Zhang and Sennrich 2019): two passes over each row
// while it is in L1, the mean first and then the centred squares, so that nothing cancels.
#include "backends/cpu/loops.h"
#include "backends/cpu/sums.h"
#include "backends/kernel.h"
#include "format/attrs.h"

namespace floe::cpu::FLOE_ISA {
namespace {

struct NormRow {
  int64_t width;
  const float* scale;  // Null: 1.
  const float* bias;   // Null: 0.
  float epsilon;
  bool rms;
};

// Sum of (x - mean)^power over the row.
template <bool kSquares>
FLOE_INLINE float SumRow(const float* x, int64_t width, float mean) {
  const F32 m = Broadcast(mean);
  return SumPieces(
      width, [&](int64_t first, int64_t count, F32(&acc)[kSumVecs]) __attribute__((always_inline)) {
        AccumulateRow(
            x + first, count, acc, [&](F32 a, F32 v) __attribute__((always_inline)) {
              if constexpr (!kSquares) return Add(a, v);
              const F32 d = Sub(v, m);
              return MulAdd(d, d, a);
            });
      });
}

void NormOne(const NormRow& p, const float* x, float* y) {
  const float width = static_cast<float>(p.width);
  const float mean = p.rms ? 0.0f : SumRow<false>(x, p.width, 0.0f) / width;
  const float variance = SumRow<true>(x, p.width, mean) / width;
  const F32 inverse = Div(Broadcast(1.0f), Sqrt(Broadcast(variance + p.epsilon)));
  const F32 m = Broadcast(mean);
  for (int64_t i = 0; i < p.width; i += kWidth) {
    const int64_t n = p.width - i;
    const bool whole = n >= kWidth;
    F32 v = Mul(Sub(whole ? Load(x + i) : LoadTail(x + i, n), m), inverse);
    if (p.scale != nullptr) v = Mul(v, whole ? Load(p.scale + i) : LoadTail(p.scale + i, n));
    if (p.bias != nullptr) v = Add(v, whole ? Load(p.bias + i) : LoadTail(p.bias + i, n));
    if (whole) {
      Store(y + i, v);
    } else {
      StoreTail(y + i, n, v);
    }
  }
}

FLOE_INLINE void RowsAndWidth(const OpInfo& op, int64_t* rows, int64_t* width) {
  *rows = 1;
  *width = 1;
  for (int a = 0; a < op.inputs[0].rank; ++a) {
    *(a < op.attrs[1] ? rows : width) *= op.inputs[0].dims[a];
  }
}

}  // namespace

Status PrepareNorm(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule) {
  int64_t rows, width;
  RowsAndWidth(op, &rows, &width);
  schedule->phases = 1;
  schedule->tasks =
      rows == 0 || width == 0 ? 0 : TaskCount(rows, 8192 / width + 1, context.workers);
  schedule->variant =
      op.attrs[0] != 0 ? FLOE_VARIANT("f32_rms_norm") : FLOE_VARIANT("f32_layer_norm");
  *static_cast<uint32_t*>(state) = schedule->tasks;
  return OkStatus();
}

Rule RunNorm(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const OpInfo& op = *args.op;
  int64_t rows;
  NormRow row;
  RowsAndWidth(op, &rows, &row.width);
  row.scale = static_cast<const float*>(args.inputs[1]);
  row.bias = static_cast<const float*>(args.inputs[2]);
  row.epsilon = static_cast<float>(WordFloat(op.attrs[2]));
  row.rms = op.attrs[0] != 0;
  const uint32_t tasks = *static_cast<const uint32_t*>(args.state);
  const float* x = static_cast<const float*>(args.inputs[0]);
  float* y = static_cast<float*>(args.outputs[0]);
  for (uint32_t task = begin; task < end; ++task) {
    int64_t first, last;
    TaskShare(rows, task, tasks, &first, &last);
    for (int64_t r = first; r < last; ++r) NormOne(row, x + r * row.width, y + r * row.width);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
