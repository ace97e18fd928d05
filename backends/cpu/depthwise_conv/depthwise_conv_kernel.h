// Family depthwise_conv: one filter per channel, channels-last. A vector holds neighbouring
// channels of one pixel; a window slides along the image row, so that each input is loaded once for
// all outputs of the row that it contributes to. Channel vectors are the outer loop: the window's
// rows of one vector of channels stay in L1 while the loop goes down the image.
#ifndef FLOE_BACKENDS_CPU_DEPTHWISE_CONV_DEPTHWISE_CONV_KERNEL_H_
#define FLOE_BACKENDS_CPU_DEPTHWISE_CONV_DEPTHWISE_CONV_KERNEL_H_

#include "backends/cpu/gemm/operands.h"
#include "backends/halo.h"
#include "backends/kernel.h"
#include "format/checked.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// A run of output pixels of one image row, for one vector of channels.
struct DepthwiseArgs {
  const float* x;  // Window's first pixel for the first output.
  int64_t pixel;   // Elements from an input pixel to the next.
  int64_t line;    // Elements from a row of the window to the next (dilation included).
  int64_t step;    // Elements from one output's window to the next one's.
  int64_t tap;     // Elements from a row's tap to the next (dilation included); generic only.
  const float* w;  // First tap.
  int64_t w_tap;   // Elements from a tap to the next.
  int64_t kh, kw;
  float* y;
  int64_t y_pixel;
  const float* bias;      // Null: none.
  const float* residual;  // Null: none.
  int64_t residual_pixel;
  bool has_scale, clamp;
  float scale, low, high;
  int64_t channels;  // Valid channels of the vector.
};

template <bool kTail>
FLOE_INLINE F32 LoadChannels(const float* p, int64_t n) {
  return kTail ? LoadTail(p, n) : Load(p);
}

// Finishes and stores output `pixel`. Raw results have no epilogue and y_pixel = kWidth.
template <bool kTail>
FLOE_INLINE void Emit(const DepthwiseArgs& d, int64_t pixel, F32 x) {
  if (d.has_scale) x = Mul(x, Broadcast(d.scale));
  if (d.bias != nullptr) x = Add(x, LoadChannels<kTail>(d.bias, d.channels));
  if (d.residual != nullptr) {
    x = Add(x, LoadChannels<kTail>(d.residual + pixel * d.residual_pixel, d.channels));
  }
  if (d.clamp) x = MinOrSecond(Broadcast(d.high), MaxOrSecond(Broadcast(d.low), x));
  if (kTail) {
    StoreTail(d.y + pixel * d.y_pixel, d.channels, x);
  } else {
    Store(d.y + pixel * d.y_pixel, x);
  }
}

// Outputs [at, at + kCount) of the run, window width kKw, horizontal stride kStride, no dilation.
template <int kKw, int kStride, int kCount, bool kTail>
FLOE_INLINE void SlideWindow(const DepthwiseArgs& d, int64_t at) {
  F32 acc[kCount];
  FLOE_UNROLL
  for (int t = 0; t < kCount; ++t) acc[t] = Zero();
  const float* line = d.x + at * d.step;
  const float* w = d.w;
  for (int64_t ky = 0; ky < d.kh; ++ky) {
    F32 taps[kKw];
    FLOE_UNROLL
    for (int kx = 0; kx < kKw; ++kx) taps[kx] = Load(w + kx * d.w_tap);
    const float* x = line;
    FLOE_UNROLL
    for (int i = 0; i < (kCount - 1) * kStride + kKw; ++i) {
      const F32 value = LoadChannels<kTail>(x, d.channels);
      x += d.pixel;
      FLOE_UNROLL
      for (int t = 0; t < kCount; ++t) {
        const int kx = i - t * kStride;
        if (kx >= 0 && kx < kKw) acc[t] = MulAdd(value, taps[kx], acc[t]);
      }
    }
    w += kKw * d.w_tap;
    line += d.line;
  }
  FLOE_UNROLL
  for (int t = 0; t < kCount; ++t) Emit<kTail>(d, at + t, acc[t]);
}

template <int kKw, int kStride, bool kTail>
void SlideRow(const DepthwiseArgs& d, int64_t count) {
  int64_t at = 0;
  // 7 divides the widths of most image networks; 8 is a little better elsewhere.
  if (count % 7 == 0) {
    for (; at < count; at += 7) SlideWindow<kKw, kStride, 7, kTail>(d, at);
    return;
  }
  for (; at + 8 <= count; at += 8) SlideWindow<kKw, kStride, 8, kTail>(d, at);
  if (at + 4 <= count) {
    SlideWindow<kKw, kStride, 4, kTail>(d, at);
    at += 4;
  }
  for (; at < count; ++at) SlideWindow<kKw, kStride, 1, kTail>(d, at);
}

