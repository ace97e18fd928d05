// Selection of recurrent layers. Each direction: one GEMM for all steps' input products, then the
// recurrence, which is all that must run step by step.
#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "backends/families/recurrence.h"
#include "compiler/lower/select.h"
#include "format/attrs.h"

namespace floe::lower {
namespace {

using families::Cell;

constexpr PwInstr Load(uint8_t dst, uint8_t operand) {
  return {static_cast<uint8_t>(PwOp::kLoad), dst, 0, 0, 0, operand, 0, 0.0f};
}
constexpr PwInstr AddTo(uint8_t dst, uint8_t a, uint8_t b) {
  return {static_cast<uint8_t>(PwOp::kAdd), dst, a, b, 0, 0, 0, 0.0f};
}

// Row `first` of axis 0 in the given dims, sharing the bytes.
ir::Tensor Row(const ir::Tensor& t, int64_t first, std::vector<int64_t> dims) {
  const int64_t row_bytes = t.dims()[0] == 0 ? 0 : t.bytes() / t.dims()[0];
  return ir::Tensor(t.dtype(), std::move(dims),
                    static_cast<const char*>(t.data()) + first * row_bytes,
                    std::make_shared<ir::Tensor>(t));
}

int64_t GatesOf(OpId op) { return op == OpId::kLstm ? 4 : op == OpId::kGru ? 3 : 1; }

Cell CellOf(const ir::Node& node) {
  if (node.op() == OpId::kGru) {
    return node.Int("linear_before_reset") != 0 ? Cell::kGruResetAfter : Cell::kGruResetBefore;
  }
  const int64_t activation = node.Int("activation");
  return activation == 0 ? Cell::kTanh : activation == 1 ? Cell::kRelu : Cell::kSigmoid;
}

// "/1" for the second of two directions.
std::string SuffixOf(const ir::Node& node, int64_t direction) {
  return node.Int("direction") == 2 ? absl::StrFormat("/%d", direction) : "";
}

// The recurrent weights [G*H,H] as the columns that family gated_recurrence wants.
ir::Tensor InterleavedGates(const ir::Tensor& r, int64_t direction, int64_t gates, int64_t hidden) {
  const int64_t columns = (hidden + 15) / 16 * 16 * gates;
  ir::Tensor t(DType::kF32, {hidden, columns});
  const float* from = r.as<float>() + direction * gates * hidden * hidden;
  for (int64_t g = 0; g < gates; ++g) {
    for (int64_t u = 0; u < hidden; ++u) {
      const int64_t column = families::RecurrenceColumn(gates, g, u);
      for (int64_t k = 0; k < hidden; ++k) {
        t.mutable_as<float>()[k * columns + column] = from[(g * hidden + u) * hidden + k];
      }
    }
  }
  return t;
}

ir::Shape WithDirection(ir::Shape shape, size_t axis) {
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), ir::Dim(1));
  return shape;
}

// The sums of an i8 matrix over its rows.
ir::Tensor SumsOfColumns(const ir::Tensor& w) {
  const int64_t rows = w.dims()[0], columns = w.dims()[1];
  ir::Tensor sums(DType::kI32, {columns});
  std::fill_n(sums.mutable_as<int32_t>(), columns, 0);
  for (int64_t k = 0; k < rows; ++k) {
    for (int64_t n = 0; n < columns; ++n) {
      sums.mutable_as<int32_t>()[n] += w.as<int8_t>()[k * columns + n];
    }
  }
  return sums;
}

// [rows, 4H], whose columns are gate-major, as the columns that family qlstm_recurrence wants.
template <class T>
ir::Tensor InterleavedColumns(const ir::Tensor& from, int64_t hidden) {
  constexpr int64_t kGates = 4;
  const int64_t rows = from.dims()[0], columns = (hidden + 15) / 16 * 16 * kGates;
  ir::Tensor t(from.dtype(), {rows, columns});
  std::fill_n(t.mutable_as<T>(), rows * columns, T{});
  for (int64_t k = 0; k < rows; ++k) {
    for (int64_t g = 0; g < kGates; ++g) {
      for (int64_t u = 0; u < hidden; ++u) {
        t.mutable_as<T>()[k * columns + families::RecurrenceColumn(kGates, g, u)] =
            from.as<T>()[(k * kGates + g) * hidden + u];
      }
    }
  }
  return t;
}

}  // namespace

