// How the ops of dense linear algebra see their operands: a batch of row-major matrices, worked on
// in double.
#ifndef FLOE_BACKENDS_REFERENCE_MATRICES_H_
#define FLOE_BACKENDS_REFERENCE_MATRICES_H_

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "backends/reference/ops_internal.h"

namespace floe::reference {

struct Matrices {
  int64_t count, rows, columns;

  explicit Matrices(const TensorInfo& t)
      : count(Product(t.dims, t.rank - 2)), rows(t.dims[t.rank - 2]), columns(t.dims[t.rank - 1]) {}
  int64_t size() const { return rows * columns; }
  int64_t least() const { return std::min(rows, columns); }
};

inline void LoadMatrix(const TensorInfo& t, const void* data, int64_t index, int64_t size,
                       double* out) {
  LoadRun<double>(t.dtype, data, index * size, size, out);
}
inline void StoreMatrix(const TensorInfo& t, void* data, int64_t index, int64_t size,
                        const double* v) {
  StoreRun<double>(t.dtype, data, index * size, size, v);
}

// Input i is a batch of matrices of floats.
inline Status NeedMatrices(const CheckArgs& a, uint32_t i) {
  FLOE_RETURN_IF_ERROR(InputIn(a, i, kFloats));
  return a.in(i).rank >= 2 ? OkStatus() : BadShape(i, -1, 2, a.in(i).rank);
}
inline Status NeedSquare(const CheckArgs& a, uint32_t i) {
  FLOE_RETURN_IF_ERROR(NeedMatrices(a, i));
  const TensorInfo& x = a.in(i);
  const int64_t rows = x.dims[x.rank - 2];
  return x.dims[x.rank - 1] == rows ? OkStatus()
                                    : BadShape(i, x.rank - 1, rows, x.dims[x.rank - 1]);
}

// Output i, if it is there, has x's dtype and leading axes, and these last ones.
inline Status OutputTail(const CheckArgs& a, uint32_t i, std::initializer_list<int64_t> tail) {
  if (!a.HasOutput(i)) return OkStatus();
  const TensorInfo& x = a.in(0);
  int64_t dims[kMaxRank];
  int64_t* end = std::copy_n(x.dims, x.rank - 2, dims);
  end = std::copy(tail.begin(), tail.end(), end);
  FLOE_RETURN_IF_ERROR(OutputIs(a, i, x.dtype));
  return OutputDims(a, i, {dims, end});
}

// At least one of the op's outputs is there.
inline Status NeedAnyOutput(const CheckArgs& a) {
  for (uint32_t i = 0; i < a.info.output_count; ++i) {
    if (a.HasOutput(i)) return OkStatus();
  }
  return Error(Code::kInvalidFile, Rule::kInstructionResult).ForOperand(a.OutputAt());
}

// Working memory for the sum of these products of two numbers of doubles.
struct Block {
  int64_t rows, columns;
};
inline Status NeedDoubles(const CheckArgs& a, std::initializer_list<Block> blocks) {
  int64_t total = 0, size;
  for (const Block& b : blocks) {
    if (!CheckedMul(b.rows, b.columns, &size) || !CheckedAdd(total, size, &total)) {
      return TooLarge();
    }
  }
  constexpr int64_t kSize = sizeof(double);
  return CheckedMul(total, kSize, &a.footprint.scratch_bytes) ? OkStatus() : TooLarge();
}

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_MATRICES_H_
