// The operands of a case in guarded memory, filled as the case says.
#ifndef FLOE_TESTS_KERNELS_OPERANDS_H_
#define FLOE_TESTS_KERNELS_OPERANDS_H_

#include <cstdint>
#include <vector>

#include "tests/kernels/conformance.h"
#include "tests/kernels/guarded_buffer.h"

namespace floe::conformance {

struct Operands {
  std::vector<GuardedBuffer> inputs;
  std::vector<GuardedBuffer> outputs;
  std::vector<std::vector<unsigned char>> input_copies;
  std::vector<const void*> constants;
};

// slack_inputs: as of Footprint. The same seed gives the same numbers.
Operands MakeOperands(const KernelCase& c, uint64_t slack_inputs, uint32_t seed);

bool Exact(DType t);                 // Results of the type are compared as they are.
int64_t Bytes(const TensorInfo& t);  // 0 of an absent operand, -1 if they overflow.
// Of the element at `index`, in bytes.
int64_t Position(const TensorInfo& t, const std::vector<int64_t>& index);
Logical ToLogical(const TensorInfo& t, const unsigned char* data);

}  // namespace floe::conformance

#endif  // FLOE_TESTS_KERNELS_OPERANDS_H_
