// Expressions, and the special forms of the printed code: annotate(), isinstance(), fork(), ...
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/builtins.h"
#include "compiler/import/torchscript/interpreter.h"
#include "compiler/import/torchscript/level.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

constexpr int64_t kMaxListedElements = 4096;  // Of a tensor that becomes a list of numbers.

IValue Name(const std::string& name) { return IValue::Of(std::make_shared<NameRef>(name)); }

bool IsNamespace(const std::string& name) {
  return name == "torch" || name == "ops" || name == "__torch__" || name == "CONSTANTS";
}

// The leftmost name of a chain of attributes; null for other expressions.
const Expr* RootName(const Expr& expr) {
  const Expr* e = &expr;
  while (e->kind == Expr::Kind::kAttribute) e = e->parts[0].get();
  return e->kind == Expr::Kind::kName ? e : nullptr;
}

}  // namespace

absl::StatusOr<IValue> Interpreter::Eval(const Expr& expr, Frame& frame) {
  const Level level(&depth_);
  FLOE_TRY(Step(expr.at, frame));
  switch (expr.kind) {
    case Expr::Kind::kName:
      return EvalName(expr, frame);
    case Expr::Kind::kInt:
      return IValue::Int(expr.integer);
    case Expr::Kind::kFloat:
      return IValue::Float(expr.number);
    case Expr::Kind::kString:
      return IValue::String(expr.text);
    case Expr::Kind::kTrue:
      return IValue::Bool(true);
    case Expr::Kind::kFalse:
      return IValue::Bool(false);
    case Expr::Kind::kNone:
      return IValue();
    case Expr::Kind::kAttribute:
      return EvalAttribute(expr, frame);
    case Expr::Kind::kCall:
      return EvalCall(expr, frame);
    case Expr::Kind::kSubscript:
    case Expr::Kind::kSlice:
      return EvalSubscript(expr, frame);
    case Expr::Kind::kTuple:
    case Expr::Kind::kList:
    case Expr::Kind::kDict:
      return EvalContainer(expr, frame);
    case Expr::Kind::kNegate: {
      FLOE_TRY_ASSIGN(IValue v, Eval(*expr.parts[0], frame));
      return CallOperator("aten::neg", {{std::move(v)}, {}}, expr, frame);
    }
    case Expr::Kind::kImaginary:
      return context_.ComplexNumber(0, expr.number, {});
    case Expr::Kind::kAdd:
    case Expr::Kind::kSub:
      return EvalComplex(expr, frame);
  }
  return IValue();
}

// A complex literal, which is printed as a sum: (1.-2.j).
absl::StatusOr<IValue> Interpreter::EvalComplex(const Expr& expr, Frame& frame) {
  FLOE_TRY_ASSIGN(IValue real, Eval(*expr.parts[0], frame));
  const Expr& imaginary = *expr.parts[1];
  const bool is_number =
      real.is_known() && (real.kind() == aten::Kind::kFloat ||
                          (real.kind() == aten::Kind::kInt && real.dim().is_constant()));
  if (!is_number || imaginary.kind != Expr::Kind::kImaginary) {
    return Error(expr, frame, "a sum that is no complex number");
  }
  const double re = real.kind() == aten::Kind::kFloat ? real.float_value()
                                                      : static_cast<double>(real.int_value());
  const double im = expr.kind == Expr::Kind::kSub ? -imaginary.number : imaginary.number;
  return context_.ComplexNumber(re, im, {});
}

absl::StatusOr<IValue> Interpreter::EvalName(const Expr& expr, Frame& frame) {
  const std::string& name = expr.text;
  if (const auto it = frame.variables.find(name); it != frame.variables.end()) return it->second;
  if (IsNamespace(name)) return Name(name);
  if (name == "inf") return IValue::Float(std::numeric_limits<double>::infinity());
  if (name == "nan") return IValue::Float(std::numeric_limits<double>::quiet_NaN());
  if (name == "infj" || name == "nanj") {
    return IValue::Of(std::make_shared<Unreadable>("complex numbers are not supported"));
  }
  return Error(expr, frame, absl::StrFormat("'%s' has no value here", name));
}

