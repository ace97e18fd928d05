// LSTM, GRU and plain recurrence: layers and cells. PyTorch orders gates i, f, g, o (LSTM) and
// r, z, n (GRU); the IR has ONNX's orders i, o, f, c and z, r, h.
#include <algorithm>
#include <optional>
#include <tuple>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Dim;
using ir::Value;

// `param` of a row.
enum LayerKind : int64_t { kLstm, kGru, kTanh, kRelu };

struct Layer {
  int64_t kind = kLstm;
  int64_t gates = 4;
  std::vector<int64_t> order;  // PyTorch's gate number of each gate of the IR.
};

Layer LayerOf(int64_t kind) {
  if (kind == kLstm) return {kind, 4, {0, 3, 1, 2}};
  if (kind == kGru) return {kind, 3, {1, 0, 2}};
  return {kind, 1, {0}};
}

// Rows of weights or numbers of a bias, in the IR's order of gates.
Value* Reordered(OpBuilder& b, const Layer& layer, Value* w, int64_t hidden) {
  if (layer.gates == 1 || !b.ok()) return w;
  if (b.Dim(w, 0) != Dim(layer.gates * hidden)) {
    b.Invalid(absl::StrFormat("a weight of shape %s does not fit %d hidden units",
                              b.Text(w->shape()), hidden));
    return w;
  }
  std::vector<Value*> parts;
  for (const int64_t gate : layer.order) {
    parts.push_back(b.SliceAxis(w, 0, gate * hidden, hidden));
  }
  return b.Concat(std::move(parts), 0);
}

// The parameters of one direction of one layer.
struct Parameters {
  Value *w = nullptr, *r = nullptr, *w_bias = nullptr, *r_bias = nullptr, *projection = nullptr;
};

// --- one layer as one op -------------------------------------------------------------------------

// Joins the directions' parameters and runs the op; y is [T,N,D*H]. `states` are [D,N,H]. `lengths`
// (i32 [N]; null: all steps) says how many steps each sequence has; y is 0 beyond them.
struct Ran {
  Value* y = nullptr;
  std::vector<Value*> states;
};

Ran RunLayer(OpBuilder& b, const Layer& layer, Value* x, const std::vector<Parameters>& directions,
             const std::vector<Value*>& states, Value* lengths, int64_t hidden) {
  std::vector<Value*> w, r, bias;
  for (const Parameters& p : directions) {
    w.push_back(b.Unsqueeze(Reordered(b, layer, p.w, hidden), 0));
    r.push_back(b.Unsqueeze(Reordered(b, layer, p.r, hidden), 0));
    if (p.w_bias == nullptr) continue;
    Value* both =
        b.Concat({Reordered(b, layer, p.w_bias, hidden), Reordered(b, layer, p.r_bias, hidden)}, 0);
    bias.push_back(b.Unsqueeze(both, 0));
  }
  if (!b.ok()) return {};
  std::vector<Value*> operands = {x, b.Concat(std::move(w), 0), b.Concat(std::move(r), 0),
                                  bias.empty() ? nullptr : b.Concat(std::move(bias), 0), lengths};
  operands.insert(operands.end(), states.begin(), states.end());
  const bool both = directions.size() == 2;
  AttrList attrs = {{"hidden", hidden}, {"direction", int64_t{both ? 2 : 0}}};
  OpId op = OpId::kRnn;
  if (layer.kind == kLstm) {
    op = OpId::kLstm;
  } else if (layer.kind == kGru) {
    op = OpId::kGru;
    attrs.emplace_back("linear_before_reset", int64_t{1});
  } else {
    attrs.emplace_back("activation", int64_t{layer.kind == kRelu});
  }
  std::vector<Value*> results =
      b.EmitMany(op, std::move(operands), states.size() + 1, std::move(attrs));
  if (!b.ok()) return {};
  Ran ran;
  ran.states.assign(results.begin() + 1, results.end());
  const Dim steps = b.Dim(x, 0), batch = b.Dim(x, 1);
  const auto count = static_cast<int64_t>(directions.size());
  ran.y = both ? b.Transpose(results[0], {0, 2, 1, 3}) : results[0];
  ran.y = b.Reshape(ran.y, {steps, batch, count * hidden});
  return ran;
}

