#include "tests/kernels/conformance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "backends/families/winograd.h"
#include "backends/reference/element.h"
#include "backends/registry.h"
#include "tests/kernels/elements.h"
#include "tests/kernels/guarded_buffer.h"
#include "tests/kernels/mutate.h"

namespace floe::conformance {
namespace {

constexpr uint32_t kMaxThreads = 3;

bool Exact(DType t) { return !IsFloat(t); }

int64_t Bytes(const TensorInfo& t) {
  int64_t bytes = 0;
  if (t.present() && !TensorBytes(t, &bytes).ok()) bytes = -1;
  return bytes;
}

int64_t Position(const TensorInfo& t, const std::vector<int64_t>& index) {
  return ElementOffset(t, index.data()) * DTypeSize(t.dtype);
}

// --- one execution ------------------------------------------------------------------------------

// The operands of a case in guarded memory.
struct Operands {
  std::vector<GuardedBuffer> inputs;
  std::vector<GuardedBuffer> outputs;
  std::vector<std::vector<unsigned char>> input_copies;
  std::vector<const void*> constants;
};

void FillInput(const KernelCase& c, size_t i, std::mt19937* rng, GuardedBuffer* buffer) {
  const TensorInfo& t = c.inputs[i];
  const bool plain = t.layout == LayoutId::kDense || t.layout == LayoutId::kChannelsLast;
  // Packed layouts are padded with zeros; halos with encoded zeros only if the family reads them.
  if (!plain || c.reads_input_halo) {
    std::memset(buffer->data(), t.halo.fill, buffer->size());
  }
  const Fill fill = c.fills.empty() ? Fill{} : c.fills[std::min(i, c.fills.size() - 1)];
  std::uniform_real_distribution<double> real(fill.low, fill.high);
  std::uniform_int_distribution<int64_t> integer(static_cast<int64_t>(fill.low),
                                                 static_cast<int64_t>(fill.high));
  std::vector<int64_t> index(t.rank, 0);
  int64_t count;
  if (!ElementCount(t, &count) || count == 0) return;
  do {
    double v = Exact(t.dtype) ? static_cast<double>(integer(*rng)) : real(*rng);
    if (t.dtype == DType::kBool) v = (*rng)() & 1;
    if (c.element) v = c.element(i, index, v);
    WriteElement(t.dtype, v, buffer->data() + Position(t, index));
  } while (NextIndex(t, &index));
}

// Makes input `i`, winograd_panels16 or winograd_conv's gemm_pairs16, what it has to be: the
// transform of input 1, packed as conv's weights.
void TransformFilters(const KernelCase& c, size_t i, Operands* o) {
  const TensorInfo& u = c.inputs[i];
  const TensorInfo& w = c.inputs[1];
  const bool pairs = u.layout == LayoutId::kGemmPairs16;
  if (i < 2 || w.rank != 4 || w.dims[2] != 3 || w.dims[3] != 3) return;
  if (w.layout != (pairs ? LayoutId::kConvPairs16 : LayoutId::kConvPanels16)) return;
  int64_t columns = 0;
  if (pairs && (!winograd::PairColumns(w.dims[0], &columns) || u.rank != 2 ||
                u.dims[0] != w.dims[1] || u.dims[1] != columns)) {
    return;
  }
  if (!pairs && (w.dims[0] != u.dims[0] || w.dims[1] != u.dims[1])) return;
  const int64_t t = pairs ? winograd::kPairTile : u.dims[2];
  for (int64_t out = 0; out < w.dims[0]; ++out) {
    for (int64_t in = 0; in < w.dims[1]; ++in) {
      float filter[9];
      double transformed[winograd::kMaxTile * winograd::kMaxTile];
      for (int64_t tap = 0; tap < 9; ++tap) {
        filter[tap] = static_cast<float>(
            ReadElement(w.dtype, o->inputs[1].data() + Position(w, {out, in, tap / 3, tap % 3})));
      }
      winograd::TransformFilter(static_cast<int>(t), filter, transformed);
      for (int64_t at = 0; at < t * t; ++at) {
        const std::vector<int64_t> index =
            pairs ? std::vector<int64_t>{in, at * (columns / (t * t)) + out}
                  : std::vector<int64_t>{out, in, at / t, at % t};
        WriteElement(u.dtype, transformed[at], o->inputs[i].data() + Position(u, index));
      }
    }
  }
}

// Makes input 2 of an integer product what it has to be: the sums of the columns of input 1.
void SumColumns(const KernelCase& c, Operands* o) {
  const TensorInfo& w = c.inputs[1];
  const TensorInfo& sums = c.inputs[2];
  const int axis = w.layout == LayoutId::kGemmPanels16x4 ? 1 : 0;
  int64_t count = 0;
  if (w.rank <= axis || sums.rank != 1 || sums.dtype != DType::kI32 ||
      sums.dims[0] != w.dims[axis] || !ElementCount(w, &count) || sums.dims[0] == 0) {
    return;
  }
  std::vector<double> values(static_cast<size_t>(sums.dims[0]), 0);
  std::vector<int64_t> index(w.rank, 0);
  if (count != 0) {
    do {
      values[static_cast<size_t>(index[static_cast<size_t>(axis)])] +=
          ReadElement(w.dtype, o->inputs[1].data() + Position(w, index));
    } while (NextIndex(w, &index));
  }
  for (int64_t n = 0; n < sums.dims[0]; ++n) {
    WriteElement(sums.dtype, values[static_cast<size_t>(n)], o->inputs[2].data() + n * 4);
  }
}

Operands MakeOperands(const KernelCase& c, uint64_t slack_inputs, uint32_t seed) {
  Operands o;
  std::mt19937 rng(seed);
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const bool slack = (slack_inputs >> i & 1) != 0;
    o.inputs.emplace_back(Bytes(c.inputs[i]), slack ? kReadSlack : 0);
    if (c.inputs[i].present()) FillInput(c, i, &rng, &o.inputs.back());
    if (c.kernel == KernelId::kWinogradConv && i == 2 && c.inputs[i].present()) {
      TransformFilters(c, i, &o);
    }
    const LayoutId weights = i == 2 ? c.inputs[1].layout : LayoutId::kDense;
    if (weights == LayoutId::kGemmPanels16x4 || weights == LayoutId::kConvPanels16x4 ||
        weights == LayoutId::kDepthwiseTaps16x4) {
      SumColumns(c, &o);
    }
    o.input_copies.emplace_back(o.inputs.back().data(),
                                o.inputs.back().data() + o.inputs.back().size());
  }
  for (const TensorInfo& t : c.outputs) o.outputs.emplace_back(Bytes(t));
  o.constants.assign(c.inputs.size(), nullptr);
  for (uint32_t i : c.constants) o.constants[i] = o.inputs[i].data();
  return o;
}

enum class Mode { kInOrder, kShuffled, kThreads };
constexpr Mode kModes[] = {Mode::kInOrder, Mode::kShuffled, Mode::kThreads};
uint32_t Workers(Mode mode) { return static_cast<uint32_t>(mode) + 1; }

struct Run {
  const KernelImpl* impl;
  KernelArgs args;
  Schedule schedule;
  std::vector<GuardedBuffer> scratch;
};

Rule RunTasks(Run* run, Mode mode, uint32_t phase) {
  const uint32_t tasks = run->schedule.tasks;
  if (mode == Mode::kInOrder) {
    return run->impl->run(run->args, phase, 0, tasks, run->scratch[0].data());
  }
  std::vector<uint32_t> order(tasks);
  for (uint32_t i = 0; i < tasks; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937(phase + 7));
  const uint32_t workers = Workers(mode);
  std::vector<Rule> rules(workers, Rule::kNone);
  const auto work = [&](uint32_t worker) {
    for (uint32_t i = worker; i < tasks; i += workers) {
      const Rule rule =
          run->impl->run(run->args, phase, order[i], order[i] + 1, run->scratch[worker].data());
      if (rule != Rule::kNone) rules[worker] = rule;
    }
  };
  if (mode == Mode::kShuffled) {
    for (uint32_t worker = 0; worker < workers; ++worker) work(worker);
  } else {
    std::vector<std::thread> threads;
    for (uint32_t worker = 0; worker < workers; ++worker) threads.emplace_back(work, worker);
    for (std::thread& t : threads) t.join();
  }
  for (Rule rule : rules) {
    if (rule != Rule::kNone) return rule;
  }
  return Rule::kNone;
}

// Runs the case on operands `o`; output 0 shares storage with input `in_place` if >= 0.
Rule Execute(const KernelTable& table, const KernelCase& c, const Footprint& footprint, Mode mode,
             int in_place, Operands* o) {
  const OpInfo op = OpOf(c, &o->constants);
  Run run;
  run.impl = &table.kernels[static_cast<uint32_t>(c.kernel)];
  GuardedBuffer state(footprint.state_bytes);
  PrepareContext context;
  context.workers = Workers(mode);
  const Status prepared = run.impl->prepare(op, context, state.data(), &run.schedule);
  EXPECT_TRUE(prepared.ok()) << RuleName(prepared.rule);
  if (!prepared.ok()) return prepared.rule;
  for (uint32_t i = 0; i < Workers(mode); ++i) run.scratch.emplace_back(footprint.scratch_bytes);
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    inputs.push_back(c.inputs[i].present() ? o->inputs[i].data() : nullptr);
  }
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    outputs.push_back(c.outputs[i].present() ? o->outputs[i].data() : nullptr);
  }
  if (in_place >= 0) outputs[0] = o->inputs[static_cast<size_t>(in_place)].data();
  run.args = {&op, inputs.data(), outputs.data(), state.data()};
  Rule rule = Rule::kNone;
  for (uint32_t phase = 0; phase < run.schedule.phases && rule == Rule::kNone; ++phase) {
    rule = RunTasks(&run, mode, phase);
  }
  EXPECT_TRUE(state.Intact()) << "wrote beyond its state";
  for (const GuardedBuffer& s : run.scratch) EXPECT_TRUE(s.Intact()) << "wrote beyond its scratch";
  return rule;
}

