// Family matmul: a product of two activations. Each task packs its columns of B into 16-column
// panels in scratch (and its rows of A if their k axis is not contiguous) and runs the GEMM tiles.
#ifndef FLOE_BACKENDS_CPU_MATMUL_MATMUL_KERNEL_H_
#define FLOE_BACKENDS_CPU_MATMUL_MATMUL_KERNEL_H_

#include "backends/cpu/gemm/driver.h"
#include "backends/cpu/gemm/pack.h"
#include "backends/cpu/matmul/matmul_state.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// Rows of A with their k axis made contiguous: dst[r * k + kk].
void PackRows(const float* src, int64_t a_m, int64_t a_k, int64_t rows, int64_t k, float* dst) {
  if (a_m == 1) {
    TransposeBlock(src, a_k, k, rows, dst, k);
    return;
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t kk = 0; kk < k; ++kk) dst[r * k + kk] = src[r * a_m + kk * a_k];
  }
}

int64_t PanelOfGroup(const Tiling& t, int64_t group) { return t.panels * group / t.groups; }

}  // namespace

Status PrepareMatMul(const OpInfo& op, const PrepareContext& context, void* state,
                     Schedule* schedule) {
  auto* s = static_cast<MatMulState*>(state);
  PrepareMatMulProduct(op, context, Tiles(), s);
  const Tiling& t = s->product.tiling;
  schedule->tasks = s->product.empty ? 0 : static_cast<uint32_t>(t.tasks());
  schedule->variant = VariantName(TileUser::kMatMul, t.tile_rows, t.tile_panels);
  return OkStatus();
}

Rule RunMatMul(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void* scratch) {
  const auto* s = static_cast<const MatMulState*>(args.state);
  const families::MatMulShape& shape = s->shape;
  const Tiling& t = s->product.tiling;
  const int64_t taps[1] = {0};
  float* packed_b = static_cast<float*>(scratch) + kTileScratchFloats;
  float* packed_a = packed_b;
  if (s->pack_a) {
    // Behind B's columns, as CheckMatMul sized them.
    const int64_t block = families::MatMulColumnBlock(shape);
    packed_a += (shape.n < block ? t.panels * kPanel : block) * shape.k;
  }
  Product p;
  p.state = &s->product;
  p.taps = taps;
  p.b = packed_b;
  p.y_column = shape.y_n;
  p.code = args.op->code;
  p.code_count = args.op->code_count;
  p.operands = args.inputs + 2;
  p.tile_scratch = static_cast<float*>(scratch);
  int64_t packed_outer = -1, packed_group = -1;
  for (uint32_t task = begin; task < end; ++task) {
    const TaskBlock block = BlockOfTask(t, task);
    const MatMulOffsets at = BatchOffsets(shape, block.outer);
    const int64_t first_panel = PanelOfGroup(t, block.group_begin);
    if (block.outer != packed_outer || block.group_begin != packed_group) {
      const float* b = static_cast<const float*>(args.inputs[1]) + at.b;
      const int64_t last_panel = PanelOfGroup(t, block.group_end);
      for (int64_t panel = first_panel; panel < last_panel; ++panel) {
        const int64_t left = shape.n - panel * kPanel;
        PackPanel(b + panel * kPanel * shape.b_n, shape.b_k, shape.b_n, shape.k,
                  left < kPanel ? left : kPanel,
                  packed_b + (panel - first_panel) * shape.k * kPanel);
      }
      packed_outer = block.outer;
      packed_group = block.group_begin;
    }
    p.first_panel = first_panel;
    p.y = static_cast<float*>(args.outputs[0]) + at.y;
    p.a = static_cast<const float*>(args.inputs[0]) + at.a;
    p.first_row = 0;
    if (s->pack_a) {
      const int64_t row = RowOfTile(t, block.row_tile_begin);
      const int64_t row_end = RowOfTile(t, block.row_tile_end);
      PackRows(p.a + row * shape.a_m, shape.a_m, shape.a_k, row_end - row, shape.k, packed_a);
      p.a = packed_a;
      p.first_row = row;
    }
    RunBlock(p, block);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_MATMUL_MATMUL_KERNEL_H_
