#include "io/run_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include "core/error.h"
#include "support/temporary_directory.h"

namespace rn::io {
namespace {

using testing_support::TemporaryDirectory;

std::string refusal(const std::string& run_dir) {
  try {
    const RunLock lock(run_dir);
  } catch (const EnvironmentError& error) {
    return error.what();
  }
  return "locked";
}

TEST(RunLockTest, ASecondLiveRunIsRefusedAndToldWhoHoldsTheFolder) {
  const TemporaryDirectory folder;
  const RunLock lock(folder / "run");
  const std::string message = refusal(folder / "run");
  std::array<char, 256> host{};
  ASSERT_EQ(::gethostname(host.data(), host.size() - 1), 0);
  EXPECT_NE(message.find(folder / "run"), std::string::npos) << message;
  EXPECT_NE(message.find(cat("process ", ::getpid(), " on ", host.data())), std::string::npos) << message;
  EXPECT_NE(message.find("run.name"), std::string::npos) << message;
}

TEST(RunLockTest, TheFolderIsFreeAgainAfterTheRun) {
  const TemporaryDirectory folder;
  {
    const RunLock lock(folder.path());
  }
  EXPECT_EQ(refusal(folder.path()), "locked");
  EXPECT_EQ(refusal(folder.path()), "locked");
}

TEST(RunLockTest, DiesWithItsProcess) {
  const TemporaryDirectory folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::optional<RunLock> lock;
    try {
      lock.emplace(folder.path());
    } catch (const std::exception&) {
      ::_exit(1);
    }
    [[maybe_unused]] const ssize_t written = ::write(ready[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const std::string message = refusal(folder.path());
  EXPECT_NE(message.find(cat("process ", child, " on ")), std::string::npos) << message;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(refusal(folder.path()), "locked");
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(RunLockTest, AFolderMovedAsideDoesNotLockTheNewOneOfItsName) {
  const TemporaryDirectory folder;
  const RunLock old_run(folder / "run");
  std::filesystem::rename(folder / "run", folder / "run.old");
  EXPECT_EQ(refusal(folder / "run"), "locked");
  EXPECT_NE(refusal(folder / "run.old"), "locked");
}

TEST(RunLockTest, KnowsWhenItsFolderIsGone) {
  const TemporaryDirectory folder;
  const RunLock moved(folder / "a"), deleted(folder / "b"), replaced(folder / "c");
  EXPECT_TRUE(moved.is_in_place() && deleted.is_in_place() && replaced.is_in_place());
  std::filesystem::rename(folder / "a", folder / "a.old");
  std::filesystem::remove_all(folder / "b");
  std::filesystem::remove_all(folder / "c");
  const RunLock other(folder / "c");
  EXPECT_FALSE(moved.is_in_place());
  EXPECT_FALSE(deleted.is_in_place());
  EXPECT_FALSE(replaced.is_in_place());
  EXPECT_TRUE(other.is_in_place());
}

TEST(RunLockTest, AnUnreadableHolderIsNoObstacle) {
  const TemporaryDirectory folder;
  const RunLock lock(folder.path());
  std::ofstream(folder / ".lock", std::ios::trunc) << "";
  EXPECT_NE(refusal(folder.path()).find("another process"), std::string::npos);
  std::ofstream(folder / ".lock", std::ios::trunc) << "\x1b[31mred\nsecond line";
  const std::string message = refusal(folder.path());
  EXPECT_EQ(message.find('\x1b'), std::string::npos) << message;
  EXPECT_EQ(message.find("second line"), std::string::npos) << message;
}

TEST(RunLockTest, AFolderThatCannotBeMadeIsAnErrorWithItsPath) {
  const TemporaryDirectory folder;
  std::ofstream(folder / "file") << "x";
  try {
    const RunLock lock(folder / "file/run");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(folder / "file/run"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace rn::io
