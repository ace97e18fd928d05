// The standard pipeline on blocks as exporters write them.
#include "absl/strings/str_format.h"
#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

TEST(Pipeline, NamesAreKebabCaseAndUnique) {
  std::set<std::string> names;
  for (const Pass& pass : StandardPipeline()) {
    EXPECT_TRUE(names.insert(pass.name).second) << pass.name;
    for (const char* c = pass.name; *c != 0; ++c) {
      EXPECT_TRUE((*c >= 'a' && *c <= 'z') || *c == '-' || (*c >= '0' && *c <= '9')) << pass.name;
    }
    EXPECT_GT(std::string(pass.description).size(), 10u);
  }
}

TEST(Pipeline, ErrorsNameThePassAndTheHookSeesEach) {
  auto graph = ir::Parse(Graph("%x = input f32[N,4]\n%y = relu(%x)\noutput %y as \"y\""));
  const Pass kPasses[] = {
      {"fine", "does nothing at all", [](ir::Graph&, Report&) { return absl::OkStatus(); }},
      {"breaks", "makes a malformed graph",
       [](ir::Graph& g, Report&) {
         g.nodes().front()->attrs["axis"] = int64_t{1};
         return absl::OkStatus();
       }},
  };
  Report report;
  std::string seen;
  PassOptions options;
  options.after = [&seen](const char* pass, const ir::Graph&) { seen += std::string(pass) + ";"; };
  const absl::Status status = RunPasses(*graph, kPasses, options, report);
  EXPECT_NE(std::string(status.message()).find("pass breaks: relu 'y'"), std::string::npos)
      << status;
  EXPECT_EQ(seen, "fine;");
}

// conv, bn, relu, conv, bn, downsample conv, bn, add, relu, pool, flatten, fc.
const char kResidualBlock[] = R"(
    %x = input f32[N,3,8,8]
    %w1 = constant f32[4,3,3,3] = random 1
    %w2 = constant f32[4,4,3,3] = random 2
    %w3 = constant f32[4,3,1,1] = random 3
    %s = constant f32[4] = random 4 0.5 1.5
    %b = constant f32[4] = random 5
    %m = constant f32[4] = random 6
    %v = constant f32[4] = random 7 0.5 1.5
    %fw = constant f32[5,4] = random 8
    %fb = constant f32[5] = random 9
    %c1 = conv(%x, %w1) {strides=[2,2], pads=[1,1,1,1], dilations=[1,1], groups=1} loc("/conv1")
    %n1 = batch_norm(%c1, %s, %b, %m, %v) {epsilon=1e-5} loc("/bn1")
    %r1 = relu(%n1) loc("/relu1")
    %c2 = conv(%r1, %w2) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1} loc("/conv2")
    %n2 = batch_norm(%c2, %s, %b, %m, %v) {epsilon=1e-5} loc("/bn2")
    %c3 = conv(%x, %w3) {strides=[2,2], pads=[0,0,0,0], dilations=[1,1], groups=1} loc("/down")
    %n3 = batch_norm(%c3, %s, %b, %m, %v) {epsilon=1e-5} loc("/bn3")
    %a = add(%n2, %n3) loc("/add")
    %r2 = relu(%a) loc("/relu2")
    %p = reduce(%r2) {kind=1, axes=[2,3], keepdims=1} loc("/pool")
    %shape = shape_of(%p) {start=0, end=1}
    %minus = constant i64[1] = [-1]
    %to = concat(%shape, %minus) {axis=0}
    %f = reshape(%p) : f32[N,4] loc("/flatten")
    %y = gemm(%f, %fw, %fb) {alpha=1.0, beta=1.0, trans_a=0, trans_b=1} loc("/fc")
    output %y as "logits")";

TEST(Pipeline, ResidualBlock) {
  const auto t = TransformAll(Graph(kResidualBlock));
  EXPECT_EQ(t.ops(), "conv*3 gemm reduce reshape");
  std::string report;
  for (const std::string& line : t.report.lines) report += line + "\n";
  EXPECT_NE(report.find("folded batch_norm '/bn1' into conv '/conv1'"), std::string::npos)
      << report;
  EXPECT_NE(report.find("fused relu '/relu2' into conv '/conv2'"), std::string::npos) << report;
  EXPECT_EQ(t.graph->outputs()[0]->name(), "y");
}

