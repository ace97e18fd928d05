// The program's inputs, weights, states and outputs.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "compiler/import/torch_export/importer.h"
#include "compiler/import/torch_export/mutations.h"
#include "compiler/import/torch_export/pytree.h"
#include "compiler/ir/control.h"
#include "compiler/ir/status_macros.h"
#include "compiler/ir/verify.h"
#include "format/tensor_info.h"

namespace floe::torch_export {

using aten::IValue;
using ArgKind = Argument::Kind;
using InputKind = InputSpec::Kind;
using OutputKind = OutputSpec::Kind;

namespace {

bool IsUserInput(InputKind kind) {
  return kind == InputKind::kUserInput || kind == InputKind::kConstantInput;
}

}  // namespace

// How the user's call spells the leaves of its arguments; the graph's names if the file does not
// say.
std::vector<LeafPath> Importer::InputPaths(size_t leaves) const {
  const auto tree = ParseTreeSpec(program_.in_spec);
  if (!tree || tree->size() != leaves) return {};
  std::vector<LeafPath> paths;
  for (const LeafPath& leaf : *tree) {
    // The root is (args, kwargs).
    if (leaf.size() < 2) return {};
    LeafPath path(leaf.begin() + 1, leaf.end());
    if (leaf[0] == "0") {
      size_t position;
      if (!absl::SimpleAtoi(leaf[1], &position)) return {};
      if (position >= program_.forward_arg_names.size()) return {};
      path[0] = program_.forward_arg_names[position];
    }
    paths.push_back(std::move(path));
  }
  return paths;
}

absl::Status Importer::ReadSignature(Scope& scope) {
  const std::vector<InputSpec>& specs = program_.input_specs;
  const auto leaves = static_cast<size_t>(std::count_if(
      specs.begin(), specs.end(), [](const InputSpec& s) { return IsUserInput(s.kind); }));
  const std::vector<LeafPath> paths = InputPaths(leaves);
  // The tensors among the user's inputs come first: their sizes give the symbols.
  size_t leaf = 0;
  std::vector<size_t> input_of(specs.size(), SIZE_MAX);
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!IsUserInput(specs[i].kind)) continue;
    const size_t position = leaf++;
    const std::string& argument = specs[i].arg.text;
    if (specs[i].kind != InputKind::kUserInput || specs[i].arg.kind != ArgKind::kName) continue;
    const auto meta = program_.graph.tensor_values.find(argument);
    if (meta == program_.graph.tensor_values.end()) continue;
    TensorInput input;
    input.argument = argument;
    input.path = paths.empty() ? LeafPath{argument} : paths[position];
    input.name = JoinPath(input.path[0], input.path, 1);
    input.meta = &meta->second;
    input_of[i] = inputs_.size();
    inputs_.push_back(std::move(input));
  }
  FLOE_TRY(symbols_.Bind(inputs_));
  std::set<std::string> mutated = MutatedInputs(program_.graph);
  std::set<std::string> mutated_weights;
  for (const OutputSpec& output : program_.output_specs) {
    if (output.kind == OutputKind::kBufferMutation ||
        output.kind == OutputKind::kParameterMutation) {
      mutated_weights.insert(output.name);
    } else if (output.kind == OutputKind::kUserInputMutation) {
      mutated.insert(output.name);
    }
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const InputSpec& spec = specs[i];
    if (IsUserInput(spec.kind)) {
      const TensorInput* input = input_of[i] == SIZE_MAX ? nullptr : &inputs_[input_of[i]];
      FLOE_TRY(BindUserInput(spec, input, scope));
      if (input == nullptr || !mutated.contains(input->argument)) continue;
      const IValue& value = scope.names[input->argument].value;
      if (value.is_tensor()) {
        mutated_inputs_.push_back({input->name, input->argument, value.variable()});
      }
      continue;
    }
    const bool writes = mutated.contains(spec.arg.text) || mutated_weights.contains(spec.name);
    FLOE_TRY(BindWeight(spec, writes, scope));
  }
  return CheckStatesShareNothing();
}

