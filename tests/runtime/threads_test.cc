// Pools, injected executors, concurrent sessions: the same bits whatever runs where.
#include <gmock/gmock.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "runtime/thread_pool.h"
#include "tests/format/sample_programs.h"
#include "tests/runtime/support.h"

namespace floe::testing {
namespace {

constexpr int64_t kRows = 5;
constexpr size_t kCount = kRows * 64 * 64;

std::vector<float> WideInput() {
  std::vector<float> x(kCount);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 997) * 0.01f - 4.0f;
  return x;
}

// The program's output in a session with these options.
std::vector<float> RunWide(const Model& model, SessionOptions options, int runs = 1) {
  options.own_outputs = 1;
  Result<Session> session = Session::Make(model, options);
  EXPECT_TRUE(session.ok()) << session.outcome().Message();
  const std::vector<float> x = WideInput();
  EXPECT_FLOE_OK(session->Bind({TensorOf(x.data(), {kRows, 64, 64})}));
  for (int i = 0; i < runs; ++i) EXPECT_FLOE_OK(session->Run());
  return ReadOutput<float>(*session);
}

TEST(Threads, EveryNumberOfWorkersGivesTheSameBits) {
  for (const BackendChoice& backend : AvailableBackends()) {
    const Model model = OpenProgram(WideProgram(), backend);
    const std::vector<float> alone = RunWide(model, {});
    ASSERT_EQ(alone.size(), kCount);
    for (const uint32_t threads : {1u, 2u, 3u, 7u}) {
      const ThreadPool pool = std::move(ThreadPool::Make(threads)).value();
      EXPECT_EQ(pool.size(), threads);
      SessionOptions options;
      options.pool = pool.get();
      EXPECT_EQ(0, std::memcmp(alone.data(), RunWide(model, options, 3).data(), kCount * 4))
          << backend.backend << backend.isa << " " << threads;
    }
  }
}

TEST(Threads, WorkIsReallyShared) {
  const Model model = OpenProgram(WideProgram());
  const ThreadPool pool = std::move(ThreadPool::Make(3)).value();
  SessionOptions options;
  options.own_outputs = 1;
  options.pool = pool.get();
  options.profile_events = 2;
  Session session = std::move(Session::Make(model, options)).value();
  EXPECT_FLOE_OK(session.Bind({TensorOf(static_cast<float*>(nullptr), {64, 64, 64})}));
  const std::vector<float> x(64 * 64 * 64, 1.0f);
  EXPECT_FLOE_OK(session.SetInput(0, x.data(), x.size() * 4));
  EXPECT_FLOE_OK(session.Run());
  floe_profile_entry entries[2];
  const auto events = session.TakeProfile(entries);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].workers, 3u);
}

