#include "compiler/import/torchscript/types.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "compiler/import/aten/variable.h"
#include "compiler/import/torchscript/objects.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using Kind = Type::Kind;

struct NamedType {
  const char* name;
  Kind kind;
};
constexpr NamedType kPlain[] = {
    {"Tensor", Kind::kTensor}, {"int", Kind::kInt},         {"float", Kind::kFloat},
    {"bool", Kind::kBool},     {"complex", Kind::kComplex}, {"number", Kind::kNumber},
    {"Scalar", Kind::kNumber}, {"str", Kind::kString},      {"Device", Kind::kDevice},
    {"NoneType", Kind::kNone}, {"None", Kind::kNone},       {"Layout", Kind::kInt},
    {"list", Kind::kList},     {"dict", Kind::kDict},       {"tuple", Kind::kTuple},
};
constexpr NamedType kGeneric[] = {
    {"List", Kind::kList},         {"Tuple", Kind::kTuple}, {"Dict", Kind::kDict},
    {"Optional", Kind::kOptional}, {"Union", Kind::kUnion}, {"list", Kind::kList},
    {"dict", Kind::kDict},         {"tuple", Kind::kTuple},
};

const char* NameOf(Kind kind) {
  switch (kind) {
    case Kind::kAny:
      return "Any";
    case Kind::kList:
      return "List";
    case Kind::kTuple:
      return "Tuple";
    case Kind::kDict:
      return "Dict";
    case Kind::kOptional:
      return "Optional";
    case Kind::kUnion:
      return "Union";
    case Kind::kNone:
      return "NoneType";
    default:
      break;
  }
  for (const NamedType& t : kPlain) {
    if (t.kind == kind) return t.name;
  }
  return "?";
}

std::shared_ptr<Type> New(Kind kind) {
  auto t = std::make_shared<Type>();
  t->kind = kind;
  return t;
}

absl::StatusOr<TypePtr> GenericOf(const Expr& expr) {
  const std::string base = DottedName(*expr.parts[0]);
  auto type = New(Kind::kAny);
  for (const NamedType& t : kGeneric) {
    if (base == t.name) type->kind = t.kind;
  }
  for (size_t i = 1; i < expr.parts.size(); ++i) {
    const Expr& part = *expr.parts[i];
    // Tuple[()] has no elements.
    if (part.kind == Expr::Kind::kTuple && part.parts.empty()) continue;
    FLOE_TRY_ASSIGN(TypePtr p, TypeOf(part));
    type->parts.push_back(std::move(p));
  }
  const size_t n = type->parts.size();
  // Final[T] is T; Future[T] and the like are the values that they will have.
  if (type->kind == Kind::kAny) return n == 1 ? type->parts[0] : TypePtr(New(Kind::kAny));
  if ((type->kind == Kind::kList || type->kind == Kind::kOptional)
          ? n != 1
          : type->kind == Kind::kDict && n != 2) {
    return absl::InvalidArgumentError(absl::StrFormat("the type %s has %d parameters", base, n));
  }
  return TypePtr(std::move(type));
}

}  // namespace

std::string Type::ToString() const {
  if (kind == Kind::kClass) return name;
  std::string text = NameOf(kind);
  if (parts.empty()) return text;
  return text + "[" +
         absl::StrJoin(parts, ", ",
                       [](std::string* out, const TypePtr& p) { *out += p->ToString(); }) +
         "]";
}

std::string DottedName(const Expr& expr) {
  if (expr.kind == Expr::Kind::kName) return expr.text;
  if (expr.kind != Expr::Kind::kAttribute) return "";
  const std::string base = DottedName(*expr.parts[0]);
  return base.empty() ? "" : base + "." + expr.text;
}

absl::StatusOr<TypePtr> TypeOf(const Expr& expr) {
  if (expr.kind == Expr::Kind::kNone) return TypePtr(New(Kind::kNone));
  if (expr.kind == Expr::Kind::kSubscript) return GenericOf(expr);
  const std::string name = DottedName(expr);
  if (name.empty()) return absl::InvalidArgumentError("this is no type");
  for (const NamedType& t : kPlain) {
    if (name == t.name) return TypePtr(New(t.kind));
  }
  if (name.rfind("__torch__.", 0) != 0) return TypePtr(New(Kind::kAny));
  auto type = New(Kind::kClass);
  type->name = name;
  return TypePtr(std::move(type));
}

