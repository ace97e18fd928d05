// The twins of the integer products: one task for each output column or channel, and for images
// one more that writes the halo.
#include "backends/families/quantized.h"

#include <cmath>

#include "backends/families/product.h"
#include "backends/halo.h"
#include "backends/reference/dynamic_range.h"
#include "backends/reference/twins/epilogue.h"
#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {
namespace {

// From sums of products to elements of the result.
class Result {
 public:
  Result(const KernelArgs& args, uint32_t first_word, int channel_axis)
      : args_(args),
        words_(families::ReadRequantize(args.op->attrs + first_word)),
        epilogue_(args, families::kQuantizedExtra, channel_axis) {
    if (!words_.dynamic) return;
    words_.x_zp = *Input<uint8_t>(families::kQuantizedXZeroPoint);
    x_scale_ = *Input<float>(families::kQuantizedXScale);
  }

  int32_t x_zp() const { return words_.x_zp; }

  // `sum` of (x - x_zp) * w, for column n at logical index `index`.
  void Store(uint32_t sum, int64_t n, const int64_t* index) const {
    const TensorInfo& bias = args_.op->inputs[families::kQuantizedBias];
    const bool floats = bias.dtype == DType::kF32;
    if (bias.present() && !floats) {
      sum += static_cast<uint32_t>(Input<int32_t>(families::kQuantizedBias)[n]);
    }
    float scale = Input<float>(families::kQuantizedScale)[n];
    if (words_.dynamic) scale = x_scale_ * scale;
    float v = static_cast<float>(static_cast<int32_t>(sum)) * scale;
    if (bias.present() && floats) v += Input<float>(families::kQuantizedBias)[n];
    const TensorInfo& y = args_.op->outputs[0];
    const int64_t at = ElementOffset(y, index);
    if (y.dtype == DType::kF32) {
      static_cast<float*>(args_.outputs[0])[at] = epilogue_.Apply(v, index);
    } else {
      static_cast<uint8_t*>(args_.outputs[0])[at] = static_cast<uint8_t>(Byte(v, index));
    }
  }

 private:
  template <class T>
  const T* Input(uint32_t i) const {
    return static_cast<const T*>(args_.inputs[i]);
  }

  int32_t Byte(float v, const int64_t* index) const {
    const families::Requantize& w = words_;
    const TensorInfo& residual = args_.op->inputs[families::kQuantizedResidual];
    if (!residual.present()) return RoundedWithin(v, w.y_zp, w.low, w.high);
    const int32_t t = RoundedWithin(v, w.t_zp, w.t_low, w.t_high) - w.t_zp;
    const int32_t r =
        Input<uint8_t>(families::kQuantizedResidual)[ElementOffset(residual, index)] - w.r_zp;
    const float scaled = static_cast<float>(t) * w.t_ratio;
    const float added = static_cast<float>(r) * w.r_ratio;
    return RoundedWithin(scaled + added, w.y_zp, w.low, w.high);
  }

  const KernelArgs& args_;
  families::Requantize words_;
  TwinEpilogue epilogue_;
  float x_scale_ = 1;
};

uint32_t Times(int32_t x, int8_t w) { return static_cast<uint32_t>(x * w); }

// The image as the window sees it: x - x_zp, and 0 in the padding.
struct Image {
  const TensorInfo& t;
  const uint8_t* data;
  int32_t zp;

  int32_t At(int64_t image, int64_t channel, int64_t y, int64_t x) const {
    if (y < 0 || y >= t.dims[2] || x < 0 || x >= t.dims[3]) return 0;
    const int64_t index[4] = {image, channel, y, x};
    return data[ElementOffset(t, index)] - zp;
  }
};

// Output channel `o`, which reads input channels from `first` on.
void RunChannel(const KernelArgs& args, uint32_t first_word, int64_t o, int64_t first) {
  const families::WindowAttrs window = families::ReadWindow(args.op->attrs + first_word);
  const Result result(args, first_word + 10, 1);
  const Image x{args.op->inputs[0], static_cast<const uint8_t*>(args.inputs[0]), result.x_zp()};
  const TensorInfo& w = args.op->inputs[1];
  const auto* weights = static_cast<const int8_t*>(args.inputs[1]);
  const TensorInfo& y = args.op->outputs[0];
  const bool joined = families::JoinsTaps(w, window.kw);
  const int64_t channels = joined ? w.dims[1] / window.kw : w.dims[1];
  int64_t index[4] = {0, o, 0, 0};
  for (index[0] = 0; index[0] < y.dims[0]; ++index[0]) {
    for (index[2] = 0; index[2] < y.dims[2]; ++index[2]) {
      for (index[3] = 0; index[3] < y.dims[3]; ++index[3]) {
        uint32_t sum = 0;
        for (int64_t ky = 0; channels > 0 && ky < window.kh; ++ky) {
          for (int64_t kx = 0; kx < window.kw; ++kx) {
            const int64_t iy = index[2] * window.sh + ky * window.dh - window.pt;
            const int64_t ix = index[3] * window.sw + kx * window.dw - window.pl;
            for (int64_t c = 0; c < channels; ++c) {
              const int64_t at[4] = {o, joined ? kx * channels + c : c, ky, joined ? 0 : kx};
              sum += Times(x.At(index[0], first + c, iy, ix), weights[ElementOffset(w, at)]);
            }
          }
        }
        result.Store(sum, o, index);
      }
    }
  }
}

Status PrepareChannels(const OpInfo& op, const char* variant, Schedule* schedule) {
  schedule->tasks = static_cast<uint32_t>(op.outputs[0].dims[1]) + 1;
  schedule->variant = variant;
  return OkStatus();
}

}  // namespace

