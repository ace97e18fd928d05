// f16 and bf16 arithmetic becomes f32 arithmetic: that is what the kernels are fast at, and no less
// exact. Weights are widened once. Values are rounded to the narrow type where the model shows
// them: at inputs, outputs, states and casts.
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "backends/reference/element.h"
#include "compiler/ir/shapes.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

bool IsHalf(DType t) { return t == DType::kF16 || t == DType::kBF16; }
bool IsHalf(const ir::Value* v) { return v != nullptr && IsHalf(v->dtype()); }

ir::Tensor Widened(const ir::Tensor& t) {
  ir::Tensor wide(DType::kF32, t.dims());
  if (t.count() == 0) return wide;
  reference::LoadRun<float>(t.dtype(), t.data(), 0, t.count(), wide.mutable_as<float>());
  return wide;
}

// `v` as a number of that type.
double Rounded(double v, DType dtype) {
  ir::Tensor t(dtype, {});
  t.SetDouble(0, v);
  return t.DoubleAt(0);
}

Attrs CastTo(DType dtype) { return {{"to", static_cast<int64_t>(dtype)}}; }

struct Counts {
  size_t nodes = 0, constants = 0, casts = 0;
};

class Widener {
 public:
  Widener(ir::Graph& graph, Counts& counts) : graph_(graph), counts_(counts) {}

  absl::Status Run() {
    Remember();
    WidenConstants();
    FLOE_TRY(WidenGiven());
    for (auto it = graph_.nodes().begin(); it != graph_.nodes().end();) {
      ir::Node* node = (it++)->get();
      ir::Node* next = it == graph_.nodes().end() ? nullptr : it->get();
      FLOE_TRY(WidenNode(node, next));
    }
    if (!graph_.is_body) FLOE_TRY(RestoreShown());
    graph_.EraseUnusedConstants();
    return absl::OkStatus();
  }

 private:
  struct Shown {
    ir::Value* value;
    DType dtype;
  };

  // What outputs and states are before anything changes.
  void Remember() {
    for (ir::Value* v : graph_.outputs()) outputs_.push_back({v, v->dtype()});
    for (const ir::State& s : graph_.states()) {
      ir::Value* v = s.result == nullptr ? s.value : s.result;
      results_.push_back({v, v->dtype()});
    }
  }

  void WidenConstants() {
    std::vector<ir::Value*> constants;
    for (const auto& v : graph_.values()) {
      if (v->is_constant() && IsHalf(v.get())) constants.push_back(v.get());
    }
    for (ir::Value* v : constants) {
      if (v->users().empty() && !graph_.is_body) continue;  // An output and nothing else.
      ir::Value* wide = graph_.AddConstant(v->name(), Widened(v->constant()));
      graph_.ReplaceAllUses(v, wide);
      ++counts_.constants;
    }
  }

  // Inputs and states keep their types and are cast; a body's inputs are what its node gives it.
  absl::Status WidenGiven() {
    std::vector<ir::Value*> given = graph_.inputs();
    for (const ir::State& s : graph_.states()) given.push_back(s.value);
    ir::Node* first = graph_.nodes().empty() ? nullptr : graph_.nodes().front().get();
    for (ir::Value* v : given) {
      if (!IsHalf(v)) continue;
      if (graph_.is_body) {
        v->set_type(DType::kF32, v->shape());
      } else if (!v->users().empty()) {
        FLOE_TRY(WidenUses(v, first));
      }
    }
    return absl::OkStatus();
  }

  // What reads `v` reads it as f32 from now on; outputs only where the graph is a body.
  absl::Status WidenUses(ir::Value* v, ir::Node* before) {
    const ir::Provenance from =
        v->producer() == nullptr ? ir::Provenance{v->name(), ""} : v->producer()->provenance;
    const std::vector<ir::Node*> users = v->users();
    FLOE_TRY_ASSIGN(ir::Value * wide, Insert(graph_, before, OpId::kCast, {v}, CastTo(DType::kF32),
                                             v->name() + "_f32", from));
    for (ir::Node* user : users) {
      for (size_t i = 0; i < user->inputs().size(); ++i) {
        if (user->inputs()[i] == v) graph_.SetInput(user, i, wide);
      }
    }
    for (size_t i = 0; graph_.is_body && i < graph_.outputs().size(); ++i) {
      if (graph_.outputs()[i] == v) graph_.SetOutput(i, wide);
    }
    ++counts_.casts;
    return absl::OkStatus();
  }

