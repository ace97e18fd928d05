#include "compiler/import/onnx/importer.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "compiler/import/onnx/ops.h"
#include "compiler/ir/status_macros.h"
#include "format/tensor_info.h"

namespace floe::onnx {
namespace {

using Nodes = ::google::protobuf::RepeatedPtrField<NodeProto>;
using Kind = Scope::Kind;

// Calls within calls, and branches within branches.
constexpr int kMaxDepth = 64;

std::string Domain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

std::string FunctionKey(const std::string& domain, const std::string& name,
                        const std::string& overload) {
  return Domain(domain) + '\x1f' + name + '\x1f' + overload;
}

std::string FullName(const std::string& domain, const std::string& op_type) {
  return domain.empty() ? op_type : domain + "::" + op_type;
}

std::string NodeName(const NodeProto& node) {
  if (!node.name().empty()) return node.name();
  for (const std::string& output : node.output()) {
    if (!output.empty()) return output;
  }
  return node.op_type();
}

// The names that a node reads, those of its branches included.
void ForEachRead(const NodeProto& node, const std::function<void(const std::string&)>& visit) {
  for (const std::string& input : node.input()) visit(input);
  for (const AttributeProto& a : node.attribute()) {
    if (!a.has_g()) continue;
    for (const NodeProto& inner : a.g().node()) ForEachRead(inner, visit);
    for (const ValueInfoProto& output : a.g().output()) visit(output.name());
  }
}

// An order in which definitions come before uses, as close to the file's as possible.
absl::StatusOr<std::vector<int>> SortedOrder(const Nodes& nodes) {
  absl::flat_hash_map<std::string, int> producer;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const std::string& output : nodes[i].output()) {
      if (!output.empty()) producer.try_emplace(output, i);
    }
  }
  std::vector<std::vector<int>> users(static_cast<size_t>(nodes.size()));
  std::vector<int> waiting(static_cast<size_t>(nodes.size()), 0);
  for (int i = 0; i < nodes.size(); ++i) {
    ForEachRead(nodes[i], [&](const std::string& name) {
      const auto it = producer.find(name);
      // A branch may define a name of its own that the node outputs as well.
      if (it == producer.end() || (it->second == i && nodes[i].attribute_size() > 0)) return;
      users[static_cast<size_t>(it->second)].push_back(i);
      ++waiting[static_cast<size_t>(i)];
    });
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < nodes.size(); ++i) {
    if (waiting[static_cast<size_t>(i)] == 0) ready.push(i);
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (const int user : users[static_cast<size_t>(i)]) {
      if (--waiting[static_cast<size_t>(user)] == 0) ready.push(user);
    }
  }
  if (static_cast<int>(order.size()) < nodes.size()) {
    const auto stuck = std::find_if(waiting.begin(), waiting.end(), [](int w) { return w > 0; });
    return absl::InvalidArgumentError(
        absl::StrFormat("the graph has a cycle through node '%s'",
                        NodeName(nodes[static_cast<int>(stuck - waiting.begin())])));
  }
  return order;
}

// "model.py:12" from a Python stack trace or an old exporter's doc string; else empty.
std::string SourceOf(const NodeProto& node) {
  for (const StringStringEntryProto& entry : node.metadata_props()) {
    if (entry.key() != "pkg.torch.onnx.stack_trace") continue;
    // The innermost frame comes last: File "model.py", line 12, in forward
    const std::string& trace = entry.value();
    const size_t file = trace.rfind("File \"");
    if (file == std::string::npos) return "";
    const size_t end = trace.find("\", line ", file);
    if (end == std::string::npos) return "";
    const size_t digits = end + 8;
    const size_t last = trace.find_first_not_of("0123456789", digits);
    return trace.substr(file + 6, end - file - 6) + ":" + trace.substr(digits, last - digits);
  }
  // "model.py(12): forward", innermost first; the user's own line is the first outside PyTorch.
  const std::string& doc = node.doc_string();
  std::string first;
  for (size_t at = 0; at < doc.size();) {
    const size_t end = std::min(doc.find('\n', at), doc.size());
    const std::string line = doc.substr(at, end - at);
    at = end + 1;
    const size_t close = line.find("): ");
    const size_t open = line.rfind('(', close);
    if (close == std::string::npos || open == std::string::npos) continue;
    const std::string place = line.substr(0, open) + ":" + line.substr(open + 1, close - open - 1);
    if (line.find("site-packages/torch/") == std::string::npos) return place;
    if (first.empty()) first = place;
  }
  return first;
}

}  // namespace

