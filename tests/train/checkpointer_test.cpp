#include "train/checkpointer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <future>

#include "checkpointer_testing.h"
#include "core/error.h"
#include "support/temporary_directory.h"
#include "train/checkpoint.h"

namespace rn::train {
namespace {

using testing::CheckpointedRun;
using testing::same_bits;

CheckpointerOptions stop_on_error() {
  CheckpointerOptions options;
  options.checkpoint.on_error = "stop";
  return options;
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kFailure);
    return error.what();
  }
  return "nothing was thrown";
}

class CheckpointerTest : public ::testing::Test {
 protected:
  dist::SingleCommunicator host_;
};

TEST_F(CheckpointerTest, TrainingGoesOnWhileTheStateOfTheSaveIsWritten) {
  CheckpointedRun run(host_);
  std::promise<void> go;
  bool waited = false;
  run.hook = [&](const std::string&, const std::string&) {
    if (!std::exchange(waited, true)) go.get_future().wait();
  };
  const auto saved = run.sample.params.weights.clone();
  run.checkpointer.save();
  {
    const torch::NoGradGuard no_grad;
    run.sample.params.weights.mul_(2);  // padding stays zero
  }
  run.at_step(101);
  run.checkpointer.poll();
  EXPECT_EQ(run.checkpointer.totals().written, 0);
  go.set_value();
  run.checkpointer.settle();
  EXPECT_EQ(run.checkpointer.totals().written, 1);
  restore(run.sample.state, run.folder.load(100));
  EXPECT_TRUE(same_bits(run.sample.params.weights, saved));
}

TEST_F(CheckpointerTest, ASecondSaveWaitsForTheFirst) {
  CheckpointedRun run(host_);
  run.checkpointer.save();
  run.at_step(200);
  run.checkpointer.save();
  EXPECT_EQ(run.checkpointer.totals().written, 1);
  EXPECT_EQ(run.folder.load(100).step, 100);
  run.checkpointer.settle();
  EXPECT_EQ(run.checkpointer.totals().written, 2);
}

TEST_F(CheckpointerTest, AFailedSaveIsReportedAndTheNextOneWorks) {
  CheckpointedRun run(host_);
  run.checkpointer.save_and_wait();
  run.fill_disk();
  run.at_step(200);
  run.checkpointer.save();
  run.checkpointer.settle();
  EXPECT_EQ(run.checkpointer.totals().failed, 1);
  EXPECT_EQ(run.folder.last(), 100);
  run.memory.heal();
  run.checkpointer.save();
  run.checkpointer.settle();
  EXPECT_EQ(run.folder.last(), 200) << "the same step, since it was not written";
}

TEST_F(CheckpointerTest, ASavedStepIsNotWrittenTwice) {
  CheckpointedRun run(host_);
  run.checkpointer.save();
  run.checkpointer.save_and_wait();
  EXPECT_EQ(run.checkpointer.totals().written, 1);
}

TEST_F(CheckpointerTest, StopThrowsAtTheNextStepAndAtASettle) {
  for (const bool by_poll : {true, false}) {
    CheckpointedRun run(host_, stop_on_error());
    run.fill_disk();
    run.checkpointer.save();
    const auto text = message_of([&] {
      if (!by_poll) return run.checkpointer.settle();
      while (true) run.checkpointer.poll();
    });
    EXPECT_NE(text.find("the checkpoint of step 100 could not be written"), std::string::npos) << text;
    EXPECT_NE(text.find("the disk is full"), std::string::npos) << text;
    EXPECT_NE(text.find("Earlier checkpoints are untouched"), std::string::npos) << text;
  }
}

TEST_F(CheckpointerTest, TheLastCheckpointMustSucceedWhateverIsConfigured) {
  CheckpointedRun run(host_);
  run.fill_disk();
  const auto text = message_of([&] { run.checkpointer.save_and_wait(); });
  EXPECT_NE(text.find("the same command goes on from the last of them"), std::string::npos) << text;
}

TEST_F(CheckpointerTest, AFailureBeforeTheWriteIsOneLikeThoseOfTheDisk) {
  CheckpointerOptions options;
  bool gone = true;
  options.check_run_folder = [&] {
    if (gone) throw Error(ExitCode::kFailure, "the run folder is gone");
  };
  CheckpointedRun run(host_, options);
  run.checkpointer.save();
  run.checkpointer.poll();
  EXPECT_EQ(run.checkpointer.totals().failed, 1);
  gone = false;
  run.at_step(101);
  run.checkpointer.save_and_wait();
  EXPECT_EQ(run.folder.last(), 101);
  gone = true;
  run.at_step(102);
  EXPECT_NE(message_of([&] { run.checkpointer.save_and_wait(); }).find("is gone"), std::string::npos);
}

