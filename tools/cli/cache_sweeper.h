// Makes memory cold: reads so much that caches no longer hold what a run used before.
#ifndef FLOE_TOOLS_CLI_CACHE_SWEEPER_H_
#define FLOE_TOOLS_CLI_CACHE_SWEEPER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace floe::cli {

class CacheSweeper {
 public:
  // Twice a cache's size sweeps it; 192 MiB all that there are.
  explicit CacheSweeper(size_t bytes) : words_(bytes / sizeof(uint64_t), 1) {}
  void Sweep() {
    uint64_t sum = 0;
    for (const uint64_t word : words_) sum += word;
    sum_ = sum;
  }

 private:
  std::vector<uint64_t> words_;
  volatile uint64_t sum_ = 0;  // So that the reads stay.
};

}  // namespace floe::cli

#endif  // FLOE_TOOLS_CLI_CACHE_SWEEPER_H_
