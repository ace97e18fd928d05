// Operators that take graphs: branches, loops, maps, scans, and regions that are walked in place.
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torch_export/importer.h"
#include "compiler/import/torch_export/mutations.h"
#include "compiler/import/torch_export/sym_ops.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_export {

using aten::IValue;
using ArgKind = Argument::Kind;
using Values = Importer::Values;

namespace {

constexpr int kMaxDepth = 30;
// Steps of a scan or a map, which are written out.
constexpr int64_t kMaxSteps = 4096;

// What ends a graph in which something is unsupported; it has been noted.
absl::Status Unknown() { return absl::CancelledError("unsupported"); }

const Graph* GraphAt(const Node& node, size_t i) {
  return i < node.inputs.size() ? node.inputs[i].arg.graph.get() : nullptr;
}

// The names of a graph's outputs, lists opened.
void Flatten(const Values& values, Values* flat) {
  for (const IValue& v : values) {
    if (v.is_sequence()) {
      Flatten(v.items(), flat);
    } else {
      flat->push_back(v);
    }
  }
}

absl::StatusOr<IValue> CallOne(aten::Context& context, const char* op, Values arguments,
                               const aten::CallSite& site) {
  aten::CallArguments call;
  call.positional = std::move(arguments);
  Values results;
  FLOE_TRY(context.Call(op, call, site, &results));
  if (results.empty()) return absl::InternalError("an operation without a result");
  return results[0];
}

}  // namespace

absl::StatusOr<Values> Importer::RunGraph(const Graph& graph, const Values& arguments,
                                          const Node& node, Scope& outer) {
  if (outer.depth >= kMaxDepth) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("graphs are nested over %d deep", kMaxDepth));
  }
  if (arguments.size() != graph.inputs.size()) {
    return absl::InvalidArgumentError(absl::StrFormat("a graph of %d inputs gets %d values",
                                                      graph.inputs.size(), arguments.size()));
  }
  Scope scope;
  scope.graph = &graph;
  scope.depth = outer.depth + 1;
  scope.prefix = outer.prefix + SiteOf(node, outer).name.substr(outer.prefix.size()) + "/";
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (graph.inputs[i].kind != ArgKind::kName) continue;
    FLOE_TRY(Define(graph.inputs[i].text, {arguments[i]}, node, scope));
  }
  FLOE_TRY(RunNodes(scope));
  Values results;
  bool unknown = false;
  for (const Argument& output : graph.outputs) {
    FLOE_TRY_ASSIGN(IValue value, ToValue(output, scope, &unknown));
    results.push_back(std::move(value));
  }
  if (unknown) return Unknown();
  return results;
}

absl::StatusOr<Values> Importer::OperandList(const Node& node, size_t i, Scope& scope) {
  if (i >= node.inputs.size()) return Values();
  bool unknown = false;
  FLOE_TRY_ASSIGN(const IValue value, ToValue(node.inputs[i].arg, scope, &unknown));
  if (unknown) return Unknown();
  if (value.is_sequence()) return value.items();
  return Values{value};
}

absl::Status Importer::RunCond(const Node& node, Scope& scope) {
  const Graph* const then_graph = GraphAt(node, 1);
  const Graph* const else_graph = GraphAt(node, 2);
  if (then_graph == nullptr || else_graph == nullptr) {
    return absl::InvalidArgumentError("its second and third argument are no graphs");
  }
  FLOE_TRY_ASSIGN(const Values condition, OperandList(node, 0, scope));
  FLOE_TRY_ASSIGN(const Values operands, OperandList(node, 3, scope));
  if (condition.size() != 1) return absl::InvalidArgumentError("it has no condition");
  const aten::CallSite site = SiteOf(node, scope);
  IValue test = condition[0];
  if (test.is_tensor()) {  // One element; the IR wants a scalar.
    FLOE_TRY_ASSIGN(test, CallOne(context_, "aten::reshape", {test, IValue::Ints({})}, site));
  }
  FLOE_TRY_ASSIGN(const Values results,
                  context_.If(
                      test, [&] { return RunGraph(*then_graph, operands, node, scope); },
                      [&] { return RunGraph(*else_graph, operands, node, scope); }, site));
  Values flat;
  Flatten(results, &flat);
  return DefineResults(node, flat, scope);
}

