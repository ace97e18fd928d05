// Every case of one table, in every form: nothing may be wrong, and nothing is refused that
// refused.txt does not name. CMake makes one ctest test for each table.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <set>

#include "tests/aten/case_runner.h"

namespace floe::aten {
namespace {

constexpr char kFile[] = "tests/aten/cases.zip";
constexpr char kRefused[] = "tests/aten/refused.txt";

std::vector<std::string> Tables() {
  const auto tables = ReadTables(kFile);
  return tables.ok() ? *tables : std::vector<std::string>();
}

class AtenCases : public testing::TestWithParam<std::string> {};

TEST_P(AtenCases, MatchEager) {
  const auto cases = ReadCases(kFile, GetParam());
  ASSERT_TRUE(cases.ok()) << cases.status();
  const auto known = ReadRefused(kRefused);
  ASSERT_TRUE(known.ok()) << known.status();
  int passed = 0, refused = 0;
  for (const Case& c : *cases) {
    EXPECT_FALSE(c.forms.empty()) << c.label();
    for (const auto& [form, entries] : c.forms) {
      const std::string label = form + " " + c.label();
      const bool listed = known->count(label) > 0;
      const CaseResult r = RunCase(c, form);
      passed += r.verdict == Verdict::kPass ? 1 : 0;
      refused += r.verdict == Verdict::kRefused ? 1 : 0;
      EXPECT_NE(r.verdict, Verdict::kWrong) << label << ": " << r.detail;
      EXPECT_FALSE(r.verdict == Verdict::kRefused && !listed)
          << label << " is refused, and " << kRefused << " does not say so: " << r.detail;
      if (r.verdict == Verdict::kPass && listed) {
        std::printf("%s passes now; aten_case_runner --update takes it off the list\n",
                    label.c_str());
      }
    }
  }
  RecordProperty("passed", passed);
  RecordProperty("refused", refused);
  std::printf("%s: %d passed, %d refused\n", GetParam().c_str(), passed, refused);
}

INSTANTIATE_TEST_SUITE_P(Tables, AtenCases, testing::ValuesIn(Tables()),
                         [](const auto& info) { return info.param; });

TEST(AtenFixtures, HaveAThousandCasesInBothForms) {
  size_t cases = 0, pt2 = 0, pt = 0;
  std::set<std::string> labels;
  for (const std::string& table : Tables()) {
    const auto read = ReadCases(kFile, table);
    ASSERT_TRUE(read.ok()) << read.status();
    for (const Case& c : *read) {
      ++cases;
      pt2 += c.forms.count("pt2");
      pt += c.forms.count("pt");
      EXPECT_TRUE(labels.insert(c.label()).second) << c.label();
    }
  }
  EXPECT_GE(cases, 2000u);
  EXPECT_GE(pt2, 2000u);
  EXPECT_GE(pt, 2000u);
}

// The comparison itself: what it must see and what it must let pass.
TEST(AtenFixtures, DifferencesAreSeen) {
  const auto of = [](std::vector<float> v) {
    return ir::Tensor::Of<float>(DType::kF32, {static_cast<int64_t>(v.size())}, v);
  };
  const float nan = std::nanf(""), inf = HUGE_VALF;
  EXPECT_EQ(Difference(of({1, nan, inf}), of({1, nan, inf}), 0), "");
  EXPECT_EQ(Difference(of({100, 1.0005f}), of({100, 1}), 0), "");
  EXPECT_NE(Difference(of({100, 1.002f}), of({100, 1}), 0), "");
  EXPECT_NE(Difference(of({1, nan}), of({1, 2}), 0), "");
  EXPECT_NE(Difference(of({1, 2}), of({1, nan}), 0), "");
  EXPECT_NE(Difference(of({1, inf}), of({1, -inf}), 0), "");
  EXPECT_NE(Difference(of({1, 3e38f}), of({1, inf}), 0), "");
  EXPECT_NE(Difference(of({1}), of({1, 1}), 0), "");
  const auto ints = [](DType t, int32_t v) {
    return ir::Tensor::Of<int32_t>(t, {1}, std::vector<int32_t>{v});
  };
  EXPECT_EQ(Difference(ints(DType::kI32, 7), ints(DType::kI32, 7), 0), "");
  EXPECT_NE(Difference(ints(DType::kI32, 7), ints(DType::kI32, 8), 0), "");
  EXPECT_NE(Difference(ints(DType::kU32, 7), ints(DType::kI32, 7), 0), "");
}

}  // namespace
}  // namespace floe::aten
