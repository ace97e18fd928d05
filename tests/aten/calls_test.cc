// Calls of single ATen overloads against eager PyTorch: calls.zip, which make_calls.py writes.
#include <gtest/gtest.h>
#include <zip.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/context.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/status_macros.h"
#include "compiler/ir/verify.h"

namespace floe::aten {
namespace {

using Json = nlohmann::json;

constexpr char kFile[] = "tests/aten/calls.zip";

struct ZipCloser {
  void operator()(zip_t* z) const { zip_discard(z); }
};
using Zip = std::unique_ptr<zip_t, ZipCloser>;

Zip OpenFile() {
  int error = 0;
  return Zip(zip_open(kFile, ZIP_RDONLY, &error));
}

// Empty if there is no such entry.
std::string ReadEntry(const std::string& name) {
  const Zip zip = OpenFile();
  zip_stat_t stat;
  if (zip == nullptr || zip_stat(zip.get(), name.c_str(), 0, &stat) != 0) return "";
  std::string bytes(stat.size, '\0');
  zip_file_t* file = zip_fopen_index(zip.get(), stat.index, 0);
  if (file == nullptr) return "";
  const zip_int64_t n = zip_fread(file, bytes.data(), bytes.size());
  zip_fclose(file);
  return n == static_cast<zip_int64_t>(bytes.size()) ? bytes : "";
}

std::vector<std::string> TableNames() {
  std::vector<std::string> names;
  const Zip zip = OpenFile();
  const zip_int64_t count = zip == nullptr ? 0 : zip_get_num_entries(zip.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const std::string name = zip_get_name(zip.get(), static_cast<zip_uint64_t>(i), 0);
    constexpr std::string_view kEnd = ".json";
    if (name.ends_with(kEnd)) names.push_back(name.substr(0, name.size() - kEnd.size()));
  }
  return names;
}

DType DTypeOfName(const std::string& name) {
  for (int i = 1; i < kDTypeCount; ++i) {
    if (name == DTypeName(static_cast<DType>(i))) return static_cast<DType>(i);
  }
  return DType::kNone;
}

class Call {
 public:
  Call(const Json& description, const std::string& data)
      : description_(description), data_(data), context_(graph_) {}

  // Runs the call and gives the results that are compared.
  absl::StatusOr<std::vector<ir::Tensor>> Run() {
    CallArguments arguments;
    for (const Json& v : description_["args"]) arguments.positional.push_back(Decode(v));
    for (const auto& [name, v] : description_["kwargs"].items()) {
      arguments.keyword.emplace_back(name, Decode(v));
    }
    std::vector<IValue> results;
    FLOE_TRY(context_.Call(description_["op"], arguments, CallSite{"op", {}}, &results));
    std::vector<IValue> flat;
    for (const IValue& v : results) {
      if (!v.is_sequence()) {
        flat.push_back(v);
        continue;
      }
      flat.insert(flat.end(), v.items().begin(), v.items().end());
    }
    const Json& expected = description_["expected"];
    for (size_t i = 0; i < expected.size(); ++i) {
      if (expected[i].is_null()) continue;
      if (i >= flat.size() || !flat[i].is_tensor()) return absl::DataLossError("a result less");
      FLOE_TRY_ASSIGN(ir::Value * value, context_.Read(flat[i].variable()));
      graph_.AddOutput(value, absl::StrFormat("y%d", i));
    }
    FLOE_TRY(ir::Verify(graph_));
    return ir::Evaluate(graph_, inputs_);
  }

  ir::Tensor Load(const Json& v) const {
    ir::Tensor t(DTypeOfName(v["dtype"]), v["shape"].get<std::vector<int64_t>>());
    const auto bytes = static_cast<size_t>(t.bytes());
    if (bytes > 0) std::memcpy(t.mutable_data(), data_.data() + v["at"].get<size_t>(), bytes);
    return t;
  }

 private:
  IValue Decode(const Json& v) {
    if (v.is_null()) return IValue();
    if (v.is_boolean()) return IValue::Bool(v.get<bool>());
    if (v.is_number_integer()) return IValue::Int(v.get<int64_t>());
    if (v.is_string()) return IValue::String(v.get<std::string>());
    if (v.is_array()) {
      std::vector<IValue> items;
      for (const Json& item : v) items.push_back(Decode(item));
      return IValue::ListOf(std::move(items));
    }
    if (v.contains("f")) {
      return IValue::Float(std::strtod(v["f"].get<std::string>().c_str(), nullptr));
    }
    const ir::Tensor t = Load(v);
    if (v.contains("const")) return context_.NewTensor(graph_.AddConstant("constant", t));
    inputs_.push_back(t);
    const std::string name = absl::StrFormat("x%d", inputs_.size());
    return context_.NewTensor(
        graph_.AddInput(name, t.dtype(), ir::Shape(t.dims().begin(), t.dims().end())));
  }

  const Json& description_;
  const std::string& data_;
  ir::Graph graph_;
  Context context_;
  std::vector<ir::Tensor> inputs_;
};

// Of the error relative to the greatest number of the result.
double ToleranceOf(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return 1e-6;  // Some of eager's f64 functions go through f32 weights.
    case DType::kF32:
      return 2e-5;
    case DType::kF16:
      return 2e-3;
    case DType::kBF16:
      return 1.6e-2;
    default:
      return 0;
  }
}

void Compare(const ir::Tensor& got, const ir::Tensor& wanted) {
  ASSERT_EQ(got.dtype(), wanted.dtype());
  ASSERT_EQ(got.dims(), wanted.dims());
  double greatest = 0;
  for (int64_t i = 0; i < wanted.count(); ++i) {
    const double v = std::fabs(wanted.DoubleAt(i));
    if (std::isfinite(v)) greatest = std::max(greatest, v);
  }
  const double tolerance = ToleranceOf(wanted.dtype()) * greatest;
  for (int64_t i = 0; i < wanted.count(); ++i) {
    const double a = got.DoubleAt(i), b = wanted.DoubleAt(i);
    const bool same = a == b || (std::isnan(a) && std::isnan(b)) || std::fabs(a - b) <= tolerance;
    ASSERT_TRUE(same) << "element " << i << " is " << a << ", eager's is " << b;
  }
}

class AtenCalls : public testing::TestWithParam<std::string> {};

TEST_P(AtenCalls, GiveEagersResults) {
  const Json calls = Json::parse(ReadEntry(GetParam() + ".json"), nullptr, false);
  const std::string data = ReadEntry(GetParam() + ".bin");
  ASSERT_TRUE(calls.is_array());
  ASSERT_GT(calls.size(), 10u);
  for (const Json& description : calls) {
    SCOPED_TRACE(description["name"].get<std::string>());
    Call call(description, data);
    const absl::StatusOr<std::vector<ir::Tensor>> results = call.Run();
    EXPECT_TRUE(results.ok()) << results.status();
    if (!results.ok()) continue;
    size_t at = 0;
    for (const Json& expected : description["expected"]) {
      if (!expected.is_null()) Compare((*results)[at++], call.Load(expected));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, AtenCalls, testing::ValuesIn(TableNames()),
                         [](const auto& info) { return info.param; });

TEST(AtenCallsFile, IsThere) { EXPECT_GE(TableNames().size(), 13u); }

}  // namespace
}  // namespace floe::aten
