#include "compiler/import/emitter.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/ir/control.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/shapes.h"
#include "format/checked.h"
#include "format/tensor_info.h"

namespace floe::import {
namespace {

// Nodes over constants are evaluated at import if all they read and write is this small: shape
// arithmetic and operands that converters need as numbers. Larger ones are left to the passes.
constexpr int64_t kFoldElements = 4096;

// The work of these is bounded by what they read and write; that of a pool or a convolution is not.
bool CanFold(OpId op) { return op < OpId::kMatMul; }

int64_t Count(const ir::Value* v) {
  int64_t n = 1;
  for (const ir::Dim& d : v->shape()) {
    if (!d.is_constant() || !CheckedMul(n, d.constant(), &n)) return -1;
  }
  return n;
}

}  // namespace

// --- errors --------------------------------------------------------------------------------------

void Emitter::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
}

void Emitter::Invalid(std::string message) { Fail(absl::InvalidArgumentError(message)); }

void Emitter::Unsupported(std::string message) { Fail(absl::UnimplementedError(message)); }

// One for each graph; the name marks it for those who read a dump of a failed import.
ir::Value* Emitter::Placeholder() {
  if (ok()) Invalid("internal: a placeholder without an error");
  constexpr char kName[] = "placeholder";
  ir::Value* known = graph_.FindValue(kName);
  if (known != nullptr && known->is_constant() && known->rank() == 0) return known;
  return graph_.AddConstant(kName, ir::Tensor(DType::kF32, {}));
}

// --- facts about values --------------------------------------------------------------------------

ir::Dim Emitter::Dim(const ir::Value* v, int64_t axis) {
  if (axis >= 0 && axis < Rank(v)) return v->shape()[static_cast<size_t>(axis)];
  Invalid(absl::StrFormat("axis %d of '%s', which has rank %d", axis, v->name(), Rank(v)));
  return 1;
}

int64_t Emitter::StaticDim(const ir::Value* v, int64_t axis) {
  const ir::Dim d = Dim(v, axis);
  // Far above any real size, and sums and products with window parameters cannot overflow.
  constexpr int64_t kLargest = int64_t{1} << 31;
  if (d.is_constant() && d.constant() <= kLargest) return d.constant();
  Unsupported(absl::StrFormat("needs axis %d of '%s' to be fixed and at most 2^31, but it is %s",
                              axis, v->name(), Text(d)));
  return 1;
}

int64_t Emitter::Axis(int64_t axis, int64_t rank) {
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  Invalid(absl::StrFormat("axis %d is out of range for rank %d", axis, rank));
  return 0;
}

std::vector<int64_t> Emitter::Axes(std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes) axis = Axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    if (ok()) Invalid("an axis is listed twice");
    return {};
  }
  return axes;
}

std::optional<ir::Tensor> Emitter::ConstantOf(const ir::Value* v) const {
  if (v->is_constant()) return v->constant();
  if (!v->content) return std::nullopt;
  for (const ir::Dim& d : *v->content) {
    if (!d.is_constant()) return std::nullopt;
  }
  if (Count(v) != static_cast<int64_t>(v->content->size())) return std::nullopt;
  ir::Tensor t(v->dtype(), v->StaticShape());
  for (size_t i = 0; i < v->content->size(); ++i) {
    t.SetInt(static_cast<int64_t>(i), (*v->content)[i].constant());
  }
  return t;
}

std::optional<std::vector<int64_t>> Emitter::IntsOf(const ir::Value* v) const {
  const std::optional<ir::Tensor> t = ConstantOf(v);
  if (!t || !(IsInt(t->dtype()) || t->dtype() == DType::kBool)) return std::nullopt;
  if (t->count() > kFoldElements) return std::nullopt;
  std::vector<int64_t> values;
  for (int64_t i = 0; i < t->count(); ++i) values.push_back(t->IntAt(i));
  return values;
}

std::vector<ir::Dim> Emitter::DimsOf(const ir::Value* v, const char* what) {
  if (v->content) return *v->content;
  if (const auto ints = IntsOf(v)) return {ints->begin(), ints->end()};
  Unsupported(
      absl::StrFormat("%s ('%s') is computed at run time; it must follow from constants "
                      "and from the inputs' dimensions",
                      what, v->name()));
  return {};
}

