// The C API over the runtime's objects: checks arguments, translates options and errors.
#include <algorithm>
#include <cstring>

#include "format/allocator.h"
#include "format/error_sink.h"
#include "runtime/error.h"
#include "runtime/floe.h"
#include "runtime/model.h"
#include "runtime/session.h"
#include "runtime/thread_pool.h"

using floe::Code;
using floe::Rule;
using floe::runtime::ErrorScene;
using floe::runtime::FromHandle;
using floe::runtime::Model;
using floe::runtime::Report;
using floe::runtime::Session;
using floe::runtime::ThreadPool;

static_assert(sizeof(floe_error) == 512);

namespace {

Session* Internal(floe_session* s) { return reinterpret_cast<Session*>(s); }
const Session* Internal(const floe_session* s) { return reinterpret_cast<const Session*>(s); }

// One call of the API: where its error is kept until it is reported.
class Call : public floe::ErrorSink {
 public:
  explicit Call(floe_error* error) : Call(nullptr, error) {}
  Call(const floe_session* session, floe_error* error);

  // kHostArgument unless the arguments are as they must be.
  bool Needs(bool arguments) {
    return arguments || Fail(Code::kInvalidArgument, Rule::kHostArgument);
  }
  // An option struct. A caller's may be older (shorter) than ours: the rest of `options`, which
  // holds the defaults (zeros, mostly), stays. `least` is the size of the struct's first version;
  // null means all defaults.
  template <typename T>
  bool Read(const T* given, size_t least, T* options) {
    return ReadStruct(given, least, sizeof(T), options);
  }
  // All null: `fallback`. One null: an error.
  bool Read(const floe_allocator& given, const floe::Allocator& fallback, floe::Allocator* out);

  ErrorScene& scene() { return scene_; }
  // The end of the call: its result, and the error if there is one.
  floe_status Done() const { return Report(error(), scene_, out_); }

 private:
  bool ReadStruct(const void* given, size_t least, size_t size, void* options);

  ErrorScene scene_;
  floe_error* out_;
};

Call::Call(const floe_session* session, floe_error* error) : out_(error) {
  if (session == nullptr) return;
  scene_.program = &Internal(session)->model().view();
  scene_.symbols = Internal(session)->symbols();
}

bool Call::ReadStruct(const void* given, size_t least, size_t size, void* options) {
  if (given == nullptr) return true;
  size_t given_size;  // What every option struct starts with.
  std::memcpy(&given_size, given, sizeof(given_size));
  if (given_size < least || given_size > size) {
    return Fail(Code::kInvalidArgument, Rule::kHostStructSize, static_cast<int64_t>(size),
                static_cast<int64_t>(given_size));
  }
  std::memcpy(options, given, given_size);
  return true;
}

bool Call::Read(const floe_allocator& given, const floe::Allocator& fallback,
                floe::Allocator* out) {
  *out = fallback;
  if (given.allocate == nullptr && given.release == nullptr) return true;
  *out = floe::Allocator{given.self, given.allocate, given.release};
  return Needs(given.allocate != nullptr && given.release != nullptr);
}

bool ReadOpenOptions(Call* call, const floe_open_options* given,
                     floe::runtime::OpenOptions* options) {
  floe_open_options o = {};
  if (!call->Read(given, sizeof(o), &o)) return false;
  floe::Limits& limits = options->read.limits;
  if (o.limits.max_metadata_bytes != 0) limits.max_metadata_bytes = o.limits.max_metadata_bytes;
  if (o.limits.max_arena_bytes != 0) limits.max_arena_bytes = o.limits.max_arena_bytes;
  if (o.limits.max_instructions != 0) limits.max_instructions = o.limits.max_instructions;
  if (o.limits.max_work != 0) limits.max_work = o.limits.max_work;
  options->read.verify_payload = o.verify_payload != 0;
  options->backend = o.backend;
  options->isa = o.isa;
  options->copy = o.copy != 0;
  return call->Read(o.allocator, floe::DefaultAllocator(), &options->allocator);
}

// Hands a new object out as a handle, if it could be made.
template <typename Handle>
void Give(void* made, Handle** handle) {
  if (made != nullptr) *handle = static_cast<Handle*>(made);
}

}  // namespace

uint32_t floe_version(void) { return FLOE_VERSION; }

