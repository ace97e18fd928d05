// Families dynamic_quantize and qpool.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_BYTES_KERNEL_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_BYTES_KERNEL_H_

#include "backends/cpu/loops.h"
#include "backends/cpu/quantized/dynamic.h"
#include "backends/cpu/quantized/weave.h"
#include "backends/halo.h"
#include "backends/kernel.h"
#include "format/attrs.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// --- qpool ---------------------------------------------------------------------------------------

// Taps [first, last) of a window along one axis that lie in the image; `padded` counts those in the
// padding too.
struct ClippedTaps {
  int64_t first, last, padded;
};
ClippedTaps Clip(int64_t start, int64_t kernel, int64_t dilation, int64_t size, int64_t after) {
  const auto below = [&](int64_t limit) {
    const int64_t room = limit - 1 - start;
    const int64_t taps = room < 0 ? 0 : room / dilation + 1;
    return taps < kernel ? taps : kernel;
  };
  ClippedTaps c;
  c.first = start < 0 ? (-start + dilation - 1) / dilation : 0;
  c.last = below(size);
  c.padded = below(size + after);
  if (c.first > c.last) c.first = c.last;
  return c;
}

FLOE_INLINE I32 MaxBytes(I32 a, I32 b) {
#if defined(FLOE_ISA_AVX512)
  return _mm512_max_epu8(a, b);
#elif defined(FLOE_ISA_AVX2)
  return _mm256_max_epu8(a, b);
#else
  return _mm_max_epu8(a, b);
#endif
}

// A clipped window: `rows` x `cols` pixels from x on.
struct QWindow {
  const uint8_t* x;
  int64_t rows, cols, row_pitch, pixel_pitch;
};

I32 MaxOfWindow(const QWindow& w, int64_t channel, int64_t count) {
  I32 max = BroadcastInt(0);
  for (int64_t i = 0; i < w.rows; ++i) {
    const uint8_t* p = w.x + i * w.row_pitch + channel;
    for (int64_t j = 0; j < w.cols; ++j, p += w.pixel_pitch) {
      max = MaxBytes(max, LoadChannels(p, count));
    }
  }
  return max;
}

struct Mean {
  F32 factor, low, high;
  I32 start, zp;
};

I32 MeanOfWindow(const QWindow& w, const Mean& m, int64_t channel, int64_t count) {
  I32 sums[kWoven];
  for (int j = 0; j < kWoven; ++j) sums[j] = m.start;
  for (int64_t i = 0; i < w.rows; ++i) {
    const uint8_t* p = w.x + i * w.row_pitch + channel;
    for (int64_t j = 0; j < w.cols; ++j, p += w.pixel_pitch) {
      I32 wide[kWoven];
      Widen(LoadChannels(p, count), wide);
      FLOE_UNROLL
      for (int k = 0; k < kWoven; ++k) sums[k] = AddInt(sums[k], wide[k]);
    }
  }
  FLOE_UNROLL
  for (int j = 0; j < kWoven; ++j) {
    sums[j] = AddInt(RoundWithin(Mul(ToFloat(sums[j]), m.factor), m.low, m.high), m.zp);
  }
  return Narrow(sums);
}

// Output row `row`, counted over all images.
void PoolQRow(const OpInfo& op, const uint8_t* x, uint8_t* y, int64_t row) {
  const int64_t* a = op.attrs;
  const TensorInfo& in = op.inputs[0];
  const TensorInfo& out = op.outputs[0];
  int64_t xs[kMaxRank], ys[kMaxRank], x0, y0;
  TensorStrides(in, xs, &x0);
  TensorStrides(out, ys, &y0);
  const int64_t image = row / out.dims[2], oh = row % out.dims[2];
  const int64_t top = oh * a[4] - a[6];
  const ClippedTaps rows = Clip(top, a[2], a[10], in.dims[2], a[8]);
  const int64_t zp = a[13];
  Mean mean;
  mean.low = Broadcast(static_cast<float>(-zp));
  mean.high = Broadcast(static_cast<float>(255 - zp));
  mean.zp = BroadcastInt(static_cast<int32_t>(zp));
  const auto ratio = static_cast<float>(WordFloat(a[14]));
  QWindow w;
  w.row_pitch = a[10] * xs[2];
  w.pixel_pitch = a[11] * xs[3];
  w.rows = rows.last - rows.first;
  for (int64_t ow = 0; ow < out.dims[3]; ++ow) {
    const int64_t left = ow * a[5] - a[7];
    const ClippedTaps cols = Clip(left, a[3], a[11], in.dims[3], a[9]);
    w.cols = cols.last - cols.first;
    w.x = x + x0 + image * xs[0] + (top + rows.first * a[10]) * xs[2] +
          (left + cols.first * a[11]) * xs[3];
    const int64_t inside = w.rows * w.cols;
    const int64_t count = a[1] != 0 ? rows.padded * cols.padded : inside;
    mean.factor = Broadcast(ratio / static_cast<float>(count));
    mean.start = BroadcastInt(static_cast<int32_t>(-inside * a[12]));
    uint8_t* to = y + y0 + image * ys[0] + oh * ys[2] + ow * ys[3];
    for (int64_t c = 0; c < in.dims[1]; c += kBytes) {
      const int64_t n = in.dims[1] - c < kBytes ? in.dims[1] - c : kBytes;
      StoreChannels(to + c, n, a[0] != 0 ? MeanOfWindow(w, mean, c, n) : MaxOfWindow(w, c, n));
    }
  }
}

}  // namespace

