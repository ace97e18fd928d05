// From accumulators to bytes, a panel of 16 columns at a time (kRowVecs vectors).
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_REQUANTIZE_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_REQUANTIZE_H_

#include "backends/cpu/quantized/dot.h"
#include "backends/families/quantized.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// The sixteen bytes of a panel as integers.
FLOE_INLINE void UnpackPanel(__m128i bytes, I32 (&q)[kRowVecs]) {
#if defined(FLOE_ISA_AVX512)
  q[0] = _mm512_cvtepu8_epi32(bytes);
#elif defined(FLOE_ISA_AVX2)
  q[0] = _mm256_cvtepu8_epi32(bytes);
  q[1] = _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8));
#else
  const __m128i zero = _mm_setzero_si128();
  const __m128i low = _mm_unpacklo_epi8(bytes, zero), high = _mm_unpackhi_epi8(bytes, zero);
  q[0] = _mm_unpacklo_epi16(low, zero);
  q[1] = _mm_unpackhi_epi16(low, zero);
  q[2] = _mm_unpacklo_epi16(high, zero);
  q[3] = _mm_unpackhi_epi16(high, zero);
#endif
}

// Of 1 to 16 bytes; no others are touched.
FLOE_INLINE __m128i LoadSome(const uint8_t* p, int64_t n) {
  if (n == kPanel) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
#if defined(FLOE_ISA_AVX512)
  return _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << n) - 1u), p);
#else
  alignas(16) uint8_t bytes[kPanel] = {};
  for (int64_t i = 0; i < n; ++i) bytes[i] = p[i];
  return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
#endif
}
FLOE_INLINE void StoreSome(uint8_t* p, int64_t n, __m128i v) {
  if (n == kPanel) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
    return;
  }
#if defined(FLOE_ISA_AVX512)
  _mm_mask_storeu_epi8(p, static_cast<__mmask16>((1u << n) - 1u), v);
#else
  alignas(16) uint8_t bytes[kPanel];
  _mm_store_si128(reinterpret_cast<__m128i*>(bytes), v);
  for (int64_t i = 0; i < n; ++i) p[i] = bytes[i];
#endif
}

// The constants of a Run, in vectors. The last steps of a clamp, zero point included, are done on
// words and bytes, which a vector holds more of, and whose packing saturates.
struct Requantizer {
  explicit Requantizer(const families::Requantize& w, bool with_residual)
      : residual(with_residual),
        zp_words(BroadcastInt(w.y_zp * 0x10001)),
        low_bytes(BroadcastInt(static_cast<int32_t>(static_cast<uint32_t>(w.low) * 0x1010101u))),
        high_bytes(BroadcastInt(static_cast<int32_t>(static_cast<uint32_t>(w.high) * 0x1010101u))),
        t_low(Broadcast(static_cast<float>(w.t_low - w.t_zp))),
        t_high(Broadcast(static_cast<float>(w.t_high - w.t_zp))),
        t_ratio(Broadcast(w.t_ratio)),
        r_ratio(Broadcast(w.r_ratio)),
        r_zp(BroadcastInt(w.r_zp)) {}

  bool residual;
  I32 zp_words, low_bytes, high_bytes;
  F32 t_low, t_high, t_ratio, r_ratio;
  I32 r_zp;
};

// Clamped to whole numbers and rounded. (The second of MaxOrSecond wins against NaN.)
FLOE_INLINE I32 RoundWithin(F32 v, F32 low, F32 high) {
  return ToInt(MinOrSecond(MaxOrSecond(v, low), high));
}

// Rounded to integers that saturate as words: what is too large for a word becomes one that is, and
// what is beyond all integers, and NaN, the least integer.
FLOE_INLINE I32 RoundToWords(F32 v) { return ToInt(MinOrSecond(Broadcast(32767.0f), v)); }

// One vector of columns, before the zero point. Simple: the factor is below 1 in magnitude, so that
// the product is an integer.
FLOE_INLINE I32 RequantizeSimple(I32 sums, F32 scale) { return ToInt(Mul(ToFloat(sums), scale)); }
// `scaled` has the bias; `other` is the residual's.
FLOE_INLINE I32 RequantizeVector(const Requantizer& r, F32 scaled, I32 other) {
  // (Bounds are whole numbers: rounding before them is rounding after them.)
  const F32 t = MinOrSecond(MaxOrSecond(Round(scaled), r.t_low), r.t_high);
  const F32 added = Mul(ToFloat(SubInt(other, r.r_zp)), r.r_ratio);
  return RoundToWords(Add(Mul(t, r.t_ratio), added));
}

