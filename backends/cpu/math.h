// Elementary functions on vectors of floats, per ISA: at most 4 ulp (Gelu and GeluTanh: 6) from the
// exact value for every fp32 input, denormal results included (GeluTanh: ulp of the larger of its
// value and 1/16; Silu and Gelu: of 2^-119); exact for NaN, infinities and zeros. The polynomials
// are our own minimax fits. Branch-free: cost does not depend on the data.
#ifndef FLOE_BACKENDS_CPU_MATH_H_
#define FLOE_BACKENDS_CPU_MATH_H_

#include "backends/cpu/lanes.h"

namespace floe::cpu::FLOE_ISA {
namespace {

FLOE_INLINE F32 Horner(F32, F32 p) { return p; }
// ((first * x + c0) * x + c1) ...
template <class... Rest>
FLOE_INLINE F32 Horner(F32 x, F32 p, float c, Rest... rest) {
  return Horner(x, MulAdd(p, x, Broadcast(c)), rest...);
}
template <class... Rest>
FLOE_INLINE F32 Polynomial(F32 x, float leading, Rest... rest) {
  return Horner(x, Broadcast(leading), rest...);
}

// a * 2^n for integral n in [-300, 300].
FLOE_INLINE F32 ScaleByPowerOfTwo(F32 a, F32 n) {
#if defined(FLOE_ISA_AVX512)
  return _mm512_scalef_ps(a, n);
#else
  // In two steps, as neither 2^n nor 2^(n/2) rounded to an exponent may leave the normal range.
  const I32 whole = ToInt(n), half = ShiftRight<1>(whole);
  const I32 bias = BroadcastInt(127);
  const F32 first = FromBits(ShiftLeft<23>(AddInt(half, bias)));
  const F32 second = FromBits(ShiftLeft<23>(AddInt(SubInt(whole, half), bias)));
  return Mul(Mul(a, first), second);
#endif
}

// e^r = 1 + r + r^2 * ExpTail(r) for |r| <= ln(2) / 2.
FLOE_INLINE F32 ExpTail(F32 r) {
  return Polynomial(r, 0x1.6dbb5ep-10f, 0x1.1240b6p-7f, 0x1.555456p-5f, 0x1.555488p-3f, 0.5f);
}

// x = n * ln(2) + r. The high part of ln(2) has 15 bits, so its product with n is exact.
FLOE_INLINE F32 ExpReduce(F32 x, F32* n) {
  *n = Round(Mul(x, Broadcast(0x1.715476p+0f)));
  const F32 r = NegMulAdd(*n, Broadcast(0x1.62e4p-1f), x);
  return NegMulAdd(*n, Broadcast(0x1.7f7d1cp-20f), r);
}

FLOE_INLINE F32 Exp(F32 x) {
  // Beyond these limits the result is 0 or infinite, as at the limits.
  x = MaxOrSecond(Broadcast(-104.0f), MinOrSecond(Broadcast(89.0f), x));
  F32 n;
  const F32 r = ExpReduce(x, &n);
  const F32 p = Add(MulAdd(Mul(r, r), ExpTail(r), r), Broadcast(1.0f));
  return ScaleByPowerOfTwo(p, n);
}

// e^x - 1 for x <= 0.
FLOE_INLINE F32 Expm1Negative(F32 x) {
  x = MaxOrSecond(Broadcast(-30.0f), x);
  F32 n;
  const F32 r = ExpReduce(x, &n);
  const F32 scale = ScaleByPowerOfTwo(Broadcast(1.0f), n);
  const F32 p = MulAdd(Mul(r, r), ExpTail(r), r);
  const F32 y = MulAdd(p, scale, Sub(scale, Broadcast(1.0f)));
  return Choose(Equal(x, Zero()), x, y);  // Keeps -0.
}

FLOE_INLINE F32 Log(F32 x) {
  // Denormals get an exponent first.
  const Mask tiny = Less(x, Broadcast(0x1p-126f));
  F32 m = Choose(tiny, Mul(x, Broadcast(0x1p23f)), x);
  // The exponent such that the mantissa is in [sqrt(1/2), sqrt(2)).
  const I32 shifted = SubInt(Bits(m), BroadcastInt(0x3f3504f3));
  const I32 exponent = ShiftRight<23>(shifted);
  m = FromBits(SubInt(Bits(m), ShiftLeft<23>(exponent)));
  const F32 e = Sub(ToFloat(exponent), Choose(tiny, Broadcast(23.0f), Zero()));
  const F32 f = Sub(m, Broadcast(1.0f)), f2 = Mul(f, f);
  const F32 p =
      Polynomial(f, 0x1.1b3e5ap-4f, -0x1.e2e7cep-4f, 0x1.e651a4p-4f, -0x1.fb438ep-4f,
                 0x1.2332b4p-3f, -0x1.5562ep-3f, 0x1.99a546p-3f, -0x1.ffffeep-3f, 0x1.555546p-2f);
  F32 y = Mul(Mul(f2, f), p);
  y = MulAdd(e, Broadcast(0x1.7f7d1cp-20f), y);
  y = NegMulAdd(Broadcast(0.5f), f2, y);
  y = Add(f, y);
  y = MulAdd(e, Broadcast(0x1.62e4p-1f), y);
  const F32 infinity = Broadcast(__builtin_inff());
  y = Choose(Equal(x, infinity), x, y);
  y = Choose(Equal(x, Zero()), Neg(infinity), y);
  // Negative numbers and NaN.
  return Choose(LessEqual(Zero(), x), y, Broadcast(__builtin_nanf("")));
}

// log(1 + u) for 0 <= u <= 1, as 2 atanh(u / (2 + u)).
FLOE_INLINE F32 Log1pUnit(F32 u) {
  const F32 s = Div(u, Add(u, Broadcast(2.0f))), z = Mul(s, s);
  const F32 q =
      Polynomial(z, 0x1.f1aeep-3f, 0x1.b6d6a4p-3f, 0x1.250972p-2f, 0x1.9996a8p-2f, 0x1.555558p-1f);
  return MulAdd(Mul(s, z), q, Add(s, s));
}

FLOE_INLINE F32 Tanh(F32 x) {
  const F32 a = Abs(x);
  const F32 z = Mul(x, x);
  const F32 p = Polynomial(z, 0x1.1c4d12p-9f, -0x1.0cfadep-7f, 0x1.63c64ep-6f, -0x1.b9f4b2p-5f,
                           0x1.11108ap-3f, -0x1.555554p-2f);
  const F32 small = MulAdd(Mul(x, z), p, x);
  const F32 e = Exp(Add(a, a));
  const F32 one = Broadcast(1.0f);
  const F32 large = Sub(one, Div(Broadcast(2.0f), Add(e, one)));
  return Choose(Less(a, Broadcast(0.625f)), small, WithSign(large, x));
}

FLOE_INLINE F32 Erf(F32 x) {
  const F32 a = Abs(x);
  const F32 z = Mul(x, x);
  const F32 p = Polynomial(z, 0x1.589478p-14f, -0x1.a8fc6ep-11f, 0x1.54a492p-8f, -0x1.b80b0ep-6f,
                           0x1.ce2de2p-4f, -0x1.812742p-2f, 0x1.06eba8p-3f);
  const F32 small = MulAdd(x, p, x);
  // 1 - e^-g(a); from 3.95 on the result is 1.
  const F32 b = MinOrSecond(Broadcast(3.95f), a);
  const F32 g = Polynomial(b, 0x1.5d7294p-16f, -0x1.c45996p-12f, 0x1.106278p-8f, -0x1.9aebc8p-6f,
                           0x1.bb4552p-4f, 0x1.444d1ep-1f, 0x1.212628p+0f, -0x1.62da6p-13f);
  const F32 large = Sub(Broadcast(1.0f), Exp(Neg(g)));
  return Choose(Less(a, Broadcast(0.921875f)), small, WithSign(large, x));
}

FLOE_INLINE F32 Sigmoid(F32 x) {
  // With e = e^-|x| nothing overflows: 1 / (1 + e), or e / (1 + e) for negative x.
  const F32 one = Broadcast(1.0f);
  const F32 e = Exp(BitOr(x, SignBit()));
  return Div(Choose(Less(x, Zero()), e, one), Add(e, one));
}

FLOE_INLINE F32 Silu(F32 x) {
  const F32 e = Exp(BitOr(x, SignBit()));
  const F32 numerator = Choose(Less(x, Zero()), Mul(x, e), x);
  return Div(numerator, Add(e, Broadcast(1.0f)));
}

FLOE_INLINE F32 Gelu(F32 x) {
  // With a = |x| and q = P(N(0,1) < -a) = e^(-a^2/2) R(a): x q if x < 0, else x (1 - q). R / t is
  // fitted as a polynomial in t - 1/2, t = 1 / (1 + 0.35 a). From a = 15 on q is 0.
  const F32 a = MinOrSecond(Broadcast(15.0f), Abs(x));
  const F32 h = Mul(a, a);
  // The rounding error of a^2 matters where q is small.
#if defined(FLOE_ISA_SSE2)
  const F32 high = FromBits(AndInt(Bits(a), BroadcastInt(~0xfff))), low = Sub(a, high);
  const F32 l = Add(Sub(Mul(high, high), h), Add(Mul(Add(high, high), low), Mul(low, low)));
#else
  const F32 l = MulAdd(a, a, Neg(h));
#endif
  const F32 t = Div(Broadcast(1.0f), MulAdd(a, Broadcast(0.35f), Broadcast(1.0f)));
  const F32 half = Broadcast(0.5f);
  F32 r =
      Polynomial(Sub(t, half), -0x1.ddbfcp-6f, 0x1.c0efb6p-6f, 0x1.69ca54p-5f, -0x1.cbe6eep-5f,
                 -0x1.4ece6ap-4f, 0x1.4f57d4p-4f, 0x1.2338a6p-2f, 0x1.5f3932p-2f, 0x1.035278p-2f);
  r = Mul(t, r);
  F32 n;
  const F32 d = ExpReduce(Neg(Mul(h, half)), &n);
  F32 e = Add(MulAdd(Mul(d, d), ExpTail(d), d), Broadcast(1.0f));
  e = NegMulAdd(Mul(l, half), e, e);
  const F32 q = ScaleByPowerOfTwo(Mul(e, r), n);
  return Mul(x, Choose(Less(x, Zero()), q, Sub(Broadcast(1.0f), q)));
}

// For results that are rounded to bf16, of which each step near 1 is 2^-7: within 6e-5 + 6e-6 |x|
// of Gelu at a third of its cost. x P(N(0,1) < x), whose probability is 1/2 + a p(a^2), a = x
// clamped to 4.25; p is fitted to the least error of the product and exact at the ends.
FLOE_INLINE F32 GeluForBrain(F32 x) {
  const F32 a = MaxOrSecond(Broadcast(-4.25f), MinOrSecond(Broadcast(4.25f), x));
  const F32 p =
      Polynomial(Mul(a, a), 0x1.2993c6p-34f, -0x1.b370b8p-28f, 0x1.183340p-22f, -0x1.a6bedap-18f,
                 0x1.a7359cp-14f, -0x1.2f7488p-10f, 0x1.479088p-7f, -0x1.1117e4p-4f, 0x1.98b17p-2f);
  return Mul(x, MulAdd(a, p, Broadcast(0.5f)));
}

FLOE_INLINE F32 GeluTanh(F32 x) {
  // 0.5 (1 + tanh(u)) = sigmoid(2 u).
  const F32 z = Mul(x, x);
  const F32 u2 = Mul(x, MulAdd(z, Broadcast(0x1.2444f2p-4f), Broadcast(0x1.988454p+0f)));
  const F32 e = Exp(BitOr(u2, SignBit()));
  const F32 numerator = Choose(Less(x, Zero()), Mul(x, e), x);
  return Div(numerator, Add(e, Broadcast(1.0f)));
}

FLOE_INLINE F32 Relu(F32 x) { return MaxOrSecond(Zero(), x); }

FLOE_INLINE F32 Softplus(F32 x) { return Add(Relu(x), Log1pUnit(Exp(BitOr(x, SignBit())))); }

FLOE_INLINE F32 HardSwish(F32 x) {
  const F32 shifted = Add(x, Broadcast(3.0f));
  const F32 gate = MinOrSecond(Broadcast(6.0f), MaxOrSecond(Zero(), shifted));
  return Mul(x, Mul(gate, Broadcast(0x1.555556p-3f)));
}

FLOE_INLINE F32 SignOf(F32 x) {
  // Keeps NaN and the sign of zero.
  return Choose(NotEqual(x, Zero()), Choose(IsNan(x), x, WithSign(Broadcast(1.0f), x)), x);
}

FLOE_INLINE F32 Elu(F32 x, F32 alpha) {
  return Choose(Less(x, Zero()), Mul(alpha, Expm1Negative(x)), x);
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_MATH_H_
