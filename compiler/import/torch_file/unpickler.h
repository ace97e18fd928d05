// Internal to the pickle reader: the stack machine. unpickler.cc has the machine, opcodes.cc what
// the opcodes do, globals.cc what the known names mean when they are called.
#ifndef FLOE_COMPILER_IMPORT_TORCH_FILE_UNPICKLER_H_
#define FLOE_COMPILER_IMPORT_TORCH_FILE_UNPICKLER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/torch_file/pickle.h"

namespace floe::torch_file {

class Unpickler {
 public:
  using Kind = PickleValue::Kind;
  using Values = std::vector<const PickleValue*>;

  Unpickler(std::string_view bytes, const PickleOptions& options, PickleDocument* document)
      : bytes_(bytes), options_(options), document_(document) {}

  absl::Status Run();

  // --- for the functions behind globals ---

  PickleValue* New(Kind kind);
  PickleValue* NewText(Kind kind, std::string text);
  // An error at the current opcode.
  absl::Status Fail(const std::string& what) const;
  // A text of the file in a message: it may be long, or no text.
  static std::string Shown(std::string_view text);
  // What calling a known function gives. The arguments are checked.
  absl::StatusOr<PickleValue*> Call(const std::string& function, const Values& args);
  static void SetItems(PickleValue* value, Values items) { value->items_ = std::move(items); }
  static void SetTypeTag(PickleValue* value, const std::string& tag) { value->type_tag_ = tag; }
  static void SetComplex(PickleValue* value, double real, double imaginary) {
    value->real_ = real;
    value->imaginary_ = imaginary;
  }
  static void SetTensor(PickleValue* value, TensorRecord record) {
    value->tensor_ = std::make_unique<TensorRecord>(std::move(record));
  }
  PickleDocument& document() { return *document_; }

 private:
  using Handler = absl::Status (Unpickler::*)();
  struct Opcode {
    uint8_t code;
    const char* name;
    Handler handler;  // Null: known, but not read.
  };
  static const Opcode* FindOpcode(uint8_t code);

  // Input.
  absl::StatusOr<std::string_view> Take(uint64_t count);
  absl::StatusOr<uint64_t> TakeUnsigned(int width);
  absl::StatusOr<std::string_view> TakeLine();

  // Stack.
  absl::StatusOr<PickleValue*> Pop();
  absl::StatusOr<PickleValue*> Top();
  absl::StatusOr<std::vector<PickleValue*>> PopToMark();
  absl::Status Push(PickleValue* value);
  absl::Status PushInt(int64_t value);
  absl::Status PushTuple(size_t count);
  absl::Status Append(PickleValue* to, const std::vector<PickleValue*>& items);
  absl::Status SetPairs(PickleValue* to, const std::vector<PickleValue*>& items);
  absl::Status PushText(Kind kind, int length_width);
  absl::Status Memoize(uint64_t slot);
  absl::Status Recall(uint64_t slot);
  absl::Status PushGlobal(std::string_view module, std::string_view name);
  absl::Status PushObject(PickleValue* cls, PickleValue* args);

  // One for each opcode.
  absl::Status Proto();
  absl::Status Frame();
  absl::Status Mark();
  absl::Status PopOne();
  absl::Status PopMark();
  absl::Status Dup();
  absl::Status None();
  absl::Status True();
  absl::Status False();
  absl::Status BinInt();
  absl::Status BinInt1();
  absl::Status BinInt2();
  absl::Status Long1();
  absl::Status Long4();
  absl::Status BinFloat();
  absl::Status ShortUnicode();
  absl::Status Unicode();
  absl::Status Unicode8();
  absl::Status ShortBytes();
  absl::Status Bytes();
  absl::Status Bytes8();
  absl::Status EmptyList();
  absl::Status List();
  absl::Status AppendOne();
  absl::Status Appends();
  absl::Status EmptyTuple();
  absl::Status Tuple();
  absl::Status Tuple1();
  absl::Status Tuple2();
  absl::Status Tuple3();
  absl::Status EmptyDict();
  absl::Status Dict();
  absl::Status SetItem();
  absl::Status SetItemsOp();
  absl::Status EmptySet();
  absl::Status AddItems();
  absl::Status FrozenSet();
  absl::Status Global();
  absl::Status StackGlobal();
  absl::Status Reduce();
  absl::Status NewObj();
  absl::Status Build();
  absl::Status BinPut();
  absl::Status LongBinPut();
  absl::Status MemoizeOp();
  absl::Status BinGet();
  absl::Status LongBinGet();
  absl::Status BinPersId();
  absl::Status LongOfBytes(uint64_t count);

  const std::string_view bytes_;
  const PickleOptions& options_;
  PickleDocument* const document_;
  size_t at_ = 0;
  size_t opcode_at_ = 0;
  const char* opcode_name_ = "start";
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  absl::flat_hash_map<uint64_t, PickleValue*> memo_;
  absl::Status failed_;
};

// Whether `name` ("module.name") may appear in a pickle, as what: kGlobal or kDType.
bool IsKnownGlobal(std::string_view name);

}  // namespace floe::torch_file

#endif  // FLOE_COMPILER_IMPORT_TORCH_FILE_UNPICKLER_H_