absl::StatusOr<IValue> Interpreter::EvalAttribute(const Expr& expr, Frame& frame) {
  FLOE_TRY_ASSIGN(IValue base, Eval(*expr.parts[0], frame));
  return AttributeOf(base, expr.text, expr, frame);
}

absl::StatusOr<IValue> Interpreter::EnumMemberOf(const ClassInfo& info, const std::string& name) {
  const auto it = info.constants.find(name);
  if (it == info.constants.end()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the enum %s has no member '%s'", info.name, name));
  }
  Frame frame;
  frame.unit = info.unit;
  FLOE_TRY_ASSIGN(IValue value, Eval(*it->second, frame));
  return IValue::Of(std::make_shared<EnumMember>(info.name, name, std::move(value)));
}

absl::StatusOr<IValue> Interpreter::AttributeOf(const IValue& base, const std::string& name,
                                                const Expr& expr, Frame& frame) {
  if (IsUnknown(base)) return UnknownValue();
  if (const ObjectPtr object = As<Object>(base)) {
    if (const auto it = object->attributes.find(name); it != object->attributes.end()) {
      return it->second;
    }
    if (const auto it = object->cls->constants.find(name); it != object->cls->constants.end()) {
      Frame constants;
      constants.unit = object->cls->unit;
      return Eval(*it->second, constants);
    }
    return Error(expr, frame,
                 absl::StrFormat("'%s' of class %s has no attribute '%s'", object->path,
                                 object->cls->name, name));
  }
  if (const auto ref = As<NameRef>(base)) {
    if (ref->name == "CONSTANTS") {
      size_t index = 0;
      if (name.size() < 2 || name[0] != 'c' || !absl::SimpleAtoi(name.substr(1), &index)) {
        return Error(expr, frame, absl::StrFormat("CONSTANTS.%s is no constant", name));
      }
      absl::StatusOr<IValue> constant = heap_.Constant(index);
      if (!constant.ok()) return Error(expr, frame, std::string(constant.status().message()));
      return constant;
    }
    if (absl::StartsWith(ref->name, "__torch__")) {
      FLOE_TRY_ASSIGN(const ClassInfo* info, program_.FindClass(ref->name));
      if (info != nullptr && info->def->base == "Enum") {
        absl::StatusOr<IValue> member = EnumMemberOf(*info, name);
        if (!member.ok()) return Error(expr, frame, std::string(member.status().message()));
        return member;
      }
    }
    return Name(ref->name + "." + name);
  }
  if (const auto member = As<EnumMember>(base)) {
    if (name == "value") return member->value;
    if (name == "name") return IValue::String(member->name);
  }
  return Error(expr, frame, absl::StrFormat("%s has no attribute '%s'", base.Describe(), name));
}

absl::StatusOr<IValue> Interpreter::EvalContainer(const Expr& expr, Frame& frame) {
  std::vector<IValue> items;
  items.reserve(expr.parts.size());
  for (const ExprPtr& part : expr.parts) {
    FLOE_TRY_ASSIGN(IValue item, Eval(*part, frame));
    items.push_back(std::move(item));
  }
  FLOE_TRY(CountElements(items.size()));
  for (const IValue& item : items) {
    if (absl::Status nested = CheckNesting(item, nullptr); !nested.ok()) {
      return Error(expr.at, frame, nested.code(), std::string(nested.message()));
    }
  }
  if (expr.kind == Expr::Kind::kTuple) return IValue::TupleOf(std::move(items));
  if (expr.kind == Expr::Kind::kList) {
    const aten::Kind element = items.empty() ? aten::Kind::kNone : items[0].kind();
    return IValue::ListOf(std::move(items), element);
  }
  IValue dict = IValue::NewDict();
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    FLOE_TRY(SetItem(dict, items[i], items[i + 1]));
  }
  return dict;
}

