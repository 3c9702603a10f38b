// Runs that are stopped or killed from outside.
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "app_fixture.h"
#include "core/error.h"

namespace rn::app_testing {
namespace {

constexpr int kEpochs = 25;
constexpr int kTotal = kEpochs * kStepsPerEpoch;

class StopTest : public AppTest {
 protected:
  void expect_complete(const std::string& run) const {
    const auto by_step = losses(run);
    EXPECT_EQ(by_step.size(), static_cast<std::size_t>(kTotal));
    EXPECT_EQ(by_step.rbegin()->first, kTotal);
    EXPECT_EQ(last_checkpoint(run), kTotal);
    EXPECT_EQ(Json::parse(read(run + "/summary.json")).at("status"), "done");
  }

  // The first rank's process, as the run's lock names it.
  pid_t lock_holder(const std::string& run) const {
    const std::string lock = read(run + "/.lock");
    RN_CHECK(lock.starts_with("process "), lock);
    return static_cast<pid_t>(std::stol(lock.substr(8)));
  }
};

TEST_F(StopTest, TermAndIntEndWithACheckpointAndTheirOwnCode) {
  for (const auto& [signal_number, code] : {std::pair{SIGTERM, 143}, {SIGINT, 130}}) {
    const std::string run = cat("signal", signal_number);
    auto process = start(train(run, long_run(kEpochs)));
    ASSERT_TRUE(reaches_step(process, run, 17));
    process.send(signal_number);
    const auto result = process.wait();
    EXPECT_EQ(result.code, code) << result.text();
    EXPECT_EQ(losses(run).rbegin()->first, last_checkpoint(run));
    EXPECT_GE(last_checkpoint(run), 17);
    EXPECT_EQ(Json::parse(read(run + "/summary.json")).at("status"), "stopped");
    EXPECT_TRUE(failure(run).is_null());
    train_well(run, long_run(kEpochs));
    expect_complete(run);
  }
}

TEST_F(StopTest, AfterAKillTheSameCommandGoesOnFromTheLastCheckpoint) {
  const Words changes = long_run(kEpochs) + Words{"checkpoint.every_steps=10"};
  train_well("whole", changes);
  for (const int ranks : {0, 2}) {
    const std::string run = cat("killed", ranks);
    auto process = start(train(run, changes), ranks);
    ASSERT_TRUE(reaches_step(process, run, 34));
    // Under mpirun the first rank: ranks of a killed mpirun may reach the run's end before they notice.
    ::kill(ranks == 0 ? process.pid() : lock_holder(run), SIGKILL);
    EXPECT_EQ(process.wait().code, 128 + SIGKILL);
    // The other rank ends once it notices; the lock keeps a new run out until then.
    Result result;
    for (int attempt = 0; attempt < 50; ++attempt) {
      result = call(train(run, changes), ranks);
      if (result.code != 3) break;
      usleep(200'000);
    }
    ASSERT_EQ(result.code, 0) << result.text();
    expect_complete(run);
    const auto starts = events(run, "run_start");
    ASSERT_EQ(starts.size(), 2u);
    const std::int64_t from = starts[1].at("resumed_from");
    EXPECT_EQ(from % 10, 0);
    EXPECT_GE(from, 20) << "the one before the last was written when the last one began";
    if (ranks == 0) {
      EXPECT_EQ(losses(run), losses("whole"));
      EXPECT_EQ(tensors(run, kTotal), tensors("whole", kTotal));
    }
  }
}

TEST_F(StopTest, AKilledRankEndsTheJobAndIsNamed) {
  auto process = start(train("run", long_run(2000)), 2);
  ASSERT_TRUE(reaches_step(process, "run", 8));
  ::kill(lock_holder("run"), SIGKILL);
  const auto result = process.wait();
  EXPECT_EQ(result.code, 137) << result.text();
  ASSERT_FALSE(failure("run").is_null()) << result.text();
  EXPECT_EQ(failure("run").at("code"), 8);
  EXPECT_EQ(failure("run").at("rank"), 0);
}

TEST_F(StopTest, ARunWhoseFolderIsTakenAwayEndsWithOneErrorIfSoConfigured) {
  for (const int ranks : {0, 2}) {
    const std::string run = cat("run", ranks);
    const Words changes = {"checkpoint.every_steps=25", "checkpoint.on_error=stop"};
    auto process = start(train(run, long_run(2000) + changes), ranks);
    ASSERT_TRUE(reaches_checkpoint(process, run)) << process.wait().text();
    std::filesystem::rename(path(run), path(run + ".moved"));
    const auto result = process.wait();
    EXPECT_EQ(result.code, 1) << result.text();
    const std::string words = "was deleted or moved";
    const auto at = result.err.find(words);
    ASSERT_NE(at, std::string::npos) << result.err;
    EXPECT_EQ(result.err.find(words, at + 1), std::string::npos) << "said twice: " << result.err;
    EXPECT_FALSE(std::filesystem::exists(path(run))) << "a folder without its run";
    EXPECT_TRUE(failure(run + ".moved").is_null());
    const auto eval = call({"eval", run + ".moved"});
    EXPECT_EQ(eval.code, 0) << eval.text();
  }
}

TEST_F(StopTest, ARunWhoseFolderComesBackGoesOnWriting) {
  auto process = start(train("run", long_run(2000) + Words{"checkpoint.every_steps=25"}), 2);
  ASSERT_TRUE(reaches_checkpoint(process, "run")) << process.wait().text();
  std::filesystem::rename(path("run"), path("run.moved"));
  // Its records go on, into the file that it holds open.
  const auto has_checkpoint = [&](const std::string& run, bool written, std::int64_t after) {
    for (int attempt = 0; attempt < 600 && process.is_running(); ++attempt, usleep(50'000)) {
      for (const Json& record : events(run, "checkpoint")) {
        if (record.at("written") == written && record.at("step") > after) return true;
      }
    }
    return false;
  };
  ASSERT_TRUE(has_checkpoint("run.moved", false, 0)) << process.wait().text();
  EXPECT_FALSE(std::filesystem::exists(path("run"))) << "a folder without its run";
  const auto away = losses("run.moved").rbegin()->first;
  std::filesystem::rename(path("run.moved"), path("run"));
  ASSERT_TRUE(has_checkpoint("run", true, away)) << process.wait().text();
  ::kill(lock_holder("run"), SIGUSR1);
  const auto result = process.wait();
  EXPECT_EQ(result.code, 75) << result.text();
  EXPECT_NE(result.err.find("was deleted or moved"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("training goes on"), std::string::npos) << result.err;
  EXPECT_EQ(losses("run").rbegin()->first, last_checkpoint("run"));
}

}  // namespace
}  // namespace rn::app_testing
