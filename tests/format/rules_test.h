// The rules that a file can break, and one way or more to break each.
#ifndef FLOE_TESTS_FORMAT_RULES_TEST_H_
#define FLOE_TESTS_FORMAT_RULES_TEST_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "format/reader.h"
#include "tests/format/fake_footprints.h"
#include "tests/format/sample_programs.h"
#include "tests/format/test_util.h"

namespace floe::testing {

// Damage to the bytes of EverythingProgram's file.
struct FileCase {
  std::string name;
  Rule rule;
  bool reseal;  // Recompute checksums after the damage.
  std::function<void(std::vector<uint8_t>*)> damage;
};
std::vector<FileCase> FileCases();

// Damage to the tables of EverythingProgram.
struct ProgramCase {
  std::string name;
  Rule rule;
  std::function<void(ProgramData*)> damage;
};
std::vector<ProgramCase> TableCases();  // Symbols, dims, values, names, goldens.
std::vector<ProgramCase> CodeCases();   // Instructions and blocks.
std::vector<ProgramCase> PlanCases();   // Buckets and arenas.
std::vector<ProgramCase> SizeCases();   // Damage to SizesProgram instead.

// c bool [], count i64 [] -> y i64 [1]: c ? K : 0 where K = count is found inside of the branch, as
// no program may, or before it.
ProgramData BranchProgram(bool found_inside);

inline Status ReadFile(const AlignedFile& file, const ReadOptions& options = {}) {
  Program program;
  return Program::Read(file.data(), file.size(), options, FakeFootprints(), DefaultAllocator(),
                       &program);
}

}  // namespace floe::testing

#endif  // FLOE_TESTS_FORMAT_RULES_TEST_H_
