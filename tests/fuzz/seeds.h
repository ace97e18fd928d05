// Seeds of the fuzz drivers: files of the repository.
#ifndef FLOE_TESTS_FUZZ_SEEDS_H_
#define FLOE_TESTS_FUZZ_SEEDS_H_

#include <string>
#include <vector>

namespace floe::fuzz {

// The contents of every file below `folder` whose name ends in `ending` and has at most
// `max_bytes`, in name order.
std::vector<std::string> ReadSeeds(const std::string& folder, const std::string& ending,
                                   size_t max_bytes);

}  // namespace floe::fuzz

#endif  // FLOE_TESTS_FUZZ_SEEDS_H_
