#include "tests/fuzz/driver.h"

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "tests/fuzz/mutate.h"

namespace floe::fuzz {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of this process: an input is not slow because the machine is busy.
double CpuSeconds() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

long PeakRssMib() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

void WriteInput(const std::string& path, const std::string& input) {
  std::ofstream(path, std::ios::binary) << input;
}

}  // namespace

int Drive(int argc, char** argv, const std::vector<std::string>& seeds, const Target& target) {
  uint64_t runs = 0;
  double seconds = 10;
  uint64_t seed = 1;
  std::string keep, replay;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--runs") runs = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--seconds") seconds = std::atof(argv[i + 1]);
    if (flag == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--keep") keep = argv[i + 1];
    if (flag == "--replay") replay = argv[i + 1];
  }
  if (!replay.empty()) {
    std::ifstream in(replay, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    std::printf("%s\n", target(text.str()).c_str());
    return 0;
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "there are no seeds\n");
    return 1;
  }
  std::mt19937_64 random(seed);
  std::map<std::string, uint64_t> counts;
  const auto start = Clock::now();
  uint64_t done = 0;
  for (const std::string& s : seeds) {
    const std::string result = target(s);
    if (result != "ok") {
      std::fprintf(stderr, "a seed is not accepted: %s\n", result.c_str());
      return 1;
    }
  }
  while (runs > 0 ? done < runs : SecondsSince(start) < seconds) {
    const std::string input =
        Mutate(seeds[random() % seeds.size()], seeds[random() % seeds.size()], &random);
    if (!keep.empty()) WriteInput(keep, input);
    const double begin = CpuSeconds();
    ++counts[target(input)];
    ++done;
    const double taken = CpuSeconds() - begin;
    if (taken > 10) {
      WriteInput("fuzz-slow-input", input);
      std::fprintf(stderr, "an input took %.1f s of CPU time; see fuzz-slow-input\n", taken);
      return 1;
    }
  }
  for (const auto& [result, count] : counts) {
    std::printf("%10llu  %s\n", static_cast<unsigned long long>(count), result.c_str());
  }
  std::printf("%llu inputs in %.1f s, seed %llu, peak RSS %ld MiB\n",
              static_cast<unsigned long long>(done), SecondsSince(start),
              static_cast<unsigned long long>(seed), PeakRssMib());
  if (PeakRssMib() > 3072) {
    std::fprintf(stderr, "memory grew over 3 GiB\n");
    return 1;
  }
  return counts.size() > 1 || done < 100 ? 0 : 1;  // All alike: nothing was reached.
}

}  // namespace floe::fuzz
