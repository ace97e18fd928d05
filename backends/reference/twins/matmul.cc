// The twin of matmul: one task for each row of the result before perm_y.
#include "backends/reference/twins/epilogue.h"
#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {
namespace {

// A tensor seen through a permutation: axis i is axis perm[i] of the tensor.
struct Permuted {
  int rank;
  int64_t dims[kMaxRank];
  int64_t strides[kMaxRank];
};

Permuted Permute(const TensorInfo& t, const int64_t* perm) {
  Permuted p{t.rank, {}, {}};
  int64_t strides[kMaxRank], offset;
  TensorStrides(t, strides, &offset);
  for (int a = 0; a < t.rank; ++a) {
    p.dims[a] = t.dims[perm[a]];
    p.strides[a] = strides[perm[a]];
  }
  return p;
}

// Where the product of batch index[0 .. rank - 2) starts; missing and stretched axes do not move.
int64_t BatchStart(const Permuted& p, const int64_t* index, int rank) {
  int64_t at = 0;
  for (int a = 0; a < p.rank - 2; ++a) {
    if (p.dims[a] != 1) at += index[a + rank - p.rank] * p.strides[a];
  }
  return at;
}

}  // namespace

Status PrepareMatMul(const OpInfo& op, const PrepareContext&, void*, Schedule* schedule) {
  const int64_t* perm_b = op.attrs + 2 + op.inputs[0].rank;
  const int64_t* perm_y = perm_b + 1 + op.inputs[1].rank;
  const TensorInfo& y = op.outputs[0];
  int64_t rows = 1;
  for (int a = 0; a < y.rank; ++a) {
    if (perm_y[a] != y.rank - 1) rows *= y.dims[a];
  }
  schedule->tasks = static_cast<uint32_t>(rows);
  schedule->variant = "matmul__plain";
  return OkStatus();
}

Rule RunMatMul(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const int64_t* perm_a = args.op->attrs + 1;
  const int64_t* perm_b = perm_a + args.op->inputs[0].rank + 1;
  const int64_t* perm_y = perm_b + args.op->inputs[1].rank + 1;
  const Permuted a = Permute(args.op->inputs[0], perm_a);
  const Permuted b = Permute(args.op->inputs[1], perm_b);
  const TensorInfo& y = args.op->outputs[0];
  const int rank = y.rank;
  int64_t dims[kMaxRank];
  for (int i = 0; i < rank; ++i) dims[perm_y[i]] = y.dims[i];
  const TwinResult result(args, 2, -1);
  const auto* as = static_cast<const float*>(args.inputs[0]);
  const auto* bs = static_cast<const float*>(args.inputs[1]);
  for (uint32_t task = begin; task < end; ++task) {
    int64_t index[kMaxRank];  // Before perm_y.
    int64_t left = task;
    for (int i = rank - 2; i >= 0; --i) {
      index[i] = left % dims[i];
      left /= dims[i];
    }
    const float* row = as + BatchStart(a, index, rank) + index[rank - 2] * a.strides[a.rank - 2];
    const float* matrix = bs + BatchStart(b, index, rank);
    for (int64_t n = 0; n < dims[rank - 1]; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < a.dims[a.rank - 1]; ++k) {
        sum += static_cast<double>(row[k * a.strides[a.rank - 1]]) *
               matrix[k * b.strides[b.rank - 2] + n * b.strides[b.rank - 1]];
      }
      index[rank - 1] = n;
      int64_t at[kMaxRank];
      for (int i = 0; i < rank; ++i) at[i] = index[perm_y[i]];
      result.Store(sum, at);
    }
  }
  return Rule::kNone;
}

}  // namespace floe::reference::twins
