#include "compiler/import/onnx/builder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/importer.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/shapes.h"
#include "format/checked.h"
#include "format/tensor_info.h"

namespace floe::onnx {
namespace {

// AttributeProto.type.
constexpr int kFloatAttr = 1, kIntAttr = 2, kStringAttr = 3, kTensorAttr = 4, kGraphAttr = 5,
              kFloatsAttr = 6, kIntsAttr = 7, kStringsAttr = 8;

// Nodes over constants are evaluated at import if all they read and write is this small: shape
// arithmetic and operands that converters need as numbers. Larger ones are left to the passes.
constexpr int64_t kFoldElements = 4096;

// The work of these is bounded by what they read and write; that of a pool or a convolution is not.
bool CanFold(OpId op) { return op < OpId::kMatMul; }

// Files of IR version 3 may leave the type out; the field that is set tells it.
int TypeOf(const AttributeProto& a) {
  if (a.type() != 0) return a.type();
  if (a.has_f()) return kFloatAttr;
  if (a.has_i()) return kIntAttr;
  if (a.has_s()) return kStringAttr;
  if (a.has_t()) return kTensorAttr;
  if (a.has_g()) return kGraphAttr;
  if (a.floats_size() > 0) return kFloatsAttr;
  if (a.ints_size() > 0) return kIntsAttr;
  if (a.strings_size() > 0) return kStringsAttr;
  return 0;
}

int64_t Count(const ir::Value* v) {
  int64_t n = 1;
  for (const ir::Dim& d : v->shape()) {
    if (!d.is_constant() || !CheckedMul(n, d.constant(), &n)) return -1;
  }
  return n;
}

}  // namespace

NodeBuilder::NodeBuilder(Importer& importer, const NodeProto& node, const Row& row, int64_t opset,
                         std::vector<ir::Value*> inputs, ir::Provenance provenance)
    : importer_(importer),
      node_(node),
      row_(row),
      opset_(opset),
      inputs_(std::move(inputs)),
      input_read_(inputs_.size()),
      attr_read_(static_cast<size_t>(node.attribute_size())),
      results_(static_cast<size_t>(node.output_size())),
      provenance_(std::move(provenance)) {}

ir::Graph& NodeBuilder::graph() { return importer_.graph(); }

// --- errors --------------------------------------------------------------------------------------

void NodeBuilder::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
}

void NodeBuilder::Invalid(std::string message) { Fail(absl::InvalidArgumentError(message)); }

void NodeBuilder::Unsupported(std::string message) { Fail(absl::UnimplementedError(message)); }

ir::Value* NodeBuilder::Placeholder() {
  if (ok()) Invalid("internal: a placeholder without an error");
  return importer_.placeholder();
}

void NodeBuilder::RefuseLeftovers() {
  for (size_t i = 0; i < attr_read_.size(); ++i) {
    const AttributeProto& a = node_.attribute(static_cast<int>(i));
    if (attr_read_[i] || (!a.ref_attr_name().empty() && importer_.Resolve(a) == nullptr)) continue;
    Unsupported(absl::StrFormat("attribute '%s' has no mapping", a.name()));
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (!input_read_[i] && inputs_[i] != nullptr) {
      Unsupported(
          absl::StrFormat("input %d ('%s') has no mapping", i, node_.input(static_cast<int>(i))));
    }
  }
  for (size_t i = 0; i < results_.size(); ++i) {
    if (results_[i] == nullptr && WantsOutput(i)) {
      Unsupported(
          absl::StrFormat("output %d ('%s') has no mapping", i, node_.output(static_cast<int>(i))));
    }
  }
}

// --- operands ------------------------------------------------------------------------------------

void NodeBuilder::Mark(size_t i) {
  if (i < input_read_.size()) input_read_[i] = true;
}

ir::Value* NodeBuilder::In(size_t i) {
  Mark(i);
  if (HasInput(i)) return inputs_[i];
  Invalid(absl::StrFormat("input %d is missing", i));
  return Placeholder();
}

ir::Value* NodeBuilder::OptIn(size_t i) {
  Mark(i);
  return HasInput(i) ? inputs_[i] : nullptr;
}

size_t NodeBuilder::OutputCount() const { return results_.size(); }

bool NodeBuilder::WantsOutput(size_t i) const {
  return i < results_.size() && !node_.output(static_cast<int>(i)).empty();
}

void NodeBuilder::Out(size_t i, ir::Value* value) {
  if (i < results_.size()) results_[i] = value;
}

// --- attributes ----------------------------------------------------------------------------------

