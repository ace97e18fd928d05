// Reductions over any axes. Two shapes of loop: results side by side in vector lanes, accumulated
// over the reduced axes; or a row along memory reduced in four vector accumulators. The order of
// additions depends on the shape only.
#include "backends/cpu/loops.h"
#include "backends/cpu/math.h"
#include "backends/cpu/reduce/plan.h"
#include "format/ops.h"

namespace floe::cpu::FLOE_ISA {
namespace {

template <ReduceKind kKind>
FLOE_INLINE float StartValue() {
  if constexpr (kKind == ReduceKind::kMax) return -__builtin_inff();
  if constexpr (kKind == ReduceKind::kMin) return __builtin_inff();
  return kKind == ReduceKind::kProd ? 1.0f : 0.0f;
}

// Maximum and minimum keep a NaN from either side.
template <ReduceKind kKind>
FLOE_INLINE F32 Merge(F32 a, F32 b) {
  if constexpr (kKind == ReduceKind::kMax) return Maximum(a, b);
  if constexpr (kKind == ReduceKind::kMin) return Minimum(a, b);
  return kKind == ReduceKind::kProd ? Mul(a, b) : Add(a, b);
}

template <ReduceKind kKind>
FLOE_INLINE F32 Accumulate(F32 acc, F32 v, F32 max) {
  if constexpr (kKind == ReduceKind::kL1) return Add(acc, Abs(v));
  if constexpr (kKind == ReduceKind::kL2 || kKind == ReduceKind::kSumSquare) {
    return MulAdd(v, v, acc);
  }
  if constexpr (kKind == ReduceKind::kLogSumExp) return Add(acc, Exp(Sub(v, max)));
  return Merge<kKind>(acc, v);
}

template <ReduceKind kKind>
FLOE_INLINE F32 FinishValue(F32 acc, F32 max, float count) {
  if constexpr (kKind == ReduceKind::kMean) return Div(acc, Broadcast(count));
  if constexpr (kKind == ReduceKind::kL2) return Sqrt(acc);
  if constexpr (kKind == ReduceKind::kLogSum) return Log(acc);
  if constexpr (kKind == ReduceKind::kLogSumExp) {
    // Of infinities the logarithm is the maximum itself (their difference is NaN).
    return Choose(Equal(Abs(max), Broadcast(__builtin_inff())), max, Add(Log(acc), max));
  }
  return acc;
}

// Results [lane, lane + width) of one outer index, width <= kVecs * kWidth.
template <ReduceKind kKind, int kVecs, bool kTail>
FLOE_INLINE void ReduceLanes(const ReducePlan& p, const float* x, int64_t tail, const F32* max,
                             F32* acc) {
  for (int v = 0; v < kVecs; ++v) acc[v] = Broadcast(StartValue<kKind>());
  for (int64_t i = 0; i < p.inner; ++i) {
    const float* from = x + AxesOffset(p.reduced, p.reduced.x_stride, i);
    for (int64_t r = 0; r < p.row; ++r, from += p.row_stride) {
      for (int v = 0; v < kVecs; ++v) {
        const F32 value = kTail ? LoadTail(from, tail) : Load(from + v * kWidth);
        acc[v] = Accumulate<kKind>(acc[v], value, max[v]);
      }
    }
  }
}

template <ReduceKind kKind, int kVecs, bool kTail>
FLOE_INLINE void LaneBlock(const ReducePlan& p, const float* x, int64_t tail, float* y) {
  F32 max[kVecs], acc[kVecs];
  for (int v = 0; v < kVecs; ++v) max[v] = Zero();
  if constexpr (kKind == ReduceKind::kLogSumExp) {
    F32 none[kVecs];
    for (int v = 0; v < kVecs; ++v) none[v] = Zero();
    ReduceLanes<ReduceKind::kMax, kVecs, kTail>(p, x, tail, none, max);
  }
  ReduceLanes<kKind, kVecs, kTail>(p, x, tail, max, acc);
  for (int v = 0; v < kVecs; ++v) {
    const F32 r = FinishValue<kKind>(acc[v], max[v], static_cast<float>(p.count));
    const int64_t n = kTail ? tail : kWidth;
    float* to = y + v * kWidth * p.lane_y_stride;
    if (p.lane_y_stride == 1) {
      if (kTail) {
        StoreTail(to, n, r);
      } else {
        Store(to, r);
      }
    } else {
      alignas(64) float values[kWidth];
      Store(values, r);
      for (int64_t i = 0; i < n; ++i) to[i * p.lane_y_stride] = values[i];
    }
  }
}

template <ReduceKind kKind>
void ReduceChunk(const ReducePlan& p, const float* x, int64_t lane, int64_t lane_end, float* y) {
  for (; lane + 4 * kWidth <= lane_end; lane += 4 * kWidth) {
    LaneBlock<kKind, 4, false>(p, x + lane, 0, y + lane * p.lane_y_stride);
  }
  for (; lane + kWidth <= lane_end; lane += kWidth) {
    LaneBlock<kKind, 1, false>(p, x + lane, 0, y + lane * p.lane_y_stride);
  }
  if (lane < lane_end) {
    LaneBlock<kKind, 1, true>(p, x + lane, lane_end - lane, y + lane * p.lane_y_stride);
  }
}

template <ReduceKind kKind>
FLOE_INLINE float HorizontalValue(F32 a) {
  alignas(64) float lanes[kWidth];
  Store(lanes, a);
  for (int w = kWidth / 2; w > 0; w /= 2) {
    for (int i = 0; i < w; ++i) {
      const float l = lanes[i], r = lanes[i + w];
      if constexpr (kKind == ReduceKind::kMax) {
        lanes[i] = l != l || l > r ? l : r;
      } else if constexpr (kKind == ReduceKind::kMin) {
        lanes[i] = l != l || l < r ? l : r;
      } else {
        lanes[i] = kKind == ReduceKind::kProd ? l * r : l + r;
      }
    }
  }
  return lanes[0];
}

// All elements of one result, as rows along memory.
template <ReduceKind kKind>
FLOE_INLINE float ReduceRows(const ReducePlan& p, const float* x, float max_value) {
  constexpr int kChains = 4;
  const F32 start = Broadcast(StartValue<kKind>());
  const F32 max = Broadcast(max_value);
  F32 acc[kChains];
  for (F32& a : acc) a = start;
  for (int64_t i = 0; i < p.inner; ++i) {
    const float* from = x + AxesOffset(p.reduced, p.reduced.x_stride, i);
    int64_t r = 0;
    if (p.row_stride == 1) {
      for (; r + kChains * kWidth <= p.row; r += kChains * kWidth) {
        for (int c = 0; c < kChains; ++c) {
          acc[c] = Accumulate<kKind>(acc[c], Load(from + r + c * kWidth), max);
        }
      }
      for (; r + kWidth <= p.row; r += kWidth) {
        acc[0] = Accumulate<kKind>(acc[0], Load(from + r), max);
      }
    }
    // What is left over, in one vector; the lanes past it keep what they have.
    while (r < p.row) {
      alignas(64) float rest[kWidth] = {};
      alignas(64) float sums[kWidth];
      alignas(64) float next[kWidth];
      int n = 0;
      for (; n < kWidth && r < p.row; ++n, ++r) rest[n] = from[r * p.row_stride];
      Store(sums, acc[1]);
      Store(next, Accumulate<kKind>(acc[1], Load(rest), max));
      for (int k = 0; k < n; ++k) sums[k] = next[k];
      acc[1] = Load(sums);
    }
  }
  constexpr ReduceKind kSum =
      kKind == ReduceKind::kMax || kKind == ReduceKind::kMin || kKind == ReduceKind::kProd
          ? kKind
          : ReduceKind::kSum;
  const F32 all = Merge<kSum>(Merge<kSum>(acc[0], acc[1]), Merge<kSum>(acc[2], acc[3]));
  return HorizontalValue<kSum>(all);
}

template <ReduceKind kKind>
void ReduceOne(const ReducePlan& p, const float* x, float* y) {
  float max = 0.0f;
  if constexpr (kKind == ReduceKind::kLogSumExp) max = ReduceRows<ReduceKind::kMax>(p, x, 0.0f);
  const F32 r = FinishValue<kKind>(Broadcast(ReduceRows<kKind>(p, x, max)), Broadcast(max),
                                   static_cast<float>(p.count));
  StoreTail(y, 1, r);
}

template <ReduceKind kKind>
void ReduceShare(const ReducePlan& p, const float* x, float* y, int64_t first, int64_t last) {
  for (int64_t unit = first; unit < last; ++unit) {
    const int64_t outer = unit / p.chunks;
    const float* from = x + p.x_offset + AxesOffset(p.kept, p.kept.x_stride, outer);
    float* to = y + AxesOffset(p.kept, p.kept.y_stride, outer);
    if (p.lanes == 1) {
      ReduceOne<kKind>(p, from, to);
    } else {
      const int64_t lane = unit % p.chunks * kLaneBlock;
      const int64_t end = lane + kLaneBlock < p.lanes ? lane + kLaneBlock : p.lanes;
      ReduceChunk<kKind>(p, from, lane, end, to);
    }
  }
}

using ShareFn = void (*)(const ReducePlan&, const float*, float*, int64_t, int64_t);

FLOE_INLINE ShareFn ShareOf(ReduceKind kind) {
  switch (kind) {
    case ReduceKind::kSum:
      return &ReduceShare<ReduceKind::kSum>;
    case ReduceKind::kMean:
      return &ReduceShare<ReduceKind::kMean>;
    case ReduceKind::kMax:
      return &ReduceShare<ReduceKind::kMax>;
    case ReduceKind::kMin:
      return &ReduceShare<ReduceKind::kMin>;
    case ReduceKind::kProd:
      return &ReduceShare<ReduceKind::kProd>;
    case ReduceKind::kL1:
      return &ReduceShare<ReduceKind::kL1>;
    case ReduceKind::kL2:
      return &ReduceShare<ReduceKind::kL2>;
    case ReduceKind::kLogSum:
      return &ReduceShare<ReduceKind::kLogSum>;
    case ReduceKind::kLogSumExp:
      return &ReduceShare<ReduceKind::kLogSumExp>;
    case ReduceKind::kSumSquare:
      return &ReduceShare<ReduceKind::kSumSquare>;
  }
  return nullptr;
}

}  // namespace

Status PrepareReduce(const OpInfo& op, const PrepareContext& context, void* state,
                     Schedule* schedule) {
  ReducePlan* plan = static_cast<ReducePlan*>(state);
  PlanReduce(op, context, plan);
  schedule->phases = 1;
  schedule->tasks = plan->tasks;
  schedule->variant =
      plan->lanes > 1 ? FLOE_VARIANT("f32_reduce_lanes") : FLOE_VARIANT("f32_reduce_rows");
  return OkStatus();
}

Rule RunReduce(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const ReducePlan& plan = *static_cast<const ReducePlan*>(args.state);
  const ShareFn share = ShareOf(static_cast<ReduceKind>(args.op->attrs[0]));
  for (uint32_t task = begin; task < end; ++task) {
    int64_t first, last;
    TaskShare(plan.outer * plan.chunks, task, plan.tasks, &first, &last);
    share(plan, static_cast<const float*>(args.inputs[0]), static_cast<float*>(args.outputs[0]),
          first, last);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
