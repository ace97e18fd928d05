// The injected allocator: the only way in which format's reader, backends and runtime get memory.
#ifndef FLOE_FORMAT_ALLOCATOR_H_
#define FLOE_FORMAT_ALLOCATOR_H_

#include <cstddef>

namespace floe {

// Two functions and a context. `allocate` returns null when memory is exhausted; it must be safe to
// call from the threads that open models and make sessions. Copyable.
struct Allocator {
  void* self = nullptr;
  void* (*allocate)(void* self, size_t bytes, size_t alignment) = nullptr;
  void (*release)(void* self, void* memory, size_t bytes) = nullptr;

  void* Allocate(size_t bytes, size_t alignment) const { return allocate(self, bytes, alignment); }
  void Release(void* memory, size_t bytes) const {
    if (memory != nullptr) release(self, memory, bytes);
  }
};

// aligned_alloc and free.
Allocator DefaultAllocator();

}  // namespace floe

#endif  // FLOE_FORMAT_ALLOCATOR_H_
