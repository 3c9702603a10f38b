#include "train/step_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "data/epoch_order.h"

namespace rn::train {
namespace {

StepPlan make_plan(std::int64_t samples, std::int64_t batch, int ranks, int accumulate,
                   std::uint64_t seed = 1, bool drop_last = false) {
  return StepPlan({samples, batch, ranks, accumulate, drop_last}, seed, data::AugmentOptions{}, 32, 32);
}

// The samples of a step in the order of its shards, over all ranks.
std::vector<std::int64_t> global_batch(StepPlan& plan, std::int64_t step) {
  std::vector<std::int64_t> all;
  for (int a = 0; a < plan.shape().accumulate; ++a) {
    for (int r = 0; r < plan.shape().ranks; ++r) {
      const auto indices = plan.request(step, r, a).indices;
      all.insert(all.end(), indices.begin(), indices.end());
    }
  }
  return all;
}

bool same_draw(const data::AugmentDraw& a, const data::AugmentDraw& b) {
  return a.crop_y == b.crop_y && a.crop_x == b.crop_x && a.cutout_y == b.cutout_y &&
         a.cutout_x == b.cutout_x && a.flip == b.flip;
}

TEST(StepPlanTest, EverySampleIsTrainedExactlyOncePerEpoch) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CounterRandom random(seed, Purpose::kSynthetic, 0, 0);
    const std::int64_t samples = 1 + random.below(300);
    const std::int64_t batch = 1 + random.below(70);
    for (int ranks = 1; ranks <= 5; ++ranks) {
      for (int accumulate = 1; accumulate <= 3; ++accumulate) {
        SCOPED_TRACE(cat("seed ", seed, ": samples ", samples, ", batch ", batch, ", ranks ", ranks,
                         ", accumulate ", accumulate));
        auto plan = make_plan(samples, batch, ranks, accumulate, seed);
        for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
          std::vector<int> seen(static_cast<std::size_t>(samples), 0);
          std::int64_t counted = 0;
          for (std::int64_t i = 0; i < plan.steps_per_epoch(); ++i) {
            const std::int64_t step = epoch * plan.steps_per_epoch() + i;
            const auto indices = global_batch(plan, step);
            EXPECT_EQ(plan.at(step).count, static_cast<std::int64_t>(indices.size()));
            counted += plan.at(step).count;
            for (const auto index : indices) ++seen.at(static_cast<std::size_t>(index));
          }
          EXPECT_EQ(counted, samples);
          EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), samples);
        }
      }
    }
  }
}

TEST(StepPlanTest, DropLastLeavesOutTheTailOfTheOrderOnly) {
  auto plan = make_plan(103, 10, 3, 1, 7, /*drop_last=*/true);
  EXPECT_EQ(plan.steps_per_epoch(), 10);
  const auto order = data::epoch_order(103, 7, 1);
  std::vector<std::int64_t> trained;
  for (std::int64_t step = 10; step < 20; ++step) {
    EXPECT_EQ(plan.at(step).count, 10);
    const auto batch = global_batch(plan, step);
    trained.insert(trained.end(), batch.begin(), batch.end());
  }
  EXPECT_EQ(trained, std::vector<std::int64_t>(order.begin(), order.begin() + 100));
}

TEST(StepPlanTest, GlobalBatchesAreTheSameAtAnyRankCountAndAccumulation) {
  for (std::uint64_t seed : {3U, 4U, 5U}) {
    auto reference = make_plan(131, 24, 1, 1, seed);
    for (int ranks = 1; ranks <= 5; ++ranks) {
      for (int accumulate : {1, 2, 4}) {
        auto plan = make_plan(131, 24, ranks, accumulate, seed);
        ASSERT_EQ(plan.steps_per_epoch(), 6);
        for (std::int64_t step = 0; step < 13; ++step) {
          EXPECT_EQ(global_batch(plan, step), global_batch(reference, step))
              << "seed " << seed << ", ranks " << ranks << ", accumulate " << accumulate << ", step " << step;
        }
      }
    }
  }
}

TEST(StepPlanTest, AMicroStepCoversTheSameSamplesAtAnyRankCount) {
  // 131 = 5 * 24 + 11: neither the batch nor the last one divides by all rank counts.
  constexpr int kAccumulate = 3;
  auto reference = make_plan(131, 24, 1, kAccumulate, 9);
  for (int ranks = 2; ranks <= 5; ++ranks) {
    auto plan = make_plan(131, 24, ranks, kAccumulate, 9);
    for (std::int64_t step = 0; step < plan.steps_per_epoch(); ++step) {
      for (int a = 0; a < kAccumulate; ++a) {
        std::vector<std::int64_t> joined;
        for (int r = 0; r < ranks; ++r) {
          const auto indices = plan.request(step, r, a).indices;
          joined.insert(joined.end(), indices.begin(), indices.end());
        }
        EXPECT_EQ(joined, reference.request(step, 0, a).indices)
            << ranks << " ranks, step " << step << "." << a;
      }
    }
  }
}

