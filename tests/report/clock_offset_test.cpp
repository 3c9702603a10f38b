#include "report/clock_offset.h"

#include <gtest/gtest.h>

#include <random>

#include "core/error.h"

namespace rn::report {
namespace {

// Barriers of two ranks whose clocks differ by `skew`: each comes at a random time and leaves a random while
// after the later one came.
struct Barriers {
  std::vector<BarrierTimes> reference, mine;
};
Barriers simulate(std::int64_t skew, int rounds, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int64_t> late(0, 2'000'000), travel(10'000, 500'000);
  Barriers barriers;
  std::int64_t now = 1'000'000'000'000;
  for (int i = 0; i < rounds; ++i) {
    const std::int64_t a = now + late(random), b = now + late(random);
    const std::int64_t leave_a = std::max(a, b) + travel(random), leave_b = std::max(a, b) + travel(random);
    barriers.reference.push_back({a, leave_a});
    barriers.mine.push_back({b + skew, leave_b + skew});
    now = std::max(leave_a, leave_b);
  }
  return barriers;
}

TEST(ClockOffsetTest, TheTrueOffsetLiesWithinTheUncertainty) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    for (const std::int64_t skew : {-7'000'000'000'000LL, -3'000'000LL, 3'000'000LL, 86'400'000'000'000LL}) {
      const auto barriers = simulate(skew, 20, seed);
      const auto offset = clock_offset(barriers.reference, barriers.mine);
      EXPECT_LE(std::abs(offset.nanoseconds - skew), offset.uncertainty);
      EXPECT_LE(offset.uncertainty, 1'500'000);  // half of the two longest ways, and a lateness
    }
  }
}

TEST(ClockOffsetTest, MoreRoundsAreNeverWorse) {
  const auto barriers = simulate(5'000'000'000, 50, 1);
  std::int64_t last = INT64_MAX;
  for (std::size_t rounds = 1; rounds <= 50; ++rounds) {
    const auto offset =
        clock_offset(std::span(barriers.reference).first(rounds), std::span(barriers.mine).first(rounds));
    EXPECT_LE(offset.uncertainty, last);
    last = offset.uncertainty;
  }
  EXPECT_LT(last, 300'000);
}

TEST(ClockOffsetTest, OneClockGivesExactlyZero) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    const auto barriers = simulate(0, 20, seed);
    const auto offset = clock_offset(barriers.reference, barriers.mine);
    EXPECT_EQ(offset.nanoseconds, 0) << "seed " << seed;
    EXPECT_EQ(offset.uncertainty, 0) << "seed " << seed;
  }
}

TEST(ClockOffsetTest, RefusesRoundsThatDoNotMatch) {
  const auto barriers = simulate(0, 3, 1);
  EXPECT_THROW(clock_offset(std::span(barriers.reference).first(2), barriers.mine), InternalError);
  EXPECT_THROW(clock_offset({}, {}), InternalError);
}

}  // namespace
}  // namespace rn::report
