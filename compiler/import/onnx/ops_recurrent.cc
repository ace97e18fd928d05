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

// What the products of a recurrence read besides x and the states.
struct Weights {
  Value* w;
  Value* r;
  Value* w_scale = nullptr;  // Of weights in 8 bits, [D,4H].
  Value* r_scale = nullptr;
};

// Runs `op` over the operands; `gates` rows of the weights belong to each unit.
void Run(NodeBuilder& b, OpId op, int64_t gates, size_t states, AttrList attrs, const Weights& p) {
  const bool integers = op == OpId::kQLstm;
  const Layout layout = {b, b.Int("layout", 0) != 0};
  const int64_t hidden = b.Int("hidden_size", b.StaticDim(p.r, integers ? 1 : 2));
  std::vector<Value*> inputs = {layout.Sequence(b.In(0)), p.w, p.r};
  if (integers) {
    inputs.insert(inputs.end(), {p.w_scale, p.r_scale, b.OptIn(3)});
  } else {
    inputs.insert(inputs.end(), {b.OptIn(3), b.OptIn(4)});
  }
  for (size_t i = 0; i < states; ++i) inputs.push_back(layout.State(b.OptIn(5 + i)));
  if (op == OpId::kLstm) inputs.push_back(b.OptIn(7));
  while (inputs.back() == nullptr) inputs.pop_back();
  if (hidden < 1 || hidden > (int64_t{1} << 31)) b.Invalid("attribute 'hidden_size' is no size");
  if (b.ok() && b.Dim(p.r, integers ? 2 : 1) != ir::Dim(gates * hidden)) {
    return b.Invalid(absl::StrFormat("the recurrence weights %s do not fit %d hidden units",
                                     b.Text(p.r->shape()), hidden));
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

// Weights of DynamicQuantizeLSTM as they are, in i8 without zero points; absent if they are
// something else.
std::optional<ir::Tensor> SymmetricWeights(NodeBuilder& b, size_t weights, size_t zeros) {
  constexpr int64_t kSignOffset = 128;  // From i8 to u8.
  const std::optional<ir::Tensor> w = b.ConstantOf(b.In(weights));
  const Value* zero = b.OptIn(zeros);
  if (!w || (zero != nullptr && !zero->is_constant())) return std::nullopt;
  const int64_t offset = w->dtype() == DType::kU8 ? kSignOffset : 0;
  if (zero == nullptr && offset != 0) return std::nullopt;
  for (int64_t i = 0; zero != nullptr && i < zero->constant().count(); ++i) {
    if (zero->constant().IntAt(i) != offset) return std::nullopt;
  }
  if (w->dtype() == DType::kI8) return w;
  if (w->dtype() != DType::kU8) return std::nullopt;
  ir::Tensor shifted(DType::kI8, w->dims());
  for (int64_t i = 0; i < w->count(); ++i) shifted.SetInt(i, w->IntAt(i) - offset);
  return shifted;
}

// One scale for each column, [D,4H], of one for each direction or of that.
Value* ColumnScales(NodeBuilder& b, size_t scales, const Value* w) {
  Value* scale = b.In(scales);
  const ir::Shape columns = {b.Dim(w, 0), b.Dim(w, 2)};
  if (!b.ok() || scale->rank() != 1) return b.ok() ? b.Reshape(scale, columns) : scale;
  return b.Expand(b.Reshape(scale, {scale->shape()[0], 1}), columns);
}

// As its operator means it, where the integer kernels have its form: x and, at each step, h are
// quantised by their range. Otherwise the weights become floats.
void DynamicLstm(NodeBuilder& b, const Direction& d) {
  const std::optional<ir::Tensor> w = SymmetricWeights(b, 1, 9), r = SymmetricWeights(b, 2, 11);
  if (!w || !r || w->dims().size() != 3 || r->dims().size() != 3 || b.HasInput(4) ||
      b.HasInput(7) || !b.In(8)->is_constant() || !b.In(10)->is_constant()) {
    const Weights floats = {LstmWeights(b, 1, 8), LstmWeights(b, 2, 10)};
    return Run(b, OpId::kLstm, 4, 2, {{"direction", d.id}}, floats);
  }
  const auto constant = [&b](size_t i, const ir::Tensor& t) {
    return b.In(i)->dtype() == DType::kI8 ? b.In(i) : b.Constant(t);
  };
  Weights p = {constant(1, *w), constant(2, *r)};
  p.w_scale = ColumnScales(b, 8, p.w);
  p.r_scale = ColumnScales(b, 10, p.r);
  Run(b, OpId::kQLstm, 4, 2, {{"direction", d.id}}, p);
}

void Lstm(NodeBuilder& b) {
  const Direction d = ReadDirection(b);
  NeedActivations(b, d, {"Sigmoid", "Tanh", "Tanh"});
  NeedNoClip(b);
  if (b.Int("input_forget", 0) != 0) return b.Unsupported("coupled gates (input_forget = 1)");
  if (b.row().param != 0) return DynamicLstm(b, d);
  Run(b, OpId::kLstm, 4, 2, {{"direction", d.id}}, {b.In(1), b.In(2)});
}

void Gru(NodeBuilder& b) {
  const Direction d = ReadDirection(b);
  NeedActivations(b, d, {"Sigmoid", "Tanh"});
  NeedNoClip(b);
  const int64_t reset = b.Int("linear_before_reset", 0);
  Run(b, OpId::kGru, 3, 1, {{"direction", d.id}, {"linear_before_reset", reset}},
      {b.In(1), b.In(2)});
}

void Rnn(NodeBuilder& b) {
  const Direction d = ReadDirection(b);
  const std::vector<std::string> given = b.Strings("activations");
  const bool relu = !given.empty() && SameName(given[0], "Relu");
  NeedActivations(b, d, {relu ? "Relu" : "Tanh"});
  NeedNoClip(b);
  Run(b, OpId::kRnn, 1, 1, {{"direction", d.id}, {"activation", int64_t{relu}}},
      {b.In(1), b.In(2)});
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
