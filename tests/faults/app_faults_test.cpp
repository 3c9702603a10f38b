// Faults in rn_dist itself, started by launch/run: its exit code is the contract's also where mpirun's is
// not, and the same command goes on with the bits of an uninterrupted run.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "app/app_fixture.h"
#include "core/error.h"
#include "fault_run.h"
#include "support/point_log.h"

namespace rn::faults {
namespace {

namespace fs = std::filesystem;
using app_testing::Json;
using app_testing::Words;
using app_testing::operator+;
constexpr double kDeadline = 3;
constexpr double kReactionSeconds = 6;  // launch/run has seen mpirun end

struct AppFault {
  std::string fault;
  std::string point;
  int rank = 0;
  int code = 0;
  std::string words;  // in failure.json
  int ranks = 2;

  bool waits() const { return code == 7; }
};

std::string name_of(const AppFault& f) {
  return cat(f.fault, "_at_", f.point, "_by_rank_", f.rank, "_of_", f.ranks);
}
void PrintTo(const AppFault& f, std::ostream* out) { *out << name_of(f); }

class AppFaultTest : public app_testing::AppTest {
 protected:
  // A checkpoint every 5 of 15 steps; replicas compared in every step.
  static Words settings() {
    std::vector<std::string> words = {"train.replica_check_steps=1", "checkpoint.every_steps=5",
                                      "report.tensorboard=false"};
    for (const char* phase : {"data", "step", "eval", "checkpoint"}) {
      words.push_back(cat("dist.", phase, "_deadline_seconds=", kDeadline));
    }
    return words;
  }

  // With the whole path of the run folder: it tells whose a process is.
  Words launch(int ranks, const std::string& run, const Words& options = {}) const {
    return Words{"env",
                 cat("RN_BUILD_DIR=", RN_BUILD_FOLDER),
                 "RN_RESTART_DELAY=0",
                 RN_LAUNCH_RUN,
                 "-n",
                 std::to_string(ranks)} +
           options + train(path(run), settings());
  }

