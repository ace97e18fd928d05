// CheckOp refuses what RunOp could not run: a table of invalid calls, and systematic damage to
// every valid case.
#include "format/attrs.h"
#include "gtest/gtest.h"
#include "tests/reference/run_case.h"

namespace floe::reference {
namespace {

constexpr int64_t kHuge = int64_t{1} << 62;
constexpr int64_t kBig = int64_t{1} << 40;

TensorInfo T(DType t, std::initializer_list<int64_t> dims) {
  TensorInfo info;
  info.dtype = t;
  info.rank = static_cast<uint8_t>(dims.size());
  std::copy(dims.begin(), dims.end(), info.dims);
  return info;
}
TensorInfo F(std::initializer_list<int64_t> dims) { return T(DType::kF32, dims); }
TensorInfo I(std::initializer_list<int64_t> dims) { return T(DType::kI64, dims); }

struct Invalid {
  const char* what;
  Rule rule;
  Call call;
};

// A conv of [1,2,5,5] with [4,2,3,3] and these attributes.
Call Conv(std::vector<int64_t> attrs, TensorInfo y = F({1, 4, 3, 3})) {
  return {OpId::kConv, {F({1, 2, 5, 5}), F({4, 2, 3, 3})}, {y}, std::move(attrs), {}};
}
std::vector<int64_t> ConvAttrs(int64_t stride, int64_t pad, int64_t dilation, int64_t groups) {
  return {2, stride, stride, 4, pad, pad, pad, pad, 2, dilation, dilation, groups};
}
Call Pool(std::vector<int64_t> attrs) {
  return {OpId::kMaxPool, {F({1, 2, 5, 5})}, {F({1, 2, 3, 3})}, std::move(attrs), {}};
}
PwInstr Pw(PwOp op, uint8_t dst, uint8_t a = 0, uint8_t operand = 0) {
  PwInstr i;
  i.op = static_cast<uint8_t>(op);
  i.dst = dst;
  i.a = a;
  i.operand = operand;
  return i;
}

TensorInfo WithLayout(TensorInfo t, LayoutId layout) {
  t.layout = layout;
  return t;
}

std::vector<Invalid> Table() {
  const Rule arity = Rule::kInstructionArity, attr = Rule::kInstructionAttr;
  const Rule shape = Rule::kInstructionShape, dtype = Rule::kInstructionDType;
  const auto sum = static_cast<int64_t>(ReduceKind::kSum);
  TensorInfo unknown = F({2});
  unknown.dtype = static_cast<DType>(99);
  TensorInfo deep = F({2});
  deep.rank = 9;
  return {
      // Operands by themselves.
      {"no such op", Rule::kInstructionKernel, {OpId::kCount, {F({2})}, {F({2})}, {}, {}}},
      {"wild op", Rule::kInstructionKernel, {static_cast<OpId>(60000), {F({2})}, {F({2})}, {}, {}}},
      {"op of lowering", Rule::kInstructionKernel, {OpId::kDimsOf, {}, {I({2})}, {}, {}}},
      {"one input", arity, {OpId::kAdd, {F({2})}, {F({2})}, {}, {}}},
      {"three inputs", arity, {OpId::kAdd, {F({2}), F({2}), F({2})}, {F({2})}, {}, {}}},
      {"no output", arity, {OpId::kNeg, {F({2})}, {}, {}, {}}},
      {"two outputs", arity, {OpId::kNeg, {F({2})}, {F({2}), F({2})}, {}, {}}},
      {"absent input",
       Rule::kInstructionOperand,
       {OpId::kAdd, {F({2}), TensorInfo{}}, {F({2})}, {}, {}}},
      {"absent output", Rule::kInstructionResult, {OpId::kNeg, {F({2})}, {TensorInfo{}}, {}, {}}},
      {"absent variadic input",
       Rule::kInstructionOperand,
       {OpId::kConcat, {F({2}), TensorInfo{}}, {F({2})}, {0}, {}}},
      {"unknown dtype", Rule::kValueDType, {OpId::kNeg, {unknown}, {unknown}, {}, {}}},
      {"rank 9", Rule::kValueRank, {OpId::kNeg, {deep}, {deep}, {}, {}}},
      {"negative dim", Rule::kDimRange, {OpId::kNeg, {F({-1})}, {F({-1})}, {}, {}}},
      {"bytes overflow", Rule::kValueTooLarge, {OpId::kNeg, {F({kHuge})}, {F({kHuge})}, {}, {}}},
      {"product overflows",
       Rule::kValueTooLarge,
       {OpId::kNeg, {F({kBig, kBig})}, {F({kBig, kBig})}, {}, {}}},
      {"channels last",
       Rule::kInstructionLayout,
       {OpId::kNeg,
        {WithLayout(F({1, 2, 2, 2}), LayoutId::kChannelsLast)},
        {F({1, 2, 2, 2})},
        {},
        {}}},
      {"code on a plain op",
       Rule::kInstructionCode,
       {OpId::kNeg, {F({2})}, {F({2})}, {}, {Pw(PwOp::kNeg, 0)}}},
      // Pointwise.
      {"other dtype", dtype, {OpId::kAdd, {F({2}), I({2})}, {F({2})}, {}, {}}},
      {"no broadcast", shape, {OpId::kAdd, {F({2}), F({3})}, {F({3})}, {}, {}}},
      {"result too wide", shape, {OpId::kAdd, {F({1}), F({1})}, {F({5})}, {}, {}}},
      {"result too deep", shape, {OpId::kAdd, {F({2}), F({2})}, {F({1, 2})}, {}, {}}},
      {"result too small", shape, {OpId::kAdd, {F({4}), F({4})}, {F({1})}, {}, {}}},
      {"float bits", dtype, {OpId::kBitwiseAnd, {F({2}), F({2})}, {F({2})}, {}, {}}},
      {"sine of integers", dtype, {OpId::kSin, {I({2})}, {I({2})}, {}, {}}},
      {"comparison to float", dtype, {OpId::kLess, {F({2}), F({2})}, {F({2})}, {}, {}}},
      {"flag of 2", attr, {OpId::kGelu, {F({2})}, {F({2})}, {2}, {}}},
      {"attribute missing", attr, {OpId::kElu, {F({2})}, {F({2})}, {}, {}}},
      {"attribute too many", attr, {OpId::kNeg, {F({2})}, {F({2})}, {0}, {}}},
      {"cast to another type", attr, {OpId::kCast, {F({2})}, {I({2})}, {1}, {}}},
      {"slope wider than x", shape, {OpId::kPRelu, {F({1}), F({4})}, {F({4})}, {}, {}}},
      {"condition no bool", dtype, {OpId::kWhere, {F({2}), F({2}), F({2})}, {F({2})}, {}, {}}},
      {"region without code",
       Rule::kInstructionCode,
       {OpId::kPointwise, {F({2})}, {F({2})}, {}, {}}},
      {"region loads too far",
       Rule::kInstructionCode,
       {OpId::kPointwise, {F({2})}, {F({2})}, {}, {Pw(PwOp::kLoad, 0, 0, 1)}}},
      {"region on f64",
       dtype,
       {OpId::kPointwise, {T(DType::kF64, {2})}, {F({2})}, {}, {Pw(PwOp::kLoad, 0)}}},
      {"region operand too wide",
       shape,
       {OpId::kPointwise, {F({3})}, {F({1})}, {}, {Pw(PwOp::kLoad, 0)}}},
      // Reductions.
      {"kind", attr, {OpId::kReduce, {F({2})}, {F({})}, {99, 1, 0, 0}, {}}},
      {"axis too large", attr, {OpId::kReduce, {F({2})}, {F({})}, {sum, 1, 1, 0}, {}}},
      {"axis negative", attr, {OpId::kReduce, {F({2})}, {F({})}, {sum, 1, -1, 0}, {}}},
      {"axes twice", attr, {OpId::kReduce, {F({2, 2})}, {F({})}, {sum, 2, 0, 0, 0}, {}}},
      {"axes unsorted", attr, {OpId::kReduce, {F({2, 2})}, {F({})}, {sum, 2, 1, 0, 0}, {}}},
      {"axes count negative", attr, {OpId::kReduce, {F({2})}, {F({})}, {sum, -1, 0}, {}}},
      {"axes count too large", attr, {OpId::kReduce, {F({2})}, {F({})}, {sum, INT64_MAX, 0}, {}}},
      {"keepdims ignored", shape, {OpId::kReduce, {F({2})}, {F({})}, {sum, 1, 0, 1}, {}}},
      {"best of nothing", shape, {OpId::kArgReduce, {F({2, 0})}, {I({2})}, {1, 1, 0, 0}, {}}},
      {"softmax axis", attr, {OpId::kSoftmax, {F({2})}, {F({2})}, {1}, {}}},
      {"softmax of a scalar", attr, {OpId::kSoftmax, {F({})}, {F({})}, {0}, {}}},
      {"cumsum axis", attr, {OpId::kCumSum, {F({2})}, {F({2})}, {INT64_MIN, 0, 0}, {}}},
      // Movement.
      {"reshape to another size", shape, {OpId::kReshape, {F({6})}, {F({5})}, {}, {}}},
      {"perm twice", attr, {OpId::kTranspose, {F({2, 2})}, {F({2, 2})}, {2, 0, 0}, {}}},
      {"perm short", attr, {OpId::kTranspose, {F({2, 2})}, {F({2, 2})}, {1, 0}, {}}},
      {"perm wild", attr, {OpId::kTranspose, {F({2, 2})}, {F({2, 2})}, {2, 0, 70}, {}}},
      {"expand shrinks", shape, {OpId::kExpand, {F({3})}, {F({1})}, {}, {}}},
      {"slice step 0", attr, {OpId::kSlice, {F({5})}, {F({2})}, {1, 0, 1, 0}, {}}},
      {"slice starts late", shape, {OpId::kSlice, {F({5})}, {F({1})}, {1, 5, 1, 1}, {}}},
      {"slice starts early", shape, {OpId::kSlice, {F({5})}, {F({1})}, {1, -1, 1, 1}, {}}},
      {"slice runs out", shape, {OpId::kSlice, {F({5})}, {F({3})}, {1, 1, 1, 2}, {}}},
      {"slice runs under", shape, {OpId::kSlice, {F({5})}, {F({3})}, {1, 1, 1, -1}, {}}},
      {"slice overflows", shape, {OpId::kSlice, {F({5})}, {F({3})}, {1, 1, 1, INT64_MAX}, {}}},
      {"concat sum", shape, {OpId::kConcat, {F({2}), F({2})}, {F({5})}, {0}, {}}},
      {"concat other axis", shape, {OpId::kConcat, {F({2, 1}), F({2, 2})}, {F({4, 2})}, {0}, {}}},
      {"concat scalars", attr, {OpId::kConcat, {F({}), F({})}, {F({})}, {0}, {}}},
      {"pad mode", attr, {OpId::kPad, {F({2})}, {F({4})}, {4, 1, 1, 1, 1, 0}, {}}},
      {"pad sum", shape, {OpId::kPad, {F({2})}, {F({5})}, {0, 1, 1, 1, 1, 0}, {}}},
      {"pad overflow", attr, {OpId::kPad, {F({2})}, {F({4})}, {0, 1, INT64_MAX, 1, 1, 0}, {}}},
      {"pad crops all", shape, {OpId::kPad, {F({2})}, {F({0})}, {0, 1, -2, 1, -2, 0}, {}}},
      {"reflect nothing", shape, {OpId::kPad, {F({0})}, {F({2})}, {1, 1, 1, 1, 1, 0}, {}}},
      {"tile negative", attr, {OpId::kTile, {F({2})}, {F({0})}, {1, -1}, {}}},
      {"tile overflow", Rule::kValueTooLarge, {OpId::kTile, {F({4})}, {F({4})}, {1, kHuge}, {}}},
      {"trilu of a vector", shape, {OpId::kTrilu, {F({2})}, {F({2})}, {1, 0}, {}}},
      {"block 0", attr, {OpId::kDepthToSpace, {F({1, 4, 1, 1})}, {F({1, 4, 1, 1})}, {0, 0}, {}}},
      {"block huge", attr, {OpId::kSpaceToDepth, {F({1, 4, 1, 1})}, {F({1, 4, 1, 1})}, {kBig}, {}}},
      {"block uneven",
       shape,
       {OpId::kDepthToSpace, {F({1, 6, 1, 1})}, {F({1, 1, 2, 2})}, {2, 0}, {}}},
      {"shape_of length", shape, {OpId::kShapeOf, {F({2, 3})}, {I({3})}, {0, 2}, {}}},
      {"range of vectors", shape, {OpId::kRange, {F({2}), F({}), F({})}, {F({2})}, {}, {}}},
      {"one_hot depth", attr, {OpId::kOneHot, {I({2}), F({2})}, {F({2, 0})}, {-1, -3}, {}}},
      {"one_hot values", shape, {OpId::kOneHot, {I({2}), F({3})}, {F({2, 4})}, {-1, 4}, {}}},
      {"one_hot rank",
       shape,
       {OpId::kOneHot, {I({1, 1, 1, 1, 1, 1, 1, 1}), F({2})}, {F({1})}, {0, 4}, {}}},
      // Gathers and scatters.
      {"gather by float", dtype, {OpId::kGather, {F({2}), F({1})}, {F({1})}, {0}, {}}},
      {"gather a scalar", attr, {OpId::kGather, {F({}), I({1})}, {F({1})}, {0}, {}}},
      {"gather rank",
       shape,
       {OpId::kGather, {F({1, 1, 1, 1, 1}), I({1, 1, 1, 1, 1})}, {F({1})}, {0}, {}}},
      {"indices longer",
       shape,
       {OpId::kGatherElements, {F({2, 3}), I({3, 3})}, {F({3, 3})}, {1}, {}}},
      {"tuples too deep", shape, {OpId::kGatherNd, {F({2, 3}), I({3})}, {F({})}, {0}, {}}},
      {"tuples empty", shape, {OpId::kGatherNd, {F({2, 3}), I({0})}, {F({2, 3})}, {0}, {}}},
      {"batch dims differ", shape, {OpId::kGatherNd, {F({2, 3}), I({3, 1})}, {F({3})}, {1}, {}}},
      {"batch dims many", attr, {OpId::kGatherNd, {F({2, 3}), I({2, 1})}, {F({2})}, {2}, {}}},
      {"updates differ",
       shape,
       {OpId::kScatterElements, {F({3}), I({2}), F({1})}, {F({3})}, {0, 0}, {}}},
      {"reduction", attr, {OpId::kScatterElements, {F({3}), I({1}), F({1})}, {F({3})}, {0, 5}, {}}},
      {"nd updates",
       shape,
       {OpId::kScatterNd, {F({3, 2}), I({1, 1}), F({1, 3})}, {F({3, 2})}, {0}, {}}},
      {"nd scalar indices", shape, {OpId::kScatterNd, {F({3}), I({}), F({})}, {F({3})}, {0}, {}}},
      // Linear algebra.
      {"inner sizes", shape, {OpId::kMatMul, {F({2, 3}), F({4, 5})}, {F({2, 5})}, {}, {}}},
      {"batches", shape, {OpId::kMatMul, {F({2, 1, 3}), F({3, 3, 1})}, {F({2, 1, 1})}, {}, {}}},
      {"scalar product", shape, {OpId::kMatMul, {F({}), F({1})}, {F({})}, {}, {}}},
      {"gemm of rank 3",
       shape,
       {OpId::kGemm, {F({1, 2, 3}), F({3, 4})}, {F({2, 4})}, {0, 0, 0, 0}, {}}},
      {"gemm inner", shape, {OpId::kGemm, {F({2, 3}), F({3, 4})}, {F({2, 4})}, {0, 0, 0, 1}, {}}},
      {"gemm c",
       shape,
       {OpId::kGemm, {F({2, 3}), F({3, 4}), F({3, 4})}, {F({2, 4})}, {0, 0, 0, 0}, {}}},
      {"gemm flag", attr, {OpId::kGemm, {F({2, 3}), F({3, 4})}, {F({2, 4})}, {0, 0, 2, 0}, {}}},
      {"gemm of bool",
       dtype,
       {OpId::kGemm,
        {T(DType::kBool, {2, 2}), T(DType::kBool, {2, 2})},
        {T(DType::kBool, {2, 2})},
        {0, 0, 0, 0},
        {}}},
      {"integer gemm by a half",
       attr,
       {OpId::kGemm,
        {I({2, 2}), I({2, 2})},
        {I({2, 2})},
        {FloatWord(0.5), FloatWord(1), 0, 0},
        {}}},
      {"epilogue operand",
       shape,
       {OpId::kMatMul, {F({2, 3}), F({3, 4}), F({3})}, {F({2, 4})}, {}, {Pw(PwOp::kLoad, 0)}}},
      {"epilogue on f64",
       dtype,
       {OpId::kMatMul,
        {T(DType::kF64, {2, 3}), T(DType::kF64, {3, 4})},
        {T(DType::kF64, {2, 4})},
        {},
        {Pw(PwOp::kNeg, 0)}}},
      // Convolutions.
      {"stride 0", attr, Conv(ConvAttrs(0, 0, 1, 1))},
      {"stride huge", attr, Conv(ConvAttrs(INT64_MAX, 0, 1, 1))},
      {"dilation 0", attr, Conv(ConvAttrs(1, 0, 0, 1))},
      {"dilation too wide", shape, Conv(ConvAttrs(1, 0, 3, 1))},
      {"pad huge", attr, Conv(ConvAttrs(1, INT64_MAX / 2, 1, 1))},
      {"groups 0", attr, Conv(ConvAttrs(1, 0, 1, 0))},
      {"groups negative", attr, Conv(ConvAttrs(1, 0, 1, -1))},
      {"groups", shape, Conv(ConvAttrs(1, 0, 1, 2))},
      {"groups least", attr, Conv(ConvAttrs(1, 0, 1, INT64_MIN))},
      {"output size", shape, Conv(ConvAttrs(1, 1, 1, 1))},
      {"pads short", attr, Conv({2, 1, 1, 2, 0, 0, 2, 1, 1, 1})},
      {"no kernel",
       attr,
       {OpId::kConv, {F({1, 2, 5}), F({4, 2, 0})}, {F({1, 4, 6})}, {1, 1, 2, 0, 0, 1, 1, 1}, {}}},
      {"conv rank 2", shape, {OpId::kConv, {F({1, 2}), F({4, 2})}, {F({1, 4})}, {0, 0, 0, 1}, {}}},
      {"conv of integers",
       dtype,
       {OpId::kConv, {I({1, 2, 5}), I({4, 2, 1})}, {I({1, 4, 5})}, {1, 1, 2, 0, 0, 1, 1, 1}, {}}},
      {"bias size",
       shape,
       {OpId::kConv,
        {F({1, 2, 5}), F({4, 2, 1}), F({3})},
        {F({1, 4, 5})},
        {1, 1, 2, 0, 0, 1, 1, 1},
        {}}},
      {"transpose channels",
       shape,
       {OpId::kConvTranspose,
        {F({1, 2, 5}), F({3, 2, 1})},
        {F({1, 2, 5})},
        {1, 1, 2, 0, 0, 1, 1, 1, 1, 0},
        {}}},
      {"output padding",
       attr,
       {OpId::kConvTranspose,
        {F({1, 2, 5}), F({2, 2, 1})},
        {F({1, 2, 4})},
        {1, 1, 2, 0, 0, 1, 1, 1, 1, -1},
        {}}},
      {"transpose below zero",
       shape,
       {OpId::kConvTranspose,
        {F({1, 2, 2}), F({2, 2, 1})},
        {F({1, 2, 0})},
        {1, 1, 2, 9, 9, 1, 1, 1, 1, 0},
        {}}},
      // Norms, pools, recurrent.
      {"channels",
       shape,
       {OpId::kBatchNorm, {F({1, 2, 3}), F({2}), F({2}), F({3}), F({2})}, {F({1, 2, 3})}, {0}, {}}},
      {"norm axis", attr, {OpId::kLayerNorm, {F({2, 3})}, {F({2, 3})}, {2, 0}, {}}},
      {"norm scale", shape, {OpId::kLayerNorm, {F({2, 3}), F({2})}, {F({2, 3})}, {1, 0}, {}}},
      {"norm without y",
       Rule::kInstructionResult,
       {OpId::kLayerNorm, {F({2, 3})}, {TensorInfo{}, F({2, 1})}, {1, 0}, {}}},
      {"mean's shape", shape, {OpId::kLayerNorm, {F({2, 3})}, {F({2, 3}), F({2})}, {1, 0}, {}}},
      {"group count",
       attr,
       {OpId::kGroupNorm, {F({1, 4, 2}), F({4}), F({4})}, {F({1, 4, 2})}, {0, 0}, {}}},
      {"groups uneven",
       shape,
       {OpId::kGroupNorm, {F({1, 4, 2}), F({4}), F({4})}, {F({1, 4, 2})}, {0, 3}, {}}},
      {"p of 3", attr, {OpId::kLpNorm, {F({2})}, {F({2})}, {0, 3}, {}}},
      {"lrn size", attr, {OpId::kLrn, {F({1, 2, 3})}, {F({1, 2, 3})}, {0, 0, 0, 0}, {}}},
      {"pool kernel 0", attr, Pool({2, 0, 3, 2, 1, 1, 4, 0, 0, 0, 0, 2, 1, 1, 0})},
      {"pool kernel huge", attr, Pool({2, kBig, 3, 2, 1, 1, 4, 0, 0, 0, 0, 2, 1, 1, 0})},
      {"pool kernel short", attr, Pool({1, 3, 2, 1, 1, 4, 0, 0, 0, 0, 2, 1, 1, 0})},
      {"pool ceil", attr, Pool({2, 3, 3, 2, 1, 1, 4, 0, 0, 0, 0, 2, 1, 1, 2})},
      {"pool size", shape, Pool({2, 3, 3, 2, 2, 2, 4, 0, 0, 0, 0, 2, 1, 1, 0})},
      {"hidden 0",
       attr,
       {OpId::kRnn, {F({2, 1, 1}), F({1, 0, 1}), F({1, 0, 0})}, {F({2, 1, 1, 0})}, {0, 0, 0}, {}}},
      {"direction",
       attr,
       {OpId::kRnn, {F({2, 1, 1}), F({1, 1, 1}), F({1, 1, 1})}, {F({2, 1, 1, 1})}, {1, 3, 0}, {}}},
      {"activation",
       attr,
       {OpId::kRnn, {F({2, 1, 1}), F({1, 1, 1}), F({1, 1, 1})}, {F({2, 1, 1, 1})}, {1, 0, 3}, {}}},
      {"gates",
       shape,
       {OpId::kLstm, {F({2, 1, 1}), F({1, 1, 1}), F({1, 1, 1})}, {F({2, 1, 1, 1})}, {1, 0}, {}}},
      {"no result",
       Rule::kInstructionResult,
       {OpId::kRnn, {F({2, 1, 1}), F({1, 1, 1}), F({1, 1, 1})}, {TensorInfo{}}, {1, 0, 0}, {}}},
      // Sorting, scans, windows.
      {"sort flag", attr, {OpId::kSort, {F({2})}, {F({2}), I({2})}, {0, 2}, {}}},
      {"sort axis", attr, {OpId::kSort, {F({2})}, {F({2}), I({2})}, {1, 0}, {}}},
      {"sort into nothing",
       Rule::kInstructionResult,
       {OpId::kSort, {F({2})}, {TensorInfo{}, TensorInfo{}}, {0, 0}, {}}},
      {"sort to 32-bit indices",
       dtype,
       {OpId::kSort, {F({2})}, {F({2}), T(DType::kI32, {2})}, {0, 0}, {}}},
      {"topk of too few", attr, {OpId::kTopK, {F({2})}, {F({3}), I({3})}, {3, 0, 1, 1}, {}}},
      {"topk of -1", attr, {OpId::kTopK, {F({2})}, {F({2}), I({2})}, {-1, 0, 1, 1}, {}}},
      {"topk to k + 1", shape, {OpId::kTopK, {F({4})}, {F({3}), I({3})}, {2, 0, 1, 1}, {}}},
      {"search in a scalar", shape, {OpId::kSearchSorted, {F({}), F({2})}, {I({2})}, {0}, {}}},
      {"search in other rows",
       shape,
       {OpId::kSearchSorted, {F({3, 5}), F({2, 4})}, {I({2, 4})}, {0}, {}}},
      {"cummax axis", attr, {OpId::kCumMax, {F({2})}, {F({2}), I({2})}, {-2}, {}}},
      {"logcumsumexp of integers", dtype, {OpId::kLogCumSumExp, {I({2})}, {I({2})}, {0}, {}}},
      {"nonzero size", attr, {OpId::kNonzeroStatic, {F({2})}, {I({2, 1})}, {-1, 0}, {}}},
      {"mask too wide",
       shape,
       {OpId::kMaskedScatter, {F({1}), T(DType::kBool, {2}), F({2})}, {F({1})}, {}, {}}},
      {"grid mode",
       attr,
       {OpId::kGridSample, {F({1, 1, 2, 2}), F({1, 1, 1, 2})}, {F({1, 1, 1, 1})}, {3, 0, 0}, {}}},
      {"grid of other images",
       shape,
       {OpId::kGridSample, {F({1, 1, 2, 2}), F({2, 1, 1, 2})}, {F({2, 1, 1, 1})}, {0, 0, 0}, {}}},
      {"sample nothing",
       shape,
       {OpId::kGridSample, {F({1, 1, 0, 2}), F({1, 1, 1, 2})}, {F({1, 1, 1, 1})}, {0, 0, 0}, {}}},
      {"columns of another kernel",
       shape,
       {OpId::kIm2Col, {F({1, 2, 5})}, {F({1, 6, 4})}, {1, 2, 1, 1, 2, 0, 0, 1, 1}, {}}},
      {"image size",
       shape,
       {OpId::kCol2Im, {F({1, 4, 4})}, {F({1, 2, 6})}, {1, 5, 1, 2, 1, 1, 2, 0, 0, 1, 1}, {}}},
      {"image kernel 0",
       attr,
       {OpId::kCol2Im, {F({1, 4, 4})}, {F({1, 2, 5})}, {1, 5, 1, 0, 1, 1, 2, 0, 0, 1, 1}, {}}},
      {"factor of a rectangle", shape, {OpId::kCholesky, {F({2, 3})}, {F({2, 3})}, {0}, {}}},
      {"factor of a vector", shape, {OpId::kCholesky, {F({2})}, {F({2})}, {0}, {}}},
      {"factor of integers", dtype, {OpId::kCholesky, {I({2, 2})}, {I({2, 2})}, {0}, {}}},
      {"equations of other rows",
       shape,
       {OpId::kSolve, {F({2, 2}), F({3, 1})}, {F({3, 1})}, {}, {}}},
      {"equations of other dtypes",
       dtype,
       {OpId::kSolve, {F({2, 2}), T(DType::kF64, {2, 1})}, {F({2, 1})}, {}, {}}},
      {"determinant nowhere",
       Rule::kInstructionResult,
       {OpId::kDet, {F({2, 2})}, {TensorInfo{}}, {}, {}}},
      {"signs elsewhere", shape, {OpId::kDet, {F({2, 2})}, {F({}), F({1})}, {}, {}}},
      {"full q", shape, {OpId::kQr, {F({3, 2})}, {F({3, 3}), F({3, 2})}, {}, {}}},
      {"vectors as a vector", shape, {OpId::kEigh, {F({2, 2})}, {F({2}), F({2})}, {0}, {}}},
      {"too many singular values", shape, {OpId::kSvd, {F({2, 3})}, {F({2, 2}), F({3})}, {}, {}}},
      {"neighbours of f16",
       dtype,
       {OpId::kNextAfter,
        {T(DType::kF16, {2}), T(DType::kF16, {2})},
        {T(DType::kF16, {2})},
        {},
        {}}},
      {"64-bit lengths",
       dtype,
       {OpId::kRnn,
        {F({2, 1, 1}), F({1, 1, 1}), F({1, 1, 1}), TensorInfo{}, I({1})},
        {F({2, 1, 1, 1})},
        {1, 0, 0},
        {}}},
  };
}

TEST(CheckOp, NamesTheRuleThatACallBreaks) {
  for (const Invalid& row : Table()) {
    SCOPED_TRACE(row.what);
    const Status s = row.call.Check();
    EXPECT_FALSE(s.ok());
    EXPECT_STREQ(RuleName(s.rule), RuleName(row.rule)) << "operand " << s.operand;
  }
}

TEST(CheckOp, TakesTheUndamagedConvolution) {
  EXPECT_TRUE(Conv(ConvAttrs(1, 0, 1, 1)).Check().ok());
  EXPECT_TRUE(Pool({2, 3, 3, 2, 1, 1, 4, 0, 0, 0, 0, 2, 1, 1, 0}).Check().ok());
}

TEST(CheckOp, RefusesTooManyOperands) {
  Call call{
      OpId::kConcat, std::vector<TensorInfo>(kMaxOperands, F({1})), {F({kMaxOperands})}, {0}, {}};
  EXPECT_EQ(call.Check().rule, Rule::kInstructionArity);
}

// The result's shape is more than a consequence of the operands.
bool FreeShape(const Case& c) {
  const bool empty = c.outputs[0].bytes.empty();
  return c.op == OpId::kConstantOfShape || c.op == OpId::kRange || c.op == OpId::kSlice ||
         c.op == OpId::kExpand || c.op == OpId::kNonzero || (c.op == OpId::kReshape && empty);
}

TEST(CheckOp, RefusesEveryDamagedCase) {
  const std::vector<Case> cases = AllCases();
  ASSERT_FALSE(cases.empty());
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Call good = Call::Of(c);
    ASSERT_TRUE(good.Check().ok());
    const auto refuses = [&](const char* what, auto&& damage) {
      Call bad = good;
      damage(&bad);
      EXPECT_FALSE(bad.Check().ok()) << what;
    };
    refuses("one attribute word more", [](Call* bad) { bad->attrs.push_back(0); });
    if (!good.attrs.empty()) {
      refuses("one attribute word less", [](Call* bad) { bad->attrs.pop_back(); });
    }
    if (good.outputs[0].present()) {
      refuses("packed result", [](Call* bad) { bad->outputs[0].layout = LayoutId::kConvPanels16; });
      if (good.outputs[0].rank > 0 && !FreeShape(c)) {
        refuses("longer result", [](Call* bad) { bad->outputs[0].dims[0] += 1; });
      }
      if (OpRow(c.op).max_outputs == 1) {
        refuses("no result", [](Call* bad) { bad->outputs[0].dtype = DType::kNone; });
      }
    }
    for (size_t i = 0; i < good.inputs.size(); ++i) {
      if (good.inputs[i].present()) {
        refuses("rank of an input", [&](Call* bad) { bad->inputs[i].rank = 200; });
      }
      if (i < static_cast<size_t>(OpRow(c.op).min_inputs)) {
        refuses("too few inputs", [&](Call* bad) { bad->inputs.resize(i); });
      }
    }
  }
}

}  // namespace
}  // namespace floe::reference
