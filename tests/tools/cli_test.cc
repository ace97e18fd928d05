// tools/cli: .npy and .npz, shape flags, atomic files, golden comparison.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "tools/cli/files.h"
#include "tools/cli/inputs.h"
#include "tools/cli/npy.h"
#include "tools/cli/shape_flags.h"

namespace floe::cli {
namespace {

std::string TempPath(const std::string& name) {
  return ::testing::TempDir() + "floe_cli_" + std::to_string(getpid()) + "_" + name;
}

Array RandomArray(DType dtype, std::vector<int64_t> dims) {
  Array a{dtype, std::move(dims), {}};
  std::mt19937 random(3);
  a.bytes.resize(static_cast<size_t>(a.count() * DTypeSize(dtype)));
  for (char& c : a.bytes) c = static_cast<char>(random());
  return a;
}

void ExpectSame(const Array& a, const Array& b) {
  EXPECT_EQ(a.dtype, b.dtype);
  EXPECT_EQ(a.dims, b.dims);
  EXPECT_TRUE(a.bytes == b.bytes);
}

TEST(NpyTest, EveryDTypeAndRankComesBack) {
  for (const DType t :
       {DType::kF32, DType::kF64, DType::kF16, DType::kI8, DType::kU8, DType::kI16, DType::kU16,
        DType::kI32, DType::kU32, DType::kI64, DType::kU64, DType::kBool}) {
    for (const auto& dims :
         std::vector<std::vector<int64_t>>{{}, {0}, {7}, {2, 3}, {1, 2, 3, 4, 5}}) {
      const Array a = RandomArray(t, dims);
      const std::string bytes = FormatNpy(a);
      EXPECT_EQ((bytes.size() - a.bytes.size()) % 64, 0u);
      const auto back = ParseNpy(bytes);
      ASSERT_TRUE(back.ok()) << back.status();
      ExpectSame(*back, a);
    }
  }
}

// As numpy 2.4 writes numpy.arange(3, dtype='<i4').
TEST(NpyTest, ReadsWhatNumpyWrites) {
  std::string file("\x93NUMPY\x01\x00", 8);
  std::string header = "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }";
  header.resize(117, ' ');
  header += '\n';
  file += static_cast<char>(header.size());
  file += '\0';
  file += header;
  file += std::string("\0\0\0\0\1\0\0\0\2\0\0\0", 12);
  const auto a = ParseNpy(file);
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_EQ(a->dtype, DType::kI32);
  EXPECT_THAT(a->dims, testing::ElementsAre(3));
}

TEST(NpyTest, DamageIsRefused) {
  const std::string good = FormatNpy(RandomArray(DType::kF32, {3, 5}));
  for (size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(ParseNpy(good.substr(0, n)).ok()) << n;
  EXPECT_FALSE(ParseNpy(good + "x").ok());
  std::mt19937 random(9);
  for (int i = 0; i < 20000; ++i) {
    std::string bad = good;
    bad[random() % 128] = static_cast<char>(random());
    (void)ParseNpy(bad).ok();  // Any status, no crash.
  }
}

TEST(NpzTest, NamesOrderAndBytesComeBackAndFilesAreReproducible) {
  const NamedArrays arrays = {{"z", RandomArray(DType::kF32, {3})},
                              {"in/a", RandomArray(DType::kI64, {2, 2})}};
  const std::string path = TempPath("a.npz");
  ASSERT_TRUE(WriteNpz(path, arrays).ok());
  const auto back = ReadNpz(path, 1 << 20);
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*back)[i].first, arrays[i].first);
    ExpectSame((*back)[i].second, arrays[i].second);
  }
  const std::string again = TempPath("b.npz");
  ASSERT_TRUE(WriteNpz(again, arrays).ok());
  EXPECT_EQ(*ReadFile(path, 1 << 20), *ReadFile(again, 1 << 20));
  // The budget is counted while inflating.
  EXPECT_EQ(ReadNpz(path, 100).status().code(), absl::StatusCode::kResourceExhausted);
  unlink(path.c_str());
  unlink(again.c_str());
}

