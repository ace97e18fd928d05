// The C API over the runtime's objects: checks arguments, translates options and errors.
#include <algorithm>
#include <cstring>

#include "format/allocator.h"
#include "runtime/error.h"
#include "runtime/floe.h"
#include "runtime/model.h"
#include "runtime/session.h"
#include "runtime/text.h"
#include "runtime/thread_pool.h"

using floe::Code;
using floe::Rule;
using floe::Status;
using floe::runtime::ErrorScene;
using floe::runtime::FromHandle;
using floe::runtime::Report;
using floe::runtime::Session;
using floe::runtime::ThreadPool;

static_assert(sizeof(floe_error) == 512);

namespace {

Status BadArgument() { return floe::Error(Code::kInvalidArgument, Rule::kHostArgument); }

// A caller's struct may be older (shorter) than ours: the rest keeps our defaults. `least` is the
// size of the struct's first version.
Status ReadStruct(const void* given, size_t given_size, size_t least, size_t size, void* options) {
  if (given_size < least || given_size > size) {
    return floe::Error(Code::kInvalidArgument, Rule::kHostStructSize, static_cast<int64_t>(size),
                       static_cast<int64_t>(given_size));
  }
  std::memcpy(options, given, given_size);
  return floe::OkStatus();
}
template <typename T>
Status ReadOptions(const T* given, size_t least, T* options) {
  if (given == nullptr) return floe::OkStatus();
  return ReadStruct(given, given->struct_size, least, sizeof(T), options);
}

// Writes as much of `info` as the caller's struct has room for.
template <typename T>
floe_status WriteInfo(T info, T* out) {
  if (out == nullptr || out->struct_size < sizeof(size_t)) return FLOE_INVALID_ARGUMENT;
  info.struct_size = out->struct_size;
  std::memcpy(out, &info, std::min(out->struct_size, sizeof(T)));
  return FLOE_OK;
}

// All null: `fallback`. One null: an error.
Status ReadAllocator(const floe_allocator& given, const floe::Allocator& fallback,
                     floe::Allocator* allocator) {
  *allocator = fallback;
  if (given.allocate == nullptr && given.release == nullptr) return floe::OkStatus();
  if (given.allocate == nullptr || given.release == nullptr) return BadArgument();
  *allocator = floe::Allocator{given.self, given.allocate, given.release};
  return floe::OkStatus();
}

Status ReadOpenOptions(const floe_open_options* given, floe::runtime::OpenOptions* options) {
  floe_open_options o = FLOE_OPEN_OPTIONS_INIT;
  FLOE_RETURN_IF_ERROR(ReadOptions(given, sizeof(o), &o));
  floe::Limits& limits = options->read.limits;
  if (o.limits.max_metadata_bytes != 0) limits.max_metadata_bytes = o.limits.max_metadata_bytes;
  if (o.limits.max_arena_bytes != 0) limits.max_arena_bytes = o.limits.max_arena_bytes;
  if (o.limits.max_instructions != 0) limits.max_instructions = o.limits.max_instructions;
  if (o.limits.max_work != 0) limits.max_work = o.limits.max_work;
  options->read.verify_payload = o.verify_payload != 0;
  options->backend = o.backend;
  options->isa = o.isa;
  options->copy = o.copy != 0;
  return ReadAllocator(o.allocator, floe::DefaultAllocator(), &options->allocator);
}

// Names what was asked for when a backend is missing.
ErrorScene OpenScene(const Status& s, const floe::runtime::OpenOptions& options, const char* path) {
  ErrorScene scene;
  scene.subject = path;
  if (s.rule == Rule::kBackendMissing) {
    scene.subject = options.isa != nullptr ? options.isa : options.backend;
  }
  return scene;
}

Session* Internal(floe_session* s) { return reinterpret_cast<Session*>(s); }
const Session* Internal(const floe_session* s) { return reinterpret_cast<const Session*>(s); }

floe_status ReportIn(const floe_session* session, const Status& status, floe_error* error) {
  ErrorScene scene;
  if (session != nullptr) {
    scene.program = &Internal(session)->model().view();
    scene.symbols = Internal(session)->symbols();
  }
  return Report(status, scene, error);
}

}  // namespace