absl::StatusOr<IValue> Interpreter::EvalSubscript(const Expr& expr, Frame& frame) {
  FLOE_TRY_ASSIGN(IValue base, Eval(*expr.parts[0], frame));
  FLOE_TRY_ASSIGN(IValue index, Eval(*expr.parts[1], frame));
  if (IsUnknown(base) || IsUnknown(index)) return UnknownValue();
  if (expr.kind == Expr::Kind::kSlice) {
    FLOE_TRY_ASSIGN(IValue end, Eval(*expr.parts[2], frame));
    if (!base.is_sequence() || !index.is_constant_int() || !end.is_constant_int()) {
      return Error(expr, frame, absl::StrFormat("%s can't be sliced", base.Describe()));
    }
    const auto n = static_cast<int64_t>(base.items().size());
    const auto clip = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
    const auto begin = base.items().begin();
    const int64_t from = clip(index.int_value());
    const int64_t to = std::max(from, clip(end.int_value()));
    return IValue::TupleOf(std::vector<IValue>(begin + from, begin + to));
  }
  if (const ObjectPtr object = As<Object>(base)) {
    // A ModuleList or ModuleDict by a known key.
    const std::string key = index.is_constant_int() ? std::to_string(index.int_value())
                            : index.kind() == aten::Kind::kString ? index.string()
                                                                  : "";
    return AttributeOf(base, key, expr, frame);
  }
  return CallOperator("aten::__getitem__", {{std::move(base), std::move(index)}, {}}, expr, frame);
}

absl::StatusOr<CallArguments> Interpreter::EvalArguments(const Expr& call, Frame& frame) {
  CallArguments arguments;
  for (size_t i = 1; i < call.parts.size(); ++i) {
    FLOE_TRY_ASSIGN(IValue value, Eval(*call.parts[i], frame));
    const std::string& keyword = call.keywords[i - 1];
    if (keyword.empty()) {
      arguments.positional.push_back(std::move(value));
    } else {
      arguments.keyword.emplace_back(keyword, std::move(value));
    }
  }
  return arguments;
}

absl::StatusOr<IValue> Interpreter::EvalCall(const Expr& expr, Frame& frame) {
  const Expr& callee = *expr.parts[0];
  const Expr* root = RootName(callee);
  const bool is_variable = root != nullptr && frame.variables.contains(root->text);
  if (callee.kind == Expr::Kind::kName && !is_variable) {
    bool handled = true;
    absl::StatusOr<IValue> result = EvalSpecialForm(expr, callee.text, frame, &handled);
    if (handled) return result;
    return Error(expr, frame, absl::StrFormat("there is no function '%s'", callee.text));
  }
  if (root != nullptr && !is_variable && IsNamespace(root->text)) {
    FLOE_TRY_ASSIGN(CallArguments arguments, EvalArguments(expr, frame));
    return CallNamed(DottedName(callee), std::move(arguments), expr, frame);
  }
  if (callee.kind == Expr::Kind::kAttribute) {
    FLOE_TRY_ASSIGN(IValue base, Eval(*callee.parts[0], frame));
    FLOE_TRY_ASSIGN(CallArguments arguments, EvalArguments(expr, frame));
    if (IsUnknown(base)) return UnknownValue();
    const ObjectPtr object = As<Object>(base);
    if (object == nullptr) {
      return Error(expr, frame,
                   absl::StrFormat("%s has no method '%s'", base.Describe(), callee.text));
    }
    absl::StatusOr<IValue> result = CallOfObject(object, callee.text, std::move(arguments));
    if (result.ok() || !object->cls->methods.contains(callee.text)) {
      return result.ok() ? result : Error(expr, frame, std::string(result.status().message()));
    }
    return result;
  }
  FLOE_TRY_ASSIGN(IValue function, Eval(callee, frame));
  FLOE_TRY_ASSIGN(CallArguments arguments, EvalArguments(expr, frame));
  const auto ref = As<NameRef>(function);
  if (ref == nullptr) {
    return Error(expr, frame, absl::StrFormat("%s can't be called", function.Describe()));
  }
  return CallNamed(ref->name, std::move(arguments), expr, frame);
}

