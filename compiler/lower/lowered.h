// Lowering turns a finished IR graph into a program: layouts, kernels, packed weights, arena plans.
//
//   ir::Graph --(select.cc: kernels and layouts)--> LoweredProgram --(plan.cc)--> arena offsets
//             --(pack.cc: weights into panels)--> sections --(format/writer.h)--> model.floe
//
// compile.h is the front door. This header holds the program under construction: the records of
// format/program.h in growable tables, with interned strings and dimensions.
#ifndef FLOE_COMPILER_LOWER_LOWERED_H_
#define FLOE_COMPILER_LOWER_LOWERED_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "compiler/ir/graph.h"
#include "format/program.h"

namespace floe::lower {

using ValueId = uint32_t;

// Bytes with 64-byte alignment that are not zeroed twice: large sections are hundreds of megabytes.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes = 0);
  uint8_t* data() { return data_.get(); }
  std::span<const uint8_t> span() const { return {data_.get(), bytes_}; }

 private:
  struct Free {
    void operator()(uint8_t* p) const;
  };
  std::unique_ptr<uint8_t, Free> data_;
  size_t bytes_ = 0;
};

// A constant, or a state's initial content, whose bytes are produced when the sections' sizes are
// known.
struct PendingConstant {
  ValueId value;
  ir::Tensor source;  // Logical, dense.
  // For packed layouts: the source is first read as if transposed ([N,K] given, [K,N] packed).
  bool transposed = false;
  uint32_t state = kNoIndex;  // Whose content it is, if it is no constant.
};

// What --explain prints of one instruction.
struct Explanation {
  uint32_t instruction;
  std::string text;
};

class LoweredProgram {
 public:
  explicit LoweredProgram(const ir::Graph& graph);

  uint32_t String(std::string_view text);
  uint32_t Dim(const ir::Dim& dim);

  // A value without storage; set it through `value(id)` or one of the helpers below.
  ValueId AddValue(std::string_view name, DType dtype, const ir::Shape& shape,
                   LayoutId layout = LayoutId::kDense, Halo halo = {});
  ValueDef& value(ValueId id) { return values_[id]; }
  const ValueDef& value(ValueId id) const { return values_[id]; }
  const ir::Shape& shape(ValueId id) const { return shapes_[id]; }
  TensorInfo InfoAt(ValueId id, const std::vector<int64_t>& symbol_values) const;

  ValueId AddConstant(std::string_view name, const ir::Tensor& tensor, bool index);
  // `dims` are the logical dims of the packed layout ([K,N] for gemm_panels16, ...), `dtype` what
  // the f32 weights are stored as. `section` is kAlternatives for what an instruction does without.
  ValueId AddPacked(std::string_view name, const ir::Tensor& tensor, LayoutId layout,
                    const std::vector<int64_t>& dims, int groups, bool transposed,
                    DType dtype = DType::kF32, SectionKind section = SectionKind::kPackedWeights);
  ValueId AddAlias(std::string_view name, ValueId of, const ir::Shape& shape);
  ValueId AddDims(std::string_view name, const ir::Shape& shape,
                  const std::vector<ir::Dim>& content);
  // A named state. Contents of zeros take no space in the file.
  ValueId AddState(std::string_view name, const ir::Tensor& initial);
  // The value at the end of an alias (itself if it is none).
  ValueId Root(ValueId id) const;

  struct InstructionSpec {
    uint32_t kernel;
    OpId op;
    std::vector<ValueId> inputs;  // kNoIndex: absent.
    std::vector<ValueId> outputs;
    std::vector<int64_t> attrs;
    std::vector<PwInstr> code;
    std::string name;
    std::string source;
    std::string why;                    // For --explain: the kernel's reason.
    std::vector<uint32_t> blocks = {};  // As EndBlock gave them.
  };
  // Appends to the innermost open block; the method's own block is always open.
  void AddInstruction(const InstructionSpec& spec);
  void BeginBlock(std::vector<ValueId> params);
  // Gives the block's handle, for the instruction that runs it.
  uint32_t EndBlock(std::vector<ValueId> results);

  // Ends the method: numbers blocks and instructions. Nothing is added after this.
  void SetMethod(std::string_view name, std::vector<ValueId> inputs, std::vector<ValueId> outputs);