ValueId Selector::InputProducts(const ir::Node& node, int64_t direction, int64_t gates) {
  const ir::Value* x = node.input(0);
  const ir::Value* w = node.input(1);
  const ir::Value* b = node.input(3);
  const int64_t hidden = node.Int("hidden"), rows = gates * hidden;
  const int64_t width = w->constant().dims()[2];
  const std::string suffix = SuffixOf(node, direction);
  Spec gemm =
      SpecFor(node, KernelId::kGemm, "input products of all steps" + WeightsText(WeightsOf(node)));
  const DType type = WeightsOf(node);
  const bool pairs = type == DType::kBF16;
  gemm.inputs = {
      pairs ? NarrowDense(x) : Dense(x),
      program_.AddPacked(w->name() + suffix, Row(w->constant(), direction, {rows, width}),
                         pairs ? LayoutId::kGemmPairs16 : LayoutId::kGemmPanels16, {width, rows}, 1,
                         true, type)};
  if (b != nullptr) {
    // Both biases, but for that of a product which the reset gate scales.
    const bool apart = node.op() == OpId::kGru && CellOf(node) == Cell::kGruResetAfter;
    ir::Tensor sum(DType::kF32, {rows});
    const float* bias = b->constant().as<float>() + direction * 2 * rows;
    for (int64_t i = 0; i < rows; ++i) {
      const bool both = !apart || i < 2 * hidden;
      sum.mutable_as<float>()[i] = both ? bias[i] + bias[rows + i] : bias[i];
    }
    gemm.code = {Load(1, 0), AddTo(0, 0, 1)};
    gemm.inputs.push_back(program_.AddConstant(b->name() + suffix, sum, false));
  }
  const ir::Shape shape = {x->shape()[0], x->shape()[1], ir::Dim(rows)};
  const ValueId xw = NewArenaValue(current_ + "/xw" + suffix, DType::kF32, shape);
  gemm.outputs = {xw};
  Emit(std::move(gemm));
  return xw;
}

ValueId Selector::InitialState(const ir::Node& node, size_t operand, int64_t direction) {
  const ir::Value* v = node.input(operand);
  if (v == nullptr) return kNoIndex;
  const ir::Shape shape = {v->shape()[1], v->shape()[2]};
  if (node.Int("direction") != 2) return program_.AddAlias(v->name() + "/2d", Dense(v), shape);
  const std::string suffix = SuffixOf(node, direction);
  Spec slice = SpecFor(node, KernelId::kSlice, "one direction's initial state");
  slice.attrs = {direction, 0, 0, 1, 1, 1};
  slice.inputs = {Dense(v)};
  const ValueId sliced =
      NewArenaValue(v->name() + suffix, DType::kF32, {ir::Dim(1), shape[0], shape[1]});
  slice.outputs = {sliced};
  Emit(std::move(slice));
  return program_.AddAlias(v->name() + "/2d" + suffix, sliced, shape);
}

void Selector::JoinDirections(const ir::Node& node, const std::vector<ValueId> (&parts)[3]) {
  for (size_t i = 0; i < 3; ++i) {
    const ir::Value* y = node.output(i);
    if (y == nullptr) continue;
    if (parts[i].size() == 1) {
      homes_[y].dense = parts[i][0];
      continue;
    }
    Spec concat = SpecFor(node, KernelId::kConcat, "both directions");
    concat.attrs = {i == 0 ? 1 : 0};
    concat.inputs = parts[i];
    concat.outputs = {DefineDense(y)};
    Emit(std::move(concat));
  }
}

