// If, Loop and Scan: written out where they are decided at import, control flow of the IR
// otherwise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "compiler/import/onnx/import.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/text.h"
#include "compiler/ir/verify.h"
#include "tests/onnx/model_builder.h"

namespace floe::onnx {
namespace {

using ::testing::HasSubstr;

// The body of a node, as an attribute.
class BodyAttr {
 public:
  explicit BodyAttr(const char* name) {
    attr_.set_name(name);
    attr_.set_type(5);
  }
  BodyAttr& Input(const std::string& name) {
    attr_.mutable_g()->add_input()->set_name(name);
    return *this;
  }
  BodyAttr& Output(const std::string& name) {
    attr_.mutable_g()->add_output()->set_name(name);
    return *this;
  }
  BodyAttr& Node(const char* op, const std::vector<std::string>& inputs,
                 const std::vector<std::string>& outputs,
                 const std::vector<AttributeProto>& attrs = {}) {
    ModelBuilder::Fill(*attr_.mutable_g()->add_node(), op, inputs, outputs, attrs);
    return *this;
  }
  operator AttributeProto() const { return attr_; }  // NOLINT: an attribute is what it is.

 private:
  AttributeProto attr_;
};

absl::StatusOr<std::unique_ptr<ir::Graph>> Import(const ModelBuilder& m,
                                                  ImportOptions options = {}) {
  options.dims["N"] = {0, 9, 1};
  bool uses_n = false;
  for (const auto& input : m.model.graph().input()) {
    for (const auto& d : input.type().tensor_type().shape().dim()) {
      uses_n = uses_n || d.dim_param() == "N";
    }
  }
  if (!uses_n) options.dims.clear();
  return ImportOnnxFromMemory(m.Bytes(), nullptr, options);
}

ir::Tensor Floats(std::vector<int64_t> dims, std::function<double(int64_t)> element) {
  ir::Tensor t(DType::kF32, std::move(dims));
  for (int64_t i = 0; i < t.count(); ++i) t.SetDouble(i, element(i));
  return t;
}

ir::Tensor Scalar(DType dtype, int64_t v) {
  ir::Tensor t(dtype, {});
  t.SetInt(0, v);
  return t;
}

std::vector<double> Values(const ir::Tensor& t) {
  std::vector<double> v;
  for (int64_t i = 0; i < t.count(); ++i) v.push_back(t.DoubleAt(i));
  return v;
}

// Output 0 for these inputs; empty after a failure.
std::vector<double> OutputOf(const ir::Graph& graph, const std::vector<ir::Tensor>& inputs,
                             size_t output = 0) {
  EXPECT_TRUE(ir::Verify(graph).ok()) << ir::Verify(graph);
  auto outputs = ir::Evaluate(graph, inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.status() << ir::ToText(graph);
  return outputs.ok() ? Values((*outputs)[output]) : std::vector<double>();
}

bool Has(const ir::Graph& graph, OpId op) {
  for (const auto& node : graph.nodes()) {
    if (node->op() == op) return true;
  }
  return false;
}

// y = b ? x w : (c ? -x : x + w), w being an initializer.
TEST(If, RunsTheBranchThatTheConditionChooses) {
  ModelBuilder m(17);
  m.Input("x", {"2"}).Input("b", {}, kBool).Input("c", {"1"}, kBool).Floats("w", {2}, {3, 5});
  m.Output("y");
  m.Node("If", {"b"}, {"y"},
         {BodyAttr("then_branch").Node("Mul", {"x", "w"}, {"r"}).Output("r"),
          BodyAttr("else_branch")
              .Node("If", {"c"}, {"s"},
                    {BodyAttr("then_branch").Node("Neg", {"x"}, {"t"}).Output("t"),
                     BodyAttr("else_branch").Node("Add", {"x", "w"}, {"u"}).Output("u")})
              .Output("s")});
  const auto graph = Import(m);
  ASSERT_TRUE(graph.ok()) << graph.status();
  ir::Tensor c(DType::kBool, {1});
  for (const int64_t inner : {0, 1}) {
    c.SetInt(0, inner);
    for (const int64_t outer : {0, 1}) {
      const auto y = OutputOf(**graph, {Floats({2}, [](int64_t i) { return i + 1.0; }),
                                        Scalar(DType::kBool, outer), c});
      const std::vector<double> expected = outer   ? std::vector<double>{3, 10}
                                           : inner ? std::vector<double>{-1, -2}
                                                   : std::vector<double>{4, 7};
      EXPECT_EQ(y, expected) << outer << inner;
    }
  }
}

TEST(If, BranchesOfDifferentTypesAreRefusedByName) {
  ModelBuilder m(17);
  m.Input("x", {"2"}).Input("b", {}, kBool).Output("y");
  m.Node("If", {"b"}, {"y"},
         {BodyAttr("then_branch").Node("Neg", {"x"}, {"r"}).Output("r"),
          BodyAttr("else_branch")
              .Node("Concat", {"x", "x"}, {"r"}, {Attr("axis", int64_t{0})})
              .Output("r")});
  const absl::Status status = Import(m).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("f32[2] in one branch and f32[4] in the other"));
}

TEST(If, WhatHasNoMappingInABranchIsListed) {
  ModelBuilder m(17);
  m.Input("x", {"2"}).Input("b", {}, kBool).Output("y");
  m.Node("If", {"b"}, {"y"},
         {BodyAttr("then_branch").Node("Neg", {"x"}, {"r"}).Output("r"),
          BodyAttr("else_branch").Node("Bernoulli", {"x"}, {"r"}).Output("r")});
  EXPECT_THAT(std::string(Import(m).status().message()), HasSubstr("Bernoulli"));
}

TEST(If, NestsOnlySoDeep) {
  const auto nested = [](int depth) {
    ModelBuilder m(17);
    m.Input("b", {}, kBool).Input("x", {"2"}).Output("y");
    AttributeProto inner = BodyAttr("then_branch").Node("Neg", {"x"}, {"r0"}).Output("r0");
    for (int i = 1; i <= depth; ++i) {
      const std::string name = i == depth ? "y" : "r" + std::to_string(i);
      const std::string other = "o" + std::to_string(i);
      const AttributeProto otherwise =
          BodyAttr("else_branch").Node("Exp", {"x"}, {other}).Output(other);
      if (i == depth) {
        m.Node("If", {"b"}, {name}, {inner, otherwise});
      } else {
        inner = BodyAttr("then_branch").Node("If", {"b"}, {name}, {inner, otherwise}).Output(name);
      }
    }
    return Import(m);
  };
  const auto graph = nested(20);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(OutputOf(**graph, {Scalar(DType::kBool, 1), Floats({2}, [](int64_t) { return 3; })}),
            (std::vector<double>{-3, -3}));
  EXPECT_EQ(nested(32).status().code(), absl::StatusCode::kUnimplemented);
}

// v = v * w + i while (i < n and the sum of v is below 100).
ModelBuilder While(bool trips, bool condition) {
  ModelBuilder m(17);
  m.Input("x", {"2"}).Input("n", {}, kInt64).Input("go", {}, kBool).Floats("w", {}, {2});
  m.Floats("limit", {}, {100}).Output("y");
  m.Node("Loop", {trips ? "n" : "", condition ? "go" : "", "x"}, {"y"},
         {BodyAttr("body")
              .Input("i")
              .Input("cond")
              .Input("v")
              .Node("Mul", {"v", "w"}, {"vw"})
              .Node("Cast", {"i"}, {"f"}, {Attr("to", int64_t{kFloat})})
              .Node("Add", {"vw", "f"}, {"next"})
              .Node("ReduceSum", {"next"}, {"sum"}, {Attr("keepdims", int64_t{0})})
              .Node("Less", {"sum", "limit"}, {"small"})
              .Node("And", {"small", "cond"}, {"again"})
              .Output("again")
              .Output("next")});
  return m;
}

TEST(Loop, RunsUntilItsTripsOrItsConditionEndIt) {
  for (const bool trips : {true, false}) {
    for (const bool condition : {true, false}) {
      const auto graph = Import(While(trips, condition));
      ASSERT_TRUE(graph.ok()) << graph.status();
      for (const int64_t n : {-1, 0, 1, 3, 50}) {
        for (const int64_t go : {0, 1}) {
          double v[2] = {1, -0.5};
          bool again = go != 0 || !condition;
          for (int64_t i = 0; again && (i < n || !trips); ++i) {
            for (double& e : v) e = e * 2 + static_cast<double>(i);
            again = v[0] + v[1] < 100;
          }
          EXPECT_EQ(OutputOf(**graph, {Floats({2}, [](int64_t i) { return i == 0 ? 1 : -0.5; }),
                                       Scalar(DType::kI64, n), Scalar(DType::kBool, go)}),
                    (std::vector<double>{v[0], v[1]}))
              << trips << condition << n << go;
        }
      }
    }
  }
}

// s = s + x[i], collecting s: a cumulative sum of the rows of x [rows, 2].
ModelBuilder Running(const char* rows, const std::string& trips) {
  ModelBuilder m(17);
  m.Input("x", {rows, "2"}).Floats("zero", {2}, {0, 0}).Output("y").Output("all");
  m.Ints("zeroth", {0});
  if (trips == "rows") {
    m.Node("Shape", {"x"}, {"shape"}).Node("Gather", {"shape", "zeroth"}, {"rows"});
  } else if (trips == "n") {
    m.Input("n", {}, kInt64);
  } else {
    m.Ints("three", {std::stoll(trips)}, true);
  }
  m.Node("Loop", {trips == "rows" || trips == "n" ? trips : "three", "", "zero"}, {"y", "all"},
         {BodyAttr("body")
              .Input("i")
              .Input("cond")
              .Input("s")
              .Node("Gather", {"x", "i"}, {"row"}, {Attr("axis", int64_t{0})})
              .Node("Add", {"s", "row"}, {"next"})
              .Node("Identity", {"cond"}, {"again"})
              .Output("again")
              .Output("next")
              .Output("next")});
  return m;
}

std::vector<double> CumulativeSums(int64_t rows) {
  std::vector<double> v;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < 2; ++k) {
      v.push_back((i > 0 ? v[static_cast<size_t>(i * 2 + k - 2)] : 0) +
                  static_cast<double>(i * 2 + k));
    }
  }
  return v;
}

