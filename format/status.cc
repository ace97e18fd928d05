#include "format/status.h"

#include <cstddef>
#include <cstring>

namespace floe {
namespace {

// Name and text of every rule, one after the other: no pointers, so nothing to relocate, and half
// the size of a table of them. Looked up when an error is printed.
constexpr uint16_t kRules[] = {
#define FLOE_RULE(id, name, text) id,
#include "format/rules.def"
#undef FLOE_RULE
};
constexpr char kRuleStrings[] =
#define FLOE_RULE(id, name, text) #name "\0" text "\0"
#include "format/rules.def"
#undef FLOE_RULE
    ;
constexpr char kCodeStrings[] =
    "OK\0INVALID_ARGUMENT\0INVALID_FILE\0UNSUPPORTED\0RESOURCE_EXHAUSTED\0NOT_FOUND\0"
    "FAILED_PRECONDITION\0CANCELLED\0DEADLINE_EXCEEDED\0IO\0OUT_OF_RANGE\0INTERNAL\0";
constexpr size_t kCodes = static_cast<size_t>(Code::kInternal) + 1;

const char* StringAt(const char* strings, size_t index) {
  while (index-- != 0) strings += std::strlen(strings) + 1;
  return strings;
}

// The string at `offset` among a rule's two; null for an unknown rule.
const char* FindRuleString(Rule rule, size_t offset) {
  for (size_t i = 0; i < sizeof(kRules) / sizeof(kRules[0]); ++i) {
    if (kRules[i] == static_cast<uint16_t>(rule)) return StringAt(kRuleStrings, 2 * i + offset);
  }
  return nullptr;
}

}  // namespace

Status OkStatus() { return Status{}; }

Status Error(Code code, Rule rule, int64_t expected, int64_t got) {
  Status s;
  s.code = code;
  s.rule = rule;
  s.expected = expected;
  s.got = got;
  return s;
}

const char* RuleName(Rule rule) {
  const char* name = FindRuleString(rule, 0);
  return name != nullptr ? name : "kUnknown";
}

const char* RuleText(Rule rule) {
  const char* text = FindRuleString(rule, 1);
  return text != nullptr ? text : "unknown rule";
}

const char* CodeName(Code code) {
  const auto index = static_cast<size_t>(code);
  return index < kCodes ? StringAt(kCodeStrings, index) : "UNKNOWN";
}

}  // namespace floe
