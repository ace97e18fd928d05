#include <cmath>

#include "backends/reference/twins/twins.h"
#include "format/attrs.h"

namespace floe::reference::twins {

Status PrepareNorm(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "norm_plain";
  return OkStatus();
}

Rule RunNorm(const KernelArgs& args, uint32_t, uint32_t, uint32_t, void*) {
  const OpInfo& op = *args.op;
  const TensorInfo& x = op.inputs[0];
  const bool rms = op.attrs[0] != 0;
  const double epsilon = WordFloat(op.attrs[2]);
  int64_t rows = 1;
  int64_t width = 1;
  for (int a = 0; a < x.rank; ++a) (a < op.attrs[1] ? rows : width) *= x.dims[a];
  const auto* in = static_cast<const float*>(args.inputs[0]);
  const auto* scale = static_cast<const float*>(args.inputs[1]);
  const auto* bias = static_cast<const float*>(args.inputs[2]);
  auto* out = static_cast<float*>(args.outputs[0]);
  for (int64_t r = 0; r < rows; ++r, in += width, out += width) {
    double mean = 0;
    for (int64_t i = 0; i < width && !rms; ++i) mean += in[i];
    mean /= static_cast<double>(width);
    double variance = 0;
    for (int64_t i = 0; i < width; ++i) variance += (in[i] - mean) * (in[i] - mean);
    variance /= static_cast<double>(width);
    const double inverse = 1.0 / std::sqrt(variance + epsilon);
    for (int64_t i = 0; i < width; ++i) {
      const double v = (in[i] - mean) * inverse;
      out[i] = static_cast<float>(v * (scale == nullptr ? 1.0 : scale[i]) +
                                  (bias == nullptr ? 0.0 : bias[i]));
    }
  }
  return Rule::kNone;
}

}  // namespace floe::reference::twins
