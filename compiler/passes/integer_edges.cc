#include "compiler/passes/integer_edges.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_format.h"
#include "compiler/ir/shapes.h"

namespace floe::passes {
namespace {

constexpr int32_t kSignOffset = 128;  // From i8 to u8.

bool IsByte(DType t) { return t == DType::kU8 || t == DType::kI8; }

// Ops that only move or compare numbers of their first operand: they mean the same on integers.
bool IsMove(const ir::Node& node) {
  switch (node.op()) {
    case OpId::kIdentity:
    case OpId::kReshape:
    case OpId::kTranspose:
    case OpId::kSlice:
    case OpId::kExpand:
    case OpId::kGather:
    case OpId::kDepthToSpace:
    case OpId::kSpaceToDepth:
    case OpId::kTile:
      return true;
    case OpId::kMaxPool:
      return node.output(1) == nullptr;
    default:
      return false;
  }
}

// Everything that i8 tensor `value` reaches without a conversion: moves' results and the
// dequantizes at their ends. False if something else sees the numbers.
bool Reach(const ir::Graph& graph, ir::Value* value, std::set<ir::Value*>* values,
           std::vector<Edge>* ends) {
  if (graph.IsOutput(value)) return false;
  values->insert(value);
  for (ir::Node* user : value->users()) {
    if (const std::optional<Edge> edge = EdgeOf(user); edge && user->input(0) == value) {
      ends->push_back(*edge);
    } else if (!IsMove(*user) || user->input(0) != value ||
               (user->op() == OpId::kGather && user->input(1) == value) ||
               !Reach(graph, user->output(), values, ends)) {
      return false;
    }
  }
  return true;
}

// Gives the conversion the zero point of u8.
void Shift(ir::Graph& graph, const Edge& edge) {
  ir::Tensor zero(DType::kU8, edge.node->input(1)->constant().dims());
  zero.SetInt(0, edge.zero + kSignOffset);
  ir::Value* constant = graph.AddConstant(edge.node->output()->name() + "_zero", std::move(zero));
  if (edge.node->inputs().size() > 2) {
    graph.SetInput(edge.node, 2, constant);
  } else {
    graph.AddOperand(edge.node, constant);
  }
  if (edge.node->op() != OpId::kQuantize) return;
  edge.node->attrs["min"] = int64_t{edge.min} + kSignOffset;
  edge.node->attrs["max"] = int64_t{edge.max} + kSignOffset;
  edge.node->attrs["to"] = static_cast<int64_t>(DType::kU8);
}

}  // namespace

std::optional<Edge> EdgeOf(ir::Node* node) {
  if (node == nullptr) return std::nullopt;
  const bool quantize = node->op() == OpId::kQuantize;
  if (!quantize && node->op() != OpId::kDequantize) return std::nullopt;
  Edge e;
  e.node = node;
  e.integers = quantize ? node->output() : node->input(0);
  const ir::Value* floats = quantize ? node->input(0) : node->output();
  e.dtype = e.integers->dtype();
  const std::optional<double> scale = ScalarOf(node->input(1));
  const std::optional<double> zero =
      node->input(2) == nullptr ? std::optional<double>(0) : ScalarOf(node->input(2));
  if (!IsByte(e.dtype) || floats->dtype() != DType::kF32 ||
      node->input(1)->dtype() != DType::kF32 || !scale || !zero || node->Int("block") != 0) {
    return std::nullopt;
  }
  e.scale = static_cast<float>(*scale);
  if (!(e.scale > 0) || !std::isfinite(e.scale)) return std::nullopt;
  e.zero = static_cast<int32_t>(*zero);
  e.min = e.dtype == DType::kU8 ? 0 : -kSignOffset;
  e.max = e.min + 255;
  if (quantize) {
    e.min = static_cast<int32_t>(node->Int("min"));
    e.max = static_cast<int32_t>(node->Int("max"));
  }
  return e;
}

std::optional<Edge> DequantizedBy(const ir::Value* value) {
  return EdgeOf(ProducedBy(value, OpId::kDequantize));
}

absl::Status MakeUnsigned(ir::Graph& graph, Report& report) {
  size_t moved = 0;
  for (ir::Node* node : graph.NodeList()) {
    const std::optional<Edge> edge = EdgeOf(node);
    if (!edge || node->op() != OpId::kQuantize || edge->dtype != DType::kI8) continue;
    std::set<ir::Value*> values;
    std::vector<Edge> ends;
    if (!Reach(graph, edge->integers, &values, &ends)) continue;
    Shift(graph, *edge);
    for (const Edge& end : ends) Shift(graph, end);
    for (ir::Value* value : values) value->set_type(DType::kU8, value->shape());
    ++moved;
  }
  if (moved > 0) report.Add(absl::StrFormat("stored %d tensors as u8 instead of i8", moved));
  return absl::OkStatus();
}

namespace {

// The integers of `value` with the numbers of `edge`: those that it was made of, or requantised.
absl::StatusOr<ir::Value*> IntegersLike(ir::Graph& graph, ir::Value* value, const Edge& edge,
                                        ir::Node* before) {
  const std::optional<Edge> from = DequantizedBy(value);
  if (from && from->SameNumbers(edge)) return from->integers;
  std::vector<ir::Value*> inputs = edge.node->inputs();
  inputs[0] = value;
  return Insert(graph, before, OpId::kQuantize, std::move(inputs), edge.node->attrs,
                value->name() + "_requantised", before->provenance);
}

bool FullRange(const Edge& e) {
  return e.min == (e.dtype == DType::kU8 ? 0 : -kSignOffset) && e.max == e.min + 255;
}

}  // namespace

absl::Status SinkIntoIntegers(ir::Graph& graph, Report& report) {
  size_t moved = 0;
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* last = (it++)->get();
    if (last->op() != OpId::kQuantize || !HasOneUse(graph, last->input(0))) continue;
    const std::optional<Edge> edge = EdgeOf(last);
    ir::Node* node = last->input(0)->producer();
    if (!edge || !FullRange(*edge) || node == nullptr) continue;
    const bool join = node->op() == OpId::kConcat;
    if (!join && !IsMove(*node)) continue;
    const std::optional<Edge> from = DequantizedBy(node->input(0));
    // A join requantises what has other numbers, if something has integers at all.
    const bool any = join && std::any_of(node->inputs().begin(), node->inputs().end(),
                                         [](const ir::Value* v) { return DequantizedBy(v); });
    if (join ? !any : !from || !from->SameNumbers(*edge)) continue;
    std::vector<ir::Value*> inputs = node->inputs();
    for (size_t i = 0; i < (join ? inputs.size() : 1); ++i) {
      FLOE_TRY_ASSIGN(inputs[i], IntegersLike(graph, inputs[i], *edge, node));
    }
    FLOE_TRY_ASSIGN(ir::Value * y,
                    InsertTyped(graph, node, node->op(), std::move(inputs), node->attrs,
                                node->output()->name() + "_integers", node->provenance, edge->dtype,
                                node->output()->shape()));
    Replace(graph, last, y);
    ++moved;
  }
  if (moved > 0) report.Add(absl::StrFormat("%d moves, joins and pools work on integers", moved));
  return absl::OkStatus();
}

