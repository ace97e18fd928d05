// Strings.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "compiler/import/torchscript/builtins.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::Kind;
using Result = absl::StatusOr<IValue>;

Result NewString(const BuiltinCall& c, std::string s) {
  FLOE_TRY(c.in.CountElements(s.size()));
  return IValue::String(std::move(s));
}

std::string FloatText(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d > 0 ? "inf" : "-inf";
  for (int digits = 1; digits <= 17; ++digits) {
    std::string text = absl::StrFormat("%.*g", digits, d);
    if (std::strtod(text.c_str(), nullptr) != d && digits < 17) continue;
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
  }
  return "";
}

Result Len(const BuiltinCall& c) { return IValue::Int(static_cast<int64_t>(c[0].string().size())); }
Result ToText(const BuiltinCall& c) { return NewString(c, TextOf(c[0])); }
Result Concat(const BuiltinCall& c) { return NewString(c, c[0].string() + c[1].string()); }
Result Repeat(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const int64_t n, ConstantInt(c[1], "the length of a string"));
  std::string text;
  for (int64_t i = 0; i < n; ++i) {
    FLOE_TRY(c.in.CountElements(c[0].string().size() + 1));
    text += c[0].string();
  }
  return IValue::String(std::move(text));
}
Result Char(const BuiltinCall& c) {
  const auto n = static_cast<int64_t>(c[0].string().size());
  FLOE_TRY_ASSIGN(int64_t i, ConstantInt(c[1], "the index of a string"));
  if (i < 0) i += n;
  if (i < 0 || i >= n) return absl::InvalidArgumentError("an index outside of a string");
  return IValue::String(std::string(1, c[0].string()[static_cast<size_t>(i)]));
}
Result Slice(const BuiltinCall& c) {
  const auto n = static_cast<int64_t>(c[0].string().size());
  const auto bound = [&](size_t i, int64_t otherwise) -> absl::StatusOr<int64_t> {
    if (c.size() <= i || c[i].is_none()) return otherwise;
    FLOE_TRY_ASSIGN(const int64_t v, ConstantInt(c[i], "the bound of a slice"));
    return std::clamp<int64_t>(v < 0 ? std::max(v, -n) + n : v, 0, n);
  };
  FLOE_TRY_ASSIGN(const int64_t begin, bound(1, 0));
  FLOE_TRY_ASSIGN(const int64_t end, bound(2, n));
  FLOE_TRY_ASSIGN(const int64_t step,
                  c.size() > 3 ? ConstantInt(c[3], "the step of a slice") : int64_t{1});
  if (step < 1) return absl::UnimplementedError("a slice of a string with a step below 1");
  std::string text;
  for (int64_t i = begin; i < end; i += std::min(step, n)) {
    text += c[0].string()[static_cast<size_t>(i)];
  }
  return NewString(c, std::move(text));
}
Result Contains(const BuiltinCall& c) {
  return IValue::Bool(absl::StrContains(c[0].string(), c[1].string()));
}
Result Less(const BuiltinCall& c) { return IValue::Bool(c[0].string() < c[1].string()); }
Result Greater(const BuiltinCall& c) { return IValue::Bool(c[0].string() > c[1].string()); }
Result StartsWith(const BuiltinCall& c) {
  return IValue::Bool(absl::StartsWith(c[0].string(), c[1].string()));
}
Result EndsWith(const BuiltinCall& c) {
  return IValue::Bool(absl::EndsWith(c[0].string(), c[1].string()));
}
Result Upper(const BuiltinCall& c) { return NewString(c, absl::AsciiStrToUpper(c[0].string())); }
Result Lower(const BuiltinCall& c) { return NewString(c, absl::AsciiStrToLower(c[0].string())); }
Result Find(const BuiltinCall& c) {
  const size_t at = c[0].string().find(c[1].string());
  return IValue::Int(at == std::string::npos ? -1 : static_cast<int64_t>(at));
}
Result Replace(const BuiltinCall& c) {
  if (c[1].string().empty()) return absl::UnimplementedError("replace() of an empty string");
  return NewString(c, absl::StrReplaceAll(c[0].string(), {{c[1].string(), c[2].string()}}));
}
Result Strip(const BuiltinCall& c) {
  const std::string chars = c.size() > 1 ? c[1].string() : " \t\n\r\f\v";
  const std::string& text = c[0].string();
  const size_t begin = text.find_first_not_of(chars);
  if (begin == std::string::npos) return IValue::String("");
  return NewString(c, text.substr(begin, text.find_last_not_of(chars) - begin + 1));
}
Result Split(const BuiltinCall& c) {
  std::vector<IValue> parts;
  if (c.size() > 1 && !c[1].is_none()) {
    if (c[1].string().empty()) return absl::InvalidArgumentError("split() by an empty string");
    for (const std::string& part :
         std::vector<std::string>(absl::StrSplit(c[0].string(), c[1].string()))) {
      parts.push_back(IValue::String(part));
    }
  } else {
    for (const std::string& part : std::vector<std::string>(
             absl::StrSplit(c[0].string(), absl::ByAnyChar(" \t\n\r\f\v"), absl::SkipEmpty()))) {
      parts.push_back(IValue::String(part));
    }
  }
  FLOE_TRY(c.in.CountElements(parts.size() + c[0].string().size()));
  return IValue::ListOf(std::move(parts), Kind::kString);
}
Result Join(const BuiltinCall& c) {
  std::string text;
  for (size_t i = 0; i < c[1].items().size(); ++i) {
    if (c[1].items()[i].kind() != Kind::kString) {
      return absl::InvalidArgumentError("join() of what is no list of strings");
    }
    if (i > 0) text += c[0].string();
    text += c[1].items()[i].string();
    FLOE_TRY(c.in.CountElements(c[0].string().size() + c[1].items()[i].string().size()));
  }
  return IValue::String(std::move(text));
}
// "{} of {}".format(...)
Result Format(const BuiltinCall& c) {
  const std::string& pattern = c[0].string();
  std::string text;
  size_t next = 1;
  for (size_t at = 0; at < pattern.size();) {
    if (pattern.compare(at, 2, "{}") != 0) {
      text += pattern[at++];
      continue;
    }
    if (next >= c.size()) return absl::InvalidArgumentError("format() has too few arguments");
    text += TextOf(c[next++]);
    at += 2;
  }
  return NewString(c, std::move(text));
}
// "%d of %s" % (...)
Result PercentFormat(const BuiltinCall& c) {
  const std::string& pattern = c[0].string();
  std::vector<IValue> values(c.args.begin() + 1, c.args.end());
  if (values.size() == 1 && values[0].kind() == Kind::kTuple) values = values[0].items();
  std::string text;
  size_t next = 0;
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] != '%' || at + 1 >= pattern.size()) {
      text += pattern[at];
    } else if (pattern[++at] == '%') {
      text += '%';
    } else if (next < values.size()) {
      text += TextOf(values[next++]);
    }
  }
  return NewString(c, std::move(text));
}
Result Ord(const BuiltinCall& c) {
  if (c[0].string().size() != 1) return absl::InvalidArgumentError("ord() of no single character");
  return IValue::Int(static_cast<unsigned char>(c[0].string()[0]));
}
Result Chr(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const int64_t code, ConstantInt(c[0], "a character's code"));
  if (code < 0 || code > 127) return absl::UnimplementedError("chr() beyond ASCII");
  return IValue::String(std::string(1, static_cast<char>(code)));
}
Result NewDevice(const BuiltinCall& c) { return IValue::Device(c[0].string()); }
Result ListOfString(const BuiltinCall& c) {
  std::vector<IValue> chars;
  FLOE_TRY(c.in.CountElements(c[0].string().size()));
  for (const char ch : c[0].string()) chars.push_back(IValue::String(std::string(1, ch)));
  return IValue::ListOf(std::move(chars), Kind::kString);
}

}  // namespace

