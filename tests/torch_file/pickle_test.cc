// The pickle reader: values, sharing, tensors, and everything that it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "compiler/import/torch_file/pickle.h"
#include "compiler/import/torch_file/torch_save.h"
#include "tests/torch_file/pickle_builder.h"
#include "tests/torch_file/zip_builder.h"

namespace floe::torch_file {
namespace {

using ::floe::testing::BlobOf;
using ::floe::testing::MakeZip;
using ::floe::testing::PickleBuilder;
using ::testing::HasSubstr;
using Kind = PickleValue::Kind;

absl::StatusOr<std::unique_ptr<PickleDocument>> Parse(const std::string& bytes,
                                                      const PickleOptions& options = {}) {
  return PickleDocument::Parse(bytes, nullptr, options);
}

std::unique_ptr<PickleDocument> MustParse(const std::string& bytes) {
  auto document = Parse(bytes);
  EXPECT_TRUE(document.ok()) << document.status();
  return document.ok() ? *std::move(document) : nullptr;
}

TEST(Pickle, ReadsNumbersAndStrings) {
  const struct {
    std::string bytes;
    Kind kind;
    int64_t integer;
    double real;
    const char* text;
  } kCases[] = {
      {PickleBuilder().None().Stop(), Kind::kNone, 0, 0, ""},
      {PickleBuilder().True().Stop(), Kind::kBool, 1, 0, ""},
      {PickleBuilder().False().Stop(), Kind::kBool, 0, 0, ""},
      {PickleBuilder().Int(-7).Stop(), Kind::kInt, -7, 0, ""},
      {PickleBuilder().Op('K').Byte(200).Stop(), Kind::kInt, 200, 0, ""},
      {PickleBuilder().Op('M').Little(60000, 2).Stop(), Kind::kInt, 60000, 0, ""},
      {PickleBuilder().Op('\x8a').Byte(0).Stop(), Kind::kInt, 0, 0, ""},
      {PickleBuilder().Op('\x8a').Byte(2).Little(0xff7f, 2).Stop(), Kind::kInt, -129, 0, ""},
      {PickleBuilder().Op('\x8a').Byte(5).Little(0x0012345678, 5).Stop(), Kind::kInt, 0x12345678, 0,
       ""},
      {PickleBuilder().Op('\x8a').Byte(8).Little(uint64_t{1} << 63, 8).Stop(), Kind::kInt,
       INT64_MIN, 0, ""},
      {PickleBuilder().Op('\x8b').Little(1, 4).Byte(255).Stop(), Kind::kInt, -1, 0, ""},
      {PickleBuilder().Float(-0.15625).Stop(), Kind::kFloat, 0, -0.15625, ""},
      {PickleBuilder().Text("h\xc3\xa9").Stop(), Kind::kString, 0, 0, "h\xc3\xa9"},
      {PickleBuilder(4).Op('\x95').Little(9, 8).Op('\x8c').Byte(2).Raw("ab").Stop(), Kind::kString,
       0, 0, "ab"},
      {PickleBuilder(3).Op('C').Byte(2).Raw("\xff\x01").Stop(), Kind::kBytes, 0, 0, "\xff\x01"},
      {PickleBuilder()
           .Global("_codecs", "encode")
           .Text("\xc3\xbf\x41")
           .Text("latin1")
           .Op('\x86')
           .Call()
           .Stop(),
       Kind::kBytes, 0, 0, "\xff\x41"},
      {PickleBuilder().Global("torch", "float16").Stop(), Kind::kDType,
       static_cast<int>(ScalarType::kHalf), 0, ""},
      {PickleBuilder().Global("torch", "device").Text("cuda").Int(1).Op('\x86').Call().Stop(),
       Kind::kDevice, 0, 0, "cuda:1"},
      {PickleBuilder().Global("torch", "channels_last").Stop(), Kind::kGlobal, 0, 0,
       "torch.channels_last"},
      {PickleBuilder(4).Text("torch").Text("strided").Op('\x93').Stop(), Kind::kGlobal, 0, 0,
       "torch.strided"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(::testing::PrintToString(c.bytes));
    const auto document = MustParse(c.bytes);
    ASSERT_NE(document, nullptr);
    const PickleValue& v = *document->root();
    EXPECT_EQ(v.kind(), c.kind);
    EXPECT_EQ(v.AsInt(), c.integer);
    EXPECT_EQ(v.AsFloat(), c.real);
    EXPECT_EQ(v.text(), c.text);
  }
}

TEST(Pickle, ReadsContainersAndKeepsSharing) {
  // [shared, (1, 2), {"k": shared, "k2": None}, OrderedDict({"a": 3})], where shared = [5]
  PickleBuilder p;
  p.Op(']').Op('q').Byte(0).Op('(');
  p.Op(']').Op('q').Byte(1).Int(5).Op('a');
  p.Int(1).Int(2).Op('\x86');
  p.Op('}').Op('(').Text("k").Op('h').Byte(1).Text("k2").None().Op('u');
  p.Global("collections", "OrderedDict").Op(')').Call().Text("a").Int(3).Op('s');
  p.Op('}').Text("_metadata").None().Op('s').Op('b');
  p.Op('e');
  const auto document = MustParse(p.Stop());
  ASSERT_NE(document, nullptr);
  const PickleValue& root = *document->root();
  ASSERT_EQ(root.kind(), Kind::kList);
  ASSERT_EQ(root.items().size(), 4u);
  EXPECT_EQ(root.items()[1]->kind(), Kind::kTuple);
  EXPECT_EQ(root.items()[1]->items()[1]->AsInt(), 2);
  const PickleValue& dict = *root.items()[2];
  EXPECT_EQ(dict.dict_size(), 2u);
  EXPECT_EQ(dict.Find("k"), root.items()[0]);
  EXPECT_EQ(dict.Find("k")->items()[0]->AsInt(), 5);
  EXPECT_EQ(dict.Find("x"), nullptr);
  EXPECT_EQ(root.items()[3]->Find("a")->AsInt(), 3);
}

TEST(Pickle, ReadsScriptObjectsWithTypeTags) {
  PickleBuilder p;
  p.Global("__torch__.net", "Net").Op(')').Op('\x81').Op('}').Op('(');
  p.Text("training").False();
  p.Text("sizes")
      .Global("torch.jit._pickle", "build_intlist")
      .Op(']')
      .Op('(')
      .Int(3)
      .Int(4)
      .Op('e')
      .Op('\x85')
      .Call();
  p.Text("names")
      .Global("torch.jit._pickle", "restore_type_tag")
      .Op(']')
      .Text("List[str]")
      .Op('\x86')
      .Call();
  p.Text("mode").Global("__torch__.net", "Mode").Int(2).Op('\x85').Call();
  p.Op('u').Op('b');
  const auto document = MustParse(p.Stop());
  ASSERT_NE(document, nullptr);
  const PickleValue& net = *document->root();
  ASSERT_EQ(net.kind(), Kind::kObject);
  EXPECT_EQ(net.text(), "__torch__.net.Net");
  ASSERT_NE(net.state(), nullptr);
  EXPECT_FALSE(net.state()->Find("training")->AsBool());
  EXPECT_EQ(net.state()->Find("sizes")->items()[1]->AsInt(), 4);
  EXPECT_EQ(net.state()->Find("names")->type_tag(), "List[str]");
  const PickleValue& mode = *net.state()->Find("mode");
  EXPECT_EQ(mode.text(), "__torch__.net.Mode");
  EXPECT_EQ(mode.items()[0]->AsInt(), 2);
  EXPECT_EQ(Parse(p.Stop(), {.allow_script_classes = false}).status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST(Pickle, ReadsTensorsOfSharedStorages) {
  const float values[6] = {1, 2, 3, 4, 5, 6};
  const Blob data = BlobOf({reinterpret_cast<const char*>(values), sizeof(values)});
  PickleBuilder p;
  p.Op('(');
  p.Tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1});
  p.Tensor("FloatStorage", "0", 6, 1, {2, 2}, {1, 2});
  p.Global("torch._utils", "_rebuild_parameter").Op('(');
  p.Tensor("LongStorage", "1", 3, 0, {3}, {1}).True().None().Op('t').Call();
  p.Global("torch._tensor", "_rebuild_from_type_v2").Op('(');
  p.Global("torch._utils", "_rebuild_tensor_v2").Global("torch", "Tensor").Op('(');
  p.Storage("FloatStorage", "0", 6).Int(5).Ints({}).Ints({}).False().None().Op('t').Op('}').Op('t');
  p.Call().Op('t');
  const auto read = [&](const std::string& key) -> absl::StatusOr<Blob> {
    if (key == "0") return data;
    return absl::NotFoundError("no entry 'data/1'");
  };
  const auto document = PickleDocument::Parse(p.Stop(), read);
  ASSERT_TRUE(document.ok()) << document.status();
  const auto& items = (*document)->root()->items();
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(items[0]->tensor().storage, items[1]->tensor().storage);
  EXPECT_NE(items[0]->tensor().storage, items[2]->tensor().storage);
  EXPECT_TRUE(items[2]->tensor().is_parameter);
  EXPECT_TRUE(items[2]->tensor().requires_grad);
  EXPECT_EQ((*document)->storages().size(), 2u);
  const auto first = (*document)->ToTensor(*items[0], "w");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->data(), data.bytes.data());
  const auto second = (*document)->ToTensor(*items[1], "w");
  ASSERT_TRUE(second.ok());
  EXPECT_THAT(std::vector<float>(second->as<float>(), second->as<float>() + 4),
              ::testing::ElementsAre(2, 4, 3, 5));
  EXPECT_EQ(*(*document)->ToTensor(*items[3], "w")->as<float>(), 6);
  EXPECT_THAT(std::string((*document)->ToTensor(*items[2], "fc.weight").status().message()),
              HasSubstr("the data of tensor 'fc.weight': no entry 'data/1'"));
  EXPECT_THAT(std::string((*document)->ToTensor(*(*document)->root(), "x").status().message()),
              HasSubstr("is a tuple where a tensor is expected"));
}

TEST(Pickle, ReadsQuantisedTensors) {
  PickleBuilder p;
  p.Op('(').Global("torch._utils", "_rebuild_qtensor").Op('(');
  p.Storage("QInt8Storage", "0", 4).Int(0).Ints({2, 2}).Ints({2, 1});
  p.Global("torch", "per_tensor_affine").Float(0.5).Int(3).Op('\x87').False().None().Op('t').Call();
  p.Global("torch._utils", "_rebuild_qtensor").Op('(');
  p.Storage("QInt8Storage", "0", 4).Int(0).Ints({2, 2}).Ints({2, 1});
  p.Op('(').Global("torch", "per_channel_affine");
  p.Tensor("DoubleStorage", "1", 2, 0, {2}, {1}).Tensor("LongStorage", "2", 2, 0, {2}, {1}).Int(1);
  p.Op('t').False().None().Op('t').Call().Op('t');
  const auto document = MustParse(p.Stop());
  ASSERT_NE(document, nullptr);
  const TensorRecord& whole = document->root()->items()[0]->tensor();
  EXPECT_EQ(whole.qscheme, TensorRecord::QScheme::kPerTensorAffine);
  EXPECT_EQ(whole.scale, 0.5);
  EXPECT_EQ(whole.zero_point, 3);
  const TensorRecord& channels = document->root()->items()[1]->tensor();
  EXPECT_EQ(channels.qscheme, TensorRecord::QScheme::kPerChannelAffine);
  EXPECT_EQ(channels.axis, 1);
  EXPECT_EQ(channels.scales->tensor().storage->key, "1");
  EXPECT_EQ(channels.zero_points->tensor().layout.dtype, ScalarType::kLong);
}

PickleBuilder Nested(int depth) {
  PickleBuilder p;
  for (int i = 0; i < depth; ++i) p.Op(']');
  for (int i = 1; i < depth; ++i) p.Op('a');
  return p;
}

TEST(Pickle, RefusesWithOffsetAndOpcode) {
  const std::string kQuantised = PickleBuilder()
                                     .Global("torch._utils", "_rebuild_qtensor")
                                     .Op('(')
                                     .Storage("QUInt4x2Storage", "0", 4)
                                     .Int(0)
                                     .Ints({2})
                                     .Ints({1})
                                     .Global("torch", "per_tensor_affine")
                                     .Float(1)
                                     .Int(0)
                                     .Op('\x87')
                                     .Op('t')
                                     .Call()
                                     .Stop();
  const struct {
    const char* what;
    std::string bytes;
    const char* message;
  } kCases[] = {
      {"empty", "", "no pickle"},
      {"protocol 0", "I1\n.", "no pickle"},
      {"protocol 5", PickleBuilder(5).None().Stop(), "byte 0 (PROTO): protocol 5"},
      {"no stop", PickleBuilder().None().Stop().substr(0, 3), "without STOP"},
      {"no value", PickleBuilder().Stop(), "byte 2 (STOP): the stack is empty"},
      {"unknown opcode", PickleBuilder().Op('\xf0').Stop(), "byte 2 (?): 0xf0 is no opcode"},
      {"INST", PickleBuilder().Op('i').Raw("os\nsystem\n").Stop(),
       "(INST): PyTorch does not write"},
      {"system", PickleBuilder().Global("os", "system").Text("id").Op('\x85').Call().Stop(),
       "byte 2 (GLOBAL): it names 'os.system', which is no plain data"},
      {"eval", PickleBuilder(4).Text("builtins").Text("eval").Op('\x93').Stop(),
       "(STACK_GLOBAL): it names 'builtins.eval'"},
      {"numpy", PickleBuilder().Global("numpy.core.multiarray", "_reconstruct").Stop(), "it names"},
      {"fake storage", PickleBuilder().Global("torch", "EvilStorage").Stop(), "it names"},
      {"control characters", PickleBuilder().Global("a\x1b[2J", "b").Stop(), "'a?[2J.b'"},
      {"long integer", PickleBuilder().Op('\x8a').Byte(9).Raw("123456789").Stop(), "64 bits"},
      {"text too long", PickleBuilder().Op('X').Little(~uint64_t{0}, 4).Stop(), "beyond the end"},
      {"text of 2^64", PickleBuilder(4).Op('\x8d').Little(~uint64_t{0}, 8).Stop(),
       "beyond the end"},
      {"open global", PickleBuilder().Op('c').Raw("torch").Stop(), "has no end"},
      {"get", PickleBuilder().Op('h').Byte(3).Stop(), "(BINGET): nothing was stored in slot 3"},
      {"no mark", PickleBuilder().None().Op('t').Stop(), "(TUPLE): the stack has no mark"},
      {"below the mark", PickleBuilder().None().Op('(').Op('0').Stop(),
       "(POP): the stack is empty"},
      {"append to int", PickleBuilder().Int(1).None().Op('a').Stop(), "appends to an integer"},
      {"item of list", PickleBuilder().Op(']').None().None().Op('s').Stop(),
       "sets an item of a list"},
      {"odd items", PickleBuilder().Op('}').Op('(').None().Op('u').Stop(), "a key has no value"},
      {"call an int", PickleBuilder().Int(1).Op(')').Call().Stop(), "makes an instance of an int"},
      {"call a name", PickleBuilder().Global("torch", "strided").Op(')').Call().Stop(),
       "calls 'torch.strided', which is no function"},
      {"state of int", PickleBuilder().Int(1).None().Op('b').Stop(),
       "sets the state of an integer"},
      {"bad id", PickleBuilder().Text("x").Op('Q').Stop(), "(BINPERSID): a persistent id"},
      {"negative size", PickleBuilder().Storage("FloatStorage", "0", -1).Stop(), "a persistent id"},
      {"two types",
       PickleBuilder()
           .Op('(')
           .Storage("FloatStorage", "0", 1)
           .Storage("LongStorage", "0", 1)
           .Op('t')
           .Stop(),
       "storage '0' has two element types"},
      {"four bits", kQuantised, "torch.quint4x2 is not read"},
      {"subclass",
       PickleBuilder()
           .Global("torch._tensor", "_rebuild_from_type_v2")
           .Op('(')
           .Global("torch._utils", "_rebuild_tensor_v2")
           .Global("__torch__", "Sub")
           .Op(')')
           .Op('}')
           .Op('t')
           .Call()
           .Stop(),
       "subclass '__torch__.Sub'; turn it into plain tensors"},
      {"few arguments",
       PickleBuilder().Global("torch._utils", "_rebuild_tensor_v2").Op(')').Call().Stop(),
       "(REDUCE): a call with 0 arguments where 4 to 7"},
      {"strides", PickleBuilder().Tensor("FloatStorage", "0", 1, 0, {1, 1}, {1}).Stop(),
       "more or fewer strides"},
      {"itself", PickleBuilder().Op(']').Op('q').Byte(0).Op('h').Byte(0).Op('a').Stop(),
       "contains itself"},
      {"deep", Nested(kMaxPickleDepth + 1).Stop(), "nested over 400 deep"},
      {"very deep", Nested(200000).Stop(), "nested over 400 deep"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    const auto document = Parse(c.bytes);
    ASSERT_FALSE(document.ok());
    EXPECT_THAT(std::string(document.status().message()), HasSubstr(c.message));
  }
  EXPECT_TRUE(Parse(Nested(kMaxPickleDepth).Stop()).ok());
  EXPECT_EQ(Parse(PickleBuilder().Global("os", "system").Stop()).status().code(),
            absl::StatusCode::kPermissionDenied);
}

// Each list holds the one before twice: 2^60 paths, but 60 values.
TEST(Pickle, SharedContainersCostTheirOwnSizeOnly) {
  PickleBuilder p;
  p.Op(']').Op('q').Byte(0);
  for (int i = 1; i <= 60; ++i) {
    p.Op(']').Op('q').Byte(i).Op('(').Op('h').Byte(i - 1).Op('h').Byte(i - 1).Op('e');
  }
  EXPECT_TRUE(Parse(p.Stop()).ok());
}

TEST(Pickle, LimitsBytesAndValues) {
  PickleBuilder p;
  p.Op('(');
  for (int i = 0; i < 100; ++i) p.Int(i);
  const std::string bytes = p.Op('t').Stop();
  EXPECT_TRUE(Parse(bytes, {.max_values = 101}).ok());
  EXPECT_EQ(Parse(bytes, {.max_values = 100}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Parse(bytes, {.max_bytes = static_cast<int64_t>(bytes.size()) - 1}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(TorchSave, ReadsTensorsInPlace) {
  const float values[4] = {1.5f, -2, 3, 4};
  const std::string data(reinterpret_cast<const char*>(values), sizeof(values));
  PickleBuilder p;
  p.Op('}').Text("w").Tensor("FloatStorage", "0", 4, 0, {4}, {1}).Op('s');
  const std::string zip = MakeZip({{"archive/data.pkl", p.Stop()},
                                   {"archive/byteorder", "little"},
                                   {"archive/data/0", data},
                                   {"archive/version", "3\n"}});
  // The file is an entry of another one, as in files of torch.export.
  const Blob outer = BlobOf(MakeZip({{"serialized_state_dict.pt", zip}}));
  auto archive = Archive::Open(outer);
  ASSERT_TRUE(archive.ok());
  const auto document = ReadTorchSave(*(*archive)->Read("serialized_state_dict.pt"));
  ASSERT_TRUE(document.ok()) << document.status();
  const auto tensor = (*document)->ToTensor(*(*document)->root()->Find("w"), "w");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(0, std::memcmp(tensor->data(), values, sizeof(values)));
}

TEST(TorchSave, RefusesOtherFiles) {
  const std::string pickle = PickleBuilder().None().Stop();
  const struct {
    std::string bytes;
    const char* message;
  } kCases[] = {
      {std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15),
       "from before PyTorch 1.6; load it and save it again"},
      {"hello", "it is no zip archive"},
      {MakeZip({{"m/x", "1"}}), "it has no data.pkl"},
      {MakeZip({{"m/data.pkl", pickle}, {"m/byteorder", "big"}}), "big-endian"},
      {MakeZip({{"m/data.pkl", "junk"}, {"m/byteorder", "little"}}), "data.pkl: this is no pickle"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.message);
    const auto document = ReadTorchSave(BlobOf(c.bytes));
    ASSERT_FALSE(document.ok());
    EXPECT_THAT(std::string(document.status().message()), HasSubstr(c.message));
  }
  const auto meta =
      ReadTorchSave(BlobOf(MakeZip({{"m/data.pkl", PickleBuilder()
                                                       .Global("torch._utils", "_rebuild_tensor_v2")
                                                       .Op('(')
                                                       .Storage("FloatStorage", "0", 4, "meta")
                                                       .Int(0)
                                                       .Ints({4})
                                                       .Ints({1})
                                                       .Op('t')
                                                       .Call()
                                                       .Stop()},
                                    {"m/data/x", ""}})));
  ASSERT_TRUE(meta.ok()) << meta.status();
  EXPECT_THAT(std::string((*meta)->ToTensor(*(*meta)->root(), "w").status().message()),
              HasSubstr("on the device meta: it has no data"));
}

}  // namespace
}  // namespace floe::torch_file
