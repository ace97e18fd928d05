#include "compiler/ir/graph.h"

#include <cmath>

#include "compiler/ir/attributes.h"
#include "compiler/ir/verify.h"
#include "format/attrs.h"
#include "tests/ir/ir_testing.h"

namespace floe::ir {
namespace {

using testing::Test;

TEST(Tensor, EveryDTypeKeepsItsNumbers) {
  const DType kTypes[] = {DType::kF32, DType::kF64, DType::kF16, DType::kBF16, DType::kI8,
                          DType::kU8,  DType::kI16, DType::kU16, DType::kI32,  DType::kU32,
                          DType::kI64, DType::kU64, DType::kBool};
  for (const DType t : kTypes) {
    Tensor tensor(t, {2, 2});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % 64, 0u);
    EXPECT_EQ(tensor.bytes(), 4 * DTypeSize(t));
    tensor.SetDouble(1, 1.0);
    tensor.SetDouble(3, t == DType::kBool ? 1.0 : 96.0);
    EXPECT_EQ(tensor.DoubleAt(0), 0.0) << DTypeName(t);
    EXPECT_EQ(tensor.DoubleAt(1), 1.0) << DTypeName(t);
    EXPECT_EQ(tensor.DoubleAt(3), t == DType::kBool ? 1.0 : 96.0) << DTypeName(t);
  }
}

TEST(Tensor, HalfRoundsToNearestEven) {
  Tensor t(DType::kF16, {1});
  const struct {
    double in, out;
  } kCases[] = {{65519.0, 65504.0},     {65520.0, INFINITY},  {-65520.0, -INFINITY},
                {2049.0, 2048.0},       {2051.0, 2052.0},     {0x1p-24, 0x1p-24},
                {0x1p-25, 0.0},         {0x1.8p-24, 0x1p-23}, {0x1.ff8p-15, 0x1.ff8p-15},
                {0x1.fffp-15, 0x1p-14}, {-0.0, -0.0},         {0.1, 0x1.998p-4}};
  for (const auto& c : kCases) {
    t.SetDouble(0, c.in);
    EXPECT_EQ(t.DoubleAt(0), c.out) << c.in;
    EXPECT_EQ(std::signbit(t.DoubleAt(0)), std::signbit(c.out)) << c.in;
  }
  t.SetDouble(0, NAN);
  EXPECT_TRUE(std::isnan(t.DoubleAt(0)));
}

TEST(Tensor, HashSeesEveryByteAndTheShape) {
  for (const int64_t n : {1, 7, 32, 33, 100}) {
    Tensor a(DType::kU8, {n});
    const uint64_t h = a.ContentHash();
    EXPECT_NE(a.WithDims({n, 1}).ContentHash(), h);
    for (int64_t i = 0; i < n; ++i) {
      Tensor b(DType::kU8, {n});
      b.SetInt(i, 1);
      EXPECT_NE(b.ContentHash(), h) << n << " " << i;
      EXPECT_FALSE(b.BytesEqual(a));
    }
    EXPECT_TRUE(Tensor(DType::kU8, {n}).BytesEqual(a));
  }
}

TEST(Graph, EditsKeepUseListsExact) {
  Graph g;
  Value* x = g.AddInput("x", DType::kF32, {4});
  Value* c = g.AddConstant("x", Tensor(DType::kF32, {4}));
  EXPECT_EQ(c->name(), "x_1");
  Node* add = g.AddNode(OpId::kAdd, {x, x}, {"y"}, {});
  add->output()->set_type(DType::kF32, {4});
  Node* relu = g.AddNode(OpId::kRelu, {add->output()}, {"y"}, {});
  relu->output()->set_type(DType::kF32, {4});
  EXPECT_EQ(relu->output()->name(), "y_1");
  g.AddOutput(relu->output(), "out");
  EXPECT_EQ(x->users().size(), 2u);
  ASSERT_TRUE(Verify(g).ok()) << Verify(g);

  g.SetInput(add, 1, c);
  EXPECT_EQ(x->users().size(), 1u);
  g.ReplaceAllUses(relu->output(), add->output());
  EXPECT_EQ(g.outputs()[0], add->output());
  g.Erase(relu);
  EXPECT_EQ(g.FindValue("y_1"), nullptr);
  ASSERT_TRUE(Verify(g).ok()) << Verify(g);

  Node* first = g.AddNode(OpId::kNeg, {x}, {"z"}, {}, add);
  first->output()->set_type(DType::kF32, {4});
  g.SetInput(add, 0, first->output());
  ASSERT_TRUE(Verify(g).ok()) << Verify(g);
  g.MoveBefore(add, first);
  EXPECT_FALSE(Verify(g).ok());  // Now the use comes first.
  g.MoveBefore(first, add);
  EXPECT_TRUE(Verify(g).ok());
}

// A well-formed graph that each case breaks in one way.
class VerifyTest : public Test {
 protected:
  VerifyTest() {
    g_.GetSymbol("N", 1, 8);
    x_ = g_.AddInput("x", DType::kF32, {Dim::OfSymbol(0), 4});
    node_ = g_.AddNode(OpId::kSoftmax, {x_}, {"y"}, {"/softmax", "net.py:3"});
    node_->attrs["axis"] = int64_t{1};
    node_->output()->set_type(DType::kF32, x_->shape());
    g_.AddOutput(node_->output(), "y");
    EXPECT_TRUE(Verify(g_).ok()) << Verify(g_);
  }
  std::string Error() { return std::string(Verify(g_).message()); }