  // The final weights of a run without faults.
  const std::string& good_weights(int ranks) {
    static std::map<int, std::string> known;
    std::string& weights = known[ranks];
    if (!weights.empty()) return weights;
    const std::string run = cat("good", ranks);
    const auto done = run_with_fault(launch(ranks, run), "", folder_.path(), path(run));
    EXPECT_EQ(done.result.code, 0) << done.result.text();
    return weights = read(run + "/model.safetensors");
  }
};

class AppFaults : public AppFaultTest, public testing::WithParamInterface<AppFault> {};

TEST_P(AppFaults, EndAsTheContractSaysAndResumeExactly) {
  const AppFault& f = GetParam();
  const std::string setting =
      cat(f.fault, "@", f.point, ":rank=", f.rank, f.point == "data" ? "" : ":step=7", ":seconds=0.15");
  const auto run = run_with_fault(launch(f.ranks, "run"), setting, folder_.path(), path("run"));
  SCOPED_TRACE(run.result.text());
  EXPECT_EQ(run.result.code, f.code);
  ASSERT_GT(run.seconds_after_fault, 0) << "the fault never came";
  if (f.code != 0) {
    EXPECT_LE(run.seconds_after_fault, (f.waits() ? kDeadline : 0) + kReactionSeconds);
    if (f.point != "data") {  // before the folder is claimed
      ASSERT_TRUE(run.failure.is_object());
      EXPECT_EQ(run.failure.value("code", -1), f.code) << run.failure;
      EXPECT_NE(run.failure.value("message", "").find(f.words), std::string::npos) << run.failure;
      EXPECT_NE(flight_words(path("run")).find(cat(f.ranks, " of ", f.ranks, " ranks")), std::string::npos);
      const auto doctor = call({"doctor", "--flight", path("run")});
      EXPECT_EQ(doctor.code, 0) << doctor.text();
      EXPECT_NE(doctor.out.find(cat("exit code ", f.code)), std::string::npos) << doctor.out;
    }
    const auto again = run_with_fault(launch(f.ranks, "run"), "", folder_.path(), path("run"));
    EXPECT_EQ(again.result.code, 0) << again.result.text();
  }
  // Two fault points a step: 1.2 s in the second epoch's steps from 7 to 10.
  if (f.fault == "slow") {
    EXPECT_NE(run.result.text().find(cat("rank ", f.rank, " on ")), std::string::npos);
    const auto times = Json::parse(read("run/summary.json")).at("rank_times");
    ASSERT_EQ(times.size(), 2u);
    EXPECT_LT(times[1].at("collectives"), times[0].at("collectives"));
  }
  if (f.code == 0) {
    EXPECT_NE(run.result.text().find(f.words), std::string::npos);
  }
  EXPECT_TRUE(failure("run").is_null());
  EXPECT_FALSE(fs::exists(path("run/flight")));
  EXPECT_TRUE(read("run/model.safetensors") == good_weights(f.ranks)) << "other bits than without the fault";
  testing_support::log_point({{"program", "rn_dist"},
                              {"fault", f.fault},
                              {"point", f.point},
                              {"role", f.rank == 0 ? "first" : "last"},
                              {"ranks", f.ranks},
                              {"code", f.code},
                              {"deadline", f.waits() ? kDeadline : 0.0},
                              {"seconds", run.seconds_after_fault},
                              {"resumed", f.code != 0}});
}

const AppFault kFast[] = {
    {"kill", "all_reduce", 1, 8, "vanished without a word"},
    {"flip", "all_reduce", 1, 6, "replicas differ"},
};
const AppFault kAll[] = {
    {"kill", "step", 0, 8, "vanished without a word"},
    {"kill", "checkpoint", 0, 8, "vanished without a word"},
    {"kill", "eval", 1, 8, "vanished without a word", 3},
    {"segv", "step", 1, 8, "SIGSEGV"},
    {"bus", "broadcast", 1, 8, "SIGBUS"},
    {"fpe", "eval", 0, 8, "SIGFPE"},
    {"abort", "checkpoint", 1, 8, "SIGABRT"},
    {"exit", "step", 1, 8, "left by exit()", 3},
    {"throw_data", "step", 1, 4, "record 7"},
    {"throw_memory", "all_reduce", 0, 1, "memory"},
    {"stop", "step", 1, 7, "SIGSTOP"},
    {"hang", "checkpoint", 0, 7, "has not moved"},
    {"hang", "data", 1, 7, "has not moved"},
    {"slow", "step", 1, 0, "is slower than the others"},
    {"flip", "copy", 0, 0, "is not what it was in memory before it was copied"},
    {"nan", "all_reduce", 1, 5, "not finite"},
    {"flip", "all_reduce", 0, 6, "replicas differ"},
};
std::string test_name(const testing::TestParamInfo<AppFault>& info) { return name_of(info.param); }
INSTANTIATE_TEST_SUITE_P(Fast, AppFaults, testing::ValuesIn(kFast), test_name);
INSTANTIATE_TEST_SUITE_P(All, AppFaults, testing::ValuesIn(kAll), test_name);

// Its batch norm's sums are the first all_reduce of a step that is large enough: the gradient stays finite.
TEST_F(AppFaultTest, AStatisticThatIsNotFiniteEndsTheRunAndIsNamed) {
  const auto run = run_with_fault(launch(2, "run") + Words{"model.width=16"}, "nan@all_reduce:rank=1:step=7",
                                  folder_.path(), path("run"));
  SCOPED_TRACE(run.result.text());
  EXPECT_EQ(run.result.code, 5);
  ASSERT_TRUE(run.failure.is_object());
  EXPECT_EQ(run.failure.value("code", -1), 5);
  EXPECT_EQ(run.failure.value("step", -1), 7);
  const std::string message = run.failure.value("message", "");
  EXPECT_NE(message.find("step 7: the running statistic "), std::string::npos) << message;
  EXPECT_NE(message.find(".running_mean is not finite"), std::string::npos) << message;
  EXPECT_EQ(last_checkpoint("run"), 5) << "from before the step";
  testing_support::log_point({{"program", "rn_dist"},
                              {"fault", "nan"},
                              {"point", "statistics"},
                              {"role", "last"},
                              {"ranks", 2},
                              {"code", 5},
                              {"deadline", 0.0},
                              {"seconds", run.seconds_after_fault},
                              {"resumed", false}});
}

TEST_F(AppFaultTest, RestartsEndWhenTheSameErrorComesAtTheSameStepTwice) {
  const auto run = run_with_fault(launch(2, "run", {"--restarts", "5"}), "kill@step:rank=1:step=7",
                                  folder_.path(), path("run"));
  EXPECT_EQ(run.result.code, 8) << run.result.text();
  EXPECT_NE(run.result.err.find("the same error twice in a row"), std::string::npos) << run.result.err;
  EXPECT_EQ(run.result.err.find("restart 2 of 5"), std::string::npos) << run.result.err;
}

}  // namespace
}  // namespace rn::faults
