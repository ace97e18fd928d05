// The zip container: what is read in place, what is inflated and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "compiler/import/torch_file/archive.h"
#include "tests/torch_file/zip_builder.h"

namespace floe::torch_file {
namespace {

using ::floe::testing::BlobOf;
using ::floe::testing::MakeZip;
using ::floe::testing::ZipEntry;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string RandomBytes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

TEST(Archive, StoredEntriesStayWhereTheyAre) {
  const std::string data = RandomBytes(200003, 1);
  const Blob file = BlobOf(MakeZip({{"model/data/0", data}, {"model/version", "3\n"}}));
  auto archive = Archive::Open(file);
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_THAT((*archive)->names(), ElementsAre("data/0", "version"));
  EXPECT_EQ((*archive)->top_folder(), "model");
  EXPECT_TRUE((*archive)->Has("version"));
  EXPECT_FALSE((*archive)->Has("model/version"));
  const auto blob = (*archive)->Read("data/0");
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_EQ(blob->bytes, data);
  EXPECT_GE(blob->bytes.data(), file.bytes.data());
  EXPECT_LT(blob->bytes.data(), file.bytes.data() + file.bytes.size());
  EXPECT_EQ(blob->owner, file.owner);
}

TEST(Archive, DeflatedEntriesAreInflatedAndOutliveTheArchive) {
  std::string data = RandomBytes(70000, 2);
  data += std::string(70000, 'x') + data;
  Blob blob;
  {
    auto archive = Archive::Open(BlobOf(MakeZip({{"a", data, true}, {"b", ""}, {"c/d", "e"}})));
    ASSERT_TRUE(archive.ok()) << archive.status();
    EXPECT_EQ((*archive)->top_folder(), "");
    EXPECT_THAT((*archive)->names(), ElementsAre("a", "b", "c/d"));
    auto read = (*archive)->Read("a");
    ASSERT_TRUE(read.ok()) << read.status();
    blob = *read;
    EXPECT_EQ((*archive)->Read("b")->bytes, "");
    EXPECT_EQ((*archive)->Read("c/d")->bytes, "e");
    EXPECT_EQ((*archive)->Read("x").status().code(), absl::StatusCode::kNotFound);
  }
  EXPECT_EQ(blob.bytes, data);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(blob.bytes.data()) % 64, 0u);
}

TEST(Archive, FolderEntriesAreNoFiles) {
  auto archive = Archive::Open(BlobOf(MakeZip({{"m/", ""}, {"m/x", "1"}, {"m/y", "2"}})));
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_THAT((*archive)->names(), ElementsAre("x", "y"));
}

// Replaces every occurrence: names stand in the local header and in the directory.
std::string Replace(std::string s, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = s.find(from, at)) != std::string::npos; at += to.size()) {
    s.replace(at, from.size(), to);
  }
  return s;
}

std::string WithByte(std::string s, size_t at, char value) {
  s[at] = value;
  return s;
}

// The directory's entry of the first name is made to point at the local header of the second.
std::string Overlapping() {
  std::string zip = MakeZip({{"a1", std::string(100, 'p')}, {"a2", std::string(100, 'p')}});
  // A zip in a zip: the outer entry's data hold the inner entry's header and data.
  const size_t directory = zip.find(std::string("PK\x01\x02", 4));
  const size_t second = zip.find(std::string("PK\x01\x02", 4), directory + 1);
  const size_t local = zip.find(std::string("PK\x03\x04", 4), 1);
  // Entry one grows over entry two's header, in both headers; the crc does not matter here.
  const uint32_t size = static_cast<uint32_t>(local) + 60 - 32;
  for (const size_t at : {size_t{18}, size_t{22}, directory + 20, directory + 24}) {
    std::memcpy(zip.data() + at, &size, 4);
  }
  EXPECT_NE(second, std::string::npos);
  return zip;
}

