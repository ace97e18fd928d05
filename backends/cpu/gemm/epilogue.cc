#include "backends/cpu/gemm/epilogue.h"

#include <limits>

namespace floe::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Follows the register that holds the accumulator's chain through the program.
class Recogniser {
 public:
  Recogniser(const OpInfo& op, uint32_t extra, int64_t channels, bool posts)
      : op_(op), extra_(extra), channels_(channels), posts_(posts) {
    for (int32_t& l : loaded_) l = -1;
    form_.low = -kInfinity;
    form_.high = kInfinity;
  }

  // False if the program is none of the hot forms.
  bool Run(Epilogue* form) {
    for (uint32_t i = 0; i < op_.code_count; ++i) {
      if (!Step(op_.code[i])) return false;
    }
    if (chain_ != 0) return false;
    *form = form_;
    return true;
  }

 private:
  bool Step(const PwInstr& instr) {
    if (form_.post != Post::kNone) return false;  // It comes last.
    switch (static_cast<PwOp>(instr.op)) {
      case PwOp::kLoad:
        if (instr.dst == chain_) return false;
        loaded_[instr.dst] = instr.operand;
        return true;
      case PwOp::kAdd:
        if (instr.a == chain_ && instr.b != chain_) return AddOperand(instr.dst, loaded_[instr.b]);
        if (instr.b == chain_ && instr.a != chain_) return AddOperand(instr.dst, loaded_[instr.a]);
        return false;
      case PwOp::kMul:
        if (instr.a == chain_ && instr.b != chain_) return Scale(instr.dst, loaded_[instr.b]);
        if (instr.b == chain_ && instr.a != chain_) return Scale(instr.dst, loaded_[instr.a]);
        return false;
      case PwOp::kMulImm:
        if (instr.a != chain_ || !Untouched()) return false;
        form_.scale = instr.imm;
        return Advance(instr.dst);
      case PwOp::kMove:
        return instr.a == chain_ && Advance(instr.dst);
      case PwOp::kRelu:
        return instr.a == chain_ && AtLeast(0.0f) && Advance(instr.dst);
      case PwOp::kMaxImm:
        return instr.a == chain_ && AtLeast(instr.imm) && Advance(instr.dst);
      case PwOp::kMinImm:
        return instr.a == chain_ && AtMost(instr.imm) && Advance(instr.dst);
      case PwOp::kGelu:
        return instr.a == chain_ && Finish(Post::kGelu) && Advance(instr.dst);
      case PwOp::kGeluTanh:
        return instr.a == chain_ && Finish(Post::kGeluTanh) && Advance(instr.dst);
      case PwOp::kSilu:
        return instr.a == chain_ && Finish(Post::kSilu) && Advance(instr.dst);
      default:
        return false;
    }
  }

  bool Finish(Post post) {
    form_.post = post;
    return posts_;
  }

  bool Advance(uint8_t dst) {
    chain_ = dst;
    loaded_[dst] = -1;
    return true;
  }

  // Nothing but the raw accumulator so far. (A scale of exactly 1 may be replaced.)
  bool Untouched() const {
    return form_.scale == 1.0f && form_.scale_operand < 0 && form_.bias < 0 && form_.residual < 0 &&
           !Clamps();
  }

  bool Clamps() const { return form_.has_low || form_.has_high; }

  bool Scale(uint8_t dst, int32_t operand) {
    if (operand < 0 || !Untouched()) return false;
    const TensorInfo& t = op_.inputs[extra_ + static_cast<uint32_t>(operand)];
    if (EpilogueOperandKind(t, channels_) != OperandKind::kScalar) return false;
    form_.scale_operand = operand;
    return Advance(dst);
  }

  // Only in the order in which the tile adds: bias, then residual, then the clamp.
  bool AddOperand(uint8_t dst, int32_t operand) {
    if (operand < 0 || Clamps() || form_.residual >= 0) return false;
    const OperandKind kind =
        EpilogueOperandKind(op_.inputs[extra_ + static_cast<uint32_t>(operand)], channels_);
    if (kind == OperandKind::kTensor) {
      form_.residual = operand;
    } else if (kind == OperandKind::kChannel && form_.bias < 0) {
      form_.bias = operand;
    } else {
      return false;
    }
    return Advance(dst);
  }

  // max(low, .) and min(high, .) commute as long as low <= high. Written so that NaN fails.
  bool AtLeast(float low) {
    if (!(low <= form_.high)) return false;
    if (low > form_.low) form_.low = low;
    form_.has_low = true;
    return true;
  }
  bool AtMost(float high) {
    if (!(high >= form_.low)) return false;
    if (high < form_.high) form_.high = high;
    form_.has_high = true;
    return true;
  }

  const OpInfo& op_;
  uint32_t extra_;
  int64_t channels_;
  bool posts_;
  Epilogue form_;
  uint8_t chain_ = 0;
  int32_t loaded_[kPwRegisters];
};

}  // namespace

OperandKind EpilogueOperandKind(const TensorInfo& operand, int64_t channels) {
  if (operand.layout == LayoutId::kDense && operand.rank == 1) {
    if (operand.dims[0] == channels) return OperandKind::kChannel;
    if (operand.dims[0] == 1) return OperandKind::kScalar;
  }
  return OperandKind::kTensor;
}

Epilogue ClassifyEpilogue(const OpInfo& op, uint32_t extra, int64_t channels, bool posts) {
  Epilogue form;
  if (op.code_count == 0 || Recogniser(op, extra, channels, posts).Run(&form)) return form;
  form = Epilogue{};
  form.in_registers = false;
  return form;
}

}  // namespace floe::cpu
