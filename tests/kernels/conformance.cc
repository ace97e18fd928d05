#include "tests/kernels/conformance.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "backends/registry.h"
#include "tests/kernels/mutate.h"
#include "tests/kernels/operands.h"

namespace floe::conformance {
namespace {

// --- one execution ------------------------------------------------------------------------------

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

// What a result is compared with: an element may lie anywhere from `least` to `most`.
struct Wanted {
  std::vector<Logical> least, most;  // Of each output; equal but for cases with a range.
};

// How far an element may lie from `want`; `largest` is of all of them.
double LimitOf(const KernelCase& c, DType t, double largest, double want) {
  if (Exact(t)) return 0;
  if (c.absolute == 0 && c.relative == 0) return c.tolerance * largest;
  return c.absolute + c.relative * std::abs(want);
}

void ExpectClose(const KernelCase& c, const Logical& got, const Logical& least,
                 const Logical& most) {
  ASSERT_EQ(got.values.size(), least.values.size());
  double largest = 0;
  for (const Logical* wanted : {&least, &most}) {
    for (double v : wanted->values) {
      if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
    }
  }
  int reported = 0;
  for (size_t i = 0; i < least.values.size() && reported < 5; ++i) {
    const double g = got.values[i], low = least.values[i], high = most.values[i];
    if (g == low || (std::isnan(g) && std::isnan(low))) continue;
    const double below = LimitOf(c, got.info.dtype, largest, low);
    const double above = LimitOf(c, got.info.dtype, largest, high);
    if (low - g <= below && g - high <= above) continue;
    ++reported;
    ADD_FAILURE() << "element " << i << " of " << least.values.size() << ": " << g << ", not "
                  << low << (low == high ? "" : " to " + std::to_string(high)) << " (limit "
                  << std::max(below, above) << ")";
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

// *in_order: what the table gives, run as one worker.
void CompareTable(const KernelTable& table, const KernelCase& c, const Footprint& footprint,
                  const Outcome& twin, const Wanted& wanted, uint32_t seed, Outcome* in_order) {
  SCOPED_TRACE(testing::Message() << table.backend << "/" << table.isa);
  Outcome& first = *in_order;
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
      ExpectClose(c, ToLogical(c.outputs[i], got.outputs[i].data()), wanted.least[i],
                  wanted.most[i]);
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

bool MultipliesAndAddsAtOnce(const KernelTable& table) {
  const std::string isa = table.isa;
  return std::string(table.backend) == "cpu" && isa != "sse2" && isa != "amx_plain";
}

// The inputs as an oracle sees them, and room for the outputs.
struct LogicalOperands {
  std::vector<Logical> inputs, outputs;

  LogicalOperands(const KernelCase& c, uint64_t slack, uint32_t seed) {
    const Operands o = MakeOperands(c, slack, seed);
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      inputs.push_back(ToLogical(c.inputs[i], o.inputs[i].data()));
    }
    for (const TensorInfo& t : c.outputs) {
      int64_t count = 0;
      if (t.present()) {
        EXPECT_TRUE(ElementCount(t, &count));
      }
      outputs.push_back({t, std::vector<double>(static_cast<size_t>(count), NAN)});
    }
  }
};

void CompareOracle(const KernelCase& c, const Outcome& twin, uint64_t slack, uint32_t seed) {
  LogicalOperands o(c, slack, seed);
  c.oracle(c, o.inputs, &o.outputs);
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    if (!c.outputs[i].present()) continue;
    SCOPED_TRACE(testing::Message() << "twin against oracle, output " << i);
    ExpectClose(c, ToLogical(c.outputs[i], twin.outputs[i].data()), o.outputs[i], o.outputs[i]);
    ExpectZeroHalo(c.outputs[i], twin.outputs[i]);
  }
}

// The case's range, or what the twin gives.
Wanted WantedOf(const KernelCase& c, const Outcome& twin, uint64_t slack, uint32_t seed) {
  Wanted wanted;
  if (c.range) {
    LogicalOperands o(c, slack, seed);
    wanted.least = wanted.most = o.outputs;
    c.range(c, o.inputs, &wanted.least, &wanted.most);
    return wanted;
  }
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    wanted.least.push_back(ToLogical(c.outputs[i], twin.outputs[i].data()));
  }
  wanted.most = wanted.least;
  return wanted;
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

std::string VariantOf(const KernelTable& table, const KernelCase& c) {
  Footprint footprint;
  EXPECT_TRUE(CheckCase(c, &footprint).ok());
  const OpInfo op = OpOf(c);
  GuardedBuffer state(footprint.state_bytes);
  Schedule schedule;
  const KernelImpl& impl = table.kernels[static_cast<uint32_t>(c.kernel)];
  EXPECT_TRUE(impl.prepare(op, PrepareContext{}, state.data(), &schedule).ok());
  return schedule.variant;
}

const KernelTable& PlainTileTable() {
  for (const KernelTable* table : AllKernelTables()) {
    if (std::string(table->isa) == "amx_plain") return *table;
  }
  std::abort();
}

void RunCase(const KernelCase& c) {
  SCOPED_TRACE(c.name);
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
  EXPECT_EQ(twin.rule, c.rule) << RuleName(twin.rule);
  if (c.oracle && twin.rule == Rule::kNone) {
    CompareOracle(c, twin, footprint.slack_inputs, kSeed);
  }
  const Wanted wanted = WantedOf(c, twin, footprint.slack_inputs, kSeed);
  int tables = 0;
  Outcome fused;
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->available() || table->kernels[id].prepare == nullptr) continue;
    Outcome got;
    CompareTable(*table, c, footprint, twin, wanted, kSeed, &got);
    ++tables;
    if (!c.same_bits || !MultipliesAndAddsAtOnce(*table)) continue;
    if (!fused.outputs.empty()) {
      EXPECT_TRUE(got.outputs == fused.outputs)
          << table->isa << " has other bits than a better ISA";
    }
    fused = std::move(got);
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
    const Wanted wanted = WantedOf(m, twin, footprint.slack_inputs, seed);
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
          ExpectClose(m, ToLogical(m.outputs[i], got.outputs[i].data()), wanted.least[i],
                      wanted.most[i]);
        }
        ExpectZeroHalo(m.outputs[i], got.outputs[i]);
      }
    }
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace floe::conformance
