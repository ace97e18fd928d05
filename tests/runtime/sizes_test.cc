// Sizes that derive from others and sizes that a run finds, in programs that no compiler writes:
// nothing is written beyond what Bind made room for, and a run that fails leaves no trace.
#include <gmock/gmock.h>

#include <array>
#include <cstring>
#include <vector>

#include "tests/format/sample_programs.h"
#include "tests/runtime/support.h"

namespace floe::testing {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SizesOnEveryBackend : public ::testing::TestWithParam<BackendChoice> {};
INSTANTIATE_TEST_SUITE_P(Runtime, SizesOnEveryBackend, ::testing::ValuesIn(AvailableBackends()),
                         [](const auto& info) { return info.param.backend + info.param.isa; });

Tensor ScalarOf(const int64_t* data) { return TensorOf(data, std::span<int64_t>()); }

// k, m i64 [] -> rows f32 [K], grid f32 [K*M], sizes i64 [3] = K, M, K*M, where K = k and M = m are
// 0 to 8 and K*M must be 4 to 64. rows are 2, grid is 3.
ProgramData TwoSizesProgram() {
  ProgramBuilder b;
  const uint32_t k = b.AddDataSymbol("K", 0, 8);
  const uint32_t m = b.AddDataSymbol("M", 0, 8);
  const uint32_t all = b.AddDerived("K*M", SymbolKind::kProduct, Dim::Of(k), Dim::Of(m), 4, 64);
  const uint32_t first = b.AddInput("k", DType::kI64, {});
  const uint32_t second = b.AddInput("m", DType::kI64, {});
  const uint32_t rows = b.AddOutput("rows", DType::kF32, {Dim::Of(k)});
  const uint32_t grid = b.AddOutput("grid", DType::kF32, {Dim::Of(all)});
  const uint32_t sizes = b.AddOutput("sizes", DType::kI64, {3});
  const uint32_t one = b.AddFloats("one", {1}, {1});
  const uint32_t dims = b.AddDims("dims", {Dim::Of(k), Dim::Of(m), Dim::Of(all)});
  b.AddMethod("main", {first, second}, {rows, grid, sizes}, [&] {
    b.AddSize(first, k, "first");
    b.AddInstruction(KernelId::kPointwise, {one}, {rows}, {}, PwTimes(2.0f), "rows");
    b.AddSize(second, m, "second");
    b.AddInstruction(KernelId::kPointwise, {one}, {grid}, {}, PwTimes(3.0f), "grid");
    b.AddInstruction(KernelId::kCopy, {dims}, {sizes}, {}, {}, "sizes");
  });
  return b.Build();
}

// Whether a run succeeds follows from its inputs, whatever the run before it found: with the last
// run's M, K*M would be below its bounds in between.
TEST_P(SizesOnEveryBackend, ARunFollowsFromItsInputsOnly) {
  const Model model = OpenProgram(TwoSizesProgram(), GetParam());
  Session session = MakeSession(model);
  int64_t k = 0, m = 0;
  ASSERT_FLOE_OK(session.Bind({ScalarOf(&k), ScalarOf(&m)}));
  const std::array<int64_t, 2> runs[] = {{1, 4}, {4, 1}, {1, 4}, {8, 8}, {2, 1}, {1, 8}, {1, 0},
                                         {4, 2}, {8, 1}, {9, 4}, {1, 5}, {3, 9}, {1, 4}};
  for (const auto& [rows, columns] : runs) {
    SCOPED_TRACE(::testing::Message() << rows << " x " << columns);
    k = rows;
    m = columns;
    const Outcome run = session.Run();
    if (k > 8 || m > 8 || k * m < 4) {
      EXPECT_EQ(run.code(), FLOE_OUT_OF_RANGE);
      EXPECT_THAT(run.Message(), HasSubstr("kRunSize"));
      continue;
    }
    ASSERT_FLOE_OK(run);
    EXPECT_THAT(session.Output(0)->Dims(), ElementsAre(k));
    EXPECT_THAT(ReadOutput<float>(session, 0), Each(2.0f));
    EXPECT_THAT(session.Output(1)->Dims(), ElementsAre(k * m));
    EXPECT_THAT(ReadOutput<float>(session, 1), Each(3.0f));
    EXPECT_THAT(ReadOutput<int64_t>(session, 2), ElementsAre(k, m, k * m));
  }
}

TEST(Sizes, TheSizeOutsideItsBoundsIsNamed) {
  const Model model = OpenProgram(TwoSizesProgram());
  Session session = MakeSession(model);
  int64_t k = 2, m = 1;
  ASSERT_FLOE_OK(session.Bind({ScalarOf(&k), ScalarOf(&m)}));
  EXPECT_THAT(session.Run().Message(),
              AllOf(HasSubstr("'second'"), HasSubstr("K*M is 4 to 64"), HasSubstr("got 2")));
  m = 11;
  EXPECT_THAT(session.Run().Message(),
              AllOf(HasSubstr("'second'"), HasSubstr("M is 0 to 8"), HasSubstr("got 11")));
  k = -3;
  EXPECT_THAT(session.Run().Message(),
              AllOf(HasSubstr("'first'"), HasSubstr("K is 0 to 8"), HasSubstr("got -3")));
}

// k i64 [] -> left f32 [8-K], sizes i64 [1] = K. At K's bound, left is empty: there is no room for
// what a smaller K asks for.
TEST_P(SizesOnEveryBackend, NothingGrowsBeyondWhatBindMadeRoomFor) {
  ProgramBuilder b;
  const uint32_t k = b.AddDataSymbol("K", 0, 8);
  const uint32_t count = b.AddInput("k", DType::kI64, {});
  const uint32_t left = b.AddOutput("left", DType::kF32, {Dim::Of(k, -1, 8)});
  const uint32_t sizes = b.AddOutput("sizes", DType::kI64, {1});
  const uint32_t one = b.AddFloats("one", {1}, {1});
  const uint32_t dims = b.AddDims("dims", {Dim::Of(k)});
  b.AddMethod("main", {count}, {left, sizes}, [&] {
    b.AddSize(count, k, "size");
    b.AddInstruction(KernelId::kPointwise, {one}, {left}, {}, PwTimes(2.0f), "left");
    b.AddInstruction(KernelId::kCopy, {dims}, {sizes}, {}, {}, "sizes");
  });
  const Model model = OpenProgram(b.Build(), GetParam());
  Session session = std::move(Session::Make(model)).value();
  int64_t found = 8;
  ASSERT_FLOE_OK(session.Bind({ScalarOf(&found)}));
  std::vector<float> guard(8, -1.0f);
  int64_t size = -1;
  ASSERT_FLOE_OK(session.SetOutput(0, guard.data(), 0));
  ASSERT_FLOE_OK(session.SetOutput(1, &size, sizeof(size)));
  for (const int64_t value : {8, 2, 8, 0, 7, 8}) {
    SCOPED_TRACE(value);
    found = value;
    size = -1;
    const Outcome run = session.Run();
    EXPECT_EQ(run.ok(), value == 8);
    EXPECT_EQ(size, value == 8 ? 8 : -1);
    EXPECT_THAT(guard, Each(-1.0f));
    EXPECT_EQ(session.Output(0)->bytes, 0u) << "what the buffer does not have is not shown";
    if (run.ok()) continue;
    EXPECT_THAT(run.Message(), AllOf(HasSubstr("kArenaRange"), HasSubstr("'left'")));
  }
}

// k i64 [] -> y f32 [2 floor(K/2)], a copy of K numbers: the copy's check holds at K's bounds, but
// not for odd sizes.
TEST_P(SizesOnEveryBackend, AfterACheckThatFailsTheSessionRunsOn) {
  ProgramBuilder b;
  const uint32_t k = b.AddDataSymbol("K", 0, 8);
  const uint32_t half = b.AddDerived("K/2", SymbolKind::kFloorDiv, Dim::Of(k), 2, 0, 4);
  const uint32_t count = b.AddInput("k", DType::kI64, {});
  const uint32_t y = b.AddOutput("y", DType::kF32, {Dim::Of(half, 2)});
  const uint32_t z = b.AddOutput("z", DType::kF32, {Dim::Of(k)});
  const uint32_t one = b.AddFloats("one", {1}, {1});
  const uint32_t twos = b.AddArena("twos", DType::kF32, {Dim::Of(k)});
  b.AddMethod("main", {count}, {y, z}, [&] {
    b.AddSize(count, k, "size");
    b.AddInstruction(KernelId::kPointwise, {one}, {twos}, {}, PwTimes(2.0f), "twos");
    b.AddInstruction(KernelId::kCopy, {twos}, {y}, {}, {}, "copy");
    b.AddInstruction(KernelId::kPointwise, {twos}, {z}, {}, PwTimes(3.0f), "z");
  });
  const Model model = OpenProgram(b.Build(), GetParam());
  Session session = MakeSession(model);
  int64_t found = 0;
  ASSERT_FLOE_OK(session.Bind({ScalarOf(&found)}));
  for (const int64_t value : {8, 3, 6, 5, 5, 2, 7, 0, 1, 8, 4}) {
    SCOPED_TRACE(value);
    found = value;
    for (uint32_t i = 0; i < 2; ++i) {
      const Tensor t = *session.Output(i);
      std::memset(t.data, 0xff, t.bytes);
    }
    const Outcome run = session.Run();
    ASSERT_EQ(run.ok(), value % 2 == 0) << run.Message();
    if (!run.ok()) {
      EXPECT_THAT(run.Message(), AllOf(HasSubstr("kInstructionShape"), HasSubstr("'copy'"),
                                       HasSubstr("K=" + std::to_string(value))));
      continue;
    }
    EXPECT_THAT(session.Output(0)->Dims(), ElementsAre(value));
    EXPECT_THAT(ReadOutput<float>(session, 0), Each(2.0f));
    EXPECT_THAT(session.Output(1)->Dims(), ElementsAre(value));
    EXPECT_THAT(ReadOutput<float>(session, 1), Each(6.0f));
  }
}

// "whole": x f32 [N] -> y f32 [N]; "part": the same, and q f32 [floor(8/N)]; "fixed": -> y f32 [1].
// N is 0 to 8.
ProgramData QuotientProgram() {
  ProgramBuilder b;
  const uint32_t n = b.AddSymbol("N", 0, 8);
  const uint32_t part = b.AddDerived("8/N", SymbolKind::kFloorDiv, 8, Dim::Of(n), 2, 8);
  const uint32_t one = b.AddFloats("one", {1}, {1});
  for (const bool with_part : {false, true}) {
    const uint32_t x = b.AddInput("x", DType::kF32, {Dim::Of(n)});
    const uint32_t y = b.AddOutput("y", DType::kF32, {Dim::Of(n)});
    Values outputs = {y};
    if (with_part) outputs.push_back(b.AddOutput("q", DType::kF32, {Dim::Of(part)}));
    b.AddMethod(with_part ? "part" : "whole", {x}, outputs, [&] {
      b.AddInstruction(KernelId::kPointwise, {x}, {y}, {}, PwTimes(2.0f), "y");
      if (!with_part) return;
      b.AddInstruction(KernelId::kPointwise, {one}, {outputs[1]}, {}, PwTimes(3.0f), "q");
    });
  }
  const uint32_t y = b.AddOutput("y", DType::kF32, {1});
  b.AddMethod("fixed", {}, {y},
              [&] { b.AddInstruction(KernelId::kPointwise, {one}, {y}, {}, PwTimes(4.0f), "y"); });
  return b.Build();
}

// A derived size of another method neither refuses shapes nor is refused.
TEST(Sizes, AMethodIsBoundByItsOwnSizesOnly) {
  const Model model = OpenProgram(QuotientProgram());
  const uint32_t whole = *model.Find(FLOE_METHOD, "whole");
  const uint32_t part = *model.Find(FLOE_METHOD, "part");
  const uint32_t fixed = *model.Find(FLOE_METHOD, "fixed");
  Session session = MakeSession(model);
  const std::vector<float> x(8, 1.0f);
  for (const int64_t n : {0, 1, 3, 4, 5, 8}) {
    SCOPED_TRACE(n);
    ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {n})}, whole));
    ASSERT_FLOE_OK(session.Run({}, whole));
    EXPECT_EQ(ReadOutput<float>(session, 0, whole),
              std::vector<float>(static_cast<size_t>(n), 2.0f));
    const Outcome bound = session.Bind({TensorOf(x.data(), {n})}, part);
    if (n == 0 || 8 / n < 2) {
      EXPECT_EQ(bound.code(), FLOE_INVALID_ARGUMENT);
      EXPECT_THAT(bound.Message(), AllOf(HasSubstr("kBindSymbolRange"), HasSubstr("8/N is 2 to 8"),
                                         HasSubstr("got " + std::to_string(n == 0 ? 0 : 8 / n))));
      continue;
    }
    ASSERT_FLOE_OK(bound);
    ASSERT_FLOE_OK(session.Run({}, part));
    EXPECT_EQ(ReadOutput<float>(session, 1, part),
              std::vector<float>(static_cast<size_t>(8 / n), 3.0f));
  }
  ASSERT_FLOE_OK(session.Bind(std::span<const Tensor>(), fixed));
  ASSERT_FLOE_OK(session.Run({}, fixed));
  EXPECT_THAT(ReadOutput<float>(session, 0, fixed), ElementsAre(4.0f));
}

