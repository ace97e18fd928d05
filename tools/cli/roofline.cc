#include "tools/cli/roofline.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace floe::cli {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

#if defined(__x86_64__)
// Twelve independent chains hide the latency of 4 cycles at two FMAs a cycle. The registers are
// named because GCC keeps arrays of vectors on the stack.
#define FLOE_ONE(op, r, n) op "%%" r "14, %%" r "14, %%" r n "\n"
#define FLOE_TWELVE(op, r)                                                                \
  FLOE_ONE(op, r, "0")                                                                    \
  FLOE_ONE(op, r, "1") FLOE_ONE(op, r, "2") FLOE_ONE(op, r, "3") FLOE_ONE(op, r, "4")     \
      FLOE_ONE(op, r, "5") FLOE_ONE(op, r, "6") FLOE_ONE(op, r, "7") FLOE_ONE(op, r, "8") \
          FLOE_ONE(op, r, "9") FLOE_ONE(op, r, "10") FLOE_ONE(op, r, "11")
#define FLOE_CLOBBERS \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11"

#define FLOE_ZERO_OPERAND asm volatile("vxorps %%xmm14, %%xmm14, %%xmm14\n" ::: "xmm14")

__attribute__((target("avx512f"))) double FmaAvx512(int64_t steps) {
  FLOE_ZERO_OPERAND;
  for (int64_t s = 0; s < steps; ++s) {
    asm volatile(FLOE_TWELVE("vfmadd213ps ", "zmm")::: FLOE_CLOBBERS);
  }
  return 12.0 * 16 * 2 * static_cast<double>(steps);
}

__attribute__((target("avx512f,avx512bf16"))) double DotBf16(int64_t steps) {
  FLOE_ZERO_OPERAND;
  for (int64_t s = 0; s < steps; ++s) {
    asm volatile(FLOE_TWELVE("vdpbf16ps ", "zmm")::: FLOE_CLOBBERS);
  }
  return 12.0 * 16 * 4 * static_cast<double>(steps);
}

__attribute__((target("avx2,fma"))) double FmaAvx2(int64_t steps) {
  FLOE_ZERO_OPERAND;
  for (int64_t s = 0; s < steps; ++s) {
    asm volatile(FLOE_TWELVE("vfmadd213ps ", "ymm")::: FLOE_CLOBBERS);
  }
  return 12.0 * 8 * 2 * static_cast<double>(steps);
}

// SSE2 has no FMA: a multiply and an add in independent chains.
double MulAddSse2(int64_t steps) {
  asm volatile("xorps %%xmm14, %%xmm14\n xorps %%xmm15, %%xmm15\n" ::: "xmm14", "xmm15");
  for (int64_t s = 0; s < steps; ++s) {
    asm volatile(
        "mulps %%xmm14, %%xmm0\n addps %%xmm15, %%xmm6\n"
        "mulps %%xmm14, %%xmm1\n addps %%xmm15, %%xmm7\n"
        "mulps %%xmm14, %%xmm2\n addps %%xmm15, %%xmm8\n"
        "mulps %%xmm14, %%xmm3\n addps %%xmm15, %%xmm9\n"
        "mulps %%xmm14, %%xmm4\n addps %%xmm15, %%xmm10\n"
        "mulps %%xmm14, %%xmm5\n addps %%xmm15, %%xmm11\n" ::
            : FLOE_CLOBBERS);
  }
  return 12.0 * 4 * static_cast<double>(steps);
}

__attribute__((target("avx512f"))) double DotAvx512(int64_t steps) {
  for (int64_t s = 0; s < steps; ++s)
    asm volatile(FLOE_TWELVE("vpdpbusd ", "zmm")::: FLOE_CLOBBERS);
  return 12.0 * 64 * 2 * static_cast<double>(steps);
}
__attribute__((target("avx2"))) double DotAvx(int64_t steps) {
  for (int64_t s = 0; s < steps; ++s) {
    asm volatile(FLOE_TWELVE("%{vex%} vpdpbusd ", "ymm")::: FLOE_CLOBBERS);
  }
  return 12.0 * 32 * 2 * static_cast<double>(steps);
}
// Without such an instruction: two multiplications of 16-bit numbers and two additions for four, in
// six chains.
#define FLOE_PAIRS(r, a, b)                                                        \
  "vpmaddwd %%" r "14, %%" r "14, %%" r "12\n vpmaddwd %%" r "14, %%" r "14, %%" r \
  "13\n"                                                                           \
  "vpaddd %%" r "12, %%" r a ", %%" r a "\n vpaddd %%" r "13, %%" r b ", %%" r b "\n"
#define FLOE_SIX_PAIRS(r) FLOE_PAIRS(r, "0", "1") FLOE_PAIRS(r, "2", "3") FLOE_PAIRS(r, "4", "5")
__attribute__((target("avx512bw"))) double PairsAvx512(int64_t steps) {
  for (int64_t s = 0; s < steps; ++s) {
    asm volatile(FLOE_SIX_PAIRS("zmm")::: FLOE_CLOBBERS, "xmm12", "xmm13");
  }
  return 3.0 * 64 * 2 * static_cast<double>(steps);
}
__attribute__((target("avx2"))) double PairsAvx2(int64_t steps) {
  for (int64_t s = 0; s < steps; ++s) {
    asm volatile(FLOE_SIX_PAIRS("ymm")::: FLOE_CLOBBERS, "xmm12", "xmm13");
  }
  return 3.0 * 32 * 2 * static_cast<double>(steps);
}
#define FLOE_PAIRS_SSE2(a, b)                             \
  "movdqa %%xmm14, %%xmm12\n movdqa %%xmm14, %%xmm13\n"   \
  "pmaddwd %%xmm15, %%xmm12\n pmaddwd %%xmm15, %%xmm13\n" \
  "paddd %%xmm12, %%xmm" a "\n paddd %%xmm13, %%xmm" b "\n"
