// Family depthwise_conv: one filter per channel, channels-last. A vector holds neighbouring
// channels of one pixel; a window slides along the image row, so that each input is loaded once for
// all outputs of the row that it contributes to. Channel vectors are the outer loop: the window's
// rows of one vector of channels stay in L1 while the loop goes down the image. x and y may be
// bf16; all arithmetic is f32.
#ifndef FLOE_BACKENDS_CPU_DEPTHWISE_CONV_DEPTHWISE_CONV_KERNEL_H_
#define FLOE_BACKENDS_CPU_DEPTHWISE_CONV_DEPTHWISE_CONV_KERNEL_H_

#include "backends/cpu/gemm/operands.h"
#include "backends/cpu/narrow.h"
#include "backends/halo.h"
#include "backends/kernel.h"
#include "format/checked.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// A run of output pixels of one image row, for one vector of channels.
struct DepthwiseArgs {
  // Window's first pixel for the first output: x16 if it is bf16.
  union {
    const float* x;
    const uint16_t* x16;
  };
  int64_t pixel;   // Elements from an input pixel to the next.
  int64_t line;    // Elements from a row of the window to the next (dilation included).
  int64_t step;    // Elements from one output's window to the next one's.
  int64_t tap;     // Elements from a row's tap to the next (dilation included); generic only.
  const float* w;  // First tap.
  int64_t w_tap;   // Elements from a tap to the next.
  int64_t kh, kw;
  union {  // y16 if narrow_y.
    float* y;
    uint16_t* y16;
  };
  bool narrow_y;
  int64_t y_pixel;
  const float* bias;      // Null: none.
  const float* residual;  // Null: none.
  int64_t residual_pixel;
  bool has_scale, has_low, has_high;
  float scale, low, high;
  int64_t channels;  // Valid channels of the vector.
};

template <bool kTail>
FLOE_INLINE F32 LoadChannels(const float* p, int64_t n) {
  return kTail ? LoadTail(p, n) : Load(p);
}
template <bool kTail>
FLOE_INLINE F32 LoadChannels(const uint16_t* p, int64_t n) {
  return kTail ? LoadBrainTail(p, n) : LoadBrain(p);
}

// X: the type of x, float or uint16_t for bf16.
template <class X>
FLOE_INLINE const X* WindowOf(const DepthwiseArgs& d) {
  if constexpr (sizeof(X) == 2) {
    return d.x16;
  } else {
    return d.x;
  }
}

// Finishes and stores outputs [at, at + kCount). Raw results have no epilogue.
template <int kCount, bool kTail>
FLOE_INLINE void Emit(const DepthwiseArgs& d, int64_t at, F32 (&acc)[kCount]) {
  if (d.has_scale) {
    const F32 scale = Broadcast(d.scale);
    FLOE_UNROLL
    for (int t = 0; t < kCount; ++t) acc[t] = Mul(acc[t], scale);
  }
  if (d.bias != nullptr) {
    const F32 bias = LoadChannels<kTail>(d.bias, d.channels);
    FLOE_UNROLL
    for (int t = 0; t < kCount; ++t) acc[t] = Add(acc[t], bias);
  }
  if (d.residual != nullptr) {
    const float* r = d.residual + at * d.residual_pixel;
    const int64_t step = d.residual_pixel;
    FLOE_UNROLL
    for (int t = 0; t < kCount; ++t) {
      acc[t] = Add(acc[t], LoadChannels<kTail>(r + t * step, d.channels));
    }
  }
  if (d.has_low) {
    const F32 low = Broadcast(d.low);
    FLOE_UNROLL
    for (int t = 0; t < kCount; ++t) acc[t] = MaxOrSecond(low, acc[t]);
  }
  if (d.has_high) {
    const F32 high = Broadcast(d.high);
    FLOE_UNROLL
    for (int t = 0; t < kCount; ++t) acc[t] = MinOrSecond(high, acc[t]);
  }
  const int64_t step = d.y_pixel;
  const int64_t n = d.channels;
  if (d.narrow_y) {
    uint16_t* y = d.y16 + at * step;
    FLOE_UNROLL
    for (int t = 0; t < kCount; ++t) {
      if (kTail) {
        StoreBrainTail(y + t * step, n, acc[t]);
      } else {
        StoreBrain(y + t * step, acc[t]);
      }
    }
    return;
  }
  float* y = d.y + at * step;
  FLOE_UNROLL
  for (int t = 0; t < kCount; ++t) {
    if (kTail) {
      StoreTail(y + t * step, n, acc[t]);
    } else {
      Store(y + t * step, acc[t]);
    }
  }
}