std::vector<int64_t> Emitter::NumbersOf(const ir::Value* v, const char* what) {
  if (const auto ints = IntsOf(v)) return *ints;
  Unsupported(absl::StrFormat("%s ('%s') must be a constant; fix the dimensions that it depends on",
                              what, v->name()));
  return {};
}

std::optional<double> Emitter::ScalarOf(const ir::Value* v) const {
  const std::optional<ir::Tensor> t = ConstantOf(v);
  if (!t || t->count() != 1) return std::nullopt;
  return t->DoubleAt(0);
}

int64_t Emitter::Min(const ir::Dim& d) const { return d.Min(graph_.symbols); }
int64_t Emitter::Max(const ir::Dim& d) const { return d.Max(graph_.symbols); }
std::string Emitter::Text(const ir::Dim& d) const { return d.ToString(graph_.symbols); }
std::string Emitter::Text(const ir::Shape& s) const { return ir::ShapeToString(s, graph_.symbols); }

ir::Dim Emitter::Product(const ir::Shape& shape, size_t begin, size_t end) {
  ir::Dim product = 1;
  for (size_t i = begin; i < end && i < shape.size(); ++i) product = Mul(product, shape[i]);
  return product;
}

ir::Dim Emitter::TooComplex() {
  Unsupported(
      "a size overflows, or has too many terms, factors or functions in one another; give one of "
      "the dimensions that it is made of a number with --dim");
  return 1;
}

ir::Dim Emitter::Add(const ir::Dim& a, const ir::Dim& b) {
  if (const auto r = ir::Dim::Add(a, b)) return *r;
  return TooComplex();
}

ir::Dim Emitter::Sub(const ir::Dim& a, const ir::Dim& b) {
  if (const auto r = ir::Dim::Sub(a, b)) return *r;
  return TooComplex();
}

ir::Dim Emitter::Mul(const ir::Dim& a, const ir::Dim& b) {
  if (const auto r = ir::Dim::Mul(a, b)) return *r;
  return TooComplex();
}

ir::Dim Emitter::DivFloor(const ir::Dim& a, int64_t divisor) {
  if (const auto r = ir::Dim::DivFloor(a, divisor)) return *r;
  return TooComplex();
}

ir::Dim Emitter::Larger(const ir::Dim& a, const ir::Dim& b) {
  const ir::Dim difference = Sub(a, b);
  if (Min(difference) >= 0) return a;
  if (Max(difference) <= 0) return b;
  if (const auto r = ir::Dim::Larger(a, b)) return *r;
  return TooComplex();
}

ir::Dim Emitter::Smaller(const ir::Dim& a, const ir::Dim& b) {
  const ir::Dim difference = Sub(a, b);
  if (Max(difference) <= 0) return a;
  if (Min(difference) >= 0) return b;
  if (const auto r = ir::Dim::Smaller(a, b)) return *r;
  return TooComplex();
}

// --- emission ------------------------------------------------------------------------------------

ir::Value* Emitter::Emit(OpId op, std::vector<ir::Value*> inputs, AttrList attrs,
                         std::optional<TensorType> type) {
  if (!ok()) return Placeholder();
  ir::Node* node = graph_.AddNode(op, std::move(inputs), {NextName(op)}, provenance_);
  for (auto& [name, value] : attrs) node->attrs.emplace(name, std::move(value));
  if (type) node->output()->set_type(type->dtype, std::move(type->shape));
  if (absl::Status status = ir::InferNode(graph_, *node); !status.ok()) {
    graph_.Erase(node);
    Fail(std::move(status));
    return Placeholder();
  }
  if (ir::Value* folded = TryFold(node)) return folded;
  return node->output();
}

std::string Emitter::ResultName(const std::string& first, size_t i) {
  return absl::StrFormat("%s/%d", first, i);
}

std::vector<ir::Value*> Emitter::EmitMany(OpId op, std::vector<ir::Value*> inputs, size_t outputs,
                                          AttrList attrs) {
  if (!ok()) return std::vector<ir::Value*>(outputs, Placeholder());
  const std::string name = NextName(op);
  std::vector<std::string> names;
  for (size_t i = 0; i < outputs; ++i) {
    names.push_back(i == 0 ? name : ResultName(name, i));
  }
  ir::Node* node = graph_.AddNode(op, std::move(inputs), std::move(names), provenance_);
  for (auto& [attr, value] : attrs) node->attrs.emplace(attr, std::move(value));
  if (absl::Status status = ir::InferNode(graph_, *node); !status.ok()) {
    graph_.Erase(node);
    Fail(std::move(status));
    return std::vector<ir::Value*>(outputs, Placeholder());
  }
  return node->outputs();
}