void ExpectUntouched(const Operands& o, int except_input) {
  for (size_t i = 0; i < o.inputs.size(); ++i) {
    EXPECT_TRUE(o.inputs[i].Intact()) << "wrote around input " << i;
    if (static_cast<int>(i) == except_input || o.inputs[i].size() == 0) continue;
    EXPECT_EQ(0, std::memcmp(o.inputs[i].data(), o.input_copies[i].data(), o.inputs[i].size()))
        << "changed input " << i;
  }
  for (size_t i = 0; i < o.outputs.size(); ++i) {
    EXPECT_TRUE(o.outputs[i].Intact()) << "wrote around output " << i;
  }
}

std::vector<unsigned char> Copy(const GuardedBuffer& b) {
  return std::vector<unsigned char>(b.data(), b.data() + b.size());
}

// --- comparing ----------------------------------------------------------------------------------

Logical ToLogical(const TensorInfo& t, const unsigned char* data) {
  Logical l{t, {}};
  int64_t count;
  if (!t.present() || !ElementCount(t, &count) || count == 0) return l;
  std::vector<int64_t> index(t.rank, 0);
  do {
    l.values.push_back(ReadElement(t.dtype, data + Position(t, index)));
  } while (NextIndex(t, &index));
  return l;
}

void ExpectClose(const Logical& got, const Logical& want, double tolerance) {
  ASSERT_EQ(got.values.size(), want.values.size());
  double largest = 0;
  for (double v : want.values) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  const double limit = Exact(got.info.dtype) ? 0 : tolerance * largest;
  int reported = 0;
  for (size_t i = 0; i < want.values.size() && reported < 5; ++i) {
    const double g = got.values[i], w = want.values[i];
    if (g == w || (std::isnan(g) && std::isnan(w)) || std::abs(g - w) <= limit) continue;
    ++reported;
    ADD_FAILURE() << "element " << i << " of " << want.values.size() << ": " << g << ", not " << w
                  << " (limit " << limit << ")";
  }
}

