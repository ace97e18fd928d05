#include <cmath>
#include <limits>

#include "backends/reference/twins/twins.h"
#include "format/ops.h"

namespace floe::reference::twins {
namespace {

double Finish(ReduceKind kind, double value, double max, double count) {
  switch (kind) {
    case ReduceKind::kMean:
      return value / count;
    case ReduceKind::kL2:
      return std::sqrt(value);
    case ReduceKind::kLogSum:
      return std::log(value);
    case ReduceKind::kLogSumExp:
      return std::isinf(max) ? max : std::log(value) + max;
    default:
      return value;
  }
}

double Step(ReduceKind kind, double acc, double v, double max) {
  switch (kind) {
    case ReduceKind::kMax:
      return v != v || v > acc ? v : acc;
    case ReduceKind::kMin:
      return v != v || v < acc ? v : acc;
    case ReduceKind::kProd:
      return acc * v;
    case ReduceKind::kL1:
      return acc + std::abs(v);
    case ReduceKind::kL2:
    case ReduceKind::kSumSquare:
      return acc + v * v;
    case ReduceKind::kLogSumExp:
      return acc + std::exp(v - max);
    default:
      return acc + v;
  }
}

double Start(ReduceKind kind) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (kind == ReduceKind::kMax) return -kInfinity;
  if (kind == ReduceKind::kMin) return kInfinity;
  return kind == ReduceKind::kProd ? 1.0 : 0.0;
}

// The reduced elements that go with one result, in logical order.
template <class F>
void ForReduced(const TensorInfo& x, int64_t mask, int64_t* index, F&& f, int axis = 0) {
  if (axis == x.rank) return f(index);
  if ((mask >> axis & 1) == 0) return ForReduced(x, mask, index, f, axis + 1);
  for (index[axis] = 0; index[axis] < x.dims[axis]; ++index[axis]) {
    ForReduced(x, mask, index, f, axis + 1);
  }
}

}  // namespace

Status PrepareReduce(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "reduce_plain";
  return OkStatus();
}

Rule RunReduce(const KernelArgs& args, uint32_t, uint32_t, uint32_t, void*) {
  const TensorInfo& x = args.op->inputs[0];
  const auto kind = static_cast<ReduceKind>(args.op->attrs[0]);
  const int64_t mask = args.op->attrs[1];
  const auto* data = static_cast<const float*>(args.inputs[0]);
  auto* y = static_cast<float*>(args.outputs[0]);
  int64_t results = 1;
  double count = 1;
  for (int axis = 0; axis < x.rank; ++axis) {
    if ((mask >> axis & 1) == 0) {
      results *= x.dims[axis];
    } else {
      count *= static_cast<double>(x.dims[axis]);
    }
  }
  for (int64_t r = 0; r < results; ++r) {
    int64_t index[kMaxRank] = {};
    int64_t rest = r;
    for (int axis = x.rank - 1; axis >= 0; --axis) {
      if ((mask >> axis & 1) != 0) continue;
      index[axis] = rest % x.dims[axis];
      rest /= x.dims[axis];
    }
    double max = 0;
    if (kind == ReduceKind::kLogSumExp) {
      max = -std::numeric_limits<double>::infinity();
      ForReduced(x, mask, index, [&](const int64_t* at) {
        max = Step(ReduceKind::kMax, max, data[ElementOffset(x, at)], 0);
      });
    }
    double acc = Start(kind);
    ForReduced(x, mask, index,
               [&](const int64_t* at) { acc = Step(kind, acc, data[ElementOffset(x, at)], max); });
    y[r] = static_cast<float>(Finish(kind, acc, max, count));
  }
  return Rule::kNone;
}

}  // namespace floe::reference::twins
