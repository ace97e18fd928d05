#include "backends/cpu/cpuid.h"

#include <cpuid.h>

#include <atomic>
#include <cstdint>

namespace floe::cpu {
namespace {

enum Feature : uint32_t { kProbed = 1, kAvx2 = 2, kAvx512 = 4 };

// XCR0 says which register state the operating system saves; only valid when OSXSAVE is set.
uint64_t ReadXcr0() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

constexpr bool AllSet(uint64_t value, uint64_t bits) { return (value & bits) == bits; }

uint32_t Probe() {
  uint32_t features = kProbed;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return features;
  constexpr uint32_t kFma = 1u << 12, kOsxsave = 1u << 27, kAvx = 1u << 28, kF16c = 1u << 29;
  if (!AllSet(c, kFma | kOsxsave | kAvx | kF16c)) return features;
  constexpr uint64_t kXmmYmm = 0x6, kMaskZmm = 0xe0;
  const uint64_t xcr0 = ReadXcr0();
  if (!AllSet(xcr0, kXmmYmm)) return features;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
  if (!AllSet(b, 1u << 5)) return features;
  features |= kAvx2;
  constexpr uint32_t kF = 1u << 16, kDq = 1u << 17, kBw = 1u << 30, kVl = 1u << 31;
  if (AllSet(xcr0, kMaskZmm) && AllSet(b, kF | kDq | kBw | kVl)) features |= kAvx512;
  return features;
}

// CPUID traps to the hypervisor on virtual machines, so its answer is kept. Two threads that race
// here store the same value.
uint32_t Features() {
  static constinit std::atomic<uint32_t> cached{0};
  uint32_t features = cached.load(std::memory_order_relaxed);
  if (features == 0) {
    features = Probe();
    cached.store(features, std::memory_order_relaxed);
  }
  return features;
}

}  // namespace

bool HasSse2() { return true; }
bool HasAvx2() { return (Features() & kAvx2) != 0; }
bool HasAvx512() { return (Features() & kAvx512) != 0; }

}  // namespace floe::cpu
