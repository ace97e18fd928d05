#include "compiler/import/aten/schema.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "compiler/import/aten/schemas_text.h"

namespace floe::aten {
namespace {

// Recursive descent over one line: aten::add.Tensor(Tensor self, *, Scalar alpha=1) -> Tensor
class Parser {
 public:
  explicit Parser(const std::string& line) : text_(line) {}

  absl::StatusOr<Schema> Parse() {
    Schema schema;
    const size_t open = text_.find('(');
    if (open == std::string::npos) return Error("no '('");
    const std::string full = text_.substr(0, open);
    const size_t dot = full.find('.', full.find("::"));
    schema.name = full.substr(0, dot);
    if (dot != std::string::npos) schema.overload = full.substr(dot + 1);
    at_ = open + 1;
    bool keyword_only = false;
    while (!Take(")")) {
      if (Take("...")) continue;  // Variadic: checked by nobody.
      if (Take("*")) {
        keyword_only = true;
      } else {
        absl::StatusOr<Argument> argument = ParseArgument();
        if (!argument.ok()) return argument.status();
        argument->keyword_only = keyword_only;
        schema.arguments.push_back(*std::move(argument));
      }
      Take(",");
      if (at_ >= text_.size()) return Error("no ')'");
    }
    if (!Take("->")) return Error("no '->'");
    ParseResults(&schema);
    return schema;
  }

 private:
  absl::Status Error(const char* what) const {
    return absl::InvalidArgumentError(absl::StrFormat("schema '%s': %s", text_, what));
  }

  void SkipSpace() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  bool Take(const char* token) {
    SkipSpace();
    const size_t n = std::char_traits<char>::length(token);
    if (text_.compare(at_, n, token) != 0) return false;
    at_ += n;
    return true;
  }