TEST(ShapeFlagsTest, ShapesDimsAndBuckets) {
  const auto shape = ParseShapeFlag("ids=[N, 128,T]");
  ASSERT_TRUE(shape.ok());
  EXPECT_EQ(shape->input, "ids");
  ASSERT_EQ(shape->axes.size(), 3u);
  EXPECT_EQ(shape->axes[0].symbol, "N");
  EXPECT_EQ(shape->axes[1].size, 128);
  EXPECT_TRUE(ParseShapeFlag("scalar=[]")->axes.empty());
  EXPECT_EQ(shape->dtype, DType::kNone);
  EXPECT_EQ(ParseShapeFlag("ids=[N]:i64")->dtype, DType::kI64);
  EXPECT_EQ(ParseShapeFlag("ids=[N]:i64")->axes.size(), 1u);
  EXPECT_FALSE(ParseShapeFlag("ids=[N]:int").ok());
  EXPECT_FALSE(ParseShapeFlag("ids=[N]:").ok());
  const auto dim = ParseDimFlag("T=8..512:8");
  ASSERT_TRUE(dim.ok());
  EXPECT_EQ(dim->min, 8);
  EXPECT_EQ(dim->max, 512);
  EXPECT_EQ(dim->multiple, 8);
  EXPECT_EQ(ParseDimFlag("N=4")->max, 4);
  EXPECT_THAT(ParseBucketFlag("N=1,4,8")->second, testing::ElementsAre(1, 4, 8));
  for (const char* bad : {"", "x", "x=", "=[1]", "x=[1,,2]", "x=[-1]", "x=[1"}) {
    EXPECT_FALSE(ParseShapeFlag(bad).ok()) << bad;
  }
  for (const char* bad :
       {"N", "N=", "N=a", "N=8..4", "N=1..8:0", "=4", "N=1..", "N=99999999999999999999"}) {
    EXPECT_FALSE(ParseDimFlag(bad).ok()) << bad;
  }
  for (const char* bad : {"N=", "N=4,1", "N=0", "N=1,1"})
    EXPECT_FALSE(ParseBucketFlag(bad).ok()) << bad;
}

TEST(AtomicFileTest, WithoutCommitTheOldFileStays) {
  const std::string path = TempPath("atomic");
  ASSERT_TRUE(WriteFileAtomically(path, "old", 3).ok());
  {
    auto file = AtomicFile::Open(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->Write("newer", 5).ok());
  }
  EXPECT_EQ(*ReadFile(path, 100), "old");
  ASSERT_TRUE(WriteFileAtomically(path, "new", 3).ok());
  EXPECT_EQ(*ReadFile(path, 100), "new");
  unlink(path.c_str());
  EXPECT_FALSE(WriteFileAtomically("/nonexistent/folder/file", "x", 1).ok());
  EXPECT_FALSE(WriteFileAtomically("/dev/null", "x", 1).ok());  // Not a regular file.
  EXPECT_EQ(ReadFile("/nonexistent", 1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(ReadFile("/tmp", 1).ok());
}

TEST(MaxRelativeErrorTest, CountsWhatDiffers) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto error = [](std::vector<float> a, std::vector<float> b) {
    double max = 0;
    const auto n = static_cast<int64_t>(a.size());
    return MaxRelativeError(TensorOf(a.data(), {n}), TensorOf(b.data(), {n}), &max);
  };
  EXPECT_EQ(error({1, 2}, {1, 2}), 0);
  EXPECT_DOUBLE_EQ(error({1, 2.5}, {1, 2}), 0.25);
  EXPECT_EQ(error({nan, inf}, {nan, inf}), 0);
  EXPECT_EQ(error({nan, 1}, {1, 1}), inf);
  EXPECT_EQ(error({1, 1}, {inf, 1}), inf);
  EXPECT_EQ(error({-inf, 1}, {inf, 1}), inf);
  EXPECT_EQ(error({1e-30f}, {0}), inf);
}

}  // namespace
}  // namespace floe::cli
