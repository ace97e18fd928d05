// fold-constants, remove-identities, cse, dce.
#include <limits>

#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

TEST(FoldConstants, ComputesConstantsAndKeepsTheRest) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,3]
    %a = constant f32[3] = [1, 2, 3]
    %b = constant f32[2,3] = random 1
    %bt = transpose(%b) {perm=[1,0]}
    %e = exp(%a)
    %s = mul(%e, %a)
    %y = mul(%x, %s)
    %z = matmul(%y, %bt)
    output %z as "z"
    output %s as "s")"),
                           {"fold-constants"});
  EXPECT_EQ(t.ops(), "matmul mul");
  EXPECT_TRUE(t.graph->outputs()[1]->is_constant());
  EXPECT_EQ(t.graph->FindValue("a"), nullptr);  // Unused constants are gone.
}

TEST(FoldConstants, DoesNotGrowTheFile) {
  const auto t = Transform(
      "graph @g { %a = constant f32[1] = [2]\n"
      "%big = expand(%a) : f32[1000000]\n"
      "%small = expand(%a) : f32[1000]\n"
      "output %big as \"big\" output %small as \"small\" }",
      {"fold-constants"});
  EXPECT_EQ(t.ops(), "expand");
  EXPECT_FALSE(t.graph->outputs()[0]->is_constant());
}

TEST(FoldConstants, LeavesFailuresToTheRun) {
  auto graph = ir::Parse(
      "graph @g { %t = constant f32[2] = [1, 2] %i = constant i64[1] = [5]\n"
      "%y = gather(%t, %i) {axis=0} output %y as \"y\" }");
  Report report;
  ASSERT_TRUE(FindPass("fold-constants").run(*graph, report).ok());
  EXPECT_EQ(OpsOf(*graph), "gather");
  ASSERT_EQ(report.lines.size(), 1u);
  EXPECT_NE(report.lines[0].find("did not fold gather 'y'"), std::string::npos);
}

TEST(FoldConstants, ShapeArithmeticFallsAway) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,T,6]
    %zero = constant i64[] = [0]
    %two = constant i64[2] = [2, 3]
    %s = shape_of(%x) {start=0, end=3}
    %n = gather(%s, %zero) {axis=0}
    %n1 = reshape(%n) : i64[1]
    %to = concat(%n1, %two) {axis=0}
    %h = exp(%x)
    %y = reshape(%h) : f32[N,T,2,3]
    output %y as "y")"),
                           {"fold-constants", "dce"});
  EXPECT_EQ(t.ops(), "exp reshape");
}

TEST(FoldConstants, NeededContentsBecomeDims) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,T]
    %one = constant i64[] = [1]
    %h = exp(%x)
    %s = shape_of(%h) {start=0, end=2}
    %more = add(%s, %one)
    %i32 = cast(%more) {to=9}
    %zero = constant i64[] = [0]
    %start = constant i64[] = [0]
    %end = gather(%s, %one) {axis=0}
    %range = range(%start, %end, %one) : i64[T]
    output %more as "more"
    output %i32 as "i32"
    output %range as "range")"),
                           {"fold-constants", "dce"});
  EXPECT_EQ(t.ops(), "cast dims*2 range");  // exp is gone: only its shape was needed.
}

TEST(RemoveIdentities, DropsWhatChangesNothing) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,1,4]
    %zero = constant f32[] = [0]
    %one = constant f32[1] = [1]
    %a = identity(%x)
    %b = cast(%a) {to=1}
    %c = reshape(%b) : f32[N,1,4]
    %d = transpose(%c) {perm=[0,1,2]}
    %e = slice(%d) {starts=[0,0,0], steps=[1,1,1]} : f32[N,1,4]
    %f = pad(%e) {mode=0, before=[0,0,0], after=[0,0,0], value=0}
    %g = concat(%f) {axis=1}
    %h = tile(%g) {repeats=[1,1,1]}
    %i = reduce(%h) {kind=1, axes=[], keepdims=1}
    %j = clamp(%i) {min=-inf, max=inf}
    %k = add(%zero, %j)
    %l = mul(%k, %one)
    %m = sub(%l, %zero)
    %n = div(%m, %one)
    %o = pow(%n, %one)
    %p = expand(%o) : f32[N,1,4]
    %y = relu(%p)
    output %y as "y")"),
                           {"remove-identities"});
  EXPECT_EQ(t.ops(), "relu");
}

