// Family qdepthwise_conv. A vector holds one byte of kBytes channels. Four taps that follow each
// other in a window's row are woven into groups of four bytes a channel, which is what Dot
// multiplies; so a product of four taps costs two shuffles and a quarter of a load. Where the
// window moves by one pixel and has at most three columns, one weaving of four pixels serves two
// outputs.
//
// Weaving works within 128-bit lanes: of the four woven vectors, vector j holds channels 4j to 4j+3
// of each lane's sixteen. Weights, starts and scales are put in that order beforehand, and packing
// the results to bytes undoes it.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_DEPTHWISE_KERNEL_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_DEPTHWISE_KERNEL_H_

#include "backends/cpu/quantized/products_finish.h"
#include "backends/cpu/quantized/weave.h"
#include "backends/halo.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// What the pixels of one block of channels share.
struct ChannelBlock {
  alignas(64) int32_t start[kWoven][kWidth];
  alignas(64) float scale[kWoven][kWidth];
  alignas(64) float bias[kWoven][kWidth];  // Of bytes, if has_bias.
  bool has_bias, simple;                   // As QTileArgs::simple.
  int64_t first, count;                    // Channels.
};

// Weights of kWoven vectors for each group of taps; `kept` groups lie in scratch.
struct WovenWeights {
  const int8_t* w;
  int64_t pitch;  // Bytes of a group of taps: four for each channel, rounded up to panels.
  int64_t first;  // Channel.
  Operand* kept;
};
constexpr int64_t kKeptBytes = families::kQuantizedScratchBytes - families::kTileScratchBytes;
constexpr int64_t kMostKept = kKeptBytes / (kWoven * static_cast<int64_t>(sizeof(Operand)));

FLOE_INLINE void WeaveWeights(const WovenWeights& w, int64_t group, Operand (&out)[kWoven],
                              I32 (&raw)[kWoven]) {
  alignas(64) int8_t bytes[kWoven][kBytes] = {};
  const int8_t* from = w.w + group * w.pitch + w.first * 4;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((w.first + lane * 16) * 4 >= w.pitch) break;
    for (int j = 0; j < kWoven; ++j) {
      __builtin_memcpy(bytes[j] + lane * 16, from + lane * 64 + j * 16, 16);
    }
  }
  for (int j = 0; j < kWoven; ++j) {
    raw[j] = LoadInts(bytes[j]);
    out[j] = Signed(raw[j]);
  }
}

struct QDepthwise {
  const QProductState* state;
  families::WindowAttrs window;
  Requantizer requantizer;
  const uint8_t* x;  // Where the window of pixel (0, 0) starts.
  int64_t channels;
  int64_t groups;  // Of four taps in a row of the window.
  bool pairs;      // Two outputs at once.
  bool keeps;      // The weights of a block are kept.
  bool square;     // A SquareLine's.
};

// Outputs `column` and, with kPair, the next one of a line whose windows start at `x`.
template <bool kPair>
FLOE_INLINE void SumTaps(const QDepthwise& d, const ChannelBlock& block, const WovenWeights& w,
                         const uint8_t* x, I32 (&sums)[kPair ? 2 : 1][kWoven]) {
  const int64_t tap = kPair || d.window.kw > 1 ? d.window.dw * d.channels : 0;
  FLOE_UNROLL
  for (int j = 0; j < kWoven; ++j) {
    sums[0][j] = LoadInts(block.start[j]);
    if constexpr (kPair) sums[1][j] = sums[0][j];
  }
  const Operand* kept = w.kept;
  for (int64_t ky = 0; ky < d.window.kh; ++ky, x += d.state->product.depthwise_line) {
    for (int64_t g = 0; g < d.groups; ++g) {
      const int64_t last =
          kPair ? d.window.kw : d.window.kw - 1 - 4 * g;  // (Beyond it weights are 0.)
      const uint8_t* at = x + 4 * g * tap;
      I32 woven[kWoven];
      Weave(LoadInts(at), LoadInts(at + (last < 1 ? last : 1) * tap),
            LoadInts(at + (last < 2 ? last : 2) * tap), LoadInts(at + (last < 3 ? last : 3) * tap),
            woven);
      Operand loaded[kWoven];
      if (!kPair && !d.keeps) {
        I32 raw[kWoven];
        WeaveWeights(w, ky * d.groups + g, loaded, raw);
        kept = loaded;
      }
      FLOE_UNROLL
      for (int j = 0; j < kWoven; ++j) {
        const Operand bytes = Unsigned(woven[j]);
        sums[0][j] = Dot(sums[0][j], bytes, kept[j]);
        if constexpr (kPair) sums[1][j] = Dot(sums[1][j], bytes, kept[kWoven + j]);
      }
      kept += (kPair || d.pairs ? 2 : 1) * kWoven;
    }
  }
}