// [T] and [T/2, 2] are as large as each other for every T that is a multiple of 2, and for no
// other.
TEST(Sizes, AnAliasNeedsToFitMultiplesOnly) {
  ProgramBuilder b;
  const uint32_t t = b.AddSymbol("T", 2, 9, 2);
  const uint32_t half = b.AddDerived("T/2", SymbolKind::kFloorDiv, Dim::Of(t), 2, 1, 4);
  const uint32_t x = b.AddInput("x", DType::kF32, {Dim::Of(t)});
  const uint32_t y = b.AddOutput("y", DType::kF32, {Dim::Of(half), 2});
  const uint32_t pairs = b.AddAlias("pairs", x, {Dim::Of(half), 2});
  b.AddMethod("main", {x}, {y},
              [&] { b.AddInstruction(KernelId::kCopy, {pairs}, {y}, {}, {}, "y"); });
  const Model model = OpenProgram(b.Build());
  Session session = MakeSession(model);
  const std::vector<float> data = {1, 2, 3, 4, 5, 6, 7, 8};
  for (const int64_t n : {2, 8, 4}) {
    ASSERT_FLOE_OK(session.Bind({TensorOf(data.data(), {n})}));
    ASSERT_FLOE_OK(session.Run());
    EXPECT_THAT(session.Output(0)->Dims(), ElementsAre(n / 2, 2));
    EXPECT_EQ(ReadOutput<float>(session),
              std::vector<float>(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(n)));
  }
}

}  // namespace
}  // namespace floe::testing