uint32_t floe_version(void) { return FLOE_VERSION; }

// ---- Threads ------------------------------------------------------------------------------------

floe_status floe_thread_pool_create(const floe_thread_pool_options* options,
                                    floe_thread_pool** pool, floe_error* error) {
  const auto create = [&]() -> Status {
    if (pool == nullptr) return BadArgument();
    floe_thread_pool_options o = FLOE_THREAD_POOL_OPTIONS_INIT;
    FLOE_RETURN_IF_ERROR(ReadOptions(options, sizeof(o), &o));
    floe::runtime::ThreadPoolOptions internal;
    internal.threads = o.threads;
    internal.spin_us = o.spin_us;
    internal.stack_bytes = o.stack_bytes;
    FLOE_RETURN_IF_ERROR(ReadAllocator(o.allocator, floe::DefaultAllocator(), &internal.allocator));
    ThreadPool* made = nullptr;
    FLOE_RETURN_IF_ERROR(ThreadPool::Make(internal, &made));
    *pool = reinterpret_cast<floe_thread_pool*>(made);
    return floe::OkStatus();
  };
  return Report(create(), {}, error);
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
  floe::runtime::OpenOptions internal;
  const auto open = [&]() -> Status {
    if ((path == nullptr && data == nullptr) || model == nullptr) return BadArgument();
    FLOE_RETURN_IF_ERROR(ReadOpenOptions(options, &internal));
    floe::runtime::Model* made = nullptr;
    FLOE_RETURN_IF_ERROR(path != nullptr
                             ? floe::runtime::Model::OpenFile(path, internal, &made)
                             : floe::runtime::Model::OpenBytes(data, bytes, internal, &made));
    *model = ToHandle(made);
    return floe::OkStatus();
  };
  const Status s = open();
  return Report(s, OpenScene(s, internal, path), error);
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
  const auto create = [&]() -> Status {
    if (model == nullptr || session == nullptr) return BadArgument();
    floe_session_options o = FLOE_SESSION_OPTIONS_INIT;
    FLOE_RETURN_IF_ERROR(ReadOptions(options, sizeof(o), &o));
    if (o.denormals != FLOE_DENORMALS_FLUSH && o.denormals != FLOE_DENORMALS_KEEP) {
      return BadArgument();
    }
    floe::runtime::SessionOptions internal;
    internal.pool = reinterpret_cast<ThreadPool*>(o.pool);
    internal.executor = o.executor;
    internal.flush_denormals = o.denormals == FLOE_DENORMALS_FLUSH;
    internal.own_outputs = o.own_outputs != 0;
    internal.prefault = o.lazy_memory == 0;
    internal.profile_events = o.profile_events;
    FLOE_RETURN_IF_ERROR(
        ReadAllocator(o.allocator, FromHandle(model)->allocator(), &internal.allocator));
    Session* made = nullptr;
    FLOE_RETURN_IF_ERROR(Session::Make(FromHandle(model), internal, &made));
    *session = reinterpret_cast<floe_session*>(made);
    return floe::OkStatus();
  };
  return Report(create(), {}, error);
}

void floe_session_destroy(floe_session* session) {
  if (session != nullptr) Internal(session)->Destroy();
}

floe_status floe_session_bind(floe_session* session, uint32_t method, const floe_tensor* inputs,
                              uint32_t count, floe_error* error) {
  const bool bad = session == nullptr || (inputs == nullptr && count != 0);
  return ReportIn(session, bad ? BadArgument() : Internal(session)->Bind(method, inputs, count),
                  error);
}

floe_status floe_session_set_input(floe_session* session, uint32_t method, uint32_t index,
                                   const void* data, size_t bytes, floe_error* error) {
  return ReportIn(
      session,
      session == nullptr ? BadArgument() : Internal(session)->SetInput(method, index, data, bytes),
      error);
}

floe_status floe_session_set_output(floe_session* session, uint32_t method, uint32_t index,
                                    void* data, size_t bytes, floe_error* error) {
  return ReportIn(
      session,
      session == nullptr ? BadArgument() : Internal(session)->SetOutput(method, index, data, bytes),
      error);
}

