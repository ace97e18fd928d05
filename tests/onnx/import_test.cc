// The importer's own duties: shapes and symbols, scopes, functions, branches, provenance, and what
// it says when something is wrong. import_files_test.cc: what it reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "compiler/ir/evaluate.h"
#include "compiler/ir/verify.h"
#include "tests/onnx/import_testing.h"

namespace floe::onnx {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// --- shapes --------------------------------------------------------------------------------------

TEST(Shapes, ArithmeticOnDimensionsReachesReshape) {
  // [N,T,12] -> [N,T,3,4] -> [N,3,T,4], with N and T read off the input as PyTorch writes it.
  ModelBuilder m(17);
  m.Input("x", {"N", "T", "12"}).Output("y");
  m.Ints("zero", {0}, true).Ints("one", {1}, true).Ints("axis", {0}).Ints("tail", {3, -1});
  m.Node("Shape", {"x"}, {"s"});
  m.Node("Gather", {"s", "zero"}, {"n"}).Node("Gather", {"s", "one"}, {"t"});
  m.Node("Unsqueeze", {"n", "axis"}, {"n1"}).Node("Unsqueeze", {"t", "axis"}, {"t1"});
  m.Node("Concat", {"n1", "t1", "tail"}, {"shape"}, {Attr("axis", int64_t{0})});
  m.Node("Reshape", {"x", "shape"}, {"r"});
  m.Node("Transpose", {"r"}, {"y"}, {Attr("perm", std::vector<int64_t>{0, 2, 1, 3})});
  ImportOptions options;
  options.dims["N"] = {1, 8, 1};
  options.dims["T"] = {1, 512, 8};
  const auto graph = Import(m, options);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(TypeOfOutput(**graph), "f32[N,3,T,4]");
  ASSERT_THAT((*graph)->symbols, SizeIs(2));
  EXPECT_EQ((*graph)->symbols[1].multiple, 8);
  EXPECT_TRUE(ir::Verify(**graph).ok());

  // The same with numbers folds every shape node away.
  options.dims["N"] = {2, 2, 1};
  options.dims["T"] = {5, 5, 1};
  const auto fixed = Import(m, options);
  ASSERT_TRUE(fixed.ok()) << fixed.status();
  EXPECT_EQ(TypeOfOutput(**fixed), "f32[2,3,5,4]");
  EXPECT_THAT((*fixed)->NodeList(), SizeIs(2));
}

TEST(Shapes, DynamicSliceFromTheEndRunsAsGather) {
  ModelBuilder m(13);
  m.Input("x", {"T", "2"}).Output("y");
  m.Ints("s", {-1}).Ints("e", {INT64_MAX}).Ints("a", {0});
  m.Node("Slice", {"x", "s", "e", "a"}, {"y"});
  ImportOptions options;
  options.dims["T"] = {1, 9, 1};
  const auto graph = Import(m, options);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(TypeOfOutput(**graph), "f32[1,2]");
  for (const int64_t t : {1, 3}) {
    std::vector<double> v(static_cast<size_t>(2 * t));
    for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<double>(i) + 1;
    const auto y = ir::Evaluate(**graph, std::vector<ir::Tensor>{Floats({t, 2}, v)});
    ASSERT_TRUE(y.ok()) << y.status();
    EXPECT_THAT(Values((*y)[0]), ElementsAre(2 * t - 1, 2 * t));
  }
}

TEST(Shapes, DynamicTileAndRangeAndExpand) {
  // y[n, t] = t for an input [N, T], built from its shape.
  ModelBuilder m(13);
  m.Input("x", {"N", "T"}).Output("y");
  m.Ints("zero", {0}, true).Ints("one", {1}, true);
  m.Node("Shape", {"x"}, {"s"});
  m.Node("Gather", {"s", "one"}, {"t"}).Node("Range", {"zero", "t", "one"}, {"r"});
  m.Node("Expand", {"r", "s"}, {"e"}).Node("Cast", {"e"}, {"y"}, {Attr("to", int64_t{kFloat})});
  ImportOptions options;
  options.dims["N"] = {1, 4, 1};
  options.dims["T"] = {2, 6, 1};
  const auto graph = Import(m, options);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(TypeOfOutput(**graph), "f32[N,T]");
  const auto y = ir::Evaluate(**graph, std::vector<ir::Tensor>{Floats({2, 3}, {0, 0, 0, 0, 0, 0})});
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_THAT(Values((*y)[0]), ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST(Shapes, SliceThatEndsInsideOrOutsideTakesWhatIsThere) {
  ModelBuilder m(13);
  m.Input("x", {"T"}).Ints("s", {0}).Ints("e", {4}).Output("y");
  m.Node("Slice", {"x", "s", "e"}, {"y"});
  ImportOptions options;
  options.dims["T"] = {1, 9, 1};
  const auto either = Import(m, options);
  ASSERT_TRUE(either.ok()) << either.status();
  EXPECT_EQ(TypeOfOutput(**either), "f32[min(T,4)]");
  options.dims["T"] = {4, 9, 1};
  const auto graph = Import(m, options);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(TypeOfOutput(**graph), "f32[4]");
}

struct BadShape {
  const char* name;
  std::vector<std::string> dims;
  ImportOptions options;
  const char* message;
};

TEST(Shapes, WhatIsMissingOrWrongIsNamed) {
  ImportOptions none, wrong_rank, unknown, negative, stray, empty;
  wrong_rank.shapes["x"] = {{"", 1}};
  unknown.shapes["z"] = {{"", 1}};
  negative.shapes["x"] = {{"", -1}, {"", 2}};
  stray.dims["M"] = {1, 2, 1};
  empty.dims["N"] = {5, 2, 1};
  const std::vector<BadShape> cases = {
      {"no bounds", {"N", "2"}, none, "dynamic dimension 'N', whose bounds must be known"},
      {"no name", {"?", "2"}, none, "axis 0 of input 'x' has neither a size nor a name"},
      {"another rank", {"N", "2"}, wrong_rank, "has rank 2 in the model"},
      {"no such input", {"1", "2"}, unknown, "no such input; it has 'x'"},
      {"negative", {"N", "2"}, negative, "has a negative dimension"},
      {"no such dimension", {"1", "2"}, stray, "no input has it"},
      {"empty bounds", {"N", "2"}, empty, "are empty or negative: 5..2"},
  };
  for (const BadShape& c : cases) {
    ModelBuilder m(13);
    m.Input("x", c.dims).Node("Relu", {"x"}, {"y"}).Output("y");
    const absl::Status status = Import(m, c.options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.name;
    EXPECT_THAT(Message(status), HasSubstr(c.message)) << c.name;
  }
}

TEST(Shapes, GivenShapesReplaceTheFiles) {
  ModelBuilder m(13);
  m.Input("x", {"?", "2"}).Node("Relu", {"x"}, {"y"}).Output("y");
  ImportOptions options;
  options.shapes["x"] = {{"B", 0}, {"", 2}};
  options.dims["B"] = {1, 4, 1};
  const auto graph = Import(m, options);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(TypeOfOutput(**graph), "f32[B,2]");
}

TEST(Shapes, FrozenInputsBecomeConstants) {
  ModelBuilder m(13);
  m.Input("x", {"2", "3"}).Input("axes", {"1"}, kInt64).Output("y");
  m.Node("ReduceSum", {"x", "axes"}, {"y"});
  EXPECT_EQ(Import(m).status().code(), absl::StatusCode::kUnimplemented);
  ImportOptions options;
  ir::Tensor axes(DType::kI64, {1});
  axes.SetInt(0, 1);
  options.frozen["axes"] = axes;
  const auto graph = Import(m, options);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_THAT((*graph)->inputs(), SizeIs(1));
  EXPECT_EQ(TypeOfOutput(**graph), "f32[2,1]");
  options.frozen["axes"] = Floats({1}, {1});
  EXPECT_EQ(Import(m, options).status().code(), absl::StatusCode::kInvalidArgument);
}

// --- graphs and functions ------------------------------------------------------------------------

TEST(Graphs, InitializersThatAreInputsTooAreFrozen) {
  ModelBuilder m(8, 3);
  m.Input("x", {"2"}).Input("w", {"2"}).Floats("w", {2}, {3, 4}).Output("y");
  m.Node("Mul", {"x", "w"}, {"y"});
  const auto graph = Import(m);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_THAT((*graph)->inputs(), SizeIs(1));
  const auto y = ir::Evaluate(**graph, std::vector<ir::Tensor>{Floats({2}, {1, 2})});
  EXPECT_THAT(Values((*y)[0]), ElementsAre(3, 8));
}

TEST(Graphs, NodesMayStandInAnyOrder) {
  ModelBuilder m(13);
  m.Input("x", {"1"}).Output("y");
  m.Node("Exp", {"b"}, {"y"}).Node("Neg", {"a"}, {"b"}).Node("Abs", {"x"}, {"a"});
  const auto graph = Import(m);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ((*graph)->NodeList()[0]->op(), OpId::kAbs);
  EXPECT_EQ((*graph)->NodeList()[2]->op(), OpId::kExp);
}

TEST(Graphs, ContradictionsAreNamed) {
  ModelBuilder cycle(13);
  cycle.Input("x", {"1"}).Output("y");
  cycle.Node("Add", {"x", "b"}, {"a"}).Node("Neg", {"a"}, {"b"}).Node("Neg", {"b"}, {"y"});
  EXPECT_THAT(Message(Import(cycle).status()), HasSubstr("cycle through node 'node_a'"));

  ModelBuilder missing(13);
  missing.Input("x", {"1"}).Node("Add", {"x", "w"}, {"y"}).Output("y");
  EXPECT_THAT(Message(Import(missing).status()),
              HasSubstr("'node_y' reads 'w', which nothing defines"));

  ModelBuilder twice(13);
  twice.Input("x", {"1"}).Node("Neg", {"x"}, {"y"}).Node("Abs", {"x"}, {"y"}).Output("y");
  EXPECT_THAT(Message(Import(twice).status()), HasSubstr("'y', which is defined already"));

  ModelBuilder weights(13);
  weights.Input("x", {"1"}).Floats("w", {1}, {1}).Floats("w", {1}, {2}).Output("x");
  EXPECT_THAT(Message(Import(weights).status()), HasSubstr("two initializers"));

  ModelBuilder shapes(13);
  shapes.Input("a", {"2"}).Input("b", {"3"}).Node("Add", {"a", "b"}, {"y"}).Output("y");
  EXPECT_THAT(Message(Import(shapes).status()),
              AllOf(HasSubstr("node 'node_y' (Add)"), HasSubstr("f32[2]"), HasSubstr("f32[3]")));

  ModelBuilder short_data(13);
  short_data.Input("x", {"2"}).Floats("w", {2}, {1}).Node("Add", {"x", "w"}, {"y"}).Output("y");
  EXPECT_THAT(Message(Import(short_data).status()),
              HasSubstr("tensor 'w' holds 1 values where its shape and type need 2"));

  ModelBuilder huge(13);
  huge.Input("x", {"2"}).Floats("w", {1LL << 40, 1LL << 40}, {}).Output("y");
  huge.Node("Add", {"x", "w"}, {"y"});
  EXPECT_THAT(Message(Import(huge).status()), HasSubstr("the size of tensor 'w' overflows"));

  ModelBuilder no_output(13);
  no_output.Input("x", {"2"}).Node("Neg", {"x"}, {"y"});
  EXPECT_THAT(Message(Import(no_output).status()), HasSubstr("no outputs"));
}

// f(x; alpha) = leaky_relu(x + x, alpha), called with and without its attribute.
ModelBuilder WithFunction(bool pass_attribute) {
  ModelBuilder m(17);
  m.model.add_opset_import()->set_domain("mine");
  m.model.mutable_opset_import(1)->set_version(1);
  FunctionProto& f = *m.model.add_functions();
  f.set_domain("mine");
  f.set_name("F");
  f.add_input("a");
  f.add_output("b");
  *f.add_attribute_proto() = Attr("slope", 0.25f);
  f.add_opset_import()->set_version(17);
  ModelBuilder::Fill(*f.add_node(), "Add", {"a", "a"}, {"t"});
  AttributeProto alpha;
  alpha.set_name("alpha");
  alpha.set_type(1);
  alpha.set_ref_attr_name("slope");
  ModelBuilder::Fill(*f.add_node(), "LeakyRelu", {"t"}, {"b"}, {alpha});
  m.Input("x", {"2"}).Output("y");
  std::vector<AttributeProto> attrs;
  if (pass_attribute) attrs.push_back(Attr("slope", 0.5f));
  m.Node("F", {"x"}, {"y"}, attrs, "mine");
  return m;
}

TEST(Functions, AreInlinedWithTheCallsAttributes) {
  for (const bool pass : {true, false}) {
    const auto graph = Import(WithFunction(pass));
    ASSERT_TRUE(graph.ok()) << graph.status();
    const auto y = ir::Evaluate(**graph, std::vector<ir::Tensor>{Floats({2}, {1, -2})});
    ASSERT_TRUE(y.ok());
    EXPECT_THAT(Values((*y)[0]), ElementsAre(2, pass ? -2 : -1));
    EXPECT_EQ((*graph)->NodeList()[0]->provenance.node, "node_y/node_t");
  }
}

TEST(Functions, ThatCallThemselvesAreRefused) {
  ModelBuilder m = WithFunction(true);
  NodeProto& inner = *m.model.mutable_functions(0)->mutable_node(0);
  inner.set_op_type("F");
  inner.set_domain("mine");
  inner.mutable_input()->RemoveLast();
  EXPECT_THAT(Message(Import(m).status()), HasSubstr("calls itself"));
}

TEST(Functions, InlinedNodesAreCounted) {
  ImportOptions options;
  options.max_nodes = 1;
  const absl::Status status = Import(WithFunction(true), options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
}

TEST(Branches, AreTakenWhereTheShapeDecides) {
  for (const int64_t size : {2, 3}) {
    ModelBuilder m(17);
    m.Input("x", {std::to_string(size)}).Ints("two", {2}, true).Output("y");
    m.Node("Size", {"x"}, {"n"}).Node("Equal", {"n", "two"}, {"c"});
    NodeProto& branch = *m.graph().add_node();
    ModelBuilder::Fill(branch, "If", {"c"}, {"y"});
    for (const char* which : {"then_branch", "else_branch"}) {
      AttributeProto& a = *branch.add_attribute();
      a.set_name(which);
      a.set_type(5);
      const bool then = std::string(which) == "then_branch";
      ModelBuilder::Fill(*a.mutable_g()->add_node(), then ? "Neg" : "Exp", {"x"}, {"r"});
      a.mutable_g()->add_output()->set_name("r");
    }
    const auto graph = Import(m);
    ASSERT_TRUE(graph.ok()) << graph.status();
    ASSERT_THAT((*graph)->NodeList(), SizeIs(1));
    EXPECT_EQ((*graph)->NodeList()[0]->op(), size == 2 ? OpId::kNeg : OpId::kExp);
  }
}

TEST(Provenance, KeepsTheUsersNamesAndLines) {
  ModelBuilder m(17);
  m.Input("x", {"2"}).Output("z").Node("Neg", {"x"}, {"y"}).Node("Exp", {"y"}, {"z"});
  auto& trace = *m.graph().mutable_node(0)->add_metadata_props();
  trace.set_key("pkg.torch.onnx.stack_trace");
  trace.set_value(
      "File \"outer.py\", line 7, in forward\n  f(x)\nFile \"net.py\", line 42, in f\n");
  m.graph().mutable_node(1)->set_doc_string(
      "/usr/lib/python3/site-packages/torch/nn/modules/linear.py(116): forward\n"
      "model.py(9): forward\n");
  const auto graph = Import(m);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const std::vector<ir::Node*> nodes = (*graph)->NodeList();
  EXPECT_EQ(nodes[0]->provenance.node, "node_y");
  EXPECT_EQ(nodes[0]->provenance.source, "net.py:42");
  EXPECT_EQ(nodes[1]->provenance.source, "model.py:9");
  EXPECT_EQ((*graph)->output_names[0], "z");
}

// --- what cannot be mapped -----------------------------------------------------------------------

TEST(Unsupported, IsListedAllAtOnce) {
  ModelBuilder m(17);
  m.Input("x", {"2", "2"}).Output("d");
  m.Node("NonMaxSuppression", {"x"}, {"a"}).Node("Relu", {"a"}, {"b"});
  m.Node("Bernoulli", {"b"}, {"c"}).Node("NonMaxSuppression", {"c"}, {"d"});
  m.Node("LpPool", {"x"}, {"e"}, {Attr("kernel_shape", std::vector<int64_t>{2})});
  m.Node("Neg", {"x"}, {"f"}, {Attr("fancy", int64_t{1})});
  const absl::Status status = Import(m).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << "LpPool of a matrix";
  m.graph().mutable_node(4)->set_op_type("NoSuchOp");
  const std::string text = Message(Import(m).status());
  EXPECT_THAT(text, HasSubstr("NonMaxSuppression (opset 17): has no mapping; 2 nodes: 'node_a', "
                              "'node_d'"));
  EXPECT_THAT(text, HasSubstr("Bernoulli (opset 17)"));
  EXPECT_THAT(text, HasSubstr("NoSuchOp (opset 17)"));
  EXPECT_THAT(text, HasSubstr("Neg (opset 17): attribute 'fancy' has no mapping"));
  EXPECT_EQ(Import(m).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(Unsupported, TopKOfMoreThanThereAre) {
  ModelBuilder m(17);
  m.Input("x", {"2", "3"}).Output("y").Ints("k", {4}).Node("TopK", {"x", "k"}, {"y", "i"});
  const absl::Status status = Import(m).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("k is 4, axis 1 has 3 elements"));
}

TEST(Unsupported, NodesBehindAreJudgedByStatedTypes) {
  ModelBuilder m(17);
  m.Input("x", {"2", "2"}).Output("y");
  m.Node("NonMaxSuppression", {"x"}, {"a"});
  m.Node("LSTM", {"a", "w", "w"}, {"y"}, {Attr("clip", 1.0f)});
  m.Floats("w", {1, 4, 1}, {1, 2, 3, 4});
  EXPECT_THAT(Message(Import(m).status()), testing::Not(HasSubstr("LSTM")));
  ValueInfoProto& info = *m.graph().add_value_info();
  info.set_name("a");
  info.mutable_type()->mutable_tensor_type()->set_elem_type(kFloat);
  for (int i = 0; i < 3; ++i) {
    info.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(1);
  }
  EXPECT_THAT(Message(Import(m).status()), HasSubstr("LSTM (opset 17): clipped gates"));
}

TEST(Unsupported, OtherDomainsNeedAStatedOpset) {
  ModelBuilder m(17);
  m.Input("x", {"2"}).Node("Gelu", {"x"}, {"y"}, {}, "org.example").Output("y");
  EXPECT_THAT(Message(Import(m).status()), HasSubstr("whose opset the model does not state"));
  m.model.mutable_graph()->mutable_node(0)->set_domain("com.microsoft");
  EXPECT_TRUE(Import(m).ok()) << Import(m).status();  // ONNX Runtime's optimiser leaves it out.
  m.model.add_opset_import()->set_domain("com.microsoft");
  m.model.mutable_opset_import(1)->set_version(1);
  EXPECT_TRUE(Import(m).ok()) << Import(m).status();
  m.graph().mutable_node(0)->set_op_type("NoSuchOp");
  EXPECT_THAT(Message(Import(m).status()), HasSubstr("com.microsoft::NoSuchOp (opset 1)"));
}

}  // namespace
}  // namespace floe::onnx
