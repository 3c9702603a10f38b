#include "federated/distributions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace rn::federated {
namespace {

CounterRandom random_of(std::uint64_t seed, std::uint64_t b = 0) {
  return CounterRandom(seed, Purpose::kPartition, 0, b);
}

TEST(GammaDrawTest, HasTheMomentsOfTheGammaDistribution) {
  constexpr int kDraws = 100000;
  for (const double shape : {0.1, 0.5, 1.0, 2.5, 40.0}) {
    auto random = random_of(7);
    double sum = 0, squares = 0, logs = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double log_draw = log_gamma_draw(random, shape);
      const double draw = std::exp(log_draw);
      sum += draw;
      squares += draw * draw;
      logs += log_draw;
    }
    const double mean = sum / kDraws;
    const double variance = squares / kDraws - mean * mean;
    // Mean and variance of Gamma(shape, 1) are both `shape`; five standard errors each.
    EXPECT_NEAR(mean, shape, 5 * std::sqrt(shape / kDraws)) << shape;
    EXPECT_NEAR(variance, shape, 5 * shape * std::sqrt((2 + 6 / shape) / kDraws)) << shape;
    // The mean logarithm is digamma(shape): its derivative of lgamma, by a central difference.
    const double digamma = (std::lgamma(shape + 1e-5) - std::lgamma(shape - 1e-5)) / 2e-5;
    EXPECT_NEAR(logs / kDraws, digamma, 5 * (1 + 1 / shape) / std::sqrt(kDraws)) << shape;
  }
}

TEST(DirichletDrawTest, HasTheMomentsOfTheDirichletDistribution) {
  constexpr int kDraws = 20000;
  constexpr std::size_t kShares = 10;
  for (const double alpha : {0.1, 0.5, 1.0, 10.0}) {
    auto random = random_of(11);
    std::vector<double> shares(kShares), sum(kShares, 0.0), squares(kShares, 0.0);
    for (int i = 0; i < kDraws; ++i) {
      dirichlet_draw(random, alpha, shares);
      EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1.0, 1e-12);
      for (std::size_t j = 0; j < kShares; ++j) {
        sum[j] += shares[j];
        squares[j] += shares[j] * shares[j];
      }
    }
    const double mean = 1.0 / kShares;
    const double variance = mean * (1 - mean) / (kShares * alpha + 1);
    for (std::size_t j = 0; j < kShares; ++j) {
      EXPECT_NEAR(sum[j] / kDraws, mean, 5 * std::sqrt(variance / kDraws)) << alpha;
      EXPECT_NEAR(squares[j] / kDraws - mean * mean, variance, 0.1 * variance) << alpha;
    }
  }
}

TEST(DirichletDrawTest, WithTinyAlphaOneShareIsEverythingAndNothingIsNotANumber) {
  auto random = random_of(3);
  std::vector<double> shares(10);
  std::map<std::ptrdiff_t, int> winners;
  for (int i = 0; i < 1000; ++i) {
    dirichlet_draw(random, 1e-5, shares);
    const auto largest = std::max_element(shares.begin(), shares.end());
    EXPECT_GT(*largest, 0.99);
    ++winners[largest - shares.begin()];
  }
  EXPECT_EQ(winners.size(), 10U) << "every class wins now and then";
}

TEST(DirichletDrawTest, AConcentrationOfZeroGivesNothing) {
  auto random = random_of(5);
  const std::vector<double> concentration = {3, 0, 1};
  std::vector<double> shares(3), sum(3, 0.0);
  for (int i = 0; i < 20000; ++i) {
    dirichlet_draw(random, concentration, shares);
    for (std::size_t j = 0; j < 3; ++j) sum[j] += shares[j];
  }
  EXPECT_NEAR(sum[0] / 20000, 0.75, 0.01);
  EXPECT_EQ(sum[1], 0.0);
}

TEST(ShuffleTest, EveryOrderIsEquallyLikely) {
  std::map<std::vector<std::uint32_t>, int> seen;
  constexpr int kDraws = 24000;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    auto random = random_of(1, i);
    std::vector<std::uint32_t> values = {0, 1, 2, 3};
    shuffle(random, values);
    ++seen[values];
  }
  ASSERT_EQ(seen.size(), 24U);
  double chi_squared = 0;
  for (const auto& [order, count] : seen) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 53.0);  // 23 degrees of freedom: above with probability 4e-4
}

TEST(DrawSubsetTest, EverySubsetIsEquallyLikelyAndAscending) {
  std::map<std::vector<std::int64_t>, int> seen;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    auto random = random_of(2, i);
    const auto subset = draw_subset(random, 6, 3);
    ASSERT_TRUE(std::is_sorted(subset.begin(), subset.end()));
    ++seen[subset];
  }
  ASSERT_EQ(seen.size(), 20U);
  double chi_squared = 0;
  for (const auto& [subset, count] : seen) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 47.0);  // 19 degrees of freedom: above with probability 4e-4
}

TEST(DrawSubsetTest, TakesAllOrNothing) {
  auto random = random_of(2);
  EXPECT_EQ(draw_subset(random, 3, 3), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_TRUE(draw_subset(random, 3, 0).empty());
}

}  // namespace
}  // namespace rn::federated
