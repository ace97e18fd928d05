// math_sweep: the greatest error of every vector function over all fp32 inputs, on every ISA.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/math_sweep.h"
#include "tools/cli/exit_codes.h"

namespace {

using floe::bench::MathError;
using floe::bench::MathFunction;

constexpr uint64_t kPatterns = uint64_t{1} << 32;

// The sweep, its range divided among `threads`.
std::vector<MathError> Sweep(const MathFunction& function, uint64_t stride, int threads) {
  std::vector<std::vector<MathError>> parts(static_cast<size_t>(threads));
  std::vector<std::thread> workers;
  const uint64_t share = (kPatterns / static_cast<uint64_t>(threads) + stride) / stride * stride;
  for (size_t t = 0; t < parts.size(); ++t) {
    workers.emplace_back([&, t] {
      parts[t] =
          floe::bench::SweepMath(function, share * t, std::min(kPatterns, share * (t + 1)), stride);
    });
  }
  std::vector<MathError> worst;
  for (size_t t = 0; t < parts.size(); ++t) {
    workers[t].join();
    MergeMathErrors(parts[t], &worst);
  }
  return worst;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t stride = 1;
  int threads = 1;
  bool all = false, json = false;
  std::vector<std::string> names;
  CLI::App app("Greatest errors of the vector functions, in ulps, against libm in double.",
               "math_sweep");
  app.add_option("FUNCTION", names, "Functions by name (default: exp log sin cos tanh erf)");
  app.add_flag("--all", all, "All functions, those too that are made of the basic ones");
  app.add_option("--stride", stride, "Take every so manieth bit pattern")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", threads, "Threads")->check(CLI::Range(1, 256));
  app.add_flag("--json", json, "Print one JSON object");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? floe::cli::kExitOk : floe::cli::kExitUsage;
  }
  nlohmann::ordered_json result;
  result["stride"] = stride;
  bool kept = true;
  int found = 0;
  const auto functions = floe::bench::MathFunctions();
  for (size_t i = 0; i < functions.size(); ++i) {
    const MathFunction& f = functions[i];
    const std::string name = floe::PwOpName(f.op);
    const bool named = std::find(names.begin(), names.end(), name) != names.end();
    const bool basic = i < static_cast<size_t>(floe::bench::kBasicMathFunctions);
    if (!named && !(names.empty() && (all || basic))) continue;
    ++found;
    for (const MathError& e : Sweep(f, stride, threads)) {
      kept = kept && e.max_ulps <= f.ulps;
      result["functions"][name][e.isa] = {{"max_ulps", e.max_ulps}, {"at", e.at}};
      if (!json) {
        std::printf("%-12s %-12s %8.4f ulp at %-16.9g%s\n", name.c_str(), e.isa, e.max_ulps,
                    static_cast<double>(e.at), e.max_ulps <= f.ulps ? "" : "  OVER ITS LIMIT");
        std::fflush(stdout);
      }
    }
  }
  if (found < static_cast<int>(names.size())) {
    std::fprintf(stderr, "math_sweep: unknown function; --all lists every one\n");
    return floe::cli::kExitUsage;
  }
  if (json) std::printf("%s\n", result.dump(1).c_str());
  return kept ? floe::cli::kExitOk : floe::cli::kExitFailed;
}
