// Checks that many ops share.
#include "backends/reference/ops_internal.h"

namespace floe::reference {

Status InputIn(const CheckArgs& a, uint32_t i, DTypeSet set) {
  const DType t = a.in(i).dtype;
  return Contains(set, t) ? OkStatus() : BadDType(i, DType::kNone, t);
}

Status InputIs(const CheckArgs& a, uint32_t i, DType t) {
  return a.in(i).dtype == t ? OkStatus() : BadDType(i, t, a.in(i).dtype);
}

Status OutputIs(const CheckArgs& a, uint32_t i, DType t) {
  return a.out(i).dtype == t ? OkStatus() : BadDType(a.OutputAt(i), t, a.out(i).dtype);
}

namespace {

Status SameDims(const TensorInfo& t, uint32_t operand, std::span<const int64_t> dims) {
  if (t.rank != dims.size()) {
    return BadShape(operand, -1, static_cast<int64_t>(dims.size()), t.rank);
  }
  for (int i = 0; i < t.rank; ++i) {
    if (t.dims[i] != dims[i]) return BadShape(operand, i, dims[i], t.dims[i]);
  }
  return OkStatus();
}

}  // namespace

Status InputDims(const CheckArgs& a, uint32_t i, std::span<const int64_t> dims) {
  return SameDims(a.in(i), i, dims);
}

Status OutputDims(const CheckArgs& a, uint32_t i, std::span<const int64_t> dims) {
  return SameDims(a.out(i), a.OutputAt(i), dims);
}

Status LikeInput(const CheckArgs& a, DTypeSet set) {
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, set));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, a.in(0).dtype));
  return OutputDims(a, 0, Dims(a.in(0)));
}

Status NoAttrs(const CheckArgs& a) {
  return a.info.attr_count == 0 ? OkStatus() : BadAttr(0, a.info.attr_count);
}

bool NormalizeAxis(int64_t axis, int rank, int* out) {
  if (axis < -rank || axis >= rank) return false;
  *out = static_cast<int>(axis < 0 ? axis + rank : axis);
  return true;
}

Status BroadcastsTo(const CheckArgs& a, uint32_t first, uint32_t count, const TensorInfo& result,
                    bool exactly) {
  bool seen[kMaxRank] = {};
  for (uint32_t i = first; i < first + count; ++i) {
    const TensorInfo& t = a.in(i);
    if (t.rank > result.rank) return BadShape(i, -1, result.rank, t.rank);
    const int shift = result.rank - t.rank;
    for (int axis = 0; axis < t.rank; ++axis) {
      if (t.dims[axis] == result.dims[axis + shift]) {
        seen[axis + shift] = true;
      } else if (t.dims[axis] != 1) {
        return BadShape(i, axis, result.dims[axis + shift], t.dims[axis]);
      }
    }
  }
  if (!exactly) return OkStatus();
  int widest = 0;
  for (uint32_t i = first; i < first + count; ++i) {
    widest = a.in(i).rank > widest ? a.in(i).rank : widest;
  }
  if (widest != result.rank) return BadShape(a.OutputAt(), -1, widest, result.rank);
  for (int axis = 0; axis < result.rank; ++axis) {
    if (!seen[axis]) return BadShape(a.OutputAt(), axis, 1, result.dims[axis]);
  }
  return OkStatus();
}

void AllowInPlace(const CheckArgs& a, uint32_t first, uint32_t count) {
  for (uint32_t i = first; i < first + count; ++i) {
    if (DTypeSize(a.in(i).dtype) == DTypeSize(a.out().dtype) && Count(a.in(i)) == Count(a.out())) {
      a.footprint.in_place_inputs |= uint64_t{1} << i;
    }
  }
}

bool CheckedProduct(std::span<const int64_t> dims, int64_t* out) {
  int64_t p = 1;
  for (int64_t d : dims) {
    if (d == 0) {
      *out = 0;
      return true;
    }
  }
  for (int64_t d : dims) {
    if (d < 0 || !CheckedMul(p, d, &p)) return false;
  }
  *out = p;
  return true;
}

}  // namespace floe::reference
