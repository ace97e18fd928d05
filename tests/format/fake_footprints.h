// A footprint table for a few families, so that the validator is tested without any backend:
// copy, pointwise, gather, gemm and transpose, with shape rules that are simpler than the real
// ones.
#ifndef FLOE_TESTS_FORMAT_FAKE_FOOTPRINTS_H_
#define FLOE_TESTS_FORMAT_FAKE_FOOTPRINTS_H_

#include "format/footprint.h"

namespace floe::testing {

inline constexpr int64_t kFakeGemmScratch = 4096;
inline constexpr double kFakeFlops = 100;

const FootprintTable& FakeFootprints();

}  // namespace floe::testing

#endif  // FLOE_TESTS_FORMAT_FAKE_FOOTPRINTS_H_
