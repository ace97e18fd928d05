#include "backends/cpu/cpuid.h"

#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <atomic>
#include <cstdint>

namespace floe::cpu {
namespace {

enum Feature : uint32_t {
  kProbed = 1,
  kAvx2 = 2,
  kAvx512 = 4,
  kAvxVnni = 8,
  kAvx512Vnni = 16,
  kAmx = 32,
  kAvx512Bf16 = 64,
};

// XCR0 says which register state the operating system saves; only valid when OSXSAVE is set.
uint64_t ReadXcr0() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

constexpr bool AllSet(uint64_t value, uint64_t bits) { return (value & bits) == bits; }

// Linux gives a process the 8 KiB of tile state on request only.
bool MayUseTiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

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
  constexpr uint32_t kVnni = 1u << 11, kTile = 1u << 22 | 1u << 24 | 1u << 25;
  constexpr uint64_t kTileState = 0x60000;
  if (AllSet(xcr0, kMaskZmm) && AllSet(b, kF | kDq | kBw | kVl)) {
    features |= kAvx512;
    if (AllSet(c, kVnni)) features |= kAvx512Vnni;
    if (AllSet(c, kVnni) && AllSet(d, kTile) && AllSet(xcr0, kTileState) && MayUseTiles()) {
      features |= kAmx;
    }
  }
  constexpr uint32_t kTileBf16 = 1u << 22, kBf16 = 1u << 5;
  const bool tiles = AllSet(d, kTileBf16);
  if (a < 1 || !__get_cpuid_count(7, 1, &a, &b, &c, &d)) return features;
  if (AllSet(a, 1u << 4)) features |= kAvxVnni;
  if ((features & kAvx512Vnni) != 0 && AllSet(a, kBf16) && !tiles) features |= kAvx512Bf16;
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
bool HasAvxVnni() { return (Features() & kAvxVnni) != 0; }
bool HasAvx512Vnni() { return (Features() & kAvx512Vnni) != 0; }
bool HasAvx512Bf16() { return (Features() & kAvx512Bf16) != 0; }
bool HasAmx() { return (Features() & kAmx) != 0; }

}  // namespace floe::cpu
