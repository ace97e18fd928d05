#include "bench/measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <thread>

#include "absl/strings/str_format.h"
#include "tools/cli/cache_sweeper.h"
#include "tools/cli/exit_codes.h"
#include "tools/cli/inputs.h"

namespace floe::bench {
namespace {

using Clock = std::chrono::steady_clock;

double MsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Of this program alone. ru_maxrss would include what the parent had before exec, which is more
// than a small model's memory when the parent is a Python script.
uint64_t PeakRss() {
#if defined(__linux__)
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    uint64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
#endif
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

struct Stream {
  Session session;
  std::vector<double> ms;
  absl::Status status;
};

// Runs until the time or the count is reached; every stream stops on its own clock.
void RunStream(const Options& options, Stream* stream) {
  std::optional<cli::CacheSweeper> sweeper;
  if (options.cold) sweeper.emplace(size_t{192} << 20);
  const auto start = Clock::now();
  while (true) {
    if (sweeper) sweeper->Sweep();
    const auto begin = Clock::now();
    if (const Outcome o = stream->session.Run(); !o.ok()) {
      stream->status = cli::ToAbsl(o);
      return;
    }
    stream->ms.push_back(MsSince(begin));
    const bool enough = options.iterations > 0
                            ? stream->ms.size() >= static_cast<size_t>(options.iterations)
                            : MsSince(start) >= options.min_time * 1e3 && stream->ms.size() >= 5;
    if (enough) return;
  }
}

double RoofShare(const floe_profile_entry& e, const cli::Roofline& roof, int workers) {
  const double seconds = static_cast<double>(e.end_ns - e.begin_ns) * 1e-9;
  // Products of bf16, where the CPU has an instruction for them.
  const bool bf16 = roof.bf16_gflops > 0 && std::strncmp(e.variant, "bf16_", 5) == 0;
  const double compute = e.flops / ((bf16 ? roof.bf16_gflops : roof.gflops) * 1e9 * workers);
  const double memory = e.bytes / (roof.cache_gbytes * 1e9 * workers);
  return seconds > 0 ? std::max(compute, memory) / seconds : 0;
}

// Runs with the recorder on, apart from the timed runs so that it cannot disturb them.
absl::Status Profile(const Options& options, const Model& model, floe_thread_pool* pool,
                     const std::vector<Tensor>& inputs, Measurement* m) {
  SessionOptions session_options;
  session_options.pool = pool;
  session_options.own_outputs = 1;
  constexpr int kRuns = 10;
  const uint32_t instructions = std::max<uint32_t>(1, model.Info().instructions);
  session_options.profile_events = instructions * kRuns;
  auto session = Session::Make(model, session_options);
  if (!session.ok()) return cli::ToAbsl(session.outcome());
  if (const Outcome o = session->Bind(inputs); !o.ok()) return cli::ToAbsl(o);
  std::vector<floe_profile_entry> entries(session_options.profile_events);
  for (int r = 0; r < kRuns + 2; ++r) {
    if (const Outcome o = session->Run(); !o.ok()) return cli::ToAbsl(o);
    if (r == 1) session->TakeProfile(entries);  // Drops the warm-up.
  }
  const auto events = session->TakeProfile(entries);
  std::map<uint32_t, OpRow> rows;
  std::map<uint32_t, int> counts;
  double total = 0;
  for (const floe_profile_entry& e : events) {
    OpRow& row = rows[e.instruction];
    const double ms = static_cast<double>(e.end_ns - e.begin_ns) * 1e-6;
    row.instruction = e.instruction;
    row.op = e.op;
    row.node = e.node;
    row.variant = e.variant;
    row.ms += ms;
    row.gflops += e.flops;
    row.roof += RoofShare(e, m->before, options.threads);
    ++counts[e.instruction];
    total += ms;
    m->events.push_back(
        {e.run, e.instruction, e.workers, e.begin_ns, e.end_ns, e.op, e.node, e.variant});
  }
  for (auto& [instruction, row] : rows) {
    row.share = total > 0 ? row.ms / total : 0;
    row.gflops = row.ms > 0 ? row.gflops / (row.ms * 1e6) : 0;
    row.roof /= counts[instruction];
    row.ms /= counts[instruction];
    m->ops.push_back(row);
  }
  std::stable_sort(m->ops.begin(), m->ops.end(),
                   [](const OpRow& a, const OpRow& b) { return a.ms > b.ms; });
  return absl::OkStatus();
}

absl::Status Check(const Model& model, floe_thread_pool* pool, Measurement* m) {
  const uint32_t goldens = model.Info().goldens;
  if (goldens == 0) {
    return absl::FailedPreconditionError(
        "--check: the program has no goldens; compile it with floec --golden FILE.npz");
  }
  for (uint32_t g = 0; g < goldens; ++g) {
    auto rows = cli::CheckGolden(model, pool, g);
    if (!rows.ok()) return rows.status();
    for (const cli::GoldenResult& r : *rows) {
      m->checks.push_back({r.output, r.max_error, r.passed});
      m->check_passed = m->check_passed && r.passed;
    }
  }
  return absl::OkStatus();
}

}  // namespace

LatencyStats Summarise(std::vector<double> ms) {
  LatencyStats s;
  s.count = ms.size();
  if (ms.empty()) return s;
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double q) {
    // Linear interpolation between closest ranks.
    const double position = q * static_cast<double>(ms.size() - 1);
    const auto low = static_cast<size_t>(position);
    const size_t high = std::min(low + 1, ms.size() - 1);
    return ms[low] + (ms[high] - ms[low]) * (position - static_cast<double>(low));
  };
  s.min = ms.front();
  s.p50 = at(0.5);
  s.p90 = at(0.9);
  s.p99 = at(0.99);
  for (const double v : ms) s.mean += v;
  s.mean /= static_cast<double>(ms.size());
  double variance = 0;
  for (const double v : ms) variance += (v - s.mean) * (v - s.mean);
  if (ms.size() > 1) variance /= static_cast<double>(ms.size() - 1);
  s.cv = s.mean > 0 ? std::sqrt(variance) / s.mean : 0;
  return s;
}

absl::StatusOr<Measurement> Measure(const Options& options) {
  Measurement m;
  OpenOptions open;
  open.backend = options.backend.c_str();
  open.isa = options.isa.empty() ? nullptr : options.isa.c_str();
  open.verify_payload = options.verify_payload ? 1 : 0;
  open.copy = options.huge_pages ? 1 : 0;
  const auto opening = Clock::now();
  auto model = Model::Open(options.model, open);
  m.open_ms = MsSince(opening);
  if (!model.ok()) return cli::ToAbsl(model.outcome());
  const floe_model_info info = model->Info();
  m.backend = info.backend;
  m.isa = info.isa;
  m.method = model->Name(FLOE_METHOD, 0);
  m.constant_bytes = info.constant_bytes;

  ThreadPool pool;
  if (options.threads > 1) {
    auto made = ThreadPool::Make(static_cast<uint32_t>(options.threads));
    if (!made.ok()) return cli::ToAbsl(made.outcome());
    pool = std::move(made).value();
  }
  auto inputs = cli::MakeInputs(*model, {options.inputs, options.dims, options.seed});
  if (!inputs.ok()) return inputs.status();
  m.shapes = inputs->description;
  m.input_source = inputs->source;
  m.batch = inputs->batch;

  std::vector<std::unique_ptr<Stream>> streams;
  for (int s = 0; s < options.streams; ++s) {
    SessionOptions session_options;
    session_options.pool = pool.get();
    session_options.own_outputs = 1;
    const auto binding = Clock::now();
    auto session = Session::Make(*model, session_options);
    if (!session.ok()) return cli::ToAbsl(session.outcome());
    if (const Outcome o = session->Bind(inputs->tensors); !o.ok()) return cli::ToAbsl(o);
    if (s == 0) m.bind_ms = MsSince(binding);
    streams.push_back(std::make_unique<Stream>());
    streams.back()->session = std::move(session).value();
  }
  const auto first = Clock::now();
  if (const Outcome o = streams[0]->session.Run(); !o.ok()) return cli::ToAbsl(o);
  m.first_run_ms = MsSince(first);

  // Taken here, since the probe's own buffer must not count.
  m.peak_rss_bytes = PeakRss();
  m.before = cli::ProbeRoofline(m.isa);
  for (auto& stream : streams) {
    for (int w = 0; w < options.warmup; ++w) {
      if (const Outcome o = stream->session.Run(); !o.ok()) return cli::ToAbsl(o);
    }
  }
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (size_t s = 1; s < streams.size(); ++s) {
    threads.emplace_back(RunStream, std::cref(options), streams[s].get());
  }
  RunStream(options, streams[0].get());
  for (std::thread& t : threads) t.join();
  double seconds = MsSince(start) * 1e-3;
  for (const auto& stream : streams) {
    if (!stream->status.ok()) return stream->status;
    m.run_ms.insert(m.run_ms.end(), stream->ms.begin(), stream->ms.end());
  }
  m.latency = Summarise(m.run_ms);
  if (options.cold) {  // Without the sweeps between the runs.
    seconds = std::accumulate(m.run_ms.begin(), m.run_ms.end(), 0.0) * 1e-3 / options.streams;
  }
  m.throughput = static_cast<double>(m.run_ms.size()) * static_cast<double>(m.batch) / seconds;
  const floe_session_info session_info = streams[0]->session.Info();
  m.arena_bytes = session_info.arena_bytes;
  m.scratch_bytes = session_info.scratch_bytes;
  m.session_bytes = session_info.total_bytes;
  m.gflops_after = cli::ProbeGflops(m.isa);
  if (options.profile) {
    if (absl::Status s = Profile(options, *model, pool.get(), inputs->tensors, &m); !s.ok()) {
      return s;
    }
  }
  if (options.check) {
    if (absl::Status s = Check(*model, pool.get(), &m); !s.ok()) return s;
  }
  return m;
}

}  // namespace floe::bench