// Every byte that belongs to no logical element (a halo) is an encoded zero.
void ExpectZeroHalo(const TensorInfo& t, const std::vector<unsigned char>& bytes) {
  if (t.layout != LayoutId::kChannelsLast || t.halo.empty()) return;
  std::vector<unsigned char> rest = bytes;
  int64_t count;
  ASSERT_TRUE(ElementCount(t, &count));
  if (count != 0) {
    std::vector<int64_t> index(t.rank, 0);
    do {
      std::memset(rest.data() + Position(t, index), t.halo.fill,
                  static_cast<size_t>(DTypeSize(t.dtype)));
    } while (NextIndex(t, &index));
  }
  const auto bad =
      std::find_if(rest.begin(), rest.end(), [&t](unsigned char b) { return b != t.halo.fill; });
  EXPECT_TRUE(bad == rest.end()) << "halo overwritten at byte " << bad - rest.begin();
}

const KernelTable& TwinTable() { return *FindKernelTable("reference", ""); }

struct Outcome {
  Rule rule = Rule::kNone;
  std::vector<std::vector<unsigned char>> outputs;
};

Outcome RunOnce(const KernelTable& table, const KernelCase& c, const Footprint& footprint,
                Mode mode, int in_place, uint32_t seed) {
  Operands o = MakeOperands(c, footprint.slack_inputs, seed);
  Outcome outcome;
  outcome.rule = Execute(table, c, footprint, mode, in_place, &o);
  ExpectUntouched(o, in_place);
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    const bool shared = i == 0 && in_place >= 0;
    outcome.outputs.push_back(
        Copy(shared ? o.inputs[static_cast<size_t>(in_place)] : o.outputs[i]));
  }
  return outcome;
}

