// Convolutions with few output channels. A GEMM tile puts output channels into vectors, of which a
// first layer with 6 of them fills 6 lanes of 16. Here neighbouring pixels of an output row lie
// side by side in a vector, with one accumulator for each output channel; weights are broadcast out
// of the same panels. K is summed in the tiles' order, so both ways give the same numbers.
//
// An output row is cut into slots of one vector. The last one ends with the row, so it may repeat
// pixels of the one before; rows shorter than a vector are one slot with idle lanes. That needs
// pixels one element apart: with one channel and stride 1 they are, otherwise a block of output
// first gets the rows of x that it needs split into planes, on the stack.
#ifndef FLOE_BACKENDS_CPU_CONV_PIXEL_PLAN_H_
#define FLOE_BACKENDS_CPU_CONV_PIXEL_PLAN_H_

#include <cstdint>

#include "backends/cpu/gemm/product.h"

namespace floe::cpu {

inline constexpr int64_t kPlaneFloats = 6144;  // Of a block; with the weights they fit in L1.

struct PixelPlan {
  bool use = false;     // Else the GEMM tiles are faster.
  bool direct = false;  // x is read where it is.
  int64_t k = 0;        // Entries of the tap table: element offsets from a slot's first pixel.
  int64_t outputs = 0;  // Channels, 1 to kFewOutputs.
  int64_t lines = 0;    // Output rows of all images.
  int64_t height = 0;   // Of the output.
  int64_t width = 0;
  int64_t block_lines = 1;  // A block: at most so many output rows of one image ...
  int64_t block_width = 0;  // ... and columns.
  int64_t line_step = 0;    // Elements from one output row to the next, in x or in the planes.
  // Of x: elements between rows; rows for one output row, and for each further one.
  int64_t x_pitch = 0;
  int64_t x_span = 0;
  int64_t x_step = 0;
  // Planes: of a row of x (`span` elements for one output column, `stride` for each further one)
  // plane r has elements r, r + stride, r + 2 * stride, ..., in memory every `pitch` elements.
  int64_t planes = 0;
  int64_t pitch = 0;
  int64_t stride = 0;
  int64_t span = 0;
  uint32_t tasks = 1;  // Shares of `lines`.
};

// The kernel's state; the tap table follows at kProductStateBytes.
struct ConvState {
  ProductState product;
  PixelPlan pixels;
};
static_assert(sizeof(ConvState) <= families::kProductStateBytes);

// After PrepareConvProduct: if vectors of `lanes` pixels are faster than its tiles, plans for them
// and fills the tap table accordingly.
void PlanPixels(const OpInfo& op, const PrepareContext& context, int64_t lanes, ConvState* state);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_CONV_PIXEL_PLAN_H_
