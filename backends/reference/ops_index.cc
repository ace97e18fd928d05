// Gathers, scatters and nonzero. Indices are i32 or i64; a negative one counts from the end of its
// axis; any other that lies outside fails the run with kRunIndex before anything is read or written
// with it.
#include <algorithm>
#include <cstring>

#include "backends/reference/functions.h"
#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

int64_t Size(const TensorInfo& t) { return DTypeSize(t.dtype); }

// The indices of an operand, one by one.
class IndexReader {
 public:
  IndexReader(const TensorInfo& t, const void* data) : dtype_(t.dtype), data_(data) {}
  // Index number i, made non-negative for an axis of that length. False if it lies outside.
  bool Get(int64_t i, int64_t length, int64_t* index) const {
    int64_t v = dtype_ == DType::kI32 ? static_cast<const int32_t*>(data_)[i]
                                      : static_cast<const int64_t*>(data_)[i];
    if (v < 0) v += length;
    *index = v;
    return v >= 0 && v < length;
  }

 private:
  DType dtype_;
  const void* data_;
};

// x and the output have one dtype, input 1 is an index tensor.
Status CheckIndexed(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(InputIn(a, 1, kIndexTypes));
  return OutputIs(a, 0, a.in(0).dtype);
}

// The axis attribute, which must be the last word read so far.
Status ReadAxis(AttrReader* attrs, int rank, int* axis) {
  const int64_t word = attrs->Int();
  return attrs->ok() && NormalizeAxis(word, rank, axis) ? OkStatus() : BadAttr(rank, word);
}

int AxisOf(const RunArgs& a) {
  int axis = 0;
  (void)NormalizeAxis(a.attrs().Int(), a.in(0).rank, &axis);
  return axis;
}

// indices has x's rank and is no longer than x along every axis but `axis`.
Status CheckElementsShape(const CheckArgs& a, int axis) {
  const TensorInfo &x = a.in(0), &indices = a.in(1);
  if (indices.rank != x.rank) return BadShape(1, -1, x.rank, indices.rank);
  for (int i = 0; i < x.rank; ++i) {
    if (i != axis && indices.dims[i] > x.dims[i]) return BadShape(1, i, x.dims[i], indices.dims[i]);
  }
  return OkStatus();
}

// Strides of x without that of `axis`, to walk the other axes along an index tensor.
Walk OtherAxes(const TensorInfo& x, const TensorInfo& indices, int axis) {
  int64_t strides[kMaxRank];
  DenseStrides(x.dims, x.rank, strides);
  strides[axis] = 0;
  return Walk(indices.dims, indices.rank, strides);
}

// How GatherNd and ScatterNd see x: tuples of `depth` indices, each naming a slice of `run`
// elements.
struct Tuples {
  int64_t count = 1;  // Tuples in all.
  int64_t depth = 0;
  int64_t run = 1;
  int first = 0;  // Axis of x that a tuple's first index counts along.
  int64_t strides[kMaxRank];

  Tuples(const TensorInfo& x, const TensorInfo& indices, int batch) : first(batch) {
    depth = indices.dims[indices.rank - 1];
    count = Product(indices.dims, indices.rank - 1);
    run = Product(x.dims + batch + depth, x.rank - batch - static_cast<int>(depth));
    DenseStrides(x.dims, x.rank, strides);
  }
  // Adds the offset of tuple i in x to *at. False if one of its indices lies outside.
  bool Offset(const IndexReader& indices, const TensorInfo& x, int64_t i, int64_t* at) const {
    for (int64_t k = 0; k < depth; ++k) {
      int64_t index;
      if (!indices.Get(i * depth + k, x.dims[first + k], &index)) return false;
      *at += index * strides[first + k];
    }
    return true;
  }
};

