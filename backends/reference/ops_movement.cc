// Ops that move elements and never look at their values: any dtype, by element size.
#include <algorithm>
#include <cstring>

#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

int64_t Size(const TensorInfo& t) { return DTypeSize(t.dtype); }

// Output has the dtype of input 0.
Status SameDType(const CheckArgs& a) { return OutputIs(a, 0, a.in(0).dtype); }

// Copies the box `dims` of input 0, read with src_strides, to the dense output.
Rule CopyToDense(const RunArgs& a, int rank, const int64_t* dims, const int64_t* src_strides) {
  int64_t dst_strides[kMaxAxes];
  DenseStrides(dims, rank, dst_strides);
  CopyStrided(Size(a.in(0)), rank, dims, a.inputs[0], src_strides, a.outputs[0], dst_strides);
  return Rule::kNone;
}

// The view `dims` of dense input 0 with its axes permuted.
Rule CopyPermuted(const RunArgs& a, int rank, const int64_t* dims, const int* perm) {
  int64_t strides[kMaxAxes], out_dims[kMaxAxes], out_strides[kMaxAxes];
  DenseStrides(dims, rank, strides);
  for (int i = 0; i < rank; ++i) {
    out_dims[i] = dims[perm[i]];
    out_strides[i] = strides[perm[i]];
  }
  return CopyToDense(a, rank, out_dims, out_strides);
}

}  // namespace

// --- identity and reshape ------------------------------------------------------------------------

Status CheckReshape(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(SameDType(a));
  if (a.op == OpId::kIdentity) FLOE_RETURN_IF_ERROR(OutputDims(a, 0, Dims(a.in(0))));
  if (Count(a.in(0)) != Count(a.out())) {
    return BadShape(a.OutputAt(), -1, Count(a.in(0)), Count(a.out()));
  }
  AllowInPlace(a, 0, 1);
  return OkStatus();
}

Rule RunReshape(const RunArgs& a) {
  if (a.inputs[0] != a.outputs[0] && Count(a.out()) > 0) {
    std::memcpy(a.outputs[0], a.inputs[0],
                static_cast<size_t>(Count(a.out())) * static_cast<size_t>(Size(a.out())));
  }
  return Rule::kNone;
}

// --- transpose -----------------------------------------------------------------------------------

Status CheckTranspose(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const std::span<const int64_t> perm = attrs.Ints();
  const TensorInfo& x = a.in(0);
  if (!attrs.Done() || perm.size() != x.rank) {
    return BadAttr(x.rank, static_cast<int64_t>(perm.size()));
  }
  FLOE_RETURN_IF_ERROR(SameDType(a));
  uint32_t seen = 0;
  int64_t dims[kMaxRank];
  for (size_t i = 0; i < perm.size(); ++i) {
    if (perm[i] < 0 || perm[i] >= x.rank || (seen >> perm[i] & 1) != 0) {
      return BadAttr(x.rank, perm[i]);
    }
    seen |= 1u << perm[i];
    dims[i] = x.dims[perm[i]];
  }
  return OutputDims(a, 0, {dims, perm.size()});
}

Rule RunTranspose(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  int perm[kMaxRank];
  std::copy_n(attrs.Ints().begin(), a.in(0).rank, perm);
  return CopyPermuted(a, a.in(0).rank, a.in(0).dims, perm);
}

// --- expand --------------------------------------------------------------------------------------

Status CheckExpand(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(SameDType(a));
  return BroadcastsTo(a, 0, 1, a.out(), false);
}

Rule RunExpand(const RunArgs& a) {
  int64_t strides[kMaxAxes];
  BroadcastStrides(a.in(0), a.out().dims, a.out().rank, strides);
  return CopyToDense(a, a.out().rank, a.out().dims, strides);
}

// --- slice ---------------------------------------------------------------------------------------

