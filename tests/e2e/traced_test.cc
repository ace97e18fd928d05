// Every file of models/traced, from PyTorch's archive to numbers: imported with symbolic sizes,
// compiled, run at every stored set of sizes, and compared with eager PyTorch's outputs; all forms
// of a model with one another; and sizes outside the bounds refused by name.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "compiler/import/onnx/import.h"
#include "compiler/import/torch_export/import.h"
#include "compiler/import/torchscript/import.h"
#include "runtime/floe.hpp"
#include "tests/lower/compile_testing.h"
#include "tools/cli/inputs.h"
#include "tools/cli/npy.h"

namespace floe {
namespace {

using nlohmann::json;

std::string Folder() {
  const char* folder = std::getenv("FLOE_TRACED");
  return std::string(folder == nullptr ? "." : folder) + "/";
}

const json& Index() {
  static const json* index = [] {
    std::ifstream in(Folder() + "index.json");
    auto* parsed = new json(json::parse(in, nullptr, /*allow_exceptions=*/false));
    if (parsed->is_discarded()) *parsed = json::array();
    return parsed;
  }();
  return *index;
}

DType DTypeOf(const std::string& prefix) {
  return prefix == "f16." ? DType::kF16 : prefix == "bf16." ? DType::kBF16 : DType::kF32;
}

// Reduced networks that are so deep that rounding shows: ONNX Runtime's outputs for the same files
// lie as far from eager's (ResNeXt-101 1.6e-4, ResNet-50 4.9e-5, Inception-v3 4.5e-5).
double ToleranceOf(const json& model, const json& file) {
  const std::map<std::string, double> deep = {{"resnext101", 5e-4},  {"resnet50", 1e-4},
                                              {"googlenet", 1e-4},   {"inceptionv3", 1e-4},
                                              {"mobilenetv2", 3e-5}, {"shufflenetv2", 3e-5}};
  const double stated = file["tolerance"];
  const auto it = deep.find(model["name"].get<std::string>());
  return it == deep.end() ? stated : std::max(stated, it->second);
}

// Symbols that are numbers in all forms: the model is compiled once for each size that is run.
std::vector<std::string> NeedNumbers(const json& model) {
  if (model["name"] == "llama") return {"N", "P"};  // As a server compiles it for one sequence.
  return {};
}

bool IsExport(const json& file) { return absl::EndsWith(file["file"].get<std::string>(), ".pt2"); }

// A symbol's least size in a file: torch.export takes no dimension of 0.
int64_t LeastOf(const json& bounds, const json& file) {
  return std::max<int64_t>(bounds[0].get<int64_t>(), IsExport(file) ? 1 : 0);
}

// The model's files, those with NeedNumbers once for each run's sizes.
std::vector<json> FilesOf(const json& model) {
  std::vector<json> files;
  for (const json& file : model["files"]) {
    const std::vector<std::string> numbers = NeedNumbers(model);
    if (numbers.empty()) files.push_back(file);
    std::set<json> seen;
    for (const json& run : model["runs"][file["dtype"].get<std::string>()]) {
      json narrowed = file;
      for (const std::string& symbol : numbers) narrowed["fixed"][symbol] = run["sizes"][symbol];
      if (!numbers.empty() && seen.insert(narrowed["fixed"]).second) files.push_back(narrowed);
    }
  }
  return files;
}

// torch.export takes no dimension of 0: that size is outside of what such a file was made for.
bool IsOutsideExport(const json& file) {
  if (!IsExport(file)) return false;
  for (const auto& size : file["fixed"]) {
    if (size == 0) return true;
  }
  return false;
}

// The options of a front end: every symbol of the model's inputs with its bounds. Import's names
// and types are the same in all three front ends.
template <typename Options>
Options OptionsFor(const json& model, const json& file) {
  Options options;
  for (size_t i = 0; i < model["inputs"].size(); ++i) {
    auto& shape = options.shapes[model["inputs"][i].get<std::string>()];
    for (const json& d : model["shapes"][i]) {
      if (!d.is_string()) {
        shape.push_back({"", d.get<int64_t>()});
      } else if (file["fixed"].contains(d.get<std::string>())) {
        shape.push_back({"", file["fixed"][d.get<std::string>()].get<int64_t>()});
      } else {
        shape.push_back({d.get<std::string>(), 0});
      }
    }
  }
  for (const auto& item : model["bounds"].items()) {
    if (file["fixed"].contains(item.key())) continue;
    const json& bounds = item.value();
    options.dims[item.key()] = {LeastOf(bounds, file), bounds[1].template get<int64_t>(), 1};
  }
  return options;
}

absl::StatusOr<cli::NamedArrays> ReadRun(const json& run) {
  return cli::ReadNpz(Folder() + run["file"].get<std::string>(), uint64_t{1} << 30);
}

const cli::Array* Find(const cli::NamedArrays& arrays, const std::string& name) {
  for (const auto& [key, array] : arrays) {
    if (key == name) return &array;
  }
  return nullptr;
}

absl::StatusOr<std::unique_ptr<ir::Graph>> Import(const json& model, const json& file) {
  const std::string path = Folder() + file["file"].get<std::string>();
  if (absl::EndsWith(path, ".onnx")) {
    return onnx::ImportOnnx(path, OptionsFor<onnx::ImportOptions>(model, file));
  }
  if (absl::EndsWith(path, ".pt2")) {
    return torch_export::ImportTorchExport(path,
                                           OptionsFor<torch_export::ImportOptions>(model, file));
  }
  auto options = OptionsFor<torchscript::ImportOptions>(model, file);
  const auto run = ReadRun(model["runs"][file["dtype"].get<std::string>()][0]);
  if (!run.ok()) return run.status();
  for (size_t i = 0; i < model["inputs"].size(); ++i) {
    const cli::Array* a = Find(*run, absl::StrFormat("in/%d", i));
    if (a == nullptr) return absl::DataLossError("a golden without an input");
    const bool is_float = a->dtype == DType::kF32;
    options.dtypes[model["inputs"][i].get<std::string>()] =
        is_float ? DTypeOf(file["dtype"].get<std::string>()) : a->dtype;
  }
  return torchscript::ImportTorchScript(path, options);
}

struct Program {
  std::vector<uint8_t> bytes;
  Model model;
};

absl::StatusOr<Program> Compile(const json& model, const json& file,
                                passes::Precision precision = passes::Precision::kF32) {
  auto graph = Import(model, file);
  if (!graph.ok()) return graph.status();
  lower::CompileOptions options;
  options.precision = precision;
  auto compiled = lower::CompileGraph(*std::move(graph), options);
  if (!compiled.ok()) return compiled.status();
  SCOPED_TRACE(file.dump());
  lower::ExpectTightArenas(compiled->report);
  auto opened = lower::Open(*compiled);
  if (!opened.ok()) return cli::ToAbsl(opened.outcome());
  return Program{std::move(compiled->bytes), std::move(*opened)};
}

float ToFloat(uint16_t half, DType t) {
  ir::Tensor one(t, {1});
  std::memcpy(one.mutable_data(), &half, 2);
  return static_cast<float>(one.DoubleAt(0));
}

// An array in the element type that the program's input has (bf16 arrays are stored as f32).
cli::Array InputAs(const cli::Array& a, DType t) {
  if (a.dtype == t || a.dtype == DType::kI64) return a;
  ir::Tensor to(t, a.dims);
  ir::Tensor from(a.dtype, a.dims);
  std::memcpy(from.mutable_data(), a.bytes.data(), a.bytes.size());
  for (int64_t i = 0; i < to.count(); ++i) to.SetDouble(i, from.DoubleAt(i));
  return {t, a.dims, std::string(static_cast<const char*>(to.data()), size_t(to.bytes()))};
}

// An output in f32, to be compared with eager's.
cli::Array Widened(const Tensor& t) {
  const DType dtype = static_cast<DType>(t.dtype);
  cli::Array a{dtype, {t.dims, t.dims + t.rank}, std::string(static_cast<char*>(t.data), t.bytes)};
  if (dtype != DType::kF16 && dtype != DType::kBF16) return a;
  std::string bytes(t.bytes * 2, '\0');
  for (size_t i = 0; i < t.bytes / 2; ++i) {
    uint16_t half;
    std::memcpy(&half, a.bytes.data() + 2 * i, 2);
    const float f = ToFloat(half, dtype);
    std::memcpy(bytes.data() + 4 * i, &f, 4);
  }
  return {DType::kF32, a.dims, bytes};
}

bool Applies(const json& model, const json& run, const json& file) {
  for (const auto& [symbol, value] : file["fixed"].items()) {
    if (run["sizes"][symbol] != value) return false;
  }
  for (const auto& [symbol, bounds] : model["bounds"].items()) {
    if (run["sizes"][symbol].get<int64_t>() < LeastOf(bounds, file)) return false;
  }
  return true;
}

absl::StatusOr<std::vector<cli::Array>> RunOnce(const Program& program, Session& session,
                                                const cli::NamedArrays& arrays) {
  std::vector<cli::Array> storage;
  for (uint32_t i = 0; i < program.model.Method().inputs; ++i) {
    const cli::Array* a = Find(arrays, absl::StrFormat("in/%d", i));
    if (a == nullptr) return absl::DataLossError("the program has more inputs than the golden");
    storage.push_back(InputAs(*a, static_cast<DType>(program.model.Spec(FLOE_INPUT, i).dtype)));
  }
  std::vector<Tensor> inputs;
  for (const cli::Array& a : storage) inputs.push_back(cli::TensorOfArray(a));
  if (Outcome o = session.Bind(inputs); !o.ok()) return cli::ToAbsl(o);
  std::vector<std::vector<double>> memory;  // double: aligned for every type.
  for (uint32_t i = 0; i < program.model.Method().outputs; ++i) {
    auto t = session.Output(i);
    if (!t.ok()) return cli::ToAbsl(t.outcome());
    memory.emplace_back(t->bytes / 8 + 1);
    std::memset(memory.back().data(), 0xff, memory.back().size() * 8);  // Poisoned: NaN.
    if (Outcome o = session.SetOutput(i, memory.back().data(), t->bytes); !o.ok()) {
      return cli::ToAbsl(o);
    }
  }
  if (Outcome o = session.Run(); !o.ok()) return cli::ToAbsl(o);
  std::vector<cli::Array> outputs;
  for (uint32_t i = 0; i < memory.size(); ++i) outputs.push_back(Widened(*session.Output(i)));
  return outputs;
}

using Outputs = std::vector<std::vector<cli::Array>>;  // By run, by output.

// Runs all goldens that apply; the outputs of those that do not are left empty.
void RunFile(const json& model, const json& file, const Program& program, Outputs* all,
             double tolerance) {
  auto session = Session::Make(program.model);
  ASSERT_TRUE(session.ok()) << session.outcome().Message();
  for (const json& run : model["runs"][file["dtype"].get<std::string>()]) {
    all->emplace_back();
    if (!Applies(model, run, file)) continue;
    if (!model["stateful"]) session->ResetStates();
    const std::string what = run["file"];
    const auto arrays = ReadRun(run);
    ASSERT_TRUE(arrays.ok()) << arrays.status();
    auto outputs = RunOnce(program, *session, *arrays);
    ASSERT_TRUE(outputs.ok()) << what << ": " << outputs.status();
    for (size_t i = 0; i < outputs->size(); ++i) {
      const cli::Array* want = Find(*arrays, absl::StrFormat("out/%d", i));
      ASSERT_NE(want, nullptr) << what << ": more outputs than eager";
      ASSERT_EQ((*outputs)[i].dims, want->dims) << what << ", output " << i;
      double max = 0;
      const double error =
          cli::MaxRelativeError(cli::TensorOfArray((*outputs)[i]), cli::TensorOfArray(*want), &max);
      EXPECT_LE(error, tolerance) << what << ", output " << i;
    }
    EXPECT_EQ(Find(*arrays, absl::StrFormat("out/%d", outputs->size())), nullptr) << what;
    all->back() = *std::move(outputs);
  }
}

class TracedTest : public testing::TestWithParam<std::string> {
 protected:
  const json& model() const {
    for (const json& m : Index()) {
      if (m["name"] == GetParam()) return m;
    }
    static const json none;
    return none;
  }
};

TEST_P(TracedTest, EveryFormMatchesEagerAndTheOtherForms) {
  std::map<std::string, Outputs> first;  // By dtype.
  int runs = 0;
  for (const json& file : FilesOf(model())) {
    SCOPED_TRACE(file["file"].get<std::string>() + " " + file["fixed"].dump());
    auto program = Compile(model(), file);
    if (IsOutsideExport(file)) {
      EXPECT_TRUE(absl::IsInvalidArgument(program.status())) << program.status();
      continue;
    }
    EXPECT_TRUE(program.ok()) << program.status();
    if (!program.ok()) continue;
    Outputs outputs;
    RunFile(model(), file, *program, &outputs, ToleranceOf(model(), file));
    Outputs& other = first[file["dtype"].get<std::string>()];
    other.resize(std::max(other.size(), outputs.size()));
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (other[k].empty()) other[k] = outputs[k];
      for (size_t i = 0; i < std::min(outputs[k].size(), other[k].size()); ++i) {
        ++runs;
        double max = 0;
        EXPECT_LE(cli::MaxRelativeError(cli::TensorOfArray(outputs[k][i]),
                                        cli::TensorOfArray(other[k][i]), &max),
                  ToleranceOf(model(), file))
            << "run " << k << ", output " << i << " differs from the first form's";
      }
    }
  }
  EXPECT_GT(runs, 0);
}

// What a lower precision may differ by from eager's f32 outputs. Reduced networks with random
// weights make much of roundings: for those the limit is half as much again as what PyTorch itself
// loses when the same operands of its convolutions and linear layers are rounded.
double LossOf(const json& model, passes::Precision precision) {
  struct Loss {
    double bf16, f16;
  };
  const std::map<std::string, Loss> measured = {
      {"bert", {1.73e-2, 1.36e-3}},       {"googlenet", {0.156, 1.74e-2}},
      {"inceptionv3", {0.369, 7.46e-2}},  {"mobilenetv2", {0.150, 2.30e-2}},
      {"resnet50", {0.436, 6.24e-2}},     {"resnext101", {1.03, 0.218}},
      {"shufflenetv2", {0.184, 2.66e-2}}, {"unet", {4.48e-2, 5.67e-3}},
  };
  const bool bf16 = precision == passes::Precision::kBF16;
  const double stated = bf16 ? 1.6e-2 : 2e-3;
  const auto it = measured.find(model["name"].get<std::string>());
  if (it == measured.end()) return stated;
  return std::max(stated, 1.5 * (bf16 ? it->second.bf16 : it->second.f16));
}

// One form of each model, in every lower precision, against eager's f32 outputs.
TEST_P(TracedTest, LowerPrecisionsStayCloseToEager) {
  for (const json& file : FilesOf(model())) {
    if (file["dtype"] != "" || IsOutsideExport(file)) continue;
    SCOPED_TRACE(file["file"].get<std::string>() + " " + file["fixed"].dump());
    const auto wide = Compile(model(), file);
    ASSERT_TRUE(wide.ok()) << wide.status();
    for (const auto precision : {passes::Precision::kBF16, passes::Precision::kF16Weights}) {
      SCOPED_TRACE(precision == passes::Precision::kBF16 ? "bf16" : "fp16-weights");
      const auto program = Compile(model(), file, precision);
      ASSERT_TRUE(program.ok()) << program.status();
      EXPECT_LE(program->bytes.size(), wide->bytes.size());  // Equal where there are no weights.
      Outputs outputs;
      RunFile(model(), file, *program, &outputs, LossOf(model(), precision));
    }
    break;
  }
}

// One more than each bound allows, in every form of f32.
TEST_P(TracedTest, SizesOutsideTheBoundsAreRefusedByName) {
  for (const json& file : FilesOf(model())) {
    if (file["dtype"] != "" || IsOutsideExport(file)) continue;
    SCOPED_TRACE(file["file"].get<std::string>() + " " + file["fixed"].dump());
    auto program = Compile(model(), file);
    EXPECT_TRUE(program.ok()) << program.status();
    if (!program.ok()) continue;
    auto session = Session::Make(program->model);
    ASSERT_TRUE(session.ok());
    for (const auto& [symbol, bounds] : model()["bounds"].items()) {
      if (file["fixed"].contains(symbol)) continue;
      std::vector<Tensor> inputs;
      for (uint32_t i = 0; i < program->model.Method().inputs; ++i) {
        const floe_tensor_spec spec = program->model.Spec(FLOE_INPUT, i);
        Tensor t;
        t.dtype = spec.dtype;
        t.rank = spec.rank;
        t.bytes = static_cast<size_t>(DTypeSize(static_cast<DType>(spec.dtype)));
        for (uint32_t a = 0; a < spec.rank; ++a) {
          const json& d = model()["shapes"][i][a];
          t.dims[a] = spec.axes[a].max + (d == symbol ? 1 : 0);
          t.bytes *= static_cast<size_t>(t.dims[a]);
        }
        inputs.push_back(t);
      }
      const Outcome o = session->Bind(inputs);
      EXPECT_EQ(o.code(), FLOE_INVALID_ARGUMENT) << symbol;
      EXPECT_NE(o.Message().find(symbol), std::string::npos) << o.Message();
    }
  }
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const json& m : Index()) names.push_back(m["name"]);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Models, TracedTest, testing::ValuesIn(Names()),
                         [](const auto& info) { return info.param; });

TEST(TracedIndex, HasTheModelsInTheirForms) {
  std::set<std::string> kinds;
  size_t files = 0;
  for (const json& m : Index()) {
    for (const json& f : m["files"]) {
      const std::string name = f["file"].get<std::string>();
      kinds.insert(name.substr(name.find('.')));
      ++files;
    }
  }
  EXPECT_GE(Index().size(), 20u);
  EXPECT_GE(files, 140u);
  for (const char* kind : {".pt2", ".decomposed.pt2", ".trace.pt", ".script.pt", ".onnx",
                           ".f16.pt2", ".bf16.pt2", ".f16.trace.pt", ".bf16.trace.pt"}) {
    EXPECT_EQ(kinds.count(kind), 1u) << kind;
  }
}

}  // namespace
}  // namespace floe
