#include "compiler/import/torch_export/importer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/schema.h"
#include "compiler/import/torch_export/mutations.h"
#include "compiler/import/torch_export/sym_ops.h"
#include "compiler/ir/control.h"
#include "compiler/ir/status_macros.h"
#include "compiler/ir/verify.h"
#include "format/limits.h"
#include "format/tensor_info.h"

namespace floe::torch_export {

using aten::IValue;
using ArgKind = Argument::Kind;

namespace {

std::string NodeName(const Node& node) {
  if (!node.name.empty()) return node.name;
  for (const Argument& output : node.outputs) {
    if (output.kind == ArgKind::kName) return output.text;
    for (const Argument& item : output.items) {
      if (item.kind == ArgKind::kName) return item.text;
    }
  }
  return node.target;
}

// The names that a node defines; empty ones for results that nobody reads.
void CollectResults(const Argument& output, std::vector<std::string>* names) {
  if (output.kind == ArgKind::kName) names->push_back(output.text);
  for (const Argument& item : output.items) CollectResults(item, names);
}

aten::Kind ElementKind(Argument::Element element) {
  switch (element) {
    case Argument::Element::kTensor:
      return aten::Kind::kTensor;
    case Argument::Element::kInt:
      return aten::Kind::kInt;
    case Argument::Element::kFloat:
      return aten::Kind::kFloat;
    case Argument::Element::kBool:
      return aten::Kind::kBool;
    case Argument::Element::kString:
      return aten::Kind::kString;
    default:
      return aten::Kind::kNone;
  }
}

}  // namespace

std::string SourceOf(const std::string& stack_trace) {
  // The innermost frame comes last: File "model.py", line 12, in forward
  std::string last;
  for (size_t at = 0; (at = stack_trace.find("File \"", at)) != std::string::npos;) {
    const size_t begin = at + 6;
    const size_t end = stack_trace.find("\", line ", begin);
    if (end == std::string::npos) break;
    at = end + 8;
    const size_t digits_end =
        std::min(stack_trace.find_first_not_of("0123456789", at), stack_trace.size());
    const std::string file = stack_trace.substr(begin, end - begin);
    const bool is_torch = file.find("site-packages/torch/") != std::string::npos ||
                          file.find("dist-packages/torch/") != std::string::npos ||
                          file.starts_with("<");
    if (is_torch && !last.empty()) continue;
    last = file + ":" + stack_trace.substr(at, digits_end - at);
  }
  return last;
}

Importer::Importer(Pt2File& file, const ImportOptions& options)
    : file_(file),
      program_(file.program()),
      options_(options),
      graph_(std::make_unique<ir::Graph>()),
      context_(*graph_),
      symbols_(*graph_, program_, options_),
      nodes_left_(options.max_nodes) {
  context_.max_nodes = options.max_nodes;
}

absl::Status Importer::Run() {
  graph_->name = file_.model_name();
  Scope scope;
  scope.graph = &program_.graph;
  FLOE_TRY(ReadSignature(scope));
  FLOE_TRY(symbols_.EmitGuards(inputs_, &notes_));
  FLOE_TRY(RunNodes(scope));
  FLOE_TRY(WriteOutputs(scope));
  FLOE_TRY(WriteStates(scope));
  graph_->EraseUnusedConstants();
  ir::SyncSymbols(*graph_);
  return absl::OkStatus();
}

// --- messages ------------------------------------------------------------------------------------

aten::CallSite Importer::SiteOf(const Node& node, const Scope& scope) const {
  const std::string name = scope.prefix + NodeName(node);
  return {name, {name, SourceOf(node.stack_trace)}};
}

absl::Status Importer::At(const absl::Status& status, const Node& node, const Scope& scope) const {
  if (absl::IsCancelled(status)) return status;
  const std::string source = SourceOf(node.stack_trace);
  return absl::Status(
      status.code(),
      absl::StrFormat("node '%s%s' (%s)%s: %s", scope.prefix, NodeName(node), node.target,
                      source.empty() ? "" : " at " + source, status.message()));
}

void Importer::Refuse(const Node& node, const std::string& op, const std::string& reason,
                      const Scope& scope) {
  const auto [it, is_new] = unsupported_index_.emplace(op + '\x1f' + reason, unsupported_.size());
  if (is_new) unsupported_.push_back({op, reason, {}});
  const std::string source = SourceOf(node.stack_trace);
  std::string place = "'" + scope.prefix + NodeName(node) + "'";
  if (!source.empty()) place += " at " + source;
  unsupported_[it->second].places.push_back(std::move(place));
}

// --- names ---------------------------------------------------------------------------------------

absl::StatusOr<Importer::Entry> Importer::Lookup(const std::string& name, Scope& scope) {
  const auto it = scope.names.find(name);
  if (it == scope.names.end()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("it reads '%s', which nothing before it defines", name));
  }
  Entry& entry = it->second;
  if (entry.weight != nullptr) {
    absl::StatusOr<IValue> value = WeightValue(*entry.weight);
    if (value.ok()) {
      entry.value = *std::move(value);
    } else {
      if (!absl::IsUnimplemented(value.status())) return value.status();
      Node reader;
      reader.name = name;
      Refuse(reader, "weights", std::string(value.status().message()), scope);
      entry.unknown = true;
    }
    entry.weight = nullptr;
  }
  return entry;
}

