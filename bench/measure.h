// bench/ measures: floe-bench runs compiled models, the microbenchmarks run kernels, beside a probe
// of what the machine can do (tools/cli/roofline.h). compare_peers.py runs floe-bench against ONNX
// Runtime; compare_results.py tells which differences between two result files are real.
//
// This header: one measurement of a compiled model, what floe-bench does, without flags and
// printing.
#ifndef FLOE_BENCH_MEASURE_H_
#define FLOE_BENCH_MEASURE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/floe.hpp"
#include "tools/cli/npy.h"
#include "tools/cli/roofline.h"

namespace floe::bench {

struct Options {
  std::string model;
  std::string backend = "cpu";
  std::string isa;
  int threads = 1;
  int streams = 1;
  int warmup = 3;
  int iterations = 0;     // 0: until min_time.
  double min_time = 1.0;  // Seconds, of the measured part.
  std::map<std::string, int64_t> dims;
  std::string inputs;  // .npz or .npy; empty: a golden's, else random.
  bool cold = false;   // Caches are swept before each run: weights come from memory.
  bool profile = false;
  bool check = false;
  bool verify_payload = false;
  bool huge_pages = false;
  uint64_t seed = 1;
};

struct LatencyStats {
  double min = 0, p50 = 0, p90 = 0, p99 = 0, mean = 0, cv = 0;  // ms; cv = stddev / mean.
  size_t count = 0;
};
LatencyStats Summarise(std::vector<double> ms);

// One instruction over all profiled runs.
struct OpRow {
  uint32_t instruction = 0;
  std::string op, node, variant;
  double ms = 0;      // Mean of one run.
  double share = 0;   // Of all instructions.
  double gflops = 0;  // 1e9 FLOP/s.
  double roof = 0;    // Share of what the roofline allows for its FLOPs and bytes.
};

struct Event {
  uint32_t run, instruction, workers;
  uint64_t begin_ns, end_ns;
  std::string op, node, variant;
};

struct CheckRow {
  std::string output;
  double max_error = 0;  // max|y - golden| / max|golden|.
  bool passed = false;
};

struct Measurement {
  std::string method, backend, isa, shapes, input_source;
  double open_ms = 0;  // Map and validate.
  double bind_ms = 0;  // Session and shapes.
  double first_run_ms = 0;
  std::vector<double> run_ms;  // Every measured run of every stream.
  LatencyStats latency;
  double throughput = 0;  // Items (product: runs x batch) a second, all streams.
  int64_t batch = 1;
  uint64_t peak_rss_bytes = 0;
  uint64_t arena_bytes = 0, scratch_bytes = 0, constant_bytes = 0, session_bytes = 0;
  cli::Roofline before;
  double gflops_after = 0;  // The probe again, after the runs.
  std::vector<OpRow> ops;
  std::vector<Event> events;  // Of the last profiled runs.
  std::vector<CheckRow> checks;
  bool check_passed = true;
};

// The error's code decides the exit code (tools/cli/exit_codes.h).
absl::StatusOr<Measurement> Measure(const Options& options);

}  // namespace floe::bench

#endif  // FLOE_BENCH_MEASURE_H_