// acc <- acc (reduction) update, elements of x's dtype.
void Combine(DType t, ScatterReduction reduction, void* x, int64_t at, const void* updates,
             int64_t from) {
  if (reduction == ScatterReduction::kNone) {
    const int64_t size = DTypeSize(t);
    std::memcpy(At(x, at, size), At(updates, from, size), static_cast<size_t>(size));
    return;
  }
  WithCompute(t, [&](auto zero) {
    using C = decltype(zero);
    C a = LoadOne<C>(t, x, at);
    const C b = LoadOne<C>(t, updates, from);
    if constexpr (std::is_floating_point_v<C>) {
      a = reduction == ScatterReduction::kAdd   ? a + b
          : reduction == ScatterReduction::kMul ? a * b
          : reduction == ScatterReduction::kMax ? MaxOf(a, b)
                                                : MinOf(a, b);
    } else {
      const auto ra = static_cast<uint64_t>(a), rb = static_cast<uint64_t>(b);
      a = reduction == ScatterReduction::kAdd   ? static_cast<C>(ra + rb)
          : reduction == ScatterReduction::kMul ? static_cast<C>(ra * rb)
          : reduction == ScatterReduction::kMax ? std::max(a, b)
                                                : std::min(a, b);
    }
    StoreOne<C>(t, x, at, a);
  });
}

Status CheckReduction(int64_t reduction) {
  return reduction >= 0 && reduction <= static_cast<int64_t>(ScatterReduction::kMin)
             ? OkStatus()
             : BadAttr(static_cast<int64_t>(ScatterReduction::kMin), reduction);
}

// The output starts as a copy of x.
void CopyInput(const RunArgs& a) {
  if (a.inputs[0] == a.outputs[0] || Count(a.out()) == 0) return;
  std::memcpy(a.outputs[0], a.inputs[0],
              static_cast<size_t>(Count(a.out())) * static_cast<size_t>(Size(a.out())));
}

}  // namespace

// --- gather --------------------------------------------------------------------------------------

Status CheckGather(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const TensorInfo &x = a.in(0), &indices = a.in(1);
  int axis;
  FLOE_RETURN_IF_ERROR(ReadAxis(&attrs, x.rank, &axis));
  if (!attrs.Done()) return BadAttr();
  FLOE_RETURN_IF_ERROR(CheckIndexed(a));
  if (x.rank - 1 + indices.rank > kMaxRank) return BadShape(1, -1, kMaxRank, indices.rank);
  int64_t dims[kMaxRank];
  int64_t* end = std::copy_n(x.dims, axis, dims);
  end = std::copy_n(indices.dims, indices.rank, end);
  end = std::copy_n(x.dims + axis + 1, x.rank - axis - 1, end);
  return OutputDims(a, 0, {dims, end});
}

Rule RunGather(const RunArgs& a) {
  const AxisView v = ViewAt(a.in(0), AxisOf(a));
  const int64_t size = Size(a.out()), count = Count(a.in(1));
  const IndexReader indices(a.in(1), a.inputs[1]);
  for (int64_t i = 0; i < count; ++i) {
    int64_t index;
    if (!indices.Get(i, v.length, &index)) return Rule::kRunIndex;
    for (int64_t o = 0; o < v.outer; ++o) {
      std::memcpy(At(a.outputs[0], (o * count + i) * v.inner, size),
                  At(a.inputs[0], (o * v.length + index) * v.inner, size),
                  static_cast<size_t>(v.inner * size));
    }
  }
  return Rule::kNone;
}

// --- gather_elements -----------------------------------------------------------------------------

Status CheckGatherElements(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  int axis;
  FLOE_RETURN_IF_ERROR(ReadAxis(&attrs, a.in(0).rank, &axis));
  if (!attrs.Done()) return BadAttr();
  FLOE_RETURN_IF_ERROR(CheckIndexed(a));
  FLOE_RETURN_IF_ERROR(CheckElementsShape(a, axis));
  return OutputDims(a, 0, Dims(a.in(1)));
}

Rule RunGatherElements(const RunArgs& a) {
  const int axis = AxisOf(a);
  const AxisView v = ViewAt(a.in(0), axis);
  const int64_t size = Size(a.out()), count = Count(a.out());
  const IndexReader indices(a.in(1), a.inputs[1]);
  Walk others = OtherAxes(a.in(0), a.in(1), axis);
  for (int64_t i = 0; i < count; ++i) {
    int64_t at, index;
    others.Next(1, &at);
    if (!indices.Get(i, v.length, &index)) return Rule::kRunIndex;
    std::memcpy(At(a.outputs[0], i, size), At(a.inputs[0], at + index * v.inner, size),
                static_cast<size_t>(size));
  }
  return Rule::kNone;
}

// --- gather_nd -----------------------------------------------------------------------------------

