// Files that PyTorch saved (make_fixtures.py), imported and run in the evaluator and the runtime,
// against eager's outputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "compiler/import/torch_file/archive.h"
#include "compiler/import/torchscript/import.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/text.h"
#include "compiler/ir/verify.h"
#include "tests/aten/case_runner.h"
#include "tools/cli/npy.h"
#include "tools/cli/shape_flags.h"

namespace floe::torchscript {
namespace {

const char kFolder[] = "tests/torchscript/fixtures/";

struct Fixture {
  std::string name;
  bool stateful;
  // Shapes and bounds for a second import with symbols; null: static shapes only.
  std::vector<const char*> shapes;
  std::vector<const char*> dims;
  // States that the import makes.
  std::vector<const char*> states;
};

void PrintTo(const Fixture& f, std::ostream* out) { *out << f.name; }

// What PyTorch 2.13 saved, and the same modules as 1.13.1 saved them (torch1.13/).
std::vector<Fixture> Fixtures() {
  std::vector<Fixture> fixtures = {
      {"cache", true, {}, {}, {"cache.0", "cache.1"}},
      {"checked", false, {"x=[N,4]"}, {"N=1..8"}, {}},
      {"containers", false, {}, {}, {}},
      {"counter", true, {}, {}, {"calls", "last", "total"}},
      {"early_return", false, {"x=[N,4]"}, {"N=1..8"}, {}},
      {"for_on_data", false, {"x=[N,4]", "n=[]"}, {"N=1..8"}, {}},
      {"forked", false, {}, {}, {}},
      {"gate", false, {"x=[N,4]", "h=[N,4]"}, {"N=1..8"}, {}},
      {"gate_trace", false, {}, {}, {}},
      {"in_place", false, {}, {}, {}},
      {"int8_dynamic", false, {"input=[N,8]"}, {"N=1..8"}, {}},
      {"int8_script", false, {}, {}, {}},
      {"int8_static", false, {}, {}, {}},
      {"list_in_branch", true, {}, {}, {"seen"}},
      {"loop_on_data", false, {"x=[N,4]"}, {"N=1..8"}, {}},
      {"nested", false, {}, {}, {}},
      {"numbers", false, {}, {}, {}},
      {"ranges", false, {}, {}, {}},
      {"recurrent", false, {"x=[3,N,4]"}, {"N=1..8"}, {}},
      {"return_in_loop", false, {}, {}, {}},
      {"shapes_script", false, {"x=[N,3,4,5]"}, {"N=1..8"}, {}},
      {"shapes_trace", false, {"x=[N,3,4,5]"}, {"N=1..8"}, {}},
      {"small_freeze", false, {"x=[N,2,4,4]"}, {"N=1..8"}, {}},
      {"small_freeze_trace", false, {"x=[N,2,4,4]"}, {"N=1..8"}, {}},
      {"small_script", false, {"x=[N,2,4,4]"}, {"N=1..8"}, {}},
      {"small_trace", false, {"x=[N,2,4,4]"}, {"N=1..8"}, {}},
      {"uses_class", false, {}, {}, {}},
  };
  for (size_t i = 0, n = fixtures.size(); i < n; ++i) {
    Fixture old = fixtures[i];
    old.name = "torch1.13/" + old.name;
    fixtures.push_back(std::move(old));
  }
  return fixtures;
}

struct Data {
  aten::Case example;              // Without forms.
  std::vector<std::string> names;  // Of the inputs of each set.
};

ir::Tensor TensorOf(const cli::Array& array) {
  ir::Tensor t(array.dtype, array.dims);
  if (!array.bytes.empty()) std::memcpy(t.mutable_data(), array.bytes.data(), array.bytes.size());
  return t;
}

// Sets of inputs and outputs: arrays K/in/NAME and K/out/NAME.
Data ReadData(const Fixture& f) {
  Data data;
  data.example.stateful = f.stateful;
  const auto arrays = cli::ReadNpz(std::string(kFolder) + f.name + ".npz", 1 << 20);
  EXPECT_TRUE(arrays.ok()) << arrays.status();
  if (!arrays.ok()) return data;
  for (const auto& [key, array] : *arrays) {
    const size_t set = std::stoul(key);
    data.example.sets.resize(std::max(data.example.sets.size(), set + 1));
    aten::CaseData& to = data.example.sets[set];
    const std::string rest = key.substr(key.find('/') + 1);
    if (rest.rfind("in/", 0) == 0) {
      to.inputs.push_back(TensorOf(array));
      if (set == 0) data.names.push_back(rest.substr(3));
    } else {
      to.outputs.push_back(TensorOf(array));
    }
  }
  data.example.names = data.names;
  return data;
}

torch_file::Blob ReadFixture(const Fixture& f) {
  auto blob = torch_file::MapFile(std::string(kFolder) + f.name + ".pt", 1 << 20);
  EXPECT_TRUE(blob.ok()) << blob.status();
  return blob.ok() ? *std::move(blob) : torch_file::Blob();
}

class FixtureTest : public ::testing::TestWithParam<Fixture> {};

TEST_P(FixtureTest, GivesEagersOutputs) {
  const Fixture& f = GetParam();
  Data data = ReadData(f);
  ASSERT_FALSE(data.example.sets.empty());
  // Sets of one shape are one case: shapes are static here.
  std::map<std::vector<std::vector<int64_t>>, aten::Case> by_shape;
  const torch_file::Blob file = ReadFixture(f);
  auto archive = torch_file::Archive::Open(file);
  ASSERT_TRUE(archive.ok()) << archive.status();
  std::vector<std::pair<std::string, std::string>> entries;
  for (const std::string& name : (*archive)->names()) {
    auto entry = (*archive)->Read(name);
    ASSERT_TRUE(entry.ok());
    entries.emplace_back("model/" + name, std::string(entry->bytes));
  }
  for (const aten::CaseData& set : data.example.sets) {
    std::vector<std::vector<int64_t>> shapes;
    for (const ir::Tensor& t : set.inputs) shapes.push_back(t.dims());
    aten::Case& c = by_shape[shapes];
    if (c.sets.empty())
      c = aten::Case{"", f.name, 0, f.stateful, data.names, {{"pt", entries}}, {}};
    c.sets.push_back(set);
  }
  for (const auto& [shapes, c] : by_shape) {
    const aten::CaseResult result = aten::RunCase(c, "pt");
    EXPECT_EQ(result.verdict, aten::Verdict::kPass) << result.detail;
  }
}

TEST_P(FixtureTest, KeepsDimensionsSymbolic) {
  const Fixture& f = GetParam();
  if (f.shapes.empty()) return;
  const Data data = ReadData(f);
  ImportOptions options;
  for (const char* text : f.shapes) {
    const auto flag = cli::ParseShapeFlag(text);
    ASSERT_TRUE(flag.ok()) << flag.status();
    auto& shape = options.shapes[flag->input];
    for (const auto& axis : flag->axes) shape.push_back({axis.symbol, axis.size});
  }
  for (const char* text : f.dims) {
    const auto flag = cli::ParseDimFlag(text);
    ASSERT_TRUE(flag.ok()) << flag.status();
    options.dims[flag->symbol] = {flag->min, flag->max, flag->multiple};
  }
  for (size_t i = 0; i < data.names.size(); ++i) {
    options.dtypes[data.names[i]] = data.example.sets[0].inputs[i].dtype();
  }
  const auto graph = ImportTorchScriptFromMemory(ReadFixture(f), options);
  ASSERT_TRUE(graph.ok()) << graph.status();
  for (const aten::CaseData& set : data.example.sets) {
    const auto got = ir::Evaluate(**graph, set.inputs);
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_EQ(got->size(), set.outputs.size());
    for (size_t i = 0; i < got->size(); ++i) {
      EXPECT_EQ(aten::Difference((*got)[i], set.outputs[i], 0), "") << "output " << i;
    }
  }
}

TEST_P(FixtureTest, MakesStates) {
  const Fixture& f = GetParam();
  const Data data = ReadData(f);
  ImportOptions options;
  for (size_t i = 0; i < data.names.size(); ++i) {
    const ir::Tensor& t = data.example.sets[0].inputs[i];
    options.dtypes[data.names[i]] = t.dtype();
    auto& shape = options.shapes[data.names[i]];
    for (const int64_t d : t.dims()) shape.push_back({"", d});
  }
  const auto graph = ImportTorchScriptFromMemory(ReadFixture(f), options);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_TRUE(ir::Verify(**graph).ok());
  std::set<std::string> states;
  for (const ir::State& s : (*graph)->states()) states.insert(s.name);
  EXPECT_EQ(states, std::set<std::string>(f.states.begin(), f.states.end()));
}

INSTANTIATE_TEST_SUITE_P(All, FixtureTest, ::testing::ValuesIn(Fixtures()), [](const auto& info) {
  std::string name = info.param.name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '/' || c == '.'; }, '_');
  return name;
});

}  // namespace
}  // namespace floe::torchscript
