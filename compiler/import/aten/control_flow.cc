// Control flow that depends on data: bodies, what they write, and how their results meet.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/context.h"
#include "compiler/ir/shapes.h"
#include "compiler/ir/status_macros.h"

namespace floe::aten {
namespace {

bool SameKnownNumber(const IValue& a, const IValue& b) {
  if (a.kind() != b.kind() || !a.is_known() || !b.is_known()) return false;
  switch (a.kind()) {
    case Kind::kInt:
      return a.dim() == b.dim();
    case Kind::kFloat:
      return a.float_value() == b.float_value();
    default:
      return a.bool_value() == b.bool_value();
  }
}

// A value of a branch: containers are walked, and tensors and numbers that the branches do not
// agree on are results of the node.
struct Leaf {
  IValue then_value, else_value;
  ir::Value* then_output = nullptr;  // In the branch's graph.
  ir::Value* else_output = nullptr;
};

bool IsLeaf(const IValue& v) { return v.is_tensor() || v.is_number(); }

// Pairs up two results. On the first walk collects the leaves that become outputs; on the second,
// with `outputs`, builds the merged value from them in the same order.
class Merger {
 public:
  std::vector<Leaf> leaves;

  absl::Status Collect(const IValue& a, const IValue& b) {
    if (a.is_sequence() && b.kind() == a.kind() && a.items().size() == b.items().size()) {
      for (size_t i = 0; i < a.items().size(); ++i) FLOE_TRY(Collect(a.items()[i], b.items()[i]));
      return absl::OkStatus();
    }
    if (IsShared(a, b)) return absl::OkStatus();
    if (IsLeaf(a) && a.kind() == b.kind()) {
      leaves.push_back({a, b, nullptr, nullptr});
      return absl::OkStatus();
    }
    return absl::UnimplementedError(
        absl::StrFormat("the branches of an if on data give different kinds of values: %s and %s",
                        a.Describe(), b.Describe()));
  }

  IValue Build(const IValue& a, const IValue& b, const std::vector<IValue>& outputs) {
    if (a.is_sequence()) {
      std::vector<IValue> items;
      for (size_t i = 0; i < a.items().size(); ++i) {
        items.push_back(Build(a.items()[i], b.items()[i], outputs));
      }
      return a.kind() == Kind::kTuple ? IValue::TupleOf(std::move(items))
                                      : IValue::ListOf(std::move(items), a.list()->element);
    }
    return IsShared(a, b) ? a : outputs[next_++];
  }

 private:
  static bool IsShared(const IValue& a, const IValue& b) {
    if (a.is_none() && b.is_none()) return true;
    if (SameKnownNumber(a, b)) return true;
    if (a.kind() != b.kind()) return false;
    switch (a.kind()) {
      case Kind::kString:
      case Kind::kDevice:
        return a.string() == b.string();
      case Kind::kDict:
        return a.dict() == b.dict();
      case Kind::kForeign:
        return a.foreign() == b.foreign();
      default:
        return false;
    }
  }

