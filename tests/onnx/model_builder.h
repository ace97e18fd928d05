// Builds small ONNX models in memory, for tests.
#ifndef FLOE_TESTS_ONNX_MODEL_BUILDER_H_
#define FLOE_TESTS_ONNX_MODEL_BUILDER_H_

#include <initializer_list>
#include <string>
#include <vector>

#include "compiler/import/onnx/onnx.pb.h"

namespace floe::onnx {

inline constexpr int kFloat = 1, kInt64 = 7, kBool = 9;  // TensorProto.DataType.

inline AttributeProto Attr(const char* name, int64_t v) {
  AttributeProto a;
  a.set_name(name);
  a.set_type(2);
  a.set_i(v);
  return a;
}
inline AttributeProto Attr(const char* name, float v) {
  AttributeProto a;
  a.set_name(name);
  a.set_type(1);
  a.set_f(v);
  return a;
}
inline AttributeProto Attr(const char* name, const char* v) {
  AttributeProto a;
  a.set_name(name);
  a.set_type(3);
  a.set_s(v);
  return a;
}
inline AttributeProto Attr(const char* name, const std::vector<int64_t>& v) {
  AttributeProto a;
  a.set_name(name);
  a.set_type(7);
  for (const int64_t i : v) a.add_ints(i);
  return a;
}

struct ModelBuilder {
  ModelProto model;
  explicit ModelBuilder(int64_t opset, int64_t ir_version = 8) {
    model.set_ir_version(ir_version);
    model.mutable_graph()->set_name("test");
    model.add_opset_import()->set_version(opset);
  }

  GraphProto& graph() { return *model.mutable_graph(); }

  // Dimensions are numbers or names; "?" is neither.
  ModelBuilder& Input(const std::string& name, const std::vector<std::string>& dims,
                      int type = kFloat) {
    ValueInfoProto& v = *graph().add_input();
    v.set_name(name);
    auto& tensor = *v.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    tensor.mutable_shape();
    for (const std::string& d : dims) {
      auto& dim = *tensor.mutable_shape()->add_dim();
      if (d.find_first_not_of("0123456789-") == std::string::npos) {
        dim.set_dim_value(std::stoll(d));
      } else if (d != "?") {
        dim.set_dim_param(d);
      }
    }
    return *this;
  }
  ModelBuilder& Output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }
  ModelBuilder& Ints(const std::string& name, const std::vector<int64_t>& v, bool scalar = false) {
    TensorProto& t = *graph().add_initializer();
    t.set_name(name);
    t.set_data_type(kInt64);
    if (!scalar) t.add_dims(static_cast<int64_t>(v.size()));
    for (const int64_t i : v) t.add_int64_data(i);
    return *this;
  }
  ModelBuilder& Floats(const std::string& name, const std::vector<int64_t>& dims,
                       const std::vector<float>& v) {
    TensorProto& t = *graph().add_initializer();
    t.set_name(name);
    t.set_data_type(kFloat);
    for (const int64_t d : dims) t.add_dims(d);
    for (const float f : v) t.add_float_data(f);
    return *this;
  }
  ModelBuilder& Node(const char* op, const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs,
                     const std::vector<AttributeProto>& attrs = {}, const char* domain = "") {
    Fill(*graph().add_node(), op, inputs, outputs, attrs, domain);
    return *this;
  }
  static void Fill(NodeProto& n, const char* op, const std::vector<std::string>& inputs,
                   const std::vector<std::string>& outputs,
                   const std::vector<AttributeProto>& attrs = {}, const char* domain = "") {
    n.set_op_type(op);
    n.set_name(outputs.empty() ? op : "node_" + outputs[0]);
    n.set_domain(domain);
    for (const std::string& s : inputs) n.add_input(s);
    for (const std::string& s : outputs) n.add_output(s);
    for (const AttributeProto& a : attrs) *n.add_attribute() = a;
  }
  std::string Bytes() const { return model.SerializeAsString(); }
};

}  // namespace floe::onnx

#endif  // FLOE_TESTS_ONNX_MODEL_BUILDER_H_
