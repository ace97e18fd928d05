#include "compiler/import/torchscript/interpreter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/level.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

// Functions that call each other; models nest about 20 deep.
constexpr int kMaxCalls = 80;
// Containers within each other when they are made. What is put into them later may add to that, but
// not often: destroying them takes stack.
constexpr int kMaxNesting = 32;
constexpr int64_t kMaxInsertions = 1024;
constexpr int kMaxWalk = 1 << 20;

// Levels of containers in a value; more than kMaxNesting if they are too many, if `holder` is among
// them or if the walk takes too long. *grows is set if a list, dict or object is among them.
int LevelsOf(const IValue& value, const void* holder, int depth, int* visits, bool* grows) {
  if (depth > kMaxNesting || ++*visits > kMaxWalk) return kMaxNesting + 1;
  int levels = 0;
  const auto add = [&](const IValue& part) {
    levels = std::max(levels, LevelsOf(part, holder, depth + 1, visits, grows));
  };
  const void* self = nullptr;
  if (value.is_sequence()) {
    self = value.list().get();
    if (value.kind() == aten::Kind::kList) *grows = true;
    for (const IValue& item : value.items()) add(item);
  } else if (value.kind() == aten::Kind::kDict) {
    self = value.dict().get();
    *grows = true;
    for (const auto& [key, item] : value.dict()->items) add(item);
  } else if (const ObjectPtr object = As<Object>(value)) {
    self = object.get();
    *grows = true;
    for (const auto& [name, item] : object->attributes) add(item);
  } else {
    return 0;
  }
  return self == holder ? kMaxNesting + 1 : levels + 1;
}

}  // namespace

Interpreter::Interpreter(Program& program, aten::Context& context, Heap& heap,
                         const ImportOptions& options, CheckReport* report)
    : program_(program),
      context_(context),
      outermost_(context.graph()),
      heap_(heap),
      options_(options),
      report_(report),
      mutations_(program) {
  heap_.set_state = [this](const ObjectPtr& object, const IValue& state) {
    return CallMethod(object, "__setstate__", {state}).status();
  };
}

absl::Status Interpreter::Error(const Position& at, const Frame& frame, absl::StatusCode code,
                                const std::string& message) const {
  return absl::Status(code, absl::StrFormat("%s: %s", PlaceOf(*frame.unit, at), message));
}

absl::Status Interpreter::Error(const Expr& expr, const Frame& frame,
                                const std::string& message) const {
  return Error(expr.at, frame, absl::StatusCode::kInvalidArgument, message);
}

absl::Status Interpreter::Step(const Position& at, const Frame& frame) {
  if (depth_ > kMaxLevels) {
    return Error(at, frame, absl::StatusCode::kResourceExhausted,
                 "the code is nested too deep, or calls itself");
  }
  if (++steps_ <= options_.max_steps) return absl::OkStatus();
  return Error(at, frame, absl::StatusCode::kResourceExhausted,
               absl::StrFormat("the model executes more than %d statements when its loops are "
                               "unrolled; are they endless?",
                               options_.max_steps));
}

absl::Status Interpreter::CountElements(size_t n) {
  elements_ += static_cast<int64_t>(std::min(n, size_t{1} << 40));
  if (elements_ <= options_.max_elements) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "the model's code makes lists or strings of more than %d elements", options_.max_elements));
}

absl::Status Interpreter::CheckNesting(const IValue& value, const void* holder) {
  int visits = 0;
  bool grows = false;
  if (LevelsOf(value, holder, 0, &visits, &grows) > kMaxNesting) {
    return absl::ResourceExhaustedError("containers or objects are nested too deep");
  }
  if (holder == nullptr || !grows || ++insertions_ <= kMaxInsertions) return absl::OkStatus();
  return absl::ResourceExhaustedError("the model's code nests too many containers");
}

void Interpreter::Refuse(const std::string& op, const std::string& reason,
                         const std::string& place) {
  const auto [it, is_new] =
      unsupported_index_.emplace(op + '\x1f' + reason, report_->unsupported.size());
  if (is_new) report_->unsupported.push_back({op, reason, {}});
  std::vector<std::string>& places = report_->unsupported[it->second].places;
  // A line that is run again, in a loop or by another module, is told once.
  constexpr size_t kMaxPlaces = 1000;
  if (places.size() < kMaxPlaces &&
      std::find(places.begin(), places.end(), place) == places.end()) {
    places.push_back(place);
  }
}

