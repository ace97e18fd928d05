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

Status Busy() { return Error(Code::kFailedPrecondition, Rule::kHostBusy); }
Status NotBound() { return Error(Code::kFailedPrecondition, Rule::kNotBound); }

}  // namespace

Session::Session(Model* model, const SessionOptions& options) : model_(model), options_(options) {
  model_->Ref();
}

size_t Session::SelfBytes() const {
  return sizeof(Session) + method_count_ * sizeof(Bound) +
         model_->view().symbols.size() * sizeof(int64_t);
}

Status Session::Make(Model* model, const SessionOptions& options, Session** session) {
  const ProgramView& view = model->view();
  const size_t bytes =
      sizeof(Session) + view.methods.size() * sizeof(Bound) + view.symbols.size() * sizeof(int64_t);
  void* memory = options.allocator.Allocate(bytes, kAlignment);
  if (memory == nullptr) {
    return Error(Code::kResourceExhausted, Rule::kHostMemory, static_cast<int64_t>(bytes));
  }
  auto* s = new (memory) Session(model, options);
  s->method_count_ = static_cast<uint32_t>(view.methods.size());
  s->bound_ = reinterpret_cast<Bound*>(s + 1);
  for (uint32_t i = 0; i < s->method_count_; ++i) new (&s->bound_[i]) Bound(options.allocator);
  s->symbols_ = reinterpret_cast<int64_t*>(s->bound_ + s->method_count_);
  std::memset(s->symbols_, 0, view.symbols.size() * sizeof(int64_t));
  if (Status status = s->Init(); !status.ok()) {
    s->Destroy();
    return status;
  }
  *session = s;
  return OkStatus();
}

