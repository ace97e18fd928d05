// floe-bench: runs a compiled model and says how fast, how big and how right it is.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "bench/measure.h"
#include "bench/report.h"
#include "tools/cli/exit_codes.h"
#include "tools/cli/files.h"
#include "tools/cli/shape_flags.h"

namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  floe-bench model.floe\n"
    "  floe-bench model.floe --threads 2 --dim N=4 --profile\n"
    "  floe-bench model.floe --check --json > result.json\n";

}  // namespace

int main(int argc, char** argv) {
  floe::bench::Options options;
  std::vector<std::string> dims;
  std::string trace;
  bool json = false;
  CLI::App app("Measures a compiled Floe program.", "floe-bench");
  app.footer(kExamples);
  app.add_option("MODEL", options.model, "The program (.floe)")->required();
  app.add_option("--threads", options.threads, "Threads of one run")->check(CLI::Range(1, 256));
  app.add_option("--streams", options.streams, "Sessions that run at once")
      ->check(CLI::Range(1, 256));
  app.add_option("--warmup", options.warmup, "Runs before measuring")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--iterations", options.iterations, "Runs to measure (default: by time)")
      ->check(CLI::PositiveNumber);
  app.add_option("--min-time", options.min_time, "Seconds to measure")->check(CLI::PositiveNumber);
  app.add_option("--dim", dims, "A dimension's size: N=4 (default: its maximum)");
  app.add_option("--in", options.inputs, "Inputs (.npz, .npy); default: a golden's, else random");
  app.add_option("--seed", options.seed, "Seed of random inputs");
  app.add_option("--backend", options.backend, "cpu or reference")
      ->check(CLI::IsMember({"cpu", "reference"}));
  app.add_option("--isa", options.isa,
                 "Highest ISA to use: sse2, avx2, avxvnni, avx512, avx512vnni, amx");
  app.add_flag("--profile", options.profile, "Print a table of instructions");
  app.add_option("--trace", trace, "Write a Chrome/Perfetto trace (implies --profile)");
  app.add_flag("--check", options.check, "Compare with the embedded goldens");
  app.add_flag("--verify", options.verify_payload, "Check the weights' checksums when opening");
  app.add_flag("--huge-pages", options.huge_pages, "Copy the weights into huge pages");
  app.add_flag("--cold", options.cold, "Sweep the caches before each run (192 MiB are read)");
  app.add_flag("--json", json, "Print one JSON object");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? floe::cli::kExitOk : floe::cli::kExitUsage;
  }
  options.profile = options.profile || !trace.empty();
  for (const std::string& text : dims) {
    const auto flag = floe::cli::ParseDimFlag(text);
    if (!flag.ok()) return floe::cli::Fail("floe-bench", flag.status());
    if (flag->min != flag->max) {
      return floe::cli::Fail("floe-bench", absl::FailedPreconditionError(
                                               "--dim takes one size here, for example N=4"));
    }
    options.dims[flag->symbol] = flag->min;
  }
  const auto m = floe::bench::Measure(options);
  if (!m.ok()) return floe::cli::Fail("floe-bench", m.status());
  if (!trace.empty()) {
    const std::string text = floe::bench::ToTrace(*m);
    const absl::Status s = floe::cli::WriteFileAtomically(trace, text.data(), text.size());
    if (!s.ok()) return floe::cli::Fail("floe-bench", s);
  }
  const std::string text =
      json ? floe::bench::ToJson(options, *m) : floe::bench::ToText(options, *m);
  std::fputs(text.c_str(), stdout);
  return m->check_passed ? floe::cli::kExitOk : floe::cli::kExitFailed;
}
