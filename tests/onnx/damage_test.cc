// Damaged models: every truncation, bit flip and splice gives a status or a graph that verifies. No
// crash, no hang, no memory beyond a bound. Run it under ASan and UBSan to make it bite.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "compiler/import/onnx/import.h"
#include "compiler/import/onnx/onnx.pb.h"
#include "compiler/ir/verify.h"
#include "tests/onnx/backend_case.h"

namespace floe::onnx {
namespace {

constexpr int kMutations = 60000;
constexpr auto kTimeBox = std::chrono::seconds(40);

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  const auto cases = ReadPack("tests/onnx/backend_subset.pack");
  if (!cases.ok()) return seeds;
  // A spread over all ops; the pack is sorted by name.
  for (size_t i = 0; i < cases->size(); i += 5) {
    const std::string& model = (*cases)[i].model;
    if (ImportOnnxFromMemory(model, nullptr).ok()) seeds.push_back(model);
  }
  return seeds;
}

std::string Mutate(const std::vector<std::string>& seeds, std::mt19937& random) {
  const auto below = [&random](size_t n) { return n == 0 ? 0 : random() % n; };
  std::string bytes = seeds[below(seeds.size())];
  switch (below(6)) {
    case 0:
      bytes.resize(below(bytes.size() + 1));
      return bytes;
    case 1: {  // A piece of another model.
      const std::string& other = seeds[below(seeds.size())];
      const size_t at = below(other.size());
      bytes.insert(below(bytes.size() + 1), other.substr(at, 1 + below(64)));
      return bytes;
    }
    case 2:
      bytes.erase(below(bytes.size()), 1 + below(16));
      return bytes;
    case 3:  // Extreme varints where small ones were.
      bytes.insert(below(bytes.size() + 1), "\xff\xff\xff\xff\xff\xff\xff\xff\x7f");
      return bytes;
    default:
      for (size_t n = 1 + below(2); n > 0 && !bytes.empty(); --n) {
        const size_t at = below(bytes.size());
        const auto flipped = static_cast<unsigned char>(bytes[at]) ^ (1u << below(8));
        bytes[at] = below(4) == 0 ? static_cast<char>(random()) : static_cast<char>(flipped);
      }
      return bytes;
  }
}

// Values at which arithmetic on sizes breaks.
int64_t Extreme(std::mt19937& random) {
  constexpr int64_t kValues[] = {0,         1,         -1,         2,          -2,
                                 7,         1 << 20,   -(1 << 20), 1LL << 31,  1LL << 40,
                                 INT64_MAX, INT64_MIN, 64,         1000000007, 1LL << 62};
  return kValues[random() % std::size(kValues)];
}

// One change that leaves a message that parses: an attribute, a name, a type, a size, a node.
void MutateMessage(ModelProto& model, const std::vector<std::string>& ops, std::mt19937& random) {
  const auto pick = [&random](auto* list) -> auto* {
    return list->Mutable(static_cast<int>(random() % static_cast<unsigned>(list->size())));
  };
  GraphProto& graph = *model.mutable_graph();
  if (graph.node_size() == 0) return;
  NodeProto& node = *pick(graph.mutable_node());
  switch (random() % 12) {
    case 0:
    case 1:
      if (node.attribute_size() > 0) {
        AttributeProto& a = *pick(node.mutable_attribute());
        if (a.has_i()) a.set_i(Extreme(random));
        if (a.ints_size() > 0) {
          a.set_ints(static_cast<int>(random() % static_cast<unsigned>(a.ints_size())),
                     Extreme(random));
        }
        if (a.has_t() && a.t().dims_size() > 0) a.mutable_t()->set_dims(0, Extreme(random));
        if (random() % 4 == 0) a.add_ints(Extreme(random));
      }
      break;
    case 2:
      if (node.attribute_size() > 0) node.mutable_attribute()->RemoveLast();
      break;
    case 3:  // Another operand.
      if (node.input_size() > 0) {
        const NodeProto& other = *pick(graph.mutable_node());
        *pick(node.mutable_input()) = other.output_size() > 0 ? other.output(0) : "";
      }
      break;
    case 4:
      if (node.input_size() > 0) node.mutable_input()->RemoveLast();
      break;
    case 5:
      if (node.output_size() > 0) *node.add_output() = random() % 2 == 0 ? "extra" : "";
      break;
    case 6:
      node.set_op_type(ops[random() % ops.size()]);
      break;
    case 7:
      if (graph.input_size() > 0) {
        auto& type = *pick(graph.mutable_input())->mutable_type()->mutable_tensor_type();
        if (type.shape().dim_size() > 0) {
          pick(type.mutable_shape()->mutable_dim())->set_dim_value(Extreme(random));
        }
      }
      break;
    case 8:
      if (graph.input_size() > 0) {
        auto& type = *pick(graph.mutable_input())->mutable_type()->mutable_tensor_type();
        type.set_elem_type(static_cast<int>(random() % 28));
      }
      break;
    case 9:
      if (graph.initializer_size() > 0) {
        TensorProto& t = *pick(graph.mutable_initializer());
        if (t.dims_size() > 0) t.set_dims(0, Extreme(random));
        if (random() % 2 == 0) t.set_data_type(static_cast<int>(random() % 28));
      }
      break;
    case 10:
      if (model.opset_import_size() > 0) {
        pick(model.mutable_opset_import())->set_version(random() % 30);
      }
      break;
    default:
      if (random() % 2 == 0) {
        *graph.add_node() = NodeProto(node);
      } else {
        *node.add_input() = node.input_size() > 0 ? node.input(0) : "";
      }
  }
}

std::vector<std::string> OpTypes(const std::vector<std::string>& seeds) {
  std::set<std::string> ops;
  for (const std::string& seed : seeds) {
    ModelProto model;
    if (!model.ParseFromString(seed)) continue;
    for (const NodeProto& node : model.graph().node()) ops.insert(node.op_type());
  }
  return {ops.begin(), ops.end()};
}

int64_t PeakBytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

TEST(Damage, MutatedModelsGiveAStatusOrASoundGraph) {
  const std::vector<std::string> seeds = Seeds();
  ASSERT_GE(seeds.size(), 50u);
  const std::vector<std::string> ops = OpTypes(seeds);
  std::mt19937 random(20240601);
  const auto start = std::chrono::steady_clock::now();
  const int64_t before = PeakBytes();
  int imported = 0, refused = 0, i = 0;
  for (; i < kMutations && std::chrono::steady_clock::now() - start < kTimeBox; ++i) {
    std::string bytes;
    if (random() % 3 == 0) {
      bytes = Mutate(seeds, random);
    } else {
      ModelProto model;
      ASSERT_TRUE(model.ParseFromString(seeds[random() % seeds.size()]));
      for (uint32_t n = 1 + random() % 3; n > 0; --n) MutateMessage(model, ops, random);
      bytes = model.SerializeAsString();
    }
    const auto graph = ImportOnnxFromMemory(bytes, nullptr);
    if (!graph.ok()) {
      ++refused;
      const absl::StatusCode code = graph.status().code();
      EXPECT_TRUE(code == absl::StatusCode::kInvalidArgument ||
                  code == absl::StatusCode::kUnimplemented ||
                  code == absl::StatusCode::kResourceExhausted)
          << graph.status();
      EXPECT_FALSE(graph.status().message().empty());
      continue;
    }
    ++imported;
    const absl::Status sound = ir::Verify(**graph);
    ASSERT_TRUE(sound.ok()) << "mutation " << i << ": " << sound;
  }
  RecordProperty("mutations", i);
  std::printf("%d mutations: %d refused, %d imported\n", i, refused, imported);
  EXPECT_GT(refused, i / 4);
  EXPECT_GT(imported, i / 10);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(PeakBytes() - before, int64_t{256} << 20);
#else
  (void)before;
#endif
}

TEST(Damage, EveryTruncationOfAModelIsRefused) {
  const std::vector<std::string> seeds = Seeds();
  ASSERT_FALSE(seeds.empty());
  for (size_t n = 0; n < seeds[0].size(); ++n) {
    const auto graph = ImportOnnxFromMemory(seeds[0].substr(0, n), nullptr);
    // The last field is the opset, without which nothing can be read.
    EXPECT_FALSE(graph.ok()) << n;
  }
  EXPECT_TRUE(ImportOnnxFromMemory(seeds[0], nullptr).ok());
}

}  // namespace
}  // namespace floe::onnx
