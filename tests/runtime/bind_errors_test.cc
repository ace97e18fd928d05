// Shapes, dtypes and buffers that do not fit are refused by name, and refusing changes nothing.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/format/sample_programs.h"
#include "tests/runtime/support.h"

namespace floe::testing {
namespace {

using ::testing::HasSubstr;

struct Refused {
  const char* what;
  std::vector<std::vector<int64_t>> dims;  // Of a, b, c.
  std::vector<std::string> message;        // Pieces that the message must have.
};

Tensor Make(floe_dtype dtype, const std::vector<int64_t>& dims) {
  Tensor t;
  t.dtype = dtype;
  t.rank = static_cast<uint32_t>(dims.size());
  for (size_t i = 0; i < dims.size() && i < FLOE_MAX_RANK; ++i) t.dims[i] = dims[i];
  return t;
}

class BindErrors : public ::testing::Test {
 protected:
  BindErrors() : model_(OpenProgram(ShapesProgram())), session_(MakeSession(model_)) {}

  Outcome Bind(const std::vector<std::vector<int64_t>>& dims) {
    return session_.Bind(
        {Make(FLOE_F32, dims[0]), Make(FLOE_F32, dims[1]), Make(FLOE_I64, dims[2])});
  }

  Model model_;
  Session session_;
};

TEST_F(BindErrors, ShapesAreRefusedByName) {
  const Refused cases[] = {
      {"too large", {{9, 4}, {9, 3}, {9}}, {"'a'", "axis 0", "got 9", "N is 1 to 8"}},
      {"too small", {{0, 4}, {9, 3}, {0}}, {"'a'", "axis 0", "got 0", "N is 1 to 8"}},
      {"negative", {{-1, 4}, {9, 3}, {-1}}, {"'a'", "axis 0", "got -1", "N is 1 to 8"}},
      {"second symbol", {{1, 66}, {133, 3}, {1}}, {"'a'", "axis 1", "got 66", "T is 2 to 64"}},
      {"multiple", {{1, 5}, {11, 3}, {1}}, {"'a'", "axis 1", "got 5", "a multiple of 2"}},
      {"conflict",
       {{2, 4}, {9, 3}, {3}},
       {"'c'", "axis 0", "expected 2, got 3", "N is also axis 0 of a"}},
      {"affine conflict", {{2, 4}, {11, 3}, {2}}, {"'b'", "axis 0", "expected 9, got 11", "2*T+1"}},
      {"fixed", {{2, 4}, {9, 4}, {2}}, {"'b'", "axis 1", "expected 3, got 4"}},
      {"huge", {{INT64_MAX, 4}, {9, 3}, {1}}, {"'a'", "axis 0", "N is 1 to 8"}},
      {"most negative", {{INT64_MIN, 4}, {9, 3}, {1}}, {"'a'", "axis 0", "N is 1 to 8"}},
      {"rank", {{2, 4, 1}, {9, 3}, {2}}, {"'a'", "expected 2, got 3"}},
      {"rank zero", {{2, 4}, {9, 3}, {}}, {"'c'", "expected 1, got 0"}},
      {"rank beyond all", {{2, 4, 1, 1, 1, 1, 1, 1, 1}, {9, 3}, {2}}, {"'a'", "got 9"}},
  };
  for (const Refused& c : cases) {
    const Outcome o = Bind(c.dims);
    EXPECT_EQ(o.code(), FLOE_INVALID_ARGUMENT) << c.what;
    for (const std::string& piece : c.message) {
      EXPECT_THAT(o.Message(), HasSubstr(piece)) << c.what;
    }
  }
}

TEST_F(BindErrors, DTypesAndCountsAreRefusedByName) {
  Outcome o = session_.Bind({Make(FLOE_F64, {2, 4}), Make(FLOE_F32, {9, 3}), Make(FLOE_I64, {2})});
  EXPECT_EQ(o.code(), FLOE_INVALID_ARGUMENT);
  EXPECT_THAT(o.Message(), HasSubstr("expected f32, got f64"));
  EXPECT_THAT(o.Message(), HasSubstr("a f32[N,T]"));
  o = session_.Bind({Make(FLOE_F32, {2, 4}), Make(FLOE_F32, {9, 3})});
  EXPECT_EQ(o.code(), FLOE_INVALID_ARGUMENT);
  EXPECT_THAT(o.Message(), HasSubstr("'c'"));
  o = session_.Bind(
      {Make(FLOE_F32, {2, 4}), Make(FLOE_F32, {9, 3}), Make(FLOE_I64, {2}), Make(FLOE_I64, {2})});
  EXPECT_EQ(o.code(), FLOE_INVALID_ARGUMENT);
  EXPECT_THAT(o.Message(), HasSubstr("expected 3, got 4"));
  EXPECT_EQ(session_
                .Bind({Make(static_cast<floe_dtype>(99), {2, 4}), Make(FLOE_F32, {9, 3}),
                       Make(FLOE_I64, {2})})
                .code(),
            FLOE_INVALID_ARGUMENT);
}

TEST_F(BindErrors, BuffersOfAnotherSizeOrAlignmentAreRefused) {
  std::vector<float> a(8);
  ASSERT_FLOE_OK(Bind({{2, 4}, {9, 3}, {2}}));
  EXPECT_EQ(session_.SetInput(0, a.data(), 28).code(), FLOE_INVALID_ARGUMENT);
  EXPECT_EQ(session_.SetInput(0, a.data(), 36).code(), FLOE_INVALID_ARGUMENT);
  EXPECT_EQ(session_.SetInput(0, nullptr, 32).code(), FLOE_INVALID_ARGUMENT);
  EXPECT_EQ(session_.SetInput(0, reinterpret_cast<char*>(a.data()) + 1, 32).code(),
            FLOE_INVALID_ARGUMENT);
  EXPECT_EQ(session_.SetInput(3, a.data(), 32).code(), FLOE_NOT_FOUND);
  EXPECT_EQ(session_.SetOutput(3, a.data(), 32).code(), FLOE_NOT_FOUND);
  const Outcome o = session_.SetOutput(0, a.data(), 28);
  EXPECT_EQ(o.code(), FLOE_INVALID_ARGUMENT);
  EXPECT_THAT(o.Message(), HasSubstr("'a2'"));
  EXPECT_THAT(o.Message(), HasSubstr("expected 32, got 28"));
  // Also in Bind itself.
  Tensor t = Make(FLOE_F32, {2, 4});
  t.data = a.data();
  t.bytes = 31;
  EXPECT_EQ(session_.Bind({t, Make(FLOE_F32, {9, 3}), Make(FLOE_I64, {2})}).code(),
            FLOE_INVALID_ARGUMENT);
}

TEST_F(BindErrors, InputsThatAreNotSetAreRefusedByName) {
  std::vector<float> a(8);
  std::vector<int64_t> c(2);
  ASSERT_FLOE_OK(Bind({{2, 4}, {9, 3}, {2}}));
  ASSERT_FLOE_OK(session_.SetInput(0, a.data(), 32));
  ASSERT_FLOE_OK(session_.SetInput(2, c.data(), 16));
  const Outcome o = session_.Run();
  EXPECT_EQ(o.code(), FLOE_FAILED_PRECONDITION);
  EXPECT_THAT(o.Message(), HasSubstr("'b'"));
}

TEST_F(BindErrors, ARefusedBindLeavesTheEarlierOneInForce) {
  std::vector<float> a = {1, 2, 3, 4};
  std::vector<float> b(9 * 3, 5.0f);
  std::vector<int64_t> c = {42};
  ASSERT_FLOE_OK(session_.Bind(
      {TensorOf(a.data(), {1, 4}), TensorOf(b.data(), {9, 3}), TensorOf(c.data(), {1})}));
  EXPECT_EQ(Bind({{9, 4}, {9, 3}, {9}}).code(), FLOE_INVALID_ARGUMENT);
  EXPECT_EQ(Bind({{8, 4}, {9, 3}, {7}}).code(), FLOE_INVALID_ARGUMENT);
  Tensor bad = Make(FLOE_F32, {8, 64});
  bad.data = a.data();
  bad.bytes = 4;
  EXPECT_EQ(session_.Bind({bad, Make(FLOE_F32, {129, 3}), Make(FLOE_I64, {8})}).code(),
            FLOE_INVALID_ARGUMENT);
  ASSERT_FLOE_OK(session_.Run());
  EXPECT_EQ(ReadOutput<float>(session_, 0), a);
  EXPECT_EQ(ReadOutput<float>(session_, 1), b);
  EXPECT_EQ(ReadOutput<int64_t>(session_, 2), c);
}

// The inputs and outputs of ShapesProgram with N = 2, T = 4, placed in one piece of memory.
class BufferOverlap : public BindErrors {
 protected:
  static constexpr size_t kBuffers = 6;
  static constexpr const char* kNames[kBuffers] = {"a", "b", "c", "a2", "b2", "c2"};
  static constexpr size_t kBytes[kBuffers] = {32, 108, 16, 32, 108, 16};
  static bool IsOutput(size_t i) { return i >= 3; }

