// Worker threads and the way in which the tasks of one instruction are spread over them.
//
// A Job is split into one chunk for each worker. A worker takes pieces of its own chunk first, half
// of what is left at a time, then takes back what others have not started. So nobody waits for a
// worker that the system has not scheduled, and a serial executor finishes the job too. Chunks are
// single atomic counters of remaining tasks: a successful compare-and-swap proves that the job is
// not finished, which makes its plain fields safe to read; there is nothing to acknowledge or to
// reset.
//
// A worker that has begun a piece and then loses its core to another process holds the job up for a
// time slice. Who shares a core loses one in every few milliseconds, and would be slower with two
// threads than with one; so after such a wait the caller works alone for eight times as long.
#ifndef FLOE_RUNTIME_THREAD_POOL_H_
#define FLOE_RUNTIME_THREAD_POOL_H_

#include <atomic>
#include <cstdint>

#include "format/allocator.h"
#include "format/error_sink.h"
#include "runtime/floe.h"

namespace floe::runtime {

inline constexpr uint32_t kMaxWorkers = 256;

// Runs tasks [begin, end) on worker `worker`.
using TaskFn = void (*)(void* arg, uint32_t worker, uint32_t begin, uint32_t end);

class Job {
 public:
  // Splits `tasks` into `workers` chunks. Only when the job before is done.
  void Publish(TaskFn fn, void* arg, uint32_t tasks, uint32_t workers);
  // Takes part as `worker` until no task is left to take. Call on any thread, at any time.
  void Work(uint32_t worker, uint32_t workers);
  // Waits until all tasks have run: spins for a while, then sleeps. True if it slept.
  bool Await();

 private:
  struct alignas(64) Chunk {
    std::atomic<uint32_t> remaining{0};
    uint32_t end = 0;  // Tasks [end - remaining, end) are left.
  };

  TaskFn fn_ = nullptr;
  void* arg_ = nullptr;
  uint32_t tasks_ = 0;
  alignas(64) std::atomic<uint32_t> done_{0};
  std::atomic<uint32_t> waiting_{0};
  Chunk chunks_[kMaxWorkers];
};

struct ThreadPoolOptions {
  uint32_t threads = 0;
  uint32_t spin_us = 200;
  size_t stack_bytes = 0;
  Allocator allocator;
};

class ThreadPool {
 public:
  static ThreadPool* Make(const ThreadPoolOptions& options, ErrorSink* e);
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  // The last one ends and joins the threads (not in a forked child, which has none).
  void Unref();

  // Workers, the calling thread included.
  uint32_t size() const { return started_ + 1; }

  // Takes the pool for a run. False when another run has it, or in a forked child.
  bool TryAcquire();
  void Release();
  // Runs fn over [0, tasks) on all workers, the calling thread being worker 0. Only while acquired.
  void Run(TaskFn fn, void* arg, uint32_t tasks);

 private:
  struct Thread;

  explicit ThreadPool(const ThreadPoolOptions& options);
  ~ThreadPool() = default;
  void Start(uint32_t threads, size_t stack_bytes);
  void Loop(uint32_t worker);
  uint32_t WaitForChange(uint32_t seen);
  bool InForkedChild() const;
  static void* Main(void* arg);

  std::atomic<uint32_t> refs_{1};
  Allocator allocator_;
  uint32_t spin_us_;
  uint32_t capacity_ = 0;  // Elements of threads_.
  uint32_t started_ = 0;
  Thread* threads_ = nullptr;
  std::atomic<bool> stop_{false};
  std::atomic<bool> acquired_{false};
  // Changes when there is a new job or the pool stops: what idle workers watch and sleep on.
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<uint32_t> sleepers_{0};
  Job job_;
  // One page that fork() wipes in the child (null if the kernel cannot): tells a child without a
  // system call. pid_ is the fallback.
  std::atomic<uint32_t>* alive_ = nullptr;
  int64_t pid_ = 0;
  uint64_t alone_until_us_ = 0;  // Of the caller who has acquired the pool.
};

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_THREAD_POOL_H_
