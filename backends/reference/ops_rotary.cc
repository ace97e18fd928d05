// rotary: pairs of features turned by an angle, in double.
#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

struct Attrs {
  int64_t interleaved, rotated;
};

bool ReadAttrs(AttrReader attrs, const TensorInfo& x, Attrs* a) {
  a->interleaved = attrs.Int();
  a->rotated = attrs.Int();
  return attrs.Done() && a->interleaved >= 0 && a->interleaved <= 1 && a->rotated >= 2 &&
         a->rotated % 2 == 0 && x.rank >= 1 && a->rotated <= x.dims[x.rank - 1];
}

}  // namespace

Status CheckRotary(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(LikeInput(a, kFloats));
  const TensorInfo& x = a.in(0);
  Attrs attrs;
  if (!ReadAttrs(a.attrs(), x, &attrs)) return BadAttr();
  for (uint32_t i = 1; i < 3; ++i) {
    FLOE_RETURN_IF_ERROR(InputIs(a, i, x.dtype));
    const TensorInfo& t = a.in(i);
    if (t.rank < 1 || t.rank > x.rank) return BadShape(i, -1, x.rank, t.rank);
    for (int axis = 0; axis + 1 < t.rank; ++axis) {
      const int64_t d = x.dims[x.rank - t.rank + axis];
      if (t.dims[axis] != 1 && t.dims[axis] != d) return BadShape(i, axis, d, t.dims[axis]);
    }
    const int64_t width = t.dims[t.rank - 1];
    if (width != attrs.rotated && width != attrs.rotated / 2) {
      return BadShape(i, t.rank - 1, attrs.rotated, width);
    }
  }
  const int64_t widths[2] = {a.in(1).dims[a.in(1).rank - 1], a.in(2).dims[a.in(2).rank - 1]};
  if (widths[0] != widths[1]) return BadShape(2, a.in(2).rank - 1, widths[0], widths[1]);
  a.footprint.flops = 3 * static_cast<double>(Count(a.out()));
  return OkStatus();
}

Rule RunRotary(const RunArgs& a) {
  const TensorInfo& x = a.in(0);
  Attrs attrs;
  ReadAttrs(a.attrs(), x, &attrs);
  const DType t = x.dtype;
  const int rank = x.rank;
  const int64_t features = x.dims[rank - 1], half = attrs.rotated / 2;
  const int64_t rows = Product(x.dims, rank - 1);
  const bool shared = a.in(1).dims[a.in(1).rank - 1] == half;
  // Rows of cos and sin, broadcast over the rows of x: their last axis is looked at as one.
  int64_t strides[2][kMaxRank];
  for (uint32_t i = 0; i < 2; ++i) {
    TensorInfo table = a.in(i + 1);
    int64_t dims[kMaxRank];
    for (int axis = 0; axis < rank; ++axis) dims[axis] = x.dims[axis];
    dims[rank - 1] = table.dims[table.rank - 1];
    BroadcastStrides(table, dims, rank, strides[i]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    int64_t at[2] = {0, 0}, rest = row;
    for (int axis = rank - 2; axis >= 0; --axis) {
      for (int i = 0; i < 2; ++i) at[i] += rest % x.dims[axis] * strides[i][axis];
      rest /= x.dims[axis];
    }
    for (int64_t d = 0; d < features; ++d) {
      const double own = LoadOne<double>(t, a.inputs[0], row * features + d);
      double y = own;
      if (d < attrs.rotated) {
        const int64_t pair = attrs.interleaved != 0 ? d / 2 : d % half;
        const bool second = attrs.interleaved != 0 ? d % 2 != 0 : d >= half;
        const int64_t partner = attrs.interleaved != 0 ? d ^ 1 : second ? d - half : d + half;
        const double other = LoadOne<double>(t, a.inputs[0], row * features + partner);
        const int64_t number = shared ? pair : d;
        const double c = LoadOne<double>(t, a.inputs[1], at[0] + number);
        const double s = LoadOne<double>(t, a.inputs[2], at[1] + number);
        y = own * c + (second ? other : -other) * s;
      }
      StoreOne<double>(t, a.outputs[0], row * features + d, y);
    }
  }
  return Rule::kNone;
}

}  // namespace floe::reference
