// Limits of the format: with them, the validator's time is linear in the metadata for any bytes.
#ifndef FLOE_FORMAT_LIMITS_H_
#define FLOE_FORMAT_LIMITS_H_

#include <cstdint>

namespace floe {

inline constexpr uint32_t kMaxSymbols = 64;
inline constexpr uint32_t kMaxMethods = 64;
inline constexpr uint32_t kMaxBuckets = 128;       // Of one method.
inline constexpr uint32_t kMaxAttrWords = 256;     // Of one instruction.
inline constexpr uint32_t kMaxDimsElements = 256;  // Of one value with storage kDims.
inline constexpr uint32_t kMaxBlockDepth = 32;     // The method's own block is depth 1.
inline constexpr int64_t kMaxTrips = int64_t{1} << 40;
inline constexpr int64_t kMaxSymbolValue = int64_t{1} << 40;

// Kernel families that are control flow (backends/kernels.def): the validator knows them itself.
inline constexpr uint32_t kKernelIf = 1;
inline constexpr uint32_t kKernelLoop = 2;
// Its attribute is a string, which the validator checks.
inline constexpr uint32_t kKernelCheck = 3;
// Says what the symbol that is its attribute is for the rest of the run; the executor does it.
inline constexpr uint32_t kKernelSize = 4;

}  // namespace floe

#endif  // FLOE_FORMAT_LIMITS_H_
