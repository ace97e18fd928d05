// Selection of integer products, of pools of bytes and of conversions at run time.
#include <algorithm>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/lower/pack.h"
#include "compiler/lower/select.h"
#include "format/attrs.h"

namespace floe::lower {
namespace {

// Places of a kernel's operands (backends/kernels.def); code operands follow.
enum : size_t { kX, kW, kColumnSums, kScale, kBias, kXScale, kXZero, kResidual, kExtra };

constexpr size_t kResidualWords = 7;  // Of requant with a residual.

// The ten words: x_zp y_zp low high t_zp t_low t_high r_zp t_ratio r_ratio.
std::vector<int64_t> RequantWords(const ir::Node& node) {
  std::vector<int64_t> words(10);
  words[0] = node.Int("x_zero");
  words[8] = words[9] = FloatWord(0.0);
  const std::vector<int64_t>& requant = node.Ints("requant");
  if (requant.empty()) return words;
  const bool residual = requant.size() == kResidualWords;
  std::copy_n(requant.begin(), 3, words.begin() + (residual ? 4 : 1));
  if (!residual) return words;
  std::copy_n(requant.begin() + 3, 3, words.begin() + 1);
  words[7] = requant[6];
  const auto& ratios = std::get<std::vector<double>>(node.attrs.find("ratios")->second);
  words[8] = FloatWord(ratios[0]);
  words[9] = FloatWord(ratios[1]);
  return words;
}

ir::Tensor ColumnSumsOf(const ir::Tensor& weights, LayoutId layout, int64_t columns) {
  TensorInfo info;
  info.dtype = DType::kI8;
  info.layout = layout;
  info.rank = static_cast<uint8_t>(weights.dims().size());
  std::copy(weights.dims().begin(), weights.dims().end(), info.dims);
  ir::Tensor sums(DType::kI32, {columns});
  ColumnSums(info, weights.as<int8_t>(), /*transposed=*/false, sums.mutable_as<int32_t>());
  return sums;
}

std::string Describe(const ir::Node& node, const char* what) {
  const bool dynamic = node.Int("x_zero") < 0;
  const bool bytes = node.output()->dtype() == DType::kU8;
  return absl::StrFormat("u8 x i8%s to %s%s, %s", dynamic ? " of a dynamic range" : "",
                         bytes ? "u8" : "f32", node.input(4) != nullptr ? " with a residual" : "",
                         what);
}

// Whether [O,C,kh,kw] takes fewer groups of four if a row's taps are one run
// (families/quantized.h).
bool JoiningPays(const std::vector<int64_t>& w) {
  const auto groups = [](int64_t n) { return (n + 3) / 4; };
  return w[3] > 1 && groups(w[1] * w[3]) < groups(w[1]) * w[3];
}

// [O,C,kh,kw] as [O,kw*C,kh,1].
ir::Tensor JoinedTaps(const ir::Tensor& w) {
  const int64_t outputs = w.dims()[0], c = w.dims()[1], kh = w.dims()[2], kw = w.dims()[3];
  ir::Tensor t(w.dtype(), {outputs, c * kw, kh, 1});
  int8_t* to = t.mutable_as<int8_t>();
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t x = 0; x < kw; ++x) {
      for (int64_t i = 0; i < c; ++i) {
        for (int64_t y = 0; y < kh; ++y) {
          *to++ = w.as<int8_t>()[((o * c + i) * kh + y) * kw + x];
        }
      }
    }
  }
  return t;
}

}  // namespace

bool Selector::CanLowerQConv(const ir::Node& node) const {
  const std::vector<int64_t>& pads = node.Ints("pads");
  return node.input(0)->rank() == 4 && node.input(1)->is_constant() &&
         std::all_of(pads.begin(), pads.end(),
                     [](int64_t p) { return p >= 0 && p <= std::numeric_limits<uint8_t>::max(); });
}

// The operands and words that all integer products share.
void Selector::FillQuantized(const ir::Node& node, const std::string& name, const ir::Tensor& w,
                             LayoutId layout, int groups, Spec* spec) {
  const bool image = node.op() == OpId::kQConv;
  const int64_t columns = w.dims()[image ? 0 : 1];
  spec->inputs.assign(kExtra, kNoIndex);
  spec->inputs[kX] = image ? ChannelsLast(node.input(0)) : Dense(node.input(0));
  spec->inputs[kW] =
      program_.AddPacked(name, w, layout, w.dims(), groups, /*transposed=*/false, DType::kI8);
  spec->inputs[kColumnSums] =
      program_.AddConstant(name + "/sums", ColumnSumsOf(w, layout, columns), /*index=*/false);
  spec->inputs[kScale] = Dense(node.input(2));
  const ir::Value* bias = node.input(3);
  const bool bytes = node.output()->dtype() == DType::kU8;
  if (bias != nullptr && (bytes || bias->dtype() == DType::kI32)) {
    spec->inputs[kBias] = Dense(bias);
  } else if (bias != nullptr) {
    spec->code = {{static_cast<uint8_t>(PwOp::kLoad), 1, 0, 0, 0, 0, 0, 0.0f},
                  {static_cast<uint8_t>(PwOp::kAdd), 0, 0, 1, 0, 0, 0, 0.0f}};
    spec->inputs.push_back(Dense(bias));
  }
  if (const ir::Value* residual = node.input(4)) {
    spec->inputs[kResidual] = image ? ChannelsLast(residual) : Dense(residual);
  }
  if (const ir::Value* x_scale = node.input(5)) spec->inputs[kXScale] = Dense(x_scale);
  if (const ir::Value* x_zero = node.input(6)) spec->inputs[kXZero] = Dense(x_zero);
  const std::vector<int64_t> words = RequantWords(node);
  spec->attrs.insert(spec->attrs.end(), words.begin(), words.end());
}