FLOE_INLINE void FinishBytes(const QDepthwise& d, const ChannelBlock& block,
                             const I32 (&sums)[kWoven], const uint8_t* residual, uint8_t* y) {
  const Requantizer& r = d.requantizer;
  I32 q[kWoven];
  F32 scaled[kWoven];
  FLOE_UNROLL
  for (int j = 0; j < kWoven; ++j) {
    scaled[j] = Mul(ToFloat(sums[j]), Load(block.scale[j]));
    if (block.has_bias) scaled[j] = Add(scaled[j], Load(block.bias[j]));
  }
  if (r.residual) {
    I32 other[kWoven];
    Widen(LoadChannels(residual, block.count), other);
    FLOE_UNROLL
    for (int j = 0; j < kWoven; ++j) q[j] = RequantizeVector(r, scaled[j], other[j]);
  } else {
    FLOE_UNROLL
    for (int j = 0; j < kWoven; ++j) q[j] = RoundToWords(scaled[j]);
  }
  StoreChannels(y, block.count, PackLanes(r, q[0], q[1], q[2], q[3]));
}

// Part of a line under a 3x3 window without dilation, bytes without a residual: what most networks
// have. A function of its own, so that its few values stay in registers.
struct SquareLine {
  const uint8_t* x;
  int64_t row, tap, step;  // Bytes to the next row, pixel and window.
  const Operand* w;
  const ChannelBlock* block;
  const Requantizer* requantizer;
  uint8_t* y;
  int64_t y_step;
};

template <bool kWhole>
FLOE_INLINE void StoreSquare(const SquareLine& l, const I32 (&sums)[kWoven],
                             const F32 (&scale)[kWoven], const Requantizer& r, uint8_t* y) {
  I32 q[kWoven];
  FLOE_UNROLL
  for (int j = 0; j < kWoven; ++j) q[j] = RequantizeSimple(sums[j], scale[j]);
  StoreChannels(y, kWhole ? kBytes : l.block->count, PackLanes(r, q[0], q[1], q[2], q[3]));
}

// `pairs` times two outputs; the window moves by one pixel. Two of the four pixels of each row have
// been woven for the outputs before.
template <bool kWhole>
[[gnu::noinline]] void RunSquarePairs(const SquareLine& l, int64_t pairs) {
  const Requantizer r = *l.requantizer;
  const int64_t row = l.row, tap = l.tap;
  const Operand* const w = l.w;
  F32 scale[kWoven];
  FLOE_UNROLL
  for (int j = 0; j < kWoven; ++j) scale[j] = Load(l.block->scale[j]);
  const uint8_t* x = l.x;
  uint8_t* y = l.y;
  I32 low[3], high[3];
  FLOE_UNROLL
  for (int k = 0; k < 3; ++k) {
    WeavePair(LoadInts(x + k * row), LoadInts(x + k * row + tap), &low[k], &high[k]);
  }
  for (int64_t i = 0; i < pairs; ++i) {
    x += 2 * tap;
    I32 sums[2][kWoven];
    FLOE_UNROLL
    for (int j = 0; j < kWoven; ++j) sums[0][j] = sums[1][j] = LoadInts(l.block->start[j]);
    FLOE_UNROLL
    for (int k = 0; k < 3; ++k) {
      I32 next_low, next_high, woven[kWoven];
      WeavePair(LoadInts(x + k * row), LoadInts(x + k * row + tap), &next_low, &next_high);
      WeavePairs(low[k], high[k], next_low, next_high, woven);
      low[k] = next_low;
      high[k] = next_high;
      FLOE_UNROLL
      for (int j = 0; j < kWoven; ++j) {
        const Operand bytes = Unsigned(woven[j]);
        sums[0][j] = Dot(sums[0][j], bytes, w[2 * k * kWoven + j]);
        sums[1][j] = Dot(sums[1][j], bytes, w[(2 * k + 1) * kWoven + j]);
      }
    }
    StoreSquare<kWhole>(l, sums[0], scale, r, y);
    StoreSquare<kWhole>(l, sums[1], scale, r, y + l.y_step);
    y += 2 * l.y_step;
  }
}