absl::StatusOr<IValue> Importer::ToValue(const Argument& arg, Scope& scope, bool* unknown) {
  switch (arg.kind) {
    case ArgKind::kNone:
      return IValue();
    case ArgKind::kName: {
      FLOE_TRY_ASSIGN(const Entry entry, Lookup(arg.text, scope));
      *unknown = *unknown || entry.unknown;
      return entry.value;
    }
    case ArgKind::kInt:
    case ArgKind::kScalarType:
    case ArgKind::kMemoryFormat:
    case ArgKind::kLayout:
      return IValue::Int(arg.integer);
    case ArgKind::kFloat:
      return IValue::Float(arg.real);
    case ArgKind::kBool:
      return IValue::Bool(arg.integer != 0);
    case ArgKind::kString:
      return IValue::String(arg.text);
    case ArgKind::kDevice:
      return IValue::Device(arg.text);
    case ArgKind::kComplex:
      return context_.ComplexNumber(arg.real, arg.imaginary, {scope.prefix + "number", {}});
    case ArgKind::kOperator:
      return absl::UnimplementedError("an operator as an argument (" + arg.text + ")");
    case ArgKind::kCustomObject:
      return absl::UnimplementedError("a custom object as an argument (" + arg.text + ")");
    case ArgKind::kGraph:
      return absl::UnimplementedError("a graph as an argument (" + arg.text + ")");
    case ArgKind::kDict:
      return absl::UnimplementedError("a dictionary as an argument");
    case ArgKind::kList:
      break;
  }
  Values items;
  for (const Argument& item : arg.items) {
    FLOE_TRY_ASSIGN(IValue value, ToValue(item, scope, unknown));
    items.push_back(std::move(value));
  }
  return IValue::ListOf(std::move(items), ElementKind(arg.element));
}

absl::StatusOr<aten::CallArguments> Importer::ToCall(const Node& node, Scope& scope,
                                                     bool* unknown) {
  aten::CallArguments call;
  for (const NamedArgument& input : node.inputs) {
    FLOE_TRY_ASSIGN(IValue value, ToValue(input.arg, scope, unknown));
    // Defaults in the middle are left out, so names say more than positions.
    if (input.name.empty()) {
      call.positional.push_back(std::move(value));
    } else {
      call.keyword.emplace_back(input.name, std::move(value));
    }
  }
  return call;
}

absl::Status Importer::Define(const std::string& name, Entry entry, const Node& node,
                              Scope& scope) {
  if (name.empty()) return absl::OkStatus();
  if (scope.names.try_emplace(name, std::move(entry)).second) return absl::OkStatus();
  return At(absl::InvalidArgumentError("it defines '" + name + "', which is defined already"), node,
            scope);
}