// Any window, stride and dilation, in the same order of summation.
template <bool kTail>
void GenericRow(const DepthwiseArgs& d, int64_t count) {
  for (int64_t at = 0; at < count;) {
    constexpr int kMost = 4;
    const int64_t n = count - at < kMost ? 1 : kMost;
    F32 acc[kMost];
    FLOE_UNROLL
    for (int t = 0; t < kMost; ++t) acc[t] = Zero();
    for (int64_t ky = 0; ky < d.kh; ++ky) {
      for (int64_t kx = 0; kx < d.kw; ++kx) {
        const F32 tap = Load(d.w + (ky * d.kw + kx) * d.w_tap);
        const float* x = d.x + at * d.step + ky * d.line + kx * d.tap;
        if (n == kMost) {
          FLOE_UNROLL
          for (int t = 0; t < kMost; ++t) {
            acc[t] = MulAdd(LoadChannels<kTail>(x + t * d.step, d.channels), tap, acc[t]);
          }
        } else {
          acc[0] = MulAdd(LoadChannels<kTail>(x, d.channels), tap, acc[0]);
        }
      }
    }
    if (n == kMost) {
      FLOE_UNROLL
      for (int t = 0; t < kMost; ++t) Emit<kTail>(d, at + t, acc[t]);
    } else {
      Emit<kTail>(d, at, acc[0]);
    }
    at += n;
  }
}

using DepthwiseRowFn = void (*)(const DepthwiseArgs& d, int64_t count);

template <bool kTail>
DepthwiseRowFn FindRow(const families::WindowAttrs& w) {
  if (w.dw != 1 || w.sw > 2) return &GenericRow<kTail>;
  if (w.kw == 3) return w.sw == 1 ? &SlideRow<3, 1, kTail> : &SlideRow<3, 2, kTail>;
  if (w.kw == 5) return w.sw == 1 ? &SlideRow<5, 1, kTail> : &SlideRow<5, 2, kTail>;
  return &GenericRow<kTail>;
}

// Runs the program over raw results of `count` pixels in scratch, then stores them.
void FinishRawRow(const Product& p, const DepthwiseArgs& raw, const Position& at, int64_t channel,
                  int64_t count, float* y, int64_t y_pixel) {
  TileOperand operands[kPwMaxOperands];
  for (uint32_t i = 0; i < p.state->operand_count; ++i) {
    operands[i] = OperandAt(p, i, at, channel);
  }
  RunTile(p.code, p.code_count, raw.y, count, raw.channels, kWidth, operands);
  for (int64_t i = 0; i < count; ++i) {
    StoreTail(y + i * y_pixel, raw.channels, Load(raw.y + i * kWidth));
  }
}

struct DepthwiseRun {
  Product product;
  families::WindowAttrs window;
  DepthwiseRowFn full, tail;
  GridStrides residual;
};

// Line `line` (of all images) for channels [channel, channel + d->channels).
void RunLine(const DepthwiseRun& run, int64_t line, int64_t channel, DepthwiseArgs* d) {
  const Product& p = run.product;
  const ProductState& s = *p.state;
  const DepthwiseRowFn row = d->channels == kWidth ? run.full : run.tail;
  const Position at{0, line % s.grid.height, line / s.grid.height};
  const float* x = p.a + OffsetOf(s.a, at) + channel;
  float* y = p.y + OffsetOf(s.y, at) + channel;
  d->x = x;
  if (s.epilogue.in_registers) {
    d->y = y;
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
    d->x = x + begin * d->step;
    row(*d, count);
    FinishRawRow(p, *d, {begin, at.y, at.image}, channel, count, y + begin * s.y.x, s.y.x);
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
  d.tap = run.window.dw * channels;
  d.w_tap = CeilDiv(channels, kPanel) * kPanel;
  d.kh = run.window.kh;
  d.kw = run.window.kw;
  d.y_pixel = e.in_registers ? s.y.x : kWidth;
  d.residual_pixel = e.residual >= 0 ? s.operands[e.residual].strides.x : 0;
  d.has_scale = e.scale != 1.0f || e.scale_operand >= 0;
  d.scale =
      e.scale_operand >= 0 ? *static_cast<const float*>(p.operands[e.scale_operand]) : e.scale;
  d.clamp = e.clamp;
  d.low = e.low;
  d.high = e.high;
  for (int64_t channel = 0; channel < channels; channel += kWidth) {
    const int64_t left = channels - channel;
    d.channels = left < kWidth ? left : kWidth;
    d.w = p.b + channel;
    if (e.bias >= 0) d.bias = static_cast<const float*>(p.operands[e.bias]) + channel;
    for (int64_t line = begin; line < end; ++line) RunLine(run, line, channel, &d);
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
  schedule->variant = FindRow<true>(window) == &GenericRow<true>
                          ? FLOE_VARIANT("f32_depthwise_conv")
                          : FLOE_VARIANT("f32_depthwise_conv_slide");
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
  run.full = FindRow<kMasksTails>(run.window);
  run.tail = FindRow<true>(run.window);
  Product& p = run.product;
  p.state = s;
  p.a = static_cast<const float*>(args.inputs[0]) + s->a_offset;
  p.b = static_cast<const float*>(args.inputs[1]);
  p.y = static_cast<float*>(args.outputs[0]) + s->y_offset;
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
