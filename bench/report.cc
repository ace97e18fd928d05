#include "bench/report.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_format.h"

namespace floe::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string CpuModel() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    const size_t colon = line.find(':');
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown";
}

std::string Now() {
  const std::time_t t = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&t));
  return text;
}

// Control bytes in names (they come from models) must not reach a terminal.
std::string Printable(std::string s) {
  for (char& c : s) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  }
  return s;
}

Json Context() {
  Json c;
  char host[256] = {};
  gethostname(host, sizeof(host) - 1);
  c["date"] = Now();
  c["host_name"] = host;
  c["executable"] = "floe-bench";
  c["num_cpus"] = std::thread::hardware_concurrency();
  c["cpu_model"] = CpuModel();
  double load[3] = {};
  c["load_avg"] = Json::array();
  for (int i = 0; i < getloadavg(load, 3); ++i) c["load_avg"].push_back(load[i]);
#ifdef NDEBUG
  c["library_build_type"] = "release";
#else
  c["library_build_type"] = "debug";
#endif
  return c;
}

Json Benchmarks(const Options& options, const Measurement& m) {
  Json rows = Json::array();
  const auto row = [&](const std::string& aggregate, double ms) {
    Json r;
    const std::string name =
        options.model + "/" + m.method + "/threads:" + std::to_string(options.threads);
    r["name"] = aggregate.empty() ? name : name + "_" + aggregate;
    r["run_name"] = name;
    r["run_type"] = aggregate.empty() ? "iteration" : "aggregate";
    r["repetitions"] = 1;
    if (!aggregate.empty()) r["aggregate_name"] = aggregate;
    r["threads"] = options.threads;
    r["iterations"] = m.latency.count;
    r["real_time"] = ms;
    r["cpu_time"] = ms;
    r["time_unit"] = "ms";
    r["items_per_second"] = m.throughput;
    rows.push_back(r);
  };
  row("", m.latency.mean);
  row("median", m.latency.p50);
  row("p90", m.latency.p90);
  row("p99", m.latency.p99);
  return rows;
}

}  // namespace

std::string ToText(const Options& options, const Measurement& m) {
  std::string t;
  t += absl::StrFormat("model        %s  (%s, %s/%s, %d thread%s, %d stream%s)\n", options.model,
                       Printable(m.method), m.backend, m.isa, options.threads,
                       options.threads == 1 ? "" : "s", options.streams,
                       options.streams == 1 ? "" : "s");
  t += absl::StrFormat("inputs       %s  from %s\n", Printable(m.shapes), m.input_source);
  t += absl::StrFormat(
      "start        open+validate %.3f ms, bind %.3f ms, first run %.3f ms (%.2fx)\n", m.open_ms,
      m.bind_ms, m.first_run_ms, m.latency.p50 > 0 ? m.first_run_ms / m.latency.p50 : 0);
  t += absl::StrFormat(
      "latency ms   min %.3f  p50 %.3f  p90 %.3f  p99 %.3f  mean %.3f  cv %.1f%%  (%d runs)\n",
      m.latency.min, m.latency.p50, m.latency.p90, m.latency.p99, m.latency.mean,
      m.latency.cv * 100, m.latency.count);
  t += absl::StrFormat("throughput   %.1f items/s\n", m.throughput);
  t += absl::StrFormat(
      "memory       peak RSS %.1f MiB, constants %.1f MiB, arena %.2f MiB, scratch %.2f MiB\n",
      static_cast<double>(m.peak_rss_bytes) / 1048576,
      static_cast<double>(m.constant_bytes) / 1048576, static_cast<double>(m.arena_bytes) / 1048576,
      static_cast<double>(m.scratch_bytes) / 1048576);
  t += absl::StrFormat(
      "roofline     %.1f GFLOP/s (%s, 1 thread; %.1f after), DRAM %.1f GB/s, L2 %.1f GB/s\n",
      m.before.gflops, m.before.isa, m.gflops_after, m.before.gbytes, m.before.cache_gbytes);
  if (std::abs(m.gflops_after - m.before.gflops) > 0.05 * m.before.gflops) {
    t += "note         the probe changed by more than 5 % during the run: the machine is not "
         "quiet\n";
  }
  if (m.latency.cv > 0.1) {
    t += "note         latency varies by more than 10 %: compare medians, or use --min-time\n";
  }
  for (const CheckRow& c : m.checks) {
    t += absl::StrFormat("check        %-24s max error / max|y| %.2e  %s\n", Printable(c.output),
                         c.max_error, c.passed ? "ok" : "FAILED");
  }
  if (!m.ops.empty()) {
    t += absl::StrFormat("\n%9s %7s %7s %9s %6s  %-18s %-28s %s\n", "ms", "share", "cum", "GFLOP/s",
                         "%roof", "op", "kernel", "node");
    double sum = 0;
    for (const OpRow& r : m.ops) {
      sum += r.share;
      t += absl::StrFormat("%9.4f %6.2f%% %6.1f%% %9.2f %5.1f%%  %-18s %-28s %s\n", r.ms,
                           r.share * 100, sum * 100, r.gflops, r.roof * 100, r.op, r.variant,
                           Printable(r.node));
    }
  }
  return t;
}

