// The twin of gemm: one task for each column.
#include "backends/reference/twins/epilogue.h"
#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {

Status PrepareGemm(const OpInfo& op, const PrepareContext&, void*, Schedule* schedule) {
  schedule->tasks = static_cast<uint32_t>(op.inputs[1].dims[1]);
  schedule->variant = "gemm__plain";
  return OkStatus();
}

Rule RunGemm(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  // Rows that share one decoded weight: decoding costs more than multiplying.
  constexpr int64_t kRows = 64;
  const TensorInfo& x = args.op->inputs[0];
  const TensorInfo& w = args.op->inputs[1];
  const void* xs = args.inputs[0];
  const void* ws = args.inputs[1];
  const TwinResult result(args, 2, x.rank - 1);
  const int64_t depth = w.dims[0];
  int64_t rows = 1;
  for (int a = 0; a + 1 < x.rank; ++a) rows *= x.dims[a];
  for (uint32_t n = begin; n < end; ++n) {
    for (int64_t first = 0; first < rows; first += kRows) {
      const int64_t count = rows - first < kRows ? rows - first : kRows;
      double sums[kRows] = {};
      for (int64_t k = 0; k < depth; ++k) {
        const int64_t at[2] = {k, n};
        const double weight = NumberAt(w.dtype, ws, ElementOffset(w, at));
        for (int64_t i = 0; i < count; ++i) {
          sums[i] += weight * NumberAt(x.dtype, xs, (first + i) * depth + k);
        }
      }
      for (int64_t i = 0; i < count; ++i) {
        int64_t index[kMaxRank];
        index[x.rank - 1] = n;
        int64_t row = first + i;
        for (int a = x.rank - 2; a >= 0; --a) {
          index[a] = row % x.dims[a];
          row /= x.dims[a];
        }
        result.Store(sums[i], index);
      }
    }
  }
  return Rule::kNone;
}

}  // namespace floe::reference::twins
