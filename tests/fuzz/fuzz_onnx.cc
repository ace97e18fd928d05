// Fuzzes the compiler: mutated ONNX files are imported and, if they are accepted, compiled.
#include <memory>

#include "compiler/import/onnx/import.h"
#include "compiler/lower/compile.h"
#include "tests/fuzz/driver.h"
#include "tests/fuzz/seeds.h"

namespace {

// Bounds for whatever the seeds call their dimensions.
floe::onnx::ImportOptions Options(const std::string& input) {
  floe::onnx::ImportOptions options;
  options.max_bytes = 64 << 20;
  options.max_nodes = 1 << 14;
  for (const char* symbol : {"N", "T", "batch", "sequence"}) {
    if (input.find(symbol) != std::string::npos) options.dims[symbol] = {1, 3, 1};
  }
  return options;
}

std::string ImportAndCompile(const std::string& input) {
  const floe::onnx::ImportOptions options = Options(input);
  auto graph = floe::onnx::ImportOnnxFromMemory(input, nullptr, options);
  if (!graph.ok()) {
    // Names without bounds are refused; a seed that lacks one of ours is no finding.
    floe::onnx::ImportOptions none;
    none.max_bytes = options.max_bytes;
    none.max_nodes = options.max_nodes;
    none.dims["N"] = {1, 3, 1};
    graph = floe::onnx::ImportOnnxFromMemory(input, nullptr, none);
  }
  if (!graph.ok()) return "refused: " + absl::StatusCodeToString(graph.status().code());
  const auto sink = [](void*, const void*, size_t) { return true; };
  floe::lower::CompileReport report;
  const absl::Status s = floe::lower::Compile(*std::move(graph), {}, sink, nullptr, &report);
  return s.ok() ? "ok" : "not compiled: " + absl::StatusCodeToString(s.code());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> seeds = floe::fuzz::ReadSeeds("models/trained", ".onnx", 1 << 20);
  return floe::fuzz::Drive(argc, argv, seeds, ImportAndCompile);
}