std::string ToJson(const Options& options, const Measurement& m) {
  Json j;
  j["context"] = Context();
  j["benchmarks"] = Benchmarks(options, m);
  j["model"] = options.model;
  j["method"] = m.method;
  j["backend"] = m.backend;
  j["isa"] = m.isa;
  j["threads"] = options.threads;
  j["streams"] = options.streams;
  j["inputs"] = m.shapes;
  j["input_source"] = m.input_source;
  j["latency_ms"] = {{"min", m.latency.min}, {"p50", m.latency.p50},   {"p90", m.latency.p90},
                     {"p99", m.latency.p99}, {"mean", m.latency.mean}, {"cv", m.latency.cv}};
  j["runs"] = m.latency.count;
  j["open_ms"] = m.open_ms;
  j["bind_ms"] = m.bind_ms;
  j["first_run_ms"] = m.first_run_ms;
  j["batch"] = m.batch;
  j["cold"] = options.cold;
  j["throughput"] = m.throughput;
  j["peak_rss_bytes"] = m.peak_rss_bytes;
  j["constant_bytes"] = m.constant_bytes;
  j["arena_bytes"] = m.arena_bytes;
  j["scratch_bytes"] = m.scratch_bytes;
  j["session_bytes"] = m.session_bytes;
  j["roofline"] = {{"isa", m.before.isa},
                   {"gflops", m.before.gflops},
                   {"gflops_after", m.gflops_after},
                   {"bf16_gflops", m.before.bf16_gflops},
                   {"dram_gbytes", m.before.gbytes},
                   {"l2_gbytes", m.before.cache_gbytes}};
  for (const OpRow& r : m.ops) {
    j["ops"].push_back({{"instruction", r.instruction},
                        {"op", r.op},
                        {"node", r.node},
                        {"kernel", r.variant},
                        {"ms", r.ms},
                        {"share", r.share},
                        {"gflops", r.gflops},
                        {"roof", r.roof}});
  }
  for (const CheckRow& c : m.checks) {
    // JSON has no infinity: an incomparable output is null.
    Json error = std::isfinite(c.max_error) ? Json(c.max_error) : Json();
    j["checks"].push_back({{"output", c.output}, {"max_error", error}, {"passed", c.passed}});
  }
  return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ToTrace(const Measurement& m) {
  Json events = Json::array();
  uint64_t start = ~uint64_t{0};
  for (const Event& e : m.events) start = std::min(start, e.begin_ns);
  for (const Event& e : m.events) {
    events.push_back({{"name", e.op + " " + e.node},
                      {"cat", e.op},
                      {"ph", "X"},
                      {"ts", static_cast<double>(e.begin_ns - start) * 1e-3},
                      {"dur", static_cast<double>(e.end_ns - e.begin_ns) * 1e-3},
                      {"pid", 1},
                      {"tid", 1},
                      {"args",
                       {{"run", e.run},
                        {"instruction", e.instruction},
                        {"kernel", e.variant},
                        {"workers", e.workers}}}});
  }
  Json j;
  j["traceEvents"] = std::move(events);
  j["displayTimeUnit"] = "ms";
  return j.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace floe::bench
