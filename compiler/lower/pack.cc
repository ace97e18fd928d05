#include "compiler/lower/pack.h"

#include <cstring>

#include "backends/families/winograd.h"
#include "format/checked.h"

namespace floe::lower {
namespace {

constexpr int64_t kPanel = 16;

// [K,N] (or [N,K] when transposed) into [ceil(N/16)][K][16].
void PackGemm(int64_t k_size, int64_t n_size, const float* source, bool transposed, float* packed) {
  for (int64_t n0 = 0; n0 < n_size; n0 += kPanel) {
    const int64_t width = n_size - n0 < kPanel ? n_size - n0 : kPanel;
    float* panel = packed + n0 * k_size;
    if (width < kPanel) std::memset(panel, 0, sizeof(float) * static_cast<size_t>(k_size * kPanel));
    if (transposed) {
      for (int64_t j = 0; j < width; ++j) {
        const float* row = source + (n0 + j) * k_size;
        for (int64_t k = 0; k < k_size; ++k) panel[k * kPanel + j] = row[k];
      }
    } else {
      for (int64_t k = 0; k < k_size; ++k) {
        std::memcpy(panel + k * kPanel, source + k * n_size + n0,
                    sizeof(float) * static_cast<size_t>(width));
      }
    }
  }
}

// [O,I,taps] into [g][ceil(O/g/16)][taps*I][16], K running (taps, i).
void PackConv(const TensorInfo& info, const float* source, float* packed) {
  const int64_t groups = info.groups;
  const int64_t out_per_group = info.dims[0] / groups;
  const int64_t in_size = info.dims[1];
  int64_t taps = 1;
  for (int axis = 2; axis < info.rank; ++axis) taps *= info.dims[axis];
  const int64_t k_size = taps * in_size;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t n0 = 0; n0 < out_per_group; n0 += kPanel) {
      for (int64_t j = 0; j < kPanel; ++j) {
        const bool real = n0 + j < out_per_group;
        const float* filter = source + (g * out_per_group + n0 + j) * k_size;
        for (int64_t t = 0; t < taps; ++t) {
          for (int64_t i = 0; i < in_size; ++i) {
            packed[(t * in_size + i) * kPanel + j] = real ? filter[i * taps + t] : 0.0f;
          }
        }
      }
      packed += k_size * kPanel;
    }
  }
}

// [O,I,3,3] into [t*t][ceil(O/16)][I][16]: each filter g as G g G^T, rounded once.
void PackWinograd(const TensorInfo& info, const float* source, float* packed) {
  const int t = static_cast<int>(info.dims[2]);
  const int64_t outputs = info.dims[0], inputs = info.dims[1];
  const int64_t matrix = RoundUp(outputs, kPanel) * inputs;  // Elements of one.
  for (int64_t o = 0; o < RoundUp(outputs, kPanel); ++o) {
    for (int64_t i = 0; i < inputs; ++i) {
      double u[winograd::kMaxTile * winograd::kMaxTile] = {};
      if (o < outputs) winograd::TransformFilter(t, source + (o * inputs + i) * 9, u);
      float* to = packed + (o / kPanel * inputs + i) * kPanel + o % kPanel;
      for (int at = 0; at < t * t; ++at) to[at * matrix] = static_cast<float>(u[at]);
    }
  }
}

// [C,1,taps] into [taps][roundup(C,16)].
void PackDepthwise(const TensorInfo& info, const float* source, float* packed) {
  const int64_t channels = info.dims[0];
  const int64_t pitch = RoundUp(channels, kPanel);
  int64_t taps = 1;
  for (int axis = 2; axis < info.rank; ++axis) taps *= info.dims[axis];
  for (int64_t t = 0; t < taps; ++t) {
    for (int64_t c = 0; c < pitch; ++c) {
      packed[t * pitch + c] = c < channels ? source[c * taps + t] : 0.0f;
    }
  }
}

// [H,4H] (or [4H,H] when transposed) into [ceil(H/16)][H][4][16].
void PackLstm(int64_t hidden, const float* source, bool transposed, float* packed) {
  for (int64_t u0 = 0; u0 < hidden; u0 += kPanel) {
    for (int64_t k = 0; k < hidden; ++k) {
      for (int64_t gate = 0; gate < 4; ++gate) {
        for (int64_t j = 0; j < kPanel; ++j) {
          const int64_t u = u0 + j;
          const int64_t column = gate * hidden + u;
          float v = 0.0f;
          if (u < hidden) {
            v = transposed ? source[column * hidden + k] : source[k * 4 * hidden + column];
          }
          *packed++ = v;
        }
      }
    }
  }
}

}  // namespace

void PackWeights(const TensorInfo& info, const float* source, bool transposed, float* packed) {
  switch (info.layout) {
    case LayoutId::kWinogradPanels16:
      return PackWinograd(info, source, packed);
    case LayoutId::kGemmPanels16:
      return PackGemm(info.dims[0], info.dims[1], source, transposed, packed);
    case LayoutId::kConvPanels16:
      return PackConv(info, source, packed);
    case LayoutId::kDepthwiseTaps16:
      return PackDepthwise(info, source, packed);
    case LayoutId::kLstmGates16:
      return PackLstm(info.dims[0], source, transposed, packed);
    case LayoutId::kGemmPairs16:
    case LayoutId::kConvPairs16:
    case LayoutId::kDense:
    case LayoutId::kChannelsLast:
      break;  // Pairs are PackNarrowWeights'.
  }
}

}  // namespace floe::lower