// --- one step ------------------------------------------------------------------------------------

// Gate number `i` of [N, gates * H].
Value* Gate(OpBuilder& b, Value* x, int64_t i, int64_t hidden) {
  return b.SliceAxis(x, b.Rank(x) - 1, i * hidden, hidden);
}

// New h and c from the sums of all gates; PyTorch's order.
std::pair<Value*, Value*> LstmStep(OpBuilder& b, Value* sums, Value* c, int64_t hidden) {
  const auto sigmoid = [&](int64_t i) { return b.Unary(OpId::kSigmoid, Gate(b, sums, i, hidden)); };
  Value* kept = b.Binary(OpId::kMul, sigmoid(1), c);
  Value* added = b.Binary(OpId::kMul, sigmoid(0), b.Unary(OpId::kTanh, Gate(b, sums, 2, hidden)));
  Value* next = b.Binary(OpId::kAdd, kept, added);
  return {b.Binary(OpId::kMul, sigmoid(3), b.Unary(OpId::kTanh, next)), next};
}

// New h from the sums over the input and over h.
Value* GruStep(OpBuilder& b, Value* from_x, Value* from_h, Value* h, int64_t hidden) {
  const auto gate = [&](int64_t i) {
    return b.Unary(OpId::kSigmoid,
                   b.Binary(OpId::kAdd, Gate(b, from_x, i, hidden), Gate(b, from_h, i, hidden)));
  };
  Value* reset = b.Binary(OpId::kMul, gate(0), Gate(b, from_h, 2, hidden));
  Value* fresh = b.Unary(OpId::kTanh, b.Binary(OpId::kAdd, Gate(b, from_x, 2, hidden), reset));
  // fresh + z * (h - fresh)
  Value* kept = b.Binary(OpId::kMul, b.Binary(OpId::kSub, h, fresh), gate(1));
  return b.Binary(OpId::kAdd, fresh, kept);
}

// The size of the state; 1 after an error.
int64_t HiddenOf(OpBuilder& b, const Value* r, int64_t gates) {
  if (!b.ok()) return 1;
  const int64_t rows = b.StaticDim(r, 0);
  if (r->rank() == 2 && rows > 0 && rows % gates == 0) return rows / gates;
  b.Invalid("the recurrent weight does not fit the layer");
  return 1;
}

// --- projected LSTM ------------------------------------------------------------------------------
// h = P m for the m that a plain LSTM gives, and the gates read R h = (R P) m: so it is a plain
// LSTM with recurrent weights R P, and one product behind all of its steps. The first step reads R
// h0, where h0 is no P m: h0 is made an input of that step. Where R P is much larger than R and P
// together, a known number of steps is written one by one.

bool IsZero(OpBuilder& b, const Value* v) {
  const ir::Node* fill = v->producer();
  if (fill != nullptr && fill->op() == OpId::kSlice) return IsZero(b, fill->input(0));
  if (fill != nullptr && (fill->op() == OpId::kReshape || fill->op() == OpId::kExpand)) {
    return IsZero(b, fill->input(0));
  }
  if (fill != nullptr && fill->op() == OpId::kConstantOfShape) return fill->Float("value") == 0;
  const std::optional<ir::Tensor> t = b.ConstantOf(v);
  if (!t) return false;
  for (int64_t i = 0; i < t->count(); ++i) {
    if (t->DoubleAt(i) != 0) return false;
  }
  return true;
}

