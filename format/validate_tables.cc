// Every index and range of the metadata, before anything follows one.

#include "format/checked.h"
#include "format/sort.h"
#include "format/validate.h"

namespace floe::validate {
namespace {

// Numbers of dimension expressions stay below this, so that negating one is safe.
constexpr int64_t kMaxNumber = int64_t{1} << 62;

bool CheckStrings(Context* c) {
  const ProgramView& p = c->p;
  const auto offsets = p.string_offsets;
  // String 0 is "", so there is always one.
  if (offsets.size() < 2 || offsets[0] != 0 || offsets[1] != 0 ||
      offsets.back() != p.strings.size()) {
    return c->Bad(Rule::kStringRange, static_cast<int64_t>(p.strings.size()), 0);
  }
  for (size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] < offsets[i - 1]) return c->Bad(Rule::kStringRange, offsets[i - 1], offsets[i]);
  }
  return true;
}

bool CheckString(Context* c, int64_t index) {
  const auto strings = static_cast<int64_t>(c->p.string_offsets.size()) - 1;
  return (index >= 0 && index < strings) || c->Bad(Rule::kStringRange, strings, index);
}

bool CheckSymbols(Context* c) {
  const ProgramView& p = c->p;
  if (p.symbols.size() > kMaxSymbols) {
    return c->OverLimit(kMaxSymbols, static_cast<int64_t>(p.symbols.size()));
  }
  for (size_t s = 0; s < p.symbols.size(); ++s) {
    const SymbolDef& symbol = p.symbols[s];
    if (!CheckString(c, symbol.name)) return false;
    const bool input = symbol.kind == static_cast<uint32_t>(SymbolKind::kInput);
    if (symbol.kind > static_cast<uint32_t>(SymbolKind::kData) || symbol.min < 0 ||
        symbol.max > kMaxSymbolValue || symbol.multiple < 1 ||
        symbol.multiple > (input ? kMaxSymbolValue : 1) || symbol.min > symbol.max) {
      return c->Bad(Rule::kSymbolRange, symbol.max, symbol.min);
    }
    c->symbol_min[s] = RoundUp(symbol.min, symbol.multiple);
    c->symbol_max[s] = symbol.max;
    if (c->symbol_min[s] > symbol.max) return c->Bad(Rule::kSymbolRange, symbol.max, symbol.min);
  }
  return true;
}

// Symbols derive from earlier ones only; at the end of the chain there is at least one that does
// not.
bool CheckDerived(Context* c) {
  const ProgramView& p = c->p;
  for (uint32_t s = 0; s < p.symbols.size(); ++s) {
    const SymbolDef& symbol = p.symbols[s];
    const bool derived = IsDerived(symbol);
    if (!derived) c->sources[s] = uint64_t{1} << s;
    for (const uint32_t d : {symbol.a, symbol.b}) {
      if (!derived && d == 0) continue;
      if (!derived || d >= p.dims.size()) return c->Bad(Rule::kSymbolRange, 0, d);
      // Its terms are sorted.
      const DimExpr& dim = p.dims[d];
      if (dim.term_count != 0 && p.terms[dim.first_term + dim.term_count - 1].symbol >= s) {
        return c->Bad(Rule::kSymbolRange, s, d);
      }
      c->sources[s] |= SourcesOf(*c, dim);
    }
    if (c->sources[s] == 0) return c->Bad(Rule::kSymbolRange, 0, s);
  }
  return true;
}

