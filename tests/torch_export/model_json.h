// Hand-made .pt2 archives of the newest generation: a graph over floats, written as JSON.
#ifndef FLOE_TESTS_TORCH_EXPORT_MODEL_JSON_H_
#define FLOE_TESTS_TORCH_EXPORT_MODEL_JSON_H_

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/torch_file/zip_builder.h"

namespace floe::testing {

using Json = ::nlohmann::json;

inline Json SymSize(const std::string& size) {
  if (size.find_first_not_of("0123456789") == std::string::npos) {
    return {{"as_int", std::stoll(size)}};
  }
  return {{"as_expr", {{"expr_str", size}, {"hint", {{"as_int", 2}}}}}};
}

// Sizes are numbers or expressions as text.
inline Json TensorMetaJson(const std::vector<std::string>& sizes, int dtype = 7) {
  Json meta = {{"dtype", dtype},
               {"sizes", Json::array()},
               {"requires_grad", false},
               {"device", {{"type", "cpu"}, {"index", nullptr}}},
               {"strides", Json::array()},
               {"storage_offset", {{"as_int", 0}}},
               {"layout", 7}};
  for (const std::string& size : sizes) {
    meta["sizes"].push_back(SymSize(size));
    meta["strides"].push_back({{"as_int", 1}});
  }
  return meta;
}

inline Json TensorArg(const std::string& name) { return {{"as_tensor", {{"name", name}}}}; }

// A model under construction. Members may be changed at will before Archive().
struct ModelJson {
  Json root;
  std::vector<ZipEntry> files;  // Beside the model, without the top folder.
  Json weights = Json::object();
  Json constants = Json::object();

  ModelJson() {
    root = {{"graph_module",
             {{"graph",
               {{"inputs", Json::array()},
                {"outputs", Json::array()},
                {"nodes", Json::array()},
                {"tensor_values", Json::object()},
                {"sym_int_values", Json::object()},
                {"sym_bool_values", Json::object()}}},
              {"signature", {{"input_specs", Json::array()}, {"output_specs", Json::array()}}},
              {"module_call_graph", Json::array()}}},
            {"opset_version", {{"aten", 10}}},
            {"range_constraints", Json::object()},
            {"schema_version", {{"major", 8}, {"minor", 8}}},
            {"torch_version", "2.9.0"}};
  }
  Json& graph() { return root["graph_module"]["graph"]; }
  Json& signature() { return root["graph_module"]["signature"]; }

  ModelJson& Input(const std::string& name, const std::vector<std::string>& sizes) {
    graph()["inputs"].push_back(TensorArg(name));
    graph()["tensor_values"][name] = TensorMetaJson(sizes);
    signature()["input_specs"].push_back({{"user_input", {{"arg", TensorArg(name)}}}});
    return *this;
  }
  // A weight in a file of its own; empty data: no file.
  ModelJson& Weight(const std::string& kind, const std::string& fqn, const std::string& path,
                    const std::vector<std::string>& sizes, const std::vector<float>& data) {
    const std::string name = "w_" + std::to_string(graph()["inputs"].size());
    graph()["inputs"].push_back(TensorArg(name));
    graph()["tensor_values"][name] = TensorMetaJson(sizes);
    Json spec = {{"arg", {{"name", name}}}, {kind + "_name", fqn}};
    if (kind == "buffer") spec["persistent"] = true;
    signature()["input_specs"].push_back({{kind, spec}});
    Json meta = TensorMetaJson(sizes);
    int64_t stride = 1;
    for (size_t i = sizes.size(); i-- > 0;) {
      meta["strides"][i] = {{"as_int", stride}};
      stride *= std::stoll(sizes[i]);
    }
    weights[fqn] = {
        {"path_name", path}, {"is_param", true}, {"use_pickle", false}, {"tensor_meta", meta}};
    if (!data.empty()) {
      files.push_back({"data/weights/" + path,
                       std::string(reinterpret_cast<const char*>(data.data()), data.size() * 4)});
    }
    return *this;
  }
  ModelJson& Node(const std::string& target, const std::vector<std::pair<std::string, Json>>& args,
                  const std::vector<std::string>& outputs, int line = 12) {
    Json node = {{"target", target},
                 {"inputs", Json::array()},
                 {"outputs", Json::array()},
                 {"metadata",
                  {{"stack_trace", "  File \"/home/me/net.py\", line " + std::to_string(line) +
                                       ", in forward\n    y = f(x)\n  File \"/usr/lib/python3/"
                                       "site-packages/torch/nn/x.py\", line 9, in forward\n"}}}};
    for (const auto& [name, arg] : args) {
      node["inputs"].push_back({{"name", name}, {"arg", arg}, {"kind", 1}});
    }
    for (const std::string& output : outputs) node["outputs"].push_back(TensorArg(output));
    graph()["nodes"].push_back(std::move(node));
    return *this;
  }
  ModelJson& Output(const std::string& name) {
    graph()["outputs"].push_back(TensorArg(name));
    signature()["output_specs"].push_back({{"user_output", {{"arg", TensorArg(name)}}}});
    return *this;
  }
  ModelJson& Range(const std::string& symbol, const Json& min, const Json& max) {
    root["range_constraints"][symbol] = {{"min_val", min}, {"max_val", max}};
    return *this;
  }

  std::string Archive() const {
    std::vector<ZipEntry> entries = {
        {"net/archive_format", "pt2"},
        {"net/models/model.json", root.dump()},
        {"net/data/weights/model_weights_config.json", Json{{"config", weights}}.dump()},
        {"net/data/constants/model_constants_config.json", Json{{"config", constants}}.dump()},
        {"net/byteorder", "little"}};
    for (ZipEntry file : files) {
      file.name = "net/" + file.name;
      entries.push_back(std::move(file));
    }
    return MakeZip(entries);
  }
};

}  // namespace floe::testing

#endif  // FLOE_TESTS_TORCH_EXPORT_MODEL_JSON_H_
