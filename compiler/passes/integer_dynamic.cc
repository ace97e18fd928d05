// Products of activations that are quantised at run time: matmul_integer -> cast -> times the
// scales -> plus a bias becomes one integer product with a result in f32. conv_integer -> cast ->
// times the scales becomes an integer convolution of the bytes as they are, whose border is zero,
// less the zero point's share.
#include <algorithm>

#include "absl/strings/str_format.h"

#include "compiler/passes/integer_edges.h"

namespace floe::passes {
namespace {

bool IsOneElement(const ir::Value* v) {
  return v->rank() == 0 || (v->rank() == 1 && v->shape()[0] == ir::Dim(1));
}

// The two factors of a Mul, the constant one second; absent if none is constant.
struct Scales {
  ir::Value* x;        // One element.
  ir::Value* weights;  // Constant.
};
std::optional<Scales> ScalesOf(const ir::Value* value) {
  const ir::Node* mul = ProducedBy(value, OpId::kMul);
  if (mul == nullptr) return std::nullopt;
  for (size_t i = 0; i < 2; ++i) {
    const Scales s = {mul->input(i), mul->input(1 - i)};
    if (s.weights->is_constant() && !s.x->is_constant() && s.x->dtype() == DType::kF32 &&
        IsOneElement(s.x)) {
      return s;
    }
  }
  return std::nullopt;
}

// The integer product behind a cast to f32, if nothing else reads either.
ir::Node* SumsOf(const ir::Graph& graph, const ir::Value* value, OpId op) {
  const ir::Node* cast = ProducedBy(value, OpId::kCast);
  if (cast == nullptr || value->dtype() != DType::kF32 || !HasOneUse(graph, value) ||
      !HasOneUse(graph, cast->input(0))) {
    return nullptr;
  }
  return ProducedBy(cast->input(0), op);
}

// sums * scales, which is `mul`.
absl::StatusOr<bool> FuseScales(ir::Graph& graph, ir::Node* mul, Report& report) {
  for (size_t i = 0; i < 2; ++i) {
    ir::Node* product = SumsOf(graph, mul->input(i), OpId::kMatMulInteger);
    const std::optional<Scales> scales = ScalesOf(mul->input(1 - i));
    if (product == nullptr || !scales) continue;
    const ir::Value* x_zero = product->input(2);
    const ir::Value* w = product->input(1);
    if (product->input(0)->dtype() != DType::kU8 || x_zero == nullptr || !IsOneElement(x_zero) ||
        w->rank() != 2 || mul->output()->shape() != mul->input(i)->shape() ||
        (scales->weights->rank() > 0 && scales->weights->constant().count() != 1 &&
         scales->weights->shape().back() != mul->output()->shape().back())) {
      continue;
    }
    const char* why = "";
    const std::optional<IntegerWeights> weights =
        WeightsOf(w, scales->weights, product->input(3), 1, &why);
    if (!weights) {
      report.Add(NameOf(*product) + " is no fast integer product: " + why);
      continue;
    }
    const std::string name = mul->output()->name();
    const std::vector<double> numbers(weights->scales.begin(), weights->scales.end());
    // The same bytes for all products with these weights.
    ir::Value* integers = weights->numbers.data() == w->constant().data()
                              ? product->input(1)
                              : graph.AddConstant(name + "_weights", weights->numbers);
    FLOE_TRY_ASSIGN(
        ir::Value * y,
        Insert(graph, mul, OpId::kQGemm,
               {product->input(0), integers,
                AddFloats(graph, name + "_scales", numbers, {static_cast<int64_t>(numbers.size())}),
                nullptr, nullptr, scales->x, product->input(2)},
               {{"x_zero", int64_t{-1}},
                {"to", static_cast<int64_t>(DType::kF32)},
                {"requant", std::vector<int64_t>()},
                {"ratios", std::vector<double>()}},
               name + "_integers", product->provenance));
    report.Add(NameOf(*product) + ": integers from dynamic u8 to f32");
    Replace(graph, mul, y);
    return true;
  }
  return false;
}

constexpr int64_t kMostShares = int64_t{1} << 22;
constexpr int64_t kMostWork = int64_t{1} << 28;

// A convolution's window along one axis.
struct Axis {
  int64_t size, kernel, stride, dilation, before, out;

