#include "compiler/ir/dim.h"

#include <gtest/gtest.h>

#include <iterator>
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

// Sums of products and floors, made at random: every operation agrees with arithmetic, and Min and
// Max are bounds.
TEST(Dim, PolynomialsAgreeWithEvaluation) {
  std::mt19937 random(2);
  const auto number = [&random] { return static_cast<int64_t>(random() % 9) - 4; };
  const auto floor_of = [](int64_t a, int64_t d) { return a / d - (a % d < 0 ? 1 : 0); };
  int exact = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::vector<int64_t> at = {1 + static_cast<int64_t>(random() % 8),
                                     2 + static_cast<int64_t>(random() % 511)};
    Dim d = Affine(number(), number(), number());
    int64_t v = d.Eval(at);
    for (int step = 0; step < 4; ++step) {
      const Dim other = Affine(number(), number(), number());
      const int64_t w = other.Eval(at);
      const int64_t divisor = 1 + static_cast<int64_t>(random() % 6);
      const int choice = static_cast<int>(random() % 6);
      std::optional<Dim> next;
      if (choice == 0) next = Dim::Mul(d, other), v *= w;
      if (choice == 1) next = Dim::Add(d, other), v += w;
      if (choice == 2) next = Dim::Sub(other, d), v = w - v;
      if (choice == 3) next = Dim::DivFloor(d, divisor), v = floor_of(v, divisor);
      if (choice == 4) next = Dim::Larger(d, other), v = std::max(v, w);
      if (choice == 5) next = Dim::Smaller(d, other), v = std::min(v, w);
      ASSERT_TRUE(next);
      d = *next;
      ASSERT_EQ(d.Eval(at), v) << d.ToString(kSymbols);
    }
    EXPECT_LE(d.Min(kSymbols), v) << d.ToString(kSymbols);
    EXPECT_GE(d.Max(kSymbols), v) << d.ToString(kSymbols);
    const Dim other = Affine(number(), number(), number());
    EXPECT_EQ(*Dim::Sub(*Dim::Add(d, other), other), d);
    const auto product = Dim::Mul(d, other);
    if (!product || other == Dim(0)) continue;
    EXPECT_EQ(*product, *Dim::Mul(other, d));
    EXPECT_EQ(Dim::DivExact(*product, other), d) << d.ToString(kSymbols);
    ++exact;
  }
  EXPECT_GT(exact, 1000);
}

TEST(Dim, NormalFormsOfFloors) {
  const auto floor_of = [](const Dim& d, int64_t by) { return *Dim::DivFloor(d, by); };
  const auto text = [](const std::optional<Dim>& d) { return d->ToString(kSymbols); };
  EXPECT_EQ(text(floor_of(Affine(-1, 0, 1), 2)), "floor((T+1)/2)-1");
  EXPECT_EQ(text(floor_of(Affine(1, 0, 2), 4)), "floor((T)/2)");
  EXPECT_EQ(text(floor_of(Affine(3, 0, 4), 2)), "2*T+1");
  EXPECT_EQ(floor_of(floor_of(T(), 2), 3), floor_of(T(), 6));
  EXPECT_EQ(floor_of(*Dim::Add(floor_of(T(), 2), 1), 2), floor_of(Affine(2, 0, 1), 4));
  // Bounds see that both parts grow.
  const Dim half = *Dim::Sub(T(), floor_of(T(), 2));
  EXPECT_EQ(half.Min(kSymbols), 1);
  EXPECT_EQ(half.Max(kSymbols), 256);
  const Dim rest = *Dim::Sub(T(), *Dim::Smaller(T(), 10));
  EXPECT_EQ(rest.Min(kSymbols), 0);
  EXPECT_EQ(rest.Max(kSymbols), 502);
  const Dim minus = *Dim::Mul(*Dim::Sub(N(), 1), T());
  EXPECT_EQ(text(minus), "N*T-T");
  EXPECT_EQ(minus.Min(kSymbols), 0);
  EXPECT_EQ(minus.Max(kSymbols), 7 * 512);
}

// Functions in one another, each of which names the last one twice: a file of a few lines could ask
// for 2^100 of them. They end, and bounds of what there is are right and quick to find.
TEST(Dim, FunctionsInOneAnotherEnd) {
  using MaybeDim = std::optional<Dim>;
  using Step = MaybeDim (*)(const Dim&);
  using Operation = MaybeDim (*)(const Dim&, const Dim&);
  static constexpr auto kOf = [](Operation f, const MaybeDim& a, const MaybeDim& b) -> MaybeDim {
    return a && b ? f(*a, *b) : std::nullopt;
  };
  const Step kSteps[] = {
      [](const Dim& d) { return kOf(Dim::Larger, Dim::Add(d, 1), Dim::Sub(T(), d)); },
      [](const Dim& d) {
        return kOf(Dim::Smaller, Dim::Mul(d, 2), kOf(Dim::Add, Dim::Sub(N(), d), Dim(300)));
      },
      [](const Dim& d) {
        const MaybeDim sum = kOf(Dim::Add, Dim::Mul(d, 3), N());
        return sum ? Dim::DivFloor(*sum, 2) : std::nullopt;
      },
      [](const Dim& d) {
        return kOf(Dim::Larger, Dim::Smaller(d, Affine(40, 1, 0)),
                   kOf(Dim::Sub, Dim::DivFloor(d, 3), Dim(1)));
      },
      [](const Dim& d) {
        return kOf(Dim::Add, Dim::Larger(d, N()), Dim::Smaller(d, Affine(0, 9, 0)));
      },
  };
  std::mt19937 random(3);
  for (size_t s = 0; s < std::size(kSteps); ++s) {
    Dim d = T();
    int steps = 0;
    for (std::optional<Dim> next = d; next && steps < 100; ++steps) {
      d = *next;
      const int64_t min = d.Min(kSymbols), max = d.Max(kSymbols);
      for (int round = 0; round < 8; ++round) {
        const std::vector<int64_t> at = {1 + static_cast<int64_t>(random() % 8),
                                         2 + static_cast<int64_t>(random() % 511)};
        EXPECT_LE(min, d.Eval(at)) << s << " after " << steps;
        EXPECT_GE(max, d.Eval(at)) << s << " after " << steps;
      }
      next = kSteps[s](d);
    }
    EXPECT_GE(steps, 3) << s;
    EXPECT_LE(steps, 10) << s;
  }
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
  EXPECT_EQ(CountQuotient({N(), T()}, {}), Dim::Mul(N(), T()));
  EXPECT_EQ(CountQuotient({*Dim::Mul(N(), T()), 768}, {T(), 64}), Dim::Mul(N(), 12));
  EXPECT_EQ(CountQuotient({*Dim::Mul(Affine(1, 1, 0), T())}, {Affine(1, 1, 0)}), T());
  EXPECT_FALSE(CountQuotient({N(), 3}, {2}));  // Not whole.
  EXPECT_FALSE(CountQuotient({N()}, {T()}));
  EXPECT_FALSE(CountQuotient({N()}, {0}));
}

}  // namespace
}  // namespace floe::ir