// Outputs [at, at + kCount) of the run: square window, horizontal stride kStride, no dilation
// along the row. `taps` are kKernel * kKernel vectors, in registers as far as the ISA has them.
template <class X, int kKernel, int kStride, int kCount, bool kTail>
FLOE_INLINE void SlideWindow(const DepthwiseArgs& d, const F32* taps, int64_t at) {
  F32 acc[kCount];
  FLOE_UNROLL
  for (int t = 0; t < kCount; ++t) acc[t] = Zero();
  const X* line = WindowOf<X>(d) + at * d.step;
  const int64_t pixel = d.pixel;
  FLOE_UNROLL
  for (int ky = 0; ky < kKernel; ++ky) {
    const X* x = line;
    FLOE_UNROLL
    for (int i = 0; i < (kCount - 1) * kStride + kKernel; ++i) {
      const F32 value = LoadChannels<kTail>(x, d.channels);
      x += pixel;
      FLOE_UNROLL
      for (int t = 0; t < kCount; ++t) {
        const int kx = i - t * kStride;
        if (kx >= 0 && kx < kKernel) acc[t] = MulAdd(value, taps[ky * kKernel + kx], acc[t]);
      }
    }
    line += d.line;
  }
  Emit<kCount, kTail>(d, at, acc);
}

template <class X, int kKernel, int kStride, bool kTail>
void SlideRow(const DepthwiseArgs& d, int64_t count) {
  F32 taps[kKernel * kKernel];
  FLOE_UNROLL
  for (int i = 0; i < kKernel * kKernel; ++i) taps[i] = Load(d.w + i * d.w_tap);
  int64_t at = 0;
  // 7 divides the widths of most image networks; 8 is a little better elsewhere.
  if (count % 7 == 0) {
    for (; at < count; at += 7) SlideWindow<X, kKernel, kStride, 7, kTail>(d, taps, at);
    return;
  }
  for (; at + 8 <= count; at += 8) SlideWindow<X, kKernel, kStride, 8, kTail>(d, taps, at);
  if (at + 4 <= count) {
    SlideWindow<X, kKernel, kStride, 4, kTail>(d, taps, at);
    at += 4;
  }
  for (; at < count; ++at) SlideWindow<X, kKernel, kStride, 1, kTail>(d, taps, at);
}

// Any window, stride and dilation, in the same order of summation.
template <class X, int kCount, bool kTail>
FLOE_INLINE void GenericWindow(const DepthwiseArgs& d, int64_t at) {
  F32 acc[kCount];
  FLOE_UNROLL
  for (int t = 0; t < kCount; ++t) acc[t] = Zero();
  for (int64_t ky = 0; ky < d.kh; ++ky) {
    for (int64_t kx = 0; kx < d.kw; ++kx) {
      const F32 tap = Load(d.w + (ky * d.kw + kx) * d.w_tap);
      const X* x = WindowOf<X>(d) + at * d.step + ky * d.line + kx * d.tap;
      FLOE_UNROLL
      for (int t = 0; t < kCount; ++t) {
        acc[t] = MulAdd(LoadChannels<kTail>(x + t * d.step, d.channels), tap, acc[t]);
      }
    }
  }
  Emit<kCount, kTail>(d, at, acc);
}

template <class X, bool kTail>
void GenericRow(const DepthwiseArgs& d, int64_t count) {
  int64_t at = 0;
  for (; at + 4 <= count; at += 4) GenericWindow<X, 4, kTail>(d, at);
  for (; at < count; ++at) GenericWindow<X, 1, kTail>(d, at);
}

using DepthwiseRowFn = void (*)(const DepthwiseArgs& d, int64_t count);

