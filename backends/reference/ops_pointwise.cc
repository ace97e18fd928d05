// Pointwise ops. Each is one generic lambda and one row of the table below; all run over chunks of
// numbers of one compute type: double for floats, int64 for integers and bool, uint64 for u64.
// Integers wrap: the result is stored modulo its width.
#include <algorithm>

#include "backends/reference/functions.h"
#include "backends/reference/ops_internal.h"
#include "backends/reference/pointwise.h"
#include "backends/reference/special.h"

namespace floe::reference {
namespace {

// Attributes in the op's order, as numbers; the element's width in bits is last.
constexpr int kMaxParams = 4;
constexpr int kWidth = kMaxParams - 1;
using Params = const double*;

template <class C>
using ChunkFn = void (*)(const C* a, const C* b, C* y, int64_t n, Params p);

enum class Result : uint8_t { kSame, kBool };

struct Row {
  OpId op;
  int inputs;
  DTypeSet dtypes;
  Result result;
  bool divides;            // An integer 0 in operand b is an error.
  const char* attrs;       // One letter each: f(loat), b(oolean int).
  ChunkFn<double> floats;  // Null where `dtypes` has none.
  ChunkFn<int64_t> ints;
  ChunkFn<uint64_t> unsigneds;
};

template <class C, auto kFn>
void Map(const C* a, const C* b, C* y, int64_t n, Params p) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<C>(kFn(a[i], b[i], p));
}

// For ops on every number / on floats / on integers only.
template <auto kFn>
constexpr Row Numbers(OpId op, int inputs, DTypeSet dtypes, Result result, const char* attrs = "",
                      bool divides = false) {
  return {op,
          inputs,
          dtypes,
          result,
          divides,
          attrs,
          Map<double, kFn>,
          Map<int64_t, kFn>,
          Map<uint64_t, kFn>};
}
template <auto kFn>
constexpr Row Float2(OpId op) {
  return {op, 2, kFloats, Result::kSame, false, "", Map<double, kFn>, nullptr, nullptr};
}
template <auto kFn>
constexpr Row Float(OpId op, const char* attrs = "", Result result = Result::kSame) {
  return {op, 1, kFloats, result, false, attrs, Map<double, kFn>, nullptr, nullptr};
}
template <auto kFn>
constexpr Row Integers(OpId op, int inputs, DTypeSet dtypes, const char* attrs = "") {
  return {op,
          inputs,
          dtypes,
          Result::kSame,
          false,
          attrs,
          nullptr,
          Map<int64_t, kFn>,
          Map<uint64_t, kFn>};
}

template <class T>
constexpr bool kReal = std::is_floating_point_v<T>;

// Two's complement arithmetic without overflow.
template <class T>
uint64_t Raw(T v) {
  return static_cast<uint64_t>(v);
}

constexpr auto kAdd = [](auto a, auto b, Params) {
  if constexpr (kReal<decltype(a)>)
    return a + b;
  else
    return static_cast<decltype(a)>(Raw(a) + Raw(b));
};
constexpr auto kSub = [](auto a, auto b, Params) {
  if constexpr (kReal<decltype(a)>)
    return a - b;
  else
    return static_cast<decltype(a)>(Raw(a) - Raw(b));
};
constexpr auto kMul = [](auto a, auto b, Params) {
  if constexpr (kReal<decltype(a)>)
    return a * b;
  else
    return static_cast<decltype(a)>(Raw(a) * Raw(b));
};
constexpr auto kNeg = [](auto a, auto, Params) {
  if constexpr (kReal<decltype(a)>)
    return -a;
  else
    return static_cast<decltype(a)>(-Raw(a));
};
// b != 0. The most negative number divided by -1 is itself.
constexpr auto kDiv = [](auto a, auto b, Params p) {
  if constexpr (std::is_same_v<decltype(a), int64_t>)
    return b == -1 ? kNeg(a, b, p) : a / b;
  else
    return a / b;
};
constexpr auto kMod = [](auto a, auto b, Params p) {
  using T = decltype(a);
  const bool sign_of_a = p[0] != 0;
  if constexpr (kReal<T>) {
    const T r = std::fmod(a, b);
    if (sign_of_a || r != r) return r;
    if (r == 0) return std::copysign(r, b);
    return (r < 0) != (b < 0) ? r + b : r;
  } else if constexpr (std::is_signed_v<T>) {
    if (b == -1) return T{0};
    const T r = a % b;
    return !sign_of_a && r != 0 && (r < 0) != (b < 0) ? r + b : r;
  } else {
    return a % b;
  }
};
// Towards minus infinity. Floats: as Python's //, the quotient that fits the remainder of kMod.
constexpr auto kFloorDiv = [](auto a, auto b, Params p) {
  using T = decltype(a);
  if constexpr (kReal<T>) {
    if (b == 0) return a / b;
    const T rest = std::fmod(a, b);
    const T exact = (a - rest) / b - (rest != 0 && (rest < 0) != (b < 0) ? 1 : 0);
    if (exact == 0) return std::copysign(T{0}, a / b);
    const T low = std::floor(exact);
    return exact - low > 0.5 ? low + 1 : low;
  } else if constexpr (std::is_signed_v<T>) {
    if (b == -1) return kNeg(a, b, p);
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
  } else {
    return a / b;
  }
};
constexpr auto kHypot = [](double a, double b, Params) { return std::hypot(a, b); };
constexpr auto kCopySign = [](double a, double b, Params) { return std::copysign(a, b); };
// The neighbour in the elements' own type.
constexpr auto kNextAfter = [](double a, double b, Params p) {
  if (p[kWidth] == 64) return std::nextafter(a, b);
  return static_cast<double>(std::nextafter(static_cast<float>(a), static_cast<float>(b)));
};
constexpr auto kGcd = [](auto a, auto b, Params) {
  const auto magnitude = [](auto v) { return v < 0 ? -Raw(v) : Raw(v); };
  uint64_t x = magnitude(a), y = magnitude(b);
  while (y != 0) {
    const uint64_t rest = x % y;
    x = y;
    y = rest;
  }
  return static_cast<decltype(a)>(x);
};
constexpr auto kMinimum = [](auto a, auto b, Params) {
  if constexpr (kReal<decltype(a)>)
    return MinOf(a, b);
  else
    return std::min(a, b);
};
constexpr auto kMaximum = [](auto a, auto b, Params) {
  if constexpr (kReal<decltype(a)>)
    return MaxOf(a, b);
  else
    return std::max(a, b);
};
constexpr auto kAtan2 = [](double a, double b, Params) { return std::atan2(a, b); };
constexpr auto kEqual = [](auto a, auto b, Params) { return a == b; };
constexpr auto kNotEqual = [](auto a, auto b, Params) { return a != b; };
constexpr auto kLess = [](auto a, auto b, Params) { return a < b; };
constexpr auto kLessEqual = [](auto a, auto b, Params) { return a <= b; };
constexpr auto kGreater = [](auto a, auto b, Params) { return a > b; };
constexpr auto kGreaterEqual = [](auto a, auto b, Params) { return a >= b; };
constexpr auto kLogicalAnd = [](auto a, auto b, Params) { return a != 0 && b != 0; };
constexpr auto kLogicalOr = [](auto a, auto b, Params) { return a != 0 || b != 0; };
constexpr auto kLogicalXor = [](auto a, auto b, Params) { return (a != 0) != (b != 0); };
constexpr auto kLogicalNot = [](auto a, auto, Params) { return a == 0; };
constexpr auto kBitwiseAnd = [](auto a, auto b, Params) { return a & b; };
constexpr auto kBitwiseOr = [](auto a, auto b, Params) { return a | b; };
constexpr auto kBitwiseXor = [](auto a, auto b, Params) { return a ^ b; };
constexpr auto kBitwiseNot = [](auto a, auto, Params p) {
  return p[kWidth] == 1 ? static_cast<decltype(a)>(a == 0) : ~a;
};
// A shift by the width or more (or by a negative number) shifts everything out.
constexpr auto kBitShift = [](auto a, auto b, Params p) {
  using T = decltype(a);
  const bool all = Raw(b) >= static_cast<uint64_t>(p[kWidth]);
  if (p[0] != 0) return all ? static_cast<T>(a < 0 ? -1 : 0) : static_cast<T>(a >> b);
  return all ? T{0} : static_cast<T>(Raw(a) << Raw(b));
};
constexpr auto kPRelu = [](auto a, auto b, Params p) { return a < 0 ? kMul(a, b, p) : a; };
constexpr auto kAbs = [](auto a, auto b, Params p) {
  if constexpr (kReal<decltype(a)>)
    return std::fabs(a);
  else
    return a < 0 ? kNeg(a, b, p) : a;
};
constexpr auto kSign = [](auto a, auto, Params) {
  if constexpr (kReal<decltype(a)>)
    return SignOf(a);
  else
    return a > 0 ? 1 : a < 0 ? -1 : 0;
};
constexpr auto kRelu = [](auto a, auto, Params) { return a < 0 ? decltype(a){0} : a; };
constexpr auto kClamp = [](auto a, auto, Params p) {
  using T = decltype(a);
  if constexpr (kReal<T>) {
    const T low = a < p[0] ? p[0] : a;
    return low > p[1] ? p[1] : low;
  } else {
    return std::min(std::max(a, SaturateToInt<T>(std::ceil(p[0]))),
                    SaturateToInt<T>(std::floor(p[1])));
  }
};
constexpr auto kCelu = [](double x, double, Params p) {
  return ReluOf(x) + (x < 0 ? p[0] * std::expm1(x / p[0]) : 0);
};
constexpr auto kSelu = [](double x, double, Params p) { return p[1] * EluOf(x, p[0]); };
constexpr auto kShrink = [](double x, double, Params p) {
  return x < -p[1] ? x + p[0] : x > p[1] ? x - p[0] : 0;
};
constexpr auto kIsInf = [](double x, double, Params p) {
  return std::isinf(x) && (x < 0 ? p[0] : p[1]) != 0;
};

#define FLOE_FLOAT(id, expression) \
  Float<[](double x, double, Params) { return expression; }>(OpId::k##id)
#define FLOE_FLOAT_ATTRS(id, attrs, expression) \
  Float<[](double x, double, Params p) { return expression; }>(OpId::k##id, attrs)

constexpr DTypeSet kIntsAndBool = kInts | kBools;
constexpr Row kRows[] = {
    Numbers<kAdd>(OpId::kAdd, 2, kNumbers, Result::kSame),
    Numbers<kSub>(OpId::kSub, 2, kNumbers, Result::kSame),
    Numbers<kMul>(OpId::kMul, 2, kNumbers, Result::kSame),
    Numbers<kDiv>(OpId::kDiv, 2, kNumbers, Result::kSame, "", true),
    Numbers<kMod>(OpId::kMod, 2, kNumbers, Result::kSame, "b", true),
    Numbers<kMinimum>(OpId::kMinimum, 2, kAnyDType, Result::kSame),
    Numbers<kMaximum>(OpId::kMaximum, 2, kAnyDType, Result::kSame),
    Numbers<kFloorDiv>(OpId::kFloorDiv, 2, kNumbers, Result::kSame, "", true),
    Float2<kAtan2>(OpId::kAtan2),
    Float2<kHypot>(OpId::kHypot),
    Float2<kCopySign>(OpId::kCopySign),
    {OpId::kNextAfter, 2, SetOf({DType::kF32, DType::kF64}), Result::kSame, false, "",
     Map<double, kNextAfter>, nullptr, nullptr},
    Integers<kGcd>(OpId::kGcd, 2, kInts),
    Numbers<kEqual>(OpId::kEqual, 2, kAnyDType, Result::kBool),
    Numbers<kNotEqual>(OpId::kNotEqual, 2, kAnyDType, Result::kBool),
    Numbers<kLess>(OpId::kLess, 2, kAnyDType, Result::kBool),
    Numbers<kLessEqual>(OpId::kLessEqual, 2, kAnyDType, Result::kBool),
    Numbers<kGreater>(OpId::kGreater, 2, kAnyDType, Result::kBool),
    Numbers<kGreaterEqual>(OpId::kGreaterEqual, 2, kAnyDType, Result::kBool),
    Numbers<kLogicalAnd>(OpId::kLogicalAnd, 2, kAnyDType, Result::kBool),
    Numbers<kLogicalOr>(OpId::kLogicalOr, 2, kAnyDType, Result::kBool),
    Numbers<kLogicalXor>(OpId::kLogicalXor, 2, kAnyDType, Result::kBool),
    Integers<kBitwiseAnd>(OpId::kBitwiseAnd, 2, kIntsAndBool),
    Integers<kBitwiseOr>(OpId::kBitwiseOr, 2, kIntsAndBool),
    Integers<kBitwiseXor>(OpId::kBitwiseXor, 2, kIntsAndBool),
    Integers<kBitwiseNot>(OpId::kBitwiseNot, 1, kIntsAndBool),
    Integers<kBitShift>(OpId::kBitShift, 2, kInts, "b"),
    Numbers<kPRelu>(OpId::kPRelu, 2, kNumbers, Result::kSame),

    Numbers<kNeg>(OpId::kNeg, 1, kNumbers, Result::kSame),
    Numbers<kAbs>(OpId::kAbs, 1, kNumbers, Result::kSame),
    Numbers<kSign>(OpId::kSign, 1, kNumbers, Result::kSame),
    FLOE_FLOAT(Sqrt, std::sqrt(x)),
    FLOE_FLOAT(Rsqrt, 1 / std::sqrt(x)),
    FLOE_FLOAT(Reciprocal, 1 / x),
    FLOE_FLOAT(Exp, std::exp(x)),
    FLOE_FLOAT(Log, std::log(x)),
    FLOE_FLOAT(Sin, std::sin(x)),
    FLOE_FLOAT(Cos, std::cos(x)),
    FLOE_FLOAT(Tan, std::tan(x)),
    FLOE_FLOAT(Asin, std::asin(x)),
    FLOE_FLOAT(Acos, std::acos(x)),
    FLOE_FLOAT(Atan, std::atan(x)),
    FLOE_FLOAT(Sinh, std::sinh(x)),
    FLOE_FLOAT(Cosh, std::cosh(x)),
    FLOE_FLOAT(Asinh, std::asinh(x)),
    FLOE_FLOAT(Acosh, std::acosh(x)),
    FLOE_FLOAT(Atanh, std::atanh(x)),
    FLOE_FLOAT(Erf, std::erf(x)),
    FLOE_FLOAT(Log1p, std::log1p(x)),
    FLOE_FLOAT(Expm1, std::expm1(x)),
    FLOE_FLOAT(Log2, std::log2(x)),
    FLOE_FLOAT(Log10, std::log10(x)),
    FLOE_FLOAT(Exp2, std::exp2(x)),
    FLOE_FLOAT(Erfc, std::erfc(x)),
    FLOE_FLOAT(ErfInv, InverseErf(x)),
    FLOE_FLOAT(LGamma, LogGamma(x)),
    FLOE_FLOAT(Digamma, Digamma(x)),
    FLOE_FLOAT(BesselI0, BesselI0(x)),
    FLOE_FLOAT(Trunc, std::trunc(x)),
    FLOE_FLOAT(Ceil, std::ceil(x)),
    FLOE_FLOAT(Floor, std::floor(x)),
    FLOE_FLOAT(Round, std::nearbyint(x)),
    Numbers<kLogicalNot>(OpId::kLogicalNot, 1, kAnyDType, Result::kBool),
    Float<[](double x, double, Params) { return x != x; }>(OpId::kIsNan, "", Result::kBool),
    Float<kIsInf>(OpId::kIsInf, "bb", Result::kBool),
    Numbers<kRelu>(OpId::kRelu, 1, kNumbers, Result::kSame),
    FLOE_FLOAT_ATTRS(LeakyRelu, "f", x < 0 ? p[0] * x : x),
    FLOE_FLOAT_ATTRS(Elu, "f", EluOf(x, p[0])),
    Float<kSelu>(OpId::kSelu, "ff"),
    Float<kCelu>(OpId::kCelu, "f"),
    FLOE_FLOAT(Sigmoid, SigmoidOf(x)),
    FLOE_FLOAT_ATTRS(HardSigmoid, "ff", HardSigmoidOf(x, p[0], p[1])),
    FLOE_FLOAT(HardSwish, HardSwishOf(x)),
    FLOE_FLOAT(Tanh, std::tanh(x)),
    FLOE_FLOAT(Softplus, SoftplusOf(x)),
    FLOE_FLOAT(Softsign, x / (1 + std::fabs(x))),
    FLOE_FLOAT_ATTRS(Gelu, "b", p[0] != 0 ? GeluTanhOf(x) : GeluOf(x)),
    FLOE_FLOAT(Silu, SiluOf(x)),
    FLOE_FLOAT(Mish, MishOf(x)),
    FLOE_FLOAT_ATTRS(ThresholdedRelu, "f", (x > p[0] ? x : 0)),
    Float<kShrink>(OpId::kShrink, "ff"),
    Numbers<kClamp>(OpId::kClamp, 1, kNumbers, Result::kSame, "ff"),
};
#undef FLOE_FLOAT
#undef FLOE_FLOAT_ATTRS

const Row* FindRow(OpId op) {
  for (const Row& row : kRows) {
    if (row.op == op) return &row;
  }
  return nullptr;
}

// Integer power; wraps. A negative exponent truncates the true result towards zero; false: 0 to a
// negative power.
bool IntPower(int64_t base, int64_t exponent, bool exponent_unsigned, uint64_t* out) {
  auto e = static_cast<uint64_t>(exponent);
  if (exponent < 0 && !exponent_unsigned) {
    if (base == 0) return false;
    *out = base == 1 ? 1 : base != -1 ? 0 : (e & 1) != 0 ? ~uint64_t{0} : 1;
    return true;
  }
  auto b = static_cast<uint64_t>(base);
  uint64_t p = 1;
  for (; e != 0; e >>= 1, b *= b) {
    if ((e & 1) != 0) p *= b;
  }
  *out = p;
  return true;
}

// Calls f(start, n) for chunks of the elements of `t`.
template <class F>
Rule ForChunks(const TensorInfo& t, F&& f) {
  const int64_t total = Count(t);
  for (int64_t i = 0; i < total; i += kChunk) {
    if (Rule rule = f(i, std::min(kChunk, total - i)); rule != Rule::kNone) return rule;
  }
  return Rule::kNone;
}

Reader InputReader(const RunArgs& a, uint32_t i) {
  return Reader::Broadcast(a.in(i), a.inputs[i], a.out().dims, a.out().rank);
}

Status CheckShapes(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(BroadcastsTo(a, 0, a.info.input_count, a.out(), true));
  AllowInPlace(a, 0, a.info.input_count);
  return OkStatus();
}

}  // namespace

Status CheckElementwise(const CheckArgs& a) {
  const Row* row = FindRow(a.op);
  if (row == nullptr) {
    return Error(Code::kUnsupported, Rule::kInstructionKernel, 0, static_cast<int64_t>(a.op));
  }
  AttrReader attrs = a.attrs();
  for (const char* kind = row->attrs; *kind != 0; ++kind) {
    const int64_t word = attrs.Int();
    if (*kind == 'b' && (word < 0 || word > 1)) return BadAttr(1, word);
  }
  if (!attrs.Done()) return BadAttr();
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, row->dtypes));
  for (uint32_t i = 1; i < a.info.input_count; ++i) {
    FLOE_RETURN_IF_ERROR(InputIs(a, i, a.in(0).dtype));
  }
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, row->result == Result::kBool ? DType::kBool : a.in(0).dtype));
  FLOE_RETURN_IF_ERROR(CheckShapes(a));
  // The slope of PRelu broadcasts to x, not x to the slope.
  return a.op == OpId::kPRelu ? OutputDims(a, 0, Dims(a.in(0))) : OkStatus();
}

