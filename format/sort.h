// Sorting without templates: the validator sorts several lists of indices, and code size counts.
#ifndef FLOE_FORMAT_SORT_H_
#define FLOE_FORMAT_SORT_H_

#include <cstddef>
#include <cstdint>

namespace floe {

// Heap sort: O(n log n) for every input, in place, not stable. `less` must be a strict weak order.
void SortIndices(uint32_t* items, size_t count, const void* context,
                 bool (*less)(const void* context, uint32_t a, uint32_t b));

}  // namespace floe

#endif  // FLOE_FORMAT_SORT_H_