bool CheckDims(Context* c) {
  const ProgramView& p = c->p;
  for (const DimTerm& t : p.terms) {
    if (t.symbol >= p.symbols.size() || t.reserved != 0 || t.coefficient == 0 ||
        t.coefficient > kMaxNumber || t.coefficient < -kMaxNumber) {
      return c->Bad(Rule::kDimRange, static_cast<int64_t>(p.symbols.size()), t.symbol);
    }
  }
  for (const DimExpr& dim : p.dims) {
    if (!InTable(dim.first_term, dim.term_count, p.terms.size()) ||
        dim.term_count > p.symbols.size() || dim.constant > kMaxNumber ||
        dim.constant < -kMaxNumber) {
      return c->Bad(Rule::kDimRange, static_cast<int64_t>(p.terms.size()), dim.first_term);
    }
    // Sorted and unique symbols: equal expressions look equal.
    for (uint32_t i = 1; i < dim.term_count; ++i) {
      if (p.terms[dim.first_term + i - 1].symbol >= p.terms[dim.first_term + i].symbol) {
        return c->Bad(Rule::kDimRange, p.terms[dim.first_term + i - 1].symbol,
                      p.terms[dim.first_term + i].symbol);
      }
    }
    int64_t min, max;
    if (!DimBounds(p, dim, c->all, &min, &max)) return c->Bad(Rule::kDimRange, 0, dim.constant);
  }
  for (const uint32_t dim : p.value_dims) {
    if (dim >= p.dims.size()) {
      return c->Bad(Rule::kDimRange, static_cast<int64_t>(p.dims.size()), dim);
    }
  }
  return CheckDerived(c);
}

bool CheckInstruction(Context* c, const Instruction& i) {
  const ProgramView& p = c->p;
  const uint64_t operand_count = uint64_t{i.input_count} + i.output_count;
  if (operand_count > kMaxOperands) {
    return c->Bad(Rule::kInstructionArity, kMaxOperands, static_cast<int64_t>(operand_count));
  }
  if (!c->CheckRange(i.first_operand, operand_count, p.operands.size())) return false;
  if (!c->CheckRange(i.first_attr, i.attr_count, p.attrs.size())) return false;
  if (i.attr_count > kMaxAttrWords)
    return c->Bad(Rule::kInstructionAttr, kMaxAttrWords, i.attr_count);
  if (!c->CheckRange(i.first_code, i.code_count, p.code.size())) return false;
  if (i.code_count > kPwMaxLength)
    return c->Bad(Rule::kInstructionCode, kPwMaxLength, i.code_count);
  if (!InTable(i.first_block, i.block_count, p.blocks.size())) {
    return c->Bad(Rule::kBlockStructure, static_cast<int64_t>(p.blocks.size()), i.first_block);
  }
  if (!CheckString(c, i.op) || !CheckString(c, i.name)) return false;
  if (i.kernel == kKernelCheck && i.attr_count == 1 && !CheckString(c, p.attrs[i.first_attr])) {
    return false;
  }
  for (const uint32_t v : p.operands.subspan(i.first_operand, operand_count)) {
    if (v != kNoIndex && v >= p.values.size()) {
      return c->Bad(Rule::kInstructionOperand, static_cast<int64_t>(p.values.size()), v);
    }
  }
  return true;
}

bool CheckInstructions(Context* c) {
  const ProgramView& p = c->p;
  if (p.instructions.size() > c->limits.max_instructions) {
    return c->OverLimit(static_cast<int64_t>(c->limits.max_instructions),
                        static_cast<int64_t>(p.instructions.size()));
  }
  for (uint32_t i = 0; i < p.instructions.size(); ++i) {
    if (!CheckInstruction(c, p.instructions[i])) {
      return c->Again().At(i);
    }
  }
  return true;
}

bool CheckBlocks(Context* c) {
  const ProgramView& p = c->p;
  uint64_t uses = 0;
  for (const BlockDef& b : p.blocks) {
    if (!c->CheckRange(b.first_instruction, b.instruction_count, p.instructions.size()) ||
        !c->CheckRange(b.first_param, b.param_count, p.block_values.size()) ||
        !c->CheckRange(b.first_result, b.result_count, p.block_values.size())) {
      return false;
    }
    // Blocks do not share their lists: what is walked stays linear in the table.
    uses += uint64_t{b.param_count} + b.result_count;
    if (!c->CheckRange(uses, 0, p.block_values.size())) return false;
  }
  for (const uint32_t v : p.block_values) {
    if (v >= p.values.size()) {
      return c->Bad(Rule::kBlockStructure, static_cast<int64_t>(p.values.size()), v);
    }
  }
  return true;
}

