// Packing: dense weights into the panel layouts of format/layouts.def, at compile time and only
// then.
#ifndef FLOE_COMPILER_LOWER_PACK_H_
#define FLOE_COMPILER_LOWER_PACK_H_

#include <cstdint>

#include "format/tensor_info.h"

namespace floe::lower {

// Packs the fp32 weights `source` into `packed`, whose layout and logical dims are `info`'s (a
// constant layout; see format/layouts.def for each formula). `source` is row-major in the logical
// dims, except when `transposed` (rank 2 only): then it is row-major in the swapped dims. `packed`
// has TensorBytes(info) bytes; every one is written, padding with zeros. O(bytes).
void PackWeights(const TensorInfo& info, const float* source, bool transposed, float* packed);

// The same into f16 or bf16 (info.dtype), rounded to nearest even; gemm_pairs16 and conv_pairs16
// too. Needs memory for one fp32 copy of the weights meanwhile.
void PackNarrowWeights(const TensorInfo& info, const float* source, bool transposed,
                       uint16_t* packed);

// As PackWeights, for i8 weights and the layouts ...16x4.
void PackWeightsInt8(const TensorInfo& info, const int8_t* source, bool transposed, int8_t* packed);

// sums[n], n an output column or channel (dims[1] of gemm_panels16x4, else dims[0]): the sum of the
// weights that feed it. `source` as for PackWeightsInt8. Modulo 2^32.
void ColumnSums(const TensorInfo& info, const int8_t* source, bool transposed, int32_t* sums);

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_PACK_H_