  std::string Word() {
    SkipSpace();
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (absl::ascii_isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  // (a), (a!), (a -> *), ((a)): alias annotations. True if the op writes.
  bool SkipAlias() {
    if (at_ >= text_.size() || text_[at_] != '(') return false;
    int depth = 0;
    bool writes = false;
    for (; at_ < text_.size(); ++at_) {
      depth += text_[at_] == '(' ? 1 : text_[at_] == ')' ? -1 : 0;
      writes = writes || text_[at_] == '!';
      if (depth == 0) break;
    }
    ++at_;
    return writes;
  }

  bool ParseType(Type* type) {
    const std::string word = Word();
    static const std::map<std::string, BaseType>& kBases = *new std::map<std::string, BaseType>{
        {"Tensor", BaseType::kTensor},  {"int", BaseType::kInt},
        {"SymInt", BaseType::kInt},     {"ScalarType", BaseType::kInt},
        {"Layout", BaseType::kInt},     {"MemoryFormat", BaseType::kInt},
        {"float", BaseType::kFloat},    {"bool", BaseType::kBool},
        {"str", BaseType::kString},     {"Scalar", BaseType::kNumber},
        {"number", BaseType::kNumber},  {"Device", BaseType::kDevice},
        {"t", BaseType::kAny},          {"Any", BaseType::kAny},
        {"AnyEnumType", BaseType::kAny}};
    const auto it = kBases.find(word);
    type->base = it == kBases.end() ? BaseType::kOther : it->second;
    bool writes = SkipAlias();
    while (at_ < text_.size() && (text_[at_] == '?' || text_[at_] == '[' || text_[at_] == '(')) {
      if (text_[at_] == '(') {
        writes = SkipAlias() || writes;
      } else if (text_[at_] == '?') {
        ++at_;
        type->optional = true;
      } else {
        const size_t close = text_.find(']', at_);
        if (close == std::string::npos) break;
        const std::string size = text_.substr(at_ + 1, close - at_ - 1);
        if (!size.empty()) (void)absl::SimpleAtoi(size, &type->list_size);
        type->is_list = true;
        type->optional_element = type->optional;
        type->optional = false;
        at_ = close + 1;
      }
    }
    return writes;
  }

  // Dict(str, t), Future(t), (int, int)[]: containers that no op of the table takes.
  bool IsStructured() const {
    for (const char* prefix : {"Dict(", "Future(", "RRef(", "Await(", "("}) {
      if (text_.compare(at_, std::char_traits<char>::length(prefix), prefix) == 0) return true;
    }
    return false;
  }
  void SkipStructured() {
    int depth = 0;
    for (; at_ < text_.size() && (depth > 0 || text_[at_] != ' '); ++at_) {
      depth += text_[at_] == '(' ? 1 : text_[at_] == ')' ? -1 : 0;
    }
  }

  absl::StatusOr<Argument> ParseArgument() {
    Argument argument;
    SkipSpace();
    if (IsStructured()) {
      SkipStructured();
    } else {
      argument.written = ParseType(&argument.type);
    }
    argument.name = Word();
    if (argument.name.empty()) return Error("an argument without a name");
    if (Take("=")) {
      argument.has_default = true;
      absl::StatusOr<IValue> value = ParseDefault(argument.type);
      if (!value.ok()) return value.status();
      argument.default_value = *std::move(value);
    }
    return argument;
  }

  absl::StatusOr<IValue> ParseDefault(const Type& type) {
    SkipSpace();
    if (Take("[")) {
      std::vector<IValue> items;
      Type element = type;
      element.is_list = false;
      while (!Take("]")) {
        absl::StatusOr<IValue> item = ParseDefault(element);
        if (!item.ok()) return item.status();
        items.push_back(*std::move(item));
        Take(",");
        if (at_ >= text_.size()) return Error("an unclosed default");
      }
      return IValue::ListOf(std::move(items));
    }
    if (Take("\"")) {
      const size_t end = text_.find('"', at_);
      if (end == std::string::npos) return Error("an unclosed string");
      std::string s = text_.substr(at_, end - at_);
      at_ = end + 1;
      return IValue::String(std::move(s));
    }
    const size_t end = std::min(text_.find_first_of(",)]", at_), text_.size());
    const std::string word = text_.substr(at_, end - at_);
    at_ = end;
    if (word == "None") return IValue();
    if (word == "True" || word == "False") return IValue::Bool(word == "True");
    int64_t i = 0;
    double d = 0;
    if (type.base != BaseType::kFloat && absl::SimpleAtoi(word, &i)) return IValue::Int(i);
    if (absl::SimpleAtod(word, &d)) return IValue::Float(d);
    return Error("a default of an unknown form");
  }

  void ParseResults(Schema* schema) {
    SkipSpace();
    const std::string rest = text_.substr(at_);
    if (rest == "()" || rest.empty()) return;
    schema->results = 1;
    if (rest.front() != '(') {
      schema->result_is_list = rest.find("[]") != std::string::npos;
      return;
    }
    int depth = 0;
    for (const char c : rest) {
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
      if (c == ',' && depth == 1) ++schema->results;
    }
  }

  const std::string& text_;
  size_t at_ = 0;
};

using Table = std::map<std::string, std::vector<Schema>>;

Table Load() {
  Table table;
  const std::string text = kSchemasText;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) {
      // The text is part of the program and covered by a test: what fails to parse is absent.
      absl::StatusOr<Schema> schema = ParseSchema(text.substr(begin, end - begin));
      if (schema.ok()) table[schema->name].push_back(*std::move(schema));
    }
    begin = end + 1;
  }
  return table;
}

const Table& Schemas() {
  static const Table& table = *new Table(Load());
  return table;
}

// --- matching ------------------------------------------------------------------------------------

// Whether a value can stand for one element of the type. The conversions that TorchScript makes
// silently: numbers for Scalar; with `convert`, numbers as tensors and between int and float.
bool FitsElement(const IValue& v, BaseType base, bool convert) {
  switch (base) {
    case BaseType::kTensor:
      return v.is_tensor() || (convert && v.is_number());
    case BaseType::kInt:
      return v.kind() == Kind::kInt || (convert && v.is_tensor());
    case BaseType::kFloat:
      return v.kind() == Kind::kFloat || (convert && (v.kind() == Kind::kInt || v.is_tensor()));
    case BaseType::kBool:
      return v.kind() == Kind::kBool;
    case BaseType::kString:
      return v.kind() == Kind::kString;
    case BaseType::kNumber:
      return v.is_number() || (convert && v.is_tensor());
    case BaseType::kDevice:
      return v.kind() == Kind::kDevice || (convert && v.kind() == Kind::kString);
    case BaseType::kAny:
      return true;
    case BaseType::kOther:
      return false;
  }
  return false;
}

bool Fits(const IValue& v, const Type& type, bool convert) {
  if (v.is_none() && (type.optional || type.base == BaseType::kAny)) return true;
  if (!type.is_list) {
    return !(v.is_none() && type.base != BaseType::kAny) && FitsElement(v, type.base, convert);
  }
  if (!v.is_sequence()) {
    return type.list_size > 0 && v.is_number() && FitsElement(v, type.base, convert);
  }
  if (v.kind() == Kind::kTuple && !convert) return false;
  if (v.items().empty() && v.list()->element != Kind::kNone) {
    const Kind k = v.list()->element;
    if (type.base == BaseType::kTensor) return k == Kind::kTensor;
    if (type.base == BaseType::kInt) return k == Kind::kInt;
    if (type.base == BaseType::kFloat) return k == Kind::kFloat;
    if (type.base == BaseType::kBool) return k == Kind::kBool;
    if (type.base == BaseType::kString) return k == Kind::kString;
  }
  return std::all_of(v.items().begin(), v.items().end(), [&](const IValue& item) {
    return (item.is_none() && type.optional_element) || FitsElement(item, type.base, convert);
  });
}

bool Matches(const Schema& schema, const CallArguments& call, bool convert) {
  size_t i = 0;
  size_t used = 0;
  for (const Argument& argument : schema.arguments) {
    const IValue* given = nullptr;
    if (!argument.keyword_only && i < call.positional.size()) {
      given = &call.positional[i++];
    } else {
      for (const auto& [name, value] : call.keyword) {
        if (name == argument.name) given = &value;
      }
      if (given != nullptr) ++used;
    }
    if (given == nullptr ? !argument.has_default : !Fits(*given, argument.type, convert)) {
      return false;
    }
  }
  return i == call.positional.size() && used == call.keyword.size();
}

std::string DescribeCall(const CallArguments& call) {
  std::vector<std::string> parts;
  for (const IValue& v : call.positional) parts.push_back(v.Describe());
  for (const auto& [name, v] : call.keyword) parts.push_back(name + "=" + v.Describe());
  return absl::StrJoin(parts, ", ");
}

}  // namespace

const Argument* Schema::Find(const std::string& argument) const {
  for (const Argument& a : arguments) {
    if (a.name == argument) return &a;
  }
  return nullptr;
}

absl::StatusOr<Schema> ParseSchema(const std::string& line) { return Parser(line).Parse(); }

const std::vector<Schema>& FindSchemas(const std::string& name) {
  static const auto& kNothing = *new std::vector<Schema>();
  const auto it = Schemas().find(name);
  return it == Schemas().end() ? kNothing : it->second;
}

const Schema* FindSchema(const std::string& full_name) {
  const size_t space = full_name.find("::");
  const size_t dot = space == std::string::npos ? std::string::npos : full_name.find('.', space);
  std::string overload = dot == std::string::npos ? "" : full_name.substr(dot + 1);
  if (overload == "default") overload.clear();
  for (const Schema& schema : FindSchemas(full_name.substr(0, dot))) {
    if (schema.overload == overload) return &schema;
  }
  return nullptr;
}

absl::StatusOr<const Schema*> ResolveOverload(const std::string& name, const CallArguments& call) {
  const std::vector<Schema>& overloads = FindSchemas(name);
  if (overloads.empty()) {
    return absl::UnimplementedError(absl::StrFormat("'%s' is no op that Floe knows", name));
  }
  for (const bool convert : {false, true}) {
    for (const Schema& schema : overloads) {
      if (Matches(schema, call, convert)) return &schema;
    }
  }
  std::vector<std::string> names;
  for (const Schema& schema : overloads) names.push_back(schema.FullName());
  return absl::InvalidArgumentError(absl::StrFormat("no overload of '%s' takes (%s); there are %s",
                                                    name, DescribeCall(call),
                                                    absl::StrJoin(names, ", ")));
}

absl::StatusOr<std::vector<IValue>> BindArguments(const Schema& schema, const CallArguments& call) {
  std::vector<IValue> values(schema.arguments.size());
  std::vector<bool> given(schema.arguments.size());
  if (call.positional.size() > schema.arguments.size()) {
    return absl::InvalidArgumentError(absl::StrFormat("%s takes %d arguments, not %d",
                                                      schema.FullName(), schema.arguments.size(),
                                                      call.positional.size()));
  }
  for (size_t i = 0; i < call.positional.size(); ++i) {
    values[i] = call.positional[i];
    given[i] = true;
  }
  for (const auto& [name, value] : call.keyword) {
    const Argument* argument = schema.Find(name);
    if (argument == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s has no argument '%s'", schema.FullName(), name));
    }
    const auto i = static_cast<size_t>(argument - schema.arguments.data());
    if (given[i]) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: argument '%s' is given twice", schema.FullName(), name));
    }
    values[i] = value;
    given[i] = true;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const Argument& argument = schema.arguments[i];
    if (!given[i]) {
      if (!argument.has_default) {
        return absl::InvalidArgumentError(
            absl::StrFormat("%s: argument '%s' is missing", schema.FullName(), argument.name));
      }
      values[i] = argument.default_value;
    }
    if (!Fits(values[i], argument.type, true) && !(argument.has_default && !given[i])) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s: argument '%s' can't be %s", schema.FullName(), argument.name, values[i].Describe()));
    }
    if (argument.type.is_list && argument.type.list_size > 0 && values[i].is_number()) {
      values[i] = IValue::ListOf(
          std::vector<IValue>(static_cast<size_t>(argument.type.list_size), values[i]));
    }
  }
  return values;
}

}  // namespace floe::aten