Status Session::Init() {
  static_assert(sizeof(Session) % alignof(Bound) == 0 && sizeof(Bound) % alignof(int64_t) == 0);
  FLOE_RETURN_IF_ERROR(states_.Init(model_->view(), options_.allocator));
  FLOE_RETURN_IF_ERROR(workers_.Init(options_.pool, options_.executor, options_.allocator));
  if (options_.profile_events == 0) return OkStatus();
  for (uint32_t i = 0; i < method_count_; ++i) {
    const size_t bytes = options_.profile_events * sizeof(ProfileEvent);
    void* events = options_.allocator.Allocate(bytes, alignof(ProfileEvent));
    if (events == nullptr) {
      return Error(Code::kResourceExhausted, Rule::kHostMemory, static_cast<int64_t>(bytes));
    }
    std::memset(events, 0, bytes);
    bound_[i].profile.events = static_cast<ProfileEvent*>(events);
    bound_[i].profile.capacity = options_.profile_events;
  }
  return OkStatus();
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

const Plan* Session::plan(uint32_t method) const {
  return method < method_count_ ? bound_[method].plan : nullptr;
}

Status Session::CheckMethod(uint32_t method) const {
  if (method < method_count_) return OkStatus();
  return Error(Code::kNotFound, Rule::kMethodName, method_count_, method);
}

bool Session::SameShapes(const Plan& plan, const floe_tensor* inputs, uint32_t count) const {
  if (count != plan.input_count()) return false;
  for (uint32_t i = 0; i < count; ++i) {
    const TensorInfo& info = plan.info(plan.input(i).value);
    if (inputs[i].dtype != static_cast<int32_t>(info.dtype) || inputs[i].rank != info.rank ||
        std::memcmp(inputs[i].dims, info.dims, info.rank * sizeof(int64_t)) != 0) {
      return false;
    }
  }
  return true;
}

Status Session::CheckBuffer(const IoSlot& slot, const void* data, size_t bytes) const {
  const auto size = static_cast<uintptr_t>(
      DTypeSize(static_cast<DType>(model_->view().values[slot.value].dtype)));
  const bool aligned = reinterpret_cast<uintptr_t>(data) % size == 0;
  if (bytes == static_cast<size_t>(slot.bytes) && aligned && (data != nullptr || bytes == 0)) {
    return OkStatus();
  }
  return Error(Code::kInvalidArgument, Rule::kBindBytes, slot.bytes, static_cast<int64_t>(bytes))
      .ForValue(slot.value);
}

Status Session::SetInputs(Plan* plan, const floe_tensor* inputs) {
  for (uint32_t i = 0; i < plan->input_count(); ++i) {
    if (inputs[i].data == nullptr) continue;
    FLOE_RETURN_IF_ERROR(CheckBuffer(plan->input(i), inputs[i].data, inputs[i].bytes));
  }
  for (uint32_t i = 0; i < plan->input_count(); ++i) plan->SetInput(i, inputs[i].data);
  return OkStatus();
}

Status Session::Bind(uint32_t method, const floe_tensor* inputs, uint32_t count) {
  const Use use(&busy_);
  if (!use.entered()) return Busy();
  FLOE_RETURN_IF_ERROR(CheckMethod(method));
  Bound& bound = bound_[method];
  if (bound.plan != nullptr && SameShapes(*bound.plan, inputs, count)) {
    return SetInputs(bound.plan, inputs);
  }
  return Rebind(&bound, method, inputs, count);
}

Status Session::Rebind(Bound* bound, uint32_t method, const floe_tensor* inputs, uint32_t count) {
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
  Plan* plan = nullptr;
  FLOE_RETURN_IF_ERROR(Plan::Make(request, &plan));
  if (Status s = SetInputs(plan, inputs); !s.ok()) {
    plan->Destroy();
    return s;
  }
  if (bound->plan != nullptr) bound->plan->Destroy();
  bound->plan = plan;
  bound->profile.count = 0;
  if (fresh.data() == nullptr) return OkStatus();
  bound->arena.Swap(&fresh);
  fresh.Free();  // Before the new pages are touched, so that the two are never there together.
  if (options_.prefault) {
    PrefaultMemory(bound->arena.data(), bound->arena.bytes(), /*write=*/true);
    model_->Prefault();
  }
  return OkStatus();
}

Status Session::SetInput(uint32_t method, uint32_t index, const void* data, size_t bytes) {
  FLOE_RETURN_IF_ERROR(CheckMethod(method));
  Plan* plan = bound_[method].plan;
  if (plan == nullptr) return NotBound();
  if (index >= plan->input_count()) {
    return Error(Code::kNotFound, Rule::kBindInput, plan->input_count(), index);
  }
  FLOE_RETURN_IF_ERROR(CheckBuffer(plan->input(index), data, bytes));
  plan->SetInput(index, data);
  return OkStatus();
}

Status Session::SetOutput(uint32_t method, uint32_t index, void* data, size_t bytes) {
  FLOE_RETURN_IF_ERROR(CheckMethod(method));
  Plan* plan = bound_[method].plan;
  if (plan == nullptr) return NotBound();
  if (index >= plan->output_count()) {
    return Error(Code::kNotFound, Rule::kBindOutput, plan->output_count(), index);
  }
  FLOE_RETURN_IF_ERROR(CheckBuffer(plan->output(index), data, bytes));
  plan->SetOutput(index, data);
  return OkStatus();
}

Status Session::GetIo(uint32_t method, bool input, uint32_t index, floe_tensor* tensor) const {
  FLOE_RETURN_IF_ERROR(CheckMethod(method));
  const Plan* plan = bound_[method].plan;
  if (plan == nullptr) return NotBound();
  const uint32_t count = input ? plan->input_count() : plan->output_count();
  if (index >= count) {
    return Error(Code::kNotFound, input ? Rule::kBindInput : Rule::kBindOutput, count, index);
  }
  const IoSlot& slot = input ? plan->input(index) : plan->output(index);
  const TensorInfo& info = plan->info(slot.value);
  tensor->data = slot.data;
  tensor->bytes = static_cast<size_t>(slot.bytes);
  tensor->dtype = static_cast<int32_t>(info.dtype);
  tensor->rank = info.rank;
  std::memcpy(tensor->dims, info.dims, sizeof(tensor->dims));
  return OkStatus();
}

Status Session::Run(uint32_t method, const int32_t* cancel, uint64_t deadline_ns) {
  const Use use(&busy_);
  if (!use.entered()) return Busy();
  FLOE_RETURN_IF_ERROR(CheckMethod(method));
  Bound& bound = bound_[method];
  if (bound.plan == nullptr) return NotBound();
  FLOE_RETURN_IF_ERROR(bound.plan->CheckIo());
  RunContext context;
  context.plan = bound.plan;
  context.workers = &workers_;
  context.profile = bound.profile.events != nullptr ? &bound.profile : nullptr;
  context.cancel = cancel;
  context.deadline_ns = deadline_ns;
  context.run = bound.runs++;
  context.flush_denormals = options_.flush_denormals;
  return RunPlan(context);
}

Status Session::GetInfo(uint32_t method, floe_session_info* info) const {
  FLOE_RETURN_IF_ERROR(CheckMethod(method));
  const Plan* plan = bound_[method].plan;
  if (plan == nullptr) return NotBound();
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
  return OkStatus();
}

Status Session::TakeProfile(uint32_t method, floe_profile_entry* entries, size_t capacity,
                            size_t* count) {
  FLOE_RETURN_IF_ERROR(CheckMethod(method));
  Bound& bound = bound_[method];
  ProfileRing& ring = bound.profile;
  *count = 0;
  if (bound.plan == nullptr || ring.events == nullptr) return OkStatus();
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
    Text(entry.op, sizeof(entry.op)) << OpName(ins.op);
    Text(entry.variant, sizeof(entry.variant)) << report.variant;
    Text(entry.node, sizeof(entry.node)) << view.String(ins.name);
  }
  ring.count = 0;
  return OkStatus();
}

}  // namespace floe::runtime
