// Every rule of a file (1xx to 4xx) is broken once or more, and answered with exactly that rule.
#include "tests/format/rules_test.h"

#include <set>
#include <utility>

namespace floe::testing {
namespace {

void ExpectNamed(const ProgramData& good, const std::vector<ProgramCase>& cases) {
  for (const ProgramCase& c : cases) {
    SCOPED_TRACE(c.name);
    ProgramData data = good;
    c.damage(&data);
    const Status direct =
        ValidateProgram(data.View(), Limits{}, FakeFootprints(), DefaultAllocator());
    EXPECT_FALSE(direct.ok());
    EXPECT_EQ(direct.rule, c.rule) << ::testing::PrintToString(direct);
    // The same through a file.
    const Status read = ReadFile(Written(data.View()));
    EXPECT_EQ(read.rule, direct.rule) << ::testing::PrintToString(read);
  }
}

TEST(ProgramRulesTest, EveryDamageIsNamed) {
  for (const auto& list : {TableCases(), CodeCases(), PlanCases()}) {
    ExpectNamed(EverythingProgram(), list);
  }
  ExpectNamed(SizesProgram(), SizeCases());
}

// What SizeCases moves into the branch is no fault where it was.
TEST(ProgramRulesTest, ABranchMayReadASizeThatWasFoundBefore) {
  EXPECT_OK(ReadFile(Written(BranchProgram(false).View())));
}

TEST(ProgramRulesTest, EveryRuleOfAFileHasACase) {
  // kMetadataField has a test of its own above.
  std::set<Rule> seen = {Rule::kMetadataField};
  for (const FileCase& c : FileCases()) seen.insert(c.rule);
  for (const auto& list : {TableCases(), CodeCases(), PlanCases()}) {
    for (const ProgramCase& c : list) seen.insert(c.rule);
  }
  const std::pair<int, const char*> rules[] = {
#define FLOE_RULE(id, name, text) {id, #name},
#include "format/rules.def"
#undef FLOE_RULE
  };
  for (const auto& [id, name] : rules) {
    if (id < 100 || id >= 500) continue;
    EXPECT_TRUE(seen.count(static_cast<Rule>(id))) << "no test breaks rule " << name;
  }
}

TEST(ProgramRulesTest, LimitsAreRespected) {
  const ProgramData data = EverythingProgram();
  const AlignedFile file = Written(data.View());
  ReadOptions options;
  EXPECT_OK(ReadFile(file, options));
  options.limits.max_instructions = data.instructions.size() - 1;
  EXPECT_EQ(ReadFile(file, options).rule, Rule::kLimitExceeded);
  options = {};
  options.limits.max_metadata_bytes = 1000;
  EXPECT_EQ(ReadFile(file, options).rule, Rule::kLimitExceeded);
  options = {};
  options.limits.max_arena_bytes = data.buckets[1].arena_bytes + data.buckets[1].scratch_bytes - 1;
  EXPECT_EQ(ReadFile(file, options).rule, Rule::kLimitExceeded);
  options = {};
  options.limits.max_work = 500;  // Less than one instruction.
  EXPECT_EQ(ReadFile(file, options).rule, Rule::kLimitExceeded);
  EXPECT_EQ(ReadFile(file, options).code, Code::kResourceExhausted);
}

}  // namespace
}  // namespace floe::testing