  bool Reads(int64_t y, int64_t tap) const {
    const int64_t at = y * stride + tap * dilation - before;
    return at >= 0 && at < size;
  }
};

// The sum of the weights that each result multiplies, times the channel's scale: what one step of
// the zero point adds to it. [1,O,1,1] without padding, else [1,O,OH,OW]. `conv` is 2-D; absent if
// the image's sizes are not known, or the sums too many to keep.
std::optional<ir::Tensor> ZeroShares(const ir::Node& conv, const IntegerWeights& weights,
                                     const char** why) {
  const std::vector<int64_t>& w = weights.numbers.dims();
  const std::vector<int64_t>& pads = conv.Ints("pads");
  const bool padded = std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; });
  Axis axes[2];
  for (size_t i = 0; i < 2; ++i) {
    const ir::Dim& size = conv.input(0)->shape()[2 + i];
    const ir::Dim& out = conv.output()->shape()[2 + i];
    if (padded && (!size.is_constant() || !out.is_constant())) {
      *why = "its border depends on sizes that are not known";
      return std::nullopt;
    }
    axes[i] = {padded ? size.constant() : 0, w[2 + i], conv.Ints("strides")[i],
               conv.Ints("dilations")[i],    pads[i],  padded ? out.constant() : 1};
  }
  const int64_t taps = w[2] * w[3];
  const auto work = static_cast<__int128>(axes[0].out) * axes[1].out * w[0];
  if (work > kMostShares || work * taps > kMostWork) {
    *why = "its border would take too much memory";
    return std::nullopt;
  }
  ir::Tensor shares(DType::kF32, {1, w[0], axes[0].out, axes[1].out});
  std::vector<int64_t> sums(static_cast<size_t>(taps));
  int64_t at = 0;
  for (int64_t o = 0; o < w[0]; ++o) {
    std::fill(sums.begin(), sums.end(), 0);
    for (int64_t c = 0; c < w[1]; ++c) {
      for (int64_t t = 0; t < taps; ++t) {
        sums[static_cast<size_t>(t)] += weights.numbers.IntAt((o * w[1] + c) * taps + t);
      }
    }
    for (int64_t y = 0; y < axes[0].out; ++y) {
      for (int64_t x = 0; x < axes[1].out; ++x) {
        int64_t sum = 0;
        for (int64_t t = 0; t < taps; ++t) {
          const bool inside = !padded || (axes[0].Reads(y, t / w[3]) && axes[1].Reads(x, t % w[3]));
          if (inside) sum += sums[static_cast<size_t>(t)];
        }
        shares.SetDouble(at++, static_cast<double>(sum) *
                                   static_cast<double>(weights.scales[static_cast<size_t>(o)]));
      }
    }
  }
  return shares;
}

// A scale for each output channel however its constant is shaped.
ir::Value* FlatScales(ir::Graph& graph, ir::Value* scales) {
  if (scales->rank() <= 1) return scales;
  const ir::Tensor& t = scales->constant();
  std::vector<double> numbers;
  for (int64_t i = 0; i < t.count(); ++i) numbers.push_back(t.DoubleAt(i));
  return AddFloats(graph, scales->name() + "_flat", numbers, {t.count()});
}