double PairsSse2(int64_t steps) {
  for (int64_t s = 0; s < steps; ++s) {
    asm volatile(FLOE_PAIRS_SSE2("0", "1") FLOE_PAIRS_SSE2("2", "3") FLOE_PAIRS_SSE2("4", "5")::
                     : FLOE_CLOBBERS, "xmm12", "xmm13");
  }
  return 3.0 * 16 * 2 * static_cast<double>(steps);
}
double DotTiles(int64_t steps) {
  struct alignas(64) {
    uint8_t head[16] = {1};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  for (int64_t s = 0; s < steps / 16; ++s) {
    asm volatile(
        "tdpbusd %tmm6, %tmm4, %tmm0\n tdpbusd %tmm7, %tmm4, %tmm1\n"
        "tdpbusd %tmm6, %tmm5, %tmm2\n tdpbusd %tmm7, %tmm5, %tmm3\n");
  }
  asm volatile("tilerelease" ::: "memory");
  return 4.0 * 16 * 16 * 64 * 2 * static_cast<double>(steps / 16);
}

bool Has(const char* isa) {
  if (std::strcmp(isa, "avx512") == 0) return __builtin_cpu_supports("avx512f");
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

std::string PickIsa(const std::string& isa) {
#if defined(__x86_64__)
  // (What VNNI and AMX add is not for fp32.)
  const bool wide = isa.empty() || isa.starts_with("avx512") || isa == "amx";
  if (wide && Has("avx512")) return "avx512";
  if (isa != "sse2" && isa != "amx_plain" && Has("avx2")) return "avx2";
  return "sse2";
#else
  return isa.empty() ? "plain" : isa;
#endif
}

double FlopsOf(const std::string& isa, int64_t steps) {
#if defined(__x86_64__)
  if (isa == "avx512") return FmaAvx512(steps);
  if (isa == "avx2") return FmaAvx2(steps);
  return MulAddSse2(steps);
#else
  volatile float a = 1.0f;
  for (int64_t s = 0; s < steps; ++s) a = a * 0.999f + 1e-3f;
  return 2.0 * static_cast<double>(steps);
#endif
}

double ByteOpsOf(const std::string& isa, int64_t steps) {
#if defined(__x86_64__)
  if (isa == "amx") return DotTiles(steps);
  if (isa == "avx512vnni" || isa == "avx512bf16") return DotAvx512(steps);
  if (isa == "avxvnni") return DotAvx(steps);
  if (isa == "avx512") return PairsAvx512(steps);
  if (isa == "avx2") return PairsAvx2(steps);
  return PairsSse2(steps);
#else
  return FlopsOf(isa, steps);
#endif
}

// Bytes per second of summing `bytes` bytes, best of `repeats` passes.
double ReadBandwidth(size_t bytes, int repeats) {
  auto* data = static_cast<uint64_t*>(std::aligned_alloc(4096, bytes));
  if (data == nullptr) return 0;
  std::memset(data, 1, bytes);
  double best = 0;
  volatile uint64_t sink = 0;
  for (int r = 0; r < repeats; ++r) {
    const auto start = Clock::now();
    uint64_t sum[8] = {};
    for (size_t i = 0; i + 8 <= bytes / 8; i += 8) {
      for (size_t k = 0; k < 8; ++k) sum[k] += data[i + k];
    }
    for (const uint64_t s : sum) sink = sink + s;
    best = std::max(best, static_cast<double>(bytes) / Seconds(start));
  }
  std::free(data);
  return best;
}

}  // namespace

double ProbeGflops(const std::string& isa) {
  const std::string use = PickIsa(isa);
  double best = 0;
  for (int r = 0; r < 7; ++r) {
    const auto start = Clock::now();
    const double flops = FlopsOf(use, 1'000'000);
    best = std::max(best, flops / Seconds(start) / 1e9);
  }
  return best;
}

double ProbeByteGops(const std::string& isa) {
  double best = 0;
  for (int r = 0; r < 7; ++r) {
    const auto start = Clock::now();
    const double ops = ByteOpsOf(isa, 500'000);
    best = std::max(best, ops / Seconds(start) / 1e9);
  }
  return best;
}

double ProbeBf16Gflops([[maybe_unused]] const std::string& isa) {
  double best = 0;
#if defined(__x86_64__)
  if (!isa.empty() && isa != "avx512bf16" && isa != "amx") return 0;
  if (!__builtin_cpu_supports("avx512bf16")) return 0;
  for (int r = 0; r < 7; ++r) {
    const auto start = Clock::now();
    best = std::max(best, DotBf16(1'000'000) / Seconds(start) / 1e9);
  }
#endif
  return best;
}

Roofline ProbeRoofline(const std::string& isa) {
  Roofline r;
  r.isa = PickIsa(isa);
  r.gflops = ProbeGflops(isa);
  r.bf16_gflops = ProbeBf16Gflops(isa);
  r.gbytes = ReadBandwidth(size_t{256} << 20, 3) / 1e9;
  r.cache_gbytes = ReadBandwidth(size_t{256} << 10, 200) / 1e9;
  return r;
}

}  // namespace floe::cli
