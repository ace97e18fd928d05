// Hand-made archives: options, bounds, guards, states, and every refusal.
#include "compiler/import/torch_export/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/ir/evaluate.h"
#include "compiler/ir/verify.h"
#include "tests/torch_export/model_json.h"

namespace floe::torch_export {
namespace {

using ::floe::testing::BlobOf;
using ::floe::testing::Json;
using ::floe::testing::MakeZip;
using ::floe::testing::ModelJson;
using ::floe::testing::TensorArg;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<std::unique_ptr<ir::Graph>> Import(const ModelJson& model,
                                                  const ImportOptions& options = {}) {
  return ImportTorchExportFromMemory(BlobOf(model.Archive()), options);
}

std::string ErrorOf(const ModelJson& model, const ImportOptions& options = {}) {
  const auto graph = Import(model, options);
  return graph.ok() ? "no error" : std::string(graph.status().message());
}

std::unique_ptr<ir::Graph> MustImport(const ModelJson& model, const ImportOptions& options = {}) {
  auto graph = Import(model, options);
  EXPECT_TRUE(graph.ok()) << graph.status();
  if (!graph.ok()) return nullptr;
  EXPECT_TRUE(ir::Verify(**graph).ok()) << ir::Verify(**graph);
  return *std::move(graph);
}

ir::Tensor Floats(std::vector<int64_t> dims, std::vector<float> values) {
  return ir::Tensor::Of<float>(DType::kF32, std::move(dims), values);
}

std::vector<float> ToVector(const ir::Tensor& t) {
  return {t.as<float>(), t.as<float>() + t.count()};
}

// y = x + w
ModelJson AddModel(const std::vector<std::string>& sizes) {
  ModelJson m;
  m.Weight("parameter", "w", "weight_0", {"1"}, {2.5f}).Input("x", sizes);
  m.Node("torch.ops.aten.add.Tensor", {{"self", TensorArg("x")}, {"other", TensorArg("w_0")}},
         {"y"});
  return m.Output("y");
}

TEST(ImportTorchExport, RunsAGraph) {
  const auto graph = MustImport(AddModel({"2"}));
  ASSERT_NE(graph, nullptr);
  EXPECT_EQ(graph->inputs()[0]->name(), "x");
  EXPECT_THAT(graph->output_names, ElementsAre("output"));
  const auto y = ir::Evaluate(*graph, std::vector{Floats({2}, {1, -1})});
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_THAT(ToVector((*y)[0]), ElementsAre(3.5f, 1.5f));
  const ir::Node& node = **graph->nodes().begin();
  EXPECT_EQ(node.provenance.node, "y");
  EXPECT_EQ(node.provenance.source, "/home/me/net.py:12");
}

TEST(ImportTorchExport, NamesAndBoundsDimensions) {
  ModelJson m = AddModel({"Symbol('s77', positive=True, integer=True)", "3"});
  m.Range("s77", 2, 9);
  auto graph = MustImport(m);
  ASSERT_NE(graph, nullptr);
  ASSERT_EQ(graph->symbols.size(), 1u);
  EXPECT_EQ(graph->symbols[0].name, "s77");
  EXPECT_EQ(graph->symbols[0].min, 2);
  EXPECT_EQ(graph->symbols[0].max, 9);
  EXPECT_FALSE(ir::Evaluate(*graph, std::vector{ir::Tensor(DType::kF32, {10, 3})}).ok());
  EXPECT_TRUE(ir::Evaluate(*graph, std::vector{ir::Tensor(DType::kF32, {9, 3})}).ok());
  graph = MustImport(m, {.shapes = {{"x", {{"N", 0}, {"", 3}}}}, .dims = {{"N", {4, 8, 2}}}});
  ASSERT_NE(graph, nullptr);
  EXPECT_EQ(graph->symbols[0].name, "N");
  EXPECT_EQ(graph->symbols[0].min, 4);
  EXPECT_EQ(graph->symbols[0].multiple, 2);
  for (const ImportOptions& fixed :
       {ImportOptions{.dims = {{"s77", {5, 5, 1}}}},
        ImportOptions{.shapes = {{"x", {{"", 5}, {"", 3}}}}},
        ImportOptions{.shapes = {{"x", {{"N", 0}, {"", 3}}}}, .dims = {{"N", {5, 5, 1}}}}}) {
    graph = MustImport(m, fixed);
    ASSERT_NE(graph, nullptr);
    EXPECT_TRUE(graph->symbols.empty());
    EXPECT_EQ(graph->inputs()[0]->StaticShape(), (std::vector<int64_t>{5, 3}));
  }
}

TEST(ImportTorchExport, RefusesOptionsThatDoNotFit) {
  ModelJson m = AddModel({"Symbol('s0', integer=True)", "Mul(Integer(2), Symbol('s1'))"});
  m.Range("s0", 2, 9).Range("s1", 1, 4);
  const struct {
    ImportOptions options;
    const char* message;
  } kCases[] = {
      {{.shapes = {{"z", {{"", 1}}}}},
       "given for 'z', but the model has no such input; it has 'x'"},
      {{.shapes = {{"x", {{"", 1}}}}}, "rank 2 in the model, but the shape given for it has 1"},
      {{.shapes = {{"x", {{"", 3}, {"", 4}}}}}, "can be neither named nor fixed as a whole"},
      {{.dims = {{"T", {1, 2, 1}}}},
       "dimension 'T', but no input has it; the model has 's0', 's1'"},
      {{.dims = {{"s0", {1, 9, 1}}}}, "is 1..9 here, but the model was exported for 2..9"},
      {{.dims = {{"s0", {2, 10, 1}}}}, "is 2..10 here"},
      {{.dims = {{"s0", {5, 4, 1}}}}, "empty or negative"},
  };
  for (const auto& c : kCases) EXPECT_THAT(ErrorOf(m, c.options), HasSubstr(c.message));
  EXPECT_THAT(ErrorOf(AddModel({"4"}), {.shapes = {{"x", {{"", 5}}}}}),
              HasSubstr("axis 0 of input 'x' is always 4 in this model"));
  EXPECT_THAT(ErrorOf(AddModel({"4"}), {.dims = {{"N", {1, 2, 1}}}}), HasSubstr("all are fixed"));
}

TEST(ImportTorchExport, ListsAllDimensionsWithoutAnUpperBound) {
  ModelJson m = AddModel({"Symbol('s0')", "Symbol('s1')", "Symbol('s2')"});
  m.Range("s0", 2, nullptr).Range("s1", 1, 9223372036854775806).Range("s2", 0, 7);
  EXPECT_THAT(ErrorOf(m),
              AllOf(HasSubstr("'s0' (axis 0 of input 'x', at least 2)"),
                    HasSubstr("'s1' (axis 1 of input 'x', at least 1)"),
                    HasSubstr("--dim NAME=MIN..MAX"), ::testing::Not(HasSubstr("'s2'"))));
  EXPECT_EQ(ErrorOf(m, {.dims = {{"s0", {2, 5, 1}}, {"s1", {1, 3, 1}}}}), "no error");
}

TEST(ImportTorchExport, ProvesChecksOrReportsGuards) {
  ModelJson m = AddModel({"Symbol('s0')", "Symbol('s1')"});
  m.Range("s0", 1, 8).Range("s1", 1, 8);
  const auto checks = [&](const char* guard, std::vector<std::string>* notes) {
    m.root["guards_code"] = {guard};
    const auto graph = MustImport(m, {.notes = notes});
    size_t count = 0;
    if (graph != nullptr) {
      for (const auto& node : graph->nodes()) count += node->op() == OpId::kCheck ? 1 : 0;
    }
    return count;
  };
  std::vector<std::string> notes;
  EXPECT_EQ(checks("L['x'].size()[0] <= 8", &notes), 0u);
  EXPECT_EQ(checks("s0*s1 <= 64 and not s0 > 8", &notes), 0u);
  EXPECT_EQ(checks("L['x'].size()[0] != 5", &notes), 1u);
  EXPECT_EQ(checks("(L['x'].size()[0]*L['x'].size()[1]) % 2 == 0", &notes), 1u);
  EXPECT_TRUE(notes.empty());
  EXPECT_EQ(checks("L['x'].stride()[0] == 4", &notes), 0u);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0], HasSubstr("the guard 'L['x'].stride()[0] == 4' is not checked"));
  m.root["guards_code"] = {"L['x'].size()[0] > 8"};
  EXPECT_THAT(ErrorOf(m), HasSubstr("no size within the given bounds"));
  m.root["guards_code"] = {"(L['x'].size()[0]*L['x'].size()[1]) % 2 == 0"};
  const auto graph = MustImport(m);
  ASSERT_NE(graph, nullptr);
  EXPECT_TRUE(ir::Evaluate(*graph, std::vector{ir::Tensor(DType::kF32, {3, 4})}).ok());
  const auto odd = ir::Evaluate(*graph, std::vector{ir::Tensor(DType::kF32, {3, 5})});
  EXPECT_THAT(std::string(odd.status().message()), HasSubstr("the model was exported for sizes"));
}

