// Padding. PyTorch lists pairs (before, after) from the last axis on; negative ones cut off.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Dim;
using ir::Value;

struct Sides {
  std::vector<Dim> before, after;  // One for each axis.
};

Sides ReadSides(OpBuilder& b, const Value* x) {
  const std::vector<Dim> pads = b.SymInts(b.HasArg("pad") ? "pad" : "padding");
  Sides s{std::vector<Dim>(x->rank(), Dim(0)), std::vector<Dim>(x->rank(), Dim(0))};
  if (pads.size() % 2 != 0 || pads.size() / 2 > x->rank()) {
    if (b.ok()) b.Invalid(absl::StrFormat("%d pads for %d axes", pads.size(), x->rank()));
    return s;
  }
  for (size_t i = 0; i < pads.size() / 2; ++i) {
    s.before[x->rank() - 1 - i] = pads[2 * i];
    s.after[x->rank() - 1 - i] = pads[2 * i + 1];
  }
  return s;
}

// Cuts off what negative pads say, and clears them.
Value* Crop(OpBuilder& b, Value* x, Sides* s) {
  for (size_t i = 0; i < s->before.size() && b.ok(); ++i) {
    const auto cut = [&](Dim* d) -> int64_t {
      if (!d->is_constant() || d->constant() >= 0) return 0;
      const int64_t n = -d->constant();
      *d = 0;
      return n;
    };
    const int64_t begin = cut(&s->before[i]), end = cut(&s->after[i]);
    if (begin == 0 && end == 0) continue;
    const auto axis = static_cast<int64_t>(i);
    const Dim rest = b.Sub(b.Dim(x, axis), begin + end);
    if (b.Min(rest) < 0) {
      b.Invalid("negative pads cut off more than there is");
      return x;
    }
    x = b.Slice(x, axis, begin, rest);
  }
  return x;
}

bool AllConstant(const Sides& s) {
  const auto constant = [](const Dim& d) { return d.is_constant(); };
  return std::all_of(s.before.begin(), s.before.end(), constant) &&
         std::all_of(s.after.begin(), s.after.end(), constant);
}

std::vector<int64_t> Numbers(const std::vector<Dim>& dims) {
  std::vector<int64_t> numbers;
  for (const Dim& d : dims) numbers.push_back(d.constant());
  return numbers;
}

// Widths that depend on dimensions: tensors of the value are joined to x.
Value* PadByConcat(OpBuilder& b, Value* x, const Sides& s, double value) {
  for (size_t i = 0; i < s.before.size() && b.ok(); ++i) {
    std::vector<Value*> parts = {x};
    const auto side = [&](const Dim& width) {
      if (b.Min(width) < 0) b.Unsupported("pads that may be negative");
      ir::Shape shape = x->shape();
      shape[i] = width;
      return b.Full(x->dtype(), std::move(shape), value);
    };
    if (s.before[i] != Dim(0)) parts.insert(parts.begin(), side(s.before[i]));
    if (s.after[i] != Dim(0)) parts.push_back(side(s.after[i]));
    x = b.Concat(std::move(parts), static_cast<int64_t>(i));
  }
  return x;
}

void PadWith(OpBuilder& b, PadMode mode, double value) {
  Value* x = b.Tensor("self");
  if (!b.ok()) return;
  Sides s = ReadSides(b, x);
  x = Crop(b, x, &s);
  if (!b.ok()) return;
  if (!AllConstant(s)) {
    if (mode != PadMode::kConstant) return b.Unsupported("pads that depend on a dimension");
    return b.Return(PadByConcat(b, x, s, value));
  }
  const std::vector<int64_t> before = Numbers(s.before), after = Numbers(s.after);
  for (size_t i = 0; i < before.size(); ++i) {
    const int64_t most = std::max(before[i], after[i]), size = b.Min(x->shape()[i]);
    if ((mode == PadMode::kReflect && most > 0 && most >= size) ||
        (mode == PadMode::kWrap && most > size) ||
        (mode == PadMode::kEdge && most > 0 && size < 1)) {
      return b.Invalid(absl::StrFormat("a pad of %d is too wide for axis %d, whose size is %s",
                                       most, i, b.Text(x->shape()[i])));
    }
  }
  const auto none = [](const std::vector<int64_t>& v) {
    return std::all_of(v.begin(), v.end(), [](int64_t n) { return n == 0; });
  };
  if (none(before) && none(after)) return b.Return(x);
  b.Return(b.Emit(OpId::kPad, {x},
                  {{"mode", static_cast<int64_t>(mode)},
                   {"before", before},
                   {"after", after},
                   {"value", value}}));
}

void ConstantPad(OpBuilder& b) { PadWith(b, PadMode::kConstant, b.Float("value")); }

// `param` of a row: the mode.
void PlainPad(OpBuilder& b) { PadWith(b, static_cast<PadMode>(b.row().param), 0); }

void Pad(OpBuilder& b) {
  const std::string mode = b.String("mode");
  if (mode == "constant") return PadWith(b, PadMode::kConstant, b.Float("value", 0));
  if (mode == "reflect") return PadWith(b, PadMode::kReflect, 0);
  if (mode == "replicate") return PadWith(b, PadMode::kEdge, 0);
  if (mode == "circular") return PadWith(b, PadMode::kWrap, 0);
  b.Invalid("mode is '" + mode + "'");
}

constexpr int64_t kReflect = static_cast<int64_t>(PadMode::kReflect);
constexpr int64_t kEdge = static_cast<int64_t>(PadMode::kEdge);
// Sequences of several lengths as one tensor, filled up at the end, or at the start.
void PadSequence(OpBuilder& b) {
  const std::vector<Value*> xs = b.Tensors("sequences");
  const bool left = b.String("padding_side") == "left";
  if (b.ok() && xs.empty()) b.Invalid("pad_sequence() of no sequences");
  if (!b.ok()) return;
  int64_t longest = 0;
  for (const Value* x : xs) longest = std::max(longest, b.StaticDim(x, 0));
  std::vector<Value*> parts;
  for (Value* x : xs) {
    const int64_t missing = longest - b.StaticDim(x, 0);
    if (!b.ok()) return;
    if (missing > 0) {
      ir::Shape shape = x->shape();
      shape[0] = missing;
      Value* fill = b.Full(x->dtype(), std::move(shape), b.Float("padding_value"));
      x = left ? b.Concat({fill, x}, 0) : b.Concat({x, fill}, 0);
    }
    parts.push_back(b.Unsqueeze(x, b.Bool("batch_first") ? 0 : 1));
  }
  b.Return(b.Concat(std::move(parts), b.Bool("batch_first") ? 0 : 1));
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    {"aten::pad_sequence", PadSequence},
    {"aten::pad", Pad},
    {"aten::constant_pad_nd", ConstantPad},
    {"aten::reflection_pad1d", PlainPad, kNoIr, kReflect},
    {"aten::reflection_pad2d", PlainPad, kNoIr, kReflect},
    {"aten::reflection_pad3d", PlainPad, kNoIr, kReflect},
    {"aten::replication_pad1d", PlainPad, kNoIr, kEdge},
    {"aten::replication_pad2d", PlainPad, kNoIr, kEdge},
    {"aten::replication_pad3d", PlainPad, kNoIr, kEdge},
    {"aten::_pad_circular", PlainPad, kNoIr, static_cast<int64_t>(PadMode::kWrap)},
};

}  // namespace

std::span<const Row> PadRows() { return kRows; }

}  // namespace floe::aten
