#include "compiler/import/torch_export/mutations.h"

#include <map>
#include <vector>

#include "compiler/import/aten/ops.h"
#include "compiler/import/aten/schema.h"

namespace floe::torch_export {
namespace {

using Names = std::vector<std::string>;

void CollectNames(const Argument& arg, Names* names) {
  if (arg.kind == Argument::Kind::kName) names->push_back(arg.text);
  for (const Argument& item : arg.items) CollectNames(item, names);
}

// What each name may share memory with: a graph input, or empty.
class Analysis {
 public:
  explicit Analysis(const Graph& graph) : graph_(graph) {}

  void Run() {
    for (const Argument& input : graph_.inputs) {
      if (input.kind == Argument::Kind::kName) roots_[input.text] = input.text;
    }
    for (const Node& node : graph_.nodes) {
      const std::string op = OperatorName(node.target);
      if (op.empty() || op.starts_with("higher_order::")) {
        VisitHigherOrder(node);
      } else if (const aten::Schema* schema = aten::FindSchema(op)) {
        VisitCall(node, *schema);
      }
    }
  }
  const std::set<std::string>& mutated() const { return mutated_; }
  std::string Root(const std::string& name) const {
    const auto it = roots_.find(name);
    return it == roots_.end() ? "" : it->second;
  }

 private:
  void VisitCall(const Node& node, const aten::Schema& schema) {
    std::string shared;  // The root that the results share.
    const aten::Row* row = aten::FindRow(schema);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      Names names;
      CollectNames(node.inputs[i].arg, &names);
      const aten::Argument* formal = schema.Find(node.inputs[i].name);
      for (const std::string& name : names) {
        const std::string root = Root(name);
        if (root.empty()) continue;
        if (formal != nullptr && formal->written) {
          mutated_.insert(root);
          shared = root;
        } else if (i == 0 && row != nullptr && row->is_view) {
          shared = root;
        }
      }
    }
    if (shared.empty()) return;
    Names results;
    for (const Argument& output : node.outputs) CollectNames(output, &results);
    for (const std::string& name : results) roots_[name] = shared;
  }

  void VisitHigherOrder(const Node& node) {
    Names operands, results;
    bool after_graph = false;
    for (const NamedArgument& input : node.inputs) {
      if (input.arg.kind == Argument::Kind::kGraph) {
        after_graph = true;
      } else if (after_graph) {
        CollectNames(input.arg, &operands);
      }
    }
    for (const Argument& output : node.outputs) CollectNames(output, &results);
    for (const NamedArgument& input : node.inputs) {
      if (input.arg.graph == nullptr) continue;
      const Graph& body = *input.arg.graph;
      Analysis inner(body);
      inner.Run();
      const auto outer_root = [&](const std::string& inner_name) -> std::string {
        for (size_t i = 0; i < body.inputs.size() && i < operands.size(); ++i) {
          if (body.inputs[i].text == inner_name) return Root(operands[i]);
        }
        return "";
      };
      for (const std::string& name : inner.mutated()) {
        const std::string root = outer_root(name);
        if (!root.empty()) mutated_.insert(root);
      }
      // What a wrapped region returns may be what it was given.
      Names returned;
      for (const Argument& output : body.outputs) CollectNames(output, &returned);
      for (size_t i = 0; i < returned.size() && i < results.size(); ++i) {
        const std::string root = outer_root(inner.Root(returned[i]));
        if (!root.empty()) roots_[results[i]] = root;
      }
    }
  }

  const Graph& graph_;
  std::map<std::string, std::string> roots_;
  std::set<std::string> mutated_;
};

}  // namespace

std::string OperatorName(const std::string& target) {
  constexpr std::string_view kPrefix = "torch.ops.";
  if (!target.starts_with(kPrefix)) return "";
  const size_t begin = kPrefix.size();
  const size_t ns_end = target.find('.', begin);
  if (ns_end == std::string::npos) return "";
  std::string name = target.substr(begin, ns_end - begin) + "::";
  const size_t dot = target.rfind('.');
  if (dot == ns_end) return name + target.substr(ns_end + 1);  // A higher-order op.
  name += target.substr(ns_end + 1, dot - ns_end - 1);
  const std::string overload = target.substr(dot + 1);
  return overload == "default" ? name : name + "." + overload;
}

std::set<std::string> MutatedInputs(const Graph& graph) {
  Analysis analysis(graph);
  analysis.Run();
  return analysis.mutated();
}

}  // namespace floe::torch_export
