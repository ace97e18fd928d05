// Finds activations in the arithmetic that exporters write for them. All are products of x and
// something: the tree of multiplications is flattened into factors and one number, and the factors
// are looked at in any order.
//   gelu       0.5 * x * (1 + erf(x / sqrt(2)))
//   gelu tanh  0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
//   silu       x * sigmoid(x)          hard swish  x * clamp(x + 3, 0, 6) / 6
//   mish       x * tanh(softplus(x))
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

bool Near(double a, double b) { return std::fabs(a - b) <= 1e-4 * std::fabs(b); }

// number * factors[0] * factors[1] * ...
struct Product {
  double number = 1.0;
  std::vector<ir::Value*> factors;
};

// Adds `value` to the product, opening multiplications (and squares and cubes) that nothing else
// reads. `root` is opened in any case.
void Flatten(const ir::Graph& graph, ir::Value* value, bool root, int depth, Product& p) {
  if (const std::optional<double> number = ScalarOf(value)) {
    p.number *= *number;
    return;
  }
  ir::Node* node = value->producer();
  const bool open = node != nullptr && depth < 6 && (root || HasOneUse(graph, value));
  if (open && node->op() == OpId::kMul) {
    Flatten(graph, node->input(0), false, depth + 1, p);
    Flatten(graph, node->input(1), false, depth + 1, p);
    return;
  }
  if (open && node->op() == OpId::kDiv && ScalarOf(node->input(1)).value_or(0.0) != 0.0) {
    p.number /= *ScalarOf(node->input(1));
    Flatten(graph, node->input(0), false, depth + 1, p);
    return;
  }
  if (open && node->op() == OpId::kPow) {
    const double exponent = ScalarOf(node->input(1)).value_or(0.0);
    if (exponent == 2.0 || exponent == 3.0) {
      for (int i = 0; i < static_cast<int>(exponent); ++i) p.factors.push_back(node->input(0));
      return;
    }
  }
  p.factors.push_back(value);
}

Product FlattenRoot(const ir::Graph& graph, ir::Value* value) {
  Product p;
  Flatten(graph, value, true, 0, p);
  return p;
}

bool IsPowerOf(const Product& p, const ir::Value* x, size_t count) {
  return p.factors.size() == count && std::all_of(p.factors.begin(), p.factors.end(),
                                                  [x](const ir::Value* f) { return f == x; });
}

// The other operand of number + other, or null.
ir::Value* PlusNumber(const ir::Value* value, double number) {
  const ir::Node* add = ProducedBy(value, OpId::kAdd);
  if (add == nullptr) return nullptr;
  if (ScalarOf(add->input(0)) == number) return add->input(1);
  if (ScalarOf(add->input(1)) == number) return add->input(0);
  return nullptr;
}

// 1 + erf(x / sqrt(2))
bool IsErfFactor(const ir::Graph& graph, const ir::Value* factor, const ir::Value* x) {
  const ir::Node* erf = ProducedBy(PlusNumber(factor, 1.0), OpId::kErf);
  if (erf == nullptr) return false;
  const Product p = FlattenRoot(graph, erf->input(0));
  return IsPowerOf(p, x, 1) && Near(p.number, std::sqrt(0.5));
}

// x + 0.044715 x^3
bool IsCubicSum(const ir::Graph& graph, const ir::Value* value, const ir::Value* x) {
  const ir::Node* add = ProducedBy(value, OpId::kAdd);
  if (add == nullptr) return false;
  for (size_t i = 0; i < 2; ++i) {
    if (add->input(i) != x) continue;
    const Product cube = FlattenRoot(graph, add->input(1 - i));
    if (IsPowerOf(cube, x, 3) && Near(cube.number, 0.044715)) return true;
  }
  return false;
}

// 1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)), the inner sum also as x * (1 + 0.044715 x^2)
bool IsTanhFactor(const ir::Graph& graph, const ir::Value* factor, const ir::Value* x) {
  const ir::Node* tanh = ProducedBy(PlusNumber(factor, 1.0), OpId::kTanh);
  if (tanh == nullptr) return false;
  const Product p = FlattenRoot(graph, tanh->input(0));
  if (!Near(p.number, std::sqrt(2.0 / M_PI))) return false;
  if (p.factors.size() == 1) return IsCubicSum(graph, p.factors[0], x);
  if (p.factors.size() != 2) return false;
  for (size_t i = 0; i < 2; ++i) {
    ir::Value* square = PlusNumber(p.factors[1 - i], 1.0);
    if (p.factors[i] != x || square == nullptr) continue;
    const Product s = FlattenRoot(graph, square);
    if (IsPowerOf(s, x, 2) && Near(s.number, 0.044715)) return true;
  }
  return false;
}

// clamp(x + 3, 0, 6)
bool IsRelu6Factor(const ir::Value* factor, const ir::Value* x) {
  const ir::Node* clamp = ProducedBy(factor, OpId::kClamp);
  return clamp != nullptr && clamp->Float("min") == 0.0 && clamp->Float("max") == 6.0 &&
         PlusNumber(clamp->input(0), 3.0) == x;
}

struct Activation {
  OpId op;
  Attrs attrs;
};

std::optional<Activation> ActivationOf(const ir::Graph& graph, double number,
                                       const ir::Value* factor, const ir::Value* x) {
  if (number == 0.5 && IsErfFactor(graph, factor, x))
    return {{OpId::kGelu, {{"tanh", int64_t{0}}}}};
  if (number == 0.5 && IsTanhFactor(graph, factor, x)) {
    return {{OpId::kGelu, {{"tanh", int64_t{1}}}}};
  }
  if (Near(number, 1.0 / 6.0) && IsRelu6Factor(factor, x)) return {{OpId::kHardSwish, {}}};
  if (number != 1.0) return std::nullopt;
  const ir::Node* node = factor->producer();
  if (node == nullptr) return std::nullopt;
  if (node->op() == OpId::kSigmoid && node->input(0) == x) return {{OpId::kSilu, {}}};
  if (node->op() == OpId::kHardSigmoid && node->input(0) == x &&
      Near(node->Float("alpha"), 1.0 / 6.0) && node->Float("beta") == 0.5) {
    return {{OpId::kHardSwish, {}}};
  }
  if (node->op() == OpId::kTanh) {
    const ir::Node* softplus = ProducedBy(node->input(0), OpId::kSoftplus);
    if (softplus != nullptr && softplus->input(0) == x) return {{OpId::kMish, {}}};
  }
  return std::nullopt;
}

}  // namespace

absl::Status RecogniseActivations(ir::Graph& graph, Report& report) {
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if ((node->op() != OpId::kMul && node->op() != OpId::kDiv) ||
        node->output()->dtype() != DType::kF32) {
      continue;
    }
    const Product p = FlattenRoot(graph, node->output());
    if (p.factors.size() != 2 || p.factors[0] == node->output()) continue;
    for (size_t i = 0; i < 2; ++i) {
      ir::Value* x = p.factors[1 - i];
      if (x->shape() != node->output()->shape()) continue;
      const std::optional<Activation> found = ActivationOf(graph, p.number, p.factors[i], x);
      if (!found) continue;
      FLOE_TRY_ASSIGN(ir::Value * y, Insert(graph, node, found->op, {x}, found->attrs,
                                            node->output()->name(), node->provenance));
      report.Add(absl::StrFormat("recognised %s at %s", OpRow(found->op).name, NameOf(*node)));
      Replace(graph, node, y);
      break;
    }
  }
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
