// What Prepare of family matmul leaves for Run.
#ifndef FLOE_BACKENDS_CPU_MATMUL_MATMUL_STATE_H_
#define FLOE_BACKENDS_CPU_MATMUL_MATMUL_STATE_H_

#include "backends/cpu/gemm/product.h"
#include "backends/families/product.h"

namespace floe::cpu {

struct MatMulState {
  ProductState product;
  families::MatMulShape shape;
  bool pack_a = false;
};
static_assert(sizeof(MatMulState) <= families::kProductStateBytes);

// Fills *state for tiles of `set`.
void PrepareMatMulProduct(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                          MatMulState* state);

struct MatMulOffsets {
  int64_t a, b, y;
};
// Where product `index` of the batch starts.
MatMulOffsets BatchOffsets(const families::MatMulShape& shape, int64_t index);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_MATMUL_MATMUL_STATE_H_
