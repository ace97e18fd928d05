// Pointwise fusion: what is left of element-by-element work becomes regions, each one node that
// reads its operands once and keeps everything between in registers. A region grows from its last
// node through producers that nothing else reads and that have the result's shape.
#include <algorithm>
#include <map>

#include "absl/strings/str_format.h"
#include "compiler/ir/shapes.h"
#include "compiler/passes/code_builder.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

struct Region {
  std::vector<ir::Node*> nodes;  // Last one first.

  const ir::Value& result() const { return *nodes.front()->output(); }
};

// The region's program, if it fits into the bytecode's limits and its operands broadcast to the
// result's shape by themselves.
std::optional<std::vector<PwInstr>> Compile(const ir::Graph& graph, const Region& region,
                                            CodeBuilder& builder) {
  for (auto it = region.nodes.rbegin(); it != region.nodes.rend(); ++it) builder.Add(**it);
  std::optional<std::vector<PwInstr>> code = builder.Finish(&region.result());
  if (!code || builder.operands().empty()) return std::nullopt;
  ir::Shape shape;
  for (const ir::Value* operand : builder.operands()) {
    const auto both = ir::BroadcastShapes(graph, shape, operand->shape());
    if (!both.ok()) return std::nullopt;
    shape = *both;
  }
  return shape == region.result().shape() ? code : std::nullopt;
}

class Regions {
 public:
  explicit Regions(const ir::Graph& graph) : graph_(graph) {}

  void Grow() {
    const std::vector<ir::Node*> nodes = graph_.NodeList();
    for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
      if (!IsExpressible(**it)) continue;
      if (!Join(*it)) Start(*it);
    }
  }
  const std::vector<Region>& list() const { return regions_; }

 private:
  // Joins the one region that all readers of the node are in.
  bool Join(ir::Node* node) {
    const ir::Value* y = node->output();
    if (graph_.IsOutput(y) || y->users().empty()) return false;
    const auto first = region_of_.find(y->users().front());
    if (first == region_of_.end()) return false;
    for (const ir::Node* user : y->users()) {
      const auto it = region_of_.find(user);
      if (it == region_of_.end() || it->second != first->second) return false;
    }
    Region& region = regions_[first->second];
    if (y->shape() != region.result().shape()) return false;
    region.nodes.push_back(node);
    CodeBuilder builder;
    if (!Compile(graph_, region, builder)) {
      region.nodes.pop_back();
      return false;
    }
    region_of_[node] = first->second;
    return true;
  }

  void Start(ir::Node* node) {
    Region region{{node}};
    CodeBuilder builder;
    if (!Compile(graph_, region, builder)) return;
    region_of_[node] = regions_.size();
    regions_.push_back(std::move(region));
  }

  const ir::Graph& graph_;
  std::vector<Region> regions_;
  std::map<const ir::Node*, size_t> region_of_;  // Looked up only.
};

absl::Status Emit(ir::Graph& graph, const Region& region, Report& report) {
  CodeBuilder builder;
  std::optional<std::vector<PwInstr>> code = Compile(graph, region, builder);
  if (!code) return absl::InternalError("a pointwise region does not compile twice");
  ir::Node* last = region.nodes.front();
  const std::string name = last->output()->name();
  ir::Node* node = graph.AddNode(OpId::kPointwise, builder.operands(), {name},
                                 region.nodes.back()->provenance, last);
  node->code = *std::move(code);
  node->output()->set_type(last->output()->dtype(), last->output()->shape());
  FLOE_TRY(ir::InferNode(graph, *node));
  if (region.nodes.size() > 1) {
    report.Add(
        absl::StrFormat("joined %d pointwise nodes up to %s", region.nodes.size(), NameOf(*last)));
  }
  graph.ReplaceAllUses(last->output(), node->output());
  for (ir::Node* inner : region.nodes) graph.Erase(inner);
  graph.Rename(node->output(), name);
  return absl::OkStatus();
}

}  // namespace

absl::Status FusePointwise(ir::Graph& graph, Report& report) {
  Regions regions(graph);
  regions.Grow();
  for (const Region& region : regions.list()) FLOE_TRY(Emit(graph, region, report));
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
