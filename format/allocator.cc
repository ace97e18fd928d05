#include "format/allocator.h"

#include <cstdint>
#include <cstdlib>

namespace floe {
namespace {

void* DefaultAllocate(void*, size_t bytes, size_t alignment) {
  // aligned_alloc wants a multiple of the alignment; a null result means only "exhausted".
  if (bytes > SIZE_MAX - alignment) return nullptr;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
}

void DefaultRelease(void*, void* memory, size_t) { std::free(memory); }

}  // namespace

Allocator DefaultAllocator() { return {nullptr, DefaultAllocate, DefaultRelease}; }

}  // namespace floe