TEST(ImportTorchExport, BuffersThatAreWrittenBecomeStates) {
  for (const bool through_view : {false, true}) {
    ModelJson m;
    m.Weight("buffer", "cache.total", "weight_0", {"2"}, {1, 2}).Input("x", {"2"});
    std::string target = "w_0";
    if (through_view) {
      m.Node("torch.ops.aten.view.default",
             {{"self", TensorArg("w_0")}, {"size", {{"as_ints", {2, 1}}}}}, {"v"});
      m.Node("torch.ops.aten.view.default",
             {{"self", TensorArg("v")}, {"size", {{"as_ints", {2}}}}}, {"v2"});
      target = "v2";
    }
    m.Node("torch.ops.aten.add_.Tensor", {{"self", TensorArg(target)}, {"other", TensorArg("x")}},
           {"y"});
    m.Node("torch.ops.aten.mul.Tensor",
           {{"self", TensorArg("w_0")}, {"other", {{"as_float", 10.0}}}}, {"z"});
    m.Output("z");
    const auto graph = MustImport(m);
    ASSERT_NE(graph, nullptr);
    ASSERT_EQ(graph->states().size(), 1u);
    EXPECT_EQ(graph->states()[0].name, "cache.total");
    std::vector<ir::Tensor> states;
    for (const float expected : {20.f, 30.f}) {
      const auto y = ir::Evaluate(*graph, std::vector{Floats({2}, {1, 1})}, &states);
      ASSERT_TRUE(y.ok()) << y.status();
      EXPECT_THAT(ToVector((*y)[0]), ElementsAre(expected, expected + 10));
    }
  }
}

