// The roofline probe: what the machine can do, in the same process and minute as a measurement
// (floe-bench, kernels_bench, floec --tune), so that every figure can be given as a share of it.
#ifndef FLOE_TOOLS_CLI_ROOFLINE_H_
#define FLOE_TOOLS_CLI_ROOFLINE_H_

#include <cstdint>
#include <string>

namespace floe::cli {

struct Roofline {
  double gflops = 0;        // fp32 FLOP/s (an FMA counts 2) of one thread, in 1e9.
  double bf16_gflops = 0;   // The same for products of bf16 pairs (4 each lane); 0: no instruction.
  double gbytes = 0;        // Read bandwidth of one thread from main memory, in 1e9 byte/s.
  double cache_gbytes = 0;  // The same from a 256 KiB buffer (L2).
  std::string isa;          // What the probe used.
};

// Best of several short runs: independent FMA chains in registers at the width of `isa` ("avx512",
// "avx2", "sse2"; empty: the widest), and sums over 256 MiB and 256 KiB. Takes about 0.3 s.
Roofline ProbeRoofline(const std::string& isa);

// The probe of bf16 products alone; 0 where `isa` is a cap below "avx512bf16" or the CPU lacks it.
double ProbeBf16Gflops(const std::string& isa);

// The FMA probe alone (about 30 ms), to bracket a measurement.
double ProbeGflops(const std::string& isa);

// What the kernels of `isa` (a name of backends/cpu/isas.list.def) can multiply of bytes: op/s of
// u8 x s8, a multiply-add counting 2, of one thread, in 1e9; by its widest instruction for them,
// and where that is not exact, by the multiplication of 16-bit numbers. `isa` must be available.
double ProbeByteGops(const std::string& isa);

}  // namespace floe::cli

#endif  // FLOE_TOOLS_CLI_ROOFLINE_H_
