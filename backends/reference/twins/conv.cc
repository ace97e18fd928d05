// The twins of conv, depthwise_conv and winograd_conv (which ignores u): one task for each output
// channel. Pixels outside the image count as zero; the input's halo is never read.
#include "backends/halo.h"
#include "backends/reference/twins/epilogue.h"
#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {
namespace {

struct Window {
  int64_t kh, kw, sh, sw, pt, pl, pb, pr, dh, dw;
};

Window ReadAttrs(const int64_t* w) {
  return {w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9]};
}

class Image {
 public:
  Image(const TensorInfo& t, const void* data) : t_(t), data_(data) {
    TensorStrides(t, strides_, &offset_);
  }
  double At(int64_t image, int64_t channel, int64_t y, int64_t x) const {
    if (y < 0 || y >= t_.dims[2] || x < 0 || x >= t_.dims[3]) return 0;
    return NumberAt(
        t_.dtype, data_,
        offset_ + image * strides_[0] + channel * strides_[1] + y * strides_[2] + x * strides_[3]);
  }

 private:
  const TensorInfo& t_;
  const void* data_;
  int64_t strides_[kMaxRank];
  int64_t offset_;
};

// Output channel `o`, which reads input channels [first, first + w.dims[1]).
// Epilogue operands start at input `extra`.
void RunChannel(const KernelArgs& args, const Window& window, int64_t o, int64_t first,
                uint32_t extra) {
  constexpr int64_t kPixels = 64;  // That share one decoded weight.
  const Image x(args.op->inputs[0], args.inputs[0]);
  const TensorInfo& w = args.op->inputs[1];
  const TensorInfo& y = args.op->outputs[0];
  const void* weights = args.inputs[1];
  const TwinResult result(args, extra, 1);
  for (int64_t line = 0; line < y.dims[0] * y.dims[2]; ++line) {
    const int64_t image = line / y.dims[2], oy = line % y.dims[2];
    for (int64_t begin = 0; begin < y.dims[3]; begin += kPixels) {
      const int64_t count = y.dims[3] - begin < kPixels ? y.dims[3] - begin : kPixels;
      double sums[kPixels] = {};
      for (int64_t ky = 0; ky < window.kh; ++ky) {
        for (int64_t kx = 0; kx < window.kw; ++kx) {
          for (int64_t c = 0; c < w.dims[1]; ++c) {
            const int64_t at[4] = {o, c, ky, kx};
            const double weight = NumberAt(w.dtype, weights, ElementOffset(w, at));
            const int64_t iy = oy * window.sh + ky * window.dh - window.pt;
            for (int64_t i = 0; i < count; ++i) {
              const int64_t ix = (begin + i) * window.sw + kx * window.dw - window.pl;
              sums[i] += weight * x.At(image, first + c, iy, ix);
            }
          }
        }
      }
      for (int64_t i = 0; i < count; ++i) {
        const int64_t index[4] = {image, o, oy, begin + i};
        result.Store(sums[i], index);
      }
    }
  }
}

// One task more than channels: the last zeroes the halo.
Status PrepareChannels(const OpInfo& op, const char* variant, Schedule* schedule) {
  schedule->tasks = static_cast<uint32_t>(op.outputs[0].dims[1]) + 1;
  schedule->variant = variant;
  return OkStatus();
}

}  // namespace

Status PrepareConv(const OpInfo& op, const PrepareContext&, void*, Schedule* schedule) {
  return PrepareChannels(op, "conv__plain", schedule);
}

namespace {

Rule RunChannels(const KernelArgs& args, uint32_t begin, uint32_t end, uint32_t extra) {
  const TensorInfo& y = args.op->outputs[0];
  const int64_t groups = args.op->attrs[0];
  for (uint32_t o = begin; o < end; ++o) {
    if (o == y.dims[1]) {
      ZeroHalo(y, args.outputs[0]);
      continue;
    }
    const int64_t group = o / (y.dims[1] / groups);
    RunChannel(args, ReadAttrs(args.op->attrs + 1), o, group * args.op->inputs[1].dims[1], extra);
  }
  return Rule::kNone;
}

}  // namespace

Rule RunConv(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  return RunChannels(args, begin, end, 2);
}

Status PrepareWinogradConv(const OpInfo& op, const PrepareContext&, void*, Schedule* schedule) {
  return PrepareChannels(op, "winograd_conv__plain", schedule);
}

Rule RunWinogradConv(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  return RunChannels(args, begin, end, 3);
}

Status PrepareDepthwiseConv(const OpInfo& op, const PrepareContext&, void*, Schedule* schedule) {
  return PrepareChannels(op, "depthwise_conv__plain", schedule);
}

Rule RunDepthwiseConv(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const TensorInfo& y = args.op->outputs[0];
  for (uint32_t o = begin; o < end; ++o) {
    if (o == y.dims[1]) {
      ZeroHalo(y, args.outputs[0]);
      continue;
    }
    RunChannel(args, ReadAttrs(args.op->attrs), o, o, 2);
  }
  return Rule::kNone;
}

}  // namespace floe::reference::twins
