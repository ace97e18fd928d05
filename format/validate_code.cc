// Walks a method's blocks in execution order: every value is written once, by one instruction,
// before it is read, and only storage that may be written is written.
#include "format/validate.h"

namespace floe::validate {
namespace {

class CodeWalker {
 public:
  explicit CodeWalker(Context* c) : c_(*c), p_(c->p), mark_(static_cast<uint8_t>(c->method + 1)) {}

  bool Method() {
    const BlockDef& block = p_.blocks[p_.methods[c_.method].block];
    if (!MethodParams(block)) return false;
    if (!MethodResults(block)) return false;
    if (!Block(p_.methods[c_.method].block, 1, 1.0)) return false;
    for (const uint32_t v : p_.Results(block)) {
      if (!c_.defined[v]) return c_.Bad(Rule::kOutputNotWritten).ForValue(v);
    }
    Leave(0);
    return CheckSolvable(block);
  }

 private:
  bool MethodParams(const BlockDef& block) {
    for (const uint32_t v : p_.Params(block)) {
      if (StorageOf(p_.values[v]) != Storage::kInput || c_.param_of[v] != 0) {
        return c_
            .Bad(Rule::kMethodRange, static_cast<int64_t>(Storage::kInput), p_.values[v].storage)
            .ForValue(v);
      }
      c_.param_of[v] = mark_;
      Use(v);
      Define(v);
    }
    return true;
  }

  bool MethodResults(const BlockDef& block) {
    for (const uint32_t v : p_.Results(block)) {
      if (StorageOf(p_.values[v]) != Storage::kOutput || c_.result_of[v] != 0) {
        return c_
            .Bad(Rule::kMethodRange, static_cast<int64_t>(Storage::kOutput), p_.values[v].storage)
            .ForValue(v);
      }
      c_.result_of[v] = mark_;
    }
    return true;
  }

  // Bind finds the symbols' values from the inputs' shapes: each one must be the only symbol of
  // some input's dimension. The others are found by Size instructions.
  bool CheckSolvable(const BlockDef& block) {
    uint64_t solvable = c_.found_symbols;
    for (const uint32_t v : p_.Params(block)) {
      const ValueDef& def = p_.values[v];
      for (const uint32_t d : p_.value_dims.subspan(def.first_dim, def.rank)) {
        const DimExpr& dim = p_.dims[d];
        if (dim.term_count != 1) continue;
        const uint32_t symbol = p_.terms[dim.first_term].symbol;
        if (p_.symbols[symbol].kind == static_cast<uint32_t>(SymbolKind::kInput)) {
          solvable |= uint64_t{1} << symbol;
        }
      }
    }
    const uint64_t missing = c_.used_symbols & ~solvable;
    if (missing != 0) return c_.Bad(Rule::kSymbolRange, 0, __builtin_ctzll(missing));
    return true;
  }

  // Bind, or the run, must know the symbols of `v`.
  void Use(uint32_t v) { c_.used_symbols |= c_.symbols[v] | c_.symbols[p_.Root(v)]; }

  // Its symbol is known from here on, so that nothing may have needed it. Outside of other blocks
  // only, so that it runs once.
  bool Size(const Instruction& i, uint32_t depth) {
    const int64_t symbol = i.attr_count == 1 ? p_.attrs[i.first_attr] : -1;
    if (depth != 1 || static_cast<uint64_t>(symbol) >= p_.symbols.size() ||
        p_.symbols[static_cast<size_t>(symbol)].kind != static_cast<uint32_t>(SymbolKind::kData) ||
        ((c_.used_symbols | c_.found_symbols) >> symbol & 1) != 0) {
      return c_.Bad(Rule::kSymbolRange, depth, symbol);
    }
    c_.found_symbols |= uint64_t{1} << symbol;
    return true;
  }

  void Define(uint32_t v) {
    c_.defined[v] = 1;
    c_.defined_log[defined_count_++] = v;
  }
  // Forgets what was defined since `mark`: values do not outlive their block.
  void Leave(uint32_t mark) {
    while (defined_count_ > mark) c_.defined[c_.defined_log[--defined_count_]] = 0;
  }

  bool Readable(uint32_t v) const {
    const uint32_t root = p_.Root(v);
    switch (StorageOf(p_.values[root])) {
      case Storage::kInput:
      case Storage::kOutput:
      case Storage::kArena:
        return c_.defined[root] != 0;
      case Storage::kConstant:
      case Storage::kIndex:
      case Storage::kDims:
      case Storage::kState:
        return true;
      default:
        return false;
    }
  }

