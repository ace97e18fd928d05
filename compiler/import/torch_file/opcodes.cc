// The opcodes of pickles: their table, and what each does to the stack machine.
#include <bit>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torch_file/unpickler.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_file {

const Unpickler::Opcode* Unpickler::FindOpcode(uint8_t code) {
  using U = Unpickler;
  static constexpr Opcode kOpcodes[] = {
      {'(', "MARK", &U::Mark},
      {'0', "POP", &U::PopOne},
      {'1', "POP_MARK", &U::PopMark},
      {'2', "DUP", &U::Dup},
      {'N', "NONE", &U::None},
      {'J', "BININT", &U::BinInt},
      {'K', "BININT1", &U::BinInt1},
      {'M', "BININT2", &U::BinInt2},
      {'G', "BINFLOAT", &U::BinFloat},
      {'X', "BINUNICODE", &U::Unicode},
      {'T', "BINSTRING", &U::Unicode},
      {'U', "SHORT_BINSTRING", &U::ShortUnicode},
      {'B', "BINBYTES", &U::Bytes},
      {'C', "SHORT_BINBYTES", &U::ShortBytes},
      {']', "EMPTY_LIST", &U::EmptyList},
      {'l', "LIST", &U::List},
      {'a', "APPEND", &U::AppendOne},
      {'e', "APPENDS", &U::Appends},
      {')', "EMPTY_TUPLE", &U::EmptyTuple},
      {'t', "TUPLE", &U::Tuple},
      {'}', "EMPTY_DICT", &U::EmptyDict},
      {'d', "DICT", &U::Dict},
      {'s', "SETITEM", &U::SetItem},
      {'u', "SETITEMS", &U::SetItemsOp},
      {'c', "GLOBAL", &U::Global},
      {'R', "REDUCE", &U::Reduce},
      {'b', "BUILD", &U::Build},
      {'q', "BINPUT", &U::BinPut},
      {'r', "LONG_BINPUT", &U::LongBinPut},
      {'h', "BINGET", &U::BinGet},
      {'j', "LONG_BINGET", &U::LongBinGet},
      {'Q', "BINPERSID", &U::BinPersId},
      {0x80, "PROTO", &U::Proto},
      {0x81, "NEWOBJ", &U::NewObj},
      {0x85, "TUPLE1", &U::Tuple1},
      {0x86, "TUPLE2", &U::Tuple2},
      {0x87, "TUPLE3", &U::Tuple3},
      {0x88, "NEWTRUE", &U::True},
      {0x89, "NEWFALSE", &U::False},
      {0x8a, "LONG1", &U::Long1},
      {0x8b, "LONG4", &U::Long4},
      {0x8c, "SHORT_BINUNICODE", &U::ShortUnicode},
      {0x8d, "BINUNICODE8", &U::Unicode8},
      {0x8e, "BINBYTES8", &U::Bytes8},
      {0x8f, "EMPTY_SET", &U::EmptySet},
      {0x90, "ADDITEMS", &U::AddItems},
      {0x91, "FROZENSET", &U::FrozenSet},
      {0x93, "STACK_GLOBAL", &U::StackGlobal},
      {0x94, "MEMOIZE", &U::MemoizeOp},
      {0x95, "FRAME", &U::Frame},
      {'F', "FLOAT", nullptr},
      {'I', "INT", nullptr},
      {'L', "LONG", nullptr},
      {'P', "PERSID", nullptr},
      {'S', "STRING", nullptr},
      {'V', "UNICODE", nullptr},
      {'g', "GET", nullptr},
      {'p', "PUT", nullptr},
      {'i', "INST", nullptr},
      {'o', "OBJ", nullptr},
      {0x82, "EXT1", nullptr},
      {0x83, "EXT2", nullptr},
      {0x84, "EXT4", nullptr},
      {0x92, "NEWOBJ_EX", nullptr},
      {0x96, "BYTEARRAY8", nullptr},
      {0x97, "NEXT_BUFFER", nullptr},
      {0x98, "READONLY_BUFFER", nullptr},
  };
  for (const Opcode& opcode : kOpcodes) {
    if (opcode.code == code) return &opcode;
  }
  return nullptr;
}

absl::Status Unpickler::Proto() {
  FLOE_TRY_ASSIGN(const uint64_t protocol, TakeUnsigned(1));
  if (protocol >= 2 && protocol <= 4) return absl::OkStatus();
  return Fail(absl::StrFormat("protocol %d is not read, only 2 to 4 are", protocol));
}

absl::Status Unpickler::Frame() { return TakeUnsigned(8).status(); }

absl::Status Unpickler::Mark() {
  marks_.push_back(stack_.size());
  return absl::OkStatus();
}

absl::Status Unpickler::PopOne() { return Pop().status(); }
absl::Status Unpickler::PopMark() { return PopToMark().status(); }

absl::Status Unpickler::Dup() {
  FLOE_TRY_ASSIGN(PickleValue * value, Top());
  return Push(value);
}

