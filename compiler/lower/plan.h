// The memory plan: buckets of symbol values and, for each, arena offsets, arena and scratch bytes.
#ifndef FLOE_COMPILER_LOWER_PLAN_H_
#define FLOE_COMPILER_LOWER_PLAN_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "compiler/lower/lowered.h"

namespace floe::lower {

struct PlanOptions {
  // Upper bounds of the buckets of a symbol, ascending (its max is added). Symbols that are not
  // named here get powers of two.
  std::map<std::string, std::vector<int64_t>> buckets;
  // Powers of two are thinned out until there are at most this many boxes: each costs one offset
  // for every arena value in the file, and one check of the plan at open.
  int max_buckets = 16;
};

// Plans method 0. Every arena value gets an offset in every bucket, from its size at the bucket's
// upper corner and its lifetime (format/liveness.h): largest first, each at the lowest offset that
// is free during its whole life; a result takes the storage of an operand that dies with it where
// the kernel's footprint allows. Each slot is followed by kReadSlack bytes. Deterministic.
// The error names the instruction whose shapes a kernel refuses.
absl::Status PlanMemory(const PlanOptions& options, LoweredProgram* program);

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_PLAN_H_
