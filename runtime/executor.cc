#include "runtime/executor.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "runtime/fp_mode.h"

namespace floe::runtime {

uint64_t NowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000 + static_cast<uint64_t>(t.tv_nsec);
}

// ---- Workers ------------------------------------------------------------------------------------

bool Workers::Init(ThreadPool* pool, const floe_executor& executor, const Allocator& allocator,
                   ErrorSink* e) {
  allocator_ = allocator;
  if (executor.parallel_for != nullptr) {
    if (pool != nullptr || executor.workers == 0 || executor.workers > kMaxWorkers) {
      return e->Fail(Code::kInvalidArgument, Rule::kHostArgument, kMaxWorkers, executor.workers);
    }
    void* memory = e->Allocate(allocator, sizeof(Job), alignof(Job));
    if (memory == nullptr) return false;
    job_ = new (memory) Job;
    executor_ = executor;
    count_ = executor.workers;
  } else if (pool != nullptr) {
    pool->Ref();
    pool_ = pool;
    count_ = pool->size();
  }
  return true;
}

void Workers::Destroy() {
  if (pool_ != nullptr) pool_->Unref();
  allocator_.Release(job_, sizeof(Job));
  pool_ = nullptr;
  job_ = nullptr;
}

bool Workers::Begin() {
  if (pool_ != nullptr) return pool_->TryAcquire();
  return job_ != nullptr && count_ > 1;
}

void Workers::End() {
  if (pool_ != nullptr) pool_->Release();
}

void Workers::Run(TaskFn fn, void* arg, uint32_t tasks) {
  if (pool_ != nullptr) return pool_->Run(fn, arg, tasks);
  struct Call {
    Job* job;
    uint32_t workers;
  } call = {job_, std::min(count_, tasks)};
  job_->Publish(fn, arg, tasks, call.workers);
  executor_.parallel_for(
      executor_.self, call.workers,
      [](void* self, uint32_t worker) {
        auto* c = static_cast<Call*>(self);
        c->job->Work(worker, c->workers);
      },
      &call);
  job_->Await();
}

// ---- RunPlan ------------------------------------------------------------------------------------

namespace {

// One phase of a parallel step.
struct Phase {
  const Step* step;
  uint32_t number;
  bool flush_denormals;
  char* scratch;
  size_t scratch_stride;
  std::atomic<uint16_t> rule;

  static void Run(void* arg, uint32_t worker, uint32_t begin, uint32_t end) {
    auto* p = static_cast<Phase*>(arg);
    const FpMode mode(p->flush_denormals);
    const Rule rule =
        p->step->run(p->step->args, p->number, begin, end, p->scratch + worker * p->scratch_stride);
    if (rule != Rule::kNone) {
      p->rule.store(static_cast<uint16_t>(rule), std::memory_order_relaxed);
    }
  }
};

Code CodeOf(Rule rule) {
  switch (rule) {
    case Rule::kRunCancelled:
      return Code::kCancelled;
    case Rule::kRunDeadline:
      return Code::kDeadlineExceeded;
    case Rule::kRunIndex:
      return Code::kOutOfRange;
    default:
      return Code::kInvalidArgument;
  }
}

void CopyValue(void* to, const void* from, int64_t bytes) {
  if (to != from && to != nullptr && from != nullptr) {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }
}

class Runner {
 public:
  Runner(const RunContext& context, bool shared, ErrorSink* e)
      : c_(context), plan_(*context.plan), view_(plan_.view()), shared_(shared), e_(e) {}

  bool RunBlock(const BlockDef& block) {
    const Step* step = plan_.steps() + (block.first_instruction - plan_.instructions().first);
    const uint32_t end = block.first_instruction + block.instruction_count;
    for (uint32_t i = block.first_instruction; i < end; ++i, ++step) {
      if (!Poll(i)) return false;
      if (step->kind == StepKind::kKernel) {
        const Rule rule = c_.profile != nullptr ? RunProfiled(*step, i) : RunKernel(*step);
        if (rule != Rule::kNone) return Stopped(rule, i);
      } else if (step->kind == StepKind::kIf) {
        if (!RunIf(view_.instructions[i])) return false;
      } else if (step->kind == StepKind::kSize) {
        const void* found = Operand(view_.instructions[i], 0);
        if (!plan_.SetSize(i, *static_cast<const int64_t*>(found), e_)) return false;
      } else {
        if (!RunLoop(view_.instructions[i], i)) return false;
      }
    }
    return true;
  }

 private:
  // False, and an error, if the run must stop before this instruction.
  bool Poll(uint32_t instruction) const {
    if (c_.cancel != nullptr && __atomic_load_n(c_.cancel, __ATOMIC_RELAXED) != 0) {
      return Stopped(Rule::kRunCancelled, instruction);
    }
    return c_.deadline_ns == 0 || NowNs() < c_.deadline_ns ||
           Stopped(Rule::kRunDeadline, instruction);
  }
  bool Stopped(Rule rule, uint32_t instruction) const {
    return e_->Fail(CodeOf(rule), rule).At(instruction);
  }