TEST(Loop, CollectsValuesWhereTheNumberOfIterationsIsKnown) {
  const struct {
    const char* rows;
    const char* trips;
    std::vector<int64_t> sizes;
    bool loop;
  } kCases[] = {{"3", "3", {3}, false},
                {"1", "1", {1}, false},
                {"600", "600", {600}, true},
                {"3", "0", {3}, true},
                {"N", "rows", {0, 1, 4, 9}, true}};
  for (const auto& c : kCases) {
    const auto graph = Import(Running(c.rows, c.trips));
    ASSERT_TRUE(graph.ok()) << graph.status();
    EXPECT_EQ(Has(**graph, OpId::kLoop), c.loop) << c.trips;
    for (const int64_t rows : c.sizes) {
      const int64_t runs = std::string(c.trips) == "0" ? 0 : rows;
      const std::vector<double> expected = CumulativeSums(runs);
      const auto x = Floats({rows, 2}, [](int64_t i) { return static_cast<double>(i); });
      EXPECT_EQ(OutputOf(**graph, {x}, 1), expected) << c.trips;
      const std::vector<double> last =
          runs == 0 ? std::vector<double>{0, 0}
                    : std::vector<double>(expected.end() - 2, expected.end());
      EXPECT_EQ(OutputOf(**graph, {x}, 0), last) << c.trips;
    }
  }
}

