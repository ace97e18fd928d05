// Max and average pooling, channels-last: channels in vectors, windows clipped to the image. A task
// is a share of the output rows (all images).
#include "backends/cpu/lanes.h"
#include "backends/cpu/loops.h"
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

// Taps k of [0, kernel) with 0 <= start + k * dilation < limit.
FLOE_INLINE void ClipTaps(int64_t start, int64_t kernel, int64_t dilation, int64_t limit,
                          int64_t* first, int64_t* last) {
  *first = start < 0 ? (-start + dilation - 1) / dilation : 0;
  const int64_t room = limit - 1 - start;
  *last = room < 0 ? 0 : room / dilation + 1;
  if (*last > kernel) *last = kernel;
  if (*first > *last) *first = *last;
}

FLOE_INLINE int64_t TapsBelow(int64_t start, int64_t kernel, int64_t dilation, int64_t limit) {
  const int64_t room = limit - 1 - start;
  const int64_t taps = room < 0 ? 0 : room / dilation + 1;
  return taps < kernel ? taps : kernel;
}

// NaN in any tap wins, as in MaxPool of every framework.
FLOE_INLINE F32 PoolStep(bool average, F32 acc, F32 v) {
  return average ? Add(acc, v) : Choose(IsNan(acc), acc, MaxOrSecond(acc, v));
}

template <bool kAverage, int kVecs, bool kTail>
FLOE_INLINE void PoolPixel(const float* x, int64_t row_pitch, int64_t pixel_pitch, int64_t rows,
                           int64_t cols, float scale, int64_t tail, float* y) {
  F32 acc[kVecs];
  for (int v = 0; v < kVecs; ++v) {
    acc[v] = kAverage ? Zero() : Broadcast(-__builtin_inff());
  }
  for (int64_t i = 0; i < rows; ++i) {
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

void PoolRow(const OpInfo& op, const float* x, float* y, int64_t image, int64_t oh) {
  const TensorInfo& in = op.inputs[0];
  const TensorInfo& out = op.outputs[0];
  const PoolWindow w = WindowOf(op.attrs);
  const bool average = op.attrs[0] != 0;
  int64_t xs[kMaxRank], ys[kMaxRank], x0, y0;
  TensorStrides(in, xs, &x0);
  TensorStrides(out, ys, &y0);
  const int64_t top = oh * w.sh - w.pt;
  int64_t row_first, row_last;
  ClipTaps(top, w.kh, w.dh, in.dims[2], &row_first, &row_last);
  const int64_t padded_rows = TapsBelow(top, w.kh, w.dh, in.dims[2] + w.pb);
  const float* rows = x + x0 + image * xs[0] + (top + row_first * w.dh) * xs[2];
  float* to = y + y0 + image * ys[0] + oh * ys[2];
  for (int64_t ow = 0; ow < out.dims[3]; ++ow, to += ys[3]) {
    const int64_t left = ow * w.sw - w.pl;
    int64_t col_first, col_last;
    ClipTaps(left, w.kw, w.dw, in.dims[3], &col_first, &col_last);
    const int64_t nr = row_last - row_first;
    const int64_t nc = col_last - col_first;
    const float* from = rows + (left + col_first * w.dw) * xs[3];
    if (average) {
      const int64_t count =
          op.attrs[1] != 0 ? padded_rows * TapsBelow(left, w.kw, w.dw, in.dims[3] + w.pr) : nr * nc;
      const float scale = 1.0f / static_cast<float>(count);
      PoolPixelAllChannels<true>(from, w.dh * xs[2], w.dw * xs[3], nr, nc, scale, in.dims[1], to);
    } else {
      PoolPixelAllChannels<false>(from, w.dh * xs[2], w.dw * xs[3], nr, nc, 0.0f, in.dims[1], to);
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
  for (uint32_t task = begin; task < end; ++task) {
    ZeroHaloShare(y, args.outputs[0], task, tasks);
    int64_t first, last;
    TaskShare(y.dims[0] * y.dims[2], task, tasks, &first, &last);
    for (int64_t row = first; row < last; ++row) {
      PoolRow(op, static_cast<const float*>(args.inputs[0]), static_cast<float*>(args.outputs[0]),
              row / y.dims[2], row % y.dims[2]);
    }
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
