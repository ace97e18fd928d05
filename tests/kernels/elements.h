// One element of a tensor of any dtype as a double.
#ifndef FLOE_TESTS_KERNELS_ELEMENTS_H_
#define FLOE_TESTS_KERNELS_ELEMENTS_H_

#include "format/dtype.h"

namespace floe::conformance {

// The element at `p`, which needs no alignment; 0 for kNone.
double ReadElement(DType t, const unsigned char* p);
// `v` as an element at `p`: rounded to a float type; of an integer type it must be a value.
void WriteElement(DType t, double v, unsigned char* p);

}  // namespace floe::conformance

#endif  // FLOE_TESTS_KERNELS_ELEMENTS_H_
