#include "compiler/tune/cpu_kind.h"

#include <cstring>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "backends/registry.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace floe::tune {
namespace {

#if defined(__x86_64__)
std::string Model() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  std::string name;
  if (__get_cpuid(0x80000000u, &a, &b, &c, &d) != 0 && a >= 0x80000004u) {
    for (unsigned leaf = 0x80000002u; leaf <= 0x80000004u; ++leaf) {
      unsigned words[4] = {};
      __get_cpuid(leaf, &words[0], &words[1], &words[2], &words[3]);
      char text[sizeof(words) + 1] = {};
      std::memcpy(text, words, sizeof(words));
      name += text;
    }
  }
  absl::RemoveExtraAsciiWhitespace(&name);
  if (name.empty()) name = "x86-64";
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return name;
  unsigned family = a >> 8 & 15, model = a >> 4 & 15;
  if (family == 15 || family == 6) model += (a >> 16 & 15) << 4;
  if (family == 15) family += a >> 20 & 255;
  return absl::StrFormat("%s, %d-%d-%d", name, family, model, a & 15);
}
#else
std::string Model() { return "unknown CPU"; }
#endif

}  // namespace

// Of the first CPU, as the system says; its "cache_size" in sysconf is the whole package's at
// times.
int64_t CacheBytes(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder =
        absl::StrFormat("/sys/devices/system/cpu/cpu0/cache/index%d/", index);
    int64_t found = 0, kib = 0;
    std::string type;
    if (!(std::ifstream(folder + "level") >> found) || found != level) continue;
    if (!(std::ifstream(folder + "type") >> type) || type == "Instruction") continue;
    if ((std::ifstream(folder + "size") >> kib) && kib > 0 && kib < (int64_t{1} << 40)) {
      return kib * 1024;
    }
  }
  return 0;
}

std::string CpuKind() {
  const KernelTable* table = FindKernelTable("cpu", "");
  std::string kind = Model() + ", " + (table == nullptr ? "plain" : table->isa);
  for (const int level : {2, 3}) {
    const int64_t bytes = CacheBytes(level);
    if (bytes > 0) kind += absl::StrFormat(", L%d %dK", level, bytes / 1024);
  }
  return kind;
}

}  // namespace floe::tune