// Binds a node's results; a list that is one result may be written as several outputs.
absl::Status Importer::DefineResults(const Node& node, const Values& results, Scope& scope) {
  const std::vector<Argument>& outputs = node.outputs;
  const Values* values = &results;
  if (results.size() == 1 && results[0].is_sequence() &&
      (outputs.size() != 1 || outputs[0].kind != ArgKind::kList)) {
    values = &results[0].items();
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Argument& output = outputs[i];
    if (output.kind == ArgKind::kNone) continue;
    // A list of all results, where the op returns several.
    Values all;
    if (output.kind == ArgKind::kList) {
      const bool is_list = i < values->size() && (*values)[i].is_sequence();
      all = is_list ? (*values)[i].items() : *values;
      for (size_t j = 0; j < output.items.size(); ++j) {
        if (output.items[j].kind != ArgKind::kName) continue;
        if (j >= all.size()) {
          return At(
              absl::InvalidArgumentError(absl::StrFormat("it lists %d results where the op has %d",
                                                         output.items.size(), all.size())),
              node, scope);
        }
        FLOE_TRY(CheckStated(node, output.items[j].text, all[j], scope));
        FLOE_TRY(Define(output.items[j].text, {all[j]}, node, scope));
      }
      continue;
    }
    if (output.kind != ArgKind::kName) {
      return At(absl::InvalidArgumentError("an output that is no name"), node, scope);
    }
    if (i >= values->size()) {
      return At(absl::InvalidArgumentError(absl::StrFormat("it has %d outputs where the op has %d",
                                                           outputs.size(), values->size())),
                node, scope);
    }
    FLOE_TRY(CheckStated(node, output.text, (*values)[i], scope));
    FLOE_TRY_ASSIGN(IValue value, AsSize(node, output.text, (*values)[i], scope));
    FLOE_TRY(Define(output.text, {std::move(value)}, node, scope));
  }
  return absl::OkStatus();
}

absl::StatusOr<IValue> Importer::AsSize(const Node& node, const std::string& name,
                                        const IValue& value, const Scope& scope) {
  const auto stated = scope.graph->sym_int_values.find(name);
  if (value.variable() == nullptr || stated == scope.graph->sym_int_values.end() ||
      context_.depth() != 0) {
    return value;
  }
  if (value.kind() == aten::Kind::kInt) {  // Floats between sizes: the file says what they come to.
    const std::optional<ir::Dim> known = symbols_.Find(stated->second);
    if (known) return IValue::Int(*known);
  }
  const absl::StatusOr<SymExpr> e = symbols_.ParseSize(stated->second);
  if (!e.ok() || e->op != SymExpr::Op::kSymbol || symbols_.Lookup(e->name)) return value;
  const auto range = program_.range_constraints.find(e->name);
  if (range == program_.range_constraints.end() || range->second.min.value_or(-1) < 0 ||
      range->second.max.value_or(kMaxSymbolValue) >= kMaxSymbolValue) {
    return value;
  }
  FLOE_TRY_ASSIGN(ir::Value* const count, context_.Read(value.variable()));
  if (count->rank() != 0 || count->dtype() != DType::kI64 || count->content) return value;
  FLOE_TRY_ASSIGN(const ir::Value* const size,
                  ir::AddSize(*graph_, count, e->name, *range->second.min, *range->second.max,
                              SiteOf(node, scope).provenance));
  const ir::Dim dim = size->content->front();
  symbols_.Learn(stated->second, dim);
  return IValue::Int(dim);
}

// The file states dtype and shape of every tensor: a mapping that gives others is wrong, and it is
// better to stop than to compute wrong numbers.
absl::Status Importer::CheckStated(const Node& node, const std::string& name, const IValue& value,
                                   const Scope& scope) {
  const auto it = scope.graph->tensor_values.find(name);
  if (it == scope.graph->tensor_values.end() || !value.is_tensor()) return absl::OkStatus();
  const TensorMeta& meta = it->second;
  const aten::Form form = value.variable()->form;
  const torch_file::ScalarType part = torch_file::PartOfComplex(meta.dtype);
  const bool complex = part != torch_file::ScalarType::kUndefined;
  const absl::StatusOr<DType> dtype = torch_file::ToDType(complex ? part : meta.dtype);
  if (!dtype.ok() || form == aten::Form::kPacked) return absl::OkStatus();
  FLOE_TRY_ASSIGN(const ir::Value* got, context_.Read(value.variable()));
  FLOE_TRY_ASSIGN(const ir::Shape shape, context_.ShapeOf(value.variable()));
  bool same = got->dtype() == *dtype && shape.size() == meta.sizes.size() &&
              complex == (form == aten::Form::kComplex);
  ir::Shape stated;
  for (size_t i = 0; i < meta.sizes.size(); ++i) {
    if (same) symbols_.Learn(meta.sizes[i], got->shape()[i]);
    const std::optional<ir::Dim> dim = symbols_.Find(meta.sizes[i]);
    stated.push_back(dim.value_or(ir::Dim(-1)));
    same = same && (!dim || *dim == shape[i] || !shape[i].is_constant() || !dim->is_constant());
  }
  if (same) return absl::OkStatus();
  return At(
      absl::InternalError(absl::StrFormat(
          "the file states %s%s%s for '%s', but Floe finds %s; this is a defect of Floe",
          complex ? "pairs of " : "", DTypeName(*dtype), ir::ShapeToString(stated, graph_->symbols),
          name, ir::TypeToString(context_.graph(), *got))),
      node, scope);
}

