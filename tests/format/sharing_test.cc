// What an instruction's footprint allows: storage shared with operands, slack, work.
#include <functional>
#include <utility>

#include "tests/format/rules_test.h"

namespace floe::testing {
namespace {

Status Validate(const ProgramData& data, const FootprintTable& table = FakeFootprints()) {
  return ValidateProgram(data.View(), Limits{}, table, DefaultAllocator());
}

TEST(InPlaceTest, StatesAreUpdatedInPlaceOnlyByKernelsThatCan) {
  for (const bool can : {true, false}) {
    ProgramBuilder b;
    const uint32_t s = b.AddState("s", DType::kF32, {4, 4});
    const uint32_t x = b.AddInput("x", DType::kF32, {4, 4});
    const uint32_t w = b.AddConstant("w", DType::kF32, {4, 4}, std::vector<float>(64).data(), 256,
                                     LayoutId::kGemmPanels16);
    b.AddMethod("main", {x}, {}, [&] {
      if (can) {
        b.AddInstruction(KernelId::kPointwise, {s, x}, {s}, {}, PwAdd());
      } else {
        b.AddInstruction(KernelId::kGemm, {s, w}, {s});
      }
    });
    const Status status = Validate(b.Build());
    EXPECT_EQ(status.rule, can ? Rule::kNone : Rule::kInstructionAlias);
  }
}

// x -> a -> b (by `kernel`) -> y, with b in a's place.
struct Shared {
  bool pointwise = true;
  bool read_again = false;      // a is read after b is written.
  bool second_operand = false;  // b = a + alias of a, of another shape.
  bool partly = false;          // b starts 64 bytes after a.
};
Status ValidateShared(const Shared& options) {
  ProgramBuilder b;
  const uint32_t x = b.AddInput("x", DType::kF32, {8, 8});
  const uint32_t y = b.AddOutput("y", DType::kF32, {8, 8});
  const uint32_t z = b.AddOutput("z", DType::kF32, {8, 8});
  const uint32_t w = b.AddConstant("w", DType::kF32, {8, 8}, std::vector<float>(128).data(), 512,
                                   LayoutId::kGemmPanels16);
  const uint32_t first = b.AddArena("a", DType::kF32, {8, 8});
  const uint32_t second = b.AddArena("b", DType::kF32, {8, 8});
  const uint32_t alias = b.AddAlias("alias", first, {8, 8});
  b.AddMethod("main", {x}, {y, z}, [&] {
    b.AddInstruction(KernelId::kCopy, {x}, {first});
    if (!options.pointwise) {
      b.AddInstruction(KernelId::kGemm, {first, w}, {second});
    } else if (options.second_operand) {
      b.AddInstruction(KernelId::kPointwise, {first, alias}, {second}, {}, PwAdd());
    } else {
      b.AddInstruction(KernelId::kPointwise, {first}, {second}, {}, PwRelu());
    }
    b.AddInstruction(KernelId::kCopy, {options.read_again ? first : second}, {z});
    b.AddInstruction(KernelId::kCopy, {second}, {y});
  });
  ProgramData data = b.Build();
  data.arena_offsets[second] = data.arena_offsets[first] + (options.partly ? 64 : 0);
  return Validate(data);
}

TEST(InPlaceTest, ResultsTakeOverDyingOperands) {
  EXPECT_OK(ValidateShared({}));
  EXPECT_OK(ValidateShared({.second_operand = true}));
  EXPECT_EQ(ValidateShared({.pointwise = false}).rule, Rule::kInstructionAlias);
  EXPECT_EQ(ValidateShared({.read_again = true}).rule, Rule::kInstructionAlias);
  EXPECT_EQ(ValidateShared({.partly = true}).rule, Rule::kInstructionAlias);
}

// Changes what the fake kernels declare.
class Changed final : public FootprintTable {
 public:
  explicit Changed(std::function<void(uint32_t, Footprint*)> change) : change_(std::move(change)) {}
  Status Check(uint32_t kernel, const OpInfo& op, Footprint* footprint) const override {
    FLOE_RETURN_IF_ERROR(FakeFootprints().Check(kernel, op, footprint));
    change_(kernel, footprint);
    return OkStatus();
  }

