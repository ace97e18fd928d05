// Finds the values of a program's symbols from the shapes that a caller binds, and the bucket that
// covers them.
#ifndef FLOE_RUNTIME_SHAPES_H_
#define FLOE_RUNTIME_SHAPES_H_

#include <cstdint>

#include "format/error_sink.h"
#include "format/program.h"
#include "runtime/floe.h"

namespace floe::runtime {

// Checks dtype and rank of every input of the method (there must be exactly as many as it has
// params) and solves the symbols: an input dimension with one unknown symbol determines it. Sizes
// that only a run finds (kData) are at their maximum. Then takes the first bucket that covers the
// values. At last compares every dimension. `symbols` has one element per symbol. kBind... rules,
// with value and axis of the offending input. O(symbols + input dimensions).
bool SolveShapes(const ProgramView& program, const MethodDef& method, const floe_tensor* inputs,
                 uint32_t count, int64_t* symbols, uint32_t* bucket, ErrorSink* e);

// What nothing has determined among the symbols from number `first` on: derived ones, and in Bind
// (kBindSymbolRange, else kRunSize) those that are not solved. `rule`, with the bound and the value,
// if a symbol lies outside of its bounds.
bool CompleteSymbols(const ProgramView& program, size_t first, Rule rule, int64_t* symbols,
                     ErrorSink* e);

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_SHAPES_H_
