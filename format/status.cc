#include "format/status.h"

namespace floe {

const char* RuleName(Rule rule) {
  switch (rule) {
#define FLOE_RULE(id, name, text) \
  case Rule::name:                \
    return #name;
#include "format/rules.def"
#undef FLOE_RULE
  }
  return "kUnknown";
}

const char* RuleText(Rule rule) {
  switch (rule) {
#define FLOE_RULE(id, name, text) \
  case Rule::name:                \
    return text;
#include "format/rules.def"
#undef FLOE_RULE
  }
  return "unknown rule";
}

const char* CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case Code::kInvalidFile:
      return "INVALID_FILE";
    case Code::kUnsupported:
      return "UNSUPPORTED";
    case Code::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case Code::kNotFound:
      return "NOT_FOUND";
    case Code::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case Code::kCancelled:
      return "CANCELLED";
    case Code::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case Code::kIo:
      return "IO";
    case Code::kOutOfRange:
      return "OUT_OF_RANGE";
    case Code::kInternal:
      return "INTERNAL";
  }
  return "UNKNOWN";
}

}  // namespace floe
