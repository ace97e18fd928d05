#include "format/status.h"

#include <cstddef>
#include <cstring>

#include "format/error_sink.h"
#include "format/string_list.h"

namespace floe {
namespace {

constexpr uint16_t kRules[] = {
#define FLOE_RULE(id, name, text) id,
#include "format/rules.def"
#undef FLOE_RULE
};
constexpr size_t kRuleCount = sizeof(kRules) / sizeof(kRules[0]);
// The differences between their numbers: half the size.
struct RuleSteps {
  uint8_t step[kRuleCount] = {};
  uint32_t sum = 0;
};
constexpr RuleSteps MakeRuleSteps() {
  RuleSteps steps;
  for (size_t i = 1; i < kRuleCount; ++i) {
    steps.step[i] = static_cast<uint8_t>(kRules[i] - kRules[i - 1]);
    steps.sum += steps.step[i];
  }
  return steps;
}
constexpr RuleSteps kRuleSteps = MakeRuleSteps();
static_assert(kRules[0] == 0 && kRuleSteps.sum == kRules[kRuleCount - 1], "a step is too large");
// Name and text of every rule, one after the other.
constexpr char kRuleStrings[] =
#define FLOE_RULE(id, name, text) #name "\0" text "\0"
#include "format/rules.def"
#undef FLOE_RULE
    ;
constexpr char kCodeStrings[] =
    "OK\0INVALID_ARGUMENT\0INVALID_FILE\0UNSUPPORTED\0RESOURCE_EXHAUSTED\0NOT_FOUND\0"
    "FAILED_PRECONDITION\0CANCELLED\0DEADLINE_EXCEEDED\0IO\0OUT_OF_RANGE\0INTERNAL\0";
constexpr size_t kCodes = static_cast<size_t>(Code::kInternal) + 1;

// The string at `offset` among a rule's two; `unknown` for an unknown rule.
const char* RuleString(Rule rule, size_t offset, const char* unknown) {
  uint32_t id = 0;
  for (size_t i = 0; i < kRuleCount; ++i) {
    id += kRuleSteps.step[i];
    if (id == static_cast<uint16_t>(rule)) return StringAt(kRuleStrings, 2 * i + offset);
  }
  return unknown;
}

}  // namespace

const char* StringAt(const char* list, size_t index) {
  while (index-- != 0) list += std::strlen(list) + 1;
  return list;
}

Status OkStatus() { return Status{}; }

Status Error(Code code, Rule rule, int64_t expected, int64_t got) {
  Status s;
  s.code = code;
  s.rule = rule;
  s.expected = expected;
  s.got = got;
  return s;
}

ErrorSink::ErrorSink() = default;

Failure ErrorSink::Fail(Code code, Rule rule, int64_t expected, int64_t got) {
  error_ = Error(code, rule, expected, got);
  return Again();
}

Failure ErrorSink::Bad(Rule rule, int64_t expected, int64_t got) {
  return Fail(Code::kInvalidFile, rule, expected, got);
}

void* ErrorSink::Allocate(const Allocator& allocator, size_t bytes, size_t alignment) {
  void* memory = allocator.Allocate(bytes, alignment);
  if (memory == nullptr) {
    Fail(Code::kResourceExhausted, Rule::kHostMemory, static_cast<int64_t>(bytes));
  }
  return memory;
}

bool ErrorSink::Passes(const Status& status) {
  if (status.ok()) return true;
  error_ = status;
  return false;
}

const char* RuleName(Rule rule) { return RuleString(rule, 0, "kUnknown"); }
const char* RuleText(Rule rule) { return RuleString(rule, 1, "unknown rule"); }

const char* CodeName(Code code) {
  const auto index = static_cast<size_t>(code);
  return index < kCodes ? StringAt(kCodeStrings, index) : "UNKNOWN";
}

}  // namespace floe
