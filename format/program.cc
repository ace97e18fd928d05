#include "format/program.h"

#include "format/checked.h"
#include "format/error_sink.h"

namespace floe {

std::string_view ProgramView::String(uint32_t index) const {
  if (index + 1 >= string_offsets.size()) return {};
  return {reinterpret_cast<const char*>(strings.data()) + string_offsets[index],
          string_offsets[index + 1] - string_offsets[index]};
}

const DimExpr& ProgramView::DimOf(const ValueDef& value, uint32_t axis) const {
  return dims[value_dims[value.first_dim + axis]];
}

uint32_t ProgramView::Root(uint32_t value) const {
  const ValueDef& v = values[value];
  return static_cast<Storage>(v.storage) == Storage::kAlias ? v.link : value;
}

void FillOp(const ProgramView& p, const Instruction& i, const TensorInfo* operands, OpInfo* op) {
  op->inputs = operands;
  op->outputs = operands + i.input_count;
  op->input_count = i.input_count;
  op->output_count = i.output_count;
  op->attrs = p.attrs.data() + i.first_attr;
  op->attr_count = i.attr_count;
  op->code = p.code.data() + i.first_code;
  op->code_count = i.code_count;
}

static bool EvalSum(const ProgramView& p, const DimExpr& dim, const int64_t* symbol_values,
                    int64_t* out) {
  int64_t sum = dim.constant;
  for (const DimTerm& term : p.terms.subspan(dim.first_term, dim.term_count)) {
    int64_t product;
    if (symbol_values[term.symbol] < 0 ||
        !CheckedMul(term.coefficient, symbol_values[term.symbol], &product) ||
        !CheckedAdd(sum, product, &sum)) {
      return false;
    }
  }
  *out = sum;
  return true;
}

bool EvalDim(const ProgramView& p, const DimExpr& dim, const int64_t* symbol_values, int64_t* out) {
  int64_t sum;
  if (!EvalSum(p, dim, symbol_values, &sum) || sum < 0) return false;
  *out = sum;
  return true;
}

bool EvalDerived(const ProgramView& p, const SymbolDef& symbol, const int64_t* symbol_values,
                 int64_t* out) {
  int64_t a, b, value;
  *out = 0;
  if (!EvalSum(p, p.dims[symbol.a], symbol_values, &a) ||
      !EvalSum(p, p.dims[symbol.b], symbol_values, &b)) {
    return false;
  }
  switch (static_cast<SymbolKind>(symbol.kind)) {
    case SymbolKind::kProduct:
      if (!CheckedMul(a, b, &value)) return false;
      break;
    case SymbolKind::kFloorDiv:
      if (b <= 0) return false;
      value = a / b - (a % b < 0 ? 1 : 0);
      break;
    default:
      value = (a > b) == (symbol.kind == static_cast<uint32_t>(SymbolKind::kMax)) ? a : b;
  }
  *out = value;
  return true;
}

TensorInfo TypeOf(const ValueDef& value) {
  TensorInfo info;
  info.dtype = static_cast<DType>(value.dtype);
  info.layout = static_cast<LayoutId>(value.layout);
  info.rank = value.rank;
  info.halo = {value.halo_top, value.halo_bottom, value.halo_gap, value.halo_fill};
  info.groups = value.groups;
  return info;
}

Status ConcreteInfo(const ProgramView& p, uint32_t value, const int64_t* symbol_values,
                    TensorInfo* info, int64_t* bytes) {
  const ValueDef& def = p.values[value];
  *info = TypeOf(def);
  for (int a = 0; a < def.rank; ++a) {
    const DimExpr& dim = p.DimOf(def, static_cast<uint32_t>(a));
    if (EvalDim(p, dim, symbol_values, &info->dims[a])) continue;
    Status s = Error(Code::kInvalidFile, Rule::kDimRange, 0, dim.constant);
    s.value = value;
    s.axis = a;
    return s;
  }
  int64_t unused;
  Status s = TensorBytes(*info, bytes != nullptr ? bytes : &unused);
  if (!s.ok()) s.value = value;
  return s;
}

bool ConcreteInfo(const ProgramView& p, uint32_t value, const int64_t* symbol_values,
                  TensorInfo* info, int64_t* bytes, ErrorSink* e) {
  return e->Passes(ConcreteInfo(p, value, symbol_values, info, bytes));
}

}  // namespace floe