Ran RunAsPlain(OpBuilder& b, Value* x, const Parameters& p, Value* h, Value* c, bool backwards,
               int64_t hidden) {
  const Layer layer = LayerOf(kLstm);
  Value* w = p.w;
  if (!IsZero(b, h)) {
    const Dim rest = b.Sub(b.Dim(x, 0), 1);
    if (!b.ok()) return {};
    Value* first = b.Unsqueeze(h, 0);
    std::vector<Value*> steps = {first};
    if (rest != Dim(0)) {
      steps.push_back(b.Full(h->dtype(), {rest, b.Dim(h, 0), b.Dim(h, 1)}, 0));
      if (backwards) std::swap(steps[0], steps[1]);
    }
    x = b.Concat({x, b.Concat(std::move(steps), 0)}, 2);
    w = b.Concat({w, p.r}, 1);
  }
  Value* r = b.Binary(OpId::kMatMul, p.r, p.projection);
  const auto ordered = [&](Value* v) {
    return v == nullptr ? v : b.Unsqueeze(Reordered(b, layer, v, hidden), 0);
  };
  Value* bias = nullptr;
  if (p.w_bias != nullptr) bias = b.Concat({ordered(p.w_bias), ordered(p.r_bias)}, 1);
  w = ordered(w);
  r = ordered(r);
  if (!b.ok()) return {};
  const std::vector<Value*> results =
      b.EmitMany(OpId::kLstm, {x, w, r, bias, nullptr, nullptr, b.Unsqueeze(c, 0)}, 3,
                 {{"hidden", hidden}, {"direction", int64_t{backwards}}});
  if (!b.ok()) return {};
  const Dim steps = b.Dim(x, 0), batch = b.Dim(x, 1);
  Ran ran;
  ran.y = LinearOf(b, b.Reshape(results[0], {steps, batch, hidden}), p.projection, nullptr);
  ran.states = {LinearOf(b, results[1], p.projection, nullptr), results[2]};
  return ran;
}

Ran RunUnrolled(OpBuilder& b, Value* x, const Parameters& p, Value* h, Value* c, bool backwards,
                int64_t hidden) {
  const int64_t steps = b.StaticDim(x, 0);
  if (!b.ok()) return {};
  Value* from_x = LinearOf(b, x, p.w, p.w_bias);
  std::vector<Value*> y(static_cast<size_t>(steps));
  for (int64_t i = 0; i < steps && b.ok(); ++i) {
    const int64_t t = backwards ? steps - 1 - i : i;
    Value* now = b.Squeeze(b.SliceAxis(from_x, 0, t, 1), 0);
    Value* sums = b.Binary(OpId::kAdd, now, LinearOf(b, h, p.r, p.r_bias));
    std::tie(h, c) = LstmStep(b, sums, c, hidden);
    h = LinearOf(b, h, p.projection, nullptr);
    y[static_cast<size_t>(t)] = b.Unsqueeze(h, 0);
  }
  if (!b.ok()) return {};
  Ran ran;
  ran.y = y.empty() ? x : b.Concat(std::move(y), 0);
  ran.states = {b.Unsqueeze(h, 0), b.Unsqueeze(c, 0)};
  return ran;
}

Ran RunProjected(OpBuilder& b, Value* x, const Parameters& p, Value* h, Value* c, bool backwards,
                 int64_t hidden) {
  if (!b.ok()) return {};
  const Dim steps = b.Dim(x, 0);
  const int64_t size = b.StaticDim(p.projection, 0);
  if (!b.ok()) return {};
  // What a step costs besides its weights: the time of about so many of them.
  constexpr double kOverhead = 65536;
  constexpr int64_t kMostSteps = 256;
  const double merged = 4.0 * static_cast<double>(hidden) * static_cast<double>(hidden);
  const double apart = 5.0 * static_cast<double>(hidden) * static_cast<double>(size) + kOverhead;
  const bool unroll = steps.is_constant() && steps.constant() <= kMostSteps && merged > apart;
  if (!unroll && b.Min(steps) < 1) b.Unsupported("a projected LSTM over no steps");
  return unroll ? RunUnrolled(b, x, p, h, c, backwards, hidden)
                : RunAsPlain(b, x, p, h, c, backwards, hidden);
}

