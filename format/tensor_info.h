// The physical description of a tensor with concrete dimensions: what kernels, the validator, the
// planner and the fuzzers all use. Strides, offsets and byte counts come from the functions here,
// with checked arithmetic, and from nowhere else.
#ifndef FLOE_FORMAT_TENSOR_INFO_H_
#define FLOE_FORMAT_TENSOR_INFO_H_

#include <cstdint>

#include "format/dtype.h"
#include "format/status.h"

namespace floe {

inline constexpr int kMaxRank = 8;
inline constexpr int64_t kAlignment = 64;    // Of every section, constant and arena slot.
inline constexpr int64_t kReadSlack = 1024;  // Readable bytes after every constant and arena slot.

enum class LayoutId : uint8_t {
#define FLOE_LAYOUT(id, name, text, feature, formula) k##name = id,
#include "format/layouts.def"
#undef FLOE_LAYOUT
};
const char* LayoutName(LayoutId layout);  // "?" if unknown.
bool IsKnownLayout(uint8_t layout);

// Border pixels of a channels-last rank-4 tensor. The image is one flat line of pixels: `gap`
// pixels first, then `top` rows, the H image rows and `bottom` rows, each row of W + gap pixels.
// The gap after row y-1 is both its right and row y's left halo. Pixel (y, x), with -top <= y < H +
// bottom and -gap <= x < W + gap, is at pixel gap + (y + top) * (W + gap) + x.
struct Halo {
  uint8_t top = 0;
  uint8_t bottom = 0;
  uint8_t gap = 0;
  uint8_t fill = 0;  // Every byte of the border; other than 0 (u8, i8: a zero point) needs a border.

  constexpr bool empty() const { return top == 0 && bottom == 0 && gap == 0; }
  friend constexpr bool operator==(const Halo&, const Halo&) = default;
};

struct TensorInfo {
  DType dtype = DType::kNone;  // kNone: this optional operand is absent.
  LayoutId layout = LayoutId::kDense;
  uint8_t rank = 0;
  Halo halo;           // Empty unless layout is kChannelsLast and rank is 4.
  int32_t groups = 1;  // kConvPanels16, kConvPairs16 and kConvPanels16x4 only.
  int64_t dims[kMaxRank] = {};

  constexpr bool present() const { return dtype != DType::kNone; }
};

// Product of the logical dims. False if a dim is negative or the product overflows.
[[nodiscard]] bool ElementCount(const TensorInfo& t, int64_t* count);

// Bytes that the tensor occupies, halo and layout padding included, slack excluded.
// kValueLayout, kValueRank, kValueDType, kDimRange (negative) or kValueTooLarge on error.
[[nodiscard]] Status TensorBytes(const TensorInfo& t, int64_t* bytes);

// Element strides of the logical axes and the element offset of logical index 0, for kDense and
// kChannelsLast. The tensor must have passed TensorBytes.
void TensorStrides(const TensorInfo& t, int64_t strides[kMaxRank], int64_t* offset);

// Element position of a logical index, for every layout: the plain decoder. O(rank).
int64_t ElementOffset(const TensorInfo& t, const int64_t* index);

}  // namespace floe

#endif  // FLOE_FORMAT_TENSOR_INFO_H_
