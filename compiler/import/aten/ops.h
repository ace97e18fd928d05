// The op table: families of rows, each in the file of its converters. To add an op, add a row
// there, and a converter unless one of the file's shared ones fits.
#ifndef FLOE_COMPILER_IMPORT_ATEN_OPS_H_
#define FLOE_COMPILER_IMPORT_ATEN_OPS_H_

#include <span>

#include "compiler/import/aten/op_builder.h"
#include "compiler/import/aten/schema.h"

namespace floe::aten {

std::span<const Row> MathRows();  // ops_math.cc: arithmetic, comparison, elementwise functions.
std::span<const Row> ViewRows();  // ops_view.cc: views and what writes through them.

// The row of an overload: its own, else its op's; null if there is none.
const Row* FindRow(const Schema& schema);
// Every row, for tests and documentation.
std::span<const std::span<const Row>> AllRows();

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_OPS_H_
