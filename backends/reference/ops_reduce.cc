// Reductions and softmax.
#include <algorithm>
#include <limits>

#include "backends/reference/functions.h"
#include "backends/reference/ops_internal.h"
#include "backends/reference/pointwise.h"

namespace floe::reference {
namespace {

// The axes of x, split into those that are kept and those that are reduced.
struct Split {
  int kept = 0, reduced = 0;
  int64_t kept_dims[kMaxRank], kept_strides[kMaxRank];
  int64_t reduced_dims[kMaxRank], reduced_strides[kMaxRank];
};

Split SplitAxes(const TensorInfo& x, std::span<const int64_t> axes) {
  Split s;
  int64_t strides[kMaxRank];
  DenseStrides(x.dims, x.rank, strides);
  for (int i = 0; i < x.rank; ++i) {
    if (std::find(axes.begin(), axes.end(), i) != axes.end()) {
      s.reduced_dims[s.reduced] = x.dims[i];
      s.reduced_strides[s.reduced++] = strides[i];
    } else {
      s.kept_dims[s.kept] = x.dims[i];
      s.kept_strides[s.kept++] = strides[i];
    }
  }
  return s;
}

// The least (or greatest) value of a dtype, as C.
template <class C>
C Extreme(DType t, bool least) {
  if constexpr (std::is_floating_point_v<C>) {
    const C inf = std::numeric_limits<C>::infinity();
    return least ? -inf : inf;
  } else {
    return WithElement(t, [&]<class E>() -> C {
      if constexpr (std::is_integral_v<E>) {
        return static_cast<C>(least ? std::numeric_limits<E>::min()
                                    : std::numeric_limits<E>::max());
      } else {
        return static_cast<C>(least ? 0 : 1);
      }
    });
  }
}

template <class C>
C Least(C a, C b) {
  if constexpr (std::is_floating_point_v<C>)
    return MinOf(a, b);
  else
    return std::min(a, b);
}
template <class C>
C Greatest(C a, C b) {
  if constexpr (std::is_floating_point_v<C>)
    return MaxOf(a, b);
  else
    return std::max(a, b);
}

template <class C>
C Accumulate(ReduceKind kind, C acc, const C* x, int64_t n) {
  switch (kind) {
    case ReduceKind::kProd:
      for (int64_t i = 0; i < n; ++i) acc = Times(acc, x[i]);
      return acc;
    case ReduceKind::kMax:
      for (int64_t i = 0; i < n; ++i) acc = Greatest(acc, x[i]);
      return acc;
    case ReduceKind::kMin:
      for (int64_t i = 0; i < n; ++i) acc = Least(acc, x[i]);
      return acc;
    case ReduceKind::kL1:
      for (int64_t i = 0; i < n; ++i) acc = Plus(acc, x[i] < 0 ? Times<C>(x[i], C(-1)) : x[i]);
      return acc;
    case ReduceKind::kL2:
    case ReduceKind::kSumSquare:
      for (int64_t i = 0; i < n; ++i) acc = Plus(acc, Times(x[i], x[i]));
      return acc;
    default:
      for (int64_t i = 0; i < n; ++i) acc = Plus(acc, x[i]);
      return acc;
  }
}

template <class C>
C Identity(ReduceKind kind, DType t) {
  switch (kind) {
    case ReduceKind::kProd:
      return 1;
    case ReduceKind::kMax:
    case ReduceKind::kMin:
      return Extreme<C>(t, kind == ReduceKind::kMax);
    default:
      return 0;
  }
}

// Calls f(chunk, n) for the numbers that `walk` visits.
template <class C, class F>
void ForNumbers(DType t, const void* x, const Walk& walk, int64_t count, F&& f) {
  Reader reader(t, x, walk);
  C chunk[kChunk];
  for (int64_t i = 0; i < count; i += kChunk) {
    const int64_t n = std::min(kChunk, count - i);
    reader.Next(n, chunk);
    f(chunk, n);
  }
}

double LogSumExp(DType t, const void* x, const Walk& walk, int64_t count) {
  double peak = -std::numeric_limits<double>::infinity();
  ForNumbers<double>(t, x, walk, count, [&](const double* v, int64_t n) {
    peak = Accumulate(ReduceKind::kMax, peak, v, n);
  });
  if (!std::isfinite(peak)) return peak;
  double sum = 0;
  ForNumbers<double>(t, x, walk, count, [&](const double* v, int64_t n) {
    for (int64_t i = 0; i < n; ++i) sum += std::exp(v[i] - peak);
  });
  return peak + std::log(sum);
}

// Kinds whose result is no integer even for integers.
bool ComputesInDouble(ReduceKind kind) {
  return kind == ReduceKind::kL2 || kind == ReduceKind::kLogSum || kind == ReduceKind::kLogSumExp;
}

template <class C>
Rule ReduceTo(const RunArgs& a, ReduceKind kind, const Split& s) {
  const DType t = a.in(0).dtype;
  const int64_t results = Count(a.out());
  const int64_t count = Product(s.reduced_dims, s.reduced);
  Walk kept(s.kept_dims, s.kept, s.kept_strides);
  for (int64_t r = 0; r < results; ++r) {
    int64_t offset;
    kept.Next(1, &offset);
    const Walk walk(s.reduced_dims, s.reduced, s.reduced_strides, offset);
    C acc = Identity<C>(kind, t);
    if (kind == ReduceKind::kLogSumExp) {
      acc = static_cast<C>(LogSumExp(t, a.inputs[0], walk, count));
    } else {
      ForNumbers<C>(t, a.inputs[0], walk, count,
                    [&](const C* v, int64_t n) { acc = Accumulate(kind, acc, v, n); });
    }
    if (kind == ReduceKind::kMean) {
      if (count == 0 && !std::is_floating_point_v<C>) return Rule::kRunDivideByZero;
      acc = acc / static_cast<C>(count);
    } else if (kind == ReduceKind::kL2) {
      acc = static_cast<C>(std::sqrt(static_cast<double>(acc)));
    } else if (kind == ReduceKind::kLogSum) {
      acc = static_cast<C>(std::log(static_cast<double>(acc)));
    }
    StoreOne<C>(t, a.outputs[0], r, acc);
  }
  return Rule::kNone;
}

}  // namespace

Status CheckReduce(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t kind = attrs.Int();
  const std::span<const int64_t> axes = attrs.Ints();
  const int64_t keepdims = attrs.Int();
  if (!attrs.Done() || kind < 0 || kind > static_cast<int64_t>(ReduceKind::kSumSquare) ||
      keepdims < 0 || keepdims > 1) {
    return BadAttr();
  }
  const TensorInfo& x = a.in(0);
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] < 0 || axes[i] >= x.rank) return BadAttr(x.rank, axes[i]);
    if (i > 0 && axes[i] <= axes[i - 1]) return BadAttr(axes[i - 1] + 1, axes[i]);
  }
  const auto k = static_cast<ReduceKind>(kind);
  const bool order = k == ReduceKind::kMax || k == ReduceKind::kMin;
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, order ? kAnyDType : kNumbers));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, x.dtype));
  int64_t dims[kMaxRank];
  size_t rank = 0;
  for (int i = 0; i < x.rank; ++i) {
    const bool reduced = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (!reduced)
      dims[rank++] = x.dims[i];
    else if (keepdims != 0)
      dims[rank++] = 1;
  }
  return OutputDims(a, 0, {dims, rank});
}

