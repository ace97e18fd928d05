// Internal to the text form: words, numbers and strings with their line and column.
#ifndef FLOE_COMPILER_IR_SCANNER_H_
#define FLOE_COMPILER_IR_SCANNER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace floe::ir {

// Methods that read skip blanks and // comments first. The first failure sticks: later reads give
// empty results, and status() names the place.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  void Fail(const std::string& what);
  // Ends with this error at the current place, unless there is one.
  void FailWith(const absl::Status& error);

  bool AtEnd();
  bool Peek(std::string_view word);    // Is `word` next? Words of letters end at a non-letter.
  bool Accept(std::string_view word);  // Reads `word` if it is next.
  void Expect(std::string_view word);
  bool PeekNumber();  // Does a number start here?

  std::string Identifier();  // A word of letters, digits and _.
  std::string Name();        // What follows % or @: name characters, or a quoted string.
  std::string QuotedString();
  int64_t Int();
  double Float();  // Numbers, inf, -inf, nan.

 private:
  void SkipBlanks();

  std::string_view text_;
  size_t at_ = 0;
  absl::Status status_;
};

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_SCANNER_H_
