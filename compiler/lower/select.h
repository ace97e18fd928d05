// Kernel selection: one IR node becomes one or a few instructions, and every value gets a layout.
//
// Values live in their home layout: dense (the IR's logical order) or channels-last, with the halo
// that the convolutions that read them need. A consumer that wants the other layout gets a Copy,
// made once for each value; so conversions happen only at the edges of channels-last regions.
#ifndef FLOE_COMPILER_LOWER_SELECT_H_
#define FLOE_COMPILER_LOWER_SELECT_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/kernel.h"
#include "compiler/ir/graph.h"
#include "compiler/lower/head_view.h"
#include "compiler/lower/lowered.h"
#include "compiler/lower/winograd_choice.h"
#include "compiler/passes/weight_types.h"

namespace floe::lower {

// Lowers all nodes and sets the program's method. `graph` is the pipeline's result (verified, types
// inferred); `winograd` and `weight_types` were made for it. The program has no arena plan and no
// constant offsets yet.
absl::StatusOr<std::unique_ptr<LoweredProgram>> SelectKernels(
    const ir::Graph& graph, const std::string& method_name, const WinogradPlan& winograd = {},
    const passes::WeightTypes& weight_types = {});

// One filter for each channel; the weights are constant.
bool IsDepthwise(const ir::Node& conv);

// The state of one lowering; the rules for the op families are its members, in select_*.cc.
class Selector {
 public:
  Selector(const ir::Graph& graph, const WinogradPlan& winograd,
           const passes::WeightTypes& weight_types, LoweredProgram* program)
      : graph_(&graph), winograd_(winograd), weight_types_(weight_types), program_(*program) {}

  absl::Status Run(const std::string& method_name);

 private:
  using Spec = LoweredProgram::InstructionSpec;
  struct Home {
    ValueId dense = kNoIndex;
    ValueId channels_last = kNoIndex;
    ValueId narrow_dense = kNoIndex;  // The same as bf16, for products.
    ValueId narrow_channels_last = kNoIndex;
  };

  // --- select.cc: values and layouts
  // Of the graph and of the bodies inside it.
  void FindHalos(const ir::Graph& graph);
  void FindAbsorbedTransposes(const ir::Graph& graph);
  absl::Status SelectNode(const ir::Node& node);
  ValueId Dense(const ir::Value* value);
  ValueId ChannelsLast(const ir::Value* value);
  // The constant as a dense value of the given shape, made once for each (value, shape).
  ValueId ConstantAs(const ir::Value* value, const std::vector<int64_t>& dims);
  ValueId DefineDense(const ir::Value* value);
  ValueId DefineChannelsLast(const ir::Value* value);
  ValueId NewArenaValue(const std::string& name, DType dtype, const ir::Shape& shape,
                        LayoutId layout = LayoutId::kDense, Halo halo = {});
  void EmitCopy(ValueId from, ValueId to, const std::string& why);
  bool PrefersChannelsLast(const ir::Value* value) const;
  Spec SpecFor(const ir::Node& node, KernelId kernel, std::string why) const;
  void Emit(Spec spec) { program_.AddInstruction(spec); }
  absl::Status Finish(const std::string& method_name, std::vector<ValueId> inputs);

  // --- select_narrow.cc
  DType WeightsOf(const ir::Node& node) const;
  bool ReadsPairs(const ir::Node& node) const;
  void FindNarrow(const ir::Graph& graph);
  bool IsNarrowDepthwise(const ir::Node& node) const;
  void EmitConvert(ValueId from, ValueId to, const std::string& why);
  ValueId NarrowDense(const ir::Value* value);
  ValueId NarrowChannelsLast(const ir::Value* value);
  ValueId DefineNarrow(const ir::Value* value, LayoutId layout);
  void WidenHome(const ir::Value* value);
  ValueId NarrowConstant(const ir::Value* value, DType dtype);

  // --- select_control.cc
  absl::Status SelectIf(const ir::Node& node);
  absl::Status SelectLoop(const ir::Node& node);
  absl::Status SelectCheck(const ir::Node& node);
  absl::Status SelectSize(const ir::Node& node);
  // A body's nodes in a block of their own, its inputs [first, ...) being operands
  // [first_operand, ...) of the node.
  absl::Status SelectBody(const ir::Node& node, const ir::Graph& body, size_t first,
                          size_t first_operand, std::vector<ValueId> params, uint32_t* block);
  void AddStates();
  void WriteStates();

