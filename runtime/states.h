// The named states of a program in one session: hidden states, caches. They keep their contents
// from run to run and are shared by the session's methods.
#ifndef FLOE_RUNTIME_STATES_H_
#define FLOE_RUNTIME_STATES_H_

#include <cstddef>
#include <cstdint>

#include "format/allocator.h"
#include "format/error_sink.h"
#include "format/program.h"
#include "runtime/floe.h"

namespace floe::runtime {

// Describes memory that holds a tensor.
void PutInfo(const TensorInfo& info, void* data, size_t bytes, floe_tensor* tensor);

class States {
 public:
  // Allocates and initialises all states of `program`, which must outlive this.
  bool Init(const ProgramView& program, const Allocator& allocator, ErrorSink* e);
  void Destroy();

  // Memory of each state, readable kReadSlack past its end.
  void* const* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  uint32_t count() const { return static_cast<uint32_t>(program_->states.size()); }

  void Reset();
  void CopyFrom(const States& other);  // Of the same program.
  bool Describe(uint32_t state, floe_tensor* tensor, ErrorSink* e) const;

  // The blob: header, then for each state a record (name hash, dtype, shape) and its bytes, padded
  // to 8; a checksum covers all.
  size_t BlobBytes() const;
  void Save(void* blob) const;
  // kStateBlob: nothing has changed.
  bool Load(const void* blob, size_t bytes, ErrorSink* e);

 private:
  Allocator allocator_;
  const ProgramView* program_ = nullptr;
  void** data_ = nullptr;  // The allocation: pointers, then the states.
  size_t bytes_ = 0;
};

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_STATES_H_