TEST(RemoveIdentities, KeepsWhatOnlyLooksIdle) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,4]
    %zero = constant f32[1,1,1] = [0]
    %one = constant f32[] = [1]
    %a = add(%x, %zero)
    %b = sub(%zero, %x)
    %c = div(%one, %x)
    %d = reduce(%x) {kind=9, axes=[], keepdims=1}
    %e = slice(%x) {starts=[0,0], steps=[1,1]} : f32[N,3]
    %f = cast(%x) {to=11}
    %y = identity(%x)
    output %a as "a"
    output %b as "b"
    output %c as "c"
    output %d as "d"
    output %e as "e"
    output %f as "f"
    output %y as "y")"),
                           {"remove-identities"});
  // The last one stays too: an output is no input.
  EXPECT_EQ(t.ops(), "add cast div identity reduce slice sub");
}

TEST(RemoveIdentities, JoinsMoves) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,2,3,4]
    %a = transpose(%x) {perm=[0,2,1,3]}
    %b = transpose(%a) {perm=[0,2,1,3]}
    %ya = relu(%b)
    %c = transpose(%x) {perm=[3,0,2,1]}
    %d = transpose(%c) {perm=[1,2,0,3]}
    %e = reshape(%x) : f32[N,6,4]
    %f = reshape(%e) : f32[N,24]
    %g = reshape(%f) : f32[N,2,3,4]
    %yg = relu(%g)
    output %ya as "ya"
    output %d as "d"
    output %f as "f"
    output %yg as "yg")"),
                           {"remove-identities"});
  EXPECT_EQ(t.ops(), "relu*2 reshape transpose");
}

// Keys of attention as PyTorch's exporter writes them: heads are merged into the batch for a
// moment.
TEST(RemoveIdentities, TransposesOfMergedAxesAreTransposesOfTheParts) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,T,2,3]
    %a = transpose(%x) {perm=[0,2,1,3]}
    %b = reshape(%a) : f32[2*N,T,3]
    %c = transpose(%b) {perm=[0,2,1]}
    %d = reshape(%c) : f32[N,2,3,T]
    %y = exp(%d)
    output %y as "y")"),
                           {"remove-identities"});
  EXPECT_EQ(t.ops(), "exp transpose");
  EXPECT_EQ(t.first(OpId::kTranspose)->Ints("perm"), (std::vector<int64_t>{0, 2, 3, 1}));
  const auto other = Transform(Graph(R"(
    %x = input f32[N,4,6]
    %b = reshape(%x) : f32[N,8,3]
    %c = transpose(%b) {perm=[0,2,1]}
    %d = reshape(%c) : f32[N,6,4]
    %y = exp(%d)
    output %y as "y")"),
                               {"remove-identities"});
  EXPECT_EQ(other.ops(), "exp reshape*2 transpose");
}

TEST(RemoveIdentities, MovesOfUnitAxesAreReshapes) {
  const auto t = Transform(Graph(R"(
    %x = input f32[T,1,N,4]
    %a = transpose(%x) {perm=[0,2,1,3]}
    %b = reshape(%a) : f32[T,N,4]
    %y = exp(%b)
    output %y as "y")"),
                           {"remove-identities"});
  EXPECT_EQ(t.ops(), "exp reshape");
}