absl::Status At(const absl::Status& status, const NodeProto& node, const Scope& scope) {
  return absl::Status(status.code(),
                      absl::StrFormat("node '%s%s' (%s): %s", scope.prefix, NodeName(node),
                                      node.op_type(), status.message()));
}

Importer::Importer(std::shared_ptr<ModelFile> file, const ImportOptions& options)
    : file_(std::move(file)),
      options_(options),
      graph_(std::make_unique<ir::Graph>()),
      current_(graph_.get()),
      nodes_left_(options.max_nodes) {}

absl::Status Importer::Run() {
  const ModelProto& model = file_->model();
  graph_->name = model.graph().name();
  FLOE_TRY(ReadOpsets());
  FLOE_TRY(ReadFunctions());
  Scope scope;
  scope.opsets = &opsets_;
  scope_ = &scope;
  std::vector<ModelFile::Initializer>& initializers = file_->initializers();
  for (size_t i = 0; i < initializers.size(); ++i) {
    const std::string& name = initializers[i].proto.name();
    if (!scope.names.try_emplace(name, Scope::Entry{Kind::kInitializer, nullptr, i}).second) {
      return absl::InvalidArgumentError(
          absl::StrFormat("two initializers have the name '%s'", name));
    }
  }
  if (model.graph().sparse_initializer_size() > 0) {
    return absl::UnimplementedError("sparse initializers are not supported; make them dense");
  }
  FLOE_TRY(ReadInputs(scope));
  for (const ValueInfoProto& info : model.graph().value_info()) stated_[info.name()] = &info;
  FLOE_TRY(RunNodes(model.graph().node(), scope));
  if (model.graph().output_size() == 0) {
    return absl::InvalidArgumentError("the graph has no outputs");
  }
  NodeProto reader;
  reader.set_name("graph output");
  for (const ValueInfoProto& output : model.graph().output()) {
    FLOE_TRY_ASSIGN(Scope::Entry entry, Lookup(output.name(), reader, scope));
    if (entry.kind == Kind::kValue) graph_->AddOutput(entry.value, output.name());
  }
  graph_->EraseUnusedConstants();
  scope_ = nullptr;
  return absl::OkStatus();
}

absl::Status Importer::ReadOpsets() {
  const auto read = [](const auto& imports, Opsets* opsets) -> absl::Status {
    for (const OperatorSetIdProto& import : imports) {
      const auto [it, is_new] = opsets->emplace(Domain(import.domain()), import.version());
      if (!is_new && it->second != import.version()) {
        return absl::InvalidArgumentError(
            absl::StrFormat("the model imports two opsets (%d, %d) of domain '%s'", it->second,
                            import.version(), import.domain()));
      }
    }
    const auto it = opsets->find("");
    if (it == opsets->end()) return absl::OkStatus();
    if (it->second > kNewestOpset) {
      return absl::UnimplementedError(
          absl::StrFormat("the model uses opset %d; this release knows opsets %d to %d. Export it "
                          "with an older opset_version, or update Floe",
                          it->second, kOldestOpset, kNewestOpset));
    }
    if (it->second < kOldestOpset) {
      return absl::UnimplementedError(
          absl::StrFormat("the model uses opset %d, older than %d; convert it first with "
                          "onnx.version_converter.convert_version(model, %d)",
                          it->second, kOldestOpset, 13));
    }
    return absl::OkStatus();
  };
  const ModelProto& model = file_->model();
  FLOE_TRY(read(model.opset_import(), &opsets_));
  if (opsets_.empty()) {
    return absl::InvalidArgumentError("the model does not say which opset it uses");
  }
  for (const FunctionProto& f : model.functions()) {
    Opsets& opsets = function_opsets_[FunctionKey(f.domain(), f.name(), f.overload())];
    FLOE_TRY(read(f.opset_import(), &opsets));
    opsets.insert(opsets_.begin(), opsets_.end());  // Where the function itself says nothing.
  }
  return absl::OkStatus();
}