// `count` outputs; `pitch` vectors of weights from one row of the window to the next.
template <bool kWhole>
[[gnu::noinline]] void RunSquares(const SquareLine& l, int64_t pitch, int64_t count) {
  const Requantizer r = *l.requantizer;
  F32 scale[kWoven];
  FLOE_UNROLL
  for (int j = 0; j < kWoven; ++j) scale[j] = Load(l.block->scale[j]);
  const uint8_t* x = l.x;
  uint8_t* y = l.y;
  for (int64_t i = 0; i < count; ++i) {
    I32 sums[kWoven];
    FLOE_UNROLL
    for (int j = 0; j < kWoven; ++j) sums[j] = LoadInts(l.block->start[j]);
    FLOE_UNROLL
    for (int k = 0; k < 3; ++k) {
      const uint8_t* at = x + k * l.row;
      const I32 x2 = LoadInts(at + 2 * l.tap);
      I32 woven[kWoven];
      Weave(LoadInts(at), LoadInts(at + l.tap), x2, x2, woven);
      FLOE_UNROLL
      for (int j = 0; j < kWoven; ++j) {
        sums[j] = Dot(sums[j], Unsigned(woven[j]), l.w[k * pitch + j]);
      }
    }
    StoreSquare<kWhole>(l, sums, scale, r, y);
    x += l.step;
    y += l.y_step;
  }
}

void RunSquareLine(SquareLine l, bool pairs, int64_t width) {
  const bool whole = l.block->count == kBytes;
  const int64_t twos = pairs ? width / 2 : 0;
  if (twos > 0 && whole) RunSquarePairs<true>(l, twos);
  if (twos > 0 && !whole) RunSquarePairs<false>(l, twos);
  const int64_t rest = width - 2 * twos;
  if (rest == 0) return;
  l.x += 2 * twos * l.step;
  l.y += 2 * twos * l.y_step;
  const int64_t pitch = (pairs ? 2 : 1) * kWoven;
  if (whole) {
    RunSquares<true>(l, pitch, rest);
  } else {
    RunSquares<false>(l, pitch, rest);
  }
}

// One pixel of an f32 result, through the scratch tile.
void FinishFloatPixel(const QProduct& p, const ChannelBlock& block, const I32 (&sums)[kWoven],
                      FloatEpilogue* floats, const Position& at) {
  float* tile = p.floats.tile_scratch;
  for (int j = 0; j < kWoven; ++j) {
    alignas(64) float values[kWidth];
    Store(values, Mul(ToFloat(sums[j]), Load(block.scale[j])));
    for (int i = 0; i < kWidth; ++i) tile[WovenChannel(j, i)] = values[i];
  }
  const ProductState& s = p.state->product;
  floats->MoveTo(block.first);
  floats->finish.y[0] = p.floats.y + OffsetOf(s.y, at) + block.first;
  floats->finish.residual[0] =
      floats->residual != nullptr
          ? floats->residual + OffsetOf(floats->residual_strides, at) + block.first
          : nullptr;
  FinishSpilledTile(p.floats, floats->finish, at, 1, block.first, block.count, kBytes);
}

// Columns of one line, for one block of channels.
void RunQLine(const QProduct& p, const QDepthwise& d, const ChannelBlock& block,
              const WovenWeights& w, FloatEpilogue* floats, int64_t line) {
  const ProductState& s = p.state->product;
  const int64_t width = s.grid.width;
  Position at{0, line % s.grid.height, line / s.grid.height};
  const uint8_t* x = d.x + OffsetOf(s.a, at) + block.first;
  const bool bytes = p.state->bytes;
  uint8_t* y = bytes ? p.y + OffsetOf(s.y, at) + block.first : nullptr;
  const uint8_t* residual = bytes && p.residual != nullptr
                                ? p.residual + OffsetOf(floats->residual_strides, at) + block.first
                                : nullptr;
  const int64_t r_step = floats->residual_strides.x;
  if (d.square && block.simple) {
    RunSquareLine({.x = x,
                   .row = s.depthwise_line,
                   .tap = d.channels,
                   .step = s.a.x,
                   .w = w.kept,
                   .block = &block,
                   .requantizer = &d.requantizer,
                   .y = y,
                   .y_step = s.y.x},
                  d.pairs, width);
    return;
  }
  while (at.x < width) {
    const int64_t left = width - at.x;
    if (d.pairs && left >= 2) {
      I32 sums[2][kWoven];
      SumTaps<true>(d, block, w, x, sums);
      FinishBytes(d, block, sums[0], residual, y);
      FinishBytes(d, block, sums[1], residual != nullptr ? residual + r_step : nullptr, y + s.y.x);
    } else {
      I32 sums[1][kWoven];
      SumTaps<false>(d, block, w, x, sums);
      if (bytes) {
        FinishBytes(d, block, sums[0], residual, y);
      } else {
        FinishFloatPixel(p, block, sums[0], floats, at);
      }
    }
    const int64_t done = d.pairs && left >= 2 ? 2 : 1;
    at.x += done;
    x += done * s.a.x;
    if (bytes) y += done * s.y.x;
    if (residual != nullptr) residual += done * r_step;
  }
}