// A stand-in for what could not be computed but whose type the file states, so that what hangs on
// it can be judged.
ir::Value* Importer::StatedValue(const std::string& name, const Scope& scope) {
  const auto it = scope.graph->tensor_values.find(name);
  if (it == scope.graph->tensor_values.end() || context_.depth() > 0) return nullptr;
  const absl::StatusOr<DType> dtype = torch_file::ToDType(it->second.dtype);
  if (!dtype.ok() || it->second.sizes.size() > static_cast<size_t>(kMaxRank)) return nullptr;
  ir::Shape shape;
  for (const SymInt& size : it->second.sizes) {
    const std::optional<ir::Dim> dim = symbols_.Find(size);
    if (!dim || dim->Min(graph_->symbols) < 0) return nullptr;
    shape.push_back(*dim);
  }
  return graph_->AddInput(scope.prefix + name, *dtype, std::move(shape));
}

absl::Status Importer::DefineUnknown(const Node& node, Scope& scope) {
  std::vector<std::string> names;
  for (const Argument& output : node.outputs) CollectResults(output, &names);
  for (const std::string& name : names) {
    Entry entry;
    ir::Value* stated = StatedValue(name, scope);
    entry.unknown = stated == nullptr;
    if (stated != nullptr) entry.value = context_.NewTensor(stated);
    FLOE_TRY(Define(name, std::move(entry), node, scope));
  }
  return absl::OkStatus();
}

// --- nodes ---------------------------------------------------------------------------------------

absl::Status Importer::RunNodes(Scope& scope) {
  for (const Node& node : scope.graph->nodes) FLOE_TRY(RunNode(node, scope));
  return absl::OkStatus();
}

absl::Status Importer::RunNode(const Node& node, Scope& scope) {
  // Names grow with the depth of graphs: long ones count as more nodes.
  nodes_left_ -= 1 + static_cast<int64_t>(scope.prefix.size() / 1024);
  if (nodes_left_ < 0) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "the model has more than %d nodes once its loops are unrolled", options_.max_nodes));
  }
  const std::string name = OperatorName(node.target);
  ++op_counts_[name.empty() ? node.target : name];
  if (name.starts_with("higher_order::")) return RunHigherOrder(node, name, scope);
  if (!name.empty()) return RunOperator(node, name, scope);
  if (IsSymOp(node.target)) return RunSymOp(node, scope);
  Refuse(node, node.target, "has no mapping", scope);
  return DefineUnknown(node, scope);
}

absl::Status Importer::RunSymOp(const Node& node, Scope& scope) {
  bool unknown = false;
  Values arguments;
  for (const NamedArgument& input : node.inputs) {
    const absl::StatusOr<IValue> value = ToValue(input.arg, scope, &unknown);
    if (!value.ok()) return At(value.status(), node, scope);
    arguments.push_back(*value);
  }
  if (unknown) return DefineUnknown(node, scope);
  const absl::StatusOr<IValue> result =
      CallSymOp(context_, node.target, arguments, SiteOf(node, scope));
  if (absl::IsUnimplemented(result.status())) {
    Refuse(node, node.target, std::string(result.status().message()), scope);
    return DefineUnknown(node, scope);
  }
  if (!result.ok()) return At(result.status(), node, scope);
  return DefineResults(node, {*result}, scope);
}

