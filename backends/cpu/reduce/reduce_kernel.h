// Reductions over any axes. Two shapes of loop: results side by side in vector lanes, accumulated
// over the reduced axes; or a row along memory dealt to lanes (sums.h). The order of additions
// depends on the shape only.
#include "backends/cpu/loops.h"
#include "backends/cpu/math.h"
#include "backends/cpu/reduce/plan.h"
#include "backends/cpu/sums.h"
#include "format/ops.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// Whether results are sums, whose chains of additions are kept short.
template <ReduceKind kKind>
inline constexpr bool kSums =
    kKind != ReduceKind::kMax&& kKind != ReduceKind::kMin&& kKind != ReduceKind::kProd;

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

// Results [lane, lane + width) of one outer index, width <= kVecs * kWidth. kBlocks: in more chains
// than one.
template <ReduceKind kKind, int kVecs, bool kTail, bool kBlocks>
FLOE_INLINE void ReduceLanes(const ReducePlan& p, const float* x, int64_t tail, const F32* max,
                             F32 (&acc)[kVecs]) {
  F32 block[kVecs];
  FLOE_UNROLL
  for (int v = 0; v < kVecs; ++v) block[v] = Broadcast(StartValue<kKind>());
  BlockSums<kVecs> sums;
  int64_t room = kSumChain;
  const int64_t row = p.row, stride = p.row_stride;
  for (int64_t i = 0; i < p.inner; ++i) {
    const float* from = x + AxesOffset(p.reduced, p.reduced.x_stride, i);
    for (int64_t r = 0; r < row;) {
      const int64_t end = kBlocks && room < row - r ? r + room : row;
      if (kBlocks) room -= end - r;
      for (; r < end; ++r, from += stride) {
        FLOE_UNROLL
        for (int v = 0; v < kVecs; ++v) {
          const F32 value = kTail ? LoadTail(from, tail) : Load(from + v * kWidth);
          block[v] = Accumulate<kKind>(block[v], value, max[v]);
        }
      }
      if (!kBlocks || room > 0) continue;
      sums.Take(block);
      room = kSumChain;
    }
  }
  if (kBlocks) sums.AddTo(block);
  FLOE_UNROLL
  for (int v = 0; v < kVecs; ++v) acc[v] = block[v];
}

template <ReduceKind kKind, int kVecs, bool kTail>
FLOE_INLINE void LaneBlock(const ReducePlan& p, const float* x, int64_t tail, float* y) {
  F32 max[kVecs], acc[kVecs];
  for (int v = 0; v < kVecs; ++v) max[v] = Zero();
  if constexpr (kKind == ReduceKind::kLogSumExp) {
    F32 none[kVecs];
    for (int v = 0; v < kVecs; ++v) none[v] = Zero();
    ReduceLanes<ReduceKind::kMax, kVecs, kTail, false>(p, x, tail, none, max);
  }
  if (kSums<kKind> && p.count > kSumChain) {
    ReduceLanes<kKind, kVecs, kTail, kSums<kKind>>(p, x, tail, max, acc);
  } else {
    ReduceLanes<kKind, kVecs, kTail, false>(p, x, tail, max, acc);
  }
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

// All elements of one result, as rows along memory. kBlocks: in more chains than one.
template <ReduceKind kKind, bool kBlocks>
FLOE_INLINE float ReduceRows(const ReducePlan& p, const float* x, float max_value) {
  const F32 max = Broadcast(max_value);
  const auto step = [&](F32 a, F32 v) __attribute__((always_inline)) {
    return Accumulate<kKind>(a, v, max);
  };
  BlockSums<kSumVecs> sums;
  F32 acc[kSumVecs];
  FLOE_UNROLL
  for (int v = 0; v < kSumVecs; ++v) acc[v] = Broadcast(StartValue<kKind>());
  int64_t room = kSumChain;
  for (int64_t i = 0; i < p.inner; ++i) {
    const float* from = x + AxesOffset(p.reduced, p.reduced.x_stride, i);
    for (int64_t r = 0; r < p.row;) {
      int64_t count = p.row - r;
      if (p.row_stride == 1) {
        if (kBlocks && count > room * kSumLanes) count = room * kSumLanes;
        AccumulateRow(from + r, count, acc, step);
      } else {
        alignas(64) float next[kSumLanes];
        if (count > kSumLanes) count = kSumLanes;
        for (int64_t k = 0; k < count; ++k) next[k] = from[(r + k) * p.row_stride];
        AccumulateRow(next, count, acc, step);
      }
      r += count;
      if constexpr (kBlocks) {
        room -= (count + kSumLanes - 1) / kSumLanes;
        if (room > 0) continue;
        sums.Take(acc);
        room = kSumChain;
      }
    }
  }
  if constexpr (kBlocks) sums.AddTo(acc);
  constexpr ReduceKind kMerge = kSums<kKind> ? ReduceKind::kSum : kKind;
  return HorizontalValue<kMerge>(FoldVectors<kSumVecs>(
      acc, [](F32 a, F32 b) __attribute__((always_inline)) { return Merge<kMerge>(a, b); }));
}

template <ReduceKind kKind>
void ReduceOne(const ReducePlan& p, const float* x, float* y) {
  float max = 0.0f;
  if constexpr (kKind == ReduceKind::kLogSumExp) {
    max = ReduceRows<ReduceKind::kMax, false>(p, x, 0.0f);
  }
  const bool blocks = kSums<kKind> && p.inner * ((p.row + kSumLanes - 1) / kSumLanes) > kSumChain;
  const float all =
      blocks ? ReduceRows<kKind, kSums<kKind>>(p, x, max) : ReduceRows<kKind, false>(p, x, max);
  const F32 r = FinishValue<kKind>(Broadcast(all), Broadcast(max), static_cast<float>(p.count));
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
