// The integer products (qgemm, qconv, qdepthwise_conv): their operands and attribute words, as the
// checks, the twins and the kernels read them. The meaning is in backends/kernels.def.
#ifndef FLOE_BACKENDS_FAMILIES_QUANTIZED_H_
#define FLOE_BACKENDS_FAMILIES_QUANTIZED_H_

#include <cstdint>

#include "format/footprint.h"

namespace floe::families {

// Of a pool of bytes: more might not sum up in 31 bits.
inline constexpr int64_t kMostQPoolTaps = int64_t{1} << 23;

// Inputs by position.
enum QuantizedInput : uint32_t {
  kQuantizedX = 0,
  kQuantizedW = 1,
  kQuantizedColumnSums = 2,
  kQuantizedScale = 3,
  kQuantizedBias = 4,
  kQuantizedXScale = 5,
  kQuantizedXZeroPoint = 6,
  kQuantizedResidual = 7,
  kQuantizedExtra = 8,  // The first operand of an epilogue program.
};

inline constexpr uint32_t kRequantizeWords = 10;

struct Requantize {
  bool dynamic = false;  // The scale and zero point of x are operands.
  int32_t x_zp = 0;
  int32_t y_zp = 0, low = 0, high = 0;
  int32_t t_zp = 0, t_low = 0, t_high = 0, r_zp = 0;
  float t_ratio = 0, r_ratio = 0;
};

// Of kRequantizeWords words that have passed the check.
Requantize ReadRequantize(const int64_t* words);

// Of qlstm_recurrence: bytes of one row of h, whole groups of four.
inline int64_t QLstmPitch(int64_t hidden) { return (hidden + 3) / 4 * 4; }

// Whether a qconv's weights are [O, C * kw, kh, 1]: the taps of a window's row, which follow each
// other in x, are one run of K, filled up to whole groups of four once instead of for each tap.
inline bool JoinsTaps(const TensorInfo& w, int64_t kw) { return kw > 1 && w.dims[3] == 1; }

// Scratch of a worker: tiles of accumulators and of copied operands of any implementation.
inline constexpr int64_t kQuantizedScratchBytes = 32 << 10;

}  // namespace floe::families

#endif  // FLOE_BACKENDS_FAMILIES_QUANTIZED_H_
