#include "format/sort.h"

namespace floe {

void SortIndices(uint32_t* items, size_t count, const void* context,
                 bool (*less)(const void* context, uint32_t a, uint32_t b)) {
  // First the upper half's parents sink one after the other, which makes a heap; then the largest
  // item goes behind the shrinking heap, and what takes its place sinks.
  for (size_t start = count / 2, end = count; end > 1;) {
    if (start > 0) {
      --start;
    } else {
      --end;
      const uint32_t largest = items[0];
      items[0] = items[end];
      items[end] = largest;
    }
    size_t at = start;
    for (size_t child; (child = 2 * at + 1) < end; at = child) {
      if (child + 1 < end && less(context, items[child], items[child + 1])) ++child;
      if (!less(context, items[at], items[child])) break;
      const uint32_t item = items[at];
      items[at] = items[child];
      items[child] = item;
    }
  }
}

}  // namespace floe