absl::Status Importer::RunWhileLoop(const Node& node, Scope& scope) {
  const Graph* const condition = GraphAt(node, 0);
  const Graph* const body = GraphAt(node, 1);
  if (condition == nullptr || body == nullptr) {
    return absl::InvalidArgumentError("its first two arguments are no graphs");
  }
  FLOE_TRY_ASSIGN(const Values carried, OperandList(node, 2, scope));
  FLOE_TRY_ASSIGN(const Values additional, OperandList(node, 3, scope));
  const aten::CallSite site = SiteOf(node, scope);
  const auto with_additional = [&](const Values& values) {
    Values all = values;
    all.insert(all.end(), additional.begin(), additional.end());
    return all;
  };
  const auto test = [&](const Values& values) -> absl::StatusOr<IValue> {
    FLOE_TRY_ASSIGN(Values results, RunGraph(*condition, with_additional(values), node, scope));
    if (results.size() != 1) return absl::InvalidArgumentError("its condition is no single value");
    if (!results[0].is_tensor()) return results[0];
    return CallOne(context_, "aten::reshape", {results[0], IValue::Ints({})}, site);
  };
  FLOE_TRY_ASSIGN(const IValue first, test(carried));
  const auto step = [&](const IValue&,
                        const Values& values) -> absl::StatusOr<aten::Context::LoopStep> {
    aten::Context::LoopStep result;
    FLOE_TRY_ASSIGN(const Values next, RunGraph(*body, with_additional(values), node, scope));
    Flatten(next, &result.carried);
    FLOE_TRY_ASSIGN(result.condition, test(result.carried));
    return result;
  };
  FLOE_TRY_ASSIGN(const Values results, context_.Loop(IValue(), first, carried, step, site));
  return DefineResults(node, results, scope);
}

// Operands whose slices along the first axis a graph is applied to; all of one length.
absl::Status CheckSteps(const std::vector<ir::Dim>& lengths, int64_t* steps) {
  if (lengths.empty()) return absl::InvalidArgumentError("it has nothing to go over");
  for (const ir::Dim& length : lengths) {
    if (!length.is_constant()) {
      return absl::UnimplementedError(
          "a scan or map over an axis of dynamic length; fix it with --shape or --dim");
    }
    if (!(length == lengths[0])) return absl::InvalidArgumentError("its inputs differ in length");
  }
  *steps = lengths[0].constant();
  if (*steps > kMaxSteps) {
    return absl::UnimplementedError(
        absl::StrFormat("a scan or map of %d steps; up to %d are supported", *steps, kMaxSteps));
  }
  return absl::OkStatus();
}

// map_impl(graph, [xs...], [others...]): the graph for each slice, results stacked.
absl::Status Importer::RunMap(const Node& node, Scope& scope) {
  const Graph* const body = GraphAt(node, 0);
  if (body == nullptr) return absl::InvalidArgumentError("its first argument is no graph");
  FLOE_TRY_ASSIGN(const Values xs, OperandList(node, 1, scope));
  FLOE_TRY_ASSIGN(const Values others, OperandList(node, 2, scope));
  const aten::CallSite site = SiteOf(node, scope);
  std::vector<ir::Dim> lengths;
  for (const IValue& x : xs) {
    if (!x.is_tensor()) return absl::InvalidArgumentError("it maps over what is no tensor");
    FLOE_TRY_ASSIGN(const ir::Value* value, context_.Read(x.variable()));
    if (value->rank() == 0) return absl::InvalidArgumentError("it maps over a scalar");
    lengths.push_back(value->shape()[0]);
  }
  int64_t steps = 0;
  FLOE_TRY(CheckSteps(lengths, &steps));
  if (steps == 0) return absl::UnimplementedError("a map over an empty axis");
  std::vector<Values> rows;
  for (int64_t i = 0; i < steps; ++i) {
    Values arguments;
    for (const IValue& x : xs) {
      FLOE_TRY_ASSIGN(IValue row, CallOne(context_, "aten::select.int",
                                          {x, IValue::Int(0), IValue::Int(i)}, site));
      arguments.push_back(std::move(row));
    }
    arguments.insert(arguments.end(), others.begin(), others.end());
    FLOE_TRY_ASSIGN(const Values results, RunGraph(*body, arguments, node, scope));
    Values flat;
    Flatten(results, &flat);
    rows.resize(flat.size());
    for (size_t j = 0; j < flat.size(); ++j) rows[j].push_back(flat[j]);
  }
  Values stacked;
  for (Values& row : rows) {
    const IValue list = IValue::ListOf(std::move(row), aten::Kind::kTensor);
    FLOE_TRY_ASSIGN(IValue all, CallOne(context_, "aten::stack", {list, IValue::Int(0)}, site));
    stacked.push_back(std::move(all));
  }
  return DefineResults(node, stacked, scope);
}

