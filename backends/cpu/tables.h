// backends/cpu: the kernel families for x86 CPUs, each compiled once per instruction set.
//
//   <family>/<family>_kernel.h     the implementation, one source for all ISAs, written with simd.h
//   <family>/<family>_<isa>.cc     includes it; CMake gives the file its ISA's flags
//   families.list.def              the families
//   isas.list.def                  the ISAs, of which tables.cc makes one KernelTable each
//   isa_members.list.def           the kernels that only some ISAs have
//   amx/                           the tile unit as kernels see it, and products' loops on it
//   simd.h                         the vector type of the ISA that the file is compiled for
//   lanes.h, math.h, narrow.h      comparisons and integers, functions, f16 and bf16 in vectors
//   sums.h                         sums of many numbers
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

#define FLOE_CPU_ISA(name, base, available) \
  namespace name {                          \
  extern const KernelTable kTable;          \
  }
#include "backends/cpu/isas.list.def"
#undef FLOE_CPU_ISA

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_TABLES_H_
