// backends/cpu: the kernel families for x86 CPUs, each compiled once per instruction set.
//
//   <family>/<family>_kernel.h     the implementation, one source for all ISAs, written with simd.h
//   <family>/<family>_<isa>.cc     includes it; CMake gives the file its ISA's flags
//   families.list.def              the families; tables.cc makes one KernelTable per ISA from it
//   simd.h                         the vector type of the ISA that the file is compiled for
//   cpuid.h                        what this machine has
//
// Rules of ISA files, which tests/kernels checks with nm: everything but Prepare<Family>,
// Run<Family> and what families of an ISA share (gemm/tile_args.h, pointwise/tile_vm.h) is in an
// unnamed namespace inside floe::cpu::<isa> (FLOE_ISA), and no function of a
// header that other files share may be emitted (no std templates but what always inlines). A weak
// symbol of an AVX-512 file could be the copy that the linker keeps for an SSE2 machine.
#ifndef FLOE_BACKENDS_CPU_TABLES_H_
#define FLOE_BACKENDS_CPU_TABLES_H_

#include "backends/kernel.h"

namespace floe::cpu {

extern const KernelTable kSse2Table;    // Baseline x86-64.
extern const KernelTable kAvx2Table;    // AVX2, FMA, F16C.
extern const KernelTable kAvx512Table;  // AVX-512 F, BW, DQ, VL.

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_TABLES_H_
