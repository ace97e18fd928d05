// Sizes that only Bind or a run knows: reshapes that must come out whole, and resized axes. The
// oracle of a resize is the same model imported with numbers in the place of its dimensions, where
// positions and weights are constants.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "compiler/ir/evaluate.h"
#include "tests/lower/compile_testing.h"
#include "tests/onnx/import_testing.h"

namespace floe::onnx {
namespace {

ir::Tensor RandomImage(int64_t h, int64_t w, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  ir::Tensor t(DType::kF32, {2, 3, h, w});
  for (int64_t i = 0; i < t.count(); ++i) t.SetDouble(i, normal(random));
  return t;
}

// Binds, runs into poisoned buffers and gives the outputs, or why there are none.
struct Ran {
  Outcome outcome;
  std::vector<std::vector<int64_t>> dims;
  std::vector<std::vector<float>> values;
};
Ran RunOn(Session& session, const std::vector<ir::Tensor>& inputs, uint32_t outputs) {
  Ran ran;
  ran.outcome = session.Bind(lower::BindingsOf(inputs));
  if (!ran.outcome.ok()) return ran;
  const std::vector<std::string> memory = lower::BindPoisonedOutputs(&session, outputs);
  ran.outcome = session.Run();
  if (!ran.outcome.ok()) return ran;
  for (uint32_t i = 0; i < outputs; ++i) {
    const Tensor t = *session.Output(i);
    ran.dims.emplace_back(t.dims, t.dims + t.rank);
    ran.values.emplace_back(t.bytes / sizeof(float));
    std::memcpy(ran.values.back().data(), t.data, t.bytes);
  }
  return ran;
}

absl::StatusOr<Model> Compile(const ModelBuilder& m, const ImportOptions& options) {
  auto graph = Import(m, options);
  if (!graph.ok()) return graph.status();
  const auto compiled = lower::CompileGraph(*std::move(graph));
  if (!compiled.ok()) return compiled.status();
  auto model = lower::Open(*compiled);
  if (!model.ok()) return absl::InternalError(model.outcome().Message());
  return std::move(*model);
}

// x f32 [N,6] -> rows f32 [?,4]: the elements that are above 0, in rows of 4; sums f32 [?].
TEST(Dynamic, RowsOfAFoundNumberOfElements) {
  ModelBuilder m(13);
  m.Input("x", {"N", "6"})
      .Floats("zero", {1}, {0})
      .Ints("rest", {-1})
      .Ints("rows_of", {-1, 4})
      .Ints("last", {1})
      .Node("Greater", {"x", "zero"}, {"mask"})
      .Node("Reshape", {"mask", "rest"}, {"flat"})
      .Node("Compress", {"x", "flat"}, {"found"})
      .Node("Reshape", {"found", "rows_of"}, {"rows"})
      .Node("ReduceSum", {"rows", "last"}, {"sums"}, {Attr("keepdims", int64_t{0})})
      .Output("rows")
      .Output("sums");
  ImportOptions options;
  options.dims["N"] = {1, 9, 1};
  const auto model = Compile(m, options);
  ASSERT_TRUE(model.ok()) << model.status();
  auto session = Session::Make(*model);
  ASSERT_TRUE(session.ok());
  std::mt19937 random(1);
  int whole = 0, broken = 0;
  for (int round = 0; round < 60; ++round) {
    const auto n = 1 + static_cast<int64_t>(random() % 9);
    ir::Tensor x(DType::kF32, {n, 6});
    std::vector<float> found;
    for (int64_t i = 0; i < x.count(); ++i) {
      const float v = static_cast<float>(static_cast<int>(random() % 19) - (round % 4) * 3);
      x.SetDouble(i, v);
      if (v > 0) found.push_back(v);
    }
    SCOPED_TRACE(absl::StrFormat("%d of %d", found.size(), x.count()));
    const Ran ran = RunOn(*session, {x}, 2);
    if (found.size() % 4 != 0) {
      ++broken;
      EXPECT_EQ(ran.outcome.code(), FLOE_INVALID_ARGUMENT);
      EXPECT_TRUE(absl::StrContains(ran.outcome.Message(), "does not have the elements of"))
          << ran.outcome.Message();
      continue;
    }
    ++whole;
    ASSERT_TRUE(ran.outcome.ok()) << ran.outcome.Message();
    const auto rows = static_cast<int64_t>(found.size() / 4);
    EXPECT_EQ(ran.dims[0], (std::vector<int64_t>{rows, 4}));
    EXPECT_EQ(ran.values[0], found);
    ASSERT_EQ(ran.values[1].size(), found.size() / 4);
    for (size_t r = 0; r < ran.values[1].size(); ++r) {
      EXPECT_EQ(ran.values[1][r],
                found[4 * r] + found[4 * r + 1] + found[4 * r + 2] + found[4 * r + 3]);
    }
  }
  EXPECT_GE(whole, 5);
  EXPECT_GE(broken, 5);
}

// The same of an input's size: the batches that fit run, the others are refused by the run.
TEST(Dynamic, RowsOfABoundNumberOfElements) {
  ModelBuilder m(13);
  m.Input("x", {"N", "6"})
      .Ints("rows_of", {-1, 4})
      .Node("Reshape", {"x", "rows_of"}, {"rows"})
      .Node("Neg", {"rows"}, {"y"})
      .Output("y");
  ImportOptions options;
  options.dims["N"] = {1, 7, 1};
  const auto model = Compile(m, options);
  ASSERT_TRUE(model.ok()) << model.status();
  auto session = Session::Make(*model);
  ASSERT_TRUE(session.ok());
  for (const int64_t n : {2, 3, 6, 1, 4, 7}) {
    SCOPED_TRACE(n);
    ir::Tensor x(DType::kF32, {n, 6});
    for (int64_t i = 0; i < x.count(); ++i) x.SetDouble(i, static_cast<double>(i) + 1);
    const Ran ran = RunOn(*session, {x}, 1);
    ASSERT_EQ(ran.outcome.ok(), n % 2 == 0) << ran.outcome.Message();
    if (!ran.outcome.ok()) continue;
    EXPECT_EQ(ran.dims[0], (std::vector<int64_t>{n * 6 / 4, 4}));
    for (size_t i = 0; i < ran.values[0].size(); ++i) {
      EXPECT_EQ(ran.values[0][i], -static_cast<float>(i) - 1);
    }
  }
}

TEST(Dynamic, ReshapesThatNeverComeOutAreRefused) {
  for (const auto& shape : {std::vector<int64_t>{5, 7}, std::vector<int64_t>{-1, -1}}) {
    ModelBuilder m(13);
    m.Input("x", {"N", "6"}).Ints("s", shape).Node("Reshape", {"x", "s"}, {"y"}).Output("y");
    ImportOptions options;
    options.dims["N"] = {1, 5, 1};
    EXPECT_FALSE(Import(m, options).ok());
  }
}

struct ResizeCase {
  const char* name;
  const char* mode;
  const char* coordinates;
  const char* nearest;        // Null: left out.
  std::vector<float> scales;  // Empty: sizes are twice the image's plus 1.
};

class Resized : public testing::TestWithParam<ResizeCase> {};

ModelBuilder ResizeModel(const ResizeCase& c, const std::string& h, const std::string& w) {
  ModelBuilder m(13);
  m.Input("x", {"2", "3", h, w});
  std::vector<AttributeProto> attrs = {Attr("mode", c.mode),
                                       Attr("coordinate_transformation_mode", c.coordinates)};
  if (c.nearest != nullptr) attrs.push_back(Attr("nearest_mode", c.nearest));
  if (!c.scales.empty()) {
    m.Floats("scales", {4}, {1, 1, c.scales[0], c.scales[1]});
    m.Node("Resize", {"x", "", "scales"}, {"y"}, attrs);
  } else {
    m.Ints("two", {1, 1, 2, 2}).Ints("more", {0, 0, 1, 1});
    m.Node("Shape", {"x"}, {"shape"}).Node("Mul", {"shape", "two"}, {"twice"});
    m.Node("Add", {"twice", "more"}, {"sizes"});
    m.Node("Resize", {"x", "", "", "sizes"}, {"y"}, attrs);
  }
  m.Output("y");
  return m;
}

TEST_P(Resized, AsWithNumbersInThePlaceOfTheSizes) {
  const ResizeCase& c = GetParam();
  ImportOptions options;
  options.dims["H"] = {2, 9, 1};
  options.dims["W"] = {2, 9, 1};
  const auto model = Compile(ResizeModel(c, "H", "W"), options);
  ASSERT_TRUE(model.ok()) << model.status();
  auto session = Session::Make(*model);
  ASSERT_TRUE(session.ok());
  uint32_t seed = 0;
  const std::pair<int64_t, int64_t> sizes[] = {{2, 2}, {9, 3}, {5, 8}, {2, 9}};
  for (const auto& [h, w] : sizes) {
    SCOPED_TRACE(absl::StrFormat("%d x %d", h, w));
    const ir::Tensor x = RandomImage(h, w, ++seed);
    const auto fixed = Import(ResizeModel(c, std::to_string(h), std::to_string(w)));
    ASSERT_TRUE(fixed.ok()) << fixed.status();
    const auto want = ir::Evaluate(**fixed, std::vector<ir::Tensor>{x});
    ASSERT_TRUE(want.ok()) << want.status();
    const Ran ran = RunOn(*session, {x}, 1);
    ASSERT_TRUE(ran.outcome.ok()) << ran.outcome.Message();
    EXPECT_EQ(ran.dims[0], (*want)[0].dims());
    ASSERT_EQ(static_cast<int64_t>(ran.values[0].size()), (*want)[0].count());
    for (int64_t i = 0; i < (*want)[0].count(); ++i) {
      ASSERT_NEAR(ran.values[0][static_cast<size_t>(i)], (*want)[0].DoubleAt(i), 2e-5) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Modes, Resized,
    testing::Values(ResizeCase{"twice", "linear", "half_pixel", nullptr, {2, 2}},
                    ResizeCase{"uneven", "linear", "half_pixel", nullptr, {1.5, 0.75}},
                    ResizeCase{"one_axis", "linear", "half_pixel", nullptr, {1, 3}},
                    ResizeCase{"asymmetric", "linear", "asymmetric", nullptr, {2, 2.5}},
                    ResizeCase{"corners", "linear", "align_corners", nullptr, {2, 3}},
                    ResizeCase{"pytorch", "linear", "pytorch_half_pixel", nullptr, {2, 4}},
                    ResizeCase{"sizes", "linear", "half_pixel", nullptr, {}},
                    ResizeCase{"sizes_corners", "linear", "align_corners", nullptr, {}},
                    ResizeCase{"nearest_floor", "nearest", "asymmetric", "floor", {2, 1.5}},
                    ResizeCase{"nearest_ceil", "nearest", "asymmetric", "ceil", {4, 0.5}},
                    ResizeCase{"nearest_default", "nearest", "half_pixel", nullptr, {2, 2}},
                    ResizeCase{"nearest_up", "nearest", "half_pixel", "round_prefer_ceil", {2, 2}},
                    ResizeCase{"nearest_tf", "nearest", "tf_half_pixel_for_nn", "floor", {2, 4}}),
    [](const auto& info) { return info.param.name; });

TEST(Dynamic, ResizesOfDynamicAxesThatAreRefusedSayWhy) {
  const struct {
    ResizeCase c;
    const char* message;
  } kCases[] = {
      {{"cubic", "cubic", "half_pixel", nullptr, {2, 2}}, "axis 2 from H to 2*H in mode 'cubic'"},
      {{"symmetric", "linear", "half_pixel_symmetric", nullptr, {2, 2}}, "fix that dimension"},
      {{"third", "linear", "half_pixel", nullptr, {2, 1.3f}}, "no multiple of 1/16"},
  };
  for (const auto& [c, message] : kCases) {
    ImportOptions options;
    options.dims["H"] = {1, 9, 1};
    options.dims["W"] = {1, 9, 1};
    const auto graph = Import(ResizeModel(c, "H", "W"), options);
    EXPECT_TRUE(absl::StrContains(Message(graph.status()), message)) << c.name << graph.status();
  }
}

}  // namespace
}  // namespace floe::onnx