// The constant that `node` computes, if it is small; then the node is gone. Else null.
ir::Value* Emitter::TryFold(ir::Node* node) {
  ir::Value* y = node->output();
  const int64_t count = Count(y);
  if (count < 0 || count > kFoldElements || !CanFold(node->op())) return nullptr;
  std::optional<ir::Tensor> result = ConstantOf(y);
  if (!result) {
    std::vector<ir::Tensor> operands;
    for (const ir::Value* input : node->inputs()) {
      if (input == nullptr) {
        operands.emplace_back();
        continue;
      }
      std::optional<ir::Tensor> operand = ConstantOf(input);
      if (!operand || operand->count() > kFoldElements) return nullptr;
      operands.push_back(*std::move(operand));
    }
    absl::StatusOr<std::vector<ir::Tensor>> values = ir::EvaluateNode(graph_, *node, operands, {});
    // What cannot be computed now is kept: it may be dead, or fail at run time with its own error.
    if (!values.ok() || values->size() != 1) return nullptr;
    result = std::move(values->front());
  }
  const std::string name = y->name();
  graph_.Erase(node);
  return graph_.AddConstant(name, *std::move(result));
}

ir::Value* Emitter::Reshape(ir::Value* x, ir::Shape shape) {
  if (!ok() || shape == x->shape()) return x;
  return Emit(OpId::kReshape, {x}, {}, TensorType{x->dtype(), std::move(shape)});
}

ir::Value* Emitter::Transpose(ir::Value* x, std::vector<int64_t> perm) {
  return Emit(OpId::kTranspose, {x}, {{"perm", std::move(perm)}});
}

ir::Value* Emitter::Cast(ir::Value* x, DType to) {
  if (!ok() || x->dtype() == to) return x;
  return Emit(OpId::kCast, {x}, {{"to", static_cast<int64_t>(to)}});
}

ir::Value* Emitter::Expand(ir::Value* x, ir::Shape shape) {
  if (!ok() || shape == x->shape()) return x;
  return Emit(OpId::kExpand, {x}, {}, TensorType{x->dtype(), std::move(shape)});
}

ir::Value* Emitter::ReshapeChecked(ir::Value* x, ir::Shape shape) {
  if (!ok() || ir::SameCount(x->shape(), shape)) return Reshape(x, std::move(shape));
  const std::optional<ir::Dim> have = ir::CountQuotient(x->shape(), {});
  const std::optional<ir::Dim> want = ir::CountQuotient(shape, {});
  const std::optional<ir::Dim> rest = have && want ? ir::Dim::Sub(*have, *want) : std::nullopt;
  if (!rest || rest->is_constant() || Min(*rest) != 0) return Reshape(x, std::move(shape));
  const absl::Status checked = ir::AddDimCheck(
      graph_, *have, OpId::kEqual, *want,
      absl::StrFormat("%s does not have the elements of %s", Text(x->shape()), Text(shape)),
      provenance_);
  if (!checked.ok()) Fail(checked);
  return Reshape(SliceAxis(Reshape(x, {*have}), 0, 0, *want), std::move(shape));
}

ir::Value* Emitter::ReshapeRest(ir::Value* x, ir::Shape shape, size_t open) {
  if (!ok()) return Placeholder();
  ir::Shape others = shape;
  others.erase(others.begin() + static_cast<ptrdiff_t>(open));
  std::optional<ir::Dim> left = ir::CountQuotient(x->shape(), others);
  if (!left && !x->HasStaticShape()) {
    const std::optional<ir::Dim> have = ir::CountQuotient(x->shape(), {});
    const std::optional<ir::Dim> divisor = ir::CountQuotient(others, {});
    if (have && divisor && divisor->is_constant()) {
      left = ir::Dim::DivFloor(*have, divisor->constant());
    }
  }
  if (left) {
    shape[open] = *left;
    return ReshapeChecked(x, std::move(shape));
  }
  const std::string what = absl::StrFormat("cannot reshape %s to %s with one dimension left over",
                                           Text(x->shape()), Text(others));
  if (x->HasStaticShape()) {
    Invalid(what);
  } else {
    Unsupported(what + ": the quotient is not whole for every size; fix one of them with --dim");
  }
  return Placeholder();
}