absl::Status Importer::ReadFunctions() {
  for (const FunctionProto& f : file_->model().functions()) {
    if (!functions_.emplace(FunctionKey(f.domain(), f.name(), f.overload()), &f).second) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the model defines function '%s' twice", FullName(f.domain(), f.name())));
    }
  }
  return absl::OkStatus();
}

// --- inputs --------------------------------------------------------------------------------------

const AttributeProto* Importer::Resolve(const AttributeProto& attribute) const {
  if (attribute.ref_attr_name().empty()) return &attribute;
  const auto it = scope_->attributes.find(attribute.ref_attr_name());
  return it == scope_->attributes.end() ? nullptr : it->second;
}

ir::Provenance Importer::ProvenanceOf(const NodeProto& node, const Scope& scope) const {
  return {scope.prefix + NodeName(node), SourceOf(node)};
}

void Importer::Refuse(const NodeProto& node, int64_t opset, const std::string& reason,
                      const Scope& scope) {
  const std::string domain = Domain(node.domain());
  const std::string key = domain + '\x1f' + node.op_type() + '\x1f' + reason;
  const auto [it, is_new] = unsupported_index_.emplace(key, unsupported_.size());
  if (is_new) unsupported_.push_back({node.op_type(), domain, opset, reason, {}});
  const ir::Provenance p = ProvenanceOf(node, scope);
  unsupported_[it->second].nodes.push_back(p.source.empty() ? p.node : p.node + " at " + p.source);
}

absl::StatusOr<Scope::Entry> Importer::Lookup(const std::string& name, const NodeProto& user,
                                              Scope& scope) {
  if (name.empty()) return Scope::Entry{Kind::kAbsent, nullptr, 0};
  const auto it = scope.names.find(name);
  if (it == scope.names.end()) {
    if (scope.outer == nullptr) {
      return absl::InvalidArgumentError(absl::StrFormat("'%s%s' reads '%s', which nothing defines",
                                                        scope.prefix, NodeName(user), name));
    }
    FLOE_TRY_ASSIGN(Scope::Entry entry, Lookup(name, user, *scope.outer));
    if (scope.body != nullptr) entry.value = scope.body->Capture(entry.value);
    return entry;
  }
  Scope::Entry& entry = it->second;
  if (entry.kind != Kind::kInitializer) return entry;
  absl::StatusOr<ir::Tensor> tensor = file_->ToTensor(file_->initializers()[entry.initializer]);
  if (tensor.ok()) {
    entry = {Kind::kValue, graph_->AddConstant(name, *std::move(tensor)), 0};
  } else {
    if (!absl::IsUnimplemented(tensor.status())) return tensor.status();
    Refuse(user, 0, std::string(tensor.status().message()), scope);
    entry = {Kind::kUnknown, nullptr, 0};
  }
  return entry;
}

absl::Status Importer::Define(const std::string& name, ir::Value* value, const NodeProto& node,
                              Scope& scope) {
  if (name.empty()) return absl::OkStatus();
  const Scope::Entry entry = {value == nullptr ? Kind::kUnknown : Kind::kValue, value, 0};
  if (scope.names.try_emplace(name, entry).second) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("node '%s%s' (%s) defines '%s', which is defined already", scope.prefix,
                      NodeName(node), node.op_type(), name));
}