absl::Status Unpickler::None() { return Push(New(Kind::kNone)); }

absl::Status Unpickler::True() {
  PickleValue* value = New(Kind::kBool);
  value->integer_ = 1;
  return Push(value);
}

absl::Status Unpickler::False() { return Push(New(Kind::kBool)); }

absl::Status Unpickler::BinInt() {
  FLOE_TRY_ASSIGN(const uint64_t bits, TakeUnsigned(4));
  return PushInt(static_cast<int32_t>(static_cast<uint32_t>(bits)));
}

absl::Status Unpickler::BinInt1() {
  FLOE_TRY_ASSIGN(const uint64_t value, TakeUnsigned(1));
  return PushInt(static_cast<int64_t>(value));
}

absl::Status Unpickler::BinInt2() {
  FLOE_TRY_ASSIGN(const uint64_t value, TakeUnsigned(2));
  return PushInt(static_cast<int64_t>(value));
}

absl::Status Unpickler::LongOfBytes(uint64_t count) {
  if (count > 8) return Fail("an integer of more than 64 bits");
  FLOE_TRY_ASSIGN(uint64_t bits, TakeUnsigned(static_cast<int>(count)));
  if (count > 0 && count < 8 && (bits >> (8 * count - 1) & 1) != 0) {
    bits |= ~uint64_t{0} << (8 * count);  // Two's complement of `count` bytes.
  }
  return PushInt(static_cast<int64_t>(bits));
}

absl::Status Unpickler::Long1() {
  FLOE_TRY_ASSIGN(const uint64_t count, TakeUnsigned(1));
  return LongOfBytes(count);
}

absl::Status Unpickler::Long4() {
  FLOE_TRY_ASSIGN(const uint64_t count, TakeUnsigned(4));
  return LongOfBytes(count);
}

absl::Status Unpickler::BinFloat() {
  FLOE_TRY_ASSIGN(const uint64_t bits, TakeUnsigned(8));
  PickleValue* value = New(Kind::kFloat);
  value->real_ = std::bit_cast<double>(__builtin_bswap64(bits));
  return Push(value);
}

absl::Status Unpickler::ShortUnicode() { return PushText(Kind::kString, 1); }
absl::Status Unpickler::Unicode() { return PushText(Kind::kString, 4); }
absl::Status Unpickler::Unicode8() { return PushText(Kind::kString, 8); }
absl::Status Unpickler::ShortBytes() { return PushText(Kind::kBytes, 1); }
absl::Status Unpickler::Bytes() { return PushText(Kind::kBytes, 4); }
absl::Status Unpickler::Bytes8() { return PushText(Kind::kBytes, 8); }

absl::Status Unpickler::EmptyList() { return Push(New(Kind::kList)); }

absl::Status Unpickler::List() {
  FLOE_TRY_ASSIGN(const std::vector<PickleValue*> items, PopToMark());
  PickleValue* list = New(Kind::kList);
  FLOE_TRY(Append(list, items));
  return Push(list);
}

absl::Status Unpickler::AppendOne() {
  FLOE_TRY_ASSIGN(PickleValue * item, Pop());
  FLOE_TRY_ASSIGN(PickleValue * list, Top());
  return Append(list, {item});
}

absl::Status Unpickler::Appends() {
  FLOE_TRY_ASSIGN(const std::vector<PickleValue*> items, PopToMark());
  FLOE_TRY_ASSIGN(PickleValue * list, Top());
  return Append(list, items);
}

absl::Status Unpickler::EmptyTuple() { return Push(New(Kind::kTuple)); }

absl::Status Unpickler::Tuple() {
  FLOE_TRY_ASSIGN(const std::vector<PickleValue*> items, PopToMark());
  PickleValue* tuple = New(Kind::kTuple);
  tuple->items_.assign(items.begin(), items.end());
  return Push(tuple);
}

absl::Status Unpickler::Tuple1() { return PushTuple(1); }
absl::Status Unpickler::Tuple2() { return PushTuple(2); }
absl::Status Unpickler::Tuple3() { return PushTuple(3); }

absl::Status Unpickler::EmptyDict() { return Push(New(Kind::kDict)); }

absl::Status Unpickler::Dict() {
  FLOE_TRY_ASSIGN(const std::vector<PickleValue*> items, PopToMark());
  PickleValue* dict = New(Kind::kDict);
  FLOE_TRY(SetPairs(dict, items));
  return Push(dict);
}

absl::Status Unpickler::SetItem() {
  FLOE_TRY_ASSIGN(PickleValue * value, Pop());
  FLOE_TRY_ASSIGN(PickleValue * key, Pop());
  FLOE_TRY_ASSIGN(PickleValue * dict, Top());
  return SetPairs(dict, {key, value});
}

