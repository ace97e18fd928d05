// What this CPU has and the operating system saves: CPUID and XCR0, asked once.
#ifndef FLOE_BACKENDS_CPU_CPUID_H_
#define FLOE_BACKENDS_CPU_CPUID_H_

namespace floe::cpu {

// All thread-safe; the answer never changes during a process.
bool HasSse2();        // True on every x86-64.
bool HasAvx2();        // AVX2, FMA and F16C, ymm state enabled.
bool HasAvx512();      // HasAvx2() and AVX-512 F, BW, DQ, VL, zmm and mask state enabled.
bool HasAvxVnni();     // HasAvx2() and VNNI for ymm in VEX encoding.
bool HasAvx512Vnni();  // HasAvx512() and VNNI.
// HasAvx512Vnni() and AMX-TILE, -INT8 and -BF16; the first call asks the kernel for this process's
// permission to use the tiles, and is false if that is refused.
bool HasAmx();

// HasAvx512() and AVX512_BF16, but not AMX: CPUs that have it run vdpbf16ps at a fraction of their
// f32 rate, so that widening is faster.
bool HasAvx512Bf16();

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_CPUID_H_
