#include "compiler/lower/lowered.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "compiler/lower/pack.h"
#include "format/checked.h"
#include "format/limits.h"

namespace floe::lower {

AlignedBytes::AlignedBytes(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  void* p = std::aligned_alloc(
      kAlignment, static_cast<size_t>(RoundUp(static_cast<int64_t>(bytes), kAlignment)));
  if (p == nullptr) throw std::bad_alloc();
  data_.reset(static_cast<uint8_t*>(p));
}

void AlignedBytes::Free::operator()(uint8_t* p) const { std::free(p); }

LoweredProgram::LoweredProgram(const ir::Graph& graph) : symbols_(graph.symbols) {
  producer_ = "floec 0.1.0";
  string_offsets_.push_back(0);
  String("");
  BeginBlock({});
  for (const ir::Symbol& s : symbols_) {
    const SymbolKind kind = s.data ? SymbolKind::kData : SymbolKind::kInput;
    symbol_defs_.push_back(
        {String(s.name), static_cast<uint32_t>(kind), s.min, s.max, s.multiple, 0, 0});
  }
}

uint32_t LoweredProgram::String(std::string_view text) {
  const auto found = string_index_.find(text);
  if (found != string_index_.end()) return found->second;
  const auto id = static_cast<uint32_t>(string_offsets_.size() - 1);
  strings_.insert(strings_.end(), text.begin(), text.end());
  string_offsets_.push_back(static_cast<uint32_t>(strings_.size()));
  string_index_.emplace(std::string(text), id);
  return id;
}

namespace {

ir::Dim DimOf(const std::vector<ir::DimAtom>& factors, size_t begin, size_t end) {
  std::optional<ir::Dim> product(1);
  for (size_t i = begin; i < end && product; ++i) {
    const ir::DimFunction* f = factors[i].function.get();
    const std::optional<ir::Dim> factor =
        f == nullptr                                  ? ir::Dim::OfSymbol(factors[i].symbol)
        : f->kind == ir::DimFunction::Kind::kFloorDiv ? ir::Dim::DivFloor(f->a, f->b.constant())
        : f->kind == ir::DimFunction::Kind::kMax      ? ir::Dim::Larger(f->a, f->b)
                                                      : ir::Dim::Smaller(f->a, f->b);
    product = factor ? ir::Dim::Mul(*product, *factor) : std::nullopt;
  }
  return product.value_or(ir::Dim(0));
}

std::vector<int64_t> CornerOf(const std::vector<ir::Symbol>& symbols, bool upper) {
  std::vector<int64_t> corner;
  for (const ir::Symbol& s : symbols) {
    corner.push_back(upper ? s.max : RoundUp(s.min, s.multiple));
  }
  return corner;
}

}  // namespace

// The format adds up multiples of symbols, each in its own range. Where terms go together (in
// T - floor(T / 2) both grow), that would be too wide: the whole becomes one symbol.
bool LoweredProgram::NeedsSymbol(const ir::Dim& dim) const {
  if (dim.is_affine() || dim.terms().size() < 2) return false;
  return std::any_of(dim.terms().begin(), dim.terms().end(),
                     [](const ir::DimTerm& t) { return t.coefficient < 0; });
}

uint32_t LoweredProgram::Dim(const ir::Dim& dim) {
  const auto found = dim_index_.find(dim);
  if (found != dim_index_.end()) return found->second;
  uint32_t id;
  if (NeedsSymbol(dim)) {
    const uint32_t symbol = DerivedSymbol(dim, SymbolKind::kProduct, dim, ir::Dim(1));
    id = static_cast<uint32_t>(dims_.size());
    dims_.push_back({0, static_cast<uint32_t>(terms_.size()), 1});
    terms_.push_back({symbol, 0, 1});
  } else {
    id = WriteDim(dim);
  }
  dim_index_.emplace(dim, id);
  return id;
}

uint32_t LoweredProgram::WriteDim(const ir::Dim& dim) {
  std::vector<DimTerm> terms;
  for (const ir::DimTerm& t : dim.terms()) {
    terms.push_back({SymbolOf(t.factors), 0, t.coefficient});
  }
  std::sort(terms.begin(), terms.end(),
            [](const DimTerm& a, const DimTerm& b) { return a.symbol < b.symbol; });
  const auto id = static_cast<uint32_t>(dims_.size());
  dims_.push_back(
      {dim.constant(), static_cast<uint32_t>(terms_.size()), static_cast<uint32_t>(terms.size())});
  terms_.insert(terms_.end(), terms.begin(), terms.end());
  return id;
}

uint32_t LoweredProgram::SymbolOf(const std::vector<ir::DimAtom>& factors) {
  if (factors.size() > 1) {
    const size_t last = factors.size() - 1;
    return DerivedSymbol(DimOf(factors, 0, last + 1), SymbolKind::kProduct, DimOf(factors, 0, last),
                         DimOf(factors, last, last + 1));
  }
  const ir::DimFunction* f = factors[0].function.get();
  if (f == nullptr) return factors[0].symbol;
  const SymbolKind kind = f->kind == ir::DimFunction::Kind::kFloorDiv ? SymbolKind::kFloorDiv
                          : f->kind == ir::DimFunction::Kind::kMax    ? SymbolKind::kMax
                                                                      : SymbolKind::kMin;
  return DerivedSymbol(DimOf(factors, 0, 1), kind, f->a, f->b);
}

// Buckets are planned at their upper corners, so a size must be greatest there. (What falls with a
// symbol of the inputs alone is refused by Bind, for the shapes that it does not fit.)
void LoweredProgram::CheckSize(const ir::Dim& dim) {
  std::vector<ir::SymbolId> used;
  dim.AppendSymbols(&used);
  const bool found =
      std::any_of(used.begin(), used.end(), [this](ir::SymbolId s) { return symbols_[s].data; });
  if (!status_.ok() || (dim.is_affine() && !found)) return;
  if (dim.Min(symbols_) == dim.Eval(CornerOf(symbols_, false)) &&
      dim.Max(symbols_) == dim.Eval(CornerOf(symbols_, true))) {
    return;
  }
  status_ = absl::UnimplementedError(
      absl::StrFormat("the size %s does not grow with its symbols; fix one of them with --dim",
                      dim.ToString(symbols_)));
}

uint32_t LoweredProgram::DerivedSymbol(const ir::Dim& dim, SymbolKind kind, const ir::Dim& a,
                                       const ir::Dim& b) {
  if (const auto found = derived_index_.find(dim); found != derived_index_.end()) {
    return found->second;
  }
  const std::string name = dim.ToString(symbols_);
  SymbolDef def;
  def.name = String(name);
  def.kind = static_cast<uint32_t>(kind);
  def.a = WriteDim(a);
  def.b = WriteDim(b);
  def.min = std::max<int64_t>(dim.Min(symbols_), 0);
  def.max = dim.Max(symbols_);
  if (status_.ok() && (symbol_defs_.size() >= kMaxSymbols || def.max > kMaxSymbolValue)) {
    status_ = absl::ResourceExhaustedError(absl::StrFormat(
        "the size %s is one of more than %d, or above %d at the bounds of its symbols; fix one of "
        "them, or lower its bounds, with --dim",
        name, kMaxSymbols, kMaxSymbolValue));
  }
  const auto id = static_cast<uint32_t>(symbol_defs_.size());
  symbol_defs_.push_back(def);
  derived_.push_back(dim);
  derived_index_.emplace(dim, id);
  return id;
}

std::vector<int64_t> LoweredProgram::AllSymbols(const std::vector<int64_t>& corner) const {
  std::vector<int64_t> all = corner;
  std::vector<ir::Symbol> box = symbols_;
  for (size_t i = 0; i < box.size(); ++i) box[i].max = corner[i];
  for (const ir::Dim& dim : derived_) all.push_back(dim.Max(box));
  return all;
}

ValueId LoweredProgram::AddValue(std::string_view name, DType dtype, const ir::Shape& shape,
                                 LayoutId layout, Halo halo) {
  ValueDef v;
  v.name = String(name);
  v.dtype = static_cast<uint8_t>(dtype);
  v.layout = static_cast<uint8_t>(layout);
  v.rank = static_cast<uint8_t>(shape.size());
  v.first_dim = static_cast<uint32_t>(value_dims_.size());
  v.halo_top = halo.top;
  v.halo_bottom = halo.bottom;
  v.halo_gap = halo.gap;
  v.halo_fill = halo.fill;
  for (const ir::Dim& d : shape) {
    CheckSize(d);
    value_dims_.push_back(Dim(d));
  }
  values_.push_back(v);
  shapes_.push_back(shape);
  return static_cast<ValueId>(values_.size() - 1);
}

TensorInfo LoweredProgram::InfoAt(ValueId id, const std::vector<int64_t>& symbol_values) const {
  const ValueDef& v = values_[id];
  TensorInfo info;
  info.dtype = static_cast<DType>(v.dtype);
  info.layout = static_cast<LayoutId>(v.layout);
  info.rank = v.rank;
  info.halo = {v.halo_top, v.halo_bottom, v.halo_gap, v.halo_fill};
  info.groups = v.groups;
  for (size_t i = 0; i < shapes_[id].size(); ++i) {
    info.dims[i] = shapes_[id][i].Eval(symbol_values);
  }
  return info;
}

ValueId LoweredProgram::AddConstant(std::string_view name, const ir::Tensor& tensor, bool index) {
  const auto section =
      static_cast<uint32_t>(index ? SectionKind::kIndices : SectionKind::kConstants);
  ValueId& id = constants_[{tensor.data(), tensor.dims(), section, tensor.dtype(), LayoutId::kDense,
                            1, /*transposed=*/false}];
  if (id != 0) return id - 1;
  const ir::Shape shape(tensor.dims().begin(), tensor.dims().end());
  const ValueId made = AddValue(name, tensor.dtype(), shape);
  id = made + 1;
  values_[made].storage = static_cast<uint8_t>(index ? Storage::kIndex : Storage::kConstant);
  values_[made].link = section;
  pending_.push_back({made, tensor});
  return made;
}

ValueId LoweredProgram::AddPacked(std::string_view name, const ir::Tensor& tensor, LayoutId layout,
                                  const std::vector<int64_t>& dims, int groups, bool transposed,
                                  DType dtype, SectionKind section_kind) {
  const auto section = static_cast<uint32_t>(section_kind);
  ValueId& id = constants_[{tensor.data(), dims, section, dtype, layout, groups, transposed}];
  if (id != 0) return id - 1;
  const ValueId made = AddValue(name, dtype, ir::Shape(dims.begin(), dims.end()), layout);
  id = made + 1;
  values_[made].storage = static_cast<uint8_t>(Storage::kConstant);
  values_[made].link = section;
  values_[made].groups = groups;
  pending_.push_back({made, tensor, transposed});
  return made;
}

ValueId LoweredProgram::AddAlias(std::string_view name, ValueId of, const ir::Shape& shape) {
  const ValueId root = Root(of);
  const ValueId id = AddValue(name, static_cast<DType>(values_[root].dtype), shape);
  values_[id].storage = static_cast<uint8_t>(Storage::kAlias);
  values_[id].link = root;
  return id;
}

ValueId LoweredProgram::AddDims(std::string_view name, const ir::Shape& shape,
                                const std::vector<ir::Dim>& content) {
  const ValueId id = AddValue(name, DType::kI64, shape);
  values_[id].storage = static_cast<uint8_t>(Storage::kDims);
  values_[id].offset = value_dims_.size();
  for (const ir::Dim& d : content) value_dims_.push_back(Dim(d));
  return id;
}

ValueId LoweredProgram::AddState(std::string_view name, const ir::Tensor& initial) {
  const ValueId id =
      AddValue(name, initial.dtype(), ir::Shape(initial.dims().begin(), initial.dims().end()));
  const auto index = static_cast<uint32_t>(states_.size());
  values_[id].storage = static_cast<uint8_t>(Storage::kState);
  values_[id].link = index;
  StateDef state;
  state.name = values_[id].name;
  state.value = id;
  state.bytes = static_cast<uint64_t>(initial.bytes());
  states_.push_back(state);
  const auto* data = static_cast<const uint8_t*>(initial.data());
  if (std::any_of(data, data + initial.bytes(), [](uint8_t byte) { return byte != 0; })) {
    pending_.push_back({id, initial, false, index});
  }
  return id;
}

ValueId LoweredProgram::Root(ValueId id) const {
  const ValueDef& v = values_[id];
  return v.storage == static_cast<uint8_t>(Storage::kAlias) ? v.link : id;
}

void LoweredProgram::AddInstruction(const InstructionSpec& spec) {
  Instruction i;
  i.op = String(OpRow(spec.op).name);
  i.kernel = static_cast<uint16_t>(spec.kernel);
  i.input_count = static_cast<uint16_t>(spec.inputs.size());
  i.output_count = static_cast<uint16_t>(spec.outputs.size());
  i.first_operand = static_cast<uint32_t>(operands_.size());
  operands_.insert(operands_.end(), spec.inputs.begin(), spec.inputs.end());
  operands_.insert(operands_.end(), spec.outputs.begin(), spec.outputs.end());
  i.first_attr = static_cast<uint32_t>(attrs_.size());
  i.attr_count = static_cast<uint32_t>(spec.attrs.size());
  attrs_.insert(attrs_.end(), spec.attrs.begin(), spec.attrs.end());
  i.first_code = static_cast<uint32_t>(code_.size());
  i.code_count = static_cast<uint32_t>(spec.code.size());
  code_.insert(code_.end(), spec.code.begin(), spec.code.end());
  i.name = String(spec.name);
  const auto index = static_cast<uint32_t>(instructions_.size());
  instructions_.push_back(i);
  sources_.push_back(spec.source);
  explanations.push_back({index, spec.why});
  child_blocks_.push_back(spec.blocks);
  pending_blocks_[open_blocks_.back()].instructions.push_back(index);
}

void LoweredProgram::BeginBlock(std::vector<ValueId> params) {
  open_blocks_.push_back(static_cast<uint32_t>(pending_blocks_.size()));
  pending_blocks_.push_back({{}, std::move(params), {}});
}

uint32_t LoweredProgram::EndBlock(std::vector<ValueId> results) {
  const uint32_t block = open_blocks_.back();
  open_blocks_.pop_back();
  pending_blocks_[block].results = std::move(results);
  return block;
}

void LoweredProgram::SetMethod(std::string_view name, std::vector<ValueId> inputs,
                               std::vector<ValueId> outputs) {
  pending_blocks_[0].params = std::move(inputs);
  EndBlock(std::move(outputs));
  NumberBlocks();
  MethodDef method;
  method.name = String(name);
  method.block = 0;
  methods_.push_back(method);
}

// A block's instructions follow each other, and so do the blocks of one instruction: blocks are
// numbered breadth first, and instructions block after block.
void LoweredProgram::NumberBlocks() {
  std::vector<uint32_t> order = {0};
  std::vector<uint32_t> instruction_order;
  for (size_t at = 0; at < order.size(); ++at) {
    const PendingBlock& pending = pending_blocks_[order[at]];
    BlockDef block;
    block.first_instruction = static_cast<uint32_t>(instruction_order.size());
    block.instruction_count = static_cast<uint32_t>(pending.instructions.size());
    block.first_param = static_cast<uint32_t>(block_values_.size());
    block.param_count = static_cast<uint32_t>(pending.params.size());
    block_values_.insert(block_values_.end(), pending.params.begin(), pending.params.end());
    block.first_result = static_cast<uint32_t>(block_values_.size());
    block.result_count = static_cast<uint32_t>(pending.results.size());
    block_values_.insert(block_values_.end(), pending.results.begin(), pending.results.end());
    blocks_.push_back(block);
    for (const uint32_t i : pending.instructions) {
      instruction_order.push_back(i);
      const std::vector<uint32_t>& children = child_blocks_[i];
      instructions_[i].block_count = static_cast<uint16_t>(children.size());
      if (!children.empty()) instructions_[i].first_block = static_cast<uint32_t>(order.size());
      order.insert(order.end(), children.begin(), children.end());
    }
  }
  std::vector<Instruction> instructions;
  std::vector<std::string> sources;
  std::vector<Explanation> moved;
  for (const uint32_t i : instruction_order) {
    moved.push_back({static_cast<uint32_t>(instructions.size()), std::move(explanations[i].text)});
    instructions.push_back(instructions_[i]);
    sources.push_back(std::move(sources_[i]));
  }
  instructions_ = std::move(instructions);
  sources_ = std::move(sources);
  explanations = std::move(moved);
}

uint32_t LoweredProgram::SectionOf(const PendingConstant& c) const {
  return c.state != kNoIndex ? static_cast<uint32_t>(SectionKind::kConstants)
                             : values_[c.value].link;
}

void LoweredProgram::LayOutConstants() {
  int64_t sizes[kSectionKinds] = {};
  const std::vector<int64_t> no_symbols(symbols_.size(), 0);
  for (const PendingConstant& c : pending_) {
    ValueDef& v = values_[c.value];
    int64_t bytes = 0;
    if (!TensorBytes(InfoAt(c.value, no_symbols), &bytes).ok())
      bytes = 0;  // Refused by validation.
    int64_t& size = sizes[SectionOf(c)];
    if (c.state != kNoIndex) {
      states_[c.state].init_offset = static_cast<uint64_t>(size);
      states_[c.state].init_bytes = static_cast<uint64_t>(bytes);
    } else {
      v.offset = static_cast<uint64_t>(size);
      v.bytes = static_cast<uint64_t>(bytes);
    }
    size = RoundUp(size + bytes, kAlignment);
  }
  for (uint32_t kind = 0; kind < kSectionKinds; ++kind) {
    if (sizes[kind] > 0) sections_[kind] = AlignedBytes(static_cast<size_t>(sizes[kind]));
  }
  for (PendingConstant& c : pending_) {
    const ValueDef& v = values_[c.value];
    const uint32_t section = SectionOf(c);
    const bool state = c.state != kNoIndex;
    const uint64_t offset = state ? states_[c.state].init_offset : v.offset;
    const uint64_t bytes = state ? states_[c.state].init_bytes : v.bytes;
    uint8_t* to = sections_[section].data() + offset;
    if (section == static_cast<uint32_t>(SectionKind::kPackedWeights) ||
        section == static_cast<uint32_t>(SectionKind::kAlternatives)) {
      const TensorInfo info = InfoAt(c.value, no_symbols);
      const auto* from = c.source.as<float>();
      if (info.dtype == DType::kF32) {
        PackWeights(info, from, c.transposed, reinterpret_cast<float*>(to));
      } else if (info.dtype == DType::kI8) {
        PackWeightsInt8(info, c.source.as<int8_t>(), c.transposed, reinterpret_cast<int8_t*>(to));
      } else {
        PackNarrowWeights(info, from, c.transposed, reinterpret_cast<uint16_t*>(to));
      }
    } else if (bytes > 0) {
      std::memcpy(to, c.source.data(), bytes);
    }
    const auto end = static_cast<int64_t>(offset + bytes);
    const auto padding = static_cast<size_t>(RoundUp(end, kAlignment) - end);
    if (padding > 0) std::memset(sections_[section].data() + end, 0, padding);
    c.source = ir::Tensor();  // Let go of the weights as soon as they are packed.
  }
  pending_.clear();
  constants_.clear();  // What they point to may be gone.
  debug_map_ = DebugMap();
}

void LoweredProgram::AddGolden(const std::vector<ir::Tensor>& inputs,
                               const std::vector<ir::Tensor>& outputs, double rtol, double atol) {
  GoldenDef golden;
  golden.first_tensor = static_cast<uint32_t>(golden_tensors_.size());
  golden.tensor_count = static_cast<uint32_t>(inputs.size() + outputs.size());
  golden.rtol = rtol;
  golden.atol = atol;
  for (int is_output = 0; is_output < 2; ++is_output) {
    const std::vector<ir::Tensor>& tensors = is_output ? outputs : inputs;
    for (size_t i = 0; i < tensors.size(); ++i) {
      GoldenTensor t;
      t.dtype = static_cast<uint8_t>(tensors[i].dtype());
      t.rank = static_cast<uint8_t>(tensors[i].dims().size());
      t.is_output = static_cast<uint8_t>(is_output);
      t.position = static_cast<uint32_t>(i);
      for (size_t d = 0; d < tensors[i].dims().size(); ++d) t.dims[d] = tensors[i].dims()[d];
      t.offset = golden_bytes_.size();
      t.bytes = static_cast<uint64_t>(tensors[i].bytes());
      const auto* data = static_cast<const uint8_t*>(tensors[i].data());
      golden_bytes_.insert(golden_bytes_.end(), data, data + t.bytes);
      golden_bytes_.resize(
          static_cast<size_t>(RoundUp(static_cast<int64_t>(golden_bytes_.size()), kAlignment)));
      golden_tensors_.push_back(t);
    }
  }
  goldens_.push_back(golden);
}

std::string LoweredProgram::DebugMap() const {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (size_t i = 0; i < instructions_.size(); ++i) {
    nlohmann::ordered_json row;
    row["instruction"] = i;
    row["node"] = std::string(View().String(instructions_[i].name));
    if (!sources_[i].empty()) row["source"] = sources_[i];
    if (i < explanations.size() && !explanations[i].text.empty()) row["why"] = explanations[i].text;
    rows.push_back(std::move(row));
  }
  // Names come from models: bytes that are no UTF-8 are replaced, never refused.
  return rows.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

ProgramView LoweredProgram::View() const {
  ProgramView p;
  p.producer = producer_;
  p.symbols = symbol_defs_;
  p.terms = terms_;
  p.dims = dims_;
  p.value_dims = value_dims_;
  p.values = values_;
  p.instructions = instructions_;
  p.operands = operands_;
  p.attrs = attrs_;
  p.code = code_;
  p.block_values = block_values_;
  p.blocks = blocks_;
  p.methods = methods_;
  p.states = states_;
  p.buckets = buckets;
  p.bucket_max = bucket_max;
  p.arena_offsets = arena_offsets;
  p.goldens = goldens_;
  p.golden_tensors = golden_tensors_;
  p.string_offsets = string_offsets_;
  p.strings = strings_;
  for (uint32_t kind = 0; kind < kSectionKinds; ++kind) p.sections[kind] = sections_[kind].span();
  p.sections[static_cast<uint32_t>(SectionKind::kGoldens)] = golden_bytes_;
  p.sections[static_cast<uint32_t>(SectionKind::kDebugMap)] = {
      reinterpret_cast<const uint8_t*>(debug_map_.data()), debug_map_.size()};
  return p;
}

}  // namespace floe::lower
