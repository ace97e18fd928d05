#include "compiler/import/compose_fourier.h"

#include <cmath>
#include <numbers>

#include "absl/strings/str_format.h"

namespace floe::import {
namespace {

using ir::Value;

// Elements of a matrix: up to kSmall none is split; none beyond kMost is made.
constexpr int64_t kSmall = int64_t{1} << 19;
constexpr int64_t kMost = int64_t{1} << 24;

struct Turn {
  double re, im;
};

// exp(+-2 pi i j k / n), exact in its argument.
Turn TurnOf(int64_t j, int64_t k, int64_t n, bool inverse) {
  const int64_t step = (j * k) % n;
  const double angle = 2 * std::numbers::pi * static_cast<double>(step) / static_cast<double>(n);
  return {std::cos(angle), inverse ? std::sin(angle) : -std::sin(angle)};
}

// x [..., a, b] -> [..., a * b], times a matrix [a * b, columns].
Value* TimesMatrix(Emitter& b, Value* x, int64_t joined, ir::Tensor matrix) {
  if (!b.ok()) return x;
  const int64_t rows = matrix.dims()[0];
  ir::Shape shape(x->shape().begin(), x->shape().end() - joined);
  const bool vector = shape.empty();
  if (vector) shape.push_back(1);
  shape.push_back(rows);
  Value* y = b.Binary(OpId::kMatMul, b.Reshape(x, std::move(shape)), b.Constant(std::move(matrix)));
  if (!b.ok() || !vector) return y;
  return b.Reshape(y, {b.Dim(y, 1)});
}

// The last axis, of 2 * n, as [n, 2].
Value* AsPairs(Emitter& b, Value* x, int64_t n) {
  if (!b.ok()) return x;
  ir::Shape shape(x->shape().begin(), x->shape().end() - 1);
  shape.push_back(n);
  shape.push_back(2);
  return b.Reshape(x, std::move(shape));
}

bool TooLarge(Emitter& b, int64_t n, int64_t elements) {
  if (n <= kMost && elements <= kMost) return false;
  b.Unsupported(absl::StrFormat(
      "a Fourier transform of length %d, which is very long or has a large prime factor; pad it to "
      "a length with small factors",
      n));
  return true;
}

// The greatest divisor of n that is at most its root; 1 for primes.
int64_t Divisor(int64_t n) {
  int64_t best = 1;
  for (int64_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) best = d;
  }
  return best;
}

// Pairs in, pairs out, by one matrix [2n, 2n]; of a real vector, [n, 2m] for the first m.
Value* Direct(Emitter& b, Value* x, int64_t n, int64_t m, bool real, bool inverse, double scale) {
  const int64_t parts = real ? 1 : 2;
  if (TooLarge(b, n, parts * n * 2 * m)) return x;
  ir::Tensor w(x->dtype(), {parts * n, 2 * m});
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t k = 0; k < m; ++k) {
      const Turn t = TurnOf(j, k, n, inverse);
      const int64_t at = parts * j * 2 * m + 2 * k;
      w.SetDouble(at, scale * t.re);
      w.SetDouble(at + 1, scale * t.im);
      if (real) continue;
      w.SetDouble(at + 2 * m, -scale * t.im);
      w.SetDouble(at + 2 * m + 1, scale * t.re);
    }
  }
  return AsPairs(b, TimesMatrix(b, x, parts, std::move(w)), m);
}

// Pairs times constant pairs [n2, n1, 2] on the last axes.
Value* Twiddle(Emitter& b, Value* x, int64_t n1, int64_t n2, bool inverse) {
  const DType t = x->dtype();
  ir::Tensor re(t, {n2, n1, 1}), im(t, {n2, n1, 2});
  for (int64_t j = 0; j < n2; ++j) {
    for (int64_t k = 0; k < n1; ++k) {
      const Turn turn = TurnOf(j, k, n1 * n2, inverse);
      re.SetDouble(j * n1 + k, turn.re);
      im.SetDouble(2 * (j * n1 + k), -turn.im);
      im.SetDouble(2 * (j * n1 + k) + 1, turn.im);
    }
  }
  // (a + bi)(c + di) = (a, b) c + (b, a) (-d, d)
  const int64_t last = b.Rank(x) - 1;
  Value* swapped = b.Emit(OpId::kConcat, {b.SliceAxis(x, last, 1, 1), b.SliceAxis(x, last, 0, 1)},
                          {{"axis", last}});
  return b.Binary(OpId::kAdd, b.Binary(OpId::kMul, x, b.Constant(std::move(re))),
                  b.Binary(OpId::kMul, swapped, b.Constant(std::move(im))));
}

// Swaps the axes before the last `after`: [..., p, q, rest] -> [..., q, p, rest].
Value* SwapBefore(Emitter& b, Value* x, int64_t after) {
  std::vector<int64_t> perm;
  for (int64_t i = 0; i < b.Rank(x); ++i) perm.push_back(i);
  const auto at = perm.size() - static_cast<size_t>(after) - 2;
  std::swap(perm[at], perm[at + 1]);
  return b.Transpose(x, std::move(perm));
}

