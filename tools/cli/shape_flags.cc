#include "tools/cli/shape_flags.h"

#include <charconv>

#include "absl/strings/str_format.h"

namespace floe::cli {
namespace {

absl::Status Bad(const char* flag, const std::string& text, const char* form) {
  return absl::FailedPreconditionError(
      absl::StrFormat("%s '%s' is malformed; write %s", flag, text, form));
}

bool ParseInt(std::string_view text, int64_t* value) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, *value);
  return error == std::errc() && at == end && !text.empty();
}

std::string_view Trim(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

std::vector<std::string_view> SplitCommas(std::string_view s) {
  std::vector<std::string_view> parts;
  if (Trim(s).empty()) return parts;
  while (true) {
    const size_t comma = s.find(',');
    parts.push_back(Trim(s.substr(0, comma)));
    if (comma == std::string_view::npos) return parts;
    s.remove_prefix(comma + 1);
  }
}

}  // namespace

absl::StatusOr<ShapeFlag> ParseShapeFlag(const std::string& text) {
  constexpr const char* kForm =
      "INPUT=[N,3,224,224] with numbers and names, or INPUT=[N,T]:i64 with an element type";
  // Input names may contain '=' and brackets: the shape is what follows the last "=[".
  const size_t at = text.rfind("=[");
  const size_t close = text.rfind(']');
  if (at == std::string::npos || at == 0 || close == std::string::npos || close < at) {
    return Bad("--shape", text, kForm);
  }
  ShapeFlag flag;
  flag.input = text.substr(0, at);
  if (close + 1 < text.size()) {
    for (uint8_t i = 1; i < kDTypeCount; ++i) {
      const auto dtype = static_cast<DType>(i);
      if (text.substr(close + 1) == std::string(":") + DTypeName(dtype)) flag.dtype = dtype;
    }
    if (flag.dtype == DType::kNone) return Bad("--shape", text, kForm);
  }
  const std::string_view body(text.data() + at + 2, close - at - 2);
  for (const std::string_view part : SplitCommas(body)) {
    AxisFlag axis;
    if (part.empty()) return Bad("--shape", text, kForm);
    const bool number = (part[0] >= '0' && part[0] <= '9') || part[0] == '-';
    if (number && (!ParseInt(part, &axis.size) || axis.size < 0))
      return Bad("--shape", text, kForm);
    if (!number) axis.symbol = std::string(part);
    flag.axes.push_back(std::move(axis));
  }
  return flag;
}

absl::StatusOr<DimFlag> ParseDimFlag(const std::string& text) {
  constexpr const char* kForm = "NAME=4, NAME=1..8 or NAME=8..512:8";
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) return Bad("--dim", text, kForm);
  DimFlag flag;
  flag.symbol = text.substr(0, equals);
  std::string_view range(text.data() + equals + 1, text.size() - equals - 1);
  const size_t colon = range.find(':');
  if (colon != std::string_view::npos) {
    if (!ParseInt(range.substr(colon + 1), &flag.multiple) || flag.multiple < 1) {
      return Bad("--dim", text, kForm);
    }
    range = range.substr(0, colon);
  }
  const size_t dots = range.find("..");
  if (!ParseInt(range.substr(0, dots), &flag.min)) return Bad("--dim", text, kForm);
  flag.max = flag.min;
  if (dots != std::string_view::npos && !ParseInt(range.substr(dots + 2), &flag.max)) {
    return Bad("--dim", text, kForm);
  }
  if (flag.min < 0 || flag.max < flag.min) {
    return Bad("--dim", text, "a range whose first number is not above its second");
  }
  return flag;
}

absl::StatusOr<std::pair<std::string, std::vector<int64_t>>> ParseBucketFlag(
    const std::string& text) {
  constexpr const char* kForm = "NAME=1,2,4 in ascending order";
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) return Bad("--bucket", text, kForm);
  std::vector<int64_t> bounds;
  for (const std::string_view part : SplitCommas(std::string_view(text).substr(equals + 1))) {
    int64_t v = 0;
    if (!ParseInt(part, &v) || v < 1 || (!bounds.empty() && v <= bounds.back())) {
      return Bad("--bucket", text, kForm);
    }
    bounds.push_back(v);
  }
  if (bounds.empty()) return Bad("--bucket", text, kForm);
  return std::make_pair(text.substr(0, equals), std::move(bounds));
}

}  // namespace floe::cli
