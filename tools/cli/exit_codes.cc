#include "tools/cli/exit_codes.h"

#include <cstdio>
#include <string>

namespace floe::cli {

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kOutOfRange:
      return kExitInvalidInput;
    case absl::StatusCode::kUnimplemented:
      return kExitUnsupported;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
      return kExitResource;
    case absl::StatusCode::kFailedPrecondition:
      return kExitUsage;
    default:
      return kExitFailed;
  }
}

ExitCode ExitCodeOf(floe_status status) {
  switch (status) {
    case FLOE_OK:
      return kExitOk;
    case FLOE_INVALID_ARGUMENT:
    case FLOE_INVALID_FILE:
    case FLOE_NOT_FOUND:
    case FLOE_OUT_OF_RANGE:
    case FLOE_IO:
      return kExitInvalidInput;
    case FLOE_UNSUPPORTED:
      return kExitUnsupported;
    case FLOE_RESOURCE_EXHAUSTED:
    case FLOE_DEADLINE_EXCEEDED:
      return kExitResource;
    default:
      return kExitFailed;
  }
}

int Fail(const char* program, const absl::Status& status) {
  std::fprintf(stderr, "%s: %s\n", program, std::string(status.message()).c_str());
  return ExitCodeOf(status);
}

}  // namespace floe::cli
