// Where the elements of a tensor lie, and what layouts are called. Apart from their sizes
// (tensor_info.cc), which are all that the core asks for: kernels and the compiler address
// elements.
#include "format/checked.h"
#include "format/tensor_info.h"

namespace floe {
namespace {

constexpr int64_t kPanel = 16;
constexpr int64_t kGroup = 4;

int64_t Taps(const TensorInfo& t) {
  int64_t taps = 1;
  for (int a = 2; a < t.rank; ++a) taps *= t.dims[a];
  return taps;
}

}  // namespace

const char* LayoutName(LayoutId layout) {
  switch (layout) {
#define FLOE_LAYOUT(id, name, text, feature, formula) \
  case LayoutId::k##name:                             \
    return text;
#include "format/layouts.def"
#undef FLOE_LAYOUT
  }
  return "?";
}

void TensorStrides(const TensorInfo& t, int64_t strides[kMaxRank], int64_t* offset) {
  *offset = 0;
  if (t.layout != LayoutId::kChannelsLast) {
    int64_t stride = 1;
    for (int a = t.rank - 1; a >= 0; --a) {
      strides[a] = stride;
      stride *= t.dims[a];
    }
    return;
  }
  const int64_t channels = t.dims[1];
  strides[1] = 1;
  if (t.halo.empty()) {
    int64_t stride = channels;
    for (int a = t.rank - 1; a >= 2; --a) {
      strides[a] = stride;
      stride *= t.dims[a];
    }
    strides[0] = stride;
    return;
  }
  const int64_t pitch = t.dims[3] + t.halo.gap;
  strides[3] = channels;
  strides[2] = pitch * channels;
  strides[0] = (t.halo.gap + (t.dims[2] + t.halo.top + t.halo.bottom) * pitch) * channels;
  *offset = (t.halo.gap + t.halo.top * pitch) * channels;
}

int64_t ElementOffset(const TensorInfo& t, const int64_t* index) {
  switch (t.layout) {
    case LayoutId::kDense:
    case LayoutId::kChannelsLast: {
      int64_t strides[kMaxRank];
      int64_t at;
      TensorStrides(t, strides, &at);
      for (int a = 0; a < t.rank; ++a) at += index[a] * strides[a];
      return at;
    }
    case LayoutId::kGemmPanels16:
      return (index[1] / kPanel * t.dims[0] + index[0]) * kPanel + index[1] % kPanel;
    case LayoutId::kGemmPairs16:
      return ((index[1] / kPanel * CeilDiv(t.dims[0], 2) + index[0] / 2) * kPanel +
              index[1] % kPanel) *
                 2 +
             index[0] % 2;
    case LayoutId::kConvPanels16:
    case LayoutId::kConvPairs16: {
      const int64_t group_outputs = t.dims[0] / t.groups;
      const int64_t group = index[0] / group_outputs;
      const int64_t o = index[0] % group_outputs;
      int64_t tap = 0;
      for (int a = 2; a < t.rank; ++a) tap = tap * t.dims[a] + index[a];
      const int64_t panel = group * CeilDiv(group_outputs, kPanel) + o / kPanel;
      if (t.layout == LayoutId::kConvPairs16) {
        const int64_t pairs = CeilDiv(t.dims[1], 2);
        const int64_t pair = (panel * Taps(t) + tap) * pairs + index[1] / 2;
        return (pair * kPanel + o % kPanel) * 2 + index[1] % 2;
      }
      const int64_t k = tap * t.dims[1] + index[1];
      return (panel * Taps(t) * t.dims[1] + k) * kPanel + o % kPanel;
    }
    case LayoutId::kDepthwiseTaps16: {
      int64_t tap = 0;
      for (int a = 2; a < t.rank; ++a) tap = tap * t.dims[a] + index[a];
      return tap * RoundUp(t.dims[0], kPanel) + index[0];
    }
    case LayoutId::kWinogradPanels16: {
      const int64_t matrix = index[2] * t.dims[3] + index[3];
      const int64_t panel = matrix * CeilDiv(t.dims[0], kPanel) + index[0] / kPanel;
      return (panel * t.dims[1] + index[1]) * kPanel + index[0] % kPanel;
    }
    case LayoutId::kGemmPanels16x4:
      return ((index[1] / kPanel * CeilDiv(t.dims[0], kGroup) + index[0] / kGroup) * kPanel +
              index[1] % kPanel) *
                 kGroup +
             index[0] % kGroup;
    case LayoutId::kConvPanels16x4: {
      const int64_t group_outputs = t.dims[0] / t.groups;
      const int64_t o = index[0] % group_outputs;
      const int64_t panel = index[0] / group_outputs * CeilDiv(group_outputs, kPanel) + o / kPanel;
      int64_t tap = 0;
      for (int a = 2; a < t.rank; ++a) tap = tap * t.dims[a] + index[a];
      const int64_t depth = CeilDiv(t.dims[1], kGroup);
      const int64_t k = (panel * Taps(t) + tap) * depth + index[1] / kGroup;
      return (k * kPanel + o % kPanel) * kGroup + index[1] % kGroup;
    }
    case LayoutId::kDepthwiseTaps16x4: {
      const int last = t.rank - 1;
      int64_t row = 0;
      for (int a = 2; a < last; ++a) row = row * t.dims[a] + index[a];
      const int64_t group = row * CeilDiv(t.dims[last], kGroup) + index[last] / kGroup;
      return (group * RoundUp(t.dims[0], kPanel) + index[0]) * kGroup + index[last] % kGroup;
    }
    case LayoutId::kLstmGates16: {
      const int64_t hidden = t.dims[0];
      const int64_t gate = index[1] / hidden;
      const int64_t unit = index[1] % hidden;
      return ((unit / kPanel * hidden + index[0]) * 4 + gate) * kPanel + unit % kPanel;
    }
  }
  return 0;
}

}  // namespace floe
