#include "tests/onnx/backend_case.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/import.h"
#include "compiler/import/onnx/model_file.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/status_macros.h"
#include "compiler/ir/verify.h"

namespace floe::onnx {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// input_0.pb, input_1.pb, ... up to the first that is missing.
std::vector<std::string> ReadNumbered(const std::string& folder, const char* kind) {
  std::vector<std::string> files;
  for (int i = 0;; ++i) {
    const std::string path = absl::StrFormat("%s/%s_%d.pb", folder, kind, i);
    if (!fs::exists(path)) return files;
    files.push_back(ReadAll(path));
  }
}

absl::StatusOr<std::vector<ir::Tensor>> ParseTensors(const std::vector<std::string>& files) {
  std::vector<ir::Tensor> tensors;
  for (const std::string& file : files) {
    FLOE_TRY_ASSIGN(ir::Tensor t, ParseTensor(file));
    tensors.push_back(std::move(t));
  }
  return tensors;
}

// Reads the framing of a pack: little-endian u32 numbers and byte strings with their length.
class PackReader {
 public:
  explicit PackReader(std::string_view bytes) : bytes_(bytes) {}
  bool AtEnd() const { return at_ == bytes_.size(); }
  bool ok() const { return ok_; }
  uint32_t Number() {
    uint32_t v = 0;
    if (at_ + 4 > bytes_.size()) {
      ok_ = false;
      return 0;
    }
    std::memcpy(&v, bytes_.data() + at_, 4);
    at_ += 4;
    return v;
  }
  std::string Bytes() {
    const uint32_t n = Number();
    if (!ok_ || n > bytes_.size() - at_) {
      ok_ = false;
      return "";
    }
    at_ += n;
    return std::string(bytes_.substr(at_ - n, n));
  }
  std::vector<std::string> List() {
    std::vector<std::string> list;
    for (uint32_t n = Number(); ok_ && n > 0; --n) list.push_back(Bytes());
    return list;
  }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

// Which inputs become constants: none; those that look like shapes or axes, small integers; small
// floats as well (scales, regions), except the first input, which is the data.
enum class Freeze { kNone, kIntegers, kSmall };

bool IsFrozen(Freeze freeze, size_t position, const ir::Tensor& t) {
  if (freeze == Freeze::kNone || t.dims().size() > 1 || t.count() > 64) return false;
  return !IsFloat(t.dtype()) || (freeze == Freeze::kSmall && position > 0);
}

struct Setup {
  ImportOptions options;
  std::vector<ir::Tensor> inputs;  // Those that are not frozen.
};

// The model's inputs that are not initializers get the sizes that the data has, or its values.
absl::StatusOr<Setup> SetupFor(const std::string& model, const std::vector<ir::Tensor>& inputs,
                               Freeze freeze) {
  FLOE_TRY_ASSIGN(auto file, ModelFile::FromMemory(model, nullptr, int64_t{1} << 32));
  Setup setup;
  size_t next = 0;
  for (const ValueInfoProto& input : file->model().graph().input()) {
    bool weight = false;
    for (const auto& init : file->initializers()) {
      weight = weight || init.proto.name() == input.name();
    }
    if (weight || next >= inputs.size()) continue;
    const ir::Tensor& t = inputs[next++];
    if (IsFrozen(freeze, next - 1, t)) {
      setup.options.frozen[input.name()] = t;
      continue;
    }
    setup.inputs.push_back(t);
    auto& shape = setup.options.shapes[input.name()];
    for (const int64_t d : t.dims()) shape.push_back({"", d});
  }
  return setup;
}

CaseResult Wrong(const std::string& what) { return {Verdict::kWrong, what, false}; }

CaseResult Refused(const absl::Status& status) {
  std::string text(status.message());
  for (char& c : text) c = c == '\n' ? ' ' : c;
  return {Verdict::kRefused, text, false};
}

CaseResult RunDataSet(const std::string& model, const DataSet& data, Freeze freeze,
                      const Tolerance& tolerance) {
  const auto inputs = ParseTensors(data.inputs);
  const auto outputs = ParseTensors(data.outputs);
  // Data other than tensors of numbers belongs to models that must be refused.
  const bool readable = inputs.ok() && outputs.ok();
  Setup setup;
  if (readable) {
    absl::StatusOr<Setup> made = SetupFor(model, *inputs, freeze);
    if (!made.ok()) return Wrong(std::string(made.status().message()));
    setup = *std::move(made);
  }
  const auto graph = ImportOnnxFromMemory(model, nullptr, setup.options);
  if (absl::IsUnimplemented(graph.status())) return Refused(graph.status());
  if (!readable) return Refused(inputs.ok() ? outputs.status() : inputs.status());
  if (!graph.ok()) return Wrong(std::string(graph.status().message()));
  if (absl::Status status = ir::Verify(**graph); !status.ok()) {
    return Wrong("verifier: " + std::string(status.message()));
  }
  const auto results = ir::Evaluate(**graph, setup.inputs);
  if (absl::IsUnimplemented(results.status())) return Refused(results.status());
  if (!results.ok()) return Wrong("evaluate: " + std::string(results.status().message()));
  if (results->size() != outputs->size()) return Wrong("the number of outputs differs");
  for (size_t i = 0; i < outputs->size(); ++i) {
    const std::string difference = Difference((*results)[i], (*outputs)[i], tolerance);
    if (!difference.empty()) return Wrong(absl::StrFormat("output %d: %s", i, difference));
  }
  return {};
}

CaseResult RunDataSets(const Case& c, Freeze freeze, const Tolerance& tolerance) {
  if (c.sets.empty()) return Wrong("it has no data");
  for (const DataSet& set : c.sets) {
    const CaseResult r = RunDataSet(c.model, set, freeze, tolerance);
    if (r.verdict != Verdict::kPass) return r;
  }
  return {};
}

}  // namespace

absl::StatusOr<Case> ReadFolder(const std::string& folder) {
  Case c;
  c.name = fs::path(folder).filename().string();
  if (!fs::exists(folder + "/model.onnx")) return absl::NotFoundError(folder + "/model.onnx");
  c.model = ReadAll(folder + "/model.onnx");
  for (int set = 0;; ++set) {
    const std::string data = absl::StrFormat("%s/test_data_set_%d", folder, set);
    if (!fs::exists(data)) return c;
    c.sets.push_back({ReadNumbered(data, "input"), ReadNumbered(data, "output")});
  }
}

absl::StatusOr<std::vector<Case>> ReadPack(const std::string& path) {
  const std::string bytes = ReadAll(path);
  if (bytes.empty()) return absl::NotFoundError(path);
  std::vector<Case> cases;
  for (PackReader in(bytes); !in.AtEnd();) {
    Case c;
    c.name = in.Bytes();
    c.model = in.Bytes();
    for (uint32_t sets = in.Number(); in.ok() && sets > 0; --sets) {
      DataSet set;
      set.inputs = in.List();
      set.outputs = in.List();
      c.sets.push_back(std::move(set));
    }
    if (!in.ok()) return absl::DataLossError(path + " is cut off");
    cases.push_back(std::move(c));
  }
  return cases;
}

absl::StatusOr<ir::Tensor> ParseTensor(std::string_view bytes) {
  TensorProto proto;
  if (!proto.ParseFromString(std::string(bytes))) {
    return absl::InvalidArgumentError("a tensor does not parse");
  }
  // A model whose only initializer it is gives the tensor.
  ModelProto model;
  *model.mutable_graph()->add_initializer() = std::move(proto);
  const std::string encoded = model.SerializeAsString();
  FLOE_TRY_ASSIGN(auto file, ModelFile::FromMemory(encoded, nullptr, int64_t{1} << 32));
  return file->ToTensor(file->initializers()[0]);
}

std::string Difference(const ir::Tensor& got, const ir::Tensor& want, const Tolerance& tolerance) {
  if (got.dtype() != want.dtype()) {
    return absl::StrFormat("dtype %s, expected %s", DTypeName(got.dtype()),
                           DTypeName(want.dtype()));
  }
  if (got.dims() != want.dims()) return "the shape differs";
  for (int64_t i = 0; i < want.count(); ++i) {
    const double g = got.DoubleAt(i), w = want.DoubleAt(i);
    if (std::isnan(g) && std::isnan(w)) continue;
    if (g == w) continue;
    if (!(std::fabs(g - w) <= tolerance.atol + tolerance.rtol * std::fabs(w))) {
      return absl::StrFormat("element %d is %.9g, expected %.9g", i, g, w);
    }
  }
  return "";
}

CaseResult RunCase(const Case& c, const Tolerance& tolerance) {
  const CaseResult first = RunDataSets(c, Freeze::kNone, tolerance);
  if (first.verdict != Verdict::kRefused) return first;
  for (const Freeze freeze : {Freeze::kIntegers, Freeze::kSmall}) {
    CaseResult r = RunDataSets(c, freeze, tolerance);
    r.frozen = true;
    if (r.verdict != Verdict::kRefused) return r;
  }
  return first;
}

}  // namespace floe::onnx