bool CheckMethodTable(Context* c) {
  const ProgramView& p = c->p;
  if (p.methods.empty()) return c->Bad(Rule::kMethodRange, 1, 0);
  if (p.methods.size() > kMaxMethods) {
    return c->OverLimit(kMaxMethods, static_cast<int64_t>(p.methods.size()));
  }
  for (const MethodDef& m : p.methods) {
    if (!CheckString(c, m.name)) return false;
    if (m.block >= p.blocks.size()) {
      return c->Bad(Rule::kMethodRange, static_cast<int64_t>(p.blocks.size()), m.block);
    }
    if (m.bucket_count == 0 || !InTable(m.first_bucket, m.bucket_count, p.buckets.size())) {
      return c->Bad(Rule::kBucketRange, static_cast<int64_t>(p.buckets.size()), m.first_bucket);
    }
    if (m.bucket_count > kMaxBuckets) return c->OverLimit(kMaxBuckets, m.bucket_count);
  }
  return true;
}

// Names are compared as bytes, without a hash table: no input makes this slow. The first `count`
// of the context's names are reordered.
bool CheckUnique(Context* c, size_t count) {
  uint32_t* names = c->names;
  // Equal indices first: afterwards strings differ in their index, so comparing them reads each
  // string's bytes at most O(log n) times.
  SortIndices(names, count, nullptr, [](const void*, uint32_t a, uint32_t b) { return a < b; });
  for (size_t i = 1; i < count; ++i) {
    if (names[i] == names[i - 1]) return c->Bad(Rule::kDuplicateName, names[i - 1], names[i]);
  }
  bool (*const less)(const void*, uint32_t, uint32_t) = [](const void* context, uint32_t a,
                                                           uint32_t b) {
    const ProgramView& view = *static_cast<const ProgramView*>(context);
    return view.String(a) < view.String(b);
  };
  SortIndices(names, count, &c->p, less);
  for (size_t i = 1; i < count; ++i) {
    if (!less(&c->p, names[i - 1], names[i])) {
      return c->Bad(Rule::kDuplicateName, names[i - 1], names[i]);
    }
  }
  return true;
}

bool CheckNames(Context* c) {
  const ProgramView& p = c->p;
  size_t count = 0;
  for (const MethodDef& m : p.methods) c->names[count++] = m.name;
  if (!CheckUnique(c, count)) return false;
  count = 0;
  for (const StateDef& s : p.states) c->names[count++] = s.name;
  if (!CheckUnique(c, count)) return false;
  for (const MethodDef& m : p.methods) {
    const BlockDef& block = p.blocks[m.block];
    for (const auto& list : {p.Params(block), p.Results(block)}) {
      count = 0;
      for (const uint32_t v : list) c->names[count++] = p.values[v].name;
      if (!CheckUnique(c, count)) return false;
    }
  }
  return true;
}

}  // namespace

bool CheckTables(Context* c) {
  const ProgramView& p = c->p;
  if (!CheckStrings(c)) return false;
  if (!CheckSymbols(c)) return false;
  if (!CheckDims(c)) return false;
  for (const ValueDef& v : p.values) {
    if (!CheckString(c, v.name)) return false;
  }
  for (const StateDef& s : p.states) {
    if (!CheckString(c, s.name)) return false;
  }
  if (!CheckValues(c)) return false;
  if (!CheckInstructions(c)) return false;
  if (!CheckBlocks(c)) return false;
  if (!CheckMethodTable(c)) return false;
  return CheckNames(c);
}

}  // namespace floe::validate