Status CheckGatherNd(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t batch = attrs.Int();
  const TensorInfo &x = a.in(0), &indices = a.in(1);
  if (!attrs.Done() || batch < 0 || batch >= x.rank || batch >= indices.rank) {
    return BadAttr(0, batch);
  }
  FLOE_RETURN_IF_ERROR(CheckIndexed(a));
  const int b = static_cast<int>(batch);
  for (int i = 0; i < b; ++i) {
    if (x.dims[i] != indices.dims[i]) return BadShape(1, i, x.dims[i], indices.dims[i]);
  }
  const int64_t depth = indices.dims[indices.rank - 1];
  if (depth < 1 || depth > x.rank - b) return BadShape(1, indices.rank - 1, x.rank - b, depth);
  const int tail = b + static_cast<int>(depth);
  if (indices.rank - 1 + x.rank - tail > kMaxRank) return BadShape(1, -1, kMaxRank, indices.rank);
  int64_t dims[kMaxRank];
  int64_t* end = std::copy_n(indices.dims, indices.rank - 1, dims);
  end = std::copy_n(x.dims + tail, x.rank - tail, end);
  return OutputDims(a, 0, {dims, end});
}

Rule RunGatherNd(const RunArgs& a) {
  const TensorInfo& x = a.in(0);
  const int batch = static_cast<int>(a.attrs().Int());
  const Tuples tuples(x, a.in(1), batch);
  const int64_t size = Size(x), per_batch = tuples.count / Product(x.dims, batch);
  const int64_t batch_elements = Product(x.dims + batch, x.rank - batch);
  const IndexReader indices(a.in(1), a.inputs[1]);
  for (int64_t i = 0; i < tuples.count; ++i) {
    int64_t at = i / per_batch * batch_elements;
    if (!tuples.Offset(indices, x, i, &at)) return Rule::kRunIndex;
    std::memcpy(At(a.outputs[0], i * tuples.run, size), At(a.inputs[0], at, size),
                static_cast<size_t>(tuples.run * size));
  }
  return Rule::kNone;
}

// --- scatter_elements ----------------------------------------------------------------------------

Status CheckScatterElements(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  int axis;
  FLOE_RETURN_IF_ERROR(ReadAxis(&attrs, a.in(0).rank, &axis));
  FLOE_RETURN_IF_ERROR(CheckReduction(attrs.Int()));
  if (!attrs.Done()) return BadAttr();
  FLOE_RETURN_IF_ERROR(CheckIndexed(a));
  FLOE_RETURN_IF_ERROR(InputIs(a, 2, a.in(0).dtype));
  FLOE_RETURN_IF_ERROR(CheckElementsShape(a, axis));
  FLOE_RETURN_IF_ERROR(InputDims(a, 2, Dims(a.in(1))));
  AllowInPlace(a, 0, 1);
  return OutputDims(a, 0, Dims(a.in(0)));
}

Rule RunScatterElements(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  (void)attrs.Int();
  const auto reduction = static_cast<ScatterReduction>(attrs.Int());
  const int axis = AxisOf(a);
  const AxisView v = ViewAt(a.in(0), axis);
  const int64_t count = Count(a.in(1));
  const IndexReader indices(a.in(1), a.inputs[1]);
  CopyInput(a);
  if (count == 0) return Rule::kNone;
  Walk others = OtherAxes(a.in(0), a.in(1), axis);
  for (int64_t i = 0; i < count; ++i) {
    int64_t at, index;
    others.Next(1, &at);
    if (!indices.Get(i, v.length, &index)) return Rule::kRunIndex;
    Combine(a.out().dtype, reduction, a.outputs[0], at + index * v.inner, a.inputs[2], i);
  }
  return Rule::kNone;
}

// --- scatter_nd ----------------------------------------------------------------------------------

Status CheckScatterNd(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  FLOE_RETURN_IF_ERROR(CheckReduction(attrs.Int()));
  if (!attrs.Done()) return BadAttr();
  const TensorInfo &x = a.in(0), &indices = a.in(1);
  FLOE_RETURN_IF_ERROR(CheckIndexed(a));
  FLOE_RETURN_IF_ERROR(InputIs(a, 2, x.dtype));
  if (indices.rank < 1) return BadShape(1, -1, 1, 0);
  const int64_t depth = indices.dims[indices.rank - 1];
  if (depth < 1 || depth > x.rank) return BadShape(1, indices.rank - 1, x.rank, depth);
  const int tail = static_cast<int>(depth);
  if (indices.rank - 1 + x.rank - tail > kMaxRank) return BadShape(1, -1, kMaxRank, indices.rank);
  int64_t dims[kMaxRank];
  int64_t* end = std::copy_n(indices.dims, indices.rank - 1, dims);
  end = std::copy_n(x.dims + tail, x.rank - tail, end);
  FLOE_RETURN_IF_ERROR(InputDims(a, 2, {dims, end}));
  AllowInPlace(a, 0, 1);
  return OutputDims(a, 0, Dims(x));
}

