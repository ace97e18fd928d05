// Shape rules of branches, loops and checks: a body is typed from what it is given.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/ir/control.h"
#include "compiler/ir/shape_rules.h"
#include "compiler/ir/verify.h"

namespace floe::ir {
namespace {

absl::Status NeedScalar(const Inference& n, size_t i, DType dtype, const char* what) {
  const Value& v = n.in(i);
  if (v.dtype() == dtype && v.rank() == 0) return absl::OkStatus();
  return n.Fail(absl::StrFormat("%s is %s, not a scalar of %s", what, TypeToString(n.graph, v),
                                DTypeName(dtype)));
}

void SetParam(Graph& body, size_t i, DType dtype, const Shape& shape,
              const std::optional<std::vector<Dim>>& content) {
  Value* param = body.inputs()[i];
  param->set_type(dtype, shape);
  param->content = content;
}

// Types body inputs [first, ...) like operands [first_operand, ...), as many as there are.
absl::Status SetParams(const Inference& n, Graph& body, size_t first, size_t first_operand) {
  const size_t count = n.node.inputs().size() - first_operand;
  if (body.inputs().size() != first + count) {
    return n.Fail(absl::StrFormat("body '%s' has %d inputs for %d values", body.name,
                                  body.inputs().size(), first + count));
  }
  for (size_t i = 0; i < count; ++i) {
    const Value& v = n.in(first_operand + i);
    SetParam(body, first + i, v.dtype(), v.shape(), v.content);
  }
  return absl::OkStatus();
}

absl::Status InferBody(const Inference& n, Graph& body) {
  absl::Status status = InferShapes(body);
  if (status.ok()) return status;
  return absl::Status(
      status.code(), absl::StrFormat("in body '%s' of %s: %s", body.name, Describe(n.graph, n.node),
                                     std::string(status.message())));
}

absl::Status NeedBodies(const Inference& n, size_t count) {
  if (n.node.bodies.size() != count) {
    return n.Fail(absl::StrFormat("has %d bodies, not %d", n.node.bodies.size(), count));
  }
  for (const auto& body : n.node.bodies) body->symbols = n.graph.symbols;
  return absl::OkStatus();
}

absl::Status NeedOutputs(const Inference& n, const Graph& body, size_t count) {
  if (body.outputs().size() == count) return absl::OkStatus();
  return n.Fail(absl::StrFormat("body '%s' has %d outputs for %d results", body.name,
                                body.outputs().size(), count));
}

absl::Status SetWithContent(const Inference& n, size_t i, const Value& like,
                            const std::optional<std::vector<Dim>>& content) {
  FLOE_TRY(n.Set(i, like.dtype(), like.shape()));
  if (Value* output = n.node.output(i); output != nullptr) output->content = content;
  return absl::OkStatus();
}

absl::Status If(const Inference& n) {
  FLOE_TRY(NeedScalar(n, 0, DType::kBool, "the condition"));
  FLOE_TRY(NeedBodies(n, 2));
  for (const auto& body : n.node.bodies) {
    FLOE_TRY(SetParams(n, *body, 0, 1));
    FLOE_TRY(InferBody(n, *body));
    FLOE_TRY(NeedOutputs(n, *body, n.node.outputs().size()));
  }
  for (size_t i = 0; i < n.node.outputs().size(); ++i) {
    const Value& yes = *n.node.bodies[0]->outputs()[i];
    const Value& no = *n.node.bodies[1]->outputs()[i];
    if (yes.dtype() != no.dtype() || yes.shape() != no.shape()) {
      return n.Fail(absl::StrFormat("result %d is %s in one branch and %s in the other", i,
                                    TypeToString(n.graph, yes), TypeToString(n.graph, no)));
    }
    FLOE_TRY(SetWithContent(n, i, yes, yes.content == no.content ? yes.content : std::nullopt));
  }
  return absl::OkStatus();
}

absl::Status Loop(const Inference& n) {
  FLOE_TRY(NeedScalar(n, 0, DType::kI64, "the number of trips"));
  FLOE_TRY(NeedScalar(n, 1, DType::kBool, "the condition"));
  FLOE_TRY(NeedBodies(n, 1));
  const int64_t attr = n.node.Int("carried");
  if (attr < 0 || attr > static_cast<int64_t>(n.node.inputs().size()) - 2) {
    return n.Fail(absl::StrFormat("cannot carry %d of its operands", attr));
  }
  const auto carried = static_cast<size_t>(attr);
  if (n.node.outputs().size() != carried) {
    return n.Fail(
        absl::StrFormat("has %d results for %d carried values", n.node.outputs().size(), carried));
  }
  const int64_t max_trips = n.node.Int("max_trips");
  if (max_trips < 1 || max_trips > kMaxTrips) {
    return n.Fail(absl::StrFormat("max_trips is %d, which is outside 1..%d", max_trips, kMaxTrips));
  }
  Graph& body = *n.node.bodies[0];
  FLOE_TRY(SetParams(n, body, 1, 2));
  FLOE_TRY(NeedOutputs(n, body, carried + 1));
  SetParam(body, 0, DType::kI64, {}, std::nullopt);
  // What is known of a carried value before the first iteration is known later only if it stays.
  for (size_t i = 1; i <= carried; ++i) {
    if (body.outputs()[i] != body.inputs()[i]) body.inputs()[i]->content.reset();
  }
  FLOE_TRY(InferBody(n, body));
  const Value& condition = *body.outputs()[0];
  if (condition.dtype() != DType::kBool || condition.rank() != 0) {
    return n.Fail(absl::StrFormat("the condition that the body gives is %s, not a scalar of bool",
                                  TypeToString(n.graph, condition)));
  }
  for (size_t i = 0; i < carried; ++i) {
    const Value& before = *body.inputs()[i + 1];
    const Value& after = *body.outputs()[i + 1];
    if (before.dtype() != after.dtype() || before.shape() != after.shape()) {
      return n.Fail(absl::StrFormat(
          "carried value %d ('%s') is %s before an iteration and %s after it; carried values must "
          "keep their dtype and shape",
          i, before.name(), TypeToString(n.graph, before), TypeToString(n.graph, after)));
    }
    FLOE_TRY(SetWithContent(n, i, before, before.content));
  }
  return absl::OkStatus();
}

absl::Status Size(const Inference& n) {
  if (n.dtype(0) != DType::kI64 || n.rank(0) != 0) return n.Fail("the count is no i64 scalar");
  const Value& output = *n.node.output();
  const SymbolId* symbol = nullptr;
  if (output.content && output.content->size() == 1 && (*output.content)[0].terms().size() == 1) {
    symbol = (*output.content)[0].terms()[0].symbol();
  }
  if (symbol == nullptr || *symbol >= n.graph.symbols.size() || !n.graph.symbols[*symbol].data ||
      (*output.content)[0] != Dim::OfSymbol(*symbol)) {
    return n.Fail("the result's content is no data symbol");
  }
  if (n.graph.is_body) return n.Fail("a size inside of a body");
  return n.Set(0, DType::kI64, {});
}

absl::Status Check(const Inference& n) {
  if (n.dtype(0) == DType::kBool) return absl::OkStatus();
  return n.Fail("the condition is not bool");
}

constexpr ShapeRuleRow kRows[] = {
    {OpId::kIf, If},
    {OpId::kLoop, Loop},
    {OpId::kCheck, Check},
    {OpId::kSize, Size},
};

}  // namespace

std::span<const ShapeRuleRow> ControlRules() { return kRows; }

}  // namespace floe::ir
