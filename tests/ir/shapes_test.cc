#include "compiler/ir/shapes.h"

#include "absl/strings/str_format.h"
#include "compiler/ir/shape_rules.h"
#include "compiler/ir/verify.h"
#include "tests/ir/ir_testing.h"

namespace floe::ir {
namespace {

TEST(Shapes, EveryOpHasExactlyOneRule) {
  std::vector<int> rules(static_cast<size_t>(OpId::kCount));
  for (const auto rows : {PointwiseRules(), ReduceRules(), MovementRules(), LinearRules(),
                          NetworkRules(), ControlRules(), QuantizedRules()}) {
    for (const ShapeRuleRow& row : rows) ++rules[static_cast<size_t>(row.op)];
  }
  for (size_t i = 0; i < rules.size(); ++i) {
    EXPECT_EQ(rules[i], 1) << OpRow(static_cast<OpId>(i)).name;
  }
}

struct Case {
  const char* inputs;  // "f32[N,3] i64[2]": values a, b, c, ...
  const char* node;    // "softmax(%a) {axis=1}"
  const char* result;  // The type of result 0, or an error (starts with !).
};

// Builds the graph of a case; the node's results are y, y1, y2.
std::string TextOf(const Case& c) {
  std::string text = "graph @g symbols(N: 1..8, T: 2..512) {\n";
  std::string inputs = c.inputs;
  for (char name = 'a'; !inputs.empty(); ++name) {
    const size_t space = inputs.find(' ');
    text += absl::StrFormat("  %%%c = input %s\n", name, inputs.substr(0, space));
    inputs = space == std::string::npos ? "" : inputs.substr(space + 1);
  }
  return text + "  %y = " + c.node + "\n}";
}

const Case kCases[] = {
    {"f32[N,3] f32[3]", "add(%a, %b)", "f32[N,3]"},
    {"f32[N,1] f32[1,T]", "mul(%a, %b)", "f32[N,T]"},
    {"f32[] f32[T]", "div(%a, %b)", "f32[T]"},
    {"f32[N] f32[T]", "add(%a, %b)", "!shapes [N] and [T] do not broadcast: N against T on axis 0"},
    {"f32[3] f64[3]", "add(%a, %b)", "!dtypes f32 and f64"},
    {"bool[3] bool[3]", "add(%a, %b)", "!is bool, not a number"},
    {"f32[3] i64[]", "pow(%a, %b)", "f32[3]"},
    {"i64[N,1] i64[T]", "less(%a, %b)", "bool[N,T]"},
    {"bool[3] bool[3]", "equal(%a, %b)", "bool[3]"},
    {"i64[3] i64[3]", "logical_and(%a, %b)", "!is i64, not a bool"},
    {"bool[T] f32[N,1] f32[]", "where(%a, %b, %c)", "f32[N,T]"},
    {"i64[3]", "sqrt(%a)", "!is i64, not a float"},
    {"f32[3]", "is_nan(%a)", "bool[3]"},
    {"f32[N]", "cast(%a) {to=11}", "i64[N]"},
    {"f32[N]", "cast(%a) {to=14}", "!14 is no dtype"},
    {"f32[3] f32[2,3]", "prelu(%a, %b)", "!slope does not broadcast"},
    {"f32[N,3,T]", "reduce(%a) {kind=1, axes=[0,2], keepdims=1}", "f32[1,3,1]"},
    {"f32[N,3,T]", "reduce(%a) {kind=1, axes=[0,2], keepdims=0}", "f32[3]"},
    {"f32[N,3,T]", "reduce(%a) {kind=1, axes=[2,0], keepdims=0}", "!not sorted"},
    {"f32[N,3,T]", "reduce(%a) {kind=10, axes=[2], keepdims=0}", "!no kind of reduction"},
    {"f32[N,3]", "arg_reduce(%a) {max=1, axis=1, keepdims=0, select_last_index=0}", "i64[N]"},
    {"f32[N,3]", "cumsum(%a) {axis=2, exclusive=0, reverse=0}", "!axis 2 is outside"},
    {"f32[N,T,768]", "reshape(%a) : f32[N,T,12,64]", "f32[N,T,12,64]"},
    {"f32[N,T,768]", "reshape(%a) : f32[N,768]", "!cannot reshape"},
    {"f32[N,3,T]", "transpose(%a) {perm=[2,0,1]}", "f32[T,N,3]"},
    {"f32[N,3,T]", "transpose(%a) {perm=[2,0,2]}", "!names an axis twice"},
    {"f32[1,3]", "expand(%a) : f32[N,3]", "f32[N,3]"},
    {"f32[2,3]", "expand(%a) : f32[N,3]", "!cannot expand [2,3] to [N,3]"},
    {"f32[T,9]", "slice(%a) {starts=[0,8], steps=[1,-2]} : f32[T-1,5]", "f32[T-1,5]"},
    {"f32[T,9]", "slice(%a) {starts=[0,8], steps=[1,-2]} : f32[T-1,6]", "!do not fit into axis 1"},
    {"f32[T,9]", "slice(%a) {starts=[1,0], steps=[1,1]} : f32[T,9]", "!do not fit into axis 0"},
    {"f32[T,9]", "slice(%a) {starts=[0,0], steps=[0,1]} : f32[T,9]", "!do not fit into axis 0"},
    {"f32[T,9]", "slice(%a) {starts=[0,9], steps=[1,1]} : f32[T,0]", "f32[T,0]"},
    {"f32[N,3] f32[N,T]", "concat(%a, %b) {axis=1}", "f32[N,T+3]"},
    {"f32[N,3] f32[T,3]", "concat(%a, %b) {axis=1}", "!differ on axis 0"},
    {"f32[N,3]", "pad(%a) {mode=0, before=[1,-1], after=[0,-1], value=0}", "f32[N+1,1]"},
    {"f32[N,3]", "pad(%a) {mode=0, before=[-2,0], after=[0,0], value=0}", "!can be negative"},
    {"f32[30,8] i64[N,T]", "gather(%a, %b) {axis=0}", "f32[N,T,8]"},
    {"f32[N,T,8] i64[]", "gather(%a, %b) {axis=1}", "f32[N,8]"},
    {"f32[N,8] f32[]", "gather(%a, %b) {axis=1}", "!not i32 or i64"},
    {"f32[4,N,8] i64[5,2]", "gather_nd(%a, %b) {batch_dims=0}", "f32[5,8]"},
    {"f32[4,6,8] i64[4,5,1]", "gather_nd(%a, %b) {batch_dims=1}", "f32[4,5,8]"},
    {"f32[4,8] i64[3,2] f32[3]", "scatter_nd(%a, %b, %c) {reduction=0}", "f32[4,8]"},
    {"f32[4,8] i64[3,2] f32[4]", "scatter_nd(%a, %b, %c) {reduction=0}", "!has shape [4], not [3]"},
    {"f32[4,8] i64[3,8] f32[3,8]", "scatter_elements(%a, %b, %c) {axis=0, reduction=1}",
     "f32[4,8]"},
    {"f32[4,8] i64[3,2]", "gather_elements(%a, %b) {axis=0}", "f32[3,2]"},
    {"f32[N,2]", "tile(%a) {repeats=[3,2]}", "f32[3*N,4]"},
    {"f32[N,2]", "shape_of(%a) {start=0, end=2}", "i64[2]"},
    {"f32[N,2]", "shape_of(%a) {start=1, end=3}", "!lie outside"},
    {"", "constant_of_shape() {value=1.0} : i64[N]", "i64[N]"},
    {"i64[] i64[] i64[]", "range(%a, %b, %c) : i64[T]", "i64[T]"},
    {"i64[N] f32[2]", "one_hot(%a, %b) {axis=1, depth=5}", "f32[N,5]"},
    {"f32[N,8,3,T]", "depth_to_space(%a) {block=2, crd=0}", "f32[N,2,6,2*T]"},
    {"f32[N,2,6,8]", "space_to_depth(%a) {block=2}", "f32[N,8,3,4]"},
    {"f32[N,1,T,8] f32[4,8,T]", "matmul(%a, %b)", "f32[N,4,T,T]"},
    {"f32[N,8] f32[T,8]", "matmul(%a, %b)", "!inner sizes 8 and T differ"},
    {"f32[8] f32[8,2]", "matmul(%a, %b)", "!rank below 2"},
    {"f32[N,8] f32[5,8] f32[5]", "gemm(%a, %b, %c) {alpha=1.0, beta=1.0, trans_a=0, trans_b=1}",
     "f32[N,5]"},
    {"f32[N,8] f32[5,8] f32[4]", "gemm(%a, %b, %c) {alpha=1.0, beta=1.0, trans_a=0, trans_b=1}",
     "!does not broadcast"},
    {"f32[N,4,9,10] f32[6,2,3,3]",
     "conv(%a, %b) {strides=[2,2], pads=[1,1,1,0], dilations=[1,2], groups=2}", "f32[N,6,5,4]"},
    {"f32[1,3,32,4*T] f32[6,3,3,4]",
     "conv(%a, %b) {strides=[1,4], pads=[1,0,1,0], dilations=[1,1], groups=1}", "f32[1,6,32,T]"},
    {"f32[1,3,32,T] f32[6,3,3,3]",
     "conv(%a, %b) {strides=[2,2], pads=[1,1,1,1], dilations=[1,1], groups=1}",
     "f32[1,6,16,floor((T+1)/2)]"},
    {"f32[1,3,8,8] f32[6,4,3,3]",
     "conv(%a, %b) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}",
     "!x has 3 channels"},
    {"f32[1,3,2,2] f32[6,3,5,5]",
     "conv(%a, %b) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}", "!larger than"},
    {"f32[1,4,5,6] f32[4,3,3,3]",
     "conv_transpose(%a, %b) {strides=[2,2], pads=[1,1,1,1], dilations=[1,1], groups=2, "
     "output_padding=[1,0]}",
     "f32[1,6,10,11]"},
    {"f32[N,3,T] f32[3] f32[3] f32[3] f32[3]", "batch_norm(%a, %b, %c, %d, %e) {epsilon=1e-5}",
     "f32[N,3,T]"},
    {"f32[N,3,T] f32[3] f32[3] f32[4] f32[3]", "batch_norm(%a, %b, %c, %d, %e) {epsilon=1e-5}",
     "!operand 3 has shape [4], not [3]"},
    {"f32[N,T,8] f32[8]", "layer_norm(%a, %b) {axis=2, epsilon=1e-5}", "f32[N,T,8]"},
    {"f32[N,T,8] f32[T]", "rms_norm(%a, %b) {axis=2, epsilon=1e-5}", "!not [8]"},
    {"f32[N,6] f32[6] f32[6]", "group_norm(%a, %b, %c) {epsilon=1e-5, groups=4}", "!no multiple"},
    {"f32[N,3,7,8]",
     "max_pool(%a) {kernel=[3,3], strides=[2,2], pads=[1,1,1,1], dilations=[1,1], ceil_mode=0}",
     "f32[N,3,4,4]"},
    {"f32[N,3,7,8]",
     "max_pool(%a) {kernel=[2,2], strides=[2,2], pads=[0,0,0,0], dilations=[1,1], ceil_mode=1}",
     "f32[N,3,4,4]"},
    // The window that would start in the right padding is dropped.
    {"f32[N,3,4,5]",
     "avg_pool(%a) {kernel=[1,1], strides=[3,3], pads=[0,0,2,1], dilations=[1,1], ceil_mode=1, "
     "count_include_pad=0}",
     "f32[N,3,2,2]"},
    {"f32[T,N,4] f32[2,12,4] f32[2,12,3] f32[2,24]", "lstm(%a, %b, %c, %d) {hidden=3, direction=2}",
     "f32[T,2,N,3]"},
    {"f32[T,N,4] f32[1,9,4] f32[1,9,3]",
     "gru(%a, %b, %c) {hidden=3, direction=0, linear_before_reset=0}", "f32[T,1,N,3]"},
    {"f32[T,N,4] f32[1,9,4] f32[1,9,3]", "lstm(%a, %b, %c) {hidden=3, direction=0}",
     "!not [1,12,4]"},
    {"f16[N,T]", "sort(%a) {axis=1, descending=0}", "f16[N,T]"},
    {"f16[N,T]", "sort(%a) {axis=2, descending=0}", "!axis 2 is outside"},
    {"f32[N,T]", "topk(%a) {k=2, axis=1, largest=1, sorted=1}", "f32[N,2]"},
    {"f32[N,T]", "topk(%a) {k=3, axis=1, largest=1, sorted=1}", "!k is 3, axis 1 has T elements"},
    {"f32[T] f32[N,3]", "searchsorted(%a, %b) {right=0}", "i64[N,3]"},
    {"f32[N,5] f32[N,3]", "searchsorted(%a, %b) {right=0}", "i64[N,3]"},
    {"f32[N,5] f32[T,3]", "searchsorted(%a, %b) {right=0}", "!differ on axis 0"},
    {"f32[N,5] f64[N,3]", "searchsorted(%a, %b) {right=0}", "!two dtypes"},
    {"i64[N,T]", "cumprod(%a) {axis=0, exclusive=0, reverse=1}", "i64[N,T]"},
    {"bool[N,T]", "cummax(%a) {axis=1}", "bool[N,T]"},
    {"i64[N,T]", "logcumsumexp(%a) {axis=1}", "!is i64, not a float"},
    {"i64[N,1] i64[T]", "floor_div(%a, %b)", "i64[N,T]"},
    {"i64[N]", "trunc(%a)", "!is i64, not a float"},
    {"bool[N,T]", "nonzero_static(%a) {size=5, fill_value=-1}", "i64[5,2]"},
    {"bool[N,T]", "nonzero_static(%a) {size=-5, fill_value=-1}", "!size is -5"},
    {"i8[N,T] bool[T] i8[7]", "masked_scatter(%a, %b, %c)", "i8[N,T]"},
    {"i8[N,T] bool[2,N,T] i8[7]", "masked_scatter(%a, %b, %c)", "!does not broadcast to x"},
    {"f32[N,3,T,5] f32[N,2,T,2]", "grid_sample(%a, %b) {mode=0, padding=0, align_corners=0}",
     "f32[N,3,2,T]"},
    {"f32[N,3,T,5] f32[N,2,T,3]", "grid_sample(%a, %b) {mode=0, padding=0, align_corners=0}",
     "!the grid is no [N, ..., 2]"},
    {"f32[N,3,T,5] f32[N,2,T,2]", "grid_sample(%a, %b) {mode=3, padding=0, align_corners=0}",
     "!mode or padding is unknown"},
    {"f32[N,3,7,T]", "im2col(%a) {kernel=[2,3], strides=[2,1], pads=[0,1,0,1], dilations=[1,1]}",
     "f32[N,18,3*T]"},
    {"f32[1,3,N,T]", "im2col(%a) {kernel=[1,1], strides=[1,1], pads=[0,0,0,0], dilations=[1,1]}",
     "f32[1,3,N*T]"},
    {"f32[N,12,6]",
     "col2im(%a) {image=[4,3], kernel=[2,2], strides=[1,1], pads=[0,0,0,0], dilations=[1,1]}",
     "f32[N,3,4,3]"},
    {"f32[N,12,7]",
     "col2im(%a) {image=[4,3], kernel=[2,2], strides=[1,1], pads=[0,0,0,0], dilations=[1,1]}",
     "!x is no [N, channels * 4, 6]"},
    {"f32[N,T,T]", "cholesky(%a) {upper=0}", "f32[N,T,T]"},
    {"f32[N,T,3]", "cholesky(%a) {upper=0}", "!not square"},
    {"f32[N,4,4] f32[N,4,T]", "solve(%a, %b)", "f32[N,4,T]"},
    {"f32[N,4,4] f32[T,4,1]", "solve(%a, %b)", "!differ on axis 0"},
    {"f32[N,4,4] f64[N,4,1]", "triangular_solve(%a, %b) {upper=0, unit_diagonal=0}",
     "!operand 1 is f64"},
    {"f32[N,4,4]", "det(%a)", "f32[N]"},
    {"f32[N,T,2]", "qr(%a)", "f32[N,T,2]"},
    {"f32[N,T]", "qr(%a)", "!depends on the symbols"},
    {"f32[N,T,T]", "eigh(%a) {upper=1}", "f32[N,T]"},
    {"f32[N,1,T]", "svd(%a)", "f32[N,1,1]"},
    {"i32[4]", "svd(%a)", "!is i32, not a float"},
    {"f32[4]", "svd(%a)", "!rank below 2"},
    {"f32[N,3] i32[1]", "pointwise(%a, %b) { r0 = load 0; r1 = load 1; r0 = add r0 r1 }",
     "f32[N,3]"},
};

TEST(Shapes, Rules) {
  for (const Case& c : kCases) {
    const auto graph = ParseText(TextOf(c));
    const bool fails = c.result[0] == '!';
    if (fails) {
      ASSERT_FALSE(graph.ok()) << TextOf(c);
      EXPECT_NE(std::string(graph.status().message()).find(c.result + 1), std::string::npos)
          << graph.status();
    } else {
      ASSERT_TRUE(graph.ok()) << graph.status() << TextOf(c);
      EXPECT_EQ(TypeToString(**graph, *(*graph)->FindValue("y")), c.result) << c.node;
    }
  }
}

TEST(Shapes, LaterResults) {
  const auto graph = Parse(R"(graph @g symbols(N: 1..8) {
    %x = input f32[N,5,6]
    %y, %mean, %inv = layer_norm(%x) {axis=1, epsilon=1e-5}
    %z = input f32[3,N,4]
    %w = input f32[1,8,4]
    %r = input f32[1,8,2]
    %s, %h, %c = lstm(%z, %w, %r) {hidden=2, direction=1}
    %i = input f32[N,2,4]
    %square = input f32[N,4,3,3]
    %v, %order = sort(%i) {axis=1, descending=1}
    %best, %where = topk(%i) {k=2, axis=2, largest=1, sorted=1}
    %m, %last = cummin(%i) {axis=1}
    %u, %values, %vh = svd(%i)
    %q, %rest = qr(%i)
    %d, %sign, %log = det(%square)
    %p, %at = max_pool(%i) {kernel=[2], strides=[2], pads=[0,0], dilations=[1], ceil_mode=0}
  })");
  const auto type = [&](const char* name) { return TypeToString(*graph, *graph->FindValue(name)); };
  EXPECT_EQ(type("mean"), "f32[N,1,1]");
  EXPECT_EQ(type("inv"), "f32[N,1,1]");
  EXPECT_EQ(type("h"), "f32[1,N,2]");
  EXPECT_EQ(type("c"), "f32[1,N,2]");
  EXPECT_EQ(type("at"), "i64[N,2,2]");
  EXPECT_EQ(type("order"), "i64[N,2,4]");
  EXPECT_EQ(type("where"), "i64[N,2,2]");
  EXPECT_EQ(type("last"), "i64[N,2,4]");
  EXPECT_EQ(type("values"), "f32[N,2]");
  EXPECT_EQ(type("vh"), "f32[N,2,4]");
  EXPECT_EQ(type("rest"), "f32[N,2,4]");
  EXPECT_EQ(type("log"), "f32[N,4]");
}

TEST(Shapes, MissingAttributesAreRefused) {
  Graph g;
  Node* n = g.AddNode(OpId::kSoftmax, {g.AddInput("x", DType::kF32, {3})}, {"y"}, {});
  const absl::Status s = InferNode(g, *n);
  EXPECT_NE(std::string(s.message()).find("attribute 'axis' is missing"), std::string::npos) << s;
}

}  // namespace
}  // namespace floe::ir
