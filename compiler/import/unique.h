// The different elements of a tensor, as ops whose results have a size that only the run knows.
#ifndef FLOE_COMPILER_IMPORT_UNIQUE_H_
#define FLOE_COMPILER_IMPORT_UNIQUE_H_

#include "compiler/import/emitter.h"

namespace floe::import {

struct UniqueElements {
  ir::Value* values = nullptr;   // [count], of x's dtype.
  ir::Value* first = nullptr;    // [count] i64: where each one is found first.
  ir::Value* inverse = nullptr;  // [n] i64: the position in `values` of every element.
  ir::Value* counts = nullptr;   // [count] i64.
};

// x is a vector that is not empty. sort: ascending; else only neighbours are compared, and the
// values stand in x's order. NaN differs from NaN.
UniqueElements Unique(Emitter& b, ir::Value* x, bool sort);

}  // namespace floe::import

#endif  // FLOE_COMPILER_IMPORT_UNIQUE_H_
