#include "runtime/thread_pool.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <new>

namespace floe::runtime {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kDefaultStack = size_t{256} << 10;

inline void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void Futex(std::atomic<uint32_t>* word, int operation, uint32_t value) {
  syscall(SYS_futex, word, operation, value, nullptr, nullptr, 0);
}
void FutexWait(std::atomic<uint32_t>* word, uint32_t expected) {
  Futex(word, FUTEX_WAIT_PRIVATE, expected);
}
void FutexWake(std::atomic<uint32_t>* word, uint32_t count) {
  Futex(word, FUTEX_WAKE_PRIVATE, count);
}

uint64_t NowUs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000 + static_cast<uint64_t>(t.tv_nsec) / 1000;
}

// Spins until `done()` or for about `us`. True if done.
template <typename F>
bool SpinFor(uint32_t us, F done) {
  uint64_t deadline = 0;
  for (uint32_t i = 1;; ++i) {
    if (done()) return true;
    Pause();
    if (i % 64 != 0) continue;
    const uint64_t now = NowUs();
    if (deadline == 0) deadline = now + us;
    if (now >= deadline) return done();
  }
}

uint32_t AvailableCpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    const int n = CPU_COUNT(&set);
    if (n > 0) return static_cast<uint32_t>(n);
  }
  const long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? static_cast<uint32_t>(n) : 1;
}

}  // namespace

// ---- Job ----------------------------------------------------------------------------------------

void Job::Publish(TaskFn fn, void* arg, uint32_t tasks, uint32_t workers) {
  fn_ = fn;
  arg_ = arg;
  tasks_ = tasks;
  done_.store(0, std::memory_order_relaxed);
  uint32_t begin = 0;
  for (uint32_t w = 0; w < workers; ++w) {
    const auto end = static_cast<uint32_t>(uint64_t{tasks} * (w + 1) / workers);
    chunks_[w].end = end;
    // Publishes the fields above to whoever takes a task of this chunk.
    chunks_[w].remaining.store(end - begin, std::memory_order_release);
    begin = end;
  }
}

void Job::Work(uint32_t worker, uint32_t workers) {
  for (uint32_t k = 0; k < workers; ++k) {
    Chunk& chunk = chunks_[(worker + k) % workers];
    uint32_t left = chunk.remaining.load(std::memory_order_relaxed);
    while (left != 0) {
      const uint32_t take = (left + 1) / 2;
      if (!chunk.remaining.compare_exchange_weak(left, left - take, std::memory_order_acquire,
                                                 std::memory_order_relaxed)) {
        continue;
      }
      const uint32_t begin = chunk.end - left;
      // The job may be over, and this object reused, as soon as the last task is counted.
      const uint32_t tasks = tasks_;
      fn_(arg_, worker, begin, begin + take);
      if (done_.fetch_add(take, std::memory_order_seq_cst) + take == tasks &&
          waiting_.load(std::memory_order_seq_cst) != 0) {
        FutexWake(&done_, 1);
      }
      left = chunk.remaining.load(std::memory_order_relaxed);
    }
  }
}

bool Job::Await() {
  constexpr uint32_t kSpinUs = 50;
  const auto done = [this] { return done_.load(std::memory_order_acquire) == tasks_; };
  if (SpinFor(kSpinUs, done)) return false;
  waiting_.store(1, std::memory_order_seq_cst);
  for (;;) {
    const uint32_t now = done_.load(std::memory_order_seq_cst);
    if (now == tasks_) break;
    FutexWait(&done_, now);
  }
  waiting_.store(0, std::memory_order_relaxed);
  return true;
}

// ---- ThreadPool ---------------------------------------------------------------------------------

struct ThreadPool::Thread {
  ThreadPool* pool;
  uint32_t worker;
  pthread_t handle;
};

ThreadPool::ThreadPool(const ThreadPoolOptions& options)
    : allocator_(options.allocator), spin_us_(options.spin_us), pid_(getpid()) {}

ThreadPool* ThreadPool::Make(const ThreadPoolOptions& options, ErrorSink* e) {
  uint32_t threads = options.threads != 0 ? options.threads : AvailableCpus();
  if (threads > kMaxWorkers) threads = kMaxWorkers;
  const Allocator& allocator = options.allocator;
  void* memory = e->Allocate(allocator, sizeof(ThreadPool), alignof(ThreadPool));
  if (memory == nullptr) return nullptr;
  auto* p = new (memory) ThreadPool(options);
  p->capacity_ = threads - 1;
  if (p->capacity_ != 0) {
    const size_t bytes = p->capacity_ * sizeof(Thread);
    p->threads_ = static_cast<Thread*>(e->Allocate(allocator, bytes, alignof(Thread)));
    void* page = e->Allocate(allocator, kPage, kPage);
    if (page != nullptr) p->alive_ = new (page) std::atomic<uint32_t>(1);
    if (p->threads_ == nullptr || page == nullptr) {
      p->Unref();
      return nullptr;
    }
#ifdef MADV_WIPEONFORK
    if (madvise(page, kPage, MADV_WIPEONFORK) == 0) p->pid_ = 0;
#endif
    p->Start(threads, options.stack_bytes);
  }
  return p;
}

