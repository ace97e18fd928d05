// The runtime: opens a validated program (Model), binds shapes to it (Session, plan.h), runs it
// (executor.h) on the caller's thread and a ThreadPool. floe.h is the public face (c_api.cc), and
// floe.hpp a header-only layer over that. Tools of this repository also use the headers here.
//
// A Model is one program on one kernel table: immutable, reference counted, shared by sessions.
#ifndef FLOE_RUNTIME_MODEL_H_
#define FLOE_RUNTIME_MODEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "backends/registry.h"
#include "format/allocator.h"
#include "format/reader.h"
#include "runtime/floe.h"
#include "runtime/mapping.h"

namespace floe::runtime {

struct OpenOptions {
  ReadOptions read;
  const char* backend = nullptr;  // Null: "cpu".
  const char* isa = nullptr;      // Null: the best that the machine has.
  bool copy = false;
  Allocator allocator;  // Must be set.
};

class Model {
 public:
  // kHostFile, kHostMemory, kBackendMissing, or a rule that the bytes break. The model
  // has one reference; null on failure.
  static Model* OpenFile(const char* path, const OpenOptions& options, ErrorSink* e);
  // `data` must be 64-byte aligned and outlive the model, unless options.copy.
  static Model* OpenBytes(const void* data, size_t bytes, const OpenOptions& options, ErrorSink* e);

  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref();

  const ProgramView& view() const { return program_.view(); }
  const KernelTable& kernels() const { return *kernels_; }
  const Allocator& allocator() const { return allocator_; }
  const Limits& limits() const { return limits_; }
  size_t file_bytes() const { return file_.size(); }
  // Private memory: metadata, index tables and a copied file.
  uint64_t resident_bytes() const;
  // Maps the weights' pages, once; a hint.
  void Prefault();

 private:
  explicit Model(const OpenOptions& options)
      : allocator_(options.allocator), limits_(options.read.limits) {}
  ~Model() = default;
  static Model* Make(const OpenOptions& options, ErrorSink* e);
  Model* Load(bool has_file, const OpenOptions& options, ErrorSink* e);

  std::atomic<uint32_t> refs_{1};
  std::atomic<bool> prefaulted_{false};
  Allocator allocator_;
  Limits limits_;
  const KernelTable* kernels_ = nullptr;
  Mapping file_;  // Outlives program_, which points into it.
  Program program_;
};

// The object behind a handle of the C API.
inline const Model& FromHandle(const floe_model* handle) {
  return *reinterpret_cast<const Model*>(handle);
}
inline Model* FromHandle(floe_model* handle) { return reinterpret_cast<Model*>(handle); }
inline floe_model* ToHandle(Model* model) { return reinterpret_cast<floe_model*>(model); }

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_MODEL_H_
