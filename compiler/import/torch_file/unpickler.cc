#include "compiler/import/torch_file/unpickler.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_file {
namespace {

constexpr char kScriptPrefix[] = "__torch__.";

}  // namespace

std::string Unpickler::Shown(std::string_view text) {
  std::string shown(text.substr(0, 200));
  for (char& c : shown) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return text.size() > 200 ? shown + "..." : shown;
}

absl::Status Unpickler::Fail(const std::string& what) const {
  return absl::InvalidArgumentError(
      absl::StrFormat("pickle, byte %d (%s): %s", opcode_at_, opcode_name_, what));
}

PickleValue* Unpickler::New(Kind kind) {
  PickleValue& value = document_->values_.emplace_back();
  value.kind_ = kind;
  return &value;
}

PickleValue* Unpickler::NewText(Kind kind, std::string text) {
  PickleValue* value = New(kind);
  value->text_ = std::move(text);
  return value;
}

absl::Status Unpickler::Run() {
  if (bytes_.size() < 2 || static_cast<uint8_t>(bytes_[0]) != 0x80) {
    return absl::InvalidArgumentError(
        "this is no pickle of protocol 2 to 4: it does not start with PROTO");
  }
  while (at_ < bytes_.size()) {
    opcode_at_ = at_;
    const auto code = static_cast<uint8_t>(bytes_[at_++]);
    if (code == '.') {
      opcode_name_ = "STOP";
      FLOE_TRY_ASSIGN(document_->root_, Pop());
      return absl::OkStatus();
    }
    const Opcode* opcode = FindOpcode(code);
    if (opcode == nullptr) {
      opcode_name_ = "?";
      return Fail(absl::StrFormat("0x%02x is no opcode", code));
    }
    opcode_name_ = opcode->name;
    if (opcode->handler == nullptr) return Fail("PyTorch does not write this opcode");
    FLOE_TRY((this->*opcode->handler)());
    if (static_cast<int64_t>(document_->values_.size()) > options_.max_values) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "pickle, byte %d: it holds more than %d values", opcode_at_, options_.max_values));
    }
  }
  opcode_at_ = at_;
  opcode_name_ = "end";
  return Fail("it ends without STOP; the file was cut off");
}

// --- input ---------------------------------------------------------------------------------------

absl::StatusOr<std::string_view> Unpickler::Take(uint64_t count) {
  if (count > bytes_.size() - at_) return Fail("its argument reaches beyond the end");
  const std::string_view taken = bytes_.substr(at_, count);
  at_ += count;
  return taken;
}

absl::StatusOr<uint64_t> Unpickler::TakeUnsigned(int width) {
  FLOE_TRY_ASSIGN(const std::string_view taken, Take(static_cast<uint64_t>(width)));
  uint64_t value = 0;
  for (size_t i = taken.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(taken[i]);
  return value;
}

absl::StatusOr<std::string_view> Unpickler::TakeLine() {
  const size_t end = bytes_.find('\n', at_);
  if (end == std::string_view::npos) return Fail("its argument has no end");
  const std::string_view line = bytes_.substr(at_, end - at_);
  at_ = end + 1;
  return line;
}

// --- stack ---------------------------------------------------------------------------------------

absl::StatusOr<PickleValue*> Unpickler::Top() {
  if (stack_.empty() || (!marks_.empty() && marks_.back() == stack_.size())) {
    return Fail("the stack is empty");
  }
  return stack_.back();
}

absl::StatusOr<PickleValue*> Unpickler::Pop() {
  FLOE_TRY_ASSIGN(PickleValue * value, Top());
  stack_.pop_back();
  return value;
}

absl::StatusOr<std::vector<PickleValue*>> Unpickler::PopToMark() {
  if (marks_.empty()) return Fail("the stack has no mark");
  const auto begin = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
  std::vector<PickleValue*> items(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return items;
}

absl::Status Unpickler::Push(PickleValue* value) {
  stack_.push_back(value);
  return absl::OkStatus();
}

absl::Status Unpickler::PushInt(int64_t value) {
  PickleValue* made = New(Kind::kInt);
  made->integer_ = value;
  return Push(made);
}

absl::Status Unpickler::PushTuple(size_t count) {
  Values items(count);
  for (size_t i = count; i-- > 0;) {
    FLOE_TRY_ASSIGN(items[i], Pop());
  }
  PickleValue* tuple = New(Kind::kTuple);
  tuple->items_ = std::move(items);
  return Push(tuple);
}

absl::Status Unpickler::Append(PickleValue* to, const std::vector<PickleValue*>& items) {
  if (!to->is(Kind::kList)) return Fail(absl::StrFormat("appends to %s", to->KindName()));
  to->items_.insert(to->items_.end(), items.begin(), items.end());
  return absl::OkStatus();
}

absl::Status Unpickler::SetPairs(PickleValue* to, const std::vector<PickleValue*>& items) {
  if (!to->is(Kind::kDict)) return Fail(absl::StrFormat("sets an item of %s", to->KindName()));
  if (items.size() % 2 != 0) return Fail("a key has no value");
  to->items_.insert(to->items_.end(), items.begin(), items.end());
  return absl::OkStatus();
}

absl::Status Unpickler::PushText(Kind kind, int length_width) {
  FLOE_TRY_ASSIGN(const uint64_t length, TakeUnsigned(length_width));
  FLOE_TRY_ASSIGN(const std::string_view text, Take(length));
  return Push(NewText(kind, std::string(text)));
}

absl::Status Unpickler::Memoize(uint64_t slot) {
  FLOE_TRY_ASSIGN(PickleValue * value, Top());
  memo_[slot] = value;
  return absl::OkStatus();
}

absl::Status Unpickler::Recall(uint64_t slot) {
  const auto it = memo_.find(slot);
  if (it == memo_.end()) return Fail(absl::StrFormat("nothing was stored in slot %d", slot));
  return Push(it->second);
}

absl::Status Unpickler::PushGlobal(std::string_view module, std::string_view name) {
  std::string full = std::string(module) + "." + std::string(name);
  if (module == "torch") {
    if (const auto type = ScalarTypeByName(name)) {
      PickleValue* dtype = New(Kind::kDType);
      dtype->integer_ = static_cast<int64_t>(*type);
      return Push(dtype);
    }
  }
  const bool script = options_.allow_script_classes && full.starts_with(kScriptPrefix);
  if (!script && !IsKnownGlobal(full)) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "pickle, byte %d (%s): it names '%s', which is no plain data that PyTorch writes; nothing "
        "of it was run. Save plain tensors, numbers, strings, lists and dictionaries only",
        opcode_at_, opcode_name_, Shown(full)));
  }
  return Push(NewText(Kind::kGlobal, std::move(full)));
}

absl::Status Unpickler::PushObject(PickleValue* cls, PickleValue* args) {
  if (!cls->is(Kind::kGlobal))
    return Fail(absl::StrFormat("makes an instance of %s", cls->KindName()));
  if (!args->is(Kind::kTuple)) return Fail("the arguments are no tuple");
  if (!cls->text().starts_with(kScriptPrefix)) {
    FLOE_TRY_ASSIGN(PickleValue * result, Call(cls->text(), args->items()));
    return Push(result);
  }
  PickleValue* object = NewText(Kind::kObject, cls->text());
  object->items_ = args->items();
  return Push(object);
}

}  // namespace floe::torch_file
