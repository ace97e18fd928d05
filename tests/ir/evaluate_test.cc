#include "compiler/ir/evaluate.h"

#include "tests/ir/ir_testing.h"

namespace floe::ir {
namespace {

std::vector<Tensor> EvaluateOrFail(const Graph& graph, const std::vector<Tensor>& inputs) {
  auto outputs = Evaluate(graph, inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return outputs.ok() ? *std::move(outputs) : std::vector<Tensor>();
}

TEST(Evaluate, WholeGraphWithSymbols) {
  const auto graph = Parse(R"(graph @g symbols(N: 1..8, T: 1..9) {
    %x = input f32[N,T+1]
    %w = constant f32[1] = [10]
    %y = add(%x, %w)
    %s = shape_of(%x) {start=0, end=2}
    %d = dims() : i64[2] = [2*N+T,7]
    output %y as "y"
    output %s as "s"
    output %y as "again"
    output %d as "d"
    output %x as "x"
  })");
  const auto out =
      EvaluateOrFail(*graph, {MakeTensor<float>(DType::kF32, {3, 2}, {1, 2, 3, 4, 5, 6})});
  ASSERT_EQ(out.size(), 5u);
  const auto expected = MakeTensor<float>(DType::kF32, {3, 2}, {11, 12, 13, 14, 15, 16});
  EXPECT_TRUE(out[0].BytesEqual(expected));
  EXPECT_TRUE(out[1].BytesEqual(MakeTensor<int64_t>(DType::kI64, {2}, {3, 2})));
  EXPECT_TRUE(out[2].BytesEqual(expected));
  EXPECT_TRUE(out[3].BytesEqual(MakeTensor<int64_t>(DType::kI64, {2}, {7, 7})));
  EXPECT_EQ(out[4].dims(), (std::vector<int64_t>{3, 2}));
}

TEST(Evaluate, CodeOfRegionsEpiloguesAndPrologues) {
  const auto graph = Parse(R"(graph @g {
    %x = input f32[2,2]
    %w = constant f32[2,2] = [1, 0, 0, 2]
    %b = constant f32[2] = [100, 200]
    %c = input bool[2]
    %y = matmul(%x, %w | %b, %x) epilogue { r1 = load 0; r0 = add r0 r1; r1 = load 1; r0 = sub r0 r1 }
    %p = pointwise(%x, %c) { r0 = load 0; r1 = load 1; r2 = neg r0; r0 = select r1 r2 r0 }
    %q = pointwise(%x) { r0 = load 0; r1 = const 2.5; r0 = gt r0 r1 } : bool[2,2]
    %soft = softmax(%x |) {axis=1} prologue { r0 = mul_imm r0 0 }
    output %y as "y"
    output %p as "p"
    output %q as "q"
    output %soft as "soft"
  })");
  const auto out = EvaluateOrFail(*graph, {MakeTensor<float>(DType::kF32, {2, 2}, {1, 2, 3, 4}),
                                           MakeTensor<uint8_t>(DType::kBool, {2}, {0, 1})});
  ASSERT_EQ(out.size(), 4u);
  EXPECT_TRUE(out[0].BytesEqual(MakeTensor<float>(DType::kF32, {2, 2}, {100, 202, 100, 204})));
  EXPECT_TRUE(out[1].BytesEqual(MakeTensor<float>(DType::kF32, {2, 2}, {1, -2, 3, -4})));
  EXPECT_TRUE(out[2].BytesEqual(MakeTensor<uint8_t>(DType::kBool, {2, 2}, {0, 0, 1, 1})));
  EXPECT_TRUE(out[3].BytesEqual(MakeTensor<float>(DType::kF32, {2, 2}, {.5, .5, .5, .5})));
}

TEST(Evaluate, RefusesWhatDoesNotFitByName) {
  const auto graph = Parse(R"(graph @g symbols(N: 2..8:2) {
    %x = input f32[N,3]
    %z = input f32[2*N+1]
    %table = constant f32[4,2] = random 1
    %i = input i64[1]
    %y = gather(%table, %i) {axis=0} loc("/lookup")
    output %y as "y"
  })");
  const auto x = [](int64_t n, int64_t c) { return Tensor(DType::kF32, {n, c}); };
  const auto z = [](int64_t n) { return Tensor(DType::kF32, {n}); };
  const auto i = [](int64_t v) { return MakeTensor<int64_t>(DType::kI64, {1}, {v}); };
  const struct {
    std::vector<Tensor> inputs;
    const char* error;
  } kCases[] = {
      {{x(2, 3), z(5)}, "takes 3 inputs, not 2"},
      {{z(2), z(5), i(0)}, "input 'x' is f32 of rank 1, not f32[N,3]"},
      {{x(2, 3), Tensor(DType::kF64, {5}), i(0)}, "input 'z' is f64"},
      {{x(2, 4), z(5), i(0)}, "input 'x': axis 1 is 4, not 3"},
      {{x(10, 3), z(21), i(0)}, "symbol 'N' is 10, which is outside 2..8"},
      {{x(3, 3), z(7), i(0)}, "symbol 'N' is 3"},
      {{x(2, 3), z(7), i(0)}, "input 'z': axis 0 is 7, not 2*N+1"},
      {{x(2, 3), z(5), i(4)}, "gather '/lookup'"},
  };
  for (const auto& c : kCases) {
    const auto out = Evaluate(*graph, c.inputs);
    ASSERT_FALSE(out.ok()) << c.error;
    EXPECT_NE(std::string(out.status().message()).find(c.error), std::string::npos) << out.status();
  }
  EXPECT_TRUE(Evaluate(*graph, std::vector<Tensor>{x(2, 3), z(5), i(3)}).ok());
}

}  // namespace
}  // namespace floe::ir
