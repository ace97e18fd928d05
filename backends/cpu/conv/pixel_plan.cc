#include "backends/cpu/conv/pixel_plan.h"

#include <algorithm>

#include "format/checked.h"

namespace floe::cpu {
namespace {

// In vector FMAs: what a GEMM tile's row and a slot cost beside their FMAs (load, clamp, store).
constexpr double kRowOverhead = 4;
constexpr double kSlotOverhead = 24;
constexpr double kPixelStore = 2;
constexpr double kRawPixelStore = 12;  // With pixels.h's slower way.
constexpr int64_t kSlotsTogether = 4;  // In a tile, more or less.
constexpr double kPlaneElement = 0.5;
// Multiply-adds that are worth a task.
constexpr int64_t kTaskWork = 1 << 17;
constexpr int64_t kTasksPerWorker = 4;

// The window in elements of one image row and in rows, without the strides and dilations that
// nothing depends on (which may be any number).
struct Window {
  int64_t channels, kh, kw;
  int64_t row_stride, row_step;  // Rows of x from one output row, or row of taps, to the next.
  int64_t stride, step;          // Elements of x from one output column, or tap, to the next.
};

Window WindowOf(const OpInfo& op) {
  const families::WindowAttrs a = families::ReadWindow(op.attrs + 1);
  const TensorInfo& y = op.outputs[0];
  Window w;
  w.channels = op.inputs[0].dims[1];
  w.kh = a.kh;
  w.kw = a.kw;
  w.row_stride = y.dims[2] > 1 ? a.sh : 1;
  w.row_step = a.kh > 1 ? a.dh : 1;
  w.stride = (y.dims[3] > 1 ? a.sw : 1) * w.channels;
  w.step = (a.kw > 1 ? a.dw : 1) * w.channels;
  return w;
}

// Chooses the block whose planes repeat the fewest rows and columns of x for each pixel of output.
// Returns elements of planes for each pixel; 0 if no block fits.
double ChooseBlock(const Window& w, int64_t lanes, PixelPlan* p) {
  double best = 0;
  const int64_t shifts = (p->span - 1) / p->stride;
  for (int64_t lines = 8; lines >= 1; lines /= 2) {
    if (lines > p->height && lines > 1) continue;
    int64_t rows;
    if (!CheckedMul(lines - 1, w.row_stride, &rows) || !CheckedAdd(rows, p->x_span, &rows))
      continue;
    if (rows > kPlaneFloats || p->planes > kPlaneFloats / rows) continue;
    const int64_t pitch = kPlaneFloats / (rows * p->planes);
    int64_t width = std::min(p->width, pitch - shifts);
    if (width < p->width) width = width / lanes * lanes;
    if (width < 1 || pitch < std::max(width, lanes) + shifts) continue;
    const double elements = static_cast<double>(rows * p->planes * (width + shifts)) /
                            static_cast<double>(lines * width);
    if (best != 0 && elements >= best) continue;
    best = elements;
    p->block_lines = lines;
    p->block_width = width;
    p->pitch = std::max(width, lanes) + shifts;
  }
  return best;
}

void FillPixelTaps(const Window& w, const PixelPlan& p, int64_t* taps) {
  for (int64_t ky = 0; ky < w.kh; ++ky) {
    for (int64_t kx = 0; kx < w.kw; ++kx) {
      for (int64_t c = 0; c < w.channels; ++c) {
        const int64_t row = ky * w.row_step, element = kx * w.step + c;
        *taps++ = p.direct ? row * p.x_pitch + element
                           : (row * p.planes + element % p.stride) * p.pitch + element / p.stride;
      }
    }
  }
}

uint32_t PixelTasks(const PixelPlan& p, uint32_t workers) {
  if (workers <= 1) return 1;
  const double work = static_cast<double>(p.lines) * static_cast<double>(p.width) *
                      static_cast<double>(p.k * p.outputs);
  const double most = static_cast<double>(std::min<int64_t>(p.lines, workers * kTasksPerWorker));
  return static_cast<uint32_t>(std::clamp(work / kTaskWork, 1.0, most));
}

}  // namespace

void PlanPixels(const OpInfo& op, const PrepareContext& context, int64_t lanes, ConvState* state) {
  state->pixels = PixelPlan{};
  PixelPlan p;
  const TensorInfo& y = op.outputs[0];
  if (state->product.empty || !families::IsFewOutputs(op.inputs[1])) return;
  const Window window = WindowOf(op);
  p.k = state->product.tiling.k;
  p.outputs = y.dims[1];
  p.lines = y.dims[0] * y.dims[2];
  p.height = y.dims[2];
  p.width = y.dims[3];
  p.stride = window.stride;
  p.span = (window.kw - 1) * window.step + window.channels;
  p.planes = std::min(p.stride, p.span);
  int64_t strides[kMaxRank], offset;
  TensorStrides(op.inputs[0], strides, &offset);
  p.x_pitch = strides[2];
  p.x_step = window.row_stride;
  p.x_span = (window.kh - 1) * window.row_step + 1;
  p.direct = p.stride == 1 && p.width >= lanes;
  double plane_elements = 0;
  if (p.direct) {
    p.block_lines = p.height;
    p.block_width = p.width;
    p.line_step = p.x_step * p.x_pitch;
  } else {
    plane_elements = ChooseBlock(window, lanes, &p);
    if (plane_elements == 0) return;
    p.line_step = p.x_step * p.planes * p.pitch;
  }
  const Epilogue& e = state->product.epilogue;
  const bool whole = e.in_registers && e.residual < 0 && p.block_width >= lanes;
  const double store = whole ? kPixelStore : kRawPixelStore;
  const auto k = static_cast<double>(p.k);
  const double tiles =
      static_cast<double>(p.width) * (k * 16 / static_cast<double>(lanes) + kRowOverhead);
  // Slots of a line, with those that the last tile of a block repeats.
  const int64_t block_slots = p.block_lines * CeilDiv(p.block_width, lanes);
  const double waste = static_cast<double>(CeilDiv(block_slots, kSlotsTogether) * kSlotsTogether) /
                       static_cast<double>(block_slots);
  const double slots = static_cast<double>(CeilDiv(p.width, lanes)) *
                           (waste * k * static_cast<double>(p.outputs) + kSlotOverhead +
                            store * static_cast<double>(lanes)) +
                       static_cast<double>(p.width) * plane_elements * kPlaneElement;
  if (slots >= tiles) return;
  p.use = true;
  p.tasks = PixelTasks(p, context.workers);
  FillPixelTaps(window, p, TapTable(static_cast<void*>(state)));
  state->pixels = p;
}

}  // namespace floe::cpu
