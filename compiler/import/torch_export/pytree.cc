#include "compiler/import/torch_export/pytree.h"

#include <nlohmann/json.hpp>

namespace floe::torch_export {
namespace {

using Json = ::nlohmann::json;

constexpr size_t kMaxLeaves = 1 << 16;
constexpr size_t kMaxDepth = 64;

// The names of the children, from the context of a dict or a named tuple; empty: their positions.
std::vector<std::string> ChildNames(const Json& spec) {
  const auto context = spec.find("context");
  if (context == spec.end() || !context->is_string()) return {};
  const Json keys = Json::parse(context->get_ref<const std::string&>(), nullptr, false);
  const Json* list = &keys;
  // defaultdict: [factory, [keys]]; a class: {"class_name": ..., "field_names": [...]}.
  if (keys.is_array() && keys.size() == 2 && keys[1].is_array()) list = &keys[1];
  if (keys.is_object() && keys.contains("field_names")) list = &keys["field_names"];
  if (!list->is_array()) return {};
  std::vector<std::string> names;
  for (const Json& key : *list) {
    if (key.is_string()) {
      names.push_back(key.get<std::string>());
    } else if (key.is_number_integer()) {
      names.push_back(std::to_string(key.get<int64_t>()));
    } else {
      return {};
    }
  }
  return names;
}

bool Walk(const Json& spec, LeafPath* path, std::vector<LeafPath>* leaves) {
  if (!spec.is_object() || path->size() > kMaxDepth || leaves->size() > kMaxLeaves) return false;
  const auto children = spec.find("children_spec");
  const auto type = spec.find("type");
  if (children == spec.end() || !children->is_array() || type == spec.end()) return false;
  if (type->is_null()) {
    leaves->push_back(*path);
    return true;
  }
  std::vector<std::string> names = ChildNames(spec);
  if (names.size() != children->size()) names.clear();
  for (size_t i = 0; i < children->size(); ++i) {
    path->push_back(names.empty() ? std::to_string(i) : names[i]);
    if (!Walk((*children)[i], path, leaves)) return false;
    path->pop_back();
  }
  return true;
}

}  // namespace

std::optional<std::vector<LeafPath>> ParseTreeSpec(std::string_view json) {
  const Json root = Json::parse(json, nullptr, false);
  if (!root.is_array() || root.size() != 2) return std::nullopt;
  std::vector<LeafPath> leaves;
  LeafPath path;
  if (!Walk(root[1], &path, &leaves)) return std::nullopt;
  return leaves;
}

std::string JoinPath(std::string name, const LeafPath& path, size_t from) {
  for (size_t i = from; i < path.size(); ++i) name += "." + path[i];
  return name;
}

}  // namespace floe::torch_export
