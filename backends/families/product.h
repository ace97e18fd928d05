// Memory that GEMM-like families declare, the same for every backend and ISA.
#ifndef FLOE_BACKENDS_FAMILIES_PRODUCT_H_
#define FLOE_BACKENDS_FAMILIES_PRODUCT_H_

#include <cstdint>

#include "format/footprint.h"
#include "format/tensor_info.h"

namespace floe::families {

inline constexpr int64_t kProductStateBytes = 2048;  // Tiling, strides, epilogue form.
inline constexpr int64_t kTileScratchBytes = 4096;   // One tile for epilogue programs.

// The types of x, w and y of gemm and conv: f32 with w f32 or f16 in `panels`, or x bf16, y f32 or
// bf16 (*y_dtype) with w bf16 in `pairs`. Checks x's and w's layouts and w's rank, too.
Status CheckProductTypes(const OpInfo& op, LayoutId panels, LayoutId pairs, int w_rank,
                         LayoutId x_layout, DType* y_dtype);

// Sets the bits of epilogue operands (inputs from `extra` on) whose storage the result may take:
// same type, layout, dims and halo.
void AllowEpilogueInPlace(const OpInfo& op, uint32_t extra, Footprint* footprint);

// The taps of a convolution as the instruction gives them.
struct WindowAttrs {
  int64_t kh, kw, sh, sw, pt, pl, pb, pr, dh, dw;
};

// Reads the ten window words that start at attrs[first] and checks them against x and y
// (channels-last, rank 4): sizes, halo, and y's dims from the convolution formula.
Status CheckWindow(const OpInfo& op, uint32_t first, WindowAttrs* window);
WindowAttrs ReadWindow(const int64_t* words);
// The group count attrs[0] and w [O, C/groups, kh, kw] against x, y and the window, for images that
// CheckWindow has accepted; y's pixels are rows that a tiling can count.
Status CheckConvWeights(const OpInfo& op, const WindowAttrs& window);

// conv: entries of the tap table of a kernel's state. One for each tap; where there are few
// outputs, one for each tap and channel, so that a kernel may put pixels instead of channels into a
// vector.
inline constexpr int64_t kFewOutputs = 8;
inline constexpr int64_t kMaxFewOutputsK = 1024;
// `w` is conv_panels16.
inline bool IsFewOutputs(const TensorInfo& w) {
  int64_t k = 1;
  for (int i = 1; i < 4; ++i) {
    if (w.dims[i] < 1 || w.dims[i] > kMaxFewOutputsK / k) return false;
    k *= w.dims[i];
  }
  return w.groups == 1 && w.dims[0] >= 1 && w.dims[0] <= kFewOutputs;
}

// matmul: a batch of products [m, k] x [k, n] with element strides for everything.
inline constexpr int kMaxBatchAxes = kMaxRank;
struct MatMulShape {
  int batch_axes = 0;
  int64_t batch = 1;
  int64_t batch_dims[kMaxBatchAxes] = {};
  int64_t a_batch[kMaxBatchAxes] = {};  // Strides; 0 where the axis is broadcast.
  int64_t b_batch[kMaxBatchAxes] = {};
  int64_t y_batch[kMaxBatchAxes] = {};
  int64_t m = 0, n = 0, k = 0;
  int64_t a_m = 0, a_k = 0, b_k = 0, b_n = 0, y_m = 0, y_n = 0;
};
// Decodes the attributes and checks them against the operands, which have passed CheckOperands.
Status ReadMatMul(const OpInfo& op, MatMulShape* shape);

// Columns of B that one matmul task packs at once, a multiple of 128, and rows of A where A must be
// packed too (its k axis is not contiguous).
int64_t MatMulColumnBlock(const MatMulShape& shape);
inline constexpr int64_t kMatMulRowBlock = 48;

}  // namespace floe::families

#endif  // FLOE_BACKENDS_FAMILIES_PRODUCT_H_
