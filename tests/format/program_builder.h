// Builds programs by hand, for tests of the format and of the runtime.
//
//   ProgramBuilder b;
//   const uint32_t n = b.AddSymbol("N", 1, 8);
//   const uint32_t x = b.AddInput("x", DType::kF32, {Dim::Of(n), 4});
//   const uint32_t y = b.AddOutput("y", DType::kF32, {Dim::Of(n), 4});
//   b.AddMethod("main", {x}, {y}, [&] { b.AddInstruction(KernelId::kCopy, {x}, {y}); });
//   const ProgramData program = b.Build();   // Plans the arena.
//   program.View(), WriteProgram(program.View(), &bytes)
//
// Nothing is checked: tests build invalid programs too, or damage a ProgramData afterwards.
#ifndef FLOE_TESTS_FORMAT_PROGRAM_BUILDER_H_
#define FLOE_TESTS_FORMAT_PROGRAM_BUILDER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/kernel.h"
#include "format/program.h"

namespace floe::testing {

// The vectors behind a ProgramView. Copyable, so that a test can damage a copy.
struct ProgramData {
  std::string producer;
  std::vector<SymbolDef> symbols;
  std::vector<DimTerm> terms;
  std::vector<DimExpr> dims;
  std::vector<uint32_t> value_dims;
  std::vector<ValueDef> values;
  std::vector<Instruction> instructions;
  std::vector<uint32_t> operands;
  std::vector<int64_t> attrs;
  std::vector<PwInstr> code;
  std::vector<uint32_t> block_values;
  std::vector<BlockDef> blocks;
  std::vector<MethodDef> methods;
  std::vector<StateDef> states;
  std::vector<BucketDef> buckets;
  std::vector<int64_t> bucket_max;
  std::vector<uint64_t> arena_offsets;
  std::vector<GoldenDef> goldens;
  std::vector<GoldenTensor> golden_tensors;
  std::vector<uint32_t> string_offsets;
  std::vector<uint8_t> strings;
  std::vector<uint8_t> sections[kSectionKinds];

  ProgramView View() const;
};

// constant + sum of coefficient * symbol.
struct Dim {
  Dim(int64_t number) : constant(number) {}  // NOLINT: implicit by intent, a number is a Dim.
  static Dim Of(uint32_t symbol, int64_t coefficient = 1, int64_t constant = 0) {
    Dim d(constant);
    d.terms.emplace_back(symbol, coefficient);
    return d;
  }
  int64_t constant;
  std::vector<std::pair<uint32_t, int64_t>> terms;  // Sorted by symbol.
};
using Shape = std::vector<Dim>;
using Values = std::vector<uint32_t>;

// One tensor of a golden: dims and raw bytes.
struct GoldenData {
  std::vector<int64_t> dims;
  std::vector<uint8_t> bytes;
};

class ProgramBuilder {
 public:
  ProgramBuilder();

  uint32_t String(std::string_view text);  // The index of a string, new or not.
  uint32_t AddSymbol(std::string_view name, int64_t min, int64_t max, int64_t multiple = 1);
  // The value is what kind says of a and b.
  uint32_t AddDerived(std::string_view name, SymbolKind kind, const Dim& a, const Dim& b,
                      int64_t min, int64_t max);
  // The value is what an AddSize instruction finds.
  uint32_t AddDataSymbol(std::string_view name, int64_t min, int64_t max);
  uint32_t AddDim(const Dim& dim);

  // Values. All return the value's index.
  uint32_t AddInput(std::string_view name, DType dtype, const Shape& shape);
  uint32_t AddOutput(std::string_view name, DType dtype, const Shape& shape);
  uint32_t AddArena(std::string_view name, DType dtype, const Shape& shape,
                    LayoutId layout = LayoutId::kDense, Halo halo = {});
  // `bytes` must be what TensorBytes says for the layout (zero padded here if shorter).
  uint32_t AddConstant(std::string_view name, DType dtype, const Shape& shape, const void* data,
                       size_t bytes, LayoutId layout = LayoutId::kDense, int32_t groups = 1,
                       SectionKind kind = SectionKind::kConstants);
  uint32_t AddFloats(std::string_view name, const Shape& shape, const std::vector<float>& data);
  uint32_t AddIndices(std::string_view name, const Shape& shape, const std::vector<int64_t>& data);
  // `init` empty: zeros.
  uint32_t AddState(std::string_view name, DType dtype, const Shape& shape,
                    const std::vector<uint8_t>& init = {});
  uint32_t AddAlias(std::string_view name, uint32_t target, const Shape& shape);
  uint32_t AddDims(std::string_view name, const std::vector<Dim>& content);

  // Appends an instruction to the current block. kNoIndex: an absent operand. Returns a handle.
  void AddInstruction(KernelId kernel, const Values& inputs, const Values& outputs,
                      const std::vector<int64_t>& attrs = {}, const std::vector<PwInstr>& code = {},
                      std::string_view name = "");
  void AddSize(uint32_t count, uint32_t symbol, std::string_view name = "");
  // Each body adds instructions and returns its block's results.
  using Body = std::function<Values()>;
  void AddIf(uint32_t condition, const Values& outputs, const Body& then_body,
             const Body& else_body);
  // params: iteration, carried...; body's results: condition, carried...
  void AddLoop(uint32_t trips, uint32_t condition, const Values& carried, const Values& outputs,
               int64_t max_trips, const Values& params, const Body& body);

  // Each bucket has one maximum for every symbol of the program; none: one bucket of the maxima.
  uint32_t AddMethod(std::string_view name, const Values& inputs, const Values& outputs,
                     const std::function<void()>& body,
                     const std::vector<std::vector<int64_t>>& buckets = {});
  // Inputs in order, then all outputs in order.
  void AddGolden(uint32_t method, const std::vector<GoldenData>& inputs,
                 const std::vector<GoldenData>& outputs, double rtol, double atol);

  void set_scratch_bytes(uint64_t bytes) { scratch_bytes_ = bytes; }
  void set_debug_map(std::string_view json);

  // Numbers blocks and instructions and plans the arena of every bucket with ComputeLiveness,
  // without any in-place reuse. Call once, at the end.
  ProgramData Build();

 private:
  struct Code {
    Instruction instruction;
    Values operands;
    std::vector<int64_t> attrs;
    std::vector<PwInstr> code;
  };
  struct Block {
    std::vector<Code> code;
    Values params;
    Values results;
  };
  struct Method {
    uint32_t block;
    std::vector<std::vector<int64_t>> buckets;
  };

  uint32_t AddValue(std::string_view name, DType dtype, const Shape& shape, Storage storage);
  uint64_t AddBytes(SectionKind kind, const void* data, size_t bytes);
  uint32_t AddDimList(const Shape& shape);
  void Append(Code code);
  void Enter(uint32_t block, const Body& body);
  void Flatten();
  void PlanArena(uint32_t method, const std::vector<int64_t>& max);

  ProgramData data_;
  std::vector<Block> blocks_;
  std::vector<Method> methods_;
  uint32_t current_ = kNoIndex;
  uint64_t scratch_bytes_ = uint64_t{1} << 20;
};

}  // namespace floe::testing

#endif  // FLOE_TESTS_FORMAT_PROGRAM_BUILDER_H_