  Rule RunKernel(const Step& step) const {
    if (step.parallel && shared_) return RunParallel(step);
    for (uint32_t phase = 0; phase < step.phases; ++phase) {
      const Rule rule = step.run(step.args, phase, 0, step.tasks, plan_.scratch());
      if (rule != Rule::kNone) return rule;
    }
    return Rule::kNone;
  }

  Rule RunParallel(const Step& step) const {
    Phase phase = {&step, 0, c_.flush_denormals, plan_.scratch(), plan_.scratch_stride(), {0}};
    for (; phase.number < step.phases; ++phase.number) {
      c_.workers->Run(&Phase::Run, &phase, step.tasks);
      const uint16_t rule = phase.rule.load(std::memory_order_relaxed);
      if (rule != 0) return static_cast<Rule>(rule);
    }
    return Rule::kNone;
  }

  Rule RunProfiled(const Step& step, uint32_t instruction) const {
    ProfileRing& ring = *c_.profile;
    ProfileEvent& event = ring.events[ring.count++ % ring.capacity];
    event.instruction = instruction;
    event.run = c_.run;
    event.workers = step.parallel && shared_ ? c_.workers->count() : 1;
    event.begin_ns = NowNs();
    const Rule rule = RunKernel(step);
    event.end_ns = NowNs();
    return rule;
  }

  // Operand `k` of a control instruction, outputs after inputs; null if absent.
  void* Operand(const Instruction& ins, uint32_t k) const {
    return plan_.operand(ins.first_operand + k);
  }
  void CopyToOutput(const Instruction& ins, uint32_t output, const void* from) const {
    const uint32_t value = view_.Outputs(ins)[output];
    if (value != kNoIndex) {
      CopyValue(Operand(ins, ins.input_count + output), from, plan_.bytes(value));
    }
  }

  bool RunIf(const Instruction& ins) {
    const bool condition = *static_cast<const uint8_t*>(Operand(ins, 0)) != 0;
    const BlockDef& block = view_.blocks[ins.first_block + (condition ? 0 : 1)];
    if (!RunBlock(block)) return false;
    for (uint32_t o = 0; o < ins.output_count; ++o) {
      CopyToOutput(ins, o, plan_.block_value(block.first_result + o));
    }
    return true;
  }

  bool RunLoop(const Instruction& ins, uint32_t index) {
    const BlockDef& body = view_.blocks[ins.first_block];
    const uint32_t carried = ins.output_count;
    const auto* trips = static_cast<const int64_t*>(Operand(ins, 0));
    const auto* condition = static_cast<const uint8_t*>(Operand(ins, 1));
    const int64_t max_trips = view_.attrs[ins.first_attr];
    const int64_t limit = trips != nullptr ? *trips : max_trips;
    bool go = condition == nullptr || *condition != 0;
    for (uint32_t i = 0; i < carried; ++i) {
      CopyToParam(body, 1 + i, Operand(ins, 2 + i));
    }
    for (int64_t iteration = 0; go && iteration < limit; ++iteration) {
      if (!Poll(index)) return false;
      if (iteration == max_trips) {
        return e_->Fail(Code::kOutOfRange, Rule::kRunTrips, max_trips, limit).At(index);
      }
      std::memcpy(plan_.block_value(body.first_param), &iteration, sizeof(iteration));
      if (!RunBlock(body)) return false;
      go = *static_cast<const uint8_t*>(plan_.block_value(body.first_result)) != 0;
      CarryOver(body, carried);
    }
    for (uint32_t i = 0; i < carried; ++i) {
      CopyToOutput(ins, i, plan_.block_value(body.first_param + 1 + i));
    }
    return true;
  }

  void CopyToParam(const BlockDef& body, uint32_t i, const void* from) const {
    CopyValue(plan_.block_value(body.first_param + i), from, plan_.bytes(view_.Params(body)[i]));
  }

  // Results become params, all at once.
  void CarryOver(const BlockDef& body, uint32_t carried) const {
    for (uint32_t i = body.first_result + 1; i <= body.first_result + carried; ++i) {
      CopyValue(plan_.staging(i), plan_.block_value(i), plan_.bytes(view_.block_values[i]));
    }
    for (uint32_t i = 1; i <= carried; ++i) {
      const void* staged = plan_.staging(body.first_result + i);
      CopyToParam(body, i, staged != nullptr ? staged : plan_.block_value(body.first_result + i));
    }
  }

  const RunContext& c_;
  Plan& plan_;
  const ProgramView& view_;
  const bool shared_;
  ErrorSink* const e_;
};

}  // namespace

bool RunPlan(const RunContext& context, ErrorSink* e) {
  const FpMode mode(context.flush_denormals);
  const bool shared = context.workers->Begin();
  const bool done = Runner(context, shared, e).RunBlock(context.plan->root());
  if (shared) context.workers->End();
  return done;
}

}  // namespace floe::runtime
