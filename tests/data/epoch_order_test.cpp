#include "data/epoch_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace rn::data {
namespace {

TEST(EpochOrderTest, HoldsEveryIndexOnce) {
  for (const std::int64_t n : {0, 1, 2, 3, 10, 255, 1000, 50'000}) {
    for (const std::uint64_t seed : {0u, 1u, 12345u}) {
      SCOPED_TRACE(::testing::Message() << "n " << n << ", seed " << seed);
      auto order = epoch_order(n, seed, 7);
      std::sort(order.begin(), order.end());
      ASSERT_EQ(static_cast<std::int64_t>(order.size()), n);
      for (std::int64_t i = 0; i < n; ++i) ASSERT_EQ(order[static_cast<std::size_t>(i)], i);
    }
  }
}

TEST(EpochOrderTest, DependsOnSeedAndEpochOnly) {
  EXPECT_EQ(epoch_order(100, 1, 2), epoch_order(100, 1, 2));
  EXPECT_NE(epoch_order(100, 1, 2), epoch_order(100, 1, 3));
  EXPECT_NE(epoch_order(100, 1, 2), epoch_order(100, 2, 2));
}

TEST(EpochOrderTest, EveryPermutationIsEquallyLikely) {
  std::map<std::vector<std::int64_t>, int> seen;
  constexpr int kDraws = 12'000;
  for (int epoch = 0; epoch < kDraws; ++epoch) ++seen[epoch_order(4, 3, epoch)];
  EXPECT_EQ(seen.size(), 24u);
  for (const auto& [order, count] : seen) EXPECT_NEAR(count, kDraws / 24, 5 * std::sqrt(kDraws / 24.0));
}

}  // namespace
}  // namespace rn::data