// One post-norm encoder layer as PyTorch's exporter writes it, heads of 3, T and N symbolic.
const char kEncoder[] = R"(
    %x = input f32[N,T,6]
    %mask = input i64[N,T]
    %wq = constant f32[6,6] = random 1
    %wk = constant f32[6,6] = random 2
    %wv = constant f32[6,6] = random 3
    %wo = constant f32[6,6] = random 4
    %b = constant f32[6] = random 5
    %w1 = constant f32[6,12] = random 6
    %b1 = constant f32[12] = random 7
    %w2 = constant f32[12,6] = random 8
    %g = constant f32[6] = random 9 0.5 1.5
    %one = constant f32[] = [1]
    %two = constant f32[] = [2]
    %half = constant f32[] = [0.5]
    %root2 = constant f32[] = [1.41421354]
    %low = constant f32[] = [-2]
    %scale = constant f32[] = [1.7320508]
    %eps = constant f32[] = [1e-5]
    %m4 = reshape(%mask) : i64[N,1,1,T]
    %mf = cast(%m4) {to=1}
    %mi = sub(%one, %mf)
    %bias = mul(%mi, %low)
    %q0 = matmul(%x, %wq)
    %q1 = add(%q0, %b)
    %q2 = reshape(%q1) : f32[N,T,2,3]
    %q = transpose(%q2) {perm=[0,2,1,3]}
    %k0 = matmul(%x, %wk)
    %k1 = add(%b, %k0)
    %k2 = reshape(%k1) : f32[N,T,2,3]
    %k = transpose(%k2) {perm=[0,2,3,1]}
    %v0 = matmul(%x, %wv)
    %v1 = add(%v0, %b)
    %v2 = reshape(%v1) : f32[N,T,2,3]
    %v = transpose(%v2) {perm=[0,2,1,3]}
    %s0 = matmul(%q, %k)
    %s1 = div(%s0, %scale)
    %s2 = add(%s1, %bias)
    %p = softmax(%s2) {axis=3}
    %c0 = matmul(%p, %v)
    %c1 = transpose(%c0) {perm=[0,2,1,3]}
    %c2 = reshape(%c1) : f32[N,T,6]
    %o0 = matmul(%c2, %wo)
    %o1 = add(%o0, %b)
    %o2 = add(%o1, %x)
    %mean = reduce(%o2) {kind=1, axes=[2], keepdims=1}
    %d = sub(%o2, %mean)
    %sq = pow(%d, %two)
    %var = reduce(%sq) {kind=1, axes=[2], keepdims=1}
    %ve = add(%var, %eps)
    %sd = sqrt(%ve)
    %n0 = div(%d, %sd)
    %n1 = mul(%n0, %g)
    %n = add(%n1, %b)
    %f0 = matmul(%n, %w1)
    %f1 = add(%f0, %b1)
    %e0 = div(%f1, %root2)
    %e1 = erf(%e0)
    %e2 = add(%e1, %one)
    %e3 = mul(%f1, %e2)
    %ge = mul(%e3, %half)
    %h0 = matmul(%ge, %w2)
    %h1 = add(%h0, %b)
    %y = add(%h1, %n)
    output %y as "hidden")";

TEST(Pipeline, EncoderLayer) {
  const auto t = TransformAll(Graph(kEncoder), 2e-5);
  // Everything pointwise but the mask went into products, attention and the norm; queries, keys and
  // values are one product.
  EXPECT_EQ(t.ops(), "attention layer_norm matmul*4 pointwise reshape*5 slice*3 transpose*4");
}

