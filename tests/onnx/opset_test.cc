// Ops whose form changed between opsets: each form in each opset that has it, against numbers
// worked out by hand. One row per form; the model is built for every opset of the row's range.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "compiler/import/onnx/import.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/verify.h"
#include "tests/onnx/model_builder.h"

namespace floe::onnx {
namespace {

struct Form {
  const char* name;
  int first, last;                           // Opsets.
  std::function<void(ModelBuilder&)> build;  // From input x f32[2,3] to output y.
  std::vector<int64_t> dims;
  std::vector<float> y;
};

// x = [[1, -2, 3], [-4, 5, -6]]
const std::vector<float> kX = {1, -2, 3, -4, 5, -6};

std::vector<Form> Forms() {
  const auto node = [](const char* op, std::vector<std::string> inputs,
                       std::vector<AttributeProto> attrs) {
    return [=](ModelBuilder& m) { m.Node(op, inputs, {"y"}, attrs); };
  };
  const auto with_ints = [](const char* op, std::vector<int64_t> ints,
                            std::vector<AttributeProto> attrs) {
    return [=](ModelBuilder& m) { m.Ints("ints", ints).Node(op, {"x", "ints"}, {"y"}, attrs); };
  };
  return {
      {"clip attributes",
       7,
       10,
       node("Clip", {"x"}, {Attr("min", -2.0f), Attr("max", 3.0f)}),
       {2, 3},
       {1, -2, 3, -2, 3, -2}},
      {"clip inputs",
       11,
       27,
       [](ModelBuilder& m) {
         m.Floats("lo", {}, {-2}).Floats("hi", {}, {3}).Node("Clip", {"x", "lo", "hi"}, {"y"});
       },
       {2, 3},
       {1, -2, 3, -2, 3, -2}},
      {"clip without a minimum",
       11,
       27,
       [](ModelBuilder& m) {
         m.Floats("hi", {}, {3}).Node("Clip", {"x", "", "hi"}, {"y"});
       },
       {2, 3},
       {1, -2, 3, -4, 3, -6}},
      {"softmax over the flattened tail",
       7,
       12,
       node("Softmax", {"x"}, {Attr("axis", int64_t{0})}),
       {2, 3},
       {0.0158618f, 0.0007897f, 0.1172036f, 0.0001069f, 0.8660236f, 0.0000145f}},
      {"softmax along an axis",
       13,
       27,
       node("Softmax", {"x"}, {Attr("axis", int64_t{0})}),
       {2, 3},
       {0.9933071f, 0.0009111f, 0.9998766f, 0.0066929f, 0.9990889f, 0.0001234f}},
      {"sum axes attribute",
       7,
       12,
       node("ReduceSum", {"x"},
            {Attr("axes", std::vector<int64_t>{1}), Attr("keepdims", int64_t{0})}),
       {2},
       {2, -5}},
      {"sum axes input",
       13,
       27,
       with_ints("ReduceSum", {-1}, {Attr("keepdims", int64_t{0})}),
       {2},
       {2, -5}},
      {"sum of everything", 7, 27, node("ReduceSum", {"x"}, {}), {1, 1}, {-3}},
      {"sum of nothing",
       13,
       27,
       node("ReduceSum", {"x"}, {Attr("noop_with_empty_axes", int64_t{1})}),
       {2, 3},
       kX},
      {"mean axes attribute",
       7,
       17,
       node("ReduceMean", {"x"}, {Attr("axes", std::vector<int64_t>{-2})}),
       {1, 3},
       {-1.5f, 1.5f, -1.5f}},
      {"mean axes input", 18, 27, with_ints("ReduceMean", {0}, {}), {1, 3}, {-1.5f, 1.5f, -1.5f}},
      {"unsqueeze attribute",
       7,
       12,
       node("Unsqueeze", {"x"}, {Attr("axes", std::vector<int64_t>{0, 2})}),
       {1, 2, 1, 3},
       kX},
      {"unsqueeze input", 13, 27, with_ints("Unsqueeze", {0, -2}, {}), {1, 2, 1, 3}, kX},
      {"squeeze attribute",
       7,
       12,
       [](ModelBuilder& m) {
         m.Node("Unsqueeze", {"x"}, {"t"}, {Attr("axes", std::vector<int64_t>{0, 3})});
         m.Node("Squeeze", {"t"}, {"y"}, {Attr("axes", std::vector<int64_t>{3})});
       },
       {1, 2, 3},
       kX},
      {"squeeze input",
       13,
       27,
       [](ModelBuilder& m) {
         m.Ints("a", {0, 3}).Ints("b", {-1});
         m.Node("Unsqueeze", {"x", "a"}, {"t"}).Node("Squeeze", {"t", "b"}, {"y"});
       },
       {1, 2, 3},
       kX},
      {"slice attributes",
       7,
       9,
       node("Slice", {"x"},
            {Attr("starts", std::vector<int64_t>{-2}),
             Attr("ends", std::vector<int64_t>{INT64_MAX}), Attr("axes", std::vector<int64_t>{1})}),
       {2, 2},
       {-2, 3, 5, -6}},
      {"slice inputs",
       10,
       27,
       [](ModelBuilder& m) {
         m.Ints("s", {2}).Ints("e", {INT64_MIN}).Ints("a", {-1}).Ints("t", {-2});
         m.Node("Slice", {"x", "s", "e", "a", "t"}, {"y"});
       },
       {2, 2},
       {3, 1, -6, -4}},
      {"split attribute",
       7,
       12,
       [](ModelBuilder& m) {
         m.Node("Split", {"x"}, {"p", "y"},
                {Attr("axis", int64_t{1}), Attr("split", std::vector<int64_t>{1, 2})});
       },
       {2, 2},
       {-2, 3, 5, -6}},
      {"split input",
       13,
       27,
       [](ModelBuilder& m) {
         m.Ints("s", {1, 2}).Node("Split", {"x", "s"}, {"p", "y"}, {Attr("axis", int64_t{-1})});
       },
       {2, 2},
       {-2, 3, 5, -6}},
      {"split in equal parts",
       7,
       17,
       [](ModelBuilder& m) {
         m.Node("Split", {"x"}, {"y", "p"});
       },
       {1, 3},
       {1, -2, 3}},
      {"split into a number of parts",
       18,
       27,
       [](ModelBuilder& m) {
         m.Node("Split", {"x"}, {"p", "y"},
                {Attr("axis", int64_t{1}), Attr("num_outputs", int64_t{2})});
       },
       {2, 1},
       {3, -6}},
      {"pad attributes",
       7,
       10,
       node("Pad", {"x"}, {Attr("pads", std::vector<int64_t>{0, 1, 0, -1}), Attr("value", 9.0f)}),
       {2, 3},
       {9, 1, -2, 9, -4, 5}},
      {"pad inputs",
       11,
       27,
       [](ModelBuilder& m) {
         m.Ints("p", {0, 1, 0, -1}).Floats("v", {}, {9}).Node("Pad", {"x", "p", "v"}, {"y"});
       },
       {2, 3},
       {9, 1, -2, 9, -4, 5}},
      {"pad some axes",
       18,
       27,
       [](ModelBuilder& m) {
         m.Ints("p", {1, -1}).Ints("a", {-1});
         m.Node("Pad", {"x", "p", "", "a"}, {"y"}, {Attr("mode", "edge")});
       },
       {2, 3},
       {1, 1, -2, -4, -4, 5}},
      {"pad around",
       19,
       27,
       [](ModelBuilder& m) {
         m.Ints("p", {0, 1, 0, 0}).Node("Pad", {"x", "p"}, {"y"}, {Attr("mode", "wrap")});
       },
       {2, 4},
       {3, 1, -2, 3, -6, -4, 5, -6}},
      {"reshape", 7, 27, with_ints("Reshape", {0, -1, 1}, {}), {2, 3, 1}, kX},
      {"dropout", 7, 11, node("Dropout", {"x"}, {Attr("ratio", 0.7f)}), {2, 3}, kX},
      {"dropout inputs",
       12,
       27,
       [](ModelBuilder& m) {
         m.Floats("r", {}, {0.7f}).Node("Dropout", {"x", "r"}, {"y"});
       },
       {2, 3},
       kX},
      {"argmax",
       7,
       27,
       [](ModelBuilder& m) {
         m.Node("ArgMax", {"x"}, {"i"}, {Attr("axis", int64_t{1}), Attr("keepdims", int64_t{0})});
         m.Node("Cast", {"i"}, {"y"}, {Attr("to", int64_t{kFloat})});
       },
       {2},
       {2, 1}},
      {"batch norm",
       7,
       27,
       [](ModelBuilder& m) {
         m.Floats("s", {3}, {1, 2, 3}).Floats("b", {3}, {0, 1, 0}).Floats("m", {3}, {1, 1, 0});
         m.Floats("v", {3}, {1, 4, 9});
         m.Node("BatchNormalization", {"x", "s", "b", "m", "v"}, {"y"}, {Attr("epsilon", 0.0f)});
       },
       {2, 3},
       {0, -2, 3, -5, 5, -6}},
      {"gemm",
       7,
       27,
       [](ModelBuilder& m) {
         m.Floats("w", {3}, {1, 1, 1}).Ints("shape", {1, 3}).Node("Reshape", {"w", "shape"}, {"r"});
         m.Floats("c", {1}, {10});
         m.Node("Gemm", {"x", "r", "c"}, {"y"},
                {Attr("transB", int64_t{1}), Attr("alpha", 2.0f), Attr("beta", 0.5f)});
       },
       {2, 1},
       {9, -5}},
      {"max",
       8,
       27,
       [](ModelBuilder& m) {
         m.Floats("a", {1, 3}, {0, 0, 4}).Floats("b", {2, 1}, {2, -9});
         m.Node("Max", {"x", "a", "b"}, {"y"});
       },
       {2, 3},
       {2, 2, 4, 0, 5, 4}},
      {"hard swish, as function and op",
       14,
       27,
       node("HardSwish", {"x"}, {}),
       {2, 3},
       {2.0f / 3, -1.0f / 3, 3, 0, 5, 0}},
      {"cumsum",
       11,
       27,
       [](ModelBuilder& m) {
         m.Ints("a", {1}, true).Node("CumSum", {"x", "a"}, {"y"}, {Attr("reverse", int64_t{1})});
       },
       {2, 3},
       {2, 1, 3, -5, -1, -6}},
      {"cumprod",
       26,
       27,
       [](ModelBuilder& m) {
         m.Ints("a", {1}, true).Node("CumProd", {"x", "a"}, {"y"}, {Attr("exclusive", int64_t{1})});
       },
       {2, 3},
       {1, 1, -2, 1, -4, -20}},
      {"topk attribute", 7, 9, node("TopK", {"x"}, {Attr("k", int64_t{2})}), {2, 2}, {3, 1, 5, -4}},
      {"topk input", 10, 27, with_ints("TopK", {1}, {Attr("axis", int64_t{0})}), {1, 3}, {1, 5, 3}},
      {"topk of the smallest",
       11,
       27,
       with_ints("TopK", {2}, {Attr("largest", int64_t{0}), Attr("sorted", int64_t{0})}),
       {2, 2},
       {-2, 1, -6, -4}},
      {"matmul with a vector",
       7,
       27,
       [](ModelBuilder& m) {
         m.Floats("v", {3}, {1, 0, 1}).Node("MatMul", {"x", "v"}, {"y"});
       },
       {2},
       {4, -10}},
      {"where",
       9,
       27,
       [](ModelBuilder& m) {
         m.Floats("z", {}, {0}).Node("Greater", {"x", "z"}, {"c"});
         m.Node("Where", {"c", "x", "z"}, {"y"});
       },
       {2, 3},
       {1, 0, 3, 0, 5, 0}},
      {"global average",
       7,
       27,
       [](ModelBuilder& m) {
         m.Ints("s", {1, 2, 3, 1}).Node("Reshape", {"x", "s"}, {"t"});
         m.Node("GlobalAveragePool", {"t"}, {"y"});
       },
       {1, 2, 1, 1},
       {2.0f / 3, -5.0f / 3}},
      {"average pool, same size",
       7,
       27,
       [](ModelBuilder& m) {
         m.Ints("s", {1, 2, 3}).Node("Reshape", {"x", "s"}, {"t"});
         m.Node("AveragePool", {"t"}, {"y"},
                {Attr("kernel_shape", std::vector<int64_t>{2}), Attr("auto_pad", "SAME_UPPER")});
       },
       {1, 2, 3},
       {-0.5f, 0.5f, 3, 0.5f, -0.5f, -6}},
      {"one hot",
       9,
       27,
       [](ModelBuilder& m) {
         m.Node("ArgMax", {"x"}, {"i"}, {Attr("axis", int64_t{1}), Attr("keepdims", int64_t{0})});
         m.Ints("d", {3}, true).Floats("v", {2}, {-1, 8}).Node("OneHot", {"i", "d", "v"}, {"y"});
       },
       {2, 3},
       {-1, -1, 8, -1, 8, -1}},
      {"upsample attribute",
       7,
       8,
       [](ModelBuilder& m) {
         AttributeProto scales;
         scales.set_name("scales");
         scales.set_type(6);
         scales.add_floats(1);
         scales.add_floats(2);
         m.Node("Upsample", {"x"}, {"y"}, {scales, Attr("mode", "nearest")});
       },
       {2, 6},
       {1, 1, -2, -2, 3, 3, -4, -4, 5, 5, -6, -6}},
      {"upsample input",
       9,
       10,
       [](ModelBuilder& m) {
         m.Floats("s", {2}, {1, 2}).Node("Upsample", {"x", "s"}, {"y"}, {Attr("mode", "linear")});
       },
       {2, 6},
       {1, -0.5f, -2, 0.5f, 3, 3, -4, 0.5f, 5, -0.5f, -6, -6}},
      {"resize by scales",
       11,
       27,
       [](ModelBuilder& m) {
         m.Floats("r", {0}, {}).Floats("s", {2}, {2, 1});
         m.Node("Resize", {"x", "r", "s"}, {"y"}, {Attr("mode", "linear")});
       },
       {4, 3},
       {1, -2, 3, -0.25f, -0.25f, 0.75f, -2.75f, 3.25f, -3.75f, -4, 5, -6}},
      {"resize to sizes",
       13,
       27,
       [](ModelBuilder& m) {
         m.Ints("n", {2, 2})
             .Node("Resize", {"x", "", "", "n"}, {"y"},
                   {Attr("coordinate_transformation_mode", "align_corners"),
                    Attr("mode", "nearest")});
       },
       {2, 2},
       {1, 3, -4, -6}},
      {"group norm",
       21,
       27,
       [](ModelBuilder& m) {
         m.Floats("s", {3}, {1, 1, 2}).Floats("b", {3}, {0, 0, 1});
         m.Node("GroupNormalization", {"x", "s", "b"}, {"y"},
                {Attr("num_groups", int64_t{3}), Attr("epsilon", 1.0f)});
       },
       {2, 3},
       {0, 0, 1, 0, 0, 1}},
      {"group norm, a scale for each group",
       18,
       20,
       [](ModelBuilder& m) {
         m.Floats("s", {1}, {2}).Floats("b", {1}, {1}).Ints("t", {1, 2, 3});
         m.Node("Reshape", {"x", "t"}, {"r"});
         m.Node("GroupNormalization", {"r", "s", "b"}, {"g"},
                {Attr("num_groups", int64_t{1}), Attr("epsilon", 0.0f)});
         m.Node("ReduceMean", {"g"}, {"y"}, {Attr("keepdims", int64_t{0})});
       },
       {},
       {1}},
  };
}

TEST(Opsets, EveryFormInEveryOpsetThatHasIt) {
  int models = 0;
  ir::Tensor x(DType::kF32, {2, 3});
  for (size_t i = 0; i < kX.size(); ++i) x.SetDouble(static_cast<int64_t>(i), kX[i]);
  for (const Form& form : Forms()) {
    for (int opset = form.first; opset <= form.last; ++opset) {
      SCOPED_TRACE(std::string(form.name) + " in opset " + std::to_string(opset));
      ModelBuilder m(opset, opset < 9 ? 3 : 8);
      m.Input("x", {"2", "3"}).Output("y");
      form.build(m);
      const auto graph = ImportOnnxFromMemory(m.Bytes(), nullptr);
      ASSERT_TRUE(graph.ok()) << graph.status();
      ASSERT_TRUE(ir::Verify(**graph).ok());
      const auto y = ir::Evaluate(**graph, std::vector<ir::Tensor>{x});
      ASSERT_TRUE(y.ok()) << y.status();
      ASSERT_EQ((*y)[0].dims(), form.dims);
      for (size_t i = 0; i < form.y.size(); ++i) {
        EXPECT_NEAR((*y)[0].DoubleAt(static_cast<int64_t>(i)), form.y[i], 2e-6) << i;
      }
      ++models;
    }
  }
  EXPECT_GT(models, 500);
}

TEST(Opsets, OthersAreRefusedByNumber) {
  for (const int opset : {6, 28}) {
    ModelBuilder m(opset);
    m.Input("x", {"2"}).Node("Relu", {"x"}, {"y"}).Output("y");
    const auto graph = ImportOnnxFromMemory(m.Bytes(), nullptr);
    EXPECT_EQ(graph.status().code(), absl::StatusCode::kUnimplemented);
    EXPECT_NE(std::string(graph.status().message()).find("opset " + std::to_string(opset)),
              std::string::npos)
        << graph.status();
  }
}

TEST(Opsets, AnOpIsUnknownBeforeItsFirstVersion) {
  ModelBuilder m(13);
  m.Input("x", {"2"}).Node("HardSwish", {"x"}, {"y"}).Output("y");
  const auto graph = ImportOnnxFromMemory(m.Bytes(), nullptr);
  EXPECT_EQ(graph.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(std::string(graph.status().message()).find("HardSwish (opset 13)"), std::string::npos);
}

}  // namespace
}  // namespace floe::onnx