// ---- Threads ------------------------------------------------------------------------------------

floe_status floe_thread_pool_create(const floe_thread_pool_options* options,
                                    floe_thread_pool** pool, floe_error* error) {
  Call call(error);
  floe::runtime::ThreadPoolOptions internal;
  floe_thread_pool_options o = {};
  o.spin_us = internal.spin_us;
  if (call.Needs(pool != nullptr) && call.Read(options, sizeof(o), &o) &&
      call.Read(o.allocator, floe::DefaultAllocator(), &internal.allocator)) {
    internal.threads = o.threads;
    internal.spin_us = o.spin_us;
    internal.stack_bytes = o.stack_bytes;
    Give(ThreadPool::Make(internal, &call), pool);
  }
  return call.Done();
}

void floe_thread_pool_release(floe_thread_pool* pool) {
  if (pool != nullptr) reinterpret_cast<ThreadPool*>(pool)->Unref();
}

uint32_t floe_thread_pool_size(const floe_thread_pool* pool) {
  return pool != nullptr ? reinterpret_cast<const ThreadPool*>(pool)->size() : 1;
}

// ---- Opening ------------------------------------------------------------------------------------

namespace {

// From `path` if it is not null, else from memory.
floe_status Open(const char* path, const void* data, size_t bytes, const floe_open_options* options,
                 floe_model** model, floe_error* error) {
  Call call(error);
  floe::runtime::OpenOptions internal;
  if (call.Needs((path != nullptr || data != nullptr) && model != nullptr) &&
      ReadOpenOptions(&call, options, &internal)) {
    Give(path != nullptr ? Model::OpenFile(path, internal, &call)
                         : Model::OpenBytes(data, bytes, internal, &call),
         model);
  }
  call.scene().subject = path;
  if (call.error().rule == Rule::kBackendMissing) {  // Names what was asked for.
    call.scene().subject = internal.isa != nullptr ? internal.isa : internal.backend;
  }
  return call.Done();
}

}  // namespace

floe_status floe_model_open_file(const char* path, const floe_open_options* options,
                                 floe_model** model, floe_error* error) {
  return Open(path, nullptr, 0, options, model, error);
}

floe_status floe_model_open_bytes(const void* data, size_t bytes, const floe_open_options* options,
                                  floe_model** model, floe_error* error) {
  return Open(nullptr, data, bytes, options, model, error);
}

void floe_model_release(floe_model* model) {
  if (model != nullptr) FromHandle(model)->Unref();
}

// ---- Sessions -----------------------------------------------------------------------------------

floe_status floe_session_create(floe_model* model, const floe_session_options* options,
                                floe_session** session, floe_error* error) {
  Call call(error);
  floe_session_options o = {};
  floe::runtime::SessionOptions internal;
  if (call.Needs(model != nullptr && session != nullptr) && call.Read(options, sizeof(o), &o) &&
      call.Needs(o.denormals == FLOE_DENORMALS_FLUSH || o.denormals == FLOE_DENORMALS_KEEP) &&
      call.Read(o.allocator, FromHandle(model)->allocator(), &internal.allocator)) {
    internal.pool = reinterpret_cast<ThreadPool*>(o.pool);
    internal.executor = o.executor;
    internal.flush_denormals = o.denormals == FLOE_DENORMALS_FLUSH;
    internal.own_outputs = o.own_outputs != 0;
    internal.prefault = o.lazy_memory == 0;
    internal.profile_events = o.profile_events;
    Give(Session::Make(FromHandle(model), internal, &call), session);
  }
  return call.Done();
}

void floe_session_destroy(floe_session* session) {
  if (session != nullptr) Internal(session)->Destroy();
}

floe_status floe_session_bind(floe_session* session, uint32_t method, const floe_tensor* inputs,
                              uint32_t count, floe_error* error) {
  Call call(session, error);
  if (call.Needs(session != nullptr && (inputs != nullptr || count == 0))) {
    Internal(session)->Bind(method, inputs, count, &call);
  }
  return call.Done();
}

