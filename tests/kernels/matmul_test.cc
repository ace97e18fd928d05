#include <algorithm>
#include <numeric>

#include "tests/kernels/conformance.h"
#include "tests/kernels/epilogues.h"

namespace floe::conformance {
namespace {

using Dims = std::vector<int64_t>;

Dims Permute(const Dims& d, const Dims& perm) {
  Dims r;
  for (int64_t p : perm) r.push_back(d[static_cast<size_t>(p)]);
  return r;
}

// Element of `l` at index `view` of its permuted shape, axes of size 1 stretched, extra leading
// axes of `view` ignored.
double ViewAt(const Logical& l, const int64_t* perm, const Dims& view) {
  const auto rank = static_cast<size_t>(l.info.rank);
  Dims index(rank);
  for (size_t i = 0; i < rank; ++i) {
    const auto axis = static_cast<size_t>(perm[i]);
    index[axis] = l.info.dims[axis] == 1 ? 0 : view[view.size() - rank + i];
  }
  int64_t at = 0;
  for (size_t i = 0; i < rank; ++i) at = at * l.info.dims[i] + index[i];
  return l.values[static_cast<size_t>(at)];
}

void MatMulOracle(const KernelCase& c, const std::vector<Logical>& in, std::vector<Logical>* out) {
  const TensorInfo& y = c.outputs[0];
  const int64_t* perm_a = c.attrs.data() + 1;
  const int64_t* perm_b = perm_a + in[0].info.rank + 1;
  const int64_t* perm_y = perm_b + in[1].info.rank + 1;
  const int64_t depth = in[0].info.dims[perm_a[in[0].info.rank - 1]];
  const auto rank = static_cast<size_t>(y.rank);
  Dims index(rank, 0);
  for (double& value : (*out)[0].values) {
    Dims result(rank);  // Before perm_y.
    for (size_t i = 0; i < rank; ++i) result[static_cast<size_t>(perm_y[i])] = index[i];
    double sum = 0;
    for (int64_t k = 0; k < depth; ++k) {
      Dims a = result, b = result;
      a[rank - 1] = k;
      b[rank - 2] = k;
      sum += ViewAt(in[0], perm_a, a) * ViewAt(in[1], perm_b, b);
    }
    value = EvalEpilogue(c, in, 2, -1, sum, index);
    NextIndex(y, &index);
  }
}

// a and b as matmul sees them, stored so that the permutations give that; result stored by perm_y.
KernelCase MatMul(const std::string& name, Dims a, Dims perm_a, Dims b, Dims perm_b, Dims perm_y,
                  const std::string& epilogue) {
  KernelCase c;
  c.kernel = KernelId::kMatMul;
  c.name = name;
  const auto store = [](const Dims& view, const Dims& perm) {
    Dims d(view.size());
    for (size_t i = 0; i < view.size(); ++i) d[static_cast<size_t>(perm[i])] = view[i];
    return d;
  };
  Dims result;
  const size_t rank = std::max(a.size(), b.size());
  for (size_t i = 0; i + 2 < rank; ++i) {
    const size_t ia = i + a.size() - rank, ib = i + b.size() - rank;
    const int64_t da = i + a.size() >= rank ? a[ia] : 1, db = i + b.size() >= rank ? b[ib] : 1;
    result.push_back(da == 1 ? db : da);
  }
  result.push_back(a[a.size() - 2]);
  result.push_back(b[b.size() - 1]);
  c.inputs = {Dense(store(a, perm_a)), Dense(store(b, perm_b))};
  c.outputs = {Dense(Permute(result, perm_y))};
  for (const Dims* perm : {&perm_a, &perm_b, &perm_y}) {
    c.attrs.push_back(static_cast<int64_t>(perm->size()));
    c.attrs.insert(c.attrs.end(), perm->begin(), perm->end());
  }
  AddEpilogue(EpilogueNamed(epilogue), -1, c.outputs[0], &c);
  c.oracle = MatMulOracle;
  return c;
}

Dims Identity(size_t rank) {
  Dims d(rank);
  std::iota(d.begin(), d.end(), 0);
  return d;
}

std::vector<KernelCase> Cases() {
  std::vector<KernelCase> cases;
  // Sizes around tiles and panels, and all four ways in which the operands can be stored.
  for (int64_t m : {1, 2, 5, 8, 17}) {
    for (int64_t n : {1, 3, 16, 21, 64, 130}) {
      for (int64_t k : {1, 6, 19}) {
        const std::string name =
            "m" + std::to_string(m) + "_n" + std::to_string(n) + "_k" + std::to_string(k);
        const int order = static_cast<int>((m + n + k) % 4);
        cases.push_back(MatMul(name, {m, k}, order & 1 ? Dims{1, 0} : Dims{0, 1}, {k, n},
                               order & 2 ? Dims{1, 0} : Dims{0, 1}, Identity(2), "none"));
      }
    }
  }
  for (const char* e : {"relu", "scale", "scalar_scale_clamp", "inverted_clamp", "constant"}) {
    cases.push_back(
        MatMul("epilogue", {2, 9, 5}, Identity(3), {2, 5, 35}, Identity(3), Identity(3), e));
    cases.push_back(MatMul("epilogue_y_transposed", {2, 9, 5}, Identity(3), {2, 5, 35}, Identity(3),
                           {0, 2, 1}, e));
  }
  // Attention as it comes out of [N, T, heads, size] projections.
  const Dims heads{0, 2, 1, 3};
  for (int64_t t : {1, 7, 32, 40}) {
    const std::string name = "t" + std::to_string(t);
    cases.push_back(MatMul("scores_" + name, {2, 3, t, 8}, heads, {2, 3, 8, t}, {0, 2, 3, 1},
                           Identity(4), "scale"));
    cases.push_back(
        MatMul("values_" + name, {2, 3, t, t}, Identity(4), {2, 3, t, 8}, heads, heads, "none"));
  }
  cases.push_back(MatMul("scores_128", {1, 2, 128, 64}, heads, {1, 2, 64, 128}, {0, 2, 3, 1},
                         Identity(4), "scale"));
  // Broadcasting, ranks up to 8, strange permutations.
  cases.push_back(
      MatMul("broadcast_b", {3, 4, 6}, Identity(3), {6, 5}, Identity(2), Identity(3), "none"));
  cases.push_back(
      MatMul("broadcast_a", {4, 6}, {1, 0}, {2, 3, 6, 5}, {3, 1, 0, 2}, {2, 0, 3, 1}, "relu"));
  cases.push_back(MatMul("broadcast_both", {3, 1, 4, 6}, Identity(4), {1, 2, 6, 18}, Identity(4),
                         Identity(4), "none"));
  cases.push_back(MatMul("rank8", {2, 1, 2, 1, 2, 1, 3, 4}, {7, 1, 2, 5, 4, 3, 6, 0},
                         {2, 2, 1, 4, 9}, {4, 0, 2, 1, 3}, {0, 3, 2, 1, 4, 7, 6, 5}, "scale"));
  // Empty: no result, no depth.
  cases.push_back(
      MatMul("no_batch", {0, 4, 6}, Identity(3), {6, 5}, Identity(2), Identity(3), "none"));
  cases.push_back(MatMul("no_rows", {0, 6}, Identity(2), {6, 5}, Identity(2), Identity(2), "none"));
  cases.push_back(MatMul("no_depth", {3, 0}, {1, 0}, {0, 5}, {1, 0}, Identity(2), "relu"));
  // More columns than one task packs.
  cases.push_back(MatMul("wide", {3, 2100}, {1, 0}, {2100, 300}, {1, 0}, Identity(2), "none"));
  cases.push_back(MatMul("square", {97, 150}, {1, 0}, {150, 131}, Identity(2), {1, 0}, "relu"));
  return cases;
}

FLOE_KERNEL_TESTS(MatMulConformance, Cases());

}  // namespace
}  // namespace floe::conformance