const AttributeProto* NodeBuilder::FindAttr(const char* name) {
  for (int i = 0; i < node_.attribute_size(); ++i) {
    const AttributeProto& a = node_.attribute(i);
    if (a.name() != name) continue;
    attr_read_[static_cast<size_t>(i)] = true;
    return importer_.Resolve(a);
  }
  return nullptr;
}

const AttributeProto* NodeBuilder::FindAttr(const char* name, int type) {
  const AttributeProto* a = FindAttr(name);
  if (a == nullptr) return nullptr;
  const int got = TypeOf(*a);
  // An empty list without a type is a list of anything.
  if (got == type || (got == 0 && type >= kFloatsAttr)) return a;
  Invalid(absl::StrFormat("attribute '%s' has the wrong type (%d, not %d)", name, got, type));
  return nullptr;
}

bool NodeBuilder::HasAttr(const char* name) { return FindAttr(name) != nullptr; }

int64_t NodeBuilder::Int(const char* name, int64_t fallback) {
  const AttributeProto* a = FindAttr(name, kIntAttr);
  return a == nullptr ? fallback : a->i();
}

double NodeBuilder::Float(const char* name, double fallback) {
  const AttributeProto* a = FindAttr(name, kFloatAttr);
  return a == nullptr ? fallback : static_cast<double>(a->f());
}

std::string NodeBuilder::String(const char* name, const char* fallback) {
  const AttributeProto* a = FindAttr(name, kStringAttr);
  return a == nullptr ? fallback : a->s();
}

std::vector<int64_t> NodeBuilder::Ints(const char* name) {
  const AttributeProto* a = FindAttr(name, kIntsAttr);
  if (a == nullptr) return {};
  return {a->ints().begin(), a->ints().end()};
}

std::vector<double> NodeBuilder::Floats(const char* name) {
  const AttributeProto* a = FindAttr(name, kFloatsAttr);
  if (a == nullptr) return {};
  return {a->floats().begin(), a->floats().end()};
}

std::vector<std::string> NodeBuilder::Strings(const char* name) {
  const AttributeProto* a = FindAttr(name, kStringsAttr);
  if (a == nullptr) return {};
  return {a->strings().begin(), a->strings().end()};
}

std::optional<ir::Tensor> NodeBuilder::TensorAttr(const char* name) {
  const AttributeProto* a = FindAttr(name, kTensorAttr);
  if (a == nullptr) return std::nullopt;
  absl::StatusOr<ir::Tensor> tensor = importer_.file().ToTensor(a->t());
  if (tensor.ok()) return *std::move(tensor);
  Fail(tensor.status());
  return std::nullopt;
}

const GraphProto* NodeBuilder::GraphAttr(const char* name) {
  const AttributeProto* a = FindAttr(name, kGraphAttr);
  return a == nullptr ? nullptr : &a->g();
}

// --- facts about values --------------------------------------------------------------------------

ir::Dim NodeBuilder::Dim(const ir::Value* v, int64_t axis) {
  if (axis >= 0 && axis < Rank(v)) return v->shape()[static_cast<size_t>(axis)];
  Invalid(absl::StrFormat("axis %d of '%s', which has rank %d", axis, v->name(), Rank(v)));
  return 1;
}

int64_t NodeBuilder::StaticDim(const ir::Value* v, int64_t axis) {
  const ir::Dim d = Dim(v, axis);
  // Far above any real size, and sums and products with window parameters cannot overflow.
  constexpr int64_t kLargest = int64_t{1} << 31;
  if (d.is_constant() && d.constant() <= kLargest) return d.constant();
  Unsupported(absl::StrFormat("needs axis %d of '%s' to be fixed and at most 2^31, but it is %s",
                              axis, v->name(), Text(d)));
  return 1;
}

int64_t NodeBuilder::Axis(int64_t axis, int64_t rank) {
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  Invalid(absl::StrFormat("axis %d is out of range for rank %d", axis, rank));
  return 0;
}

std::vector<int64_t> NodeBuilder::Axes(std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes) axis = Axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    if (ok()) Invalid("an axis is listed twice");
    return {};
  }
  return axes;
}