  // --- select_nn.cc
  bool CanLowerConv(const ir::Node& node, std::string* why_not) const;
  absl::Status SelectConv(const ir::Node& node);
  absl::Status SelectPool(const ir::Node& node);
  absl::Status SelectGemm(const ir::Node& node, const ir::Value* weights);
  bool HasConstantMatrix(const ir::Node& matmul) const;
  absl::Status SelectMatMul(const ir::Node& node);
  absl::Status SelectSoftmax(const ir::Node& node);
  absl::Status SelectNorm(const ir::Node& node);
  absl::Status SelectReduce(const ir::Node& node);
  // The epilogue as kernels take it: the node's bias operand (if it is still one) comes first.
  struct Epilogue {
    std::vector<PwInstr> code;
    std::vector<const ir::Value*> operands;
  };
  Epilogue EpilogueOf(const ir::Node& node, size_t bias_operand) const;

  // --- select_attention.cc
  // Of the graph and of the bodies inside it. Moves that attention reads through are absorbed.
  void FindAttentionViews(const ir::Graph& graph);
  absl::Status SelectAttention(const ir::Node& node);
  absl::Status SelectRotary(const ir::Node& node);

  // --- select_recurrent.cc
  absl::Status SelectRecurrent(const ir::Node& node);
  // One direction's input products for all steps, [T,N,G*H], and its initial state `operand`.
  ValueId InputProducts(const ir::Node& node, int64_t direction, int64_t gates);
  ValueId InitialState(const ir::Node& node, size_t operand, int64_t direction);
  // The node's results from those of each direction, which have an axis for it.
  void JoinDirections(const ir::Node& node, const std::vector<ValueId> (&parts)[3]);
  absl::Status SelectQLstm(const ir::Node& node);
  struct DynamicBytes {
    ValueId integers, scale, zero;
  };
  DynamicBytes QuantizeDynamically(const ir::Node& node, const ir::Value* x);
  ValueId IntegerInputProducts(const ir::Node& node, const DynamicBytes& x, int64_t direction);

  // --- select_quantized.cc
  bool CanLowerQConv(const ir::Node& node) const;
  // `w` is the node's weights or what stands for them under `name`.
  void FillQuantized(const ir::Node& node, const std::string& name, const ir::Tensor& w,
                     LayoutId layout, int groups, Spec* spec);
  absl::Status SelectQConv(const ir::Node& node);
  absl::Status SelectQGemm(const ir::Node& node);
  absl::Status SelectQPool(const ir::Node& node);
  absl::Status SelectLookup(const ir::Node& node);
  absl::Status SelectDynamicQuantize(const ir::Node& node);

  // --- select_shape.cc
  absl::Status SelectMovement(const ir::Node& node);
  absl::Status SelectPointwise(const ir::Node& node);
  absl::Status SelectGeneric(const ir::Node& node, const std::string& why);

  const ir::Graph* graph_;  // The graph or body that is being lowered.
  const WinogradPlan& winograd_;
  const passes::WeightTypes& weight_types_;
  LoweredProgram& program_;
  // A body's inputs are values of their own: a conversion made in a block is not seen outside.
  std::map<const ir::Value*, Home> homes_;
  std::map<const ir::Value*, Halo> halos_;
  std::map<std::pair<const ir::Value*, std::vector<int64_t>>, ValueId> constants_;
  std::set<const ir::Value*> narrow_;  // Stored as bf16 by what makes them.
  std::map<std::pair<const ir::Value*, DType>, ValueId> narrow_constants_;
  // Moves that a MatMul or an attention reads or writes through, and which are not run themselves.
  std::set<const ir::Node*> absorbed_;
  // Operands of attention, by node and number, and the moves that only they need.
  std::map<std::pair<const ir::Node*, size_t>, HeadView> head_views_;
  std::set<const ir::Node*> read_through_;
  std::string current_;  // The node being lowered: the name of conversions made for it.
};

// " of bf16": weights of another type than f32, for --explain.
std::string WeightsText(DType dtype);
// "bias + relu", for --explain.
std::string DescribeCode(const std::vector<PwInstr>& code);

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_SELECT_H_
