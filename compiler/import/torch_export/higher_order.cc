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
// Up to so many steps of a scan or a map are written out; more, or an unknown number, are a loop.
constexpr int64_t kMaxSteps = 64;

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

// The row of `x` at an index that is known, or at a tensor of one index.
static absl::StatusOr<IValue> RowAt(aten::Context& context, const IValue& x, int64_t dim,
                                    const IValue& index, const aten::CallSite& site) {
  if (!index.is_tensor()) {
    return CallOne(context, "aten::select.int", {x, IValue::Int(dim), index}, site);
  }
  FLOE_TRY_ASSIGN(IValue row,
                  CallOne(context, "aten::index_select", {x, IValue::Int(dim), index}, site));
  return CallOne(context, "aten::squeeze.dim", {row, IValue::Int(dim)}, site);
}

absl::StatusOr<ir::Dim> Importer::StepCount(const Steps& steps) {
  std::optional<ir::Dim> length;
  for (const IValue& x : steps.xs) {
    if (!x.is_tensor()) return absl::InvalidArgumentError("it goes over what is no tensor");
    FLOE_TRY_ASSIGN(const ir::Value* value, context_.Read(x.variable()));
    if (steps.dim < 0 || steps.dim >= static_cast<int64_t>(value->rank())) {
      return absl::InvalidArgumentError("it goes over an axis that its input has not");
    }
    const ir::Dim& d = value->shape()[static_cast<size_t>(steps.dim)];
    if (length && !(*length == d)) {
      return absl::InvalidArgumentError("its inputs differ in length");
    }
    length = d;
  }
  if (!length) return absl::InvalidArgumentError("it has nothing to go over");
  return *length;
}

// One step: the values that are carried on, and the rows of the outputs.
absl::Status Importer::RunStep(const Node& node, const Steps& steps, const IValue& index,
                               Values* carry, Values* rows, Scope& scope) {
  const aten::CallSite site = SiteOf(node, scope);
  Values arguments = *carry;
  for (const IValue& x : steps.xs) {
    FLOE_TRY_ASSIGN(IValue row, RowAt(context_, x, steps.dim, index, site));
    arguments.push_back(std::move(row));
  }
  arguments.insert(arguments.end(), steps.others.begin(), steps.others.end());
  FLOE_TRY_ASSIGN(const Values results, RunGraph(*steps.body, arguments, node, scope));
  Values flat;
  Flatten(results, &flat);
  if (flat.size() < carry->size()) {
    return absl::InvalidArgumentError("its graph gives fewer values than it carries");
  }
  const auto split = flat.begin() + static_cast<ptrdiff_t>(carry->size());
  rows->assign(split, flat.end());
  carry->assign(flat.begin(), split);
  return absl::OkStatus();
}

absl::Status Importer::RunUnrolled(const Node& node, const Steps& steps, int64_t count,
                                   Scope& scope) {
  Values carry = steps.carry;
  std::vector<Values> columns;
  for (int64_t i = 0; i < count; ++i) {
    Values rows;
    const IValue index = IValue::Int(steps.reverse ? count - 1 - i : i);
    FLOE_TRY(RunStep(node, steps, index, &carry, &rows, scope));
    columns.resize(rows.size());
    for (size_t j = 0; j < rows.size(); ++j) columns[j].push_back(rows[j]);
  }
  Values all = carry;
  for (Values& column : columns) {
    if (steps.reverse) column = Values(column.rbegin(), column.rend());
    const IValue list = IValue::ListOf(std::move(column), aten::Kind::kTensor);
    FLOE_TRY_ASSIGN(IValue out,
                    CallOne(context_, "aten::stack", {list, IValue::Int(0)}, SiteOf(node, scope)));
    all.push_back(std::move(out));
  }
  return DefineResults(node, all, scope);
}

// A tensor of zeros of the type that the file states for a result: a loop writes its rows.
absl::StatusOr<IValue> Importer::StatedZeros(const std::string& name, const aten::CallSite& site,
                                             const Scope& scope) {
  const auto it = scope.graph->tensor_values.find(name);
  if (it == scope.graph->tensor_values.end()) {
    return absl::UnimplementedError("a loop over results whose type the file does not state");
  }
  Values sizes;
  for (const SymInt& size : it->second.sizes) {
    const std::optional<ir::Dim> dim = symbols_.Find(size);
    if (!dim) return absl::UnimplementedError("a loop over results whose size depends on data");
    sizes.push_back(IValue::Int(*dim));
  }
  aten::CallArguments call;
  call.positional = {IValue::ListOf(std::move(sizes), aten::Kind::kInt)};
  call.keyword = {{"dtype", IValue::Int(static_cast<int64_t>(it->second.dtype))}};
  Values results;
  FLOE_TRY(context_.Call("aten::zeros", call, site, &results));
  return results.at(0);
}

