// Max and average pooling, channels-last: channels in vectors, windows clipped to the image. A task
// is a share of the output rows (all images). Between the columns at the left and right edges no
// window needs clipping.
#include "backends/cpu/loops.h"
#include "backends/cpu/sums.h"
#include "backends/halo.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

struct PoolWindow {
  int64_t kh, kw, sh, sw, pt, pl, pb, pr, dh, dw;
};

FLOE_INLINE PoolWindow WindowOf(const int64_t* a) {
  return {a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]};
}

// (Most windows have no dilation, and a division costs as much as a pixel.)
FLOE_INLINE int64_t DividedBy(int64_t a, int64_t dilation) {
  return dilation == 1 ? a : a / dilation;
}

// Taps k of [0, kernel) with 0 <= start + k * dilation < limit.
FLOE_INLINE void ClipTaps(int64_t start, int64_t kernel, int64_t dilation, int64_t limit,
                          int64_t* first, int64_t* last) {
  *first = start < 0 ? DividedBy(-start + dilation - 1, dilation) : 0;
  const int64_t room = limit - 1 - start;
  *last = room < 0 ? 0 : DividedBy(room, dilation) + 1;
  if (*last > kernel) *last = kernel;
  if (*first > *last) *first = *last;
}

FLOE_INLINE int64_t TapsBelow(int64_t start, int64_t kernel, int64_t dilation, int64_t limit) {
  const int64_t room = limit - 1 - start;
  const int64_t taps = room < 0 ? 0 : DividedBy(room, dilation) + 1;
  return taps < kernel ? taps : kernel;
}

// NaN in any tap wins, as in MaxPool of every framework.
FLOE_INLINE F32 PoolStep(bool average, F32 acc, F32 v) {
  return average ? Add(acc, v) : Choose(IsNan(acc), acc, MaxOrSecond(acc, v));
}

// The sums of a window of more than kSumChain taps.
template <int kVecs, bool kTail>
FLOE_INLINE void SumLargeWindow(const float* x, int64_t row_pitch, int64_t pixel_pitch,
                                int64_t rows, int64_t cols, int64_t tail, F32 (&acc)[kVecs]) {
  BlockSums<kVecs> sums;
  for (int64_t i = 0; i < rows; ++i) {
    const float* p = x + i * row_pitch;
    for (int64_t j = 0; j < cols;) {
      F32 block[kVecs];
      FLOE_UNROLL
      for (int v = 0; v < kVecs; ++v) block[v] = Zero();
      const int64_t end = cols - j < kSumChain ? cols : j + kSumChain;
      for (; j < end; ++j, p += pixel_pitch) {
        FLOE_UNROLL
        for (int v = 0; v < kVecs; ++v) {
          block[v] = Add(block[v], kTail ? LoadTail(p, tail) : Load(p + v * kWidth));
        }
      }
      sums.Take(block);
    }
  }
  sums.AddTo(acc);
}

template <bool kAverage, int kVecs, bool kTail>
FLOE_INLINE void PoolPixel(const float* x, int64_t row_pitch, int64_t pixel_pitch, int64_t rows,
                           int64_t cols, float scale, int64_t tail, float* y) {
  F32 acc[kVecs];
  for (int v = 0; v < kVecs; ++v) {
    acc[v] = kAverage ? Zero() : Broadcast(-__builtin_inff());
  }
  const bool large = kAverage && rows * cols > kSumChain;
  if (large) SumLargeWindow<kVecs, kTail>(x, row_pitch, pixel_pitch, rows, cols, tail, acc);
  for (int64_t i = 0; i < rows && !large; ++i) {
    const float* p = x + i * row_pitch;
    for (int64_t j = 0; j < cols; ++j, p += pixel_pitch) {
      for (int v = 0; v < kVecs; ++v) {
        const F32 value = kTail ? LoadTail(p, tail) : Load(p + v * kWidth);
        acc[v] = PoolStep(kAverage, acc[v], value);
      }
    }
  }
  for (int v = 0; v < kVecs; ++v) {
    const F32 r = kAverage ? Mul(acc[v], Broadcast(scale)) : acc[v];
    if (kTail) {
      StoreTail(y, tail, r);
    } else {
      Store(y + v * kWidth, r);
    }
  }
}

