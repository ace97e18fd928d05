#include "backends/cpu/matmul/matmul_state.h"

#include <algorithm>
#include <new>

#include "format/checked.h"

namespace floe::cpu {

void PrepareMatMulProduct(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                          MatMulState* state) {
  MatMulState* s = new (state) MatMulState{};
  families::MatMulShape& shape = s->shape;
  ProductState& p = s->product;
  // Check has accepted the attributes, so this cannot fail.
  p.empty =
      !families::ReadMatMul(op, &shape).ok() || shape.batch == 0 || shape.m == 0 || shape.n == 0;
  if (p.empty) return;
  s->pack_a = shape.a_k != 1 && shape.k > 0;
  p.grid = {shape.m, 1};
  p.a.x = s->pack_a ? shape.k : shape.a_m;
  p.y.x = shape.y_m;
  p.tap_count = 1;
  p.run = shape.k;
  p.epilogue = ClassifyEpilogue(op, 2, -1);
  p.operand_count = op.input_count - 2;  // All scalars, as EpilogueOperandInfo starts.
  Tiling& t = p.tiling;
  t = ChooseTiling({.outer = shape.batch,
                    .m = shape.m,
                    .n = shape.n,
                    .k = shape.k,
                    .row_bytes = shape.k * 4,
                    .workers = context.workers},
                   set);
  // A task packs its columns of B, so they must fit the scratch; tasks that share them follow each
  // other, so that one packing serves all.
  const int64_t groups_per_block = families::MatMulColumnBlock(shape) / (16 * t.tile_panels);
  t.group_blocks = std::max(t.group_blocks, CeilDiv(t.groups, groups_per_block));
  t.rows_outer = false;
  t.prefetch = false;
  if (s->pack_a) {
    const int64_t tiles_per_block = families::kMatMulRowBlock / t.tile_rows;
    t.row_blocks = std::max(t.row_blocks, CeilDiv(t.row_tiles, tiles_per_block));
  }
}

MatMulOffsets BatchOffsets(const families::MatMulShape& shape, int64_t index) {
  MatMulOffsets o{0, 0, 0};
  for (int axis = shape.batch_axes - 1; axis >= 0; --axis) {
    const int64_t i = index % shape.batch_dims[axis];
    index /= shape.batch_dims[axis];
    o.a += i * shape.a_batch[axis];
    o.b += i * shape.b_batch[axis];
    o.y += i * shape.y_batch[axis];
  }
  return o;
}

}  // namespace floe::cpu
