#include "compiler/import/torch_export/schema.h"

#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "absl/strings/str_format.h"
#include "compiler/import/torch_export/json_reader.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_export {
namespace {

using torch_file::ScalarType;
using Kind = Argument::Kind;
using Element = Argument::Element;

constexpr int kMaxDepth = 64;

// The schema has numbers of its own for element types.
ScalarType ReadScalarType(JsonReader& r, const Json& v) {
  static constexpr std::pair<int64_t, ScalarType> kTypes[] = {
      {1, ScalarType::kByte},
      {2, ScalarType::kChar},
      {3, ScalarType::kShort},
      {4, ScalarType::kInt},
      {5, ScalarType::kLong},
      {6, ScalarType::kHalf},
      {7, ScalarType::kFloat},
      {8, ScalarType::kDouble},
      {9, ScalarType::kComplexHalf},
      {10, ScalarType::kComplexFloat},
      {11, ScalarType::kComplexDouble},
      {12, ScalarType::kBool},
      {13, ScalarType::kBFloat16},
      {28, ScalarType::kUInt16},
      {29, ScalarType::kFloat8E4M3FN},
      {30, ScalarType::kFloat8E5M2},
      {31, ScalarType::kFloat8E4M3FNUZ},
      {32, ScalarType::kFloat8E5M2FNUZ},
      {34, ScalarType::kUInt32},
      {35, ScalarType::kUInt64},
  };
  const int64_t number = r.Int(v);
  for (const auto& [serialised, type] : kTypes) {
    if (serialised == number) return type;
  }
  if (number != 0) {
    r.FailWith(absl::StatusCode::kUnimplemented,
               absl::StrFormat("element type number %d is not known to this release", number));
  }
  return ScalarType::kUndefined;
}

SymInt ReadSymInt(JsonReader& r, const Json& v) {
  SymInt result;
  const auto [tag, value] = r.Union(v);
  if (value == nullptr) return result;
  if (tag == "as_int") {
    result.value = r.Int(*value);
  } else if (tag == "as_expr") {
    result.expr = r.String(r.Need(*value, "expr_str"));
    if (r.ok() && result.expr.empty()) r.Fail("an empty expression");
  } else {
    r.FailWith(absl::StatusCode::kUnimplemented,
               absl::StrFormat("the tag '%s' of a symbolic integer is not known", tag));
  }
  return result;
}

TensorMeta ReadTensorMeta(JsonReader& r, const Json& v) {
  TensorMeta meta;
  meta.dtype = ReadScalarType(r, r.Need(v, "dtype"));
  r.ForEach(r.Need(v, "sizes"), [&](const Json& s) { meta.sizes.push_back(ReadSymInt(r, s)); });
  r.ForEach(r.Need(v, "strides"), [&](const Json& s) { meta.strides.push_back(ReadSymInt(r, s)); });
  if (const Json* offset = r.Find(v, "storage_offset")) {
    meta.storage_offset = ReadSymInt(r, *offset);
  }
  if (const Json* layout = r.Find(v, "layout")) meta.is_strided = r.Int(*layout) == 7;
  return meta;
}

Graph ReadGraph(JsonReader& r, const Json& v, int depth);

Argument OfKind(Kind kind, std::string text = "") {
  Argument a;
  a.kind = kind;
  a.text = std::move(text);
  return a;
}

Argument OfInt(Kind kind, int64_t value) {
  Argument a = OfKind(kind);
  a.integer = value;
  return a;
}

Argument ReadName(JsonReader& r, const Json& v, Element element) {
  Argument a = OfKind(Kind::kName, r.String(v));
  a.element = element;
  return a;
}

Argument ReadTensorArgument(JsonReader& r, const Json& v) {
  return ReadName(r, r.Need(v, "name"), Element::kTensor);
}

Argument ReadInt(JsonReader& r, const Json& v) { return OfInt(Kind::kInt, r.Int(v)); }

Argument ReadFloat(JsonReader& r, const Json& v) {
  Argument a = OfKind(Kind::kFloat);
  a.real = r.Float(v);
  return a;
}

Argument ReadBool(JsonReader& r, const Json& v) { return OfInt(Kind::kBool, r.Bool(v) ? 1 : 0); }
Argument ReadString(JsonReader& r, const Json& v) { return OfKind(Kind::kString, r.String(v)); }

// {as_name: "s"} or {as_int: 3} and the like.
Argument ReadSymArgument(JsonReader& r, const Json& v, Element element) {
  const auto [tag, value] = r.Union(v);
  if (value == nullptr) return {};
  if (tag == "as_name") return ReadName(r, *value, element);
  if (tag == "as_int") return ReadInt(r, *value);
  if (tag == "as_float") return ReadFloat(r, *value);
  if (tag == "as_bool") return ReadBool(r, *value);
  r.FailWith(absl::StatusCode::kUnimplemented,
             absl::StrFormat("the tag '%s' of a symbolic argument is not known", tag));
  return {};
}
Argument ReadSymInt1(JsonReader& r, const Json& v) { return ReadSymArgument(r, v, Element::kInt); }
Argument ReadSymFloat1(JsonReader& r, const Json& v) {
  return ReadSymArgument(r, v, Element::kFloat);
}
Argument ReadSymBool1(JsonReader& r, const Json& v) {
  return ReadSymArgument(r, v, Element::kBool);
}

Argument ReadOptionalTensor(JsonReader& r, const Json& v) {
  const auto [tag, value] = r.Union(v);
  if (value == nullptr || tag == "as_none") return {};
  if (tag == "as_tensor") return ReadTensorArgument(r, *value);
  r.FailWith(absl::StatusCode::kUnimplemented,
             absl::StrFormat("the tag '%s' of an optional tensor is not known", tag));
  return {};
}

template <typename ReadItem>
Argument ReadList(JsonReader& r, const Json& v, Element element, ReadItem read) {
  Argument list = OfKind(Kind::kList);
  list.element = element;
  r.ForEach(v, [&](const Json& item) { list.items.push_back(read(r, item)); });
  return list;
}

Argument ReadTensorList(JsonReader& r, const Json& v) {
  return ReadList(r, v, Element::kTensor, ReadTensorArgument);
}
Argument ReadIntList(JsonReader& r, const Json& v) {
  return ReadList(r, v, Element::kInt, ReadInt);
}
Argument ReadFloatList(JsonReader& r, const Json& v) {
  return ReadList(r, v, Element::kFloat, ReadFloat);
}

Argument ReadMemoryFormat(JsonReader& r, const Json& v) {
  // contiguous, channels_last, channels_last_3d, preserve in c10's numbers.
  constexpr int64_t kNumbers[] = {-1, 0, 2, 3, 1};
  const int64_t number = r.Int(v);
  if (r.ok() && (number < 1 || number > 4)) r.Fail("an unknown memory format");
  return OfInt(Kind::kMemoryFormat, r.ok() ? kNumbers[number] : -1);
}

Argument ReadLayout(JsonReader& r, const Json& v) {
  return OfInt(Kind::kLayout, r.Int(v) == 7 ? 0 : -1);
}

Argument ReadDevice(JsonReader& r, const Json& v) {
  std::string device = r.String(r.Need(v, "type"));
  if (const Json* index = r.Find(v, "index")) device += absl::StrFormat(":%d", r.Int(*index));
  return OfKind(Kind::kDevice, std::move(device));
}

Argument ReadComplex(JsonReader& r, const Json& v) {
  Argument a = OfKind(Kind::kComplex);
  a.real = r.Float(r.Need(v, "real"));
  a.imaginary = r.Float(r.Need(v, "imag"));
  return a;
}

Argument ReadCustomObject(JsonReader& r, const Json& v) {
  return OfKind(Kind::kCustomObject, r.String(r.Need(v, "name")));
}

Argument ReadGraphArgument(JsonReader& r, const Json& v, int depth) {
  Argument a = OfKind(Kind::kGraph, r.String(r.Need(v, "name")));
  if (depth >= kMaxDepth) {
    r.FailWith(absl::StatusCode::kResourceExhausted,
               absl::StrFormat("graphs are nested over %d deep", kMaxDepth));
    return a;
  }
  const Json& graph = r.Need(v, "graph");
  if (r.ok()) a.graph = std::make_shared<Graph>(ReadGraph(r, graph, depth + 1));
  return a;
}

Argument ReadArgument(JsonReader& r, const Json& v, int depth) {
  using Read = Argument (*)(JsonReader&, const Json&);
  struct Tag {
    const char* name;
    Read read;
  };
  static constexpr Tag kTags[] = {
      {"as_none", [](JsonReader&, const Json&) { return Argument(); }},
      {"as_tensor", ReadTensorArgument},
      {"as_tensors", ReadTensorList},
      {"as_int", ReadInt},
      {"as_ints", ReadIntList},
      {"as_float", ReadFloat},
      {"as_floats", ReadFloatList},
      {"as_string", ReadString},
      {"as_strings",
       [](JsonReader& r, const Json& v) { return ReadList(r, v, Element::kString, ReadString); }},
      {"as_sym_int", ReadSymInt1},
      {"as_sym_ints",
       [](JsonReader& r, const Json& v) { return ReadList(r, v, Element::kInt, ReadSymInt1); }},
      {"as_scalar_type",
       [](JsonReader& r, const Json& v) {
         return OfInt(Kind::kScalarType, static_cast<int64_t>(ReadScalarType(r, v)));
       }},
      {"as_memory_format", ReadMemoryFormat},
      {"as_layout", ReadLayout},
      {"as_device", ReadDevice},
      {"as_bool", ReadBool},
      {"as_bools",
       [](JsonReader& r, const Json& v) { return ReadList(r, v, Element::kBool, ReadBool); }},
      {"as_sym_bool", ReadSymBool1},
      {"as_sym_bools",
       [](JsonReader& r, const Json& v) { return ReadList(r, v, Element::kBool, ReadSymBool1); }},
      {"as_optional_tensors",
       [](JsonReader& r, const Json& v) {
         return ReadList(r, v, Element::kTensor, ReadOptionalTensor);
       }},
      {"as_custom_obj", ReadCustomObject},
      {"as_operator",
       [](JsonReader& r, const Json& v) { return OfKind(Kind::kOperator, r.String(v)); }},
      {"as_sym_float", ReadSymFloat1},
      {"as_sym_floats",
       [](JsonReader& r, const Json& v) { return ReadList(r, v, Element::kFloat, ReadSymFloat1); }},
      {"as_optional_tensor", ReadOptionalTensor},
      {"as_complex", ReadComplex},
      {"as_nested_tensors",
       [](JsonReader& r, const Json& v) { return ReadList(r, v, Element::kList, ReadTensorList); }},
      {"as_int_lists",
       [](JsonReader& r, const Json& v) { return ReadList(r, v, Element::kList, ReadIntList); }},
      {"as_float_lists",
       [](JsonReader& r, const Json& v) { return ReadList(r, v, Element::kList, ReadFloatList); }},
  };
  const auto [name, value] = r.Union(v);
  if (value == nullptr) return {};
  const JsonReader::At at(r, name);
  for (const Tag& tag : kTags) {
    if (name == tag.name) return tag.read(r, *value);
  }
  if (name == "as_graph") return ReadGraphArgument(r, *value, depth);
  if (name == "as_string_to_argument") {
    Argument dict = OfKind(Kind::kDict);
    if (depth >= kMaxDepth) {
      r.FailWith(absl::StatusCode::kResourceExhausted, "arguments are nested too deep");
      return dict;
    }
    r.ForEachPair(*value, [&](const std::string& key, const Json& item) {
      dict.keys.push_back(key);
      dict.items.push_back(ReadArgument(r, item, depth + 1));
    });
    return dict;
  }
  r.FailWith(absl::StatusCode::kUnimplemented,
             absl::StrFormat("the argument tag '%s' is not known to this release; export with an "
                             "older PyTorch, or update Floe",
                             name));
  return {};
}

Node ReadNode(JsonReader& r, const Json& v, int depth) {
  Node node;
  node.target = r.String(r.Need(v, "target"));
  if (const Json* name = r.Find(v, "name")) node.name = r.String(*name);
  {
    const JsonReader::At at(r, "inputs");
    r.ForEach(r.Need(v, "inputs"), [&](const Json& input) {
      NamedArgument a;
      a.name = r.String(r.Need(input, "name"));
      a.arg = ReadArgument(r, r.Need(input, "arg"), depth);
      if (const Json* kind = r.Find(input, "kind")) {
        a.kind_known = r.Int(*kind) != 0;
        a.is_keyword = r.Int(*kind) == 2;
      }
      node.inputs.push_back(std::move(a));
    });
  }
  const JsonReader::At at(r, "outputs");
  r.ForEach(r.Need(v, "outputs"),
            [&](const Json& o) { node.outputs.push_back(ReadArgument(r, o, depth)); });
  if (const Json* metadata = r.Find(v, "metadata"); metadata != nullptr) {
    if (const Json* trace = r.Find(*metadata, "stack_trace")) node.stack_trace = r.String(*trace);
  }
  if (const Json* single = r.Find(v, "is_hop_single_tensor_return")) {
    node.single_tensor_return = r.Bool(*single);
  }
  return node;
}

Graph ReadGraph(JsonReader& r, const Json& v, int depth) {
  Graph graph;
  const JsonReader::At at(r, "graph");
  const auto arguments = [&](const char* field, std::vector<Argument>* to) {
    const JsonReader::At at_field(r, field);
    r.ForEach(r.Need(v, field), [&](const Json& a) { to->push_back(ReadArgument(r, a, depth)); });
  };
  arguments("inputs", &graph.inputs);
  arguments("outputs", &graph.outputs);
  {
    const JsonReader::At at_nodes(r, "nodes");
    r.ForEach(r.Need(v, "nodes"),
              [&](const Json& n) { graph.nodes.push_back(ReadNode(r, n, depth)); });
  }
  const JsonReader::At at_values(r, "values");
  r.ForEachPair(r.Need(v, "tensor_values"), [&](const std::string& name, const Json& meta) {
    graph.tensor_values[name] = ReadTensorMeta(r, meta);
  });
  if (const Json* values = r.Find(v, "sym_int_values")) {
    r.ForEachPair(*values, [&](const std::string& name, const Json& value) {
      graph.sym_int_values[name] = ReadSymInt(r, value);
    });
  }
  if (const Json* single = r.Find(v, "is_single_tensor_return")) {
    graph.is_single_tensor_return = r.Bool(*single);
  }
  return graph;
}

InputSpec ReadInputSpec(JsonReader& r, const Json& v) {
  InputSpec spec;
  const auto [tag, value] = r.Union(v);
  if (value == nullptr) return spec;
  const JsonReader::At at(r, tag);
  const auto tensor = [&](InputSpec::Kind kind, const char* name_field) {
    spec.kind = kind;
    spec.arg = ReadTensorArgument(r, r.Need(*value, "arg"));
    spec.name = r.String(r.Need(*value, name_field));
  };
  if (tag == "user_input") {
    spec.arg = ReadArgument(r, r.Need(*value, "arg"), 0);
  } else if (tag == "parameter") {
    tensor(InputSpec::Kind::kParameter, "parameter_name");
  } else if (tag == "buffer") {
    tensor(InputSpec::Kind::kBuffer, "buffer_name");
    // Files before schema 5.3 do not say.
    if (const Json* persistent = r.Find(*value, "persistent")) {
      spec.persistent = r.Bool(*persistent);
    }
  } else if (tag == "tensor_constant") {
    tensor(InputSpec::Kind::kTensorConstant, "tensor_constant_name");
  } else if (tag == "custom_obj") {
    spec.kind = InputSpec::Kind::kCustomObject;
    spec.arg = ReadCustomObject(r, r.Need(*value, "arg"));
    spec.name = r.String(r.Need(*value, "custom_obj_name"));
  } else if (tag == "token") {
    spec.kind = InputSpec::Kind::kToken;
    spec.arg = ReadTensorArgument(r, r.Need(*value, "arg"));
  } else if (tag == "constant_input") {
    spec.kind = InputSpec::Kind::kConstantInput;
    spec.name = r.String(r.Need(*value, "name"));
    spec.arg = ReadArgument(r, r.Need(*value, "value"), 0);
  } else {
    r.FailWith(absl::StatusCode::kUnimplemented,
               absl::StrFormat("the kind '%s' of an input is not known to this release", tag));
  }
  return spec;
}

OutputSpec ReadOutputSpec(JsonReader& r, const Json& v) {
  struct Tag {
    const char* name;
    OutputSpec::Kind kind;
    const char* name_field;  // Null: it has no name.
  };
  using K = OutputSpec::Kind;
  static constexpr Tag kTags[] = {
      {"user_output", K::kUserOutput, nullptr},
      {"loss_output", K::kLossOutput, nullptr},
      {"buffer_mutation", K::kBufferMutation, "buffer_name"},
      {"parameter_mutation", K::kParameterMutation, "parameter_name"},
      {"user_input_mutation", K::kUserInputMutation, "user_input_name"},
      {"gradient_to_parameter", K::kGradient, "parameter_name"},
      {"gradient_to_user_input", K::kGradient, "user_input_name"},
      {"token", K::kToken, nullptr},
  };
  OutputSpec spec;
  const auto [name, value] = r.Union(v);
  if (value == nullptr) return spec;
  const JsonReader::At at(r, name);
  for (const Tag& tag : kTags) {
    if (name != tag.name) continue;
    spec.kind = tag.kind;
    const Json& arg = r.Need(*value, "arg");
    spec.arg = spec.kind == K::kUserOutput ? ReadArgument(r, arg, 0) : ReadTensorArgument(r, arg);
    if (tag.name_field != nullptr) spec.name = r.String(r.Need(*value, tag.name_field));
    return spec;
  }
  r.FailWith(absl::StatusCode::kUnimplemented,
             absl::StrFormat("the kind '%s' of an output is not known to this release", name));
  return spec;
}

// Infinite bounds are null, infinities, or numbers near the ends of 64 bits.
std::optional<int64_t> ReadBound(JsonReader& r, const Json* v) {
  constexpr int64_t kInfinite = int64_t{1} << 61;
  if (v == nullptr || v->is_string()) return std::nullopt;
  if (v->is_number_float() || v->is_number_unsigned()) {
    const double value = r.Float(*v);
    if (!(std::abs(value) < static_cast<double>(kInfinite))) return std::nullopt;
    return static_cast<int64_t>(value);
  }
  const int64_t value = r.Int(*v);
  if (value <= -kInfinite || value >= kInfinite) return std::nullopt;
  return value;
}

void ReadSignature(JsonReader& r, const Json& module, Program* program) {
  const Json& signature = r.Need(module, "signature");
  if (!r.ok()) return;
  {
    const JsonReader::At at(r, "input_specs");
    r.ForEach(r.Need(signature, "input_specs"),
              [&](const Json& s) { program->input_specs.push_back(ReadInputSpec(r, s)); });
  }
  const JsonReader::At at(r, "output_specs");
  r.ForEach(r.Need(signature, "output_specs"),
            [&](const Json& s) { program->output_specs.push_back(ReadOutputSpec(r, s)); });
  if (r.ok() && program->input_specs.size() != program->graph.inputs.size()) {
    r.Fail(absl::StrFormat("the graph has %d inputs, but its signature %d",
                           program->graph.inputs.size(), program->input_specs.size()));
  }
}

void ReadVersion(JsonReader& r, const Json& root, Program* program) {
  if (const Json* version = r.Find(root, "torch_version")) {
    program->torch_version = r.String(*version);
  }
  const Json& version = r.Need(root, "schema_version");
  if (!r.ok()) return;
  program->major = r.Int(r.Need(version, "major"));
  program->minor = r.Int(r.Need(version, "minor"));
  if (!r.ok() || (program->major >= kOldestMajor && program->major <= kNewestMajor)) return;
  const std::string written =
      program->torch_version.empty() ? "" : " by PyTorch " + program->torch_version;
  r.FailWith(absl::StatusCode::kUnimplemented,
             absl::StrFormat("the file was written%s with schema version %d.%d; this release "
                             "reads %d to %d. Export the model again with %s",
                             written, program->major, program->minor, kOldestMajor, kNewestMajor,
                             program->major < kOldestMajor ? "PyTorch 2.6 or newer"
                                                           : "an older PyTorch, or update Floe"));
}

void ReadProgram(JsonReader& r, const Json& root, Program* program) {
  ReadVersion(r, root, program);
  if (!r.ok()) return;
  const Json& module = r.Need(root, "graph_module");
  if (!r.ok()) return;
  const Json& graph = r.Need(module, "graph");
  if (!r.ok()) return;
  program->graph = ReadGraph(r, graph, 0);
  ReadSignature(r, module, program);
  if (const Json* ranges = r.Find(root, "range_constraints")) {
    r.ForEachPair(*ranges, [&](const std::string& name, const Json& range) {
      program->range_constraints[name] = {ReadBound(r, r.Find(range, "min_val")),
                                          ReadBound(r, r.Find(range, "max_val"))};
    });
  }
  if (const Json* guards = r.Find(root, "guards_code")) {
    program->has_guards = true;
    r.ForEach(*guards, [&](const Json& g) { program->guards_code.push_back(r.String(g)); });
  }
  const Json* calls = r.Find(module, "module_call_graph");
  if (calls == nullptr || !calls->is_array() || calls->empty()) return;
  const Json* signature = r.Find((*calls)[0], "signature");
  if (signature == nullptr) return;
  if (const Json* spec = r.Find(*signature, "in_spec")) program->in_spec = r.String(*spec);
  if (const Json* spec = r.Find(*signature, "out_spec")) program->out_spec = r.String(*spec);
  if (const Json* names = r.Find(*signature, "forward_arg_names")) {
    r.ForEach(*names, [&](const Json& n) { program->forward_arg_names.push_back(r.String(n)); });
  }
}

}  // namespace

absl::StatusOr<Program> ParseProgram(std::string_view json) {
  FLOE_TRY_ASSIGN(const Json root, ParseJson(json));
  JsonReader r;
  Program program;
  ReadProgram(r, root, &program);
  if (!r.ok()) return r.status();
  return program;
}

absl::StatusOr<std::map<std::string, PayloadMeta>> ParsePayloadConfig(std::string_view json) {
  FLOE_TRY_ASSIGN(const Json root, ParseJson(json));
  JsonReader r;
  std::map<std::string, PayloadMeta> config;
  const Json& entries = r.Need(root, "config");
  if (!r.ok()) return r.status();
  r.ForEachPair(entries, [&](const std::string& name, const Json& v) {
    PayloadMeta& meta = config[name];
    meta.path = r.String(r.Need(v, "path_name"));
    if (const Json* pickled = r.Find(v, "use_pickle")) meta.use_pickle = r.Bool(*pickled);
    if (const Json* tensor = r.Find(v, "tensor_meta")) meta.meta = ReadTensorMeta(r, *tensor);
  });
  if (!r.ok()) return r.status();
  return config;
}

}  // namespace floe::torch_export