Status CheckSlice(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const std::span<const int64_t> starts = attrs.Ints();
  const std::span<const int64_t> steps = attrs.Ints();
  const TensorInfo& x = a.in(0);
  if (!attrs.Done() || starts.size() != x.rank || steps.size() != x.rank) return BadAttr(x.rank);
  FLOE_RETURN_IF_ERROR(SameDType(a));
  if (a.out().rank != x.rank) return BadShape(a.OutputAt(), -1, x.rank, a.out().rank);
  const bool empty = Count(a.out()) == 0;
  for (int i = 0; i < x.rank; ++i) {
    if (steps[i] == 0) return BadAttr(1, 0);
    if (empty) continue;
    int64_t last;
    if (!CheckedMul(a.out().dims[i] - 1, steps[i], &last) || !CheckedAdd(last, starts[i], &last) ||
        starts[i] < 0 || starts[i] >= x.dims[i] || last < 0 || last >= x.dims[i]) {
      return BadShape(a.OutputAt(), i, x.dims[i], a.out().dims[i]);
    }
  }
  return OkStatus();
}

Rule RunSlice(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const std::span<const int64_t> starts = attrs.Ints();
  const std::span<const int64_t> steps = attrs.Ints();
  const TensorInfo& y = a.out();
  int64_t strides[kMaxRank], dst_strides[kMaxRank];
  DenseStrides(a.in(0).dims, y.rank, strides);
  DenseStrides(y.dims, y.rank, dst_strides);
  int64_t offset = 0;
  for (int i = 0; i < y.rank; ++i) {
    offset += starts[i] * strides[i];
    // A lone index is never stepped from; its step may be anything.
    strides[i] = y.dims[i] == 1 ? 0 : strides[i] * steps[i];
  }
  CopyStrided(Size(y), y.rank, y.dims, At(a.inputs[0], offset, Size(y)), strides, a.outputs[0],
              dst_strides);
  return Rule::kNone;
}

// --- concat --------------------------------------------------------------------------------------

Status CheckConcat(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t axis_word = attrs.Int();
  int axis;
  const TensorInfo& y = a.out();
  if (!attrs.Done() || !NormalizeAxis(axis_word, y.rank, &axis)) return BadAttr(y.rank, axis_word);
  int64_t sum = 0;
  for (uint32_t i = 0; i < a.info.input_count; ++i) {
    FLOE_RETURN_IF_ERROR(InputIs(a, i, y.dtype));
    if (a.in(i).rank != y.rank) return BadShape(i, -1, y.rank, a.in(i).rank);
    for (int k = 0; k < y.rank; ++k) {
      if (k != axis && a.in(i).dims[k] != y.dims[k]) {
        return BadShape(i, k, y.dims[k], a.in(i).dims[k]);
      }
    }
    if (!CheckedAdd(sum, a.in(i).dims[axis], &sum)) return TooLarge();
  }
  if (sum != y.dims[axis]) return BadShape(a.OutputAt(), axis, sum, y.dims[axis]);
  return OkStatus();
}

Rule RunConcat(const RunArgs& a) {
  const TensorInfo& y = a.out();
  int axis = 0;
  (void)NormalizeAxis(a.attrs().Int(), y.rank, &axis);
  const AxisView out = ViewAt(y, axis);
  int64_t at = 0;
  for (uint32_t i = 0; i < a.info.input_count; ++i) {
    const int64_t run = a.in(i).dims[axis] * out.inner;
    const int64_t dims[2] = {out.outer, run};
    const int64_t from[2] = {run, 1}, to[2] = {out.length * out.inner, 1};
    CopyStrided(Size(y), 2, dims, a.inputs[i], from, At(a.outputs[0], at, Size(y)), to);
    at += run;
  }
  return Rule::kNone;
}

// --- pad -----------------------------------------------------------------------------------------

namespace {

// Where index i of a padded axis comes from: an index of the axis of length d, or -1 (the value).
int64_t PadSource(PadMode mode, int64_t i, int64_t d) {
  if (i >= 0 && i < d) return i;
  switch (mode) {
    case PadMode::kConstant:
      return -1;
    case PadMode::kEdge:
      return i < 0 ? 0 : d - 1;
    case PadMode::kWrap:
      return (i % d + d) % d;
    case PadMode::kReflect: {
      if (d == 1) return 0;
      const int64_t period = 2 * (d - 1);
      const int64_t k = (i % period + period) % period;
      return k < d ? k : period - k;
    }
  }
  return -1;
}

template <class U>
struct Padder {
  PadMode mode;
  const int64_t *before, *x_dims, *y_dims;
  int rank;
  U value;
  int64_t x_strides[kMaxRank], y_strides[kMaxRank];