absl::StatusOr<IValue> Interpreter::CallNamed(const std::string& name, CallArguments arguments,
                                              const Expr& expr, Frame& frame) {
  if (absl::StartsWith(name, "torch.")) {
    return CallOperator("aten::" + name.substr(6), std::move(arguments), expr, frame);
  }
  if (absl::StartsWith(name, "ops.")) {
    const size_t dot = name.find('.', 4);
    if (dot == std::string::npos) return Error(expr, frame, name + " is no operator");
    return CallOperator(name.substr(4, dot - 4) + "::" + name.substr(dot + 1), std::move(arguments),
                        expr, frame);
  }
  constexpr absl::string_view kNew = ".__new__";
  if (absl::EndsWith(name, kNew)) {
    const std::string cls = name.substr(0, name.size() - kNew.size());
    FLOE_TRY_ASSIGN(ClassInfo * info, program_.FindClass(cls));
    if (info != nullptr) return IValue::Of(std::make_shared<Object>(info, frame.path));
    return Error(expr, frame, absl::StrFormat("the archive has no code of class %s", cls));
  }
  FLOE_TRY_ASSIGN(const ClassInfo* info, program_.FindClass(name));
  if (info != nullptr && info->def->base == "NamedTuple") {
    for (auto& [field, value] : arguments.keyword) {
      arguments.positional.push_back(std::move(value));
    }
    return IValue::TupleOf(std::move(arguments.positional));
  }
  FLOE_TRY_ASSIGN(Function function, program_.FindFunction(name));
  if (function.def == nullptr) {
    return Error(expr, frame, absl::StrFormat("the archive has no function '%s'", name));
  }
  return CallFunction(function, frame.path, std::move(arguments.positional),
                      std::move(arguments.keyword));
}

absl::StatusOr<IValue> Interpreter::EvalSpecialForm(const Expr& expr, const std::string& name,
                                                    Frame& frame, bool* handled) {
  const size_t n = expr.parts.size() - 1;
  if (name == "annotate" && n == 2) return Annotate(expr, frame);
  if (name == "unchecked_cast" && n == 2) return Eval(*expr.parts[2], frame);
  if (name == "uninitialized" && n == 1) {
    FLOE_TRY_ASSIGN(TypePtr type, TypeOf(*expr.parts[1]));
    return IValue::Of(std::make_shared<Uninitialized>(std::move(type)));
  }
  if (name == "isinstance" && n == 2) {
    FLOE_TRY_ASSIGN(IValue value, Eval(*expr.parts[1], frame));
    if (IsUnknown(value)) return UnknownValue();
    const Expr& types = *expr.parts[2];
    bool fits = false;
    const bool several = types.kind == Expr::Kind::kTuple;
    for (size_t i = 0; i < (several ? types.parts.size() : 1); ++i) {
      FLOE_TRY_ASSIGN(TypePtr type, TypeOf(several ? *types.parts[i] : types));
      fits = fits || IsInstance(value, *type);
    }
    return IValue::Bool(fits);
  }
  if (name == "getattr" && n == 2 && expr.parts[2]->kind == Expr::Kind::kString) {
    FLOE_TRY_ASSIGN(IValue base, Eval(*expr.parts[1], frame));
    return AttributeOf(base, expr.parts[2]->text, expr, frame);
  }
  if (name == "fork" && n == 1 && expr.parts[1]->kind == Expr::Kind::kName) {
    // Runs at once: the result of wait() is the same.
    const auto it = frame.functions.find(expr.parts[1]->text);
    if (it == frame.functions.end()) return Error(expr, frame, "fork() of no function");
    Frame inner = frame;
    Flow flow = Flow::kNext;
    const Level call(&call_depth_);
    FLOE_TRY(RunBlock(it->second->body, inner, &flow));
    return inner.result;
  }
  if (name == "print") return IValue();
  struct Operator {
    const char* name;
    const char* op;
  };
  constexpr Operator kOperators[] = {{"int", "aten::Int"},       {"float", "aten::Float"},
                                     {"bool", "aten::Bool"},     {"str", "aten::str"},
                                     {"sorted", "aten::sorted"}, {"complex", "aten::Complex"}};
  for (const Operator& o : kOperators) {
    if (name != o.name) continue;
    FLOE_TRY_ASSIGN(CallArguments arguments, EvalArguments(expr, frame));
    return CallOperator(o.op, std::move(arguments), expr, frame);
  }
  *handled = false;
  return IValue();
}