 private:
  std::function<void(uint32_t, Footprint*)> change_;
};

TEST(InPlaceTest, EveryReaderOfTheStorageMustAllowIt) {
  // As with a convolution whose residual is its own input: in place of operand 1, not of operand 0.
  ProgramBuilder b;
  const uint32_t x = b.AddInput("x", DType::kF32, {8});
  const uint32_t y = b.AddOutput("y", DType::kF32, {8});
  const uint32_t a = b.AddArena("a", DType::kF32, {8});
  const uint32_t sum = b.AddArena("sum", DType::kF32, {8});
  b.AddMethod("main", {x}, {y}, [&] {
    b.AddInstruction(KernelId::kCopy, {x}, {a});
    b.AddInstruction(KernelId::kPointwise, {a, a}, {sum}, {}, PwAdd());
    b.AddInstruction(KernelId::kCopy, {sum}, {y});
  });
  ProgramData data = b.Build();
  data.arena_offsets[sum] = data.arena_offsets[a];
  for (const uint64_t mask : {uint64_t{3}, uint64_t{2}, uint64_t{1}, uint64_t{0}}) {
    const Changed table([&](uint32_t kernel, Footprint* f) {
      if (kernel == static_cast<uint32_t>(KernelId::kPointwise)) f->in_place_inputs = mask;
    });
    EXPECT_EQ(Validate(data, table).rule, mask == 3 ? Rule::kNone : Rule::kInstructionAlias);
  }
}

// In place at the bucket's corner is not enough: with T = 8 both have 8 elements, with T = 1 not.
TEST(InPlaceTest, HoldsForEveryShapeOfTheBucket) {
  for (const int64_t min : {8, 1}) {
    ProgramBuilder b;
    const uint32_t t = b.AddSymbol("T", min, 8);
    const uint32_t x = b.AddInput("x", DType::kF32, {Dim::Of(t)});
    const uint32_t y = b.AddOutput("y", DType::kF32, {8});
    const uint32_t a = b.AddArena("a", DType::kF32, {Dim::Of(t)});
    const uint32_t wide = b.AddArena("wide", DType::kF32, {8});
    b.AddMethod("main", {x}, {y}, [&] {
      b.AddInstruction(KernelId::kCopy, {x}, {a});
      b.AddInstruction(KernelId::kPointwise, {a}, {wide}, {}, PwRelu());
      b.AddInstruction(KernelId::kCopy, {wide}, {y});
    });
    ProgramData data = b.Build();
    data.arena_offsets[wide] = data.arena_offsets[a];
    EXPECT_EQ(Validate(data).rule, min == 8 ? Rule::kNone : Rule::kInstructionAlias);
  }
}

TEST(FootprintTest, CallersBuffersHaveNoSlack) {
  const Changed table([](uint32_t kernel, Footprint* f) {
    if (kernel == static_cast<uint32_t>(KernelId::kGemm)) f->slack_inputs = 3;
  });
  const ProgramData data = MlpProgram();
  EXPECT_OK(Validate(data));
  const Status s = Validate(data, table);
  EXPECT_EQ(s.rule, Rule::kInstructionOperand);
  EXPECT_EQ(s.operand, 0u);
  EXPECT_EQ(s.instruction, 0u);
}

TEST(FootprintTest, PreparedStateCountsAgainstTheLimit) {
  const Changed table([](uint32_t, Footprint* f) { f->state_bytes = int64_t{1} << 62; });
  EXPECT_EQ(Validate(MlpProgram(), table).rule, Rule::kLimitExceeded);
}

TEST(FootprintTest, WorkIsCountedWithTheTripsOfAllLoopsAround) {
  for (const int64_t inner_trips : {10, 100}) {
    ProgramBuilder b;
    const uint32_t trips = b.AddInput("trips", DType::kI64, {});
    const uint32_t go = b.AddInput("go", DType::kBool, {});
    uint32_t i[2];
    for (int k = 0; k < 2; ++k) i[k] = b.AddArena("i", DType::kI64, {});
    b.AddMethod("main", {trips, go}, {}, [&] {
      b.AddLoop(trips, go, {}, {}, 1000, {i[0]}, [&]() -> Values {
        b.AddLoop(trips, go, {}, {}, inner_trips, {i[1]}, [&]() -> Values { return {go}; });
        return {go};
      });
    });
    Limits limits;
    limits.max_work = 3e6;
    // 1000 each for both loop instructions, the inner one 1000 times; its body has none.
    const ProgramData data = b.Build();
    EXPECT_OK(ValidateProgram(data.View(), limits, FakeFootprints(), DefaultAllocator()));
    limits.max_work = 1e6;
    EXPECT_EQ(ValidateProgram(data.View(), limits, FakeFootprints(), DefaultAllocator()).rule,
              Rule::kLoopBound);
  }
}

}  // namespace
}  // namespace floe::testing
