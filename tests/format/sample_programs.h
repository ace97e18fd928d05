// Small valid programs, for tests of the format, the runtime and the tools. All of them run on the
// real kernels; tests of the format check them with fake ones.
#ifndef FLOE_TESTS_FORMAT_SAMPLE_PROGRAMS_H_
#define FLOE_TESTS_FORMAT_SAMPLE_PROGRAMS_H_

#include <cstdint>
#include <vector>

#include "tests/format/program_builder.h"

namespace floe::testing {

// Method "main": x f32 [N, 4] -> y f32 [N, 3], N = 1..8, buckets 2 and 8:
// y = relu(x W1) W2 with W1 [4, 20], W2 [20, 3]; weight k of either, in row-major order, is
// MlpWeight(k).
ProgramData MlpProgram();
float MlpWeight(int64_t k);

// "main": x f32 [4], c bool [] -> y f32 [4]: c ? 2 x : -x.
ProgramData IfProgram();

// "main": x f32 [4], trips i64 [], go bool [] -> y f32 [4]: x doubled min(trips, 10) times if go;
// the body also stops as soon as the first value exceeds 100.
ProgramData LoopProgram();

// State "sum" f32 [4], initially {1, 2, 3, 4}. "step": x f32 [4] -> y f32 [4]: sum += x; y = sum.
// "peek": -> y: sum.
ProgramData StateProgram();

// "main": x f32 [N, 4], k i64 [] -> rows f32 [K, 4], grid f32 [N K], half f32 [floor(N / 2)],
// sizes i64 [4], N = 1..8: K = k, which must be 0..8; rows are 4, grid is 3, half is 2; sizes are
// K, N K, floor(N / 2) and max(N, K).
ProgramData SizesProgram();

// Most features at once; see the source.
ProgramData EverythingProgram();

struct Sample {
  const char* name;
  ProgramData (*make)();
};
const std::vector<Sample>& SamplePrograms();

// One-instruction pointwise programs, operand 0 first.
std::vector<PwInstr> PwTimes(float factor);  // x * factor
std::vector<PwInstr> PwNegate();             // -x
std::vector<PwInstr> PwAdd();                // x0 + x1
std::vector<PwInstr> PwRelu();               // max(x, 0)
std::vector<PwInstr> PwAtMost(float limit);  // x <= limit

}  // namespace floe::testing

#endif  // FLOE_TESTS_FORMAT_SAMPLE_PROGRAMS_H_
