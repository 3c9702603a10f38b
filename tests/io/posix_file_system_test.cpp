#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>

#include "core/error.h"
#include "io/file_system.h"
#include "io/system_error.h"
#include "support/temporary_directory.h"

namespace rn::io {
namespace {

using testing_support::TemporaryDirectory;

class PosixFileSystemTest : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    const auto file = files_.create(path);
    file->append(std::as_bytes(std::span(text)));
    file->close();
  }
  std::string read(const std::string& path) {
    const auto bytes = files_.read(path, 1 << 20);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  static mode_t mode_of(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_mode & 0777;
  }

  FileSystem& files_ = posix_file_system();
  TemporaryDirectory folder_;
};

// Runs `action`, expects an Error with this code and returns its message.
template <typename Action>
std::string message_of(ExitCode code, Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "did not throw";
  return {};
}

TEST_F(PosixFileSystemTest, ReadsWhatItWrote) {
  write(folder_ / "f", "some text");
  EXPECT_EQ(read(folder_ / "f"), "some text");
  EXPECT_TRUE(files_.exists(folder_ / "f"));
  EXPECT_FALSE(files_.exists(folder_ / "g"));
  EXPECT_FALSE(files_.exists(folder_ / "f/below-a-file"));
}

TEST_F(PosixFileSystemTest, NewFilesArePrivateUntilTheyAreShared) {
  const mode_t old_mask = ::umask(027);
  {
    const auto file = files_.create(folder_ / "f");
    EXPECT_EQ(mode_of(folder_ / "f"), 0600u);
    file->share();
    EXPECT_EQ(mode_of(folder_ / "f"), 0640u);
  }
  ::umask(old_mask);
}

TEST_F(PosixFileSystemTest, CreateNeverTakesWhatIsThere) {
  write(folder_ / "f", "old");
  files_.symlink("nowhere", folder_ / "dangling");
  EXPECT_NE(message_of(ExitCode::kFailure, [&] { files_.create(folder_ / "f"); }).find("exists already"),
            std::string::npos);
  message_of(ExitCode::kFailure, [&] { files_.create(folder_ / "dangling"); });
  EXPECT_FALSE(files_.exists(folder_ / "nowhere"));
  EXPECT_EQ(read(folder_ / "f"), "old");
}

TEST_F(PosixFileSystemTest, ErrorsNameThePathAndTheReason) {
  write(folder_ / "f", "12345");
  std::string message = message_of(ExitCode::kData, [&] { files_.read(folder_ / "missing", 10); });
  EXPECT_NE(message.find(folder_ / "missing"), std::string::npos) << message;
  EXPECT_NE(message.find("there is no such file or folder"), std::string::npos) << message;
  message = message_of(ExitCode::kData, [&] { files_.read(folder_.path(), 10); });
  EXPECT_NE(message.find("it is a folder"), std::string::npos) << message;
  message = message_of(ExitCode::kData, [&] { files_.read(folder_ / "f", 4); });
  EXPECT_NE(message.find("has 5 bytes, more than the 4"), std::string::npos) << message;
  message = message_of(ExitCode::kFailure, [&] { files_.create(folder_ / "no/f"); });
  EXPECT_NE(message.find("cannot write " + (folder_ / "no/f")), std::string::npos) << message;
  message_of(ExitCode::kFailure, [&] { files_.make_directory(folder_ / "f/sub"); });
  message_of(ExitCode::kFailure, [&] { files_.remove(folder_ / "missing"); });
  message_of(ExitCode::kFailure, [&] { files_.rename(folder_ / "missing", folder_ / "g"); });
  message_of(ExitCode::kFailure, [&] { files_.sync_directory(folder_ / "missing"); });
  message_of(ExitCode::kData, [&] { files_.list(folder_ / "missing"); });
}

TEST_F(PosixFileSystemTest, ANamedPipeIsRefusedAndDoesNotBlock) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_NE(
      message_of(ExitCode::kData, [&] { files_.read(folder_ / "pipe", 10); }).find("not a regular file"),
      std::string::npos);
}

TEST_F(PosixFileSystemTest, FullDisksAndKinAreExplainedInWords) {
  EXPECT_NE(describe_errno(ENOSPC).find("the disk is full"), std::string::npos);
  EXPECT_NE(describe_errno(EDQUOT).find("quota"), std::string::npos);
  EXPECT_NE(describe_errno(EROFS).find("read-only"), std::string::npos);
  EXPECT_NE(describe_errno(EXDEV).find("errno"), std::string::npos);  // one without words of ours
}

// A file size limit makes write() first write a part and then fail, as a disk does that fills up.
TEST_F(PosixFileSystemTest, AWriteThatDoesNotFitFails) {
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = old_limit;
  limit.rlim_cur = 1000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  {
    const auto file = files_.create(folder_ / "f");
    const std::vector<std::byte> bytes(600);
    file->append(bytes);
    const std::string message = message_of(ExitCode::kFailure, [&] { file->append(bytes); });
    EXPECT_NE(message.find("EFBIG"), std::string::npos) << message;
  }
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(files_.read(folder_ / "f", 2000).size(), 1000u);  // the part that fitted was written
}

TEST_F(PosixFileSystemTest, MakesDirectoriesWithTheirParentsAndListsSorted) {
  files_.make_directory(folder_ / "a/b/c");
  files_.make_directory(folder_ / "a/b/c");
  write(folder_ / "a/z", "");
  write(folder_ / "a/.hidden", "");
  EXPECT_EQ(files_.list(folder_ / "a"), (std::vector<std::string>{".hidden", "b", "z"}));
  files_.sync_directory(folder_ / "a");
}

TEST_F(PosixFileSystemTest, RenameReplacesAndRemoveTakesLinksNotTheirTargets) {
  write(folder_ / "new", "new");
  write(folder_ / "old", "old");
  files_.rename(folder_ / "new", folder_ / "old");
  EXPECT_EQ(read(folder_ / "old"), "new");
  files_.symlink("old", folder_ / "link");
  EXPECT_EQ(files_.read_link(folder_ / "link"), "old");
  EXPECT_EQ(files_.read_link(folder_ / "old"), "");
  EXPECT_EQ(files_.read_link(folder_ / "missing"), "");
  EXPECT_EQ(read(folder_ / "link"), "new");
  files_.remove(folder_ / "link");
  EXPECT_TRUE(files_.exists(folder_ / "old"));
  files_.make_directory(folder_ / "d");
  files_.remove(folder_ / "d");
  EXPECT_FALSE(files_.exists(folder_ / "d"));
}

TEST(ParentOfTest, IsTheFolderThatHoldsThePath) {
  const std::pair<const char*, const char*> cases[] = {
      {"a/b/c", "a/b"}, {"a", "."},    {"/a", "/"},  {"a/b/", "a"}, {"/", "/"},
      {"", "."},        {"a//b", "a"}, {"//a", "/"}, {"./a", "."},  {"../a", ".."}};
  for (const auto& [path, expected] : cases) EXPECT_EQ(parent_of(path), expected) << path;
}

}  // namespace
}  // namespace rn::io
