#include "compiler/passes/weight_types.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

// Why a node stays f32; null: it need not.
using Refusal = const char* (*)(const ir::Node& node, Precision precision);

// What an op becomes. Where nothing can be refused, `stays` says why it stays f32.
struct PolicyRow {
  OpId op;
  std::vector<size_t> weights;  // Operands that hold them.
  Refusal refuse;
  const char* stays;
};

const char* RefuseConv(const ir::Node& node, Precision precision) {
  const ir::Value* w = node.input(1);
  if (!w->is_constant()) return "its weights are activations";
  const std::vector<int64_t>& dims = w->constant().dims();
  if (dims.size() != 4) return "only convolutions of images have kernels for it";
  const int64_t groups = node.Int("groups");
  if (groups > 1 && dims[1] == 1 && groups == dims[0]) {
    return "one filter per channel: its activations bound it, not its weights";
  }
  if (dims[0] <= 8) return "so few outputs have a kernel of their own";
  // (Of an odd number the last one is half a pair: 3 are multiplied in 2 steps.)
  if (precision == Precision::kBF16 && dims[1] == 1) return "one input channel makes no pairs";
  return nullptr;
}

const char* RefuseProduct(const ir::Node& node, Precision) {
  if (node.op() == OpId::kMatMul) {
    return HasConstantMatrix(node) ? nullptr : "a product of two activations";
  }
  if (!node.input(1)->is_constant()) return "its weights are activations";
  const bool canonical = node.Float("alpha") == 1.0 && node.Float("beta") == 1.0 &&
                         node.Int("trans_a") == 0 && node.Int("trans_b") == 0;
  return canonical ? nullptr : "not of the form x W + c";
}

const char* RefuseLstm(const ir::Node& node, Precision) {
  const bool constant = node.input(1)->is_constant() && node.input(2)->is_constant();
  if (!constant) return "its weights are activations";
  if (node.input(4) != nullptr || node.input(7) != nullptr) {
    return "sequence lengths or peepholes have no kernels for it";
  }
  return nullptr;
}

const char* RefuseGather(const ir::Node& node, Precision) {
  constexpr int64_t kWorthwhile = 4096;
  const ir::Value* x = node.input(0);
  if (!x->is_constant() || x->dtype() != DType::kF32) return "no table of weights";
  return x->constant().count() < kWorthwhile ? "a small table" : nullptr;
}

const std::vector<PolicyRow>& Policy() {
  static constexpr char kNoKernels[] = "there are no kernels for it";
  static constexpr char kSums[] = "its sums need f32";
  static constexpr char kTwo[] = "its products are of two activations";
  static const auto& rows = *new std::vector<PolicyRow>{
      {OpId::kConv, {1}, RefuseConv, nullptr},     {OpId::kMatMul, {1}, RefuseProduct, nullptr},
      {OpId::kGemm, {1}, RefuseProduct, nullptr},  {OpId::kLstm, {1, 2}, RefuseLstm, nullptr},
      {OpId::kGather, {0}, RefuseGather, nullptr}, {OpId::kGru, {}, nullptr, kNoKernels},
      {OpId::kRnn, {}, nullptr, kNoKernels},       {OpId::kAttention, {}, nullptr, kTwo},
      {OpId::kSoftmax, {}, nullptr, kSums},        {OpId::kLogSoftmax, {}, nullptr, kSums},
      {OpId::kLayerNorm, {}, nullptr, kSums},      {OpId::kRmsNorm, {}, nullptr, kSums},
      {OpId::kReduce, {}, nullptr, kSums},         {OpId::kAvgPool, {}, nullptr, kSums},
  };
  return rows;
}

// f16 ends at 65504. bf16 has the range of f32.
bool FitsF16(const ir::Tensor& t) {
  const float* data = t.as<float>();
  return std::all_of(data, data + t.count(), [](float v) { return std::fabs(v) < 65520.0f; });
}

const char* Refused(const ir::Node& node, const PolicyRow& row, Precision precision) {
  if (row.stays != nullptr) return row.stays;
  if (const char* why = row.refuse(node, precision); why != nullptr) return why;
  for (const size_t i : row.weights) {
    const ir::Value* w = node.input(i);
    if (w->dtype() != DType::kF32) return "its weights are not f32";
    if (precision == Precision::kF16Weights && !FitsF16(w->constant())) {
      return "its weights reach beyond f16";
    }
  }
  return nullptr;
}

void Choose(const ir::Graph& graph, Precision precision, Report& report, WeightTypes* types) {
  const DType narrow = precision == Precision::kBF16 ? DType::kBF16 : DType::kF16;
  for (const auto& node : graph.nodes()) {
    for (const auto& body : node->bodies) Choose(*body, precision, report, types);
    const auto& rows = Policy();
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [&](const PolicyRow& r) { return r.op == node->op(); });
    if (row == rows.end()) continue;
    if (const char* why = Refused(*node, *row, precision); why != nullptr) {
      report.Add(absl::StrFormat("kept %s in f32: %s", NameOf(*node), why));
      continue;
    }
    (*types)[node.get()] = narrow;
    const bool product = narrow == DType::kBF16 && node->op() != OpId::kGather;
    report.Add(absl::StrFormat("stored the weights of %s as %s%s", NameOf(*node), DTypeName(narrow),
                               product ? ", multiplied with bf16, summed in f32" : ""));
  }
}

}  // namespace

std::optional<Precision> PrecisionNamed(std::string_view name) {
  if (name == "fp32") return Precision::kF32;
  if (name == "bf16") return Precision::kBF16;
  if (name == "fp16-weights") return Precision::kF16Weights;
  return std::nullopt;
}

WeightTypes ChooseWeightTypes(const ir::Graph& graph, Precision precision, Report& report) {
  WeightTypes types;
  if (precision != Precision::kF32) Choose(graph, precision, report, &types);
  return types;
}

}  // namespace floe::passes
