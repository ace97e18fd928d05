// fork(), threads that cannot be started, files that change on disk.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>

#include "tests/format/sample_programs.h"
#include "tests/runtime/support.h"

namespace floe::testing {
namespace {

// A child's answer, or -1 if it died or hangs.
int AnswerOf(pid_t child) {
  for (int i = 0; i < 600; ++i) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) {
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    usleep(50'000);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return -1;
}

TEST(Fork, AChildRunsOnItsOneThreadAndCleansUp) {
  const std::vector<float> x(8 * 64 * 64, 0.5f);
  Model model = OpenProgram(WideProgram());
  ThreadPool pool = std::move(ThreadPool::Make(3)).value();
  Session session = MakeSession(model, pool.get());
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {8, 64, 64})}));
  ASSERT_FLOE_OK(session.Run());
  const std::vector<float> expected = ReadOutput<float>(session);
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      int answer = 0;
      for (int k = 0; k < 3 && answer == 0; ++k) {
        if (!session.Run().ok()) answer = 1;
        if (ReadOutput<float>(session) != expected) answer = 2;
      }
      // A session made in the child, on the parent's pool.
      Session other = MakeSession(model, pool.get());
      if (!other.Bind({TensorOf(x.data(), {8, 64, 64})}).ok() || !other.Run().ok()) answer = 3;
      other = Session();
      session = Session();
      pool = ThreadPool();
      model = Model();
      _exit(answer);
    }
    EXPECT_EQ(AnswerOf(child), 0);
    ASSERT_FLOE_OK(session.Run());
    EXPECT_EQ(ReadOutput<float>(session), expected);
  }
}

TEST(Threads, ThatCannotBeStartedAreDoneWithout) {
  ThreadPoolOptions options;
  options.threads = 4;
  options.stack_bytes = size_t{1} << 60;  // No system has that.
  const Result<ThreadPool> pool = ThreadPool::Make(options);
  ASSERT_TRUE(pool.ok()) << pool.outcome().Message();
  EXPECT_EQ(pool->size(), 1u);
  const Model model = OpenProgram(MlpProgram());
  Session session = MakeSession(model, pool->get());
  const std::vector<float> x(4, 1.0f);
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {1, 4})}));
  ASSERT_FLOE_OK(session.Run());
  options.stack_bytes = 1;  // Less than any system's minimum.
  EXPECT_EQ(ThreadPool::Make(options)->size(), 1u);
}

class TempFile {
 public:
  explicit TempFile(const std::vector<uint8_t>& bytes) {
    path_ = ::testing::TempDir() + "floe_process_test_XXXXXX";
    const int fd = mkstemp(path_.data());
    EXPECT_GE(fd, 0);
    EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    close(fd);
  }
  ~TempFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Files, MappedAndCopiedOnesGiveTheSame) {
  const std::vector<uint8_t> bytes = FileOf(MlpProgram());
  const TempFile file(bytes);
  for (const int copy : {0, 1}) {
    OpenOptions options;
    options.copy = copy;
    options.verify_payload = 1;
    Result<Model> model = Model::Open(file.path(), options);
    ASSERT_TRUE(model.ok()) << model.outcome().Message();
    EXPECT_EQ(model->Info().file_bytes, bytes.size());
    EXPECT_EQ(model->Info().resident_bytes > bytes.size(), copy == 1);
    Session session = MakeSession(*model);
    const std::vector<float> x(4, 1.0f);
    ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {1, 4})}));
    ASSERT_FLOE_OK(session.Run());
  }
}

TEST(Files, ReplacingAFileByRenamingDoesNotDisturbOpenModels) {
  const TempFile file(FileOf(MlpProgram()));
  Result<Model> model = Model::Open(file.path());
  ASSERT_TRUE(model.ok());
  Session session = MakeSession(*model);
  const std::vector<float> x(4, 1.0f);
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {1, 4})}));
  ASSERT_FLOE_OK(session.Run());
  const std::vector<float> before = ReadOutput<float>(session);
  const TempFile other(FileOf(IfProgram()));
  ASSERT_EQ(std::rename(other.path().c_str(), file.path().c_str()), 0);
  ASSERT_FLOE_OK(session.Run());
  EXPECT_EQ(ReadOutput<float>(session), before);
  Result<Model> reopened = Model::Open(file.path());
  ASSERT_TRUE(reopened.ok());
  EXPECT_EQ(reopened->Method().inputs, 2u);
}

TEST(Files, EveryTruncationIsRefused) {
  const std::vector<uint8_t> bytes = FileOf(IfProgram());
  for (const int copy : {0, 1}) {
    for (size_t n = 0; n < bytes.size(); n += n < 256 ? 1 : 61) {
      const TempFile file({bytes.begin(), bytes.begin() + static_cast<int64_t>(n)});
      OpenOptions options;
      options.copy = copy;
      const Result<Model> model = Model::Open(file.path(), options);
      ASSERT_FALSE(model.ok()) << n;
      EXPECT_EQ(model.outcome().code(), FLOE_INVALID_FILE) << n;
    }
  }
}

TEST(Files, WrongWeightsAreFoundWhenAskedForAndHarmlessElse) {
  std::vector<uint8_t> bytes = FileOf(MlpProgram());
  OpenOptions options;
  options.copy = 1;
  ASSERT_TRUE(Model::Open(bytes.data(), bytes.size(), options).ok());
  // The weights are the only floats of this value; find one and change it.
  const float weight = MlpWeight(5);
  size_t at = 0;
  while (at + 4 <= bytes.size() && std::memcmp(&bytes[at], &weight, 4) != 0) at += 4;
  ASSERT_LT(at + 4, bytes.size());
  bytes[at] ^= 0xff;
  Result<Model> model = Model::Open(bytes.data(), bytes.size(), options);
  ASSERT_TRUE(model.ok()) << model.outcome().Message();
  Session session = MakeSession(*model);
  const std::vector<float> x(4, 1.0f);
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {1, 4})}));
  ASSERT_FLOE_OK(session.Run());
  options.verify_payload = 1;
  model = Model::Open(bytes.data(), bytes.size(), options);
  EXPECT_EQ(model.outcome().code(), FLOE_INVALID_FILE);
  EXPECT_THAT(model.outcome().Message(), ::testing::HasSubstr("kSectionChecksum"));
}

}  // namespace
}  // namespace floe::testing
