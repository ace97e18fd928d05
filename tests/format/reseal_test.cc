// floe-reseal as a program: its exit codes, and that it changes checksums only.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/format/rules_test.h"

namespace floe::testing {
namespace {

class ResealTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("reseal" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) + "_" +
               std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  void Write(const std::string& name, const std::vector<uint8_t>& bytes) const {
    std::ofstream out(Path(name), std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
  }
  std::vector<uint8_t> Bytes(const std::string& name) const {
    std::ifstream in(Path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  int Run(const std::string& arguments) const {
    const std::string command =
        std::string(FLOE_RESEAL) + " " + arguments + " > " + Path("out") + " 2> " + Path("err");
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::filesystem::path folder_;
};

TEST_F(ResealTest, MakesDamageReachTheValidator) {
  std::vector<uint8_t> good;
  ASSERT_OK(WriteProgram(MlpProgram().View(), &good));
  // The kernel of some instruction: found by damaging the tables and writing them again.
  ProgramData data = MlpProgram();
  data.instructions[0].kernel = 999;
  std::vector<uint8_t> target;
  ASSERT_OK(WriteProgram(data.View(), &target));
  std::vector<uint8_t> damaged = good;
  for (size_t i = 128; i < good.size(); ++i) damaged[i] = target[i];
  Write("a.floe", damaged);
  const auto rule = [&](const std::string& name) {
    const std::vector<uint8_t> bytes = Bytes(name);
    return ReadFile(AlignedFile(bytes.data(), bytes.size())).rule;
  };
  EXPECT_EQ(rule("a.floe"), Rule::kSectionChecksum);
  EXPECT_EQ(Run(Path("a.floe") + " -o " + Path("b.floe")), 0);
  EXPECT_EQ(rule("a.floe"), Rule::kSectionChecksum) << "the input is untouched";
  EXPECT_EQ(rule("b.floe"), Rule::kInstructionKernel);
  EXPECT_EQ(Run(Path("a.floe")), 0);
  EXPECT_EQ(Bytes("a.floe"), Bytes("b.floe"));
  EXPECT_TRUE(Bytes("out").empty());
}

TEST_F(ResealTest, LeavesAnIntactFileAlone) {
  for (const Sample& sample : SamplePrograms()) {
    std::vector<uint8_t> good;
    ASSERT_OK(WriteProgram(sample.make().View(), &good));
    Write("a.floe", good);
    EXPECT_EQ(Run(Path("a.floe")), 0);
    EXPECT_EQ(Bytes("a.floe"), good);
  }
}

TEST_F(ResealTest, ExitCodes) {
  EXPECT_EQ(Run(""), 2);
  EXPECT_EQ(Run("--nonsense"), 2);
  EXPECT_EQ(Run("a b"), 2);
  EXPECT_EQ(Run("--help"), 0);
  EXPECT_FALSE(Bytes("out").empty());
  EXPECT_EQ(Run(Path("missing.floe")), 3);
  EXPECT_FALSE(Bytes("err").empty());
  Write("short.floe", std::vector<uint8_t>(63));
  EXPECT_EQ(Run(Path("short.floe")), 3);
  EXPECT_EQ(Bytes("short.floe").size(), 63u);
  std::vector<uint8_t> good;
  ASSERT_OK(WriteProgram(MlpProgram().View(), &good));
  Write("a.floe", good);
  EXPECT_EQ(Run(Path("a.floe") + " -o " + Path("no/such/folder/b.floe")), 1);
}

}  // namespace
}  // namespace floe::testing
