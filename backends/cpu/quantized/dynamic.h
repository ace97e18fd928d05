// Quantisation by the range of the numbers themselves (ONNX DynamicQuantizeLinear), in vectors.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_DYNAMIC_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_DYNAMIC_H_

#include "backends/cpu/quantized/requantize.h"

namespace floe::cpu::FLOE_ISA {
namespace {

struct Range {
  float low = 0, high = 0;

  // NaN is passed over.
  FLOE_INLINE void Add(float l, float h) {
    low = l < low ? l : low;
    high = h > high ? h : high;
  }
};

Range RangeOf(const float* x, int64_t count) {
  constexpr int64_t kChains = 4;
  F32 low[kChains], high[kChains];
  for (int c = 0; c < kChains; ++c) low[c] = high[c] = Zero();
  int64_t i = 0;
  for (; i + kChains * kWidth <= count; i += kChains * kWidth) {
    FLOE_UNROLL
    for (int c = 0; c < kChains; ++c) {
      const F32 v = Load(x + i + c * kWidth);
      low[c] = MinOrSecond(v, low[c]);
      high[c] = MaxOrSecond(v, high[c]);
    }
  }
  Range range;
  for (int c = 0; c < kChains; ++c) {
    alignas(64) float lows[kWidth], highs[kWidth];
    Store(lows, low[c]);
    Store(highs, high[c]);
    for (int lane = 0; lane < kWidth; ++lane) range.Add(lows[lane], highs[lane]);
  }
  for (; i < count; ++i) range.Add(x[i], x[i]);
  return range;
}

struct Quantizer {
  float scale;
  int32_t zp;
};

Quantizer QuantizerOf(const Range& range) {
  Quantizer q;
  q.scale = (range.high - range.low) / 255.0f;
  if (q.scale == 0) q.scale = 1;
  float zp = -range.low / q.scale;
  zp = zp > 0.0f ? zp : 0.0f;
  zp = zp < 255.0f ? zp : 255.0f;
  q.zp = static_cast<int32_t>(__builtin_nearbyintf(zp));
  return q;
}

void QuantizeAll(const float* x, int64_t count, const Quantizer& q, uint8_t* y) {
  const F32 scale = Broadcast(q.scale);
  families::Requantize words;
  words.y_zp = q.zp;
  words.high = 255;
  const Requantizer r(words, false);
  for (int64_t i = 0; i < count; i += kPanel) {
    const int64_t n = count - i < kPanel ? count - i : kPanel;
    I32 panel[kRowVecs];
    FLOE_UNROLL
    for (int v = 0; v < kRowVecs; ++v) {
      const int64_t left = n - v * kWidth;
      const float* from = x + i + v * kWidth;
      F32 value = Zero();
      if (left >= kWidth) {
        value = Load(from);
      } else if (left > 0) {
        value = LoadTail(from, left);
      }
      panel[v] = RoundToWords(Div(value, scale));
    }
    PackPanels<1>(r, panel, n, y + i);
  }
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_DYNAMIC_H_
