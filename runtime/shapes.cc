#include "runtime/shapes.h"

#include "format/checked.h"

namespace floe::runtime {
namespace {

bool Refuse(ErrorSink* e, Rule rule, uint32_t value, int32_t axis, int64_t expected, int64_t got) {
  return e->Fail(Code::kInvalidArgument, rule, expected, got).ForValue(value).ForAxis(axis);
}

// The one unknown term of `dim` and the value of the rest. False if there is none, or several.
bool OneUnknown(const ProgramView& p, const DimExpr& dim, const int64_t* symbols, DimTerm* unknown,
                int64_t* rest) {
  int64_t sum = dim.constant;
  int unknowns = 0;
  for (const DimTerm& term : p.terms.subspan(dim.first_term, dim.term_count)) {
    if (symbols[term.symbol] == kNoSize) {
      *unknown = term;
      ++unknowns;
      continue;
    }
    int64_t product;
    if (!CheckedMul(term.coefficient, symbols[term.symbol], &product) ||
        !CheckedAdd(sum, product, &sum)) {
      return false;
    }
  }
  *rest = sum;
  return unknowns == 1 && !IsDerived(p.symbols[unknown->symbol]);
}

// Solves unknown * coefficient + rest == got.
bool SolveOne(const ProgramView& p, const DimTerm& unknown, int64_t rest, int64_t got,
              uint32_t value, int32_t axis, int64_t* symbol_value, ErrorSink* e) {
  const SymbolDef& symbol = p.symbols[unknown.symbol];
  // No dimension is negative; so `left` is not the number that cannot be divided by -1 either.
  int64_t left;
  if (got < 0 || __builtin_sub_overflow(got, rest, &left)) {
    return Refuse(e, Rule::kBindSymbolRange, value, axis, got < 0 ? symbol.min : symbol.max, got);
  }
  const int64_t v = left / unknown.coefficient;
  if (v < symbol.min || v > symbol.max) {
    return Refuse(e, Rule::kBindSymbolRange, value, axis, v < symbol.min ? symbol.min : symbol.max,
                  got);
  }
  const int64_t divisor = left % unknown.coefficient != 0 ? unknown.coefficient : symbol.multiple;
  if (left % unknown.coefficient != 0 || v % divisor != 0) {
    return Refuse(e, Rule::kBindSymbolMultiple, value, axis, divisor, got);
  }
  *symbol_value = static_cast<int64_t>(v);
  return true;
}

bool SolveSymbols(const ProgramView& p, std::span<const uint32_t> params, const floe_tensor* inputs,
                  int64_t* symbols, ErrorSink* e) {
  for (bool progress = true; progress;) {
    progress = false;
    for (size_t i = 0; i < params.size(); ++i) {
      const ValueDef& v = p.values[params[i]];
      for (uint32_t axis = 0; axis < v.rank; ++axis) {
        DimTerm unknown;
        int64_t rest;
        if (!OneUnknown(p, p.DimOf(v, axis), symbols, &unknown, &rest)) continue;
        if (!SolveOne(p, unknown, rest, inputs[i].dims[axis], params[i], static_cast<int32_t>(axis),
                      &symbols[unknown.symbol], e)) {
          return false;
        }
        progress = true;
      }
    }
  }
  return true;
}

bool PickBucket(const ProgramView& p, const MethodDef& method, const int64_t* symbols,
                uint32_t* bucket, ErrorSink* e) {
  const size_t n = p.symbols.size();
  for (uint32_t b = 0; b < method.bucket_count; ++b) {
    const BucketDef& def = p.buckets[method.first_bucket + b];
    const auto max = p.bucket_max.subspan(def.first_max, n);
    bool covers = true;
    for (size_t s = 0; s < n && covers; ++s) covers = symbols[s] <= max[s];
    if (!covers) continue;
    *bucket = method.first_bucket + b;
    return true;
  }
  return e->Fail(Code::kInvalidArgument, Rule::kBucketRange);
}

}  // namespace

void CompleteSymbols(const ProgramView& p, Rule rule, int64_t* symbols, Status* missing) {
  *missing = OkStatus();
  for (uint32_t s = 0; s < p.symbols.size(); ++s) {
    const SymbolDef& def = p.symbols[s];
    bool exists = true;
    if (IsDerived(def)) {
      exists = EvalDerived(p, def, symbols, &symbols[s]);
    } else if (symbols[s] == kNoSize && rule != Rule::kRunSize) {
      const bool data = def.kind == static_cast<uint32_t>(SymbolKind::kData);
      symbols[s] = data ? def.max : RoundUp(def.min, def.multiple);
    }
    if (exists && symbols[s] >= def.min && symbols[s] <= def.max) continue;
    if (missing->ok()) {
      *missing = Error(rule == Rule::kRunSize ? Code::kOutOfRange : Code::kInvalidArgument, rule,
                       symbols[s] < def.min ? def.min : def.max, symbols[s]);
      missing->operand = s;
    }
    symbols[s] = kNoSize;
  }
}

bool SolveShapes(const ProgramView& p, const MethodDef& method, const floe_tensor* inputs,
                 uint32_t count, int64_t* symbols, Status* missing, uint32_t* bucket,
                 ErrorSink* e) {
  const auto params = p.Params(p.blocks[method.block]);
  if (count != params.size()) {
    const auto missing = count < params.size() ? params[count] : kNoIndex;
    return Refuse(e, count < params.size() ? Rule::kBindMissing : Rule::kBindInput, missing, -1,
                  static_cast<int64_t>(params.size()), count);
  }
  for (size_t i = 0; i < params.size(); ++i) {
    const ValueDef& v = p.values[params[i]];
    if (inputs[i].dtype != v.dtype) {
      return Refuse(e, Rule::kBindDType, params[i], -1, v.dtype, inputs[i].dtype);
    }
    if (inputs[i].rank != v.rank) {
      return Refuse(e, Rule::kBindRank, params[i], -1, v.rank, inputs[i].rank);
    }
  }
  for (size_t s = 0; s < p.symbols.size(); ++s) symbols[s] = kNoSize;
  if (!SolveSymbols(p, params, inputs, symbols, e)) return false;
  CompleteSymbols(p, Rule::kBindSymbolRange, symbols, missing);
  if (!PickBucket(p, method, symbols, bucket, e)) return false;
  for (size_t i = 0; i < params.size(); ++i) {
    const ValueDef& v = p.values[params[i]];
    for (uint32_t axis = 0; axis < v.rank; ++axis) {
      const DimExpr& dim = p.DimOf(v, axis);
      int64_t expected;
      // What has no value is refused with the value's description.
      if (!EvalDim(p, dim, symbols, &expected) || expected == inputs[i].dims[axis]) continue;
      return Refuse(e, dim.term_count == 0 ? Rule::kBindFixedDim : Rule::kBindSymbolConflict,
                    params[i], static_cast<int32_t>(axis), expected, inputs[i].dims[axis]);
    }
  }
  return true;
}

}  // namespace floe::runtime
