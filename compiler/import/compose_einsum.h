// Einstein summation as transposes, one matrix product per operand, and sums.
#ifndef FLOE_COMPILER_IMPORT_COMPOSE_EINSUM_H_
#define FLOE_COMPILER_IMPORT_COMPOSE_EINSUM_H_

#include <string>
#include <vector>

#include "compiler/import/emitter.h"

namespace floe::import {

// numpy.einsum's notation: "bij,bjk->bik", spaces allowed, "..." for batch axes that broadcast;
// without "->" the result has the letters that occur once, sorted. Operands are of one dtype. An
// equation that does not fit them fails the emitter.
ir::Value* EmitEinsum(Emitter& b, const std::string& equation,
                      const std::vector<ir::Value*>& operands);

}  // namespace floe::import

#endif  // FLOE_COMPILER_IMPORT_COMPOSE_EINSUM_H_
