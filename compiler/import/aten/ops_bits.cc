// Numbers as bits. view(dtype): the same bytes as numbers of another type, little-endian. The IR
// has no op for it, so bits are computed from numbers and back: exactly, but for the payload of a
// NaN, which is the default one.
#include <limits>

#include "compiler/import/aten/complex.h"
#include "compiler/import/aten/ops_numeric.h"

namespace floe::aten {
namespace {

using ir::Value;

// How a floating-point type divides its bits.
struct Layout {
  DType bits;  // The signed integer of its size.
  int64_t fraction;
  int64_t bias;
};

Layout LayoutOf(DType t) {
  switch (t) {
    case DType::kF16:
      return {DType::kI16, 10, 15};
    case DType::kBF16:
      return {DType::kI16, 7, 127};
    case DType::kF64:
      return {DType::kI64, 52, 1023};
    default:
      return {DType::kI32, 23, 127};
  }
}

DType SignedOfSize(int64_t bytes) {
  return bytes == 1   ? DType::kI8
         : bytes == 2 ? DType::kI16
         : bytes == 4 ? DType::kI32
                      : DType::kI64;
}

Value* Int(OpBuilder& b, int64_t v) {
  ir::Tensor t(DType::kI64, {});
  t.SetInt(0, v);
  return b.Constant(std::move(t));
}
Value* Real(OpBuilder& b, double v) { return b.Scalar(DType::kF64, v); }
Value* ShiftRight(OpBuilder& b, Value* x, int64_t by) {
  return by == 0 ? x : b.Emit(OpId::kBitShift, {x, Int(b, by)}, {{"right", int64_t{1}}});
}

// x 2^e for whole e, in two steps, since 2^e alone may overflow.
Value* Scaled(OpBuilder& b, Value* x, Value* e) {
  Value* half = b.Unary(OpId::kFloor, b.Binary(OpId::kMul, e, Real(b, 0.5)));
  x = b.Binary(OpId::kMul, x, b.Unary(OpId::kExp2, half));
  return b.Binary(OpId::kMul, x, b.Unary(OpId::kExp2, b.Binary(OpId::kSub, e, half)));
}

// The e with 2^e <= x < 2^(e+1), of positive finite numbers. A logarithm may be off by one next to
// powers of two.
Value* ExponentOf(OpBuilder& b, Value* x) {
  Value* e = b.Unary(OpId::kFloor, b.Unary(OpId::kLog2, x));
  Value* ratio = Scaled(b, x, b.Unary(OpId::kNeg, e));
  const auto count = [&](OpId op, double limit) {
    return b.Cast(b.Binary(op, ratio, Real(b, limit)), DType::kF64);
  };
  e = b.Binary(OpId::kAdd, e, count(OpId::kGreaterEqual, 2));
  return b.Binary(OpId::kSub, e, count(OpId::kLess, 1));
}

// The bits of floats, as signed integers.
Value* BitsOf(OpBuilder& b, Value* x) {
  const Layout f = LayoutOf(x->dtype());
  x = b.Cast(x, DType::kF64);
  Value* size = b.Unary(OpId::kAbs, x);
  const double inf = std::numeric_limits<double>::infinity();
  Value* is_nan = b.Unary(OpId::kIsNan, x);
  Value* is_inf = b.Binary(OpId::kEqual, size, Real(b, inf));
  Value* is_zero = b.Binary(OpId::kEqual, size, Real(b, 0));
  Value* other = b.Binary(OpId::kLogicalOr, is_nan, b.Binary(OpId::kLogicalOr, is_inf, is_zero));
  size = b.Where(other, Real(b, 1), size);
  Value* e = ExponentOf(b, size);
  const auto bias = static_cast<double>(f.bias);
  e = b.Emit(OpId::kClamp, {e}, {{"min", 1 - bias}, {"max", bias}});
  const int64_t one = int64_t{1} << f.fraction;
  Value* fraction = Scaled(b, size, b.Unary(OpId::kNeg, e));
  fraction = b.Binary(OpId::kMul, fraction, Real(b, static_cast<double>(one)));
  fraction = b.Cast(b.Unary(OpId::kRound, fraction), DType::kI64);
  // The leading bit of a normal number adds the 1 that its exponent lacks here.
  Value* bits = b.Cast(b.Binary(OpId::kAdd, e, Real(b, bias - 1)), DType::kI64);
  bits = b.Binary(OpId::kAdd, b.Binary(OpId::kMul, bits, Int(b, one)), fraction);
  const int64_t top = (2 * f.bias + 1) * one;
  bits = b.Where(is_zero, Int(b, 0), bits);
  bits = b.Where(is_inf, Int(b, top), bits);
  bits = b.Where(is_nan, Int(b, top + one / 2), bits);
  Value* negative = b.Binary(OpId::kLess, b.Binary(OpId::kCopySign, Real(b, 1), x), Real(b, 0));
  const int64_t sign = std::numeric_limits<int64_t>::min() >> (64 - 8 * DTypeSize(f.bits));
  bits = b.Where(negative, b.Binary(OpId::kBitwiseOr, bits, Int(b, sign)), bits);
  return b.Cast(bits, f.bits);
}

// The floats of type `t` that signed integers of its size are the bits of.
Value* FloatsOf(OpBuilder& b, Value* bits, DType t) {
  const Layout f = LayoutOf(t);
  const int64_t one = int64_t{1} << f.fraction, top = 2 * f.bias + 1;
  bits = b.Cast(bits, DType::kI64);
  Value* exponent = b.Binary(OpId::kBitwiseAnd, ShiftRight(b, bits, f.fraction), Int(b, top));
  Value* fraction = b.Binary(OpId::kBitwiseAnd, bits, Int(b, one - 1));
  Value* tiny = b.Binary(OpId::kEqual, exponent, Int(b, 0));
  Value* digits = b.Where(tiny, fraction, b.Binary(OpId::kAdd, fraction, Int(b, one)));
  Value* e = b.Where(tiny, Int(b, 1), exponent);
  e = b.Cast(b.Binary(OpId::kSub, e, Int(b, f.bias + f.fraction)), DType::kF64);
  Value* x = Scaled(b, b.Cast(digits, DType::kF64), e);
  Value* special = b.Where(b.Binary(OpId::kEqual, fraction, Int(b, 0)),
                           Real(b, std::numeric_limits<double>::infinity()),
                           Real(b, std::numeric_limits<double>::quiet_NaN()));
  x = b.Where(b.Binary(OpId::kEqual, exponent, Int(b, top)), special, x);
  Value* sign = b.Where(b.Binary(OpId::kLess, bits, Int(b, 0)), Real(b, -1), Real(b, 1));
  return b.Cast(b.Binary(OpId::kCopySign, x, sign), t);
}

// Integers [..., n] of `from` bytes as those of `to` bytes: the lowest byte comes first.
Value* Regrouped(OpBuilder& b, Value* x, int64_t from, int64_t to) {
  if (from == to || !b.ok()) return x;
  if (x->rank() == 0) b.Invalid("view() of a scalar as a type of another size");
  ir::Shape shape = x->shape();
  if (!b.ok()) return x;
  const int64_t last = b.Rank(x) - 1;
  const int64_t many = from > to ? from / to : to / from;
  std::vector<Value*> parts;
  if (from > to) {
    shape.back() = b.Mul(shape.back(), many);
    for (int64_t i = 0; i < many; ++i) {
      parts.push_back(b.Unsqueeze(
          b.Cast(ShiftRight(b, b.Cast(x, DType::kI64), 8 * to * i), SignedOfSize(to)), last + 1));
    }
    return b.Reshape(b.Concat(std::move(parts), last + 1), std::move(shape));
  }
  const int64_t n = b.StaticDim(x, last);
  if (b.ok() && n % many != 0) b.Invalid("view() as a larger type needs a multiple of its size");
  if (!b.ok()) return x;
  shape.back() = n / many;
  shape.push_back(many);
  x = b.Cast(b.Reshape(x, std::move(shape)), DType::kI64);
  Value* sum = nullptr;
  for (int64_t i = 0; i < many; ++i) {
    Value* part = b.Squeeze(b.SliceAxis(x, last + 1, i, 1), last + 1);
    part = b.Binary(OpId::kBitwiseAnd, part, Int(b, (int64_t{1} << (8 * from)) - 1));
    if (i > 0)
      part = b.Emit(OpId::kBitShift, {part, Int(b, 8 * from * i)}, {{"right", int64_t{0}}});
    sum = sum == nullptr ? part : b.Binary(OpId::kBitwiseOr, sum, part);
  }
  return b.Cast(sum, SignedOfSize(to));
}

Value* SameBytes(OpBuilder& b, Value* x, DType t) {
  if (!b.ok() || x->dtype() == t) return x;
  const int64_t from = DTypeSize(x->dtype()), to = DTypeSize(t);
  if (IsFloat(x->dtype())) x = BitsOf(b, x);
  x = Regrouped(b, x, from, to);
  return IsFloat(t) ? FloatsOf(b, x, t) : b.Cast(x, t);
}

void ViewOfBits(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const DType t = b.DTypeArg("dtype", DType::kNone);
  if (b.ok()) b.Return(SameBytes(b, x, t));
}

Value* WriteBits(OpBuilder& b, Value* base, Value* view) {
  return SameBytes(b, view, base->dtype());
}

// Pairs of reals as complex numbers, or the other way round.
void ViewOfParts(OpBuilder& b) {
  const IValue& self = b.Arg("self");
  Value* x = b.AsTensor(self);
  const int64_t code = b.Int("dtype");
  if (!b.ok()) return;
  const DType part = RealPartOfScalarType(code);
  ir::Shape shape = x->shape();
  if (IsComplex(self)) {
    if (part == x->dtype()) return b.Return(self);
    if (part != DType::kNone || b.DTypeArg("dtype", DType::kNone) != x->dtype()) {
      return b.Unsupported("a view of complex numbers as a type that is not their parts'");
    }
    if (shape.size() < 2) return b.Invalid("view() of a scalar as a type of another size");
    shape.pop_back();
    shape.back() = b.Mul(shape.back(), 2);
    return b.Return(b.Reshape(x, std::move(shape)));
  }
  if (part != x->dtype()) {
    return b.Unsupported("a view as complex numbers of what is not their parts' type");
  }
  const int64_t n = b.StaticDim(x, b.Rank(x) - 1);
  if (b.ok() && n % 2 != 0) b.Invalid("view() as complex numbers needs an even size");
  if (!b.ok()) return;
  shape.back() = n / 2;
  shape.push_back(2);
  b.ReturnComplex(b.Reshape(x, std::move(shape)));
}

Value* WriteParts(OpBuilder& b, Value* base, Value* view) { return b.Reshape(view, base->shape()); }

// x = mantissa 2^exponent, with a mantissa in [1/2, 1); numbers that have none stay.
void Frexp(OpBuilder& b) {
  Value* self = b.Tensor("self");
  Value* x = b.Cast(self, DType::kF64);
  Value* size = b.Unary(OpId::kAbs, x);
  Value* usual =
      b.Binary(OpId::kLogicalAnd, b.Binary(OpId::kGreater, size, Real(b, 0)),
               b.Binary(OpId::kLess, size, Real(b, std::numeric_limits<double>::infinity())));
  Value* e = b.Binary(OpId::kAdd, ExponentOf(b, b.Where(usual, size, Real(b, 0.5))), Real(b, 1));
  Value* mantissa = b.Where(usual, Scaled(b, x, b.Unary(OpId::kNeg, e)), x);
  b.Return(b.Cast(mantissa, self->dtype()));
  b.Return(b.Cast(e, DType::kI32));
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    {"aten::view.dtype", ViewOfBits, kNoIr, 0, true, WriteBits},
    {"aten::view_copy.dtype", ViewOfBits},
    {"aten::frexp.Tensor", Frexp},
};
constexpr Row kComplexRows[] = {
    {"aten::view.dtype", ViewOfParts, kNoIr, 0, true, WriteParts},
    {"aten::view_copy.dtype", ViewOfParts},
};

}  // namespace

std::span<const Row> BitRows() { return kRows; }
std::span<const Row> ComplexBitRows() { return kComplexRows; }

}  // namespace floe::aten