absl::Status Importer::RunStepLoop(const Node& node, const Steps& steps, const ir::Dim& count,
                                   Scope& scope) {
  const aten::CallSite site = SiteOf(node, scope);
  std::vector<std::string> names;
  for (const Argument& output : node.outputs) {
    if (output.kind == ArgKind::kName) names.push_back(output.text);
    for (const Argument& item : output.items) names.push_back(item.text);
  }
  Values carried = steps.carry;
  for (size_t i = steps.carry.size(); i < names.size(); ++i) {
    FLOE_TRY_ASSIGN(IValue zeros, StatedZeros(names[i], site, scope));
    carried.push_back(std::move(zeros));
  }
  const auto step = [&](const IValue& iteration,
                        const Values& values) -> absl::StatusOr<aten::Context::LoopStep> {
    IValue at = iteration;
    if (steps.reverse) {
      const std::optional<ir::Dim> last = ir::Dim::Sub(count, 1);
      if (!last) return absl::InvalidArgumentError("a length overflows");
      FLOE_TRY_ASSIGN(at,
                      CallSymOp(context_, "_operator.sub", {IValue::Int(*last), iteration}, site));
    }
    FLOE_TRY_ASSIGN(const IValue index,
                    CallOne(context_, "aten::reshape",
                            {IValue::Tensor(at.variable()), IValue::Ints({1})}, site));
    const auto split = values.begin() + static_cast<ptrdiff_t>(steps.carry.size());
    Values carry(values.begin(), split), rows;
    FLOE_TRY(RunStep(node, steps, index, &carry, &rows, scope));
    if (rows.size() != values.size() - carry.size()) {
      return absl::InvalidArgumentError("its graph gives another number of values than it has");
    }
    aten::Context::LoopStep next{IValue::Bool(true), std::move(carry)};
    for (size_t j = 0; j < rows.size(); ++j) {
      FLOE_TRY_ASSIGN(const IValue row,
                      CallOne(context_, "aten::unsqueeze", {rows[j], IValue::Int(0)}, site));
      FLOE_TRY_ASSIGN(
          IValue out,
          CallOne(context_, "aten::index_copy",
                  {split[static_cast<ptrdiff_t>(j)], IValue::Int(0), index, row}, site));
      next.carried.push_back(std::move(out));
    }
    return next;
  };
  FLOE_TRY_ASSIGN(const Values results,
                  context_.Loop(IValue::Int(count), IValue(), carried, step, site));
  return DefineResults(node, results, scope);
}

absl::Status Importer::RunSteps(const Node& node, const Steps& steps, Scope& scope) {
  FLOE_TRY_ASSIGN(const ir::Dim count, StepCount(steps));
  if (count == ir::Dim(0)) return absl::UnimplementedError("a scan or map over an empty axis");
  if (count.is_constant() && count.constant() <= kMaxSteps) {
    return RunUnrolled(node, steps, count.constant(), scope);
  }
  return RunStepLoop(node, steps, count, scope);
}

// map_impl(graph, [xs...], [others...]): the graph for each slice, results stacked.
absl::Status Importer::RunMap(const Node& node, Scope& scope) {
  Steps steps;
  steps.body = GraphAt(node, 0);
  if (steps.body == nullptr) return absl::InvalidArgumentError("its first argument is no graph");
  FLOE_TRY_ASSIGN(steps.xs, OperandList(node, 1, scope));
  FLOE_TRY_ASSIGN(steps.others, OperandList(node, 2, scope));
  return RunSteps(node, steps, scope);
}

// scan(graph, [init...], [xs...], [additional...]), in 2.6 with (dim, reverse) before the last: the
// graph gets (carry..., row..., additional...) and gives (carry..., out...).
absl::Status Importer::RunScan(const Node& node, Scope& scope) {
  Steps steps;
  steps.body = GraphAt(node, 0);
  if (steps.body == nullptr) return absl::InvalidArgumentError("its first argument is no graph");
  FLOE_TRY_ASSIGN(steps.carry, OperandList(node, 1, scope));
  FLOE_TRY_ASSIGN(steps.xs, OperandList(node, 2, scope));
  size_t additional_at = 3;
  if (node.inputs.size() > 4) {
    if (node.inputs[3].arg.kind != ArgKind::kInt || node.inputs[4].arg.kind != ArgKind::kBool) {
      return absl::UnimplementedError("a scan with arguments that are not known");
    }
    steps.dim = node.inputs[3].arg.integer;
    steps.reverse = node.inputs[4].arg.integer != 0;
    additional_at = 5;
  }
  FLOE_TRY_ASSIGN(steps.others, OperandList(node, additional_at, scope));
  return RunSteps(node, steps, scope);
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

// with_effects(token, op, operands...) gives (token, results...): an op that is kept for what it
// does, in its order. Floe keeps checks anyway, so the op is walked as if it stood alone.
absl::Status Importer::RunWithEffects(const Node& node, Scope& scope) {
  if (node.inputs.size() < 2 || node.inputs[1].arg.kind != ArgKind::kOperator ||
      node.outputs.empty()) {
    return absl::InvalidArgumentError("its arguments are not a token, an operator and operands");
  }
  Node inner = node;
  inner.target = node.inputs[1].arg.text;
  inner.inputs.erase(inner.inputs.begin(), inner.inputs.begin() + 2);
  inner.outputs.erase(inner.outputs.begin());
  if (OperatorName(inner.target).starts_with("higher_order::")) {
    return absl::UnimplementedError("an operator of graphs with effects");
  }
  if (node.outputs[0].kind == ArgKind::kName) {
    FLOE_TRY(Define(node.outputs[0].text, {IValue()}, node, scope));
  }
  return RunNode(inner, scope);
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
  } else if (name == "higher_order::with_effects") {
    status = RunWithEffects(node, scope);
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