// A stand-in for a value that could not be computed but whose type the file states.
ir::Value* Importer::StatedValue(const std::string& name) {
  const auto it = stated_.find(name);
  if (it == stated_.end() || !it->second->type().has_tensor_type()) return nullptr;
  const TypeProto::Tensor& type = it->second->type().tensor_type();
  const absl::StatusOr<DType> dtype = DTypeOf(type.elem_type());
  if (!dtype.ok() || !type.has_shape() || type.shape().dim_size() > kMaxRank) return nullptr;
  ir::Shape shape;
  for (const TensorShapeProto::Dimension& d : type.shape().dim()) {
    if (d.has_dim_value() && d.dim_value() >= 0) {
      shape.push_back(d.dim_value());
    } else if (options_.dims.contains(d.dim_param())) {
      const absl::StatusOr<ir::Dim> dim = NamedDim(name, d.dim_param());
      if (!dim.ok()) return nullptr;
      shape.push_back(*dim);
    } else {
      return nullptr;
    }
  }
  return graph_->AddInput(name, *dtype, std::move(shape));
}

absl::Status Importer::DefineUnknown(const NodeProto& node, Scope& scope) {
  for (const std::string& name : node.output()) {
    ir::Value* stated = scope.outer == nullptr && !scope.is_function ? StatedValue(name) : nullptr;
    FLOE_TRY(Define(name, stated, node, scope));
  }
  return absl::OkStatus();
}

absl::Status Importer::RunNodes(const Nodes& nodes, Scope& scope) {
  FLOE_TRY_ASSIGN(const std::vector<int> order, SortedOrder(nodes));
  Scope* const before = scope_;
  scope_ = &scope;
  for (const int i : order) FLOE_TRY(RunNode(nodes[i], scope));
  scope_ = before;
  return absl::OkStatus();
}

absl::Status Importer::RunNode(const NodeProto& node, Scope& scope) {
  // Names grow with the depth of calls: long ones count as more nodes.
  size_t name_bytes = scope.prefix.size();
  for (const std::string& output : node.output()) name_bytes += scope.prefix.size() + output.size();
  nodes_left_ -= 1 + static_cast<int64_t>(name_bytes / 1024);
  if (nodes_left_ < 0) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "the model has more than %d nodes once its functions are inlined", options_.max_nodes));
  }
  const std::string domain = Domain(node.domain());
  const auto function =
      functions_.find(FunctionKey(node.domain(), node.op_type(), node.overload()));
  if (function != functions_.end()) return RunFunction(node, *function->second, scope);
  ++op_counts_[FullName(domain, node.op_type())];
  const auto opset = scope.opsets->find(domain);
  // ONNX Runtime's optimiser writes its own ops without saying so.
  const bool is_microsoft = domain == kMicrosoft;
  if (opset == scope.opsets->end() && !is_microsoft) {
    return absl::InvalidArgumentError(
        absl::StrFormat("node '%s%s' is a %s of domain '%s', whose opset the model does not state",
                        scope.prefix, NodeName(node), node.op_type(), domain));
  }
  const int64_t version = opset == scope.opsets->end() ? 1 : opset->second;
  bool known = false;
  const Row* row = FindRow(domain, node.op_type(), version, &known);
  if (row == nullptr) {
    Refuse(node, version, known ? "has no mapping in this opset" : "has no mapping", scope);
    return DefineUnknown(node, scope);
  }
  return Convert(node, *row, version, scope);
}

absl::Status Importer::Convert(const NodeProto& node, const Row& row, int64_t opset, Scope& scope) {
  std::vector<ir::Value*> inputs;
  bool unknown = false;
  for (const std::string& name : node.input()) {
    const absl::StatusOr<Scope::Entry> entry = Lookup(name, node, scope);
    if (!entry.ok()) return entry.status();
    unknown = unknown || entry->kind == Kind::kUnknown;
    inputs.push_back(entry->value);
  }
  if (unknown) return DefineUnknown(node, scope);
  NodeBuilder builder(*this, node, row, opset, std::move(inputs), ProvenanceOf(node, scope));
  row.convert(builder);
  if (builder.ok()) builder.RefuseLeftovers();
  if (absl::IsUnimplemented(builder.status())) {
    Refuse(node, opset, std::string(builder.status().message()), scope);
    return DefineUnknown(node, scope);
  }
  if (!builder.ok()) return At(builder.status(), node, scope);
  for (int i = 0; i < node.output_size(); ++i) {
    FLOE_TRY(Define(node.output(i), builder.results()[static_cast<size_t>(i)], node, scope));
  }
  return absl::OkStatus();
}

