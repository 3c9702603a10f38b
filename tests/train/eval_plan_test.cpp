#include "train/eval_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace rn::train {
namespace {

TEST(EvalPlanTest, EverySampleIsEvaluatedExactlyOnceInTheSameBatchesAtAnyRankCount) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CounterRandom random(seed, Purpose::kSynthetic, 0, 0);
    const std::int64_t samples = random.below(400);
    const std::int64_t batch = 1 + random.below(60);
    for (int ranks = 1; ranks <= 5; ++ranks) {
      SCOPED_TRACE(cat("seed ", seed, ": samples ", samples, ", batch ", batch, ", ranks ", ranks));
      const EvalPlan plan(samples, batch, ranks);
      std::vector<int> seen(static_cast<std::size_t>(samples), 0);
      std::int64_t batches = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        for (std::int64_t i = 0; i < plan.batches_of(rank); ++i, ++batches) {
          const auto request = plan.request(rank, i);
          ASSERT_FALSE(request.indices.empty());
          EXPECT_TRUE(request.draws.empty());
          EXPECT_EQ(request.padded_to, batch);
          // Batches start at multiples of the batch and hold consecutive samples: no rank count in it.
          const std::int64_t k = request.indices.front() / batch;
          EXPECT_EQ(request.indices.front(), k * batch);
          EXPECT_EQ(request.indices.back(), std::min((k + 1) * batch, samples) - 1);
          EXPECT_TRUE(std::is_sorted(request.indices.begin(), request.indices.end()));
          EXPECT_EQ(plan.owner(k), rank);
          for (const auto index : request.indices) ++seen.at(static_cast<std::size_t>(index));
        }
      }
      EXPECT_EQ(batches, plan.batches());
      EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), samples);
    }
  }
}

TEST(EvalPlanTest, TheLastBatchIsPaddedAndRanksBeyondTheBatchesHaveNone) {
  const EvalPlan plan(1100, 500, 4);
  EXPECT_EQ(plan.batches(), 3);
  EXPECT_EQ(plan.batches_of(2), 1);
  EXPECT_EQ(plan.batches_of(3), 0);
  EXPECT_EQ(plan.request(2, 0).indices.size(), 100U);
  EXPECT_EQ(plan.request(2, 0).padded_to, 500);
  EXPECT_THROW(plan.request(3, 0), InternalError);
}

TEST(EvalPlanTest, AnEmptySplitHasNoBatches) {
  const EvalPlan plan(0, 500, 2);
  EXPECT_EQ(plan.batches(), 0);
  EXPECT_EQ(plan.batches_of(0), 0);
}

}  // namespace
}  // namespace rn::train
