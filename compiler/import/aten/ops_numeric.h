// More families of rows: mathematics that models seldom use. They are apart from ops.h, which every
// converter includes.
#ifndef FLOE_COMPILER_IMPORT_ATEN_OPS_NUMERIC_H_
#define FLOE_COMPILER_IMPORT_ATEN_OPS_NUMERIC_H_

#include <span>

#include "compiler/import/aten/op_builder.h"

namespace floe::aten {

std::span<const Row> BitRows();    // ops_bits.cc: the same bytes under another type.
std::span<const Row> GammaRows();  // ops_gamma.cc: zeta, polygamma, incomplete gamma functions.
std::span<const Row> SolveRows();  // ops_solve.cc: ranks, least squares, older names of factors.

// Rows for complex tensors (variable.h).
std::span<const Row> ComplexBitRows();   // ops_bits.cc
std::span<const Row> ComplexMathRows();  // ops_complex_math.cc: functions, products, systems.

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_OPS_NUMERIC_H_
