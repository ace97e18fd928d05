#include "compiler/ir/evaluate.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

#include "absl/strings/str_format.h"
#include "backends/reference/ops.h"
#include "compiler/ir/control.h"
#include "compiler/ir/status_macros.h"
#include "compiler/ir/verify.h"
#include "format/checked.h"
#include "format/tensor_info.h"

namespace floe::ir {
namespace {

TensorInfo InfoOf(DType dtype, const std::vector<int64_t>& dims) {
  TensorInfo info;
  info.dtype = dtype;
  info.rank = static_cast<uint8_t>(dims.size());
  std::copy(dims.begin(), dims.end(), info.dims);
  return info;
}

absl::Status RuleError(const Graph& graph, const Node& node, Code code, Rule rule,
                       uint32_t operand) {
  std::string text = absl::StrFormat("%s: %s", Describe(graph, node), RuleText(rule));
  if (operand != kNoIndex) text += absl::StrFormat(" (operand %d)", operand);
  switch (code) {
    case Code::kUnsupported:
      return absl::UnimplementedError(text);
    case Code::kResourceExhausted:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::InvalidArgumentError(text);
  }
}

// The concrete type of an output.
absl::StatusOr<std::vector<int64_t>> ConcreteDims(const Graph& graph, const Value& value,
                                                  const std::vector<int64_t>& symbol_values) {
  if (value.rank() > static_cast<size_t>(kMaxRank)) {
    return absl::InvalidArgumentError("the rank is above 8");
  }
  std::vector<int64_t> dims;
  for (const Dim& d : value.shape()) dims.push_back(d.Eval(symbol_values));
  const TensorInfo info = InfoOf(value.dtype(), dims);
  int64_t bytes;
  if (!TensorBytes(info, &bytes).ok()) {
    return absl::InvalidArgumentError(absl::StrFormat("'%s' of type %s is too large or negative",
                                                      value.name(), TypeToString(graph, value)));
  }
  return dims;
}

Tensor ContentTensor(const Value& value, const std::vector<int64_t>& symbol_values,
                     std::vector<int64_t> dims) {
  Tensor t(value.dtype(), std::move(dims));
  for (size_t i = 0; i < value.content->size(); ++i) {
    t.SetInt(static_cast<int64_t>(i), (*value.content)[i].Eval(symbol_values));
  }
  return t;
}

// Makes the equations input dim == given size into symbol values.
class SymbolSolver {
 public:
  explicit SymbolSolver(const Graph& graph)
      : graph_(graph), values_(graph.symbols.size()), known_(graph.symbols.size()) {}

  absl::StatusOr<std::vector<int64_t>> Solve(std::span<const Tensor> inputs) {
    while (Step(inputs)) {
    }
    for (size_t i = 0; i < values_.size(); ++i) FLOE_TRY(CheckSymbol(i));
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Value& input = *graph_.inputs()[i];
      for (size_t axis = 0; axis < input.rank(); ++axis) {
        const Dim& d = input.shape()[axis];
        if (d.Eval(values_) != inputs[i].dims()[axis]) {
          return absl::InvalidArgumentError(
              absl::StrFormat("input '%s': axis %d is %d, not %s", input.name(), axis,
                              inputs[i].dims()[axis], d.ToString(graph_.symbols)));
        }
      }
    }
    return values_;
  }