std::optional<IntegerWeights> WeightsOf(const ir::Value* integers, const ir::Value* scale,
                                        const ir::Value* zero, size_t axis, const char** why) {
  if (!integers->is_constant() || !scale->is_constant() ||
      (zero != nullptr && !zero->is_constant())) {
    *why = "its weights are not constant";
    return std::nullopt;
  }
  const ir::Tensor& w = integers->constant();
  if (!IsByte(w.dtype()) || axis >= w.dims().size()) {
    *why = "its weights have no 8-bit integers";
    return std::nullopt;
  }
  const int64_t offset = w.dtype() == DType::kU8 ? kSignOffset : 0;
  for (int64_t i = 0; zero != nullptr && i < zero->constant().count(); ++i) {
    if (zero->constant().IntAt(i) != offset) {
      *why = "its weights are not symmetric";
      return std::nullopt;
    }
  }
  if (zero == nullptr && offset != 0) {
    *why = "its weights are not symmetric";
    return std::nullopt;
  }
  const ir::Tensor& s = scale->constant();
  const int64_t channels = w.dims()[axis];
  if (s.dtype() != DType::kF32 || (s.count() != 1 && s.count() != channels)) {
    *why = "its weights' scales are not one for each output channel";
    return std::nullopt;
  }
  IntegerWeights result;
  for (int64_t i = 0; i < channels; ++i) {
    result.scales.push_back(s.as<float>()[s.count() == 1 ? 0 : i]);
  }
  result.numbers = w;
  if (offset != 0) {
    result.numbers = ir::Tensor(DType::kI8, w.dims());
    for (int64_t i = 0; i < w.count(); ++i) result.numbers.SetInt(i, w.IntAt(i) - offset);
  }
  return result;
}

}  // namespace floe::passes