Rule RunElementwise(const RunArgs& a) {
  const Row& row = *FindRow(a.op);
  double params[kMaxParams] = {};
  AttrReader attrs = a.attrs();
  for (int i = 0; row.attrs[i] != 0; ++i) {
    params[i] = row.attrs[i] == 'f' ? attrs.Float() : static_cast<double>(attrs.Int());
  }
  const DType dtype = a.in(0).dtype;
  params[kWidth] = dtype == DType::kBool ? 1 : static_cast<double>(DTypeSize(dtype) * 8);
  Reader first = InputReader(a, 0);
  Reader second = InputReader(a, row.inputs == 2 ? 1 : 0);
  return WithCompute(dtype, [&](auto zero) {
    using C = decltype(zero);
    ChunkFn<C> fn;
    if constexpr (kReal<C>)
      fn = row.floats;
    else if constexpr (std::is_signed_v<C>)
      fn = row.ints;
    else
      fn = row.unsigneds;
    return ForChunks(a.out(), [&](int64_t start, int64_t n) {
      C x[kChunk], y[kChunk];
      first.Next(n, x);
      if (row.inputs == 2) {
        second.Next(n, y);
        if (!kReal<C> && row.divides && std::count(y, y + n, C{0}) != 0) {
          return Rule::kRunDivideByZero;
        }
        fn(x, y, x, n, params);
      } else {
        fn(x, x, x, n, params);
      }
      StoreRun<C>(a.out().dtype, a.outputs[0], start, n, x);
      return Rule::kNone;
    });
  });
}

