// Helpers of the runtime's tests: programs opened from memory, one backend after the other.
#ifndef FLOE_TESTS_RUNTIME_SUPPORT_H_
#define FLOE_TESTS_RUNTIME_SUPPORT_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/floe.hpp"
#include "tests/format/program_builder.h"

namespace floe::testing {

#define EXPECT_FLOE_OK(expr)                      \
  do {                                            \
    const ::floe::Outcome floe_o = (expr);        \
    EXPECT_TRUE(floe_o.ok()) << floe_o.Message(); \
  } while (false)
#define ASSERT_FLOE_OK(expr)                      \
  do {                                            \
    const ::floe::Outcome floe_o = (expr);        \
    ASSERT_TRUE(floe_o.ok()) << floe_o.Message(); \
  } while (false)

// A backend of this build that this machine can run.
struct BackendChoice {
  std::string backend;
  std::string isa;
};
std::vector<BackendChoice> AvailableBackends();

// The program as the bytes of a file.
std::vector<uint8_t> FileOf(const ProgramData& program);

// Opens (a copy of) the program. Ends the test binary if it is refused.
Model OpenProgram(const ProgramData& program, const BackendChoice& on = {"cpu", ""});

// A session whose outputs are its own.
Session MakeSession(const Model& model, floe_thread_pool* pool = nullptr);

// Contents of a tensor.
template <typename T>
std::vector<T> Read(const Tensor& t) {
  const T* data = t.Data<T>();
  return {data, data + t.bytes / sizeof(T)};
}
template <typename T>
std::vector<T> ReadOutput(Session& session, uint32_t index = 0, uint32_t method = 0) {
  Result<Tensor> t = session.Output(index, method);
  EXPECT_TRUE(t.ok()) << t.outcome().Message();
  return t.ok() ? Read<T>(*t) : std::vector<T>();
}

// y[k] f32 [N, width] for k = 0..length-1, all outputs: y[0] = 2 x, y[k] = 2 y[k-1]. N = 1..8.
// Every output is written by the instruction of its number, named "link<k>".
ProgramData ChainProgram(int length, int64_t width);

// a, b f32 [3] -> a', b': 7 times (a, b) = (b, a + b). Its results are its params, swapped.
ProgramData FibonacciProgram();

// x f32 [N, 64, 64] -> y f32 [N, 64, 64]: long enough to be shared among workers.
ProgramData WideProgram();

// Inputs a f32 [N, T], b f32 [2 T + 1, 3], c i64 [N], outputs copies of them. N 1..8, T 2..64 in
// multiples of 2; buckets (2, 16), (8, 64).
ProgramData ShapesProgram();

// trips times x = x * 1; the longest loop that the format allows.
ProgramData SpinProgram();

}  // namespace floe::testing

#endif  // FLOE_TESTS_RUNTIME_SUPPORT_H_
