#include "compiler/import/torch_export/json_reader.h"

namespace floe::torch_export {
namespace {

constexpr size_t kMaxJson = size_t{256} << 20;

// Python writes bare NaN, Infinity and -Infinity where JSON has no word: they become strings.
std::string QuoteBareWords(std::string_view json) {
  constexpr std::string_view kWords[] = {"-Infinity", "Infinity", "NaN"};
  std::string quoted;
  size_t kept = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c != '-' && c != 'I' && c != 'N') continue;
    for (const std::string_view word : kWords) {
      if (json.substr(i, word.size()) != word) continue;
      quoted.append(json.substr(kept, i - kept)).append("\"").append(word).append("\"");
      i += word.size() - 1;
      kept = i + 1;
      break;
    }
  }
  quoted.append(json.substr(kept));
  return quoted;
}

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text) {
  if (text.size() > kMaxJson) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("the JSON has %d bytes, over the limit of %d", text.size(), kMaxJson));
  }
  Json root = Json::parse(QuoteBareWords(text), nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) {
    return absl::InvalidArgumentError("this is no JSON, or it is damaged or was cut off");
  }
  return root;
}

}  // namespace floe::torch_export
