#include "compiler/ir/dim.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace floe::ir {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
const std::vector<Symbol> kSymbols = {{"N", 1, 8, 1}, {"T", 2, 512, 1}};

Dim N() { return Dim::OfSymbol(0); }
Dim T() { return Dim::OfSymbol(1); }
Dim Affine(int64_t c, int64_t n, int64_t t) {
  return *Dim::Add(*Dim::Add(c, *Dim::Mul(N(), n)), *Dim::Mul(T(), t));
}

TEST(Dim, PrintsAsOneWouldWriteIt) {
  EXPECT_EQ(Dim(4).ToString(kSymbols), "4");
  EXPECT_EQ(N().ToString(kSymbols), "N");
  EXPECT_EQ(Affine(1, 2, 0).ToString(kSymbols), "2*N+1");
  EXPECT_EQ(Affine(-3, -1, 4).ToString(kSymbols), "-N+4*T-3");
  EXPECT_EQ(Affine(0, -5, -1).ToString(kSymbols), "-5*N-T");
}

// Every operation agrees with arithmetic on the symbols' values, for random operands and values.
TEST(Dim, ArithmeticAgreesWithEvaluation) {
  std::mt19937 random(1);
  const auto number = [&random] { return static_cast<int64_t>(random() % 13) - 6; };
  int divided = 0, floored = 0;
  for (int round = 0; round < 2000; ++round) {
    const Dim a = Affine(number(), number(), number());
    const Dim b = Affine(number(), round % 2 == 0 ? 0 : number(), 0);
    const std::vector<int64_t> at = {1 + static_cast<int64_t>(random() % 8),
                                     2 + static_cast<int64_t>(random() % 100)};
    const int64_t x = a.Eval(at), y = b.Eval(at);
    EXPECT_EQ(Dim::Add(a, b)->Eval(at), x + y);
    EXPECT_EQ(Dim::Sub(a, b)->Eval(at), x - y);
    if (const auto product = Dim::Mul(a, b)) {
      EXPECT_EQ(product->Eval(at), x * y);
    } else {
      EXPECT_FALSE(a.is_constant() || b.is_constant());
    }
    if (const auto quotient = Dim::DivExact(a, b)) {
      EXPECT_EQ(quotient->Eval(at) * y, x);
      ++divided;
    }
    if (const auto quotient = Dim::DivFloor(a, 3)) {
      EXPECT_EQ(quotient->Eval(at), (x - ((x % 3) + 3) % 3) / 3);
      ++floored;
    }
    EXPECT_LE(a.Min(kSymbols), x);
    EXPECT_GE(a.Max(kSymbols), x);
    EXPECT_EQ(*Dim::Sub(*Dim::Add(a, b), b), a);  // The normal form is unique.
  }
  EXPECT_GT(divided, 50);
  EXPECT_GT(floored, 20);
}

TEST(Dim, RefusesOverflow) {
  EXPECT_FALSE(Dim::Add(kMax, 1));
  EXPECT_FALSE(Dim::Mul(kMax, 2));
  EXPECT_FALSE(Dim::Mul(*Dim::Mul(N(), kMax), 2));
  EXPECT_FALSE(Dim::DivExact(1, 0));
  EXPECT_FALSE(Dim::DivExact(std::numeric_limits<int64_t>::min(), -1));
  EXPECT_EQ(Dim::Mul(N(), kMax)->Max(kSymbols), kMax);  // Saturates.
}

TEST(Dim, CountsOfShapes) {
  EXPECT_TRUE(SameCount({N(), T(), 768}, {N(), T(), 12, 64}));
  EXPECT_TRUE(SameCount({Affine(2, 2, 0), 3}, {6, Affine(1, 1, 0)}));
  EXPECT_TRUE(SameCount({Affine(-1, 1, 0), Affine(1, 1, 0)}, {Affine(1, 1, 0), Affine(-1, 1, 0)}));
  EXPECT_TRUE(SameCount({0, N()}, {T(), 0}));
  EXPECT_FALSE(SameCount({N(), 4}, {T(), 4}));
  EXPECT_FALSE(SameCount({N(), N()}, {N()}));
  EXPECT_FALSE(SameCount({6}, {5}));
}

TEST(Dim, QuotientsOfShapes) {
  EXPECT_EQ(CountQuotient({N(), T(), 768}, {N(), T(), 12}), Dim(64));
  EXPECT_EQ(CountQuotient({N(), T(), 768}, {T(), 768}), N());
  EXPECT_EQ(CountQuotient({*Dim::Mul(N(), 4), 6}, {8}), Affine(0, 3, 0));
  EXPECT_EQ(CountQuotient({3}, {}), Dim(3));
  EXPECT_FALSE(CountQuotient({N(), T()}, {}));  // Not affine.
  EXPECT_FALSE(CountQuotient({N(), 3}, {2}));   // Not whole.
  EXPECT_FALSE(CountQuotient({N()}, {T()}));
  EXPECT_FALSE(CountQuotient({N()}, {0}));
}

}  // namespace
}  // namespace floe::ir
