// The families of bytes on the CPU: qgemm, qconv, qdepthwise_conv, qpool, dynamic_quantize and
// qlstm_recurrence (lookup is its plain twin).
//
//   qproduct.h, .cc       what Prepare decides, once for all ISAs; the loop nest is gemm/'s: rows
//                         are pixels, tiles are tiling.h's, with groups of four k in the place of a
//                         k
//   dot.h                 the ISA's way to multiply bytes, exact everywhere
//   weave.h               from bytes of channels to four bytes of each channel, and back
//   requantize.h          from accumulators to bytes, in registers
//   dynamic.h             from floats to bytes by their range
//   products_tile.h       qgemm and qconv: micro-kernels,
//   products_block.h      the loop nest around them,
//   products_finish.h     operands of a Run and epilogues,
//   products_kernel.h     and entry points
//   tile_products.h       the same on the tile unit
//   depthwise_kernel.h    qdepthwise_conv
//   bytes_kernel.h        dynamic_quantize and qpool
//   recurrence_kernel.h   qlstm_recurrence
//
// All of them give the same bits: accumulators are exact modulo 2^32, and every float operation on
// the way to a byte is rounded on its own.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_QPRODUCT_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_QPRODUCT_H_

#include <cstdint>

#include "backends/cpu/gemm/product.h"
#include "backends/families/quantized.h"

namespace floe::cpu {

struct QProductState {
  // Strides of x, y and operands are in their elements. With a u8 result the residual, if there is
  // one, is operand 0; with an f32 result operands are the program's.
  ProductState product;
  families::Requantize words;
  bool bytes = false;  // The result is u8.
  bool residual = false;
  bool tiles = false;      // Runs on the tile unit.
  int64_t run_groups = 0;  // Groups of four in a run.
};
static_assert(sizeof(QProductState) <= families::kProductStateBytes);

// As PrepareGemmProduct and so on: `op` has passed its Check, `state` has Footprint::state_bytes.
void PrepareQGemmProduct(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                         QProductState* state);
void PrepareQConvProduct(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                         QProductState* state);
// Only strides and tasks, as PrepareDepthwiseProduct.
void PrepareQDepthwiseProduct(const OpInfo& op, const PrepareContext& context,
                              QProductState* state);

// The words of one Run: with a dynamic zero point, the operand's.
families::Requantize WordsOfRun(const QProductState& state, const KernelArgs& args, float* x_scale);

// What one Run's columns start from and are multiplied with.
struct ColumnOperands {
  const int32_t* sums;
  const float* scale;
  const int32_t* bias;      // In the sums' steps. May be null.
  const float* float_bias;  // In steps of the result. May be null.
  int32_t x_zp;
  float x_scale;  // 1 unless dynamic.
};
ColumnOperands ColumnsOf(const KernelArgs& args, const families::Requantize& words, float x_scale);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_QPRODUCT_H_