// --- stacks of layers ----------------------------------------------------------------------------

struct Stack {
  int64_t layers = 1;
  bool both = false, biases = true, projected = false;
  std::vector<Value*> params;
  std::vector<Value*> states;  // [layers * directions, N, H]
  size_t directions() const { return both ? 2 : 1; }
};

Stack ReadStack(OpBuilder& b, const Layer& layer) {
  Stack s;
  s.layers = b.Int("num_layers");
  s.both = b.Bool("bidirectional");
  s.biases = b.Bool("has_biases");
  if (b.Bool("train") && b.Float("dropout") != 0) RefuseTraining(b, true);
  s.params = b.Tensors("params");
  s.states = layer.kind == kLstm ? b.Tensors("hx") : std::vector<Value*>{b.Tensor("hx")};
  if (!b.ok()) return s;
  const auto count = static_cast<int64_t>(s.params.size());
  const int64_t each = s.biases ? 4 : 2;
  const int64_t runs = s.layers * static_cast<int64_t>(s.directions());
  if (s.layers < 1 || s.layers > 10000 || s.states.size() != (layer.kind == kLstm ? 2u : 1u) ||
      (count != runs * each && count != runs * (each + 1))) {
    b.Invalid("the parameters or states do not fit the number of layers");
    return s;
  }
  s.projected = count != runs * each;
  if (s.projected && layer.kind != kLstm) b.Invalid("only an LSTM has projections");
  return s;
}

Parameters ParametersOf(const Stack& s, size_t run) {
  const size_t each = (s.biases ? 4 : 2) + (s.projected ? 1 : 0);
  const size_t at = run * each;
  Parameters p;
  p.w = s.params[at];
  p.r = s.params[at + 1];
  if (s.biases) {
    p.w_bias = s.params[at + 2];
    p.r_bias = s.params[at + 3];
  }
  if (s.projected) p.projection = s.params[at + each - 1];
  return p;
}

Ran RunProjectedLayer(OpBuilder& b, Value* x, const Stack& s,
                      const std::vector<Parameters>& directions, int64_t first, int64_t hidden) {
  Ran all;
  std::vector<Value*> ys, hs, cs;
  for (size_t d = 0; d < directions.size() && b.ok(); ++d) {
    const int64_t at = first + static_cast<int64_t>(d);
    Value* h = b.Squeeze(b.SliceAxis(s.states[0], 0, at, 1), 0);
    Value* c = b.Squeeze(b.SliceAxis(s.states[1], 0, at, 1), 0);
    const Ran ran = RunProjected(b, x, directions[d], h, c, d == 1, hidden);
    if (!b.ok()) return all;
    ys.push_back(ran.y);
    hs.push_back(ran.states[0]);
    cs.push_back(ran.states[1]);
  }
  if (!b.ok()) return all;
  all.y = b.Concat(std::move(ys), 2);
  all.states = {b.Concat(std::move(hs), 0), b.Concat(std::move(cs), 0)};
  return all;
}

// Both parts of a packed sequence must be what packing made of them.
bool NeedPacked(OpBuilder& b) {
  const auto is = [&](const char* name, Form form) {
    return b.Arg(name).is_tensor() && b.Arg(name).variable()->form == form;
  };
  if (b.ok() && (!is("data", Form::kPacked) || !is("batch_sizes", Form::kPackedSizes))) {
    b.Unsupported("a packed sequence that was put together by hand");
  }
  return b.ok();
}

