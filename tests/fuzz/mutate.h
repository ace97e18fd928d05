// Mutations of a seed: what both fuzz drivers do to files.
#ifndef FLOE_TESTS_FUZZ_MUTATE_H_
#define FLOE_TESTS_FUZZ_MUTATE_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace floe::fuzz {

// One to four edits: bit flips, bytes, 32- and 64-bit numbers at their edges, cuts, copies, and
// pieces of another seed. Half of the edits fall into the first 8 KiB, where structure is dense.
inline std::string Mutate(const std::string& seed, const std::string& other,
                          std::mt19937_64* random) {
  std::string s = seed;
  const auto below = [&](size_t n) { return n == 0 ? 0 : static_cast<size_t>((*random)() % n); };
  const auto place = [&] {
    const size_t range = below(2) == 0 ? std::min<size_t>(s.size(), 8192) : s.size();
    return below(range);
  };
  constexpr uint64_t kEdges[] = {0,
                                 1,
                                 2,
                                 7,
                                 63,
                                 64,
                                 127,
                                 128,
                                 255,
                                 256,
                                 0x7fff,
                                 0xffff,
                                 0x7fffffff,
                                 0x80000000,
                                 0xffffffff,
                                 0x100000000,
                                 0x7fffffffffffffff,
                                 0x8000000000000000,
                                 ~uint64_t{0}};
  const size_t edits = 1 + below(4);
  for (size_t e = 0; e < edits && !s.empty(); ++e) {
    const size_t at = place();
    switch (below(8)) {
      case 0:
      case 1:
        s[at] = static_cast<char>(s[at] ^ (1 << below(8)));
        break;
      case 2:
        s[at] = static_cast<char>((*random)());
        break;
      case 3:
      case 4: {  // A number, aligned as FlatBuffers and our records are.
        const size_t width = below(2) == 0 ? 4 : 8;
        const size_t aligned = at / width * width;
        const uint64_t value =
            kEdges[below(std::size(kEdges))] + (below(4) == 0 ? (*random)() % 5 : 0);
        if (aligned + width <= s.size()) std::memcpy(s.data() + aligned, &value, width);
        break;
      }
      case 5: {  // A small change of a small number: off by one is the commonest bug.
        const size_t aligned = at / 4 * 4;
        uint32_t value = 0;
        if (aligned + 4 > s.size()) break;
        std::memcpy(&value, s.data() + aligned, 4);
        value += below(2) == 0 ? 1 : ~uint32_t{0};
        std::memcpy(s.data() + aligned, &value, 4);
        break;
      }
      case 6: {  // A piece from elsewhere, in place.
        const std::string& from = below(2) == 0 ? s : other;
        if (from.empty()) break;
        const size_t source = below(from.size());
        const size_t n = std::min({below(64) + 1, from.size() - source, s.size() - at});
        std::memmove(s.data() + at, from.data() + source, n);
        break;
      }
      default:
        if (below(3) == 0) {
          s.resize(at);  // Truncated.
        } else if (below(2) == 0) {
          s.erase(at, below(16) + 1);
        } else {
          s.insert(at, below(16) + 1, static_cast<char>((*random)()));
        }
        break;
    }
  }
  return s;
}

}  // namespace floe::fuzz

#endif  // FLOE_TESTS_FUZZ_MUTATE_H_
