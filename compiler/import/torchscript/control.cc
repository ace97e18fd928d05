// Branches and loops on data: the code of both branches, or of the body, is run at import; what it
// assigns and what it changes in containers is merged by the ATen layer's nodes.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/builtins.h"
#include "compiler/import/torchscript/effects.h"
#include "compiler/import/torchscript/interpreter.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::Kind;

constexpr int kMaxDepth = 32;
constexpr char kDictMark[] =
    "\x01"
    "dict";

// What a value is, without the value: enough to make another of its type.
struct Form {
  Kind kind = Kind::kNone;
  bool undefined = false;
  DType dtype = DType::kNone;
  ir::Shape shape;
  std::vector<Form> parts;
};

// Copies sequences, and writes dicts as tuples, so that what becomes of the result does not touch
// the containers themselves.
IValue Encode(const IValue& v, int depth = 0) {
  if (depth > kMaxDepth) return v;
  std::vector<IValue> items;
  if (v.is_sequence()) {
    for (const IValue& item : v.items()) items.push_back(Encode(item, depth + 1));
    return v.kind() == Kind::kTuple ? IValue::TupleOf(std::move(items))
                                    : IValue::ListOf(std::move(items), v.list()->element);
  }
  if (v.kind() != Kind::kDict) return v;
  items.push_back(IValue::String(kDictMark));
  for (const auto& [key, value] : v.dict()->items) {
    items.push_back(key);
    items.push_back(Encode(value, depth + 1));
  }
  return IValue::TupleOf(std::move(items));
}

IValue Decode(const IValue& v, int depth = 0) {
  if (!v.is_sequence() || depth > kMaxDepth) return v;
  const std::vector<IValue>& items = v.items();
  if (v.kind() == Kind::kTuple && !items.empty() && items[0].kind() == Kind::kString &&
      items[0].string() == kDictMark) {
    IValue dict = IValue::NewDict();
    for (size_t i = 1; i + 1 < items.size(); i += 2) {
      dict.dict()->items.emplace_back(items[i], Decode(items[i + 1], depth + 1));
    }
    return dict;
  }
  std::vector<IValue> decoded;
  for (const IValue& item : items) decoded.push_back(Decode(item, depth + 1));
  return v.kind() == Kind::kTuple ? IValue::TupleOf(std::move(decoded))
                                  : IValue::ListOf(std::move(decoded), v.list()->element);
}

absl::StatusOr<Form> FormOf(aten::Context& context, const IValue& v) {
  Form form;
  form.kind = v.kind();
  form.undefined = As<Uninitialized>(v) != nullptr;
  if (v.is_tensor()) {
    FLOE_TRY_ASSIGN(const ir::Value* value, context.Read(v.variable()));
    form.dtype = value->dtype();
    form.shape = value->shape();
  } else if (v.is_sequence()) {
    for (const IValue& item : v.items()) {
      FLOE_TRY_ASSIGN(Form part, FormOf(context, item));
      form.parts.push_back(std::move(part));
    }
  }
  return form;
}

// Zeros of the form: stands for a variable on the paths where it is not read.
absl::StatusOr<IValue> MakeZero(Interpreter& in, const Form& form, const CallSite& site) {
  switch (form.kind) {
    case Kind::kInt:
      return IValue::Int(0);
    case Kind::kFloat:
      return IValue::Float(0);
    case Kind::kBool:
      return IValue::Bool(false);
    case Kind::kString:
      return IValue::String("");
    case Kind::kNone:
      return IValue();
    case Kind::kTensor: {
      std::vector<IValue> sizes;
      for (const ir::Dim& d : form.shape) sizes.push_back(IValue::Int(d));
      FLOE_TRY_ASSIGN(aten::VariablePtr zero, in.NumberTensor(IValue::Int(0), form.dtype));
      return in.Aten(
          "aten::expand",
          {IValue::Tensor(std::move(zero)), IValue::ListOf(std::move(sizes), Kind::kInt)}, site);
    }
    case Kind::kList:
    case Kind::kTuple: {
      std::vector<IValue> items;
      for (const Form& part : form.parts) {
        FLOE_TRY_ASSIGN(IValue item, MakeZero(in, part, site));
        items.push_back(std::move(item));
      }
      return form.kind == Kind::kTuple ? IValue::TupleOf(std::move(items))
                                       : IValue::ListOf(std::move(items));
    }
    default:
      return absl::UnimplementedError(
          absl::StrFormat("a variable is a %s on one path only", aten::KindName(form.kind)));
  }
}

