// Every case of cases.bin and torch_cases.bin: the op's outputs against those of ONNX Runtime,
// ONNX's reference, numpy or PyTorch.
#include <cmath>
#include <limits>
#include <set>

#include "backends/reference/element.h"
#include "gtest/gtest.h"
#include "tests/reference/run_case.h"

namespace floe::reference {
namespace {

const std::vector<Case>& Cases() {
  static const auto* cases = new std::vector<Case>(AllCases());
  return *cases;
}

// Element i as text and number. 64-bit integers are compared as such, not as double.
bool Matches(const CaseTensor& want, const std::vector<uint8_t>& got, const Case& c,
             std::string* why) {
  const int64_t count = static_cast<int64_t>(want.bytes.size()) / DTypeSize(want.info.dtype);
  for (int64_t i = 0; i < count; ++i) {
    if (!IsFloat(want.info.dtype)) {
      const auto e = LoadOne<int64_t>(want.info.dtype, want.bytes.data(), i);
      const auto a = LoadOne<int64_t>(want.info.dtype, got.data(), i);
      if (e == a) continue;
      *why = "element " + std::to_string(i) + ": expected " + std::to_string(e) + ", got " +
             std::to_string(a);
      return false;
    }
    const auto e = LoadOne<double>(want.info.dtype, want.bytes.data(), i);
    const auto a = LoadOne<double>(want.info.dtype, got.data(), i);
    if (e == a || (std::isnan(e) && std::isnan(a))) continue;
    if (std::fabs(e - a) <= c.atol + c.rtol * std::fabs(e)) continue;
    *why = "element " + std::to_string(i) + ": expected " + std::to_string(e) + ", got " +
           std::to_string(a) + ", difference " + std::to_string(e - a);
    return false;
  }
  return true;
}

std::vector<std::vector<uint8_t>> InputBytes(const Case& c) {
  std::vector<std::vector<uint8_t>> data;
  for (const CaseTensor& t : c.inputs) data.push_back(t.bytes);
  return data;
}

void ExpectOutputs(const Case& c, const std::vector<std::vector<uint8_t>>& outputs) {
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (!c.outputs[k].info.present()) continue;
    std::string why;
    EXPECT_TRUE(Matches(c.outputs[k], outputs[k], c, &why)) << "output " << k << ", " << why;
  }
}

TEST(ReferenceOps, EveryCaseGivesTheIndependentResult) {
  ASSERT_GT(Cases().size(), 1000u) << "tests/reference/cases.bin or torch_cases.bin is missing";
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const Call call = Call::Of(c);
    Footprint footprint;
    const Status s = call.Check(&footprint);
    EXPECT_TRUE(s.ok()) << CodeName(s.code) << " " << RuleName(s.rule) << " operand " << s.operand
                        << " axis " << s.axis << " expected " << s.expected << " got " << s.got;
    if (!s.ok()) continue;
    std::vector<std::vector<uint8_t>> outputs;
    ASSERT_EQ(RunCall(call, footprint, InputBytes(c), -1, &outputs), Rule::kNone);
    ExpectOutputs(c, outputs);
  }
}

TEST(ReferenceOps, OutputsMayShareTheStorageThatTheFootprintAllows) {
  int shared = 0;
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const Call call = Call::Of(c);
    Footprint footprint;
    if (!call.Check(&footprint).ok()) continue;  // The other test's finding.
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      if ((footprint.in_place_inputs >> i & 1) == 0) continue;
      ++shared;
      ASSERT_EQ(c.inputs[i].bytes.size(), c.outputs[0].bytes.size());
      std::vector<std::vector<uint8_t>> outputs;
      ASSERT_EQ(RunCall(call, footprint, InputBytes(c), static_cast<int>(i), &outputs),
                Rule::kNone);
      ExpectOutputs(c, outputs);
    }
  }
  EXPECT_GT(shared, 300);
}

TEST(ReferenceOps, EveryOpHasCases) {
  std::set<OpId> seen;
  for (const Case& c : Cases()) seen.insert(c.op);
  for (uint16_t i = 0; i < static_cast<uint16_t>(OpId::kCount); ++i) {
    const auto op = static_cast<OpId>(i);
    // Lowering's own and control flow: they have no kernel.
    if (op == OpId::kDimsOf || IsControlOp(op)) continue;
    EXPECT_TRUE(seen.contains(op)) << OpRow(op).name;
  }
}

