#include "compiler/import/torchscript/import.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "compiler/import/torchscript/heap.h"
#include "compiler/import/torchscript/interpreter.h"
#include "compiler/import/torchscript/program.h"
#include "compiler/import/torchscript/signature.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

absl::Status At(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrFormat("%s: %s", path, status.message()));
}

struct Result {
  std::unique_ptr<ir::Graph> graph;
  CheckReport report;
  std::set<std::string> changed;  // Attributes that the run changed.
};

// Code that raises on the way that is always taken.
absl::Status Raised(const absl::Status& status) {
  if (!absl::IsAborted(status)) return status;
  return absl::InvalidArgumentError(
      absl::StrFormat("the model's code always raises: %s", std::string(status.message())));
}

// A tensor that the caller gives.
struct GivenTensor {
  aten::VariablePtr variable;
  const ir::Value* value;  // What it holds before the model runs.
};

absl::Status CollectTensors(aten::Context& context, const IValue& v,
                            std::vector<GivenTensor>* given) {
  if (v.is_tensor()) {
    FLOE_TRY_ASSIGN(const ir::Value* value, context.Read(v.variable()));
    given->push_back({v.variable(), value});
  } else if (v.is_sequence()) {
    for (const IValue& item : v.items()) FLOE_TRY(CollectTensors(context, item, given));
  } else if (v.kind() == aten::Kind::kDict) {
    for (const auto& [key, item] : v.dict()->items) {
      FLOE_TRY(CollectTensors(context, item, given));
    }
  }
  return absl::OkStatus();
}

// Runs the model's code once, with the given attributes as states.
absl::Status RunOnce(Program& program, const ImportOptions& options,
                     const std::set<std::string>& states, Result* result) {
  result->graph = std::make_unique<ir::Graph>();
  result->report = {};
  aten::Context context(*result->graph);
  context.max_nodes = options.max_nodes;
  Heap heap(program, context, states);
  Interpreter interpreter(program, context, heap, options, &result->report);
  FLOE_TRY_ASSIGN(ObjectPtr model, heap.LoadRoot());
  const auto forward = model->cls->methods.find("forward");
  if (forward == model->cls->methods.end()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("class %s has no method forward()", model->cls->name));
  }
  FLOE_TRY_ASSIGN(std::vector<IValue> arguments,
                  ArgumentMaker(program, context, options).Make(*forward->second));
  std::vector<GivenTensor> given;
  for (const IValue& argument : arguments) FLOE_TRY(CollectTensors(context, argument, &given));
  absl::StatusOr<IValue> returned = interpreter.Forward(model, std::move(arguments));
  // What follows an unsupported op may fail for that reason only.
  if (!result->report.unsupported.empty() && (!returned.ok() || HasUnknown(*returned))) {
    return returned.ok() || !absl::IsResourceExhausted(returned.status()) ? absl::OkStatus()
                                                                          : returned.status();
  }
  if (!returned.ok()) return Raised(returned.status());
  FLOE_TRY_ASSIGN(result->changed, heap.Changed());
  FLOE_TRY(AddOutputs(context, *returned));
  for (const GivenTensor& input : given) {
    FLOE_TRY_ASSIGN(ir::Value * now, context.Read(input.variable));
    if (now != input.value) result->graph->AddOutput(now, input.value->name() + ".mutated");
  }
  const bool settled =
      std::includes(states.begin(), states.end(), result->changed.begin(), result->changed.end());
  if (settled) FLOE_TRY(heap.FinishStates());
  result->graph->EraseUnusedConstants();
  return absl::OkStatus();
}

absl::StatusOr<Result> Run(torch_file::Blob file, const ImportOptions& options) {
  if (static_cast<int64_t>(file.bytes.size()) > options.max_bytes) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "the file has %d bytes; at most %d are read", file.bytes.size(), options.max_bytes));
  }
  FLOE_TRY_ASSIGN(std::unique_ptr<Program> program, Program::Open(std::move(file)));
  // Which attributes are states is known when the code has run: those that it changed are states in
  // the next run, which may take other paths and find more.
  constexpr int kMaxRuns = 8;
  std::set<std::string> states;
  for (int i = 0; i < kMaxRuns; ++i) {
    Result result;
    FLOE_TRY(RunOnce(*program, options, states, &result));
    if (!result.report.unsupported.empty()) return result;
    const size_t before = states.size();
    states.insert(result.changed.begin(), result.changed.end());
    if (states.size() == before) return result;
  }
  return absl::UnimplementedError(absl::StrFormat(
      "the model's attributes change each other in a way that was not understood: %s",
      absl::StrJoin(states, ", ")));
}

absl::StatusOr<std::unique_ptr<ir::Graph>> Import(torch_file::Blob file,
                                                  const ImportOptions& options) {
  FLOE_TRY_ASSIGN(Result result, Run(std::move(file), options));
  if (result.report.unsupported.empty()) return std::move(result.graph);
  return absl::UnimplementedError(absl::StrFormat("the model uses what Floe cannot map:\n%s",
                                                  ToText(result.report.unsupported)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ir::Graph>> ImportTorchScript(const std::string& path,
                                                             const ImportOptions& options) {
  FLOE_TRY_ASSIGN(torch_file::Blob file, torch_file::MapFile(path, options.max_bytes));
  absl::StatusOr<std::unique_ptr<ir::Graph>> graph = Import(std::move(file), options);
  if (!graph.ok()) return At(path, graph.status());
  return graph;
}

absl::StatusOr<std::unique_ptr<ir::Graph>> ImportTorchScriptFromMemory(
    torch_file::Blob file, const ImportOptions& options) {
  return Import(std::move(file), options);
}

absl::StatusOr<CheckReport> CheckTorchScript(const std::string& path,
                                             const ImportOptions& options) {
  FLOE_TRY_ASSIGN(torch_file::Blob file, torch_file::MapFile(path, options.max_bytes));
  absl::StatusOr<Result> result = Run(std::move(file), options);
  if (!result.ok()) return At(path, result.status());
  return std::move(result->report);
}

std::string ToText(const std::vector<Unsupported>& unsupported) {
  constexpr size_t kShown = 5;
  std::string text;
  for (const Unsupported& u : unsupported) {
    absl::StrAppendFormat(&text, "%s: %s; %d place%s: ", u.op, u.reason, u.places.size(),
                          u.places.size() == 1 ? "" : "s");
    for (size_t i = 0; i < std::min(u.places.size(), kShown); ++i) {
      text += (i > 0 ? ", " : "") + u.places[i];
    }
    text += u.places.size() > kShown ? ", ...\n" : "\n";
  }
  return text;
}

bool LooksLikeTorchScript(const torch_file::Archive& archive) {
  return archive.Has("constants.pkl") || archive.Has("model.json");
}

bool LooksLikeTorchScript(std::string_view bytes) {
  if (!torch_file::LooksLikeZip(bytes)) return false;
  const auto archive = torch_file::Archive::Open({bytes, nullptr});
  return archive.ok() && LooksLikeTorchScript(**archive);
}

}  // namespace floe::torchscript