  absl::Status WidenNode(ir::Node* node, ir::Node* next) {
    for (const auto& body : node->bodies) FLOE_TRY(Widener(*body, counts_).Run());
    bool any = false;
    for (const ir::Value* v : node->outputs()) any = any || IsHalf(v);
    if (!any) return absl::OkStatus();
    if (node->op() == OpId::kCast) return WidenCast(node, next);
    for (ir::Value* v : node->outputs()) {
      if (!IsHalf(v)) continue;
      if (node->op() == OpId::kConstantOfShape) {
        node->attrs["value"] = Rounded(node->Float("value"), v->dtype());
      }
      v->set_type(DType::kF32, v->shape());
    }
    ++counts_.nodes;
    return ir::InferNode(graph_, *node);
  }

  // A cast that the model asks for rounds; what it gives is widened again.
  absl::Status WidenCast(ir::Node* cast, ir::Node* next) {
    ir::Value* y = cast->output();
    const bool read = !y->users().empty() || (graph_.is_body && graph_.IsOutput(y));
    return read ? WidenUses(y, next) : absl::OkStatus();
  }

  // Outputs and states have their own types again.
  absl::Status RestoreShown() {
    std::map<std::pair<const ir::Value*, DType>, ir::Value*> casts;  // Only looked up.
    const auto restore = [&](const Shown& shown) -> absl::StatusOr<ir::Value*> {
      if (shown.value->dtype() == shown.dtype) return shown.value;
      ir::Value*& cast = casts[{shown.value, shown.dtype}];
      if (cast == nullptr) {
        FLOE_TRY_ASSIGN(
            cast, Insert(graph_, nullptr, OpId::kCast, {shown.value}, CastTo(shown.dtype),
                         shown.value->name() + "_narrow", shown.value->producer()->provenance));
        ++counts_.casts;
      }
      return cast;
    };
    for (size_t i = 0; i < outputs_.size(); ++i) {
      FLOE_TRY_ASSIGN(ir::Value * v, restore(outputs_[i]));
      graph_.SetOutput(i, v);
    }
    for (size_t i = 0; i < results_.size(); ++i) {
      FLOE_TRY_ASSIGN(ir::Value * v, restore(results_[i]));
      graph_.SetStateResult(i, v);
    }
    return absl::OkStatus();
  }

  ir::Graph& graph_;
  Counts& counts_;
  std::vector<Shown> outputs_, results_;
};

// Casts of a half type to itself round nothing; afterwards they would.
void DropIdleCasts(ir::Graph& graph) {
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    for (const auto& body : node->bodies) DropIdleCasts(*body);
    if (node->op() != OpId::kCast || !IsHalf(node->output())) continue;
    ir::Value* x = node->input(0);
    if (x->dtype() == node->output()->dtype() && CanStandFor(graph, *node, x)) {
      Replace(graph, node, x);
    }
  }
}

bool HasHalf(const ir::Graph& graph) {
  for (const auto& v : graph.values()) {
    if (IsHalf(v.get())) return true;
  }
  for (const auto& node : graph.nodes()) {
    for (const auto& body : node->bodies) {
      if (HasHalf(*body)) return true;
    }
  }
  return false;
}

}  // namespace

absl::Status WidenHalf(ir::Graph& graph, Report& report) {
  // Bodies are widened with the nodes that they belong to.
  if (graph.is_body || !HasHalf(graph)) return absl::OkStatus();
  DropIdleCasts(graph);
  Counts counts;
  FLOE_TRY(Widener(graph, counts).Run());
  report.Add(
      absl::StrFormat("widened %d nodes and %d constants from f16 or bf16 to f32, with %d casts at "
                      "inputs, outputs, "
                      "states and the model's own casts",
                      counts.nodes, counts.constants, counts.casts));
  return absl::OkStatus();
}

}  // namespace floe::passes
