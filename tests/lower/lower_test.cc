// Each lowering rule on a small graph: compiled and run on every kernel table against the IR
// evaluator, with the kernels and layouts that the rule should have chosen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "compiler/ir/evaluate.h"
#include "compiler/ir/shapes.h"
#include "tests/lower/compile_testing.h"
#include "tools/cli/inputs.h"

namespace floe::lower {
namespace {

using Ints = std::vector<int64_t>;
using Attrs = std::map<std::string, ir::Attr, std::less<>>;

// Builds typed graphs with random constants.
class Builder {
 public:
  Builder() : graph_(std::make_unique<ir::Graph>()) { graph_->name = "test"; }

  ir::Value* In(const std::string& name, const Ints& dims, DType dtype = DType::kF32) {
    return graph_->AddInput(name, dtype, ir::Shape(dims.begin(), dims.end()));
  }
  ir::Value* Batched(const std::string& name, const Ints& rest) {
    ir::Shape shape = {ir::Dim::OfSymbol(graph_->GetSymbol("N", 1, 5))};
    shape.insert(shape.end(), rest.begin(), rest.end());
    return graph_->AddInput(name, DType::kF32, shape);
  }
  ir::Value* Const(const Ints& dims, float scale = 0.5f) {
    ir::Tensor t(DType::kF32, dims);
    std::normal_distribution<float> normal(0.0f, scale);
    for (int64_t i = 0; i < t.count(); ++i) t.mutable_as<float>()[i] = normal(random_);
    return graph_->AddConstant("c", t);
  }
  ir::Value* Index(const Ints& values) {
    ir::Tensor t(DType::kI64, {static_cast<int64_t>(values.size())});
    std::memcpy(t.mutable_data(), values.data(), values.size() * 8);
    return graph_->AddConstant("i", t);
  }
  std::vector<ir::Value*> Ops(OpId op, std::vector<ir::Value*> inputs, Attrs attrs = {},
                              size_t outputs = 1, const ir::Shape* shape = nullptr) {
    std::vector<std::string> names;
    const std::string base = OpRow(op).name + std::to_string(count_++);
    for (size_t i = 0; i < outputs; ++i) names.push_back(base + "_" + std::to_string(i));
    ir::Node* node = graph_->AddNode(op, std::move(inputs), names, {base, ""});
    node->attrs = std::move(attrs);
    if (shape != nullptr) node->output()->set_type(node->input(0)->dtype(), *shape);
    const absl::Status s = ir::InferNode(*graph_, *node);
    EXPECT_TRUE(s.ok()) << s;
    return node->outputs();
  }
  ir::Value* Op(OpId op, std::vector<ir::Value*> inputs, Attrs attrs = {}) {
    return Ops(op, std::move(inputs), std::move(attrs))[0];
  }
  ir::Value* Reshape(ir::Value* x, const ir::Shape& shape) {
    return Ops(OpId::kReshape, {x}, {}, 1, &shape)[0];
  }
  ir::Value* Conv(ir::Value* x, const Ints& w, int64_t pad, int64_t stride = 1, int64_t groups = 1,
                  bool bias = true) {
    const size_t spatial = w.size() - 2;
    std::vector<ir::Value*> inputs = {x, Const(w)};
    if (bias) inputs.push_back(Const({w[0]}));
    return Op(OpId::kConv, inputs,
              {{"strides", Ints(spatial, stride)},
               {"pads", Ints(2 * spatial, pad)},
               {"dilations", Ints(spatial, 1)},
               {"groups", groups}});
  }
  ir::Value* Relu(ir::Value* x) { return Op(OpId::kRelu, {x}); }
  ir::Value* Transpose(ir::Value* x, const Ints& perm) {
    return Op(OpId::kTranspose, {x}, {{"perm", perm}});
  }
  void Out(ir::Value* v, const std::string& name) { graph_->AddOutput(v, name); }
  std::unique_ptr<ir::Graph> Take() { return std::move(graph_); }

