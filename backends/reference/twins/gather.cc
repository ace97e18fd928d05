// Also what all cpu tables use: rows are copied by memcpy, which is as fast as memory allows.
#include <cstring>

#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {
namespace {

struct Rows {
  int64_t outer = 1, axis = 1, indices = 1, inner_bytes = 1;
};

Rows RowsOf(const OpInfo& op) {
  Rows r;
  const TensorInfo& x = op.inputs[0];
  for (int a = 0; a < op.attrs[0]; ++a) r.outer *= x.dims[a];
  r.axis = x.dims[op.attrs[0]];
  for (int a = 0; a < op.inputs[1].rank; ++a) r.indices *= op.inputs[1].dims[a];
  r.inner_bytes = DTypeSize(x.dtype);
  for (int a = static_cast<int>(op.attrs[0]) + 1; a < x.rank; ++a) r.inner_bytes *= x.dims[a];
  return r;
}

constexpr int64_t kTaskBytes = 64 << 10;

}  // namespace

Status PrepareGather(const OpInfo& op, const PrepareContext& context, void* state,
                     Schedule* schedule) {
  const Rows r = RowsOf(op);
  const int64_t rows = r.outer * r.indices;
  int64_t tasks = rows * r.inner_bytes / kTaskBytes + 1;
  const int64_t limit = context.workers <= 1 ? 1 : 4 * static_cast<int64_t>(context.workers);
  if (tasks > limit) tasks = limit;
  if (tasks > rows) tasks = rows;
  schedule->phases = 1;
  schedule->tasks = static_cast<uint32_t>(tasks);
  schedule->variant = "gather_rows";
  *static_cast<uint32_t*>(state) = schedule->tasks;
  return OkStatus();
}

Rule RunGather(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const OpInfo& op = *args.op;
  const Rows r = RowsOf(op);
  const int64_t rows = r.outer * r.indices;
  const uint32_t tasks = *static_cast<const uint32_t*>(args.state);
  if (begin == end) return Rule::kNone;  // Without rows there are no tasks to divide by.
  const int64_t first = rows * begin / tasks;
  const int64_t last = rows * end / tasks;
  const auto* x = static_cast<const uint8_t*>(args.inputs[0]);
  auto* y = static_cast<uint8_t*>(args.outputs[0]);
  for (int64_t row = first; row < last; ++row) {
    const int64_t i = row % r.indices;
    int64_t index = op.inputs[1].dtype == DType::kI64
                        ? static_cast<const int64_t*>(args.inputs[1])[i]
                        : static_cast<const int32_t*>(args.inputs[1])[i];
    if (index < -r.axis || index >= r.axis) return Rule::kRunIndex;
    if (index < 0) index += r.axis;
    const int64_t from = (row / r.indices) * r.axis + index;
    std::memcpy(y + row * r.inner_bytes, x + from * r.inner_bytes,
                static_cast<size_t>(r.inner_bytes));
  }
  return Rule::kNone;
}

}  // namespace floe::reference::twins
