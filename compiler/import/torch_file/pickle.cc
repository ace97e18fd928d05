#include "compiler/import/torch_file/pickle.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torch_file/unpickler.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_file {

const char* PickleValue::KindName() const {
  switch (kind_) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "a bool";
    case Kind::kInt:
      return "an integer";
    case Kind::kFloat:
      return "a float";
    case Kind::kComplex:
      return "a complex number";
    case Kind::kString:
      return "a string";
    case Kind::kBytes:
      return "bytes";
    case Kind::kList:
      return "a list";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kDict:
      return "a dictionary";
    case Kind::kSet:
      return "a set";
    case Kind::kTensor:
      return "a tensor";
    case Kind::kQuantizedTensor:
      return "a quantised tensor";
    case Kind::kObject:
      return "an object";
    case Kind::kDevice:
      return "a device";
    case Kind::kDType:
      return "a dtype";
    case Kind::kGlobal:
      return "a class or function";
    case Kind::kStorage:
      return "a storage";
  }
  return "?";
}

const PickleValue* PickleValue::Find(std::string_view key) const {
  // The last one counts, as in Python.
  for (size_t i = items_.size() / 2; i-- > 0;) {
    const PickleValue& k = *items_[2 * i];
    if (k.is(Kind::kString) && k.text() == key) return items_[2 * i + 1];
  }
  return nullptr;
}

namespace {

constexpr int kBeingVisited = -1;

// What a walk goes into.
size_t ChildCount(const PickleValue& value) {
  size_t n = value.items().size() + (value.state() != nullptr ? 1 : 0);
  return n;
}

const PickleValue* Child(const PickleValue& value, size_t i) {
  return i < value.items().size() ? value.items()[i] : value.state();
}

}  // namespace

// Finds cycles and measures depths without recursion: each value is visited once.
absl::Status PickleDocument::CheckTree() {
  struct Frame {
    PickleValue* value;
    size_t next;
    int deepest;
  };
  if (root_ == nullptr) return absl::InvalidArgumentError("the pickle is empty");
  std::vector<Frame> stack = {{const_cast<PickleValue*>(root_), 0, 0}};
  stack[0].value->depth_ = kBeingVisited;
  while (!stack.empty()) {
    Frame& frame = stack.back();
    if (frame.next == ChildCount(*frame.value)) {
      const int depth = frame.deepest + 1;
      frame.value->depth_ = depth;
      stack.pop_back();
      if (!stack.empty()) stack.back().deepest = std::max(stack.back().deepest, depth);
      continue;
    }
    auto* child = const_cast<PickleValue*>(Child(*frame.value, frame.next++));
    if (child->depth_ == kBeingVisited) {
      return absl::InvalidArgumentError("the pickle holds a container that contains itself");
    }
    if (child->depth_ > 0) {
      frame.deepest = std::max(frame.deepest, child->depth_);
    } else {
      child->depth_ = kBeingVisited;
      stack.push_back({child, 0, 0});
    }
    const bool too_deep = static_cast<int>(stack.size()) > kMaxPickleDepth ||
                          static_cast<int>(stack.size()) + stack.back().deepest > kMaxPickleDepth;
    if (too_deep) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the pickle's values are nested over %d deep", kMaxPickleDepth));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PickleDocument>> PickleDocument::Parse(
    std::string_view bytes, StorageReader reader, const PickleOptions& options) {
  if (static_cast<int64_t>(bytes.size()) > options.max_bytes) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "the pickle has %d bytes, over the limit of %d", bytes.size(), options.max_bytes));
  }
  std::unique_ptr<PickleDocument> document(new PickleDocument);
  document->reader_ = std::move(reader);
  Unpickler unpickler(bytes, options, document.get());
  FLOE_TRY(unpickler.Run());
  FLOE_TRY(document->CheckTree());
  return document;
}

absl::StatusOr<ir::Tensor> PickleDocument::ToTensor(const PickleValue& value,
                                                    const std::string& name) const {
  if (!value.is(PickleValue::Kind::kTensor) && !value.is(PickleValue::Kind::kQuantizedTensor)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' is %s where a tensor is expected", name, value.KindName()));
  }
  const TensorRecord& record = value.tensor();
  Storage& storage = *record.storage;
  if (!storage.read) {
    if (storage.device.starts_with("meta")) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "tensor '%s' is on the device meta: it has no data. Save the model with its weights",
          name));
    }
    if (reader_ == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrFormat("tensor '%s': there is nothing to read its data from", name));
    }
    absl::StatusOr<Blob> blob = reader_(storage.key);
    if (!blob.ok()) {
      return absl::Status(blob.status().code(), absl::StrFormat("the data of tensor '%s': %s", name,
                                                                blob.status().message()));
    }
    storage.blob = *std::move(blob);
    storage.read = true;
  }
  return MakeTensor(storage.blob, record.layout, name);
}

}  // namespace floe::torch_file