  // `x` is null where an outer axis is in the padding already.
  void Fill(int axis, const U* x, U* y) const {
    if (axis == rank) {
      *y = x != nullptr ? *x : value;
      return;
    }
    for (int64_t i = 0; i < y_dims[axis]; ++i) {
      const int64_t from = x == nullptr ? -1 : PadSource(mode, i - before[axis], x_dims[axis]);
      Fill(axis + 1, from < 0 ? nullptr : x + from * x_strides[axis], y + i * y_strides[axis]);
    }
  }
};

}  // namespace

Status CheckPad(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t mode = attrs.Int();
  const std::span<const int64_t> before = attrs.Ints();
  const std::span<const int64_t> after = attrs.Ints();
  (void)attrs.Float();
  const TensorInfo& x = a.in(0);
  if (!attrs.Done() || mode < 0 || mode > static_cast<int64_t>(PadMode::kWrap) ||
      before.size() != x.rank || after.size() != x.rank) {
    return BadAttr(x.rank, static_cast<int64_t>(before.size()));
  }
  FLOE_RETURN_IF_ERROR(SameDType(a));
  int64_t dims[kMaxRank];
  for (int i = 0; i < x.rank; ++i) {
    // Bounds of 2^61 keep i - before and the reflection's period from overflowing.
    constexpr int64_t kLimit = int64_t{1} << 61;
    if (before[i] < -kLimit || before[i] > kLimit || after[i] < -kLimit || after[i] > kLimit ||
        x.dims[i] > kLimit) {
      return BadAttr(kLimit, before[i]);
    }
    dims[i] = x.dims[i] + before[i] + after[i];
    if (dims[i] < 0) return BadShape(0, i, 0, dims[i]);
    if (x.dims[i] == 0 && dims[i] > 0 && static_cast<PadMode>(mode) != PadMode::kConstant) {
      return BadShape(0, i, 1, 0);
    }
  }
  return OutputDims(a, 0, {dims, x.rank});
}

Rule RunPad(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const auto mode = static_cast<PadMode>(attrs.Int());
  const std::span<const int64_t> before = attrs.Ints();
  (void)attrs.Ints();
  uint64_t value = 0;
  StoreOne<double>(a.out().dtype, &value, 0, attrs.Float());
  WithSize(Size(a.out()), [&]<class U>() {
    U bits;
    std::memcpy(&bits, &value, sizeof(U));
    Padder<U> padder{mode, before.data(), a.in(0).dims, a.out().dims, a.out().rank, bits, {}, {}};
    DenseStrides(a.in(0).dims, a.in(0).rank, padder.x_strides);
    DenseStrides(a.out().dims, a.out().rank, padder.y_strides);
    // An empty x has no element to point at: everything is padding.
    const U* x = Count(a.in(0)) == 0 ? nullptr : static_cast<const U*>(a.inputs[0]);
    padder.Fill(0, x, static_cast<U*>(a.outputs[0]));
  });
  return Rule::kNone;
}

// --- tile ----------------------------------------------------------------------------------------

Status CheckTile(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const std::span<const int64_t> repeats = attrs.Ints();
  const TensorInfo& x = a.in(0);
  if (!attrs.Done() || repeats.size() != x.rank) {
    return BadAttr(x.rank, static_cast<int64_t>(repeats.size()));
  }
  FLOE_RETURN_IF_ERROR(SameDType(a));
  int64_t dims[kMaxRank];
  for (int i = 0; i < x.rank; ++i) {
    if (repeats[i] < 0) return BadAttr(0, repeats[i]);
    if (!CheckedMul(x.dims[i], repeats[i], &dims[i])) return TooLarge();
  }
  return OutputDims(a, 0, {dims, x.rank});
}

Rule RunTile(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const std::span<const int64_t> repeats = attrs.Ints();
  const TensorInfo& x = a.in(0);
  int64_t dims[kMaxAxes], strides[kMaxAxes], own[kMaxRank];
  DenseStrides(x.dims, x.rank, own);
  for (int i = 0; i < x.rank; ++i) {
    dims[2 * i] = repeats[i];
    strides[2 * i] = 0;
    dims[2 * i + 1] = x.dims[i];
    strides[2 * i + 1] = own[i];
  }
  return CopyToDense(a, 2 * x.rank, dims, strides);
}

