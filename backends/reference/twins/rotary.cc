#include "backends/families/rotary.h"

#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {

Status PrepareRotary(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "rotary_plain";
  return OkStatus();
}

Rule RunRotary(const KernelArgs& args, uint32_t, uint32_t, uint32_t, void*) {
  families::RotaryShape s;
  if (!families::ReadRotary(*args.op, &s).ok()) return Rule::kInstructionAttr;
  auto* y = static_cast<float*>(args.outputs[0]);
  const int64_t half = s.rotated / 2, rows = s.batch * s.heads * s.positions;
  for (int64_t row = 0; row < rows; ++row, y += s.features) {
    const int64_t p = row % s.positions, h = row / s.positions % s.heads;
    const int64_t b = row / s.positions / s.heads;
    const float* x = static_cast<const float*>(args.inputs[0]) + s.x.offset + b * s.x.batch +
                     h * s.x.head + p * s.x.position;
    const float* cos =
        static_cast<const float*>(args.inputs[1]) + b * s.cos[0] + h * s.cos[1] + p * s.cos[2];
    const float* sin =
        static_cast<const float*>(args.inputs[2]) + b * s.sin[0] + h * s.sin[1] + p * s.sin[2];
    for (int64_t k = 0; k < half; ++k) {
      const int64_t first = s.interleaved ? 2 * k : k,
                    second = s.interleaved ? 2 * k + 1 : k + half;
      const int64_t c1 = s.shared ? k : first, c2 = s.shared ? k : second;
      const double x1 = x[first], x2 = x[second];
      y[first] = static_cast<float>(x1 * cos[c1] - x2 * sin[c1]);
      y[second] = static_cast<float>(x2 * cos[c2] + x1 * sin[c2]);
    }
    for (int64_t d = s.rotated; d < s.features; ++d) y[d] = x[d];
  }
  return Rule::kNone;
}

}  // namespace floe::reference::twins