// Of a tensor, or of a packed sequence, whose result is one.
void Recurrent(OpBuilder& b) {
  const Layer layer = LayerOf(b.row().param);
  const bool packed = b.HasArg("batch_sizes");
  if (packed && !NeedPacked(b)) return;
  Value* x = b.Tensor(packed ? "data" : "input");
  Value* lengths = packed ? b.Cast(b.Tensor("batch_sizes"), DType::kI32) : nullptr;
  const bool batch_first = !packed && b.Bool("batch_first");
  const Stack s = ReadStack(b, layer);
  if (packed && s.projected) return b.Unsupported("a projected LSTM over a packed sequence");
  if (!b.ok()) return;
  if (x->rank() != 3 || s.states[0]->rank() != 3) {
    return b.Invalid("the input and the states must have rank 3");
  }
  if (batch_first) x = b.Transpose(x, {1, 0, 2});
  const auto count = static_cast<int64_t>(s.directions());
  std::vector<std::vector<Value*>> last(s.states.size());
  for (int64_t l = 0; l < s.layers && b.ok(); ++l) {
    std::vector<Parameters> directions;
    for (int64_t d = 0; d < count; ++d) {
      directions.push_back(ParametersOf(s, static_cast<size_t>(l * count + d)));
    }
    const int64_t hidden = HiddenOf(b, directions[0].r, layer.gates);
    Ran ran;
    if (s.projected) {
      ran = RunProjectedLayer(b, x, s, directions, l * count, hidden);
    } else {
      std::vector<Value*> states;
      for (Value* state : s.states) states.push_back(b.SliceAxis(state, 0, l * count, count));
      ran = RunLayer(b, layer, x, directions, states, lengths, hidden);
    }
    if (!b.ok()) return;
    x = ran.y;
    for (size_t i = 0; i < last.size(); ++i) last[i].push_back(ran.states[i]);
  }
  if (!b.ok()) return;
  if (packed) {
    b.Return(b.context().NewTensor(x, Form::kPacked));
  } else {
    b.Return(batch_first ? b.Transpose(x, {1, 0, 2}) : x);
  }
  for (std::vector<Value*>& states : last) b.Return(b.Concat(std::move(states), 0));
}

// --- cells ---------------------------------------------------------------------------------------

// W x + b and R h + b.
std::pair<Value*, Value*> CellSums(OpBuilder& b, Value* h) {
  Value* from_x = LinearOf(b, b.Tensor("input"), b.Tensor("w_ih"), b.OptTensor("b_ih"));
  return {from_x, LinearOf(b, h, b.Tensor("w_hh"), b.OptTensor("b_hh"))};
}

void LstmCell(OpBuilder& b) {
  const std::vector<Value*> states = b.Tensors("hx");
  if (states.size() != 2) return b.Invalid("an LSTM has two states");
  const auto [from_x, from_h] = CellSums(b, states[0]);
  Value* sums = b.Binary(OpId::kAdd, from_x, from_h);
  const auto [h, c] = LstmStep(b, sums, states[1], HiddenOf(b, b.Tensor("w_hh"), 4));
  b.Return(h);
  b.Return(c);
}

void GruCell(OpBuilder& b) {
  Value* h = b.Tensor("hx");
  const auto [from_x, from_h] = CellSums(b, h);
  b.Return(GruStep(b, from_x, from_h, h, HiddenOf(b, b.Tensor("w_hh"), 3)));
}

void RnnCell(OpBuilder& b) {
  const auto [from_x, from_h] = CellSums(b, b.Tensor("hx"));
  b.Return(b.Unary(b.row().ir, b.Binary(OpId::kAdd, from_x, from_h)));
}

// Cells whose products are done already.
Value* WithBias(OpBuilder& b, const char* gates, const char* bias) {
  Value* sums = b.Tensor(gates);
  Value* v = b.OptTensor(bias);
  return v == nullptr ? sums : b.Binary(OpId::kAdd, sums, v);
}

void FusedLstmCell(OpBuilder& b) {
  Value* c = b.Tensor("cx");
  Value* sums = b.Binary(OpId::kAdd, WithBias(b, "input_gates", "input_bias"),
                         WithBias(b, "hidden_gates", "hidden_bias"));
  const auto [h, next] = LstmStep(b, sums, c, b.StaticDim(c, 1));
  b.Return(h);
  b.Return(next);
  b.results().resize(b.schema().results);  // What is left exists for gradients.
}

