// Queries, keys and values that are products of one input become one product with joined weights:
// the input is read once, and a long product runs nearer to the peak than three short ones.
// Attention reads its heads where they are, so what takes the result apart again costs nothing.
#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

using ir::Value;

// x W [+ b] with constant W [K,N] and b [N].
struct Projection {
  ir::Node* product = nullptr;
  const Value* bias = nullptr;  // Null: none.
  Value* result = nullptr;
};

// The projection that `value` shows the heads of, if nothing else reads it.
std::optional<Projection> ProjectionOf(const ir::Graph& graph, Value* value) {
  for (int depth = 0; depth < 8; ++depth) {
    ir::Node* node = value->producer();
    if (node == nullptr || !HasOneUse(graph, value)) return std::nullopt;
    Projection p;
    p.result = value;
    switch (node->op()) {
      case OpId::kReshape:
      case OpId::kTranspose:
      case OpId::kIdentity:
      case OpId::kRotary:
        value = node->input(0);
        continue;
      case OpId::kAdd:
        for (size_t i = 0; i < 2 && p.product == nullptr; ++i) {
          const Value* bias = node->input(1 - i);
          ir::Node* product = ProducedBy(node->input(i), OpId::kMatMul);
          if (product == nullptr || !HasOneUse(graph, product->output()) || !bias->is_constant() ||
              bias->rank() != 1 || bias->shape()[0] != product->output()->shape().back()) {
            continue;
          }
          p.product = product;
          p.bias = bias;
        }
        break;
      case OpId::kMatMul:
        p.product = node;
        break;
      case OpId::kGemm:
        // Canonical ones only (canonicalise): alpha and beta are 1, nothing is transposed.
        if (node->Float("alpha") != 1.0 || node->Int("trans_a") != 0 || node->Int("trans_b") != 0 ||
            node->Float("beta") != 1.0) {
          return std::nullopt;
        }
        p.product = node;
        p.bias = node->input(2);
        if (p.bias != nullptr && (!p.bias->is_constant() || p.bias->rank() != 1)) {
          return std::nullopt;
        }
        break;
      default:
        return std::nullopt;
    }
    if (p.product == nullptr) return std::nullopt;
    const Value* w = p.product->input(1);
    if (!w->is_constant() || w->rank() != 2 || w->dtype() != DType::kF32 ||
        p.product->input(0)->rank() < 2) {
      return std::nullopt;
    }
    return p;
  }
  return std::nullopt;
}

// Matrices [K,N] side by side; vectors [N] are matrices of one row.
ir::Tensor Joined(const std::vector<const ir::Tensor*>& parts, int64_t rows,
                  const std::vector<int64_t>& widths) {
  int64_t width = 0;
  for (const int64_t n : widths) width += n;
  ir::Tensor joined(DType::kF32,
                    rows < 0 ? std::vector<int64_t>{width} : std::vector<int64_t>{rows, width});
  const int64_t count = rows < 0 ? 1 : rows;
  int64_t at = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t n = widths[i];
    for (int64_t r = 0; parts[i] != nullptr && r < count && n > 0; ++r) {
      std::memcpy(joined.mutable_as<float>() + r * width + at, parts[i]->as<float>() + r * n,
                  static_cast<size_t>(n) * sizeof(float));
    }
    at += n;
  }
  return joined;
}

absl::Status Merge(ir::Graph& graph, const std::vector<Projection>& parts, Report& report) {
  ir::Node* first = nullptr;
  for (const auto& node : graph.nodes()) {
    const auto is = [&](const Projection& p) { return p.product == node.get(); };
    if (std::any_of(parts.begin(), parts.end(), is)) {
      first = node.get();
      break;
    }
  }
  std::vector<const ir::Tensor*> weights, biases;
  std::vector<int64_t> widths;
  bool has_bias = false;
  std::string names;
  for (const Projection& p : parts) {
    weights.push_back(&p.product->input(1)->constant());
    biases.push_back(p.bias == nullptr ? nullptr : &p.bias->constant());
    widths.push_back(weights.back()->dims()[1]);
    has_bias = has_bias || p.bias != nullptr;
    names += (names.empty() ? "" : ", ") + NameOf(*p.product);
  }
  const std::string name = first->output()->name();
  Value* x = first->input(0);
  Value* w = graph.AddConstant(first->input(1)->name() + "_joined",
                               Joined(weights, weights[0]->dims()[0], widths));
  std::vector<Value*> operands = {x, w};
  Value* bias = nullptr;
  if (has_bias) bias = graph.AddConstant(name + "_joined_bias", Joined(biases, -1, widths));
  const bool gemm = first->op() == OpId::kGemm;
  if (gemm && has_bias) operands.push_back(bias);
  FLOE_TRY_ASSIGN(Value * y, Insert(graph, first, first->op(), std::move(operands), first->attrs,
                                    name + "_joined", first->provenance));
  if (!gemm && has_bias) {
    FLOE_TRY_ASSIGN(y, Insert(graph, first, OpId::kAdd, {y, bias}, {}, name + "_joined_sum",
                              first->provenance));
  }
  int64_t at = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    std::vector<int64_t> starts(y->rank(), 0), steps(y->rank(), 1);
    starts.back() = at;
    at += widths[i];
    ir::Shape shape = y->shape();
    shape.back() = widths[i];
    FLOE_TRY_ASSIGN(Value * part,
                    InsertTyped(graph, first, OpId::kSlice, {y},
                                {{"starts", std::move(starts)}, {"steps", std::move(steps)}},
                                parts[i].result->name() + "_part", parts[i].product->provenance,
                                DType::kF32, std::move(shape)));
    graph.ReplaceAllUses(parts[i].result, part);
  }
  for (const Projection& p : parts) EraseIfUnused(graph, p.result->producer());
  report.Add("made one product of " + names);
  return absl::OkStatus();
}

}  // namespace

absl::Status MergeProjections(ir::Graph& graph, Report& report) {
  std::vector<ir::Node*> attentions;
  for (const auto& node : graph.nodes()) {
    if (node->op() == OpId::kAttention) attentions.push_back(node.get());
  }
  for (ir::Node* node : attentions) {
    std::vector<Projection> parts;
    for (size_t i = 0; i < 3; ++i) {
      const std::optional<Projection> p = ProjectionOf(graph, node->input(i));
      if (p) parts.push_back(*p);
    }
    // Those that share an input with the last one: in cross attention, keys and values.
    if (parts.size() < 2) continue;
    const Projection last = parts.back();
    std::erase_if(parts, [&](const Projection& p) {
      return p.product->op() != last.product->op() || p.product->input(0) != last.product->input(0);
    });
    const auto same = [&](const Projection& p) { return p.product == last.product; };
    if (parts.size() < 2 || std::count_if(parts.begin(), parts.end(), same) > 1) continue;
    FLOE_TRY(Merge(graph, parts, report));
  }
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
