// Programs run and give the right numbers, on every backend: shapes, buckets, control flow, states.
#include "runtime/session.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/format/sample_programs.h"
#include "tests/runtime/support.h"

namespace floe::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

class EveryBackend : public ::testing::TestWithParam<BackendChoice> {};
INSTANTIATE_TEST_SUITE_P(Runtime, EveryBackend, ::testing::ValuesIn(AvailableBackends()),
                         [](const auto& info) { return info.param.backend + info.param.isa; });

std::vector<float> MlpOracle(const std::vector<float>& x, int64_t n) {
  std::vector<float> y;
  for (int64_t r = 0; r < n; ++r) {
    double h[20];
    for (int64_t j = 0; j < 20; ++j) {
      h[j] = 0;
      for (int64_t k = 0; k < 4; ++k) {
        h[j] += double{x[static_cast<size_t>(r * 4 + k)]} * double{MlpWeight(k * 20 + j)};
      }
      if (h[j] < 0) h[j] = 0;
    }
    for (int64_t j = 0; j < 3; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < 20; ++k) sum += h[k] * double{MlpWeight(k * 3 + j)};
      y.push_back(static_cast<float>(sum));
    }
  }
  return y;
}

std::vector<float> Ramp(size_t n, float scale = 0.25f) {
  std::vector<float> v(n);
  for (size_t i = 0; i < n; ++i) v[i] = (static_cast<float>(i % 23) - 11.0f) * scale;
  return v;
}

TEST_P(EveryBackend, EveryBatchOfTheMlpGivesTheOraclesNumbers) {
  const Model model = OpenProgram(MlpProgram(), GetParam());
  Session session = MakeSession(model);
  for (const int64_t n : {1, 2, 3, 8, 5, 1, 8}) {
    const std::vector<float> x = Ramp(static_cast<size_t>(n * 4));
    ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {n, 4})}));
    EXPECT_EQ(session.Info().bucket, n <= 2 ? 0u : 1u);
    ASSERT_FLOE_OK(session.Run());
    const Tensor y = *session.Output(0);
    EXPECT_THAT(y.Dims(), ElementsAre(n, 3));
    EXPECT_THAT(ReadOutput<float>(session), Pointwise(FloatNear(1e-4f), MlpOracle(x, n))) << n;
  }
}

TEST_P(EveryBackend, RunningTwiceGivesTheSameBits) {
  const Model model = OpenProgram(MlpProgram(), GetParam());
  Session session = MakeSession(model);
  const std::vector<float> x = Ramp(7 * 4, 0.37f);
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {7, 4})}));
  ASSERT_FLOE_OK(session.Run());
  const std::vector<float> first = ReadOutput<float>(session);
  for (int i = 0; i < 3; ++i) {
    // Also from another arena, with other garbage in it.
    Session other = MakeSession(model);
    ASSERT_FLOE_OK(other.Bind({TensorOf(x.data(), {7, 4})}));
    ASSERT_FLOE_OK(session.Run());
    ASSERT_FLOE_OK(other.Run());
    EXPECT_EQ(0, std::memcmp(first.data(), ReadOutput<float>(session).data(), first.size() * 4));
    EXPECT_EQ(0, std::memcmp(first.data(), ReadOutput<float>(other).data(), first.size() * 4));
  }
}

TEST_P(EveryBackend, IfTakesTheBranchOfItsCondition) {
  const Model model = OpenProgram(IfProgram(), GetParam());
  Session session = MakeSession(model);
  const std::vector<float> x = {1, -2, 3, 0.5f};
  for (const bool condition : {true, false, true}) {
    ASSERT_FLOE_OK(
        session.Bind({TensorOf(x.data(), {4}), TensorOf(&condition, std::span<int64_t>())}));
    ASSERT_FLOE_OK(session.Run());
    const std::vector<float> expected =
        condition ? std::vector<float>{2, -4, 6, 1} : std::vector<float>{-1, 2, -3, -0.5f};
    EXPECT_EQ(ReadOutput<float>(session), expected);
  }
}