TEST(Archive, RefusesWhatCouldHarmOrMislead) {
  const std::string plain = MakeZip({{"model/data/0", "0123456789"}});
  const size_t directory = plain.find(std::string("PK\x01\x02", 4));
  const struct {
    const char* what;
    std::string zip;
    const char* message;
  } kCases[] = {
      {"empty", "", "no zip archive"},
      {"text", "hello, world", "no zip archive"},
      {"cut off", plain.substr(0, plain.size() - 30), "cut off"},
      {"half", plain.substr(0, plain.size() / 2), "cut off"},
      {"climbs", MakeZip({{"m/../../x", "1"}}), "leads out of the archive"},
      {"climbs first", MakeZip({{"../x", "1"}}), "leads out of the archive"},
      {"absolute", MakeZip({{"/etc/x", "1"}}), "the name is absolute"},
      {"backslash", MakeZip({{"m\\x", "1"}}), "no plain path"},
      {"drive", MakeZip({{"c:x", "1"}}), "no plain path"},
      {"dot", MakeZip({{"m/./x", "1"}}), "no plain path"},
      {"double slash", MakeZip({{"m//x", "1"}}), "no plain path"},
      {"folder with data", MakeZip({{"m/", "1"}}), "is a folder, but has data"},
      {"twice", Replace(MakeZip({{"m/x1", "1"}, {"m/x2", "2"}}), "x2", "x1"), "already exists"},
      {"encrypted", MakeZip({{"m/x", "1", false, true}}), "it is encrypted"},
      {"method", WithByte(WithByte(plain, 8, 12), directory + 10, 12), "method 12"},
      {"bomb", MakeZip({{"m/x", std::string(4 << 20, '\0'), true}}), "inflates from"},
      {"overlap", Overlapping(), "overlap"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    const auto archive = Archive::Open(BlobOf(c.zip));
    ASSERT_FALSE(archive.ok());
    EXPECT_THAT(std::string(archive.status().message()), HasSubstr(c.message));
  }
}

TEST(Archive, LimitsEntriesAndInflatedBytes) {
  const Blob file = BlobOf(MakeZip(
      {{"a", std::string(5000, 'a'), true}, {"b", std::string(5000, 'b'), true}, {"c", "1"}}));
  EXPECT_TRUE(Archive::Open(file, {.max_entries = 3, .max_inflated = 10000}).ok());
  EXPECT_THAT(std::string(Archive::Open(file, {.max_entries = 2}).status().message()),
              HasSubstr("3 entries, over the limit of 2"));
  const auto status = Archive::Open(file, {.max_inflated = 9999}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'b' inflates from"));
}

TEST(Archive, VerifiesChecksums) {
  for (const bool deflate : {false, true}) {
    const std::string data = RandomBytes(1000, 3);
    std::string zip = MakeZip({{"m/x", data, deflate}});
    const size_t at = zip.find(data.substr(100, 20));
    // Random bytes do not compress: deflate stores them, and they are found as they are.
    ASSERT_NE(at, std::string::npos);
    zip[at + 5] = static_cast<char>(zip[at + 5] ^ 1);
    auto archive = Archive::Open(BlobOf(zip));
    ASSERT_TRUE(archive.ok()) << archive.status();
    const auto blob = (*archive)->Read("x");
    ASSERT_FALSE(blob.ok());
    EXPECT_THAT(std::string(blob.status().message()),
                ::testing::AllOf(HasSubstr("'x'"), HasSubstr("CRC"), HasSubstr("damaged")));
  }
}

TEST(Archive, EveryFlippedBitIsRefusedOrHarmless) {
  const std::string a = RandomBytes(64, 4), b(300, 'b');
  const std::string zip = MakeZip({{"m/a", a}, {"m/b", b, true}});
  for (size_t bit = 0; bit < zip.size() * 8; ++bit) {
    std::string damaged = zip;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    auto archive = Archive::Open(BlobOf(damaged));
    if (!archive.ok()) continue;
    for (const std::string& name : (*archive)->names()) {
      const auto blob = (*archive)->Read(name);
      if (blob.ok()) {
        EXPECT_TRUE(blob->bytes == a || blob->bytes == b) << "bit " << bit;
      }
    }
  }
}

TEST(MapFile, SaysWhatIsWrong) {
  EXPECT_EQ(MapFile("no/such/file", 1 << 20).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(MapFile("tests", 1 << 20).status().message()),
              HasSubstr("no regular file"));
  EXPECT_EQ(MapFile("CMakeLists.txt", 10).status().code(), absl::StatusCode::kResourceExhausted);
  const auto file = MapFile("CMakeLists.txt", 1 << 20);
  ASSERT_TRUE(file.ok());
  EXPECT_THAT(std::string(file->bytes), HasSubstr("project(floe"));
}

}  // namespace
}  // namespace floe::torch_file