// --- pow: the exponent has its own dtype ---------------------------------------------------------

Status CheckPow(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kNumbers));
  FLOE_RETURN_IF_ERROR(InputIn(a, 1, kNumbers));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, a.in(0).dtype));
  return CheckShapes(a);
}

Rule RunPow(const RunArgs& a) {
  Reader base = InputReader(a, 0);
  Reader exponent = InputReader(a, 1);
  const DType dtype = a.out().dtype;
  if (IsFloat(a.in(0).dtype) || IsFloat(a.in(1).dtype)) {
    return ForChunks(a.out(), [&](int64_t start, int64_t n) {
      double x[kChunk], y[kChunk];
      base.Next(n, x);
      exponent.Next(n, y);
      for (int64_t i = 0; i < n; ++i) x[i] = std::pow(x[i], y[i]);
      StoreRun<double>(dtype, a.outputs[0], start, n, x);
      return Rule::kNone;
    });
  }
  const bool exponent_unsigned = a.in(1).dtype == DType::kU64;
  return ForChunks(a.out(), [&](int64_t start, int64_t n) {
    int64_t x[kChunk], y[kChunk];
    uint64_t z[kChunk];
    base.Next(n, x);
    exponent.Next(n, y);
    for (int64_t i = 0; i < n; ++i) {
      // A u64 base is never -1: with a negative exponent only 0 and 1 matter.
      if (dtype == DType::kU64 && x[i] == -1 && y[i] < 0 && !exponent_unsigned) {
        z[i] = 0;
      } else if (!IntPower(x[i], y[i], exponent_unsigned, &z[i])) {
        return Rule::kRunDivideByZero;
      }
    }
    StoreRun<uint64_t>(dtype, a.outputs[0], start, n, z);
    return Rule::kNone;
  });
}