bool IsInstance(const aten::IValue& value, const Type& type) {
  const auto fits = [](const aten::IValue& v, const TypePtr& t) { return IsInstance(v, *t); };
  switch (type.kind) {
    case Kind::kAny:
      return true;
    case Kind::kNone:
      return value.is_none();
    case Kind::kTensor:
      return value.is_tensor() || As<QuantizedTensor>(value) != nullptr;
    case Kind::kInt:
      return value.kind() == aten::Kind::kInt;
    case Kind::kFloat:
      return value.kind() == aten::Kind::kFloat;
    case Kind::kBool:
      return value.kind() == aten::Kind::kBool;
    case Kind::kComplex:
      return value.is_tensor() && value.variable()->form == aten::Form::kComplex;
    case Kind::kNumber:
      return value.is_number();
    case Kind::kString:
      return value.kind() == aten::Kind::kString;
    case Kind::kDevice:
      return value.kind() == aten::Kind::kDevice;
    case Kind::kList:
      return value.kind() == aten::Kind::kList &&
             (type.parts.empty() ||
              std::all_of(value.items().begin(), value.items().end(),
                          [&](const aten::IValue& v) { return fits(v, type.parts[0]); }));
    case Kind::kTuple: {
      if (value.kind() != aten::Kind::kTuple) return false;
      if (type.parts.empty()) return true;
      if (value.items().size() != type.parts.size()) return false;
      for (size_t i = 0; i < type.parts.size(); ++i) {
        if (!fits(value.items()[i], type.parts[i])) return false;
      }
      return true;
    }
    case Kind::kDict:
      return value.kind() == aten::Kind::kDict &&
             (type.parts.empty() || std::all_of(value.dict()->items.begin(),
                                                value.dict()->items.end(), [&](const auto& kv) {
                                                  return fits(kv.first, type.parts[0]) &&
                                                         fits(kv.second, type.parts[1]);
                                                }));
    case Kind::kOptional:
      return value.is_none() || fits(value, type.parts[0]);
    case Kind::kUnion:
      return std::any_of(type.parts.begin(), type.parts.end(),
                         [&](const TypePtr& t) { return fits(value, t); });
    case Kind::kClass: {
      if (value.kind() == aten::Kind::kTuple) return true;  // A named tuple, checked when made.
      if (const auto member = As<EnumMember>(value)) return member->cls == type.name;
      return value.kind() == aten::Kind::kForeign && value.foreign()->TypeName() == type.name;
    }
  }
  return false;
}

aten::Kind KindOf(const Type& type) {
  switch (type.kind) {
    case Kind::kTensor:
      return aten::Kind::kTensor;
    case Kind::kInt:
      return aten::Kind::kInt;
    case Kind::kFloat:
      return aten::Kind::kFloat;
    case Kind::kBool:
      return aten::Kind::kBool;
    case Kind::kString:
      return aten::Kind::kString;
    case Kind::kDevice:
      return aten::Kind::kDevice;
    case Kind::kList:
      return aten::Kind::kList;
    case Kind::kTuple:
      return aten::Kind::kTuple;
    case Kind::kDict:
      return aten::Kind::kDict;
    case Kind::kClass:
      return aten::Kind::kForeign;
    case Kind::kOptional:
      return KindOf(*type.parts[0]);
    default:
      return aten::Kind::kNone;
  }
}

bool HasUnknown(const aten::IValue& value, int depth) {
  constexpr int kMaxDepth = 32;
  if (depth > kMaxDepth) return false;
  if (value.is_sequence()) {
    return std::any_of(value.items().begin(), value.items().end(),
                       [&](const aten::IValue& v) { return HasUnknown(v, depth + 1); });
  }
  if (value.kind() == aten::Kind::kDict) {
    return std::any_of(value.dict()->items.begin(), value.dict()->items.end(),
                       [&](const auto& kv) { return HasUnknown(kv.second, depth + 1); });
  }
  return IsUnknown(value);
}

}  // namespace floe::torchscript