TEST(Threads, SessionsThatFindThePoolTakenRunAlone) {
  const Model model = OpenProgram(WideProgram());
  const std::vector<float> alone = RunWide(model, {});
  const ThreadPool pool = std::move(ThreadPool::Make(3)).value();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      SessionOptions options;
      options.pool = pool.get();
      for (int i = 0; i < 4; ++i) {
        const std::vector<float> y = RunWide(model, options, 3);
        if (std::memcmp(alone.data(), y.data(), kCount * 4) != 0) ++wrong;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, ManySessionsShareOneModel) {
  const Model model = OpenProgram(MlpProgram());
  std::vector<float> x(8 * 4);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) * 0.1f - 1.0f;
  Session first = MakeSession(model);
  ASSERT_FLOE_OK(first.Bind({TensorOf(x.data(), {8, 4})}));
  ASSERT_FLOE_OK(first.Run());
  const std::vector<float> expected = ReadOutput<float>(first);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 32; ++t) {
    threads.emplace_back([&] {
      Session session = MakeSession(model);
      for (int i = 0; i < 20; ++i) {
        const int64_t n = 1 + i % 8;
        if (!session.Bind({TensorOf(x.data(), {n, 4})}).ok() || !session.Run().ok()) ++wrong;
        const std::vector<float> y = ReadOutput<float>(session);
        if (std::memcmp(y.data(), expected.data(), y.size() * 4) != 0) ++wrong;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, ASessionInUseRefusesASecondThread) {
  const Model model = OpenProgram(SpinProgram());
  Session session = MakeSession(model);
  const int64_t trips = 1 << 24;
  const float x[4] = {1, 2, 3, 4};
  ASSERT_FLOE_OK(session.Bind({TensorOf(&trips, std::span<int64_t>()), TensorOf(x, {4})}));
  std::atomic<int32_t> cancel{0};
  Outcome ran;
  std::thread runner([&] {
    RunOptions options;
    options.CancelBy(&cancel);
    // Until it meets none of the short runs below.
    do {
      ran = session.Run(options);
    } while (ran.code() == FLOE_FAILED_PRECONDITION);
  });
  RunOptions late;
  late.deadline_ns = 1;
  Outcome second;
  do {
    second = session.Run(late);
  } while (second.code() == FLOE_DEADLINE_EXCEEDED);
  cancel = 1;
  runner.join();
  EXPECT_EQ(second.code(), FLOE_FAILED_PRECONDITION);
  EXPECT_EQ(ran.code(), FLOE_CANCELLED);
}

// ---- Injected executors -------------------------------------------------------------------------

struct CountingExecutor {
  std::atomic<int> calls{0};
  std::atomic<int> bodies{0};
  bool threaded = false;
  bool backwards = false;

  floe_executor Get(uint32_t workers) {
    return {this,
            [](void* self, uint32_t n, void (*fn)(void*, uint32_t), void* arg) {
              auto* e = static_cast<CountingExecutor*>(self);
              ++e->calls;
              e->bodies += static_cast<int>(n);
              if (e->threaded) {
                std::vector<std::thread> threads;
                for (uint32_t i = 1; i < n; ++i) threads.emplace_back([=] { fn(arg, i); });
                fn(arg, 0);
                for (std::thread& t : threads) t.join();
              } else {
                for (uint32_t i = 0; i < n; ++i) fn(arg, e->backwards ? n - 1 - i : i);
              }
            },
            workers};
  }
};

TEST(Executor, TheHostsThreadsGiveTheSameBits) {
  const Model model = OpenProgram(WideProgram());
  const std::vector<float> alone = RunWide(model, {});
  for (const uint32_t workers : {1u, 2u, 5u, 256u}) {
    for (int kind = 0; kind < 3; ++kind) {
      CountingExecutor executor;
      executor.threaded = kind == 1 && workers < 10;
      executor.backwards = kind == 2;
      SessionOptions options;
      options.executor = executor.Get(workers);
      EXPECT_EQ(0, std::memcmp(alone.data(), RunWide(model, options).data(), kCount * 4));
      EXPECT_EQ(executor.calls > 0, workers > 1) << workers;
    }
  }
}

TEST(Executor, OptionsThatContradictAreRefused) {
  const Model model = OpenProgram(WideProgram());
  CountingExecutor executor;
  const ThreadPool pool = std::move(ThreadPool::Make(2)).value();
  SessionOptions options;
  options.executor = executor.Get(2);
  options.pool = pool.get();
  EXPECT_EQ(Session::Make(model, options).outcome().code(), FLOE_INVALID_ARGUMENT);
  options.pool = nullptr;
  options.executor.workers = 0;
  EXPECT_EQ(Session::Make(model, options).outcome().code(), FLOE_INVALID_ARGUMENT);
  options.executor.workers = 257;
  EXPECT_EQ(Session::Make(model, options).outcome().code(), FLOE_INVALID_ARGUMENT);
  options.executor.workers = 2;
  EXPECT_TRUE(Session::Make(model, options).ok());
}

// ---- The pool itself ----------------------------------------------------------------------------

struct Tally {
  static constexpr uint32_t kTasks = 1000;
  std::atomic<uint32_t> seen[kTasks] = {};
  std::atomic<uint32_t> workers[16] = {};

  static void Run(void* self, uint32_t worker, uint32_t begin, uint32_t end) {
    auto* t = static_cast<Tally*>(self);
    for (uint32_t i = begin; i < end; ++i) ++t->seen[i];
    t->workers[worker] += end - begin;
  }
};

runtime::ThreadPool* MakePool(uint32_t threads) {
  runtime::ThreadPoolOptions options;
  options.threads = threads;
  options.allocator = DefaultAllocator();
  ErrorSink sink;
  return runtime::ThreadPool::Make(options, &sink);
}

TEST(ThreadPool, EveryTaskRunsExactlyOnce) {
  runtime::ThreadPool* pool = MakePool(4);
  ASSERT_NE(pool, nullptr);
  ASSERT_TRUE(pool->TryAcquire());
  EXPECT_FALSE(pool->TryAcquire());
  auto tally = std::make_unique<Tally>();
  for (uint32_t round = 1; round <= 300; ++round) {
    // All sizes, fewer tasks than workers too.
    const uint32_t tasks = round < 10 ? round : Tally::kTasks - round % 7;
    for (auto& s : tally->seen) s = 0;
    pool->Run(&Tally::Run, tally.get(), tasks);
    for (uint32_t i = 0; i < Tally::kTasks; ++i) ASSERT_EQ(tally->seen[i], i < tasks ? 1u : 0u);
    // Let the workers fall asleep now and then.
    if (round % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (int w = 4; w < 16; ++w) EXPECT_EQ(tally->workers[w], 0u);
  pool->Release();
  EXPECT_TRUE(pool->TryAcquire());
  pool->Release();
  pool->Unref();
}

TEST(ThreadPool, ASlowWorkerLosesItsTasksToTheOthers) {
  runtime::ThreadPool* pool = MakePool(3);
  ASSERT_NE(pool, nullptr);
  ASSERT_TRUE(pool->TryAcquire());
  struct Slow {
    std::atomic<uint32_t> done{0};
    static void Run(void* self, uint32_t worker, uint32_t begin, uint32_t end) {
      auto* s = static_cast<Slow*>(self);
      // A worker that takes a piece does not come back before all others have run.
      if (worker == 1) {
        while (s->done.load() < 200) std::this_thread::yield();
      }
      s->done += end - begin;
    }
  } slow;
  // Worker 1 holds at most half of its chunk of 100: the other 250 and more must get done.
  pool->Run(&Slow::Run, &slow, 300);
  EXPECT_EQ(slow.done, 300u);
  pool->Release();
  pool->Unref();
}

// A worker whose core is taken away with a piece begun holds every job up: the caller goes on
// alone, and tries again later.
TEST(ThreadPool, AWorkerThatStandsStillIsLeftAloneForAWhile) {
  runtime::ThreadPool* pool = MakePool(2);
  ASSERT_NE(pool, nullptr);
  ASSERT_TRUE(pool->TryAcquire());
  struct Still {
    bool wait = true;  // Until both workers have begun.
    std::atomic<uint32_t> begun[2] = {};
    static void Run(void* self, uint32_t worker, uint32_t, uint32_t) {
      auto* s = static_cast<Still*>(self);
      ++s->begun[worker];
      for (int i = 0; i < 1000000 && s->wait && worker == 0 && s->begun[1] == 0; ++i) {
        std::this_thread::yield();
      }
      // Far longer than the caller's own pieces take once both have begun.
      if (s->wait && worker == 1) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  };
  // The caller's part of the time includes that until the other one begins, which a busy machine
  // stretches: so several tries.
  bool alone = false;
  for (int tries = 0; tries < 20 && !alone; ++tries) {
    Still still;
    pool->Run(&Still::Run, &still, 2);
    Still next;
    next.wait = false;
    for (int i = 0; i < 100; ++i) pool->Run(&Still::Run, &next, 2);
    alone = next.begun[1] == 0 && next.begun[0] == 100;  // One call for both tasks.
  }
  EXPECT_TRUE(alone);
  // Later both work again.
  bool together = false;
  for (int tries = 0; tries < 500 && !together; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    Still next;
    next.wait = false;
    for (int i = 0; i < 100; ++i) pool->Run(&Still::Run, &next, 2);
    together = next.begun[1] > 0;
  }
  EXPECT_TRUE(together);
  pool->Release();
  pool->Unref();
}

TEST(ThreadPool, SizeZeroIsTheMachines) {
  const ThreadPool pool = std::move(ThreadPool::Make()).value();
  EXPECT_GE(pool.size(), 1u);
  EXPECT_LE(pool.size(), 256u);
  // Sessions keep the pool alive.
  const Model model = OpenProgram(WideProgram());
  SessionOptions options;
  Session session;
  {
    const ThreadPool inner = std::move(ThreadPool::Make(2)).value();
    options.pool = inner.get();
    options.own_outputs = 1;
    session = std::move(Session::Make(model, options)).value();
  }
  const std::vector<float> x = WideInput();
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {kRows, 64, 64})}));
  ASSERT_FLOE_OK(session.Run());
}

}  // namespace
}  // namespace floe::testing
