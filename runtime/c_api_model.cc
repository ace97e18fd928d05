// The part of the C API that describes programs and backends: reads only.
#include <algorithm>
#include <cstring>

#include "backends/registry.h"
#include "runtime/error.h"
#include "runtime/floe.h"
#include "runtime/model.h"
#include "runtime/text.h"

using floe::DimExpr;
using floe::ProgramView;
using floe::runtime::CopyText;
using floe::runtime::FromHandle;
using floe::runtime::Text;
using floe::runtime::WriteInfo;

namespace {

bool HasMethod(const floe_model* model, uint32_t method) {
  return model != nullptr && method < FromHandle(model).view().methods.size();
}

// How many things of a kind there are.
uint32_t Count(const ProgramView& p, floe_entity entity, uint32_t method) {
  switch (entity) {
    case FLOE_METHOD:
      return static_cast<uint32_t>(p.methods.size());
    case FLOE_STATE:
      return static_cast<uint32_t>(p.states.size());
    case FLOE_SYMBOL:
      return static_cast<uint32_t>(p.symbols.size());
    case FLOE_INPUT:
    case FLOE_OUTPUT: {
      if (method >= p.methods.size()) return 0;
      const floe::BlockDef& b = p.blocks[p.methods[method].block];
      return entity == FLOE_INPUT ? b.param_count : b.result_count;
    }
  }
  return 0;
}

// The value of an input, output or state that exists.
uint32_t ValueOf(const ProgramView& p, floe_entity entity, uint32_t method, uint32_t index) {
  if (entity == FLOE_STATE) return p.states[index].value;
  const floe::BlockDef& b = p.blocks[p.methods[method].block];
  return entity == FLOE_INPUT ? p.Params(b)[index] : p.Results(b)[index];
}

// The name of a thing that exists.
std::string_view NameOf(const ProgramView& p, floe_entity entity, uint32_t method, uint32_t index) {
  switch (entity) {
    case FLOE_METHOD:
      return p.String(p.methods[index].name);
    case FLOE_STATE:
      return p.String(p.states[index].name);
    case FLOE_SYMBOL:
      return p.String(p.symbols[index].name);
    default:
      return p.String(p.values[ValueOf(p, entity, method, index)].name);
  }
}

// Bounds of a sum: each term is at an end of its symbol's range. Opened programs
// have no overflow here (kDimRange).
floe_axis AxisOf(const ProgramView& p, const DimExpr& dim) {
  floe_axis axis = {};
  axis.min = dim.constant;
  axis.max = dim.constant;
  axis.multiple = 1;
  axis.symbol = FLOE_NO_INDEX;
  for (const floe::DimTerm& term : p.terms.subspan(dim.first_term, dim.term_count)) {
    const floe::SymbolDef& s = p.symbols[term.symbol];
    const bool up = term.coefficient >= 0;
    axis.min += term.coefficient * (up ? s.min : s.max);
    axis.max += term.coefficient * (up ? s.max : s.min);
  }
  if (dim.term_count != 1 || dim.constant != 0) return axis;
  const floe::DimTerm& term = p.terms[dim.first_term];
  axis.multiple = std::max<int64_t>(1, term.coefficient * p.symbols[term.symbol].multiple);
  if (term.coefficient == 1) axis.symbol = term.symbol;
  return axis;
}

}  // namespace

floe_status floe_model_get_info(const floe_model* model, floe_model_info* info) {
  if (model == nullptr) return FLOE_INVALID_ARGUMENT;
  const floe::runtime::Model& m = FromHandle(model);
  const ProgramView& p = m.view();
  floe_model_info full = {};
  full.methods = static_cast<uint32_t>(p.methods.size());
  full.states = static_cast<uint32_t>(p.states.size());
  full.symbols = static_cast<uint32_t>(p.symbols.size());
  full.goldens = static_cast<uint32_t>(p.goldens.size());
  full.instructions = static_cast<uint32_t>(p.instructions.size());
  full.values = static_cast<uint32_t>(p.values.size());
  full.file_bytes = m.file_bytes();
  for (const auto kind : {floe::SectionKind::kConstants, floe::SectionKind::kPackedWeights,
                          floe::SectionKind::kAlternatives}) {
    full.constant_bytes += p.sections[static_cast<size_t>(kind)].size();
  }
  full.resident_bytes = m.resident_bytes();
  CopyText(m.kernels().backend, full.backend);
  CopyText(m.kernels().isa, full.isa);
  return WriteInfo(full, info);
}

floe_status floe_model_get_method(const floe_model* model, uint32_t method,
                                  floe_method_info* info) {
  if (model == nullptr) return FLOE_INVALID_ARGUMENT;
  if (!HasMethod(model, method)) return FLOE_NOT_FOUND;
  const ProgramView& p = FromHandle(model).view();
  floe_method_info full = {};
  full.inputs = Count(p, FLOE_INPUT, method);
  full.outputs = Count(p, FLOE_OUTPUT, method);
  full.buckets = p.methods[method].bucket_count;
  return WriteInfo(full, info);
}