 private:
  std::unique_ptr<ir::Graph> graph_;
  std::mt19937 random_{11};
  int count_ = 0;
};

struct Rule {
  const char* name;
  std::function<void(Builder&)> build;
  std::vector<const char*> kernels;  // Substrings that must appear in the explained lines.
  int instructions = 0;              // 0: not checked.
};

ir::Shape ShapeOf(const Ints& dims) { return ir::Shape(dims.begin(), dims.end()); }

const std::vector<Rule>& Rules() {
  static const auto* rules = new std::vector<Rule>{
      {"conv_relu_is_one_kernel",
       [](Builder& b) {
         b.Out(b.Relu(b.Conv(b.Batched("x", {3, 9, 7}), {20, 3, 3, 3}, 1)), "y");
       },
       {"copy", "conv "},
       3},
      {"residual_block",
       [](Builder& b) {
         ir::Value* x = b.Relu(b.Conv(b.Batched("x", {4, 8, 8}), {16, 4, 3, 3}, 1));
         ir::Value* y = b.Conv(b.Relu(b.Conv(x, {16, 16, 3, 3}, 1)), {16, 16, 3, 3}, 1);
         b.Out(b.Relu(b.Op(OpId::kAdd, {y, x})), "y");
       },
       {"conv "},
       5},
      {"strided_and_grouped_convs",
       [](Builder& b) {
         ir::Value* x = b.Conv(b.In("x", {2, 6, 11, 10}), {18, 2, 3, 3}, 1, 2, 3);
         b.Out(b.Conv(x, {7, 18, 1, 1}, 0, 2, 1, false), "y");
       },
       {"conv "}},
      {"depthwise",
       [](Builder& b) {
         b.Out(b.Relu(b.Conv(b.In("x", {1, 21, 9, 9}), {21, 1, 3, 3}, 1, 1, 21)), "y");
       },
       {"depthwise_conv"}},
      {"conv_1d_is_one_kernel",
       [](Builder& b) {
         b.Out(b.Relu(b.Conv(b.In("x", {2, 5, 17}), {8, 5, 3}, 1)), "y");
       },
       {"conv "}},
      {"pools_and_head",
       [](Builder& b) {
         ir::Value* x = b.Relu(b.Conv(b.Batched("x", {3, 12, 12}), {16, 3, 3, 3}, 1));
         x = b.Op(OpId::kMaxPool, {x},
                  {{"kernel", Ints{3, 3}},
                   {"strides", Ints{2, 2}},
                   {"pads", Ints{1, 1, 1, 1}},
                   {"dilations", Ints{1, 1}},
                   {"ceil_mode", int64_t{0}}});
         x = b.Op(OpId::kReduce, {x},
                  {{"kind", int64_t{1}}, {"axes", Ints{2, 3}}, {"keepdims", int64_t{0}}});
         b.Out(b.Op(OpId::kMatMul, {x, b.Const({16, 10})}), "y");
       },
       {"pool", "reduce", "gemm"}},
      {"attention_reads_and_writes_through_transposes",
       [](Builder& b) {
         ir::Value* x = b.In("x", {2, 6, 32});
         const auto heads = [&](const Ints& perm) {
           ir::Value* v = b.Op(OpId::kMatMul, {x, b.Const({32, 32}, 0.2f)});
           return b.Transpose(b.Reshape(v, ShapeOf({2, 6, 4, 8})), perm);
         };
         ir::Value* q = heads({0, 2, 1, 3});
         ir::Value* k = heads({0, 2, 3, 1});
         ir::Value* v = heads({0, 2, 1, 3});
         ir::Value* p = b.Op(OpId::kSoftmax, {b.Op(OpId::kMatMul, {q, k})}, {{"axis", int64_t{3}}});
         ir::Value* y = b.Transpose(b.Op(OpId::kMatMul, {p, v}), {0, 2, 1, 3});
         b.Out(b.Reshape(y, ShapeOf({2, 6, 32})), "y");
       },
       {"attention", "3 operands read through moves", "result written transposed"},
       3},
      {"attention_of_one_projection_with_shared_heads_and_a_mask",
       [](Builder& b) {
         // 4 heads of queries, then 2 of keys and 2 of values, in one product of 8 * 8.
         ir::Value* x = b.In("x", {2, 6, 32});
         ir::Value* joint = b.Op(OpId::kMatMul, {x, b.Const({32, 64}, 0.2f)});
         const auto part = [&](int64_t first, int64_t heads) {
           const ir::Shape shape = ShapeOf({2, 6, heads * 8});
           ir::Value* v =
               b.Ops(OpId::kSlice, {joint},
                     {{"starts", Ints{0, 0, first * 8}}, {"steps", Ints{1, 1, 1}}}, 1, &shape)[0];
           return b.Transpose(b.Reshape(v, ShapeOf({2, 6, heads, 8})), {0, 2, 1, 3});
         };
         b.Out(b.Op(OpId::kAttention, {part(0, 4), part(4, 2), part(6, 2), b.In("m", {2, 1, 6, 6})},
                    {{"scale", 0.5}, {"causal", int64_t{1}}, {"zero_empty", int64_t{0}}}),
               "y");
       },
       {"attention", "3 operands read through moves", "causal"},
       2},
      {"attention_of_interleaved_parts",
       [](Builder& b) {
         // [B,T,heads,3,size], as some exporters of one projection have it; position first, too.
         ir::Value* x = b.Reshape(b.In("x", {5, 2, 96}), ShapeOf({5, 2, 4, 3, 8}));
         x = b.Transpose(x, {3, 1, 2, 0, 4});
         const auto part = [&](int64_t i) {
           const ir::Shape shape = ShapeOf({1, 2, 4, 5, 8});
           ir::Value* v = b.Ops(OpId::kSlice, {x},
                                {{"starts", Ints{i, 0, 0, 0, 0}}, {"steps", Ints{1, 1, 1, 1, 1}}},
                                1, &shape)[0];
           return b.Reshape(v, ShapeOf({2, 4, 5, 8}));
         };
         b.Out(b.Op(OpId::kAttention, {part(0), part(1), part(2)},
                    {{"scale", 1.0}, {"causal", int64_t{0}}, {"zero_empty", int64_t{0}}}),
               "y");
       },
       {"attention", "3 operands read through moves"},
       1},
      {"attention_of_heads_joined_with_a_symbolic_batch",
       [](Builder& b) {
         // nn.MultiheadAttention: [T,N,E] to [T,N*heads,size], [N*heads,T,size], [N,heads,T,size].
         const ir::Dim n = ir::Dim::OfSymbol(0), joined = *ir::Dim::Mul(n, 4);
         ir::Value* x = b.Transpose(b.Batched("x", {5, 96}), {1, 0, 2});
         const auto part = [&](int64_t i) {
           const ir::Shape cut = {5, n, 32};
           ir::Value* v =
               b.Ops(OpId::kSlice, {x}, {{"starts", Ints{0, 0, 32 * i}}, {"steps", Ints{1, 1, 1}}},
                     1, &cut)[0];
           v = b.Transpose(b.Reshape(v, {5, joined, 8}), {1, 0, 2});
           return b.Reshape(v, {n, 4, 5, 8});
         };
         b.Out(b.Op(OpId::kAttention, {part(0), part(1), part(2)},
                    {{"scale", 1.0}, {"causal", int64_t{0}}, {"zero_empty", int64_t{0}}}),
               "y");
       },
       {"attention", "3 operands read through moves"},
       1},
      {"attention_whose_operands_are_needed_elsewhere",
       [](Builder& b) {
         ir::Value* k = b.Transpose(b.In("k", {2, 5, 3, 8}), {0, 2, 1, 3});
         ir::Value* y = b.Op(OpId::kAttention, {b.In("q", {2, 3, 4, 8}), k, k},
                             {{"scale", 1.0}, {"causal", int64_t{2}}, {"zero_empty", int64_t{0}}});
         b.Out(k, "kt");
         b.Out(b.Op(OpId::kAttention, {y, b.Reshape(k, ShapeOf({2, 3, 5, 8})), k},
                    {{"scale", 1.0}, {"causal", int64_t{0}}, {"zero_empty", int64_t{0}}}),
               "y");
         b.Out(y, "inner");
       },
       {"attention", "transpose"}},
      {"rotary_reads_heads_and_attention_reads_it",
       [](Builder& b) {
         ir::Value* joint = b.Op(OpId::kMatMul, {b.In("x", {2, 6, 32}), b.Const({32, 64}, 0.2f)});
         const auto part = [&](int64_t first, int64_t heads) {
           const ir::Shape shape = ShapeOf({2, 6, heads * 8});
           ir::Value* v =
               b.Ops(OpId::kSlice, {joint},
                     {{"starts", Ints{0, 0, first * 8}}, {"steps", Ints{1, 1, 1}}}, 1, &shape)[0];
           return b.Transpose(b.Reshape(v, ShapeOf({2, 6, heads, 8})), {0, 2, 1, 3});
         };
         ir::Value *cos = b.In("c", {6, 2}), *sin = b.In("s", {2, 1, 1, 2});
         const auto turned = [&](ir::Value* v, int64_t interleaved) {
           return b.Op(OpId::kRotary, {v, cos, sin},
                       {{"interleaved", interleaved}, {"rotated", int64_t{4}}});
         };
         b.Out(b.Op(OpId::kAttention, {turned(part(0, 4), 0), turned(part(4, 2), 1), part(6, 2)},
                    {{"scale", 0.5}, {"causal", int64_t{1}}, {"zero_empty", int64_t{0}}}),
               "y");
       },
       {"rotary", "halves, read through moves", "neighbours, read through moves",
        "1 operands read through moves"},
       4},
      {"rotary_of_other_ranks",
       [](Builder& b) {
         const Attrs attrs = {{"interleaved", int64_t{0}}, {"rotated", int64_t{8}}};
         ir::Value *c = b.In("c", {5, 8}), *s = b.In("s", {5, 8});
         ir::Value* y = b.Op(OpId::kRotary, {b.In("x", {3, 5, 8}), c, s}, attrs);
         b.Out(b.Op(OpId::kRotary, {b.In("u", {5, 8}), c, s}, attrs), "v");
         b.Out(y, "y");
         b.Out(b.Op(OpId::kAdd, {y, y}), "z");
       },
       {"rotary", "halves"}},
      {"rotary_of_five_axes_is_generic",
       [](Builder& b) {
         b.Out(
             b.Op(OpId::kRotary, {b.In("x", {2, 1, 2, 3, 8}), b.In("c", {3, 4}), b.In("s", {3, 4})},
                  {{"interleaved", int64_t{1}}, {"rotated", int64_t{8}}}),
             "y");
       },
       {"generic", "more than 4 axes"}},
      {"products_read_and_write_through_transposes",
       [](Builder& b) {
         ir::Value* q = b.Transpose(b.In("q", {2, 6, 4, 8}), {0, 2, 1, 3});
         ir::Value* k = b.Transpose(b.In("k", {2, 7, 4, 8}), {0, 2, 3, 1});
         b.Out(b.Transpose(b.Op(OpId::kMatMul, {q, k}), {0, 2, 1, 3}), "y");
       },
       {"matmul", "operands read transposed", "result transposed"},
       1},
      {"transposes_that_stay",
       [](Builder& b) {
         b.Out(b.Transpose(b.In("x", {2, 3, 4, 5}), {3, 1, 0, 2}), "y");
       },
       {"transpose"},
       1},
      {"channels_last_movement",
       [](Builder& b) {
         ir::Value* x = b.Conv(b.In("x", {1, 3, 8, 8}), {16, 3, 1, 1}, 0);
         ir::Value* z = b.Op(OpId::kConcat, {x, b.Relu(x)}, {{"axis", int64_t{1}}});
         z = b.Op(OpId::kPad, {z},
                  {{"mode", int64_t{0}},
                   {"before", Ints{0, 0, 1, 2}},
                   {"after", Ints{0, 0, 0, 1}},
                   {"value", 0.25}});
         const ir::Shape sliced = ShapeOf({1, 32, 5, 4});
         z = b.Ops(OpId::kSlice, {z}, {{"starts", Ints{0, 0, 0, 10}}, {"steps", Ints{1, 1, 2, -2}}},
                   1, &sliced)[0];
         b.Out(b.Conv(z, {5, 32, 3, 3}, 1), "y");
       },
       {"concat", "pad", "slice", "channels-last"}},
      {"broadcasts_over_channels_last",
       [](Builder& b) {
         ir::Value* x = b.Conv(b.In("x", {2, 3, 6, 6}), {16, 3, 3, 3}, 1);
         ir::Value* scale =
             b.Op(OpId::kReduce, {x},
                  {{"kind", int64_t{1}}, {"axes", Ints{2, 3}}, {"keepdims", int64_t{1}}});
         scale = b.Op(OpId::kSigmoid, {b.Conv(scale, {16, 16, 1, 1}, 0)});
         ir::Value* y = b.Op(OpId::kMul, {x, scale});
         y = b.Op(OpId::kAdd, {y, b.Const({16, 1, 1})});
         b.Out(b.Op(OpId::kMul, {y, b.Const({6})}), "y");
       },
       {"pointwise"}},
      {"gather_with_constant_indices",
       [](Builder& b) {
         b.Out(
             b.Op(OpId::kGather, {b.In("x", {5, 4}), b.Index({3, -1, 0})}, {{"axis", int64_t{0}}}),
             "y");
       },
       {"gather"}},
      {"outputs_that_are_inputs_aliases_and_twins",
       [](Builder& b) {
         ir::Value* x = b.In("x", {3, 4});
         ir::Value* y = b.Op(OpId::kExp, {x});
         b.Out(x, "same");
         b.Out(b.Reshape(y, ShapeOf({2, 6})), "shaped");
         b.Out(y, "first");
         b.Out(y, "second");
         b.Out(b.Const({2, 2}), "constant");
       },
       {"copy", "pointwise"}},
      {"bidirectional_lstm",
       [](Builder& b) {
         const auto y =
             b.Ops(OpId::kLstm,
                   {b.In("x", {5, 2, 6}), b.Const({2, 36, 6}), b.Const({2, 36, 9}),
                    b.Const({2, 72}), nullptr, b.In("h", {2, 2, 9}), b.In("c", {2, 2, 9})},
                   {{"hidden", int64_t{9}}, {"direction", int64_t{2}}}, 3);
         b.Out(y[0], "y");
         b.Out(y[1], "h_out");
         b.Out(y[2], "c_out");
       },
       {"lstm_recurrence", "gemm", "concat"}},
      {"reverse_lstm_without_states",
       [](Builder& b) {
         const auto y =
             b.Ops(OpId::kLstm, {b.In("x", {4, 3, 5}), b.Const({1, 64, 5}), b.Const({1, 64, 16})},
                   {{"hidden", int64_t{16}}, {"direction", int64_t{1}}}, 3);
         b.Out(y[0], "y");
       },
       {"lstm_recurrence"}},
      {"gru_both_ways_with_states",
       [](Builder& b) {
         const auto y = b.Ops(OpId::kGru,
                              {b.In("x", {5, 2, 6}), b.Const({2, 27, 6}), b.Const({2, 27, 9}),
                               b.Const({2, 54}), nullptr, b.In("h", {2, 2, 9})},
                              {{"hidden", int64_t{9}},
                               {"direction", int64_t{2}},
                               {"linear_before_reset", int64_t{1}}},
                              2);
         b.Out(y[0], "y");
         b.Out(y[1], "h_out");
       },
       {"gated_recurrence", "gemm", "concat"}},
      {"reverse_gru_with_reset_before_the_product",
       [](Builder& b) {
         const auto y = b.Ops(
             OpId::kGru,
             {b.In("x", {4, 3, 5}), b.Const({1, 51, 5}), b.Const({1, 51, 17}), b.Const({1, 102})},
             {{"hidden", int64_t{17}},
              {"direction", int64_t{1}},
              {"linear_before_reset", int64_t{0}}},
             2);
         b.Out(y[0], "y");
         b.Out(y[1], "h_out");
       },
       {"gated_recurrence"}},
      {"rnns",
       [](Builder& b) {
         ir::Value* x = b.In("x", {4, 3, 5});
         for (int64_t activation = 0; activation < 3; ++activation) {
           const auto y = b.Ops(
               OpId::kRnn, {x, b.Const({1, 20, 5}), b.Const({1, 20, 20}, 0.1f), b.Const({1, 40})},
               {{"hidden", int64_t{20}}, {"direction", int64_t{0}}, {"activation", activation}}, 2);
           b.Out(y[0], "y" + std::to_string(activation));
         }
       },
       {"gated_recurrence"}},
      {"integers_run_on_the_reference",
       [](Builder& b) {
         ir::Value* x = b.In("x", {3, 5}, DType::kI64);
         b.Out(b.Op(OpId::kAdd, {x, x}), "y");
       },
       {"generic", "i64"}},
      {"convs_one_after_the_other",
       [](Builder& b) {
         ir::Value* x = b.Relu(b.Conv(b.Batched("x", {6, 9, 7}), {18, 6, 3, 3}, 1));
         x = b.Op(OpId::kSigmoid, {b.Conv(x, {32, 18, 1, 1}, 0)});
         b.Out(b.Conv(x, {20, 32, 3, 3}, 1), "y");
       },
       {"conv "},
       5},
      {"layers_one_after_the_other",
       [](Builder& b) {
         ir::Value* x = b.Relu(b.Op(OpId::kMatMul, {b.Batched("x", {37}), b.Const({37, 64})}));
         x = b.Relu(b.Op(OpId::kMatMul, {x, b.Const({64, 33})}));
         b.Out(b.Op(OpId::kMatMul, {x, b.Const({33, 20})}), "y");
       },
       {"gemm"},
       3},
      {"rows_of_a_table",
       [](Builder& b) {
         b.Out(b.Op(OpId::kGather, {b.Const({300, 24}), b.Index({7, -1, 299})},
                    {{"axis", int64_t{0}}}),
               "y");
         b.Out(b.In("x", {1}), "x");
       },
       {}},
      {"norms",
       [](Builder& b) {
         ir::Value* x = b.In("x", {2, 3, 33});
         b.Out(b.Ops(OpId::kLayerNorm, {x, b.Const({33}), b.Const({33})},
                     {{"axis", int64_t{2}}, {"epsilon", 1e-5}}, 1)[0],
               "layer");
         b.Out(b.Op(OpId::kRmsNorm, {x, b.Const({33})}, {{"axis", int64_t{2}}, {"epsilon", 1e-6}}),
               "rms");
         b.Out(b.Op(OpId::kLogSoftmax, {x}, {{"axis", int64_t{1}}}), "log_softmax");
       },
       {"norm", "softmax"}},
  };
  return *rules;
}

ir::Tensor RandomInput(const ir::Value& v, const std::vector<int64_t>& symbols,
                       std::mt19937* random) {
  Ints dims;
  for (const ir::Dim& d : v.shape()) dims.push_back(d.Eval(symbols));
  ir::Tensor t(v.dtype(), dims);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < t.count(); ++i) {
    if (v.dtype() == DType::kI64) {
      t.mutable_as<int64_t>()[i] = static_cast<int64_t>((*random)() % 2001) - 1000;
    } else {
      t.mutable_as<float>()[i] = normal(*random);
    }
  }
  return t;
}

std::unique_ptr<ir::Graph> Build(const Rule& rule) {
  Builder b;
  rule.build(b);
  return b.Take();
}

void RunOnTable(const Compiled& program, const floe_backend_info& backend,
                const std::vector<ir::Tensor>& inputs, const std::vector<ir::Tensor>& expected,
                double tolerance = 1e-5) {
  auto model = Open(program, On(backend));
  ASSERT_TRUE(model.ok()) << model.outcome().Message();
  auto session = Session::Make(*model);
  ASSERT_TRUE(session.ok());
  const Outcome bound = session->Bind(BindingsOf(inputs));
  ASSERT_TRUE(bound.ok()) << bound.Message();
  const auto buffers = BindPoisonedOutputs(&*session, static_cast<uint32_t>(expected.size()));
  const Outcome ran = session->Run();
  ASSERT_TRUE(ran.ok()) << ran.Message();
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    auto got = session->Output(i);
    ASSERT_TRUE(got.ok());
    double max = 0;
    EXPECT_LE(cli::MaxRelativeError(*got, BindingOf(expected[i]), &max), tolerance)
        << backend.backend << "/" << backend.isa << ", output " << i;
  }
}