  // Claims `v` for its one writer. States may have one writer in each method.
  bool Claim(uint32_t v, uint32_t writer) {
    const Storage storage = StorageOf(p_.values[v]);
    const bool state = storage == Storage::kState;
    const bool output = storage == Storage::kOutput && c_.result_of[v] == mark_;
    if (storage != Storage::kArena && !state && !output) {
      return c_
          .Bad(Rule::kInstructionResult, static_cast<int64_t>(Storage::kArena),
               p_.values[v].storage)
          .ForValue(v);
    }
    if (state ? c_.written_by[v] == mark_ : c_.written_by[v] != 0) {
      return c_.Bad(Rule::kInstructionResult, 0, c_.written_by[v]).ForValue(v);
    }
    c_.written_by[v] = mark_;
    c_.writer[v] = writer;
    Use(v);
    if (storage == Storage::kArena) c_.arena_values[c_.arena_count++] = v;
    return true;
  }

  bool Block(uint32_t index, uint32_t depth, double trips) {
    if (depth > kMaxBlockDepth || c_.block_owned[index]) {
      return c_.Bad(Rule::kBlockStructure, kMaxBlockDepth, index);
    }
    c_.block_owned[index] = 1;
    const BlockDef& block = p_.blocks[index];
    for (uint32_t k = 0; k < block.instruction_count; ++k) {
      const uint32_t i = block.first_instruction + k;
      if (!Visit(i, depth, trips)) {
        if (c_.error().instruction == kNoIndex) c_.Again().At(i);
        return false;
      }
    }
    return true;
  }

  bool Visit(uint32_t index, uint32_t depth, double trips) {
    const Instruction& i = p_.instructions[index];
    if (c_.instruction_owned[index]) return c_.Bad(Rule::kBlockStructure, 0, index);
    c_.instruction_owned[index] = 1;
    c_.trips[c_.order_count] = trips;
    c_.order[c_.order_count++] = index;

    const auto inputs = p_.Inputs(i);
    const auto outputs = p_.Outputs(i);
    for (uint32_t k = 0; k < inputs.size(); ++k) {
      const uint32_t v = inputs[k];
      if (v == kNoIndex) continue;
      if (!Readable(v)) return c_.Bad(Rule::kInstructionOperand).ForValue(v).ForOperand(k);
      Use(v);
    }
    for (uint32_t k = 0; k < outputs.size(); ++k) {
      const uint32_t v = outputs[k];
      if (v == kNoIndex) continue;
      if (!Claim(v, index)) {
        return c_.Again().ForOperand(i.input_count + k);
      }
    }
    if (i.kernel == kKernelIf || i.kernel == kKernelLoop) {
      if (!Control(index, depth, trips)) return false;
    } else if (i.kernel == kKernelSize && !Size(i, depth)) {
      return false;
    } else if (i.block_count != 0) {
      return c_.Bad(Rule::kBlockStructure, 0, i.block_count);
    }
    for (const uint32_t v : outputs) {
      if (v != kNoIndex) Define(v);
    }
    return true;
  }

  bool Control(uint32_t index, uint32_t depth, double trips) {
    const Instruction& i = p_.instructions[index];
    if (!CheckControl(&c_, index)) return false;
    const bool loop = i.kernel == kKernelLoop;
    if (loop) trips *= static_cast<double>(p_.attrs[i.first_attr]);
    for (uint32_t b = 0; b < i.block_count; ++b) {
      const BlockDef& block = p_.blocks[i.first_block + b];
      const uint32_t mark = defined_count_;
      for (const uint32_t v : p_.Params(block)) {
        if (StorageOf(p_.values[v]) != Storage::kArena) {
          return c_
              .Bad(Rule::kBlockStructure, static_cast<int64_t>(Storage::kArena),
                   p_.values[v].storage)
              .ForValue(v);
        }
        if (!Claim(v, kNoIndex)) return false;
        Define(v);
      }
      if (!Block(i.first_block + b, depth + 1, trips)) return false;
      for (uint32_t k = 0; k < block.result_count; ++k) {
        if (!Result(i, block, k)) return false;
      }
      Leave(mark);
    }
    return true;
  }

  // A block's results are copied to the instruction's outputs, or back to the loop's params as if
  // all at once. No copy may have its own target as its source.
  bool Result(const Instruction& i, const BlockDef& block, uint32_t k) {
    const uint32_t v = p_.Results(block)[k];
    if (!Readable(v)) return c_.Bad(Rule::kInstructionOperand).ForValue(v);
    const uint32_t root = p_.Root(v);
    Use(v);
    for (const uint32_t out : p_.Outputs(i)) {
      if (out == root) return c_.Bad(Rule::kBlockStructure, 0, k).ForValue(v);
    }
    return true;
  }

  Context& c_;
  const ProgramView& p_;
  const uint8_t mark_;
  uint32_t defined_count_ = 0;
};

}  // namespace

bool CheckCode(Context* c) {
  c->order_count = 0;
  c->arena_count = 0;
  c->used_symbols = 0;
  c->found_symbols = 0;
  return CodeWalker(c).Method();
}

}  // namespace floe::validate