// Replaces what has no value in `v` by zeros of the other path's form.
absl::StatusOr<IValue> Fill(Interpreter& in, const IValue& v, const Form& other,
                            const CallSite& site) {
  if (As<Uninitialized>(v) != nullptr && !other.undefined) return MakeZero(in, other, site);
  if (!v.is_sequence() || v.items().size() != other.parts.size()) return v;
  std::vector<IValue> items;
  for (size_t i = 0; i < other.parts.size(); ++i) {
    FLOE_TRY_ASSIGN(IValue item, Fill(in, v.items()[i], other.parts[i], site));
    items.push_back(std::move(item));
  }
  return v.kind() == Kind::kTuple ? IValue::TupleOf(std::move(items))
                                  : IValue::ListOf(std::move(items), v.list()->element);
}

// The tensors and numbers in a value, in order.
void Flatten(const IValue& v, std::vector<IValue>* leaves) {
  if (v.is_tensor() || v.is_number()) leaves->push_back(v);
  if (!v.is_sequence()) return;
  for (const IValue& item : v.items()) Flatten(item, leaves);
}

// A value like `form` with other tensors and numbers.
IValue Unflatten(const IValue& form, const std::vector<IValue>& leaves, size_t* at) {
  if (form.is_tensor() || form.is_number()) return leaves[(*at)++];
  if (!form.is_sequence()) return form;
  std::vector<IValue> items;
  for (const IValue& item : form.items()) items.push_back(Unflatten(item, leaves, at));
  return form.kind() == Kind::kTuple ? IValue::TupleOf(std::move(items))
                                     : IValue::ListOf(std::move(items), form.list()->element);
}

bool SameStructure(const IValue& a, const IValue& b) {
  if (a.is_tensor() || a.is_number()) return a.kind() == b.kind();
  if (!a.is_sequence()) return SameValue(a, b);
  if (a.kind() != b.kind() || a.items().size() != b.items().size()) return false;
  for (size_t i = 0; i < a.items().size(); ++i) {
    if (!SameStructure(a.items()[i], b.items()[i])) return false;
  }
  return true;
}

bool SameContents(const std::vector<IValue>& a, const std::vector<IValue>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), SameValue);
}

}  // namespace

// Runs pieces of code from one starting point and tells what each leaves behind: the values of
// `names`, then the contents of the containers that any of them changed.
struct Interpreter::Paths {
  Paths(Interpreter& interpreter, Frame& f, std::vector<std::string> n)
      : in(interpreter), frame(f), names(std::move(n)), base(f.variables) {}

  absl::Status Prepare(const Stmt& stmt) {
    mutates = in.mutations_.MayMutate(stmt);
    if (mutates) FLOE_TRY(snapshot.Take(base));
    return absl::OkStatus();
  }

  void Reset() {
    frame.variables = base;
    if (mutates) snapshot.Restore();
  }

  // Runs `block` from the start.
  absl::Status Run(const Block& block) {
    Reset();
    return Continue(block);
  }
  absl::Status Continue(const Block& block) {
    Flow flow = Flow::kNext;
    FLOE_TRY(in.RunBlock(block, frame, &flow));
    if (flow == Flow::kNext) return absl::OkStatus();
    return absl::UnimplementedError("a return within control flow on data");
  }

  IValue ValueOf(const std::string& name) const {
    const auto it = frame.variables.find(name);
    return it == frame.variables.end() ? IValue() : it->second;
  }

  // Notes which containers hold something else now.
  void NoteChanges() {
    if (!mutates) return;
    const Snapshot::Contents now = snapshot.Now();
    for (size_t i = 0; i < now.size(); ++i) {
      if (!SameContents(now[i], snapshot.Before()[i])) changed.insert(i);
    }
  }

  // The values of names, then contents, encoded.
  std::vector<IValue> Left() const {
    std::vector<IValue> left;
    for (const std::string& name : names) left.push_back(Encode(ValueOf(name)));
    if (changed.empty()) return left;
    const Snapshot::Contents now = snapshot.Now();
    for (const size_t i : changed) {
      std::vector<IValue> items;
      for (const IValue& item : now[i]) items.push_back(Encode(item));
      left.push_back(IValue::TupleOf(std::move(items)));
    }
    return left;
  }

  // Makes names and containers hold what `left` says.
  absl::Status Take(const std::vector<IValue>& left) {
    for (size_t i = 0; i < names.size(); ++i) frame.variables[names[i]] = Decode(left[i]);
    size_t at = names.size();
    for (const size_t i : changed) {
      std::vector<IValue> items;
      for (const IValue& item : left[at].items()) items.push_back(Decode(item));
      FLOE_TRY(snapshot.Set(i, items));
      ++at;
    }
    return absl::OkStatus();
  }

  Interpreter& in;
  Frame& frame;
  const std::vector<std::string> names;
  const Variables base;
  bool mutates = false;
  Snapshot snapshot;
  std::set<size_t> changed;
};