// --- trilu ---------------------------------------------------------------------------------------

Status CheckTrilu(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t upper = attrs.Int();
  (void)attrs.Int();
  if (!attrs.Done() || upper < 0 || upper > 1) return BadAttr();
  if (a.in(0).rank < 2) return BadShape(0, -1, 2, a.in(0).rank);
  FLOE_RETURN_IF_ERROR(LikeInput(a, kAnyDType));
  AllowInPlace(a, 0, 1);
  return OkStatus();
}

Rule RunTrilu(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const bool upper = attrs.Int() != 0;
  const int64_t k = attrs.Int();
  const TensorInfo& x = a.in(0);
  const int64_t rows = x.dims[x.rank - 2], columns = x.dims[x.rank - 1];
  const int64_t count = Count(x);
  WithSize(Size(x), [&]<class U>() {
    const auto* from = static_cast<const U*>(a.inputs[0]);
    auto* to = static_cast<U*>(a.outputs[0]);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t diagonal = i % columns - i / columns % rows;
      to[i] = (upper ? diagonal >= k : diagonal <= k) ? from[i] : U{0};
    }
  });
  return Rule::kNone;
}

// --- depth_to_space and space_to_depth -----------------------------------------------------------

namespace {

// Both: rank 4, block in [1, 2^20].
Status CheckBlock(const CheckArgs& a, int64_t block) {
  if (block < 1 || block > 1 << 20) return BadAttr(1, block);
  if (a.in(0).rank != 4) return BadShape(0, -1, 4, a.in(0).rank);
  return SameDType(a);
}

}  // namespace

Status CheckDepthToSpace(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t b = attrs.Int();
  const int64_t crd = attrs.Int();
  if (!attrs.Done() || crd < 0 || crd > 1) return BadAttr();
  FLOE_RETURN_IF_ERROR(CheckBlock(a, b));
  const int64_t* d = a.in(0).dims;
  if (d[1] % (b * b) != 0) return BadShape(0, 1, b * b, d[1]);
  int64_t dims[4] = {d[0], d[1] / (b * b), 0, 0};
  if (!CheckedMul(d[2], b, &dims[2]) || !CheckedMul(d[3], b, &dims[3])) return TooLarge();
  return OutputDims(a, 0, dims);
}

Rule RunDepthToSpace(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t b = attrs.Int();
  const bool crd = attrs.Int() != 0;
  const int64_t* d = a.in(0).dims;
  const int64_t depth = d[1] / (b * b);
  if (crd) {
    const int64_t dims[6] = {d[0], depth, b, b, d[2], d[3]};
    constexpr int kPerm[6] = {0, 1, 4, 2, 5, 3};
    return CopyPermuted(a, 6, dims, kPerm);
  }
  const int64_t dims[6] = {d[0], b, b, depth, d[2], d[3]};
  constexpr int kPerm[6] = {0, 3, 4, 1, 5, 2};
  return CopyPermuted(a, 6, dims, kPerm);
}

Status CheckSpaceToDepth(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t b = attrs.Int();
  if (!attrs.Done()) return BadAttr();
  FLOE_RETURN_IF_ERROR(CheckBlock(a, b));
  const int64_t* d = a.in(0).dims;
  if (d[2] % b != 0) return BadShape(0, 2, b, d[2]);
  if (d[3] % b != 0) return BadShape(0, 3, b, d[3]);
  int64_t dims[4] = {d[0], 0, d[2] / b, d[3] / b};
  if (!CheckedMul(d[1], b * b, &dims[1])) return TooLarge();
  return OutputDims(a, 0, dims);
}

Rule RunSpaceToDepth(const RunArgs& a) {
  const int64_t b = a.attrs().Int();
  const int64_t* d = a.in(0).dims;
  const int64_t dims[6] = {d[0], d[1], d[2] / b, b, d[3] / b, b};
  constexpr int kPerm[6] = {0, 3, 5, 1, 2, 4};
  return CopyPermuted(a, 6, dims, kPerm);
}

}  // namespace floe::reference
