// Accuracy of the vector functions (backends/cpu/math.h) on every ISA, through the pointwise
// kernel: a strided sweep of all fp32 bit patterns, of both signs, against libm in double, and the
// values around which functions change their form. The program math_sweep takes every pattern.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "backends/cpu/math.h"
#include "bench/math_sweep.h"

namespace floe::bench {
namespace {

// Strides have no factor of two, so that all low bits occur.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kBasicStride = 20011, kStride = 40009;
#else
constexpr uint64_t kBasicStride = 61, kStride = 4001;
#endif

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Edges() {
  constexpr float kEdges[] = {
      0.0f,       1.0f,         0.625f,        0.921875f, 3.95f,
      15.0f,      88.72284f,    89.0f,         87.33655f, 103.97f,
      104.0f,     0.34657f,     1e-38f,        1.2e-38f,  1e-45f,
      8388608.0f, 0.5f,         1.5f,          2.5f,      1.5707964f,
      3.1415927f, 1.3421773e8f, 3.4028235e38f, kInfinity, std::numeric_limits<float>::quiet_NaN()};
  std::vector<float> x;
  for (const float e : kEdges) {
    for (const float v : {e, std::nextafter(e, 0.0f), std::nextafter(e, kInfinity)}) {
      x.push_back(v);
      x.push_back(-v);
    }
  }
  return x;
}

void ExpectWithin(const MathFunction& f, const std::vector<MathError>& errors) {
  EXPECT_GE(errors.size(), 2u);  // SSE2's table and the plain one run everywhere.
  for (const MathError& e : errors) {
    EXPECT_LE(e.max_ulps, f.ulps) << PwOpName(f.op) << " " << e.isa << " at " << e.at;
  }
}

TEST(VectorMath, BasicFunctionsAreWithinTwoUlps) {
  for (const MathFunction& f : MathFunctions().first(kBasicMathFunctions)) {
    EXPECT_LE(f.ulps, 2);
    ExpectWithin(f, SweepMath(f, 0, uint64_t{1} << 32, kBasicStride));
  }
}

TEST(VectorMath, AllFunctionsAreWithinTheirLimits) {
  for (const MathFunction& f : MathFunctions()) {
    ExpectWithin(f, SweepMath(f, 0, uint64_t{1} << 32, kStride));
  }
}

TEST(VectorMath, EdgesAreWithinTheLimits) {
  const std::vector<float> x = Edges();
  for (const MathFunction& f : MathFunctions()) ExpectWithin(f, MeasureMath(f, x));
}

// Only products with bf16 results run it, whose rounding would hide its error. On the ISA that this
// file is compiled for: the others round less.
TEST(VectorMath, GeluForBrainIsAsCloseAsItSays) {
  using namespace cpu::FLOE_ISA;  // NOLINT: the functions are there only.
  for (float first = -40.0f; first < 40.0f; first += 0.0137f) {
    float x[kWidth], y[kWidth];
    for (int i = 0; i < kWidth; ++i) x[i] = first + 0.0021f * static_cast<float>(i);
    Store(y, GeluForBrain(Load(x)));
    for (int i = 0; i < kWidth; ++i) {
      const double v = x[i], want = 0.5 * v * std::erfc(-v * std::sqrt(0.5));
      ASSERT_NEAR(y[i], want, 6e-5 + 6e-6 * std::fabs(v)) << "at " << v;
    }
  }
  float x[kWidth] = {kInfinity, std::nanf("")}, y[kWidth];
  Store(y, GeluForBrain(Load(x)));
  EXPECT_EQ(y[0], kInfinity);
  EXPECT_TRUE(std::isnan(y[1]));
}

// The measure itself: a function that is off by a known number of ulps, and one that misses a NaN.
TEST(VectorMath, ErrorsAreSeen) {
  const float x[] = {1.5f, 100.0f};
  const MathFunction shifted{PwOp::kRelu, [](double v) { return v + 3 * 0x1p-23; }, 0};
  EXPECT_NEAR(MeasureMath(shifted, x)[0].max_ulps, 3.0, 1e-9);
  const MathFunction nan{PwOp::kRelu, [](double) { return std::nan(""); }, 0};
  EXPECT_EQ(MeasureMath(nan, x)[0].max_ulps, std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace floe::bench
