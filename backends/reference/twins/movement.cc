// Plain twins of the data-moving families: for every element of the result, where it comes from.
#include <cstring>

#include "backends/halo.h"
#include "backends/reference/element.h"
#include "backends/reference/twins/twins.h"
#include "format/attrs.h"
#include "format/ops.h"

namespace floe::reference::twins {
namespace {

Status OneTask(const char* variant, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = variant;
  return OkStatus();
}

// Calls source(index, from): the logical index in input 0 of y's element `index`. False: no such
// element; `missing` is stored.
template <class F>
void MoveElements(const KernelArgs& args, const TensorInfo& x, const void* input,
                  const void* missing, F&& source) {
  const TensorInfo& y = args.op->outputs[0];
  char* out = static_cast<char*>(args.outputs[0]);
  ZeroHalo(y, out);
  const auto size = static_cast<size_t>(DTypeSize(y.dtype));
  int64_t count = 0;
  (void)ElementCount(y, &count);
  int64_t index[kMaxRank] = {}, from[kMaxRank] = {};
  for (int64_t i = 0; i < count; ++i) {
    const void* element = missing;
    if (source(index, from)) {
      element =
          static_cast<const char*>(input) + ElementOffset(x, from) * static_cast<int64_t>(size);
    }
    std::memcpy(out + ElementOffset(y, index) * static_cast<int64_t>(size), element, size);
    for (int a = y.rank - 1; a >= 0; --a) {
      if (++index[a] < y.dims[a]) break;
      index[a] = 0;
    }
  }
}

// Source coordinate of padded coordinate i on an axis of n elements; -1: the pad value.
int64_t PadFrom(PadMode mode, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  switch (mode) {
    case PadMode::kConstant:
      return -1;
    case PadMode::kEdge:
      return i < 0 ? 0 : n - 1;
    case PadMode::kWrap:
      return (i % n + n) % n;
    case PadMode::kReflect:
      while (n > 1 && (i < 0 || i >= n)) i = i < 0 ? -i : 2 * (n - 1) - i;
      return n > 1 ? i : 0;
  }
  return -1;
}

void StoreNumber(DType dtype, double v, unsigned char (&bytes)[8]) {
  const auto put = [&](auto x) { std::memcpy(bytes, &x, sizeof(x)); };
  switch (dtype) {
    case DType::kF32:
      return put(static_cast<float>(v));
    case DType::kF64:
      return put(v);
    case DType::kF16:
      return put(Narrow16<10, 15>::FromDouble(v));
    case DType::kBF16:
      return put(Narrow16<7, 127>::FromDouble(v));
    case DType::kBool:
      return put(static_cast<uint8_t>(v != 0 ? 1 : 0));
    case DType::kU64:
      return put(static_cast<uint64_t>(v));
    default:
      return put(static_cast<int64_t>(v));
  }
}

}  // namespace

Status PrepareCopy(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  return OneTask("copy__plain", schedule);
}
Rule RunCopy(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin == end) return Rule::kNone;
  const TensorInfo& x = args.op->inputs[0];
  MoveElements(args, x, args.inputs[0], nullptr, [&](const int64_t* index, int64_t* from) {
    std::memcpy(from, index, sizeof(int64_t) * x.rank);
    return true;
  });
  return Rule::kNone;
}

Status PrepareTranspose(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  return OneTask("transpose__plain", schedule);
}
Rule RunTranspose(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin == end) return Rule::kNone;
  const TensorInfo& x = args.op->inputs[0];
  MoveElements(args, x, args.inputs[0], nullptr, [&](const int64_t* index, int64_t* from) {
    for (int a = 0; a < x.rank; ++a) from[args.op->attrs[a]] = index[a];
    return true;
  });
  return Rule::kNone;
}

Status PrepareSlice(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  return OneTask("slice__plain", schedule);
}
Rule RunSlice(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin == end) return Rule::kNone;
  const TensorInfo& x = args.op->inputs[0];
  const int64_t* attrs = args.op->attrs;
  MoveElements(args, x, args.inputs[0], nullptr, [&](const int64_t* index, int64_t* from) {
    for (int a = 0; a < x.rank; ++a) from[a] = attrs[a] + index[a] * attrs[x.rank + a];
    return true;
  });
  return Rule::kNone;
}

Status PrepareExpand(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  return OneTask("expand__plain", schedule);
}
Rule RunExpand(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin == end) return Rule::kNone;
  const TensorInfo& x = args.op->inputs[0];
  const int shift = args.op->outputs[0].rank - x.rank;
  MoveElements(args, x, args.inputs[0], nullptr, [&](const int64_t* index, int64_t* from) {
    for (int a = 0; a < x.rank; ++a) from[a] = x.dims[a] == 1 ? 0 : index[a + shift];
    return true;
  });
  return Rule::kNone;
}

Status PrepareConcat(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  return OneTask("concat__plain", schedule);
}
Rule RunConcat(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin == end) return Rule::kNone;
  const OpInfo& op = *args.op;
  const TensorInfo& y = op.outputs[0];
  const int64_t axis = op.attrs[0];
  const int64_t size = DTypeSize(y.dtype);
  ZeroHalo(y, args.outputs[0]);
  int64_t at = 0;
  for (uint32_t i = 0; i < op.input_count; ++i) {
    const TensorInfo& x = op.inputs[i];
    int64_t count = 0;
    (void)ElementCount(x, &count);
    int64_t index[kMaxRank] = {}, to[kMaxRank] = {};
    for (int64_t k = 0; k < count; ++k) {
      std::memcpy(to, index, sizeof(index));
      to[axis] += at;
      std::memcpy(static_cast<char*>(args.outputs[0]) + ElementOffset(y, to) * size,
                  static_cast<const char*>(args.inputs[i]) + ElementOffset(x, index) * size,
                  static_cast<size_t>(size));
      for (int a = x.rank - 1; a >= 0; --a) {
        if (++index[a] < x.dims[a]) break;
        index[a] = 0;
      }
    }
    at += x.dims[axis];
  }
  return Rule::kNone;
}

Status PreparePad(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  return OneTask("pad__plain", schedule);
}
Rule RunPad(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin == end) return Rule::kNone;
  const TensorInfo& x = args.op->inputs[0];
  const int64_t* attrs = args.op->attrs;
  unsigned char value[8] = {};
  StoreNumber(x.dtype, WordFloat(attrs[1]), value);
  MoveElements(args, x, args.inputs[0], value, [&](const int64_t* index, int64_t* from) {
    for (int a = 0; a < x.rank; ++a) {
      from[a] = PadFrom(static_cast<PadMode>(attrs[0]), index[a] - attrs[2 + a], x.dims[a]);
      if (from[a] < 0) return false;
    }
    return true;
  });
  return Rule::kNone;
}

}  // namespace floe::reference::twins