// --- where ---------------------------------------------------------------------------------------

Status CheckWhere(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(InputIs(a, 0, DType::kBool));
  FLOE_RETURN_IF_ERROR(InputIs(a, 2, a.in(1).dtype));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, a.in(1).dtype));
  return CheckShapes(a);
}

Rule RunWhere(const RunArgs& a) {
  const TensorInfo& y = a.out();
  Walk walks[3];
  for (uint32_t i = 0; i < 3; ++i) {
    int64_t strides[kMaxAxes];
    BroadcastStrides(a.in(i), y.dims, y.rank, strides);
    walks[i] = Walk(y.dims, y.rank, strides);
  }
  const auto* condition = static_cast<const uint8_t*>(a.inputs[0]);
  WithSize(DTypeSize(y.dtype), [&]<class U>() {
    const auto* yes = static_cast<const U*>(a.inputs[1]);
    const auto* no = static_cast<const U*>(a.inputs[2]);
    auto* out = static_cast<U*>(a.outputs[0]);
    (void)ForChunks(y, [&](int64_t start, int64_t n) {
      int64_t at[3][kChunk];
      for (int i = 0; i < 3; ++i) walks[i].Next(n, at[i]);
      for (int64_t i = 0; i < n; ++i) {
        out[start + i] = condition[at[0][i]] != 0 ? yes[at[1][i]] : no[at[2][i]];
      }
      return Rule::kNone;
    });
  });
  return Rule::kNone;
}

// --- cast ----------------------------------------------------------------------------------------

Status CheckCast(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t to = attrs.Int();
  if (!attrs.Done() || to != static_cast<int64_t>(a.out().dtype)) {
    return BadAttr(static_cast<int64_t>(a.out().dtype), to);
  }
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, Dims(a.in(0))));
  AllowInPlace(a, 0, 1);
  return OkStatus();
}

Rule RunCast(const RunArgs& a) {
  return WithCompute(a.in(0).dtype, [&](auto zero) {
    using C = decltype(zero);
    return ForChunks(a.out(), [&](int64_t start, int64_t n) {
      C x[kChunk];
      LoadRun<C>(a.in(0).dtype, a.inputs[0], start, n, x);
      StoreRun<C>(a.out().dtype, a.outputs[0], start, n, x);
      return Rule::kNone;
    });
  });
}

}  // namespace floe::reference
