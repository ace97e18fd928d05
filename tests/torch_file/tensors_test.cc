// Storages, strides and offsets against plain index arithmetic.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "compiler/import/torch_file/tensors.h"
#include "tests/torch_file/zip_builder.h"

namespace floe::torch_file {
namespace {

using ::floe::testing::BlobOf;
using ::testing::HasSubstr;

template <typename T>
Blob Numbers(int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), T{1});
  return BlobOf({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}

// Elements that as_strided's definition gives for the storage 1, 2, 3, ...
std::vector<int64_t> Expected(const TensorLayout& layout) {
  std::vector<int64_t> result;
  int64_t count = 1;
  for (const int64_t s : layout.sizes) count *= s;
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, at = layout.offset;
    for (size_t axis = layout.sizes.size(); axis-- > 0;) {
      at += rest % layout.sizes[axis] * layout.strides[axis];
      rest /= layout.sizes[axis];
    }
    result.push_back(at + 1);
  }
  return result;
}

template <typename T>
void Check(ScalarType type, const TensorLayout& like) {
  TensorLayout layout = like;
  layout.dtype = type;
  const auto tensor = MakeTensor(Numbers<T>(120), layout, "w");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->dims(), layout.sizes);
  const std::vector<int64_t> expected = Expected(layout);
  ASSERT_EQ(tensor->count(), static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(tensor->template as<T>()[i], static_cast<T>(expected[i])) << i;
  }
}

TEST(MakeTensor, GathersEveryLayoutAndWidth) {
  const TensorLayout kLayouts[] = {
      {{}, {2, 3, 4}, {12, 4, 1}, 0},         // Contiguous.
      {{}, {2, 3, 4}, {12, 4, 1}, 7},         // With an offset.
      {{}, {4, 3}, {1, 4}, 0},                // Transposed.
      {{}, {2, 3, 4, 5}, {60, 1, 15, 3}, 0},  // Channels last.
      {{}, {3, 5, 2}, {0, 1, 0}, 3},          // Expanded.
      {{}, {7}, {3}, 1},                      // Every third.
      {{}, {}, {}, 5},                        // A scalar.
      {{}, {1, 4, 1}, {999, 1, 77}, 2},       // Strides of axes of 1 mean nothing.
      {{}, {0, 3}, {3, 1}, 0},                // Empty.
      {{}, {4, 4}, {1, 1}, 0},                // Overlapping.
  };
  for (const TensorLayout& layout : kLayouts) {
    Check<uint8_t>(ScalarType::kByte, layout);
    Check<int16_t>(ScalarType::kShort, layout);
    Check<float>(ScalarType::kFloat, layout);
    Check<int32_t>(ScalarType::kQInt32, layout);
    Check<double>(ScalarType::kDouble, layout);
    Check<int64_t>(ScalarType::kLong, layout);
  }
}

TEST(MakeTensor, KeepsAlignedTensorsInPlaceAndCopiesOthers) {
  const Blob blob = Numbers<float>(64);
  const TensorLayout layout{ScalarType::kFloat, {3, 4}, {4, 1}, 5};
  auto tensor = MakeTensor(blob, layout, "w");
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->data(), blob.bytes.data() + 20);
  EXPECT_GT(blob.owner.use_count(), 1);
  const Blob odd{blob.bytes.substr(1, 100), blob.owner};
  tensor = MakeTensor(odd, {ScalarType::kFloat, {4}, {1}, 0}, "w");
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(0, std::memcmp(tensor->data(), odd.bytes.data(), 16));
}

TEST(MakeTensor, GivesComplexNumbersAsPairs) {
  const Blob blob = Numbers<float>(24);
  auto plain = MakeTensor(blob, {ScalarType::kFloat, {2, 3, 2}, {2, 8, 1}, 4}, "w");
  auto pairs = MakeTensor(blob, {ScalarType::kComplexFloat, {2, 3}, {1, 4}, 2}, "w");
  ASSERT_TRUE(plain.ok());
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  EXPECT_EQ(pairs->dtype(), DType::kF32);
  EXPECT_EQ(pairs->dims(), (std::vector<int64_t>{2, 3, 2}));
  EXPECT_EQ(0, std::memcmp(pairs->data(), plain->data(), 48));
  const auto cut = MakeTensor(blob, {ScalarType::kComplexDouble, {7}, {1}, 0}, "w");
  EXPECT_THAT(std::string(cut.status().message()), HasSubstr("needs 14 elements"));
}

