// Every index and range of the metadata, before anything follows one.

#include "format/checked.h"
#include "format/ops.h"
#include "format/sort.h"
#include "format/validate.h"

namespace floe::validate {
namespace {

// Numbers of dimension expressions stay below this, so that negating one is safe.
constexpr int64_t kMaxNumber = int64_t{1} << 62;

Status CheckStrings(const ProgramView& p) {
  const auto offsets = p.string_offsets;
  // String 0 is "", so there is always one.
  if (offsets.size() < 2 || offsets[0] != 0 || offsets[1] != 0 ||
      offsets.back() != p.strings.size()) {
    return Bad(Rule::kStringRange, static_cast<int64_t>(p.strings.size()), 0);
  }
  for (size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] < offsets[i - 1]) return Bad(Rule::kStringRange, offsets[i - 1], offsets[i]);
  }
  return OkStatus();
}

bool IsString(const ProgramView& p, uint32_t index) {
  return uint64_t{index} + 1 < p.string_offsets.size();
}
Status BadString(const ProgramView& p, uint32_t index) {
  return Bad(Rule::kStringRange, static_cast<int64_t>(p.string_offsets.size()) - 1, index);
}

Status CheckSymbols(Context* c) {
  const ProgramView& p = c->p;
  if (p.symbols.size() > kMaxSymbols) {
    return OverLimit(kMaxSymbols, static_cast<int64_t>(p.symbols.size()));
  }
  for (size_t s = 0; s < p.symbols.size(); ++s) {
    const SymbolDef& symbol = p.symbols[s];
    if (!IsString(p, symbol.name)) return BadString(p, symbol.name);
    if (symbol.reserved != 0 || symbol.min < 0 || symbol.max > kMaxSymbolValue ||
        symbol.multiple < 1 || symbol.multiple > kMaxSymbolValue || symbol.min > symbol.max) {
      return Bad(Rule::kSymbolRange, symbol.max, symbol.min);
    }
    c->symbol_min[s] = RoundUp(symbol.min, symbol.multiple);
    c->symbol_max[s] = symbol.max;
    if (c->symbol_min[s] > symbol.max) return Bad(Rule::kSymbolRange, symbol.max, symbol.min);
  }
  return OkStatus();
}

Status CheckDims(Context* c) {
  const ProgramView& p = c->p;
  for (const DimTerm& t : p.terms) {
    if (t.symbol >= p.symbols.size() || t.reserved != 0 || t.coefficient == 0 ||
        t.coefficient > kMaxNumber || t.coefficient < -kMaxNumber) {
      return Bad(Rule::kDimRange, static_cast<int64_t>(p.symbols.size()), t.symbol);
    }
  }
  for (const DimExpr& dim : p.dims) {
    if (!InTable(dim.first_term, dim.term_count, p.terms.size()) ||
        dim.term_count > p.symbols.size() || dim.constant > kMaxNumber ||
        dim.constant < -kMaxNumber) {
      return Bad(Rule::kDimRange, static_cast<int64_t>(p.terms.size()), dim.first_term);
    }
    // Sorted and unique symbols: equal expressions look equal.
    for (uint32_t i = 1; i < dim.term_count; ++i) {
      if (p.terms[dim.first_term + i - 1].symbol >= p.terms[dim.first_term + i].symbol) {
        return Bad(Rule::kDimRange, p.terms[dim.first_term + i - 1].symbol,
                   p.terms[dim.first_term + i].symbol);
      }
    }
    int64_t min, max;
    if (!DimBounds(p, dim, c->all(), &min, &max) || min < 0) {
      return Bad(Rule::kDimRange, 0, dim.constant);
    }
  }
  for (const uint32_t dim : p.value_dims) {
    if (dim >= p.dims.size()) {
      return Bad(Rule::kDimRange, static_cast<int64_t>(p.dims.size()), dim);
    }
  }
  return OkStatus();
}

Status BadTable(uint64_t size, uint64_t got) {
  return Bad(Rule::kTableRange, static_cast<int64_t>(size), static_cast<int64_t>(got));
}

Status CheckInstruction(const ProgramView& p, const Instruction& i) {
  const uint64_t operand_count = uint64_t{i.input_count} + i.output_count;
  if (operand_count > kMaxOperands) {
    return Bad(Rule::kInstructionArity, kMaxOperands, static_cast<int64_t>(operand_count));
  }
  if (!InTable(i.first_operand, operand_count, p.operands.size())) {
    return BadTable(p.operands.size(), i.first_operand);
  }
  if (!InTable(i.first_attr, i.attr_count, p.attrs.size())) {
    return BadTable(p.attrs.size(), i.first_attr);
  }
  if (i.attr_count > kMaxAttrWords) return Bad(Rule::kInstructionAttr, kMaxAttrWords, i.attr_count);
  if (!InTable(i.first_code, i.code_count, p.code.size())) {
    return BadTable(p.code.size(), i.first_code);
  }
  if (i.code_count > kPwMaxLength) return Bad(Rule::kInstructionCode, kPwMaxLength, i.code_count);
  if (!InTable(i.first_block, i.block_count, p.blocks.size())) {
    return Bad(Rule::kBlockStructure, static_cast<int64_t>(p.blocks.size()), i.first_block);
  }
  if (i.op >= static_cast<uint16_t>(OpId::kCount)) {
    return BadTable(static_cast<uint64_t>(OpId::kCount), i.op);
  }
  if (!IsString(p, i.name)) return BadString(p, i.name);
  if (i.kernel == kKernelCheck && i.attr_count == 1) {
    const int64_t message = p.attrs[i.first_attr];
    if (message < 0 || message >= kNoIndex || !IsString(p, static_cast<uint32_t>(message))) {
      return Bad(Rule::kStringRange, static_cast<int64_t>(p.string_offsets.size()) - 1, message);
    }
  }
  for (const uint32_t v : p.operands.subspan(i.first_operand, operand_count)) {
    if (v != kNoIndex && v >= p.values.size()) {
      return Bad(Rule::kInstructionOperand, static_cast<int64_t>(p.values.size()), v);
    }
  }
  return OkStatus();
}

