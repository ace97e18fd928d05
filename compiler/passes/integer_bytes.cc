// Functions of bytes alone: a mean between dequantize and quantize becomes a pool of bytes, and any
// pointwise work on one quantised tensor a table of its 256 results.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_format.h"
#include "backends/families/quantized.h"
#include "compiler/ir/evaluate.h"
#include "compiler/passes/integer_edges.h"
#include "format/checked.h"

namespace floe::passes {
namespace {

constexpr int64_t kBytes = 256;

bool FullBytes(const Edge& e) { return e.dtype == DType::kU8 && e.min == 0 && e.max == kBytes - 1; }

// --- means ---------------------------------------------------------------------------------------

// The window of a mean over both axes of an image, or of an average pool; absent otherwise.
std::optional<Attrs> MeanWindow(const ir::Node& node) {
  const ir::Value* x = node.input(0);
  if (x->rank() != 4) return std::nullopt;
  if (node.op() == OpId::kAvgPool) return node.attrs;
  if (node.op() != OpId::kReduce || node.Int("kind") != static_cast<int64_t>(ReduceKind::kMean) ||
      node.Ints("axes") != std::vector<int64_t>{2, 3} || !x->shape()[2].is_constant() ||
      !x->shape()[3].is_constant() || x->shape()[2] == ir::Dim(0) || x->shape()[3] == ir::Dim(0)) {
    return std::nullopt;
  }
  Attrs attrs;
  attrs["kernel"] = std::vector<int64_t>{x->shape()[2].constant(), x->shape()[3].constant()};
  attrs["strides"] = attrs["dilations"] = std::vector<int64_t>{1, 1};
  attrs["pads"] = std::vector<int64_t>{0, 0, 0, 0};
  attrs["ceil_mode"] = attrs["count_include_pad"] = int64_t{0};
  return attrs;
}

// dequantize -> mean -> quantize, which is `last`.
absl::StatusOr<bool> FuseMean(ir::Graph& graph, ir::Node* last, const Edge& edge, Report& report) {
  const ir::Node* node = last->input(0)->producer();
  if (node == nullptr || !FullBytes(edge) || !HasOneUse(graph, last->input(0)) ||
      (node->op() != OpId::kAvgPool && node->op() != OpId::kReduce)) {
    return false;
  }
  const std::optional<Edge> from = DequantizedBy(node->input(0));
  std::optional<Attrs> attrs = MeanWindow(*node);
  if (!from || from->dtype != DType::kU8 || !attrs) return false;
  // What the kernel takes (CheckQPool).
  const float ratio = from->scale / edge.scale;
  const std::vector<int64_t>& kernel = std::get<std::vector<int64_t>>((*attrs)["kernel"]);
  int64_t taps = 0;
  if (!(ratio > 0) || !std::isfinite(ratio) || !CheckedMul(kernel[0], kernel[1], &taps) ||
      taps > families::kMostQPoolTaps) {
    return false;
  }
  (*attrs)["x_zero"] = int64_t{from->zero};
  (*attrs)["y_zero"] = int64_t{edge.zero};
  (*attrs)["ratio"] = static_cast<double>(ratio);
  const std::string name = node->output()->name();
  FLOE_TRY_ASSIGN(ir::Value * y, Insert(graph, last, OpId::kQAvgPool, {from->integers},
                                        *std::move(attrs), name + "_integers", node->provenance));
  if (y->shape() != last->output()->shape()) {
    FLOE_TRY_ASSIGN(y, InsertTyped(graph, last, OpId::kReshape, {y}, {}, name + "_flat",
                                   node->provenance, DType::kU8, last->output()->shape()));
  }
  report.Add(NameOf(*node) + ": a mean of u8 to u8");
  Replace(graph, last, y);
  return true;
}

// --- tables --------------------------------------------------------------------------------------

// Ops whose result at a place depends on their operands there alone, in f32.
bool IsFunction(OpId op) {
  switch (op) {
    case OpId::kAdd:
    case OpId::kSub:
    case OpId::kMul:
    case OpId::kDiv:
    case OpId::kPow:
    case OpId::kMinimum:
    case OpId::kMaximum:
    case OpId::kNeg:
    case OpId::kAbs:
    case OpId::kSqrt:
    case OpId::kRsqrt:
    case OpId::kReciprocal:
    case OpId::kExp:
    case OpId::kLog:
    case OpId::kErf:
    case OpId::kRelu:
    case OpId::kLeakyRelu:
    case OpId::kElu:
    case OpId::kSelu:
    case OpId::kCelu:
    case OpId::kSigmoid:
    case OpId::kHardSigmoid:
    case OpId::kHardSwish:
    case OpId::kTanh:
    case OpId::kSoftplus:
    case OpId::kSoftsign:
    case OpId::kGelu:
    case OpId::kSilu:
    case OpId::kMish:
    case OpId::kThresholdedRelu:
    case OpId::kClamp:
      return true;
    default:
      return false;
  }
}

// What `last`, a quantize, is as a function of one tensor of u8.
class Function {
 public:
  explicit Function(ir::Node* last) : last_(last) {}