floe_status floe_session_get_input(const floe_session* session, uint32_t method, uint32_t index,
                                   floe_tensor* tensor, floe_error* error) {
  const bool bad = session == nullptr || tensor == nullptr;
  return ReportIn(
      session, bad ? BadArgument() : Internal(session)->GetIo(method, true, index, tensor), error);
}

floe_status floe_session_get_output(const floe_session* session, uint32_t method, uint32_t index,
                                    floe_tensor* tensor, floe_error* error) {
  const bool bad = session == nullptr || tensor == nullptr;
  return ReportIn(
      session, bad ? BadArgument() : Internal(session)->GetIo(method, false, index, tensor), error);
}

floe_status floe_session_run(floe_session* session, uint32_t method,
                             const floe_run_options* options, floe_error* error) {
  const auto run = [&]() -> Status {
    if (session == nullptr) return BadArgument();
    floe_run_options o = FLOE_RUN_OPTIONS_INIT;
    FLOE_RETURN_IF_ERROR(ReadOptions(options, sizeof(o), &o));
    return Internal(session)->Run(method, o.cancel, o.deadline_ns);
  };
  return ReportIn(session, run(), error);
}

floe_status floe_session_get_info(const floe_session* session, uint32_t method,
                                  floe_session_info* info) {
  if (session == nullptr) return FLOE_INVALID_ARGUMENT;
  floe_session_info full = {};
  if (Status s = Internal(session)->GetInfo(method, &full); !s.ok()) {
    return static_cast<floe_status>(s.code);
  }
  return WriteInfo(full, info);
}

// ---- States -------------------------------------------------------------------------------------

floe_status floe_session_reset_states(floe_session* session) {
  if (session == nullptr) return FLOE_INVALID_ARGUMENT;
  Internal(session)->states().Reset();
  return FLOE_OK;
}

floe_status floe_session_copy_states(floe_session* to, const floe_session* from,
                                     floe_error* error) {
  const auto copy = [&]() -> Status {
    if (to == nullptr || from == nullptr || &Internal(to)->model() != &Internal(from)->model()) {
      return BadArgument();
    }
    Internal(to)->states().CopyFrom(Internal(from)->states());
    return floe::OkStatus();
  };
  return ReportIn(to, copy(), error);
}

floe_status floe_session_get_state(floe_session* session, uint32_t index, floe_tensor* tensor,
                                   floe_error* error) {
  const bool bad = session == nullptr || tensor == nullptr;
  return ReportIn(session,
                  bad ? BadArgument() : Internal(session)->states().Describe(index, tensor), error);
}

floe_status floe_session_save_states(const floe_session* session, void* buffer, size_t capacity,
                                     size_t* size, floe_error* error) {
  const auto save = [&]() -> Status {
    if (session == nullptr || size == nullptr) return BadArgument();
    const size_t needed = Internal(session)->states().BlobBytes();
    *size = needed;
    if (buffer == nullptr && capacity == 0) return floe::OkStatus();
    if (buffer == nullptr) return BadArgument();
    if (capacity < needed) {
      return floe::Error(Code::kResourceExhausted, Rule::kHostArgument,
                         static_cast<int64_t>(needed), static_cast<int64_t>(capacity));
    }
    Internal(session)->states().Save(buffer);
    return floe::OkStatus();
  };
  return ReportIn(session, save(), error);
}

floe_status floe_session_load_states(floe_session* session, const void* buffer, size_t size,
                                     floe_error* error) {
  const bool bad = session == nullptr || buffer == nullptr;
  return ReportIn(session, bad ? BadArgument() : Internal(session)->states().Load(buffer, size),
                  error);
}

floe_status floe_session_take_profile(floe_session* session, uint32_t method,
                                      floe_profile_entry* entries, size_t capacity, size_t* count) {
  if (session == nullptr || count == nullptr || (entries == nullptr && capacity != 0)) {
    return FLOE_INVALID_ARGUMENT;
  }
  return static_cast<floe_status>(
      Internal(session)->TakeProfile(method, entries, capacity, count).code);
}