template <bool kAverage>
void PoolPixelAllChannels(const float* x, int64_t row_pitch, int64_t pixel_pitch, int64_t rows,
                          int64_t cols, float scale, int64_t channels, float* y) {
  int64_t c = 0;
  for (; c + 4 * kWidth <= channels; c += 4 * kWidth) {
    PoolPixel<kAverage, 4, false>(x + c, row_pitch, pixel_pitch, rows, cols, scale, 0, y + c);
  }
  for (; c + kWidth <= channels; c += kWidth) {
    PoolPixel<kAverage, 1, false>(x + c, row_pitch, pixel_pitch, rows, cols, scale, 0, y + c);
  }
  if (c < channels) {
    PoolPixel<kAverage, 1, true>(x + c, row_pitch, pixel_pitch, rows, cols, scale, channels - c,
                                 y + c);
  }
}

// What all rows of an instruction share.
struct PoolPlan {
  const OpInfo* op;
  PoolWindow w;
  bool average;
  int64_t xs[kMaxRank], ys[kMaxRank], x0, y0;
  // Output columns whose windows lie in the image from its left to its right edge.
  int64_t inside_begin, inside_end;
  int64_t together;  // Rows that MaxPoolFewChannels takes at once; 0: not for it.
};

// Floats of the rows of maxima that MaxPoolFewChannels keeps.
constexpr int64_t kMaximaFloats = 2048;
constexpr int64_t kRowsTogether = 8;

// Only for vectors that would be half empty.
FLOE_INLINE int64_t RowsTogether(const PoolPlan& p) {
  const int64_t channels = p.op->inputs[0].dims[1];
  if (p.average || channels % kWidth == 0 || channels > 4 * kWidth) return 0;
  const int64_t span = ((p.w.kw - 1) * p.w.dw + 1) * channels;
  if (p.inside_begin == p.inside_end || span > kMaximaFloats) return 0;
  const int64_t elements = (p.inside_end - p.inside_begin - 1) * p.w.sw * channels + span;
  const int64_t rows = kMaximaFloats / elements;
  return rows < 1 ? 1 : rows > kRowsTogether ? kRowsTogether : rows;
}

PoolPlan PlanOf(const OpInfo& op) {
  PoolPlan p;
  p.op = &op;
  p.w = WindowOf(op.attrs);
  p.average = op.attrs[0] != 0;
  TensorStrides(op.inputs[0], p.xs, &p.x0);
  TensorStrides(op.outputs[0], p.ys, &p.y0);
  const int64_t columns = op.outputs[0].dims[3];
  const int64_t room = op.inputs[0].dims[3] - 1 - (p.w.kw - 1) * p.w.dw + p.w.pl;
  p.inside_end = room < 0 ? 0 : room / p.w.sw + 1;
  if (p.inside_end > columns) p.inside_end = columns;
  p.inside_begin = (p.w.pl + p.w.sw - 1) / p.w.sw;
  if (p.inside_begin > p.inside_end) p.inside_begin = p.inside_end;
  p.together = RowsTogether(p);
  return p;
}

// The rows of x below an output row: `count` of them (inside the image), the first at x.
struct PoolRows {
  const float* x;  // Of image column 0.
  int64_t count;
  int64_t padded;  // With those in the padding.
  int64_t pitch;
  float* y;  // Of output column 0.
};

// Columns [begin, end), windows clipped to the image.
void PoolClipped(const PoolPlan& p, const PoolRows& rows, int64_t begin, int64_t end) {
  const TensorInfo& in = p.op->inputs[0];
  const PoolWindow& w = p.w;
  for (int64_t ow = begin; ow < end; ++ow) {
    const int64_t left = ow * w.sw - w.pl;
    int64_t first, last;
    ClipTaps(left, w.kw, w.dw, in.dims[3], &first, &last);
    const int64_t cols = last - first;
    const float* from = rows.x + (left + first * w.dw) * p.xs[3];
    float* to = rows.y + ow * p.ys[3];
    if (p.average) {
      const int64_t count = p.op->attrs[1] != 0
                                ? rows.padded * TapsBelow(left, w.kw, w.dw, in.dims[3] + w.pr)
                                : rows.count * cols;
      PoolPixelAllChannels<true>(from, rows.pitch, w.dw * p.xs[3], rows.count, cols,
                                 1.0f / static_cast<float>(count), in.dims[1], to);
    } else {
      PoolPixelAllChannels<false>(from, rows.pitch, w.dw * p.xs[3], rows.count, cols, 0.0f,
                                  in.dims[1], to);
    }
  }
}