// One task does all in one phase. With more, the first phase leaves each task's range at the start
// of its share of y, the second joins them, and the third quantises.
Status PrepareDynamicQuantize(const OpInfo& op, const PrepareContext& context, void* state,
                              Schedule* schedule) {
  int64_t count = 0;
  if (!ElementCount(op.inputs[0], &count)) count = 0;  // (Check has counted them.)
  constexpr int64_t kGrain = 1 << 15;
  schedule->tasks = count == 0 ? 1 : TaskCount(count, kGrain, context.workers);
  schedule->phases = schedule->tasks == 1 ? 1 : 3;
  schedule->variant = FLOE_VARIANT("f32_dynamic_quantize");
  *static_cast<uint32_t*>(state) = schedule->tasks;
  return OkStatus();
}

Rule RunDynamicQuantize(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end,
                        void*) {
  const uint32_t tasks = *static_cast<const uint32_t*>(args.state);
  const auto* x = static_cast<const float*>(args.inputs[0]);
  auto* y = static_cast<uint8_t*>(args.outputs[0]);
  auto* scale = static_cast<float*>(args.outputs[1]);
  auto* zp = static_cast<uint8_t*>(args.outputs[2]);
  int64_t count = 0;
  if (!ElementCount(args.op->inputs[0], &count)) return Rule::kNone;
  for (uint32_t task = begin; task < end; ++task) {
    int64_t first, last;
    TaskShare(count, task, tasks, &first, &last);
    if (tasks == 1) {
      const Quantizer q = QuantizerOf(RangeOf(x, count));
      QuantizeAll(x, count, q, y);
      *scale = q.scale;
      *zp = static_cast<uint8_t>(q.zp);
    } else if (phase == 0) {
      const Range range = RangeOf(x + first, last - first);
      __builtin_memcpy(y + first, &range, sizeof(range));
    } else if (phase == 1 && task == 0) {
      Range all;
      for (uint32_t i = 0; i < tasks; ++i) {
        TaskShare(count, i, tasks, &first, &last);
        Range range;
        __builtin_memcpy(&range, y + first, sizeof(range));
        all.Add(range.low, range.high);
      }
      const Quantizer q = QuantizerOf(all);
      *scale = q.scale;
      *zp = static_cast<uint8_t>(q.zp);
    } else if (phase == 2) {
      QuantizeAll(x + first, last - first, {*scale, *zp}, y + first);
    }
  }
  return Rule::kNone;
}

Status PrepareQPool(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule) {
  const TensorInfo& y = op.outputs[0];
  const int64_t rows = y.dims[0] * y.dims[2];
  const int64_t row_work = y.dims[1] * y.dims[3] * op.attrs[2] * op.attrs[3] + 1;
  schedule->tasks = rows == 0 ? 1 : TaskCount(rows, (1 << 16) / row_work + 1, context.workers);
  schedule->variant = op.attrs[0] != 0 ? FLOE_VARIANT("u8_avg_pool") : FLOE_VARIANT("u8_max_pool");
  *static_cast<uint32_t*>(state) = schedule->tasks;
  return OkStatus();
}

Rule RunQPool(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const TensorInfo& y = args.op->outputs[0];
  const uint32_t tasks = *static_cast<const uint32_t*>(args.state);
  for (uint32_t task = begin; task < end; ++task) {
    ZeroHaloShare(y, args.outputs[0], task, tasks);
    int64_t first, last;
    TaskShare(y.dims[0] * y.dims[2], task, tasks, &first, &last);
    for (int64_t row = first; row < last; ++row) {
      PoolQRow(*args.op, static_cast<const uint8_t*>(args.inputs[0]),
               static_cast<uint8_t*>(args.outputs[0]), row);
    }
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_BYTES_KERNEL_H_
