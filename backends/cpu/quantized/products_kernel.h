// Families qgemm and qconv.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_KERNEL_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_KERNEL_H_

#include "backends/cpu/quantized/products_block.h"
#include "backends/halo.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {

Status PrepareQGemm(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule) {
  auto* s = static_cast<QProductState*>(state);
  PrepareQGemmProduct(op, context, QTileSetFor(op.inputs[1].dims[0], op.inputs[1].dims[1]), s);
  const Tiling& t = s->product.tiling;
  schedule->tasks = s->product.empty ? 0 : static_cast<uint32_t>(t.tasks());
  schedule->variant = kQTileTable.rows[t.tile_rows][t.tile_panels].names[0];
  return OkStatus();
}

Rule RunQGemm(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void* scratch) {
  const int64_t taps[1] = {0};
  QProduct p(args, scratch);
  p.taps = taps;
  for (uint32_t task = begin; task < end; ++task) {
    RunQBlock(p, BlockOfTask(p.state->product.tiling, task));
  }
  return Rule::kNone;
}

Status PrepareQConv(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule) {
  auto* s = static_cast<QProductState*>(state);
  const TensorInfo& w = op.inputs[1];
  PrepareQConvProduct(op, context,
                      QTileSetFor(w.dims[1] * w.dims[2] * w.dims[3], w.dims[0] / op.attrs[0]), s);
  const Tiling& t = s->product.tiling;
  const bool has_halo = !op.outputs[0].halo.empty();
  schedule->tasks =
      s->product.empty ? static_cast<uint32_t>(has_halo) : static_cast<uint32_t>(t.tasks());
  schedule->variant = kQTileTable.rows[t.tile_rows][t.tile_panels].names[1];
  return OkStatus();
}

Rule RunQConv(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void* scratch) {
  const auto* state = static_cast<const QProductState*>(args.state);
  const TensorInfo& y = args.op->outputs[0];
  if (state->product.empty) {
    if (begin < end) ZeroHalo(y, args.outputs[0]);
    return Rule::kNone;
  }
  QProduct p(args, scratch);
  p.taps = TapTable(args.state);
  for (uint32_t task = begin; task < end; ++task) {
    const TaskBlock block = BlockOfTask(state->product.tiling, task);
    p.MoveTo(block.outer, args);
    RunQBlock(p, block);
    ZeroBlockHalo(state->product, block, y, args.outputs[0]);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_KERNEL_H_