absl::Status Unpickler::SetItemsOp() {
  FLOE_TRY_ASSIGN(const std::vector<PickleValue*> items, PopToMark());
  FLOE_TRY_ASSIGN(PickleValue * dict, Top());
  return SetPairs(dict, items);
}

absl::Status Unpickler::EmptySet() { return Push(New(Kind::kSet)); }

absl::Status Unpickler::AddItems() {
  FLOE_TRY_ASSIGN(const std::vector<PickleValue*> items, PopToMark());
  FLOE_TRY_ASSIGN(PickleValue * set, Top());
  if (!set->is(Kind::kSet)) return Fail(absl::StrFormat("adds to %s", set->KindName()));
  set->items_.insert(set->items_.end(), items.begin(), items.end());
  return absl::OkStatus();
}

absl::Status Unpickler::FrozenSet() {
  FLOE_TRY_ASSIGN(const std::vector<PickleValue*> items, PopToMark());
  PickleValue* set = New(Kind::kSet);
  set->items_.assign(items.begin(), items.end());
  return Push(set);
}

absl::Status Unpickler::Global() {
  FLOE_TRY_ASSIGN(const std::string_view module, TakeLine());
  FLOE_TRY_ASSIGN(const std::string_view name, TakeLine());
  return PushGlobal(module, name);
}

absl::Status Unpickler::StackGlobal() {
  FLOE_TRY_ASSIGN(PickleValue * name, Pop());
  FLOE_TRY_ASSIGN(PickleValue * module, Pop());
  if (!name->is(Kind::kString) || !module->is(Kind::kString)) return Fail("its name is no string");
  return PushGlobal(module->text(), name->text());
}

absl::Status Unpickler::Reduce() {
  FLOE_TRY_ASSIGN(PickleValue * args, Pop());
  FLOE_TRY_ASSIGN(PickleValue * function, Pop());
  return PushObject(function, args);
}

absl::Status Unpickler::NewObj() { return Reduce(); }

absl::Status Unpickler::Build() {
  FLOE_TRY_ASSIGN(PickleValue * state, Pop());
  FLOE_TRY_ASSIGN(PickleValue * object, Top());
  // A state_dict carries its modules' versions so; they say nothing about the values.
  if (object->is(Kind::kDict)) return absl::OkStatus();
  if (!object->is(Kind::kObject)) {
    return Fail(absl::StrFormat("sets the state of %s", object->KindName()));
  }
  if (object->state_ != nullptr) return Fail("sets the state of an object twice");
  object->state_ = state;
  return absl::OkStatus();
}

absl::Status Unpickler::BinPut() {
  FLOE_TRY_ASSIGN(const uint64_t slot, TakeUnsigned(1));
  return Memoize(slot);
}

absl::Status Unpickler::LongBinPut() {
  FLOE_TRY_ASSIGN(const uint64_t slot, TakeUnsigned(4));
  return Memoize(slot);
}

absl::Status Unpickler::MemoizeOp() { return Memoize(memo_.size()); }

absl::Status Unpickler::BinGet() {
  FLOE_TRY_ASSIGN(const uint64_t slot, TakeUnsigned(1));
  return Recall(slot);
}

absl::Status Unpickler::LongBinGet() {
  FLOE_TRY_ASSIGN(const uint64_t slot, TakeUnsigned(4));
  return Recall(slot);
}

absl::Status Unpickler::BinPersId() {
  FLOE_TRY_ASSIGN(PickleValue * id, Pop());
  const Values& items = id->items_;
  const bool is_storage = id->is(Kind::kTuple) && items.size() >= 5 &&
                          items[0]->is(Kind::kString) && items[0]->text() == "storage" &&
                          items[1]->is(Kind::kGlobal) && items[2]->is(Kind::kString) &&
                          items[3]->is(Kind::kString) && items[4]->is(Kind::kInt);
  if (!is_storage || items[4]->AsInt() < 0) {
    return Fail("a persistent id that is no ('storage', type, key, device, size)");
  }
  const std::string& class_name = items[1]->text();
  ScalarType type = ScalarType::kUndefined;
  if (class_name != "torch.storage.UntypedStorage") {
    const size_t dot = class_name.rfind('.');
    const auto known = ScalarTypeOfStorage(std::string_view(class_name).substr(dot + 1));
    if (!known) return Fail(absl::StrFormat("'%s' is no storage class", Shown(class_name)));
    type = *known;
  }
  const std::string& key = items[2]->text();
  std::unique_ptr<Storage>& slot = document_->storages_[key];
  if (slot == nullptr) {
    slot = std::make_unique<Storage>();
    slot->key = key;
    slot->type = type;
    slot->device = items[3]->text();
    slot->numel = items[4]->AsInt();
  } else if (slot->type != type) {
    return Fail(absl::StrFormat("storage '%s' has two element types", Shown(key)));
  }
  PickleValue* value = New(Kind::kStorage);
  value->storage_ = slot.get();
  return Push(value);
}

}  // namespace floe::torch_file
