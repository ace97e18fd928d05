// floe: runs, shows and verifies compiled programs.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "tools/cli/exit_codes.h"
#include "tools/floe/verbs.h"

namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  floe run model.floe --in images.npz --out logits.npz --threads 2\n"
    "  floe inspect model.floe\n"
    "  floe inspect model.floe --format dot | dot -Tsvg > model.svg\n"
    "  floe verify model.floe\n"
    "  floe tune merge a.json b.json -o all.json\n";

int Inspect(const std::string& path, const std::string& format) {
  const auto program = floe::cli::LoadProgram(path, /*verify_payload=*/false);
  if (!program.ok()) return floe::cli::Fail("floe", program.status());
  const std::string text = format == "json"  ? floe::cli::InspectJson(**program)
                           : format == "dot" ? floe::cli::InspectDot(**program)
                                             : floe::cli::InspectText(**program);
  std::fputs(text.c_str(), stdout);
  return floe::cli::kExitOk;
}

int Verify(const std::string& path) {
  const auto program = floe::cli::LoadProgram(path, /*verify_payload=*/true);
  if (!program.ok()) return floe::cli::Fail("floe", program.status());
  std::printf("%s: valid, all checksums match\n", path.c_str());
  return floe::cli::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs, shows and verifies Floe programs.", "floe");
  app.footer(kExamples);
  app.require_subcommand(1);
  floe::cli::RunFlags run_flags;
  CLI::App* run = app.add_subcommand("run", "Run a program on arrays");
  run->add_option("MODEL", run_flags.model, "The program (.floe)")->required();
  run->add_option("--in", run_flags.in, "Inputs: .npz, .npy or .pb")->required();
  run->add_option("--out", run_flags.out, "Outputs: .npz, or .npy for one")->required();
  run->add_option("--threads", run_flags.threads, "Threads of one run")->check(CLI::Range(1, 256));
  run->add_option("--backend", run_flags.backend, "cpu or reference")
      ->check(CLI::IsMember({"cpu", "reference"}));
  run->add_option("--isa", run_flags.isa,
                  "Highest ISA to use: sse2, avx2, avxvnni, avx512, avx512vnni, amx");
  std::string path;
  std::string format = "text";
  CLI::App* inspect = app.add_subcommand("inspect", "Show what is in a program");
  inspect->add_option("MODEL", path, "The program (.floe)")->required();
  inspect->add_option("--format", format, "text, json or dot")
      ->check(CLI::IsMember({"text", "json", "dot"}));
  inspect->add_flag_callback(
      "--json", [&] { format = "json"; }, "The same as --format json");
  CLI::App* verify = app.add_subcommand("verify", "Check structure and all checksums");
  verify->add_option("MODEL", path, "The program (.floe)")->required();
  CLI::App* tune = app.add_subcommand("tune", "Merge or show tune records of floec --tune");
  tune->require_subcommand(1);
  std::vector<std::string> records;
  std::string merged;
  CLI::App* merge = tune->add_subcommand("merge", "Merge records into one, in any order");
  merge->add_option("RECORD", records, "Records (.json)")->required();
  merge->add_option("-o,--output", merged, "The record to write")->required();
  CLI::App* show = tune->add_subcommand("show", "Print what records hold");
  show->add_option("RECORD", records, "Records (.json)")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? floe::cli::kExitOk : floe::cli::kExitUsage;
  }
  if (run->parsed()) {
    const absl::Status s = floe::cli::RunVerb(run_flags);
    return s.ok() ? floe::cli::kExitOk : floe::cli::Fail("floe", s);
  }
  if (tune->parsed()) {
    const absl::Status s = floe::cli::MergeTuneRecords(records, merged);
    return s.ok() ? floe::cli::kExitOk : floe::cli::Fail("floe", s);
  }
  return inspect->parsed() ? Inspect(path, format) : Verify(path);
}