TEST_P(EveryBackend, LoopStopsAtTripsOrConditionAndFailsAtItsLimit) {
  const Model model = OpenProgram(LoopProgram(), GetParam());
  Session session = MakeSession(model);
  struct Case {
    float start;
    int64_t trips;
    bool go;
    float factor;
  };
  for (const Case& c : {Case{1, 3, true, 8}, Case{1, 0, true, 1}, Case{1, 3, false, 1},
                        Case{60, 5, true, 2}, Case{0.125f, 10, true, 1024}, Case{1, -4, true, 1}}) {
    const std::vector<float> x = {c.start, 1, 2, 3};
    ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {4}), TensorOf(&c.trips, std::span<int64_t>()),
                                 TensorOf(&c.go, std::span<int64_t>())}));
    ASSERT_FLOE_OK(session.Run());
    EXPECT_THAT(ReadOutput<float>(session),
                ElementsAre(c.start * c.factor, c.factor, 2 * c.factor, 3 * c.factor))
        << c.start << " " << c.trips << " " << c.go;
  }
  const std::vector<float> x = {0.001f, 1, 2, 3};
  const int64_t trips = 11;
  const bool go = true;
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {4}), TensorOf(&trips, std::span<int64_t>()),
                               TensorOf(&go, std::span<int64_t>())}));
  const Outcome failed = session.Run();
  EXPECT_EQ(failed.code(), FLOE_OUT_OF_RANGE);
  EXPECT_THAT(failed.Message(), HasSubstr("kRunTrips"));
}

TEST_P(EveryBackend, LoopCarriesAllItsValuesAtOnce) {
  const Model model = OpenProgram(FibonacciProgram(), GetParam());
  Session session = MakeSession(model);
  const std::vector<float> a = {0, 1, 2};
  const std::vector<float> b = {1, 1, 1};
  ASSERT_FLOE_OK(session.Bind({TensorOf(a.data(), {3}), TensorOf(b.data(), {3})}));
  ASSERT_FLOE_OK(session.Run());
  // Seven steps from (a, b): a F6 + b F7 and a F7 + b F8.
  EXPECT_THAT(ReadOutput<float>(session, 0), ElementsAre(13, 21, 29));
  EXPECT_THAT(ReadOutput<float>(session, 1), ElementsAre(21, 34, 47));
}

TEST_P(EveryBackend, StatesLastFromRunToRunAndAreSharedByMethods) {
  const Model model = OpenProgram(StateProgram(), GetParam());
  const uint32_t step = *model.Find(FLOE_METHOD, "step");
  const uint32_t peek = *model.Find(FLOE_METHOD, "peek");
  Session session = MakeSession(model);
  const std::vector<float> x = {1, 10, 100, 1000};
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {4})}, step));
  ASSERT_FLOE_OK(session.Bind(std::span<const Tensor>(), peek));
  ASSERT_FLOE_OK(session.Run({}, peek));
  EXPECT_THAT(ReadOutput<float>(session, 0, peek), ElementsAre(1, 2, 3, 4));
  ASSERT_FLOE_OK(session.Run({}, step));
  ASSERT_FLOE_OK(session.Run({}, step));
  EXPECT_THAT(ReadOutput<float>(session, 0, step), ElementsAre(3, 22, 203, 2004));
  ASSERT_FLOE_OK(session.Run({}, peek));
  EXPECT_THAT(ReadOutput<float>(session, 0, peek), ElementsAre(3, 22, 203, 2004));

  // Another session has states of its own, and can take these.
  Session other = MakeSession(model);
  ASSERT_FLOE_OK(other.Bind(std::span<const Tensor>(), peek));
  ASSERT_FLOE_OK(other.Run({}, peek));
  EXPECT_THAT(ReadOutput<float>(other, 0, peek), ElementsAre(1, 2, 3, 4));
  ASSERT_FLOE_OK(other.CopyStates(session));
  session.ResetStates();
  ASSERT_FLOE_OK(other.Run({}, peek));
  ASSERT_FLOE_OK(session.Run({}, peek));
  EXPECT_THAT(ReadOutput<float>(other, 0, peek), ElementsAre(3, 22, 203, 2004));
  EXPECT_THAT(ReadOutput<float>(session, 0, peek), ElementsAre(1, 2, 3, 4));
}

