// What a converter sees: one ONNX node and the IR under construction.
//
// The importer looks at status() when the converter returns, and refuses attributes, inputs and
// outputs that it did not look at: a model is never imported with half its meaning.
#ifndef FLOE_COMPILER_IMPORT_ONNX_BUILDER_H_
#define FLOE_COMPILER_IMPORT_ONNX_BUILDER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "compiler/import/emitter.h"
#include "compiler/import/onnx/onnx.pb.h"
#include "compiler/ir/graph.h"

namespace floe::onnx {

class Importer;
class NodeBuilder;

// Maps one node; reports through the builder.
using Converter = void (*)(NodeBuilder& b);

// A row of the op table: `convert` reads nodes of this op from opset `since` on, up to the next
// row of the same op. `op` parameterises converters that many rows share.
struct Row {
  const char* op_type;
  int64_t since;
  Converter convert;
  OpId op = OpId::kIdentity;
  int64_t param = 0;
  const char* domain = "";
};

using import::AttrList;
using import::TensorType;

class NodeBuilder : public import::Emitter {
 public:
  NodeBuilder(Importer& importer, const NodeProto& node, const Row& row, int64_t opset,
              std::vector<ir::Value*> inputs, ir::Provenance provenance);

  const Row& row() const { return row_; }
  int64_t opset() const { return opset_; }

  // --- operands ---
  size_t InputCount() const { return inputs_.size(); }  // Written ones, absent ones included.
  bool HasInput(size_t i) const { return i < inputs_.size() && inputs_[i] != nullptr; }
  ir::Value* In(size_t i);     // Required.
  ir::Value* OptIn(size_t i);  // Null if absent.
  void IgnoreInput(size_t i) { Mark(i); }
  size_t OutputCount() const;  // Written ones.
  bool WantsOutput(size_t i) const;
  void Out(size_t i, ir::Value* value);
  void Out(ir::Value* value) { Out(0, value); }

  // --- attributes; the default if absent, an error if of another type ---
  bool HasAttr(const char* name);
  int64_t Int(const char* name, int64_t fallback);
  double Float(const char* name, double fallback);
  std::string String(const char* name, const char* fallback);
  std::vector<int64_t> Ints(const char* name);
  std::vector<double> Floats(const char* name);
  std::vector<std::string> Strings(const char* name);
  std::optional<ir::Tensor> TensorAttr(const char* name);
  const GraphProto* GraphAttr(const char* name);
  void IgnoreAttr(const char* name) { FindAttr(name); }

  // --- for the importer ---
  const std::vector<ir::Value*>& results() const { return results_; }
  void RefuseLeftovers();
  Importer& importer() { return importer_; }
  const NodeProto& node() const { return node_; }

 private:
  const AttributeProto* FindAttr(const char* name);
  const AttributeProto* FindAttr(const char* name, int type);
  void Mark(size_t i);
  std::string NextName(OpId op) override;
  std::string ConstantName() override;
  std::string ResultName(const std::string& first, size_t i) override;

  Importer& importer_;
  const NodeProto& node_;
  const Row& row_;
  const int64_t opset_;
  std::vector<ir::Value*> inputs_;
  std::vector<bool> input_read_;
  std::vector<bool> attr_read_;
  std::vector<ir::Value*> results_;
  size_t emitted_ = 0;
};

}  // namespace floe::onnx

#endif  // FLOE_COMPILER_IMPORT_ONNX_BUILDER_H_