TEST(ImportTorchExport, SignaturesNameMutationsToo) {
  ModelJson m;
  m.Weight("buffer", "count", "weight_0", {"1"}, {0}).Input("x", {"1"});
  m.Node("torch.ops.aten.add.Tensor", {{"self", TensorArg("w_0")}, {"other", TensorArg("x")}},
         {"next"});
  m.Node("torch.ops.aten.mul.Tensor", {{"self", TensorArg("x")}, {"other", {{"as_int", 2}}}},
         {"twice"});
  m.signature()["output_specs"].push_back(
      {{"buffer_mutation", {{"arg", {{"name", "next"}}}, {"buffer_name", "count"}}}});
  m.signature()["output_specs"].push_back(
      {{"user_input_mutation", {{"arg", {{"name", "twice"}}}, {"user_input_name", "x"}}}});
  m.Output("next");
  const auto graph = MustImport(m);
  ASSERT_NE(graph, nullptr);
  EXPECT_THAT(graph->output_names, ElementsAre("output", "x.mutated"));
  std::vector<ir::Tensor> states;
  for (const float expected : {3.f, 6.f}) {
    const auto y = ir::Evaluate(*graph, std::vector{Floats({1}, {3})}, &states);
    ASSERT_TRUE(y.ok()) << y.status();
    EXPECT_EQ((*y)[0].as<float>()[0], expected);
    EXPECT_EQ((*y)[1].as<float>()[0], 6.f);
  }
}

TEST(ImportTorchExport, TiedWeightsAreOneConstant) {
  ModelJson m;
  m.Weight("parameter", "a", "weight_0", {"2"}, {1, 2});
  m.Weight("parameter", "b", "weight_0", {"2"}, {}).Input("x", {"2"});
  m.Node("torch.ops.aten.add.Tensor", {{"self", TensorArg("x")}, {"other", TensorArg("w_0")}},
         {"y"});
  m.Node("torch.ops.aten.mul.Tensor", {{"self", TensorArg("y")}, {"other", TensorArg("w_1")}},
         {"z"});
  m.Output("z");
  const auto graph = MustImport(m);
  ASSERT_NE(graph, nullptr);
  int constants = 0;
  for (const auto& v : graph->values()) constants += v->is_constant() ? 1 : 0;
  EXPECT_EQ(constants, 1);
}

