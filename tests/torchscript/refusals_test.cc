// What the interpreter refuses, and what it says: code that is wrong or unsupported, inputs without
// shapes, damaged archives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "compiler/import/torchscript/import.h"
#include "tests/torchscript/script_kit.h"

namespace floe::torchscript {
namespace {

using ::floe::testing::ImportScript;
using ::floe::testing::OptionsFor;
using ::testing::HasSubstr;

// What is refused, and what the message says.
struct Refused {
  const char* body;
  absl::StatusCode code;
  const char* message;
};

TEST(InterpreterRefusals, SaysWhatIsWrongAndWhere) {
  using Code = absl::StatusCode;
  const Refused examples[] = {
      {"    return torch.special_airy_ai(x)\n", Code::kUnimplemented, "aten::special_airy_ai"},
      {"    return ops.custom.thing(x)\n", Code::kUnimplemented, "custom::thing"},
      {"    return y\n", Code::kInvalidArgument, "code/__torch__.py:10: 'y' has no value"},
      {"    return (self).missing(x, )\n", Code::kInvalidArgument, "no method 'missing'"},
      {"    return self.missing\n", Code::kInvalidArgument, "no attribute 'missing'"},
      {"    return CONSTANTS.c4\n", Code::kInvalidArgument, "CONSTANTS.c4 does not exist"},
      {"    return CONSTANTS.x\n", Code::kInvalidArgument, "CONSTANTS.x"},
      {"    return __torch__.nothing(x, )\n", Code::kInvalidArgument, "no function"},
      {"    a = [1, 2]\n    return a[2]\n", Code::kInvalidArgument, "outside of a list"},
      {"    a, b, = (1, 2, 3)\n    return a\n", Code::kInvalidArgument, "2 variables"},
      {"    return torch.floordiv(1, 0)\n", Code::kInvalidArgument, "divides by zero"},
      {"    ops.prim.RaiseException(\"no way\")\n    return x\n", Code::kInvalidArgument,
       "always raises: code/__torch__.py:10: no way"},
      {"    return (self).forward(x, )\n", Code::kResourceExhausted, "nested too deep"},
      {"    _0 = True\n    while _0:\n      _0 = True\n    return x\n", Code::kResourceExhausted,
       "statements"},
      {"    a = torch.mul([0], 99999999999)\n    return x\n", Code::kResourceExhausted, "elements"},
      {"    a = annotate(List[Any], [])\n    _0 = torch.append(a, a)\n    return x\n",
       Code::kResourceExhausted, "nested"},
      {"    self.w = self\n    return x\n", Code::kResourceExhausted, "nested"},
      {"    a = [1]\n    for i in range(100):\n      b = [a]\n      a = b\n    return x\n",
       Code::kResourceExhausted, "nested"},
      {"    a = annotate(List[Any], [])\n    for i in range(5000):\n      b = annotate(List[Any], "
       "[])\n      _0 = torch.append(a, b)\n      a = b\n    return x\n",
       Code::kResourceExhausted, "nests too many"},
      {"    return torch.relu(x, x, x)\n", Code::kInvalidArgument, "aten::relu"},
      {"    return \"text\"\n", Code::kUnimplemented, "no tensor or number"},
      {"    return None\n", Code::kInvalidArgument, "returns no tensor"},
      {"    self.w = torch.cat([self.w, self.w])\n    return x\n", Code::kUnimplemented,
       "a state keeps its type"},
      {"    self.n = None\n    return x\n", Code::kUnimplemented, "'n'"},
  };
  for (const Refused& e : examples) {
    ImportOptions options = OptionsFor(DType::kF32);
    options.max_steps = 1 << 16;
    options.max_elements = 1 << 16;
    const auto graph = ImportScript(floe::testing::ScriptClass(e.body), options);
    ASSERT_FALSE(graph.ok()) << e.body;
    EXPECT_EQ(graph.status().code(), e.code) << e.body << graph.status();
    EXPECT_THAT(std::string(graph.status().message()), HasSubstr(e.message)) << e.body;
  }
}

TEST(InterpreterRefusals, ListsEverythingUnsupportedAtOnce) {
  const auto graph =
      ImportScript(floe::testing::ScriptClass("    a = torch.special_airy_ai(x)\n"
                                              "    b = torch.relu(a)\n"
                                              "    if bool(torch.sum(b)):\n"
                                              "      c = torch.hash_tensor(b)\n"
                                              "    else:\n"
                                              "      c = ops.custom.thing(b)\n"
                                              "    for i in range(int(torch.sum(c))):\n"
                                              "      d = torch.special_airy_ai(c)\n"
                                              "    return c\n"),
                   OptionsFor(DType::kF32));
  ASSERT_FALSE(graph.ok());
  const std::string text(graph.status().message());
  EXPECT_THAT(text, HasSubstr("aten::special_airy_ai"));
  EXPECT_THAT(text, HasSubstr("code/__torch__.py:10"));
  EXPECT_THAT(text, HasSubstr("code/__torch__.py:17"));
  EXPECT_THAT(text, HasSubstr("aten::hash_tensor"));
  EXPECT_THAT(text, HasSubstr("custom::thing"));
}

TEST(InterpreterRefusals, ListsInputsWithoutShapes) {
  ImportOptions none;
  const auto graph = ImportScript(floe::testing::ScriptClass("    return x\n"), none);
  ASSERT_FALSE(graph.ok());
  EXPECT_THAT(std::string(graph.status().message()), HasSubstr("x: Tensor"));
  ImportOptions wrong = OptionsFor(DType::kF32);
  wrong.shapes["y"] = {{"", 2}};
  const auto unused = ImportScript(floe::testing::ScriptClass("    return x\n"), wrong);
  ASSERT_FALSE(unused.ok());
  EXPECT_THAT(std::string(unused.status().message()), HasSubstr("'y'"));
  ImportOptions unbounded = OptionsFor(DType::kF32);
  unbounded.shapes["x"] = {{"N", 0}, {"", 3}};
  const auto open = ImportScript(floe::testing::ScriptClass("    return x\n"), unbounded);
  ASSERT_FALSE(open.ok());
  EXPECT_THAT(std::string(open.status().message()), HasSubstr("--dim N=1..8"));
}

TEST(InterpreterRefusals, RefusesDamagedArchives) {
  using floe::testing::PickleBuilder;
  const std::string good = floe::testing::ScriptClass("    return x\n");
  struct Damaged {
    std::string bytes;
    const char* message;
  };
  const Damaged examples[] = {
      {"PK\x03\x04 nothing", ""},
      {"", ""},
      {floe::testing::MakeZip({{"m/version", "3"}}), "no TorchScript file"},
      {floe::testing::ScriptArchive(good, "x"), "version"},
      {floe::testing::ScriptArchive(good, "99"), "version 99"},
      {floe::testing::ScriptArchive("class M(Module)\n"), "code/__torch__.py:1"},
      {floe::testing::ScriptArchive("def f() -> int:\n  return 1\n"), "no code of that class"},
      {floe::testing::ScriptArchive("class M(Module):\n  w : Tensor\n"), "no method forward"},
      {floe::testing::ScriptArchive(good, "3", PickleBuilder().Int(1).Stop()), "no module"},
      {floe::testing::ScriptArchive(good, "3", PickleBuilder().Global("os", "system").Stop()),
       "os"},
      {floe::testing::ScriptArchive(
           good, "3",
           PickleBuilder().Global("__torch__", "M").Op(')').Op('\x81').Int(1).Op('b').Stop()),
       "no attributes"},
  };
  for (const Damaged& e : examples) {
    const auto graph =
        ImportTorchScriptFromMemory(floe::testing::BlobOf(e.bytes), OptionsFor(DType::kF32));
    ASSERT_FALSE(graph.ok()) << e.message;
    EXPECT_THAT(std::string(graph.status().message()), HasSubstr(e.message));
  }
  EXPECT_FALSE(LooksLikeTorchScript(std::string_view("PK\x03\x04 nothing")));
  EXPECT_TRUE(LooksLikeTorchScript(std::string_view(floe::testing::ScriptArchive(good))));
}

}  // namespace
}  // namespace floe::torchscript