namespace {

floe_status SetBuffer(floe_session* session, uint32_t method, bool input, uint32_t index,
                      void* data, size_t bytes, floe_error* error) {
  Call call(session, error);
  if (call.Needs(session != nullptr)) {
    Internal(session)->SetBuffer(method, input, index, data, bytes, &call);
  }
  return call.Done();
}

floe_status GetTensor(const floe_session* session, uint32_t method, bool input, uint32_t index,
                      floe_tensor* tensor, floe_error* error) {
  Call call(session, error);
  if (call.Needs(session != nullptr && tensor != nullptr)) {
    Internal(session)->GetTensor(method, input, index, tensor, &call);
  }
  return call.Done();
}

}  // namespace

floe_status floe_session_set_input(floe_session* session, uint32_t method, uint32_t index,
                                   const void* data, size_t bytes, floe_error* error) {
  return SetBuffer(session, method, true, index, const_cast<void*>(data), bytes, error);
}

floe_status floe_session_set_output(floe_session* session, uint32_t method, uint32_t index,
                                    void* data, size_t bytes, floe_error* error) {
  return SetBuffer(session, method, false, index, data, bytes, error);
}

floe_status floe_session_get_input(const floe_session* session, uint32_t method, uint32_t index,
                                   floe_tensor* tensor, floe_error* error) {
  return GetTensor(session, method, true, index, tensor, error);
}

floe_status floe_session_get_output(const floe_session* session, uint32_t method, uint32_t index,
                                    floe_tensor* tensor, floe_error* error) {
  return GetTensor(session, method, false, index, tensor, error);
}

floe_status floe_session_run(floe_session* session, uint32_t method,
                             const floe_run_options* options, floe_error* error) {
  Call call(session, error);
  floe_run_options o = {};
  if (call.Needs(session != nullptr) && call.Read(options, sizeof(o), &o)) {
    Internal(session)->Run(method, o.cancel, o.deadline_ns, &call);
  }
  return call.Done();
}

floe_status floe_session_get_info(const floe_session* session, uint32_t method,
                                  floe_session_info* info) {
  Call call(session, nullptr);
  floe_session_info full = {};
  if (!call.Needs(session != nullptr) || !Internal(session)->GetInfo(method, &full, &call)) {
    return call.Done();
  }
  return floe::runtime::WriteInfo(full, info);
}

// ---- States -------------------------------------------------------------------------------------

floe_status floe_session_reset_states(floe_session* session) {
  if (session == nullptr) return FLOE_INVALID_ARGUMENT;
  Internal(session)->states().Reset();
  return FLOE_OK;
}

floe_status floe_session_copy_states(floe_session* to, const floe_session* from,
                                     floe_error* error) {
  Call call(to, error);
  if (call.Needs(to != nullptr && from != nullptr &&
                 &Internal(to)->model() == &Internal(from)->model())) {
    Internal(to)->states().CopyFrom(Internal(from)->states());
  }
  return call.Done();
}

floe_status floe_session_get_state(floe_session* session, uint32_t index, floe_tensor* tensor,
                                   floe_error* error) {
  Call call(session, error);
  if (call.Needs(session != nullptr && tensor != nullptr)) {
    Internal(session)->states().Describe(index, tensor, &call);
  }
  return call.Done();
}

floe_status floe_session_save_states(const floe_session* session, void* buffer, size_t capacity,
                                     size_t* size, floe_error* error) {
  Call call(session, error);
  if (!call.Needs(session != nullptr && size != nullptr)) return call.Done();
  const size_t needed = Internal(session)->states().BlobBytes();
  *size = needed;
  if (buffer == nullptr) {
    call.Needs(capacity == 0);
  } else if (capacity < needed) {
    call.Fail(Code::kResourceExhausted, Rule::kHostArgument, static_cast<int64_t>(needed),
              static_cast<int64_t>(capacity));
  } else {
    Internal(session)->states().Save(buffer);
  }
  return call.Done();
}

floe_status floe_session_load_states(floe_session* session, const void* buffer, size_t size,
                                     floe_error* error) {
  Call call(session, error);
  if (call.Needs(session != nullptr && buffer != nullptr)) {
    Internal(session)->states().Load(buffer, size, &call);
  }
  return call.Done();
}

floe_status floe_session_take_profile(floe_session* session, uint32_t method,
                                      floe_profile_entry* entries, size_t capacity, size_t* count) {
  Call call(session, nullptr);
  if (call.Needs(session != nullptr && count != nullptr && (entries != nullptr || capacity == 0))) {
    Internal(session)->TakeProfile(method, entries, capacity, count, &call);
  }
  return call.Done();
}