  BufferOverlap() { EXPECT_FLOE_OK(Bind({{2, 4}, {9, 3}, {2}})); }

  Outcome Place(size_t i, size_t offset) {
    offset_[i] = offset;
    char* data = memory_ + offset;
    const auto position = static_cast<uint32_t>(i % 3);
    return IsOutput(i) ? session_.SetOutput(position, data, kBytes[i])
                       : session_.SetInput(position, data, kBytes[i]);
  }
  // By comparing every two of them.
  bool Overlap(size_t i, size_t k) const {
    return offset_[i] < offset_[k] + kBytes[k] && offset_[k] < offset_[i] + kBytes[i];
  }
  std::vector<std::pair<size_t, size_t>> ForbiddenPairs() const {
    std::vector<std::pair<size_t, size_t>> pairs;
    for (size_t i = 0; i < kBuffers; ++i) {
      for (size_t k = i + 1; k < kBuffers; ++k) {
        if (IsOutput(k) && Overlap(i, k)) pairs.emplace_back(i, k);
      }
    }
    return pairs;
  }
  // Runs, and expects what the placement allows.
  void ExpectVerdict() {
    const auto forbidden = ForbiddenPairs();
    const std::vector<char> before(memory_, memory_ + sizeof(memory_));
    const Outcome o = session_.Run();
    ASSERT_EQ(o.ok(), forbidden.empty()) << o.Message();
    if (o.ok()) return;
    EXPECT_EQ(o.code(), FLOE_INVALID_ARGUMENT);
    const std::string message = o.Message();
    EXPECT_TRUE(std::any_of(forbidden.begin(), forbidden.end(), [&](const auto& pair) {
      return message.find(std::string("'") + kNames[pair.first] + "'") != std::string::npos &&
             message.find(std::string("'") + kNames[pair.second] + "'") != std::string::npos;
    })) << message;
    EXPECT_EQ(std::memcmp(before.data(), memory_, before.size()), 0) << "it ran all the same";
  }

