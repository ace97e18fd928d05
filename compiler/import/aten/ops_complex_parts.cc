// Ops that act on the real and on the imaginary parts of complex tensors alone, because they move
// elements or are linear: the op's plain row, twice.
#include <algorithm>

#include "compiler/import/aten/complex.h"
#include "compiler/import/aten/ops.h"
#include "compiler/import/aten/promotion.h"

namespace floe::aten {
namespace {

using ir::Value;

// Values of `param`.
enum : int64_t {
  kMixes = 1,   // Real tensors and numbers among the operands are complex ones.
  kCopies = 2,  // Copies what does not lie in order.
  kWrites = 3,  // Writes values at places: those count as complex ones, the places do not.
};

// An argument with each complex tensor replaced by one of its parts. With `mix`, real tensors other
// than masks count as complex ones, too.
IValue PartArgument(OpBuilder& b, const IValue& v, int64_t which, bool mix) {
  if (IsComplex(v)) return b.Wrap(ComplexPart(b, b.AsTensor(v), which));
  if (mix && v.is_tensor() && which == 1) {
    Value* x = b.AsTensor(v);
    return x->dtype() == DType::kBool ? v : b.Wrap(ZeroLike(b, x));
  }
  if (mix && v.is_number() && which == 1) return IValue::Float(0);
  if (!v.is_sequence()) return v;
  std::vector<IValue> items;
  for (const IValue& item : v.items()) items.push_back(PartArgument(b, item, which, mix));
  return IValue::ListOf(std::move(items), v.list()->element);
}

std::vector<IValue> PartArguments(OpBuilder& b, int64_t which, bool mix) {
  std::vector<IValue> arguments;
  for (const Argument& a : b.schema().arguments) {
    // Of numbers only fill values are complex ones, and of what is written somewhere the values.
    const bool value = a.name == "value" || a.name == "other" || a.name == "self";
    const bool written = a.name == "values" || a.name == "source" || a.name == "src";
    const bool fills = b.row().param == kWrites
                           ? value || written
                           : mix && (a.type.base == BaseType::kTensor || value);
    IValue v = PartArgument(b, b.Arg(a.name), which, fills);
    if (a.name == "dtype" && v.is_constant_int()) {
      const DType part = RealPartOfScalarType(v.int_value());
      if (part == DType::kNone) b.Unsupported("complex numbers with a real result type");
      v = IValue::Int(ScalarTypeOfDType(part));
    }
    arguments.push_back(std::move(v));
  }
  return arguments;
}

bool AnyComplex(const std::vector<IValue>& values) {
  return std::any_of(values.begin(), values.end(), [](const IValue& v) {
    return IsComplex(v) || (v.is_sequence() && AnyComplex(v.items()));
  });
}

IValue JoinResults(OpBuilder& b, const IValue& re, const IValue& im) {
  if (re.is_tensor() && im.is_tensor()) {
    Value* pairs = JoinParts(b, {b.AsTensor(re), b.AsTensor(im)});
    IValue joined = b.context().NewTensor(pairs, Form::kComplex);
    joined.variable()->contiguous = re.variable()->contiguous;
    return joined;
  }
  if (!re.is_sequence() || !im.is_sequence()) return re;
  std::vector<IValue> items;
  for (size_t i = 0; i < re.items().size() && i < im.items().size(); ++i) {
    items.push_back(JoinResults(b, re.items()[i], im.items()[i]));
  }
  return IValue::ListOf(std::move(items), Kind::kTensor);
}

void Componentwise(OpBuilder& b) {
  const bool mix = b.row().param == kMixes || b.row().param == kWrites;
  std::vector<IValue> given;
  for (const Argument& a : b.schema().arguments) given.push_back(b.Arg(a.name));
  if (!AnyComplex(given)) return b.Unsupported("a complex result of real numbers");
  if (b.row().param == kCopies) b.is_copy = !given[0].variable()->contiguous;
  const std::vector<IValue> re = b.CallPlain(PartArguments(b, 0, mix));
  const std::vector<IValue> im = b.CallPlain(PartArguments(b, 1, mix));
  for (size_t i = 0; b.ok() && i < re.size() && i < im.size(); ++i) {
    b.Return(JoinResults(b, re[i], im[i]));
  }
}

// Writes through a view by the plain row's writer, part by part.
Value* WriteComponents(OpBuilder& b, Value* base, Value* view) {
  const Row* plain = FindRow(b.schema());
  if (plain == nullptr || plain->write == nullptr) {
    b.Unsupported("an in-place write through this view of complex numbers");
    return base;
  }
  Value* parts[2] = {base, base};
  for (int64_t which = 0; which < 2 && b.ok(); ++which) {
    Value* old = ComplexPart(b, base, which);
    std::vector<IValue> arguments;
    for (const Argument& a : b.schema().arguments) arguments.push_back(b.Arg(a.name));
    arguments[0] = b.Wrap(old);
    OpBuilder part(b.context(), b.schema(), *plain, arguments, b.site());
    part.view_index = b.view_index;
    parts[which] = plain->write(part, old, ComplexPart(b, view, which));
    b.Fail(part.status());
  }
  return b.ok() ? JoinParts(b, {parts[0], parts[1]}) : base;
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    // Views.
    {"aten::view", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::reshape", Componentwise, kNoIr, kCopies, true, WriteComponents},
    {"aten::_unsafe_view", Componentwise},
    {"aten::flatten", Componentwise, kNoIr, kCopies, true, WriteComponents},
    {"aten::unflatten", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::squeeze", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::unsqueeze", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::permute", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::transpose", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::swapaxes", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::swapdims", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::t", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::mT", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::numpy_T", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::movedim", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::moveaxis", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::expand", Componentwise, kNoIr, 0, true},
    {"aten::expand_as", Componentwise, kNoIr, 0, true},
    {"aten::broadcast_to", Componentwise, kNoIr, 0, true},
    {"aten::slice.Tensor", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::narrow", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::select.int", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::split", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::split_with_sizes", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::chunk", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::tensor_split", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::unbind", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::diagonal", Componentwise, kNoIr, 0, true, WriteComponents},
    {"aten::unfold", Componentwise, kNoIr, 0, true},
    {"aten::detach", Componentwise, kNoIr, 0, true, WritePairs},
    {"aten::alias", Componentwise, kNoIr, 0, true, WritePairs},
    {"aten::lift_fresh_copy", Componentwise},
    {"aten::clone", Componentwise},
    // Movement and linear maps.
    {"aten::cat", Componentwise, kNoIr, kMixes},
    {"aten::concat", Componentwise, kNoIr, kMixes},
    {"aten::stack", Componentwise, kNoIr, kMixes},
    {"aten::hstack", Componentwise, kNoIr, kMixes},
    {"aten::vstack", Componentwise, kNoIr, kMixes},
    {"aten::where.self", Componentwise, kNoIr, kMixes},
    {"aten::where.ScalarSelf", Componentwise, kNoIr, kMixes},
    {"aten::where.ScalarOther", Componentwise, kNoIr, kMixes},
    {"aten::masked_fill", Componentwise, kNoIr, kMixes},
    {"aten::copy", Componentwise, kNoIr, kMixes},
    {"aten::fill", Componentwise, kNoIr, kMixes},
    {"aten::zero", Componentwise},
    {"aten::repeat", Componentwise},
    {"aten::tile", Componentwise},
    {"aten::repeat_interleave.self_int", Componentwise},
    {"aten::flip", Componentwise},
    {"aten::roll", Componentwise},
    {"aten::tril", Componentwise},
    {"aten::triu", Componentwise},
    {"aten::index.Tensor", Componentwise},
    {"aten::index_select", Componentwise},
    {"aten::gather", Componentwise},
    {"aten::slice_scatter", Componentwise, kNoIr, kMixes},
    {"aten::select_scatter", Componentwise, kNoIr, kMixes},
    {"aten::pad", Componentwise, kNoIr, kMixes},
    {"aten::constant_pad_nd", Componentwise, kNoIr, kMixes},
    {"aten::reflection_pad1d", Componentwise},
    {"aten::reflection_pad2d", Componentwise},
    {"aten::sum", Componentwise},
    {"aten::mean", Componentwise},
    {"aten::cumsum", Componentwise},
    {"aten::trace", Componentwise},
    {"aten::diff", Componentwise, kNoIr, kMixes},
    {"aten::column_stack", Componentwise, kNoIr, kMixes},
    {"aten::dstack", Componentwise, kNoIr, kMixes},
    {"aten::block_diag", Componentwise, kNoIr, kMixes},
    {"aten::diag", Componentwise},
    {"aten::diag_embed", Componentwise},
    {"aten::rot90", Componentwise},
    {"aten::fliplr", Componentwise},
    {"aten::flipud", Componentwise},
    {"aten::take", Componentwise},
    {"aten::take_along_dim", Componentwise},
    // Writes at places.
    {"aten::index_put", Componentwise, kNoIr, kWrites},
    {"aten::_unsafe_index_put", Componentwise, kNoIr, kWrites},
    {"aten::_index_put_impl", Componentwise, kNoIr, kWrites},
    {"aten::index_add", Componentwise, kNoIr, kWrites},
    {"aten::index_copy", Componentwise, kNoIr, kWrites},
    {"aten::index_fill", Componentwise, kNoIr, kWrites},
    {"aten::scatter.src", Componentwise, kNoIr, kWrites},
    {"aten::scatter.value", Componentwise, kNoIr, kWrites},
    {"aten::scatter_add", Componentwise, kNoIr, kWrites},
    {"aten::masked_scatter", Componentwise, kNoIr, kWrites},
    {"aten::put", Componentwise, kNoIr, kWrites},
};

}  // namespace

std::span<const Row> ComplexPartRows() { return kRows; }

}  // namespace floe::aten
