// Errors as values for format/, backends/ and runtime/: no exceptions, no allocation, no text.
//
// A Status is a small POD that says what went wrong (code, rule) and where (instruction, value,
// axis, the expected and the actual number). It is turned into a sentence lazily, by
// runtime/'s error formatter, which knows the program's names. Copying costs 40 bytes.
#ifndef FLOE_FORMAT_STATUS_H_
#define FLOE_FORMAT_STATUS_H_

#include <cstdint>

namespace floe {

// Numeric values are ABI (floe_status in runtime/floe.h uses the same numbers).
enum class Code : uint16_t {
  kOk = 0,
  kInvalidArgument = 1,     // The caller passed something wrong: shape, dtype, name, null.
  kInvalidFile = 2,         // The bytes are no valid Floe program; Status::rule says which rule.
  kUnsupported = 3,         // Valid, but this build or this machine cannot do it.
  kResourceExhausted = 4,   // An allocation failed or a limit was hit.
  kNotFound = 5,            // No such file, method, input, state.
  kFailedPrecondition = 6,  // Called in the wrong order, for example Run before Bind.
  kCancelled = 7,
  kDeadlineExceeded = 8,
  kIo = 9,           // The operating system refused; Status::got is errno.
  kOutOfRange = 10,  // A value met at run time (an index) lies outside its range.
  kInternal = 11,    // A bug in Floe.
};

// Rule ids: one per thing that can be wrong, listed once in format/rules.def (id, name, text).
enum class Rule : uint16_t {
#define FLOE_RULE(id, name, text) name = id,
#include "format/rules.def"
#undef FLOE_RULE
};

const char* RuleName(Rule rule);  // "kHeaderMagic"; never null.
const char* RuleText(Rule rule);  // One sentence, what is wrong and what to do; never null.
const char* CodeName(Code code);  // "INVALID_FILE"; never null.

inline constexpr uint32_t kNoIndex = 0xffffffffu;

struct [[nodiscard]] Status {
  Code code = Code::kOk;
  Rule rule = static_cast<Rule>(0);
  uint32_t instruction = kNoIndex;  // Index into the program's instructions, if known.
  uint32_t value = kNoIndex;        // Index into the program's values, if known.
  uint32_t operand = kNoIndex;      // Position among an instruction's operands, if known.
  int32_t axis = -1;                // Axis of a shape error, if known.
  int64_t expected = 0;             // Meaning depends on the rule.
  int64_t got = 0;

  constexpr bool ok() const { return code == Code::kOk; }
  constexpr Status At(uint32_t instruction_index) const {
    Status s = *this;
    s.instruction = instruction_index;
    return s;
  }
  constexpr Status ForValue(uint32_t value_index) const {
    Status s = *this;
    s.value = value_index;
    return s;
  }
  constexpr Status ForOperand(uint32_t position, int32_t at_axis = -1) const {
    Status s = *this;
    s.operand = position;
    s.axis = at_axis;
    return s;
  }
};

// Not inline: a Status is set up in hundreds of places, and never on a hot path.
Status OkStatus();
Status Error(Code code, Rule rule, int64_t expected = 0, int64_t got = 0);

#define FLOE_RETURN_IF_ERROR(expr)                                                     \
  do {                                                                                 \
    if (::floe::Status floe_status_ = (expr); !floe_status_.ok()) return floe_status_; \
  } while (false)

}  // namespace floe

#endif  // FLOE_FORMAT_STATUS_H_