// Of what RequantizeVector gave for four vectors: bytes, within 128-bit lanes in the vectors'
// order.
FLOE_INLINE I32 PackLanes(const Requantizer& r, I32 q0, I32 q1, I32 q2, I32 q3) {
#if defined(FLOE_ISA_AVX512)
  const I32 low = _mm512_adds_epi16(_mm512_packs_epi32(q0, q1), r.zp_words);
  const I32 high = _mm512_adds_epi16(_mm512_packs_epi32(q2, q3), r.zp_words);
  const I32 bytes = _mm512_packus_epi16(low, high);
  return _mm512_min_epu8(_mm512_max_epu8(bytes, r.low_bytes), r.high_bytes);
#elif defined(FLOE_ISA_AVX2)
  const I32 low = _mm256_adds_epi16(_mm256_packs_epi32(q0, q1), r.zp_words);
  const I32 high = _mm256_adds_epi16(_mm256_packs_epi32(q2, q3), r.zp_words);
  const I32 bytes = _mm256_packus_epi16(low, high);
  return _mm256_min_epu8(_mm256_max_epu8(bytes, r.low_bytes), r.high_bytes);
#else
  const I32 low = _mm_adds_epi16(_mm_packs_epi32(q0, q1), r.zp_words);
  const I32 high = _mm_adds_epi16(_mm_packs_epi32(q2, q3), r.zp_words);
  const I32 bytes = _mm_packus_epi16(low, high);
  return _mm_min_epu8(_mm_max_epu8(bytes, r.low_bytes), r.high_bytes);
#endif
}

#if defined(FLOE_ISA_AVX512)

// kPanels (1 to 4) panels of one row, of which the last has `last` columns, to bytes at y.
template <int kPanels>
FLOE_INLINE void PackPanels(const Requantizer& r, const I32 (&q)[kPanels], int64_t last,
                            uint8_t* y) {
  constexpr int kLast = kPanels - 1;
  // (Two panels twice: one half of the packing is the other.)
  const auto at = [&](int p) __attribute__((always_inline)) { return q[p % kPanels]; };
  const I32 lanes = PackLanes(r, at(0), at(1), at(2), at(3));
  // Lane l holds columns 4l to 4l+3 of every panel.
  const I32 order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const I32 bytes = _mm512_permutexvar_epi32(order, lanes);
  if (last == kPanel) {
    if constexpr (kPanels == 4) {
      _mm512_storeu_si512(y, bytes);
    } else if constexpr (kPanels >= 2) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), _mm512_castsi512_si256(bytes));
    } else {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(y), _mm512_castsi512_si128(bytes));
    }
    if constexpr (kPanels == 3) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(y + 32), _mm512_extracti32x4_epi32(bytes, 2));
    }
  } else {
    _mm512_mask_storeu_epi8(y, (uint64_t{1} << (kLast * kPanel + last)) - 1, bytes);
  }
}

#else

template <int kPanels>
FLOE_INLINE void PackPanels(const Requantizer& r, const I32 (&q)[kPanels * kRowVecs], int64_t last,
                            uint8_t* y) {
  FLOE_UNROLL
  for (int p = 0; p < kPanels; ++p) {
    const int64_t n = p == kPanels - 1 ? last : kPanel;
    const I32* v = q + p * kRowVecs;
#if defined(FLOE_ISA_AVX2)
    // Lanes hold columns 0-3 8-11 | 4-7 12-15: those of the first vector are its halves.
    const I32 lanes = PackLanes(r, v[0], v[1], v[0], v[1]);
    const __m128i low = _mm256_castsi256_si128(lanes), high = _mm256_extracti128_si256(lanes, 1);
    const __m128i mixed = _mm_unpacklo_epi32(low, high);
    StoreSome(y + p * kPanel, n, mixed);
#else
    StoreSome(y + p * kPanel, n, PackLanes(r, v[0], v[1], v[2], v[3]));
#endif
  }
}

#endif

// One row of kPanels (1 to 4) panels, the last with `last` columns; `scale` and `bias`, if it is
// not null, have 16 for each panel.
template <int kPanels>
FLOE_INLINE void RequantizeSimpleRow(const Requantizer& r, const I32 (&sums)[kPanels * kRowVecs],
                                     const float* scale, int64_t last, uint8_t* y) {
  I32 q[kPanels * kRowVecs];
  FLOE_UNROLL
  for (int v = 0; v < kPanels * kRowVecs; ++v) {
    q[v] = RequantizeSimple(sums[v], Load(scale + v * kWidth));
  }
  PackPanels<kPanels>(r, q, last, y);
}

template <int kPanels>
FLOE_INLINE void RequantizeRow(const Requantizer& r, const I32 (&sums)[kPanels * kRowVecs],
                               const float* scale, const float* bias, const uint8_t* residual,
                               int64_t last, uint8_t* y) {
  I32 q[kPanels * kRowVecs];
  FLOE_UNROLL
  for (int p = 0; p < kPanels; ++p) {
    F32 scaled[kRowVecs];
    FLOE_UNROLL
    for (int v = 0; v < kRowVecs; ++v) {
      const int i = p * kRowVecs + v;
      scaled[v] = Mul(ToFloat(sums[i]), Load(scale + i * kWidth));
      if (bias != nullptr) scaled[v] = Add(scaled[v], Load(bias + i * kWidth));
    }
    if (r.residual) {
      I32 other[kRowVecs];
      UnpackPanel(LoadSome(residual + p * kPanel, p == kPanels - 1 ? last : kPanel), other);
      FLOE_UNROLL
      for (int v = 0; v < kRowVecs; ++v) {
        q[p * kRowVecs + v] = RequantizeVector(r, scaled[v], other[v]);
      }
    } else {
      FLOE_UNROLL
      for (int v = 0; v < kRowVecs; ++v) q[p * kRowVecs + v] = RoundToWords(scaled[v]);
    }
  }
  PackPanels<kPanels>(r, q, last, y);
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_REQUANTIZE_H_