void FillBlock(const QProduct& p, const QDepthwise& d, ChannelBlock* block, WovenWeights* w) {
  const int64_t left = d.channels - block->first;
  block->count = left < kBytes ? left : kBytes;
  alignas(64) int32_t start[kBytes];
  alignas(64) float scale[kBytes];
  alignas(64) float bias[kBytes] = {};
  block->has_bias = p.columns.float_bias != nullptr;
  block->simple = FillColumns(p.columns, block->first, block->count, kBytes, start, scale, bias) &&
                  !p.state->residual;
  for (int j = 0; j < kWoven; ++j) {
    for (int i = 0; i < kWidth; ++i) {
      block->start[j][i] = start[WovenChannel(j, i)];
      block->scale[j][i] = scale[WovenChannel(j, i)];
      block->bias[j][i] = bias[WovenChannel(j, i)];
    }
  }
  w->first = block->first;
  if (!d.keeps) return;
  Operand* kept = w->kept;
  for (int64_t g = 0; g < d.window.kh * d.groups; ++g) {
    Operand woven[kWoven];
    I32 raw[kWoven];
    WeaveWeights(*w, g, woven, raw);
    for (int j = 0; j < kWoven; ++j) *kept++ = woven[j];
    if (!d.pairs) continue;
    // The second output's window starts one pixel later.
    for (int j = 0; j < kWoven; ++j) *kept++ = Signed(ShiftLeft<8>(raw[j]));
  }
}

// Lines [begin, end), counted over all images.
void RunQLines(const QProduct& p, const QDepthwise& d, void* scratch, int64_t begin, int64_t end) {
  ChannelBlock block;
  FloatEpilogue floats(p);
  WovenWeights w;
  w.w = p.b;
  w.pitch = RoundUp(d.channels, kPanel) * 4;
  w.kept = reinterpret_cast<Operand*>(static_cast<char*>(scratch) + families::kTileScratchBytes);
  for (block.first = 0; block.first < d.channels; block.first += kBytes) {
    FillBlock(p, d, &block, &w);
    for (int64_t line = begin; line < end; ++line) RunQLine(p, d, block, w, &floats, line);
  }
}

}  // namespace

Status PrepareQDepthwiseConv(const OpInfo& op, const PrepareContext& context, void* state,
                             Schedule* schedule) {
  auto* s = static_cast<QProductState*>(state);
  PrepareQDepthwiseProduct(op, context, s);
  const bool has_halo = !op.outputs[0].halo.empty();
  schedule->tasks = s->product.empty ? static_cast<uint32_t>(has_halo)
                                     : static_cast<uint32_t>(s->product.tiling.row_blocks);
  schedule->variant = FLOE_VARIANT("u8_depthwise_conv");
  return OkStatus();
}

Rule RunQDepthwiseConv(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end,
                       void* scratch) {
  const auto* state = static_cast<const QProductState*>(args.state);
  const TensorInfo& y = args.op->outputs[0];
  if (state->product.empty) {
    if (begin < end) ZeroHalo(y, args.outputs[0]);
    return Rule::kNone;
  }
  const QProduct p(args, scratch);
  QDepthwise d{.state = state,
               .window = families::ReadWindow(args.op->attrs),
               .requantizer = p.requantizer,
               .x = p.a,
               .channels = y.dims[1],
               .groups = 0,
               .pairs = false,
               .keeps = false,
               .square = false};
  d.groups = (d.window.kw + 3) / 4;
  d.pairs = state->bytes && d.window.sw == 1 && d.window.dw == 1 && d.window.kw <= 3 &&
            2 * d.window.kh <= kMostKept;
  d.keeps = d.pairs || d.window.kh <= kMostKept / d.groups;
  d.square =
      state->bytes && !state->residual && d.window.kh == 3 && d.window.kw == 3 && d.window.dw == 1;
  const Tiling& t = state->product.tiling;
  for (uint32_t task = begin; task < end; ++task) {
    const int64_t first = t.m * task / t.row_blocks, last = t.m * (task + 1) / t.row_blocks;
    RunQLines(p, d, scratch, first, last);
    ZeroLinesHalo(y, args.outputs[0], first, last);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_DEPTHWISE_KERNEL_H_
