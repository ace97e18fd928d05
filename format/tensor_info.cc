#include "format/tensor_info.h"

#include "format/checked.h"
#include "format/error_sink.h"

namespace floe {
namespace {

constexpr int64_t kPanel = 16;
constexpr int64_t kGroup = 4;  // Of k, in the layouts of one-byte weights.
// Sizes stay below this, so that rounding one up and adding slack to it cannot overflow.
constexpr int64_t kMaxBytes = int64_t{1} << 62;

// A product that treats a factor of 0 as 1 when it looks for overflow, so that no partial product
// (a stride) of an empty tensor overflows either.
class Product {
 public:
  void Times(int64_t factor) {
    if (factor < 0) ok_ = false;
    if (factor == 0) {
      zero_ = true;
      return;
    }
    if (ok_ && !CheckedMul(value_, factor, &value_)) ok_ = false;
  }
  bool ok() const { return ok_; }
  int64_t value() const { return zero_ ? 0 : value_; }

 private:
  int64_t value_ = 1;
  bool ok_ = true;
  bool zero_ = false;
};

// Layouts of i8 whose innermost axis is four neighbours in k.
constexpr bool HasByteGroups(LayoutId layout) {
  return layout == LayoutId::kGemmPanels16x4 || layout == LayoutId::kConvPanels16x4 ||
         layout == LayoutId::kDepthwiseTaps16x4;
}

// Does the layout fit rank, dims, groups and halo?
bool CheckLayout(const TensorInfo& t, ErrorSink* e) {
  const auto bad = [e](int64_t expected, int64_t got, int axis = -1) -> bool {
    return e->Bad(Rule::kValueLayout, expected, got).ForAxis(axis);
  };
  int min_rank = 0;
  int max_rank = kMaxRank;
  switch (t.layout) {
    case LayoutId::kDense:
      break;
    case LayoutId::kChannelsLast:
    case LayoutId::kConvPanels16:
    case LayoutId::kConvPairs16:
    case LayoutId::kConvPanels16x4:
    case LayoutId::kDepthwiseTaps16:
    case LayoutId::kDepthwiseTaps16x4:
      min_rank = 3;
      max_rank = 5;
      break;
    case LayoutId::kWinogradPanels16:
      min_rank = max_rank = 4;
      break;
    case LayoutId::kGemmPanels16:
    case LayoutId::kGemmPairs16:
    case LayoutId::kGemmPanels16x4:
    case LayoutId::kLstmGates16:
      min_rank = max_rank = 2;
      break;
    default:
      return bad(0, static_cast<int64_t>(t.layout));
  }
  if (t.rank < min_rank || t.rank > max_rank) return bad(min_rank, t.rank);
  if (!t.halo.empty() && (t.layout != LayoutId::kChannelsLast || t.rank != 4))
    return bad(4, t.rank);
  if (t.halo.fill != 0 && (t.halo.empty() || DTypeSize(t.dtype) != 1)) return bad(0, t.halo.fill);
  if (HasByteGroups(t.layout) && t.dtype != DType::kI8) {
    return bad(static_cast<int64_t>(DType::kI8), static_cast<int64_t>(t.dtype));
  }
  if (t.layout == LayoutId::kConvPanels16 || t.layout == LayoutId::kConvPairs16 ||
      t.layout == LayoutId::kConvPanels16x4) {
    if (t.groups < 1 || t.dims[0] % t.groups != 0) return bad(t.dims[0], t.groups, 0);
  } else if (t.groups != 1) {
    return bad(1, t.groups);
  }
  if (t.layout == LayoutId::kWinogradPanels16 &&
      ((t.dims[2] != 4 && t.dims[2] != 6) || t.dims[3] != t.dims[2])) {
    return bad(t.dims[2], t.dims[3], 3);
  }
  const bool depthwise =
      t.layout == LayoutId::kDepthwiseTaps16 || t.layout == LayoutId::kDepthwiseTaps16x4;
  if (depthwise && t.dims[1] != 1) return bad(1, t.dims[1], 1);
  if (t.layout == LayoutId::kLstmGates16) {
    int64_t columns;
    if (!CheckedMul(t.dims[0], 4, &columns) || t.dims[1] != columns) {
      return bad(t.dims[0], t.dims[1], 1);
    }
  }
  return true;
}

// Stored elements, padding included.
bool StoredElements(const TensorInfo& t, Product* product) {
  if (t.layout == LayoutId::kChannelsLast && !t.halo.empty()) {
    int64_t rows, pitch, pixels;
    if (!CheckedAdd(t.dims[2], int64_t{t.halo.top} + t.halo.bottom, &rows) ||
        !CheckedAdd(t.dims[3], t.halo.gap, &pitch) || !CheckedMul(rows, pitch, &pixels) ||
        !CheckedAdd(pixels, t.halo.gap, &pixels)) {
      return false;
    }
    product->Times(t.dims[0]);
    product->Times(pixels);
    product->Times(t.dims[1]);
    return product->ok();
  }
  // Packed layouts fill up two axes: columns to whole panels, and k to whole pairs or fours.
  int panel_axis = 0, depth_axis = 1;
  int64_t panel = kPanel, depth = HasByteGroups(t.layout) ? kGroup : 1;
  switch (t.layout) {
    case LayoutId::kDense:
    case LayoutId::kChannelsLast:
      panel = 1;
      break;
    case LayoutId::kGemmPairs16:
      depth = 2;
      [[fallthrough]];
    case LayoutId::kGemmPanels16:
    case LayoutId::kGemmPanels16x4:
      panel_axis = 1;
      depth_axis = 0;
      break;
    case LayoutId::kConvPairs16:
      depth = 2;
      break;
    case LayoutId::kDepthwiseTaps16x4:
      depth_axis = t.rank - 1;
      break;
    default:
      break;
  }
  product->Times(t.groups);
  for (int a = 0; a < t.rank; ++a) {
    int64_t size = t.dims[a];
    if (a == panel_axis && !CheckedRoundUp(size / t.groups, panel, &size)) return false;
    if (a == depth_axis && !CheckedRoundUp(size, depth, &size)) return false;
    product->Times(size);
  }
  return product->ok();
}

}  // namespace

bool IsKnownLayout(uint8_t layout) {
  switch (layout) {
#define FLOE_LAYOUT(id, name, text, feature, formula) case id:
#include "format/layouts.def"
#undef FLOE_LAYOUT
    return true;
    default:
      return false;
  }
}

bool ElementCount(const TensorInfo& t, int64_t* count) {
  Product product;
  for (int a = 0; a < t.rank; ++a) product.Times(t.dims[a]);
  if (!product.ok()) return false;
  *count = product.value();
  return true;
}

namespace {

bool CheckBytes(const TensorInfo& t, int64_t* bytes, ErrorSink* e) {
  if (t.rank > kMaxRank) return e->Bad(Rule::kValueRank, kMaxRank, t.rank);
  const int64_t size = DTypeSize(t.dtype);
  if (size == 0) return e->Bad(Rule::kValueDType, 1, static_cast<int64_t>(t.dtype));
  Product logical;
  for (int a = 0; a < t.rank; ++a) {
    if (t.dims[a] < 0) return e->Bad(Rule::kDimRange, 0, t.dims[a]).ForAxis(a);
    logical.Times(t.dims[a]);
  }
  if (!CheckLayout(t, e)) return false;
  Product stored;
  stored.Times(size);
  if (!logical.ok() || !StoredElements(t, &stored) || stored.value() > kMaxBytes) {
    return e->Bad(Rule::kValueTooLarge, kMaxBytes, 0);
  }
  *bytes = stored.value();
  return true;
}

}  // namespace

Status TensorBytes(const TensorInfo& t, int64_t* bytes) {
  ErrorSink e;
  CheckBytes(t, bytes, &e);
  return e.error();
}

}  // namespace floe