 private:
  // Solves every dim with one unknown symbol; false when there was none.
  bool Step(std::span<const Tensor> inputs) {
    bool progress = false;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Shape& shape = graph_.inputs()[i]->shape();
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        progress = SolveDim(shape[axis], inputs[i].dims()[axis]) || progress;
      }
    }
    return progress;
  }

  bool SolveDim(const Dim& d, int64_t size) {
    int64_t rest = size - d.constant();
    const DimTerm* unknown = nullptr;
    for (const DimTerm& term : d.terms()) {
      if (term.symbol() == nullptr) return false;
      if (known_[*term.symbol()]) {
        rest -= term.coefficient * values_[*term.symbol()];
      } else if (unknown != nullptr) {
        return false;
      } else {
        unknown = &term;
      }
    }
    if (unknown == nullptr || rest % unknown->coefficient != 0) return false;
    values_[*unknown->symbol()] = rest / unknown->coefficient;
    known_[*unknown->symbol()] = true;
    return true;
  }

  bool IsUsed(SymbolId symbol) const { return IsUsedIn(graph_, symbol); }

  static bool IsUsedIn(const Graph& graph, SymbolId symbol) {
    const auto names_it = [symbol](const Dim& d) { return d.Uses(symbol); };
    for (const auto& value : graph.values()) {
      const Shape& s = value->shape();
      if (std::any_of(s.begin(), s.end(), names_it)) return true;
      if (!value->content) continue;
      if (std::any_of(value->content->begin(), value->content->end(), names_it)) return true;
    }
    return std::any_of(graph.nodes().begin(), graph.nodes().end(), [symbol](const auto& node) {
      return std::any_of(node->bodies.begin(), node->bodies.end(),
                         [symbol](const auto& body) { return IsUsedIn(*body, symbol); });
    });
  }

  absl::Status CheckSymbol(size_t i) const {
    const Symbol& s = graph_.symbols[i];
    if (!known_[i]) {
      if (s.data) return absl::OkStatus();
      if (!IsUsed(static_cast<SymbolId>(i))) return absl::OkStatus();
      return absl::InvalidArgumentError(
          absl::StrFormat("the inputs' shapes do not say what symbol '%s' is", s.name));
    }
    if (values_[i] < s.min || values_[i] > s.max || values_[i] % s.multiple != 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("symbol '%s' is %d, which is outside %d..%d or no multiple of %d", s.name,
                          values_[i], s.min, s.max, s.multiple));
    }
    return absl::OkStatus();
  }

  const Graph& graph_;
  std::vector<int64_t> values_;
  std::vector<bool> known_;
};

absl::Status CheckInputs(const Graph& graph, std::span<const Tensor> inputs) {
  if (inputs.size() != graph.inputs().size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the graph takes %d inputs, not %d", graph.inputs().size(), inputs.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& input = *graph.inputs()[i];
    if (inputs[i].dtype() != input.dtype() || inputs[i].dims().size() != input.rank()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "input '%s' is %s of rank %d, not %s", input.name(), DTypeName(inputs[i].dtype()),
          inputs[i].dims().size(), TypeToString(graph, input)));
    }
  }
  return absl::OkStatus();
}

// What a Size node says about its symbol.
absl::Status SetSize(const Graph& graph, const Node& node, const Tensor& count,
                     std::vector<int64_t>* symbol_values) {
  const SymbolId symbol = *(*node.output()->content)[0].terms()[0].symbol();
  const Symbol& s = graph.symbols[symbol];
  const int64_t v = count.IntAt(0);
  if (v < s.min || v > s.max) {
    return absl::OutOfRangeError(absl::StrFormat("%s: the size '%s' is %d, outside of %d..%d",
                                                 Describe(graph, node), s.name, v, s.min, s.max));
  }
  (*symbol_values)[symbol] = v;
  return absl::OkStatus();
}