absl::Status Interpreter::RunDataIf(const Stmt& stmt, const IValue& condition, Frame& frame,
                                    Flow* flow) {
  const std::vector<std::string> in_then = AssignedNames(stmt.body);
  const std::vector<std::string> in_else = AssignedNames(stmt.orelse);
  std::vector<std::string> names;
  const auto has = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  // What one branch alone assigns is its own temporary, unless it had a value before.
  for (const std::string& n : in_then) {
    if (has(in_else, n) || frame.variables.contains(n)) names.push_back(n);
  }
  for (const std::string& n : in_else) {
    if (!has(in_then, n) && frame.variables.contains(n)) names.push_back(n);
  }
  const CallSite site = SiteOf("if", *stmt.value, frame);
  Paths paths(*this, frame, std::move(names));
  FLOE_TRY(paths.Prepare(stmt));
  std::vector<std::vector<Form>> forms(2);
  bool raised[2] = {false, false};
  const Block* blocks[2] = {&stmt.body, &stmt.orelse};
  absl::Status status;
  if (paths.mutates || MentionsUninitialized(stmt, frame.variables)) {
    // Once for what the branches change and of which type their values are; nothing is kept.
    for (int i = 0; i < 2 && status.ok(); ++i) {
      absl::Status tried = context_.Trial([&]() -> absl::Status {
        FLOE_TRY(paths.Run(*blocks[i]));
        paths.NoteChanges();
        return absl::OkStatus();
      });
      if (absl::IsAborted(tried)) continue;
      status = std::move(tried);
    }
    for (int i = 0; i < 2 && status.ok(); ++i) {
      absl::Status tried = context_.Trial([&]() -> absl::Status {
        FLOE_TRY(paths.Run(*blocks[i]));
        for (const IValue& v : paths.Left()) {
          FLOE_TRY_ASSIGN(Form form, FormOf(context_, v));
          forms[static_cast<size_t>(i)].push_back(std::move(form));
        }
        return absl::OkStatus();
      });
      if (!absl::IsAborted(tried)) status = std::move(tried);
    }
  }
  const auto branch = [&](int i) -> absl::StatusOr<std::vector<IValue>> {
    const absl::Status ran = paths.Run(*blocks[i]);
    raised[i] = absl::IsAborted(ran);
    if (!ran.ok()) return ran;
    std::vector<IValue> left = paths.Left();
    const std::vector<Form>& other = forms[static_cast<size_t>(1 - i)];
    for (size_t k = 0; k < left.size() && k < other.size(); ++k) {
      FLOE_TRY_ASSIGN(left[k], Fill(*this, left[k], other[k], site));
      // Without a value on both paths.
      if (As<Uninitialized>(left[k]) != nullptr) left[k] = IValue();
    }
    return left;
  };
  absl::StatusOr<std::vector<IValue>> merged = std::vector<IValue>();
  if (!status.ok()) {
    merged = status;
  } else {
    merged = context_.If(
        condition, [&] { return branch(0); }, [&] { return branch(1); }, site);
  }
  paths.Reset();
  if (merged.ok()) return paths.Take(*merged);
  if (absl::IsAborted(merged.status()) && (raised[0] || raised[1])) {
    return CheckInstead(stmt, condition, raised[0], merged.status(), frame, flow);
  }
  return Tolerate(stmt, merged.status(), frame);
}

// A branch that always raises: checks that it is not taken, and runs the other one.
absl::Status Interpreter::CheckInstead(const Stmt& stmt, const IValue& condition, bool then_raises,
                                       const absl::Status& raised, Frame& frame, Flow* flow) {
  const CallSite site = SiteOf("assert", *stmt.value, frame);
  IValue holds = condition;
  if (then_raises) {
    FLOE_TRY_ASSIGN(holds, CallOperator("aten::__not__", {{condition}, {}}, *stmt.value, frame));
  }
  FLOE_TRY(context_.Check(holds, std::string(raised.message()), site));
  return RunBlock(then_raises ? stmt.orelse : stmt.body, frame, flow);
}

// What cannot be mapped is reported, and what it would have computed is unknown.
absl::Status Interpreter::Tolerate(const Stmt& stmt, const absl::Status& status, Frame& frame) {
  const bool has_unknown = !report_->unsupported.empty() && absl::IsInvalidArgument(status);
  if (!absl::IsUnimplemented(status) && !has_unknown) {
    if (absl::IsAborted(status)) return status;
    return Error(stmt.at, frame, status.code(), std::string(status.message()));
  }
  if (!has_unknown) {
    const char* what = stmt.kind == Stmt::Kind::kIf ? "prim::If" : "prim::Loop";
    Refuse(what, std::string(status.message()), PlaceOf(*frame.unit, stmt.at));
  }
  for (const Block* block : {&stmt.body, &stmt.orelse}) {
    for (const std::string& name : AssignedNames(*block)) frame.variables[name] = UnknownValue();
  }
  return absl::OkStatus();
}

