// A measurement as text for people, as one JSON object for machines, and as a Chrome trace.
#ifndef FLOE_BENCH_REPORT_H_
#define FLOE_BENCH_REPORT_H_

#include <string>

#include "bench/measure.h"

namespace floe::bench {

std::string ToText(const Options& options, const Measurement& m);
// Google Benchmark's `context` and `benchmarks`, and beside them latency_ms, open_ms, bind_ms,
// first_run_ms, peak_rss_bytes, arena_bytes, throughput, roofline, ops, checks.
std::string ToJson(const Options& options, const Measurement& m);
// Trace Event format ("X" events, microseconds): opens in Perfetto and chrome://tracing.
std::string ToTrace(const Measurement& m);

}  // namespace floe::bench

#endif  // FLOE_BENCH_REPORT_H_