// Runs the nodes on `tensors`, which holds the inputs and is left with what outlives them.
absl::Status RunNodes(const Graph& graph, std::vector<int64_t> symbol_values,
                      std::map<const Value*, Tensor>* tensors) {
  std::map<const Value*, size_t> uses_left;
  for (const Value* output : graph.outputs()) ++uses_left[output];
  for (const State& state : graph.states()) {
    ++uses_left[state.result == nullptr ? state.value : state.result];
  }
  for (const auto& value : graph.values()) {
    if (value->is_constant()) (*tensors)[value.get()] = value->constant();
    uses_left[value.get()] += value->users().size();
  }
  for (const auto& node : graph.nodes()) {
    std::vector<Tensor> operands;
    for (const Value* input : node->inputs()) {
      operands.push_back(input == nullptr ? Tensor() : tensors->at(input));
    }
    if (node->op() == OpId::kSize) FLOE_TRY(SetSize(graph, *node, operands[0], &symbol_values));
    FLOE_TRY_ASSIGN(std::vector<Tensor> results,
                    EvaluateNode(graph, *node, operands, symbol_values));
    for (size_t i = 0; i < results.size(); ++i) {
      if (node->outputs()[i] != nullptr) (*tensors)[node->outputs()[i]] = std::move(results[i]);
    }
    for (const Value* input : node->inputs()) {
      if (input != nullptr && --uses_left[input] == 0) tensors->erase(input);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Tensor>> RunBody(const Graph& body, std::span<const Tensor> inputs,
                                            const std::vector<int64_t>& symbol_values) {
  std::map<const Value*, Tensor> tensors;
  for (size_t i = 0; i < inputs.size(); ++i) tensors[body.inputs()[i]] = inputs[i];
  FLOE_TRY(RunNodes(body, symbol_values, &tensors));
  std::vector<Tensor> outputs;
  for (const Value* output : body.outputs()) outputs.push_back(tensors.at(output));
  return outputs;
}

absl::StatusOr<std::vector<Tensor>> RunLoop(const Graph& graph, const Node& node,
                                            std::span<const Tensor> inputs,
                                            const std::vector<int64_t>& symbol_values) {
  const auto carried = static_cast<size_t>(node.Int("carried"));
  const int64_t trips = inputs[0].IntAt(0);
  const int64_t max_trips = node.Int("max_trips");
  bool go = inputs[1].IntAt(0) != 0;
  std::vector<Tensor> params = {Tensor()};
  params.insert(params.end(), inputs.begin() + 2, inputs.end());
  for (int64_t iteration = 0; go && iteration < trips; ++iteration) {
    if (iteration == max_trips) {
      return absl::OutOfRangeError(absl::StrFormat("%s: the loop needs more than %d iterations",
                                                   Describe(graph, node), max_trips));
    }
    params[0] = Tensor(DType::kI64, {});
    params[0].SetInt(0, iteration);
    FLOE_TRY_ASSIGN(std::vector<Tensor> results, RunBody(*node.bodies[0], params, symbol_values));
    go = results[0].IntAt(0) != 0;
    std::move(results.begin() + 1, results.end(), params.begin() + 1);
  }
  return std::vector<Tensor>(params.begin() + 1,
                             params.begin() + 1 + static_cast<ptrdiff_t>(carried));
}

absl::StatusOr<std::vector<Tensor>> RunCheck(const Graph& graph, const Node& node,
                                             const Tensor& condition) {
  for (int64_t i = 0; i < condition.count(); ++i) {
    if (condition.IntAt(i) != 0) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: the check failed: %s", Describe(graph, node), node.message));
  }
  return std::vector<Tensor>();
}

absl::StatusOr<std::vector<Tensor>> RunControl(const Graph& graph, const Node& node,
                                               std::span<const Tensor> inputs,
                                               const std::vector<int64_t>& symbol_values) {
  if (node.op() == OpId::kCheck) return RunCheck(graph, node, inputs[0]);
  if (node.op() == OpId::kSize) return {{inputs[0]}};
  if (node.op() == OpId::kLoop) return RunLoop(graph, node, inputs, symbol_values);
  const bool condition = inputs[0].IntAt(0) != 0;
  return RunBody(*node.bodies[condition ? 0 : 1], inputs.subspan(1), symbol_values);
}

struct FreeMemory {
  void operator()(void* p) const { std::free(p); }
};

}  // namespace

absl::StatusOr<std::vector<Tensor>> EvaluateNode(const Graph& graph, const Node& node,
                                                 std::span<const Tensor> inputs,
                                                 const std::vector<int64_t>& symbol_values) {
  if (IsControlOp(node.op())) return RunControl(graph, node, inputs, symbol_values);
  std::vector<TensorInfo> infos;
  std::vector<const void*> input_data;
  std::vector<void*> output_data;
  std::vector<Tensor> outputs;
  for (const Tensor& t : inputs) {
    infos.push_back(t.dtype() == DType::kNone ? TensorInfo() : InfoOf(t.dtype(), t.dims()));
    input_data.push_back(t.data());
  }
  for (const Value* output : node.outputs()) {
    if (output == nullptr) {
      outputs.emplace_back();
      infos.emplace_back();
      output_data.push_back(nullptr);
      continue;
    }
    FLOE_TRY_ASSIGN(std::vector<int64_t> dims, ConcreteDims(graph, *output, symbol_values));
    infos.push_back(InfoOf(output->dtype(), dims));
    if (node.op() == OpId::kDimsOf) return {{ContentTensor(*output, symbol_values, dims)}};
    outputs.emplace_back(output->dtype(), std::move(dims));
    output_data.push_back(outputs.back().mutable_data());
  }
  const std::vector<int64_t> words = AttrWords(node);
  OpInfo info;
  info.inputs = infos.data();
  info.outputs = infos.data() + inputs.size();
  info.input_count = static_cast<uint32_t>(inputs.size());
  info.output_count = static_cast<uint32_t>(outputs.size());
  info.attrs = words.data();
  info.attr_count = static_cast<uint32_t>(words.size());
  info.code = node.code.data();
  info.code_count = static_cast<uint32_t>(node.code.size());
  info.constants = input_data.data();
  Footprint footprint;
  if (const Status s = reference::CheckOp(node.op(), info, &footprint); !s.ok()) {
    return RuleError(graph, node, s.code, s.rule, s.operand);
  }
  const auto scratch_bytes = RoundUp(std::max<int64_t>(footprint.scratch_bytes, 1), kAlignment);
  const std::unique_ptr<void, FreeMemory> scratch(
      std::aligned_alloc(kAlignment, static_cast<size_t>(scratch_bytes)));
  if (scratch == nullptr) {
    return RuleError(graph, node, Code::kResourceExhausted, Rule::kHostMemory, kNoIndex);
  }
  const Rule rule =
      reference::RunOp(node.op(), info, input_data.data(), output_data.data(), scratch.get());
  if (rule != Rule::kNone) return RuleError(graph, node, Code::kOutOfRange, rule, kNoIndex);
  return outputs;
}

absl::StatusOr<std::vector<Tensor>> Evaluate(const Graph& graph, std::span<const Tensor> inputs,
                                             std::vector<Tensor>* states) {
  FLOE_TRY(CheckInputs(graph, inputs));
  FLOE_TRY_ASSIGN(const std::vector<int64_t> symbol_values, SymbolSolver(graph).Solve(inputs));
  std::map<const Value*, Tensor> tensors;
  for (size_t i = 0; i < inputs.size(); ++i) tensors[graph.inputs()[i]] = inputs[i];
  const bool given = states != nullptr && !states->empty();
  if (given && states->size() != graph.states().size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the graph has %d states, not %d", graph.states().size(), states->size()));
  }
  for (size_t i = 0; i < graph.states().size(); ++i) {
    const State& state = graph.states()[i];
    tensors[state.value] = given ? (*states)[i] : state.initial;
  }
  FLOE_TRY(RunNodes(graph, symbol_values, &tensors));
  std::vector<Tensor> outputs;
  for (const Value* output : graph.outputs()) outputs.push_back(tensors.at(output));
  if (states != nullptr) states->clear();
  for (size_t i = 0; states != nullptr && i < graph.states().size(); ++i) {
    const State& state = graph.states()[i];
    states->push_back(tensors.at(state.result == nullptr ? state.value : state.result));
  }
  return outputs;
}

}  // namespace floe::ir