TEST(Pipeline, DepthwiseSeparableBlockWithClamp) {
  const auto t = TransformAll(Graph(R"(
    %x = input f32[N,4,6,6]
    %dw = constant f32[4,1,3,3] = random 1
    %pw = constant f32[4,4,1,1] = random 2
    %s = constant f32[4] = random 4 0.5 1.5
    %v = constant f32[4] = random 7 0.5 1.5
    %a = conv(%x, %dw) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=4}
    %b = batch_norm(%a, %s, %s, %v, %v) {epsilon=1e-5}
    %c = clamp(%b) {min=0.0, max=6.0}
    %d = conv(%c, %pw) {strides=[1,1], pads=[0,0,0,0], dilations=[1,1], groups=1}
    %e = batch_norm(%d, %s, %s, %v, %v) {epsilon=1e-5}
    %y = add(%e, %x)
    output %y as "y")"));
  EXPECT_EQ(t.ops(), "conv*2");
}

TEST(Pipeline, PreActivationBlockKeepsItsNorm) {
  const auto t = TransformAll(Graph(R"(
    %x = input f32[N,4,6,6]
    %w = constant f32[4,4,3,3] = random 2
    %s = constant f32[4] = random 4 0.5 1.5
    %v = constant f32[4] = random 7 0.5 1.5
    %b = batch_norm(%x, %s, %s, %v, %v) {epsilon=1e-5}
    %c = relu(%b)
    %d = conv(%c, %w) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}
    %y = add(%d, %x)
    output %y as "y")"));
  EXPECT_EQ(t.ops(), "conv pointwise");
}

TEST(Pipeline, ARecurrentLayerOfWhichOnlyTheStateIsRead) {
  const auto t = TransformAll(Graph(R"(
    %x = input f32[T,N,4]
    %w = constant f32[1,12,4] = random 1
    %r = constant f32[1,12,3] = random 2
    %c = constant f32[3] = random 3
    _, %h, %state = lstm(%x, %w, %r) {hidden=3, direction=0}
    %m = mul(%h, %c)
    %y = reshape(%m) : f32[N,3]
    output %y as "y")"));
  EXPECT_EQ(t.ops(), "lstm pointwise reshape");
  EXPECT_EQ(t.first(OpId::kLstm)->outputs().size(), 2u);
}

// The same graph gives the same text and report, whatever happened before.
TEST(Pipeline, IsDeterministic) {
  std::string first;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<int[]>> noise;  // Shifts addresses.
    for (int i = 0; i < round * 37; ++i)
      noise.push_back(std::make_unique<int[]>(random() % 100 + 1));
    std::string all;
    for (const char* body : {kResidualBlock, kEncoder}) {
      auto graph = ir::Parse(Graph(body));
      Report report;
      ASSERT_TRUE(RunPasses(*graph, StandardPipeline(), {}, report).ok());
      all += ir::ToText(*graph);
      for (const std::string& line : report.lines) all += line + "\n";
    }
    if (round == 0) first = all;
    EXPECT_EQ(all, first);
  }
}

// Running the pipeline on its own result changes nothing more.
TEST(Pipeline, IsIdempotent) {
  for (const char* body : {kResidualBlock, kEncoder}) {
    auto graph = ir::Parse(Graph(body));
    Report report;
    ASSERT_TRUE(RunPasses(*graph, StandardPipeline(), {}, report).ok());
    const std::string once = ir::ToText(*graph);
    ASSERT_TRUE(RunPasses(*graph, StandardPipeline(), {}, report).ok());
    EXPECT_EQ(ir::ToText(*graph), once);
  }
}

TEST(Pipeline, OutputsThatAreInputsOrConstantsStay) {
  const auto t = TransformAll(Graph(R"(
    %x = input f32[N,4]
    %c = constant f32[3] = [1, 2, 3]
    %d = exp(%c)
    %i = identity(%x)
    %s = shape_of(%x) {start=0, end=2}
    %v = shape_of(%x) {start=1, end=2}
    output %x as "x"
    output %d as "d"
    output %i as "i"
    output %s as "s"
    output %v as "v"
    output %c as "c")"));
  EXPECT_EQ(t.ops(), "dims identity");
}

}  // namespace
}  // namespace floe::passes