  // Gives constants their offsets and fills the sections. Called once, after all values exist.
  void LayOutConstants();

  // Adds a golden for method 0. Tensors are in the method's order.
  void AddGolden(const std::vector<ir::Tensor>& inputs, const std::vector<ir::Tensor>& outputs,
                 double rtol, double atol);

  ProgramView View() const;

  // Tables that plan.cc fills.
  std::vector<BucketDef> buckets;
  std::vector<int64_t> bucket_max;
  std::vector<uint64_t> arena_offsets;
  std::vector<Explanation> explanations;
  uint32_t arena_slots = 0;

  const std::vector<Instruction>& instructions() const { return instructions_; }
  std::span<const uint32_t> operands() const { return operands_; }
  const std::vector<ir::Symbol>& symbols() const { return symbols_; }
  // The greatest values of all of the file's symbols, derived ones included, below a corner.
  std::vector<int64_t> AllSymbols(const std::vector<int64_t>& corner) const;
  // Whether every dimension could be written down.
  const absl::Status& status() const { return status_; }
  size_t value_count() const { return values_.size(); }
  MethodDef& method() { return methods_[0]; }

 private:
  // A block under construction: instructions in the order of AddInstruction, not of the file.
  struct PendingBlock {
    std::vector<uint32_t> instructions;
    std::vector<ValueId> params;
    std::vector<ValueId> results;
  };

  // What makes two constants one: the bytes, which pending_ keeps alive, and how they are stored.
  // Bodies of control flow have constants of their own, which share bytes.
  // Data, dims, section, dtype, layout, groups, transposed.
  using ConstantKey =
      std::tuple<const void*, std::vector<int64_t>, uint32_t, DType, LayoutId, int, bool>;

  uint32_t WriteDim(const ir::Dim& dim);
  void CheckSize(const ir::Dim& dim);
  uint32_t DerivedSymbol(const ir::Dim& dim, SymbolKind kind, const ir::Dim& a, const ir::Dim& b);
  uint32_t SymbolOf(const std::vector<ir::DimAtom>& factors);
  bool NeedsSymbol(const ir::Dim& dim) const;
  std::string DebugMap() const;
  void NumberBlocks();
  uint32_t SectionOf(const PendingConstant& c) const;

  std::vector<ir::Symbol> symbols_;
  std::string producer_;
  std::vector<SymbolDef> symbol_defs_;
  std::vector<DimTerm> terms_;
  std::vector<DimExpr> dims_;
  struct DimLess {
    bool operator()(const ir::Dim& a, const ir::Dim& b) const { return ir::Dim::Compare(a, b) < 0; }
  };
  std::map<ir::Dim, uint32_t, DimLess> dim_index_;
  // Derived symbols: what each stands for. They follow symbols_ in the file.
  std::vector<ir::Dim> derived_;
  std::map<ir::Dim, uint32_t, DimLess> derived_index_;
  absl::Status status_;
  std::vector<uint32_t> value_dims_;
  std::vector<ValueDef> values_;
  std::vector<ir::Shape> shapes_;
  std::vector<Instruction> instructions_;
  std::vector<std::string> sources_;  // Parallel to instructions_.
  std::vector<uint32_t> operands_;
  std::vector<int64_t> attrs_;
  std::vector<PwInstr> code_;
  std::vector<uint32_t> block_values_;
  std::vector<BlockDef> blocks_;
  std::vector<MethodDef> methods_;
  std::vector<StateDef> states_;
  std::vector<PendingBlock> pending_blocks_;         // 0: the method's.
  std::vector<uint32_t> open_blocks_;                // Of pending_blocks_, innermost last.
  std::vector<std::vector<uint32_t>> child_blocks_;  // Parallel to instructions_.
  std::vector<GoldenDef> goldens_;
  std::vector<GoldenTensor> golden_tensors_;
  std::vector<uint32_t> string_offsets_;
  std::vector<uint8_t> strings_;
  std::map<std::string, uint32_t, std::less<>> string_index_;
  std::vector<PendingConstant> pending_;
  std::map<ConstantKey, ValueId> constants_;  // The value's number + 1.
  AlignedBytes sections_[kSectionKinds];
  std::vector<uint8_t> golden_bytes_;
  std::string debug_map_;
};

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_LOWERED_H_
