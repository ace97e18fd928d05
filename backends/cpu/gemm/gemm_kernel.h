// Family gemm: dense rows times packed weights.
#ifndef FLOE_BACKENDS_CPU_GEMM_GEMM_KERNEL_H_
#define FLOE_BACKENDS_CPU_GEMM_GEMM_KERNEL_H_

#include "backends/cpu/gemm/driver.h"
#include "backends/cpu/gemm/tile.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {

Status PrepareGemm(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule) {
  auto* s = static_cast<ProductState*>(state);
  const TensorInfo& w = op.inputs[1];
  if (w.dtype != DType::kF32) {
    PrepareNarrowGemm(op, context, w.dtype == DType::kF16 ? HalfTiles() : PairTiles(), s, schedule);
    return OkStatus();
  }
  PrepareGemmProduct(op, context, kTileSet, s);
  schedule->tasks = s->empty ? 0 : static_cast<uint32_t>(s->tiling.tasks());
  schedule->variant = VariantName(TileUser::kGemm, s->tiling.tile_rows, s->tiling.tile_panels);
  return OkStatus();
}

Rule RunGemm(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void* scratch) {
  const auto* s = static_cast<const ProductState*>(args.state);
  const int64_t taps[1] = {0};
  Product p;
  p.state = s;
  if (args.op->inputs[0].dtype == DType::kBF16) {
    p.a16 = static_cast<const uint16_t*>(args.inputs[0]);
  } else {
    p.a = static_cast<const float*>(args.inputs[0]);
  }
  p.taps = taps;
  p.b = static_cast<const float*>(args.inputs[1]);
  if (args.op->outputs[0].dtype == DType::kBF16) {
    p.y16 = static_cast<uint16_t*>(args.outputs[0]);
  } else {
    p.y = static_cast<float*>(args.outputs[0]);
  }
  p.code = args.op->code;
  p.code_count = args.op->code_count;
  p.operands = args.inputs + 2;
  p.tile_scratch = static_cast<float*>(scratch);
  for (uint32_t task = begin; task < end; ++task) RunBlock(p, BlockOfTask(s->tiling, task));
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_GEMM_GEMM_KERNEL_H_
