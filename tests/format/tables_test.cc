// The small tables and functions: checksums, ops, rules, pointwise programs, dims, liveness, and
// that the schema's structs are the records of program.h.
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

#include "format/checksum.h"
#include "format/liveness.h"
#include "format/ops.h"
#include "format/pointwise.h"
#include "tests/format/sample_programs.h"
#include "tests/format/test_util.h"

namespace floe::testing {
namespace {

// --- checksum ------------------------------------------------------------------------------------

// Published vectors of XXH64.
TEST(ChecksumTest, KnownVectors) {
  const auto sum = [](std::string_view text) { return Checksum(text.data(), text.size()); };
  EXPECT_EQ(sum(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(sum("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(sum("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(sum("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
  Xxh64 seeded(20141025);
  seeded.Update("xxhash", 6);
  EXPECT_EQ(seeded.Digest(), 0xB559B98D844E0635u);
}

TEST(ChecksumTest, PiecesDoNotMatter) {
  std::vector<uint8_t> data(301);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 131 + 7);
  for (size_t n = 0; n <= data.size(); ++n) {
    const uint64_t whole = Checksum(data.data(), n);
    for (const size_t piece : {1, 7, 31, 32, 33, 100}) {
      Xxh64 x;
      for (size_t at = 0; at < n; at += piece) x.Update(data.data() + at, std::min(piece, n - at));
      ASSERT_EQ(x.Digest(), whole) << n << " in pieces of " << piece;
    }
  }
}

// --- tables --------------------------------------------------------------------------------------

TEST(OpsTest, NamesAreUniqueAndFound) {
  std::set<std::string> names;
  for (uint16_t i = 0; i < static_cast<uint16_t>(OpId::kCount); ++i) {
    const OpInfoRow& row = OpRow(static_cast<OpId>(i));
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(FindOp(row.name, std::strlen(row.name)), static_cast<OpId>(i));
    EXPECT_LE(row.min_inputs, row.max_inputs < 0 ? INT16_MAX : row.max_inputs) << row.name;
    EXPECT_TRUE(row.max_outputs >= 1 || IsControlOp(static_cast<OpId>(i))) << row.name;
  }
  EXPECT_EQ(FindOp("ad", 2), OpId::kCount);
  EXPECT_EQ(FindOp("addx", 3), OpId::kAdd);
  EXPECT_EQ(FindOp("", 0), OpId::kCount);
}

struct RuleRow {
  int id;
  Rule rule;
  const char* name;
  const char* text;
};
// A table: expectations in a macro would take the compiler a minute under sanitizers.
constexpr RuleRow kRules[] = {
#define FLOE_RULE(id, name, text) {id, Rule::name, #name, text},
#include "format/rules.def"
#undef FLOE_RULE
};

TEST(StatusTest, EveryRuleHasANameAndASentence) {
  std::set<std::string> names;
  std::set<int> ids;
  for (const RuleRow& row : kRules) {
    EXPECT_STREQ(RuleName(row.rule), row.name);
    EXPECT_STREQ(RuleText(row.rule), row.text);
    EXPECT_GT(std::strlen(row.text), 5u);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(ids.insert(row.id).second) << row.id;
  }
  for (int i = 0; i < 65536; ++i) {
    EXPECT_NE(RuleName(static_cast<Rule>(i)), nullptr);
    EXPECT_NE(RuleText(static_cast<Rule>(i)), nullptr);
    EXPECT_NE(CodeName(static_cast<Code>(i)), nullptr);
    if (ids.count(i) == 0) {
      EXPECT_STREQ(RuleName(static_cast<Rule>(i)), "kUnknown");
    }
  }
  EXPECT_STREQ(CodeName(Code::kInvalidFile), "INVALID_FILE");
}

// --- pointwise programs --------------------------------------------------------------------------

PwInstr Pw(PwOp op, uint8_t dst, uint8_t a = 0, uint8_t b = 0, uint8_t c = 0, uint8_t operand = 0) {
  PwInstr i;
  i.op = static_cast<uint8_t>(op);
  i.dst = dst;
  i.a = a;
  i.b = b;
  i.c = c;
  i.operand = operand;
  return i;
}

struct PwCase {
  const char* name;
  std::vector<PwInstr> code;
  uint32_t operands;
  bool epilogue;
  bool ok;
};

TEST(PointwiseTest, Check) {
  using enum PwOp;
  const std::vector<PwInstr> longest(kPwMaxLength, Pw(kConst, 0));
  const std::vector<PwInstr> too_long(kPwMaxLength + 1, Pw(kConst, 0));
  PwInstr reserved = Pw(kConst, 0);
  reserved.reserved = 1;
  const std::vector<PwCase> cases = {
      {"empty", {}, 0, true, false},
      {"load", {Pw(kLoad, 0)}, 1, false, true},
      {"load_without_operand", {Pw(kLoad, 0)}, 0, false, false},
      {"load_operand_12", {Pw(kLoad, 0, 0, 0, 0, 12)}, 64, false, false},
      {"load_operand_11", {Pw(kLoad, 0, 0, 0, 0, 11)}, 12, false, true},
      {"epilogue_reads_r0", {Pw(kRelu, 0)}, 0, true, true},
      {"region_reads_r0", {Pw(kRelu, 0)}, 0, false, false},
      {"epilogue_reads_r1", {Pw(kAdd, 0, 0, 1)}, 0, true, false},
      {"epilogue_leaves_r0", {Pw(kRelu, 1)}, 0, true, true},
      {"region_leaves_r0", {Pw(kConst, 1)}, 0, false, false},
      {"fma_reads_c", {Pw(kConst, 1), Pw(kFma, 0, 1, 1, 2)}, 0, false, false},
      {"fma", {Pw(kConst, 1), Pw(kFma, 0, 1, 1, 1)}, 0, false, true},
      {"unary_ignores_b", {Pw(kConst, 1), Pw(kNeg, 0, 1, 5)}, 0, false, true},
      {"register_16", {Pw(kConst, 16)}, 0, true, false},
      {"source_16", {Pw(kNeg, 0, 16)}, 0, true, false},
      {"unused_source_16", {Pw(kNeg, 0, 0, 16)}, 0, true, false},
      {"register_15", {Pw(kNeg, 15), Pw(kNeg, 0, 15)}, 0, true, true},
      {"op_count", {Pw(kCount, 0)}, 0, true, false},
      {"reserved", {reserved}, 0, true, false},
      {"operand_of_non_load", {Pw(kConst, 0, 0, 0, 0, 1)}, 4, true, false},
      {"longest", longest, 0, false, true},
      {"too_long", too_long, 0, false, false},
  };
  for (const PwCase& c : cases) {
    const Status s =
        CheckPointwise(c.code.data(), static_cast<uint32_t>(c.code.size()), c.operands, c.epilogue);
    EXPECT_EQ(s.ok(), c.ok) << c.name;
    if (!s.ok()) {
      EXPECT_EQ(s.rule, Rule::kInstructionCode) << c.name;
    }
  }
}

TEST(PointwiseTest, EveryOpHasANameAndSources) {
  std::set<std::string> names;
  for (int i = 0; i < static_cast<int>(PwOp::kCount); ++i) {
    EXPECT_TRUE(names.insert(PwOpName(static_cast<PwOp>(i))).second);
    EXPECT_GE(PwOpSources(static_cast<PwOp>(i)), 0);
    EXPECT_LE(PwOpSources(static_cast<PwOp>(i)), 3);
  }
  EXPECT_STREQ(PwOpName(static_cast<PwOp>(255)), "?");
  EXPECT_EQ(PwOpSources(static_cast<PwOp>(255)), 0);
}

// --- dims ----------------------------------------------------------------------------------------

TEST(DimsTest, Evaluate) {
  ProgramBuilder b;
  const uint32_t n = b.AddSymbol("N", 0, 100);
  const uint32_t t = b.AddSymbol("T", 0, 100);
  Dim sum = Dim::Of(n, 3, -5);
  sum.terms.emplace_back(t, 2);
  const uint32_t dim = b.AddDim(sum);
  const uint32_t huge = b.AddDim(Dim::Of(n, INT64_MAX));
  const ProgramData data = b.Build();
  const ProgramView view = data.View();
  int64_t out = -7;
  const int64_t values[2] = {4, 10};
  EXPECT_TRUE(EvalDim(view, view.dims[dim], values, &out));
  EXPECT_EQ(out, 27);
  const int64_t negative[2] = {1, 0};
  EXPECT_FALSE(EvalDim(view, view.dims[dim], negative, &out));
  const int64_t two[2] = {2, 0};
  EXPECT_FALSE(EvalDim(view, view.dims[huge], two, &out));
  EXPECT_EQ(out, 27) << "untouched on failure";
}

// --- liveness ------------------------------------------------------------------------------------

std::string Range(const std::vector<LiveRange>& ranges, uint32_t v) {
  return ranges[v].first == kNoIndex
             ? "none"
             : std::to_string(ranges[v].first) + ".." + std::to_string(ranges[v].last);
}

TEST(LivenessTest, NestedControlFlow) {
  ProgramBuilder b;
  const uint32_t x = b.AddInput("x", DType::kF32, {4});
  const uint32_t c = b.AddInput("c", DType::kBool, {});
  const uint32_t trips = b.AddInput("trips", DType::kI64, {});
  const uint32_t y = b.AddOutput("y", DType::kF32, {4});
  uint32_t v[16];
  for (int i = 0; i < 16; ++i) v[i] = b.AddArena("v" + std::to_string(i), DType::kF32, {4});
  const uint32_t alias = b.AddAlias("alias", v[1], {2, 2});
  const uint32_t i = b.AddArena("i", DType::kI64, {});
  const auto copy = [&](uint32_t from, uint32_t to) {
    b.AddInstruction(KernelId::kCopy, {from}, {to});
  };
  const uint32_t main = b.AddMethod("main", {x, c, trips}, {y}, [&] {
    copy(x, v[0]);  // 0
    copy(x, v[1]);  // 1: read through its alias inside the loop
    copy(x, v[2]);  // 2: carried into the loop
    copy(x, v[3]);  // 3: never read
    // 4: the loop, closing at 11
    b.AddLoop(trips, c, {v[2]}, {v[4]}, 9, {i, v[5]}, [&]() -> Values {
      copy(v[0], v[6]);  // 5
      // 6: the if, closing at 9
      b.AddIf(
          c, {v[7]},
          [&]() -> Values {
            copy(v[6], v[8]);  // 7
            return {v[8]};
          },
          [&]() -> Values {
            copy(alias, v[9]);  // 8
            return {v[9]};
          });
      copy(v[7], v[10]);  // 10
      return {c, v[10]};
    });
    copy(v[4], y);  // 12
  });
  const ProgramData data = b.Build();
  std::vector<LiveRange> r(data.values.size());
  ASSERT_OK(ComputeLiveness(data.View(), main, r.data()));
  EXPECT_EQ(Range(r, v[0]), "0..11") << "read in every iteration";
  EXPECT_EQ(Range(r, v[1]), "1..11") << "read through an alias in every iteration";
  EXPECT_EQ(Range(r, v[2]), "2..4");
  EXPECT_EQ(Range(r, v[3]), "3..3");
  EXPECT_EQ(Range(r, v[4]), "4..12") << "a loop's result lives from its own number";
  EXPECT_EQ(Range(r, v[5]), "4..11");
  EXPECT_EQ(Range(r, i), "4..11");
  EXPECT_EQ(Range(r, v[6]), "5..7");
  EXPECT_EQ(Range(r, v[7]), "6..10");
  EXPECT_EQ(Range(r, v[8]), "7..9") << "a branch's result is copied at the closing number";
  EXPECT_EQ(Range(r, v[9]), "8..9");
  EXPECT_EQ(Range(r, v[10]), "10..11");
  EXPECT_EQ(Range(r, v[11]), "none");
  EXPECT_EQ(Range(r, x), "0..3");
  EXPECT_EQ(Range(r, y), "12..13");
}

TEST(LivenessTest, BadBlocksAreRefused) {
  const ProgramData good = EverythingProgram();
  std::vector<LiveRange> ranges(good.values.size());
  uint32_t control = 0;
  while (good.instructions[control].block_count == 0) ++control;
  const auto rule = [&](const ProgramData& d) {
    return ComputeLiveness(d.View(), 0, ranges.data()).rule;
  };
  EXPECT_EQ(rule(good), Rule::kNone);
  ProgramData d = good;
  d.instructions[control].first_block = d.methods[0].block;  // Recursion.
  EXPECT_EQ(rule(d), Rule::kBlockStructure);
  d = good;
  d.instructions[control].first_block = static_cast<uint32_t>(d.blocks.size());
  EXPECT_EQ(rule(d), Rule::kBlockStructure);
  // A chain of blocks, each of which holds one If with the next block as both branches: 2^31 paths.
  ProgramData wide;
  wide.string_offsets = {0, 0};
  constexpr uint32_t kDepth = 31;
  for (uint32_t k = 0; k < kDepth; ++k) {
    Instruction i;
    i.kernel = 1;
    i.block_count = 1;
    i.first_block = 2 * k + 2;
    BlockDef block;
    block.first_instruction = 2 * k;
    block.instruction_count = 2;
    wide.instructions.push_back(i);
    wide.instructions.push_back(i);
    wide.blocks.push_back(block);
    wide.blocks.push_back(block);
  }
  wide.blocks.push_back({});
  wide.methods.push_back({0, 0, 0, 0});
  EXPECT_EQ(rule(wide), Rule::kBlockStructure);
}

}  // namespace
}  // namespace floe::testing
