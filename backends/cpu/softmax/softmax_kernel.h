// Softmax and log-softmax: maximum, exponentials and their sum, division, over a row that stays in
// L1; a prologue (scale, mask) writes the row first. Along the last axis a row is a vector loop;
// along another one, results side by side are.
#include "backends/cpu/math.h"
#include "backends/cpu/pointwise/tile_vm.h"
#include "backends/cpu/softmax/plan.h"
#include "backends/cpu/sums.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// Adds e^(x - max) of n numbers to 16 lanes, number i to lane i % 16 of all, and stores them at y
// if kStore. (Not to kSumLanes: that many exponentials at once do not fit the registers.)
template <bool kStore>
FLOE_INLINE void AddExponentials(const float* x, int64_t n, F32 max, float* y,
                                 F32 (&sums)[kRowVecs]) {
  F32 acc[kRowVecs];
  FLOE_UNROLL
  for (int v = 0; v < kRowVecs; ++v) acc[v] = sums[v];
  int64_t i = 0;
  for (; i + kPanel <= n; i += kPanel) {
    FLOE_UNROLL
    for (int v = 0; v < kRowVecs; ++v) {
      const F32 e = Exp(Sub(Load(x + i + v * kWidth), max));
      if (kStore) Store(y + i + v * kWidth, e);
      acc[v] = Add(acc[v], e);
    }
  }
  FLOE_UNROLL
  for (int v = 0; v < kRowVecs; ++v, i += kWidth) {
    const int64_t left = n - i;
    if (left <= 0) break;
    const F32 e = Exp(Sub(left >= kWidth ? Load(x + i) : LoadTail(x + i, left), max));
    if (left >= kWidth) {
      if (kStore) Store(y + i, e);
      acc[v] = Add(acc[v], e);
    } else {
      if (kStore) StoreTail(y + i, left, e);
      acc[v] = FirstLanes(Add(acc[v], e), left, acc[v]);
    }
  }
  FLOE_UNROLL
  for (int v = 0; v < kRowVecs; ++v) sums[v] = acc[v];
}

// The sum of e^(x - max) over a row; they are stored at y if kStore.
template <bool kStore>
float SumExponentials(const float* x, int64_t n, F32 max, float* y) {
  constexpr int64_t kPiece = kSumChain * kPanel;
  F32 acc[kRowVecs];
  for (F32& a : acc) a = Zero();
  if (n <= kPiece) {
    AddExponentials<kStore>(x, n, max, y, acc);
  } else {
    BlockSums<kRowVecs> sums;
    for (int64_t i = 0; i < n; i += kPiece) {
      AddExponentials<kStore>(x + i, n - i < kPiece ? n - i : kPiece, max, y + i, acc);
      sums.Take(acc);
    }
    sums.AddTo(acc);
  }
  return SumAllLanes<kRowVecs>(acc);
}

void SoftmaxRow(const float* x, float* y, int64_t n, bool log) {
  // The maximum passes over NaN, which the sum then carries into every result.
  F32 max4[2] = {Broadcast(-__builtin_inff()), Broadcast(-__builtin_inff())};
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    max4[0] = MaxOrSecond(Load(x + i), max4[0]);
    max4[1] = MaxOrSecond(Load(x + i + kWidth), max4[1]);
  }
  for (; i + kWidth <= n; i += kWidth) max4[0] = MaxOrSecond(Load(x + i), max4[0]);
  float max = MaxNumberLanes(MaxOrSecond(max4[0], max4[1]));
  for (int64_t k = i; k < n; ++k) max = x[k] > max ? x[k] : max;

  const F32 m = Broadcast(max);
  const float total = log ? SumExponentials<false>(x, n, m, y) : SumExponentials<true>(x, n, m, y);
  const F32 scale = Div(Broadcast(1.0f), Broadcast(total));
  const F32 shift = Log(Broadcast(total));
  for (i = 0; i < n; i += kWidth) {
    const int64_t left = n - i;
    const bool whole = left >= kWidth;
    F32 v;
    if (log) {
      v = Sub(Sub(whole ? Load(x + i) : LoadTail(x + i, left), m), shift);
    } else {
      v = Mul(whole ? Load(y + i) : LoadTail(y + i, left), scale);
    }
    if (whole) {
      Store(y + i, v);
    } else {
      StoreTail(y + i, left, v);
    }
  }
}

// `width` columns side by side, the axis running over rows of stride `inner`.
void SoftmaxColumns(const float* x, float* y, int64_t axis, int64_t inner, int64_t width,
                    bool log) {
  const auto load = [&](const float* p) __attribute__((always_inline)) {
    return width >= kWidth ? Load(p) : LoadTail(p, width);
  };
  const auto store = [&](float* p, F32 v) __attribute__((always_inline)) {
    if (width >= kWidth) {
      Store(p, v);
    } else {
      StoreTail(p, width, v);
    }
  };
  F32 max = Broadcast(-__builtin_inff());
  for (int64_t k = 0; k < axis; ++k) max = Maximum(max, load(x + k * inner));
  BlockSums<1> sums;
  F32 sum[1] = {Zero()};
  for (int64_t k = 0; k < axis; ++k) {
    const F32 e = Exp(Sub(load(x + k * inner), max));
    if (!log) store(y + k * inner, e);
    sum[0] = Add(sum[0], e);
    if ((k + 1) % kSumChain == 0) sums.Take(sum);
  }
  sums.AddTo(sum);
  const F32 scale = Div(Broadcast(1.0f), sum[0]);
  const F32 shift = Log(sum[0]);
  for (int64_t k = 0; k < axis; ++k) {
    if (log) {
      store(y + k * inner, Sub(Sub(load(x + k * inner), max), shift));
    } else {
      store(y + k * inner, Mul(load(y + k * inner), scale));
    }
  }
}