void CompareTable(const KernelTable& table, const KernelCase& c, const Footprint& footprint,
                  const Outcome& twin, uint32_t seed) {
  SCOPED_TRACE(testing::Message() << table.backend << "/" << table.isa);
  Outcome first;
  for (Mode mode : kModes) {
    SCOPED_TRACE(testing::Message() << Workers(mode) << " workers");
    Outcome got = RunOnce(table, c, footprint, mode, -1, seed);
    ASSERT_EQ(got.rule, twin.rule) << RuleName(got.rule);
    if (got.rule != Rule::kNone) continue;
    if (mode != Mode::kInOrder) {
      EXPECT_TRUE(got.outputs == first.outputs) << "the number of workers changes the result";
      continue;
    }
    for (size_t i = 0; i < c.outputs.size(); ++i) {
      if (!c.outputs[i].present()) continue;
      SCOPED_TRACE(testing::Message() << "output " << i);
      ExpectClose(ToLogical(c.outputs[i], got.outputs[i].data()),
                  ToLogical(c.outputs[i], twin.outputs[i].data()), c.tolerance);
      ExpectZeroHalo(c.outputs[i], got.outputs[i]);
    }
    first = std::move(got);
  }
  if (twin.rule != Rule::kNone) return;
  for (int i = 0; i < static_cast<int>(c.inputs.size()); ++i) {
    if ((footprint.in_place_inputs >> i & 1) == 0) continue;
    SCOPED_TRACE(testing::Message() << "in place of input " << i);
    ASSERT_EQ(Bytes(c.inputs[static_cast<size_t>(i)]), Bytes(c.outputs[0]));
    const Outcome got = RunOnce(table, c, footprint, Mode::kShuffled, i, seed);
    EXPECT_TRUE(got.outputs == first.outputs);
  }
}

void CompareOracle(const KernelCase& c, const Outcome& twin, uint64_t slack, uint32_t seed) {
  const Operands o = MakeOperands(c, slack, seed);
  std::vector<Logical> inputs, outputs;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    inputs.push_back(ToLogical(c.inputs[i], o.inputs[i].data()));
  }
  for (const TensorInfo& t : c.outputs) {
    int64_t count = 0;
    if (t.present()) {
      ASSERT_TRUE(ElementCount(t, &count));
    }
    outputs.push_back({t, std::vector<double>(static_cast<size_t>(count), NAN)});
  }
  c.oracle(c, inputs, &outputs);
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    if (!c.outputs[i].present()) continue;
    SCOPED_TRACE(testing::Message() << "twin against oracle, output " << i);
    ExpectClose(ToLogical(c.outputs[i], twin.outputs[i].data()), outputs[i], c.tolerance);
    ExpectZeroHalo(c.outputs[i], twin.outputs[i]);
  }
}

// --- mutations ----------------------------------------------------------------------------------

bool SmallEnough(const KernelCase& c, const Footprint& f) {
  constexpr int64_t kLimit = 1 << 20;
  int64_t total = 0;
  for (const auto* list : {&c.inputs, &c.outputs}) {
    for (const TensorInfo& t : *list) {
      const int64_t bytes = Bytes(t);
      if (bytes < 0 || bytes > kLimit) return false;
      total += bytes;
    }
  }
  return total <= kLimit && f.scratch_bytes <= kLimit && f.state_bytes <= kLimit && f.flops < 1e6;
}

}  // namespace

