// floec --tune: reads the tune records, times layers' candidates on this machine, keeps the record.
#ifndef FLOE_TOOLS_TUNE_H_
#define FLOE_TOOLS_TUNE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/lower/tune_layers.h"

namespace floe::tools {

struct TuneFlags {
  bool tune = false;                 // Measure what the records lack.
  std::vector<std::string> records;  // Files; --tune updates the first one.
  std::string cpu;                   // Whose entries count; empty: this machine's kind.
  int threads = 1;                   // Of the runs to choose for.
};

// Times one layer's candidates in turns, in rounds that each begin with another one: the time of
// the layer's instruction alone, behind a conversion that has just written its input, right after a
// run that left scratch and results in the caches. The weights are taken out of the caches before
// if the key says that they come from memory. Stops after 9 rounds at the earliest: once medians
// are known to 1 % or are clearly apart, or 1.5 s are over. Does it over once if the FMA probe
// before and after differs by more than 10 %.
absl::StatusOr<tune::Entry> TimeLayer(const tune::Key& key,
                                      const std::vector<lower::LayerProgram>& programs);

// What --tune and --tune-record mean for one compilation.
class Tuner {
 public:
  // Reads and merges the records. With --tune the first may not exist yet; without any,
  // `output`.tune.json is it.
  static absl::StatusOr<std::unique_ptr<Tuner>> Make(const TuneFlags& flags,
                                                     const std::string& output);
  // Refers to this tuner.
  lower::TuneOptions Options();
  // Writes the record, if anything was measured: also when the compilation failed afterwards.
  absl::Status Save();

 private:
  explicit Tuner(const TuneFlags& flags) : flags_(flags) {}

  TuneFlags flags_;
  tune::Record record_;
  size_t measured_ = 0;
  double seconds_ = 0;
};

}  // namespace floe::tools

#endif  // FLOE_TOOLS_TUNE_H_
