// What the options of all front ends have in common: dimensions of inputs, named or numbers.
#ifndef FLOE_COMPILER_IMPORT_OPTIONS_H_
#define FLOE_COMPILER_IMPORT_OPTIONS_H_

#include <cstdint>
#include <string>

namespace floe::import {

// One dimension of an input: the name of a symbol, or a number if `symbol` is empty.
struct DimSpec {
  std::string symbol;
  int64_t value = 0;
};

// Inclusive bounds of a named dimension. min == max fixes it: it becomes a number everywhere.
struct DimBounds {
  int64_t min = 1;
  int64_t max = 1;
  int64_t multiple = 1;
};

}  // namespace floe::import

#endif  // FLOE_COMPILER_IMPORT_OPTIONS_H_
