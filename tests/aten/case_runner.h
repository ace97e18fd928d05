// Runs one form of a case and says how it went.
#ifndef FLOE_TESTS_ATEN_CASE_RUNNER_H_
#define FLOE_TESTS_ATEN_CASE_RUNNER_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/aten/case_file.h"

namespace floe::aten {

enum class Verdict { kPass, kRefused, kWrong };
struct CaseResult {
  Verdict verdict = Verdict::kPass;
  std::string detail;  // One line: why refused, what is wrong.
};

// Imports the form ("pt2", "core" or "pt"), verifies the graph, evaluates it on the reference ops,
// compiles it and runs it in a session with poisoned outputs; compares both with eager's outputs.
// Refused means kUnimplemented from the importer or the compiler; every other failure is wrong,
// since all cases are valid.
CaseResult RunCase(const Case& c, const std::string& form);

// Empty if equal in dtype and shape; integers and bools equal; NaNs and infinities at the same
// places; and finite floats within the tolerance relative to max|want|. Tolerance 0 is the dtype's:
// f32 1e-5 and f64 1e-10 allow some tens of rounding errors in a chain of operations that sums in
// another order than eager; f16 2e-3 and bf16 1.6e-2 are two units in the last place.
std::string Difference(const ir::Tensor& got, const ir::Tensor& want, double tolerance);

// refused.txt: lines "FORM TABLE/NAME: reason" in order.
using Refused = std::map<std::string, std::string>;  // "FORM TABLE/NAME" -> reason.
absl::StatusOr<Refused> ReadRefused(const std::string& path);
absl::Status WriteRefused(const std::string& path, const Refused& refused);

}  // namespace floe::aten

#endif  // FLOE_TESTS_ATEN_CASE_RUNNER_H_
