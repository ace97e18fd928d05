// Files of every version of the format load forever. tests/format/corpus/vX.Y/ holds the sample
// programs as that version's writer wrote them.
//
//   format_corpus_test --update    rewrites the current version's folder; only before it is
//   released
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "backends/registry.h"
#include "format/container.h"
#include "format/reader.h"
#include "tests/format/fake_footprints.h"
#include "tests/format/sample_programs.h"
#include "tests/format/test_util.h"

namespace floe::testing {
namespace {

constexpr char kCorpus[] = "tests/format/corpus";

std::string Current() {
  return std::string(kCorpus) + "/v" + std::to_string(kFormatMajor) + "." +
         std::to_string(kFormatMinor);
}

std::vector<uint8_t> ReadBytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST(CorpusTest, EveryFileOfEveryVersionLoads) {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kCorpus)) {
    if (entry.path().extension() != ".floe") continue;
    SCOPED_TRACE(entry.path().string());
    ++files;
    const std::vector<uint8_t> bytes = ReadBytes(entry.path());
    const AlignedFile file(bytes.data(), bytes.size());
    ReadOptions options;
    options.verify_payload = true;
    for (const FootprintTable* table : {&FakeFootprints(), &KernelFootprints()}) {
      Program program;
      EXPECT_OK(
          Program::Read(file.data(), file.size(), options, *table, DefaultAllocator(), &program));
      EXPECT_FALSE(program.view().methods.empty());
    }
  }
  EXPECT_GE(files, static_cast<int>(SamplePrograms().size()));
}

// The writer still writes what it wrote: a difference is a change of the format.
TEST(CorpusTest, CurrentVersionIsUnchanged) {
  for (const Sample& sample : SamplePrograms()) {
    const std::string path = Current() + "/" + sample.name + ".floe";
    std::vector<uint8_t> bytes;
    ASSERT_OK(WriteProgram(sample.make().View(), &bytes));
    EXPECT_TRUE(ReadBytes(path) == bytes) << path;
  }
}

void Update() {
  std::filesystem::create_directories(Current());
  for (const Sample& sample : SamplePrograms()) {
    std::vector<uint8_t> bytes;
    ASSERT_OK(WriteProgram(sample.make().View(), &bytes));
    std::ofstream out(Current() + "/" + sample.name + ".floe", std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(out.good());
  }
}

}  // namespace
}  // namespace floe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--update") == 0) floe::testing::Update();
  }
  return RUN_ALL_TESTS();
}
