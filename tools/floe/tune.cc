// floe tune: merges and shows tune records.
#include <cstdio>

#include "absl/strings/str_format.h"
#include "compiler/tune/record.h"
#include "tools/cli/files.h"
#include "tools/floe/verbs.h"

namespace floe::cli {

absl::Status MergeTuneRecords(const std::vector<std::string>& inputs, const std::string& output) {
  tune::Record merged;
  for (const std::string& path : inputs) {
    auto text = ReadFile(path, uint64_t{256} << 20);
    if (!text.ok()) return text.status();
    auto record = tune::Record::Parse(*text, path);
    if (!record.ok()) return record.status();
    merged.Merge(*record);
  }
  const std::string text = merged.ToText();
  if (!output.empty()) return WriteFileAtomically(output, text.data(), text.size());
  for (const auto& [key, entry] : merged.entries()) {
    std::printf("%s\n  %s, %lld threads, weights from %s, floe %s, probe %.1f GFLOP/s\n",
                Escaped(key.cpu).c_str(), Escaped(key.kernels).c_str(),
                static_cast<long long>(key.threads), Escaped(key.weights).c_str(),
                Escaped(entry.floe).c_str(), static_cast<double>(entry.probe_mflops) / 1000);
    std::printf("  %s %s %s, %s; %s\n", Escaped(key.family).c_str(), Escaped(key.types).c_str(),
                Escaped(key.shape).c_str(), Escaped(key.layout).c_str(),
                Escaped(key.epilogue).c_str());
    for (const tune::Timing& t : entry.timings) {
      std::printf("    %10.1f us +- %.1f, %lld runs  %s\n", static_cast<double>(t.median_ns) / 1000,
                  static_cast<double>(t.spread_ns) / 2000, static_cast<long long>(t.count),
                  Escaped(t.candidate).c_str());
    }
  }
  return absl::OkStatus();
}

}  // namespace floe::cli
