// The C++ API of Floe: a header-only layer over the C API (floe.h), which has the contract of every
// function: threads, ownership, costs, errors. It works without exceptions; handles are move-only.
//
//   floe::Result<floe::Model> model = floe::Model::Open("resnet50.floe");
//   if (!model.ok()) return Fail(model.outcome().Message());
//   floe::ThreadPool pool = floe::ThreadPool::Make(4).value();
//   floe::SessionOptions options;
//   options.pool = pool.get();
//   options.own_outputs = 1;
//   floe::Result<floe::Session> session = floe::Session::Make(*model, options);
//   floe::Outcome bound = session->Bind({floe::TensorOf(image.data(), {1, 3, 224, 224})});
//   floe::Outcome ran = session->Run();
//   const float* scores = session->Output(0)->Data<float>();
#ifndef FLOE_RUNTIME_FLOE_HPP_
#define FLOE_RUNTIME_FLOE_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>

// The installed header lies beside floe.h; in the source tree both are in runtime/.
#include "floe.h"

namespace floe {

// Success, or an error with its details. Copying costs sizeof(floe_error).
class [[nodiscard]] Outcome {
 public:
  Outcome() = default;
  Outcome(floe_status code, const floe_error& error) : code_(code), error_(error) {}

  bool ok() const { return code_ == FLOE_OK; }
  floe_status code() const { return code_; }
  const floe_error& error() const { return error_; }
  // One sentence: what, where, what to do. "ok" on success. Allocates.
  std::string Message() const {
    if (ok()) return "ok";
    std::string text(floe_error_format(&error_, nullptr, 0), '\0');
    floe_error_format(&error_, text.data(), text.size() + 1);
    return text;
  }

 private:
  floe_status code_ = FLOE_OK;
  floe_error error_ = {};
};

// A value or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}              // NOLINT: implicit on purpose.
  Result(Outcome outcome) : outcome_(std::move(outcome)) {}  // NOLINT: implicit on purpose.

  bool ok() const { return outcome_.ok(); }
  const Outcome& outcome() const { return outcome_; }
  // Only when ok().
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  T value() && { return std::move(*value_); }
  T& value() & { return *value_; }

 private:
  std::optional<T> value_;
  Outcome outcome_;
};

// floe_dtype of a C++ element type. float16 kinds have none: set Tensor::dtype.
template <typename T>
constexpr floe_dtype DTypeOf() = delete;
template <>
constexpr floe_dtype DTypeOf<float>() {
  return FLOE_F32;
}
template <>
constexpr floe_dtype DTypeOf<double>() {
  return FLOE_F64;
}
template <>
constexpr floe_dtype DTypeOf<int8_t>() {
  return FLOE_I8;
}
template <>
constexpr floe_dtype DTypeOf<uint8_t>() {
  return FLOE_U8;
}
template <>
constexpr floe_dtype DTypeOf<int16_t>() {
  return FLOE_I16;
}
template <>
constexpr floe_dtype DTypeOf<uint16_t>() {
  return FLOE_U16;
}
template <>
constexpr floe_dtype DTypeOf<int32_t>() {
  return FLOE_I32;
}
template <>
constexpr floe_dtype DTypeOf<uint32_t>() {
  return FLOE_U32;
}
template <>
constexpr floe_dtype DTypeOf<int64_t>() {
  return FLOE_I64;
}
template <>
constexpr floe_dtype DTypeOf<uint64_t>() {
  return FLOE_U64;
}
template <>
constexpr floe_dtype DTypeOf<bool>() {
  return FLOE_BOOL;
}

// A dense tensor in the caller's memory.
struct Tensor : floe_tensor {
  Tensor() : floe_tensor{} {}
  Tensor(const floe_tensor& t) : floe_tensor(t) {}  // NOLINT: implicit on purpose.

  template <typename T>
  T* Data() const {
    return static_cast<T*>(data);
  }
  std::span<const int64_t> Dims() const { return {dims, rank}; }
};

// Describes `data` with the given dims. Inputs may be const: they are never written.
template <typename T>
Tensor TensorOf(T* data, std::span<const int64_t> dims) {
  Tensor t;
  t.data = const_cast<std::remove_const_t<T>*>(data);
  t.dtype = DTypeOf<std::remove_const_t<T>>();
  t.rank = static_cast<uint32_t>(dims.size());
  t.bytes = sizeof(T);
  for (size_t i = 0; i < dims.size() && i < FLOE_MAX_RANK; ++i) {
    t.dims[i] = dims[i];
    t.bytes *= static_cast<size_t>(dims[i]);
  }
  return t;
}
template <typename T>
Tensor TensorOf(T* data, std::initializer_list<int64_t> dims) {
  return TensorOf(data, std::span<const int64_t>(dims.begin(), dims.size()));
}

