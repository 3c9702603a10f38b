// Rank 0 alone copies and writes; how it ended is the same on all ranks.
#include <gtest/gtest.h>

#include "checkpointer_testing.h"
#include "train_mpi_testing.h"

namespace rn::train {
namespace {

using testing::CheckpointedRun;
using testing::communicator;

TEST(CheckpointerMpiTest, RankZeroAloneWrites) {
  CheckpointedRun run(communicator());
  run.checkpointer.save();
  run.checkpointer.settle();
  const bool main = communicator().rank() == 0;
  EXPECT_EQ(run.folder.last().has_value(), main);
  EXPECT_EQ(run.checkpointer.totals().written, main ? 1 : 0);
}

TEST(CheckpointerMpiTest, AllRanksKnowTheSameLastCheckpoint) {
  CheckpointedRun run(communicator());
  EXPECT_FALSE(run.checkpointer.last());
  run.checkpointer.save();
  EXPECT_EQ(run.checkpointer.last(), 100) << "rank 0's disk has it, the others' have nothing";
  run.checkpointer.settle();
}

TEST(CheckpointerMpiTest, EveryRankTakesBackABestThatRankZeroCouldNotWrite) {
  CheckpointedRun run(communicator());
  const Progress& progress = run.sample.state.progress;
  run.checkpointer.propose_best(50);
  run.checkpointer.save();
  run.checkpointer.settle();
  EXPECT_EQ(progress.best_metric, 50);
  if (communicator().rank() == 0) run.fill_disk();
  run.at_step(200);
  run.checkpointer.propose_best(60);
  run.checkpointer.save();
  run.checkpointer.settle();
  EXPECT_EQ(progress.best_metric, 50);
  EXPECT_EQ(progress.best_step, 100);
}

}  // namespace
}  // namespace rn::train
