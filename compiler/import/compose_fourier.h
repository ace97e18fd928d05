// Discrete Fourier transforms as products with constant matrices. A complex vector is its parts in
// turn, on a last axis of 2. Long transforms are split by the factors of their length (Cooley and
// Tukey), so that the matrices stay small; the work is that of matrix products.
#ifndef FLOE_COMPILER_IMPORT_COMPOSE_FOURIER_H_
#define FLOE_COMPILER_IMPORT_COMPOSE_FOURIER_H_

#include <cstdint>

#include "compiler/import/emitter.h"

namespace floe::import {

// All transforms run along the last axis of the vectors, whose length must be known, multiply by
// `scale`, and leave leading axes alone, which may be dynamic. They fail the emitter with
// kUnimplemented for lengths with a large prime factor, whose matrix would be too large.

// x [..., n, 2] -> [..., n, 2]; `inverse` turns the other way.
ir::Value* EmitFourier(Emitter& b, ir::Value* x, bool inverse, double scale);
// Real x [..., n] -> the first n / 2 + 1 of the result, [..., n / 2 + 1, 2]; or all of it.
ir::Value* EmitFourierOfReal(Emitter& b, ir::Value* x, bool all, double scale);
// The inverse of that: x [..., m, 2], of which the first n / 2 + 1 count -> real [..., n]. What
// imaginary parts the first and (n even) last one have does not count.
ir::Value* EmitFourierToReal(Emitter& b, ir::Value* x, int64_t n, double scale);

}  // namespace floe::import

#endif  // FLOE_COMPILER_IMPORT_COMPOSE_FOURIER_H_
