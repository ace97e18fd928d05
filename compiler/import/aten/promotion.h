// PyTorch's rules for the dtype of a result that several operands decide
// (https://docs.pytorch.org/docs/stable/tensor_attributes.html, "type promotion").
#ifndef FLOE_COMPILER_IMPORT_ATEN_PROMOTION_H_
#define FLOE_COMPILER_IMPORT_ATEN_PROMOTION_H_

#include "compiler/import/aten/ivalue.h"
#include "format/dtype.h"

namespace floe::aten {

// The smallest dtype that both convert to, as torch.promote_types: i8 and u8 give i16; an int and a
// float give that float; f16 and bf16 give f32. kNone is neutral.
DType PromoteTypes(DType a, DType b);

// Collects operands. Tensors with dimensions outrank rank-0 tensors, which outrank numbers, unless
// the lower rank is of a higher category (bool < int < float).
class ResultTypeState {
 public:
  void AddTensor(DType dtype, size_t rank);
  void AddNumber(Kind kind);  // kBool, kInt (i64) or kFloat (f32, the default dtype).
  DType Result() const;       // kNone without operands.

 private:
  DType dims_ = DType::kNone;
  DType zero_ = DType::kNone;
  DType number_ = DType::kNone;
};

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_PROMOTION_H_