absl::Status Selector::SelectRecurrent(const ir::Node& node) {
  const ir::Value* x = node.input(0);
  const ir::Value* r = node.input(2);
  const ir::Value* b = node.input(3);
  if (!node.input(1)->is_constant() || !r->is_constant() || (b != nullptr && !b->is_constant()) ||
      node.input(4) != nullptr || node.input(7) != nullptr) {
    return SelectGeneric(node, "sequence lengths, peepholes or weights that are not constant");
  }
  const int64_t hidden = node.Int("hidden"), gates = GatesOf(node.op());
  const int64_t direction = node.Int("direction"), directions = direction == 2 ? 2 : 1;
  const bool lstm = node.op() == OpId::kLstm;
  const ir::Dim batch = x->shape()[1];
  const std::string base = node.output(0) != nullptr ? node.output(0)->name() : current_;
  std::vector<ValueId> parts[3];
  for (int64_t d = 0; d < directions; ++d) {
    const std::string suffix = SuffixOf(node, d);
    const ValueId xw = InputProducts(node, d, gates);
    Spec step = SpecFor(node, lstm ? KernelId::kLstmRecurrence : KernelId::kGatedRecurrence,
                        "gates of 16 units interleaved" + WeightsText(WeightsOf(node)));
    const int64_t reverse = direction == 1 || d == 1 ? 1 : 0;
    std::vector<ir::Shape> shapes = {{x->shape()[0], batch, ir::Dim(hidden)},
                                     {batch, ir::Dim(hidden)}};
    if (lstm) {
      step.attrs = {reverse};
      const ValueId packed = program_.AddPacked(
          r->name() + suffix, Row(r->constant(), d, {4 * hidden, hidden}), LayoutId::kLstmGates16,
          {hidden, 4 * hidden}, 1, true, WeightsOf(node));
      step.inputs = {xw, packed, InitialState(node, 5, d), InitialState(node, 6, d)};
      shapes.push_back(shapes[1]);
    } else {
      const Cell cell = CellOf(node);
      step.attrs = {static_cast<int64_t>(cell), reverse};
      const ir::Tensor columns = InterleavedGates(r->constant(), d, gates, hidden);
      const ValueId packed = program_.AddPacked(r->name() + suffix, columns,
                                                LayoutId::kGemmPanels16, columns.dims(), 1, false);
      ValueId bias = kNoIndex;
      if (cell == Cell::kGruResetAfter && b != nullptr) {
        ir::Tensor candidate(DType::kF32, {hidden});
        const float* from = b->constant().as<float>() + (d * 2 + 1) * 3 * hidden + 2 * hidden;
        std::copy_n(from, hidden, candidate.mutable_as<float>());
        bias = program_.AddConstant(b->name() + "/candidate" + suffix, candidate, false);
      }
      step.inputs = {xw, packed, bias, InitialState(node, 5, d)};
      if (cell == Cell::kGruResetBefore) shapes.push_back({batch, ir::Dim(2 * hidden)});
    }
    const char* names[3] = {"/y", "/h", lstm ? "/c" : "/work"};
    for (size_t i = 0; i < 3; ++i) {
      if (i >= shapes.size()) {
        step.outputs.push_back(kNoIndex);
        continue;
      }
      const ValueId id = NewArenaValue(base + names[i] + suffix, DType::kF32, shapes[i]);
      step.outputs.push_back(id);
      if (i == 2 && !lstm) continue;
      parts[i].push_back(program_.AddAlias(base + names[i] + "/1" + suffix, id,
                                           WithDirection(shapes[i], i == 0 ? 1 : 0)));
    }
    Emit(std::move(step));
  }
  JoinDirections(node, parts);
  return absl::OkStatus();
}

Selector::DynamicBytes Selector::QuantizeDynamically(const ir::Node& node, const ir::Value* x) {
  Spec spec = SpecFor(node, KernelId::kDynamicQuantize, "the range of all steps");
  spec.inputs = {Dense(x)};
  const DynamicBytes b = {NewArenaValue(current_ + "/bytes", DType::kU8, x->shape()),
                          NewArenaValue(current_ + "/scale", DType::kF32, {}),
                          NewArenaValue(current_ + "/zero", DType::kU8, {})};
  spec.outputs = {b.integers, b.scale, b.zero};
  Emit(std::move(spec));
  return b;
}