Status PrepareQGemm(const OpInfo& op, const PrepareContext&, void*, Schedule* schedule) {
  schedule->tasks = static_cast<uint32_t>(op.inputs[1].dims[1]);
  schedule->variant = "qgemm__plain";
  return OkStatus();
}

Rule RunQGemm(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const TensorInfo& x = args.op->inputs[0];
  const TensorInfo& w = args.op->inputs[1];
  const auto* weights = static_cast<const int8_t*>(args.inputs[1]);
  const Result result(args, 0, x.rank - 1);
  int64_t rows = 1;
  for (int a = 0; a + 1 < x.rank; ++a) rows *= x.dims[a];
  for (uint32_t n = begin; n < end; ++n) {
    for (int64_t row = 0; row < rows; ++row) {
      const auto* from = static_cast<const uint8_t*>(args.inputs[0]) + row * w.dims[0];
      uint32_t sum = 0;
      for (int64_t k = 0; k < w.dims[0]; ++k) {
        const int64_t at[2] = {k, n};
        sum += Times(from[k] - result.x_zp(), weights[ElementOffset(w, at)]);
      }
      int64_t index[kMaxRank];
      index[x.rank - 1] = n;
      int64_t rest = row;
      for (int a = x.rank - 2; a >= 0; --a) {
        index[a] = rest % x.dims[a];
        rest /= x.dims[a];
      }
      result.Store(sum, n, index);
    }
  }
  return Rule::kNone;
}

Status PrepareQConv(const OpInfo& op, const PrepareContext&, void*, Schedule* schedule) {
  return PrepareChannels(op, "qconv__plain", schedule);
}

Rule RunQConv(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const TensorInfo& y = args.op->outputs[0];
  for (uint32_t o = begin; o < end; ++o) {
    if (o == y.dims[1]) {
      ZeroHalo(y, args.outputs[0]);
      continue;
    }
    const int64_t group = o / (y.dims[1] / args.op->attrs[0]);
    RunChannel(args, 1, o, group * args.op->inputs[1].dims[1]);
  }
  return Rule::kNone;
}

Status PrepareQDepthwiseConv(const OpInfo& op, const PrepareContext&, void*, Schedule* schedule) {
  return PrepareChannels(op, "qdepthwise_conv__plain", schedule);
}

Rule RunQDepthwiseConv(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const TensorInfo& y = args.op->outputs[0];
  for (uint32_t o = begin; o < end; ++o) {
    if (o == y.dims[1]) {
      ZeroHalo(y, args.outputs[0]);
      continue;
    }
    RunChannel(args, 0, o, o);
  }
  return Rule::kNone;
}

namespace {

double Sigmoid(double v) { return 1.0 / (1.0 + std::exp(-v)); }

}  // namespace

Status PrepareDynamicQuantize(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->tasks = 1;
  schedule->variant = "dynamic_quantize__plain";
  return OkStatus();
}

Rule RunDynamicQuantize(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin == end) return Rule::kNone;
  int64_t count = 0;
  if (!ElementCount(args.op->inputs[0], &count)) return Rule::kNone;
  const auto* x = static_cast<const float*>(args.inputs[0]);
  const DynamicRange q(x, count);
  auto* y = static_cast<uint8_t*>(args.outputs[0]);
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<uint8_t>(q.Byte(x[i]));
  *static_cast<float*>(args.outputs[1]) = q.scale;
  *static_cast<uint8_t*>(args.outputs[2]) = static_cast<uint8_t>(q.zero);
  return Rule::kNone;
}

Status PrepareLookup(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->tasks = 1;
  schedule->variant = "u8_lookup";
  return OkStatus();
}