void FusedGruCell(OpBuilder& b) {
  Value* h = b.Tensor("hx");
  b.Return(GruStep(b, WithBias(b, "input_gates", "input_bias"),
                   WithBias(b, "hidden_gates", "hidden_bias"), h, b.StaticDim(h, 1)));
  b.results().resize(b.schema().results);
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    {"aten::lstm.input", Recurrent, OpId::kLstm, kLstm},
    {"aten::gru.input", Recurrent, OpId::kGru, kGru},
    {"aten::rnn_tanh.input", Recurrent, OpId::kRnn, kTanh},
    {"aten::rnn_relu.input", Recurrent, OpId::kRnn, kRelu},
    {"aten::lstm_cell", LstmCell},
    {"aten::gru_cell", GruCell},
    {"aten::rnn_tanh_cell", RnnCell, OpId::kTanh},
    {"aten::rnn_relu_cell", RnnCell, OpId::kRelu},
    {"aten::_thnn_fused_lstm_cell", FusedLstmCell, kNoIr},
    {"aten::_thnn_fused_gru_cell", FusedGruCell, kNoIr},
};

// --- packed sequences ----------------------------------------------------------------------------
// A packed sequence is kept as the padded tensor that it was packed from, steps first, and the
// lengths, so that nothing has a size that depends on data.

// Whether each step of each sequence is one: bool [steps, batch, 1, ...].
Value* StepsWithin(OpBuilder& b, const Value* x, Value* lengths) {
  Value* steps = b.Unsqueeze(b.Arange(b.Dim(x, 0), DType::kI64), 1);
  Value* within = b.Binary(OpId::kLess, steps, lengths);
  if (!b.ok()) return within;
  ir::Shape shape = within->shape();
  shape.resize(x->rank(), Dim(1));
  return b.Reshape(within, std::move(shape));
}

void Pack(OpBuilder& b) {
  Value* x = b.Tensor("input");
  Value* lengths = b.Cast(b.Tensor("lengths"), DType::kI64);
  if (b.ok() && (x->rank() < 2 || lengths->rank() != 1)) b.Invalid("a batch of sequences expected");
  if (!b.ok()) return;
  if (b.Bool("batch_first")) x = SwapAxes(b, x, 0, 1);
  if (const auto known = b.IntsOf(lengths); known && !known->empty()) {
    const int64_t longest = *std::max_element(known->begin(), known->end());
    if (longest < 1 || longest > b.Max(b.Dim(x, 0))) return b.Invalid("lengths beyond the steps");
    x = b.SliceAxis(x, 0, 0, longest);
  }
  // Packing drops what is behind a sequence's end: there it may be no index of a table.
  if (!IsFloat(x->dtype())) {
    x = b.Where(StepsWithin(b, x, lengths), x, b.ScalarLike(x, 0));
    if (!b.ok()) return;
  }
  const VariablePtr data = b.context().NewVariable(x, Form::kPacked);
  const VariablePtr sizes = b.context().NewVariable(lengths, Form::kPackedSizes);
  sizes->packed = data;
  b.Return(IValue::Tensor(data));
  b.Return(IValue::Tensor(sizes));
}

