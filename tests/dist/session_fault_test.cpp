// What becomes of a run under mpirun when a rank fails: exit code, failure.json, time. Starts mpirun itself.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"

namespace rn::dist {
namespace {

namespace fs = std::filesystem;

class SessionFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::path(testing::TempDir()) /
        cat("session_fault_", getpid(), "_", testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override {
    if (HasFailure()) std::cerr << "stderr of the run:\n" << output();
    fs::remove_all(folder_);
  }

  pid_t start(const std::string& scenario, int ranks) const {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    const int out = open((folder_ / "output").c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    const std::string count = std::to_string(ranks);
    execlp(RN_MPIEXEC, RN_MPIEXEC, "--oversubscribe", "--allow-run-as-root", "-np", count.c_str(),
           RN_FAULT_RANK, scenario.c_str(), folder_.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }

  int finish(pid_t pid) const {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  int run(const std::string& scenario, int ranks) const { return finish(start(scenario, ranks)); }

  nlohmann::json failure() const {
    std::ifstream file(folder_ / "failure.json");
    return file ? nlohmann::json::parse(file) : nlohmann::json::object();
  }

  std::string output() const {
    std::ostringstream text;
    text << std::ifstream(folder_ / "output").rdbuf();
    return text.str();
  }

  int count_in_output(const std::string& text) const {
    const std::string all = output();
    int count = 0;
    for (auto at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) ++count;
    return count;
  }

  bool wait_for(const std::string& name) const {
    for (int i = 0; i < 3000 && !fs::exists(folder_ / name); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return fs::exists(folder_ / name);
  }

  // Seconds from the fault to the report.
  double reaction() const {
    const auto began = fs::last_write_time(folder_ / "fault_began");
    return std::chrono::duration<double>(fs::last_write_time(folder_ / "failure.json") - began).count();
  }

  void expect_culprit(int code, int rank) const {
    const auto json = failure();
    EXPECT_EQ(json.value("code", -1), code) << json;
    EXPECT_EQ(json.value("rank", -1), rank) << json;
    EXPECT_GT(json.value("pid", 0), 1) << json;
    EXPECT_EQ(json.value("step", -1), 5) << json;
  }

  fs::path folder_;
};

TEST_F(SessionFaultTest, AGoodRunEndsWithZeroAndWithoutAReport) {
  for (const int ranks : {1, 2, 3}) EXPECT_EQ(run("none", ranks), 0) << ranks << " ranks";
  EXPECT_FALSE(fs::exists(folder_ / "failure.json"));
}

TEST_F(SessionFaultTest, AnErrorOfOneRankEndsTheJobWithItsCode) {
  EXPECT_EQ(run("data_error", 3), 4);
  expect_culprit(4, 1);
  EXPECT_EQ(count_in_output("record 7 has the label 12"), 1);
}

TEST_F(SessionFaultTest, AnErrorOfAllRanksIsSaidOnce) {
  EXPECT_EQ(run("shared_error", 3), 2);
  EXPECT_EQ(failure().value("code", -1), 2);
  EXPECT_EQ(count_in_output("data.root: no such folder"), 1);
}

TEST_F(SessionFaultTest, AHangingRankIsNamedInTime) {
  EXPECT_EQ(run("hang", 3), 7);
  expect_culprit(7, 1);
  EXPECT_EQ(failure().value("phase", ""), "data");
  EXPECT_GE(reaction(), 2 - 0.5);
  EXPECT_LE(reaction(), 2 + 5);
  EXPECT_EQ(count_in_output("The ranks of host"), 1);
}

TEST_F(SessionFaultTest, AStoppedRankIsNamedInTime) {
  EXPECT_EQ(run("stopped", 2), 7);
  expect_culprit(7, 1);
  EXPECT_LE(reaction(), 4 + 5);
}

TEST_F(SessionFaultTest, AKilledRankIsReportedByTheSurvivors) {
  EXPECT_EQ(run("killed", 3), 128 + SIGKILL);  // mpirun's code whatever the others do
  expect_culprit(8, 1);
}

TEST_F(SessionFaultTest, AFaultingRankReportsItself) {
  EXPECT_EQ(run("segv", 2), 8);
  expect_culprit(8, 1);
  EXPECT_NE(failure().value("message", "").find("SIGSEGV (invalid memory access) at address 0x10"),
            std::string::npos)
      << failure();
}

TEST_F(SessionFaultTest, ExitBeforeTheEndIsNoSuccess) {
  EXPECT_EQ(run("exit", 2), 8);
  expect_culprit(8, 1);
}

TEST_F(SessionFaultTest, WaitingForALongCheckpointIsNoHang) {
  EXPECT_EQ(run("checkpoint", 2), 0);  // 6 s, longer than a step's deadline
  EXPECT_FALSE(fs::exists(folder_ / "failure.json"));
}

TEST_F(SessionFaultTest, Usr1ToMpirunReachesAllRanks) {
  const pid_t mpirun = start("signal", 3);
  ASSERT_TRUE(wait_for("under_way"));
  kill(mpirun, SIGUSR1);
  EXPECT_EQ(finish(mpirun), 75);
  for (int rank = 0; rank < 3; ++rank) EXPECT_TRUE(fs::exists(folder_ / cat("stopped.", rank))) << rank;
  EXPECT_FALSE(fs::exists(folder_ / "failure.json"));
}

}  // namespace
}  // namespace rn::dist
