#include "compiler/import/onnx/builder.h"

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/importer.h"

namespace floe::onnx {
namespace {

// AttributeProto.type.
constexpr int kFloatAttr = 1, kIntAttr = 2, kStringAttr = 3, kTensorAttr = 4, kGraphAttr = 5,
              kFloatsAttr = 6, kIntsAttr = 7, kStringsAttr = 8;

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

}  // namespace

NodeBuilder::NodeBuilder(Importer& importer, const NodeProto& node, const Row& row, int64_t opset,
                         std::vector<ir::Value*> inputs, ir::Provenance provenance)
    : Emitter(importer.graph(), std::move(provenance)),
      importer_(importer),
      node_(node),
      row_(row),
      opset_(opset),
      inputs_(std::move(inputs)),
      input_read_(inputs_.size()),
      attr_read_(static_cast<size_t>(node.attribute_size())),
      results_(static_cast<size_t>(node.output_size())) {}

// --- results ------------------------------------------------------------------------------------

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

// The first node that a converter emits takes the name of the output, the usual case; the others
// say what they are.
std::string NodeBuilder::NextName(OpId op) {
  std::string name = importer_.prefix();
  if (node_.output_size() > 0) name += node_.output(0);
  if (emitted_++ > 0) name += absl::StrFormat("/%s", OpRow(op).name);
  return name.empty() ? OpRow(op).name : name;  // A value without a name would be no value.
}

std::string NodeBuilder::ConstantName() {
  std::string name = importer_.prefix();
  if (node_.output_size() > 0) name += node_.output(0);
  if (row_.op != OpId::kIdentity || emitted_ > 0) name += "/constant";
  return name;
}

std::string NodeBuilder::ResultName(const std::string& first, size_t i) {
  if (WantsOutput(i)) return importer_.prefix() + node_.output(static_cast<int>(i));
  return Emitter::ResultName(first, i);
}

}  // namespace floe::onnx