std::string TextOf(const IValue& value, int depth) {
  constexpr int kMaxDepth = 8;
  constexpr size_t kMaxShown = 64;
  switch (value.kind()) {
    case Kind::kString:
    case Kind::kDevice:
      return value.string();
    case Kind::kNone:
      return "None";
    case Kind::kInt:
      return value.is_constant_int() ? std::to_string(value.int_value()) : "?";
    case Kind::kFloat:
      return value.is_known() ? FloatText(value.float_value()) : "?";
    case Kind::kBool:
      return value.is_known() ? (value.bool_value() ? "True" : "False") : "?";
    case Kind::kList:
    case Kind::kTuple: {
      if (depth > kMaxDepth) return "...";
      std::vector<std::string> parts;
      for (const IValue& item : value.items()) {
        if (parts.size() == kMaxShown) {
          parts.push_back("...");
          break;
        }
        parts.push_back(TextOf(item, depth + 1));
      }
      const bool list = value.kind() == Kind::kList;
      return (list ? "[" : "(") + absl::StrJoin(parts, ", ") + (list ? "]" : ")");
    }
    default:
      return value.Describe();
  }
}

std::vector<BuiltinRow> StringBuiltins() {
  return {
      {"aten::len", "s", Len},
      {"aten::str", "a", ToText},
      {"aten::add", "ss", Concat},
      {"aten::mul", "si", Repeat},
      {"aten::__getitem__", "si", Char},
      {"aten::slice", "s?aaa", Slice},
      {"aten::__contains__", "ss", Contains},
      {"aten::lt", "ss", Less},
      {"aten::gt", "ss", Greater},
      {"aten::startswith", "ss", StartsWith},
      {"aten::endswith", "ss", EndsWith},
      {"aten::upper", "s", Upper},
      {"aten::lower", "s", Lower},
      {"aten::find", "ss?aa", Find},
      {"aten::replace", "sss?i", Replace},
      {"aten::strip", "s?s", Strip},
      {"aten::split", "s?ai", Split},
      {"aten::join", "sl", Join},
      {"aten::format", "s*", Format},
      {"aten::percentFormat", "s*", PercentFormat},
      {"aten::ord", "s", Ord},
      {"aten::chr", "i", Chr},
      {"aten::list", "s", ListOfString},
      {"aten::device", "s", NewDevice},
      {"prim::device", "s", NewDevice},
  };
}

}  // namespace floe::torchscript
