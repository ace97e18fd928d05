// The verbs of `floe`: each parses its own arguments and returns the exit code.
#ifndef FLOE_TOOLS_FLOE_VERBS_H_
#define FLOE_TOOLS_FLOE_VERBS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "format/reader.h"

namespace floe::cli {

struct RunFlags {
  std::string model, in, out, backend = "cpu", isa;
  int threads = 1;
};
// Runs method 0 on arrays and writes its outputs. A leading axis that is longer than the program
// takes is split into batches.
absl::Status RunVerb(const RunFlags& flags);

// A program read for looking at: the file's bytes and the validated view of them.
struct LoadedProgram {
  std::string path;
  uint64_t file_bytes = 0;
  std::unique_ptr<void, void (*)(void*)> bytes{nullptr, nullptr};
  Program program;
};
// The error names the rule and what it means.
absl::StatusOr<std::unique_ptr<LoadedProgram>> LoadProgram(const std::string& path,
                                                           bool verify_payload);

std::string InspectText(const LoadedProgram& p);
std::string InspectJson(const LoadedProgram& p);
std::string InspectDot(const LoadedProgram& p);

// Merges tune records (compiler/tune/record.h) into the file `output`, or prints them if that is
// empty.
absl::Status MergeTuneRecords(const std::vector<std::string>& inputs, const std::string& output);

// "f32[N,16,2*T] channels_last halo(1,1,1)".
std::string ValueType(const ProgramView& p, uint32_t value);
// "2*N + 1".
std::string DimText(const ProgramView& p, uint32_t dim);
// Names come from files: control bytes are escaped before they reach a terminal.
std::string Escaped(std::string_view text);

}  // namespace floe::cli

#endif  // FLOE_TOOLS_FLOE_VERBS_H_
