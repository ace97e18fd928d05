// Where a job of many steps keeps its error. Its steps return bool: may the job go on? If not, the
// sink's error() says why. With one place for the error, a step costs half the code that it costs
// when it returns a Status, and the core has hundreds of them.
#ifndef FLOE_FORMAT_ERROR_SINK_H_
#define FLOE_FORMAT_ERROR_SINK_H_

#include <cstddef>
#include <cstdint>

#include "format/allocator.h"
#include "format/status.h"

namespace floe {

// False, and a way to say more about the error that was just recorded.
class Failure {
 public:
  explicit Failure(Status* error) : error_(error) {}
  operator bool() const { return false; }
  Failure At(uint32_t instruction) const {
    error_->instruction = instruction;
    return *this;
  }
  Failure ForValue(uint32_t value) const {
    error_->value = value;
    return *this;
  }
  Failure ForOperand(uint32_t position) const {
    error_->operand = position;
    return *this;
  }
  Failure ForAxis(int32_t axis) const {
    error_->axis = axis;
    return *this;
  }

 private:
  Status* error_;
};

class ErrorSink {
 public:
  ErrorSink();
  const Status& error() const { return error_; }
  // Records an error, in place of an earlier one.
  Failure Fail(Code code, Rule rule, int64_t expected = 0, int64_t got = 0);
  Failure Bad(Rule rule, int64_t expected = 0, int64_t got = 0);  // Code::kInvalidFile.
  // From `allocator`; null, and kHostMemory, if it has no more.
  void* Allocate(const Allocator& allocator, size_t bytes, size_t alignment);
  // Records `status` unless it is OK.
  bool Passes(const Status& status);
  // For a step that knows more about an error than the one that found it.
  Failure Again() { return Failure(&error_); }

 private:
  Status error_;
};

}  // namespace floe

#endif  // FLOE_FORMAT_ERROR_SINK_H_
