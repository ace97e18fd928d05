// LSTM, GRU and RNN with their default activations.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/ops.h"

namespace floe::onnx {
namespace {

using ir::Value;

struct Direction {
  int64_t id = 0;  // 0 forward, 1 reverse, 2 both.
  size_t count = 1;
};

Direction ReadDirection(NodeBuilder& b) {
  const std::string name = b.String("direction", "forward");
  if (name == "forward") return {0, 1};
  if (name == "reverse") return {1, 1};
  if (name == "bidirectional") return {2, 2};
  b.Invalid("attribute 'direction' is '" + name + "'");
  return {};
}

bool SameName(const std::string& a, const char* name) {
  return std::equal(a.begin(), a.end(), name, name + std::string(name).size(),
                    [](char x, char y) { return std::tolower(x) == std::tolower(y); });
}

// Every direction must have exactly the activations `wanted`.
void NeedActivations(NodeBuilder& b, const Direction& d, const std::vector<const char*>& wanted) {
  const std::vector<std::string> given = b.Strings("activations");
  // Parameters of activations: the ones that are mapped take none.
  b.IgnoreAttr("activation_alpha");
  b.IgnoreAttr("activation_beta");
  if (given.empty()) return;
  bool same = given.size() == wanted.size() * d.count;
  std::string text;
  for (size_t i = 0; i < given.size(); ++i) {
    same = same && SameName(given[i], wanted[i % wanted.size()]);
    text += (i > 0 ? ", " : "") + given[i];
  }
  if (!same) b.Unsupported("activations other than the op's defaults: " + text);
}

void NeedNoClip(NodeBuilder& b) {
  if (b.HasAttr("clip")) b.Unsupported("clipped gates (attribute 'clip')");
}

// The batch axis comes first with layout = 1; the IR has the steps first.
struct Layout {
  NodeBuilder& b;
  bool batch_first;

  Value* Sequence(Value* x) const { return batch_first ? b.Transpose(x, {1, 0, 2}) : x; }
  Value* State(Value* s) const {
    return batch_first && s != nullptr ? b.Transpose(s, {1, 0, 2}) : s;
  }
  // [T,D,N,H] to [N,T,D,H].
  Value* Result(Value* y) const { return batch_first ? b.Transpose(y, {2, 0, 1, 3}) : y; }
};

// Runs `op` over the operands; `gates` rows of the weights belong to each unit.
void Run(NodeBuilder& b, OpId op, int64_t gates, size_t states, AttrList attrs, Value* w,
         Value* r) {
  const Layout layout = {b, b.Int("layout", 0) != 0};
  const int64_t hidden = b.Int("hidden_size", b.StaticDim(r, 2));
  std::vector<Value*> inputs = {layout.Sequence(b.In(0)), w, r, b.OptIn(3), b.OptIn(4)};
  for (size_t i = 0; i < states; ++i) inputs.push_back(layout.State(b.OptIn(5 + i)));
  if (op == OpId::kLstm) inputs.push_back(b.OptIn(7));
  while (inputs.back() == nullptr) inputs.pop_back();
  if (hidden < 1 || hidden > (int64_t{1} << 31)) b.Invalid("attribute 'hidden_size' is no size");
  if (b.ok() && b.Dim(r, 1) != ir::Dim(gates * hidden)) {
    return b.Invalid(absl::StrFormat("the recurrence weights %s do not fit %d hidden units",
                                     b.Text(r->shape()), hidden));
  }
  attrs.emplace_back("hidden", hidden);
  const std::vector<Value*> y = b.EmitMany(op, std::move(inputs), states + 1, std::move(attrs));
  b.Out(0, layout.Result(y[0]));
  for (size_t i = 1; i < y.size(); ++i) b.Out(i, layout.State(y[i]));
}

// Weights of DynamicQuantizeLSTM, [D, K, 4H] in 8 bits with a scale for each direction or each
// column, as LSTM has them.
Value* LstmWeights(NodeBuilder& b, size_t weights, size_t scales) {
  Value* w = b.In(weights);
  Value* scale = b.In(scales);
  Value* zero = b.OptIn(scales + 1);
  const ir::Shape columns = {b.Dim(w, 0), ir::Dim(1), b.Dim(w, 2)};
  const int64_t size = b.StaticDim(w, 1);
  const auto one_per_column = [&](Value* v) {
    if (!b.ok()) return v;
    if (v->rank() == 1) return b.Expand(b.Reshape(v, {v->shape()[0], 1, 1}), columns);
    return b.Reshape(v, columns);
  };
  std::vector<Value*> inputs = {w, one_per_column(scale)};
  if (zero != nullptr) inputs.push_back(one_per_column(zero));
  if (!b.ok()) return w;
  w = b.Emit(OpId::kDequantize, std::move(inputs),
             {{"axis", int64_t{1}},
              {"block", std::max<int64_t>(1, size)},
              {"to", static_cast<int64_t>(DType::kF32)}});
  return b.Transpose(w, {0, 2, 1});
}

void Lstm(NodeBuilder& b) {
  const Direction d = ReadDirection(b);
  NeedActivations(b, d, {"Sigmoid", "Tanh", "Tanh"});
  NeedNoClip(b);
  if (b.Int("input_forget", 0) != 0) return b.Unsupported("coupled gates (input_forget = 1)");
  const bool quantized = b.row().param != 0;
  Value* w = quantized ? LstmWeights(b, 1, 8) : b.In(1);
  Value* r = quantized ? LstmWeights(b, 2, 10) : b.In(2);
  Run(b, OpId::kLstm, 4, 2, {{"direction", d.id}}, w, r);
}

void Gru(NodeBuilder& b) {
  const Direction d = ReadDirection(b);
  NeedActivations(b, d, {"Sigmoid", "Tanh"});
  NeedNoClip(b);
  const int64_t reset = b.Int("linear_before_reset", 0);
  Run(b, OpId::kGru, 3, 1, {{"direction", d.id}, {"linear_before_reset", reset}}, b.In(1), b.In(2));
}

void Rnn(NodeBuilder& b) {
  const Direction d = ReadDirection(b);
  const std::vector<std::string> given = b.Strings("activations");
  const bool relu = !given.empty() && SameName(given[0], "Relu");
  NeedActivations(b, d, {relu ? "Relu" : "Tanh"});
  NeedNoClip(b);
  Run(b, OpId::kRnn, 1, 1, {{"direction", d.id}, {"activation", int64_t{relu}}}, b.In(1), b.In(2));
}

constexpr Row kRows[] = {
    {"LSTM", 7, Lstm, OpId::kLstm},
    {"DynamicQuantizeLSTM", 1, Lstm, OpId::kLstm, 1, kMicrosoft},
    {"GRU", 7, Gru, OpId::kGru},
    {"RNN", 7, Rnn, OpId::kRnn},
};

}  // namespace

std::span<const Row> RecurrentRows() { return kRows; }

}  // namespace floe::onnx
