#include "tests/aten/case_runner.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "compiler/import/torch_export/import.h"
#include "compiler/import/torchscript/import.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/verify.h"
#include "compiler/lower/compile.h"
#include "runtime/floe.hpp"

namespace floe::aten {
namespace {

CaseResult Wrong(const std::string& what) { return {Verdict::kWrong, what}; }

std::string OneLine(absl::string_view message) {
  std::string text(message);
  for (char& c : text) c = c == '\n' ? ' ' : c;
  return text;
}

// What a status of an importer or the compiler means for a valid model.
CaseResult Judge(const char* step, const absl::Status& status) {
  const std::string text = OneLine(status.message());
  if (absl::IsUnimplemented(status)) return {Verdict::kRefused, text};
  return Wrong(absl::StrFormat("%s: %s", step, text));
}

absl::StatusOr<std::unique_ptr<ir::Graph>> Import(const Case& c, const std::string& form,
                                                  const CaseData& data) {
  const auto archive = BuildArchive(c.forms.at(form));
  if (!archive.ok()) return archive.status();
  const auto bytes = std::make_shared<const std::string>(*archive);
  if (form != "pt") return torch_export::ImportTorchExportFromMemory({*bytes, bytes}, {});
  torchscript::ImportOptions options;
  for (size_t i = 0; i < data.inputs.size() && i < c.names.size(); ++i) {
    options.dtypes[c.names[i]] = data.inputs[i].dtype();
    auto& shape = options.shapes[c.names[i]];
    for (const int64_t d : data.inputs[i].dims()) shape.push_back({"", d});
  }
  return torchscript::ImportTorchScriptFromMemory({*bytes, bytes}, options);
}

Tensor BindingOf(const ir::Tensor& t) {
  Tensor b;
  b.data = const_cast<void*>(t.data());
  b.bytes = static_cast<size_t>(t.bytes());
  b.dtype = static_cast<int32_t>(t.dtype());
  b.rank = static_cast<uint32_t>(t.dims().size());
  for (size_t i = 0; i < t.dims().size(); ++i) b.dims[i] = t.dims()[i];
  return b;
}

// The numbers of the inputs that the program gives back as "NAME.mutated", its last outputs.
std::vector<size_t> WrittenInputs(const ir::Graph& graph) {
  std::vector<size_t> written;
  for (const std::string& name : graph.output_names) {
    if (!absl::EndsWith(name, ".mutated")) continue;
    for (size_t i = 0; i < graph.inputs().size(); ++i) {
      if (graph.inputs()[i]->name() + ".mutated" == name) written.push_back(i);
    }
  }
  return written;
}

// A model that writes its inputs gives them as further outputs: they must hold what eager's
// arguments hold then.
std::string CompareAll(const std::vector<ir::Tensor>& got, const CaseData& data, double tolerance,
                       const std::vector<size_t>& written) {
  std::vector<const ir::Tensor*> want;
  for (const ir::Tensor& t : data.outputs) want.push_back(&t);
  for (const size_t i : written) {
    const auto it = data.written.find(i);
    want.push_back(it == data.written.end() ? &data.inputs[i] : &it->second);
  }
  if (got.size() != want.size()) {
    return absl::StrFormat("%d outputs, expected %d and %d written inputs", got.size(),
                           data.outputs.size(), written.size());
  }
  for (const auto& [input, value] : data.written) {
    if (std::count(written.begin(), written.end(), input) == 0) {
      return absl::StrFormat("the model writes input %d, and no output says so", input);
    }
  }
  for (size_t i = 0; i < want.size(); ++i) {
    const std::string difference = Difference(got[i], *want[i], tolerance);
    if (!difference.empty()) return absl::StrFormat("output %d: %s", i, difference);
  }
  return "";
}

// The outputs of one run, whose memory was poisoned before.
absl::StatusOr<std::vector<ir::Tensor>> RunOnce(const Model& model, Session& session,
                                                const CaseData& data) {
  const auto failed = [](const Outcome& o) { return absl::InternalError(OneLine(o.Message())); };
  std::vector<Tensor> inputs;
  for (const ir::Tensor& t : data.inputs) inputs.push_back(BindingOf(t));
  if (Outcome o = session.Bind(inputs); !o.ok()) return failed(o);
  std::vector<std::string> memory;
  for (uint32_t i = 0; i < model.Method().outputs; ++i) {
    auto t = session.Output(i);
    if (!t.ok()) return failed(t.outcome());
    memory.emplace_back(t->bytes + 64, '\xff');
    // Aligned as every element type needs.
    const size_t skip = 64 - reinterpret_cast<uintptr_t>(memory.back().data()) % 64;
    if (Outcome o = session.SetOutput(i, memory.back().data() + skip % 64, t->bytes); !o.ok()) {
      return failed(o);
    }
  }
  if (Outcome o = session.Run(); !o.ok()) return failed(o);
  std::vector<ir::Tensor> outputs;
  for (uint32_t i = 0; i < memory.size(); ++i) {
    auto t = session.Output(i);
    if (!t.ok()) return failed(t.outcome());
    ir::Tensor y(static_cast<DType>(t->dtype), {t->dims, t->dims + t->rank});
    if (y.bytes() > 0) std::memcpy(y.mutable_data(), t->data, static_cast<size_t>(y.bytes()));
    outputs.push_back(std::move(y));
  }
  return outputs;
}

double DefaultTolerance(DType t) {
  switch (t) {
    case DType::kF64:
      return 1e-10;
    case DType::kF16:
      return 2e-3;
    case DType::kBF16:
      return 1.6e-2;
    default:
      return 1e-5;
  }
}

// Floe computes in f32 what eager rounds to a half type between operations, so that a wider output
// that comes from a half input is only known as well as the half is.
double ToleranceOf(const Case& c) {
  double tolerance = c.tolerance;
  for (const ir::Tensor& t : c.sets[0].inputs) {
    if (IsFloat(t.dtype())) tolerance = std::max(tolerance, DefaultTolerance(t.dtype()));
  }
  return tolerance;
}

CaseResult CheckEvaluator(const Case& c, const ir::Graph& graph,
                          const std::vector<size_t>& written) {
  std::vector<ir::Tensor> states;
  for (size_t k = 0; k < c.sets.size(); ++k) {
    if (!c.stateful) states.clear();
    const auto got = ir::Evaluate(graph, c.sets[k].inputs, &states);
    if (!got.ok()) return Judge("evaluator", got.status());
    const std::string difference = CompareAll(*got, c.sets[k], ToleranceOf(c), written);
    if (!difference.empty()) return Wrong(absl::StrFormat("evaluator, set %d, %s", k, difference));
  }
  return {};
}

CaseResult CheckRuntime(const Case& c, std::unique_ptr<ir::Graph> graph,
                        const std::vector<size_t>& written) {
  std::vector<uint8_t> bytes;
  const auto sink = [](void* self, const void* data, size_t n) {
    auto* to = static_cast<std::vector<uint8_t>*>(self);
    to->insert(to->end(), static_cast<const uint8_t*>(data), static_cast<const uint8_t*>(data) + n);
    return true;
  };
  lower::CompileReport report;
  if (absl::Status s = lower::Compile(std::move(graph), {}, sink, &bytes, &report); !s.ok()) {
    return Judge("compile", s);
  }
  OpenOptions options;
  options.copy = 1;  // The bytes are not aligned.
  auto model = Model::Open(bytes.data(), bytes.size(), options);
  if (!model.ok()) return Wrong("open: " + OneLine(model.outcome().Message()));
  auto session = Session::Make(*model);
  if (!session.ok()) return Wrong("session: " + OneLine(session.outcome().Message()));
  for (size_t k = 0; k < c.sets.size(); ++k) {
    if (!c.stateful) session->ResetStates();
    const auto got = RunOnce(*model, *session, c.sets[k]);
    if (!got.ok()) return Wrong("run: " + OneLine(got.status().message()));
    const std::string difference = CompareAll(*got, c.sets[k], ToleranceOf(c), written);
    if (!difference.empty()) return Wrong(absl::StrFormat("runtime, set %d, %s", k, difference));
  }
  return {};
}

}  // namespace

CaseResult RunCase(const Case& c, const std::string& form) {
  if (c.sets.empty()) return Wrong("it has no data");
  auto graph = Import(c, form, c.sets[0]);
  if (!graph.ok()) return Judge("import", graph.status());
  if (absl::Status s = ir::Verify(**graph); !s.ok()) {
    return Wrong("verifier: " + OneLine(s.message()));
  }
  const std::vector<size_t> written = WrittenInputs(**graph);
  const CaseResult evaluated = CheckEvaluator(c, **graph, written);
  if (evaluated.verdict != Verdict::kPass) return evaluated;
  return CheckRuntime(c, *std::move(graph), written);
}

std::string Difference(const ir::Tensor& got, const ir::Tensor& want, double tolerance) {
  if (got.dtype() != want.dtype()) {
    return absl::StrFormat("dtype %s, expected %s", DTypeName(got.dtype()),
                           DTypeName(want.dtype()));
  }
  if (got.dims() != want.dims()) {
    std::string text = "shape [";
    for (const int64_t d : got.dims()) absl::StrAppendFormat(&text, "%d,", d);
    text += "], expected [";
    for (const int64_t d : want.dims()) absl::StrAppendFormat(&text, "%d,", d);
    return text + "]";
  }
  if (!IsFloat(want.dtype())) {
    for (int64_t i = 0; i < want.count(); ++i) {
      if (got.IntAt(i) != want.IntAt(i)) {
        return absl::StrFormat("element %d is %d, expected %d", i, got.IntAt(i), want.IntAt(i));
      }
    }
    return "";
  }
  double scale = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    const double w = std::fabs(want.DoubleAt(i));
    if (std::isfinite(w) && w > scale) scale = w;
  }
  const double limit =
      std::max(tolerance, DefaultTolerance(want.dtype())) * (scale > 0 ? scale : 1);
  for (int64_t i = 0; i < want.count(); ++i) {
    const double g = got.DoubleAt(i), w = want.DoubleAt(i);
    if ((std::isnan(g) && std::isnan(w)) || g == w) continue;
    if (!std::isfinite(w) || !(std::fabs(g - w) <= limit)) {
      return absl::StrFormat("element %d is %.9g, expected %.9g (max|y| %.3g)", i, g, w, scale);
    }
  }
  return "";
}

absl::StatusOr<Refused> ReadRefused(const std::string& path) {
  std::ifstream in(path);
  if (!in) return absl::NotFoundError(path);
  Refused refused;
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) refused[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return refused;
}

absl::Status WriteRefused(const std::string& path, const Refused& refused) {
  std::ofstream out(path);
  for (const auto& [label, reason] : refused) out << label << ": " << reason << "\n";
  out.close();
  return out.fail() ? absl::PermissionDeniedError(path) : absl::OkStatus();
}

}  // namespace floe::aten
