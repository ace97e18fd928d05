// Products of activations that are quantised at run time: matmul_integer -> cast -> times the
// scales -> plus a bias becomes one integer product with a result in f32.
#include <algorithm>

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

// The matmul_integer behind a cast to f32, if nothing else reads either.
ir::Node* SumsOf(const ir::Graph& graph, const ir::Value* value) {
  const ir::Node* cast = ProducedBy(value, OpId::kCast);
  if (cast == nullptr || value->dtype() != DType::kF32 || !HasOneUse(graph, value) ||
      !HasOneUse(graph, cast->input(0))) {
    return nullptr;
  }
  return ProducedBy(cast->input(0), OpId::kMatMulInteger);
}

// sums * scales, which is `mul`.
absl::StatusOr<bool> FuseScales(ir::Graph& graph, ir::Node* mul, Report& report) {
  for (size_t i = 0; i < 2; ++i) {
    ir::Node* product = SumsOf(graph, mul->input(i));
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
      FLOE_TRY(FuseScales(graph, node, report).status());
    } else if (node->op() == OpId::kAdd) {
      FLOE_TRY(FuseBias(graph, node));
    }
  }
  return absl::OkStatus();
}

}  // namespace floe::passes
