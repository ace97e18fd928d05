// Sorting: sort, topk and searchsorted. NaN is greater than every number, as in PyTorch; equal
// elements keep the order of their indices.
#include <algorithm>
#include <cmath>

#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

// An element and where it stood.
template <class C>
struct Item {
  C key;
  int64_t index;
};
constexpr int64_t kItemBytes = 16;
static_assert(sizeof(Item<double>) == kItemBytes && sizeof(Item<uint64_t>) == kItemBytes);

template <class C>
bool IsLess(C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    return a < b || (b != b && a == a);
  } else {
    return a < b;
  }
}

// A strict total order, as no two indices are equal: any sort by it is stable.
template <class C>
struct Before {
  bool descending;

  bool operator()(const Item<C>& a, const Item<C>& b) const {
    if (IsLess(a.key, b.key)) return !descending;
    if (IsLess(b.key, a.key)) return descending;
    return a.index < b.index;
  }
};

double LogOf(int64_t n) { return std::log2(static_cast<double>(n) + 2); }

// The first `keep` elements of every sorted lane along `axis` are the results.
Status CheckOrdered(const CheckArgs& a, int axis, int64_t keep) {
  const TensorInfo& x = a.in(0);
  if (!a.HasOutput(0) && !a.HasOutput(1)) {
    return Error(Code::kInvalidFile, Rule::kInstructionResult).ForOperand(a.OutputAt());
  }
  int64_t dims[kMaxRank];
  std::copy_n(x.dims, x.rank, dims);
  dims[axis] = keep;
  if (a.HasOutput(0)) {
    FLOE_RETURN_IF_ERROR(OutputIs(a, 0, x.dtype));
    FLOE_RETURN_IF_ERROR(OutputDims(a, 0, {dims, x.rank}));
  }
  if (a.HasOutput(1)) {
    FLOE_RETURN_IF_ERROR(OutputIs(a, 1, DType::kI64));
    FLOE_RETURN_IF_ERROR(OutputDims(a, 1, {dims, x.rank}));
  }
  if (!CheckedMul(x.dims[axis], kItemBytes, &a.footprint.scratch_bytes)) return TooLarge();
  a.footprint.flops = static_cast<double>(Count(x)) * LogOf(x.dims[axis]);
  return OkStatus();
}

template <class C>
void Order(const RunArgs& a, int axis, int64_t keep, bool descending) {
  const TensorInfo& x = a.in(0);
  const AxisView v = ViewAt(x, axis);
  auto* items = static_cast<Item<C>*>(a.scratch);
  auto* indices = a.HasOutput(1) ? static_cast<int64_t*>(a.outputs[1]) : nullptr;
  const Before<C> before{descending};
  for (int64_t lane = 0; lane < v.outer * v.inner; ++lane) {
    const int64_t outer = lane / v.inner, inner = lane % v.inner;
    for (int64_t i = 0; i < v.length; ++i) {
      const int64_t at = (outer * v.length + i) * v.inner + inner;
      items[i] = {LoadOne<C>(x.dtype, a.inputs[0], at), i};
    }
    if (keep < v.length) {
      std::partial_sort(items, items + keep, items + v.length, before);
    } else {
      std::sort(items, items + v.length, before);
    }
    for (int64_t i = 0; i < keep; ++i) {
      const int64_t at = (outer * keep + i) * v.inner + inner;
      if (a.HasOutput(0)) StoreOne<C>(x.dtype, a.outputs[0], at, items[i].key);
      if (indices != nullptr) indices[at] = items[i].index;
    }
  }
}

}  // namespace

// --- sort ----------------------------------------------------------------------------------------

Status CheckSort(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  int axis;
  const int64_t axis_word = attrs.Int();
  const int64_t descending = attrs.Int();
  if (!attrs.Done() || descending < 0 || descending > 1 ||
      !NormalizeAxis(axis_word, a.in(0).rank, &axis)) {
    return BadAttr(a.in(0).rank, axis_word);
  }
  return CheckOrdered(a, axis, a.in(0).dims[axis]);
}

Rule RunSort(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  int axis = 0;
  (void)NormalizeAxis(attrs.Int(), a.in(0).rank, &axis);
  const bool descending = attrs.Int() != 0;
  WithCompute(a.in(0).dtype,
              [&](auto zero) { Order<decltype(zero)>(a, axis, a.in(0).dims[axis], descending); });
  return Rule::kNone;
}

// --- topk ----------------------------------------------------------------------------------------

Status CheckTopK(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  int axis;
  const int64_t k = attrs.Int();
  const int64_t axis_word = attrs.Int();
  const int64_t largest = attrs.Int();
  const int64_t sorted = attrs.Int();
  if (!attrs.Done() || largest < 0 || largest > 1 || sorted < 0 || sorted > 1 ||
      !NormalizeAxis(axis_word, a.in(0).rank, &axis)) {
    return BadAttr(a.in(0).rank, axis_word);
  }
  if (k < 0 || k > a.in(0).dims[axis]) return BadAttr(a.in(0).dims[axis], k);
  return CheckOrdered(a, axis, k);
}

Rule RunTopK(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  int axis = 0;
  const int64_t k = attrs.Int();
  (void)NormalizeAxis(attrs.Int(), a.in(0).rank, &axis);
  const bool largest = attrs.Int() != 0;
  WithCompute(a.in(0).dtype, [&](auto zero) { Order<decltype(zero)>(a, axis, k, largest); });
  return Rule::kNone;
}

// --- searchsorted --------------------------------------------------------------------------------

// One sequence for all values, or one for each row of them.
Status CheckSearchSorted(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t right = attrs.Int();
  if (!attrs.Done() || right < 0 || right > 1) return BadAttr(1, right);
  const TensorInfo &sequence = a.in(0), &values = a.in(1);
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kNumbers));
  FLOE_RETURN_IF_ERROR(InputIs(a, 1, sequence.dtype));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, DType::kI64));
  if (sequence.rank < 1) return BadShape(0, -1, 1, 0);
  if (sequence.rank > 1) {
    if (values.rank != sequence.rank) return BadShape(1, -1, sequence.rank, values.rank);
    for (int i = 0; i + 1 < values.rank; ++i) {
      if (values.dims[i] != sequence.dims[i]) {
        return BadShape(1, i, sequence.dims[i], values.dims[i]);
      }
    }
  }
  a.footprint.flops = static_cast<double>(Count(values)) * LogOf(sequence.dims[sequence.rank - 1]);
  return OutputDims(a, 0, Dims(values));
}

Rule RunSearchSorted(const RunArgs& a) {
  const bool right = a.attrs().Int() != 0;
  const TensorInfo &sequence = a.in(0), &values = a.in(1);
  const int64_t n = sequence.dims[sequence.rank - 1];
  const int64_t per_row = sequence.rank == 1 ? Count(values) : values.dims[values.rank - 1];
  auto* out = static_cast<int64_t*>(a.outputs[0]);
  WithCompute(values.dtype, [&](auto zero) {
    using C = decltype(zero);
    const int64_t count = Count(values);
    for (int64_t i = 0; i < count; ++i) {
      const C v = LoadOne<C>(values.dtype, a.inputs[1], i);
      const int64_t row = i / per_row * n;
      int64_t low = 0, high = n;
      while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const C m = LoadOne<C>(sequence.dtype, a.inputs[0], row + middle);
        // Negated, so that a NaN goes to the end.
        const bool beyond = right ? m > v : m >= v;
        if (beyond) {
          high = middle;
        } else {
          low = middle + 1;
        }
      }
      out[i] = low;
    }
  });
  return Rule::kNone;
}

}  // namespace floe::reference
