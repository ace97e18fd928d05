// Strings one after the other, each with its NUL: no pointers, so nothing to relocate, and half the
// size of a table of them. For names and texts that are looked up when something is printed.
#ifndef FLOE_FORMAT_STRING_LIST_H_
#define FLOE_FORMAT_STRING_LIST_H_

#include <cstddef>

namespace floe {

// The string at `index` of a list that is longer than that. O(bytes before it).
const char* StringAt(const char* list, size_t index);

}  // namespace floe

#endif  // FLOE_FORMAT_STRING_LIST_H_