absl::Status Interpreter::RunUnknown(const Stmt& stmt, Frame& frame) {
  Paths paths(*this, frame, {});
  FLOE_TRY(paths.Prepare(stmt));
  for (const ExprPtr& target : stmt.targets) {
    if (target->kind == Expr::Kind::kName) frame.variables[target->text] = UnknownValue();
  }
  const Variables base = frame.variables;
  for (const Block* block : {&stmt.body, &stmt.orelse}) {
    paths.Reset();
    frame.variables = base;
    const absl::Status ran = paths.Continue(*block);
    if (absl::IsResourceExhausted(ran)) return ran;
  }
  paths.Reset();
  for (const Block* block : {&stmt.body, &stmt.orelse}) {
    for (const std::string& name : AssignedNames(*block)) frame.variables[name] = UnknownValue();
  }
  return absl::OkStatus();
}

absl::Status Interpreter::RunDataLoop(const Stmt& stmt, const IValue& trips,
                                      const IValue& condition, Frame& frame) {
  std::vector<std::string> names;
  for (const std::string& n : AssignedNames(stmt.body)) {
    if (frame.variables.contains(n)) names.push_back(n);
  }
  const CallSite site = SiteOf("loop", *stmt.value, frame);
  Paths paths(*this, frame, std::move(names));
  FLOE_TRY(paths.Prepare(stmt));
  const bool is_for = stmt.kind == Stmt::Kind::kFor;
  const auto iterate = [&](const IValue& iteration) -> absl::StatusOr<IValue> {
    if (is_for) FLOE_TRY(Store(*stmt.targets[0], iteration, frame));
    FLOE_TRY(paths.Continue(stmt.body));
    if (is_for) return IValue::Bool(true);
    return Eval(*stmt.value, frame);
  };
  std::vector<Form> forms;
  absl::Status status;
  if (paths.mutates || MentionsUninitialized(stmt, frame.variables)) {
    for (int round = 0; round < 2 && status.ok(); ++round) {
      status = context_.Trial([&]() -> absl::Status {
        paths.Reset();
        FLOE_TRY_ASSIGN(aten::VariablePtr zero, NumberTensor(IValue::Int(0), DType::kI64));
        // The first iteration stands for all.
        FLOE_TRY(iterate(IValue::Scalar(Kind::kInt, std::move(zero))).status());
        if (round == 0) {
          paths.NoteChanges();
          return absl::OkStatus();
        }
        for (const IValue& v : paths.Left()) {
          FLOE_TRY_ASSIGN(Form form, FormOf(context_, v));
          forms.push_back(std::move(form));
        }
        return absl::OkStatus();
      });
    }
  }
  paths.Reset();
  std::vector<IValue> start = paths.Left();
  for (size_t i = 0; status.ok() && i < forms.size(); ++i) {
    absl::StatusOr<IValue> filled = Fill(*this, start[i], forms[i], site);
    if (filled.ok()) start[i] = *std::move(filled);
    status = filled.status();
  }
  std::vector<IValue> carried;
  for (const IValue& v : start) Flatten(v, &carried);
  const auto take = [&](const std::vector<IValue>& leaves) {
    std::vector<IValue> values;
    size_t at = 0;
    for (const IValue& form : start) values.push_back(Unflatten(form, leaves, &at));
    return paths.Take(values);
  };
  const auto body =
      [&](const IValue& iteration,
          const std::vector<IValue>& leaves) -> absl::StatusOr<aten::Context::LoopStep> {
    paths.Reset();
    FLOE_TRY(take(leaves));
    aten::Context::LoopStep step;
    FLOE_TRY_ASSIGN(step.condition, iterate(iteration));
    if (step.condition.kind() != Kind::kBool) {
      return absl::UnimplementedError("the condition of a loop is not known");
    }
    const std::vector<IValue> left = paths.Left();
    for (size_t i = 0; i < left.size(); ++i) {
      if (!SameStructure(start[i], left[i])) {
        return absl::UnimplementedError(absl::StrFormat(
            "%s changes its type or length in a loop on data: %s, then %s",
            i < paths.names.size() ? "'" + paths.names[i] + "'" : std::string("a container"),
            start[i].Describe(), left[i].Describe()));
      }
      Flatten(left[i], &step.carried);
    }
    return step;
  };
  absl::StatusOr<std::vector<IValue>> results = std::vector<IValue>();
  if (!status.ok()) {
    results = status;
  } else {
    results = context_.Loop(trips, condition, carried, body, site);
  }
  paths.Reset();
  if (results.ok()) return take(*results);
  return Tolerate(stmt, results.status(), frame);
}

}  // namespace floe::torchscript