// Elements of a tile of the prologue.
FLOE_INLINE int64_t PrologueTile(const SoftmaxPlan& plan) {
  const int64_t capacity = TileCapacity(plan.registers);
  return capacity < 1024 ? capacity : 1024;
}

// The prologue over rows [first, last) of the last logical axis, from x into y. Rows that follow
// one another in the second last axis share a tile.
void RunPrologue(const KernelArgs& args, const SoftmaxPlan& plan, int64_t first, int64_t last) {
  const OpInfo& op = *args.op;
  const LoopNest& nest = plan.nest;
  const int inner = nest.axes - 1;
  const int64_t capacity = PrologueTile(plan);
  const int64_t cols_most = plan.row < capacity ? plan.row : capacity;
  const int64_t rows_most = inner > 0 ? capacity / cols_most : 1;
  const float* x = static_cast<const float*>(args.inputs[0]);
  float* y = static_cast<float*>(args.outputs[0]);
  TileView views[kPwMaxOperands];
  for (int64_t row = first; row < last;) {
    int64_t at[kMaxLoopTensors];
    for (int t = 0; t < nest.tensors; ++t) at[t] = nest.offset[t];
    int64_t rest = row, rows = last - row < rows_most ? last - row : rows_most;
    for (int a = inner - 1; a >= 0; --a) {
      const int64_t index = rest % nest.size[a];
      rest /= nest.size[a];
      for (int t = 0; t < nest.tensors; ++t) at[t] += index * nest.stride[t][a];
      if (a == inner - 1 && nest.size[a] - index < rows) rows = nest.size[a] - index;
    }
    for (int64_t col = 0; col < plan.row; col += cols_most) {
      const int64_t cols = plan.row - col < cols_most ? plan.row - col : cols_most;
      // (The second bound is Check's; it tells the compiler that views are enough.)
      for (uint32_t i = 1; i < op.input_count && i <= kPwMaxOperands; ++i) {
        const int64_t stride = nest.stride[i][inner];
        views[i - 1] = {static_cast<const float*>(args.inputs[i]) + at[i] + col * stride,
                        inner > 0 ? nest.stride[i][inner - 1] : 0, stride, DType::kF32};
      }
      const Source r0{x + at[0] + col, plan.row, true};
      RunTileProgram(op.code, op.code_count, plan.registers, views, &r0, rows, cols,
                     {y + at[0] + col, plan.row});
    }
    row += rows;
  }
}

void PlanSoftmax(const OpInfo& op, const PrepareContext& context, SoftmaxPlan* plan) {
  *plan = SoftmaxPlan{};
  const TensorInfo& x = op.inputs[0];
  for (int a = 0; a < x.rank; ++a) {
    if (a < op.attrs[0]) plan->outer *= x.dims[a];
    if (a > op.attrs[0]) plan->inner *= x.dims[a];
  }
  plan->axis = x.dims[op.attrs[0]];
  plan->row = x.dims[x.rank - 1];
  plan->rows_per_outer = plan->row == 0 ? 0 : plan->axis * plan->inner / plan->row;
  plan->log = op.attrs[1] != 0;
  StartNest(op.outputs[0], &plan->nest);
  for (uint32_t i = 1; i < op.input_count; ++i) {
    AddBroadcastOperand(op.outputs[0], op.inputs[i], &plan->nest);
  }
  plan->registers = op.code_count == 0 ? 1 : RegistersOf(op.code, op.code_count);
  const int64_t block = plan->axis * plan->inner;
  plan->tasks = plan->outer == 0 || block == 0
                    ? 0
                    : TaskCount(plan->outer, 4096 / block + 1, context.workers);
}

}  // namespace

Status PrepareSoftmax(const OpInfo& op, const PrepareContext& context, void* state,
                      Schedule* schedule) {
  SoftmaxPlan* plan = static_cast<SoftmaxPlan*>(state);
  PlanSoftmax(op, context, plan);
  schedule->phases = 1;
  schedule->tasks = plan->tasks;
  schedule->variant =
      plan->inner == 1 ? FLOE_VARIANT("f32_softmax_rows") : FLOE_VARIANT("f32_softmax_columns");
  return OkStatus();
}

Rule RunSoftmax(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const SoftmaxPlan& plan = *static_cast<const SoftmaxPlan*>(args.state);
  const bool prologue = args.op->code_count > 0;
  const int64_t block = plan.axis * plan.inner;
  for (uint32_t task = begin; task < end; ++task) {
    int64_t first, last;
    TaskShare(plan.outer, task, plan.tasks, &first, &last);
    // A few rows at a time go through the prologue, then through the softmax while they are in L1.
    const int64_t together = plan.inner == 1 ? PrologueTile(plan) / plan.axis + 1 : 1;
    for (int64_t o = first; o < last; ++o) {
      if (prologue && (o - first) % together == 0) {
        const int64_t end_row = o + together < last ? o + together : last;
        RunPrologue(args, plan, o * plan.rows_per_outer, end_row * plan.rows_per_outer);
      }
      float* y = static_cast<float*>(args.outputs[0]) + o * block;
      const float* x = prologue ? y : static_cast<const float*>(args.inputs[0]) + o * block;
      if (plan.inner == 1) {
        SoftmaxRow(x, y, plan.axis, plan.log);
        continue;
      }
      for (int64_t c = 0; c < plan.inner; c += kWidth) {
        SoftmaxColumns(x + c, y + c, plan.axis, plan.inner, plan.inner - c, plan.log);
      }
    }
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