// x [..., n] or [..., n, 2], all n results.
Value* Transform(Emitter& b, Value* x, bool real, bool inverse, double scale) {
  const int64_t parts = real ? 1 : 2;
  const int64_t n = b.StaticDim(x, b.Rank(x) - parts);
  if (!b.ok()) return x;
  if (n < 1) {
    b.Invalid("a Fourier transform of no numbers");
    return x;
  }
  if (TooLarge(b, n, 0)) return x;
  const int64_t n1 = parts * n * 2 * n <= kSmall ? 1 : Divisor(n);
  if (n1 == 1) return Direct(b, x, n, n, real, inverse, scale);
  // With j = j1 n2 + j2 and k = k1 + n1 k2: transforms over j1, factors for (j2, k1), then over j2.
  const int64_t n2 = n / n1;
  ir::Shape lead(x->shape().begin(), x->shape().end() - parts);
  const auto shaped = [&](Value* v, std::initializer_list<int64_t> tail) {
    ir::Shape shape = lead;
    shape.insert(shape.end(), tail.begin(), tail.end());
    return b.Reshape(v, std::move(shape));
  };
  Value* y = real ? shaped(x, {n1, n2}) : shaped(x, {n1, n2, 2});
  y = SwapBefore(b, y, parts - 1);        // [..., j2, j1]
  y = Transform(b, y, real, inverse, 1);  // [..., j2, k1, 2]
  if (!b.ok()) return x;
  y = Twiddle(b, y, n1, n2, inverse);
  y = SwapBefore(b, y, 1);                     // [..., k1, j2, 2]
  y = Transform(b, y, false, inverse, scale);  // [..., k1, k2, 2]
  y = SwapBefore(b, y, 1);                     // [..., k2, k1, 2]
  return shaped(y, {n, 2});
}

}  // namespace

Value* EmitFourier(Emitter& b, Value* x, bool inverse, double scale) {
  return b.ok() ? Transform(b, x, false, inverse, scale) : x;
}

Value* EmitFourierOfReal(Emitter& b, Value* x, bool all, double scale) {
  if (!b.ok()) return x;
  const int64_t n = b.StaticDim(x, b.Rank(x) - 1), m = n / 2 + 1;
  if (!b.ok() || TooLarge(b, n, 0)) return x;
  if (!all && n >= 1 && n * 2 * m <= kSmall) return Direct(b, x, n, m, true, false, scale);
  Value* y = Transform(b, x, true, false, scale);
  return all || !b.ok() ? y : b.SliceAxis(y, b.Rank(y) - 2, 0, m);
}

Value* EmitFourierToReal(Emitter& b, Value* x, int64_t n, double scale) {
  if (!b.ok()) return x;
  if (TooLarge(b, n, 0)) return x;
  const int64_t m = n / 2 + 1;
  if (n < 1 || b.StaticDim(x, b.Rank(x) - 2) < m) {
    b.Invalid("an inverse Fourier transform of too few numbers");
    return x;
  }
  x = b.SliceAxis(x, b.Rank(x) - 2, 0, m);
  if (!b.ok()) return x;
  if (2 * m * n > kSmall && Divisor(n) > 1) {
    // The other half mirrors this one, conjugated.
    const int64_t axis = b.Rank(x) - 2, rest = n - m;
    if (rest > 0) {
      std::vector<int64_t> mirror;
      for (int64_t i = 0; i < rest; ++i) mirror.push_back(rest - i);
      Value* tail = b.Emit(OpId::kGather, {x, b.IntVector(mirror)}, {{"axis", axis}});
      ir::Tensor sign(x->dtype(), {2});
      sign.SetDouble(0, 1);
      sign.SetDouble(1, -1);
      tail = b.Binary(OpId::kMul, tail, b.Constant(std::move(sign)));
      x = b.Emit(OpId::kConcat, {x, tail}, {{"axis", axis}});
    }
    // The ends count as real: their imaginary parts would only reach imaginary results.
    Value* y = Transform(b, x, false, true, scale);
    if (!b.ok()) return x;
    y = b.SliceAxis(y, b.Rank(y) - 1, 0, 1);
    if (!b.ok()) return x;
    return b.Reshape(y, ir::Shape(y->shape().begin(), y->shape().end() - 1));
  }
  if (TooLarge(b, n, 2 * m * n)) return x;
  ir::Tensor w(x->dtype(), {2 * m, n});
  for (int64_t k = 0; k < m; ++k) {
    const bool end = k == 0 || 2 * k == n;
    for (int64_t j = 0; j < n; ++j) {
      const Turn t = TurnOf(j, k, n, true);
      w.SetDouble(2 * k * n + j, scale * (end ? 1 : 2) * t.re);
      w.SetDouble((2 * k + 1) * n + j, end ? 0 : -scale * 2 * t.im);
    }
  }
  return TimesMatrix(b, x, 2, std::move(w));
}

}  // namespace floe::import