// The option structs with their defaults set.
struct OpenOptions : floe_open_options {
  OpenOptions() : floe_open_options FLOE_OPEN_OPTIONS_INIT {}
};
struct SessionOptions : floe_session_options {
  SessionOptions() : floe_session_options FLOE_SESSION_OPTIONS_INIT {}
};
struct ThreadPoolOptions : floe_thread_pool_options {
  ThreadPoolOptions() : floe_thread_pool_options FLOE_THREAD_POOL_OPTIONS_INIT {}
};
struct RunOptions : floe_run_options {
  RunOptions() : floe_run_options FLOE_RUN_OPTIONS_INIT {}
  // The flag may be set from any thread while the run is on.
  void CancelBy(const std::atomic<int32_t>* flag) {
    static_assert(sizeof(std::atomic<int32_t>) == sizeof(int32_t));
    cancel = reinterpret_cast<const int32_t*>(flag);
  }
};

namespace internal {

// A move-only handle of the C API.
template <typename H, void (*kRelease)(H*)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(H* handle) : handle_(handle) {}
  Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      if (handle_ != nullptr) kRelease(handle_);
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Handle() {
    if (handle_ != nullptr) kRelease(handle_);
  }
  H* get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  H* handle_ = nullptr;
};

}  // namespace internal

// Worker threads that sessions share.
class ThreadPool : public internal::Handle<floe_thread_pool, floe_thread_pool_release> {
 public:
  using Handle::Handle;

  static Result<ThreadPool> Make(const ThreadPoolOptions& options) {
    floe_thread_pool* pool = nullptr;
    floe_error error = {};
    const floe_status s = floe_thread_pool_create(&options, &pool, &error);
    if (s != FLOE_OK) return Outcome(s, error);
    return ThreadPool(pool);
  }
  // threads counts the calling thread; 0: as many as the process may use.
  static Result<ThreadPool> Make(uint32_t threads = 0) {
    ThreadPoolOptions options;
    options.threads = threads;
    return Make(options);
  }
  uint32_t size() const { return floe_thread_pool_size(get()); }
};

// A program, opened and validated. Immutable: any number of threads may use it.
class Model : public internal::Handle<floe_model, floe_model_release> {
 public:
  using Handle::Handle;

  static Result<Model> Open(const char* path, const OpenOptions& options = {}) {
    floe_model* model = nullptr;
    floe_error error = {};
    const floe_status s = floe_model_open_file(path, &options, &model, &error);
    if (s != FLOE_OK) return Outcome(s, error);
    return Model(model);
  }
  static Result<Model> Open(const std::string& path, const OpenOptions& options = {}) {
    return Open(path.c_str(), options);
  }
  // 64-byte aligned and kept by the caller, unless options.copy.
  static Result<Model> Open(const void* data, size_t bytes, const OpenOptions& options = {}) {
    floe_model* model = nullptr;
    floe_error error = {};
    const floe_status s = floe_model_open_bytes(data, bytes, &options, &model, &error);
    if (s != FLOE_OK) return Outcome(s, error);
    return Model(model);
  }

  floe_model_info Info() const {
    floe_model_info info = {};
    info.struct_size = sizeof(info);
    (void)floe_model_get_info(get(), &info);
    return info;
  }
  // All zero if there is no such method; so below.
  floe_method_info Method(uint32_t method = 0) const {
    floe_method_info info = {};
    info.struct_size = sizeof(info);
    (void)floe_model_get_method(get(), method, &info);
    return info;
  }
  floe_bucket_info Bucket(uint32_t method, uint32_t bucket) const {
    floe_bucket_info info = {};
    info.struct_size = sizeof(info);
    (void)floe_model_get_bucket(get(), method, bucket, &info);
    return info;
  }
  floe_tensor_spec Spec(floe_entity entity, uint32_t index, uint32_t method = 0) const {
    floe_tensor_spec spec = {};
    spec.struct_size = sizeof(spec);
    (void)floe_model_get_spec(get(), entity, method, index, &spec);
    return spec;
  }
  // Allocates. Empty if there is no such thing.
  std::string Name(floe_entity entity, uint32_t index, uint32_t method = 0) const {
    std::string name(floe_model_get_name(get(), entity, method, index, nullptr, 0), '\0');
    floe_model_get_name(get(), entity, method, index, name.data(), name.size() + 1);
    return name;
  }
  std::optional<uint32_t> Find(floe_entity entity, const char* name, uint32_t method = 0) const {
    uint32_t index = 0;
    if (floe_model_find(get(), entity, method, name, &index) != FLOE_OK) return std::nullopt;
    return index;
  }
  floe_golden Golden(uint32_t golden) const {
    floe_golden info = {};
    info.struct_size = sizeof(info);
    (void)floe_model_get_golden(get(), golden, &info);
    return info;
  }
  struct GoldenTensor {
    floe_entity entity = FLOE_INPUT;  // FLOE_INPUT or FLOE_OUTPUT.
    uint32_t index = 0;
    Tensor tensor;
  };
  std::optional<GoldenTensor> GetGoldenTensor(uint32_t golden, uint32_t tensor) const {
    GoldenTensor t;
    if (floe_model_get_golden_tensor(get(), golden, tensor, &t.entity, &t.index, &t.tensor) !=
        FLOE_OK) {
      return std::nullopt;
    }
    return t;
  }
};

