// Common subexpressions: equal constants and equal nodes become one.
#include <algorithm>
#include <cstring>
#include <map>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

// Cheap fingerprint of a constant: its type and a few words spread over its bytes. Weights of a
// network differ there; only equal fingerprints are compared byte by byte.
std::string Fingerprint(const ir::Tensor& t) {
  std::string key = DTypeName(t.dtype());
  for (const int64_t d : t.dims()) key += "," + std::to_string(d);
  constexpr int64_t kSamples = 32, kWord = 8;
  const int64_t bytes = t.bytes();
  const char* data = static_cast<const char*>(t.data());
  if (bytes <= kSamples * kWord) {
    if (bytes > 0) key.append(data, static_cast<size_t>(bytes));
    return key;
  }
  for (int64_t i = 0; i < kSamples; ++i) {
    const int64_t at = i * ((bytes - kWord) / (kSamples - 1));
    key.append(data + at, kWord);
  }
  return key;
}

size_t MergeConstants(ir::Graph& graph) {
  absl::flat_hash_map<std::string, std::vector<ir::Value*>> seen;
  std::vector<ir::Value*> constants;
  for (const auto& value : graph.values()) {
    if (value->is_constant() && !graph.IsOutput(value.get())) constants.push_back(value.get());
  }
  size_t merged = 0;
  for (ir::Value* value : constants) {
    std::vector<ir::Value*>& same = seen[Fingerprint(value->constant())];
    const auto it = std::find_if(same.begin(), same.end(), [value](const ir::Value* other) {
      return other->constant().BytesEqual(value->constant());
    });
    if (it == same.end()) {
      same.push_back(value);
      continue;
    }
    graph.ReplaceAllUses(value, *it);
    ++merged;
  }
  graph.EraseUnusedConstants();
  return merged;
}

void Append(std::string& key, int64_t v) {
  char bytes[sizeof(v)];
  std::memcpy(bytes, &v, sizeof(v));
  key.append(bytes, sizeof(v));
}

void AppendShape(std::string& key, const std::vector<ir::Dim>& shape) {
  Append(key, static_cast<int64_t>(shape.size()));
  for (const ir::Dim& d : shape) {
    // Names do not matter: numbers stand for them, and for everything else there is one spelling.
    key += d.ToString({});
    key += ',';
  }
}

// Numbers for values, in the order in which they are met: keys do not depend on addresses.
class Numbering {
 public:
  int64_t Of(const ir::Value* v) {
    if (v == nullptr) return -1;
    return numbers_.try_emplace(v, static_cast<int64_t>(numbers_.size())).first->second;
  }

 private:
  absl::flat_hash_map<const ir::Value*, int64_t> numbers_;
};

// Equal keys: equal results.
std::string KeyOf(const ir::Node& node, Numbering& numbers) {
  std::string key;
  Append(key, static_cast<int64_t>(node.op()));
  Append(key, node.epilogue_begin);
  std::vector<int64_t> inputs;
  for (const ir::Value* v : node.inputs()) inputs.push_back(numbers.Of(v));
  const bool commutes = node.op() == OpId::kAdd || node.op() == OpId::kMul;
  if (commutes) std::sort(inputs.begin(), inputs.end());
  Append(key, static_cast<int64_t>(inputs.size()));
  for (const int64_t i : inputs) Append(key, i);
  for (const int64_t word : ir::AttrWords(node)) Append(key, word);
  for (const PwInstr& pw : node.code) key.append(reinterpret_cast<const char*>(&pw), sizeof(pw));
  for (const ir::Value* v : node.outputs()) {
    Append(key, v == nullptr ? -1 : static_cast<int64_t>(v->dtype()));
    if (v != nullptr) AppendShape(key, v->shape());
    if (v != nullptr && node.op() == OpId::kDimsOf) AppendShape(key, *v->content);
  }
  return key;
}

bool CanMerge(const ir::Graph& graph, const ir::Node& a, const ir::Node& b) {
  for (size_t i = 0; i < a.outputs().size(); ++i) {
    if (a.output(i) != nullptr && graph.IsOutput(a.output(i)) && graph.IsOutput(b.output(i))) {
      return false;  // Two outputs stay two values.
    }
  }
  return true;
}

}  // namespace

absl::Status EliminateCommon(ir::Graph& graph, Report& report) {
  const size_t constants = MergeConstants(graph);
  Numbering numbers;
  absl::flat_hash_map<std::string, ir::Node*> seen;
  size_t nodes = 0;
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if (IsControlOp(node->op())) continue;  // Two of them are hardly ever equal.
    ir::Node* first = seen.try_emplace(KeyOf(*node, numbers), node).first->second;
    if (first == node || !CanMerge(graph, *first, *node)) continue;
    for (size_t i = 0; i < node->outputs().size(); ++i) {
      if (node->output(i) != nullptr) graph.ReplaceAllUses(node->output(i), first->output(i));
    }
    graph.Erase(node);
    ++nodes;
  }
  if (constants > 0) report.Add(absl::StrFormat("merged %d equal constants", constants));
  if (nodes > 0) report.Add(absl::StrFormat("merged %d equal nodes", nodes));
  return absl::OkStatus();
}

}  // namespace floe::passes