Status CheckInstructions(const Context& c) {
  const ProgramView& p = c.p;
  if (p.instructions.size() > c.limits.max_instructions) {
    return OverLimit(static_cast<int64_t>(c.limits.max_instructions),
                     static_cast<int64_t>(p.instructions.size()));
  }
  for (uint32_t i = 0; i < p.instructions.size(); ++i) {
    if (Status s = CheckInstruction(p, p.instructions[i]); !s.ok()) return s.At(i);
  }
  return OkStatus();
}

Status CheckBlocks(const ProgramView& p) {
  uint64_t uses = 0;
  for (const BlockDef& b : p.blocks) {
    if (!InTable(b.first_instruction, b.instruction_count, p.instructions.size())) {
      return BadTable(p.instructions.size(), b.first_instruction);
    }
    if (!InTable(b.first_param, b.param_count, p.block_values.size())) {
      return BadTable(p.block_values.size(), b.first_param);
    }
    if (!InTable(b.first_result, b.result_count, p.block_values.size())) {
      return BadTable(p.block_values.size(), b.first_result);
    }
    // Blocks do not share their lists: what is walked stays linear in the table.
    uses += uint64_t{b.param_count} + b.result_count;
    if (uses > p.block_values.size()) return BadTable(p.block_values.size(), uses);
  }
  for (const uint32_t v : p.block_values) {
    if (v >= p.values.size()) {
      return Bad(Rule::kBlockStructure, static_cast<int64_t>(p.values.size()), v);
    }
  }
  return OkStatus();
}

Status CheckMethodTable(const ProgramView& p) {
  if (p.methods.empty()) return Bad(Rule::kMethodRange, 1, 0);
  if (p.methods.size() > kMaxMethods) {
    return OverLimit(kMaxMethods, static_cast<int64_t>(p.methods.size()));
  }
  for (const MethodDef& m : p.methods) {
    if (!IsString(p, m.name)) return BadString(p, m.name);
    if (m.block >= p.blocks.size()) {
      return Bad(Rule::kMethodRange, static_cast<int64_t>(p.blocks.size()), m.block);
    }
    if (m.bucket_count == 0 || !InTable(m.first_bucket, m.bucket_count, p.buckets.size())) {
      return Bad(Rule::kBucketRange, static_cast<int64_t>(p.buckets.size()), m.first_bucket);
    }
    if (m.bucket_count > kMaxBuckets) return OverLimit(kMaxBuckets, m.bucket_count);
  }
  return OkStatus();
}

// Names are compared as bytes, without a hash table: no input makes this slow. `names` is
// reordered.
Status CheckUnique(const ProgramView& p, uint32_t* names, size_t count) {
  // Equal indices first: afterwards strings differ in their index, so comparing them reads each
  // string's bytes at most O(log n) times.
  SortIndices(names, count, nullptr, [](const void*, uint32_t a, uint32_t b) { return a < b; });
  for (size_t i = 1; i < count; ++i) {
    if (names[i] == names[i - 1]) return Bad(Rule::kDuplicateName, names[i - 1], names[i]);
  }
  SortIndices(names, count, &p, [](const void* context, uint32_t a, uint32_t b) {
    const ProgramView& view = *static_cast<const ProgramView*>(context);
    return view.String(a) < view.String(b);
  });
  for (size_t i = 1; i < count; ++i) {
    if (p.String(names[i]) == p.String(names[i - 1])) {
      return Bad(Rule::kDuplicateName, names[i - 1], names[i]);
    }
  }
  return OkStatus();
}

Status CheckNames(Context* c) {
  const ProgramView& p = c->p;
  size_t count = 0;
  for (const MethodDef& m : p.methods) c->names[count++] = m.name;
  FLOE_RETURN_IF_ERROR(CheckUnique(p, c->names, count));
  count = 0;
  for (const StateDef& s : p.states) c->names[count++] = s.name;
  FLOE_RETURN_IF_ERROR(CheckUnique(p, c->names, count));
  for (const MethodDef& m : p.methods) {
    const BlockDef& block = p.blocks[m.block];
    for (const auto& list : {p.Params(block), p.Results(block)}) {
      count = 0;
      for (const uint32_t v : list) c->names[count++] = p.values[v].name;
      FLOE_RETURN_IF_ERROR(CheckUnique(p, c->names, count));
    }
  }
  return OkStatus();
}

}  // namespace

Status CheckTables(Context* c) {
  const ProgramView& p = c->p;
  FLOE_RETURN_IF_ERROR(CheckStrings(p));
  FLOE_RETURN_IF_ERROR(CheckSymbols(c));
  FLOE_RETURN_IF_ERROR(CheckDims(c));
  for (const ValueDef& v : p.values) {
    if (!IsString(p, v.name)) return BadString(p, v.name);
  }
  for (const StateDef& s : p.states) {
    if (!IsString(p, s.name)) return BadString(p, s.name);
  }
  FLOE_RETURN_IF_ERROR(CheckValues(c));
  FLOE_RETURN_IF_ERROR(CheckInstructions(*c));
  FLOE_RETURN_IF_ERROR(CheckBlocks(p));
  FLOE_RETURN_IF_ERROR(CheckMethodTable(p));
  return CheckNames(c);
}

}  // namespace floe::validate
