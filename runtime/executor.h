// Runs a plan: one pass over its steps on the calling thread, parallel steps on the workers too.
// No allocation, no lock, no system call besides those that wake and await workers (and the clock,
// read through the vDSO, when there is a deadline or a profile).
#ifndef FLOE_RUNTIME_EXECUTOR_H_
#define FLOE_RUNTIME_EXECUTOR_H_

#include <cstddef>
#include <cstdint>

#include "format/allocator.h"
#include "format/error_sink.h"
#include "runtime/floe.h"
#include "runtime/plan.h"
#include "runtime/thread_pool.h"

namespace floe::runtime {

// Where a session's parallel steps run: nowhere else, on a pool, or on the host's executor.
class Workers {
 public:
  // At most one of pool and executor. References the pool.
  bool Init(ThreadPool* pool, const floe_executor& executor, const Allocator& allocator,
            ErrorSink* e);
  void Destroy();

  uint32_t count() const { return count_; }
  size_t bytes() const { return job_ != nullptr ? sizeof(Job) : 0; }
  // Before and after a run. False: the run has only the calling thread.
  bool Begin();
  void End();
  // Runs fn over [0, tasks). Only between a true Begin and End.
  void Run(TaskFn fn, void* arg, uint32_t tasks);

 private:
  ThreadPool* pool_ = nullptr;
  floe_executor executor_ = {};
  Job* job_ = nullptr;  // Of the executor; a pool has its own.
  Allocator allocator_;
  uint32_t count_ = 1;
};

// The last events of a method's runs.
struct ProfileEvent {
  uint32_t instruction;
  uint32_t run;
  uint64_t begin_ns;
  uint64_t end_ns;
  uint32_t workers;
  uint32_t reserved;
};
struct ProfileRing {
  ProfileEvent* events = nullptr;
  uint32_t capacity = 0;
  uint64_t count = 0;  // Recorded since the last take.
};

struct RunContext {
  Plan* plan = nullptr;
  Workers* workers = nullptr;
  ProfileRing* profile = nullptr;  // Null: none.
  const int32_t* cancel = nullptr;
  uint64_t deadline_ns = 0;
  uint32_t run = 0;
  bool flush_denormals = true;
};

// All inputs and outputs must be set.
bool RunPlan(const RunContext& context, ErrorSink* e);

// CLOCK_MONOTONIC.
uint64_t NowNs();

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_EXECUTOR_H_