// --- errors at run time --------------------------------------------------------------------------

struct RunError {
  const char* what;
  Call call;
  std::vector<std::vector<uint8_t>> data;
  Rule rule;
};

TensorInfo Info(DType t, std::initializer_list<int64_t> dims) {
  TensorInfo info;
  info.dtype = t;
  info.rank = static_cast<uint8_t>(dims.size());
  std::copy(dims.begin(), dims.end(), info.dims);
  return info;
}

template <class T>
std::vector<uint8_t> Raw(std::initializer_list<T> values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

std::vector<RunError> RunErrors() {
  const TensorInfo f3 = Info(DType::kF32, {3}), f1 = Info(DType::kF32, {1});
  const TensorInfo i2 = Info(DType::kI32, {2}), i1 = Info(DType::kI64, {1});
  const auto floats = Raw<float>({1, 2, 3});
  std::vector<RunError> e;
  for (int64_t index : {int64_t{3}, int64_t{-4}, INT64_MAX, INT64_MIN}) {
    const auto at = Raw<int64_t>({index});
    e.push_back(
        {"gather", {OpId::kGather, {f3, i1}, {f1}, {0}, {}}, {floats, at}, Rule::kRunIndex});
    e.push_back({"gather_elements",
                 {OpId::kGatherElements, {f3, i1}, {f1}, {0}, {}},
                 {floats, at},
                 Rule::kRunIndex});
    e.push_back({"gather_nd",
                 {OpId::kGatherNd, {f3, i1}, {Info(DType::kF32, {})}, {0}, {}},
                 {floats, at},
                 Rule::kRunIndex});
    e.push_back({"scatter_elements",
                 {OpId::kScatterElements, {f3, i1, f1}, {f3}, {0, 0}, {}},
                 {floats, at, Raw<float>({9})},
                 Rule::kRunIndex});
    e.push_back({"scatter_nd",
                 {OpId::kScatterNd, {f3, i1, Info(DType::kF32, {})}, {f3}, {0}, {}},
                 {floats, at, Raw<float>({9})},
                 Rule::kRunIndex});
  }
  const auto ints = Raw<int32_t>({7, -7}), zeros = Raw<int32_t>({1, 0});
  e.push_back({"div", {OpId::kDiv, {i2, i2}, {i2}, {}, {}}, {ints, zeros}, Rule::kRunDivideByZero});
  e.push_back(
      {"mod", {OpId::kMod, {i2, i2}, {i2}, {0}, {}}, {ints, zeros}, Rule::kRunDivideByZero});
  e.push_back(
      {"fmod", {OpId::kMod, {i2, i2}, {i2}, {1}, {}}, {ints, zeros}, Rule::kRunDivideByZero});
  e.push_back({"pow", {OpId::kPow, {i2, i2}, {i2}, {}, {}}, {zeros, ints}, Rule::kRunDivideByZero});
  e.push_back({"floor_div",
               {OpId::kFloorDiv, {i2, i2}, {i2}, {}, {}},
               {ints, zeros},
               Rule::kRunDivideByZero});
  e.push_back({"masked_scatter",
               {OpId::kMaskedScatter, {f3, Info(DType::kBool, {3}), f1}, {f3}, {}, {}},
               {floats, Raw<uint8_t>({1, 0, 1}), Raw<float>({9})},
               Rule::kRunIndex});
  e.push_back({"mean of no integers",
               {OpId::kReduce,
                {Info(DType::kI32, {0})},
                {Info(DType::kI32, {})},
                {static_cast<int64_t>(ReduceKind::kMean), 1, 0, 0},
                {}},
               {{}},
               Rule::kRunDivideByZero});
  const TensorInfo x = Info(DType::kF32, {2, 1, 1}), w = Info(DType::kF32, {1, 1, 1});
  for (int32_t length : {3, -1}) {
    e.push_back({"sequence length",
                 {OpId::kRnn,
                  {x, w, w, TensorInfo{}, Info(DType::kI32, {1})},
                  {Info(DType::kF32, {2, 1, 1, 1})},
                  {1, 0, 0},
                  {}},
                 {Raw<float>({1, 1}), Raw<float>({1}), Raw<float>({1}), {}, Raw<int32_t>({length})},
                 Rule::kRunIndex});
  }
  return e;
}

TEST(ReferenceOps, RunNamesTheRuleThatDataBreak) {
  for (const RunError& e : RunErrors()) {
    SCOPED_TRACE(e.what);
    Footprint footprint;
    const Status s = e.call.Check(&footprint);
    ASSERT_TRUE(s.ok()) << RuleName(s.rule) << " operand " << s.operand;
    std::vector<std::vector<uint8_t>> outputs;
    EXPECT_EQ(RunCall(e.call, footprint, e.data, -1, &outputs), e.rule);
  }
}

// --- factors whose signs are free ----------------------------------------------------------------

struct Factors {
  std::vector<std::vector<double>> values;
  double at(size_t i, int64_t k) const { return values[i][static_cast<size_t>(k)]; }
};

// Runs `op` on one f64 matrix of dims [rows, columns].
Factors Factor(OpId op, std::vector<int64_t> attrs, const std::vector<double>& x, int64_t rows,
               int64_t columns, std::vector<TensorInfo> outputs) {
  const Call call{op, {Info(DType::kF64, {rows, columns})}, std::move(outputs), attrs, {}};
  Footprint footprint;
  EXPECT_TRUE(call.Check(&footprint).ok());
  std::vector<uint8_t> bytes(x.size() * sizeof(double));
  std::memcpy(bytes.data(), x.data(), bytes.size());
  std::vector<std::vector<uint8_t>> raw;
  EXPECT_EQ(RunCall(call, footprint, {bytes}, -1, &raw), Rule::kNone);
  Factors f;
  for (const auto& r : raw) {
    f.values.emplace_back(r.size() / sizeof(double));
    std::memcpy(f.values.back().data(), r.data(), r.size());
  }
  return f;
}

TEST(ReferenceOps, SingularVectorsMultiplyBack) {
  uint32_t seed = 1;
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{5, 3}, {3, 5}, {4, 4}, {1, 6}}) {
    const int64_t k = std::min(rows, columns);
    std::vector<double> x;
    for (int64_t i = 0; i < rows * columns; ++i) {
      seed = seed * 1664525 + 1013904223;
      x.push_back(static_cast<double>(seed >> 8) / (1 << 23) - 1);
    }
    const Factors f = Factor(
        OpId::kSvd, {}, x, rows, columns,
        {Info(DType::kF64, {rows, k}), Info(DType::kF64, {k}), Info(DType::kF64, {k, columns})});
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) {
          sum += f.at(0, i * k + l) * f.at(1, l) * f.at(2, l * columns + j);
        }
        EXPECT_NEAR(sum, x[static_cast<size_t>(i * columns + j)], 1e-13);
      }
    }
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < k; ++j) {
        double left = 0, right = 0;
        for (int64_t l = 0; l < rows; ++l) left += f.at(0, l * k + i) * f.at(0, l * k + j);
        for (int64_t l = 0; l < columns; ++l) {
          right += f.at(2, i * columns + l) * f.at(2, j * columns + l);
        }
        EXPECT_NEAR(left, i == j ? 1 : 0, 1e-13);
        EXPECT_NEAR(right, i == j ? 1 : 0, 1e-13);
      }
    }
  }
}

