#include <cmath>
#include <limits>

#include "backends/reference/pointwise.h"
#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {

Status PrepareSoftmax(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "softmax_plain";
  return OkStatus();
}

Rule RunSoftmax(const KernelArgs& args, uint32_t, uint32_t, uint32_t, void*) {
  const OpInfo& op = *args.op;
  const TensorInfo& x = op.inputs[0];
  int64_t outer = 1;
  int64_t inner = 1;
  for (int a = 0; a < x.rank; ++a) {
    if (a < op.attrs[0]) outer *= x.dims[a];
    if (a > op.attrs[0]) inner *= x.dims[a];
  }
  const int64_t axis = x.dims[op.attrs[0]];
  auto* y = static_cast<float*>(args.outputs[0]);
  const auto* from = static_cast<const float*>(args.inputs[0]);
  if (op.code_count > 0) {
    const Rule rule =
        RunPointwiseProgram(op.code, op.code_count, op.inputs + 1, args.inputs + 1,
                            op.input_count - 1, op.outputs[0], y, &x, args.inputs[0], -1);
    if (rule != Rule::kNone) return rule;
    from = y;
  }
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t base = o * axis * inner + i;
      double max = -std::numeric_limits<double>::infinity();
      for (int64_t k = 0; k < axis; ++k) {
        const double v = from[base + k * inner];
        if (v != v || v > max) max = v;
      }
      double sum = 0;
      for (int64_t k = 0; k < axis; ++k) sum += std::exp(from[base + k * inner] - max);
      for (int64_t k = 0; k < axis; ++k) {
        const double d = from[base + k * inner] - max;
        y[base + k * inner] =
            static_cast<float>(op.attrs[1] != 0 ? d - std::log(sum) : std::exp(d) / sum);
      }
    }
  }
  return Rule::kNone;
}

}  // namespace floe::reference::twins