// A line of an image, or all of a dense tensor, at a time: the halo is written apart.
Rule RunLookup(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin == end) return Rule::kNone;
  const TensorInfo& in = args.op->inputs[0];
  const TensorInfo& out = args.op->outputs[0];
  const auto* x = static_cast<const uint8_t*>(args.inputs[0]);
  const auto* table = static_cast<const uint8_t*>(args.inputs[1]);
  auto* y = static_cast<uint8_t*>(args.outputs[0]);
  int64_t count = 0;
  if (!ElementCount(in, &count)) return Rule::kNone;
  const bool image = in.rank == 4 && in.layout == LayoutId::kChannelsLast;
  int64_t lines = 1, images = 1, x_strides[kMaxRank], y_strides[kMaxRank], x_start = 0, y_start = 0;
  if (image) {
    images = in.dims[0];
    lines = in.dims[2];
    count = in.dims[1] * in.dims[3];
    TensorStrides(in, x_strides, &x_start);
    TensorStrides(out, y_strides, &y_start);
    ZeroHalo(out, args.outputs[0]);
  }
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t line = 0; line < lines; ++line) {
      const uint8_t* from = image ? x + x_start + n * x_strides[0] + line * x_strides[2] : x;
      uint8_t* to = image ? y + y_start + n * y_strides[0] + line * y_strides[2] : y;
      for (int64_t i = 0; i < count; ++i) to[i] = table[from[i]];
    }
  }
  return Rule::kNone;
}

Status PrepareQLstmRecurrence(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "qlstm_plain";
  return OkStatus();
}

namespace {

// One step: h and c are the state before and after.
struct QLstmStep {
  const OpInfo& op;
  const int8_t* r;
  const int32_t* sums;
  const float* scale;
  const float* xw;
  const float* h;
  float* c;
  float* y;

  // The gate's recurrent product for row n.
  float Product(const DynamicRange& q, int64_t n, int64_t gate, int64_t unit) const {
    const int64_t hidden = op.inputs[1].dims[0];
    const int64_t column = (unit / 16 * 4 + gate) * 16 + unit % 16;
    uint32_t sum = 0u - static_cast<uint32_t>(q.zero) * static_cast<uint32_t>(sums[column]);
    for (int64_t k = 0; k < hidden; ++k) {
      const int64_t at[2] = {k, column};
      sum += Times(q.Byte(h[n * hidden + k]), r[ElementOffset(op.inputs[1], at)]);
    }
    return static_cast<float>(static_cast<int32_t>(sum)) * (q.scale * scale[column]);
  }

  void Run() const {
    const int64_t batch = op.inputs[0].dims[1], hidden = op.inputs[1].dims[0];
    const DynamicRange q(h, batch * hidden);
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t u = 0; u < hidden; ++u) {
        double gate[4];  // i, o, f, c.
        for (int64_t g = 0; g < 4; ++g) {
          gate[g] = static_cast<double>(xw[(n * 4 + g) * hidden + u] + Product(q, n, g, u));
        }
        float& state = c[n * hidden + u];
        state = static_cast<float>(Sigmoid(gate[2]) * static_cast<double>(state) +
                                   Sigmoid(gate[0]) * std::tanh(gate[3]));
        y[n * hidden + u] =
            static_cast<float>(Sigmoid(gate[1]) * std::tanh(static_cast<double>(state)));
      }
    }
  }
};

}  // namespace

Rule RunQLstmRecurrence(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin == end) return Rule::kNone;
  const OpInfo& op = *args.op;
  const int64_t steps = op.inputs[0].dims[0];
  const int64_t plane = op.inputs[0].dims[1] * op.inputs[1].dims[0];
  const auto* h0 = static_cast<const float*>(args.inputs[4]);
  const auto* c0 = static_cast<const float*>(args.inputs[5]);
  auto* y = static_cast<float*>(args.outputs[0]);
  auto* h_out = static_cast<float*>(args.outputs[1]);
  auto* c_out = static_cast<float*>(args.outputs[2]);
  for (int64_t i = 0; i < plane; ++i) {
    h_out[i] = h0 == nullptr ? 0.0f : h0[i];
    c_out[i] = c0 == nullptr ? 0.0f : c0[i];
  }
  const float* h = h_out;
  for (int64_t s = 0; s < steps; ++s) {
    const int64_t t = op.attrs[0] != 0 ? steps - 1 - s : s;
    const QLstmStep step{op,
                         static_cast<const int8_t*>(args.inputs[1]),
                         static_cast<const int32_t*>(args.inputs[2]),
                         static_cast<const float*>(args.inputs[3]),
                         static_cast<const float*>(args.inputs[0]) + t * 4 * plane,
                         h,
                         c_out,
                         y + t * plane};
    step.Run();
    h = y + t * plane;
  }
  for (int64_t i = 0; steps > 0 && i < plane; ++i) h_out[i] = h[i];
  return Rule::kNone;
}

}  // namespace floe::reference::twins