TEST(ReferenceOps, EigenvectorsAreScaledByTheMatrix) {
  constexpr int64_t kN = 6;
  std::vector<double> x(kN * kN);
  for (int64_t i = 0; i < kN; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      x[static_cast<size_t>(i * kN + j)] = std::sin(static_cast<double>(7 * i + 3 * j * j));
    }
  }
  const Factors f =
      Factor(OpId::kEigh, {0}, x, kN, kN, {Info(DType::kF64, {kN}), Info(DType::kF64, {kN, kN})});
  for (int64_t v = 0; v < kN; ++v) {
    double length = 0;
    for (int64_t i = 0; i < kN; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < kN; ++j) {
        const int64_t at = i >= j ? i * kN + j : j * kN + i;  // The lower triangle.
        sum += x[static_cast<size_t>(at)] * f.at(1, j * kN + v);
      }
      EXPECT_NEAR(sum, f.at(0, v) * f.at(1, i * kN + v), 1e-13);
      length += f.at(1, i * kN + v) * f.at(1, i * kN + v);
    }
    EXPECT_NEAR(length, 1, 1e-13);
    if (v > 0) {
      EXPECT_LE(f.at(0, v - 1), f.at(0, v));
    }
  }
}

}  // namespace
}  // namespace floe::reference
