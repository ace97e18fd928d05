// What an instruction touches and needs, computed from shapes alone. The planner sizes memory with
// it, the validator refuses files with it, Bind re-checks concrete shapes with it, and the fuzzer
// uses it as its oracle: allocation and access share this one function per kernel family.
#ifndef FLOE_FORMAT_FOOTPRINT_H_
#define FLOE_FORMAT_FOOTPRINT_H_

#include <cstdint>

#include "format/pointwise.h"
#include "format/status.h"
#include "format/tensor_info.h"

namespace floe {

inline constexpr uint32_t kMaxOperands = 64;  // Inputs plus outputs of one instruction.

// One instruction with concrete shapes. Arrays are borrowed.
struct OpInfo {
  const TensorInfo* inputs = nullptr;
  const TensorInfo* outputs = nullptr;
  uint32_t input_count = 0;
  uint32_t output_count = 0;
  const int64_t* attrs = nullptr;  // Words in the order of backends/kernels.def.
  uint32_t attr_count = 0;
  const PwInstr* code = nullptr;
  uint32_t code_count = 0;
  // constants[i] is the data of input i when it is a constant whose bytes were copied out of the
  // mapping (index tables), else null. The array itself may be null.
  const void* const* constants = nullptr;
};

struct Footprint {
  // Scratch for each worker that runs tasks of the instruction, and state that Prepare fills at
  // Bind and Run reads. Both 64-byte aligned.
  int64_t scratch_bytes = 0;
  int64_t state_bytes = 0;
  // Bit i: output 0 may share its storage exactly (same offset and bytes) with input i.
  uint64_t in_place_inputs = 0;
  // Bit i: input i is read up to kReadSlack bytes past its end. (All others: not past the end.)
  uint64_t slack_inputs = 0;
  // For cost models and reports; saturated, never used for memory.
  double flops = 0;
  double bytes = 0;
};

// Implemented by backends/, passed into format's validator by runtime/ and compiler/.
class FootprintTable {
 public:
  // Checks arity, dtypes, layouts, shapes, attributes and code of an instruction of kernel family
  // `kernel` and fills *footprint. An unknown family is kInstructionKernel. Never reads tensor data
  // other than OpInfo::constants. Thread-safe.
  virtual Status Check(uint32_t kernel, const OpInfo& op, Footprint* footprint) const = 0;

 protected:
  ~FootprintTable() = default;
};

}  // namespace floe

#endif  // FLOE_FORMAT_FOOTPRINT_H_
