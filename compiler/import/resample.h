// Resampling along one axis, which the front ends' resize ops are made of: each new position is a
// weighted sum of old ones, known while the model is read if the sizes are.
#ifndef FLOE_COMPILER_IMPORT_RESAMPLE_H_
#define FLOE_COMPILER_IMPORT_RESAMPLE_H_

#include <cstdint>
#include <optional>
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

// An axis of which the old or the new size is known at run time only.
struct DynamicAxis {
  int64_t axis = 0;
  ir::Dim to;
  double scale = 0;      // New size over old, if it does not follow from the sizes.
  bool corners = false;  // The first and the last positions stay; else ...
  double before = 0.5;   // ... new position i lies at (i + before) / scale - after of the old ones.
  double after = 0.5;
  bool nearest = false;  // Takes one old position: that number plus `shift`, rounded ...
  bool up = false;       // ... up, else down. Else a weighted sum of the two around it.
  double shift = 0;
};

// floor(size * scale) where scale is a multiple of 1/16 and not absurdly large; else absent.
std::optional<ir::Dim> Scaled(Emitter& e, const ir::Dim& size, double scale);

// The same where positions and weights are computed by the run, in f32 (sums of f64: in f64).
ir::Value* ResampleDynamic(Emitter& e, ir::Value* x, const DynamicAxis& a);

}  // namespace floe::import

#endif  // FLOE_COMPILER_IMPORT_RESAMPLE_H_
