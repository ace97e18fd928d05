#include "backends/reference/walk.h"

#include <algorithm>
#include <cstring>

namespace floe::reference {

void BroadcastStrides(const TensorInfo& t, const int64_t* dims, int rank, int64_t* strides) {
  int64_t own[kMaxRank];
  DenseStrides(t.dims, t.rank, own);
  for (int i = 0; i < rank; ++i) {
    const int j = i - (rank - t.rank);
    strides[i] = j >= 0 && t.dims[j] == dims[i] ? own[j] : 0;
  }
}

Walk::Walk(const int64_t* dims, int rank, const int64_t* strides, int64_t offset)
    : offset_(offset) {
  for (int i = 0; i < rank; ++i) {
    if (dims[i] == 1) continue;
    const auto outer =
        static_cast<int64_t>(static_cast<uint64_t>(strides[i]) * static_cast<uint64_t>(dims[i]));
    if (rank_ > 0 && strides_[rank_ - 1] == outer && dims[i] != 0) {
      dims_[rank_ - 1] *= dims[i];
      strides_[rank_ - 1] = strides[i];
    } else {
      dims_[rank_] = dims[i];
      strides_[rank_++] = strides[i];
    }
  }
  if (rank_ == 0) {
    dims_[0] = 1;
    strides_[0] = 1;
    rank_ = 1;
  }
  consecutive_ = rank_ == 1 && strides_[0] == 1;
}

void Walk::Next(int64_t n, int64_t* offsets) {
  const int last = rank_ - 1;
  const int64_t step = strides_[last];
  int64_t at = offset_;
  for (int64_t i = 0; i < n;) {
    const int64_t run = std::min(n - i, dims_[last] - index_[last]);
    for (int64_t k = 0; k < run; ++k) offsets[i + k] = at + k * step;
    i += run;
    index_[last] += run;
    at += run * step;
    for (int axis = last; axis >= 0 && index_[axis] == dims_[axis]; --axis) {
      at -= dims_[axis] * strides_[axis];
      index_[axis] = 0;
      if (axis == 0) break;
      ++index_[axis - 1];
      at += strides_[axis - 1];
    }
  }
  offset_ = at;
}

Reader Reader::Broadcast(const TensorInfo& t, const void* base, const int64_t* dims, int rank) {
  int64_t strides[kMaxAxes];
  BroadcastStrides(t, dims, rank, strides);
  return Reader(t.dtype, base, Walk(dims, rank, strides));
}

namespace {

template <class U>
void CopyRow(int64_t n, const U* src, int64_t src_step, U* dst, int64_t dst_step) {
  if (n > 0 && src_step == 1 && dst_step == 1) {
    std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(U));
    return;
  }
  for (int64_t i = 0; i < n; ++i) dst[i * dst_step] = src[i * src_step];
}

template <class U>
void CopyBox(int rank, const int64_t* dims, const U* src, const int64_t* src_strides, U* dst,
             const int64_t* dst_strides) {
  if (rank == 0) {
    *dst = *src;
    return;
  }
  if (rank == 1) {
    CopyRow(dims[0], src, src_strides[0], dst, dst_strides[0]);
    return;
  }
  for (int64_t i = 0; i < dims[0]; ++i) {
    CopyBox(rank - 1, dims + 1, src + i * src_strides[0], src_strides + 1, dst + i * dst_strides[0],
            dst_strides + 1);
  }
}

}  // namespace

void CopyStrided(int64_t size, int rank, const int64_t* dims, const void* src,
                 const int64_t* src_strides, void* dst, const int64_t* dst_strides) {
  if (Product(dims, rank) == 0) return;
  int64_t d[kMaxAxes], s[kMaxAxes], t[kMaxAxes];
  int n = 0;
  for (int i = 0; i < rank; ++i) {
    if (dims[i] == 1) continue;
    if (n > 0 && s[n - 1] == src_strides[i] * dims[i] && t[n - 1] == dst_strides[i] * dims[i]) {
      d[n - 1] *= dims[i];
    } else {
      d[n++] = dims[i];
    }
    s[n - 1] = src_strides[i];
    t[n - 1] = dst_strides[i];
  }
  WithSize(size, [&]<class U>() {
    CopyBox<U>(n, d, static_cast<const U*>(src), s, static_cast<U*>(dst), t);
  });
}

}  // namespace floe::reference
