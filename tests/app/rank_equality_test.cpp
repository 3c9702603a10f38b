// One global batch gives the same numbers on any number of ranks.
#include "app_fixture.h"
#include "core/error.h"

namespace rn::app_testing {
namespace {

class RankEqualityTest : public AppTest {};

// The last batch of an epoch has 2 images: at 3 and 4 ranks some have none.
TEST_F(RankEqualityTest, LossesAndEvaluationsAgreeOn1To4Ranks) {
  const Words changes = kGroupNorm + Words{"train.global_batch=24", "optimizer.lr=0.01", "train.epochs=5"};
  train_well("alone", changes);
  const auto expected = losses("alone");
  for (const int ranks : {1, 2, 3, 4}) {
    const std::string run = cat("np", ranks);
    train_well(run, changes, ranks);
    const auto found = losses(run);
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [step, loss] : expected) {
      EXPECT_NEAR(found.at(step), loss, 1e-5 * loss) << ranks << " ranks, step " << step;
    }
    EXPECT_EQ(events(run, "run_start").at(0).at("world_size"), ranks);
  }
  // Accumulation is the same loop.
  train_well("parts", changes + Words{"train.accumulate_steps=3"}, 2);
  for (const auto& [step, loss] : losses("parts")) EXPECT_NEAR(loss, expected.at(step), 1e-5 * loss) << step;
}

TEST_F(RankEqualityTest, EvalCountsTheSameOnAnyNumberOfRanks) {
  train_well("run", {"train.max_steps=4"});
  const auto alone = call({"eval", "run", "--json", "eval.batch=3"});
  ASSERT_EQ(alone.code, 0) << alone.text();
  const auto expected = Json::parse(alone.out);
  EXPECT_EQ(expected.at("n"), 20);
  EXPECT_EQ(expected.at("confusion").size(), 100u);
  for (const int ranks : {1, 2, 3, 4}) {
    const auto result = call({"eval", "run", "--json", "eval.batch=3"}, ranks);
    ASSERT_EQ(result.code, 0) << result.text();
    EXPECT_EQ(Json::parse(result.out), expected) << ranks << " ranks";
  }
  const auto at_the_end = events("run", "eval").back();
  EXPECT_EQ(expected.at("top1"), at_the_end.at("top1"));
  EXPECT_EQ(expected.at("top5"), at_the_end.at("top5"));
  EXPECT_NEAR(expected.at("loss"), at_the_end.at("loss"), 1e-5);
}

}  // namespace
}  // namespace rn::app_testing