class LowerTest : public testing::TestWithParam<Rule> {};

TEST_P(LowerTest, ComputesWhatTheGraphMeansOnEveryTable) {
  const auto graph = Build(GetParam());
  std::mt19937 random(5);
  for (const int64_t n : {1, 3, 5}) {
    const std::vector<int64_t> symbols(graph->symbols.size(), n);
    std::vector<ir::Tensor> inputs;
    for (const ir::Value* v : graph->inputs()) inputs.push_back(RandomInput(*v, symbols, &random));
    auto expected = ir::Evaluate(*graph, inputs);
    ASSERT_TRUE(expected.ok()) << expected.status();
    const auto program = CompileGraph(Build(GetParam()));
    ASSERT_TRUE(program.ok()) << program.status();
    for (const floe_backend_info& backend : AvailableBackends()) {
      RunOnTable(*program, backend, inputs, *expected);
    }
    if (symbols.empty()) break;
  }
}

// With the products' operands rounded (bf16), or their weights (f16). What is no product is as
// before, so the errors are those of a few roundings; tables and the reference round alike.
TEST_P(LowerTest, ComputesInLowerPrecisionsOnEveryTable) {
  const auto graph = Build(GetParam());
  const std::vector<int64_t> symbols(graph->symbols.size(), 3);
  std::mt19937 random(6);
  std::vector<ir::Tensor> inputs;
  for (const ir::Value* v : graph->inputs()) inputs.push_back(RandomInput(*v, symbols, &random));
  auto expected = ir::Evaluate(*graph, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();
  for (const auto& [precision, tolerance] :
       {std::pair{passes::Precision::kBF16, 2e-2}, {passes::Precision::kF16Weights, 2e-3}}) {
    CompileOptions options;
    options.precision = precision;
    const auto program = CompileGraph(Build(GetParam()), options);
    ASSERT_TRUE(program.ok()) << program.status();
    for (const floe_backend_info& backend : AvailableBackends()) {
      RunOnTable(*program, backend, inputs, *expected, tolerance);
    }
  }
}

TEST_P(LowerTest, ChoosesTheKernelsOfTheRule) {
  const auto program = CompileGraph(Build(GetParam()));
  ASSERT_TRUE(program.ok()) << program.status();
  const CompileReport& report = program->report;
  std::string all;
  for (const std::string& line : report.kernels) all += line + "\n";
  for (const char* kernel : GetParam().kernels) EXPECT_THAT(all, testing::HasSubstr(kernel));
  if (GetParam().instructions > 0) {
    EXPECT_EQ(report.instructions, static_cast<size_t>(GetParam().instructions)) << all;
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, LowerTest, testing::ValuesIn(Rules()),
                         [](const testing::TestParamInfo<Rule>& info) {
                           return std::string(info.param.name);
                         });

// What is stored between products of bf16, and what is not; how large the weights become.
TEST(LowerPrecision, RoundsOnceAndHalvesTheWeights) {
  const auto build = [] {
    Builder b;
    ir::Value* x = b.Relu(b.Op(OpId::kMatMul, {b.Batched("x", {64}), b.Const({64, 512})}));
    ir::Value* y = b.Relu(b.Op(OpId::kMatMul, {x, b.Const({512, 256})}));
    b.Out(b.Op(OpId::kMatMul, {y, b.Const({256, 16})}), "narrow");
    b.Out(b.Op(OpId::kReduce, {y},
               {{"kind", int64_t{1}}, {"axes", Ints{1}}, {"keepdims", int64_t{0}}}),
          "wide");
    return b.Take();
  };
  const auto wide = CompileGraph(build());
  ASSERT_TRUE(wide.ok());
  for (const auto precision : {passes::Precision::kBF16, passes::Precision::kF16Weights}) {
    CompileOptions options;
    options.precision = precision;
    const auto narrow = CompileGraph(build(), options);
    ASSERT_TRUE(narrow.ok());
    constexpr size_t kWeights = 64 * 512 + 512 * 256 + 256 * 16;
    // Other sections, such as the map for debuggers, differ by some bytes.
    EXPECT_NEAR(static_cast<double>(wide->report.constant_bytes - narrow->report.constant_bytes),
                kWeights * 2, 1024);
    EXPECT_NEAR(static_cast<double>(wide->bytes.size() - narrow->bytes.size()), kWeights * 2, 4096);
    const bool brain = precision == passes::Precision::kBF16;
    // x, and the second layer's result, which a reduction reads in f32; not the first one's.
    EXPECT_EQ(narrow->report.instructions, wide->report.instructions + (brain ? 2 : 0));
    EXPECT_THAT(narrow->report.passes.lines,
                testing::IsSupersetOf({testing::HasSubstr("stored the weights of matmul"),
                                       testing::HasSubstr("in f32: its sums need f32")}));
    EXPECT_THAT(narrow->report.kernels,
                testing::Contains(testing::HasSubstr(brain ? "of bf16" : "of f16")).Times(3));
  }
}

// What cannot be narrow says why, and stays what it was.
TEST(LowerPrecision, SaysWhatStaysWide) {
  const auto lines = [](const std::function<void(Builder&)>& make, passes::Precision precision) {
    Builder b;
    make(b);
    CompileOptions options;
    options.precision = precision;
    const auto program = CompileGraph(b.Take(), options);
    EXPECT_TRUE(program.ok()) << program.status();
    std::string all;
    for (const std::string& line : program->report.passes.lines) all += line + "\n";
    return all;
  };
  const auto large = [](Builder& b) {
    b.Out(b.Op(OpId::kMatMul, {b.In("x", {2, 8}), b.Const({8, 20}, 3e5f)}), "y");
  };
  EXPECT_THAT(lines(large, passes::Precision::kF16Weights), testing::HasSubstr("beyond f16"));
  EXPECT_THAT(lines(large, passes::Precision::kBF16), testing::HasSubstr("as bf16"));
  const auto one = [](Builder& b) {
    b.Out(b.Conv(b.In("x", {1, 1, 6, 6}), {16, 1, 3, 3}, 1), "y");
  };
  EXPECT_THAT(lines(one, passes::Precision::kBF16), testing::HasSubstr("makes no pairs"));
  EXPECT_THAT(lines(one, passes::Precision::kF16Weights), testing::HasSubstr("as f16"));
  const auto activations = [](Builder& b) {
    ir::Value* x = b.In("x", {4, 4});
    b.Out(b.Op(OpId::kMatMul, {x, x}), "y");
  };
  EXPECT_THAT(lines(activations, passes::Precision::kBF16),
              testing::HasSubstr("a product of two activations"));
}

}  // namespace
}  // namespace floe::lower