  Graph g_;
  Value* x_;
  Node* node_;
};

TEST_F(VerifyTest, NamesTheNodeAndItsSource) {
  node_->attrs.clear();
  EXPECT_EQ(Error(), "softmax '/softmax' (f32[N,4]) at net.py:3: attribute 'axis' is missing");
}
TEST_F(VerifyTest, AttributeOfWrongType) {
  node_->attrs["axis"] = 1.0;
  EXPECT_NE(Error().find("not of type int"), std::string::npos);
}
TEST_F(VerifyTest, UnknownAttribute) {
  node_->attrs["axes"] = int64_t{1};
  EXPECT_NE(Error().find("'axes' is unknown"), std::string::npos);
}
TEST_F(VerifyTest, TooManyOperands) {
  g_.AddOperand(node_, x_);
  EXPECT_NE(Error().find("has 2 operands"), std::string::npos);
}
TEST_F(VerifyTest, AbsentOperand) {
  g_.SetInput(node_, 0, nullptr);
  EXPECT_NE(Error().find("operand 0 is absent"), std::string::npos);
}
TEST_F(VerifyTest, UntypedValue) {
  node_->output()->set_type(DType::kNone, {});
  EXPECT_NE(Error().find("'y' has no type"), std::string::npos);
}
TEST_F(VerifyTest, UnknownSymbol) {
  x_->set_type(DType::kF32, {Dim::OfSymbol(7)});
  EXPECT_NE(Error().find("unknown symbol"), std::string::npos);
}
TEST_F(VerifyTest, ContentOfAnotherSize) {
  x_->content = {1, 2};
  EXPECT_NE(Error().find("content of another size"), std::string::npos);
}
TEST_F(VerifyTest, SymbolBounds) {
  g_.symbols[0].min = 9;
  EXPECT_NE(Error().find("bounds 9..8"), std::string::npos);
}
TEST_F(VerifyTest, CodeOnAnOpThatTakesNone) {
  Node* relu = g_.AddNode(OpId::kRelu, {x_}, {"z"}, {});
  relu->output()->set_type(DType::kF32, x_->shape());
  relu->code = {{.op = static_cast<uint8_t>(PwOp::kRelu)}};
  relu->epilogue_begin = 1;
  EXPECT_NE(Error().find("op does not take"), std::string::npos);
}
TEST_F(VerifyTest, MalformedCode) {
  node_->code = {{.op = static_cast<uint8_t>(PwOp::kAdd), .b = 5}};  // r5 is never written.
  node_->epilogue_begin = 1;
  EXPECT_NE(Error().find("malformed code"), std::string::npos);
}

TEST(Attributes, FollowTheOpTable) {
  const auto specs = AttrSpecs(OpId::kCumSum);
  ASSERT_EQ(specs.size(), 3u);
  EXPECT_EQ(specs[2].name, "reverse");
  EXPECT_EQ(AttrSpecs(OpId::kAdd).size(), 0u);
  Graph g;
  Node* pad = g.AddNode(OpId::kPad, {g.AddInput("x", DType::kF32, {3})}, {"y"}, {});
  pad->attrs = {{"mode", int64_t{0}},
                {"before", std::vector<int64_t>{5}},
                {"after", std::vector<int64_t>{6}},
                {"value", 0.5}};
  EXPECT_EQ(AttrWords(*pad), (std::vector<int64_t>{0, 1, 5, 1, 6, FloatWord(0.5)}));
}

}  // namespace
}  // namespace floe::ir