TEST(ImportTorchExport, NamesLeavesOfContainers) {
  ModelJson m = AddModel({"2"});
  m.Output("x");
  const Json leaf = {{"type", nullptr}, {"context", nullptr}, {"children_spec", Json::array()}};
  const auto tuple = [](const Json& children) {
    return Json{{"type", "builtins.tuple"}, {"context", "null"}, {"children_spec", children}};
  };
  const Json dict = {{"type", "builtins.dict"},
                     {"context", "[\"logits\", \"cache\"]"},
                     {"children_spec", Json::array({leaf, tuple(Json::array({leaf}))})}};
  const Json none = {
      {"type", "builtins.dict"}, {"context", "[]"}, {"children_spec", Json::array()}};
  const Json xs = tuple(Json::array({leaf}));
  const Json args = tuple(Json::array({tuple(Json::array({xs})), none}));
  const Json signature = {{"inputs", Json::array()},
                          {"outputs", Json::array()},
                          {"in_spec", Json::array({1, args}).dump()},
                          {"out_spec", Json::array({1, dict}).dump()},
                          {"forward_arg_names", Json::array({"xs"})}};
  m.root["graph_module"]["module_call_graph"] =
      Json::array({{{"fqn", ""}, {"signature", signature}}});
  const auto graph = MustImport(m);
  ASSERT_NE(graph, nullptr);
  EXPECT_EQ(graph->inputs()[0]->name(), "xs.0");
  EXPECT_THAT(graph->output_names, ElementsAre("output.logits", "output.cache.0"));
}

TEST(ImportTorchExport, ListsEverythingUnsupportedWithTheUsersLines) {
  ModelJson m;
  m.Input("x", {"2"});
  m.graph()["tensor_values"]["a"] = ::floe::testing::TensorMetaJson({"2"});
  m.Node("torch.ops.mylib.foo.default", {{"x", TensorArg("x")}}, {"a"}, 3);
  m.Node("torch.ops.aten.relu.default", {{"self", TensorArg("a")}}, {"b"}, 4);
  m.Node("torch.ops.mylib.foo.default", {{"x", TensorArg("b")}}, {"c"}, 5);
  m.Node("torch.ops.mylib.bar.int", {{"x", TensorArg("c")}}, {"d"}, 6);
  m.Output("d");
  EXPECT_THAT(ErrorOf(m),
              AllOf(HasSubstr("the model uses what Floe cannot map"),
                    HasSubstr("mylib::foo: 'mylib::foo' is no op that Floe knows; 2 places: 'a' at "
                              "/home/me/net.py:3, 'c' at /home/me/net.py:5"),
                    HasSubstr("mylib::bar.int: "), HasSubstr("'d' at /home/me/net.py:6")));
  const auto report = CheckTorchExportFromMemory(BlobOf(m.Archive()));
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->ops.at("aten::relu"), 1);
  EXPECT_EQ(report->ops.at("mylib::foo"), 2);
  EXPECT_EQ(report->unsupported.size(), 2u);
}