// Within one binding the size changes from run to run, up and down.
TEST_P(EveryBackend, ARunFindsItsSizes) {
  const Model model = OpenProgram(SizesProgram(), GetParam());
  Session session = MakeSession(model);
  const std::vector<float> x(32);
  for (const int64_t n : {5, 8, 1}) {
    int64_t k = 0;
    ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {n, 4}), TensorOf(&k, std::span<int64_t>())}));
    EXPECT_THAT(session.Output(0)->Dims(), ElementsAre(8, 4)) << "the bound, before a run";
    for (const int64_t found : {3, 8, 8, 0, 1, 7}) {
      k = found;
      ASSERT_FLOE_OK(session.Run());
      EXPECT_THAT(session.Output(0)->Dims(), ElementsAre(k, 4));
      EXPECT_THAT(session.Output(1)->Dims(), ElementsAre(n * k));
      EXPECT_THAT(session.Output(2)->Dims(), ElementsAre(n / 2));
      EXPECT_THAT(ReadOutput<float>(session, 0), Each(4.0f));
      EXPECT_THAT(ReadOutput<float>(session, 1), Each(3.0f));
      EXPECT_THAT(ReadOutput<float>(session, 2), Each(2.0f));
      EXPECT_THAT(ReadOutput<int64_t>(session, 3), ElementsAre(k, n * k, n / 2, std::max(n, k)));
    }
  }
}

TEST(Session, ASizeOutsideItsBoundsFailsTheRunOnly) {
  const Model model = OpenProgram(SizesProgram());
  Session session = MakeSession(model);
  const std::vector<float> x(32);
  int64_t k = 0;
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {2, 4}), TensorOf(&k, std::span<int64_t>())}));
  for (const int64_t bad : {int64_t{9}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
    k = bad;
    const Outcome o = session.Run();
    EXPECT_EQ(o.code(), FLOE_OUT_OF_RANGE);
    EXPECT_THAT(o.Message(), HasSubstr("K is 0 to 8"));
    EXPECT_THAT(o.Message(), HasSubstr("got " + std::to_string(bad)));
    k = 2;
    ASSERT_FLOE_OK(session.Run());
    EXPECT_THAT(ReadOutput<int64_t>(session, 3), ElementsAre(2, 4, 1, 2));
  }
}

TEST_P(EveryBackend, EverythingAtOnceMatchesItsGolden) {
  const Model model = OpenProgram(EverythingProgram(), GetParam());
  ASSERT_EQ(model.Info().goldens, 1u);
  const floe_golden golden = model.Golden(0);
  Session session = MakeSession(model);
  std::vector<Tensor> inputs(model.Method(golden.method).inputs);
  for (uint32_t t = 0; t < golden.tensors; ++t) {
    const auto g = model.GetGoldenTensor(0, t);
    if (g->entity == FLOE_INPUT) inputs[g->index] = g->tensor;
  }
  ASSERT_FLOE_OK(session.Bind(inputs, golden.method));
  ASSERT_FLOE_OK(session.Run({}, golden.method));
  int outputs = 0;
  for (uint32_t t = 0; t < golden.tensors; ++t) {
    const auto g = model.GetGoldenTensor(0, t);
    if (g->entity != FLOE_OUTPUT) continue;
    const Tensor y = *session.Output(g->index, golden.method);
    ASSERT_EQ(y.bytes, g->tensor.bytes);
    EXPECT_EQ(0, std::memcmp(y.data, g->tensor.data, y.bytes)) << g->index;
    ++outputs;
  }
  EXPECT_EQ(outputs, 3);
}

