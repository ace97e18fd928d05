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

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_PACK_H_