TEST_F(CheckpointerTest, FilesBesideTheStateAreWrittenAndTheirMemoryIsLetGo) {
  std::weak_ptr<const std::vector<std::byte>> memory;
  CheckpointerOptions options;
  options.unit = "round";
  options.gather_files = [&]() -> MoreFiles {
    const auto bytes = std::make_shared<const std::vector<std::byte>>(8, std::byte{7});
    memory = bytes;
    return {{{"clients.safetensors", {{"client.3", DType::kF32, {2}, *bytes}}}}, bytes};
  };
  CheckpointedRun run(host_, options);
  run.checkpointer.save();
  run.checkpointer.settle();
  EXPECT_TRUE(memory.expired());
  const auto loaded = run.folder.load(100);
  const auto* file = loaded.file("clients.safetensors");
  ASSERT_NE(file, nullptr);
  ASSERT_NE(file->find("client.3"), nullptr);
  EXPECT_EQ(file->find("client.3")->bytes[5], std::byte{7});
  run.fill_disk();
  run.at_step(101);
  const auto text = message_of([&] { run.checkpointer.save_and_wait(); });
  EXPECT_NE(text.find("the checkpoint of round 101"), std::string::npos) << text;
}

TEST_F(CheckpointerTest, ReplicasThatDifferAreNotSaved) {
  CheckpointerOptions options;
  options.check_replicas = [] { throw ReplicaError("they differ"); };
  CheckpointedRun run(host_, options);
  EXPECT_THROW(run.checkpointer.save(), ReplicaError);
  EXPECT_FALSE(run.checkpointer.last());
}

TEST_F(CheckpointerTest, LastWaitsForTheOneInFlight) {
  CheckpointedRun run(host_);
  EXPECT_FALSE(run.checkpointer.last());
  run.checkpointer.save();
  EXPECT_EQ(run.checkpointer.last(), 100);
  run.checkpointer.settle();
  EXPECT_EQ(run.checkpointer.totals().written, 1) << "its outcome was kept";
}

TEST_F(CheckpointerTest, ABestThatCannotBeWrittenIsTakenBack) {
  CheckpointedRun run(host_);
  const Progress& progress = run.sample.state.progress;
  run.checkpointer.propose_best(50);
  EXPECT_TRUE(run.checkpointer.improved());
  run.checkpointer.save();
  EXPECT_FALSE(run.checkpointer.improved());
  run.checkpointer.settle();
  EXPECT_EQ(progress.best_metric, 50);
  EXPECT_EQ(run.folder.best(), 100);

  run.fill_disk();
  run.at_step(200);
  run.checkpointer.propose_best(60);
  run.checkpointer.save();
  EXPECT_EQ(progress.best_metric, 60) << "not known yet";
  run.checkpointer.settle();
  EXPECT_EQ(progress.best_metric, 50);
  EXPECT_EQ(progress.best_step, 100);
  EXPECT_EQ(run.folder.best(), 100);

  run.memory.heal();
  run.at_step(300);
  run.checkpointer.propose_best(55);
  run.checkpointer.save_and_wait();
  EXPECT_EQ(progress.best_metric, 55);
  EXPECT_EQ(run.folder.best(), 300);
}

TEST_F(CheckpointerTest, ARecordTellsWhatEachCheckpointCost) {
  const testing_support::TemporaryDirectory directory;
  CheckpointerOptions options;
  options.steps_per_epoch = 50;
  {
    CheckpointedRun run(host_, options, directory.path());
    run.checkpointer.propose_best(50);
    run.checkpointer.save();
    run.checkpointer.settle();
    EXPECT_GT(run.checkpointer.totals().stall_seconds, 0);
    run.fill_disk();
    run.at_step(125);
    EXPECT_THROW(run.checkpointer.save_and_wait(), Error);
  }
  std::ifstream lines(directory / "metrics.jsonl");
  std::vector<nlohmann::json> records;
  for (std::string line; std::getline(lines, line);) records.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].at("event"), "checkpoint");
  EXPECT_EQ(records[0].at("step"), 100);
  EXPECT_EQ(records[0].at("epoch"), 2);
  EXPECT_EQ(records[0].at("written"), true);
  EXPECT_EQ(records[0].at("best"), true);
  EXPECT_FALSE(records[0].contains("error"));
  EXPECT_GT(records[0].at("stall_ms"), 0.0);
  EXPECT_GT(records[0].at("write_seconds"), 0.0);
  EXPECT_GT(records[0].at("bytes"), 1000);
  EXPECT_EQ(records[1].at("step"), 125);
  EXPECT_EQ(records[1].at("epoch"), 2.5);
  EXPECT_EQ(records[1].at("written"), false);
  EXPECT_NE(records[1].at("error").get<std::string>().find("the disk is full"), std::string::npos);
}

TEST_F(CheckpointerTest, OnlyWaitingForAWriteIsInThePhaseCheckpoint) {
  CheckpointedRun run(host_);
  run.board.begin_step(100);
  run.checkpointer.settle();
  const auto phase = [&] { return static_cast<dist::Phase>(run.board.mine().phase.load()); };
  EXPECT_EQ(phase(), dist::Phase::kStep) << "nothing to wait for";
  run.checkpointer.save();
  EXPECT_EQ(phase(), dist::Phase::kCheckpoint);
  run.board.begin_step(101);
  run.checkpointer.poll();
  EXPECT_EQ(phase(), dist::Phase::kStep) << "the writing thread leaves the board alone";
  run.checkpointer.settle();
  EXPECT_EQ(phase(), dist::Phase::kCheckpoint);
}

}  // namespace
}  // namespace rn::train
