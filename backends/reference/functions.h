// Scalar functions that ops and the pointwise bytecode share, in double where nothing else is said.
// At infinities they give what their formulas give in IEEE arithmetic: silu(-inf) = -inf * 0 = NaN,
// as in numpy.
#ifndef FLOE_BACKENDS_REFERENCE_FUNCTIONS_H_
#define FLOE_BACKENDS_REFERENCE_FUNCTIONS_H_

#include <cmath>
#include <cstdint>
#include <type_traits>

namespace floe::reference {

// Sums and products; those of integers wrap.
template <class C>
inline C Plus(C a, C b) {
  if constexpr (std::is_floating_point_v<C>)
    return a + b;
  else
    return static_cast<C>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
template <class C>
inline C Times(C a, C b) {
  if constexpr (std::is_floating_point_v<C>)
    return a * b;
  else
    return static_cast<C>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

// NaN if either is.
inline double MinOf(double a, double b) { return a != a || a < b ? a : b; }
inline double MaxOf(double a, double b) { return a != a || a > b ? a : b; }
inline double SignOf(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }  // Keeps NaN and -0.
inline double ReluOf(double x) { return x < 0 ? 0 : x; }               // Keeps NaN.
inline double SigmoidOf(double x) {
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}
inline double SiluOf(double x) { return x * SigmoidOf(x); }
inline double GeluOf(double x) { return 0.5 * x * std::erfc(-x * 0.70710678118654752440); }
inline double GeluTanhOf(double x) {
  return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}
inline double SoftplusOf(double x) { return ReluOf(x) + std::log1p(std::exp(-std::fabs(x))); }
inline double EluOf(double x, double alpha) { return x < 0 ? alpha * std::expm1(x) : x; }
inline double HardSigmoidOf(double x, double alpha, double beta) {
  return MaxOf(MinOf(alpha * x + beta, 1), 0);
}
inline double HardSwishOf(double x) { return x * HardSigmoidOf(x, 1.0 / 6, 0.5); }
inline double MishOf(double x) { return x * std::tanh(SoftplusOf(x)); }

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_FUNCTIONS_H_
