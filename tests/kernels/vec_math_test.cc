// Accuracy of the vector functions (backends/cpu/math.h) on every ISA, through the pointwise
// kernel: a strided sweep of all fp32 bit patterns, of both signs, against libm in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "backends/reference/functions.h"
#include "backends/registry.h"
#include "tests/kernels/harness.h"

namespace floe {
namespace {

struct Function {
  PwOp op;
  double (*exact)(double);
  double ulps;
  // Errors are measured in ulps of the larger of |exact| and this.
  double floor = 0;
};

const double kTail = std::ldexp(1.0, -119);

const Function kFunctions[] = {
    {PwOp::kExp, [](double x) { return std::exp(x); }, 4},
    {PwOp::kLog, [](double x) { return std::log(x); }, 4},
    {PwOp::kSin, [](double x) { return std::sin(x); }, 1},
    {PwOp::kCos, [](double x) { return std::cos(x); }, 1},
    {PwOp::kTanh, [](double x) { return std::tanh(x); }, 4},
    {PwOp::kErf, [](double x) { return std::erf(x); }, 4},
    {PwOp::kSigmoid, &reference::SigmoidOf, 4},
    {PwOp::kSilu, &reference::SiluOf, 4, kTail},
    {PwOp::kGelu, &reference::GeluOf, 6, kTail},
    {PwOp::kGeluTanh, &reference::GeluTanhOf, 6, 1.0 / 16},
    {PwOp::kSoftplus, &reference::SoftplusOf, 4},
    {PwOp::kHardSwish, &reference::HardSwishOf, 4, 1.0 / 16},
    {PwOp::kElu, [](double x) { return reference::EluOf(x, 1.0); }, 4},
    {PwOp::kSqrt, [](double x) { return std::sqrt(x); }, 0.5},
    {PwOp::kRsqrt, [](double x) { return 1 / std::sqrt(x); }, 2},
    {PwOp::kReciprocal, [](double x) { return 1 / x; }, 0.5},
    {PwOp::kFloor, [](double x) { return std::floor(x); }, 0},
    {PwOp::kCeil, [](double x) { return std::ceil(x); }, 0},
    {PwOp::kRound, [](double x) { return std::nearbyint(x); }, 0},
    {PwOp::kSign, &reference::SignOf, 0},
    {PwOp::kRelu, &reference::ReluOf, 0},
};

// Every 40,009th bit pattern, and the values around which functions change their form.
std::vector<float> Sweep() {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 40009) {
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  }
  constexpr float kEdges[] = {0.0f,
                              1.0f,
                              0.625f,
                              0.921875f,
                              3.95f,
                              15.0f,
                              88.72284f,
                              89.0f,
                              87.33655f,
                              103.97f,
                              104.0f,
                              0.34657f,
                              1e-38f,
                              1.2e-38f,
                              1e-45f,
                              8388608.0f,
                              0.5f,
                              1.5f,
                              2.5f,
                              1.5707964f,
                              3.1415927f,
                              1.3421773e8f,
                              3.4028235e38f,
                              std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::quiet_NaN()};
  for (const float e : kEdges) {
    for (const float v :
         {e, std::nextafter(e, 0.0f), std::nextafter(e, std::numeric_limits<float>::infinity())}) {
      x.push_back(v);
      x.push_back(-v);
    }
  }
  return x;
}

double UlpOf(double v) {
  const int exponent = v == 0 ? -126 : std::max(std::ilogb(v), -126);
  return std::ldexp(1.0, exponent - 23);
}

// Error of `got` in ulps of the function's scale; infinite where a special value is missed.
double ErrorOf(const Function& f, double exact, float got) {
  const float rounded = static_cast<float>(exact);
  if (std::isnan(rounded) || std::isnan(got)) {
    return std::isnan(rounded) && std::isnan(got) ? 0 : std::numeric_limits<double>::infinity();
  }
  if (got == rounded) return 0;
  if (std::isinf(rounded) || std::isinf(got)) return std::numeric_limits<double>::infinity();
  return std::fabs(got - exact) / UlpOf(std::max(std::fabs(exact), f.floor));
}

TEST(VectorMath, IsWithinItsLimits) {
  const std::vector<float> x = Sweep();
  std::vector<float> y(x.size());
  TensorInfo info;
  info.dtype = DType::kF32;
  info.rank = 1;
  info.dims[0] = static_cast<int64_t>(x.size());
  for (const Function& f : kFunctions) {
    PwInstr code[] = {testing::PwLoad(0, 0), testing::Pw(f.op, 0, 0)};
    if (f.op == PwOp::kElu) code[1].imm = 1.0f;
    OpInfo op;
    op.inputs = &info;
    op.outputs = &info;
    op.input_count = op.output_count = 1;
    op.code = code;
    op.code_count = 2;
    const auto id = static_cast<uint32_t>(KernelId::kPointwise);
    Footprint footprint;
    ASSERT_TRUE(KernelFootprints().Check(id, op, &footprint).ok());
    for (const KernelTable* table : AllKernelTables()) {
      if (!table->available()) continue;
      std::vector<uint64_t> state(static_cast<size_t>(footprint.state_bytes) / 8 + 1);
      Schedule schedule;
      ASSERT_TRUE(table->kernels[id].prepare(op, {}, state.data(), &schedule).ok());
      const void* inputs[] = {x.data()};
      void* outputs[] = {y.data()};
      const KernelArgs args{&op, inputs, outputs, state.data()};
      std::fill(y.begin(), y.end(), -12345.0f);
      ASSERT_EQ(table->kernels[id].run(args, 0, 0, schedule.tasks, nullptr), Rule::kNone);
      double worst = 0;
      float at = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double error = ErrorOf(f, f.exact(static_cast<double>(x[i])), y[i]);
        if (error > worst) {
          worst = error;
          at = x[i];
        }
      }
      EXPECT_LE(worst, f.ulps) << PwOpName(f.op) << " " << table->isa << " at " << at;
    }
  }
}

}  // namespace
}  // namespace floe
