// Walks over the indices of tensors: offsets of broadcast, transposed or sliced operands in the
// row-major order of a result, and copies between strided views. Nothing here can overflow: strides
// are products that wrap, and they are used only for elements that exist.
#ifndef FLOE_BACKENDS_REFERENCE_WALK_H_
#define FLOE_BACKENDS_REFERENCE_WALK_H_

#include <cstdint>

#include "backends/reference/element.h"
#include "format/tensor_info.h"

namespace floe::reference {

inline constexpr int kMaxAxes = 2 * kMaxRank;  // Views may split every axis in two.
inline constexpr int64_t kChunk = 256;         // Elements that ops work on at a time.

// Product of dims; 0 if any is 0. Of a checked tensor's dims (or a subset, if it is not empty).
inline int64_t Product(const int64_t* dims, int count) {
  uint64_t p = 1;
  for (int i = 0; i < count; ++i) {
    if (dims[i] == 0) return 0;
    p *= static_cast<uint64_t>(dims[i]);
  }
  return static_cast<int64_t>(p);
}
inline int64_t Count(const TensorInfo& t) { return Product(t.dims, t.rank); }

// Row-major element strides.
inline void DenseStrides(const int64_t* dims, int rank, int64_t* strides) {
  uint64_t s = 1;
  for (int i = rank; i-- > 0;) {
    strides[i] = static_cast<int64_t>(s);
    s *= static_cast<uint64_t>(dims[i]);
  }
}

// Strides with which dense `t` is read in the row-major order of `dims` (numpy broadcasting,
// right-aligned). REQUIRES: t broadcasts to dims.
void BroadcastStrides(const TensorInfo& t, const int64_t* dims, int rank, int64_t* strides);

// Visits the indices of a box in row-major order and gives offsets under any strides.
class Walk {
 public:
  Walk() = default;
  // Copies what it needs; merges axes where that changes nothing.
  Walk(const int64_t* dims, int rank, const int64_t* strides, int64_t offset = 0);

  // The offsets of the next n indices. REQUIRES: that many are left.
  void Next(int64_t n, int64_t* offsets);
  // The offset of index 0, if offsets are consecutive; else -1.
  bool consecutive() const { return consecutive_; }
  int64_t offset() const { return offset_; }

 private:
  int rank_ = 0;
  bool consecutive_ = false;
  int64_t offset_ = 0;
  int64_t dims_[kMaxAxes] = {};
  int64_t strides_[kMaxAxes] = {};
  int64_t index_[kMaxAxes] = {};
};

// A tensor operand that is read in the order of a walk, a chunk (at most kChunk) at a time.
class Reader {
 public:
  Reader() = default;
  Reader(DType dtype, const void* base, const Walk& walk)
      : dtype_(dtype), base_(base), walk_(walk), next_(walk.offset()) {}
  // Dense `t`, broadcast to dims.
  static Reader Broadcast(const TensorInfo& t, const void* base, const int64_t* dims, int rank);

  template <class C>
  void Next(int64_t n, C* out) {
    if (walk_.consecutive()) {
      LoadRun<C>(dtype_, base_, next_, n, out);
      next_ += n;
    } else {
      int64_t offsets[kChunk];
      walk_.Next(n, offsets);
      LoadAt<C>(dtype_, base_, offsets, n, out);
    }
  }

 private:
  DType dtype_ = DType::kNone;
  const void* base_ = nullptr;
  Walk walk_;
  int64_t next_ = 0;
};

// For every index of dims: dst[index . dst_strides] = src[index . src_strides]; elements of `size`
// bytes (1, 2, 4 or 8). The views must not overlap.
void CopyStrided(int64_t size, int rank, const int64_t* dims, const void* src,
                 const int64_t* src_strides, void* dst, const int64_t* dst_strides);

inline const char* At(const void* base, int64_t element, int64_t size) {
  return static_cast<const char*>(base) + element * size;
}
inline char* At(void* base, int64_t element, int64_t size) {
  return static_cast<char*>(base) + element * size;
}

// Calls f.template operator()<U>() with the unsigned type of `size` bytes.
template <class F>
inline void WithSize(int64_t size, F&& f) {
  switch (size) {
    case 1:
      return f.template operator()<uint8_t>();
    case 2:
      return f.template operator()<uint16_t>();
    case 4:
      return f.template operator()<uint32_t>();
    default:
      return f.template operator()<uint64_t>();
  }
}

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_WALK_H_
