#include "compiler/import/torchscript/quantized.h"

namespace floe::torchscript {
bool IsQuantizedOp(const std::string&) { return false; }
bool IsQuantizedCall(const std::string&, const CallArguments&) { return false; }
absl::StatusOr<IValue> CallQuantized(Interpreter&, const std::string&, const CallArguments&,
                                     const CallSite&) {
  return IValue();
}
}  // namespace floe::torchscript
