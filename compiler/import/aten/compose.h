// Small compositions of IR ops that several families of converters use.
#ifndef FLOE_COMPILER_IMPORT_ATEN_COMPOSE_H_
#define FLOE_COMPILER_IMPORT_ATEN_COMPOSE_H_

#include <cstdint>
#include <vector>

#include "compiler/import/aten/op_builder.h"

namespace floe::aten {

// Elementwise; operands of one dtype.
// The rest of a floor division as Python and PyTorch define it, ints and floats.
ir::Value* FloorMod(OpBuilder& b, ir::Value* x, ir::Value* y);
ir::Value* SignBit(OpBuilder& b, ir::Value* x);   // bool; true for -0.
ir::Value* IsFinite(OpBuilder& b, ir::Value* x);  // bool

// Whether all elements of a bool tensor are true: a rank-0 bool.
ir::Value* AllTrue(OpBuilder& b, ir::Value* x);
// All axes of a rank: 0, 1, ...
std::vector<int64_t> AllAxes(int64_t rank);
// The number of elements; an error if it is no size (ir::Dim).
ir::Dim CountOf(OpBuilder& b, const ir::Value* x);
// Swaps two axes.
ir::Value* SwapAxes(OpBuilder& b, ir::Value* x, int64_t p, int64_t q);

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_COMPOSE_H_
