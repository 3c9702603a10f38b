#include "federated/robust_aggregation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace rn::federated {
namespace {

using Matrix = std::vector<std::vector<float>>;

Matrix random_updates(std::uint64_t seed, std::size_t n, std::size_t size) {
  CounterRandom random(seed, Purpose::kOrder, 0, 0);
  Matrix updates(n, std::vector<float>(size));
  for (auto& update : updates) {
    // Ties now and then, since few different values.
    for (float& value : update) value = static_cast<float>(static_cast<int>(random.below(40)) - 20) / 8;
  }
  return updates;
}

std::vector<std::span<const float>> views(const Matrix& updates) { return {updates.begin(), updates.end()}; }

std::vector<float> sorted_column(const Matrix& updates, std::size_t coordinate) {
  std::vector<float> column;
  for (const auto& update : updates) column.push_back(update[coordinate]);
  std::sort(column.begin(), column.end());
  return column;
}

TEST(CoordinateMedianTest, IsTheMedianOfEveryCoordinate) {
  for (std::size_t n = 1; n <= 40; ++n) {
    const std::size_t size = 1 + n * 7 % 200;
    const auto updates = random_updates(n, n, size);
    std::vector<float> median(size);
    coordinate_median(views(updates), median);
    for (std::size_t i = 0; i < size; ++i) {
      const auto column = sorted_column(updates, i);
      EXPECT_EQ(median[i], 0.5F * column[(n - 1) / 2] + 0.5F * column[n / 2]) << n << " updates";
    }
  }
}

TEST(CoordinateMedianTest, FewAttackersCannotMoveItBeyondTheOthers) {
  auto updates = random_updates(1, 11, 100);
  for (std::size_t attacker = 0; attacker < 5; ++attacker) {
    std::fill(updates[attacker].begin(), updates[attacker].end(), 1e30F);
  }
  std::vector<float> median(100);
  coordinate_median(views(updates), median);
  for (const float value : median) EXPECT_LE(value, 2.5F);
}

TEST(TrimmedMeanTest, IsTheMeanOfTheMiddle) {
  for (std::size_t n = 1; n <= 30; ++n) {
    for (const double trim : {0.0, 0.1, 0.3, 0.49}) {
      const auto updates = random_updates(n, n, 70);
      std::vector<float> mean(70);
      trimmed_mean(views(updates), trim, mean);
      const auto cut = static_cast<std::ptrdiff_t>(trim * static_cast<double>(n));
      for (std::size_t i = 0; i < mean.size(); ++i) {
        const auto column = sorted_column(updates, i);
        const double sum = std::accumulate(column.begin() + cut, column.end() - cut, 0.0);
        EXPECT_EQ(mean[i], static_cast<float>(sum / static_cast<double>(std::ssize(column) - 2 * cut)))
            << n << " updates, trim " << trim;
      }
    }
  }
}

TEST(RobustAggregationTest, TheOrderOfTheUpdatesDoesNotMatter) {
  auto updates = random_updates(3, 15, 100);
  std::vector<float> median(100), trimmed(100), median_again(100), trimmed_again(100);
  coordinate_median(views(updates), median);
  trimmed_mean(views(updates), 0.2, trimmed);
  std::reverse(updates.begin(), updates.end());
  coordinate_median(views(updates), median_again);
  trimmed_mean(views(updates), 0.2, trimmed_again);
  EXPECT_EQ(median, median_again);
  EXPECT_EQ(trimmed, trimmed_again);
}

// Krum as in the paper's words: for each update the closest n - f - 2 others by trying all subsets' sum.
double krum_score_by_brute_force(const Matrix& updates, std::size_t own, std::int64_t byzantine) {
  std::vector<double> distances;
  for (std::size_t other = 0; other < updates.size(); ++other) {
    if (other == own) continue;
    double sum = 0;
    for (std::size_t i = 0; i < updates[own].size(); ++i) {
      sum += std::pow(static_cast<double>(updates[own][i]) - static_cast<double>(updates[other][i]), 2);
    }
    distances.push_back(sum);
  }
  const auto nearest = static_cast<std::size_t>(std::ssize(updates) - byzantine - 2);
  double best = INFINITY;
  for (std::uint32_t subset = 0; subset < (1U << distances.size()); ++subset) {
    if (static_cast<std::size_t>(std::popcount(subset)) != nearest) continue;
    double sum = 0;
    for (std::size_t i = 0; i < distances.size(); ++i) sum += (subset >> i & 1) != 0 ? distances[i] : 0.0;
    best = std::min(best, sum);
  }
  return best;
}

TEST(KrumTest, ScoresAreTheSumsOverTheNearestOthers) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::size_t n = 5 + seed % 5;
    const auto updates = random_updates(seed, n, 33);
    for (std::int64_t byzantine = 0; 2 * byzantine + 2 < static_cast<std::int64_t>(n); ++byzantine) {
      const auto scores = krum_scores(squared_distances(views(updates)), byzantine);
      for (std::size_t u = 0; u < n; ++u) {
        EXPECT_NEAR(scores[u], krum_score_by_brute_force(updates, u, byzantine), 1e-9 * scores[u])
            << "seed " << seed;
      }
    }
  }
}

TEST(KrumTest, LeavesOutTheFarAway) {
  auto updates = random_updates(2, 11, 50);
  for (const std::size_t attacker : {2U, 5U, 7U}) {
    for (float& value : updates[attacker]) value += 100;
  }
  const auto kept = lowest_scores(krum_scores(squared_distances(views(updates)), 3), 8);
  EXPECT_EQ(kept, (std::vector<std::int64_t>{0, 1, 3, 4, 6, 8, 9, 10}));
}

TEST(KrumTest, TiesGoToTheEarlierUpdate) {
  EXPECT_EQ(lowest_scores(std::vector<double>{3, 1, 2, 1, 1}, 2), (std::vector<std::int64_t>{1, 3}));
}

TEST(KrumTest, RefusesTooManyAttackers) {
  EXPECT_NO_THROW(check_krum(9, 3, 1));
  EXPECT_THROW(check_krum(8, 3, 1), ConfigError);
  EXPECT_THROW(check_krum(9, -1, 1), ConfigError);
  EXPECT_THROW(check_krum(9, 3, 10), ConfigError);
}

TEST(ClipTest, ScalesLongUpdatesToTheBoundAndLeavesOthers) {
  std::vector<float> update = {3, 0, -4};
  EXPECT_DOUBLE_EQ(l2_norm(update), 5);
  EXPECT_EQ(clip_to_norm(update, 5), 1);
  EXPECT_EQ(update, (std::vector<float>{3, 0, -4}));
  EXPECT_DOUBLE_EQ(clip_to_norm(update, 2.5), 0.5);
  EXPECT_EQ(update, (std::vector<float>{1.5F, 0, -2}));
  std::vector<float> zero(10, 0.0F);
  EXPECT_EQ(clip_to_norm(zero, 1), 1);
}

TEST(ClipTest, TheNormOfLongAndLargeUpdatesNeitherOverflowsNorDrifts) {
  const double expected = static_cast<double>(1e30F) * std::sqrt(1000003.0);
  EXPECT_NEAR(l2_norm(std::vector<float>(1000003, 1e30F)), expected, 1e-11 * expected);
}

}  // namespace
}  // namespace rn::federated
