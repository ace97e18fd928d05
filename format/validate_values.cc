// Values, constants, aliases, states and goldens.
#include <limits>

#include "format/checked.h"
#include "format/validate.h"

namespace floe::validate {
namespace {

std::span<const uint8_t> Section(const ProgramView& p, SectionKind kind) {
  return p.sections[static_cast<uint32_t>(kind)];
}

bool IsActivationLayout(uint8_t layout) {
  return layout == static_cast<uint8_t>(LayoutId::kDense) ||
         layout == static_cast<uint8_t>(LayoutId::kChannelsLast);
}
bool IsDense(const ValueDef& v) { return v.layout == static_cast<uint8_t>(LayoutId::kDense); }

// What does not depend on the storage. Fills symbols[v] and the upper bound of the size.
bool CheckType(Context* c, uint32_t index, int64_t* bytes) {
  const ProgramView& p = c->p;
  const ValueDef& v = p.values[index];
  if (DTypeSize(static_cast<DType>(v.dtype)) == 0) return c->Bad(Rule::kValueDType, 0, v.dtype);
  if (!IsKnownLayout(v.layout)) return c->Bad(Rule::kValueLayout, 0, v.layout);
  if (v.rank > kMaxRank || !InTable(v.first_dim, v.rank, p.value_dims.size())) {
    return c->Bad(Rule::kValueRank, kMaxRank, v.rank);
  }
  c->symbols[index] = 0;
  for (const uint32_t dim : p.value_dims.subspan(v.first_dim, v.rank)) {
    c->symbols[index] |= SourcesOf(*c, p.dims[dim]);
  }
  return UpperBytes(c, index, c->all, bytes);
}

// Constants and index tables: their bytes are all there, aligned and of exactly the shape's size.
bool CheckConstant(Context* c, uint32_t index, int64_t bytes) {
  const ProgramView& p = c->p;
  const ValueDef& v = p.values[index];
  const auto indices = static_cast<uint32_t>(SectionKind::kIndices);
  uint32_t kind = v.link;
  if (StorageOf(v) == Storage::kIndex) {
    if (v.link != 0 && v.link != indices) return c->Bad(Rule::kValueStorage, indices, v.link);
    if (!IsDense(v)) return c->Bad(Rule::kValueLayout, 0, v.layout);
    kind = indices;
  } else if (kind != static_cast<uint32_t>(SectionKind::kConstants) &&
             kind != static_cast<uint32_t>(SectionKind::kPackedWeights) &&
             kind != static_cast<uint32_t>(SectionKind::kAlternatives)) {
    return c->Bad(Rule::kValueStorage, static_cast<uint32_t>(SectionKind::kConstants), v.link);
  }
  if (!IsFixed(p, index) || v.bytes != static_cast<uint64_t>(bytes)) {
    return c->Bad(Rule::kConstantRange, bytes, static_cast<int64_t>(v.bytes));
  }
  const uint64_t size = p.sections[kind].size();
  if (v.offset % kAlignment != 0 || !InTable(v.offset, v.bytes, size)) {
    return c->Bad(Rule::kConstantRange, static_cast<int64_t>(size), static_cast<int64_t>(v.offset));
  }
  return true;
}

bool CheckAlias(Context* c, uint32_t index) {
  const ProgramView& p = c->p;
  const ValueDef& v = p.values[index];
  if (v.link >= p.values.size() || v.link == index) {
    return c->Bad(Rule::kAliasChain, static_cast<int64_t>(p.values.size()), v.link);
  }
  const ValueDef& target = p.values[v.link];
  if (StorageOf(target) == Storage::kAlias || !IsDense(v) || !IsDense(target) ||
      v.dtype != target.dtype) {
    return c->Bad(Rule::kAliasChain, target.dtype, v.dtype);
  }
  return true;  // The sizes are compared once every value's dims are known to be valid.
}

bool CheckDimsContent(Context* c, uint32_t index) {
  const ProgramView& p = c->p;
  const ValueDef& v = p.values[index];
  if (v.dtype != static_cast<uint8_t>(DType::kI64)) {
    return c->Bad(Rule::kValueDType, static_cast<int64_t>(DType::kI64), v.dtype);
  }
  if (!IsDense(v)) return c->Bad(Rule::kValueLayout, 0, v.layout);
  if (!IsFixed(p, index)) return c->Bad(Rule::kValueStorage);
  TensorInfo info;
  if (!ConcreteInfo(p, index, c->symbol_min, &info, nullptr, c)) return false;
  int64_t count;
  if (!ElementCount(info, &count) || count > kMaxDimsElements) {
    return c->Bad(Rule::kValueStorage, kMaxDimsElements, count);
  }
  if (!InTable(v.offset, static_cast<uint64_t>(count), p.value_dims.size())) {
    return c->Bad(Rule::kDimRange, static_cast<int64_t>(p.value_dims.size()),
                  static_cast<int64_t>(v.offset));
  }
  for (const uint32_t dim : p.value_dims.subspan(v.offset, static_cast<size_t>(count))) {
    int64_t min, max;
    if (!DimBounds(p, p.dims[dim], c->all, &min, &max) || min < 0) {
      return c->Bad(Rule::kDimRange, 0, p.dims[dim].constant);
    }
    c->symbols[index] |= SourcesOf(*c, p.dims[dim]);
  }
  return true;
}

bool CheckStorage(Context* c, uint32_t index, int64_t bytes) {
  const ProgramView& p = c->p;
  const ValueDef& v = p.values[index];
  const Storage storage = StorageOf(v);
  const bool constant = storage == Storage::kConstant || storage == Storage::kIndex;
  // Packed layouts are the compiler's; nothing writes them at run time.
  if (storage != Storage::kConstant && storage != Storage::kNone && !IsActivationLayout(v.layout)) {
    return c->Bad(Rule::kValueLayout, 0, v.layout);
  }
  if (!constant && v.bytes != 0) {
    return c->Bad(Rule::kValueStorage, 0, static_cast<int64_t>(v.bytes));
  }
  if (!constant && storage != Storage::kDims && v.offset != 0) {
    return c->Bad(Rule::kValueStorage, 0, static_cast<int64_t>(v.offset));
  }
  switch (storage) {
    case Storage::kInput:
    case Storage::kOutput:
      if (!IsDense(v)) return c->Bad(Rule::kValueLayout, 0, v.layout);
      return v.link == 0 || c->Bad(Rule::kValueStorage, 0, v.link);
    case Storage::kArena:
      return true;  // The slot is checked with each bucket.
    case Storage::kConstant:
    case Storage::kIndex:
      return CheckConstant(c, index, bytes);
    case Storage::kState:
      if (v.link >= p.states.size() || p.states[v.link].value != index) {
        return c->Bad(Rule::kStateRange, static_cast<int64_t>(p.states.size()), v.link);
      }
      return true;
    case Storage::kAlias:
      return CheckAlias(c, index);
    case Storage::kDims:
      if (v.link != 0) return c->Bad(Rule::kValueStorage, 0, v.link);
      return CheckDimsContent(c, index);
    case Storage::kNone:  // No instruction can read it.
      return v.link == 0 || c->Bad(Rule::kValueStorage, 0, v.link);
  }
  return c->Bad(Rule::kValueStorage, 0, v.storage);
}

bool CheckState(Context* c, uint32_t index) {
  const ProgramView& p = c->p;
  const StateDef& s = p.states[index];
  if (s.value >= p.values.size()) {
    return c->Bad(Rule::kStateRange, static_cast<int64_t>(p.values.size()), s.value);
  }
  const ValueDef& v = p.values[s.value];
  if (StorageOf(v) != Storage::kState || v.link != index || !IsFixed(p, s.value)) {
    return c->Bad(Rule::kStateRange, index, v.link).ForValue(s.value);
  }
  int64_t bytes;
  if (!UpperBytes(c, s.value, c->all, &bytes)) return false;
  if (s.bytes != static_cast<uint64_t>(bytes)) {
    return c->Bad(Rule::kStateRange, bytes, static_cast<int64_t>(s.bytes)).ForValue(s.value);
  }
  if (s.init_bytes == 0) {
    return s.init_offset == 0 || c->Bad(Rule::kStateRange, 0, static_cast<int64_t>(s.init_offset));
  }
  if (s.init_bytes != s.bytes || s.init_offset % kAlignment != 0 ||
      !InTable(s.init_offset, s.init_bytes, Section(p, SectionKind::kConstants).size())) {
    return c
        ->Bad(Rule::kStateRange, static_cast<int64_t>(s.bytes), static_cast<int64_t>(s.init_bytes))
        .ForValue(s.value);
  }
  return true;
}

// A golden's tensor against the input or output that it stands for.
bool CheckGoldenTensor(Context* c, const GoldenTensor& t, uint32_t value) {
  const ProgramView& p = c->p;
  const ValueDef& v = p.values[value];
  const auto bad = [c, value](int64_t expected, int64_t got) -> bool {
    return c->Bad(Rule::kGoldenRange, expected, got).ForValue(value);
  };
  if (t.dtype != v.dtype || t.reserved != 0) return bad(v.dtype, t.dtype);
  if (t.rank != v.rank) return bad(v.rank, t.rank);
  TensorInfo info;
  info.dtype = static_cast<DType>(t.dtype);
  info.rank = t.rank;
  for (int a = 0; a < kMaxRank; ++a) {
    info.dims[a] = t.dims[a];
    if (a >= t.rank) {
      if (t.dims[a] != 0) return bad(0, t.dims[a]);
      continue;
    }
    int64_t min, max;
    const DimExpr& dim = p.DimOf(v, static_cast<uint32_t>(a));
    if (!DimBounds(p, dim, c->all, &min, &max) || t.dims[a] < min || t.dims[a] > max) {
      return bad(dim.constant, t.dims[a]);
    }
  }
  int64_t bytes;
  if (!TensorBytes(info, &bytes).ok() || t.bytes != static_cast<uint64_t>(bytes)) {
    return bad(0, static_cast<int64_t>(t.bytes));
  }
  const uint64_t size = Section(p, SectionKind::kGoldens).size();
  if (t.offset % kAlignment != 0 || !InTable(t.offset, t.bytes, size)) {
    return bad(static_cast<int64_t>(size), static_cast<int64_t>(t.offset));
  }
  return true;
}

bool IsTolerance(double t) { return t >= 0 && t <= std::numeric_limits<double>::max(); }

// Inputs come first, all of them in order; then outputs in order, at least one.
bool CheckGolden(Context* c, const GoldenDef& g) {
  const ProgramView& p = c->p;
  const BlockDef& block = p.blocks[p.methods[g.method].block];
  const auto params = p.Params(block);
  const auto results = p.Results(block);
  if (g.tensor_count <= params.size()) {
    return c->Bad(Rule::kGoldenRange, static_cast<int64_t>(params.size()) + 1, g.tensor_count);
  }
  int64_t last = -1;
  for (uint32_t i = 0; i < g.tensor_count; ++i) {
    const GoldenTensor& t = p.golden_tensors[g.first_tensor + i];
    const bool output = i >= params.size();
    if (t.is_output != (output ? 1 : 0)) return c->Bad(Rule::kGoldenRange, output, t.is_output);
    if (output ? (t.position <= last || t.position >= results.size()) : t.position != i) {
      return c->Bad(Rule::kGoldenRange, i, t.position);
    }
    if (output) last = t.position;
    if (!CheckGoldenTensor(c, t, output ? results[t.position] : params[t.position])) return false;
  }
  return true;
}

}  // namespace

bool CheckValues(Context* c) {
  const ProgramView& p = c->p;
  for (uint32_t v = 0; v < p.values.size(); ++v) {
    int64_t bytes = 0;
    if (!CheckType(c, v, &bytes) || !CheckStorage(c, v, bytes)) {
      return c->Again().ForValue(v);
    }
  }
  for (uint32_t v = 0; v < p.values.size(); ++v) {
    if (StorageOf(p.values[v]) != Storage::kAlias) continue;
    if (!SameCount(p, v, p.values[v].link, c->all)) {
      return c->Bad(Rule::kAliasChain, p.values[v].link, v).ForValue(v);
    }
  }
  for (uint32_t s = 0; s < p.states.size(); ++s)
    if (!CheckState(c, s)) return false;
  return true;
}

bool CheckGoldens(Context* c) {
  const ProgramView& p = c->p;
  uint64_t uses = 0;
  for (const GoldenDef& g : p.goldens) {
    uses += g.tensor_count;
    if (g.method >= p.methods.size() || g.reserved != 0 ||
        !InTable(g.first_tensor, g.tensor_count, p.golden_tensors.size()) ||
        uses > p.golden_tensors.size()) {
      return c->Bad(Rule::kGoldenRange, static_cast<int64_t>(p.golden_tensors.size()),
                    g.first_tensor);
    }
    if (!IsTolerance(g.rtol) || !IsTolerance(g.atol)) {
      return c->Bad(Rule::kGoldenRange);
    }
    if (!CheckGolden(c, g)) return false;
  }
  return true;
}

}  // namespace floe::validate