absl::Status Importer::BindUserInput(const InputSpec& spec, const TensorInput* input,
                                     Scope& scope) {
  Node node;
  node.name = spec.name.empty() ? spec.arg.text : spec.name;
  node.target = "input";
  if (input != nullptr) {
    if (!input->meta->is_strided) {
      Refuse(node, "input", "it is a sparse tensor", scope);
      return Define(input->argument, {IValue(), true}, node, scope);
    }
    const torch_file::ScalarType part = torch_file::PartOfComplex(input->meta->dtype);
    const bool complex = part != torch_file::ScalarType::kUndefined;
    const absl::StatusOr<DType> dtype = torch_file::ToDType(complex ? part : input->meta->dtype);
    if (!dtype.ok()) {
      Refuse(node, "input", std::string(dtype.status().message()), scope);
      return Define(input->argument, {IValue(), true}, node, scope);
    }
    if (input->meta->sizes.size() + (complex ? 1 : 0) > static_cast<size_t>(kMaxRank)) {
      return absl::UnimplementedError(absl::StrFormat("input '%s' has rank %d; ranks go up to %d",
                                                      input->name, input->meta->sizes.size(),
                                                      kMaxRank));
    }
    FLOE_TRY_ASSIGN(ir::Shape shape, symbols_.ShapeOf(*input));
    if (graph_->FindValue(input->name) != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrFormat("two inputs have the name '%s'", input->name));
    }
    if (complex) shape.push_back(2);
    ir::Value* value = graph_->AddInput(input->name, *dtype, std::move(shape));
    const aten::Form form = complex ? aten::Form::kComplex : aten::Form::kPlain;
    return Define(input->argument, {context_.NewTensor(value, form)}, node, scope);
  }
  if (spec.kind == InputKind::kConstantInput || spec.arg.kind != ArgKind::kName) {
    // Part of the exported program: it has this value in every call.
    bool unknown = false;
    const absl::StatusOr<IValue> value = ToValue(spec.arg, scope, &unknown);
    if (!value.ok() && !absl::IsUnimplemented(value.status())) return value.status();
    if (!value.ok()) Refuse(node, "input", std::string(value.status().message()), scope);
    return Define(spec.name, {value.ok() ? *value : IValue(), !value.ok()}, node, scope);
  }
  // A number that is given at each call: a symbol that is fixed, or a scalar input.
  const auto sym = program_.graph.sym_int_values.find(spec.arg.text);
  if (sym == program_.graph.sym_int_values.end()) {
    Refuse(node, "input", "it is neither a tensor nor an integer", scope);
    return Define(spec.arg.text, {IValue(), true}, node, scope);
  }
  if (const std::optional<ir::Dim> known = symbols_.Find(sym->second)) {
    if (known->is_constant()) {
      return Define(spec.arg.text, {IValue::Int(*known)}, node, scope);
    }
  }
  ir::Value* value = graph_->AddInput(spec.arg.text, DType::kI64, {});
  return Define(spec.arg.text, {IValue::Scalar(aten::Kind::kInt, context_.NewVariable(value))},
                node, scope);
}

