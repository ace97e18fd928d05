#include "tools/tune.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "absl/strings/str_format.h"
#include "compiler/tune/cpu_kind.h"
#include "format/checked.h"
#include "runtime/floe.hpp"
#include "tools/cli/cache_sweeper.h"
#include "tools/cli/files.h"
#include "tools/cli/inputs.h"
#include "tools/cli/roofline.h"

namespace floe::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kMaxRecordBytes = uint64_t{256} << 20;
constexpr size_t kLeastRounds = 9;
constexpr size_t kMostRounds = 201;
constexpr double kMostSeconds = 1.5;
constexpr double kPrecision = 0.01;     // Of a median.
constexpr double kProbesDiffer = 0.10;  // Something else ran, or the clock changed.

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int64_t Quantile(const std::vector<int64_t>& sorted, double q) {
  return sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1) + 0.5)];
}

#if defined(__x86_64__)
bool HasClflushopt() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 23 & 1) != 0;
}

__attribute__((target("clflushopt"))) void FlushLines(char* begin, const char* end) {
  for (char* p = begin; p < end; p += 64) _mm_clflushopt(p);
  _mm_sfence();
}
#endif

// Takes a program's weights out of all caches and leaves the rest: what a layer reads and writes
// beside them was in use just before, in a model as here.
class WeightFlusher {
 public:
  void Flush(char* bytes, size_t count) {
#if defined(__x86_64__)
    static const bool has = HasClflushopt();
    if (has) return FlushLines(bytes, bytes + count);
#endif
    (void)bytes;
    (void)count;
    if (!sweeper_.has_value()) sweeper_.emplace(size_t{192} << 20);
    sweeper_->Sweep();
  }

 private:
  std::optional<cli::CacheSweeper> sweeper_;
};

struct FreeBytes {
  void operator()(char* p) const { std::free(p); }
};

// A candidate, ready to run.
struct Runner {
  std::string candidate;
  std::unique_ptr<char, FreeBytes> bytes;  // Of the program, which the model uses in place.
  size_t count = 0;
  Model model;
  cli::Inputs inputs;
  Session session;
  std::vector<floe_profile_entry> events;
  std::vector<int64_t> ns;

  tune::Timing Summary() const {
    std::vector<int64_t> sorted = ns;
    std::sort(sorted.begin(), sorted.end());
    return {candidate, std::max<int64_t>(1, Quantile(sorted, 0.5)),
            Quantile(sorted, 0.75) - Quantile(sorted, 0.25), static_cast<int64_t>(sorted.size())};
  }
};

absl::StatusOr<Runner> MakeRunner(const lower::LayerProgram& program, floe_thread_pool* pool) {
  Runner r;
  r.candidate = program.candidate;
  r.count = RoundUp(program.bytes.size(), 64);
  r.bytes.reset(static_cast<char*>(std::aligned_alloc(64, r.count)));
  if (r.bytes == nullptr) return absl::ResourceExhaustedError("out of memory");
  std::memcpy(r.bytes.get(), program.bytes.data(), program.bytes.size());
  auto model = Model::Open(r.bytes.get(), program.bytes.size());
  if (!model.ok()) return cli::ToAbsl(model.outcome());
  r.model = std::move(model).value();
  auto inputs = cli::MakeInputs(r.model, {});
  if (!inputs.ok()) return inputs.status();
  r.inputs = *std::move(inputs);
  SessionOptions options;
  options.pool = pool;
  options.own_outputs = 1;
  options.profile_events = std::max<uint32_t>(1, r.model.Info().instructions);
  auto session = Session::Make(r.model, options);
  if (!session.ok()) return cli::ToAbsl(session.outcome());
  r.session = std::move(session).value();
  if (const Outcome o = r.session.Bind(r.inputs.tensors); !o.ok()) return cli::ToAbsl(o);
  r.events.resize(options.profile_events);
  return r;
}

// The time of the instruction that computes most, the layer's, in a run right after another one,
// between which the weights are taken out of the caches if `flusher` is not null.
absl::StatusOr<int64_t> TimeRun(Runner* r, WeightFlusher* flusher) {
  if (const Outcome o = r->session.Run(); !o.ok()) return cli::ToAbsl(o);
  if (flusher != nullptr) flusher->Flush(r->bytes.get(), r->count);
  r->session.TakeProfile(r->events);
  if (const Outcome o = r->session.Run(); !o.ok()) return cli::ToAbsl(o);
  const floe_profile_entry* most = nullptr;
  const auto events = r->session.TakeProfile(r->events);
  for (const floe_profile_entry& e : events) {
    if (most == nullptr || e.flops > most->flops) most = &e;
  }
  if (most == nullptr) return absl::InternalError("a layer's run left no events");
  return static_cast<int64_t>(most->end_ns - most->begin_ns);
}

// Whether more rounds would tell nothing: each median is known well, or the first is clearly apart.
bool IsSettled(const std::vector<Runner>& runners) {
  std::vector<tune::Timing> by_time;
  for (const Runner& r : runners) by_time.push_back(r.Summary());
  std::sort(by_time.begin(), by_time.end(),
            [](const auto& a, const auto& b) { return a.median_ns < b.median_ns; });
  const auto error = [](const tune::Timing& t) {
    return static_cast<double>(t.spread_ns) / std::sqrt(static_cast<double>(t.count));
  };
  const bool known = std::all_of(by_time.begin(), by_time.end(), [&](const auto& t) {
    return error(t) < kPrecision * static_cast<double>(t.median_ns);
  });
  return known ||
         (by_time.size() > 1 && static_cast<double>(by_time[1].median_ns - by_time[0].median_ns) >
                                    4 * (error(by_time[0]) + error(by_time[1])) +
                                        0.05 * static_cast<double>(by_time[0].median_ns));
}

