// What this CPU has and the operating system saves: CPUID and XCR0, asked once.
#ifndef FLOE_BACKENDS_CPU_CPUID_H_
#define FLOE_BACKENDS_CPU_CPUID_H_

namespace floe::cpu {

// All thread-safe; the answer never changes during a process.
bool HasSse2();    // True on every x86-64.
bool HasAvx2();    // AVX2, FMA and F16C, ymm state enabled.
bool HasAvx512();  // HasAvx2() and AVX-512 F, BW, DQ, VL, zmm and mask state enabled.

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_CPUID_H_
