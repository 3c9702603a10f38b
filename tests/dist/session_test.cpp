#include "dist/session.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/library_error.h"
#include "dist/cuda_device.h"
#include "dist/stop_signals.h"

namespace rn::dist {
namespace {

namespace fs = std::filesystem;

// A run of one rank, without a launcher.
class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    if (rank_from_environment() != 0 || read_launch_env().launched) GTEST_SKIP() << "runs without a launcher";
    folder_ = fs::path(testing::TempDir()) / cat("session_", getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    options_.backend = Backend::kMpi;
    forget_pending_stop();
  }
  void TearDown() override { fs::remove_all(folder_); }

  // The wait status of a child process that runs `body` under guarded.
  template <typename Body>
  int status_of(Body body) const {
    const pid_t pid = fork();
    if (pid == 0) {
      if (!freopen("/dev/null", "w", stderr)) _exit(98);
      Session session(options_, 1);
      if (claims_) session.claim_run_folder(folder_.string());
      _exit(guarded(session, [&] { return body(session); }));
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
  }

  nlohmann::json failure() const {
    std::ifstream file(folder_ / "failure.json");
    return file ? nlohmann::json::parse(file) : nlohmann::json();
  }

  fs::path folder_;
  bool claims_ = true;  // the run folder, at once
  DistOptions options_;
};

TEST_F(SessionTest, OneRankNeedsNoMpi) {
  Session session(options_, 0);
  EXPECT_EQ(session.communicator().backend(), "single");
  EXPECT_EQ(session.host().world_size(), 1);
  EXPECT_EQ(session.device_index(), -1);
  EXPECT_EQ(session.device_communicator(), nullptr);
  EXPECT_GE(session.threads(), 1);
  EXPECT_EQ(session.stop_requested(), StopReason::kNone);
  session.finish();
  EXPECT_EQ(static_cast<Phase>(session.board().mine().phase.load()), Phase::kFinished);
}

TEST_F(SessionTest, ThreadsCanBeChosen) { EXPECT_EQ(Session(options_, 3).threads(), 3); }

TEST_F(SessionTest, NcclWithoutCudaIsAConfigurationError) {
  if (built_with_cuda()) GTEST_SKIP() << "this build has CUDA";
  options_.backend = Backend::kNccl;
  EXPECT_THROW(Session(options_, 1), ConfigError);
}

TEST_F(SessionTest, SignalsBecomeRequestsByPriority) {
  Session session(options_, 1);
  raise(SIGUSR2);
  EXPECT_EQ(session.stop_requested(), StopReason::kNone);
  raise(SIGUSR1);
  EXPECT_EQ(session.stop_requested(), StopReason::kRequeue);
  raise(SIGTERM);
  EXPECT_EQ(session.stop_requested(), StopReason::kTerminate);
  raise(SIGINT);
  EXPECT_EQ(session.stop_requested(), StopReason::kInterrupt);
  session.finish();
}

TEST_F(SessionTest, TheSecondInterruptEndsAtOnce) {
  const int status = status_of([](Session&) {
    raise(SIGINT);
    raise(SIGINT);
    return ExitCode::kDone;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
}

TEST_F(SessionTest, TheBodysCodeIsTheExitCode) {
  const int status = status_of([](Session&) { return ExitCode::kRequeue; });
  EXPECT_EQ(WEXITSTATUS(status), 75);
  EXPECT_TRUE(failure().is_null());
}

TEST_F(SessionTest, ErrorsEndWithTheirCodeAndAReport) {
  const int status = status_of([](Session& session) -> ExitCode {
    session.board().begin_step(12);
    throw DataError("data_batch_3.bin is cut");
  });
  EXPECT_EQ(WEXITSTATUS(status), 4);
  const auto json = failure();
  EXPECT_EQ(json["code"], 4);
  EXPECT_EQ(json["rank"], 0);
  EXPECT_EQ(json["phase"], "step");
  EXPECT_EQ(json["step"], 12);
  EXPECT_EQ(json["message"], "data_batch_3.bin is cut");
}

TEST_F(SessionTest, ALibrarysDetailsStandInTheReportOnly) {
  const int status =
      status_of([](Session&) -> ExitCode { throw LibraryError("no such kernel", "frame #0: f()"); });
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_EQ(failure()["message"], "no such kernel");
  EXPECT_EQ(failure()["details"], "frame #0: f()");
}

TEST_F(SessionTest, AFolderThatIsNotClaimedOrLeftAgainIsNotTouched) {
  claims_ = false;
  const auto fails = [](Session&) -> ExitCode { throw DataError("no data"); };
  EXPECT_EQ(WEXITSTATUS(status_of(fails)), 4);
  const auto leaves = [this](Session& session) -> ExitCode {
    session.claim_run_folder(folder_.string());
    session.leave_run_folder();
    raise(SIGSEGV);
    return ExitCode::kDone;
  };
  EXPECT_TRUE(WIFSIGNALED(status_of(leaves)));
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(SessionTest, OtherExceptionsEndWithOne) {
  EXPECT_EQ(WEXITSTATUS(status_of([](Session&) -> ExitCode { throw std::runtime_error("surprise"); })), 1);
  EXPECT_EQ(failure()["message"], "surprise");
  fs::remove(folder_ / "failure.json");
  EXPECT_EQ(WEXITSTATUS(status_of([](Session&) -> ExitCode { throw 42; })), 1);
}

TEST_F(SessionTest, AFaultOfOneRankIsReportedAndKeepsItsSignal) {
  const int status = status_of([](Session&) {
    raise(SIGSEGV);
    return ExitCode::kDone;
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
  EXPECT_NE(failure()["message"].get<std::string>().find("SIGSEGV"), std::string::npos);
}

TEST_F(SessionTest, StackOverflowIsReported) {
  struct Deep {
    static int down(volatile int* from) {
      volatile int frame[1024] = {};
      frame[0] = *from + 1;
      if (frame[0] < 0) return 0;
      return down(frame) + frame[0];
    }
  };
  const int status = status_of([](Session&) {
    volatile int zero = 0;
    return static_cast<ExitCode>(Deep::down(&zero));
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(failure()["code"], 1);
}

TEST_F(SessionTest, AHangOfOneRankEndsWithSeven) {
  options_.data_deadline_seconds = 0.5;
  const int status = status_of([](Session& session) {
    session.board().enter(Phase::kData);
    while (true) pause();
    return ExitCode::kDone;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(failure()["phase"], "data");
}

}  // namespace
}  // namespace rn::dist