// The vectors in which pixels' maxima are taken: as wide as the channels ask for.
struct WholeVector {
  static constexpr int64_t kLanes = kWidth;
  FLOE_INLINE static F32 LoadLanes(const float* p) { return Load(p); }
  FLOE_INLINE static F32 Max(F32 acc, F32 v) { return PoolStep(false, acc, v); }
  FLOE_INLINE static void StoreLanes(float* p, F32 v) { Store(p, v); }
  FLOE_INLINE static void StoreSome(float* p, int64_t n, F32 v) { StoreTail(p, n, v); }
};
#if defined(FLOE_ISA_AVX512)
struct HalfVector {
  static constexpr int64_t kLanes = 8;
  FLOE_INLINE static __m256 LoadLanes(const float* p) { return _mm256_loadu_ps(p); }
  FLOE_INLINE static __m256 Max(__m256 acc, __m256 v) {
    return _mm256_mask_blend_ps(_mm256_cmp_ps_mask(acc, acc, _CMP_UNORD_Q), _mm256_max_ps(acc, v),
                                acc);
  }
  FLOE_INLINE static void StoreLanes(float* p, __m256 v) { _mm256_storeu_ps(p, v); }
  FLOE_INLINE static void StoreSome(float* p, int64_t n, __m256 v) {
    _mm256_mask_storeu_ps(p, static_cast<__mmask8>((1u << n) - 1u), v);
  }
};
#else
using HalfVector = WholeVector;
#endif

// The maxima of `kw` pixels, `tap` floats apart, of each of `n` output columns, `step` apart.
// Vectors that reach into the next pixel are stored in order: its own follows. `end` is the end of
// the output row.
template <class V>
FLOE_INLINE void MaxOverColumns(const float* from, int64_t n, int64_t step, int64_t kw, int64_t tap,
                                int64_t channels, float* to, const float* end) {
  for (int64_t ow = 0; ow < n; ++ow, from += step, to += channels) {
    for (int64_t c = 0; c < channels; c += V::kLanes) {
      auto m = V::LoadLanes(from + c);
      for (int64_t k = 1; k < kw; ++k) m = V::Max(m, V::LoadLanes(from + k * tap + c));
      if (end - to >= c + V::kLanes) {
        V::StoreLanes(to + c, m);
      } else {
        V::StoreSome(to + c, channels - c < V::kLanes ? channels - c : V::kLanes, m);
      }
    }
  }
}

