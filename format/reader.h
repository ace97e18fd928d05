// Reads and validates a program. Total: any bytes either give a program that cannot misbehave, or a
// Status with a rule. Cost is linear in the metadata and index sections and does not depend on the
// size of the weights, which are not touched (unless verify_payload).
#ifndef FLOE_FORMAT_READER_H_
#define FLOE_FORMAT_READER_H_

#include <cstddef>
#include <cstdint>

#include "format/allocator.h"
#include "format/footprint.h"
#include "format/program.h"
#include "format/status.h"

namespace floe {

struct Limits {
  uint64_t max_metadata_bytes = uint64_t{256} << 20;
  uint64_t max_arena_bytes = uint64_t{64} << 30;  // Arena plus scratch of one bucket.
  uint64_t max_instructions = 1 << 20;
  // Of one run at a bucket's corner: floating-point operations, and 1000 for each instruction.
  double max_work = 1e15;
};

struct ReadOptions {
  Limits limits;
  bool verify_payload = false;  // Also check the checksums of the weight sections: reads them all.
};

// A validated program. Owns a private copy of the metadata and of the index section; the weight
// sections point into `file`, which the caller keeps alive and unchanged.
class Program {
 public:
  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  // `file` must be 64-byte aligned. Memory comes from `allocator` only.
  static Status Read(const void* file, size_t bytes, const ReadOptions& options,
                     const FootprintTable& footprints, const Allocator& allocator,
                     Program* program);

  const ProgramView& view() const { return view_; }
  // Private memory that it holds.
  size_t copy_bytes() const { return copy_bytes_; }

 private:
  void Reset();

  Allocator allocator_;
  void* copy_ = nullptr;  // Metadata and index sections.
  size_t copy_bytes_ = 0;
  ProgramView view_;
};

// The semantic half of Read, on a view whose table ranges need not be valid yet: every index,
// shape, lifetime and arena overlap. `scratch` memory comes from `allocator` and is released.
Status ValidateProgram(const ProgramView& program, const Limits& limits,
                       const FootprintTable& footprints, const Allocator& allocator);

}  // namespace floe

#endif  // FLOE_FORMAT_READER_H_
