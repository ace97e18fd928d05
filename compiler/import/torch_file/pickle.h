// A reader for the part of Python's pickle format that PyTorch's files use: protocols 2 to 4, a
// fixed list of globals, no code execution of any kind.
#ifndef FLOE_COMPILER_IMPORT_TORCH_FILE_PICKLE_H_
#define FLOE_COMPILER_IMPORT_TORCH_FILE_PICKLE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/torch_file/archive.h"
#include "compiler/import/torch_file/dtypes.h"
#include "compiler/import/torch_file/tensors.h"
#include "compiler/ir/graph.h"

namespace floe::torch_file {

class PickleValue;

// The memory of one or more tensors. Tensors that share a Storage share memory (tied weights).
struct Storage {
  std::string key;                           // The entry's name: "0".
  ScalarType type = ScalarType::kUndefined;  // kUndefined: untyped, counted in bytes.
  std::string device;                        // "cpu", "cuda:0".
  int64_t numel = 0;
  Blob blob;  // Filled when a tensor of it is read first.
  bool read = false;
};

struct TensorRecord {
  Storage* storage = nullptr;
  TensorLayout layout;
  bool requires_grad = false;
  bool is_parameter = false;
  // Quantised tensors only.
  enum class QScheme { kNone, kPerTensorAffine, kPerChannelAffine };
  QScheme qscheme = QScheme::kNone;
  double scale = 1;
  int64_t zero_point = 0;
  const PickleValue* scales = nullptr;  // Tensors, kPerChannelAffine only.
  const PickleValue* zero_points = nullptr;
  int64_t axis = 0;
};

// One Python value. Owned by its PickleDocument; two references to one Python object are two
// pointers to one PickleValue. There are no cycles, and no path is deeper than kMaxPickleDepth; but
// values can be shared so often that a walk without a memo does not end in reasonable time.
class PickleValue {
 public:
  enum class Kind {
    kNone,
    kBool,
    kInt,  // Of at most 64 bits.
    kFloat,
    kComplex,
    kString,
    kBytes,
    kList,
    kTuple,
    kDict,  // Also OrderedDict.
    kSet,
    kTensor,
    kQuantizedTensor,
    kObject,   // An instance of a class: its name and state, uninterpreted.
    kDevice,   // text(): "cpu", "cuda:0".
    kDType,    // scalar_type().
    kGlobal,   // A class, function or constant by name, such as torch.channels_last.
    kStorage,  // A storage that is a value by itself.
  };

  Kind kind() const { return kind_; }
  const char* KindName() const;  // "a list", for messages.
  bool is(Kind kind) const { return kind_ == kind; }

  // Getters REQUIRE the kinds that their comments name.
  bool AsBool() const { return integer_ != 0; }    // kBool
  int64_t AsInt() const { return integer_; }       // kInt, kBool
  double AsFloat() const { return real_; }         // kFloat; the real part of kComplex
  double imaginary() const { return imaginary_; }  // kComplex
  // kString, kBytes, kDevice; the full name "module.name" of kGlobal and of kObject's class.
  const std::string& text() const { return text_; }
  // kList, kTuple, kSet: the items. kDict: key, value, key, value... in order of insertion.
  // kObject: the arguments that it was made with.
  const std::vector<const PickleValue*>& items() const { return items_; }
  size_t dict_size() const { return items_.size() / 2; }
  // kDict: the value of a string key; null if there is none. O(size).
  const PickleValue* Find(std::string_view key) const;
  // kObject: what __setstate__ would get; null if there was none. An object whose state is a dict
  // has its attributes there.
  const PickleValue* state() const { return state_; }
  const TensorRecord& tensor() const { return *tensor_; }  // kTensor, kQuantizedTensor
  ScalarType scalar_type() const { return static_cast<ScalarType>(integer_); }  // kDType
  Storage* storage() const { return storage_; }                                 // kStorage
  // TorchScript's type annotation of a container ("List[int]"); empty if there is none.
  const std::string& type_tag() const { return type_tag_; }

 private:
  friend class PickleDocument;
  friend class Unpickler;
  Kind kind_ = Kind::kNone;
  int64_t integer_ = 0;
  double real_ = 0;
  double imaginary_ = 0;
  std::string text_;
  std::string type_tag_;
  std::vector<const PickleValue*> items_;
  const PickleValue* state_ = nullptr;
  std::unique_ptr<TensorRecord> tensor_;
  Storage* storage_ = nullptr;
  int depth_ = 0;  // Of the tree below, once it is known.
};

inline constexpr int kMaxPickleDepth = 400;

struct PickleOptions {
  int64_t max_bytes = int64_t{256} << 20;  // Of the pickle itself, tensors not counted.
  int64_t max_values = 1 << 21;
  // Classes of TorchScript's own name space (`__torch__.Net`) become kObject. Others never do.
  bool allow_script_classes = true;
};

// Gives the bytes of the storage with that key.
using StorageReader = std::function<absl::StatusOr<Blob>(const std::string& key)>;

// Storages by key.
using StorageTable = std::map<std::string, std::unique_ptr<Storage>>;

class PickleDocument {
 public:
  // Reads a pickle. Bytes of storages are read when ToTensor asks for them. Errors name the byte
  // offset and the opcode: kInvalidArgument (damaged), kPermissionDenied (a global that is not on
  // the list: the file wants to run code or holds a class that is no plain data),
  // kResourceExhausted (a limit).
  static absl::StatusOr<std::unique_ptr<PickleDocument>> Parse(std::string_view bytes,
                                                               StorageReader reader,
                                                               const PickleOptions& options = {});

  const PickleValue* root() const { return root_; }
  // All storages that the pickle names, by key.
  const StorageTable& storages() const { return storages_; }

  // The tensor of a kTensor, or the integers of a kQuantizedTensor; see MakeTensor. `name` is for
  // errors.
  absl::StatusOr<ir::Tensor> ToTensor(const PickleValue& value, const std::string& name) const;

 private:
  friend class Unpickler;
  PickleDocument() = default;
  absl::Status CheckTree();
  std::deque<PickleValue> values_;
  StorageTable storages_;
  StorageReader reader_;
  const PickleValue* root_ = nullptr;
};

}  // namespace floe::torch_file

#endif  // FLOE_COMPILER_IMPORT_TORCH_FILE_PICKLE_H_
