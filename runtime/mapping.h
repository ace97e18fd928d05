// The bytes of a program file: mapped read-only, borrowed from the caller, or copied.
#ifndef FLOE_RUNTIME_MAPPING_H_
#define FLOE_RUNTIME_MAPPING_H_

#include <cstddef>

#include "format/allocator.h"
#include "format/error_sink.h"

namespace floe::runtime {

class Mapping {
 public:
  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  // kNotFound or kIo (kHostFile, got = errno). An empty file gives size() 0.
  bool MapFile(const char* path, ErrorSink* e);
  // Reads the file into memory of `allocator`, in huge pages where the system has them.
  bool ReadFile(const char* path, const Allocator& allocator, ErrorSink* e);
  // Borrows; kHostArgument if `data` is null or not 64-byte aligned.
  bool Borrow(const void* data, size_t bytes, ErrorSink* e);
  bool Copy(const void* data, size_t bytes, const Allocator& allocator, ErrorSink* e);

  const void* data() const { return data_; }
  size_t size() const { return size_; }
  size_t copied_bytes() const { return copied_ ? size_ : 0; }

 private:
  bool Allocate(size_t bytes, const Allocator& allocator, ErrorSink* e);

  const void* data_ = nullptr;
  size_t size_ = 0;
  bool mapped_ = false;
  bool copied_ = false;
  Allocator allocator_;  // Of a copy.
};

// Asks for huge pages and for the pages to be there, in the whole pages inside [data, data +
// bytes). Hints: never fail. `write` is for anonymous memory that is about to be written.
void PrefaultMemory(const void* data, size_t bytes, bool write);

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_MAPPING_H_
