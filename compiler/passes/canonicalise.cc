// Gemm in one form: y = x W + c with W constant [K,N], c constant [N] or absent. What has variable
// weights becomes a MatMul. Batch norms that could not be folded become a factor and a term.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "compiler/ir/evaluate.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

Attrs GemmAttrs() {
  return {{"alpha", 1.0}, {"beta", 1.0}, {"trans_a", int64_t{0}}, {"trans_b", int64_t{0}}};
}

bool IsCanonical(const ir::Node& gemm) {
  const ir::Value* c = gemm.input(2);
  const ir::Value* y = gemm.output();
  return gemm.Float("alpha") == 1.0 && gemm.Float("beta") == 1.0 && gemm.Int("trans_a") == 0 &&
         gemm.Int("trans_b") == 0 && gemm.input(1)->is_constant() &&
         (c == nullptr || (c->rank() == 1 && c->shape()[0] == y->shape()[1]));
}

ir::Tensor Scaled(const ir::Tensor& t, double factor) {
  ir::Tensor r(t.dtype(), t.dims());
  for (int64_t i = 0; i < t.count(); ++i) r.SetDouble(i, t.DoubleAt(i) * factor);
  return r;
}

class GemmRewriter {
 public:
  GemmRewriter(ir::Graph& graph, ir::Node* gemm)
      : graph_(graph), gemm_(gemm), name_(gemm->output()->name()), from_(gemm->provenance) {}

  absl::Status Run() {
    FLOE_TRY_ASSIGN(ir::Value * a, Operand(gemm_->input(0), gemm_->Int("trans_a") != 0, "_a"));
    FLOE_TRY_ASSIGN(ir::Value * b, Operand(gemm_->input(1), gemm_->Int("trans_b") != 0, "_b"));
    const double alpha = gemm_->Float("alpha");
    const bool constant = b->is_constant();
    if (constant && alpha != 1.0) {
      b = graph_.AddConstant(b->name() + "_scaled", Scaled(b->constant(), alpha));
    }
    FLOE_TRY_ASSIGN(ir::Value * c, Term());
    const bool vector = c == nullptr || (c->rank() == 1 && c->shape()[0] == b->shape()[1]);
    std::vector<ir::Value*> operands = {a, b};
    if (constant && vector && c != nullptr) operands.push_back(c);
    FLOE_TRY_ASSIGN(ir::Value * y,
                    Insert(graph_, gemm_, constant ? OpId::kGemm : OpId::kMatMul, operands,
                           constant ? GemmAttrs() : Attrs(), name_, from_));
    if (!constant && alpha != 1.0) {
      FLOE_TRY_ASSIGN(y, Insert(graph_, gemm_, OpId::kMul, {y, Number(alpha)}, {}, name_, from_));
    }
    if (c != nullptr && operands.size() == 2) {
      FLOE_TRY_ASSIGN(y, Insert(graph_, gemm_, OpId::kAdd, {y, c}, {}, name_, from_));
    }
    Replace(graph_, gemm_, y);
    return absl::OkStatus();
  }

 private:
  ir::Value* Number(double v) {
    ir::Tensor t(gemm_->input(0)->dtype(), {});
    t.SetDouble(0, v);
    return graph_.AddConstant(name_ + "_factor", std::move(t));
  }

  absl::StatusOr<ir::Value*> Operand(ir::Value* v, bool transposed, const char* suffix) {
    if (!transposed) return v;
    if (v->is_constant()) {
      return graph_.AddConstant(v->name() + "_transposed", TransposedMatrix(v->constant()));
    }
    return Insert(graph_, gemm_, OpId::kTranspose, {v}, {{"perm", std::vector<int64_t>{1, 0}}},
                  name_ + suffix, from_);
  }

  // beta * c; constants of one row become vectors.
  absl::StatusOr<ir::Value*> Term() {
    ir::Value* c = gemm_->input(2);
    const double beta = gemm_->Float("beta");
    if (c == nullptr || beta == 0.0) return nullptr;
    if (!c->is_constant()) {
      if (beta == 1.0) return c;
      return Insert(graph_, gemm_, OpId::kMul, {c, Number(beta)}, {}, name_ + "_c", from_);
    }
    ir::Tensor t = beta == 1.0 ? c->constant() : Scaled(c->constant(), beta);
    const ir::Dim& columns = gemm_->output()->shape()[1];
    const bool row = c->rank() < 2 || c->shape()[0] == ir::Dim(1);
    if (row && columns.is_constant()) {
      ir::Tensor spread(t.dtype(), {columns.constant()});
      for (int64_t i = 0; i < columns.constant(); ++i) {
        spread.SetDouble(i, t.DoubleAt(t.count() == 1 ? 0 : i));
      }
      t = std::move(spread);
    } else if (beta == 1.0) {
      return c;
    }
    return graph_.AddConstant(c->name() + "_term", std::move(t));
  }

  ir::Graph& graph_;
  ir::Node* gemm_;
  const std::string name_;
  const ir::Provenance from_;
};

}  // namespace

absl::Status Canonicalise(ir::Graph& graph, Report& report) {
  size_t rewritten = 0;
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if (node->op() != OpId::kGemm || !IsFloat(node->output()->dtype()) || IsCanonical(*node)) {
      continue;
    }
    FLOE_TRY(GemmRewriter(graph, node).Run());
    graph.EraseUnusedConstants();  // The untransposed weights go at once.
    ++rewritten;
  }
  if (rewritten > 0) report.Add(absl::StrFormat("rewrote %d gemms as x W + c", rewritten));
  return absl::OkStatus();
}

absl::Status DecomposeBatchNorm(ir::Graph& graph, Report& report) {
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if (node->op() != OpId::kBatchNorm || node->output()->dtype() != DType::kF32) continue;
    std::vector<double> parameters[4];
    const ir::Value* x = node->input(0);
    bool constant = x->shape()[1].is_constant();
    const int64_t channels = constant ? x->shape()[1].constant() : 0;
    for (size_t i = 0; constant && i < 4; ++i) {
      auto numbers = ChannelNumbers(node->input(i + 1), 1, 0, channels);
      constant = numbers.has_value();
      if (constant) parameters[i] = *std::move(numbers);
    }
    if (!constant) continue;
    std::vector<double> factor(parameters[0]), term(parameters[0]);
    for (size_t c = 0; c < factor.size(); ++c) {
      factor[c] = parameters[0][c] / std::sqrt(parameters[3][c] + node->Float("epsilon"));
      term[c] = parameters[1][c] - parameters[2][c] * factor[c];
    }
    std::vector<int64_t> dims(x->rank() - 1, 1);
    dims[0] = channels;
    const std::string name = node->output()->name();
    ir::Value* s = AddFloats(graph, name + "_factor", factor, dims);
    ir::Value* t = AddFloats(graph, name + "_term", term, dims);
    FLOE_TRY_ASSIGN(ir::Value * product, Insert(graph, node, OpId::kMul, {node->input(0), s}, {},
                                                name + "_scaled", node->provenance));
    FLOE_TRY_ASSIGN(ir::Value * sum,
                    Insert(graph, node, OpId::kAdd, {product, t}, {}, name, node->provenance));
    report.Add("decomposed " + NameOf(*node) + " into a factor and a term");
    Replace(graph, node, sum);
  }
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
