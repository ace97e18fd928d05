// Lifetimes of arena values, computed once and used by both the planner and the validator.
//
// Instructions of a method are numbered in execution order: a control instruction first, then its
// blocks' bodies one after the other, then a closing number at which the blocks' results are copied
// to the outputs (or back to a loop's params). So the two branches of an If share arena space, and
// a loop's params and results never do: they are double-buffered.
#ifndef FLOE_FORMAT_LIVENESS_H_
#define FLOE_FORMAT_LIVENESS_H_

#include <cstdint>

#include "format/allocator.h"
#include "format/program.h"
#include "format/status.h"

namespace floe {

struct LiveRange {
  uint32_t first = kNoIndex;  // Number of the writing instruction; kNoIndex: the method has no use.
  uint32_t last = 0;          // Number of the last reader, inclusive.
};

// Fills ranges[v] for every value that the method uses; a value that is an alias extends the range
// of the value that it links to. A value that is defined outside a loop and read inside lives until
// the loop's closing number; a loop's params live from the loop's own number to its closing number,
// its results until the closing number. An output of a control instruction lives from the
// instruction's own number. A method's params live from 0, its results until one past the last
// number. `ranges` has one element per value of the program. kBlockStructure when blocks nest
// deeper than 32, are shared or are recursive. O(instructions + operands).
Status ComputeLiveness(const ProgramView& program, uint32_t method, LiveRange* ranges);

}  // namespace floe

#endif  // FLOE_FORMAT_LIVENESS_H_