// sums of a convolution * scales, which is `mul`:
//   x_scale * (sum(x w) scale[o] - x_zero sum(w) scale[o])
absl::StatusOr<bool> FuseConvScales(ir::Graph& graph, ir::Node* mul, Report& report) {
  for (size_t i = 0; i < 2; ++i) {
    ir::Node* conv = SumsOf(graph, mul->input(i), OpId::kConvInteger);
    const std::optional<Scales> scales = ScalesOf(mul->input(1 - i));
    if (conv == nullptr || !scales) continue;
    ir::Value* x = conv->input(0);
    ir::Value* x_zero = conv->input(2);
    const ir::Value* factor = scales->weights;
    const bool per_channel = factor->rank() == 4 && factor->constant().count() > 1;
    if (x->dtype() != DType::kU8 || x->rank() != 4 || x_zero == nullptr || !IsOneElement(x_zero) ||
        mul->output()->shape() != mul->input(i)->shape() || factor->dtype() != DType::kF32 ||
        (per_channel && factor->shape()[1] != conv->input(1)->shape()[0]) ||
        (!per_channel && factor->constant().count() != 1)) {
      continue;
    }
    const char* why = "";
    const std::optional<IntegerWeights> weights =
        WeightsOf(conv->input(1), FlatScales(graph, scales->weights), conv->input(3), 0, &why);
    std::optional<ir::Tensor> shares;
    if (weights) shares = ZeroShares(*conv, *weights, &why);
    if (!shares) {
      report.Add(NameOf(*conv) + " is no fast integer convolution: " + why);
      continue;
    }
    const std::string name = mul->output()->name();
    const auto add = [&](OpId op, std::vector<ir::Value*> inputs, Attrs attrs, const char* what) {
      return Insert(graph, mul, op, std::move(inputs), std::move(attrs), name + what,
                    conv->provenance);
    };
    const std::vector<double> numbers(weights->scales.begin(), weights->scales.end());
    Attrs attrs = conv->attrs;
    attrs["x_zero"] = int64_t{0};
    attrs["to"] = static_cast<int64_t>(DType::kF32);
    attrs["requant"] = std::vector<int64_t>();
    attrs["ratios"] = std::vector<double>();
    FLOE_TRY_ASSIGN(
        ir::Value * sums,
        add(OpId::kQConv,
            {x, graph.AddConstant(name + "_weights", weights->numbers),
             AddFloats(graph, name + "_scales", numbers, {static_cast<int64_t>(numbers.size())})},
            std::move(attrs), "_sums"));
    FLOE_TRY_ASSIGN(ir::Value * zero, add(OpId::kCast, {x_zero},
                                          {{"to", static_cast<int64_t>(DType::kF32)}}, "_zero"));
    FLOE_TRY_ASSIGN(ir::Value * share,
                    add(OpId::kMul, {graph.AddConstant(name + "_shares", *std::move(shares)), zero},
                        {}, "_share"));
    FLOE_TRY_ASSIGN(ir::Value * steps, add(OpId::kSub, {sums, share}, {}, "_steps"));
    FLOE_TRY_ASSIGN(ir::Value * y, add(OpId::kMul, {steps, scales->x}, {}, "_integers"));
    report.Add(NameOf(*conv) + ": integers from dynamic u8 to f32");
    Replace(graph, mul, y);
    return true;
  }
  return false;
}

// An integer product in f32 plus one constant per channel, which is `add`.
absl::Status FuseBias(ir::Graph& graph, ir::Node* add) {
  for (size_t i = 0; i < 2; ++i) {
    ir::Value* y = add->input(i);
    ir::Node* product = ProducedBy(y, OpId::kQGemm);
    if (product == nullptr || y->dtype() != DType::kF32 || product->input(3) != nullptr ||
        !HasOneUse(graph, y) || add->output()->shape() != y->shape()) {
      continue;
    }
    const int64_t channels = product->input(1)->constant().dims()[1];
    const std::optional<std::vector<double>> bias =
        ChannelNumbers(add->input(1 - i), y->rank(), y->rank() - 1, channels);
    if (!bias) continue;
    std::vector<ir::Value*> inputs = product->inputs();
    inputs.resize(std::max<size_t>(inputs.size(), 4));
    inputs[3] = AddFloats(graph, add->output()->name() + "_bias", *bias, {channels});
    FLOE_TRY_ASSIGN(ir::Value * sum,
                    Insert(graph, add, OpId::kQGemm, std::move(inputs), product->attrs,
                           add->output()->name() + "_integers", product->provenance));
    Replace(graph, add, sum);
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FuseDynamicProducts(ir::Graph& graph, Report& report) {
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if (node->op() == OpId::kMul) {
      FLOE_TRY_ASSIGN(const bool done, FuseScales(graph, node, report));
      if (!done) FLOE_TRY(FuseConvScales(graph, node, report).status());
    } else if (node->op() == OpId::kAdd) {
      FLOE_TRY(FuseBias(graph, node));
    }
  }
  return absl::OkStatus();
}

}  // namespace floe::passes
