// The JSON reader: every tag, versions, and what it refuses.
#include "compiler/import/torch_export/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/import/torch_export/pytree.h"
#include "tests/torch_export/model_json.h"

namespace floe::torch_export {
namespace {

using ::floe::testing::Json;
using ::floe::testing::ModelJson;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = Argument::Kind;
using Element = Argument::Element;

ModelJson WithArgument(const std::string& argument) {
  ModelJson m;
  m.Input("x", {"2"});
  m.Node("torch.ops.aten.foo.default", {{"a", "@"}}, {"y"});
  m.root = Json::parse([&] {
    std::string text = m.root.dump();
    text.replace(text.find("\"@\""), 3, argument);
    return text;
  }());
  return m;
}

TEST(ParseProgram, ReadsEveryArgumentTag) {
  const struct {
    const char* json;
    Kind kind;
    const char* text;
    int64_t integer;
    size_t items;
    Element element = Element::kNone;
  } kCases[] = {
      {R"({"as_none":true})", Kind::kNone, "", 0, 0},
      {R"({"as_tensor":{"name":"x"}})", Kind::kName, "x", 0, 0, Element::kTensor},
      {R"({"as_tensors":[{"name":"x"},{"name":"x"}]})", Kind::kList, "", 0, 2, Element::kTensor},
      {R"({"as_int":-7})", Kind::kInt, "", -7, 0},
      {R"({"as_ints":[1,2,3]})", Kind::kList, "", 0, 3, Element::kInt},
      {R"({"as_ints":[]})", Kind::kList, "", 0, 0, Element::kInt},
      {R"({"as_float":1.5})", Kind::kFloat, "", 0, 0},
      {R"({"as_floats":[1.5,2]})", Kind::kList, "", 0, 2, Element::kFloat},
      {R"({"as_string":"none"})", Kind::kString, "none", 0, 0},
      {R"({"as_strings":["a"]})", Kind::kList, "", 0, 1, Element::kString},
      {R"({"as_sym_int":{"as_name":"n"}})", Kind::kName, "n", 0, 0, Element::kInt},
      {R"({"as_sym_int":{"as_int":4}})", Kind::kInt, "", 4, 0},
      {R"({"as_sym_ints":[{"as_name":"n"},{"as_int":4}]})", Kind::kList, "", 0, 2, Element::kInt},
      {R"({"as_scalar_type":7})", Kind::kScalarType, "", 6, 0},
      {R"({"as_scalar_type":12})", Kind::kScalarType, "", 11, 0},
      {R"({"as_scalar_type":13})", Kind::kScalarType, "", 15, 0},
      {R"({"as_memory_format":1})", Kind::kMemoryFormat, "", 0, 0},
      {R"({"as_memory_format":2})", Kind::kMemoryFormat, "", 2, 0},
      {R"({"as_memory_format":3})", Kind::kMemoryFormat, "", 3, 0},
      {R"({"as_memory_format":4})", Kind::kMemoryFormat, "", 1, 0},
      {R"({"as_layout":7})", Kind::kLayout, "", 0, 0},
      {R"({"as_device":{"type":"cuda","index":1}})", Kind::kDevice, "cuda:1", 0, 0},
      {R"({"as_device":{"type":"cpu","index":null}})", Kind::kDevice, "cpu", 0, 0},
      {R"({"as_bool":true})", Kind::kBool, "", 1, 0},
      {R"({"as_bools":[true,false]})", Kind::kList, "", 0, 2, Element::kBool},
      {R"({"as_sym_bool":{"as_name":"b"}})", Kind::kName, "b", 0, 0, Element::kBool},
      {R"({"as_sym_bools":[{"as_bool":true}]})", Kind::kList, "", 0, 1, Element::kBool},
      {R"({"as_optional_tensors":[{"as_none":true},{"as_tensor":{"name":"x"}}]})", Kind::kList, "",
       0, 2, Element::kTensor},
      {R"({"as_custom_obj":{"name":"o","class_fqn":"C"}})", Kind::kCustomObject, "o", 0, 0},
      {R"({"as_operator":"add"})", Kind::kOperator, "add", 0, 0},
      {R"({"as_sym_float":{"as_float":1.5}})", Kind::kFloat, "", 0, 0},
      {R"({"as_sym_floats":[{"as_name":"f"}]})", Kind::kList, "", 0, 1, Element::kFloat},
      {R"({"as_optional_tensor":{"as_tensor":{"name":"x"}}})", Kind::kName, "x", 0, 0,
       Element::kTensor},
      {R"({"as_optional_tensor":{"as_none":true}})", Kind::kNone, "", 0, 0},
      {R"({"as_complex":{"real":1,"imag":2}})", Kind::kComplex, "", 0, 0},
      {R"({"as_nested_tensors":[[{"name":"x"}],[]]})", Kind::kList, "", 0, 2, Element::kList},
      {R"({"as_int_lists":[[1],[2,3]]})", Kind::kList, "", 0, 2, Element::kList},
      {R"({"as_float_lists":[[1.5]]})", Kind::kList, "", 0, 1, Element::kList},
      {R"({"as_string_to_argument":{"k":{"as_int":1}}})", Kind::kDict, "", 0, 1},
      {R"({"as_graph":{"name":"g","graph":{"inputs":[],"outputs":[],"nodes":[],)"
       R"("tensor_values":{}}}})",
       Kind::kGraph, "g", 0, 0},
      {R"({"as_none":null,"as_int":3})", Kind::kInt, "", 3, 0},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.json);
    const auto program = ParseProgram(WithArgument(c.json).root.dump());
    ASSERT_TRUE(program.ok()) << program.status();
    const Argument& a = program->graph.nodes[0].inputs[0].arg;
    EXPECT_EQ(a.kind, c.kind);
    EXPECT_EQ(a.text, c.text);
    EXPECT_EQ(a.integer, c.integer);
    EXPECT_EQ(a.items.size(), c.items);
    EXPECT_EQ(a.element, c.element);
    EXPECT_EQ(a.graph != nullptr, c.kind == Kind::kGraph);
  }
}

TEST(ParseProgram, ReadsInfinitiesInEverySpelling) {
  for (const char* word :
       {"Infinity", "-Infinity", "NaN", "\"Infinity\"", "\"-Infinity\"", "\"NaN\""}) {
    ModelJson m = WithArgument(R"({"as_float":12345.5})");
    std::string text = m.root.dump();
    text.replace(text.find("12345.5"), 7, word);
    const auto program = ParseProgram(text);
    ASSERT_TRUE(program.ok()) << word << program.status();
    const double v = program->graph.nodes[0].inputs[0].arg.real;
    EXPECT_EQ(std::isnan(v), std::string(word).find("NaN") != std::string::npos);
    EXPECT_EQ(std::isinf(v), std::string(word).find("Inf") != std::string::npos);
    EXPECT_EQ(v < 0, std::string(word).find('-') != std::string::npos);
  }
  // Not within strings.
  const auto program =
      ParseProgram(WithArgument(R"({"as_string":"NaN, \"-Infinity"})").root.dump());
  ASSERT_TRUE(program.ok());
  EXPECT_EQ(program->graph.nodes[0].inputs[0].arg.text, "NaN, \"-Infinity");
}

TEST(ParseProgram, RefusesUnknownTagsAndWrongTypes) {
  const struct {
    const char* json;
    const char* message;
  } kCases[] = {
      {R"({"as_quaternion":1})",
       "/nodes/0/inputs/0/as_quaternion: the argument tag "
       "'as_quaternion' is not known"},
      {R"({})", "no union"},
      {R"({"as_int":1,"as_bool":true})", "more or less than one value"},
      {R"({"as_int":1.5})", "as_int: no integer"},
      {R"({"as_int":18446744073709551615})", "no integer of 64 bits"},
      {R"({"as_string":1})", "no string"},
      {R"({"as_bool":1})", "neither true nor false"},
      {R"({"as_float":"x"})", "no number"},
      {R"({"as_tensors":{}})", "no list"},
      {R"({"as_tensor":{}})", "the field 'name' is missing"},
      {R"({"as_scalar_type":99})", "element type number 99"},
      {R"({"as_memory_format":9})", "unknown memory format"},
      {R"({"as_sym_int":{"as_x":1}})", "the tag 'as_x'"},
      {R"({"as_graph":{"name":"g"}})", "the field 'graph' is missing"},
  };
  for (const auto& c : kCases) {
    const auto program = ParseProgram(WithArgument(c.json).root.dump());
    ASSERT_FALSE(program.ok()) << c.json;
    EXPECT_THAT(std::string(program.status().message()), HasSubstr(c.message));
  }
}

TEST(ParseProgram, ChecksVersions) {
  for (const int major : {4, 5, 6, 7, 8, 9}) {
    ModelJson m;
    m.root["schema_version"]["major"] = major;
    const auto program = ParseProgram(m.root.dump());
    if (major >= 5 && major <= 8) {
      EXPECT_TRUE(program.ok()) << program.status();
      continue;
    }
    EXPECT_EQ(program.status().code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(std::string(program.status().message()),
                HasSubstr("was written by PyTorch 2.9.0 with schema version"));
  }
}

TEST(ParseProgram, BoundsDepth) {
  std::string graph = R"({"inputs":[],"outputs":[],"nodes":[],"tensor_values":{}})";
  for (int i = 0; i < 70; ++i) {
    graph = R"({"inputs":[],"outputs":[{"as_graph":{"name":"g","graph":)" + graph +
            R"(}}],"nodes":[],"tensor_values":{}})";
  }
  const auto program =
      ParseProgram(WithArgument(R"({"as_graph":{"name":"g","graph":)" + graph + "}}").root.dump());
  EXPECT_EQ(program.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(ParseProgram(std::string(1 << 20, '[')).ok());
  EXPECT_FALSE(ParseProgram("").ok());
  EXPECT_FALSE(ParseProgram("[]").ok());
}

TEST(ParseProgram, ReadsBounds) {
  ModelJson m;
  m.Range("a", 2, 8).Range("b", nullptr, nullptr).Range("c", 0, "int_oo");
  m.Range("d", -9223372036854775807, 9223372036854775806).Range("e", 1, 1e300);
  const auto program = ParseProgram(m.root.dump());
  ASSERT_TRUE(program.ok()) << program.status();
  const auto& ranges = program->range_constraints;
  EXPECT_EQ(ranges.at("a").min, 2);
  EXPECT_EQ(ranges.at("a").max, 8);
  for (const char* open : {"b", "c", "d", "e"}) EXPECT_FALSE(ranges.at(open).max) << open;
  EXPECT_EQ(ranges.at("c").min, 0);
  EXPECT_FALSE(ranges.at("d").min);
}

TEST(ParseTreeSpec, NamesLeaves) {
  const auto leaves =
      ParseTreeSpec(R"([1, {"type": "builtins.tuple", "context": "null", "children_spec": [)"
                    R"({"type": null, "context": null, "children_spec": []},)"
                    R"({"type": "builtins.dict", "context": "[\"a\", 3]", "children_spec": [)"
                    R"({"type": null, "context": null, "children_spec": []},)"
                    R"({"type": "builtins.list", "context": "null", "children_spec": [)"
                    R"({"type": null, "context": null, "children_spec": []}]}]}]}])");
  ASSERT_TRUE(leaves.has_value());
  EXPECT_THAT(*leaves, ElementsAre(LeafPath{"0"}, LeafPath{"1", "a"}, LeafPath{"1", "3", "0"}));
  EXPECT_EQ(JoinPath("x", (*leaves)[2], 0), "x.1.3.0");
  for (const char* bad : {"", "[1]", "[1, 2]", "{}", "[1, {\"type\": \"x\"}]"}) {
    EXPECT_FALSE(ParseTreeSpec(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace floe::torch_export