// Ops whose operands or results are sizes, and checks: they emit little or nothing.
absl::StatusOr<bool> Importer::RunShapeOp(const Node& node, const std::string& name, Scope& scope) {
  static constexpr std::string_view kNothing[] = {"aten::_assert_tensor_metadata",
                                                  "aten::sym_constrain_range",
                                                  "aten::sym_constrain_range_for_size"};
  if (std::find(std::begin(kNothing), std::end(kNothing), name) != std::end(kNothing)) return true;
  const bool is_check = name == "aten::_assert_scalar" || name == "aten::_assert_async" ||
                        name == "aten::_assert_async.msg";
  const bool is_size = name == "aten::sym_size.int" || name == "aten::sym_numel";
  if ((!is_check && !is_size) || node.inputs.empty()) return false;
  bool unknown = false;
  FLOE_TRY_ASSIGN(const IValue first, ToValue(node.inputs[0].arg, scope, &unknown));
  if (unknown) {
    FLOE_TRY(DefineUnknown(node, scope));
    return true;
  }
  if (is_check) {
    std::string message = "an assertion of the model does not hold";
    if (node.inputs.size() > 1 && node.inputs[1].arg.kind == ArgKind::kString) {
      message = node.inputs[1].arg.text;
    }
    FLOE_TRY(context_.Check(first, message, SiteOf(node, scope)));
    return true;
  }
  if (!first.is_tensor()) return absl::InvalidArgumentError("the size of " + first.Describe());
  FLOE_TRY_ASSIGN(const ir::Shape shape, context_.ShapeOf(first.variable()));
  ir::Dim size = 1;
  if (name == "aten::sym_numel") {
    for (const ir::Dim& d : shape) {
      const std::optional<ir::Dim> product = ir::Dim::Mul(size, d);
      if (!product) return false;
      size = *product;
    }
  } else {
    const auto rank = static_cast<int64_t>(shape.size());
    if (node.inputs.size() != 2 || node.inputs[1].arg.kind != ArgKind::kInt) return false;
    int64_t axis = node.inputs[1].arg.integer;
    if (axis < -rank || axis >= rank) {
      return absl::InvalidArgumentError(
          absl::StrFormat("axis %d of a tensor of rank %d", axis, rank));
    }
    size = shape[static_cast<size_t>(axis < 0 ? axis + rank : axis)];
  }
  FLOE_TRY(DefineResults(node, {IValue::Int(size)}, scope));
  return true;
}

// In a region with autocast the graph holds the ops without the casts that eager mode inserts. The
// stated type of a result says what they were: operands are cast to it.
absl::Status Importer::Autocast(const Node& node, const Scope& scope, aten::CallArguments* call) {
  if (node.outputs.empty() || node.outputs[0].kind != ArgKind::kName) return absl::OkStatus();
  const auto it = scope.graph->tensor_values.find(node.outputs[0].text);
  if (it == scope.graph->tensor_values.end()) return absl::OkStatus();
  const absl::StatusOr<DType> stated = torch_file::ToDType(it->second.dtype);
  if (!stated.ok() || !IsFloat(*stated)) return absl::OkStatus();
  const auto cast = [&](IValue* value) -> absl::Status {
    if (!value->is_tensor()) return absl::OkStatus();
    FLOE_TRY_ASSIGN(const ir::Value* now, context_.Read(value->variable()));
    if (!IsFloat(now->dtype()) || now->dtype() == *stated) return absl::OkStatus();
    aten::CallArguments to;
    to.positional = {*value, IValue::Int(aten::ScalarTypeOfDType(*stated))};
    Values results;
    FLOE_TRY(context_.Call("aten::to.dtype", to, SiteOf(node, scope), &results));
    *value = results.at(0);
    return absl::OkStatus();
  };
  for (auto& [name, value] : call->keyword) {
    if (!value.is_sequence()) {
      FLOE_TRY(cast(&value));
      continue;
    }
    for (IValue& item : value.items()) FLOE_TRY(cast(&item));
  }
  return absl::OkStatus();
}

absl::Status Importer::RunOperator(const Node& node, const std::string& name, Scope& scope) {
  const absl::StatusOr<bool> done = RunShapeOp(node, name, scope);
  if (!done.ok()) return At(done.status(), node, scope);
  if (*done) return absl::OkStatus();
  bool unknown = false;
  absl::StatusOr<aten::CallArguments> call = ToCall(node, scope, &unknown);
  absl::Status status = call.status();
  if (status.ok() && unknown) {
    if (!aten::Context::IsSupported(name)) Refuse(node, name, "has no mapping", scope);
    return DefineUnknown(node, scope);
  }
  Values results;
  if (status.ok() && in_autocast_) status = Autocast(node, scope, &*call);
  if (status.ok()) status = context_.Call(name, *call, SiteOf(node, scope), &results);
  if (absl::IsUnimplemented(status)) {
    Refuse(node, name, std::string(status.message()), scope);
    return DefineUnknown(node, scope);
  }
  if (!status.ok()) return At(status, node, scope);
  return DefineResults(node, results, scope);
}

}  // namespace floe::torch_export
