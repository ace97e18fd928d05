// tools/cli: what floec, floe and floe-bench share and libfloe never links: exit codes, files,
// shape flags, .npy/.npz and tensors, statistics. This header: the exit codes of every program.
#ifndef FLOE_TOOLS_CLI_EXIT_CODES_H_
#define FLOE_TOOLS_CLI_EXIT_CODES_H_

#include "absl/status/status.h"
#include "runtime/floe.h"

namespace floe::cli {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,        // The job ran and failed: a check did not pass, a file was not writable.
  kExitUsage = 2,         // The command line is wrong.
  kExitInvalidInput = 3,  // A file or tensor is not what it should be.
  kExitUnsupported = 4,   // The model needs an op, dtype or ISA that is not there.
  kExitResource = 5,      // Memory, size or time limit.
};

ExitCode ExitCodeOf(const absl::Status& status);
ExitCode ExitCodeOf(floe_status status);

// Prints "PROGRAM: message" on stderr and returns the exit code.
int Fail(const char* program, const absl::Status& status);

}  // namespace floe::cli

#endif  // FLOE_TOOLS_CLI_EXIT_CODES_H_
