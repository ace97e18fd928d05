// Fuzzes the TorchScript front end: mutated code through the parser (code), mutated code within
// sound archives through the interpreter (run), and mutated archives (pt).
//
//   fuzz_script code|run|pt [--runs N] [--seconds S] [--seed N]
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "compiler/import/torchscript/import.h"
#include "compiler/import/torchscript/parser.h"
#include "tests/fuzz/driver.h"
#include "tests/fuzz/seeds.h"
#include "tests/torchscript/script_archive.h"

namespace {

constexpr char kFixtures[] = "tests/torchscript/fixtures";

std::string Said(const absl::Status& status) {
  return status.ok() ? "ok" : "refused: " + absl::StatusCodeToString(status.code());
}

std::string FuzzCode(const std::string& input) {
  return Said(floe::torchscript::ParseSource(input, "fuzz.py").status());
}

floe::torchscript::ImportOptions Options() {
  floe::torchscript::ImportOptions options;
  options.shapes["x"] = {{"N", 0}, {"", 4}};
  options.dims["N"] = {1, 3, 1};
  options.max_steps = 1 << 14;
  options.max_nodes = 1 << 12;
  options.max_elements = 1 << 16;
  return options;
}

std::string ImportBytes(const std::string& bytes) {
  const auto graph =
      floe::torchscript::ImportTorchScriptFromMemory(floe::testing::BlobOf(bytes), Options());
  return Said(graph.status());
}

std::string FuzzRun(const std::string& input) {
  return ImportBytes(floe::testing::ScriptArchive(input));
}

// The code of the fixtures, one class each, made the class that the archive's data names.
std::vector<std::string> CodeSeeds() {
  std::vector<std::string> seeds;
  for (const std::string& file : floe::fuzz::ReadSeeds(kFixtures, ".pt", 1 << 20)) {
    auto archive = floe::torch_file::Archive::Open(floe::testing::BlobOf(file));
    if (!archive.ok()) continue;
    for (const std::string& name : (*archive)->names()) {
      if (!name.ends_with(".py")) continue;
      auto blob = (*archive)->Read(name);
      if (blob.ok()) seeds.emplace_back(blob->bytes);
    }
  }
  return seeds;
}

// Fixtures that take an input of our shape.
std::vector<std::string> ArchiveSeeds() {
  std::vector<std::string> seeds;
  for (std::string& file : floe::fuzz::ReadSeeds(kFixtures, ".pt", 1 << 20)) {
    if (ImportBytes(file) == "ok") seeds.push_back(std::move(file));
  }
  return seeds;
}

std::vector<std::string> RunSeeds() {
  const char* bodies[] = {
      "    if bool(torch.gt(torch.sum(x), 0)):\n      y, n = torch.neg(x), 1\n    else:\n"
      "      y, n = x, 2\n    return (y, n)\n",
      "    a = annotate(List[Tensor], [])\n    for i in range(3):\n"
      "      _0 = torch.append(a, torch.mul(x, i))\n    return torch.cat(a, 1)\n",
      "    y = x\n    _0 = bool(torch.lt(torch.sum(y), 100))\n    while _0:\n"
      "      y0 = torch.add(torch.mul(y, 2), 1)\n"
      "      _0, y = bool(torch.lt(torch.sum(y0), 100)), y0\n    return y\n",
      "    d = {\"a\": x}\n    torch._set_item(d, \"b\", torch.relu(d[\"a\"]))\n"
      "    self.w = torch.mul(self.w, 2)\n    self.n = torch.add(self.n, 1)\n"
      "    n = torch.floordiv(torch.mul(torch.size(x, 0), torch.size(x, 1)), 2)\n"
      "    return (d[\"b\"], torch.reshape(x, [n, 2]), torch.len(torch.format(\"{}\", n)))\n",
      "    _0 = uninitialized(Tensor)\n    if bool(torch.all(torch.gt(x, 0))):\n"
      "      r, v = True, x\n    else:\n      r, v = False, _0\n    if r:\n      o = v\n    else:\n"
      "      o = torch.neg(x)\n    return o\n"};
  std::vector<std::string> seeds;
  for (const char* body : bodies) seeds.push_back(floe::testing::ScriptClass(body));
  return seeds;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "code") return floe::fuzz::Drive(argc - 1, argv + 1, CodeSeeds(), FuzzCode);
  if (what == "run") return floe::fuzz::Drive(argc - 1, argv + 1, RunSeeds(), FuzzRun);
  if (what == "pt") {
    return floe::fuzz::Drive(argc - 1, argv + 1, ArchiveSeeds(), ImportBytes);
  }
  std::fprintf(stderr, "usage: fuzz_script code|run|pt [--runs N] [--seconds S] [--seed N]\n");
  return 2;
}
