// JSON as torch.export writes it: parsing with bounds, and typed access to fields whose errors say
// where in the document they are.
#ifndef FLOE_COMPILER_IMPORT_TORCH_EXPORT_JSON_READER_H_
#define FLOE_COMPILER_IMPORT_TORCH_EXPORT_JSON_READER_H_

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"

namespace floe::torch_export {

using Json = ::nlohmann::json;

// Takes Python's bare words NaN, Infinity and -Infinity, too, as strings. kInvalidArgument: no
// JSON; kResourceExhausted: over 256 MiB.
absl::StatusOr<Json> ParseJson(std::string_view text);

// Reads fields; the first error sticks, with the path to it. After one, reads give empty values.
class JsonReader {
 public:
  const absl::Status& status() const { return status_; }
  bool ok() const { return status_.ok(); }

  void Fail(const std::string& what) { FailWith(absl::StatusCode::kInvalidArgument, what); }
  void FailWith(absl::StatusCode code, const std::string& what) {
    if (!ok()) return;
    std::string path;
    for (const std::string& part : path_) path += "/" + part;
    status_ = absl::Status(code, absl::StrFormat("%s: %s", path.empty() ? "/" : path, what));
  }

  // A part of the path to what is being read, for as long as the object lives.
  class At {
   public:
    At(JsonReader& reader, std::string part) : reader_(reader) {
      reader_.path_.push_back(std::move(part));
    }
    ~At() { reader_.path_.pop_back(); }
    At(const At&) = delete;
    At& operator=(const At&) = delete;

   private:
    JsonReader& reader_;
  };

  // A field of an object; null if it is absent or null.
  const Json* Find(const Json& object, const char* name) {
    if (!object.is_object()) {
      Fail("no object");
      return nullptr;
    }
    const auto it = object.find(name);
    return it == object.end() || it->is_null() ? nullptr : &*it;
  }
  const Json& Need(const Json& object, const char* name) {
    static const Json kNothing;
    const Json* found = Find(object, name);
    if (found != nullptr) return *found;
    Fail(absl::StrFormat("the field '%s' is missing", name));
    return kNothing;
  }

  std::string String(const Json& v) {
    if (v.is_string()) return v.get<std::string>();
    Fail("no string");
    return "";
  }
  int64_t Int(const Json& v) {
    if (v.is_number_unsigned()) {
      const auto u = v.get<uint64_t>();
      if (u <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return static_cast<int64_t>(u);
      }
    } else if (v.is_number_integer()) {
      return v.get<int64_t>();
    } else if (v.is_boolean()) {
      return v.get<bool>() ? 1 : 0;
    }
    Fail("no integer of 64 bits");
    return 0;
  }
  bool Bool(const Json& v) {
    if (v.is_boolean()) return v.get<bool>();
    Fail("neither true nor false");
    return false;
  }
  double Float(const Json& v) {
    if (v.is_number()) return v.get<double>();
    if (v.is_string()) {
      const auto& text = v.get_ref<const std::string&>();
      if (text == "Infinity") return std::numeric_limits<double>::infinity();
      if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
      if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
    }
    Fail("no number");
    return 0;
  }

  template <typename F>
  void ForEach(const Json& array, F visit) {
    if (!array.is_array()) return Fail("no list");
    for (size_t i = 0; i < array.size() && ok(); ++i) {
      const At at(*this, std::to_string(i));
      visit(array[i]);
    }
  }
  template <typename F>
  void ForEachPair(const Json& object, F visit) {
    if (!object.is_object()) return Fail("no object");
    for (auto it = object.begin(); it != object.end() && ok(); ++it) {
      const At at(*this, it.key());
      visit(it.key(), it.value());
    }
  }
  // The tag and the value of a union: an object with one field.
  std::pair<std::string, const Json*> Union(const Json& v) {
    if (!v.is_object() || v.empty()) {
      Fail("no union: an object with one field");
      return {"", nullptr};
    }
    // Old writers gave every tag of a union, the others as null.
    std::pair<std::string, const Json*> found = {"", nullptr};
    int count = 0;
    for (auto it = v.begin(); it != v.end(); ++it) {
      if (v.size() > 1 && it->is_null()) continue;
      found = {it.key(), &*it};
      ++count;
    }
    if (count == 1) return found;
    Fail("a union with more or less than one value");
    return {"", nullptr};
  }

 private:
  absl::Status status_;
  std::vector<std::string> path_;
};

}  // namespace floe::torch_export

#endif  // FLOE_COMPILER_IMPORT_TORCH_EXPORT_JSON_READER_H_