  // False if it is none: of more than one tensor, of something else than u8, or too long.
  bool Find() { return Walk(last_->input(0)) && source_ != nullptr; }
  ir::Value* source() const { return source_; }
  // Whether nothing else needs what lies between.
  bool Owns(const ir::Graph& graph) const {
    for (const ir::Node* node : nodes_) {
      if (node->op() == OpId::kDequantize || node->op() == OpId::kLookup) continue;
      if (graph.IsOutput(node->output())) return false;
      for (const ir::Node* user : node->output()->users()) {
        if (user != last_ && seen_.count(user) == 0) return false;
      }
    }
    return true;
  }
  size_t length() const { return nodes_.size(); }

  // Its value for every byte.
  absl::StatusOr<ir::Tensor> Table() const {
    ir::Graph graph;
    std::map<const ir::Value*, ir::Value*> values;
    values[source_] = graph.AddInput("x", DType::kU8, {ir::Dim(kBytes)});
    std::vector<ir::Node*> nodes = nodes_;
    nodes.push_back(last_);
    for (const ir::Node* node : nodes) {
      std::vector<ir::Value*> inputs;
      for (const ir::Value* v : node->inputs()) {
        ir::Value*& mapped = values[v];
        if (mapped == nullptr && v != nullptr) {
          const ir::Tensor& t = v->constant();
          mapped = graph.AddConstant(v->name(), t.count() == 1 ? t.WithDims({}) : t);
        }
        inputs.push_back(mapped);
      }
      FLOE_TRY_ASSIGN(values[node->output()],
                      Insert(graph, nullptr, node->op(), std::move(inputs), node->attrs,
                             node->output()->name(), node->provenance));
    }
    graph.AddOutput(values[last_->output()], "y");
    ir::Tensor x(DType::kU8, {kBytes});
    for (int64_t i = 0; i < kBytes; ++i) x.SetInt(i, i);
    FLOE_TRY_ASSIGN(const std::vector<ir::Tensor> y, ir::Evaluate(graph, {&x, 1}));
    return y[0];
  }

 private:
  // Collects what makes `value`, producers first.
  bool Walk(ir::Value* value) {
    constexpr size_t kMost = 24;
    ir::Node* node = value->producer();
    if (node == nullptr || seen_.size() >= kMost) return false;
    if (seen_.count(node) > 0) return true;
    seen_.insert(node);
    if (const std::optional<Edge> edge = EdgeOf(node)) {
      if (node->op() != OpId::kDequantize || edge->dtype != DType::kU8) return false;
      ir::Node* table = ProducedBy(edge->integers, OpId::kLookup);
      if (table == nullptr) {
        if (!IsSource(edge->integers)) return false;
      } else if (seen_.insert(table).second) {
        if (!IsSource(table->input(0))) return false;
        nodes_.push_back(table);
      }
    } else {
      if (!IsFunction(node->op()) || !node->code.empty()) return false;
      for (ir::Value* v : node->inputs()) {
        const bool number = v != nullptr && v->is_constant() && v->constant().count() == 1;
        if (!number && (v == nullptr || !Walk(v))) return false;
      }
    }
    nodes_.push_back(node);
    return value->dtype() == DType::kF32 && value->shape() == last_->output()->shape();
  }

  bool IsSource(ir::Value* integers) {
    if (source_ == nullptr) source_ = integers;
    return source_ == integers;
  }

  ir::Node* last_;
  ir::Value* source_ = nullptr;
  std::set<const ir::Node*> seen_;
  std::vector<ir::Node*> nodes_;  // In an order in which they can run.
};

absl::StatusOr<bool> FuseTable(ir::Graph& graph, ir::Node* last, const Edge& edge, Report& report) {
  Function function(last);
  if (edge.dtype != DType::kU8 || !function.Find() || !function.Owns(graph)) return false;
  // What has just been quantised joins the region of floats that it comes from.
  if (ProducedBy(function.source(), OpId::kQuantize) != nullptr) return false;
  FLOE_TRY_ASSIGN(ir::Tensor table, function.Table());
  const std::string name = last->output()->name();
  FLOE_TRY_ASSIGN(ir::Value * y,
                  Insert(graph, last, OpId::kLookup,
                         {function.source(), graph.AddConstant(name + "_table", std::move(table))},
                         {}, name + "_lookup", last->provenance));
  report.Add(absl::StrFormat("%s: %d nodes on u8 are a table", NameOf(*last), function.length()));
  Replace(graph, last, y);
  return true;
}

}  // namespace

absl::Status FuseByteFunctions(ir::Graph& graph, Report& report) {
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if (node->op() != OpId::kQuantize) continue;
    const std::optional<Edge> edge = EdgeOf(node);
    if (!edge) continue;
    FLOE_TRY_ASSIGN(const bool done, FuseMean(graph, node, *edge, report));
    if (done) continue;
    FLOE_TRY(FuseTable(graph, node, *edge, report).status());
  }
  return absl::OkStatus();
}

}  // namespace floe::passes