absl::Status Importer::BindWeight(const InputSpec& spec, bool mutated, Scope& scope) {
  Node node;
  node.name = spec.arg.text;
  node.target = "input";
  if (spec.kind == InputKind::kToken) return Define(spec.arg.text, {IValue()}, node, scope);
  if (spec.kind == InputKind::kCustomObject) {
    node.name = spec.name;
    Refuse(node, "input", "it is a custom object, which only Python or C++ code of its own can use",
           scope);
    return Define(spec.arg.text, {IValue(), true}, node, scope);
  }
  auto weight = std::make_unique<Weight>();
  weight->name = spec.name;
  weight->constant = spec.kind == InputKind::kTensorConstant ||
                     (spec.kind == InputKind::kBuffer && !spec.persistent);
  const auto meta = program_.graph.tensor_values.find(spec.arg.text);
  weight->complex =
      meta != program_.graph.tensor_values.end() &&
      torch_file::PartOfComplex(meta->second.dtype) != torch_file::ScalarType::kUndefined;
  const aten::Form form = weight->complex ? aten::Form::kComplex : aten::Form::kPlain;
  Entry entry;
  if (mutated) {
    const absl::StatusOr<ir::Tensor> tensor = file_.ReadWeight(spec.name, weight->constant);
    if (!tensor.ok()) return tensor.status();
    StateInput state;
    state.buffer = spec.name;
    state.argument = spec.arg.text;
    state.index = graph_->states().size();
    ir::Value* value = graph_->AddState(spec.name, *tensor);
    entry.value = context_.NewTensor(value, form);
    state.variable = entry.value.variable();
    states_.push_back(std::move(state));
  } else {
    entry.weight = weight.get();
  }
  weights_.push_back(std::move(weight));
  return Define(spec.arg.text, std::move(entry), node, scope);
}

// A buffer that is written must not be seen through another one.
absl::Status Importer::CheckStatesShareNothing() const {
  std::map<std::string, std::string> state_of;  // By storage.
  for (const StateInput& state : states_) {
    for (const InputSpec& spec : program_.input_specs) {
      const bool constant = spec.kind == InputKind::kTensorConstant ||
                            (spec.kind == InputKind::kBuffer && !spec.persistent);
      if (spec.name != state.buffer) continue;
      const std::string storage = file_.StorageOf(spec.name, constant);
      if (!storage.empty()) state_of[storage] = spec.name;
    }
  }
  if (state_of.empty()) return absl::OkStatus();
  for (const InputSpec& spec : program_.input_specs) {
    if (IsUserInput(spec.kind)) continue;
    const bool constant = spec.kind == InputKind::kTensorConstant ||
                          (spec.kind == InputKind::kBuffer && !spec.persistent);
    const auto it = state_of.find(file_.StorageOf(spec.name, constant));
    if (it == state_of.end() || it->second == spec.name) continue;
    return absl::UnimplementedError(absl::StrFormat(
        "the model writes '%s', which shares its memory with '%s'; give one of them a copy "
        "(x.clone()) before exporting",
        it->second, spec.name));
  }
  return absl::OkStatus();
}

absl::StatusOr<IValue> Importer::WeightValue(const Weight& weight) {
  const std::string key = (weight.constant ? "c/" : "w/") + weight.name;
  if (const auto it = weight_values_.find(key); it != weight_values_.end()) return it->second;
  FLOE_TRY_ASSIGN(const ir::Tensor tensor, file_.ReadWeight(weight.name, weight.constant));
  // Tied weights lie at one place of the file: they become one constant.
  std::string place = absl::StrFormat("@%x/%s%s", reinterpret_cast<uintptr_t>(tensor.data()),
                                      DTypeName(tensor.dtype()), weight.complex ? "/complex" : "");
  for (const int64_t d : tensor.dims()) place += absl::StrFormat("/%d", d);
  auto [tied, is_new] = weight_values_.try_emplace(place);
  if (is_new) {
    const aten::Form form = weight.complex ? aten::Form::kComplex : aten::Form::kPlain;
    tied->second = context_.NewTensor(graph_->AddConstant(weight.name, tensor), form);
  }
  const IValue value = tied->second;
  weight_values_[key] = value;
  return value;
}

// --- outputs -------------------------------------------------------------------------------------

