// Selection of convolutions, matrix products, pools and normalisations.
#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "backends/families/winograd.h"
#include "compiler/lower/select.h"
#include "format/attrs.h"
#include "format/checked.h"

namespace floe::lower {
namespace {

constexpr PwInstr Load(uint8_t dst, uint8_t operand) {
  return {static_cast<uint8_t>(PwOp::kLoad), dst, 0, 0, 0, operand, 0, 0.0f};
}
constexpr PwInstr AddTo(uint8_t dst, uint8_t a, uint8_t b) {
  return {static_cast<uint8_t>(PwOp::kAdd), dst, a, b, 0, 0, 0, 0.0f};
}

std::string WithCode(std::string text, const std::vector<PwInstr>& code) {
  if (!code.empty()) text += "; epilogue " + DescribeCode(code);
  return text;
}

// winograd_conv's u for bf16 weights [O, I, 3, 3], still f32: winograd::PairColumns.
ir::Tensor PairWinogradWeights(const ir::Tensor& w) {
  const int64_t outputs = w.dims()[0], inputs = w.dims()[1];
  constexpr int kTile = winograd::kPairTile;
  const int64_t matrix = RoundUp(outputs, int64_t{16}), columns = matrix * kTile * kTile;
  ir::Tensor u(DType::kF32, {inputs, columns});
  auto* to = static_cast<float*>(u.mutable_data());
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t i = 0; i < inputs; ++i) {
      double filter[kTile * kTile];
      winograd::TransformFilter(kTile, w.as<float>() + (o * inputs + i) * 9, filter);
      for (int64_t m = 0; m < kTile * kTile; ++m) {
        to[i * columns + m * matrix + o] = static_cast<float>(filter[m]);
      }
    }
  }
  return u;
}

bool HasBias(const ir::Node& node, size_t bias_operand) {
  const bool in_own_operands = node.code.empty() || node.epilogue_begin > bias_operand;
  return in_own_operands && node.input(bias_operand) != nullptr;
}

}  // namespace

bool IsDepthwise(const ir::Node& conv) {
  const std::vector<int64_t>& w = conv.input(1)->constant().dims();
  return conv.Int("groups") > 1 && w[1] == 1 && w[0] == conv.Int("groups");
}

// A constant with leading ones is a matrix only if the activations have as many axes.
bool Selector::HasConstantMatrix(const ir::Node& matmul) const {
  const ir::Value* b = matmul.input(1);
  if (!b->is_constant() || b->rank() < 2 || matmul.input(0)->rank() < b->rank()) return false;
  const std::vector<int64_t>& dims = b->constant().dims();
  return std::all_of(dims.begin(), dims.end() - 2, [](int64_t d) { return d == 1; });
}

Selector::Epilogue Selector::EpilogueOf(const ir::Node& node, size_t bias_operand) const {
  Epilogue e;
  uint8_t shift = 0;
  if (HasBias(node, bias_operand)) {
    e.code = {Load(1, 0), AddTo(0, 0, 1)};
    e.operands.push_back(node.input(bias_operand));
    shift = 1;
  }
  for (PwInstr i : node.code) {
    if (static_cast<PwOp>(i.op) == PwOp::kLoad) i.operand = static_cast<uint8_t>(i.operand + shift);
    e.code.push_back(i);
  }
  if (!node.code.empty()) {
    for (size_t i = node.epilogue_begin; i < node.inputs().size(); ++i) {
      e.operands.push_back(node.input(i));
    }
  }
  return e;
}

bool Selector::CanLowerConv(const ir::Node& node, std::string* why_not) const {
  const auto refuse = [&](const char* why) {
    if (why_not != nullptr) *why_not = why;
    return false;
  };
  const ir::Value* x = node.input(0);
  const ir::Value* w = node.input(1);
  if (x->dtype() != DType::kF32) return refuse("no fast convolution for this dtype");
  if (x->rank() != 4) return refuse("no fast convolution for this number of spatial axes");
  if (!w->is_constant()) return refuse("the weights are not constant");
  for (const int64_t pad : node.Ints("pads")) {
    if (pad < 0 || pad > std::numeric_limits<uint8_t>::max()) return refuse("padding over 255");
  }
  return true;
}