Rule RunReduce(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const auto kind = static_cast<ReduceKind>(attrs.Int());
  const Split s = SplitAxes(a.in(0), attrs.Ints());
  if (ComputesInDouble(kind)) return ReduceTo<double>(a, kind, s);
  return WithCompute(a.in(0).dtype,
                     [&](auto zero) { return ReduceTo<decltype(zero)>(a, kind, s); });
}

// --- arg_reduce ----------------------------------------------------------------------------------

Status CheckArgReduce(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t max = attrs.Int();
  const int64_t axis_word = attrs.Int();
  const int64_t keepdims = attrs.Int();
  const int64_t last = attrs.Int();
  const TensorInfo& x = a.in(0);
  int axis;
  if (!attrs.Done() || max < 0 || max > 1 || keepdims < 0 || keepdims > 1 || last < 0 || last > 1 ||
      !NormalizeAxis(axis_word, x.rank, &axis)) {
    return BadAttr();
  }
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, DType::kI64));
  if (x.dims[axis] == 0) return BadShape(0, axis, 1, 0);
  int64_t dims[kMaxRank];
  size_t rank = 0;
  for (int i = 0; i < x.rank; ++i) {
    if (i != axis)
      dims[rank++] = x.dims[i];
    else if (keepdims != 0)
      dims[rank++] = 1;
  }
  return OutputDims(a, 0, {dims, rank});
}

