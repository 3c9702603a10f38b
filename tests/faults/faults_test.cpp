// Every fault at every point of a small run (fault_rank.cpp) under mpirun: exit code, culprit, time,
// survivors, flight record, and the bits of the run that goes on afterwards.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "fault_case.h"
#include "fault_run.h"
#include "support/point_log.h"
#include "support/temporary_directory.h"

namespace rn::faults {
namespace {

namespace fs = std::filesystem;
constexpr double kReactionSeconds = 5;

class FaultTest : public testing::TestWithParam<FaultCase> {
 protected:
  void SetUp() override { fs::create_directories(run_dir()); }
  void TearDown() override {
    if (HasFailure()) std::cerr << "output:\n" << output_ << "flight record:\n" << flight_words(run_dir());
  }

  // The whole path: it also tells this run's processes from others.
  std::string run_dir() const { return folder_ / "run"; }

  FaultRun run(int ranks, const std::string& setting, const std::string& dir,
               const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {RN_FAULT_RANK, dir};
    words.insert(words.end(), more.begin(), more.end());
    auto done = run_with_fault(app_testing::under_mpirun(ranks, words), setting, folder_.path(), dir);
    output_ = done.result.text();
    return done;
  }

  // The hash of the run's state; empty: it has none.
  static std::string result_in(const std::string& dir) {
    std::ostringstream text;
    text << std::ifstream(dir + "/result").rdbuf();
    return text.str();
  }

  // The result of a run without faults.
  std::string result_without_faults(int ranks) {
    static std::map<int, std::string> known;
    std::string& result = known[ranks];
    if (!result.empty()) return result;
    const std::string dir = folder_ / cat("good", ranks);
    fs::create_directories(dir);
    const auto done = run(ranks, "", dir);
    EXPECT_EQ(done.result.code, 0) << done.result.text();
    EXPECT_TRUE(done.failure.is_null());
    EXPECT_FALSE(fs::exists(dir + "/flight"));
    return result = result_in(dir);
  }

  void expect_report(const FaultCase& c, const Expected& expected, const FaultRun& run) const {
    // Until the run folder is claimed there is nowhere to leave a report.
    if (c.point == "init") {
      EXPECT_NE(run.result.text().find(expected.words), std::string::npos);
      return;
    }
    ASSERT_TRUE(run.failure.is_object()) << "no failure.json";
    EXPECT_EQ(run.failure.value("code", -1), expected.code) << run.failure;
    if (expected.names_rank) {
      EXPECT_EQ(run.failure.value("rank", -1), c.rank) << run.failure;
    }
    EXPECT_NE(run.failure.value("message", "").find(expected.words), std::string::npos) << run.failure;
    const std::string words = flight_words(run_dir());
    EXPECT_NE(words.find(cat("flight record of ", c.ranks, " of ", c.ranks, " ranks on 1 host")),
              std::string::npos);
    if (c.fault == "mismatch") {
      EXPECT_NE(words.find("started different collectives"), std::string::npos);
    }
  }

  void expect_resumes(int ranks, const std::string& result) {
    fs::remove(run_dir() + "/failure.json");
    fs::remove_all(run_dir() + "/flight");
    const auto again = run(ranks, "", run_dir());
    EXPECT_EQ(again.result.code, 0);
    EXPECT_TRUE(again.failure.is_null());
    EXPECT_EQ(result_in(run_dir()), result) << "the resumed run has other bits";
  }

  const testing_support::TemporaryDirectory folder_;
  std::string output_;
};

TEST_P(FaultTest, EndsAsTheContractSays) {
  const FaultCase& c = GetParam();
  const Expected expected = expected_of(c);
  const std::string result = result_without_faults(c.ranks);
  const auto run = c.fault == "mismatch"
                       ? this->run(c.ranks, "", run_dir(), {c.point, std::to_string(c.rank)})
                       : this->run(c.ranks, c.setting(), run_dir());
  if (expected.launcher_code < 0) {
    EXPECT_NE(run.result.code, 0);
  } else {
    EXPECT_EQ(run.result.code, expected.launcher_code);
  }
  if (c.fault != "mismatch") {
    ASSERT_GT(run.seconds_after_fault, 0) << "the fault never came";
    if (expected.code != 0) {
      if (expected.launcher_code >= 0) {
        EXPECT_GE(run.seconds_after_fault, expected.seconds);
      }
      EXPECT_LE(run.seconds_after_fault, expected.seconds + kReactionSeconds);
    }
  }
  if (expected.code == 0) {
    EXPECT_TRUE(run.failure.is_null()) << run.failure;
    EXPECT_EQ(result_in(run_dir()), result);
  } else {
    expect_report(c, expected, run);
    expect_resumes(c.ranks, result);
  }
  testing_support::log_point({{"program", "small run"},
                              {"fault", c.fault},
                              {"point", c.point},
                              {"role", c.role()},
                              {"ranks", c.ranks},
                              {"code", expected.code},
                              {"deadline", expected.seconds},
                              {"seconds", run.seconds_after_fault},
                              {"resumed", expected.code != 0}});
}

std::string test_name(const testing::TestParamInfo<FaultCase>& info) { return name_of(info.param); }

INSTANTIATE_TEST_SUITE_P(Fast, FaultTest, testing::ValuesIn(fast_cases()), test_name);
INSTANTIATE_TEST_SUITE_P(All, FaultTest, testing::ValuesIn(all_cases()), test_name);

// Ctrl-Z, `scontrol suspend`, a debugger: the deadline's clock stands still with the job.
TEST(StoppedJobTest, AJobThatIsStoppedAsAWholeIsNoHang) {
  const testing_support::TemporaryDirectory folder;
  const std::string run_dir = folder / "run";
  fs::create_directories(run_dir);
  std::vector<std::string> command = {"env", "RN_FAULT=slow@step:seconds=0.3"};
  const auto mpirun = app_testing::under_mpirun(3, {RN_FAULT_RANK, run_dir});
  command.insert(command.end(), mpirun.begin(), mpirun.end());
  app_testing::Process job(command, folder.path());
  const auto send = [&](int signal_number) {
    for (const int pid : processes_of(run_dir)) kill(pid, signal_number);
  };
  while (job.is_running() && !fs::exists(run_dir + "/checkpoint")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_EQ(processes_of(run_dir).size(), 4u) << "mpirun and three ranks";
  send(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::duration<double>(2 * RN_DEADLINE));
  send(SIGCONT);
  const auto done = job.wait();
  EXPECT_EQ(done.code, 0) << done.text();
  EXPECT_FALSE(fs::exists(run_dir + "/failure.json"));
}

TEST(FaultCasesTest, AreAtLeastTwoHundredDifferentOnes) {
  std::map<std::string, int> names;
  for (const auto& c : all_cases()) ++names[name_of(c)];
  EXPECT_GE(names.size(), 200u);
  for (const auto& [name, count] : names) EXPECT_EQ(count, 1) << name;
}

}  // namespace
}  // namespace rn::faults