absl::Status Importer::RunFunction(const NodeProto& call, const FunctionProto& function,
                                   Scope& scope) {
  if (scope.depth >= kMaxDepth) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "function '%s' calls itself, or calls are nested over %d deep", call.op_type(), kMaxDepth));
  }
  if (call.input_size() > function.input_size() || call.output_size() > function.output_size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("node '%s%s' passes more inputs or takes more outputs than function '%s' "
                        "has",
                        scope.prefix, NodeName(call), call.op_type()));
  }
  Scope inner;
  inner.is_function = true;
  inner.bodies = scope.bodies;
  inner.depth = scope.depth + 1;
  inner.prefix = scope.prefix + NodeName(call) + "/";
  inner.opsets =
      &function_opsets_[FunctionKey(function.domain(), function.name(), function.overload())];
  for (int i = 0; i < function.input_size(); ++i) {
    Scope::Entry entry = {Kind::kAbsent, nullptr, 0};
    if (i < call.input_size()) {
      FLOE_TRY_ASSIGN(entry, Lookup(call.input(i), call, scope));
    }
    inner.names[function.input(i)] = entry;
  }
  for (const AttributeProto& a : function.attribute_proto()) inner.attributes[a.name()] = &a;
  for (const AttributeProto& a : call.attribute()) {
    if (const AttributeProto* resolved = Resolve(a)) inner.attributes[a.name()] = resolved;
  }
  FLOE_TRY(RunNodes(function.node(), inner));
  for (int i = 0; i < call.output_size(); ++i) {
    NodeProto reader;
    reader.set_name(function.name());
    FLOE_TRY_ASSIGN(Scope::Entry entry, Lookup(function.output(i), reader, inner));
    FLOE_TRY(Define(call.output(i), entry.value, call, scope));
  }
  return absl::OkStatus();
}

absl::Status Importer::RunBody(const GraphProto& body, ir::BodyBuilder* builder,
                               const std::vector<ir::Value*>& params,
                               std::vector<ir::Value*>* results) {
  Scope& scope = *scope_;
  if (scope.depth >= kMaxDepth) {
    return absl::InvalidArgumentError(
        absl::StrFormat("branches are nested over %d deep", kMaxDepth));
  }
  if (builder != nullptr && scope.bodies >= ir::kMaxBodyDepth) {
    return absl::UnimplementedError(
        absl::StrFormat("control flow is nested over %d deep", ir::kMaxBodyDepth));
  }
  if (static_cast<size_t>(body.input_size()) != params.size()) {
    return absl::InvalidArgumentError(absl::StrFormat("the body takes %d inputs, but is given %d",
                                                      body.input_size(), params.size()));
  }
  Scope inner;
  inner.outer = &scope;
  inner.opsets = scope.opsets;
  inner.prefix = scope.prefix;
  inner.attributes = scope.attributes;
  inner.body = builder;
  inner.bodies = scope.bodies + (builder == nullptr ? 0 : 1);
  inner.depth = scope.depth + 1;
  ir::Graph* const around = current_;
  if (builder != nullptr) current_ = &builder->graph();
  const auto restore = absl::MakeCleanup([&] {
    current_ = around;
    scope_ = &scope;
  });
  for (size_t i = 0; i < params.size(); ++i) {
    const Kind kind = params[i] == nullptr ? Kind::kUnknown : Kind::kValue;
    inner.names[body.input(static_cast<int>(i)).name()] = {kind, params[i], 0};
  }
  for (const TensorProto& proto : body.initializer()) {
    FLOE_TRY_ASSIGN(ir::Tensor tensor, file_->ToTensor(proto));
    inner.names[proto.name()] = {Kind::kValue, current_->AddConstant(proto.name(), tensor), 0};
  }
  FLOE_TRY(RunNodes(body.node(), inner));
  NodeProto reader;
  reader.set_name("branch output");
  for (const ValueInfoProto& output : body.output()) {
    FLOE_TRY_ASSIGN(Scope::Entry entry, Lookup(output.name(), reader, inner));
    results->push_back(entry.value);
  }
  return absl::OkStatus();
}

}  // namespace floe::onnx
