// The interpreter on code that is written here: built-in functions, control flow, states, the
// operators of older versions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "compiler/import/torchscript/import.h"
#include "compiler/ir/evaluate.h"
#include "tests/torchscript/script_kit.h"

namespace floe::torchscript {
namespace {

using ::floe::testing::ImportScript;
using ::floe::testing::OptionsFor;
using ::testing::HasSubstr;

// All elements of all outputs for x = [[1, 2, 3], [4, 5, 6]] * sign.
absl::StatusOr<std::vector<double>> RunBody(const std::string& body, DType dtype = DType::kF32,
                                            const std::string& version = "3", int sign = 1) {
  const auto graph = ImportScript(floe::testing::ScriptClass(body), OptionsFor(dtype), version);
  if (!graph.ok()) return graph.status();
  ir::Tensor x(dtype, {2, 3});
  for (int64_t i = 0; i < 6; ++i) {
    if (IsFloat(dtype)) {
      x.SetDouble(i, static_cast<double>(sign * (i + 1)));
    } else {
      x.SetInt(i, sign * (i + 1));
    }
  }
  const auto outputs = ir::Evaluate(**graph, std::vector<ir::Tensor>{x});
  if (!outputs.ok()) return outputs.status();
  std::vector<double> all;
  for (const ir::Tensor& t : *outputs) {
    for (int64_t i = 0; i < t.count(); ++i) all.push_back(t.DoubleAt(i));
  }
  return all;
}

struct Example {
  const char* name;
  const char* body;
  std::vector<double> expected;
};

const Example kExamples[] = {
    {"int_arithmetic",
     "    a = torch.floordiv(-7, 2)\n"
     "    b = torch.remainder(-7, 3)\n"
     "    c = torch.sub(torch.mul(6, 7), torch.add(1, 1))\n"
     "    return (a, b, c, torch.div(7, 2), torch.pow(2, 10), torch.neg(3))\n",
     {-4, 2, 40, 3.5, 1024, -3}},
    {"remainder_of_extremes",
     "    return torch.lt(torch.remainder(9223372036854775807, -9223372036854775808), 0)\n",
     {1}},
    {"wraps_without_trapping",
     "    a = torch.add(9223372036854775807, 1)\n"
     "    b = torch.neg(-9223372036854775808)\n"
     "    return (torch.lt(a, 0), torch.eq(a, b))\n",
     {1, 1}},
    {"float_functions",
     "    return (torch.floor(2.5), torch.ceil(2.5), torch.sqrt(16.), torch.round(2.5), "
     "ops.prim.abs(-1.5), ops.prim.min([3, 1, 2]), ops.prim.max(0.5, 2), torch.fmod(-7., 3.), "
     "torch.remainder(-7., 3.))\n",
     {2, 3, 4, 2, 1.5, 1, 2, -1, 2}},
    {"conversions",
     "    return (int(2.9), int(\"12\"), float(3), bool(0), annotate(float, 4), int(-2.9))\n",
     {2, 12, 3, 0, 4, -2}},
    {"logic",
     "    a = torch.__and__(True, torch.__not__(False))\n"
     "    b = torch.__or__(False, torch.__is__(None, None))\n"
     "    return (a, b, torch.__isnot__(x, None), torch.__xor__(True, True))\n",
     {1, 1, 1, 0}},
    {"lists",
     "    a = annotate(List[int], [])\n"
     "    _0 = torch.append(a, 5)\n"
     "    torch.extend(a, [7, 6])\n"
     "    torch.insert(a, 0, 9)\n"
     "    b = torch.pop(a)\n"
     "    _1 = torch._set_item(a, -1, 8)\n"
     "    c = torch.slice(torch.add(a, torch.mul([1], 2)), 1, None, 2)\n"
     "    torch.sort(a)\n"
     "    return (a, b, torch.len(a), c, torch.__contains__(a, 9), torch.index(a, 8), "
     "sorted([3, 1, 2]), torch.sum([1, 2, 3]))\n",
     {5, 8, 9, 6, 3, 5, 1, 1, 1, 1, 2, 3, 6}},
    {"slices_backwards",
     "    a = [0, 1, 2, 3, 4]\n"
     "    return (torch.slice(a, None, None, -2), torch.slice(a, -2, 100, 1), "
     "torch.slice(a, 3, 0, -1))\n",
     {4, 2, 0, 3, 4, 3, 2, 1}},
    {"lists_are_shared",
     "    a = [1]\n"
     "    b = a\n"
     "    _0 = torch.append(b, 2)\n"
     "    c = torch.copy(a)\n"
     "    torch.clear(a)\n"
     "    return (torch.len(a), torch.len(b), torch.len(c))\n",
     {0, 0, 2}},
    {"dicts",
     "    d = {\"a\": 1, \"b\": 2}\n"
     "    torch._set_item(d, \"c\", 3)\n"
     "    torch.Delete(d, \"a\")\n"
     "    k, v, = torch.items(d)[0]\n"
     "    return (torch.len(d), v, d[\"c\"], torch.get(d, \"z\", 9), torch.eq(k, \"b\"), "
     "torch.keys(annotate(Dict[int, int], {4: 5})), torch.values(d))\n",
     {2, 2, 3, 9, 1, 4, 2, 3}},
    {"strings",
     "    s = torch.format(\"{}-{}\", 1, torch.upper(\"ab\"))\n"
     "    t = torch.join(\",\", torch.split(\"a b  c\"))\n"
     "    return (torch.eq(s, \"1-AB\"), torch.eq(t, \"a,b,c\"), torch.len(s), "
     "torch.eq(s[0], \"1\"), torch.startswith(s, \"1-\"), torch.find(s, \"B\"), "
     "torch.eq(str(2.), \"2.0\"), torch.eq(\"\\x41\\102\\n\", \"AB\\n\"))\n",
     {1, 1, 4, 1, 1, 3, 1, 1}},
    {"tuples",
     "    t = (1, 2., (3,))\n"
     "    a, b, c, = t\n"
     "    d, = c\n"
     "    return ((t)[1], d, (t)[0:2], torch.len([a, d]))\n",
     {2, 3, 1, 2, 2}},
    {"sizes",
     "    a = torch.size(x)\n"
     "    b = torch.size(x, -1)\n"
     "    return (a, b, torch.dim(x), torch.numel(x), torch.len(x), torch.stride(x), "
     "ops.prim.dtype(x), torch.is_floating_point(x))\n",
     {2, 3, 3, 2, 6, 2, 3, 1, 6, 1}},
    {"numbers_to_tensors",
     "    n = ops.prim.NumToTensor(torch.size(x, 1))\n"
     "    m = torch.mul(n, ops.prim.NumToTensor(2))\n"
     "    return torch.reshape(x, [int(m)])\n",
     {1, 2, 3, 4, 5, 6}},
    {"loops",
     "    s = 0\n"
     "    for i in range(5):\n"
     "      s0 = torch.add(s, i)\n"
     "      s = s0\n"
     "    n = 0\n"
     "    _0 = True\n"
     "    while _0:\n"
     "      n0 = torch.add(n, 1)\n"
     "      _0, n = torch.lt(n0, 4), n0\n"
     "    return (s, n, torch.__range_length(1, 10, 3), torch.__derive_index(2, 1, 3))\n",
     {10, 4, 3, 7}},
    {"attributes_and_constants",
     "    w = self.w\n"
     "    n = getattr(self, \"n\")\n"
     "    k = self.k\n"
     "    return (torch.add(w, 1), torch.add(n, k), self.flag)\n",
     {2, 3, 10, 1}},
    {"isinstance",
     "    a = isinstance(x, Tensor)\n"
     "    b = isinstance([1], List[int])\n"
     "    c = isinstance(1.5, (int, str))\n"
     "    return (a, b, c, isinstance(None, NoneType))\n",
     {1, 1, 0, 1}},
    {"optional",
     "    a = annotate(Optional[int], None)\n"
     "    if torch.__is__(a, None):\n"
     "      b = 4\n"
     "    else:\n"
     "      b = unchecked_cast(int, a)\n"
     "    return b\n",
     {4}},
    {"fork",
     "    def __forked_function():\n"
     "      _1 = torch.add(x, 1)\n"
     "      return _1\n"
     "    f = fork(__forked_function)\n"
     "    return torch.select(torch.wait(f), 0, 0)\n",
     {2, 3, 4}},
    {"infinities",
     "    return (torch.lt(-inf, inf), torch.isnan(nan), torch.isinf(-inf))\n",
     {1, 1, 1}},
    {"in_place_on_a_list",
     "    xs = [torch.select(x, 0, 0), torch.select(x, 0, 1)]\n"
     "    _0 = torch.add_(xs[1], 10)\n"
     "    return (x, xs[1])\n",
     // The input that it writes comes last.
     {1, 2, 3, 14, 15, 16, 14, 15, 16, 1, 2, 3, 14, 15, 16}},
    {"complex",
     "    c = torch.mul(torch.complex(x, torch.neg(x)), (1.-2.j))\n"
     "    return (torch.real(torch.select(c, 0, 0)), torch.size(c, 1), torch.is_complex(c))\n",
     {-1, -2, -3, 3, 1}},
    {"tolist",
     "    a = annotate(List[List[float]], x.tolist())\n"
     "    return (torch.mul((a[1])[2], 2), torch.len(a))\n",
     {12, 2}},
    {"item_of_a_runtime_index",
     "    i = int(torch.select(torch.select(x, 0, 0), 0, 0))\n"
     "    ns = [10, 20, 30]\n"
     "    return (ns[i], torch.add(i, 1), torch.mul(float(i), 0.5))\n",
     {20, 2, 0.5}},
};

TEST(Interpreter, ComputesWhatIsKnown) {
  for (const Example& e : kExamples) {
    const auto got = RunBody(e.body);
    ASSERT_TRUE(got.ok()) << e.name << ": " << got.status();
    EXPECT_EQ(*got, e.expected) << e.name;
  }
}

TEST(Interpreter, TakesBranchesOnDataOnBothSides) {
  const char* body =
      "    if bool(torch.gt(torch.sum(x), 0)):\n"
      "      n, y = 1, torch.select(x, 0, 0)\n"
      "    else:\n"
      "      n, y = 2, torch.neg(torch.select(x, 0, 1))\n"
      "    return (n, y)\n";
  const auto positive = RunBody(body);
  ASSERT_TRUE(positive.ok()) << positive.status();
  EXPECT_EQ(*positive, (std::vector<double>{1, 1, 2, 3}));
  const auto negative = RunBody(body, DType::kF32, "3", -1);
  ASSERT_TRUE(negative.ok()) << negative.status();
  EXPECT_EQ(*negative, (std::vector<double>{2, 4, 5, 6}));
}

TEST(Interpreter, RunsLoopsOnData) {
  const char* body =
      "    y = torch.sum(x)\n"
      "    n = 0\n"
      "    _0 = bool(torch.lt(y, 100))\n"
      "    while _0:\n"
      "      y0 = torch.mul(y, 2)\n"
      "      n0 = torch.add(n, 1)\n"
      "      _0, y, n = bool(torch.lt(y0, 100)), y0, n0\n"
      "    return (y, n)\n";
  const auto got = RunBody(body);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, (std::vector<double>{168, 3}));
}

TEST(Interpreter, ChecksAtRunTimeWhatIsAssertedOfData) {
  const char* body =
      "    if bool(torch.gt(torch.sum(x), 0)):\n"
      "      pass\n"
      "    else:\n"
      "      ops.prim.RaiseException(\"AssertionError: not positive\")\n"
      "    return torch.sqrt(x)\n";
  EXPECT_TRUE(RunBody(body).ok());
  const auto negative = RunBody(body, DType::kF32, "3", -1);
  ASSERT_FALSE(negative.ok());
  EXPECT_THAT(std::string(negative.status().message()), HasSubstr("not positive"));
}

// What operators meant in the version of the file.
struct Versioned {
  const char* name;
  const char* version;
  const char* body;
  DType dtype;
  std::vector<double> expected;
  DType output;
};

TEST(Interpreter, KeepsTheMeaningOfOldOperators) {
  const Versioned examples[] = {
      {"div of integers truncated",
       "3",
       "    return torch.div(x, 2)\n",
       DType::kI32,
       {0, -1, -1, -2, -2, -3},
       DType::kI32},
      {"div of integers is true now",
       "4",
       "    return torch.div(x, 2)\n",
       DType::kI32,
       {-0.5, -1, -1.5, -2, -2.5, -3},
       DType::kF32},
      {"div of floats was always true",
       "1",
       "    return torch.div(x, 2)\n",
       DType::kF32,
       {-0.5, -1, -1.5, -2, -2.5, -3},
       DType::kF32},
      {"div by a float was true",
       "3",
       "    return torch.div(x, 2.)\n",
       DType::kI32,
       {-0.5, -1, -1.5, -2, -2.5, -3},
       DType::kF32},
      {"full was of the default type",
       "4",
       "    return torch.full([2], 3)\n",
       DType::kF32,
       {3, 3},
       DType::kF32},
      {"full infers its type",
       "5",
       "    return torch.full([2], 3)\n",
       DType::kF32,
       {3, 3},
       DType::kI64},
      {"full with a type",
       "2",
       "    return torch.full([2], 3, dtype=3)\n",
       DType::kF32,
       {3, 3},
       DType::kI32},
      {"div in place truncated",
       "3",
       "    return torch.div_(torch.add(x, 0), 2)\n",
       DType::kI32,
       {0, -1, -1, -2, -2, -3},
       DType::kI32},
      {"div of an integer tensor by one truncated",
       "2",
       "    return torch.div(x, torch.add(torch.zeros_like(x), 2))\n",
       DType::kI64,
       {0, -1, -1, -2, -2, -3},
       DType::kI64},
      {"a stated rounding mode counts in every version",
       "3",
       "    return torch.div(x, 2, rounding_mode=\"floor\")\n",
       DType::kI32,
       {-1, -1, -2, -2, -3, -3},
       DType::kI32},
      {"full of a bool was of the default type",
       "3",
       "    return torch.full([2], True)\n",
       DType::kF32,
       {1, 1},
       DType::kF32},
      {"logspace made 100 steps",
       "8",
       "    return torch.select(torch.logspace(0, 99, None, 1.), 0, 7)\n",
       DType::kF32,
       {1},
       DType::kF32},
      {"linspace with steps",
       "7",
       "    return torch.linspace(0, 2, 3)\n",
       DType::kF32,
       {0, 1, 2},
       DType::kF32},
      {"gelu without approximate",
       "9",
       "    return torch.gelu(x)\n",
       DType::kF32,
       {-0.158655, -0.0455, -0.00405, -0.000127, -1.4e-6, 0},
       DType::kF32},
      {"resizing had no scales before 1.5",
       "2",
       "    y = torch.upsample_nearest2d(torch.reshape(x, [1, 1, 2, 3]), [2, 6])\n"
       "    return torch.select(torch.reshape(y, [2, 6]), 0, 0)\n",
       DType::kF32,
       {-1, -1, -2, -2, -3, -3},
       DType::kF32},
      {"resizing with scales",
       "3",
       "    y = torch.upsample_bilinear2d(torch.reshape(x, [1, 1, 2, 3]), [2, 3], True, None, "
       "None)\n"
       "    return torch.reshape(y, [6])\n",
       DType::kF32,
       {-1, -2, -3, -4, -5, -6},
       DType::kF32},
      {"linspace made 100 steps",
       "7",
       "    return torch.select(torch.linspace(0, 99, None), 0, 7)\n",
       DType::kF32,
       {7},
       DType::kF32},
  };
  for (const Versioned& e : examples) {
    const std::string code = floe::testing::ScriptClass(e.body);
    const auto graph = ImportScript(code, OptionsFor(e.dtype), e.version);
    ASSERT_TRUE(graph.ok()) << e.name << ": " << graph.status();
    EXPECT_EQ((*graph)->outputs()[0]->dtype(), e.output) << e.name;
    const auto got = RunBody(e.body, e.dtype, e.version, -1);
    ASSERT_TRUE(got.ok()) << e.name << ": " << got.status();
    ASSERT_EQ(got->size(), e.expected.size()) << e.name;
    for (size_t i = 0; i < got->size(); ++i) EXPECT_NEAR((*got)[i], e.expected[i], 1e-5) << e.name;
  }
}

TEST(Interpreter, ReadsClassesFunctionsAndEnums) {
  const std::string code =
      "op_version_set = 1\n"
      "import __torch__.other\n" +
      floe::testing::ScriptClass(
          "    p = __torch__.P(x, 2)\n"
          "    c = __torch__.Counter.__new__(__torch__.Counter)\n"
          "    _0 = (c).__init__(5, )\n"
          "    _1 = (c).add(__torch__.twice((p)[1], ), )\n"
          "    e = __torch__.Color.RED\n"
          "    f = __torch__.twice\n"
          "    return (c.n, torch.eq(e, __torch__.Color.RED), (e).value, f(4, ))\n") +
      "class P(NamedTuple):\n"
      "  left : Tensor\n"
      "  right : int\n"
      "class Color(Enum):\n"
      "  RED = 1\n"
      "  BLUE = 2\n"
      "class Counter:\n"
      "  n : int\n"
      "  def __init__(self: __torch__.Counter,\n"
      "    n: int) -> NoneType:\n"
      "    self.n = n\n"
      "    return None\n"
      "  def add(self: __torch__.Counter,\n"
      "    k: int=1) -> NoneType:\n"
      "    n = self.n\n"
      "    self.n = torch.add(n, k)\n"
      "    return None\n"
      "def twice(n: int) -> int:\n"
      "  return torch.mul(n, 2)\n";
  const auto graph = ImportScript(code, OptionsFor(DType::kF32));
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto outputs =
      ir::Evaluate(**graph, std::vector<ir::Tensor>{ir::Tensor(DType::kF32, {2, 3})});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ASSERT_EQ(outputs->size(), 4u);
  EXPECT_EQ((*outputs)[0].IntAt(0), 9);
  EXPECT_EQ((*outputs)[1].IntAt(0), 1);
  EXPECT_EQ((*outputs)[2].IntAt(0), 1);
  EXPECT_EQ((*outputs)[3].IntAt(0), 8);
}

}  // namespace
}  // namespace floe::torchscript