TEST(Loop, WhatItCannotCollectOrCarryIsRefusedByName) {
  const absl::Status status = Import(Running("3", "n")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("collects values ('next')"));
  ModelBuilder m(17);
  m.Input("x", {"2"}).Input("n", {}, kInt64).Output("y");
  m.Node("Loop", {"n", "", "x"}, {"y"},
         {BodyAttr("body")
              .Input("i")
              .Input("cond")
              .Input("v")
              .Node("Concat", {"v", "v"}, {"twice"}, {Attr("axis", int64_t{0})})
              .Output("cond")
              .Output("twice")});
  EXPECT_THAT(std::string(Import(m).status().message()),
              HasSubstr("('x') is f32[2] before an iteration and f32[4] after it"));
  ModelBuilder bad(17);
  bad.Input("x", {"2"}).Input("n", {}, kInt64).Output("y");
  bad.Node("Loop", {"n", "", "x"}, {"y"}, {BodyAttr("body").Input("i").Output("i")});
  EXPECT_EQ(Import(bad).status().code(), absl::StatusCode::kInvalidArgument);
}

// s = s * 0.5 + x[:, t]; collects s and x[:, t] - s.
TEST(Scan, TakesAndCollectsRowsOnAnyAxisInAnyDirection) {
  for (const char* length : {"4", "N", "700"}) {
    for (const int64_t back_in : {0, 1}) {
      for (const int64_t back_out : {0, 1}) {
        ModelBuilder m(17);
        m.Input("s", {"2"}).Input("x", {"2", length}).Floats("half", {}, {0.5});
        m.Output("last").Output("rows").Output("columns");
        m.Node(
            "Scan", {"s", "x"}, {"last", "rows", "columns"},
            {BodyAttr("body")
                 .Input("s")
                 .Input("xt")
                 .Node("Mul", {"s", "half"}, {"h"})
                 .Node("Add", {"h", "xt"}, {"next"})
                 .Node("Sub", {"xt", "s"}, {"rest"})
                 .Output("next")
                 .Output("next")
                 .Output("rest"),
             Attr("num_scan_inputs", int64_t{1}), Attr("scan_input_axes", std::vector<int64_t>{1}),
             Attr("scan_input_directions", std::vector<int64_t>{back_in}),
             Attr("scan_output_axes", std::vector<int64_t>{0, -1}),
             Attr("scan_output_directions", std::vector<int64_t>{0, back_out})});
        const auto graph = Import(m);
        ASSERT_TRUE(graph.ok()) << graph.status();
        const bool dynamic = std::string(length) == "N";
        EXPECT_EQ(Has(**graph, OpId::kLoop), std::string(length) != "4");
        for (const int64_t t :
             dynamic ? std::vector<int64_t>{0, 1, 5} : std::vector<int64_t>{std::stoll(length)}) {
          const auto x = [t](int64_t c, int64_t at) {
            return static_cast<double>((c * t + at) % 7);
          };
          std::vector<double> s = {1, 2}, rows, columns(static_cast<size_t>(2 * t));
          for (int64_t k = 0; k < t; ++k) {
            for (int64_t c = 0; c < 2; ++c) {
              double& e = s[static_cast<size_t>(c)];
              const double xt = x(c, back_in ? t - 1 - k : k);
              columns[static_cast<size_t>(c * t + (back_out ? t - 1 - k : k))] = xt - e;
              e = e * 0.5 + xt;
              rows.push_back(e);
            }
          }
          const std::vector<ir::Tensor> inputs = {
              Floats({2}, [](int64_t i) { return i + 1.0; }),
              Floats({2, t}, [&](int64_t i) { return x(i / t, i % t); })};
          for (size_t o = 0; o < 3; ++o) {
            const std::vector<double> expected = o == 0 ? s : o == 1 ? rows : columns;
            EXPECT_THAT(OutputOf(**graph, inputs, o),
                        testing::Pointwise(testing::DoubleNear(1e-5), expected))
                << length << back_in << back_out << o;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace floe::onnx