ValueId Selector::IntegerInputProducts(const ir::Node& node, const DynamicBytes& x, int64_t d) {
  const int64_t columns = 4 * node.Int("hidden");
  const ir::Tensor& weights = node.input(1)->constant();
  const ir::Value* b = node.input(5);
  const int64_t width = weights.dims()[1];
  const std::string suffix = SuffixOf(node, d), name = node.input(1)->name() + suffix;
  const ir::Tensor w = Row(weights, d, {width, columns});
  Spec gemm = SpecFor(node, KernelId::kQGemm, "input products of all steps, u8 x i8 to f32");
  gemm.attrs = {-1, 0, 0, 0, 0, 0, 0, 0, FloatWord(0.0), FloatWord(0.0)};
  gemm.inputs = {x.integers,
                 program_.AddPacked(name, w, LayoutId::kGemmPanels16x4, {width, columns}, 1, false,
                                    DType::kI8),
                 program_.AddConstant(name + "/sums", SumsOfColumns(w), false),
                 program_.AddConstant(node.input(3)->name() + suffix,
                                      Row(node.input(3)->constant(), d, {columns}), false),
                 kNoIndex,
                 x.scale,
                 x.zero,
                 kNoIndex};
  if (b != nullptr) {
    ir::Tensor sum(DType::kF32, {columns});
    const float* bias = b->constant().as<float>() + d * 2 * columns;
    for (int64_t i = 0; i < columns; ++i) {
      sum.mutable_as<float>()[i] = bias[i] + bias[columns + i];
    }
    gemm.code = {Load(1, 0), AddTo(0, 0, 1)};
    gemm.inputs.push_back(program_.AddConstant(b->name() + suffix, sum, false));
  }
  const ir::Shape& shape = node.input(0)->shape();
  const ValueId xw =
      NewArenaValue(current_ + "/xw" + suffix, DType::kF32, {shape[0], shape[1], ir::Dim(columns)});
  gemm.outputs = {xw};
  Emit(std::move(gemm));
  return xw;
}

absl::Status Selector::SelectQLstm(const ir::Node& node) {
  for (size_t i = 1; i < 6; ++i) {
    if (node.input(i) != nullptr && !node.input(i)->is_constant()) {
      return SelectGeneric(node, "weights that are not constant");
    }
  }
  const ir::Shape& x = node.input(0)->shape();
  const ir::Value* r = node.input(2);
  const int64_t hidden = node.Int("hidden"), direction = node.Int("direction");
  const std::string base = node.output(0) != nullptr ? node.output(0)->name() : current_;
  const DynamicBytes bytes = QuantizeDynamically(node, node.input(0));
  std::vector<ValueId> parts[3];
  for (int64_t d = 0; d < (direction == 2 ? 2 : 1); ++d) {
    const std::string suffix = SuffixOf(node, d);
    const ValueId xw = IntegerInputProducts(node, bytes, d);
    Spec step = SpecFor(node, KernelId::kQLstmRecurrence,
                        "u8 x i8, each step's range; gates of 16 units interleaved");
    step.attrs = {direction == 1 || d == 1 ? 1 : 0};
    const ir::Tensor weights =
        InterleavedColumns<int8_t>(Row(r->constant(), d, {hidden, 4 * hidden}), hidden);
    ir::Tensor scale =
        InterleavedColumns<float>(Row(node.input(4)->constant(), d, {1, 4 * hidden}), hidden);
    scale = Row(scale, 0, {scale.dims()[1]});
    step.inputs = {
        xw,
        program_.AddPacked(r->name() + suffix, weights, LayoutId::kGemmPanels16x4, weights.dims(),
                           1, false, DType::kI8),
        program_.AddConstant(r->name() + "/sums" + suffix, SumsOfColumns(weights), false),
        program_.AddConstant(node.input(4)->name() + suffix, scale, false),
        InitialState(node, 6, d),
        InitialState(node, 7, d)};
    const char* names[3] = {"/y", "/h", "/c"};
    for (size_t i = 0; i < 3; ++i) {
      ir::Shape shape = {x[1], ir::Dim(hidden)};
      if (i == 0) shape.insert(shape.begin(), x[0]);
      const ValueId id = NewArenaValue(base + names[i] + suffix, DType::kF32, shape);
      step.outputs.push_back(id);
      parts[i].push_back(program_.AddAlias(base + names[i] + "/1" + suffix, id,
                                           WithDirection(shape, i == 0 ? 1 : 0)));
    }
    Emit(std::move(step));
  }
  JoinDirections(node, parts);
  return absl::OkStatus();
}

}  // namespace floe::lower
