// Bytes by the range of the numbers themselves (ONNX DynamicQuantizeLinear).
#ifndef FLOE_BACKENDS_REFERENCE_DYNAMIC_RANGE_H_
#define FLOE_BACKENDS_REFERENCE_DYNAMIC_RANGE_H_

#include <cmath>
#include <cstdint>

namespace floe::reference {

// round_half_even(v) + zero within [low, high]; NaN gives low. All are bytes or their like: whole
// numbers that a float holds.
inline int32_t RoundedWithin(float v, int32_t zero, int32_t low, int32_t high) {
  const auto least = static_cast<float>(low - zero), most = static_cast<float>(high - zero);
  v = v > least ? v : least;
  v = v < most ? v : most;
  return static_cast<int32_t>(std::nearbyint(v)) + zero;
}

// The step and zero point of `count` numbers' range, which includes 0; NaN is passed over. A range
// of nothing, or one whose step underflows, has the step that ONNX Runtime gives it, 1.
struct DynamicRange {
  float scale = 1;
  int32_t zero = 0;

  DynamicRange(const float* x, int64_t count) {
    float low = 0, high = 0;
    for (int64_t i = 0; i < count; ++i) {
      low = x[i] < low ? x[i] : low;
      high = x[i] > high ? x[i] : high;
    }
    scale = (high - low) / 255.0f;
    if (scale == 0) scale = 1;
    zero = RoundedWithin(-low / scale, 0, 0, 255);
  }
  int32_t Byte(float v) const { return RoundedWithin(v / scale, zero, 0, 255); }
};

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_DYNAMIC_RANGE_H_
