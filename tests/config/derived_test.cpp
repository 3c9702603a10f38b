#include "config/derived.h"

#include <gtest/gtest.h>

namespace rn::config {
namespace {

TEST(DerivedTest, TheRunFolderFollowsTheNameUnlessGiven) {
  RunConfig config;
  config.run.name = "a";
  EXPECT_EQ(run_folder(config), "runs/a");
  config.run.dir = "/tmp/b";
  EXPECT_EQ(run_folder(config), "/tmp/b");
}

TEST(DerivedTest, TheGlobalBatchIsGivenOrPerRankOrTheDefault) {
  RunConfig config;
  EXPECT_EQ(global_batch(config, 3), 128);
  config.train.global_batch = 96;
  EXPECT_EQ(global_batch(config, 3), 96);
  config.train.global_batch = 0;
  config.train.batch_per_rank = 50;
  config.train.accumulate_steps = 2;  // cuts the rank's batch, does not multiply it
  EXPECT_EQ(global_batch(config, 3), 150);
}

TEST(DerivedTest, AResolvedBatchKeepsItsSizeAtAnyRankCount) {
  RunConfig config;
  config.train.batch_per_rank = 50;
  const auto resolved = resolve_batch(config, 4);
  EXPECT_EQ(resolved.train.batch_per_rank, 0);
  EXPECT_EQ(global_batch(resolved, 1), 200);
}

TEST(DerivedTest, TheMonitorFallsBackToTheTestSplit) {
  RunConfig config;
  EXPECT_EQ(monitor(config), "test.top1");
  config.checkpoint.monitor = "val.loss";
  EXPECT_EQ(monitor(config), "test.loss");
  config.data.validation = 5000;
  EXPECT_EQ(monitor(config), "val.loss");
  config.checkpoint.monitor = "test.top5";
  EXPECT_EQ(monitor(config), "test.top5");
}

}  // namespace
}  // namespace rn::config
