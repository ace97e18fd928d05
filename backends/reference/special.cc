#include "backends/reference/special.h"

#include <math.h>  // lgamma_r

#include <cmath>
#include <limits>

namespace floe::reference {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

double InverseErf(double x) {
  const double magnitude = std::fabs(x);
  if (!(magnitude <= 1)) return kNan;
  if (magnitude == 1) return std::copysign(kInf, x);
  // erf(y)^2 is about 1 - exp(-y^2 (4/pi + a y^2) / (1 + a y^2)), which is solved for y.
  constexpr double kA = 0.147;
  const double log = std::log((1 - magnitude) * (1 + magnitude));
  const double half = 2 / (kPi * kA) + log / 2;
  double y = std::sqrt(std::fmax(std::sqrt(half * half - log / kA) - half, 0));
  // Halley's steps; each triples the number of right digits. Near 1 the complement has the digits.
  for (int i = 0; i < 3; ++i) {
    const double error = magnitude > 0.5 ? (1 - magnitude) - std::erfc(y) : std::erf(y) - magnitude;
    const double step = error / (2 / std::sqrt(kPi) * std::exp(-y * y));
    y -= step / (1 + step * y);
  }
  return std::copysign(y, x);
}

double LogGamma(double x) {
  int sign;  // std::lgamma would write it to a global variable.
  return ::lgamma_r(x, &sign);
}

double Digamma(double x) {
  if (x == 0) return std::copysign(kInf, -x);
  double result = 0;
  if (x < 0) {
    const double part = x - std::nearbyint(x);
    if (part == 0 || part != part) return kNan;
    // psi(x) = psi(1 - x) - pi / tan(pi x).
    result = -kPi / std::tan(kPi * part);
    x = 1 - x;
  }
  constexpr double kAsymptotic = 10;
  for (; x < kAsymptotic; x += 1) result -= 1 / x;
  // log x - 1 / 2x - sum of B(2k) / (2k x^2k).
  constexpr double kTerms[] = {1.0 / 12,  -1.0 / 120,     1.0 / 252, -1.0 / 240,
                               1.0 / 132, -691.0 / 32760, 1.0 / 12};
  const double inverse = 1 / (x * x);
  double series = 0, power = inverse;
  for (const double term : kTerms) {
    series += term * power;
    power *= inverse;
  }
  return result + std::log(x) - 0.5 / x - series;
}

double BesselI0(double x) {
  if (x != x) return x;
  // The sum of (x^2 / 4)^k / k!^2: no term is negative, so nothing cancels.
  const double quarter = x * x / 4;
  double sum = 1, term = 1;
  for (double k = 1; term > sum * 1e-17 && sum < kInf; k += 1) {
    term *= quarter / (k * k);
    sum += term;
  }
  return sum;
}

}  // namespace floe::reference
