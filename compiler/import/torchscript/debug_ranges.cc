#include "compiler/import/torchscript/debug_ranges.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace floe::torchscript {
namespace {

using torch_file::PickleValue;
using Kind = PickleValue::Kind;

constexpr size_t kMaxText = size_t{1} << 20;

bool IsSequence(const PickleValue* v) {
  return v != nullptr && (v->is(Kind::kTuple) || v->is(Kind::kList));
}

const PickleValue* Item(const PickleValue* v, size_t i) {
  return IsSequence(v) && i < v->items().size() ? v->items()[i] : nullptr;
}

// "linear.py(134): forward" -> "linear.py:134"; empty if the line is none of a stack.
std::string FrameOf(std::string_view line) {
  const size_t close = line.find("): ");
  const size_t open = close == std::string_view::npos ? close : line.rfind('(', close);
  if (open == std::string_view::npos || open + 1 >= close) return "";
  const std::string_view digits = line.substr(open + 1, close - open - 1);
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return "";
  return std::string(line.substr(0, open)) + ":" + std::string(digits);
}

bool IsPyTorchFile(std::string_view place) {
  return place.find("site-packages/torch/") != std::string_view::npos ||
         place.find("dist-packages/torch/") != std::string_view::npos;
}

// The innermost frame of a trace's stack that is the user's own; empty if the text is no stack.
std::string UserFrame(std::string_view text) {
  std::string first;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string frame = FrameOf(text.substr(at, end - at));
    at = end + 1;
    if (frame.empty()) continue;
    if (!IsPyTorchFile(frame)) return frame;
    if (first.empty()) first = frame;
  }
  return first;
}

}  // namespace

DebugRanges::DebugRanges(std::string_view pickled) {
  auto document = torch_file::PickleDocument::Parse(pickled, nullptr);
  if (!document.ok()) return;
  document_ = *std::move(document);
  const PickleValue* root = document_->root();
  const PickleValue* records = root;
  if (const PickleValue* mark = Item(root, 0); mark != nullptr && mark->is(Kind::kString)) {
    if (mark->text() != "FORMAT_WITH_STRING_TABLE" || !IsSequence(Item(root, 1))) return;
    for (const PickleValue* s : Item(root, 1)->items()) {
      strings_.push_back(s->is(Kind::kString) ? std::string_view(s->text()) : std::string_view());
    }
    records = Item(root, 2);
  }
  if (!IsSequence(records)) return;
  for (const PickleValue* r : records->items()) {
    const PickleValue* offset = Item(r, 0);
    if (offset == nullptr || !offset->is(Kind::kInt)) continue;
    records_.push_back({offset->AsInt(), Item(r, 1)});
  }
  std::stable_sort(records_.begin(), records_.end(),
                   [](const Record& a, const Record& b) { return a.offset < b.offset; });
}

std::string DebugRanges::Find(int32_t offset) const {
  auto it = std::upper_bound(records_.begin(), records_.end(), int64_t{offset},
                             [](int64_t value, const Record& r) { return value < r.offset; });
  if (it == records_.begin()) return "";
  --it;
  if (it->range == nullptr) return "";
  const auto [cached, is_new] = cache_.try_emplace(it->range);
  if (is_new) cached->second = Describe(*it->range);
  return cached->second;
}

// ((text, file name, first line), begin, end): text and file name as strings, or by their numbers
// in the table (the text as a list of lines).
std::string DebugRanges::Describe(const PickleValue& range) const {
  const PickleValue* source = Item(&range, 0);
  const PickleValue* begin = Item(&range, 1);
  const PickleValue* line = Item(source, 2);
  if (begin == nullptr || line == nullptr || !begin->is(Kind::kInt) || !line->is(Kind::kInt)) {
    return "";
  }
  const auto string_at = [this](const PickleValue* v) -> std::string_view {
    if (v == nullptr) return {};
    if (v->is(Kind::kString)) return v->text();
    const int64_t i = v->is(Kind::kInt) ? v->AsInt() : -1;
    return i >= 0 && i < static_cast<int64_t>(strings_.size()) ? strings_[static_cast<size_t>(i)]
                                                               : std::string_view();
  };
  std::string text;
  const PickleValue* parts = Item(source, 0);
  if (IsSequence(parts)) {
    for (const PickleValue* p : parts->items()) {
      if (text.size() < kMaxText) text += string_at(p);
    }
  } else {
    text = std::string(string_at(parts));
  }
  if (std::string frame = UserFrame(text); !frame.empty()) return frame;
  const std::string_view file = string_at(Item(source, 1));
  if (file.empty()) return "";
  const auto stop = static_cast<size_t>(
      std::clamp<int64_t>(begin->AsInt(), 0, static_cast<int64_t>(text.size())));
  const int64_t newlines =
      std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(stop), '\n');
  if (line->AsInt() < 0 || line->AsInt() > INT32_MAX) return std::string(file);
  return absl::StrFormat("%s:%d", std::string(file), line->AsInt() + newlines);
}

}  // namespace floe::torchscript