// Inside columns of `count` output rows, max pooling: first the maxima over the rows of x, whose
// pixels follow each other without gaps, then over the columns of that one row. (Several rows
// together, because vectors that straddle two stores cannot be loaded before those have left the
// store buffer.)
void MaxPoolFewChannels(const PoolPlan& p, const PoolRows* rows, int64_t count) {
  alignas(64) float maxima[kMaximaFloats + 4 * kWidth];
  const int64_t channels = p.op->inputs[0].dims[1];
  const int64_t step = p.w.sw * channels, tap = p.w.dw * channels;
  const int64_t span = (p.w.kw - 1) * tap + channels;
  const int64_t pitch = kMaximaFloats / count;
  const int64_t columns = (pitch - span) / step + 1;
  for (int64_t begin = p.inside_begin; begin < p.inside_end; begin += columns) {
    const int64_t n = p.inside_end - begin < columns ? p.inside_end - begin : columns;
    const int64_t elements = (n - 1) * step + span;
    for (int64_t i = 0; i < count; ++i) {
      const float* x = rows[i].x + begin * step - p.w.pl * channels;
      for (int64_t e = 0; e < elements; e += kWidth) {
        const int64_t left = elements - e;
        F32 m = left >= kWidth ? Load(x + e) : LoadTail(x + e, left);
        for (int64_t r = 1; r < rows[i].count; ++r) {
          const float* at = x + r * rows[i].pitch + e;
          m = PoolStep(false, m, left >= kWidth ? Load(at) : LoadTail(at, left));
        }
        Store(maxima + i * pitch + e, m);
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      const float* from = maxima + i * pitch;
      float* to = rows[i].y + begin * channels;
      const float* const end = rows[i].y + p.op->outputs[0].dims[3] * channels;
      if (channels <= HalfVector::kLanes) {
        MaxOverColumns<HalfVector>(from, n, step, p.w.kw, tap, channels, to, end);
      } else {
        MaxOverColumns<WholeVector>(from, n, step, p.w.kw, tap, channels, to, end);
      }
    }
  }
}

// Inside columns of one output row.
void PoolInside(const PoolPlan& p, const PoolRows& rows) {
  const int64_t channels = p.op->inputs[0].dims[1];
  const PoolWindow& w = p.w;
  const float* from = rows.x + (p.inside_begin * w.sw - w.pl) * channels;
  const int64_t pixel = w.dw * channels;
  float* to = rows.y + p.inside_begin * channels;
  const int64_t taps = (p.op->attrs[1] != 0 ? rows.padded : rows.count) * w.kw;
  const float scale = 1.0f / static_cast<float>(taps);
  for (int64_t ow = p.inside_begin; ow < p.inside_end; ++ow) {
    if (p.average) {
      PoolPixelAllChannels<true>(from, rows.pitch, pixel, rows.count, w.kw, scale, channels, to);
    } else {
      PoolPixelAllChannels<false>(from, rows.pitch, pixel, rows.count, w.kw, 0.0f, channels, to);
    }
    from += w.sw * channels;
    to += channels;
  }
}

// Row `row`, counted over all images.
PoolRows RowsOf(const PoolPlan& p, const float* x, float* y, int64_t row) {
  const PoolWindow& w = p.w;
  const int64_t image = row / p.op->outputs[0].dims[2], oh = row % p.op->outputs[0].dims[2];
  const int64_t height = p.op->inputs[0].dims[2];
  const int64_t top = oh * w.sh - w.pt;
  int64_t first, last;
  ClipTaps(top, w.kh, w.dh, height, &first, &last);
  PoolRows rows;
  rows.x = x + p.x0 + image * p.xs[0] + (top + first * w.dh) * p.xs[2];
  rows.count = last - first;
  rows.padded = TapsBelow(top, w.kh, w.dh, height + w.pb);
  rows.pitch = w.dh * p.xs[2];
  rows.y = y + p.y0 + image * p.ys[0] + oh * p.ys[2];
  return rows;
}

void PoolRange(const PoolPlan& p, const float* x, float* y, int64_t begin, int64_t end) {
  PoolRows rows[kRowsTogether];
  const int64_t together = p.together > 0 ? p.together : 1;
  for (int64_t row = begin; row < end; row += together) {
    const int64_t count = end - row < together ? end - row : together;
    bool maxima = p.together > 0;
    for (int64_t i = 0; i < count; ++i) {
      rows[i] = RowsOf(p, x, y, row + i);
      maxima = maxima && rows[i].count > 0;
      PoolClipped(p, rows[i], 0, p.inside_begin);
    }
    if (maxima) MaxPoolFewChannels(p, rows, count);
    for (int64_t i = 0; i < count; ++i) {
      if (!maxima && p.inside_begin < p.inside_end) PoolInside(p, rows[i]);
      PoolClipped(p, rows[i], p.inside_end, p.op->outputs[0].dims[3]);
    }
  }
}

}  // namespace

Status PreparePool(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule) {
  const TensorInfo& y = op.outputs[0];
  const int64_t rows = y.dims[0] * y.dims[2];
  const int64_t row_work = y.dims[1] * y.dims[3] * op.attrs[2] * op.attrs[3] + 1;
  const int64_t grain = 16384 / row_work + 1;
  schedule->phases = 1;
  schedule->tasks = rows == 0 ? 1 : TaskCount(rows, grain, context.workers);
  schedule->variant =
      op.attrs[0] != 0 ? FLOE_VARIANT("f32_avg_pool") : FLOE_VARIANT("f32_max_pool");
  *static_cast<uint32_t*>(state) = schedule->tasks;
  return OkStatus();
}

Rule RunPool(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const OpInfo& op = *args.op;
  const TensorInfo& y = op.outputs[0];
  const uint32_t tasks = *static_cast<const uint32_t*>(args.state);
  const PoolPlan plan = PlanOf(op);
  for (uint32_t task = begin; task < end; ++task) {
    ZeroHaloShare(y, args.outputs[0], task, tasks);
    int64_t first, last;
    TaskShare(y.dims[0] * y.dims[2], task, tasks, &first, &last);
    PoolRange(plan, static_cast<const float*>(args.inputs[0]), static_cast<float*>(args.outputs[0]),
              first, last);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
