// SIGKILL at every operation of save, set_best, prune and drop_after, on the real file system. What the
// process had written stays, so this is about the order of operations; checkpoint_crash_test.cpp is about
// what a machine that goes down loses.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "io/checkpoint_scenarios.h"
#include "support/hooked_file_system.h"
#include "support/point_log.h"
#include "support/temporary_directory.h"

namespace rn::io {
namespace {

using testing_support::HookedFileSystem;

// Runs `action` in a child that is killed before operation `kill_at`, counted from 0. Whether it was.
bool killed_at(std::size_t kill_at, const std::string& directory,
               const std::function<void(CheckpointFolder&)>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::size_t operation = 0;
    HookedFileSystem files(posix_file_system(), [&](const std::string&, const std::string&) {
      if (operation++ == kill_at) ::raise(SIGKILL);
    });
    CheckpointFolder folder(files, directory);
    try {
      action(folder);
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status)) {
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    return true;
  }
  EXPECT_EQ(status, 0) << "the child failed";
  return false;
}

// Kills at every operation until none is left, each time on a fresh run.
void kill_everywhere(const Scenario& scenario, const std::function<void(CheckpointFolder&)>& action) {
  namespace fs = std::filesystem;
  const testing_support::TemporaryDirectory before;
  make_existing_run(posix_file_system(), before / "checkpoints");
  std::size_t points = 0;
  for (bool killed = true; killed; ++points) {
    SCOPED_TRACE(testing::Message() << "killed before operation " << points);
    ASSERT_LT(points, 200u);
    const testing_support::TemporaryDirectory directory;
    const std::string checkpoints = directory / "checkpoints";
    fs::copy(before.path(), directory.path(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    killed = killed_at(points, checkpoints, action);
    expect_whole(posix_file_system(), checkpoints, scenario);
    expect_usable(posix_file_system(), checkpoints);
  }
  EXPECT_GT(points, 2u);
  testing_support::log_point({{"points", points}});
}

class CheckpointKillTest : public testing::TestWithParam<Scenario> {};

TEST_P(CheckpointKillTest, KilledAtAnyOperationTheOldOrTheNewOpensWhole) {
  kill_everywhere(GetParam(), GetParam().action);
}

INSTANTIATE_TEST_SUITE_P(AllOperations, CheckpointKillTest, testing::ValuesIn(scenarios()),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(CheckpointWriterKillTest, KilledAtAnyOperationOfTheBackgroundWriteTheOldOrTheNewOpensWhole) {
  const Scenario scenario{"Writer", {}, {{200, 100}, {300, 100}, {300, 300}}, {1}};
  kill_everywhere(scenario, [](CheckpointFolder& folder) {
    CheckpointWriter writer(folder, /*keep=*/1);
    writer.start(sample_job(300, /*best=*/true));
    if (!writer.wait()->written()) throw Error(ExitCode::kFailure, "not written");
  });
}

TEST(CheckpointWriterKillTest, AProcessThatEndsBadlyDuringABackgroundWriteLeavesTheOldOrTheNew) {
  const testing_support::TemporaryDirectory directory;
  const std::string checkpoints = directory / "checkpoints";
  make_existing_run(posix_file_system(), checkpoints);
  const pid_t child = ::fork();
  if (child == 0) {
    // The disk hangs in the write; the training thread meets an error and leaves, as end_run does.
    HookedFileSystem files(posix_file_system(), [](const std::string& operation, const std::string&) {
      if (operation == "sync") ::pause();
    });
    CheckpointFolder folder(files, checkpoints);
    CheckpointWriter writer(folder, /*keep=*/1);
    writer.start(sample_job(300, true));
    ::_exit(5);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5) << status;
  expect_whole(posix_file_system(), checkpoints, {"", {}, {{200, 100}}, {1}});
  expect_usable(posix_file_system(), checkpoints);
}

}  // namespace
}  // namespace rn::io
