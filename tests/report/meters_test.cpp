#include "report/meters.h"

#include <gtest/gtest.h>

#include <cmath>

namespace rn::report {
namespace {

TEST(RunningMeanTest, WeighsByCountAndStartsAnewAfterReset) {
  RunningMean mean;
  EXPECT_EQ(mean.mean(), 0);
  mean.add(2.0, 3);
  mean.add(6.0, 1);
  EXPECT_DOUBLE_EQ(mean.mean(), 3.0);
  EXPECT_DOUBLE_EQ(mean.weight(), 4.0);
  mean.reset();
  mean.add(5.0);
  EXPECT_DOUBLE_EQ(mean.mean(), 5.0);
}

TEST(SmoothedMeanTest, IsUnbiasedFromTheFirstValueAndForgets) {
  SmoothedMean mean(0.9);
  EXPECT_TRUE(mean.empty());
  mean.add(10);
  EXPECT_DOUBLE_EQ(mean.mean(), 10);
  mean.add(20);
  EXPECT_NEAR(mean.mean(), (0.9 * 10 + 20) / 1.9, 1e-12);
  for (int i = 0; i < 200; ++i) mean.add(1);
  EXPECT_NEAR(mean.mean(), 1, 1e-6);
}

TEST(PercentileTest, InterpolatesLikeNumpy) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_DOUBLE_EQ(percentile({10, 20, 30, 40, 50}, 90), 46);  // numpy.percentile([...], 90)
  EXPECT_DOUBLE_EQ(percentile({7}, 99), 7);
  EXPECT_DOUBLE_EQ(percentile({1, 2, 3}, 0), 1);
  EXPECT_DOUBLE_EQ(percentile({1, 2, 3}, 100), 3);
  EXPECT_TRUE(std::isnan(median({})));
}

}  // namespace
}  // namespace rn::report