absl::Status RunRounds(WeightFlusher* flusher, std::vector<Runner>* runners) {
  const auto start = Clock::now();
  for (Runner& r : *runners) {
    r.ns.clear();
    if (const auto warm_up = TimeRun(&r, flusher); !warm_up.ok()) return warm_up.status();
  }
  for (size_t round = 0; round < kMostRounds; ++round) {
    if (round >= kLeastRounds && (IsSettled(*runners) || SecondsSince(start) > kMostSeconds)) break;
    for (size_t i = 0; i < runners->size(); ++i) {
      Runner& r = (*runners)[(i + round) % runners->size()];
      const auto ns = TimeRun(&r, flusher);
      if (!ns.ok()) return ns.status();
      r.ns.push_back(*ns);
    }
  }
  return absl::OkStatus();
}

std::string Version() {
  return absl::StrFormat("%d.%d.%d", FLOE_VERSION_MAJOR, FLOE_VERSION_MINOR, FLOE_VERSION_PATCH);
}

}  // namespace

absl::StatusOr<tune::Entry> TimeLayer(const tune::Key& key,
                                      const std::vector<lower::LayerProgram>& programs) {
  ThreadPool pool;
  if (key.threads > 1) {
    auto made = ThreadPool::Make(static_cast<uint32_t>(key.threads));
    if (!made.ok()) return cli::ToAbsl(made.outcome());
    pool = std::move(made).value();
  }
  std::vector<Runner> runners;
  for (const lower::LayerProgram& program : programs) {
    auto runner = MakeRunner(program, pool.get());
    if (!runner.ok()) return runner.status();
    runners.push_back(*std::move(runner));
  }
  WeightFlusher flusher;
  WeightFlusher* const cold = key.weights == "memory" ? &flusher : nullptr;
  const std::string isa = runners.empty() ? "" : runners[0].model.Info().isa;
  double before = cli::ProbeGflops(isa), after = before;
  for (int attempt = 0; attempt < 2; ++attempt) {
    before = attempt == 0 ? before : after;
    if (absl::Status s = RunRounds(cold, &runners); !s.ok()) return s;
    after = cli::ProbeGflops(isa);
    if (std::fabs(after - before) <= kProbesDiffer * std::max(before, after)) break;
  }
  tune::Entry entry;
  entry.key = key;
  entry.floe = Version();
  entry.probe_mflops = static_cast<int64_t>(std::clamp((before + after) * 500, 0.0, 1e12));
  for (const Runner& r : runners) entry.timings.push_back(r.Summary());
  return entry;
}

absl::StatusOr<std::unique_ptr<Tuner>> Tuner::Make(const TuneFlags& flags,
                                                   const std::string& output) {
  auto tuner = std::unique_ptr<Tuner>(new Tuner(flags));
  TuneFlags& f = tuner->flags_;
  if (f.tune && f.records.empty()) f.records.push_back(output + ".tune.json");
  const std::string here = tune::CpuKind();
  if (f.cpu.empty()) f.cpu = here;
  if (f.tune && f.cpu != here) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "--tune measures this machine, '%s'; --tune-cpu='%s' only reads a record: leave one out",
        here, f.cpu));
  }
  for (size_t i = 0; i < f.records.size(); ++i) {
    std::error_code ignored;
    if (f.tune && i == 0 && !std::filesystem::exists(f.records[i], ignored)) continue;
    auto text = cli::ReadFile(f.records[i], kMaxRecordBytes);
    if (!text.ok()) return text.status();
    auto record = tune::Record::Parse(*text, f.records[i]);
    if (!record.ok()) return record.status();
    tuner->record_.Merge(*record);
  }
  return tuner;
}

lower::TuneOptions Tuner::Options() {
  lower::TuneOptions options;
  if (!flags_.records.empty()) options.record = &record_;
  options.cpu = flags_.cpu;
  options.kernels = tune::KernelVersion();
  options.threads = flags_.threads;
  if (!flags_.tune) return options;
  options.measure = [this](const tune::Key& key, const std::string& node,
                           const std::vector<lower::LayerProgram>& programs) {
    const auto start = Clock::now();
    auto entry = TimeLayer(key, programs);
    seconds_ += SecondsSince(start);
    ++measured_;
    if (entry.ok() && isatty(2)) {
      std::fprintf(stderr, "floec: measured %s:", node.c_str());
      for (const tune::Timing& t : entry->timings) {
        std::fprintf(stderr, " %s %.0f us", t.candidate.c_str(),
                     static_cast<double>(t.median_ns) / 1000);
      }
      std::fprintf(stderr, "\n");
    }
    return entry;
  };
  return options;
}

absl::Status Tuner::Save() {
  if (measured_ == 0) return absl::OkStatus();
  const std::string text = record_.ToText();
  absl::Status s = cli::WriteFileAtomically(flags_.records[0], text.data(), text.size());
  if (!s.ok()) return s;
  std::fprintf(stderr, "floec: measured %zu layers in %.1f s, kept in %s (%zu entries)\n",
               measured_, seconds_, flags_.records[0].c_str(), record_.entries().size());
  return absl::OkStatus();
}

}  // namespace floe::tools