TEST(MakeTensor, MakesBoolsZeroOrOne) {
  auto tensor = MakeTensor(BlobOf(std::string("\x00\x01\x02\xff", 4)),
                           {ScalarType::kBool, {2, 2}, {1, 2}, 0}, "b");
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(std::string(tensor->as<char>(), 4), std::string("\0\1\1\1", 4));
}

TEST(MakeTensor, RefusesWhatDoesNotFit) {
  const int64_t big = int64_t{1} << 62;
  const struct {
    TensorLayout layout;
    const char* message;
  } kCases[] = {
      {{ScalarType::kFloat, {121}, {1}, 0}, "needs 121 elements of its storage, which holds 120"},
      {{ScalarType::kFloat, {2}, {1}, 119}, "needs 121 elements"},
      {{ScalarType::kFloat, {}, {}, 120}, "needs 121 elements"},
      {{ScalarType::kFloat, {1}, {1}, -1}, "offset is negative"},
      {{ScalarType::kFloat, {-1}, {1}, 0}, "negative size -1"},
      {{ScalarType::kFloat, {3}, {-1}, 5}, "negative stride -1"},
      {{ScalarType::kFloat, {big, 4}, {4, 1}, 0}, "overflows"},
      {{ScalarType::kFloat, {3}, {big}, 0}, "overflows"},
      {{ScalarType::kFloat, {3}, {1, 1}, 0}, "3 strides"},
      {{ScalarType::kFloat, {1 << 26, 4}, {0, 1}, 0}, "expands 480 bytes"},
      {{ScalarType::kFloat, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}, 0},
       "rank 9; ranks go up to 8"},
      {{ScalarType::kQUInt4x2, {1}, {1}, 0}, "torch.quint4x2 are not supported"},
      {{ScalarType::kFloat8E4M3FN, {1}, {1}, 0}, "torch.float8_e4m3fn are not supported"},
      {{static_cast<ScalarType>(99), {1}, {1}, 0}, "number 99"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.message);
    const auto tensor = MakeTensor(Numbers<float>(120), c.layout, "layer.weight");
    ASSERT_FALSE(tensor.ok());
    EXPECT_THAT(std::string(tensor.status().message()), HasSubstr("layer.weight"));
    const std::string want =
        std::string(c.message) == "3 strides" ? "1 sizes, but 2 strides" : c.message;
    EXPECT_THAT(std::string(tensor.status().message()), HasSubstr(want));
  }
}

TEST(Dtypes, NamesSizesAndTypesAgree) {
  for (int i = 0; i < 64; ++i) {
    const auto type = static_cast<ScalarType>(i);
    const auto dtype = ToDType(type);
    if (!dtype.ok()) continue;
    EXPECT_EQ(DTypeSize(*dtype), ScalarTypeSize(type)) << i;
    EXPECT_EQ(ScalarTypeByName(ScalarTypeName(type)), type) << i;
    const ScalarType back = FromDType(*dtype);
    EXPECT_EQ(*ToDType(back), *dtype) << i;
  }
  EXPECT_EQ(ScalarTypeByName("half"), ScalarType::kHalf);
  EXPECT_EQ(ScalarTypeOfStorage("QUInt8Storage"), ScalarType::kQUInt8);
  EXPECT_FALSE(ScalarTypeOfStorage("EvilStorage").has_value());
  EXPECT_EQ(FromDType(DType::kI8), ScalarType::kChar);
  EXPECT_EQ(FromDType(DType::kNone), ScalarType::kUndefined);
}

}  // namespace
}  // namespace floe::torch_file
