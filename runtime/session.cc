#include "runtime/session.h"

#include <cstring>
#include <new>

#include "runtime/text.h"

namespace floe::runtime {
namespace {

// Marks the session as in use; refuses a second thread instead of racing with it.
class Use {
 public:
  explicit Use(std::atomic<bool>* busy)
      : busy_(busy), entered_(!busy->exchange(true, std::memory_order_acquire)) {}
  ~Use() {
    if (entered_) busy_->store(false, std::memory_order_release);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  bool entered() const { return entered_; }

 private:
  std::atomic<bool>* busy_;
  const bool entered_;
};

[[gnu::noinline]] bool Busy(ErrorSink* e) {
  return e->Fail(Code::kFailedPrecondition, Rule::kHostBusy);
}

}  // namespace

Session::Session(Model* model, const SessionOptions& options) : model_(model), options_(options) {
  model_->Ref();
}

size_t Session::SelfBytes() const {
  return sizeof(Session) + method_count_ * sizeof(Bound) +
         model_->view().symbols.size() * sizeof(int64_t);
}

Session* Session::Make(Model* model, const SessionOptions& options, ErrorSink* e) {
  const ProgramView& view = model->view();
  const size_t bytes =
      sizeof(Session) + view.methods.size() * sizeof(Bound) + view.symbols.size() * sizeof(int64_t);
  void* memory = e->Allocate(options.allocator, bytes, kAlignment);
  if (memory == nullptr) return nullptr;
  auto* s = new (memory) Session(model, options);
  s->method_count_ = static_cast<uint32_t>(view.methods.size());
  s->bound_ = reinterpret_cast<Bound*>(s + 1);
  for (uint32_t i = 0; i < s->method_count_; ++i) new (&s->bound_[i]) Bound(options.allocator);
  s->symbols_ = reinterpret_cast<int64_t*>(s->bound_ + s->method_count_);
  std::memset(s->symbols_, 0, view.symbols.size() * sizeof(int64_t));
  if (s->Init(e)) return s;
  s->Destroy();
  return nullptr;
}

bool Session::Init(ErrorSink* e) {
  static_assert(sizeof(Session) % alignof(Bound) == 0 && sizeof(Bound) % alignof(int64_t) == 0);
  if (!states_.Init(model_->view(), options_.allocator, e)) return false;
  if (!workers_.Init(options_.pool, options_.executor, options_.allocator, e)) return false;
  if (options_.profile_events == 0) return true;
  for (uint32_t i = 0; i < method_count_; ++i) {
    const size_t bytes = options_.profile_events * sizeof(ProfileEvent);
    void* events = e->Allocate(options_.allocator, bytes, alignof(ProfileEvent));
    if (events == nullptr) return false;
    std::memset(events, 0, bytes);
    bound_[i].profile.events = static_cast<ProfileEvent*>(events);
    bound_[i].profile.capacity = options_.profile_events;
  }
  return true;
}

void Session::Destroy() {
  const Allocator allocator = options_.allocator;
  for (uint32_t i = 0; i < method_count_; ++i) {
    if (bound_[i].plan != nullptr) bound_[i].plan->Destroy();
    allocator.Release(bound_[i].profile.events, bound_[i].profile.capacity * sizeof(ProfileEvent));
    bound_[i].~Bound();
  }
  workers_.Destroy();
  states_.Destroy();
  const size_t bytes = SelfBytes();
  Model* model = model_;
  this->~Session();
  allocator.Release(this, bytes);
  model->Unref();
}

bool Session::CheckMethod(uint32_t method, ErrorSink* e) const {
  return method < method_count_ ||
         e->Fail(Code::kNotFound, Rule::kMethodName, method_count_, method);
}

Plan* Session::FindPlan(uint32_t method, ErrorSink* e) const {
  if (!CheckMethod(method, e)) return nullptr;
  Plan* plan = bound_[method].plan;
  if (plan == nullptr) e->Fail(Code::kFailedPrecondition, Rule::kNotBound);
  return plan;
}

Plan* Session::FindIo(uint32_t method, bool input, uint32_t index, uint32_t* io,
                      ErrorSink* e) const {
  Plan* plan = FindPlan(method, e);
  if (plan == nullptr) return nullptr;
  const uint32_t count = input ? plan->input_count() : plan->output_count();
  *io = input ? index : plan->input_count() + index;
  if (index < count) return plan;
  e->Fail(Code::kNotFound, input ? Rule::kBindInput : Rule::kBindOutput, count, index);
  return nullptr;
}

bool Session::SameShapes(const Plan& plan, const floe_tensor* inputs, uint32_t count) const {
  if (count != plan.input_count()) return false;
  for (uint32_t i = 0; i < count; ++i) {
    const TensorInfo& info = plan.info(plan.io(i).value);
    if (inputs[i].dtype != static_cast<int32_t>(info.dtype) || inputs[i].rank != info.rank ||
        std::memcmp(inputs[i].dims, info.dims, info.rank * sizeof(int64_t)) != 0) {
      return false;
    }
  }
  return true;
}

bool Session::CheckBuffer(const IoSlot& slot, const void* data, size_t bytes, ErrorSink* e) const {
  const auto size = static_cast<uintptr_t>(
      DTypeSize(static_cast<DType>(model_->view().values[slot.value].dtype)));
  const bool aligned = reinterpret_cast<uintptr_t>(data) % size == 0;
  if (bytes == static_cast<size_t>(slot.bytes) && aligned && (data != nullptr || bytes == 0)) {
    return true;
  }
  return e->Fail(Code::kInvalidArgument, Rule::kBindBytes, slot.bytes, static_cast<int64_t>(bytes))
      .ForValue(slot.value);
}

bool Session::SetInputs(Plan* plan, const floe_tensor* inputs, ErrorSink* e) {
  for (uint32_t i = 0; i < plan->input_count(); ++i) {
    if (inputs[i].data == nullptr) continue;
    if (!CheckBuffer(plan->io(i), inputs[i].data, inputs[i].bytes, e)) return false;
  }
  for (uint32_t i = 0; i < plan->input_count(); ++i) plan->SetIo(i, inputs[i].data);
  return true;
}

bool Session::Bind(uint32_t method, const floe_tensor* inputs, uint32_t count, ErrorSink* e) {
  const Use use(&busy_);
  if (!use.entered()) return Busy(e);
  if (!CheckMethod(method, e)) return false;
  Bound& bound = bound_[method];
  if (bound.plan != nullptr && !bound.plan->has_sizes() && SameShapes(*bound.plan, inputs, count)) {
    return SetInputs(bound.plan, inputs, e);
  }
  return Rebind(&bound, method, inputs, count, e);
}

bool Session::Rebind(Bound* bound, uint32_t method, const floe_tensor* inputs, uint32_t count,
                     ErrorSink* e) {
  Block fresh(options_.allocator);
  PlanRequest request;
  request.model = model_;
  request.method = method;
  request.inputs = inputs;
  request.input_count = count;
  request.workers = workers_.count();
  request.own_outputs = options_.own_outputs;
  request.states = states_.data();
  request.symbols = symbols_;
  request.allocator = options_.allocator;
  request.arena = &bound->arena;
  request.fresh = &fresh;
  Plan* plan = Plan::Make(request, e);
  if (plan == nullptr) return false;
  if (!SetInputs(plan, inputs, e)) {
    plan->Destroy();
    return false;
  }
  if (bound->plan != nullptr) bound->plan->Destroy();
  bound->plan = plan;
  bound->profile.count = 0;
  if (fresh.data() == nullptr) return true;
  bound->arena.Swap(&fresh);
  fresh.Free();  // Before the new pages are touched, so that the two are never there together.
  if (options_.prefault) {
    PrefaultMemory(bound->arena.data(), bound->arena.bytes(), /*write=*/true);
    model_->Prefault();
  }
  return true;
}

bool Session::SetBuffer(uint32_t method, bool input, uint32_t index, void* data, size_t bytes,
                        ErrorSink* e) {
  uint32_t io;
  Plan* plan = FindIo(method, input, index, &io, e);
  if (plan == nullptr || !CheckBuffer(plan->io(io), data, bytes, e)) return false;
  plan->SetIo(io, data);
  return true;
}

bool Session::GetTensor(uint32_t method, bool input, uint32_t index, floe_tensor* tensor,
                        ErrorSink* e) const {
  uint32_t io;
  const Plan* plan = FindIo(method, input, index, &io, e);
  if (plan == nullptr) return false;
  const IoSlot& slot = plan->io(io);
  PutInfo(plan->info(slot.value), slot.data, static_cast<size_t>(plan->bytes(slot.value)), tensor);
  return true;
}

bool Session::Run(uint32_t method, const int32_t* cancel, uint64_t deadline_ns, ErrorSink* e) {
  const Use use(&busy_);
  if (!use.entered()) return Busy(e);
  Plan* plan = FindPlan(method, e);
  if (plan == nullptr || !plan->CheckIo(e)) return false;
  plan->ForgetSizes();
  Bound& bound = bound_[method];
  RunContext context;
  context.plan = plan;
  context.workers = &workers_;
  context.profile = bound.profile.events != nullptr ? &bound.profile : nullptr;
  context.cancel = cancel;
  context.deadline_ns = deadline_ns;
  context.run = bound.runs++;
  context.flush_denormals = options_.flush_denormals;
  return RunPlan(context, e);
}

bool Session::GetInfo(uint32_t method, floe_session_info* info, ErrorSink* e) const {
  const Plan* plan = FindPlan(method, e);
  if (plan == nullptr) return false;
  info->bucket = plan->bucket() - model_->view().methods[method].first_bucket;
  info->workers = workers_.count();
  info->arena_bytes = plan->arena_bytes();
  info->scratch_bytes = plan->scratch_stride() * workers_.count();
  info->kernel_bytes = plan->kernel_bytes();
  info->plan_bytes = plan->plan_bytes();
  info->output_bytes = plan->output_bytes();
  info->state_bytes = states_.bytes();
  info->total_bytes = SelfBytes() + states_.bytes() + workers_.bytes();
  for (uint32_t i = 0; i < method_count_; ++i) {
    const Bound& b = bound_[i];
    info->total_bytes += b.arena.bytes() + b.profile.capacity * sizeof(ProfileEvent);
    if (b.plan != nullptr) info->total_bytes += b.plan->plan_bytes() + b.plan->kernel_bytes();
  }
  return true;
}

bool Session::TakeProfile(uint32_t method, floe_profile_entry* entries, size_t capacity,
                          size_t* count, ErrorSink* e) {
  if (!CheckMethod(method, e)) return false;
  Bound& bound = bound_[method];
  ProfileRing& ring = bound.profile;
  *count = 0;
  if (bound.plan == nullptr || ring.events == nullptr) return true;
  uint64_t n = ring.count < ring.capacity ? ring.count : ring.capacity;
  if (n > capacity) n = capacity;
  const ProgramView& view = model_->view();
  for (uint64_t k = ring.count - n; k < ring.count; ++k) {
    const ProfileEvent& event = ring.events[k % ring.capacity];
    const Instruction& ins = view.instructions[event.instruction];
    const StepReport& report = bound.plan->report(event.instruction);
    floe_profile_entry& entry = entries[(*count)++];
    entry.instruction = event.instruction;
    entry.kernel = ins.kernel;
    entry.run = event.run;
    entry.workers = event.workers;
    entry.begin_ns = event.begin_ns;
    entry.end_ns = event.end_ns;
    entry.flops = report.flops;
    entry.bytes = report.bytes;
    CopyText(view.String(ins.op), entry.op);
    CopyText(report.variant, entry.variant);
    CopyText(view.String(ins.name), entry.node);
  }
  ring.count = 0;
  return true;
}

}  // namespace floe::runtime