Rule RunArgReduce(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const bool max = attrs.Int() != 0;
  int axis = 0;
  (void)NormalizeAxis(attrs.Int(), a.in(0).rank, &axis);
  (void)attrs.Int();
  const bool last = attrs.Int() != 0;
  const AxisView v = ViewAt(a.in(0), axis);
  auto* out = static_cast<int64_t*>(a.outputs[0]);
  return WithCompute(a.in(0).dtype, [&](auto zero) {
    using C = decltype(zero);
    for (int64_t lane = 0; lane < v.outer * v.inner; ++lane) {
      const int64_t start = lane / v.inner * v.length * v.inner + lane % v.inner;
      C best{};
      int64_t at = 0, i = 0;
      const Walk walk(&v.length, 1, &v.inner, start);
      ForNumbers<C>(a.in(0).dtype, a.inputs[0], walk, v.length, [&](const C* x, int64_t n) {
        for (int64_t k = 0; k < n; ++k, ++i) {
          // NaN is beyond everything, as in numpy.
          const bool nan = x[k] != x[k], best_nan = best != best;
          const bool equal = nan || best_nan ? nan && best_nan : x[k] == best;
          const bool beyond = nan ? !best_nan : !best_nan && (max ? x[k] > best : x[k] < best);
          if (i == 0 || beyond || (last && equal)) {
            best = x[k];
            at = i;
          }
        }
      });
      out[lane] = at;
    }
    return Rule::kNone;
  });
}

// --- softmax and log_softmax ---------------------------------------------------------------------

Status CheckSoftmax(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  int axis;
  const int64_t axis_word = attrs.Int();
  if (!attrs.Done() || !NormalizeAxis(axis_word, a.in(0).rank, &axis)) {
    return BadAttr(a.in(0).rank, axis_word);
  }
  FLOE_RETURN_IF_ERROR(LikeInput(a, kFloats));
  FLOE_RETURN_IF_ERROR(CheckOpCode(a, a.out(), -1));
  AllowInPlace(a, 0, 1);
  a.footprint.flops = 4 * static_cast<double>(Count(a.out()));
  return OkStatus();
}

Rule RunSoftmax(const RunArgs& a) {
  int axis = 0;
  (void)NormalizeAxis(a.attrs().Int(), a.in(0).rank, &axis);
  const AxisView v = ViewAt(a.in(0), axis);
  const DType t = a.in(0).dtype;
  const void* x = a.inputs[0];
  if (a.info.code_count != 0) {  // The prologue's values go to the output first.
    const uint32_t first = FirstCodeInput(a.op);
    (void)RunPointwiseProgram(a.info.code, a.info.code_count, a.info.inputs + first,
                              a.inputs + first, a.info.input_count - first, a.out(), a.outputs[0],
                              &a.in(0), x, -1);
    x = a.outputs[0];
  }
  for (int64_t lane = 0; lane < v.outer * v.inner; ++lane) {
    const int64_t start = lane / v.inner * v.length * v.inner + lane % v.inner;
    const Walk walk(&v.length, 1, &v.inner, start);
    double peak = -std::numeric_limits<double>::infinity();
    ForNumbers<double>(t, x, walk, v.length, [&](const double* p, int64_t n) {
      peak = Accumulate(ReduceKind::kMax, peak, p, n);
    });
    double sum = 0;
    ForNumbers<double>(t, x, walk, v.length, [&](const double* p, int64_t n) {
      for (int64_t i = 0; i < n; ++i) sum += std::exp(p[i] - peak);
    });
    const bool log = a.op == OpId::kLogSoftmax;
    const double log_sum = std::log(sum);
    int64_t at = start;
    ForNumbers<double>(t, x, walk, v.length, [&](const double* p, int64_t n) {
      for (int64_t i = 0; i < n; ++i, at += v.inner) {
        const double y = log ? p[i] - peak - log_sum : std::exp(p[i] - peak) / sum;
        StoreOne<double>(t, a.outputs[0], at, y);
      }
    });
  }
  return Rule::kNone;
}

}  // namespace floe::reference