TEST(ImportTorchExport, RefusesBrokenGraphs) {
  const auto with = [](auto change) {
    ModelJson m = AddModel({"2"});
    change(m);
    return m;
  };
  const struct {
    ModelJson model;
    const char* message;
  } kCases[] = {
      {with([](ModelJson& m) { m.files.clear(); }), "'w': the archive has no entry"},
      {with([](ModelJson& m) { m.files[0].content.clear(); }),
       "weight 'w' has no data: it was a fake or a meta tensor"},
      {with([](ModelJson& m) { m.files[0].content = "ab"; }), "needs 1 elements of its storage"},
      {with([](ModelJson& m) { m.weights.erase("w"); }), "the file has no data for 'w'"},
      {with([](ModelJson& m) { m.weights["w"]["use_pickle"] = true; }), "unwrap_tensor_subclass"},
      {with([](ModelJson& m) { m.weights["w"]["tensor_meta"]["layout"] = 1; }), "is sparse"},
      {with([](ModelJson& m) { m.weights["w"]["tensor_meta"]["dtype"] = 29; }), "float8_e4m3fn"},
      {with([](ModelJson& m) {
         m.weights["w"]["tensor_meta"]["sizes"][0] = {{"as_expr", {{"expr_str", "s0"}}}};
       }),
       "a size that is no number"},
      {with([](ModelJson& m) {
         m.Node("torch.ops.aten.relu.default", {{"self", TensorArg("q")}}, {"r"});
       }),
       "node 'r' (torch.ops.aten.relu.default) at /home/me/net.py:12: it reads 'q', which nothing"},
      {with([](ModelJson& m) {
         m.Node("torch.ops.aten.relu.default", {{"self", TensorArg("y")}}, {"y"});
       }),
       "it defines 'y', which is defined already"},
      {with([](ModelJson& m) {
         m.Node("torch.ops.aten.relu.default", {{"self", TensorArg("y")}}, {"a", "b"});
       }),
       "it has 2 outputs where the op has 1"},
      {with([](ModelJson& m) {
         m.graph()["tensor_values"]["y"] = ::floe::testing::TensorMetaJson({"3"});
       }),
       "the file states f32[3] for 'y', but Floe finds f32[2]; this is a defect of Floe"},
      {with([](ModelJson& m) {
         m.signature()["output_specs"].push_back(
             {{"gradient_to_parameter", {{"arg", {{"name", "y"}}}, {"parameter_name", "w"}}}});
       }),
       "the program computes gradients"},
      {with([](ModelJson& m) {
         m.signature()["input_specs"][0] = {
             {"custom_obj",
              {{"arg", {{"name", "w_0"}, {"class_fqn", "C"}}}, {"custom_obj_name", "obj"}}}};
       }),
       "it is a custom object"},
      {with([](ModelJson& m) { m.signature()["input_specs"].erase(0); }),
       "the graph has 2 inputs, but its signature 1"},
      {with([](ModelJson& m) {
         m.Weight("buffer", "b", "weight_0", {"1"}, {});
         m.Node("torch.ops.aten.add_.Tensor",
                {{"self", TensorArg("w_2")}, {"other", {{"as_int", 1}}}}, {"q"});
       }),
       "the model writes 'b', which shares its memory with 'w'"},
      {with([](ModelJson& m) {
         m.Node("_operator.floordiv", {{"a", {{"as_int", 1}}}, {"b", {{"as_int", 0}}}}, {"q"});
       }),
       "division by zero"},
      {with([](ModelJson& m) { m.Node("_operator.matmul", {}, {"q"}); }),
       "_operator.matmul: has no mapping"},
      {with([](ModelJson& m) { m.Node("torch.ops.higher_order.flex_attention", {}, {"q"}); }),
       "higher_order::flex_attention: has no mapping"},
      {with([](ModelJson& m) {
         m.Node("torch.ops.higher_order.cond", {{"", {{"as_bool", true}}}}, {"q"});
       }),
       "its second and third argument are no graphs"},
  };
  for (const auto& c : kCases) EXPECT_THAT(ErrorOf(c.model), HasSubstr(c.message));
}

TEST(ImportTorchExport, RefusesOtherArchives) {
  const struct {
    std::string bytes;
    const char* message;
  } kCases[] = {
      {"hello", "no zip archive"},
      {MakeZip({{"m/data.pkl", "x"}}), "no file of torch.export.save"},
      {MakeZip({{"m/data/aotinductor/model/a.so", "x"}, {"m/version", "1"}}),
       "AOTInductor package: machine code for PyTorch, with no graph in it"},
      {MakeZip({{"m/models/a.json", "{}"}, {"m/models/b.json", "{}"}}), "holds 2 models"},
      {MakeZip({{"m/models/a.json", "{"}, {"m/x", ""}}), "models/a.json: this is no JSON"},
      {MakeZip({{"m/models/a.json", "{}"}, {"m/byteorder", "big"}}), "big-endian"},
      {MakeZip({{"m/models/a.json", "{}"}, {"m/x", ""}}), "'schema_version' is missing"},
      {MakeZip({{"serialized_exported_program.json", "{}"}, {"version", "9.0"}}),
       "serialized_exported_program.json: /: the field 'schema_version' is missing"},
  };
  for (const auto& c : kCases) {
    const auto graph = ImportTorchExportFromMemory(BlobOf(c.bytes));
    ASSERT_FALSE(graph.ok());
    EXPECT_THAT(std::string(graph.status().message()), HasSubstr(c.message));
  }
  EXPECT_EQ(ImportTorchExport("no/such.pt2").status().code(), absl::StatusCode::kNotFound);
}

TEST(LooksLikeTorchExport, TellsFilesApart) {
  EXPECT_TRUE(LooksLikeTorchExport(AddModel({"2"}).Archive()));
  EXPECT_TRUE(LooksLikeTorchExport(MakeZip({{"serialized_exported_program.json", "{}"}})));
  EXPECT_FALSE(LooksLikeTorchExport(MakeZip({{"m/data.pkl", "x"}, {"m/constants.pkl", "x"}})));
  EXPECT_FALSE(LooksLikeTorchExport("\x08\x07\x12\x00"));
  EXPECT_FALSE(LooksLikeTorchExport(""));
}

}  // namespace
}  // namespace floe::torch_export