TEST_P(EveryBackend, EverythingAtOnceOnOtherShapes) {
  const Model model = OpenProgram(EverythingProgram(), GetParam());
  Session session = MakeSession(model);
  for (const int64_t n : {1, 4, 5, 8}) {
    const std::vector<float> x = Ramp(static_cast<size_t>(n * 4), 0.5f);
    const bool condition = n % 2 == 0;
    const int64_t trips = n - 1;
    ASSERT_FLOE_OK(
        session.Bind({TensorOf(x.data(), {n, 4}), TensorOf(&condition, std::span<int64_t>()),
                      TensorOf(&trips, std::span<int64_t>())}));
    ASSERT_FLOE_OK(session.Run());
    const std::vector<float> y = ReadOutput<float>(session, 0);
    const std::vector<float> pair = ReadOutput<float>(session, 1);
    EXPECT_THAT(ReadOutput<int64_t>(session, 2), ElementsAre(n, 4));
    ASSERT_EQ(y.size(), static_cast<size_t>(n * 4));
    const double factor = std::ldexp(condition ? 2.0 : -1.0, static_cast<int>(trips));
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t c = 0; c < 4; ++c) {
        double h = 0;
        for (int64_t k = 0; k < 4; ++k) {
          h += double{x[static_cast<size_t>(r * 4 + k)]} * double{MlpWeight(k * 4 + c)};
        }
        EXPECT_NEAR(y[static_cast<size_t>(r * 4 + c)], h * factor, 1e-4 * std::fabs(factor));
        if (c % 2 == 0) {
          EXPECT_NEAR(pair[static_cast<size_t>(r * 2 + c / 2)], h, 1e-4);
        }
      }
    }
  }
}

TEST(Session, BuffersOfTheCallerAreUsedInPlace) {
  const Model model = OpenProgram(ShapesProgram());
  Session session = std::move(Session::Make(model)).value();
  std::vector<float> a = Ramp(3 * 10);
  std::vector<float> b = Ramp(21 * 3);
  std::vector<int64_t> c = {5, 6, 7};
  std::vector<float> a2(a.size(), NAN);
  std::vector<float> b2(b.size(), NAN);
  std::vector<int64_t> c2(c.size(), -1);
  ASSERT_FLOE_OK(session.Bind(
      {TensorOf(a.data(), {3, 10}), TensorOf(b.data(), {21, 3}), TensorOf(c.data(), {3})}));
  // Outputs are not set yet: refused by name.
  const Outcome unset = session.Run();
  EXPECT_EQ(unset.code(), FLOE_FAILED_PRECONDITION);
  EXPECT_THAT(unset.Message(), HasSubstr("'a2'"));
  ASSERT_FLOE_OK(session.SetOutput(0, a2.data(), a2.size() * 4));
  ASSERT_FLOE_OK(session.SetOutput(1, b2.data(), b2.size() * 4));
  ASSERT_FLOE_OK(session.SetOutput(2, c2.data(), c2.size() * 8));
  ASSERT_FLOE_OK(session.Run());
  EXPECT_EQ(a2, a);
  EXPECT_EQ(b2, b);
  EXPECT_EQ(c2, c);
  // Another input buffer, without another Bind.
  std::vector<float> other(a.size(), 4.0f);
  ASSERT_FLOE_OK(session.SetInput(0, other.data(), other.size() * 4));
  ASSERT_FLOE_OK(session.Run());
  EXPECT_EQ(a2, other);
  EXPECT_EQ(session.Input(0)->data, other.data());
  // Bind with the same shapes only changes pointers: outputs stay.
  ASSERT_FLOE_OK(session.Bind(
      {TensorOf(a.data(), {3, 10}), TensorOf(b.data(), {21, 3}), TensorOf(c.data(), {3})}));
  ASSERT_FLOE_OK(session.Run());
  EXPECT_EQ(a2, a);
}

TEST(Session, ArenaIsTheBucketsAndGrowsOnly) {
  const Model model = OpenProgram(ShapesProgram());
  Session session = MakeSession(model);
  const auto bind = [&](int64_t n, int64_t t) {
    return session.Bind({[&] {
                           Tensor a = TensorOf(static_cast<float*>(nullptr), {n, t});
                           return a;
                         }(),
                         TensorOf(static_cast<float*>(nullptr), {2 * t + 1, 3}),
                         TensorOf(static_cast<int64_t*>(nullptr), {n})});
  };
  ASSERT_FLOE_OK(bind(8, 64));
  EXPECT_EQ(session.Info().bucket, 1u);
  EXPECT_EQ(session.Info().arena_bytes, model.Bucket(0, 1).arena_bytes);
  const uint64_t total = session.Info().total_bytes;
  ASSERT_FLOE_OK(bind(1, 2));
  EXPECT_EQ(session.Info().bucket, 0u);
  EXPECT_EQ(session.Info().arena_bytes, model.Bucket(0, 0).arena_bytes);
  EXPECT_EQ(session.Info().total_bytes, total);
  ASSERT_FLOE_OK(bind(8, 64));
  EXPECT_EQ(session.Info().total_bytes, total);
}

