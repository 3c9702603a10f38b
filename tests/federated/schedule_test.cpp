#include "federated/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/random.h"

namespace rn::federated {
namespace {

std::vector<std::int64_t> random_work(std::uint64_t seed, int clients) {
  CounterRandom random(seed, Purpose::kOrder, 0, 0);
  std::vector<std::int64_t> work(static_cast<std::size_t>(clients));
  for (auto& each : work) each = random.below(1000);
  return work;
}

// The shortest possible length of the longest rank, by trying everything.
std::int64_t best_length(const std::vector<std::int64_t>& work, std::size_t next,
                         std::vector<std::int64_t>& load) {
  if (next == work.size()) return *std::max_element(load.begin(), load.end());
  std::int64_t best = INT64_MAX;
  for (auto& rank : load) {
    rank += work[next];
    best = std::min(best, best_length(work, next + 1, load));
    rank -= work[next];
  }
  return best;
}

TEST(LongestFirstTest, GivesEveryClientToOneRank) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const int clients = static_cast<int>(seed * 7 % 60);
    const int ranks = 1 + static_cast<int>(seed % 5);
    const auto work = random_work(seed, clients);
    const auto schedule = longest_first(work, ranks);
    ASSERT_EQ(schedule.of_rank.size(), static_cast<std::size_t>(ranks)) << "seed " << seed;
    std::vector<int> times(work.size(), 0);
    for (std::size_t rank = 0; rank < schedule.of_rank.size(); ++rank) {
      std::int64_t load = 0;
      for (const auto position : schedule.of_rank[rank]) {
        ++times[static_cast<std::size_t>(position)];
        load += work[static_cast<std::size_t>(position)];
      }
      EXPECT_EQ(load, schedule.load[rank]) << "seed " << seed;
    }
    EXPECT_EQ(std::count(times.begin(), times.end(), 1), clients) << "seed " << seed;
  }
}

TEST(LongestFirstTest, IsNeverWorseThanFourThirdsOfTheBest) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const auto work = random_work(seed, 8);
    for (const int ranks : {2, 3}) {
      std::vector<std::int64_t> load(static_cast<std::size_t>(ranks), 0);
      const auto best = best_length(work, 0, load);
      EXPECT_LE(3 * longest_first(work, ranks).longest(), 4 * best) << "seed " << seed;
    }
  }
}

TEST(LongestFirstTest, EqualClientsAreDividedEvenly) {
  const std::vector<std::int64_t> work(50, 50);
  const auto schedule = longest_first(work, 4);
  EXPECT_EQ(schedule.load, (std::vector<std::int64_t>{650, 650, 600, 600}));
  EXPECT_EQ(schedule.of_rank[0].front(), 0);
  EXPECT_EQ(schedule.of_rank[1].front(), 1);
  EXPECT_NEAR(schedule.idle_share(), 1 - 2500.0 / (4 * 650), 1e-12);
}

TEST(LongestFirstTest, ARankTakesItsLongestClientFirst) {
  const std::vector<std::int64_t> work = {1, 9, 5, 9, 2};
  for (const auto& positions : longest_first(work, 2).of_rank) {
    for (std::size_t i = 1; i < positions.size(); ++i) {
      EXPECT_GE(work[static_cast<std::size_t>(positions[i - 1])],
                work[static_cast<std::size_t>(positions[i])]);
    }
  }
}

TEST(LongestFirstTest, NoClientsIsNoWork) {
  const auto schedule = longest_first({}, 3);
  EXPECT_EQ(schedule.longest(), 0);
  EXPECT_EQ(schedule.idle_share(), 0);
}

}  // namespace
}  // namespace rn::federated