std::optional<ir::Tensor> NodeBuilder::ConstantOf(const ir::Value* v) const {
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

std::optional<std::vector<int64_t>> NodeBuilder::IntsOf(const ir::Value* v) const {
  const std::optional<ir::Tensor> t = ConstantOf(v);
  if (!t || !(IsInt(t->dtype()) || t->dtype() == DType::kBool)) return std::nullopt;
  if (t->count() > kFoldElements) return std::nullopt;
  std::vector<int64_t> values;
  for (int64_t i = 0; i < t->count(); ++i) values.push_back(t->IntAt(i));
  return values;
}

std::vector<ir::Dim> NodeBuilder::DimsOf(const ir::Value* v, const char* what) {
  if (v->content) return *v->content;
  if (const auto ints = IntsOf(v)) return {ints->begin(), ints->end()};
  Unsupported(
      absl::StrFormat("%s ('%s') is computed at run time; it must follow from constants "
                      "and from the inputs' dimensions",
                      what, v->name()));
  return {};
}

std::vector<int64_t> NodeBuilder::NumbersOf(const ir::Value* v, const char* what) {
  if (const auto ints = IntsOf(v)) return *ints;
  Unsupported(absl::StrFormat("%s ('%s') must be a constant; fix the dimensions that it depends on",
                              what, v->name()));
  return {};
}

std::optional<double> NodeBuilder::ScalarOf(const ir::Value* v) const {
  const std::optional<ir::Tensor> t = ConstantOf(v);
  if (!t || t->count() != 1) return std::nullopt;
  return t->DoubleAt(0);
}

int64_t NodeBuilder::Min(const ir::Dim& d) const { return d.Min(importer_.graph().symbols); }
int64_t NodeBuilder::Max(const ir::Dim& d) const { return d.Max(importer_.graph().symbols); }
std::string NodeBuilder::Text(const ir::Dim& d) const {
  return d.ToString(importer_.graph().symbols);
}
std::string NodeBuilder::Text(const ir::Shape& s) const {
  return ir::ShapeToString(s, importer_.graph().symbols);
}

ir::Dim NodeBuilder::Product(const ir::Shape& shape, size_t begin, size_t end) {
  ir::Dim product = 1;
  for (size_t i = begin; i < end && i < shape.size(); ++i) product = Mul(product, shape[i]);
  return product;
}

ir::Dim NodeBuilder::Add(const ir::Dim& a, const ir::Dim& b) {
  if (const auto r = ir::Dim::Add(a, b)) return *r;
  Invalid("a dimension overflows");
  return 1;
}

ir::Dim NodeBuilder::Sub(const ir::Dim& a, const ir::Dim& b) {
  if (const auto r = ir::Dim::Sub(a, b)) return *r;
  Invalid("a dimension overflows");
  return 1;
}

ir::Dim NodeBuilder::Mul(const ir::Dim& a, const ir::Dim& b) {
  if (const auto r = ir::Dim::Mul(a, b)) return *r;
  if (a.is_constant() || b.is_constant()) {
    Invalid("a dimension overflows");
  } else {
    Unsupported(absl::StrFormat("multiplies the dynamic dimensions %s and %s; fix one of them",
                                Text(a), Text(b)));
  }
  return 1;
}

// --- emission ------------------------------------------------------------------------------------

// The first node that a converter emits takes the name of the output, the usual case; the others
// say what they are.
std::string NodeBuilder::NextName(OpId op) {
  std::string name = importer_.prefix();
  if (node_.output_size() > 0) name += node_.output(0);
  if (emitted_++ > 0) name += absl::StrFormat("/%s", OpRow(op).name);
  return name.empty() ? OpRow(op).name : name;  // A value without a name would be no value.
}

ir::Value* NodeBuilder::Emit(OpId op, std::vector<ir::Value*> inputs, AttrList attrs,
                             std::optional<TensorType> type) {
  if (!ok()) return Placeholder();
  ir::Node* node = graph().AddNode(op, std::move(inputs), {NextName(op)}, provenance_);
  for (auto& [name, value] : attrs) node->attrs.emplace(name, std::move(value));
  if (type) node->output()->set_type(type->dtype, std::move(type->shape));
  if (absl::Status status = ir::InferNode(graph(), *node); !status.ok()) {
    graph().Erase(node);
    Fail(std::move(status));
    return Placeholder();
  }
  if (ir::Value* folded = TryFold(node)) return folded;
  return node->output();
}

std::vector<ir::Value*> NodeBuilder::EmitMany(OpId op, std::vector<ir::Value*> inputs,
                                              size_t outputs, AttrList attrs) {
  if (!ok()) return std::vector<ir::Value*>(outputs, Placeholder());
  const std::string name = NextName(op);
  std::vector<std::string> names;
  for (size_t i = 0; i < outputs; ++i) {
    const bool named = i > 0 && WantsOutput(i);
    names.push_back(named    ? importer_.prefix() + node_.output(static_cast<int>(i))
                    : i == 0 ? name
                             : absl::StrFormat("%s/%d", name, i));
  }
  ir::Node* node = graph().AddNode(op, std::move(inputs), std::move(names), provenance_);
  for (auto& [attr, value] : attrs) node->attrs.emplace(attr, std::move(value));
  if (absl::Status status = ir::InferNode(graph(), *node); !status.ok()) {
    graph().Erase(node);
    Fail(std::move(status));
    return std::vector<ir::Value*>(outputs, Placeholder());
  }
  return node->outputs();
}

// The constant that `node` computes, if it is small; then the node is gone. Else null.
ir::Value* NodeBuilder::TryFold(ir::Node* node) {
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
    absl::StatusOr<std::vector<ir::Tensor>> values = ir::EvaluateNode(graph(), *node, operands, {});
    // What cannot be computed now is kept: it may be dead, or fail at run time with its own error.
    if (!values.ok() || values->size() != 1) return nullptr;
    result = std::move(values->front());
  }
  const std::string name = y->name();
  graph().Erase(node);
  return graph().AddConstant(name, *std::move(result));
}

