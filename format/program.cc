#include "format/program.h"

#include "format/checked.h"

namespace floe {

bool EvalDim(const ProgramView& p, const DimExpr& dim, const int64_t* symbol_values, int64_t* out) {
  int64_t sum = dim.constant;
  for (const DimTerm& term : p.terms.subspan(dim.first_term, dim.term_count)) {
    int64_t product;
    if (!CheckedMul(term.coefficient, symbol_values[term.symbol], &product) ||
        !CheckedAdd(sum, product, &sum)) {
      return false;
    }
  }
  if (sum < 0) return false;
  *out = sum;
  return true;
}

Status ConcreteInfo(const ProgramView& p, uint32_t value, const int64_t* symbol_values,
                    TensorInfo* info) {
  const ValueDef& def = p.values[value];
  *info = TensorInfo{};
  info->dtype = static_cast<DType>(def.dtype);
  info->layout = static_cast<LayoutId>(def.layout);
  info->rank = def.rank;
  info->halo = {def.halo_top, def.halo_bottom, def.halo_gap};
  info->groups = def.groups;
  for (int a = 0; a < def.rank; ++a) {
    const DimExpr& dim = p.dims[p.value_dims[def.first_dim + static_cast<uint32_t>(a)]];
    if (!EvalDim(p, dim, symbol_values, &info->dims[a])) {
      return Error(Code::kInvalidFile, Rule::kDimRange, 0, dim.constant)
          .ForValue(value)
          .ForOperand(kNoIndex, a);
    }
  }
  int64_t bytes;
  if (Status s = TensorBytes(*info, &bytes); !s.ok()) return s.ForValue(value);
  return OkStatus();
}

}  // namespace floe