// The steps that were packed, which must be those of the longest sequence since sizes don't depend
// on data; or total_length of them.
void PadPacked(OpBuilder& b) {
  if (!NeedPacked(b)) return;
  Value* x = b.Tensor("data");
  Value* lengths = b.Tensor("batch_sizes");
  const int64_t total = b.Int("total_length");
  if (!b.ok()) return;
  x = b.Where(StepsWithin(b, x, lengths), x, b.NumberAs(b.Scalar("padding_value"), x->dtype()));
  if (total > 0) {
    // Of a number of steps that is not known, total_length more than there are, cut off.
    const ir::Dim steps = b.Dim(x, 0);
    const bool known = steps.is_constant();
    if (!known || steps.constant() < total) {
      ir::Shape shape = x->shape();
      shape[0] = known ? total - steps.constant() : total;
      Value* fill = b.NumberAs(b.Scalar("padding_value"), x->dtype());
      x = b.Concat({x, b.Expand(fill, std::move(shape))}, 0);
    }
    if (!known || steps.constant() > total) {
      x = b.SliceAxis(x, 0, 0, total);
      Value* fits =
          b.Binary(OpId::kLessEqual, lengths, b.ScalarLike(lengths, static_cast<double>(total)));
      b.Fail(b.context().Check(b.Wrap(AllTrue(b, fits)),
                               "pad_packed_sequence: a sequence is longer than total_length",
                               b.site()));
    }
  } else {
    b.Fail(b.context().ShapeOf(b.Arg("batch_sizes").variable()).status());
  }
  if (!b.ok()) return;
  b.Return(b.Bool("batch_first") ? SwapAxes(b, x, 0, 1) : x);
  b.Return(lengths);
}

// batch_sizes[0]: the number of sequences, which all have a step.
void FirstSize(OpBuilder& b) {
  if (b.Arg("self").variable()->form != Form::kPackedSizes || b.Int("dim") != 0 ||
      b.Int("index") != 0) {
    return b.Unsupported("a part of a packed sequence");
  }
  b.Return(b.DimValue(b.Dim(b.Tensor("self"), 0)));
}

// Functions of each element, or of the features of each step: the plain row, on the padded data.
void Stepwise(OpBuilder& b) {
  std::vector<IValue> arguments;
  for (const Argument& a : b.schema().arguments) {
    const IValue& v = b.Arg(a.name);
    const Form form = v.is_tensor() ? v.variable()->form : Form::kPlain;
    if (form == Form::kPackedSizes ||
        (form == Form::kPacked && !arguments.empty() && a.name != "indices")) {
      return b.Unsupported("this use of a packed sequence");
    }
    arguments.push_back(form == Form::kPacked ? b.Wrap(b.AsTensor(v)) : v);
  }
  const std::vector<IValue> y = b.CallPlain(std::move(arguments));
  if (b.ok() && !y.empty()) b.Return(b.context().NewTensor(b.AsTensor(y[0]), Form::kPacked));
}

void SamePacked(OpBuilder& b) { b.Return(b.Arg(b.schema().arguments[0].name)); }

void PackedTo(OpBuilder& b) {
  const Value* x = b.AsTensor(b.Arg("self"));
  if (!b.ok()) return;
  if (b.HasArg("other") || b.DTypeArg("dtype", x->dtype()) != x->dtype()) {
    return b.Unsupported("a change of a packed sequence's type: convert before packing");
  }
  SamePacked(b);
}

constexpr Row kPackRows[] = {
    {"aten::_pack_padded_sequence", Pack},
};

constexpr Row kPackedRows[] = {
    {"aten::lstm.data", Recurrent, OpId::kLstm, kLstm},
    {"aten::gru.data", Recurrent, OpId::kGru, kGru},
    {"aten::rnn_tanh.data", Recurrent, OpId::kRnn, kTanh},
    {"aten::rnn_relu.data", Recurrent, OpId::kRnn, kRelu},
    {"aten::_pad_packed_sequence", PadPacked},
    {"aten::select.int", FirstSize},
    {"aten::to", PackedTo},
    {"aten::detach", SamePacked},
    {"aten::contiguous", SamePacked},
    {"aten::dropout", Stepwise},
    {"aten::linear", Stepwise},
    {"aten::embedding", Stepwise},
    {"aten::layer_norm", Stepwise},
    {"aten::relu", Stepwise},
    {"aten::tanh", Stepwise},
    {"aten::sigmoid", Stepwise},
    {"aten::gelu", Stepwise},
    {"aten::silu", Stepwise},
};

}  // namespace

std::span<const Row> RecurrentRows() { return kRows; }
std::span<const Row> PackRows() { return kPackRows; }
std::span<const Row> PackedRows() { return kPackedRows; }

}  // namespace floe::aten