absl::StatusOr<IValue> Interpreter::CallFunction(
    const Function& function, const std::string& path, std::vector<IValue> positional,
    std::vector<std::pair<std::string, IValue>> keyword) {
  const FunctionDef& def = *function.def;
  Frame frame;
  frame.unit = function.unit;
  frame.path = path;
  const Level level(&depth_);
  const Level call(&call_depth_);
  if (call_depth_ > kMaxCalls || depth_ > kMaxLevels) {
    return Error(
        def.at, frame, absl::StatusCode::kResourceExhausted,
        absl::StrFormat("function '%s' calls itself, or calls are nested too deep", def.name));
  }
  if (positional.size() > def.parameters.size()) {
    return Error(def.at, frame, absl::StatusCode::kInvalidArgument,
                 absl::StrFormat("function '%s' takes %d arguments, but is called with %d",
                                 def.name, def.parameters.size(), positional.size()));
  }
  for (size_t i = 0; i < def.parameters.size(); ++i) {
    const Parameter& p = def.parameters[i];
    IValue value;
    if (i < positional.size()) {
      value = std::move(positional[i]);
    } else {
      const auto it = std::find_if(keyword.begin(), keyword.end(),
                                   [&](const auto& k) { return k.first == p.name; });
      if (it != keyword.end()) {
        value = std::move(it->second);
      } else if (p.default_value != nullptr) {
        FLOE_TRY_ASSIGN(value, Eval(*p.default_value, frame));
      } else {
        return Error(
            def.at, frame, absl::StatusCode::kInvalidArgument,
            absl::StrFormat("function '%s' is called without its argument '%s'", def.name, p.name));
      }
    }
    if (p.type != nullptr && value.is_known() && value.kind() == aten::Kind::kInt) {
      FLOE_TRY_ASSIGN(TypePtr type, TypeOf(*p.type));
      if (type->kind == Type::Kind::kFloat) {
        FLOE_TRY_ASSIGN(value, Convert(value, *type, *p.type, frame));
      }
    }
    frame.variables[p.name] = std::move(value);
  }
  Flow flow = Flow::kNext;
  FLOE_TRY(RunBlock(def.body, frame, &flow));
  return flow == Flow::kReturn ? frame.result : IValue();
}

absl::StatusOr<IValue> Interpreter::CallOfObject(const ObjectPtr& self, const std::string& method,
                                                 CallArguments arguments) {
  const auto it = self->cls->methods.find(method);
  if (it == self->cls->methods.end()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("class %s has no method '%s'", self->cls->name, method));
  }
  arguments.positional.insert(arguments.positional.begin(), IValue::Of(self));
  return CallFunction({it->second, self->cls->unit}, self->path, std::move(arguments.positional),
                      std::move(arguments.keyword));
}

absl::StatusOr<IValue> Interpreter::CallMethod(const ObjectPtr& self, const std::string& method,
                                               std::vector<IValue> arguments) {
  return CallOfObject(self, method, {std::move(arguments), {}});
}

