// Microbenchmarks of the kernel families at the shapes of BERT-base, ResNet, MobileNetV2 and an
// LSTM language model: each kernel straight through its table, on one thread, for every ISA of this
// machine. Weights and activations are warm; "/cold" is the same product with weights that come
// from memory, as in a model that is larger than the caches.
//
//   kernels_bench --benchmark_filter='conv/.*avx512$'
//   kernels_bench --benchmark_filter='gemm/.*avx512/cold'
//
// FLOP/s counts useful operations only, not padding, over CPU time; "peak%" is their share of what
// the FMA probe (for integer products the byte probe, for bf16 its own) reached in this process
// just before; B/s is the size of all operands over the time.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "backends/registry.h"
#include "bench/kernel_cases.h"
#include "format/ops.h"
#include "tools/cli/roofline.h"

namespace floe::bench {
namespace {

bool MultipliesBytes(KernelId id) {
  return id == KernelId::kQGemm || id == KernelId::kQConv || id == KernelId::kQDepthwiseConv;
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  AddProducts(&cases);
  AddIntegerProducts(&cases);
  AddNarrowProducts(&cases);
  AddAttention(&cases);
  AddOthers(&cases);
  return cases;
}

struct Free {
  void operator()(char* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<char, Free>;

Buffer Allocate(int64_t bytes) {
  const auto size = static_cast<size_t>((bytes + kReadSlack + kAlignment) & -kAlignment);
  Buffer buffer(static_cast<char*>(std::aligned_alloc(kAlignment, size)));
  if (buffer != nullptr) std::fill_n(buffer.get(), size, '\0');
  return buffer;
}

// A case with its memory, prepared on one table.
class Instance {
 public:
  Instance(const Case& c, const KernelTable& table)
      : case_(c), kernel_(table.kernels[static_cast<uint32_t>(c.kernel)]) {}

  // What went wrong, or empty.
  std::string Prepare() {
    op_.inputs = case_.inputs.data();
    op_.outputs = case_.outputs.data();
    op_.input_count = static_cast<uint32_t>(case_.inputs.size());
    op_.output_count = static_cast<uint32_t>(case_.outputs.size());
    op_.attrs = case_.attrs.data();
    op_.attr_count = static_cast<uint32_t>(case_.attrs.size());
    op_.code = case_.code.data();
    op_.code_count = static_cast<uint32_t>(case_.code.size());
    const Status checked =
        KernelFootprints().Check(static_cast<uint32_t>(case_.kernel), op_, &footprint);
    if (!checked.ok()) return "refused by the family's check";
    for (const TensorInfo& t : case_.inputs) pointers_in_.push_back(Add(t, true));
    for (const TensorInfo& t : case_.outputs) pointers_out_.push_back(Add(t, false));
    state_ = Allocate(footprint.state_bytes);
    scratch_ = Allocate(footprint.scratch_bytes);
    if (state_ == nullptr || scratch_ == nullptr || failed_) return "out of memory";
    if (!kernel_.prepare(op_, PrepareContext{}, state_.get(), &schedule).ok()) {
      return "refused by Prepare";
    }
    return "";
  }

  // False if the kernel failed.
  bool Run() {
    const KernelArgs args{&op_, pointers_in_.data(), pointers_out_.data(), state_.get()};
    for (uint32_t p = 0; p < schedule.phases; ++p) {
      if (kernel_.run(args, p, 0, schedule.tasks, scratch_.get()) != Rule::kNone) return false;
    }
    return true;
  }

  // Reads more than the caches keep, then all inputs but the weights.
  void Chill() {
    static const auto* const sweep = new std::vector<char>(64 << 20, 1);
    ReadLines(sweep->data(), static_cast<int64_t>(sweep->size()));
    for (size_t i = 0; i < pointers_in_.size(); ++i) {
      int64_t bytes = 0;
      if (i == 1 || !TensorBytes(case_.inputs[i], &bytes).ok()) continue;
      ReadLines(static_cast<const char*>(pointers_in_[i]), bytes);
    }
  }

  Footprint footprint;
  Schedule schedule;

 private:
  // A byte of each cache line. The sum makes the reads happen.
  static void ReadLines(const char* p, int64_t bytes) {
    int sum = 0;
    for (int64_t at = 0; at < bytes; at += 64) sum += p[at];
    benchmark::DoNotOptimize(sum);
  }

  void* Add(const TensorInfo& t, bool fill) {
    int64_t bytes = 0;
    if (!TensorBytes(t, &bytes).ok()) bytes = 0;
    Buffer buffer = Allocate(bytes);
    failed_ = failed_ || buffer == nullptr;
    if (fill && !failed_ && t.dtype == DType::kF32) {
      auto* f = reinterpret_cast<float*>(buffer.get());
      for (int64_t i = 0; i < bytes / 4; ++i) f[i] = uniform_(random_);
    } else if (fill && !failed_ && (t.dtype == DType::kBF16 || t.dtype == DType::kF16)) {
      // Normal numbers of either type: the sign, and some bits of exponent and mantissa.
      auto* half = reinterpret_cast<uint16_t*>(buffer.get());
      const int top = t.dtype == DType::kBF16 ? 0x3d00 : 0x2800;
      for (int64_t i = 0; i < bytes / 2; ++i) {
        half[i] = static_cast<uint16_t>(top | (random_() & 0x80ff));
      }
    } else if (fill && !failed_ && t.dtype == DType::kI64) {
      auto* n = reinterpret_cast<int64_t*>(buffer.get());
      for (int64_t i = 0; i < bytes / 8; ++i) n[i] = static_cast<int64_t>(random_() % 30522);
    }
    buffers_.push_back(std::move(buffer));
    return buffers_.back().get();
  }

  const Case& case_;
  const KernelImpl& kernel_;
  OpInfo op_;
  std::vector<Buffer> buffers_;
  std::vector<const void*> pointers_in_;
  std::vector<void*> pointers_out_;
  Buffer state_, scratch_;
  bool failed_ = false;
  std::minstd_rand random_{1};
  std::uniform_real_distribution<float> uniform_{-0.05f, 0.05f};
};

// As Google Benchmark's CPU column: a neighbour on the core does not count.
double ThreadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void Measure(benchmark::State& state, const Case& c, const KernelTable& table, double peak) {
  Instance instance(c, table);
  const std::string error = instance.Prepare();
  if (!error.empty()) {
    state.SkipWithError(error.c_str());
    return;
  }
  const double start = ThreadSeconds();
  for (auto _ : state) {
    if (!instance.Run()) {
      state.SkipWithError("the kernel failed");
      return;
    }
    benchmark::ClobberMemory();
  }
  const double seconds = ThreadSeconds() - start;
  using benchmark::Counter;
  constexpr auto kRate = Counter::kIsIterationInvariantRate;
  if (instance.footprint.flops > 0) {
    state.counters["FLOP/s"] = Counter(instance.footprint.flops, kRate);
    const double flops = instance.footprint.flops * static_cast<double>(state.iterations());
    state.counters["peak%"] = seconds > 0 ? 100 * flops / (seconds * peak * 1e9) : 0;
  }
  state.counters["B/s"] = Counter(instance.footprint.bytes, kRate);
  state.SetLabel(instance.schedule.variant);
}

// The median of single runs, each after Chill.
void MeasureCold(benchmark::State& state, const Case& c, const KernelTable& table, double peak) {
  using Clock = std::chrono::steady_clock;
  Instance instance(c, table);
  const std::string error = instance.Prepare();
  if (!error.empty()) {
    state.SkipWithError(error.c_str());
    return;
  }
  std::vector<double> seconds;
  for (auto _ : state) {
    instance.Chill();
    const Clock::time_point start = Clock::now();
    if (!instance.Run()) {
      state.SkipWithError("the kernel failed");
      return;
    }
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    state.SetIterationTime(seconds.back());
  }
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  const double rate = instance.footprint.flops / seconds[seconds.size() / 2];
  state.counters["FLOP/s"] = rate;
  state.counters["peak%"] = 100 * rate / (peak * 1e9);
  state.SetLabel(instance.schedule.variant);
}

// Products in f32, whose weights are input 1.
bool HasColdForm(const Case& c) {
  return (c.kernel == KernelId::kGemm || c.kernel == KernelId::kConv) &&
         c.inputs[0].dtype == DType::kF32 && c.inputs[1].dtype == DType::kF32;
}

bool IsBf16(const Case& c) { return c.inputs[0].dtype == DType::kBF16; }

void Register(const std::vector<Case>& cases) {
  for (const KernelTable* table : AllKernelTables()) {
    if (std::string(table->backend) == "reference" || !table->available()) continue;
    const double peak = cli::ProbeGflops(table->isa);
    benchmark::AddCustomContext(std::string("probe_gflops_") + table->isa, std::to_string(peak));
    const double bytes = cli::ProbeByteGops(table->isa);
    benchmark::AddCustomContext(std::string("probe_byte_gops_") + table->isa,
                                std::to_string(bytes));
    const double bf16_peak = cli::ProbeBf16Gflops(table->isa);
    if (bf16_peak > 0) {
      benchmark::AddCustomContext(std::string("probe_bf16_gflops_") + table->isa,
                                  std::to_string(bf16_peak));
    }
    for (const Case& c : cases) {
      const auto id = static_cast<uint32_t>(c.kernel);
      if (table->kernels[id].prepare == nullptr) continue;
      const std::string name = std::string(FindKernel(id)->name) + "/" + c.name + "/" + table->isa;
      benchmark::RegisterBenchmark(name.c_str(), Measure, std::cref(c), std::cref(*table),
                                   MultipliesBytes(c.kernel)    ? bytes
                                   : IsBf16(c) && bf16_peak > 0 ? bf16_peak
                                                                : peak)
          ->Unit(benchmark::kMicrosecond);
      if (!HasColdForm(c)) continue;
      benchmark::RegisterBenchmark((name + "/cold").c_str(), MeasureCold, std::cref(c),
                                   std::cref(*table), peak)
          ->Unit(benchmark::kMicrosecond)
          ->UseManualTime()
          ->Iterations(25);
    }
  }
}

}  // namespace
}  // namespace floe::bench

int main(int argc, char** argv) {
  // Before Initialize: the context is printed with the first result.
  const std::vector<floe::bench::Case> cases = floe::bench::AllCases();
  floe::bench::Register(cases);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  std::fprintf(
      stderr,
      "Note: Debian's libbenchmark always says \"Library was built as DEBUG\". That is the "
      "timing loop only, not the kernels: harmless.\n");
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