void ThreadPool::Start(uint32_t threads, size_t stack_bytes) {
  pthread_attr_t attr;
  if (pthread_attr_init(&attr) != 0) return;
  bool can_start = true;
  if (pthread_attr_setstacksize(&attr, stack_bytes != 0 ? stack_bytes : kDefaultStack) != 0) {
    can_start = stack_bytes == 0;  // The default may be below this system's minimum.
  }
  // Signals are the host's: its handlers must not run on small stacks.
  sigset_t all;
  sigset_t saved;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &saved);
  for (uint32_t i = 0; can_start && i + 1 < threads; ++i) {
    threads_[i] = Thread{this, i + 1, {}};
    if (pthread_create(&threads_[i].handle, &attr, &Main, &threads_[i]) != 0) break;
    started_ = i + 1;
  }
  pthread_sigmask(SIG_SETMASK, &saved, nullptr);
  pthread_attr_destroy(&attr);
}

void ThreadPool::Unref() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (started_ != 0 && !InForkedChild()) {
    stop_.store(true, std::memory_order_seq_cst);
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    FutexWake(&epoch_, INT_MAX);
    for (uint32_t i = 0; i < started_; ++i) pthread_join(threads_[i].handle, nullptr);
  }
  const Allocator allocator = allocator_;
  if (alive_ != nullptr) {
#ifdef MADV_KEEPONFORK
    madvise(alive_, kPage, MADV_KEEPONFORK);
#endif
    allocator.Release(alive_, kPage);
  }
  allocator.Release(threads_, capacity_ * sizeof(Thread));
  this->~ThreadPool();
  allocator.Release(this, sizeof(ThreadPool));
}

bool ThreadPool::InForkedChild() const {
  if (pid_ != 0) return getpid() != pid_;
  return alive_ != nullptr && alive_->load(std::memory_order_relaxed) == 0;
}

bool ThreadPool::TryAcquire() {
  if (started_ == 0 || InForkedChild()) return false;
  return !acquired_.exchange(true, std::memory_order_acquire);
}

void ThreadPool::Release() { acquired_.store(false, std::memory_order_release); }

void ThreadPool::Run(TaskFn fn, void* arg, uint32_t tasks) {
  constexpr uint64_t kLateUs = 400;
  const uint64_t begin = NowUs();
  if (begin < alone_until_us_) return fn(arg, 0, 0, tasks);
  job_.Publish(fn, arg, tasks, size());
  epoch_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) != 0) FutexWake(&epoch_, INT_MAX);
  job_.Work(0, size());
  const uint64_t worked = NowUs();
  if (!job_.Await()) return;
  // Pieces are alike: who waits longer than all of its own took, waits for one that does not run.
  const uint64_t end = NowUs(), late = end - worked;
  if (late > kLateUs && late > 2 * (worked - begin)) alone_until_us_ = end + 8 * late;
}

void* ThreadPool::Main(void* arg) {
  auto* thread = static_cast<Thread*>(arg);
  thread->pool->Loop(thread->worker);
  return nullptr;
}

// Waits until epoch_ differs from `seen`: spins for a while, since the next parallel instruction is
// usually near, then sleeps.
uint32_t ThreadPool::WaitForChange(uint32_t seen) {
  const auto changed = [this, seen] { return epoch_.load(std::memory_order_acquire) != seen; };
  if (SpinFor(spin_us_, changed)) return epoch_.load(std::memory_order_acquire);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  while (epoch_.load(std::memory_order_seq_cst) == seen) FutexWait(&epoch_, seen);
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  return epoch_.load(std::memory_order_acquire);
}

void ThreadPool::Loop(uint32_t worker) {
  // A first change of epoch_ comes after Start has returned, so size() is final when it is read.
  uint32_t seen = 0;
  for (;;) {
    seen = WaitForChange(seen);
    if (stop_.load(std::memory_order_seq_cst)) return;
    job_.Work(worker, size());
  }
}

}  // namespace floe::runtime