absl::Status Selector::SelectConv(const ir::Node& node) {
  std::string why_not;
  if (!CanLowerConv(node, &why_not)) return SelectGeneric(node, why_not);
  const ir::Tensor& w = node.input(1)->constant();
  const std::vector<int64_t>& strides = node.Ints("strides");
  const std::vector<int64_t>& pads = node.Ints("pads");
  const std::vector<int64_t>& dilations = node.Ints("dilations");
  const int64_t groups = node.Int("groups");
  const bool depthwise = IsDepthwise(node);
  const Epilogue epilogue = EpilogueOf(node, 2);
  const DType weights = WeightsOf(node);
  const bool pairs = weights == DType::kBF16;
  const bool narrow = pairs || (depthwise && narrow_.count(node.input(0)) > 0);

  Spec spec =
      SpecFor(node, depthwise ? KernelId::kDepthwiseConv : KernelId::kConv,
              WithCode(absl::StrFormat("channels-last, %dx%d, %s%s", w.dims()[2], w.dims()[3],
                                       depthwise ? "one filter per channel" : "16-column panels",
                                       WeightsText(weights)),
                       epilogue.code));
  spec.attrs = {w.dims()[2], w.dims()[3], strides[0], strides[1],   pads[0],
                pads[1],     pads[2],     pads[3],    dilations[0], dilations[1]};
  if (!depthwise) spec.attrs.insert(spec.attrs.begin(), groups);
  const auto winograd = winograd_.choices.find(&node);
  spec.code = epilogue.code;
  const LayoutId layout = depthwise ? LayoutId::kDepthwiseTaps16
                          : pairs   ? LayoutId::kConvPairs16
                                    : LayoutId::kConvPanels16;
  spec.inputs = {
      narrow ? NarrowChannelsLast(node.input(0)) : ChannelsLast(node.input(0)),
      program_.AddPacked(node.input(1)->name(), w, layout, w.dims(),
                         depthwise ? 1 : static_cast<int>(groups), /*transposed=*/false, weights)};
  if (winograd != winograd_.choices.end()) {
    const WinogradChoice& choice = winograd->second;
    spec.kernel = static_cast<uint32_t>(KernelId::kWinogradConv);
    spec.why += absl::StrFormat("; or F(%dx%d,3x3), %.1fx as fast, predicted error %.1e",
                                choice.tile - 2, choice.tile - 2, choice.gain, choice.error);
    const std::string name = node.input(1)->name() + "/winograd";
    if (pairs) {
      const ir::Tensor u = PairWinogradWeights(w);
      spec.inputs.push_back(program_.AddPacked(name, u, LayoutId::kGemmPairs16, u.dims(), 1,
                                               /*transposed=*/false, weights,
                                               SectionKind::kAlternatives));
    } else {
      spec.inputs.push_back(program_.AddPacked(name, w, LayoutId::kWinogradPanels16,
                                               {w.dims()[0], w.dims()[1], choice.tile, choice.tile},
                                               1, /*transposed=*/false, DType::kF32,
                                               SectionKind::kAlternatives));
    }
  }
  for (const ir::Value* v : epilogue.operands) {
    spec.inputs.push_back(v->rank() == 4 && !v->is_constant() ? ChannelsLast(v) : Dense(v));
  }
  spec.outputs = {DefineChannelsLast(node.output())};
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectPool(const ir::Node& node) {
  const ir::Value* x = node.input(0);
  if (x->dtype() != DType::kF32 || x->rank() != 4 || node.output(1) != nullptr) {
    return SelectGeneric(node, "pooling with indices, another dtype or number of spatial axes");
  }
  const bool average = node.op() == OpId::kAvgPool;
  const std::vector<int64_t>& kernel = node.Ints("kernel");
  const std::vector<int64_t>& strides = node.Ints("strides");
  const std::vector<int64_t>& pads = node.Ints("pads");
  const std::vector<int64_t>& dilations = node.Ints("dilations");
  Spec spec = SpecFor(node, KernelId::kPool, "channels-last");
  spec.attrs = {average ? 1 : 0, average ? node.Int("count_include_pad") : 0,
                kernel[0],       kernel[1],
                strides[0],      strides[1],
                pads[0],         pads[1],
                pads[2],         pads[3],
                dilations[0],    dilations[1]};
  spec.inputs = {ChannelsLast(x)};
  spec.outputs = {DefineChannelsLast(node.output())};
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectGemm(const ir::Node& node, const ir::Value* weights) {
  const ir::Tensor& w = weights->constant();
  const size_t rank = w.dims().size();
  const std::vector<int64_t> dims = {w.dims()[rank - 2], w.dims()[rank - 1]};
  const Epilogue epilogue = EpilogueOf(node, 2);
  const DType type = WeightsOf(node);
  const bool pairs = type == DType::kBF16;
  Spec spec = SpecFor(node, KernelId::kGemm,
                      WithCode(absl::StrFormat("constant weights %dx%d in 16-column panels%s",
                                               dims[0], dims[1], WeightsText(type)),
                               epilogue.code));
  spec.code = epilogue.code;
  spec.inputs = {pairs ? NarrowDense(node.input(0)) : Dense(node.input(0)),
                 program_.AddPacked(weights->name(), w,
                                    pairs ? LayoutId::kGemmPairs16 : LayoutId::kGemmPanels16, dims,
                                    1, false, type)};
  for (const ir::Value* v : epilogue.operands) spec.inputs.push_back(Dense(v));
  spec.outputs = {DefineDense(node.output())};
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectMatMul(const ir::Node& node) {
  const ir::Value* a = node.input(0);
  const ir::Value* b = node.input(1);
  if (node.op() == OpId::kGemm) {
    const bool canonical = node.Float("alpha") == 1.0 && node.Int("trans_a") == 0 &&
                           node.Int("trans_b") == 0 && node.Float("beta") == 1.0 &&
                           (!HasBias(node, 2) || node.input(2)->rank() <= 1);
    if (b->is_constant() && canonical) return SelectGemm(node, b);
    return SelectGeneric(node, "gemm with activations as weights, or not in canonical form");
  }
  if (HasConstantMatrix(node)) return SelectGemm(node, b);
  if (a->rank() < 2 || b->rank() < 2) return SelectGeneric(node, "a vector operand");

  const auto operand = [&](const ir::Value* v, std::vector<int64_t>* perm) {
    perm->resize(v->rank());
    std::iota(perm->begin(), perm->end(), 0);
    const ir::Node* producer = v->producer();
    if (producer != nullptr && producer->op() == OpId::kTranspose &&
        absorbed_.count(producer) > 0 && homes_[v].dense == kNoIndex) {
      *perm = producer->Ints("perm");
      v = producer->input(0);
    }
    return Dense(v);
  };
  std::vector<int64_t> perm_a, perm_b, perm_y;
  const Epilogue epilogue = EpilogueOf(node, 2);
  Spec spec = SpecFor(node, KernelId::kMatMul, "");
  const ValueId a_id = operand(a, &perm_a);
  const ValueId b_id = operand(b, &perm_b);
  const ir::Value* y = node.output();
  perm_y.resize(y->rank());
  std::iota(perm_y.begin(), perm_y.end(), 0);
  std::string why = "two activations";
  if (y->users().size() == 1 && y->users()[0]->op() == OpId::kTranspose &&
      absorbed_.count(y->users()[0]) > 0 && read_through_.count(y->users()[0]) == 0 &&
      !graph_->IsOutput(y)) {
    perm_y = y->users()[0]->Ints("perm");
    why += ", result transposed";
    y = y->users()[0]->output();
  }
  for (const auto* perm : {&perm_a, &perm_b, &perm_y}) {
    spec.attrs.push_back(static_cast<int64_t>(perm->size()));
    spec.attrs.insert(spec.attrs.end(), perm->begin(), perm->end());
  }
  if (!std::is_sorted(perm_a.begin(), perm_a.end()) ||
      !std::is_sorted(perm_b.begin(), perm_b.end())) {
    why += ", operands read transposed";
  }
  spec.why = WithCode(why, epilogue.code);
  spec.code = epilogue.code;
  spec.inputs = {a_id, b_id};
  for (const ir::Value* v : epilogue.operands) spec.inputs.push_back(Dense(v));
  spec.outputs = {DefineDense(y)};
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectSoftmax(const ir::Node& node) {
  Spec spec = SpecFor(node, KernelId::kSoftmax,
                      node.code.empty() ? "" : "prologue " + DescribeCode(node.code));
  spec.attrs = {node.Int("axis"), node.op() == OpId::kLogSoftmax ? 1 : 0};
  spec.code = node.code;
  for (const ir::Value* v : node.inputs()) spec.inputs.push_back(Dense(v));
  spec.outputs = {DefineDense(node.output())};
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectNorm(const ir::Node& node) {
  if (node.output(1) != nullptr || node.output(2) != nullptr) {
    return SelectGeneric(node, "mean or inverse deviation is used");
  }
  Spec spec = SpecFor(node, KernelId::kNorm, "two passes over each row");
  spec.attrs = {node.op() == OpId::kRmsNorm ? 1 : 0, node.Int("axis"),
                FloatWord(node.Float("epsilon"))};
  for (size_t i = 0; i < 3; ++i) spec.inputs.push_back(Dense(node.input(i)));
  spec.outputs = {DefineDense(node.output())};
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectReduce(const ir::Node& node) {
  const ir::Value* x = node.input(0);
  int64_t mask = 0;
  for (const int64_t axis : node.Ints("axes")) mask |= int64_t{1} << axis;
  const bool channels_last = PrefersChannelsLast(x);
  Spec spec = SpecFor(node, KernelId::kReduce, channels_last ? "channels-last" : "dense");
  spec.attrs = {node.Int("kind"), mask};
  spec.inputs = {channels_last ? ChannelsLast(x) : Dense(x)};
  spec.outputs = {DefineDense(node.output())};
  Emit(std::move(spec));
  return absl::OkStatus();
}

}  // namespace floe::lower
