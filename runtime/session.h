// A Session is what one concurrent run needs: for each method its plan and arena, and the program's
// states, which all methods share. The contracts of its functions are in floe.h.
#ifndef FLOE_RUNTIME_SESSION_H_
#define FLOE_RUNTIME_SESSION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/executor.h"
#include "runtime/floe.h"
#include "runtime/model.h"
#include "runtime/plan.h"
#include "runtime/states.h"

namespace floe::runtime {

struct SessionOptions {
  ThreadPool* pool = nullptr;
  floe_executor executor = {};
  bool flush_denormals = true;
  bool own_outputs = false;
  bool prefault = true;
  uint32_t profile_events = 0;
  Allocator allocator;  // Must be set.
};

class Session {
 public:
  // Null, and an error, if there can be no session. The others: false on an error.
  static Session* Make(Model* model, const SessionOptions& options, ErrorSink* e);
  void Destroy();

  bool Bind(uint32_t method, const floe_tensor* inputs, uint32_t count, ErrorSink* e);
  // Of an input, else of an output.
  bool SetBuffer(uint32_t method, bool input, uint32_t index, void* data, size_t bytes,
                 ErrorSink* e);
  bool GetTensor(uint32_t method, bool input, uint32_t index, floe_tensor* tensor,
                 ErrorSink* e) const;
  bool Run(uint32_t method, const int32_t* cancel, uint64_t deadline_ns, ErrorSink* e);
  bool GetInfo(uint32_t method, floe_session_info* info, ErrorSink* e) const;
  bool TakeProfile(uint32_t method, floe_profile_entry* entries, size_t capacity, size_t* count,
                   ErrorSink* e);

  States& states() { return states_; }
  const States& states() const { return states_; }
  const Model& model() const { return *model_; }
  // The symbols' values of the last Bind, or of the last run that failed at them, for messages.
  const int64_t* symbols() const { return symbols_; }

 private:
  struct Bound {
    explicit Bound(const Allocator& allocator) : arena(allocator) {}
    Plan* plan = nullptr;
    Block arena;
    ProfileRing profile;
    uint32_t runs = 0;
  };

  Session(Model* model, const SessionOptions& options);
  ~Session() = default;
  bool Init(ErrorSink* e);
  bool CheckMethod(uint32_t method, ErrorSink* e) const;
  // The plan of a bound method; null, and an error, if there is none.
  Plan* FindPlan(uint32_t method, ErrorSink* e) const;
  // The same, and the position of an input or output among the plan's.
  Plan* FindIo(uint32_t method, bool input, uint32_t index, uint32_t* io, ErrorSink* e) const;
  bool SameShapes(const Plan& plan, const floe_tensor* inputs, uint32_t count) const;
  bool CheckBuffer(const IoSlot& slot, const void* data, size_t bytes, ErrorSink* e) const;
  bool SetInputs(Plan* plan, const floe_tensor* inputs, ErrorSink* e);
  bool Rebind(Bound* bound, uint32_t method, const floe_tensor* inputs, uint32_t count,
              ErrorSink* e);
  size_t SelfBytes() const;

  Model* model_;
  SessionOptions options_;
  Workers workers_;
  States states_;
  Bound* bound_ = nullptr;  // Of each method.
  int64_t* symbols_ = nullptr;
  uint32_t method_count_ = 0;
  std::atomic<bool> busy_{false};
};

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_SESSION_H_
