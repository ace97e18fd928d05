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

constexpr int64_t kGroup = 4;

// i8 weights of `outputs` columns: element (output, tap, k) is source[output * .output + tap * .tap
// + k * .inner].
struct BytePanels {
  int64_t outputs, depth, taps;
  int64_t output, inner, tap;
};

// Into [ceil(outputs/16)][taps][ceil(depth/4)][16][4]; returns the end.
int8_t* PackBytePanels(const BytePanels& from, const int8_t* source, int8_t* packed) {
  for (int64_t n0 = 0; n0 < from.outputs; n0 += kPanel) {
    for (int64_t t = 0; t < from.taps; ++t) {
      for (int64_t k0 = 0; k0 < from.depth; k0 += kGroup) {
        for (int64_t j = 0; j < kPanel; ++j) {
          for (int64_t i = 0; i < kGroup; ++i) {
            const int64_t n = n0 + j, k = k0 + i;
            const bool real = n < from.outputs && k < from.depth;
            *packed++ = real ? source[n * from.output + t * from.tap + k * from.inner] : int8_t{0};
          }
        }
      }
    }
  }
  return packed;
}

// [C,1,rows...,taps] into [rows...][ceil(taps/4)][roundup(C,16)][4].
void PackDepthwiseBytes(const TensorInfo& info, const int8_t* source, int8_t* packed) {
  const int64_t channels = info.dims[0], taps = info.dims[info.rank - 1];
  int64_t rows = 1;
  for (int axis = 2; axis + 1 < info.rank; ++axis) rows *= info.dims[axis];
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t t0 = 0; t0 < taps; t0 += kGroup) {
      for (int64_t c = 0; c < RoundUp(channels, kPanel); ++c) {
        for (int64_t i = 0; i < kGroup; ++i) {
          const bool real = c < channels && t0 + i < taps;
          *packed++ = real ? source[(c * rows + row) * taps + t0 + i] : int8_t{0};
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
    default:
      break;  // The other layouts are not of fp32.
  }
}

void PackWeightsInt8(const TensorInfo& info, const int8_t* source, bool transposed,
                     int8_t* packed) {
  int64_t taps = 1;
  for (int axis = 2; axis < info.rank; ++axis) taps *= info.dims[axis];
  switch (info.layout) {
    case LayoutId::kGemmPanels16x4: {
      const int64_t k = info.dims[0], n = info.dims[1];
      const BytePanels from = {.outputs = n,
                               .depth = k,
                               .taps = 1,
                               .output = transposed ? k : 1,
                               .inner = transposed ? 1 : n,
                               .tap = 0};
      PackBytePanels(from, source, packed);
      return;
    }
    case LayoutId::kConvPanels16x4: {
      const int64_t inputs = info.dims[1], outputs = info.dims[0] / info.groups;
      const BytePanels from = {.outputs = outputs,
                               .depth = inputs,
                               .taps = taps,
                               .output = inputs * taps,
                               .inner = taps,
                               .tap = 1};
      for (int64_t g = 0; g < info.groups; ++g) {
        packed = PackBytePanels(from, source + g * outputs * inputs * taps, packed);
      }
      return;
    }
    case LayoutId::kDepthwiseTaps16x4:
      PackDepthwiseBytes(info, source, packed);
      return;
    default:
      return;
  }
}

void ColumnSums(const TensorInfo& info, const int8_t* source, bool transposed, int32_t* sums) {
  const bool gemm = info.layout == LayoutId::kGemmPanels16x4;
  const int64_t columns = info.dims[gemm ? 1 : 0];
  int64_t depth = gemm ? info.dims[0] : 1;
  for (int axis = 1; !gemm && axis < info.rank; ++axis) depth *= info.dims[axis];
  const bool rows_of_columns = gemm && !transposed;
  for (int64_t n = 0; n < columns; ++n) {
    uint32_t sum = 0;
    for (int64_t k = 0; k < depth; ++k) {
      const int8_t w = source[rows_of_columns ? k * columns + n : n * depth + k];
      sum += static_cast<uint32_t>(static_cast<int32_t>(w));
    }
    sums[n] = static_cast<int32_t>(sum);
  }
}

}  // namespace floe::lower