ir::Value* Emitter::Reduce(ReduceKind kind, ir::Value* x, std::vector<int64_t> axes,
                           bool keepdims) {
  return Emit(OpId::kReduce, {x},
              {{"kind", static_cast<int64_t>(kind)},
               {"axes", std::move(axes)},
               {"keepdims", static_cast<int64_t>(keepdims)}});
}

ir::Value* Emitter::SliceAxis(ir::Value* x, int64_t axis, int64_t start, ir::Dim length) {
  if (!ok()) return Placeholder();
  ir::Shape shape = x->shape();
  if (start == 0 && shape[static_cast<size_t>(axis)] == length) return x;
  std::vector<int64_t> starts(shape.size(), 0), steps(shape.size(), 1);
  starts[static_cast<size_t>(axis)] = start;
  shape[static_cast<size_t>(axis)] = std::move(length);
  return Emit(OpId::kSlice, {x}, {{"starts", std::move(starts)}, {"steps", std::move(steps)}},
              TensorType{x->dtype(), std::move(shape)});
}

// --- constants -----------------------------------------------------------------------------------

ir::Value* Emitter::Constant(ir::Tensor tensor) {
  return graph_.AddConstant(ConstantName(), std::move(tensor));
}

ir::Value* Emitter::Scalar(DType dtype, double v) {
  if (!ok()) return Placeholder();
  ir::Tensor t(dtype, {});
  t.SetDouble(0, v);
  return Constant(std::move(t));
}

ir::Value* Emitter::IntVector(const std::vector<int64_t>& v) {
  ir::Tensor t(DType::kI64, {static_cast<int64_t>(v.size())});
  for (size_t i = 0; i < v.size(); ++i) t.SetInt(static_cast<int64_t>(i), v[i]);
  return Constant(std::move(t));
}

ir::Value* Emitter::SizeOf(ir::Value* count, int64_t min, int64_t max) {
  if (!ok()) return Placeholder();
  if (count->content || IntsOf(count)) return count;
  for (ir::Node* user : count->users()) {
    if (user->op() == OpId::kSize) return user->output();
  }
  absl::StatusOr<ir::Value*> size =
      ir::AddSize(graph_, count, NextName(OpId::kSize), min, max, provenance_);
  if (size.ok()) return *size;
  Fail(size.status());
  return Placeholder();
}

void Emitter::Check(ir::Value* condition, std::string message) {
  if (!ok()) return;
  const auto check = ir::AddCheck(graph_, condition, std::move(message), provenance_);
  if (!check.ok()) Fail(check.status());
}

ir::Value* Emitter::Nonzero(ir::Value* x, int64_t least) {
  if (!ok()) return Placeholder();
  // Of one mask there is one count, so that what is taken and put back by it fits.
  for (ir::Node* user : x->users()) {
    if (user->op() == OpId::kNonzero && user->input(0) == x) return user->output();
  }
  ir::Value* mask = x->dtype() == DType::kBool ? x : Binary(OpId::kNotEqual, x, ScalarLike(x, 0));
  ir::Value* count = Cast(mask, DType::kI64);
  if (x->rank() > 0) {
    std::vector<int64_t> axes(x->rank());
    for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
    count = Reduce(ReduceKind::kSum, count, std::move(axes), /*keepdims=*/false);
  }
  const int64_t most = ok() ? Max(Product(x->shape(), 0, x->rank())) : 0;
  ir::Value* size = SizeOf(count, least, std::min(most, kNoBound));
  return Emit(OpId::kNonzero, {mask, size});
}

ir::Value* Emitter::DimValue(const ir::Dim& d) {
  if (!ok()) return Placeholder();
  if (d.is_constant()) {
    ir::Tensor t(DType::kI64, {});
    t.SetInt(0, d.constant());
    return Constant(std::move(t));
  }
  absl::StatusOr<ir::Value*> size = ir::AddDim(graph_, d, NextName(OpId::kDimsOf), provenance_);
  if (size.ok()) return *size;
  Fail(size.status());
  return Placeholder();
}

}  // namespace floe::import