// Bound shapes, arena and states of one concurrent run. One thread at a time.
class Session : public internal::Handle<floe_session, floe_session_destroy> {
 public:
  using Handle::Handle;

  // The session keeps the model and the pool alive.
  static Result<Session> Make(const Model& model, const SessionOptions& options = {}) {
    floe_session* session = nullptr;
    floe_error error = {};
    const floe_status s = floe_session_create(model.get(), &options, &session, &error);
    if (s != FLOE_OK) return Outcome(s, error);
    return Session(session);
  }

  // All inputs in the method's order.
  Outcome Bind(std::span<const Tensor> inputs, uint32_t method = 0) {
    static_assert(sizeof(Tensor) == sizeof(floe_tensor));
    return Call(floe_session_bind, get(), method, static_cast<const floe_tensor*>(inputs.data()),
                static_cast<uint32_t>(inputs.size()));
  }
  Outcome Bind(std::initializer_list<Tensor> inputs, uint32_t method = 0) {
    return Bind(std::span<const Tensor>(inputs.begin(), inputs.size()), method);
  }
  Outcome SetInput(uint32_t index, const void* data, size_t bytes, uint32_t method = 0) {
    return Call(floe_session_set_input, get(), method, index, data, bytes);
  }
  Outcome SetOutput(uint32_t index, void* data, size_t bytes, uint32_t method = 0) {
    return Call(floe_session_set_output, get(), method, index, data, bytes);
  }
  Result<Tensor> Input(uint32_t index, uint32_t method = 0) const {
    return Get(floe_session_get_input, method, index);
  }
  Result<Tensor> Output(uint32_t index, uint32_t method = 0) const {
    return Get(floe_session_get_output, method, index);
  }
  Outcome Run(const RunOptions& options = {}, uint32_t method = 0) {
    return Call(floe_session_run, get(), method, static_cast<const floe_run_options*>(&options));
  }
  floe_session_info Info(uint32_t method = 0) const {
    floe_session_info info = {};
    info.struct_size = sizeof(info);
    (void)floe_session_get_info(get(), method, &info);
    return info;
  }

  void ResetStates() { (void)floe_session_reset_states(get()); }
  Outcome CopyStates(const Session& from) {
    return Call(floe_session_copy_states, get(), static_cast<const floe_session*>(from.get()));
  }
  Result<Tensor> State(uint32_t index) {
    Tensor t;
    Outcome o = Call(floe_session_get_state, get(), index, static_cast<floe_tensor*>(&t));
    if (!o.ok()) return o;
    return t;
  }
  // Allocates.
  std::string SaveStates() const {
    size_t size = 0;
    (void)floe_session_save_states(get(), nullptr, 0, &size, nullptr);
    std::string blob(size, '\0');
    (void)floe_session_save_states(get(), blob.data(), blob.size(), &size, nullptr);
    return blob;
  }
  Outcome LoadStates(const void* blob, size_t bytes) {
    return Call(floe_session_load_states, get(), blob, bytes);
  }
  // The newest events that fit into `entries`, oldest first; clears the record.
  std::span<floe_profile_entry> TakeProfile(std::span<floe_profile_entry> entries,
                                            uint32_t method = 0) {
    size_t count = 0;
    (void)floe_session_take_profile(get(), method, entries.data(), entries.size(), &count);
    return entries.first(count);
  }

 private:
  template <typename F, typename... Args>
  static Outcome Call(F function, Args... args) {
    floe_error error = {};
    const floe_status s = function(args..., &error);
    return s == FLOE_OK ? Outcome() : Outcome(s, error);
  }
  template <typename F>
  Result<Tensor> Get(F function, uint32_t method, uint32_t index) const {
    Tensor t;
    Outcome o = Call(function, static_cast<const floe_session*>(get()), method, index,
                     static_cast<floe_tensor*>(&t));
    if (!o.ok()) return o;
    return t;
  }
};

}  // namespace floe

#endif  // FLOE_RUNTIME_FLOE_HPP_