floe_status floe_model_get_bucket(const floe_model* model, uint32_t method, uint32_t bucket,
                                  floe_bucket_info* info) {
  if (model == nullptr) return FLOE_INVALID_ARGUMENT;
  if (!HasMethod(model, method)) return FLOE_NOT_FOUND;
  const ProgramView& p = FromHandle(model).view();
  if (bucket >= p.methods[method].bucket_count) return FLOE_NOT_FOUND;
  const floe::BucketDef& def = p.buckets[p.methods[method].first_bucket + bucket];
  floe_bucket_info full = {};
  full.arena_bytes = def.arena_bytes;
  full.scratch_bytes = def.scratch_bytes;
  return WriteInfo(full, info);
}

floe_status floe_model_get_spec(const floe_model* model, floe_entity entity, uint32_t method,
                                uint32_t index, floe_tensor_spec* spec) {
  if (model == nullptr) return FLOE_INVALID_ARGUMENT;
  if (entity != FLOE_INPUT && entity != FLOE_OUTPUT && entity != FLOE_STATE) {
    return FLOE_INVALID_ARGUMENT;
  }
  const ProgramView& p = FromHandle(model).view();
  if (index >= Count(p, entity, method)) return FLOE_NOT_FOUND;
  const floe::ValueDef& v = p.values[ValueOf(p, entity, method, index)];
  floe_tensor_spec full = {};
  full.dtype = v.dtype;
  full.rank = v.rank;
  for (uint32_t a = 0; a < v.rank; ++a) {
    full.axes[a] = AxisOf(p, p.DimOf(v, a));
  }
  return WriteInfo(full, spec);
}

size_t floe_model_get_name(const floe_model* model, floe_entity entity, uint32_t method,
                           uint32_t index, char* buffer, size_t capacity) {
  Text text(buffer, buffer != nullptr ? capacity : 0);
  if (model == nullptr) return 0;
  const ProgramView& p = FromHandle(model).view();
  if (index >= Count(p, entity, method)) return 0;
  return (text << NameOf(p, entity, method, index)).size();
}

floe_status floe_model_find(const floe_model* model, floe_entity entity, uint32_t method,
                            const char* name, uint32_t* index) {
  if (model == nullptr || name == nullptr || index == nullptr) return FLOE_INVALID_ARGUMENT;
  const ProgramView& p = FromHandle(model).view();
  const uint32_t count = Count(p, entity, method);
  for (uint32_t i = 0; i < count; ++i) {
    if (NameOf(p, entity, method, i) != name) continue;
    *index = i;
    return FLOE_OK;
  }
  return FLOE_NOT_FOUND;
}

floe_status floe_model_get_golden(const floe_model* model, uint32_t golden, floe_golden* info) {
  if (model == nullptr) return FLOE_INVALID_ARGUMENT;
  const ProgramView& p = FromHandle(model).view();
  if (golden >= p.goldens.size()) return FLOE_NOT_FOUND;
  const floe::GoldenDef& def = p.goldens[golden];
  floe_golden full = {};
  full.method = def.method;
  full.tensors = def.tensor_count;
  full.rtol = def.rtol;
  full.atol = def.atol;
  return WriteInfo(full, info);
}

floe_status floe_model_get_golden_tensor(const floe_model* model, uint32_t golden, uint32_t tensor,
                                         floe_entity* entity, uint32_t* index, floe_tensor* out) {
  if (model == nullptr || entity == nullptr || index == nullptr || out == nullptr) {
    return FLOE_INVALID_ARGUMENT;
  }
  const ProgramView& p = FromHandle(model).view();
  if (golden >= p.goldens.size() || tensor >= p.goldens[golden].tensor_count) {
    return FLOE_NOT_FOUND;
  }
  const floe::GoldenTensor& t = p.golden_tensors[p.goldens[golden].first_tensor + tensor];
  const auto section = p.sections[static_cast<size_t>(floe::SectionKind::kGoldens)];
  *entity = t.is_output != 0 ? FLOE_OUTPUT : FLOE_INPUT;
  *index = t.position;
  std::memset(out, 0, sizeof(*out));
  out->data = const_cast<uint8_t*>(section.data()) + t.offset;
  out->bytes = static_cast<size_t>(t.bytes);
  out->dtype = t.dtype;
  out->rank = t.rank;
  std::memcpy(out->dims, t.dims, sizeof(out->dims));
  return FLOE_OK;
}

floe_status floe_get_backend(uint32_t index, floe_backend_info* info) {
  const auto tables = floe::AllKernelTables();
  if (index >= tables.size()) return FLOE_NOT_FOUND;
  floe_backend_info full = {};
  full.available = tables[index]->available() ? 1 : 0;
  CopyText(tables[index]->backend, full.backend);
  CopyText(tables[index]->isa, full.isa);
  return WriteInfo(full, info);
}
