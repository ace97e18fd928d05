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

// One bucket's memory. `least` is what lives at once at the fullest moment, storage that is taken
// over counted once: no plan is smaller.
struct BucketMemory {
  int64_t arena_bytes = 0;
  int64_t least = 0;
  int64_t scratch_bytes = 0;
  std::vector<int64_t> corner = {};  // Upper bounds of the symbols.

  double ratio() const {
    return least == 0 ? 1 : static_cast<double>(arena_bytes) / static_cast<double>(least);
  }
};

// Plans method 0. Every arena value gets an offset in every bucket, from its size at the bucket's
// upper corner and its lifetime (format/liveness.h), as arena_layout.h packs them; a result takes
// the storage of an operand that dies with it where the kernel's footprint allows. Each slot is
// followed by kReadSlack bytes. Deterministic. The error names the instruction whose shapes a
// kernel refuses. `memory`, if not null, gets what each bucket takes.
absl::Status PlanMemory(const PlanOptions& options, LoweredProgram* program,
                        std::vector<BucketMemory>* memory = nullptr);

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_PLAN_H_
