// Fuzzes the runtime: mutated programs, half of them resealed so that they reach the validator, are
// opened and, if they are accepted, bound and run.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "compiler/import/onnx/import.h"
#include "compiler/lower/compile.h"
#include "format/writer.h"
#include "runtime/floe.hpp"
#include "tests/fuzz/driver.h"
#include "tests/fuzz/seeds.h"
#include "tools/cli/inputs.h"

namespace {

constexpr uint64_t kMaxMemory = 64 << 20;

// Binds the largest shapes with random inputs and runs every method once.
std::string RunAll(const floe::Model& model) {
  floe::SessionOptions options;
  options.own_outputs = 1;
  auto session = floe::Session::Make(model, options);
  if (!session.ok()) return "session refused";
  for (uint32_t method = 0; method < model.Info().methods; ++method) {
    std::vector<floe::Tensor> inputs;
    std::vector<std::string> storage;
    double total = 0;
    for (uint32_t i = 0; i < model.Method(method).inputs; ++i) {
      const floe_tensor_spec spec = model.Spec(FLOE_INPUT, i, method);
      floe::Tensor t;
      t.dtype = spec.dtype;
      t.rank = spec.rank;
      double bytes = static_cast<double>(floe::DTypeSize(static_cast<floe::DType>(spec.dtype)));
      for (uint32_t d = 0; d < spec.rank; ++d) {
        t.dims[d] = spec.axes[d].max;
        bytes *= static_cast<double>(t.dims[d]);
      }
      total += bytes;
      if (total > kMaxMemory) return "inputs too large";
      t.bytes = static_cast<size_t>(bytes);
      storage.emplace_back(t.bytes + 64, '\1');
      inputs.push_back(t);
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto address = reinterpret_cast<uintptr_t>(storage[i].data());
      char* data = storage[i].data() + (64 - address % 64) % 64;
      inputs[i].data = data;
      // Integers are 1, so that those which count a loop's trips stay within its bound.
      const auto dtype = static_cast<floe::DType>(inputs[i].dtype);
      const auto size = static_cast<size_t>(floe::DTypeSize(dtype));
      for (size_t at = 0; floe::IsInt(dtype) && at < inputs[i].bytes; at += size) {
        std::memset(data + at + 1, 0, size - 1);
      }
    }
    for (uint32_t i = 0; i < model.Method(method).outputs; ++i) {
      const floe_tensor_spec spec = model.Spec(FLOE_OUTPUT, i, method);
      double bytes = static_cast<double>(floe::DTypeSize(static_cast<floe::DType>(spec.dtype)));
      for (uint32_t d = 0; d < spec.rank; ++d) bytes *= static_cast<double>(spec.axes[d].max);
      if (bytes > kMaxMemory) return "outputs too large";
    }
    if (!session->Bind(inputs, method).ok()) return "bind refused";
    if (!session->Run({}, method).ok()) return "run failed";
  }
  return "ok";
}

std::string OpenAndRun(const std::string& input) {
  // Exactly as many bytes as the file has, so that a sanitizer sees reads past its end.
  std::unique_ptr<void, void (*)(void*)> file(nullptr, std::free);
  void* memory = nullptr;
  if (posix_memalign(&memory, 64, input.empty() ? 1 : input.size()) != 0) std::abort();
  file.reset(memory);
  std::memcpy(file.get(), input.data(), input.size());
  floe::OpenOptions options;
  options.limits.max_arena_bytes = kMaxMemory;
  options.limits.max_metadata_bytes = 16 << 20;
  options.limits.max_instructions = 1 << 16;
  options.limits.max_work = 1e9;
  auto model = floe::Model::Open(file.get(), input.size(), options);
  if (!model.ok()) {
    return std::string("refused: ") +
           floe::RuleName(static_cast<floe::Rule>(model.outcome().error().rule));
  }
  return RunAll(*model);
}

// A compiled program, as floec would write it.
std::string CompileSeed(const std::string& path) {
  floe::onnx::ImportOptions import;
  import.dims["N"] = {1, 2, 1};
  auto graph = floe::onnx::ImportOnnx(path, import);
  std::string bytes;
  if (!graph.ok()) return bytes;
  const auto sink = [](void* self, const void* data, size_t n) {
    static_cast<std::string*>(self)->append(static_cast<const char*>(data), n);
    return true;
  };
  floe::lower::CompileReport report;
  if (!floe::lower::Compile(*std::move(graph), {}, sink, &bytes, &report).ok()) bytes.clear();
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> seeds = floe::fuzz::ReadSeeds("tests/format/corpus", ".floe", 1 << 20);
  for (const char* path : {"models/trained/lenet5.onnx", "models/trained/resnet8.onnx"}) {
    seeds.push_back(CompileSeed(path));
  }
  std::mt19937_64 random(99);
  return floe::fuzz::Drive(argc, argv, seeds, [&](const std::string& input) {
    std::string bytes = input;
    if (random() % 4 != 0) {
      floe::ResealProgram(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
    }
    return OpenAndRun(bytes);
  });
}
