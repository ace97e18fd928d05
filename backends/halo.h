// Writing the halo of channels-last tensors with encoded zeros (Halo::fill), as every producing
// instruction does on each Run.
#ifndef FLOE_BACKENDS_HALO_H_
#define FLOE_BACKENDS_HALO_H_

#include <cstdint>

#include "format/tensor_info.h"

namespace floe {

// Zeros the halo that goes with image rows [row_begin, row_end) of image `image`: the gap after
// each of them; with row 0 also the image's first gap and top rows; with the last row also the
// bottom rows. So any partition of the rows covers the halo exactly once. An image of no rows has
// its whole storage zeroed by the empty range [0, 0). `t` is a channels-last tensor of any dtype.
void ZeroHaloRows(const TensorInfo& t, void* base, int64_t image, int64_t row_begin,
                  int64_t row_end);

// The whole halo of all images.
void ZeroHalo(const TensorInfo& t, void* base);

}  // namespace floe

#endif  // FLOE_BACKENDS_HALO_H_