// scan(graph, [init...], [xs...], [additional...]), in 2.6 with (dim, reverse) before the last: the
// graph gets (carry..., row..., additional...) and gives (carry..., out...).
absl::Status Importer::RunScan(const Node& node, Scope& scope) {
  const Graph* const body = GraphAt(node, 0);
  if (body == nullptr) return absl::InvalidArgumentError("its first argument is no graph");
  FLOE_TRY_ASSIGN(Values carry, OperandList(node, 1, scope));
  FLOE_TRY_ASSIGN(const Values xs, OperandList(node, 2, scope));
  int64_t dim = 0;
  bool reverse = false;
  size_t additional_at = 3;
  if (node.inputs.size() > 4) {
    if (node.inputs[3].arg.kind != ArgKind::kInt || node.inputs[4].arg.kind != ArgKind::kBool) {
      return absl::UnimplementedError("a scan with arguments that are not known");
    }
    dim = node.inputs[3].arg.integer;
    reverse = node.inputs[4].arg.integer != 0;
    additional_at = 5;
  }
  FLOE_TRY_ASSIGN(const Values additional, OperandList(node, additional_at, scope));
  const aten::CallSite site = SiteOf(node, scope);
  std::vector<ir::Dim> lengths;
  for (const IValue& x : xs) {
    if (!x.is_tensor()) return absl::InvalidArgumentError("it scans over what is no tensor");
    FLOE_TRY_ASSIGN(const ir::Value* value, context_.Read(x.variable()));
    const auto rank = static_cast<int64_t>(value->rank());
    if (dim < 0 || dim >= rank) return absl::InvalidArgumentError("it scans over a missing axis");
    lengths.push_back(value->shape()[static_cast<size_t>(dim)]);
  }
  int64_t steps = 0;
  FLOE_TRY(CheckSteps(lengths, &steps));
  if (steps == 0) return absl::UnimplementedError("a scan over an empty axis");
  std::vector<Values> rows;
  for (int64_t i = 0; i < steps; ++i) {
    Values arguments = carry;
    for (const IValue& x : xs) {
      const int64_t at = reverse ? steps - 1 - i : i;
      FLOE_TRY_ASSIGN(IValue row, CallOne(context_, "aten::select.int",
                                          {x, IValue::Int(dim), IValue::Int(at)}, site));
      arguments.push_back(std::move(row));
    }
    arguments.insert(arguments.end(), additional.begin(), additional.end());
    FLOE_TRY_ASSIGN(const Values results, RunGraph(*body, arguments, node, scope));
    Values flat;
    Flatten(results, &flat);
    if (flat.size() < carry.size()) {
      return absl::InvalidArgumentError("its graph gives fewer values than it carries");
    }
    const auto split = flat.begin() + static_cast<ptrdiff_t>(carry.size());
    rows.resize(flat.size() - carry.size());
    for (size_t j = 0; j < rows.size(); ++j) rows[j].push_back(split[static_cast<ptrdiff_t>(j)]);
    carry.assign(flat.begin(), split);
  }
  Values all = carry;
  for (Values& row : rows) {
    if (reverse) row = Values(row.rbegin(), row.rend());
    const IValue list = IValue::ListOf(std::move(row), aten::Kind::kTensor);
    FLOE_TRY_ASSIGN(IValue out, CallOne(context_, "aten::stack", {list, IValue::Int(0)}, site));
    all.push_back(std::move(out));
  }
  return DefineResults(node, all, scope);
}

