// Resampling along one axis, which the front ends' resize ops are made of: each new position is a
// weighted sum of old ones, known while the model is read.
#ifndef FLOE_COMPILER_IMPORT_RESAMPLE_H_
#define FLOE_COMPILER_IMPORT_RESAMPLE_H_

#include <cstdint>
#include <vector>

#include "compiler/import/emitter.h"

namespace floe::import {

// The old positions that one new position takes, and their weights.
struct Taps {
  std::vector<int64_t> index;
  std::vector<double> weight;
};

// The factor of Keys' cubic kernel at a distance; `a` is its free parameter (-0.75 or -0.5).
double CubicWeight(double a, double distance);

// `axis` of x with taps.size() positions. A few gathers, or a product with a constant matrix where
// there are many taps. REQUIRES: at least one position; each has at least one tap, inside the axis.
// x must be of floats unless every position has one tap of weight 1.
ir::Value* Resample(Emitter& e, ir::Value* x, int64_t axis, const std::vector<Taps>& taps);

}  // namespace floe::import

#endif  // FLOE_COMPILER_IMPORT_RESAMPLE_H_
