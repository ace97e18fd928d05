// Scans along an axis: running sums, products, extremes and log-sum-exps.
#include <cmath>
#include <limits>

#include "backends/reference/functions.h"
#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

// Calls f(start) for the offset of the first element of every lane.
template <class F>
void ForLanes(const AxisView& v, F&& f) {
  for (int64_t lane = 0; lane < v.outer * v.inner; ++lane) {
    f(lane / v.inner * v.length * v.inner + lane % v.inner);
  }
}

int ReadAxisOf(AttrReader* attrs, const TensorInfo& x) {
  int axis = 0;
  (void)NormalizeAxis(attrs->Int(), x.rank, &axis);
  return axis;
}

}  // namespace

// --- cumsum and cumprod --------------------------------------------------------------------------

Status CheckScan(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  int axis;
  const int64_t axis_word = attrs.Int();
  const int64_t exclusive = attrs.Int();
  const int64_t reverse = attrs.Int();
  if (!attrs.Done() || exclusive < 0 || exclusive > 1 || reverse < 0 || reverse > 1 ||
      !NormalizeAxis(axis_word, a.in(0).rank, &axis)) {
    return BadAttr();
  }
  return LikeInput(a, kNumbers);
}

Rule RunScan(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const AxisView v = ViewAt(a.in(0), ReadAxisOf(&attrs, a.in(0)));
  const bool exclusive = attrs.Int() != 0;
  const bool reverse = attrs.Int() != 0;
  const bool product = a.op == OpId::kCumProd;
  const DType t = a.in(0).dtype;
  WithCompute(t, [&](auto zero) {
    using C = decltype(zero);
    ForLanes(v, [&](int64_t start) {
      C so_far = product ? 1 : 0;
      for (int64_t i = 0; i < v.length; ++i) {
        const int64_t at = start + (reverse ? v.length - 1 - i : i) * v.inner;
        const C x = LoadOne<C>(t, a.inputs[0], at);
        const C next = product ? Times(so_far, x) : Plus(so_far, x);
        StoreOne<C>(t, a.outputs[0], at, exclusive ? so_far : next);
        so_far = next;
      }
    });
  });
  return Rule::kNone;
}

// --- cummax and cummin ---------------------------------------------------------------------------

Status CheckCumExtreme(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const TensorInfo& x = a.in(0);
  int axis;
  const int64_t axis_word = attrs.Int();
  if (!attrs.Done() || !NormalizeAxis(axis_word, x.rank, &axis)) return BadAttr(x.rank, axis_word);
  if (!a.HasOutput(0) && !a.HasOutput(1)) {
    return Error(Code::kInvalidFile, Rule::kInstructionResult).ForOperand(a.OutputAt());
  }
  if (a.HasOutput(0)) FLOE_RETURN_IF_ERROR(LikeInput(a, kAnyDType));
  if (a.HasOutput(1)) {
    FLOE_RETURN_IF_ERROR(OutputIs(a, 1, DType::kI64));
    FLOE_RETURN_IF_ERROR(OutputDims(a, 1, Dims(x)));
  }
  return OkStatus();
}

// The last of equal elements counts; from a NaN on everything is NaN, the last one counts.
Rule RunCumExtreme(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const AxisView v = ViewAt(a.in(0), ReadAxisOf(&attrs, a.in(0)));
  const bool max = a.op == OpId::kCumMax;
  const DType t = a.in(0).dtype;
  auto* indices = a.HasOutput(1) ? static_cast<int64_t*>(a.outputs[1]) : nullptr;
  WithCompute(t, [&](auto zero) {
    using C = decltype(zero);
    ForLanes(v, [&](int64_t start) {
      C best{};
      int64_t where = 0;
      for (int64_t i = 0; i < v.length; ++i) {
        const int64_t at = start + i * v.inner;
        const C x = LoadOne<C>(t, a.inputs[0], at);
        const bool beyond = x != x || (best == best && (max ? x >= best : x <= best));
        if (i == 0 || beyond) {
          best = x;
          where = i;
        }
        if (a.HasOutput(0)) StoreOne<C>(t, a.outputs[0], at, best);
        if (indices != nullptr) indices[at] = where;
      }
    });
  });
  return Rule::kNone;
}

// --- logcumsumexp --------------------------------------------------------------------------------

Status CheckLogCumSumExp(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  int axis;
  const int64_t axis_word = attrs.Int();
  if (!attrs.Done() || !NormalizeAxis(axis_word, a.in(0).rank, &axis)) {
    return BadAttr(a.in(0).rank, axis_word);
  }
  a.footprint.flops = 2 * static_cast<double>(Count(a.in(0)));
  return LikeInput(a, kFloats);
}

Rule RunLogCumSumExp(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const AxisView v = ViewAt(a.in(0), ReadAxisOf(&attrs, a.in(0)));
  const DType t = a.in(0).dtype;
  ForLanes(v, [&](int64_t start) {
    double so_far = -std::numeric_limits<double>::infinity();
    for (int64_t i = 0; i < v.length; ++i) {
      const int64_t at = start + i * v.inner;
      const auto x = LoadOne<double>(t, a.inputs[0], at);
      const double low = MinOf(so_far, x), high = MaxOf(so_far, x);
      // Equal infinities have no difference.
      so_far = low == high && std::isinf(low) ? low : high + std::log1p(std::exp(low - high));
      StoreOne<double>(t, a.outputs[0], at, so_far);
    }
  });
  return Rule::kNone;
}

}  // namespace floe::reference
