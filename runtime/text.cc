#include "runtime/text.h"

#include "format/ops.h"

namespace floe::runtime {

const char* OpName(uint16_t op) {
  return op < static_cast<uint16_t>(OpId::kCount) ? OpRow(static_cast<OpId>(op)).name : "?";
}

void PutDim(const ProgramView& program, const DimExpr& dim, Text* text) {
  bool first = true;
  for (uint32_t i = 0; i < dim.term_count; ++i) {
    const DimTerm& term = program.terms[dim.first_term + i];
    if (!first && term.coefficient >= 0) *text << "+";
    if (term.coefficient == -1) {
      *text << "-";
    } else if (term.coefficient != 1) {
      *text << term.coefficient << "*";
    }
    *text << program.String(program.symbols[term.symbol].name);
    first = false;
  }
  if (first || dim.constant != 0) {
    if (!first && dim.constant > 0) *text << "+";
    *text << dim.constant;
  }
}

void PutValue(const ProgramView& program, uint32_t value, Text* text) {
  const ValueDef& v = program.values[value];
  const std::string_view name = program.String(v.name);
  if (!name.empty()) *text << name << " ";
  *text << DTypeName(static_cast<DType>(v.dtype)) << "[";
  for (uint32_t axis = 0; axis < v.rank; ++axis) {
    if (axis != 0) *text << ",";
    PutDim(program, program.dims[program.value_dims[v.first_dim + axis]], text);
  }
  *text << "]";
}

}  // namespace floe::runtime