template <class X, bool kTail>
DepthwiseRowFn FindRow(const families::WindowAttrs& w) {
  // Without mask registers partial vectors are slow anyway, and the unrolled code would be large.
  if constexpr (kTail && !kMasksTails) return &GenericRow<X, kTail>;
  if (w.dw != 1 || w.sw > 2 || w.kh != w.kw) return &GenericRow<X, kTail>;
  if (w.kw == 3) return w.sw == 1 ? &SlideRow<X, 3, 1, kTail> : &SlideRow<X, 3, 2, kTail>;
  // Without FMA the larger windows spill more than they save.
  if constexpr (!kFusedMulAdd) return &GenericRow<X, kTail>;
  if (w.kw == 5) return w.sw == 1 ? &SlideRow<X, 5, 1, kTail> : &SlideRow<X, 5, 2, kTail>;
  if (w.kw == 7 && w.sw == 1) return &SlideRow<X, 7, 1, kTail>;
  return &GenericRow<X, kTail>;
}

// Runs the program over raw results of `count` pixels in scratch, then stores them.
void FinishRawRow(const Product& p, const DepthwiseArgs& raw, const Position& at, int64_t channel,
                  int64_t count, int64_t y_offset) {
  TileOperand operands[kPwMaxOperands];
  for (uint32_t i = 0; i < p.state->operand_count; ++i) {
    operands[i] = OperandAt(p, i, at, channel);
  }
  RunTile(p.code, p.code_count, raw.y, count, raw.channels, kWidth, operands);
  const int64_t y_pixel = p.state->y.x;
  for (int64_t i = 0; i < count; ++i) {
    const F32 value = Load(raw.y + i * kWidth);
    if (p.y16 != nullptr) {
      StoreBrainTail(p.y16 + y_offset + i * y_pixel, raw.channels, value);
    } else {
      StoreTail(p.y + y_offset + i * y_pixel, raw.channels, value);
    }
  }
}

struct DepthwiseRun {
  Product product;
  families::WindowAttrs window;
  DepthwiseRowFn full, tail;
  GridStrides residual;
};

// Moves the window to element `offset` of x.
FLOE_INLINE void MoveTo(const Product& p, int64_t offset, DepthwiseArgs* d) {
  if (p.a16 != nullptr) {
    d->x16 = p.a16 + offset;
  } else {
    d->x = p.a + offset;
  }
}

// Line `line` (of all images) for channels [channel, channel + d->channels).
void RunLine(const DepthwiseRun& run, int64_t line, int64_t channel, DepthwiseArgs* d) {
  const Product& p = run.product;
  const ProductState& s = *p.state;
  const DepthwiseRowFn row = d->channels == kWidth ? run.full : run.tail;
  const Position at{0, line % s.grid.height, line / s.grid.height};
  const int64_t x = OffsetOf(s.a, at) + channel, y = OffsetOf(s.y, at) + channel;
  if (s.epilogue.in_registers) {
    MoveTo(p, x, d);
    if (d->narrow_y) {
      d->y16 = p.y16 + y;
    } else {
      d->y = p.y + y;
    }
    if (s.epilogue.residual >= 0) {
      const EpilogueOperandInfo& info = s.operands[s.epilogue.residual];
      d->residual = static_cast<const float*>(p.operands[s.epilogue.residual]) + info.offset +
                    OffsetOf(info.strides, at) + channel;
    }
    row(*d, s.grid.width);
    return;
  }
  d->y = p.tile_scratch;
  constexpr int64_t kChunk = kTileScratchFloats / kWidth;
  for (int64_t begin = 0; begin < s.grid.width; begin += kChunk) {
    const int64_t left = s.grid.width - begin;
    const int64_t count = left < kChunk ? left : kChunk;
    MoveTo(p, x + begin * d->step, d);
    row(*d, count);
    FinishRawRow(p, *d, {begin, at.y, at.image}, channel, count, y + begin * s.y.x);
  }
}