absl::Status Selector::SelectQConv(const ir::Node& node) {
  if (!CanLowerQConv(node)) return SelectGeneric(node, "an integer convolution in another form");
  const auto halo = halos_.find(node.input(0));
  const std::vector<int64_t>& pads = node.Ints("pads");
  const bool padded = std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; });
  if (padded && (halo == halos_.end() || halo->second.fill != node.Int("x_zero"))) {
    return SelectGeneric(node, "its input's border has another zero point");
  }
  const std::vector<int64_t>& w = node.input(1)->constant().dims();
  const std::vector<int64_t>& strides = node.Ints("strides");
  const std::vector<int64_t>& dilations = node.Ints("dilations");
  const int64_t groups = node.Int("groups");
  const bool depthwise = groups > 1 && w[1] == 1 && w[0] == groups;
  Spec spec = SpecFor(
      node, depthwise ? KernelId::kQDepthwiseConv : KernelId::kQConv,
      Describe(node, absl::StrFormat("channels-last, %dx%d, %s", w[2], w[3],
                                     depthwise ? "one filter per channel" : "16-column panels")
                         .c_str()));
  if (!depthwise) spec.attrs = {groups};
  const int64_t window[] = {w[2],    w[3],    strides[0], strides[1],   pads[0],
                            pads[1], pads[2], pads[3],    dilations[0], dilations[1]};
  spec.attrs.insert(spec.attrs.end(), std::begin(window), std::end(window));
  std::string name = node.input(1)->name();
  ir::Tensor weights = node.input(1)->constant();
  if (groups == 1 && dilations[1] == 1 && JoiningPays(w)) {
    name += "/joined";
    weights = JoinedTaps(weights);
  }
  FillQuantized(node, name, weights,
                depthwise ? LayoutId::kDepthwiseTaps16x4 : LayoutId::kConvPanels16x4,
                depthwise ? 1 : static_cast<int>(groups), &spec);
  spec.outputs = {DefineChannelsLast(node.output())};
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectQGemm(const ir::Node& node) {
  if (!node.input(1)->is_constant()) return SelectGeneric(node, "the weights are not constant");
  const std::vector<int64_t>& w = node.input(1)->constant().dims();
  Spec spec =
      SpecFor(node, KernelId::kQGemm,
              Describe(node, absl::StrFormat("%dx%d in 16-column panels", w[0], w[1]).c_str()));
  FillQuantized(node, node.input(1)->name(), node.input(1)->constant(), LayoutId::kGemmPanels16x4,
                1, &spec);
  spec.outputs = {DefineDense(node.output())};
  Emit(std::move(spec));
  return absl::OkStatus();
}

// Maxima of u8, or means.
absl::Status Selector::SelectQPool(const ir::Node& node) {
  const bool mean = node.op() == OpId::kQAvgPool;
  const std::vector<int64_t>& kernel = node.Ints("kernel");
  const std::vector<int64_t>& strides = node.Ints("strides");
  const std::vector<int64_t>& pads = node.Ints("pads");
  const std::vector<int64_t>& dilations = node.Ints("dilations");
  Spec spec = SpecFor(node, KernelId::kQPool, "bytes, channels-last");
  spec.attrs = {mean ? 1 : 0,
                mean ? node.Int("count_include_pad") : 0,
                kernel[0],
                kernel[1],
                strides[0],
                strides[1],
                pads[0],
                pads[1],
                pads[2],
                pads[3],
                dilations[0],
                dilations[1],
                0,
                0,
                FloatWord(1.0)};
  if (mean) {
    spec.attrs[12] = node.Int("x_zero");
    spec.attrs[13] = node.Int("y_zero");
    spec.attrs[14] = FloatWord(node.Float("ratio"));
  }
  spec.inputs = {ChannelsLast(node.input(0))};
  spec.outputs = {DefineChannelsLast(node.output())};
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectLookup(const ir::Node& node) {
  const ir::Value* x = node.input(0);
  Spec spec = SpecFor(node, KernelId::kLookup, "a table of 256 bytes");
  const bool image = x->rank() == 4 && PrefersChannelsLast(x);
  spec.inputs = {image ? ChannelsLast(x) : Dense(x), Dense(node.input(1))};
  spec.outputs = {image ? DefineChannelsLast(node.output()) : DefineDense(node.output())};
  Emit(std::move(spec));
  return absl::OkStatus();
}

// The kernel has all three results, whoever reads them.
absl::Status Selector::SelectDynamicQuantize(const ir::Node& node) {
  Spec spec = SpecFor(node, KernelId::kDynamicQuantize, "the range of the whole tensor");
  spec.inputs = {Dense(node.input(0))};
  const DType types[] = {DType::kU8, DType::kF32, DType::kU8};
  for (size_t i = 0; i < 3; ++i) {
    const ir::Value* y = node.output(i);
    const ir::Shape shape = i == 0 ? node.input(0)->shape() : ir::Shape{};
    spec.outputs.push_back(y != nullptr ? DefineDense(y)
                                        : NewArenaValue(current_ + "/unused", types[i], shape));
  }
  Emit(std::move(spec));
  return absl::OkStatus();
}

}  // namespace floe::lower
