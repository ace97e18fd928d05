// What the importer reads from files: models, external data within bounds, tensors of every type.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/model_file.h"
#include "compiler/ir/evaluate.h"
#include "tests/onnx/import_testing.h"

namespace floe::onnx {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

AttributeProto TensorAttribute(const char* name, const TensorProto& t) {
  AttributeProto a;
  a.set_name(name);
  a.set_type(4);
  *a.mutable_t() = t;
  return a;
}

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + absl::StrFormat("/floe_onnx_%d", getpid());
    std::filesystem::create_directories(folder_ + "/model");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Write(const std::string& name, const std::string& bytes) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  // y = x + w, with w in another file.
  ModelBuilder External(const std::string& location, const std::string& offset) {
    ModelBuilder m(17);
    m.Input("x", {"2"}).Output("y").Node("Add", {"x", "w"}, {"y"});
    TensorProto& t = *m.graph().add_initializer();
    t.set_name("w");
    t.set_data_type(kFloat);
    t.add_dims(2);
    t.set_data_location(1);
    for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
             {"location", location}, {"offset", offset}, {"length", "8"}}) {
      t.add_external_data()->set_key(key);
      t.mutable_external_data(t.external_data_size() - 1)->set_value(value);
    }
    return m;
  }
  std::string folder_;
};

TEST_F(Files, ExternalDataIsReadWhereItLies) {
  const float numbers[5] = {9, 9, 10, 20, 9};
  const std::string data(reinterpret_cast<const char*>(numbers), sizeof(numbers));
  Write("model/w.bin", data);
  Write("model/odd.bin", "x" + data);  // Misaligned: copied.
  for (const auto& [location, offset] : std::vector<std::pair<std::string, std::string>>{
           {"w.bin", "8"}, {"odd.bin", "9"}, {"./w.bin", "8"}}) {
    const std::string path = Write("model/m.onnx", External(location, offset).Bytes());
    const auto graph = ImportOnnx(path);
    ASSERT_TRUE(graph.ok()) << graph.status();
    const auto y = ir::Evaluate(**graph, std::vector<ir::Tensor>{Floats({2}, {1, 2})});
    ASSERT_TRUE(y.ok());
    EXPECT_THAT(Values((*y)[0]), ElementsAre(11, 22));
  }
}

TEST_F(Files, ExternalDataStaysInTheModelsFolder) {
  Write("secret.bin", std::string(64, 'x'));
  Write("model/short.bin", std::string(12, 'x'));
  ASSERT_EQ(symlink("../secret.bin", (folder_ + "/model/link.bin").c_str()), 0);
  ASSERT_EQ(symlink("..", (folder_ + "/model/up").c_str()), 0);
  const struct {
    std::string location, offset, message;
  } kCases[] = {
      {"../secret.bin", "0", "outside the model's folder"},
      {folder_ + "/secret.bin", "0", "outside the model's folder"},
      {"a/../../secret.bin", "0", "outside the model's folder"},
      {"", "0", "outside the model's folder"},
      {"link.bin", "0", "a link that leads out"},
      {"up/secret.bin", "0", "a link that leads out"},
      {"none.bin", "0", "not beside the model"},
      {"short.bin", "8", "which has only 12"},
      {"short.bin", "999999999999999999", "which has only 12"},
      {"short.bin", "-4", "is no offset"},
      {"short.bin", "99999999999999999999999", "is no offset"},
      {".", "0", "no regular file"},
  };
  for (const auto& c : kCases) {
    const std::string path = Write("model/m.onnx", External(c.location, c.offset).Bytes());
    const auto graph = ImportOnnx(path);
    ASSERT_FALSE(graph.ok()) << c.location;
    EXPECT_THAT(Message(graph.status()), HasSubstr(c.message)) << c.location;
  }
  EXPECT_THAT(Message(Import(External("short.bin", "0")).status()), HasSubstr("model in memory"));
}

TEST_F(Files, LimitsAndMissingFiles) {
  EXPECT_EQ(ImportOnnx(folder_ + "/none.onnx").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ImportOnnx(folder_).status().code(), absl::StatusCode::kInvalidArgument);
  const std::string empty = Write("empty.onnx", "");
  EXPECT_THAT(Message(ImportOnnx(empty).status()), HasSubstr("the file is empty"));
  const std::string text = Write("text.onnx", "#!/bin/sh\necho hello\n");
  EXPECT_THAT(Message(ImportOnnx(text).status()), HasSubstr("does not parse"));
  ImportOptions options;
  options.max_bytes = 10;
  EXPECT_EQ(ImportOnnx(text, options).status().code(), absl::StatusCode::kResourceExhausted);
  // Sparse: over 2 GiB without taking any space.
  const std::string large = Write("large.onnx", "");
  ASSERT_EQ(truncate(large.c_str(), (int64_t{1} << 31) + 5), 0);
  EXPECT_THAT(Message(ImportOnnx(large).status()), HasSubstr("more than 2 GiB"));
}