TEST(StepPlanTest, ShardsByRankLieInARowAndAreTheSameAtAnyRankCount) {
  constexpr int kShards = 8;
  const StepPlan alone({50, 21, 1, kShards, false, true}, 1, data::AugmentOptions{}, 32, 32);
  for (const int ranks : {2, 4, 8}) {
    const int own = kShards / ranks;
    const StepPlan plan({50, 21, ranks, own, false, true}, 1, data::AugmentOptions{}, 32, 32);
    for (const std::int64_t step : {0, 2}) {  // of 21 and of 8 samples
      for (int v = 0; v < kShards; ++v) {
        EXPECT_EQ(plan.shard_index(v / own, v % own), v);
        EXPECT_EQ(plan.shard(plan.at(step), v / own, v % own), alone.shard(alone.at(step), 0, v)) << v;
      }
    }
  }
}

TEST(StepPlanTest, ShardsOfAnUnevenLastBatchDifferByOneAndMayBeEmpty) {
  const auto plan = make_plan(27, 12, 4, 2);  // the last batch holds 3 samples for 8 shards
  const Step last = plan.at(2);
  EXPECT_EQ(last.count, 3);
  EXPECT_TRUE(last.ends_epoch);
  EXPECT_FALSE(plan.at(1).ends_epoch);
  std::vector<std::int64_t> sizes;
  for (int a = 0; a < 2; ++a) {
    for (int r = 0; r < 4; ++r) sizes.push_back(plan.shard(last, r, a).size());
  }
  // floor((v + 1) * 3 / 8) - floor(v * 3 / 8)
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{0, 0, 1, 0, 0, 1, 0, 1}));
  for (std::int64_t count = 0; count < 40; ++count) {
    for (std::int64_t shards = 1; shards <= 9; ++shards) {
      std::int64_t next = 0;
      for (std::int64_t v = 0; v < shards; ++v) {
        const auto range = shard_range(count, v, shards);
        EXPECT_EQ(range.begin, next);
        EXPECT_GE(range.size(), count / shards);
        EXPECT_LE(range.size(), (count + shards - 1) / shards);
        next = range.end;
      }
      EXPECT_EQ(next, count) << "count " << count << ", shards " << shards;
    }
  }
}

TEST(StepPlanTest, AnEmptyShardIsAnEmptyRequest) {
  auto plan = make_plan(3, 12, 4, 2);
  const auto request = plan.request(0, 0, 0);
  EXPECT_TRUE(request.indices.empty());
  EXPECT_TRUE(request.draws.empty());
  EXPECT_EQ(plan.request(0, 2, 0).indices.size(), 1U);
}

TEST(StepPlanTest, DrawsBelongToTheSampleAndEpochNotToTheRank) {
  constexpr std::uint64_t kSeed = 21;
  data::AugmentOptions augment;
  augment.cutout = 8;
  for (int ranks : {1, 3}) {
    StepPlan plan({50, 16, ranks, 1, false}, kSeed, augment, 32, 32);
    for (std::int64_t step = 0; step < 8; ++step) {
      for (int r = 0; r < ranks; ++r) {
        const auto request = plan.request(step, r, 0);
        ASSERT_EQ(request.draws.size(), request.indices.size());
        EXPECT_EQ(request.padded_to, 0);
        for (std::size_t i = 0; i < request.draws.size(); ++i) {
          const auto expected = data::draw_augment(augment, 32, 32, kSeed, step / 4, request.indices[i]);
          EXPECT_TRUE(same_draw(request.draws[i], expected)) << "ranks " << ranks << ", step " << step;
        }
      }
    }
  }
}

TEST(StepPlanTest, RequestsInAnyOrderEqualThoseInSequence) {
  auto forward = make_plan(40, 7, 2, 1, 5);
  auto jumping = make_plan(40, 7, 2, 1, 5);
  for (const std::int64_t step : {17, 0, 23, 5, 6, 5, 12, 11, 30, 0}) {
    auto fresh = make_plan(40, 7, 2, 1, 5);
    EXPECT_EQ(jumping.request(step, 1, 0).indices, fresh.request(step, 1, 0).indices) << "step " << step;
  }
  std::set<std::vector<std::int64_t>> first_batches;
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    first_batches.insert(forward.request(epoch * forward.steps_per_epoch(), 0, 0).indices);
  }
  EXPECT_EQ(first_batches.size(), 5U) << "each epoch has its own order";
}

TEST(StepPlanTest, TheRunEndsAtTheSmallerOfEpochsAndMaxSteps) {
  const auto plan = make_plan(100, 10, 1, 1);
  EXPECT_EQ(plan.total_steps(3, 0), 30);
  EXPECT_EQ(plan.total_steps(3, 12), 12);
  EXPECT_EQ(plan.total_steps(3, 31), 30);
  EXPECT_EQ(plan.total_steps(0.54, 0), 5);
  EXPECT_EQ(plan.total_steps(0.001, 0), 1);
  EXPECT_EQ(plan.total_steps(0, 0), 0);
  EXPECT_DOUBLE_EQ(plan.epochs_done(25), 2.5);
}

TEST(StepPlanTest, RefusesAPlanWithoutSteps) {
  EXPECT_THROW(make_plan(0, 10, 1, 1), ConfigError);
  EXPECT_THROW(make_plan(10, 0, 1, 1), ConfigError);
  EXPECT_THROW(make_plan(9, 10, 1, 1, 1, /*drop_last=*/true), ConfigError);
  EXPECT_EQ(make_plan(9, 10, 1, 1).steps_per_epoch(), 1);
  EXPECT_THROW(make_plan(10, 10, 2, 1).shard(Step{}, 2, 0), InternalError);
}

}  // namespace
}  // namespace rn::train