  size_t next_ = 0;
};

absl::Status FormInControlFlow() {
  return absl::UnimplementedError(
      "complex numbers or packed sequences as results of branches or loops on data");
}

}  // namespace

void Context::PushBody(const char* name) {
  bodies_.push_back(std::make_unique<Body>(graph(), name));
}

std::unique_ptr<Context::Body> Context::PopBody() {
  std::unique_ptr<Body> body = std::move(bodies_.back());
  bodies_.pop_back();
  for (WrittenVariable& w : body->written) {
    w.written = w.root->value_;
    w.root->value_ = w.before;
    ++w.root->version_;
  }
  return body;
}

absl::StatusOr<ir::Value*> Context::OutputOf(const IValue& v, const CallSite& site) {
  if (v.variable() != nullptr) {
    if (v.variable()->form != Form::kPlain) return FormInControlFlow();
    return Read(v.variable());
  }
  switch (v.kind()) {
    case Kind::kInt:
      return ir::AddDim(graph(), v.dim(), site.name + "/int", site.provenance);
    case Kind::kFloat: {
      ir::Tensor t(DType::kF64, {});
      t.SetDouble(0, v.float_value());
      return graph().AddConstant(site.name + "/float", std::move(t));
    }
    case Kind::kBool:
      return ir::AddBool(graph(), site.name + "/bool", v.bool_value());
    default:
      return absl::InternalError("no tensor or number leaves a body");
  }
}

absl::StatusOr<std::vector<IValue>> Context::If(const IValue& condition, const Branch& then_branch,
                                                const Branch& else_branch, const CallSite& site) {
  if (condition.kind() == Kind::kBool && condition.is_known()) {
    return condition.bool_value() ? then_branch() : else_branch();
  }
  if (depth() >= ir::kMaxBodyDepth) {
    return absl::UnimplementedError("control flow is nested too deep");
  }
  FLOE_TRY_ASSIGN(ir::Value * test, Read(condition.variable()));
  if (test->dtype() != DType::kBool || test->rank() != 0) {
    return absl::InternalError("the condition of an if is no bool scalar");
  }
  const auto run = [&](const char* name, const Branch& branch, Results* results,
                       std::unique_ptr<Body>* body) -> absl::Status {
    PushBody(name);
    absl::StatusOr<Results> r = branch();
    if (r.ok()) *results = *std::move(r);
    // Views are brought up to date while their body is open.
    absl::Status status = r.status();
    if (status.ok()) status = Settle(results, site);
    *body = PopBody();
    return status;
  };
  Results then_results, else_results;
  std::unique_ptr<Body> then_body, else_body;
  FLOE_TRY(run("then", then_branch, &then_results, &then_body));
  FLOE_TRY(run("else", else_branch, &else_results, &else_body));
  if (then_results.size() != else_results.size()) {
    return absl::InvalidArgumentError("the branches of an if give different numbers of values");
  }
  // In-place writes of either branch are results, too.
  std::vector<VariablePtr> roots;
  for (const Body* body : {then_body.get(), else_body.get()}) {
    for (const WrittenVariable& w : body->written) {
      if (std::find(roots.begin(), roots.end(), w.root) == roots.end()) roots.push_back(w.root);
    }
  }
  Merger merger;
  for (size_t i = 0; i < then_results.size(); ++i) {
    FLOE_TRY(merger.Collect(then_results[i], else_results[i]));
  }
  FLOE_TRY(AddBranchOutputs(*then_body, merger.leaves.size(), roots, site,
                            [&](size_t i) { return merger.leaves[i].then_value; }));
  FLOE_TRY(AddBranchOutputs(*else_body, merger.leaves.size(), roots, site,
                            [&](size_t i) { return merger.leaves[i].else_value; }));
  std::vector<std::string> names(merger.leaves.size() + roots.size(), site.name);
  FLOE_TRY_ASSIGN(ir::Node * node,
                  ir::AddIf(graph(), test, std::move(then_body->builder),
                            std::move(else_body->builder), std::move(names), site.provenance));
  std::vector<IValue> outputs;
  for (size_t i = 0; i < merger.leaves.size(); ++i) {
    const Kind kind = merger.leaves[i].then_value.kind();
    const VariablePtr v = NewVariable(node->output(i));
    outputs.push_back(kind == Kind::kTensor ? IValue::Tensor(v) : IValue::Scalar(kind, v));
  }
  for (size_t i = 0; i < roots.size(); ++i) {
    FLOE_TRY(Write(roots[i], node->output(merger.leaves.size() + i)));
  }
  Results results;
  for (size_t i = 0; i < then_results.size(); ++i) {
    results.push_back(merger.Build(then_results[i], else_results[i], outputs));
  }
  return results;
}

// Replaces tensors by variables of the current body that hold their values.
absl::Status Context::Settle(std::vector<IValue>* values, const CallSite& site) {
  for (IValue& v : *values) {
    if (v.is_sequence()) {
      FLOE_TRY(Settle(&v.items(), site));
    } else if (v.variable() != nullptr) {
      if (v.variable()->form != Form::kPlain) return FormInControlFlow();
      FLOE_TRY_ASSIGN(ir::Value * now, Read(v.variable()));
      const VariablePtr settled = NewVariable(now);
      v = v.is_tensor() ? IValue::Tensor(settled) : IValue::Scalar(v.kind(), settled);
    }
  }
  return absl::OkStatus();
}

absl::Status Context::AddBranchOutputs(Body& body, size_t leaves,
                                       const std::vector<VariablePtr>& roots, const CallSite& site,
                                       const std::function<IValue(size_t)>& leaf) {
  ir::Graph& inner = body.builder.graph();
  for (size_t i = 0; i < leaves; ++i) {
    const IValue v = leaf(i);
    ir::Value* output = nullptr;
    if (v.variable() != nullptr) {
      output = v.variable()->value_;  // Settled.
    } else if (v.kind() == Kind::kInt) {
      FLOE_TRY_ASSIGN(output, ir::AddDim(inner, v.dim(), site.name + "/int", site.provenance));
    } else if (v.kind() == Kind::kBool) {
      output = ir::AddBool(inner, site.name + "/bool", v.bool_value());
    } else {
      ir::Tensor t(DType::kF64, {});
      t.SetDouble(0, v.float_value());
      output = inner.AddConstant(site.name + "/float", std::move(t));
    }
    inner.AddOutput(output, absl::StrFormat("%s.%d", site.name, i));
  }
  for (size_t i = 0; i < roots.size(); ++i) {
    ir::Value* output = nullptr;
    for (const WrittenVariable& w : body.written) {
      if (w.root == roots[i]) output = w.written;
    }
    if (output == nullptr) {
      FLOE_TRY_ASSIGN(ir::Value * outside, Read(roots[i]));
      output = body.builder.Capture(outside);
    }
    inner.AddOutput(output, absl::StrFormat("%s.%d", site.name, leaves + i));
  }
  return absl::OkStatus();
}

// What is carried through a loop: the front end's values that change, and variables from outside
// that the body writes.
struct Context::LoopState {
  std::vector<IValue> carried;
  std::vector<bool> varies;        // Per carried value; others are known numbers that stay.
  std::vector<VariablePtr> roots;  // Written by the body.
};

// Runs the body once under the present assumptions. True if they held; the body is then complete.
absl::StatusOr<bool> Context::TryLoopBody(LoopState* state, const LoopBody& run,
                                          const std::vector<ir::Value*>& initial,
                                          const CallSite& site, std::unique_ptr<Body>* result) {
  PushBody("body");
  Body& body = *bodies_.back();
  ir::Value* iteration = body.builder.AddParam("iteration", DType::kI64, {});
  std::vector<IValue> inner;
  size_t at = 0;
  for (size_t i = 0; i < state->carried.size(); ++i) {
    if (!state->varies[i]) {
      inner.push_back(state->carried[i]);
      continue;
    }
    const ir::Value* start = initial[at++];
    const VariablePtr v =
        NewVariable(body.builder.AddParam(site.name, start->dtype(), start->shape()));
    const Kind kind = state->carried[i].kind();
    inner.push_back(kind == Kind::kTensor ? IValue::Tensor(v) : IValue::Scalar(kind, v));
  }
  absl::Status status;
  for (const VariablePtr& root : state->roots) {
    const ir::Value* start = initial[at++];
    if (status.ok()) {
      status = Write(root, body.builder.AddParam(site.name, start->dtype(), start->shape()));
    }
  }
  bool held = true;
  LoopStep step;
  if (status.ok()) {
    absl::StatusOr<LoopStep> s = run(IValue::Scalar(Kind::kInt, NewVariable(iteration)), inner);
    status = s.status();
    if (status.ok()) step = *std::move(s);
  }
  if (status.ok() && step.carried.size() != state->carried.size()) {
    status = absl::InvalidArgumentError("a loop's body gives another number of values");
  }
  for (size_t i = 0; status.ok() && i < state->carried.size(); ++i) {
    const IValue& before = state->carried[i];
    const IValue& after = step.carried[i];
    if (before.kind() != after.kind()) {
      status = absl::UnimplementedError(
          absl::StrFormat("a value changes its type in a loop on data: %s, then %s",
                          before.Describe(), after.Describe()));
    } else if (!state->varies[i] && !SameKnownNumber(before, after)) {
      if (!IsLeaf(before)) {
        status = absl::UnimplementedError(
            absl::StrFormat("a %s is carried through a loop on data", before.Describe()));
      }
      state->varies[i] = true;
      held = false;
    }
  }
  for (const WrittenVariable& w : body.written) {
    if (std::find(state->roots.begin(), state->roots.end(), w.root) == state->roots.end()) {
      state->roots.push_back(w.root);
      held = false;
    }
  }
  if (status.ok() && held) {
    const auto add = [&](const IValue& v) -> absl::Status {
      FLOE_TRY_ASSIGN(ir::Value * output, OutputOf(v, site));
      graph().AddOutput(output, site.name);
      return absl::OkStatus();
    };
    status = add(step.condition);
    for (size_t i = 0; status.ok() && i < step.carried.size(); ++i) {
      if (state->varies[i]) status = add(step.carried[i]);
    }
    for (size_t i = 0; status.ok() && i < state->roots.size(); ++i) {
      status = add(IValue::Tensor(state->roots[i]));
    }
  }
  *result = PopBody();
  if (!status.ok()) return status;
  return held;
}

absl::StatusOr<std::vector<IValue>> Context::Loop(const IValue& trips, const IValue& condition,
                                                  const std::vector<IValue>& carried,
                                                  const LoopBody& body, const CallSite& site) {
  if (depth() >= ir::kMaxBodyDepth) {
    return absl::UnimplementedError("control flow is nested too deep");
  }
  LoopState state;
  state.carried = carried;
  for (const IValue& v : carried) state.varies.push_back(v.variable() != nullptr);
  std::unique_ptr<Body> built;
  std::vector<ir::Value*> initial;
  // Each round finds at least one more value that varies, or ends.
  for (bool held = false; !held;) {
    initial.clear();
    for (size_t i = 0; i < carried.size(); ++i) {
      if (!state.varies[i]) continue;
      FLOE_TRY_ASSIGN(ir::Value * start, OutputOf(carried[i], site));
      initial.push_back(start);
    }
    for (const VariablePtr& root : state.roots) {
      FLOE_TRY_ASSIGN(ir::Value * start, Read(root));
      initial.push_back(start);
    }
    FLOE_TRY_ASSIGN(held, TryLoopBody(&state, body, initial, site, &built));
  }
  ir::LoopOperands operands;
  operands.carried = initial;
  if (!trips.is_none()) {
    FLOE_TRY_ASSIGN(operands.trips, OutputOf(trips, site));
  }
  if (!condition.is_none()) {
    FLOE_TRY_ASSIGN(operands.condition, OutputOf(condition, site));
  }
  std::vector<std::string> names(initial.size(), site.name);
  FLOE_TRY_ASSIGN(ir::Node * node,
                  ir::AddLoop(graph(), std::move(operands), std::move(built->builder),
                              std::move(names), site.provenance));
  Results results;
  size_t at = 0;
  for (size_t i = 0; i < carried.size(); ++i) {
    if (!state.varies[i]) {
      results.push_back(carried[i]);
      continue;
    }
    const VariablePtr v = NewVariable(node->output(at++));
    const Kind kind = carried[i].kind();
    results.push_back(kind == Kind::kTensor ? IValue::Tensor(v) : IValue::Scalar(kind, v));
  }
  for (const VariablePtr& root : state.roots) FLOE_TRY(Write(root, node->output(at++)));
  return results;
}

absl::Status Context::Trial(const std::function<absl::Status()>& run) {
  if (depth() >= ir::kMaxBodyDepth) {
    return absl::UnimplementedError("control flow is nested too deep");
  }
  PushBody("trial");
  absl::Status status = run();
  PopBody();
  return status;
}

absl::Status Context::Check(const IValue& condition, const std::string& message,
                            const CallSite& site) {
  if (condition.is_known()) {
    const bool holds = condition.kind() == Kind::kBool  ? condition.bool_value()
                       : condition.kind() == Kind::kInt ? !(condition.dim() == ir::Dim(0))
                                                        : condition.float_value() != 0;
    if (holds) return absl::OkStatus();
    if (depth() == 0) {
      return absl::InvalidArgumentError("the model's own check always fails: " + message);
    }
    return ir::AddCheck(graph(), ir::AddBool(graph(), site.name, false), message, site.provenance)
        .status();
  }
  if (condition.variable() == nullptr) {
    return absl::InvalidArgumentError("a check of " + condition.Describe());
  }
  FLOE_TRY_ASSIGN(ir::Value * test, Read(condition.variable()));
  if (test->dtype() != DType::kBool) {
    ir::Node* cast = graph().AddNode(OpId::kCast, {test}, {site.name}, site.provenance);
    cast->attrs["to"] = static_cast<int64_t>(DType::kBool);
    FLOE_TRY(ir::InferNode(graph(), *cast));
    test = cast->output();
  }
  return ir::AddCheck(graph(), test, message, site.provenance).status();
}

}  // namespace floe::aten
