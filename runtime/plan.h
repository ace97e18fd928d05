// A Plan is a method bound to concrete shapes: descriptors, pointers, prepared kernels. Made by
// Bind, read by Run, which decides nothing any more.
//
// All tables are indexed by the program's own numbers, offset by the first one that the method
// uses. Pointers of operands are resolved once; the few that are inputs and outputs of the method
// are listed (Patch), so that changing a caller's buffer rewrites exactly its uses.
#ifndef FLOE_RUNTIME_PLAN_H_
#define FLOE_RUNTIME_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backends/kernel.h"
#include "format/allocator.h"
#include "format/error_sink.h"
#include "format/program.h"
#include "runtime/floe.h"
#include "runtime/model.h"

namespace floe::runtime {

// A half-open range of table indices; zeros are the empty one.
struct IndexRange {
  uint32_t first;
  uint32_t end;

  void Cover(uint32_t begin, uint32_t count) {
    if (count == 0) return;
    if (end == 0 || begin < first) first = begin;
    if (begin + count > end) end = begin + count;
  }
  uint32_t size() const { return end - first; }
};

enum class StepKind : uint8_t { kKernel, kIf, kLoop, kSize };

// An instruction, ready to run.
struct Step {
  RunFn run = nullptr;
  KernelArgs args;
  uint32_t phases = 0;
  uint32_t tasks = 0;
  StepKind kind = StepKind::kKernel;
  bool parallel = false;  // Worth waking others for.
};

// For profiles only, kept apart from what Run reads.
struct StepReport {
  const char* variant = "";
  double flops = 0;
  double bytes = 0;
};

// An input or output of the method.
struct IoSlot {
  void* data = nullptr;  // Null: not set.
  int64_t bytes = 0;
  uint32_t value = kNoIndex;
  uint32_t first_patch = kNoIndex;
};

// One growing block for arena, scratch and owned outputs. Its contents matter only during a run
// (and, for outputs, until the next bind), so plans of one method may follow each other in it.
class Block {
 public:
  explicit Block(const Allocator& allocator) : allocator_(allocator) {}
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { Free(); }

  bool Fits(size_t bytes) const { return bytes <= bytes_; }
  // kHostMemory leaves the block empty.
  bool Allocate(size_t bytes, ErrorSink* e);
  void Free();
  void Swap(Block* other);
  char* data() const { return static_cast<char*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  Allocator allocator_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

struct PlanRequest {
  const Model* model = nullptr;
  uint32_t method = 0;
  const floe_tensor* inputs = nullptr;
  uint32_t input_count = 0;
  uint32_t workers = 1;
  bool own_outputs = false;
  void* const* states = nullptr;  // Memory of each state.
  int64_t* symbols = nullptr;     // Gets the symbols' values; kept on failure, for messages.
  Allocator allocator;
  Block* arena = nullptr;  // Used if it is big enough, ...
  Block* fresh = nullptr;  // ... else this (empty) one is filled, and the caller swaps them.
};

class PlanBuilder;

class Plan {
 public:
  // Null, and an error, if it cannot be made.
  static Plan* Make(const PlanRequest& request, ErrorSink* e);
  void Destroy();

  // Begins a run: all sizes that it will find are at their maximum, so that it follows from its
  // inputs and never from the run before it. Values stay described as they were until SetSize.
  void ForgetSizes() {
    std::memcpy(symbols_, bound_symbols_, view_->symbols.size() * sizeof(int64_t));
  }
  // In a run: a Size instruction has found this value. Describes again whatever depends on it,
  // within the memory that Bind took for its maximum; allocates nothing. kRunSize if it, or what
  // derives from it, lies outside of its symbol's bounds. O(values + instructions).
  bool SetSize(uint32_t instruction, int64_t value, ErrorSink* e);

  uint32_t input_count() const { return input_count_; }
  uint32_t output_count() const { return output_count_; }
  // Inputs, then outputs.
  const IoSlot& io(uint32_t i) const { return io_[i]; }
  void SetIo(uint32_t i, void* data);
  // Are all buffers set, and does no output overlap an input or another output? kBindMissing,
  // kBindBytes or kBindOverlap (`got` is the other value). Looks again only after a buffer has
  // changed: O(n log n) then, else O(1).
  bool CheckIo(ErrorSink* e);

  const ProgramView& view() const { return *view_; }
  const BlockDef& root() const { return view_->blocks[view_->methods[method_].block]; }
  const TensorInfo& info(uint32_t value) const { return infos_[value - values_.first]; }
  int64_t bytes(uint32_t value) const { return bytes_[value - values_.first]; }
  const Step* steps() const { return steps_; }  // Of instructions().first and on.
  const IndexRange& instructions() const { return instructions_; }
  const StepReport& report(uint32_t instruction) const {
    return reports_[instruction - instructions_.first];
  }
  void* operand(uint32_t index) const { return operand_data_[index - operands_.first]; }
  void* block_value(uint32_t index) const { return block_data_[index - block_values_.first]; }
  // Where a loop's result is parked because the same copy also overwrites it; null: nowhere.
  void* staging(uint32_t index) const { return staging_[index - block_values_.first]; }

  char* scratch() const { return scratch_; }
  size_t scratch_stride() const { return scratch_stride_; }
  uint32_t bucket() const { return bucket_; }
  // Whether runs find sizes. After a run, values are as it left them.
  bool has_sizes() const { return has_sizes_; }
  size_t plan_bytes() const { return memory_bytes_; }
  size_t kernel_bytes() const { return tables_bytes_; }
  size_t arena_bytes() const { return arena_bytes_; }
  size_t output_bytes() const { return output_bytes_; }
  size_t block_bytes() const { return block_bytes_; }

 private:
  friend class PlanBuilder;
  struct Patch {
    void** slot;
    uint32_t next;
  };

  // Zeros to begin with: PlanBuilder value-initialises its draft.
  Allocator allocator_;
  const ProgramView* view_;
  uint32_t method_;
  uint32_t bucket_;
  uint32_t input_count_;
  uint32_t output_count_;
  IndexRange values_;
  IndexRange instructions_;
  IndexRange operands_;
  IndexRange block_values_;

  // Tables in one allocation, the Plan itself first.
  size_t memory_bytes_;
  PlanBuilder* builder_;  // As it was at the end of Bind.
  bool has_sizes_;
  int64_t* symbols_;
  int64_t* bound_symbols_;  // As Bind had them: no run's value is larger than with these.
  bool* used_;
  TensorInfo* infos_;
  int64_t* bytes_;
  void** data_;  // Of values; null for inputs and outputs.
  TensorInfo* operand_infos_;
  void** operand_data_;
  const void** operand_constants_;
  void** block_data_;
  void** staging_;
  OpInfo* ops_;
  Step* steps_;
  StepReport* reports_;
  int64_t* state_offsets_;  // Of each instruction's kernel state, in tables_.
  Footprint* footprints_;
  uint32_t* io_index_;        // Of values: which of io_; kNoIndex: none.
  int64_t* dims_offsets_;     // Of kDims values, in tables_.
  int64_t* staging_offsets_;  // Of block values, in tables_; -1: none.
  IoSlot* io_;
  uint32_t* io_order_;  // Room for CheckIo to sort them.
  bool io_checked_;
  Patch* patches_;
  uint32_t patch_count_;

  // Kernel states, dimension tensors and staging: what Bind fills and Run reads.
  char* tables_;
  size_t tables_bytes_;

  char* scratch_;
  size_t scratch_stride_;
  size_t arena_bytes_;
  size_t output_bytes_;
  size_t block_bytes_;
};

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_PLAN_H_
