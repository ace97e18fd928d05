// Accuracy of the kernels' vector functions (backends/cpu/math.h), through the pointwise kernel of
// every ISA of this machine, against libm in double. Shared by the program math_sweep, which takes
// every fp32 bit pattern, and by the tests, which take a part of them.
#ifndef FLOE_BENCH_MATH_SWEEP_H_
#define FLOE_BENCH_MATH_SWEEP_H_

#include <cstdint>
#include <span>
#include <vector>

#include "backends/registry.h"
#include "format/pointwise.h"

namespace floe::bench {

struct MathFunction {
  PwOp op;
  double (*exact)(double);
  double ulps;  // The promise.
  // Errors are measured in ulps of the larger of |exact| and this.
  double floor = 0;
};

// All of them; the first six are those that others are made of: exp, log, sin, cos, tanh, erf.
inline constexpr int kBasicMathFunctions = 6;
std::span<const MathFunction> MathFunctions();

struct MathError {
  const char* isa = "";
  double max_ulps = 0;  // Infinite where a NaN, an infinity or a sign of one is missed.
  float at = 0;
};

// The greatest error over `inputs`, for every table that this CPU can run, in the registry's order.
// Allocates; each call uses the calling thread only.
std::vector<MathError> MeasureMath(const MathFunction& function, std::span<const float> inputs);

// The same over the bit patterns first, first + stride, ... below last (at most 2^32).
std::vector<MathError> SweepMath(const MathFunction& function, uint64_t first, uint64_t last,
                                 uint64_t stride);

// The worse of two results for each ISA, into `worst`, which is empty or fits.
void MergeMathErrors(std::span<const MathError> errors, std::vector<MathError>* worst);

}  // namespace floe::bench

#endif  // FLOE_BENCH_MATH_SWEEP_H_
