#include "backends/reference/ops.h"

#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

struct OpImpl {
  Status (*check)(const CheckArgs&);
  Rule (*run)(const RunArgs&);
};

Status CheckUnknown(const CheckArgs& a) {
  return Error(Code::kUnsupported, Rule::kInstructionKernel, 0, static_cast<int64_t>(a.op));
}
Rule RunUnknown(const RunArgs&) { return Rule::kInstructionKernel; }

// The table: every op that is not a row of ops_pointwise.cc.
OpImpl Find(OpId op) {
#define FLOE_ROW(id, name) \
  case OpId::k##id:        \
    return {Check##name, Run##name};
  switch (op) {
    FLOE_ROW(Pow, Pow)
    FLOE_ROW(Where, Where)
    FLOE_ROW(Cast, Cast)
    FLOE_ROW(Pointwise, Region)
    FLOE_ROW(Reduce, Reduce)
    FLOE_ROW(ArgReduce, ArgReduce)
    FLOE_ROW(CumSum, Scan)
    FLOE_ROW(Softmax, Softmax)
    FLOE_ROW(LogSoftmax, Softmax)
    FLOE_ROW(Identity, Reshape)
    FLOE_ROW(Reshape, Reshape)
    FLOE_ROW(Transpose, Transpose)
    FLOE_ROW(Expand, Expand)
    FLOE_ROW(Slice, Slice)
    FLOE_ROW(Concat, Concat)
    FLOE_ROW(Pad, Pad)
    FLOE_ROW(Gather, Gather)
    FLOE_ROW(GatherElements, GatherElements)
    FLOE_ROW(GatherNd, GatherNd)
    FLOE_ROW(ScatterElements, ScatterElements)
    FLOE_ROW(ScatterNd, ScatterNd)
    FLOE_ROW(Tile, Tile)
    FLOE_ROW(ShapeOf, ShapeOf)
    FLOE_ROW(DimsOf, Unknown)
    FLOE_ROW(ConstantOfShape, ConstantOfShape)
    FLOE_ROW(Range, Range)
    FLOE_ROW(OneHot, OneHot)
    FLOE_ROW(Trilu, Trilu)
    FLOE_ROW(DepthToSpace, DepthToSpace)
    FLOE_ROW(SpaceToDepth, SpaceToDepth)
    FLOE_ROW(MatMul, MatMul)
    FLOE_ROW(Gemm, Gemm)
    FLOE_ROW(Conv, Conv)
    FLOE_ROW(ConvTranspose, ConvTranspose)
    FLOE_ROW(BatchNorm, BatchNorm)
    FLOE_ROW(LayerNorm, LayerNorm)
    FLOE_ROW(RmsNorm, RmsNorm)
    FLOE_ROW(InstanceNorm, InstanceNorm)
    FLOE_ROW(GroupNorm, GroupNorm)
    FLOE_ROW(LpNorm, LpNorm)
    FLOE_ROW(Lrn, Lrn)
    FLOE_ROW(MaxPool, MaxPool)
    FLOE_ROW(AvgPool, AvgPool)
    FLOE_ROW(Lstm, Lstm)
    FLOE_ROW(Gru, Gru)
    FLOE_ROW(Rnn, Rnn)
    FLOE_ROW(If, Unknown)
    FLOE_ROW(Loop, Unknown)
    FLOE_ROW(Check, Unknown)
    FLOE_ROW(Size, Unknown)
    FLOE_ROW(Sort, Sort)
    FLOE_ROW(TopK, TopK)
    FLOE_ROW(SearchSorted, SearchSorted)
    FLOE_ROW(CumProd, Scan)
    FLOE_ROW(CumMax, CumExtreme)
    FLOE_ROW(CumMin, CumExtreme)
    FLOE_ROW(LogCumSumExp, LogCumSumExp)
    FLOE_ROW(NonzeroStatic, NonzeroStatic)
    FLOE_ROW(Nonzero, Nonzero)
    FLOE_ROW(MaskedScatter, MaskedScatter)
    FLOE_ROW(GridSample, GridSample)
    FLOE_ROW(Im2Col, Im2Col)
    FLOE_ROW(Col2Im, Col2Im)
    FLOE_ROW(Cholesky, Cholesky)
    FLOE_ROW(TriangularSolve, TriangularSolve)
    FLOE_ROW(Solve, Solve)
    FLOE_ROW(Det, Det)
    FLOE_ROW(Qr, Qr)
    FLOE_ROW(Eigh, Eigh)
    FLOE_ROW(Svd, Svd)
    FLOE_ROW(Quantize, Quantize)
    FLOE_ROW(Dequantize, Dequantize)
    FLOE_ROW(DynamicQuantize, DynamicQuantize)
    FLOE_ROW(MatMulInteger, MatMulInteger)
    FLOE_ROW(ConvInteger, ConvInteger)
    FLOE_ROW(QGemm, QGemm)
    FLOE_ROW(QConv, QConv)
    FLOE_ROW(QAvgPool, QAvgPool)
    FLOE_ROW(Lookup, Lookup)
    FLOE_ROW(QLstm, QLstm)
    FLOE_ROW(Attention, Attention)
    FLOE_ROW(Rotary, Rotary)
    FLOE_ROW(Count, Unknown)
    default:
      return {CheckElementwise, RunElementwise};
  }
#undef FLOE_ROW
}

bool TakesCode(OpId op) {
  return op == OpId::kPointwise || op == OpId::kConv || op == OpId::kGemm || op == OpId::kMatMul ||
         op == OpId::kSoftmax;
}

Status CheckTensor(const TensorInfo& t, uint32_t operand) {
  int64_t bytes;
  if (Status s = TensorBytes(t, &bytes); !s.ok()) return s.ForOperand(operand, s.axis);
  if (t.layout != LayoutId::kDense) {
    return Error(Code::kInvalidFile, Rule::kInstructionLayout,
                 static_cast<int64_t>(LayoutId::kDense), static_cast<int64_t>(t.layout))
        .ForOperand(operand);
  }
  return OkStatus();
}

// Counts, presence and every tensor for itself.
Status CheckOperands(OpId op, const OpInfo& info) {
  const OpInfoRow& row = OpRow(op);
  const auto arity = [](int64_t expected, int64_t got) {
    return Error(Code::kInvalidFile, Rule::kInstructionArity, expected, got);
  };
  if (info.input_count > kMaxOperands || info.output_count > kMaxOperands - info.input_count) {
    return arity(kMaxOperands, info.input_count);
  }
  if (info.code_count != 0 && !TakesCode(op)) {
    return Error(Code::kInvalidFile, Rule::kInstructionCode, 0, info.code_count);
  }
  const auto min_inputs = static_cast<uint32_t>(row.min_inputs);
  const bool variadic = row.max_inputs < 0;
  const auto max_inputs = static_cast<uint32_t>(variadic ? 0 : row.max_inputs);
  if (info.input_count < min_inputs) return arity(min_inputs, info.input_count);
  if (!variadic && info.code_count == 0 && info.input_count > max_inputs) {
    return arity(max_inputs, info.input_count);
  }
  if (info.output_count < 1 || info.output_count > static_cast<uint32_t>(row.max_outputs)) {
    return arity(row.max_outputs, info.output_count);
  }
  for (uint32_t i = 0; i < info.input_count; ++i) {
    const bool optional = !variadic && i >= min_inputs && info.code_count == 0;
    if (!info.inputs[i].present()) {
      if (optional) continue;
      return Error(Code::kInvalidFile, Rule::kInstructionOperand).ForOperand(i);
    }
    FLOE_RETURN_IF_ERROR(CheckTensor(info.inputs[i], i));
  }
  for (uint32_t i = 0; i < info.output_count; ++i) {
    if (!info.outputs[i].present()) {
      if (row.max_outputs > 1) continue;
      return Error(Code::kInvalidFile, Rule::kInstructionResult).ForOperand(info.input_count + i);
    }
    FLOE_RETURN_IF_ERROR(CheckTensor(info.outputs[i], info.input_count + i));
  }
  return OkStatus();
}

// One operation per element of what is read or written: enough for the cheap ops. Others set flops
// themselves.
void EstimateCost(const OpInfo& info, Footprint* footprint) {
  double elements = 0;
  const auto add = [&](const TensorInfo& t) {
    const auto count = static_cast<double>(Count(t));
    elements = count > elements ? count : elements;
    footprint->bytes += count * static_cast<double>(DTypeSize(t.dtype));
  };
  for (uint32_t i = 0; i < info.input_count; ++i) {
    if (info.inputs[i].present()) add(info.inputs[i]);
  }
  for (uint32_t i = 0; i < info.output_count; ++i) {
    if (info.outputs[i].present()) add(info.outputs[i]);
  }
  if (footprint->flops == 0) footprint->flops = elements;
}

}  // namespace

Status CheckOp(OpId op, const OpInfo& info, Footprint* footprint) {
  *footprint = Footprint{};
  if (static_cast<uint32_t>(op) >= static_cast<uint32_t>(OpId::kCount)) {
    return Error(Code::kInvalidFile, Rule::kInstructionKernel, 0, static_cast<int64_t>(op));
  }
  FLOE_RETURN_IF_ERROR(CheckOperands(op, info));
  FLOE_RETURN_IF_ERROR(Find(op).check(CheckArgs{op, info, *footprint}));
  EstimateCost(info, footprint);
  return OkStatus();
}

Rule RunOp(OpId op, const OpInfo& info, const void* const* inputs, void* const* outputs,
           void* scratch) {
  // Nothing to write: functions may rely on an element, and loops over other dims need no bound.
  bool empty = true;
  for (uint32_t i = 0; i < info.output_count; ++i) {
    empty = empty && (!info.outputs[i].present() || Count(info.outputs[i]) == 0);
  }
  if (empty) return Rule::kNone;
  return Find(op).run(RunArgs{op, info, inputs, outputs, scratch});
}

}  // namespace floe::reference