OpInfo OpOf(const KernelCase& c, const std::vector<const void*>* constants) {
  OpInfo op;
  op.inputs = c.inputs.data();
  op.outputs = c.outputs.data();
  op.input_count = static_cast<uint32_t>(c.inputs.size());
  op.output_count = static_cast<uint32_t>(c.outputs.size());
  op.attrs = c.attrs.data();
  op.attr_count = static_cast<uint32_t>(c.attrs.size());
  op.code = c.code.data();
  op.code_count = static_cast<uint32_t>(c.code.size());
  op.constants = constants != nullptr ? constants->data() : nullptr;
  return op;
}

Status CheckCase(const KernelCase& c, Footprint* footprint) {
  return KernelFootprints().Check(static_cast<uint32_t>(c.kernel), OpOf(c, nullptr), footprint);
}

void RunCase(const KernelCase& c) {
  constexpr uint32_t kSeed = 20240607;
  // Check may look at constants, so operands come first; their slack is only known afterwards.
  Operands first = MakeOperands(c, 0, kSeed);
  Footprint footprint;
  const Status status = KernelFootprints().Check(static_cast<uint32_t>(c.kernel),
                                                 OpOf(c, &first.constants), &footprint);
  ASSERT_TRUE(status.ok()) << RuleName(status.rule) << " operand " << status.operand << " axis "
                           << status.axis << " expected " << status.expected << " got "
                           << status.got;
  const auto id = static_cast<uint32_t>(c.kernel);
  ASSERT_NE(TwinTable().kernels[id].prepare, nullptr) << "the family has no twin";
  const Outcome twin = RunOnce(TwinTable(), c, footprint, Mode::kInOrder, -1, kSeed);
  if (c.oracle && twin.rule == Rule::kNone) {
    CompareOracle(c, twin, footprint.slack_inputs, kSeed);
  }
  int tables = 0;
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->available() || table->kernels[id].prepare == nullptr) continue;
    CompareTable(*table, c, footprint, twin, kSeed);
    ++tables;
  }
  EXPECT_GE(tables, 2) << "only the twin implements the family";
}

namespace {
int mutants_made = 0, mutants_run = 0;
}  // namespace

void ExpectMutantsRan() {
  // Most break a rule that ties dims together.
  if (mutants_made >= 400) {
    EXPECT_GE(mutants_run, mutants_made / 200) << "of " << mutants_made << " mutants";
  }
  mutants_made = mutants_run = 0;
}

void RunMutations(const KernelCase& c, uint32_t seed, int rounds) {
  std::mt19937 rng(seed);
  const auto id = static_cast<uint32_t>(c.kernel);
  for (int round = 0; round < rounds; ++round) {
    KernelCase m = c;
    ++mutants_made;
    const uint32_t count = 1 + rng() % 3;
    for (uint32_t i = 0; i < count; ++i) MutateOnce(&m, &rng);
    // Index tables are only given to Check when they still exist as they were.
    m.constants.clear();
    Footprint footprint;
    if (!KernelFootprints().Check(id, OpOf(m, nullptr), &footprint).ok()) continue;
    if (!SmallEnough(m, footprint)) continue;
    ++mutants_run;
    SCOPED_TRACE(testing::Message() << "round " << round);
    const Outcome twin = RunOnce(TwinTable(), m, footprint, Mode::kInOrder, -1, seed);
    for (const KernelTable* table : AllKernelTables()) {
      if (!table->available() || table->kernels[id].prepare == nullptr) continue;
      SCOPED_TRACE(testing::Message() << table->backend << "/" << table->isa);
      const Outcome got = RunOnce(*table, m, footprint, Mode::kShuffled, -1, seed);
      ASSERT_EQ(got.rule, twin.rule);
      if (got.rule != Rule::kNone) continue;
      for (size_t i = 0; i < m.outputs.size(); ++i) {
        if (!m.outputs[i].present()) continue;
        // A mutated program may round or compare, and so enlarge differences of one ulp.
        if (m.code == c.code) {
          ExpectClose(ToLogical(m.outputs[i], got.outputs[i].data()),
                      ToLogical(m.outputs[i], twin.outputs[i].data()), m.tolerance);
        }
        ExpectZeroHalo(m.outputs[i], got.outputs[i]);
      }
    }
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace floe::conformance