// A region that is a graph for the exporter's sake: operands follow the graph.
absl::Status Importer::RunInline(const Node& node, size_t graph_at, Scope& scope) {
  const Graph* const body = GraphAt(node, graph_at);
  if (body == nullptr) return absl::InvalidArgumentError("it has no graph");
  Values operands;
  for (size_t i = graph_at + 1; i < node.inputs.size(); ++i) {
    if (node.inputs[i].arg.kind == ArgKind::kString) continue;  // invoke_subgraph's identifier.
    FLOE_TRY_ASSIGN(const Values values, OperandList(node, i, scope));
    operands.insert(operands.end(), values.begin(), values.end());
  }
  FLOE_TRY_ASSIGN(const Values results, RunGraph(*body, operands, node, scope));
  Values flat;
  Flatten(results, &flat);
  return DefineResults(node, flat, scope);
}

// What is in a graph that cannot be walked, judged by the names of its ops.
absl::Status Importer::CheckByName(const Graph& graph, const Scope& scope) {
  for (const Node& node : graph.nodes) {
    const std::string name = OperatorName(node.target);
    ++op_counts_[name.empty() ? node.target : name];
    for (const NamedArgument& input : node.inputs) {
      if (input.arg.graph != nullptr) FLOE_TRY(CheckByName(*input.arg.graph, scope));
    }
    const bool known = name.empty()
                           ? IsSymOp(node.target)
                           : name.starts_with("higher_order::") || aten::Context::IsSupported(name);
    if (!known) Refuse(node, name.empty() ? node.target : name, "has no mapping", scope);
  }
  return absl::OkStatus();
}

absl::Status Importer::RunHigherOrder(const Node& node, const std::string& name, Scope& scope) {
  const bool was_in_autocast = in_autocast_;
  absl::Status status;
  bool known = true;
  if (name == "higher_order::cond") {
    status = RunCond(node, scope);
  } else if (name == "higher_order::while_loop") {
    status = RunWhileLoop(node, scope);
  } else if (name == "higher_order::map_impl" || name == "higher_order::map") {
    status = RunMap(node, scope);
  } else if (name == "higher_order::scan") {
    status = RunScan(node, scope);
  } else if (name == "higher_order::wrap_with_set_grad_enabled") {
    status = RunInline(node, 1, scope);
  } else if (name == "higher_order::wrap_with_autocast") {
    // (device, dtype, enabled, cache_enabled, graph, operands...)
    if (node.inputs.size() > 2) in_autocast_ = node.inputs[2].arg.integer != 0;
    status = RunInline(node, 4, scope);
  } else if (name == "higher_order::invoke_subgraph" || name == "higher_order::strict_mode" ||
             name == "higher_order::tag_activation_checkpoint" || name == "higher_order::wrap") {
    status = RunInline(node, 0, scope);
  } else {
    known = false;
  }
  in_autocast_ = was_in_autocast;
  if (status.ok() && known) return status;
  if (known && !absl::IsUnimplemented(status) && !absl::IsCancelled(status)) {
    return At(status, node, scope);
  }
  if (!absl::IsCancelled(status)) {
    const std::string reason = known ? std::string(status.message()) : "has no mapping";
    Refuse(node, name, reason, scope);
    for (const NamedArgument& input : node.inputs) {
      if (input.arg.graph != nullptr) FLOE_TRY(CheckByName(*input.arg.graph, scope));
    }
  }
  return DefineUnknown(node, scope);
}

}  // namespace floe::torch_export
