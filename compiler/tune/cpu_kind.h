// What a tune record's measurements depend on besides the layer: the machine and the kernels.
#ifndef FLOE_COMPILER_TUNE_CPU_KIND_H_
#define FLOE_COMPILER_TUNE_CPU_KIND_H_

#include <cstdint>
#include <string>

namespace floe::tune {

// "AMD EPYC, 25-17-1, avx512, L2 1024K, L3 32768K": the model, family-model-stepping, the best
// kernels of this build that it runs, and its caches as the system reports them. Equal on machines
// of one kind; the speeds that a virtual machine really gets are in the record's probes.
std::string CpuKind();

// Of the cache of that level (1, 2, 3) which a core uses; 0 if the system does not say.
int64_t CacheBytes(int level);

// Of the sources of the kernels whose layers are tuned: it changes with any of them.
std::string KernelVersion();

}  // namespace floe::tune

#endif  // FLOE_COMPILER_TUNE_CPU_KIND_H_