TEST(RemoveIdentities, ElementwiseOpsBroadcastByThemselves) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,T,4]
    %m = input f32[N,1,1]
    %v = input f32[4]
    %e = expand(%m) : f32[N,T,1]
    %f = expand(%v) : f32[1,T,4]
    %g = expand(%v) : f32[2,4]
    %y = add(%x, %e)
    %z = mul(%y, %f)
    %w = mul(%g, %v)
    output %z as "z"
    output %w as "w")"),
                           {"remove-identities"});
  EXPECT_EQ(t.ops(), "add expand mul*2");  // The one that makes the shape stays.
}

TEST(Cse, MergesEqualNodesAndConstants) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,100]
    %a = constant f32[100] = random 1
    %b = constant f32[100] = random 1
    %c = constant f32[100] = random 2
    %r = mul(%x, %a)
    %s = mul(%b, %x)
    %u = mul(%x, %c)
    %v = sub(%x, %a)
    %w = sub(%b, %x)
    %p = softmax(%r) {axis=1}
    %q = softmax(%s) {axis=1}
    %o = softmax(%s) {axis=0}
    %y = add(%p, %q)
    %z = add(%y, %o)
    %k = add(%z, %u)
    %l = add(%k, %v)
    %m = add(%l, %w)
    output %m as "m")"),
                           {"cse"});
  EXPECT_EQ(t.ops(), "add*5 mul*2 softmax*2 sub*2");
  EXPECT_EQ(t.graph->FindValue("b"), nullptr);
  EXPECT_NE(t.graph->FindValue("c"), nullptr);
}

TEST(Cse, SeesEveryByteOfLargeConstants) {
  auto graph = ir::Parse(Graph("%x = input f32[N,5000]"));
  std::vector<ir::Value*> sums;
  for (int i = 0; i < 3; ++i) {
    ir::Tensor t(DType::kF32, {5000});
    if (i == 1) t.SetDouble(1234, 1.0);  // Between the samples.
    ir::Node* add =
        graph->AddNode(OpId::kAdd, {graph->inputs()[0], graph->AddConstant("c", t)}, {"y"}, {});
    add->output()->set_type(DType::kF32, graph->inputs()[0]->shape());
    sums.push_back(add->output());
  }
  ir::Node* both = graph->AddNode(OpId::kConcat, sums, {"all"}, {});
  both->attrs["axis"] = int64_t{1};
  both->output()->set_type(DType::kF32, {sums[0]->shape()[0], 15000});
  graph->AddOutput(both->output(), "y");
  Report report;
  ASSERT_TRUE(FindPass("cse").run(*graph, report).ok());
  ASSERT_TRUE(ir::Verify(*graph).ok()) << ir::Verify(*graph);
  EXPECT_EQ(OpsOf(*graph), "add*2 concat");
}

TEST(Cse, OutputsStayApart) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,4]
    %a = exp(%x)
    %b = exp(%x)
    %c = exp(%x)
    %y = relu(%c)
    output %a as "a"
    output %b as "b"
    output %y as "y")"),
                           {"cse"});
  EXPECT_EQ(t.ops(), "exp*2 relu");
}

TEST(Dce, DropsNodesResultsAndConstants) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,4,6]
    %w = constant f32[6] = random 1
    %dead = mul(%x, %w)
    %dead2 = exp(%dead)
    %p, %at = max_pool(%x) {kernel=[2], strides=[2], pads=[0,0], dilations=[1], ceil_mode=0}
    %y, %mean, %inv = layer_norm(%p) {axis=2, epsilon=1e-5}
    output %y as "y"
    output %inv as "inv")"),
                           {"dce"});
  EXPECT_EQ(t.ops(), "layer_norm max_pool");
  EXPECT_EQ(t.first(OpId::kMaxPool)->outputs().size(), 1u);
  EXPECT_EQ(t.first(OpId::kLayerNorm)->output(1), nullptr);
  EXPECT_NE(t.first(OpId::kLayerNorm)->output(2), nullptr);
  EXPECT_EQ(t.graph->FindValue("w"), nullptr);
}

}  // namespace
}  // namespace floe::passes
