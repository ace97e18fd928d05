#include "compiler/import/torchscript/builtins.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::Kind;
using Table = std::multimap<std::string, BuiltinRow>;

const Table& Rows() {
  static const Table& table = *[] {
    auto* t = new Table();
    for (auto family : {NumberBuiltins, ContainerBuiltins, StringBuiltins, TensorBuiltins}) {
      // Rows of one name keep their order.
      for (const BuiltinRow& row : family()) t->emplace(row.name, row);
    }
    return t;
  }();
  return table;
}

bool FitsLetter(const IValue& v, char letter) {
  switch (letter) {
    case 'i':
      return v.kind() == Kind::kInt;
    case 'f':
      return v.kind() == Kind::kFloat;
    case 'b':
      return v.kind() == Kind::kBool;
    case 'n':
      return v.is_number();
    case 's':
      return v.kind() == Kind::kString;
    case 'l':
      return v.kind() == Kind::kList;
    case 't':
      return v.kind() == Kind::kTuple;
    case 'd':
      return v.kind() == Kind::kDict;
    case 'T':
      return v.is_tensor();
    case 'v':
      return v.kind() == Kind::kDevice;
    case '0':
      return v.is_none();
    case 'o':
      return !v.is_tensor();
    default:
      return true;
  }
}

bool Fits(const char* kinds, const std::vector<IValue>& arguments) {
  size_t i = 0;
  bool optional = false;
  for (; *kinds != '\0'; ++kinds) {
    if (*kinds == '*') return true;
    if (*kinds == '?') {
      optional = true;
      continue;
    }
    if (i == arguments.size()) return optional;
    if (!FitsLetter(arguments[i++], *kinds)) return false;
  }
  return i == arguments.size();
}

}  // namespace

const BuiltinRow* FindBuiltin(const std::string& name, const std::vector<IValue>& arguments) {
  const auto [begin, end] = Rows().equal_range(name);
  for (auto it = begin; it != end; ++it) {
    if (Fits(it->second.kinds, arguments)) return &it->second;
  }
  return nullptr;
}

bool HasBuiltin(const std::string& name) { return Rows().contains(name); }

absl::StatusOr<bool> Equal(const IValue& a, const IValue& b, int depth) {
  constexpr int kMaxDepth = 32;
  if (depth > kMaxDepth) return absl::ResourceExhaustedError("containers are nested too deep");
  if (a.is_number() && b.is_number()) {
    if (!a.is_known() || !b.is_known()) {
      return absl::UnimplementedError("containers of numbers that depend on data are compared");
    }
    if (a.kind() == Kind::kInt && b.kind() == Kind::kInt) {
      if (a.dim() == b.dim()) return true;
      if (a.is_constant_int() && b.is_constant_int()) return false;
      return absl::UnimplementedError("sizes that are not known are compared within containers");
    }
    const auto number = [](const IValue& v) {
      if (v.kind() == Kind::kInt) return static_cast<double>(v.int_value());
      return v.kind() == Kind::kBool ? static_cast<double>(v.bool_value()) : v.float_value();
    };
    if ((a.kind() == Kind::kInt && !a.is_constant_int()) ||
        (b.kind() == Kind::kInt && !b.is_constant_int())) {
      return absl::UnimplementedError("sizes that are not known are compared within containers");
    }
    return number(a) == number(b);
  }
  if (a.is_sequence() && b.is_sequence()) {
    if (a.items().size() != b.items().size()) return false;
    for (size_t i = 0; i < a.items().size(); ++i) {
      FLOE_TRY_ASSIGN(const bool same, Equal(a.items()[i], b.items()[i], depth + 1));
      if (!same) return false;
    }
    return true;
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kNone:
      return true;
    case Kind::kString:
    case Kind::kDevice:
      return a.string() == b.string();
    case Kind::kTensor:
      return absl::UnimplementedError("tensors within containers are compared");
    case Kind::kForeign: {
      const auto x = As<EnumMember>(a);
      const auto y = As<EnumMember>(b);
      if (x == nullptr || y == nullptr) return a.foreign() == b.foreign();
      if (x->cls != y->cls) return false;
      return Equal(x->value, y->value, depth + 1);
    }
    default:
      return absl::UnimplementedError("dicts are compared");
  }
}

absl::StatusOr<int64_t> ConstantInt(const IValue& v, const char* what) {
  if (v.kind() == Kind::kBool && v.is_known()) return v.bool_value();
  if (v.is_constant_int()) return v.int_value();
  return absl::UnimplementedError(
      absl::StrFormat("%s must be known when the model is compiled; it is %s", what, v.Describe()));
}

}  // namespace floe::torchscript