absl::Status Interpreter::RunHooks(const ObjectPtr& self, const std::vector<std::string>& hooks,
                                   bool pre, std::vector<IValue>* arguments, IValue* result) {
  for (const std::string& hook : hooks) {
    std::vector<IValue> hook_arguments;
    hook_arguments.push_back(IValue::TupleOf(*arguments));
    if (!pre) hook_arguments.push_back(*result);
    FLOE_TRY_ASSIGN(IValue returned, CallMethod(self, hook, std::move(hook_arguments)));
    if (returned.is_none()) continue;
    if (!pre) {
      *result = std::move(returned);
    } else if (returned.kind() == aten::Kind::kTuple) {
      *arguments = returned.items();
    } else {
      *arguments = {std::move(returned)};
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<IValue> Interpreter::Forward(const ObjectPtr& self, std::vector<IValue> arguments) {
  IValue result;
  FLOE_TRY(RunHooks(self, self->cls->forward_pre_hooks, true, &arguments, &result));
  FLOE_TRY_ASSIGN(result, CallMethod(self, "forward", arguments));
  FLOE_TRY(RunHooks(self, self->cls->forward_hooks, false, &arguments, &result));
  return result;
}

absl::Status Interpreter::RunBlock(const Block& block, Frame& frame, Flow* flow) {
  for (const std::unique_ptr<Stmt>& stmt : block) {
    FLOE_TRY(RunStatement(*stmt, frame, flow));
    if (*flow == Flow::kReturn) break;
  }
  return absl::OkStatus();
}

absl::Status Interpreter::RunStatement(const Stmt& stmt, Frame& frame, Flow* flow) {
  const Level level(&depth_);
  FLOE_TRY(Step(stmt.at, frame));
  switch (stmt.kind) {
    case Stmt::Kind::kAssign:
      return Assign(stmt, frame);
    case Stmt::Kind::kExpr:
      return Eval(*stmt.value, frame).status();
    case Stmt::Kind::kIf:
      return RunIf(stmt, frame, flow);
    case Stmt::Kind::kWhile:
      return RunWhile(stmt, frame, flow);
    case Stmt::Kind::kFor:
      return RunFor(stmt, frame, flow);
    case Stmt::Kind::kWith:
      return RunWith(stmt, frame, flow);
    case Stmt::Kind::kFunction:
      frame.functions[stmt.function->name] = stmt.function.get();
      return absl::OkStatus();
    case Stmt::Kind::kReturn:
      frame.result = IValue();
      if (stmt.value != nullptr) {
        FLOE_TRY_ASSIGN(frame.result, Eval(*stmt.value, frame));
      }
      *flow = Flow::kReturn;
      return absl::OkStatus();
    case Stmt::Kind::kPass:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status Interpreter::Assign(const Stmt& stmt, Frame& frame) {
  if (stmt.value == nullptr) return absl::OkStatus();  // A declaration.
  const Expr& first = *stmt.targets[0];
  target_ = first.kind == Expr::Kind::kName ? first.text : "";
  FLOE_TRY_ASSIGN(IValue value, Eval(*stmt.value, frame));
  target_.clear();
  if (!stmt.unpack) {
    if (stmt.type != nullptr) {
      FLOE_TRY_ASSIGN(TypePtr type, TypeOf(*stmt.type));
      FLOE_TRY_ASSIGN(value, Convert(value, *type, *stmt.type, frame));
    }
    return Store(first, std::move(value), frame);
  }
  if (IsUnknown(value)) {
    for (const ExprPtr& target : stmt.targets) FLOE_TRY(Store(*target, UnknownValue(), frame));
    return absl::OkStatus();
  }
  if (!value.is_sequence() || value.items().size() != stmt.targets.size()) {
    return Error(
        *stmt.value, frame,
        absl::StrFormat("%s is assigned to %d variables", value.Describe(), stmt.targets.size()));
  }
  const std::vector<IValue> items = value.items();
  for (size_t i = 0; i < items.size(); ++i) FLOE_TRY(Store(*stmt.targets[i], items[i], frame));
  return absl::OkStatus();
}

absl::Status Interpreter::Store(const Expr& target, IValue value, Frame& frame) {
  if (target.kind == Expr::Kind::kName) {
    frame.variables[target.text] = std::move(value);
    return absl::OkStatus();
  }
  if (target.kind == Expr::Kind::kAttribute) {
    FLOE_TRY_ASSIGN(IValue base, Eval(*target.parts[0], frame));
    if (IsUnknown(base)) return absl::OkStatus();
    const ObjectPtr object = As<Object>(base);
    if (object == nullptr) {
      return Error(target, frame,
                   absl::StrFormat("%s has no attributes that can be set", base.Describe()));
    }
    if (const auto it = object->cls->attributes.find(target.text);
        it != object->cls->attributes.end()) {
      FLOE_TRY_ASSIGN(value, Convert(value, *it->second, target, frame));
    }
    if (absl::Status nested = CheckNesting(value, object.get()); !nested.ok()) {
      return Error(target.at, frame, nested.code(), std::string(nested.message()));
    }
    object->attributes[target.text] = std::move(value);
    return absl::OkStatus();
  }
  return Error(target, frame, "this can't be assigned to");
}

absl::Status Interpreter::RunWith(const Stmt& stmt, Frame& frame, Flow* flow) {
  FLOE_TRY_ASSIGN(IValue manager, Eval(*stmt.value, frame));
  const ObjectPtr object = As<Object>(manager);
  IValue entered = manager;
  if (object != nullptr && object->cls->methods.contains("__enter__")) {
    FLOE_TRY_ASSIGN(entered, CallMethod(object, "__enter__", {}));
  }
  if (!stmt.targets.empty()) FLOE_TRY(Store(*stmt.targets[0], std::move(entered), frame));
  FLOE_TRY(RunBlock(stmt.body, frame, flow));
  if (object == nullptr || !object->cls->methods.contains("__exit__")) return absl::OkStatus();
  return CallMethod(object, "__exit__", {IValue(), IValue(), IValue()}).status();
}

absl::Status Interpreter::RunFor(const Stmt& stmt, Frame& frame, Flow* flow) {
  const Expr& over = *stmt.value;
  std::vector<IValue> items;
  if (over.kind == Expr::Kind::kCall && over.parts[0]->kind == Expr::Kind::kName &&
      over.parts[0]->text == "range" && over.parts.size() == 2) {
    FLOE_TRY_ASSIGN(IValue count, Eval(*over.parts[1], frame));
    if (IsUnknown(count)) return RunUnknown(stmt, frame);
    if (count.kind() != aten::Kind::kInt) {
      return Error(over, frame, absl::StrFormat("a loop over range of %s", count.Describe()));
    }
    if (!count.is_constant_int()) return RunDataLoop(stmt, count, IValue::Bool(true), frame);
    for (int64_t i = 0; i < count.int_value() && *flow == Flow::kNext; ++i) {
      FLOE_TRY(Step(stmt.at, frame));
      FLOE_TRY(Store(*stmt.targets[0], IValue::Int(i), frame));
      FLOE_TRY(RunBlock(stmt.body, frame, flow));
    }
    return absl::OkStatus();
  }
  FLOE_TRY_ASSIGN(IValue list, Eval(over, frame));
  if (IsUnknown(list)) return RunUnknown(stmt, frame);
  if (!list.is_sequence()) {
    return Error(over, frame, absl::StrFormat("a loop over %s", list.Describe()));
  }
  items = list.items();
  for (const IValue& item : items) {
    FLOE_TRY(Store(*stmt.targets[0], item, frame));
    FLOE_TRY(RunBlock(stmt.body, frame, flow));
    if (*flow == Flow::kReturn) break;
  }
  return absl::OkStatus();
}

absl::Status Interpreter::RunWhile(const Stmt& stmt, Frame& frame, Flow* flow) {
  while (*flow == Flow::kNext) {
    FLOE_TRY(Step(stmt.at, frame));
    FLOE_TRY_ASSIGN(IValue condition, Eval(*stmt.value, frame));
    if (IsUnknown(condition)) return RunUnknown(stmt, frame);
    if (condition.kind() != aten::Kind::kBool) {
      return Error(*stmt.value, frame, "the condition of a loop is no bool");
    }
    // From the first iteration on whose condition depends on data, the loop is a node.
    if (!condition.is_known()) return RunDataLoop(stmt, IValue(), condition, frame);
    if (!condition.bool_value()) break;
    FLOE_TRY(RunBlock(stmt.body, frame, flow));
  }
  return absl::OkStatus();
}

absl::Status Interpreter::RunIf(const Stmt& stmt, Frame& frame, Flow* flow) {
  FLOE_TRY_ASSIGN(IValue condition, Eval(*stmt.value, frame));
  if (IsUnknown(condition)) return RunUnknown(stmt, frame);
  if (condition.kind() != aten::Kind::kBool) {
    return Error(*stmt.value, frame, "the condition of a branch is no bool");
  }
  if (condition.is_known()) {
    return RunBlock(condition.bool_value() ? stmt.body : stmt.orelse, frame, flow);
  }
  return RunDataIf(stmt, condition, frame, flow);
}

}  // namespace floe::torchscript