Rule RunScatterNd(const RunArgs& a) {
  const TensorInfo& x = a.in(0);
  const auto reduction = static_cast<ScatterReduction>(a.attrs().Int());
  const Tuples tuples(x, a.in(1), 0);
  const IndexReader indices(a.in(1), a.inputs[1]);
  CopyInput(a);
  for (int64_t i = 0; i < tuples.count; ++i) {
    int64_t at = 0;
    if (!tuples.Offset(indices, x, i, &at)) return Rule::kRunIndex;
    for (int64_t k = 0; k < tuples.run; ++k) {
      Combine(x.dtype, reduction, a.outputs[0], at + k, a.inputs[2], i * tuples.run + k);
    }
  }
  return Rule::kNone;
}

// --- masked_scatter ------------------------------------------------------------------------------

Status CheckMaskedScatter(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(InputIs(a, 1, DType::kBool));
  FLOE_RETURN_IF_ERROR(InputIs(a, 2, a.in(0).dtype));
  FLOE_RETURN_IF_ERROR(LikeInput(a, kAnyDType));
  FLOE_RETURN_IF_ERROR(BroadcastsTo(a, 1, 1, a.out(), false));
  AllowInPlace(a, 0, 1);
  return OkStatus();
}

Rule RunMaskedScatter(const RunArgs& a) {
  const TensorInfo& y = a.out();
  const int64_t count = Count(y), size = Size(y), available = Count(a.in(2));
  CopyInput(a);
  Reader mask = Reader::Broadcast(a.in(1), a.inputs[1], y.dims, y.rank);
  int64_t next = 0;
  for (int64_t i = 0; i < count; ++i) {
    int64_t chosen;
    mask.Next(1, &chosen);
    if (chosen == 0) continue;
    if (next == available) return Rule::kRunIndex;
    std::memcpy(At(a.outputs[0], i, size), At(a.inputs[2], next++, size),
                static_cast<size_t>(size));
  }
  return Rule::kNone;
}

// --- nonzero -------------------------------------------------------------------------------------

namespace {

// The first `size` indices, then `fill`.
void WriteNonzero(const RunArgs& a, int64_t size, int64_t fill) {
  const TensorInfo& x = a.in(0);
  auto* out = static_cast<int64_t*>(a.outputs[0]);
  const int64_t count = Count(x);
  int64_t found = 0;
  WithCompute(x.dtype, [&](auto zero) {
    using C = decltype(zero);
    for (int64_t i = 0; i < count && found < size; ++i) {
      if (LoadOne<C>(x.dtype, a.inputs[0], i) == 0) continue;
      int64_t rest = i;
      for (int axis = x.rank; axis-- > 0; rest /= x.dims[axis]) {
        out[found * x.rank + axis] = rest % x.dims[axis];
      }
      ++found;
    }
  });
  std::fill(out + found * x.rank, out + size * x.rank, fill);
}

}  // namespace

Status CheckNonzero(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, DType::kI64));
  const int64_t dims[] = {a.out(0).rank == 2 ? a.out(0).dims[0] : 0, a.in(0).rank};
  return OutputDims(a, 0, dims);
}

Rule RunNonzero(const RunArgs& a) {
  WriteNonzero(a, a.out(0).dims[0], 0);
  return Rule::kNone;
}

// NaN is not zero.
Status CheckNonzeroStatic(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t size = attrs.Int();
  (void)attrs.Int();
  if (!attrs.Done() || size < 0) return BadAttr(0, size);
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, DType::kI64));
  const int64_t dims[] = {size, a.in(0).rank};
  return OutputDims(a, 0, dims);
}

Rule RunNonzeroStatic(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t size = attrs.Int();
  WriteNonzero(a, size, attrs.Int());
  return Rule::kNone;
}

}  // namespace floe::reference
