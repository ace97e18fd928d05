#include "bench/math_sweep.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "backends/reference/functions.h"

namespace floe::bench {
namespace {

constexpr double kTail = 0x1p-119;

constexpr MathFunction kFunctions[] = {
    {PwOp::kExp, [](double x) { return std::exp(x); }, 2},
    {PwOp::kLog, [](double x) { return std::log(x); }, 2},
    {PwOp::kSin, [](double x) { return std::sin(x); }, 1},
    {PwOp::kCos, [](double x) { return std::cos(x); }, 1},
    {PwOp::kTanh, [](double x) { return std::tanh(x); }, 2},
    {PwOp::kErf, [](double x) { return std::erf(x); }, 2},
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

constexpr float kPoison = -12345.0f;

// 1 / ulp of fp32 numbers of the magnitude of `v`, which is finite.
double UlpsPerUnit(double v) {
  const auto exponent = static_cast<int64_t>(std::bit_cast<uint64_t>(v) >> 52 & 0x7ff) - 1023;
  const int64_t ulp = std::max<int64_t>(exponent, -126) - 23;
  return std::bit_cast<double>(static_cast<uint64_t>(1023 - ulp) << 52);
}

double ErrorOf(const MathFunction& f, double exact, float got) {
  const auto rounded = static_cast<float>(exact);
  if (std::isnan(rounded) || std::isnan(got)) {
    return std::isnan(rounded) && std::isnan(got) ? 0 : std::numeric_limits<double>::infinity();
  }
  if (got == rounded) return 0;
  if (std::isinf(rounded) || std::isinf(got)) return std::numeric_limits<double>::infinity();
  return std::fabs(got - exact) * UlpsPerUnit(std::max(std::fabs(exact), f.floor));
}

// y = f(x) by `table`'s pointwise kernel; false if it refuses.
bool Evaluate(const MathFunction& f, const KernelTable& table, std::span<const float> x, float* y) {
  TensorInfo info;
  info.dtype = DType::kF32;
  info.rank = 1;
  info.dims[0] = static_cast<int64_t>(x.size());
  PwInstr code[2];
  code[0].op = static_cast<uint8_t>(PwOp::kLoad);
  code[1].op = static_cast<uint8_t>(f.op);
  code[1].imm = 1.0f;  // ELU's alpha; the others have none.
  OpInfo op;
  op.inputs = &info;
  op.outputs = &info;
  op.input_count = op.output_count = 1;
  op.code = code;
  op.code_count = 2;
  const auto id = static_cast<uint32_t>(KernelId::kPointwise);
  Footprint footprint;
  if (!KernelFootprints().Check(id, op, &footprint).ok()) return false;
  std::vector<uint64_t> state(static_cast<size_t>(footprint.state_bytes) / 8 + 1);
  Schedule schedule;
  if (!table.kernels[id].prepare(op, {}, state.data(), &schedule).ok()) return false;
  const void* inputs[] = {x.data()};
  void* outputs[] = {y};
  const KernelArgs args{&op, inputs, outputs, state.data()};
  return table.kernels[id].run(args, 0, 0, schedule.tasks, nullptr) == Rule::kNone;
}

}  // namespace

std::span<const MathFunction> MathFunctions() { return kFunctions; }

std::vector<MathError> MeasureMath(const MathFunction& function, std::span<const float> inputs) {
  std::vector<double> exact(inputs.size());
  std::transform(inputs.begin(), inputs.end(), exact.begin(),
                 [&](float x) { return function.exact(static_cast<double>(x)); });
  std::vector<MathError> errors;
  std::vector<float> y(inputs.size());
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->available()) continue;
    std::fill(y.begin(), y.end(), kPoison);
    MathError e{table->isa};
    if (!Evaluate(function, *table, inputs, y.data())) {
      e.max_ulps = std::numeric_limits<double>::infinity();
    }
    for (size_t i = 0; i < y.size(); ++i) {
      const double error = ErrorOf(function, exact[i], y[i]);
      if (error > e.max_ulps) {
        e.max_ulps = error;
        e.at = inputs[i];
      }
    }
    errors.push_back(e);
  }
  return errors;
}

std::vector<MathError> SweepMath(const MathFunction& function, uint64_t first, uint64_t last,
                                 uint64_t stride) {
  constexpr size_t kChunk = 1 << 14;
  std::vector<MathError> worst;
  std::vector<float> x;
  x.reserve(kChunk);
  for (uint64_t bits = first; bits < last;) {
    x.clear();
    for (; bits < last && x.size() < kChunk; bits += stride) {
      x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    }
    MergeMathErrors(MeasureMath(function, x), &worst);
  }
  return worst;
}

void MergeMathErrors(std::span<const MathError> errors, std::vector<MathError>* worst) {
  if (worst->empty()) worst->assign(errors.begin(), errors.end());
  for (size_t i = 0; i < errors.size(); ++i) {
    if (errors[i].max_ulps > (*worst)[i].max_ulps) (*worst)[i] = errors[i];
  }
}

}  // namespace floe::bench
