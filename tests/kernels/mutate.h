// Random changes of a case's shapes, dtypes, layouts, attributes and code.
#ifndef FLOE_TESTS_KERNELS_MUTATE_H_
#define FLOE_TESTS_KERNELS_MUTATE_H_

#include <random>

#include "tests/kernels/conformance.h"

namespace floe::conformance {

// One change, of one operand or of all alike. The case may be nonsense afterwards.
void MutateOnce(KernelCase* c, std::mt19937* rng);

}  // namespace floe::conformance

#endif  // FLOE_TESTS_KERNELS_MUTATE_H_
