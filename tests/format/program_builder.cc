#include "tests/format/program_builder.h"

#include <algorithm>
#include <cstring>

#include "format/checked.h"
#include "format/liveness.h"

namespace floe::testing {

ProgramView ProgramData::View() const {
  ProgramView v;
  v.producer = producer;
  v.symbols = symbols;
  v.terms = terms;
  v.dims = dims;
  v.value_dims = value_dims;
  v.values = values;
  v.instructions = instructions;
  v.operands = operands;
  v.attrs = attrs;
  v.code = code;
  v.block_values = block_values;
  v.blocks = blocks;
  v.methods = methods;
  v.states = states;
  v.buckets = buckets;
  v.bucket_max = bucket_max;
  v.arena_offsets = arena_offsets;
  v.goldens = goldens;
  v.golden_tensors = golden_tensors;
  v.string_offsets = string_offsets;
  v.strings = strings;
  for (uint32_t k = 0; k < kSectionKinds; ++k) v.sections[k] = sections[k];
  return v;
}

ProgramBuilder::ProgramBuilder() {
  data_.producer = "hand-written";
  data_.string_offsets = {0, 0};
}

uint32_t ProgramBuilder::String(std::string_view text) {
  const ProgramView view = data_.View();
  for (uint32_t i = 0; i + 1 < data_.string_offsets.size(); ++i) {
    if (view.String(i) == text) return i;
  }
  data_.strings.insert(data_.strings.end(), text.begin(), text.end());
  data_.string_offsets.push_back(static_cast<uint32_t>(data_.strings.size()));
  return static_cast<uint32_t>(data_.string_offsets.size() - 2);
}

uint32_t ProgramBuilder::AddSymbol(std::string_view name, int64_t min, int64_t max,
                                   int64_t multiple) {
  data_.symbols.push_back({String(name), 0, min, max, multiple, 0, 0});
  return static_cast<uint32_t>(data_.symbols.size() - 1);
}

uint32_t ProgramBuilder::AddDerived(std::string_view name, SymbolKind kind, const Dim& a,
                                    const Dim& b, int64_t min, int64_t max) {
  const uint32_t first = AddDim(a);
  const uint32_t second = AddDim(b);
  data_.symbols.push_back({String(name), static_cast<uint32_t>(kind), min, max, 1, first, second});
  return static_cast<uint32_t>(data_.symbols.size() - 1);
}

uint32_t ProgramBuilder::AddDataSymbol(std::string_view name, int64_t min, int64_t max) {
  const uint32_t symbol = AddSymbol(name, min, max);
  data_.symbols[symbol].kind = static_cast<uint32_t>(SymbolKind::kData);
  return symbol;
}

void ProgramBuilder::AddSize(uint32_t count, uint32_t symbol, std::string_view name) {
  AddInstruction(KernelId::kSize, {count}, {}, {symbol}, {}, name);
}

uint32_t ProgramBuilder::AddDim(const Dim& dim) {
  const auto first = static_cast<uint32_t>(data_.terms.size());
  for (const auto& [symbol, coefficient] : dim.terms) {
    data_.terms.push_back({symbol, 0, coefficient});
  }
  // An expression without terms points at the table's start, whatever was added before it.
  data_.dims.push_back(
      {dim.constant, dim.terms.empty() ? 0 : first, static_cast<uint32_t>(dim.terms.size())});
  return static_cast<uint32_t>(data_.dims.size() - 1);
}

uint32_t ProgramBuilder::AddDimList(const Shape& shape) {
  std::vector<uint32_t> list;
  for (const Dim& d : shape) list.push_back(AddDim(d));
  const auto first = static_cast<uint32_t>(data_.value_dims.size());
  data_.value_dims.insert(data_.value_dims.end(), list.begin(), list.end());
  return first;
}

uint32_t ProgramBuilder::AddValue(std::string_view name, DType dtype, const Shape& shape,
                                  Storage storage) {
  ValueDef v;
  v.name = String(name);
  v.dtype = static_cast<uint8_t>(dtype);
  v.rank = static_cast<uint8_t>(shape.size());
  v.storage = static_cast<uint8_t>(storage);
  v.first_dim = AddDimList(shape);
  data_.values.push_back(v);
  return static_cast<uint32_t>(data_.values.size() - 1);
}

uint32_t ProgramBuilder::AddInput(std::string_view name, DType dtype, const Shape& shape) {
  return AddValue(name, dtype, shape, Storage::kInput);
}
uint32_t ProgramBuilder::AddOutput(std::string_view name, DType dtype, const Shape& shape) {
  return AddValue(name, dtype, shape, Storage::kOutput);
}
uint32_t ProgramBuilder::AddArena(std::string_view name, DType dtype, const Shape& shape,
                                  LayoutId layout, Halo halo) {
  const uint32_t v = AddValue(name, dtype, shape, Storage::kArena);
  data_.values[v].layout = static_cast<uint8_t>(layout);
  data_.values[v].halo_top = halo.top;
  data_.values[v].halo_bottom = halo.bottom;
  data_.values[v].halo_gap = halo.gap;
  return v;
}

uint64_t ProgramBuilder::AddBytes(SectionKind kind, const void* data, size_t bytes) {
  std::vector<uint8_t>& section = data_.sections[static_cast<uint32_t>(kind)];
  section.resize(static_cast<size_t>(RoundUp(static_cast<int64_t>(section.size()), kAlignment)));
  const size_t offset = section.size();
  section.resize(offset + bytes);
  if (bytes != 0) std::memcpy(section.data() + offset, data, bytes);
  return offset;
}

uint32_t ProgramBuilder::AddConstant(std::string_view name, DType dtype, const Shape& shape,
                                     const void* data, size_t bytes, LayoutId layout,
                                     int32_t groups, SectionKind kind) {
  const uint32_t v = AddValue(name, dtype, shape, Storage::kConstant);
  ValueDef& def = data_.values[v];
  def.layout = static_cast<uint8_t>(layout);
  def.groups = groups;
  def.link = static_cast<uint32_t>(kind);
  def.offset = AddBytes(kind, data, bytes);
  def.bytes = bytes;
  return v;
}

uint32_t ProgramBuilder::AddFloats(std::string_view name, const Shape& shape,
                                   const std::vector<float>& data) {
  return AddConstant(name, DType::kF32, shape, data.data(), data.size() * sizeof(float));
}

uint32_t ProgramBuilder::AddIndices(std::string_view name, const Shape& shape,
                                    const std::vector<int64_t>& data) {
  const uint32_t v = AddValue(name, DType::kI64, shape, Storage::kIndex);
  data_.values[v].link = static_cast<uint32_t>(SectionKind::kIndices);
  data_.values[v].offset = AddBytes(SectionKind::kIndices, data.data(), data.size() * 8);
  data_.values[v].bytes = data.size() * 8;
  return v;
}

uint32_t ProgramBuilder::AddState(std::string_view name, DType dtype, const Shape& shape,
                                  const std::vector<uint8_t>& init) {
  const uint32_t v = AddValue(name, dtype, shape, Storage::kState);
  data_.values[v].link = static_cast<uint32_t>(data_.states.size());
  StateDef state;
  state.name = data_.values[v].name;
  state.value = v;
  TensorInfo info;
  int64_t bytes = 0;
  if (ConcreteInfo(data_.View(), v, nullptr, &info).ok() && TensorBytes(info, &bytes).ok()) {
    state.bytes = static_cast<uint64_t>(bytes);
  }
  if (!init.empty()) {
    state.init_offset = AddBytes(SectionKind::kConstants, init.data(), init.size());
    state.init_bytes = init.size();
  }
  data_.states.push_back(state);
  return v;
}

uint32_t ProgramBuilder::AddAlias(std::string_view name, uint32_t target, const Shape& shape) {
  const uint32_t v =
      AddValue(name, static_cast<DType>(data_.values[target].dtype), shape, Storage::kAlias);
  data_.values[v].link = target;
  return v;
}

uint32_t ProgramBuilder::AddDims(std::string_view name, const std::vector<Dim>& content) {
  const uint32_t v =
      AddValue(name, DType::kI64, {static_cast<int64_t>(content.size())}, Storage::kDims);
  data_.values[v].offset = AddDimList(content);
  return v;
}

void ProgramBuilder::Append(Code code) { blocks_[current_].code.push_back(std::move(code)); }

void ProgramBuilder::AddInstruction(KernelId kernel, const Values& inputs, const Values& outputs,
                                    const std::vector<int64_t>& attrs,
                                    const std::vector<PwInstr>& code, std::string_view name) {
  Code c;
  c.instruction.kernel = static_cast<uint16_t>(kernel);
  c.instruction.input_count = static_cast<uint16_t>(inputs.size());
  c.instruction.output_count = static_cast<uint16_t>(outputs.size());
  c.instruction.name = String(name);
  c.operands = inputs;
  c.operands.insert(c.operands.end(), outputs.begin(), outputs.end());
  c.attrs = attrs;
  c.code = code;
  Append(std::move(c));
}

void ProgramBuilder::Enter(uint32_t block, const Body& body) {
  const uint32_t outer = current_;
  current_ = block;
  Values results = body();
  blocks_[block].results = std::move(results);
  current_ = outer;
}

void ProgramBuilder::AddIf(uint32_t condition, const Values& outputs, const Body& then_body,
                           const Body& else_body) {
  AddInstruction(KernelId::kIf, {condition}, outputs);
  const auto first = static_cast<uint32_t>(blocks_.size());
  Instruction& i = blocks_[current_].code.back().instruction;
  i.block_count = 2;
  i.first_block = first;
  blocks_.resize(first + 2);
  Enter(first, then_body);
  Enter(first + 1, else_body);
}

void ProgramBuilder::AddLoop(uint32_t trips, uint32_t condition, const Values& carried,
                             const Values& outputs, int64_t max_trips, const Values& params,
                             const Body& body) {
  Values inputs = {trips, condition};
  inputs.insert(inputs.end(), carried.begin(), carried.end());
  AddInstruction(KernelId::kLoop, inputs, outputs, {max_trips});
  const auto first = static_cast<uint32_t>(blocks_.size());
  Instruction& i = blocks_[current_].code.back().instruction;
  i.block_count = 1;
  i.first_block = first;
  blocks_.resize(first + 1);
  blocks_[first].params = params;
  Enter(first, body);
}

uint32_t ProgramBuilder::AddMethod(std::string_view name, const Values& inputs,
                                   const Values& outputs, const std::function<void()>& body,
                                   const std::vector<std::vector<int64_t>>& buckets) {
  const auto block = static_cast<uint32_t>(blocks_.size());
  blocks_.resize(block + 1);
  blocks_[block].params = inputs;
  Enter(block, [&] {
    body();
    return outputs;
  });
  data_.methods.push_back({String(name), block, 0, 0});
  methods_.push_back({block, buckets});
  return static_cast<uint32_t>(methods_.size() - 1);
}

void ProgramBuilder::AddGolden(uint32_t method, const std::vector<GoldenData>& inputs,
                               const std::vector<GoldenData>& outputs, double rtol, double atol) {
  GoldenDef golden;
  golden.method = method;
  golden.first_tensor = static_cast<uint32_t>(data_.golden_tensors.size());
  golden.tensor_count = static_cast<uint32_t>(inputs.size() + outputs.size());
  golden.rtol = rtol;
  golden.atol = atol;
  data_.goldens.push_back(golden);
  const Block& block = blocks_[methods_[method].block];
  for (int output = 0; output < 2; ++output) {
    const auto& list = output ? outputs : inputs;
    for (uint32_t i = 0; i < list.size(); ++i) {
      GoldenTensor t;
      t.dtype = data_.values[output ? block.results[i] : block.params[i]].dtype;
      t.rank = static_cast<uint8_t>(list[i].dims.size());
      t.is_output = static_cast<uint8_t>(output);
      t.position = i;
      std::copy(list[i].dims.begin(), list[i].dims.end(), t.dims);
      t.offset = AddBytes(SectionKind::kGoldens, list[i].bytes.data(), list[i].bytes.size());
      t.bytes = list[i].bytes.size();
      data_.golden_tensors.push_back(t);
    }
  }
}

void ProgramBuilder::set_debug_map(std::string_view json) {
  data_.sections[static_cast<uint32_t>(SectionKind::kDebugMap)].assign(json.begin(), json.end());
}

void ProgramBuilder::Flatten() {
  const auto append = [](auto* table, const auto& items) {
    const auto first = static_cast<uint32_t>(table->size());
    table->insert(table->end(), items.begin(), items.end());
    return items.empty() ? 0 : first;
  };
  for (const Block& block : blocks_) {
    BlockDef def;
    def.first_instruction = static_cast<uint32_t>(data_.instructions.size());
    def.instruction_count = static_cast<uint32_t>(block.code.size());
    for (const Code& code : block.code) {
      Instruction i = code.instruction;
      i.first_operand = append(&data_.operands, code.operands);
      i.first_attr = append(&data_.attrs, code.attrs);
      i.attr_count = static_cast<uint32_t>(code.attrs.size());
      i.first_code = append(&data_.code, code.code);
      i.code_count = static_cast<uint32_t>(code.code.size());
      data_.instructions.push_back(i);
    }
    def.first_param = append(&data_.block_values, block.params);
    def.param_count = static_cast<uint32_t>(block.params.size());
    def.first_result = append(&data_.block_values, block.results);
    def.result_count = static_cast<uint32_t>(block.results.size());
    data_.blocks.push_back(def);
  }
}

void ProgramBuilder::PlanArena(uint32_t method, const std::vector<int64_t>& max) {
  const ProgramView view = data_.View();
  std::vector<LiveRange> ranges(data_.values.size());
  if (!ComputeLiveness(view, method, ranges.data()).ok()) ranges.assign(ranges.size(), {});
  struct Placed {
    uint32_t value;
    uint64_t begin;
    uint64_t end;
  };
  std::vector<Placed> placed;
  uint64_t arena = 0;
  // Slot = value index, so that several methods and buckets can share one numbering.
  std::vector<uint64_t> offsets(data_.values.size(), 0);
  for (uint32_t v = 0; v < data_.values.size(); ++v) {
    if (static_cast<Storage>(data_.values[v].storage) != Storage::kArena) continue;
    if (ranges[v].first == kNoIndex) continue;
    TensorInfo info;
    int64_t bytes = 0;
    if (ConcreteInfo(view, v, max.data(), &info).ok() && !TensorBytes(info, &bytes).ok()) bytes = 0;
    // First fit among what is alive at the same time, in the order of offsets.
    std::sort(placed.begin(), placed.end(),
              [](const Placed& a, const Placed& b) { return a.begin < b.begin; });
    uint64_t begin = 0;
    for (const Placed& other : placed) {
      const LiveRange& a = ranges[v];
      const LiveRange& b = ranges[other.value];
      if (a.first > b.last || b.first > a.last) continue;
      if (begin + static_cast<uint64_t>(bytes) <= other.begin) break;
      begin = std::max(begin, (other.end + 63) / 64 * 64);
    }
    placed.push_back({v, begin, begin + static_cast<uint64_t>(bytes)});
    offsets[v] = begin;
    arena = std::max(arena, begin + static_cast<uint64_t>(bytes) + kReadSlack);
  }
  BucketDef bucket;
  bucket.first_max = static_cast<uint32_t>(data_.bucket_max.size());
  bucket.arena_bytes = (arena + 63) / 64 * 64;
  bucket.scratch_bytes = scratch_bytes_;
  bucket.first_offset = data_.arena_offsets.size();
  data_.bucket_max.insert(data_.bucket_max.end(), max.begin(), max.end());
  data_.arena_offsets.insert(data_.arena_offsets.end(), offsets.begin(), offsets.end());
  data_.buckets.push_back(bucket);
}

ProgramData ProgramBuilder::Build() {
  Flatten();
  for (uint32_t v = 0; v < data_.values.size(); ++v) {
    if (static_cast<Storage>(data_.values[v].storage) == Storage::kArena) data_.values[v].link = v;
  }
  for (uint32_t m = 0; m < methods_.size(); ++m) {
    std::vector<std::vector<int64_t>> buckets = methods_[m].buckets;
    if (buckets.empty()) {
      buckets.emplace_back();
      for (const SymbolDef& s : data_.symbols) buckets.back().push_back(s.max);
    }
    data_.methods[m].first_bucket = static_cast<uint32_t>(data_.buckets.size());
    data_.methods[m].bucket_count = static_cast<uint32_t>(buckets.size());
    for (const auto& max : buckets) PlanArena(m, max);
  }
  return data_;
}

}  // namespace floe::testing
