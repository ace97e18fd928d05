#include <bit>
#include <vector>

#include "backends/reference/element.h"
#include "compiler/lower/pack.h"
#include "format/checked.h"

namespace floe::lower {
namespace {

constexpr int64_t kPanel = 16;

uint16_t Narrowed(float v, DType dtype) {
  if (dtype == DType::kF16) return reference::F16::FromDouble(v);
  const auto bits = std::bit_cast<uint32_t>(v);
  if (v != v) return static_cast<uint16_t>(bits >> 16 | 0x40);  // Rounding could give infinity.
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Blocks of `depth` rows of 16 into blocks of ceil(depth / 2) pairs of rows, interleaved.
void PairUp(const float* rows, int64_t blocks, int64_t depth, DType dtype, uint16_t* pairs) {
  for (int64_t block = 0; block < blocks; ++block, rows += depth * kPanel) {
    for (int64_t k = 0; k < depth; k += 2, pairs += 2 * kPanel) {
      for (int64_t lane = 0; lane < kPanel; ++lane) {
        const float* at = rows + k * kPanel + lane;
        pairs[2 * lane] = Narrowed(at[0], dtype);
        pairs[2 * lane + 1] = k + 1 < depth ? Narrowed(at[kPanel], dtype) : uint16_t{0};
      }
    }
  }
}

}  // namespace

void PackNarrowWeights(const TensorInfo& info, const float* source, bool transposed,
                       uint16_t* packed) {
  // First in fp32 as the layout without pairs has them: one constant at a time, so memory is small.
  TensorInfo wide = info;
  wide.dtype = DType::kF32;
  const bool gemm = info.layout == LayoutId::kGemmPairs16;
  const bool pairs = gemm || info.layout == LayoutId::kConvPairs16;
  if (pairs) wide.layout = gemm ? LayoutId::kGemmPanels16 : LayoutId::kConvPanels16;
  int64_t bytes = 0;
  if (!TensorBytes(wide, &bytes).ok()) return;  // Refused before, with info's own size.
  std::vector<float> rows(static_cast<size_t>(bytes) / sizeof(float));
  PackWeights(wide, source, transposed, rows.data());
  if (!pairs) {
    for (size_t i = 0; i < rows.size(); ++i) packed[i] = Narrowed(rows[i], info.dtype);
    return;
  }
  const int64_t depth = gemm ? info.dims[0] : info.dims[1];
  if (depth == 0) return;
  PairUp(rows.data(), static_cast<int64_t>(rows.size()) / (depth * kPanel), depth, info.dtype,
         packed);
}

}  // namespace floe::lower