ir::Value* NodeBuilder::Reshape(ir::Value* x, ir::Shape shape) {
  if (!ok() || shape == x->shape()) return x;
  return Emit(OpId::kReshape, {x}, {}, TensorType{x->dtype(), std::move(shape)});
}

ir::Value* NodeBuilder::Transpose(ir::Value* x, std::vector<int64_t> perm) {
  return Emit(OpId::kTranspose, {x}, {{"perm", std::move(perm)}});
}

ir::Value* NodeBuilder::Cast(ir::Value* x, DType to) {
  if (!ok() || x->dtype() == to) return x;
  return Emit(OpId::kCast, {x}, {{"to", static_cast<int64_t>(to)}});
}

ir::Value* NodeBuilder::Expand(ir::Value* x, ir::Shape shape) {
  if (!ok() || shape == x->shape()) return x;
  return Emit(OpId::kExpand, {x}, {}, TensorType{x->dtype(), std::move(shape)});
}

ir::Value* NodeBuilder::Reduce(ReduceKind kind, ir::Value* x, std::vector<int64_t> axes,
                               bool keepdims) {
  return Emit(OpId::kReduce, {x},
              {{"kind", static_cast<int64_t>(kind)},
               {"axes", std::move(axes)},
               {"keepdims", static_cast<int64_t>(keepdims)}});
}

ir::Value* NodeBuilder::SliceAxis(ir::Value* x, int64_t axis, int64_t start, ir::Dim length) {
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

ir::Value* NodeBuilder::Constant(ir::Tensor tensor) {
  std::string name = importer_.prefix();
  if (node_.output_size() > 0) name += node_.output(0);
  if (row_.op != OpId::kIdentity || emitted_ > 0) name += "/constant";
  return graph().AddConstant(std::move(name), std::move(tensor));
}

ir::Value* NodeBuilder::Scalar(DType dtype, double v) {
  if (!ok()) return Placeholder();
  ir::Tensor t(dtype, {});
  t.SetDouble(0, v);
  return Constant(std::move(t));
}

ir::Value* NodeBuilder::IntVector(const std::vector<int64_t>& v) {
  ir::Tensor t(DType::kI64, {static_cast<int64_t>(v.size())});
  for (size_t i = 0; i < v.size(); ++i) t.SetInt(static_cast<int64_t>(i), v[i]);
  return Constant(std::move(t));
}

ir::Value* NodeBuilder::DimValue(const ir::Dim& d) {
  const auto number = [this](int64_t v) {
    ir::Tensor t(DType::kI64, {});
    t.SetInt(0, v);
    return Constant(std::move(t));
  };
  ir::Value* sum = number(d.constant());
  for (const auto& [symbol, coefficient] : d.terms()) {
    ir::Value* size = nullptr;
    for (ir::Value* input : graph().inputs()) {
      const auto& shape = input->shape();
      const auto it = std::find(shape.begin(), shape.end(), ir::Dim::OfSymbol(symbol));
      if (it == shape.end()) continue;
      const int64_t axis = it - shape.begin();
      size = Emit(OpId::kShapeOf, {input}, {{"start", axis}, {"end", axis + 1}});
      break;
    }
    if (size == nullptr) Invalid("internal: a symbol that is no input's dimension");
    if (!ok()) return Placeholder();
    size = Reshape(size, {});
    if (coefficient != 1) size = Binary(OpId::kMul, size, number(coefficient));
    sum = d.constant() == 0 && symbol == d.terms()[0].first ? size : Binary(OpId::kAdd, sum, size);
  }
  return sum;
}

}  // namespace floe::onnx