void RunLines(const DepthwiseRun& run, int64_t begin, int64_t end, int64_t channels) {
  const Product& p = run.product;
  const ProductState& s = *p.state;
  const Epilogue& e = s.epilogue;
  DepthwiseArgs d{};
  d.pixel = channels;
  d.line = s.depthwise_line;
  d.step = s.a.x;
  d.tap = run.window.kw > 1 ? run.window.dw * channels : 0;
  d.w_tap = CeilDiv(channels, kPanel) * kPanel;
  d.kh = run.window.kh;
  d.kw = run.window.kw;
  d.narrow_y = p.y16 != nullptr && e.in_registers;  // Raw results are f32.
  d.y_pixel = e.in_registers ? s.y.x : kWidth;
  d.residual_pixel = e.residual >= 0 ? s.operands[e.residual].strides.x : 0;
  d.has_scale = e.scale != 1.0f || e.scale_operand >= 0;
  d.scale =
      e.scale_operand >= 0 ? *static_cast<const float*>(p.operands[e.scale_operand]) : e.scale;
  d.has_low = e.has_low;
  d.has_high = e.has_high;
  d.low = e.low;
  d.high = e.high;
  // A cache line's worth of channels at a time, whatever the vector width.
  for (int64_t block = 0; block < channels; block += kPanel) {
    const int64_t block_end = block + kPanel < channels ? block + kPanel : channels;
    for (int64_t line = begin; line < end; ++line) {
      for (int64_t channel = block; channel < block_end; channel += kWidth) {
        const int64_t left = channels - channel;
        d.channels = left < kWidth ? left : kWidth;
        d.w = p.b + channel;
        if (e.bias >= 0) d.bias = static_cast<const float*>(p.operands[e.bias]) + channel;
        RunLine(run, line, channel, &d);
      }
    }
  }
}

}  // namespace

Status PrepareDepthwiseConv(const OpInfo& op, const PrepareContext& context, void* state,
                            Schedule* schedule) {
  auto* s = static_cast<ProductState*>(state);
  PrepareDepthwiseProduct(op, context, s);
  const bool has_halo = !op.outputs[0].halo.empty();
  schedule->tasks =
      s->empty ? static_cast<uint32_t>(has_halo) : static_cast<uint32_t>(s->tiling.row_blocks);
  const families::WindowAttrs window = families::ReadWindow(op.attrs);
  const bool generic = FindRow<float, false>(window) == &GenericRow<float, false>;
  if (op.inputs[0].dtype == DType::kBF16) {
    schedule->variant =
        generic ? FLOE_VARIANT("bf16_depthwise_conv") : FLOE_VARIANT("bf16_depthwise_conv_slide");
  } else {
    schedule->variant =
        generic ? FLOE_VARIANT("f32_depthwise_conv") : FLOE_VARIANT("f32_depthwise_conv_slide");
  }
  return OkStatus();
}

Rule RunDepthwiseConv(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end,
                      void* scratch) {
  const auto* s = static_cast<const ProductState*>(args.state);
  const TensorInfo& y = args.op->outputs[0];
  if (s->empty) {
    if (begin < end) ZeroHalo(y, args.outputs[0]);
    return Rule::kNone;
  }
  DepthwiseRun run;
  run.window = families::ReadWindow(args.op->attrs);
  Product& p = run.product;
  p.state = s;
  if (args.op->inputs[0].dtype == DType::kBF16) {
    run.full = FindRow<uint16_t, false>(run.window);
    run.tail = FindRow<uint16_t, true>(run.window);
    p.a16 = static_cast<const uint16_t*>(args.inputs[0]) + s->a_offset;
  } else {
    run.full = FindRow<float, false>(run.window);
    run.tail = FindRow<float, true>(run.window);
    p.a = static_cast<const float*>(args.inputs[0]) + s->a_offset;
  }
  p.b = static_cast<const float*>(args.inputs[1]);
  if (y.dtype == DType::kBF16) {
    p.y16 = static_cast<uint16_t*>(args.outputs[0]) + s->y_offset;
  } else {
    p.y = static_cast<float*>(args.outputs[0]) + s->y_offset;
  }
  p.code = args.op->code;
  p.code_count = args.op->code_count;
  p.operands = args.inputs + 2;
  p.tile_scratch = static_cast<float*>(scratch);
  const int64_t lines = s->tiling.m;
  for (uint32_t task = begin; task < end; ++task) {
    const int64_t first = lines * task / s->tiling.row_blocks;
    const int64_t last = lines * (task + 1) / s->tiling.row_blocks;
    RunLines(run, first, last, y.dims[1]);
    ZeroLinesHalo(y, args.outputs[0], first, last);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_DEPTHWISE_CONV_DEPTHWISE_CONV_KERNEL_H_
