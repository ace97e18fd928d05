// Files that PyTorch wrote, of every archive generation, default and decomposed: the graphs compute
// what eager mode computed (make_fixtures.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "absl/strings/str_format.h"
#include "compiler/import/torch_export/import.h"
#include "compiler/import/torch_export/pt2_file.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/verify.h"
#include "compiler/lower/compile.h"
#include "tools/cli/npy.h"

namespace floe::torch_export {
namespace {

namespace fs = std::filesystem;

constexpr char kFolder[] = "tests/torch_export/fixtures";

using Arrays = std::map<std::string, ir::Tensor>;

Arrays ReadGolden(const std::string& path) {
  Arrays arrays;
  auto read = cli::ReadNpz(path, uint64_t{1} << 24);
  EXPECT_TRUE(read.ok()) << path << ": " << read.status();
  if (!read.ok()) return arrays;
  for (const auto& [name, array] : *read) {
    ir::Tensor t(array.dtype, array.dims);
    if (!array.bytes.empty()) {
      std::copy(array.bytes.begin(), array.bytes.end(), static_cast<char*>(t.mutable_data()));
    }
    arrays[name] = std::move(t);
  }
  return arrays;
}

// `tolerance` is relative to the largest element.
void ExpectClose(const ir::Tensor& got, const ir::Tensor& want, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(got.dtype(), want.dtype()) << what;
  ASSERT_EQ(got.dims(), want.dims()) << what;
  double largest = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    largest = std::max(largest, std::abs(want.DoubleAt(i)));
  }
  for (int64_t i = 0; i < want.count(); ++i) {
    ASSERT_NEAR(got.DoubleAt(i), want.DoubleAt(i), tolerance * largest) << what << "[" << i << "]";
  }
}

void ExpectRuns(const ir::Graph& graph, const Arrays& golden, double tolerance,
                std::vector<ir::Tensor>* states) {
  std::vector<ir::Tensor> inputs;
  for (const ir::Value* input : graph.inputs()) {
    const auto it = golden.find("in/" + input->name());
    ASSERT_NE(it, golden.end()) << "no input '" << input->name() << "'";
    inputs.push_back(it->second);
  }
  const auto outputs = ir::Evaluate(graph, inputs, states);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  size_t expected = 0;
  for (const auto& [name, tensor] : golden) expected += name.starts_with("out/") ? 1 : 0;
  ASSERT_EQ(outputs->size(), expected);
  for (size_t i = 0; i < outputs->size(); ++i) {
    const std::string name = "out/" + graph.output_names[i];
    const auto it = golden.find(name);
    ASSERT_NE(it, golden.end()) << "no output '" << name << "'";
    ExpectClose((*outputs)[i], it->second, tolerance, name);
  }
}

// NAME.pt2 and NAME.decomposed.pt2 share NAME.npz, NAME.2.npz, ...
std::vector<std::string> GoldensOf(const fs::path& model) {
  std::string stem = model.stem().string();
  if (stem.ends_with(".decomposed")) stem.resize(stem.size() - 11);
  std::vector<std::string> paths;
  for (int i = 1; i < 9; ++i) {
    const std::string name = i == 1 ? stem + ".npz" : absl::StrFormat("%s.%d.npz", stem, i);
    const fs::path path = model.parent_path() / name;
    if (fs::exists(path)) paths.push_back(path.string());
  }
  return paths;
}

std::vector<fs::path> Models() {
  std::vector<fs::path> models;
  for (const auto& entry : fs::recursive_directory_iterator(kFolder)) {
    if (entry.path().extension() == ".pt2") models.push_back(entry.path());
  }
  std::sort(models.begin(), models.end());
  return models;
}

TEST(Fixtures, ComputeWhatEagerModeComputes) {
  const std::vector<fs::path> models = Models();
  ASSERT_GE(models.size(), 18u);
  for (const fs::path& model : models) {
    SCOPED_TRACE(model.string());
    const auto graph = ImportTorchExport(model.string());
    EXPECT_TRUE(graph.ok()) << graph.status();
    if (!graph.ok()) continue;
    EXPECT_TRUE(ir::Verify(**graph).ok()) << ir::Verify(**graph);
    const std::vector<std::string> goldens = GoldensOf(model);
    EXPECT_FALSE(goldens.empty());
    std::vector<ir::Tensor> states;
    // bf16 has 8 bits.
    const double tolerance = model.string().find("autocast") != std::string::npos ? 1.6e-2 : 1e-5;
    for (const std::string& path : goldens) {
      ExpectRuns(**graph, ReadGolden(path), tolerance, &states);
    }
  }
}

TEST(Fixtures, Compile) {
  for (const fs::path& model : Models()) {
    SCOPED_TRACE(model.string());
    auto graph = ImportTorchExport(model.string());
    EXPECT_TRUE(graph.ok()) << graph.status();
    if (!graph.ok()) continue;
    const auto sink = [](void*, const void*, size_t) { return true; };
    lower::CompileReport report;
    const absl::Status status = lower::Compile(*std::move(graph), {}, sink, nullptr, &report);
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(Fixtures, HoldTheirSampleInputs) {
  for (const fs::path& model : Models()) {
    SCOPED_TRACE(model.string());
    auto file = torch_file::MapFile(model.string(), 1 << 24);
    ASSERT_TRUE(file.ok());
    const auto inputs = SampleInputs(*file);
    ASSERT_TRUE(inputs.ok()) << inputs.status();
    const Arrays golden = ReadGolden(GoldensOf(model).at(0));
    const auto graph = ImportTorchExport(model.string());
    EXPECT_TRUE(graph.ok());
    if (!graph.ok()) continue;
    ASSERT_EQ(inputs->size(), (*graph)->inputs().size());
    for (size_t i = 0; i < inputs->size(); ++i) {
      ExpectClose((*inputs)[i], golden.at("in/" + (*graph)->inputs()[i]->name()), 0,
                  "sample input");
    }
  }
}

TEST(Fixtures, BuffersThatAreWrittenAreStates) {
  for (const char* name : {"counter.pt2", "counter.decomposed.pt2"}) {
    const auto graph = ImportTorchExport(fs::path(kFolder) / "torch2.13" / name);
    ASSERT_TRUE(graph.ok()) << graph.status();
    ASSERT_EQ((*graph)->states().size(), 2u);
    EXPECT_EQ((*graph)->states()[0].name, "count");
    EXPECT_EQ((*graph)->states()[1].name, "total");
  }
}

TEST(Fixtures, DynamicSizesKeepTheirBounds) {
  const auto graph = ImportTorchExport(fs::path(kFolder) / "torch2.13" / "conv.pt2");
  ASSERT_TRUE(graph.ok()) << graph.status();
  ASSERT_EQ((*graph)->symbols.size(), 1u);
  EXPECT_EQ((*graph)->symbols[0].min, 1);
  EXPECT_EQ((*graph)->symbols[0].max, 8);
  const auto wrong = ir::Evaluate(**graph, std::vector{ir::Tensor(DType::kF32, {9, 2, 4, 4})});
  EXPECT_FALSE(wrong.ok());
}

}  // namespace
}  // namespace floe::torch_export
