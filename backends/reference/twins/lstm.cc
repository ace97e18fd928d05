#include <cmath>

#include "backends/reference/twins/epilogue.h"
#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {
namespace {

double Sigmoid(double v) { return 1.0 / (1.0 + std::exp(-v)); }

}  // namespace

Status PrepareLstmRecurrence(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "lstm_plain";
  return OkStatus();
}

Rule RunLstmRecurrence(const KernelArgs& args, uint32_t, uint32_t, uint32_t, void*) {
  const OpInfo& op = *args.op;
  const int64_t steps = op.inputs[0].dims[0];
  const int64_t batch = op.inputs[0].dims[1];
  const int64_t hidden = op.inputs[1].dims[0];
  const auto* xw = static_cast<const float*>(args.inputs[0]);
  const void* r = args.inputs[1];
  const auto* h0 = static_cast<const float*>(args.inputs[2]);
  const auto* c0 = static_cast<const float*>(args.inputs[3]);
  auto* y = static_cast<float*>(args.outputs[0]);
  auto* h_out = static_cast<float*>(args.outputs[1]);
  auto* c_out = static_cast<float*>(args.outputs[2]);
  for (int64_t i = 0; i < batch * hidden; ++i) {
    h_out[i] = h0 == nullptr ? 0.0f : h0[i];
    c_out[i] = c0 == nullptr ? 0.0f : c0[i];
  }
  const float* h = h_out;
  for (int64_t s = 0; s < steps; ++s) {
    const int64_t t = op.attrs[0] != 0 ? steps - 1 - s : s;
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t u = 0; u < hidden; ++u) {
        double gate[4];  // i, o, f, c.
        for (int64_t g = 0; g < 4; ++g) {
          double sum = xw[(t * batch + n) * 4 * hidden + g * hidden + u];
          for (int64_t k = 0; k < hidden; ++k) {
            const int64_t at[2] = {k, g * hidden + u};
            const double weight = NumberAt(op.inputs[1].dtype, r, ElementOffset(op.inputs[1], at));
            sum += static_cast<double>(h[n * hidden + k]) * weight;
          }
          gate[g] = sum;
        }
        float& c = c_out[n * hidden + u];
        c = static_cast<float>(Sigmoid(gate[2]) * c + Sigmoid(gate[0]) * std::tanh(gate[3]));
        y[(t * batch + n) * hidden + u] =
            static_cast<float>(Sigmoid(gate[1]) * std::tanh(static_cast<double>(c)));
      }
    }
    h = y + t * batch * hidden;
  }
  for (int64_t i = 0; steps > 0 && i < batch * hidden; ++i) h_out[i] = h[i];
  return Rule::kNone;
}

}  // namespace floe::reference::twins
