// Family conv: convolution over a channels-last image with a halo, directly on the GEMM
// micro-kernel. Rows of the product are output pixels, the taps of the A descriptor are the
// window's, so nothing is gathered or copied. With few output channels, pixel_plan.h's way.
#ifndef FLOE_BACKENDS_CPU_CONV_CONV_KERNEL_H_
#define FLOE_BACKENDS_CPU_CONV_CONV_KERNEL_H_

#include "backends/cpu/conv/pixels.h"
#include "backends/cpu/gemm/driver.h"
#include "backends/halo.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {

namespace {

void RunPixelTasks(const KernelArgs& args, const PixelPlan& plan, uint32_t begin, uint32_t end,
                   Product* p) {
  p->a = static_cast<const float*>(args.inputs[0]) + p->state->a_offset;
  p->b = static_cast<const float*>(args.inputs[1]);
  p->y = static_cast<float*>(args.outputs[0]) + p->state->y_offset;
  // Tasks that follow one another are one share of the rows.
  const int64_t first = plan.lines * begin / plan.tasks, last = plan.lines * end / plan.tasks;
  RunPixels(*p, plan, first, last);
  ZeroLinesHalo(args.op->outputs[0], args.outputs[0], first, last);
}

}  // namespace

Status PrepareConv(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule) {
  auto* conv = static_cast<ConvState*>(state);
  ProductState* s = &conv->product;
  const TensorInfo& w = op.inputs[1];
  if (w.dtype != DType::kF32) {
    conv->pixels = PixelPlan{};
    PrepareNarrowConv(op, context, w.dtype == DType::kF16 ? HalfTiles() : PairTiles(), s, schedule);
    return OkStatus();
  }
  PrepareConvProduct(op, context, Tiles(), s);
  PlanPixels(op, context, kWidth, conv);
  if (conv->pixels.use) {
    schedule->tasks = conv->pixels.tasks;
    schedule->variant = FLOE_VARIANT("f32_conv_pixels");
    return OkStatus();
  }
  const bool has_halo = !op.outputs[0].halo.empty();
  schedule->tasks =
      s->empty ? static_cast<uint32_t>(has_halo) : static_cast<uint32_t>(s->tiling.tasks());
  schedule->variant = VariantName(TileUser::kConv, s->tiling.tile_rows, s->tiling.tile_panels);
  return OkStatus();
}

Rule RunConv(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void* scratch) {
  const auto* conv = static_cast<const ConvState*>(args.state);
  const ProductState* s = &conv->product;
  const TensorInfo& y = args.op->outputs[0];
  if (s->empty) {
    if (begin < end) ZeroHalo(y, args.outputs[0]);
    return Rule::kNone;
  }
  Product p;
  p.state = s;
  p.taps = TapTable(args.state);
  p.code = args.op->code;
  p.code_count = args.op->code_count;
  p.operands = args.inputs + 2;
  p.tile_scratch = static_cast<float*>(scratch);
  if (conv->pixels.use) {
    RunPixelTasks(args, conv->pixels, begin, end, &p);
    return Rule::kNone;
  }
  for (uint32_t task = begin; task < end; ++task) {
    const TaskBlock block = BlockOfTask(s->tiling, task);
    const int64_t a_offset = s->a_offset + block.outer * s->a_group;
    if (args.op->inputs[0].dtype == DType::kBF16) {
      p.a16 = static_cast<const uint16_t*>(args.inputs[0]) + a_offset;
    } else {
      p.a = static_cast<const float*>(args.inputs[0]) + a_offset;
    }
    p.b = reinterpret_cast<const float*>(static_cast<const char*>(args.inputs[1]) +
                                         block.outer * s->b_group * s->column_bytes);
    p.channel = block.outer * s->y_group;
    if (y.dtype == DType::kBF16) {
      p.y16 = static_cast<uint16_t*>(args.outputs[0]) + s->y_offset + p.channel;
    } else {
      p.y = static_cast<float*>(args.outputs[0]) + s->y_offset + p.channel;
    }
    RunBlock(p, block);
    ZeroBlockHalo(*s, block, y, args.outputs[0]);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_CONV_CONV_KERNEL_H_
