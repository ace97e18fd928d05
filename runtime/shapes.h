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
// with value and axis of the offending input; `missing` as below. O(symbols + input dimensions).
bool SolveShapes(const ProgramView& program, const MethodDef& method, const floe_tensor* inputs,
                 uint32_t count, int64_t* symbols, Status* missing, uint32_t* bucket, ErrorSink* e);

// Symbols that are not solved, and all derived ones. What would lie outside of its bounds becomes
// kNoSize: who needs it fails, and nobody else does. *missing is why the first such symbol has no
// value: `rule` (kBindSymbolRange, which is the caller's fault, or kRunSize), the bound and the
// value, and the symbol as operand; OK if all have one.
void CompleteSymbols(const ProgramView& program, Rule rule, int64_t* symbols, Status* missing);

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_SHAPES_H_