TEST(Session, NotBoundIsRefused) {
  const Model model = OpenProgram(MlpProgram());
  Session session = MakeSession(model);
  EXPECT_EQ(session.Run().code(), FLOE_FAILED_PRECONDITION);
  EXPECT_EQ(session.Output(0).outcome().code(), FLOE_FAILED_PRECONDITION);
  EXPECT_EQ(session.Run({}, 7).code(), FLOE_NOT_FOUND);
}

TEST(Session, SavedStatesLoadIntoASessionOfTheSameProgramOnly) {
  const Model model = OpenProgram(StateProgram());
  const uint32_t step = *model.Find(FLOE_METHOD, "step");
  Session session = MakeSession(model);
  const std::vector<float> x = {1, 1, 1, 1};
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {4})}, step));
  ASSERT_FLOE_OK(session.Run({}, step));
  const std::string blob = session.SaveStates();
  session.ResetStates();
  ASSERT_FLOE_OK(session.LoadStates(blob.data(), blob.size()));
  EXPECT_THAT(Read<float>(*session.State(0)), ElementsAre(2, 3, 4, 5));

  // Any damage is refused, and nothing changes.
  for (size_t i = 0; i < blob.size(); ++i) {
    std::string bad = blob;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    const Outcome o = session.LoadStates(bad.data(), bad.size());
    EXPECT_EQ(o.code(), FLOE_INVALID_ARGUMENT) << i;
    EXPECT_EQ(session.LoadStates(blob.data(), i).code(), FLOE_INVALID_ARGUMENT) << i;
  }
  EXPECT_THAT(Read<float>(*session.State(0)), ElementsAre(2, 3, 4, 5));
  const Model stateless = OpenProgram(MlpProgram());
  Session other = MakeSession(stateless);
  EXPECT_EQ(other.LoadStates(blob.data(), blob.size()).code(), FLOE_INVALID_ARGUMENT);
  EXPECT_EQ(other.CopyStates(session).code(), FLOE_INVALID_ARGUMENT);
  EXPECT_EQ(session.State(1).outcome().code(), FLOE_NOT_FOUND);
}

TEST(Session, ProfileNamesEveryInstruction) {
  const Model model = OpenProgram(MlpProgram());
  SessionOptions options;
  options.own_outputs = 1;
  options.profile_events = 4;
  Session session = std::move(Session::Make(model, options)).value();
  const std::vector<float> x = Ramp(8);
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {2, 4})}));
  ASSERT_FLOE_OK(session.Run());
  floe_profile_entry entries[8];
  auto events = session.TakeProfile(entries);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_STREQ(events[0].node, "fc1");
  EXPECT_STREQ(events[1].node, "relu");
  EXPECT_STREQ(events[2].node, "fc2");
  for (const floe_profile_entry& e : events) {
    EXPECT_GE(e.end_ns, e.begin_ns);
    EXPECT_EQ(e.run, 0u);
    EXPECT_EQ(e.workers, 1u);
    EXPECT_GT(std::strlen(e.variant), 0u);
  }
  EXPECT_GT(events[0].flops, 0);
  EXPECT_TRUE(session.TakeProfile(entries).empty());
  // Six events in a ring of four: the newest four, in order.
  ASSERT_FLOE_OK(session.Run());
  ASSERT_FLOE_OK(session.Run());
  events = session.TakeProfile(entries);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_STREQ(events[0].node, "fc2");
  EXPECT_EQ(events[0].run, 1u);
  EXPECT_STREQ(events[3].node, "fc2");
  EXPECT_EQ(events[3].run, 2u);
}

}  // namespace
}  // namespace floe::testing