  alignas(64) char memory_[1024] = {};
  size_t offset_[kBuffers] = {};
};

TEST_F(BufferOverlap, AnOutputMustNotTouchAnotherBuffer) {
  for (size_t i = 0; i < kBuffers; ++i) ASSERT_FLOE_OK(Place(i, 160 * i));
  ExpectVerdict();
  struct Move {
    size_t buffer, to;
    bool allowed;
  };
  const Move moves[] = {
      {3, 0, false},                                // a2 on a.
      {3, 160 + 104, false},                        // The last bytes of b.
      {3, 160 + 108, true},                         // Right behind b.
      {4, 200, false},                              // Into b, around a2.
      {4, 512, true},        {5, 512 + 96, false},  // The end of b2.
      {5, 640, true},        {0, 160, true},        // Inputs may share memory, ...
      {2, 168, true},        {1, 640, false},       // ... but not with an output.
      {1, 0, true},          {5, 8, false},
  };
  for (const Move& move : moves) {
    const size_t back = offset_[move.buffer];
    ASSERT_FLOE_OK(Place(move.buffer, move.to));
    EXPECT_EQ(ForbiddenPairs().empty(), move.allowed) << kNames[move.buffer] << " " << move.to;
    ExpectVerdict();
    if (!move.allowed) ASSERT_FLOE_OK(Place(move.buffer, back));
    ExpectVerdict();
  }
}

TEST_F(BufferOverlap, EveryOverlapIsFoundAndNothingElse) {
  std::mt19937 random(23);
  int allowed = 0;
  for (int round = 0; round < 3000; ++round) {
    for (size_t i = 0; i < kBuffers; ++i) {
      ASSERT_FLOE_OK(Place(i, 8 * (random() % ((sizeof(memory_) - kBytes[i]) / 8))));
    }
    allowed += ForbiddenPairs().empty() ? 1 : 0;
    ExpectVerdict();
    if (HasFailure()) break;
  }
  EXPECT_GT(allowed, 100);
  EXPECT_LT(allowed, 2900);
}

// Between two calls the buffers overlap; only what a run finds counts.
TEST_F(BufferOverlap, BuffersMayBeExchangedOneByOne) {
  for (size_t i = 0; i < kBuffers; ++i) ASSERT_FLOE_OK(Place(i, 128 * i));
  for (int step = 0; step < 4; ++step) {
    ASSERT_FLOE_OK(session_.Run());
    const size_t input = offset_[0];
    ASSERT_FLOE_OK(Place(0, offset_[3]));
    ASSERT_FLOE_OK(Place(3, input));
  }
}

TEST(BufferOverlapOfEmptyTensors, IsNone) {
  ProgramBuilder b;
  const uint32_t n = b.AddSymbol("N", 0, 8);
  const uint32_t x = b.AddInput("x", DType::kF32, {Dim::Of(n)});
  const uint32_t y = b.AddOutput("y", DType::kF32, {Dim::Of(n)});
  b.AddMethod("main", {x}, {y}, [&] { b.AddInstruction(KernelId::kCopy, {x}, {y}, {}, {}, "c"); });
  const Model model = OpenProgram(b.Build());
  Session session = MakeSession(model);
  std::vector<float> buffer(8);
  ASSERT_FLOE_OK(session.Bind({TensorOf(buffer.data(), {0})}));
  ASSERT_FLOE_OK(session.SetOutput(0, buffer.data(), 0));
  EXPECT_FLOE_OK(session.Run());
  ASSERT_FLOE_OK(session.Bind({TensorOf(buffer.data(), {8})}));
  ASSERT_FLOE_OK(session.SetOutput(0, buffer.data(), 32));
  EXPECT_EQ(session.Run().code(), FLOE_INVALID_ARGUMENT);
}

TEST(OpenErrors, BackendsAndFilesAreNamed) {
  const std::vector<uint8_t> file = FileOf(MlpProgram());
  OpenOptions options;
  options.copy = 1;
  options.backend = "tpu";
  Result<Model> model = Model::Open(file.data(), file.size(), options);
  EXPECT_EQ(model.outcome().code(), FLOE_UNSUPPORTED);
  EXPECT_THAT(model.outcome().Message(), HasSubstr("tpu"));
  options.backend = nullptr;
  options.isa = "mmx";
  model = Model::Open(file.data(), file.size(), options);
  EXPECT_EQ(model.outcome().code(), FLOE_UNSUPPORTED);
  EXPECT_THAT(model.outcome().Message(), HasSubstr("mmx"));
  model = Model::Open("no/such/file.floe");
  EXPECT_EQ(model.outcome().code(), FLOE_NOT_FOUND);
  EXPECT_THAT(model.outcome().Message(), HasSubstr("no/such/file.floe"));
  EXPECT_THAT(model.outcome().Message(), HasSubstr("No such file"));
  model = Model::Open("/");
  EXPECT_EQ(model.outcome().code(), FLOE_IO);
  model = Model::Open("/dev/null");
  EXPECT_EQ(model.outcome().code(), FLOE_IO);
  options = OpenOptions();
  model = Model::Open(file.data() + 1, file.size() - 1, options);
  EXPECT_EQ(model.outcome().code(), FLOE_INVALID_ARGUMENT);
}

TEST(OpenErrors, LimitsAreEnforced) {
  const std::vector<uint8_t> file = FileOf(MlpProgram());
  const auto open = [&](auto change) {
    OpenOptions options;
    options.copy = 1;
    change(options.limits);
    return Model::Open(file.data(), file.size(), options).outcome().code();
  };
  EXPECT_EQ(open([](floe_limits&) {}), FLOE_OK);
  EXPECT_NE(open([](floe_limits& l) { l.max_metadata_bytes = 64; }), FLOE_OK);
  EXPECT_NE(open([](floe_limits& l) { l.max_arena_bytes = 64; }), FLOE_OK);
  EXPECT_NE(open([](floe_limits& l) { l.max_instructions = 2; }), FLOE_OK);
  EXPECT_NE(open([](floe_limits& l) { l.max_work = 10; }), FLOE_OK);
}

}  // namespace
}  // namespace floe::testing
