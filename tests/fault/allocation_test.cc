// Every allocation fails once, at every index: a status comes back, nothing leaks, and what was
// there before still works.
#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/format/sample_programs.h"
#include "tests/runtime/support.h"

namespace floe::testing {
namespace {

// Fails allocation number `fail_at` and counts what is out.
struct FaultyAllocator {
  int64_t fail_at = -1;
  int64_t allocations = 0;
  int64_t live = 0;
  int64_t live_bytes = 0;

  floe_allocator Get() {
    return {this,
            [](void* self, size_t bytes, size_t alignment) -> void* {
              auto* a = static_cast<FaultyAllocator*>(self);
              if (a->allocations++ == a->fail_at) return nullptr;
              void* p = nullptr;
              if (alignment < sizeof(void*)) alignment = sizeof(void*);
              if (posix_memalign(&p, alignment, bytes) != 0) return nullptr;
              ++a->live;
              a->live_bytes += static_cast<int64_t>(bytes);
              return p;
            },
            [](void* self, void* memory, size_t bytes) {
              auto* a = static_cast<FaultyAllocator*>(self);
              --a->live;
              a->live_bytes -= static_cast<int64_t>(bytes);
              std::free(memory);
            }};
  }
};

class Allocation : public ::testing::TestWithParam<Sample> {};
INSTANTIATE_TEST_SUITE_P(Fault, Allocation, ::testing::ValuesIn(SamplePrograms()),
                         [](const auto& info) { return std::string(info.param.name); });

std::vector<Tensor> LargestInputs(const Model& model, uint32_t method, bool largest) {
  std::vector<Tensor> inputs;
  for (uint32_t i = 0; i < model.Method(method).inputs; ++i) {
    const floe_tensor_spec spec = model.Spec(FLOE_INPUT, i, method);
    Tensor t;
    t.dtype = spec.dtype;
    t.rank = spec.rank;
    for (uint32_t a = 0; a < spec.rank; ++a) {
      t.dims[a] = largest ? spec.axes[a].max : spec.axes[a].min;
    }
    inputs.push_back(t);
  }
  return inputs;
}

TEST_P(Allocation, OpenFailsCleanlyAtEveryIndex) {
  const std::vector<uint8_t> file = FileOf(GetParam().make());
  int64_t index = 0;
  for (;; ++index) {
    FaultyAllocator allocator;
    allocator.fail_at = index;
    OpenOptions options;
    options.copy = 1;
    options.allocator = allocator.Get();
    bool done = false;
    {
      const Result<Model> model = Model::Open(file.data(), file.size(), options);
      done = model.ok();
      if (!done) {
        ASSERT_EQ(model.outcome().code(), FLOE_RESOURCE_EXHAUSTED) << model.outcome().Message();
        EXPECT_THAT(model.outcome().Message(), ::testing::HasSubstr("memory is exhausted"));
      }
    }
    EXPECT_EQ(allocator.live, 0) << index;
    EXPECT_EQ(allocator.live_bytes, 0) << index;
    if (done) break;
    ASSERT_LT(index, 1000);
  }
  EXPECT_GE(index, 3);
}

TEST_P(Allocation, SessionAndBindFailCleanlyAtEveryIndex) {
  const Model model = OpenProgram(GetParam().make());
  const uint32_t methods = model.Info().methods;
  for (int64_t index = 0;; ++index) {
    FaultyAllocator allocator;
    allocator.fail_at = index;
    SessionOptions options;
    options.allocator = allocator.Get();
    options.own_outputs = 1;
    options.profile_events = 3;
    bool done = false;
    {
      const auto use = [&]() -> Outcome {
        Result<Session> session = Session::Make(model, options);
        if (!session.ok()) return session.outcome();
        for (uint32_t m = 0; m < methods; ++m) {
          Outcome o = session->Bind(LargestInputs(model, m, true), m);
          if (!o.ok()) return o;
        }
        return Outcome();
      };
      const Outcome o = use();
      done = o.ok();
      ASSERT_TRUE(done || o.code() == FLOE_RESOURCE_EXHAUSTED) << o.Message();
    }
    EXPECT_EQ(allocator.live, 0) << index;
    EXPECT_EQ(allocator.live_bytes, 0) << index;
    if (done) break;
    ASSERT_LT(index, 1000);
  }
}

TEST(AllocationFault, ABindThatFailsLeavesTheEarlierBinding) {
  const Model model = OpenProgram(MlpProgram());
  FaultyAllocator allocator;
  SessionOptions options;
  options.allocator = allocator.Get();
  options.own_outputs = 1;
  Session session = std::move(Session::Make(model, options)).value();
  const std::vector<float> x(8 * 4, 0.5f);
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {1, 4})}));
  ASSERT_FLOE_OK(session.Run());
  const std::vector<float> expected = ReadOutput<float>(session);
  for (int64_t later = 0;; ++later) {
    allocator.fail_at = allocator.allocations + later;
    const Outcome o = session.Bind({TensorOf(x.data(), {8, 4})});
    if (o.ok()) {
      EXPECT_GE(later, 2);
      break;
    }
    EXPECT_EQ(o.code(), FLOE_RESOURCE_EXHAUSTED);
    ASSERT_FLOE_OK(session.Run());
    EXPECT_EQ(ReadOutput<float>(session), expected);
  }
  ASSERT_FLOE_OK(session.Run());
  EXPECT_EQ(ReadOutput<float>(session).size(), 24u);
}

TEST(AllocationFault, PoolsAndExecutorsFailCleanlyAtEveryIndex) {
  const Model model = OpenProgram(MlpProgram());
  for (int64_t index = 0;; ++index) {
    FaultyAllocator allocator;
    allocator.fail_at = index;
    bool done = false;
    {
      ThreadPoolOptions options;
      options.threads = 3;
      options.allocator = allocator.Get();
      const Result<ThreadPool> pool = ThreadPool::Make(options);
      done = pool.ok();
      EXPECT_EQ(pool.outcome().code(), done ? FLOE_OK : FLOE_RESOURCE_EXHAUSTED);
    }
    EXPECT_EQ(allocator.live, 0) << index;
    if (done) {
      EXPECT_GE(index, 2);
      break;
    }
  }
  FaultyAllocator allocator;
  {
    SessionOptions options;
    options.allocator = allocator.Get();
    options.executor.parallel_for = [](void*, uint32_t, void (*)(void*, uint32_t), void*) {};
    options.executor.workers = 2;
    // All its allocations fail in turn; the last one is the executor's job.
    for (allocator.fail_at = 0;; ++allocator.fail_at) {
      allocator.allocations = 0;
      if (Session::Make(model, options).ok()) break;
    }
    EXPECT_GE(allocator.fail_at, 2);
  }
  EXPECT_EQ(allocator.live, 0);
}

}  // namespace
}  // namespace floe::testing
