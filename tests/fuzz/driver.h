// The loop of a fuzz driver: seeds, mutations, counts, a time box. Plain C++, so that it runs with
// every compiler and sanitizer; the target is one function.
#ifndef FLOE_TESTS_FUZZ_DRIVER_H_
#define FLOE_TESTS_FUZZ_DRIVER_H_

#include <functional>
#include <string>
#include <vector>

namespace floe::fuzz {

// Runs one input and says what became of it ("ok", "refused: kHeaderMagic"). A crash, a sanitizer's
// report or a hang is the finding.
using Target = std::function<std::string(const std::string& input)>;

// argv: --runs N (0: until the time is up), --seconds S, --seed N. Prints how many inputs ended in
// which way. Writes the input under test to `crash_path` first when --keep is given, so that it can
// be replayed with --replay FILE. Returns the exit code: 1 if an input took over 10 seconds of
// CPU time or memory grew over 3 GiB.
int Drive(int argc, char** argv, const std::vector<std::string>& seeds, const Target& target);

}  // namespace floe::fuzz

#endif  // FLOE_TESTS_FUZZ_DRIVER_H_
