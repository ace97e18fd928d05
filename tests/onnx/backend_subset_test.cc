// The committed part of the ONNX backend suite: every case must pass.
#include <gtest/gtest.h>

#include "tests/onnx/backend_case.h"

namespace floe::onnx {
namespace {

TEST(BackendSubset, EveryCasePasses) {
  const auto cases = ReadPack("tests/onnx/backend_subset.pack");
  ASSERT_TRUE(cases.ok()) << cases.status();
  EXPECT_GE(cases->size(), 300u);
  for (const Case& c : *cases) {
    const CaseResult r = RunCase(c, Tolerance{});
    EXPECT_EQ(r.verdict, Verdict::kPass) << c.name << ": " << r.detail;
  }
}

TEST(BackendSubset, WrongNumbersAreSeen) {
  const auto cases = ReadPack("tests/onnx/backend_subset.pack");
  ASSERT_TRUE(cases.ok()) << cases.status();
  // The same cases with an output replaced by an input of another case must fail.
  int seen = 0, tried = 0;
  for (size_t i = 0; i + 1 < cases->size() && tried < 40; ++i) {
    Case c = (*cases)[i];
    if (c.sets.empty() || (*cases)[i + 1].sets[0].inputs.empty()) continue;
    c.sets[0].outputs[0] = (*cases)[i + 1].sets[0].inputs[0];
    if (c.sets[0].outputs[0] == (*cases)[i].sets[0].outputs[0]) continue;
    ++tried;
    seen += RunCase(c, Tolerance{}).verdict == Verdict::kWrong ? 1 : 0;
  }
  EXPECT_EQ(seen, tried);
}

}  // namespace
}  // namespace floe::onnx
