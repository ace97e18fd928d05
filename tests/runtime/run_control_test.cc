// Cancel, deadlines, and the floating-point state around a run.
#include <gmock/gmock.h>

#include <cfenv>
#include <cmath>
#include <thread>

#include "runtime/executor.h"
#include "tests/format/sample_programs.h"
#include "tests/runtime/support.h"

namespace floe::testing {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

TEST(Cancel, StopsBeforeTheNextInstruction) {
  constexpr int kLength = 12;
  const Model model = OpenProgram(ChainProgram(kLength, 4));
  Session session = std::move(Session::Make(model)).value();
  const std::vector<float> x = {1, 2, 3, 4};
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {1, 4})}));
  for (int stop = -1; stop < kLength - 1; ++stop) {
    // The flag is the first word of what instruction `stop` writes: set exactly when it has run.
    std::vector<std::vector<float>> y(kLength, std::vector<float>(4, 0.0f));
    for (int k = 0; k < kLength; ++k) {
      ASSERT_FLOE_OK(session.SetOutput(static_cast<uint32_t>(k), y[k].data(), 16));
    }
    const int32_t set = 1;
    RunOptions options;
    options.cancel = stop < 0 ? &set : reinterpret_cast<const int32_t*>(y[stop].data());
    const Outcome o = session.Run(options);
    EXPECT_EQ(o.code(), FLOE_CANCELLED) << stop;
    EXPECT_THAT(o.Message(), HasSubstr("'link" + std::to_string(stop + 1) + "'"));
    for (int k = 0; k < kLength; ++k) {
      EXPECT_EQ(y[k][0], k <= stop ? std::ldexp(1.0f, k + 1) : 0.0f) << stop << " " << k;
    }
    // The session is usable.
    ASSERT_FLOE_OK(session.Run());
    EXPECT_EQ(y[kLength - 1][3], std::ldexp(4.0f, kLength));
  }
}

class Spin : public ::testing::Test {
 protected:
  Spin() : model_(OpenProgram(SpinProgram())), session_(MakeSession(model_)) {
    EXPECT_FLOE_OK(session_.Bind({TensorOf(&trips_, std::span<int64_t>()), TensorOf(x_, {4})}));
  }
  const int64_t trips_ = 1 << 24;
  const float x_[4] = {1, 2, 3, 4};
  Model model_;
  Session session_;
};

TEST_F(Spin, ALongLoopCanBeCancelledFromAnotherThread) {
  std::atomic<int32_t> cancel{0};
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cancel = 1;
  });
  RunOptions options;
  options.CancelBy(&cancel);
  EXPECT_EQ(session_.Run(options).code(), FLOE_CANCELLED);
  EXPECT_EQ(cancel, 1);
  other.join();
}

TEST_F(Spin, ALongLoopEndsAtItsDeadline) {
  RunOptions options;
  const uint64_t begin = runtime::NowNs();
  options.deadline_ns = begin + 20'000'000;
  const Outcome o = session_.Run(options);
  const uint64_t end = runtime::NowNs();
  EXPECT_EQ(o.code(), FLOE_DEADLINE_EXCEEDED);
  EXPECT_THAT(o.Message(), HasSubstr("deadline"));
  EXPECT_GE(end, options.deadline_ns);
  EXPECT_LT(end, options.deadline_ns + 200'000'000);
  options.deadline_ns = 1;
  EXPECT_EQ(session_.Run(options).code(), FLOE_DEADLINE_EXCEEDED);
}

TEST(Deadline, OneThatIsFarAwayChangesNothing) {
  const Model model = OpenProgram(ChainProgram(3, 4));
  Session session = MakeSession(model);
  const std::vector<float> x = {1, 2, 3, 4};
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {1, 4})}));
  RunOptions options;
  options.deadline_ns = runtime::NowNs() + 60'000'000'000;
  const int32_t no = 0;
  options.cancel = &no;
  ASSERT_FLOE_OK(session.Run(options));
  EXPECT_EQ(ReadOutput<float>(session, 2)[3], 32.0f);
}

// y = 2 x of a denormal and of numbers that round differently in other modes.
std::vector<float> RunChain(floe_denormals denormals, floe_thread_pool* pool = nullptr) {
  const Model model = OpenProgram(ChainProgram(2, 4096));
  SessionOptions options;
  options.own_outputs = 1;
  options.denormals = denormals;
  options.pool = pool;
  Session session = std::move(Session::Make(model, options)).value();
  std::vector<float> x(8 * 4096, 1e-40f);
  for (size_t i = 1; i < x.size(); i += 2) x[i] = 1.0f / static_cast<float>(i);
  EXPECT_FLOE_OK(session.Bind({TensorOf(x.data(), {8, 4096})}));
  EXPECT_FLOE_OK(session.Run());
  return ReadOutput<float>(session, 1);
}

TEST(FloatingPoint, DenormalsAreFlushedOrKept) {
  const std::vector<float> flushed = RunChain(FLOE_DENORMALS_FLUSH);
  const std::vector<float> kept = RunChain(FLOE_DENORMALS_KEEP);
  for (size_t i = 0; i < flushed.size(); i += 2) {
    ASSERT_EQ(flushed[i], 0.0f) << i;
    ASSERT_EQ(kept[i], 1e-40f * 4.0f) << i;
  }
  // On the workers too.
  const ThreadPool pool = std::move(ThreadPool::Make(3)).value();
  EXPECT_EQ(RunChain(FLOE_DENORMALS_FLUSH, pool.get()), flushed);
  EXPECT_EQ(RunChain(FLOE_DENORMALS_KEEP, pool.get()), kept);
}

TEST(FloatingPoint, TheCallersModeDoesNotMatterAndComesBack) {
  const Model model = OpenProgram(MlpProgram());
  Session session = MakeSession(model);
  std::vector<float> x(8 * 4);
  for (size_t i = 0; i < x.size(); ++i) x[i] = 1.0f / static_cast<float>(i + 3);
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {8, 4})}));
  ASSERT_FLOE_OK(session.Run());
  const std::vector<float> expected = ReadOutput<float>(session);
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    ASSERT_EQ(std::fesetround(mode), 0);
    std::feclearexcept(FE_ALL_EXCEPT);
    const Outcome o = session.Run();
    const int after = std::fegetround();
    const int raised = std::fetestexcept(FE_ALL_EXCEPT);
    std::fesetround(FE_TONEAREST);
    EXPECT_TRUE(o.ok());
    EXPECT_EQ(after, mode);
    EXPECT_EQ(raised, 0) << "the run's own flags must not leak";
    EXPECT_EQ(ReadOutput<float>(session), expected);
  }
}

}  // namespace
}  // namespace floe::testing