TEST_F(Files, CheckReportsCountsAndWhatIsUnsupported) {
  ModelBuilder m(17);
  m.Input("x", {"2"}).Output("y");
  m.Node("Neg", {"x"}, {"a"}).Node("Neg", {"a"}, {"b"}).Node("NoSuchOp", {"b"}, {"y"});
  const auto report = CheckOnnx(Write("m.onnx", m.Bytes()));
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->ops.at("Neg"), 2);
  ASSERT_THAT(report->unsupported, SizeIs(1));
  EXPECT_EQ(report->unsupported[0].op_type, "NoSuchOp");
  EXPECT_THAT(report->unsupported[0].nodes, ElementsAre("node_y"));
  EXPECT_EQ(ToText(report->unsupported), "NoSuchOp (opset 17): has no mapping; 1 node: 'node_y'\n");
}

// Weights that are aligned stay in the file's mapping.
TEST_F(Files, AlignedWeightsAreNotCopied) {
  ModelBuilder m(17);
  m.Input("x", {"1024"}).Output("y").Node("Add", {"x", "w"}, {"y"});
  TensorProto& t = *m.graph().add_initializer();
  t.set_data_type(kFloat);
  t.add_dims(1024);
  t.set_raw_data(std::string(4096, '\0'));
  for (int pad = 0; pad < 4; ++pad) {
    t.set_name("w" + std::string(static_cast<size_t>(pad), '_'));
    m.graph().mutable_node(0)->set_input(1, t.name());
    const auto file = ModelFile::Open(Write("m.onnx", m.Bytes()), 1 << 20);
    ASSERT_TRUE(file.ok());
    auto& init = (*file)->initializers()[0];
    const char* in_file = init.raw_data.data();
    const auto tensor = (*file)->ToTensor(init);
    ASSERT_TRUE(tensor.ok());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->data()) % 4, 0u);
    if (reinterpret_cast<uintptr_t>(in_file) % 4 == 0) {
      EXPECT_EQ(tensor->data(), in_file);
    }
  }
}

TEST(Tensors, EveryTypeFromItsFieldAndFromBytes) {
  const struct {
    int type;
    DType dtype;
  } kTypes[] = {{1, DType::kF32},  {2, DType::kU8},   {3, DType::kI8},   {4, DType::kU16},
                {5, DType::kI16},  {6, DType::kI32},  {7, DType::kI64},  {9, DType::kBool},
                {10, DType::kF16}, {11, DType::kF64}, {12, DType::kU32}, {13, DType::kU64},
                {16, DType::kBF16}};
  for (const auto& type : kTypes) {
    ir::Tensor want(type.dtype, {2});
    want.SetDouble(0, 1);
    want.SetDouble(1, type.dtype == DType::kBool ? 0 : 3);
    TensorProto fields, raw;
    for (TensorProto* t : {&fields, &raw}) {
      t->set_data_type(type.type);
      t->add_dims(2);
    }
    raw.set_raw_data(
        std::string(static_cast<const char*>(want.data()), static_cast<size_t>(want.bytes())));
    for (int i = 0; i < 2; ++i) {
      const double v = want.DoubleAt(i);
      switch (type.dtype) {
        case DType::kF32:
          fields.add_float_data(static_cast<float>(v));
          break;
        case DType::kF64:
          fields.add_double_data(v);
          break;
        case DType::kI64:
          fields.add_int64_data(static_cast<int64_t>(v));
          break;
        case DType::kU32:
        case DType::kU64:
          fields.add_uint64_data(static_cast<uint64_t>(v));
          break;
        case DType::kF16:
        case DType::kBF16:  // Bit patterns.
          fields.add_int32_data(want.as<uint16_t>()[i]);
          break;
        default:
          fields.add_int32_data(static_cast<int32_t>(v));
      }
    }
    for (const TensorProto& t : {fields, raw}) {
      ModelBuilder m(17);
      m.Output("y").Node("Constant", {}, {"y"}, {TensorAttribute("value", t)});
      const auto graph = Import(m);
      ASSERT_TRUE(graph.ok()) << graph.status();
      const auto y = ir::Evaluate(**graph, {});
      ASSERT_TRUE(y.ok()) << y.status();
      EXPECT_TRUE((*y)[0].BytesEqual(want)) << DTypeName(type.dtype);
    }
  }
}

TEST(Tensors, TypesWithoutAMappingAreNamed) {
  ModelBuilder m(17);
  m.Input("x", {"2"}, 17).Node("Neg", {"x"}, {"y"}).Output("y");
  EXPECT_EQ(Import(m).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(Message(Import(m).status()), HasSubstr("float8e4m3fn"));
}

}  // namespace
}  // namespace floe::onnx
