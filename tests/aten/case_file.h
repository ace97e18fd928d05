// tests/aten: the PyTorch front ends, op by op. Read this header first.
//
//   tables/, make_cases.py   the cases and what makes cases.zip from them (needs PyTorch)
//   case_file.h              reads cases.zip; puts a case's .pt2 or .pt together again
//   case_runner.h            imports a form, runs it on the IR evaluator and the runtime, compares
//   case_runner_main.cc      the command: --only REGEX, --verbose, --update
//   cases_test.cc            the test: nothing wrong, nothing refused that refused.txt does not
//   name
//
// cases.zip has an entry for each table: u32 number of cases, then each case as
//
//   blob name, blob options (JSON), u32 forms x (blob "pt2", "core" or "pt", u32 entries x (blob,
//   blob)), u32 data sets x (u32 inputs x tensor, u32 outputs x tensor, u32 inputs that the model
//   writes x (u32 number of the input, tensor: what it holds then)); blob = u32 length, bytes;
//   tensor = blob dtype, u32 rank, i64 dims, blob elements (complex ones as pairs of reals)
//
// all little-endian. The entries are those of the archive that PyTorch wrote, which was a zip of
// stored entries; the bulky and the accidental (sample inputs, traces) stay in some cases only.
#ifndef FLOE_TESTS_ATEN_CASE_FILE_H_
#define FLOE_TESTS_ATEN_CASE_FILE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"

namespace floe::aten {

struct CaseData {
  std::vector<ir::Tensor> inputs, outputs;
  std::map<size_t, ir::Tensor> written;  // What inputs that the model writes hold afterwards.
};

struct Case {
  std::string table, name;
  double tolerance = 0;            // Of the error relative to max|y|; 0: by dtype.
  bool stateful = false;           // The data sets follow one another.
  std::vector<std::string> names;  // Of the parameters of the .pt's forward().
  std::map<std::string, std::vector<std::pair<std::string, std::string>>>
      forms;  // Name -> entries.
  std::vector<CaseData> sets;

  std::string label() const { return table + "/" + name; }
};

// The names of the tables in the file, in order.
absl::StatusOr<std::vector<std::string>> ReadTables(const std::string& path);
absl::StatusOr<std::vector<Case>> ReadCases(const std::string& path, const std::string& table);

// A zip of the entries, stored.
absl::StatusOr<std::string> BuildArchive(
    const std::vector<std::pair<std::string, std::string>>& entries);

}  // namespace floe::aten

#endif  // FLOE_TESTS_ATEN_CASE_FILE_H_
