// Every model of models/goldens/manifest.json, from .onnx to numbers: imported, evaluated on the
// reference ops before and after the passes, compiled, and run on every kernel table that this
// machine has, with one to three threads. ONNX Runtime's stored outputs are the oracle.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/import.h"
#include "compiler/ir/evaluate.h"
#include "tests/lower/compile_testing.h"
#include "tools/cli/inputs.h"
#include "tools/cli/npy.h"

namespace floe {
namespace {

struct Case {
  std::string file;
  std::map<std::string, int64_t> dims;
};
struct ModelEntry {
  std::string name, file;
  std::vector<std::string> symbols;
  double tolerance = 0;
  std::vector<Case> cases;
};

std::vector<ModelEntry> ReadIndex() {
  const char* folder = std::getenv("FLOE_TWINS");
  std::ifstream in(std::string(folder == nullptr ? "." : folder) + "/index.json");
  const auto json = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  std::vector<ModelEntry> models;
  if (json.is_discarded()) return models;
  for (const auto& m : json) {
    ModelEntry entry{m["name"], m["file"], m["symbols"], m["tolerance"], {}};
    for (const auto& c : m["cases"]) entry.cases.push_back({c["file"], c["dims"]});
    models.push_back(entry);
  }
  return models;
}

onnx::ImportOptions OptionsFor(const ModelEntry& model) {
  onnx::ImportOptions options;
  for (const std::string& symbol : model.symbols) {
    int64_t max = 8;
    for (const Case& c : model.cases) {
      const auto found = c.dims.find(symbol);
      if (found != c.dims.end()) max = std::max(max, found->second);
    }
    options.dims[symbol] = {1, max, 1};
  }
  return options;
}

absl::StatusOr<lower::Compiled> CompileModel(const ModelEntry& model,
                                             const onnx::ImportOptions& options) {
  auto graph = onnx::ImportOnnx(model.file, options);
  if (!graph.ok()) return graph.status();
  return lower::CompileGraph(*std::move(graph));
}
absl::StatusOr<lower::Compiled> CompileModel(const ModelEntry& model) {
  return CompileModel(model, OptionsFor(model));
}

struct Golden {
  cli::NamedArrays arrays;
  const cli::Array* Find(const std::string& name) const {
    for (const auto& [key, array] : arrays) {
      if (key == name) return &array;
    }
    return nullptr;
  }
};

absl::StatusOr<Golden> ReadGolden(const std::string& path) {
  auto arrays = cli::ReadNpz(path, uint64_t{1} << 30);
  if (!arrays.ok()) return arrays.status();
  return Golden{*std::move(arrays)};
}

std::vector<Tensor> BindingsOf(const Model& model, const Golden& golden) {
  std::vector<Tensor> inputs;
  for (uint32_t i = 0; i < model.Method().inputs; ++i) {
    const cli::Array* a = golden.Find("in/" + model.Name(FLOE_INPUT, i));
    EXPECT_NE(a, nullptr) << "golden has no input " << model.Name(FLOE_INPUT, i);
    if (a != nullptr) inputs.push_back(cli::TensorOfArray(*a));
  }
  return inputs;
}

// Runs one case; returns the outputs' bytes, compared with the golden.
std::vector<std::string> RunCase(const Model& model, floe_thread_pool* pool, const Golden& golden,
                                 double tolerance, const std::string& what) {
  SessionOptions options;
  options.pool = pool;
  std::vector<std::string> outputs;
  auto session = Session::Make(model, options);
  EXPECT_TRUE(session.ok()) << what;
  if (!session.ok()) return outputs;
  const Outcome bound = session->Bind(BindingsOf(model, golden));
  EXPECT_TRUE(bound.ok()) << what << ": " << bound.Message();
  if (!bound.ok()) return outputs;
  outputs = lower::BindPoisonedOutputs(&*session, model.Method().outputs);
  const Outcome ran = session->Run();
  EXPECT_TRUE(ran.ok()) << what << ": " << ran.Message();
  for (uint32_t i = 0; ran.ok() && i < outputs.size(); ++i) {
    const std::string name = model.Name(FLOE_OUTPUT, i);
    const cli::Array* want = golden.Find("out/" + name);
    EXPECT_NE(want, nullptr) << what << ": golden has no output " << name;
    auto got = session->Output(i);
    if (want == nullptr || !got.ok()) continue;
    EXPECT_EQ(std::vector<int64_t>(got->dims, got->dims + got->rank), want->dims) << what;
    EXPECT_EQ(got->bytes, want->bytes.size()) << what;
    if (got->bytes != want->bytes.size()) continue;
    double max = 0;
    EXPECT_LE(cli::MaxRelativeError(*got, cli::TensorOfArray(*want), &max), tolerance)
        << what << ", output " << name;
    EXPECT_GT(max, 1e-3) << what << ": the golden itself is near zero";
  }
  return outputs;
}

class ModelsTest : public testing::TestWithParam<ModelEntry> {};

TEST_P(ModelsTest, EvaluatesOnTheReferenceOpsBeforeAndAfterThePasses) {
  const ModelEntry& entry = GetParam();
  auto graph = onnx::ImportOnnx(entry.file, OptionsFor(entry));
  ASSERT_TRUE(graph.ok()) << graph.status();
  // The smallest case: the reference ops are slow.
  auto golden = ReadGolden(entry.cases[0].file);
  ASSERT_TRUE(golden.ok()) << golden.status();
  std::vector<ir::Tensor> inputs;
  for (const ir::Value* v : (*graph)->inputs()) {
    const cli::Array* a = golden->Find("in/" + v->name());
    ASSERT_NE(a, nullptr) << v->name();
    ir::Tensor t(a->dtype, a->dims);
    if (!a->bytes.empty()) std::memcpy(t.mutable_data(), a->bytes.data(), a->bytes.size());
    inputs.push_back(t);
  }
  for (const bool after : {false, true}) {
    if (after) {
      passes::Report report;
      const absl::Status s = passes::RunPasses(**graph, passes::StandardPipeline(), {}, report);
      ASSERT_TRUE(s.ok()) << s;
    }
    auto outputs = ir::Evaluate(**graph, inputs);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    for (size_t i = 0; i < outputs->size(); ++i) {
      const ir::Tensor& y = (*outputs)[i];
      const cli::Array* want = golden->Find("out/" + (*graph)->output_names[i]);
      ASSERT_NE(want, nullptr);
      ASSERT_EQ(y.dims(), want->dims);
      double max = 0;
      EXPECT_LE(cli::MaxRelativeError(lower::BindingOf(y), cli::TensorOfArray(*want), &max),
                entry.tolerance)
          << (after ? "after" : "before") << " the passes, output " << i;
    }
  }
}

TEST_P(ModelsTest, CompilesToTheSameBytesTwice) {
  auto first = CompileModel(GetParam());
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = CompileModel(GetParam());
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(first->bytes == second->bytes);
  lower::ExpectTightArenas(first->report);
}

TEST_P(ModelsTest, EveryTableAndThreadCountMatchesTheGoldens) {
  const ModelEntry& entry = GetParam();
  auto program = CompileModel(entry);
  ASSERT_TRUE(program.ok()) << program.status();
  for (const floe_backend_info& backend : lower::AvailableBackends()) {
    auto model = lower::Open(*program, lower::On(backend));
    ASSERT_TRUE(model.ok()) << model.outcome().Message();
    for (const Case& c : entry.cases) {
      auto golden = ReadGolden(c.file);
      ASSERT_TRUE(golden.ok()) << golden.status();
      std::vector<std::string> one_thread;
      for (const uint32_t threads : {1u, 2u, 3u}) {
        auto pool = ThreadPool::Make(threads);
        ASSERT_TRUE(pool.ok());
        const std::string what = absl::StrFormat("%s on %s/%s, %d threads, %s", entry.name,
                                                 backend.backend, backend.isa, threads, c.file);
        const auto outputs =
            RunCase(*model, threads == 1 ? nullptr : pool->get(), *golden, entry.tolerance, what);
        if (threads == 1) one_thread = outputs;
        EXPECT_TRUE(outputs == one_thread) << what << ": differs from one thread";
      }
    }
  }
}

// A static program of one size gives the dynamic program's numbers, bit for bit.
TEST_P(ModelsTest, StaticBuildsGiveTheSameNumbers) {
  const ModelEntry& entry = GetParam();
  if (entry.symbols.empty()) {
    ASSERT_FALSE(entry.cases.empty());  // Already static; the other tests cover it.
    return;
  }
  auto dynamic_program = CompileModel(entry);
  ASSERT_TRUE(dynamic_program.ok()) << dynamic_program.status();
  auto dynamic_model = lower::Open(*dynamic_program);
  ASSERT_TRUE(dynamic_model.ok());
  for (const Case& c : entry.cases) {
    onnx::ImportOptions options;
    for (const std::string& s : entry.symbols) options.dims[s] = {c.dims.at(s), c.dims.at(s), 1};
    auto program = CompileModel(entry, options);
    ASSERT_TRUE(program.ok()) << program.status();
    auto model = lower::Open(*program);
    ASSERT_TRUE(model.ok()) << model.outcome().Message();
    auto golden = ReadGolden(c.file);
    ASSERT_TRUE(golden.ok());
    EXPECT_TRUE(RunCase(*model, nullptr, *golden, entry.tolerance, "static " + c.file) ==
                RunCase(*dynamic_model, nullptr, *golden, entry.tolerance, "dynamic " + c.file));
  }
}

TEST_P(ModelsTest, SizesOutsideTheBoundsAreRefusedByName) {
  const ModelEntry& entry = GetParam();
  auto program = CompileModel(entry);
  ASSERT_TRUE(program.ok()) << program.status();
  auto model = lower::Open(*program);
  ASSERT_TRUE(model.ok()) << model.outcome().Message();
  auto session = Session::Make(*model);
  ASSERT_TRUE(session.ok());
  for (uint32_t i = 0; i < model->Method().inputs; ++i) {
    const floe_tensor_spec spec = model->Spec(FLOE_INPUT, i);
    for (uint32_t axis = 0; axis < spec.rank; ++axis) {
      std::vector<Tensor> inputs;
      for (uint32_t k = 0; k < model->Method().inputs; ++k) {
        const floe_tensor_spec s = model->Spec(FLOE_INPUT, k);
        Tensor t;
        t.dtype = s.dtype;
        t.rank = s.rank;
        t.bytes = static_cast<size_t>(DTypeSize(static_cast<DType>(s.dtype)));
        for (uint32_t a = 0; a < s.rank; ++a) {
          const bool same =
              s.axes[a].symbol != FLOE_NO_INDEX && s.axes[a].symbol == spec.axes[axis].symbol;
          t.dims[a] = (k == i && a == axis) || same ? spec.axes[axis].max + 1 : s.axes[a].max;
          t.bytes *= static_cast<size_t>(t.dims[a]);
        }
        inputs.push_back(t);
      }
      const Outcome o = session->Bind(inputs);
      EXPECT_EQ(o.code(), FLOE_INVALID_ARGUMENT);
      const std::string name = spec.axes[axis].symbol == FLOE_NO_INDEX
                                   ? model->Name(FLOE_INPUT, i)
                                   : model->Name(FLOE_SYMBOL, spec.axes[axis].symbol);
      EXPECT_NE(o.Message().find(name), std::string::npos) << o.Message();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Twins, ModelsTest, testing::ValuesIn(ReadIndex()),
                         [](const testing::TestParamInfo<ModelEntry>& info) {
                           std::string name = info.param.name;
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

TEST(ModelsIndex, HasTheModels) { EXPECT_GE(ReadIndex().size(), 40u); }

}  // namespace
}  // namespace floe