absl::StatusOr<IValue> Interpreter::Annotate(const Expr& expr, Frame& frame) {
  FLOE_TRY_ASSIGN(TypePtr type, TypeOf(*expr.parts[1]));
  const Expr& value = *expr.parts[2];
  if (value.kind == Expr::Kind::kCall && value.parts.size() == 1 &&
      value.parts[0]->kind == Expr::Kind::kAttribute && value.parts[0]->text == "tolist") {
    return ToList(*value.parts[0]->parts[0], *type, frame);
  }
  FLOE_TRY_ASSIGN(IValue v, Eval(value, frame));
  return Convert(v, *type, expr, frame);
}

// x.tolist(), as the annotated type says.
absl::StatusOr<IValue> Interpreter::ToList(const Expr& expr, const Type& type, Frame& frame) {
  FLOE_TRY_ASSIGN(IValue tensor, Eval(expr, frame));
  if (IsUnknown(tensor)) return UnknownValue();
  if (!tensor.is_tensor()) return Error(expr, frame, "tolist() of no tensor");
  const CallSite site = SiteOf("tolist", expr, frame);
  absl::StatusOr<IValue> list = ListOfTensor(*this, tensor, type, site, kMaxListedElements);
  if (list.ok()) return list;
  if (absl::IsUnimplemented(list.status())) {
    Refuse("prim::tolist", std::string(list.status().message()), site.provenance.source);
    return UnknownValue();
  }
  return Error(expr, frame, std::string(list.status().message()));
}

absl::StatusOr<IValue> Interpreter::Convert(const IValue& value, const Type& type, const Expr& expr,
                                            Frame& frame) {
  if (IsUnknown(value)) return value;
  switch (type.kind) {
    case Type::Kind::kOptional:
      return value.is_none() ? value : Convert(value, *type.parts[0], expr, frame);
    case Type::Kind::kInt:
    case Type::Kind::kFloat:
    case Type::Kind::kBool:
    case Type::Kind::kNumber: {
      const aten::Kind kind = KindOf(type);
      const bool converts = (value.is_tensor() && value.variable() != nullptr) ||
                            (kind == aten::Kind::kFloat && value.kind() == aten::Kind::kInt);
      if (!converts) return value;
      const char* op = type.kind == Type::Kind::kInt     ? "aten::Int"
                       : type.kind == Type::Kind::kFloat ? "aten::Float"
                       : type.kind == Type::Kind::kBool  ? "aten::Bool"
                                                         : "aten::item";
      return CallOperator(op, {{value}, {}}, expr, frame);
    }
    case Type::Kind::kList:
      if (value.kind() == aten::Kind::kList && value.list()->element == aten::Kind::kNone &&
          !type.parts.empty()) {
        value.list()->element = KindOf(*type.parts[0]);
      }
      return value;
    default:
      return value;
  }
}

}  // namespace floe::torchscript
