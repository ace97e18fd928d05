// A GEMM-like instruction as Prepare describes it in the state and Run reads it: the tiling, the A
// descriptor and the epilogue, all without pointers to operands. Compiled once, for the baseline.
#ifndef FLOE_BACKENDS_CPU_GEMM_PRODUCT_H_
#define FLOE_BACKENDS_CPU_GEMM_PRODUCT_H_

#include <cstdint>

#include "backends/cpu/gemm/epilogue.h"
#include "backends/cpu/gemm/tile_args.h"
#include "backends/cpu/gemm/tiling.h"
#include "backends/families/product.h"
#include "backends/kernel.h"

namespace floe::cpu {

// Rows of a product are pixels of images of height x width: row m is image m / (height * width),
// and so on. A matrix is one image of height 1. Element strides of a tensor over these rows:
struct Grid {
  int64_t width = 1;
  int64_t height = 1;
};
struct GridStrides {
  int64_t x = 0;
  int64_t y = 0;
  int64_t image = 0;
};

struct EpilogueOperandInfo {
  OperandKind kind = OperandKind::kScalar;
  int64_t offset = 0;  // kTensor: of logical index 0.
  GridStrides strides;
};

struct ProductState {
  bool empty = false;  // Nothing to compute (y has no elements); only a halo to zero.
  Tiling tiling;
  Grid grid;
  GridStrides a, y;
  int64_t a_offset = 0, y_offset = 0;
  int64_t tap_count = 0;
  int64_t run = 0;
  // The micro-kernels; null: those for f32 weights. Weights in pairs are rows of pairs of k.
  TileFn (*find)(int64_t rows, int64_t panels) = nullptr;
  int64_t column_bytes = 4;                       // Of one column of a panel's row.
  int64_t a_group = 0, b_group = 0, y_group = 0;  // Elements from one group to the next.
  int64_t depthwise_line = 0;  // depthwise_conv: elements between rows of the window.
  Epilogue epilogue;
  uint32_t operand_count = 0;
  EpilogueOperandInfo operands[kPwMaxOperands];
};
static_assert(sizeof(ProductState) <= families::kProductStateBytes);

// `state` has kProductStateBytes, then (conv) the tap table. `op` has passed its Check.
void PrepareGemmProduct(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                        ProductState* state);
void PrepareConvProduct(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                        ProductState* state);
// For other weights than f32: with the micro-kernels of `kind`, and the schedule.
void PrepareNarrowGemm(const OpInfo& op, const PrepareContext& context, const TileKind& kind,
                       ProductState* state, Schedule* schedule);
void PrepareNarrowConv(const OpInfo& op, const PrepareContext& context, const TileKind& kind,
                       ProductState* state, Schedule* schedule);
// Only strides, operands and tasks: tiling.m is the number of output lines of all images, and
// tiling.row_blocks the number of tasks.
void PrepareDepthwiseProduct(const OpInfo& op, const PrepareContext& context, ProductState* state);
// Only strides and operands: winograd_conv's, whose grid stays one of lines.
void PrepareWinogradProduct(const OpInfo& op, ProductState* state);
inline int64_t* TapTable(void* state) {
  return reinterpret_cast<int64_t*>(static_cast<char*>(state) + families::kProductStateBytes);
}
inline const int64_t* TapTable(const void* state) {
  return reinterpret_cast<const int64_t*>(static_cast<const char*>(state) +
                                          families::kProductStateBytes);
}

// What the Prepares of further products are made of:
//   ImageStrides: of a channels-last tensor over the pixels of a grid.
//   IsEmptyImage: of no elements.
//   LineStep: elements of x between rows of the window.
//   DescribeOperands: the epilogue and its operands, inputs from `extra` on.
//   DescribeImages: where the rows, pixels of a convolution's y, find x and y; the grid.
//   ShareLines: depthwise convolutions' tasks, runs of output lines (long ones reuse more of the
//   window's rows) of at least `least_work` multiply-adds.
//   CollapseGrid: joins image lines (and then images) that follow each other without a jump in
//   every tensor, so that the loop over rows meets no line ends.
GridStrides ImageStrides(const TensorInfo& t, int64_t* offset);
bool IsEmptyImage(const TensorInfo& t);
int64_t LineStep(const OpInfo& op, const families::WindowAttrs& window);
void DescribeOperands(const OpInfo& op, uint32_t extra, int64_t channels, ProductState* state);
void DescribeImages(const OpInfo& op, const families::WindowAttrs& window, ProductState* state);
void ShareLines(const OpInfo& op, const families::WindowAttrs& window, uint32_t workers,
                double least_work, ProductState* state);
void CollapseGrid(int64_t images, ProductState* state);

// Zeros the halo of output lines [begin, end), counted over all images.
void ZeroLinesHalo(const TensorInfo& y, void* base, int64_t begin, int64_t end);

// Zeros the part of y's halo that belongs to a block of a convolution.
void ZeroBlockHalo(const ProductState& state, const TaskBlock& block, const TensorInfo& y,
                   void* base);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_GEMM_PRODUCT_H_
