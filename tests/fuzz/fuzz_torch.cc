// Fuzzes the readers of PyTorch's files: the zip container, pickles, the JSON of graphs, and the
// whole front end of torch.export.
//
//   fuzz_torch zip|pickle|json|pt2 [--runs N] [--seconds S] [--seed N]
#include <cstdio>
#include <cstring>
#include <memory>

#include "compiler/import/torch_export/import.h"
#include "compiler/import/torch_export/schema.h"
#include "compiler/import/torch_export/sym_expr.h"
#include "compiler/import/torch_file/archive.h"
#include "compiler/import/torch_file/pickle.h"
#include "compiler/import/torch_file/torch_save.h"
#include "tests/fuzz/driver.h"
#include "tests/fuzz/seeds.h"
#include "tests/torch_file/zip_builder.h"

namespace {

using floe::torch_file::Archive;
using floe::torch_file::Blob;

constexpr char kFixtures[] = "tests/torch_export/fixtures";

Blob BlobOf(const std::string& input) {
  const auto owner = std::make_shared<const std::string>(input);
  return {*owner, owner};
}

std::string Refused(const absl::Status& status) {
  return "refused: " + absl::StatusCodeToString(status.code());
}

std::string FuzzZip(const std::string& input) {
  const auto archive = Archive::Open(BlobOf(input), {.max_inflated = 64 << 20});
  if (!archive.ok()) return Refused(archive.status());
  std::string worst = "ok";
  for (const std::string& name : (*archive)->names()) {
    const auto blob = (*archive)->Read(name);
    if (!blob.ok()) worst = "entry " + Refused(blob.status());
  }
  return worst;
}

// All tensors of a document.
std::string ReadTensors(const floe::torch_file::PickleDocument& document) {
  using Kind = floe::torch_file::PickleValue::Kind;
  std::vector<const floe::torch_file::PickleValue*> stack = {document.root()};
  for (int visits = 0; !stack.empty() && visits < 10000; ++visits) {
    const auto* value = stack.back();
    stack.pop_back();
    if (value->is(Kind::kTensor) || value->is(Kind::kQuantizedTensor)) {
      const auto tensor = document.ToTensor(*value, "t");
      if (!tensor.ok()) return "tensor " + Refused(tensor.status());
      if (tensor->count() > 0) (void)tensor->DoubleAt(tensor->count() - 1);
    }
    for (const auto* item : value->items()) stack.push_back(item);
  }
  return "ok";
}

std::string FuzzPickle(const std::string& input) {
  const auto data = std::make_shared<const std::string>(4096, '\1');
  const auto read = [&](const std::string&) -> absl::StatusOr<Blob> { return Blob{*data, data}; };
  const auto document = floe::torch_file::PickleDocument::Parse(input, read);
  if (!document.ok()) return Refused(document.status());
  return ReadTensors(**document);
}

std::string FuzzJson(const std::string& input) {
  const auto program = floe::torch_export::ParseProgram(input);
  if (!program.ok()) return Refused(program.status());
  for (const auto& [name, meta] : program->graph.tensor_values) {
    for (const auto& size : meta.sizes) {
      const auto e = floe::torch_export::ParseSymExpr(size.expr);
      if (e.ok()) (void)floe::torch_export::ToText(*e);
    }
  }
  return "ok";
}

// The input is the JSON of a fixture's graph behind a byte that names the fixture: the archive is
// made anew around it, since a mutated archive hardly gets past the checksums.
std::string FuzzPt2(const std::vector<std::string>& archives, const std::string& input) {
  if (input.empty() || archives.empty()) return "empty";
  const auto first = static_cast<uint8_t>(input[0]);
  auto archive = Archive::Open(BlobOf(archives[first % archives.size()]));
  if (!archive.ok()) return "bad seed";
  std::vector<floe::testing::ZipEntry> entries;
  for (const std::string& name : (*archive)->names()) {
    const auto blob = (*archive)->Read(name);
    if (!blob.ok()) return "bad seed";
    const bool is_model = name == "models/model.json" || name == "serialized_exported_program.json";
    entries.push_back({name, is_model ? input.substr(1) : std::string(blob->bytes)});
  }
  const std::string file = floe::testing::MakeZip(entries);
  floe::torch_export::ImportOptions options;
  options.max_nodes = 1 << 12;
  const auto graph = floe::torch_export::ImportTorchExportFromMemory(BlobOf(file), options);
  if (!graph.ok()) return Refused(graph.status());
  const auto samples = floe::torch_export::SampleInputs(BlobOf(file));
  return samples.ok() ? "ok" : "samples " + Refused(samples.status());
}

// Entries of the fixtures whose name ends so: what is behind the zip's checksums.
std::vector<std::string> Entries(const char* ending) {
  std::vector<std::string> seeds;
  for (const std::string& file : floe::fuzz::ReadSeeds(kFixtures, ".pt2", 1 << 20)) {
    auto archive = Archive::Open(BlobOf(file));
    if (!archive.ok()) continue;
    for (const std::string& name : (*archive)->names()) {
      if (!name.ends_with(".json") && !name.ends_with(".pt")) continue;
      auto blob = (*archive)->Read(name);
      if (!blob.ok()) continue;
      if (name.ends_with(ending)) seeds.emplace_back(blob->bytes);
      if (!name.ends_with(".pt")) continue;
      auto inner = Archive::Open(*blob);
      if (!inner.ok()) continue;
      auto pickle = (*inner)->Read("data.pkl");
      if (pickle.ok() && std::strcmp(ending, "data.pkl") == 0) seeds.emplace_back(pickle->bytes);
    }
  }
  return seeds;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  floe::fuzz::Target target;
  std::vector<std::string> seeds;
  if (what == "zip") {
    target = FuzzZip;
    seeds = floe::fuzz::ReadSeeds(kFixtures, ".pt2", 1 << 20);
  } else if (what == "pickle") {
    target = FuzzPickle;
    seeds = Entries("data.pkl");
  } else if (what == "json") {
    target = FuzzJson;
    seeds = Entries("models/model.json");
    for (std::string& flat : Entries("serialized_exported_program.json")) {
      seeds.push_back(std::move(flat));
    }
  } else if (what == "pt2") {
    const auto archives = floe::fuzz::ReadSeeds(kFixtures, ".pt2", 1 << 20);
    target = [archives](const std::string& input) { return FuzzPt2(archives, input); };
    for (size_t i = 0; i < archives.size(); ++i) {
      auto archive = Archive::Open(BlobOf(archives[i]));
      if (!archive.ok()) continue;
      for (const char* name : {"models/model.json", "serialized_exported_program.json"}) {
        const auto json = (*archive)->Read(name);
        if (json.ok()) seeds.push_back(static_cast<char>(i) + std::string(json->bytes));
      }
    }
  } else {
    std::fprintf(stderr,
                 "usage: fuzz_torch zip|pickle|json|pt2 [--runs N] [--seconds S] [--seed N]\n");
    return 2;
  }
  return floe::fuzz::Drive(argc - 1, argv + 1, seeds, target);
}