absl::Status Importer::AddUserOutput(const Argument& arg, const std::string& name, Scope& scope) {
  bool unknown = false;
  FLOE_TRY_ASSIGN(const IValue value, ToValue(arg, scope, &unknown));
  if (unknown || value.is_none()) return absl::OkStatus();
  if (value.is_sequence()) {
    for (size_t i = 0; i < value.items().size(); ++i) {
      const IValue& item = value.items()[i];
      if (!item.is_tensor()) continue;
      FLOE_TRY(context_.CheckOutput(item.variable()));
      FLOE_TRY_ASSIGN(ir::Value * tensor, context_.Read(item.variable()));
      graph_->AddOutput(tensor, absl::StrFormat("%s.%d", name, i));
    }
    return absl::OkStatus();
  }
  ir::Value* result = nullptr;
  if (value.variable() != nullptr) {
    FLOE_TRY(context_.CheckOutput(value.variable()));
    FLOE_TRY_ASSIGN(result, context_.Read(value.variable()));
  } else if (value.kind() == aten::Kind::kInt) {
    FLOE_TRY_ASSIGN(result, ir::AddDim(*graph_, value.dim(), name, {name, ""}));
  } else if (value.kind() == aten::Kind::kBool) {
    result = ir::AddBool(*graph_, name, value.bool_value());
  } else if (value.kind() == aten::Kind::kFloat) {
    ir::Tensor number(DType::kF64, {});
    number.SetDouble(0, value.float_value());
    result = graph_->AddConstant(name, std::move(number));
  } else {
    notes_.push_back(
        absl::StrFormat("the model also returns %s ('%s'), which is no output of the "
                        "program",
                        value.Describe(), name));
    return absl::OkStatus();
  }
  graph_->AddOutput(result, name);
  return absl::OkStatus();
}

absl::Status Importer::WriteOutputs(Scope& scope) {
  std::vector<const Argument*> user;
  for (const OutputSpec& output : program_.output_specs) {
    if (output.kind == OutputKind::kUserOutput || output.kind == OutputKind::kLossOutput) {
      user.push_back(&output.arg);
    } else if (output.kind == OutputKind::kGradient) {
      return absl::UnimplementedError(
          "the program computes gradients; export the model for inference (model.eval())");
    }
  }
  const auto paths = ParseTreeSpec(program_.out_spec);
  const bool named = paths && paths->size() == user.size();
  for (size_t i = 0; i < user.size(); ++i) {
    std::string name = user.size() == 1 ? "output" : absl::StrFormat("output.%d", i);
    if (named) name = JoinPath("output", (*paths)[i], 0);
    FLOE_TRY(AddUserOutput(*user[i], name, scope));
  }
  for (const MutatedInput& input : mutated_inputs_) {
    FLOE_TRY_ASSIGN(ir::Value * value, context_.Read(input.variable));
    for (const OutputSpec& output : program_.output_specs) {
      if (output.kind != OutputKind::kUserInputMutation || output.name != input.argument) continue;
      bool unknown = false;
      FLOE_TRY_ASSIGN(const IValue written, ToValue(output.arg, scope, &unknown));
      if (unknown || !written.is_tensor()) continue;
      FLOE_TRY_ASSIGN(value, context_.Read(written.variable()));
    }
    graph_->AddOutput(value, input.name + ".mutated");
  }
  if (graph_->outputs().empty() && states_.empty() && unsupported_.empty()) {
    return absl::InvalidArgumentError("the model returns no tensor");
  }
  return absl::OkStatus();
}

absl::Status Importer::WriteStates(Scope& scope) {
  for (const StateInput& state : states_) {
    FLOE_TRY_ASSIGN(ir::Value * value, context_.Read(state.variable));
    for (const OutputSpec& output : program_.output_specs) {
      const bool names_it = (output.kind == OutputKind::kBufferMutation ||
                             output.kind == OutputKind::kParameterMutation) &&
                            output.name == state.buffer;
      if (!names_it) continue;
      bool unknown = false;
      FLOE_TRY_ASSIGN(const IValue written, ToValue(output.arg, scope, &unknown));
      if (unknown || !written.is_tensor()) continue;
      FLOE_TRY_ASSIGN(value, context_.Read(written.variable()));
    }
    const ir::Value& before = *graph_->states()[state.index].value;
    if (value->dtype() != before.dtype() || value->shape() != before.shape()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the model changes the type of buffer '%s' from %s to %s", state.buffer,
                          ir::TypeToString(*graph_, before), ir::TypeToString(*graph_, *value)));
    }
    graph_->SetStateResult(state.index, value);
  }
  return absl::OkStatus();
}

}  // namespace floe::torch_export
