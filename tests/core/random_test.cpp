#include "core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "core/error.h"
#include "core/philox_lanes.h"

namespace rn {
namespace {

using Counter = std::array<std::uint32_t, 4>;
using Key = std::array<std::uint32_t, 2>;

// The known-answer vectors of Random123 (tests/kat_vectors, philox4x32 with 10 rounds).
TEST(PhiloxTest, GivesTheKnownAnswersOfRandom123) {
  struct Case {
    Counter counter;
    Key key;
    Counter expected;
  };
  const Case cases[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(philox4x32(c.counter, c.key), c.expected) << "counter starts with " << c.counter[0];
  }
}

TEST(CounterRandomTest, IsAPureFunctionOfItsKey) {
  CounterRandom one(7, Purpose::kCrop, 3, 11), other(7, Purpose::kCrop, 3, 11);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(one.next(), other.next()) << "draw " << i;
}

// Runs must stay reproducible between releases: these words may never change.
TEST(CounterRandomTest, TheStreamIsPhiloxUnderADerivedKey) {
  const std::uint64_t seed = 0x0123456789abcdef, a = 0x1122334455667788, b = 0x99aabbccddeeff00;
  const auto key = philox4x32({0x55667788, 0x11223344, 2, 0}, {0x89abcdef, 0x01234567});
  CounterRandom random(seed, Purpose::kCrop, a, b);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const auto words = philox4x32({block, 0, 0xddeeff00, 0x99aabbcc}, {key[0], key[1]});
    for (const std::uint32_t word : words) EXPECT_EQ(random.next(), word) << "block " << block;
  }
}

TEST(CounterRandomTest, FillingIsDrawingOneByOne) {
  for (const std::size_t before : {0, 1, 3, 4}) {
    for (const std::size_t size : {0, 1, 5, 63, 64, 65, 200, 1000}) {
      CounterRandom one(7, Purpose::kDropout, 3, 11), other(7, Purpose::kDropout, 3, 11);
      for (std::size_t i = 0; i < before; ++i) EXPECT_EQ(one.next(), other.next());
      std::vector<std::uint32_t> words(size);
      one.fill(words);
      for (std::size_t i = 0; i < size; ++i) {
        ASSERT_EQ(words[i], other.next()) << "word " << i << " of " << size << " after " << before;
      }
      EXPECT_EQ(one.next(), other.next()) << "after " << size << " words";
    }
  }
}

TEST(PhiloxLanesTest, ManyCountersGiveWhatEachGives) {
  const std::array<std::uint32_t, 2> upper = {0xddeeff00, 0x99aabbcc}, key = {0x89abcdef, 0x01234567};
  for (const std::uint64_t first : {0ULL, 0xfffffff9ULL, 0x1234567890abcdefULL, 0xfffffffffffffff8ULL}) {
    std::array<std::uint32_t, 4 * kPhiloxLanes> fast{}, plain{};
    philox_lanes(first, upper, key, fast.data());
    plain_philox_lanes(first, upper, key, plain.data());
    EXPECT_EQ(fast, plain) << first;
    for (std::size_t i = 0; i < kPhiloxLanes; ++i) {
      const std::uint64_t counter = first + i;
      const auto block = philox4x32({static_cast<std::uint32_t>(counter),
                                     static_cast<std::uint32_t>(counter >> 32), upper[0], upper[1]},
                                    key);
      EXPECT_TRUE(std::equal(block.begin(), block.end(), plain.begin() + 4 * static_cast<std::ptrdiff_t>(i)))
          << first << " + " << i;
    }
  }
}

TEST(CounterRandomTest, EveryPartOfTheKeyMatters) {
  std::set<std::uint64_t> firsts;
  int streams = 0;
  const auto add = [&](std::uint64_t seed, Purpose purpose, std::uint64_t a, std::uint64_t b) {
    CounterRandom random(seed, purpose, a, b);
    const std::uint64_t upper = random.next();
    firsts.insert(upper << 32 | random.next());
    ++streams;
  };
  for (const std::uint64_t seed : {0ULL, 1ULL, 1ULL << 32}) {
    for (const Purpose purpose : {Purpose::kOrder, Purpose::kCrop, Purpose::kDropout}) {
      for (const std::uint64_t a : {0ULL, 1ULL, 1ULL << 32, ~0ULL}) {
        for (const std::uint64_t b : {0ULL, 1ULL, 1ULL << 32, ~0ULL}) add(seed, purpose, a, b);
      }
    }
  }
  EXPECT_EQ(firsts.size(), static_cast<std::size_t>(streams));
}

TEST(CounterRandomTest, BelowStaysBelowAndReachesEveryValueEquallyOften) {
  for (const std::uint32_t bound : {1U, 2U, 3U, 9U, 10U, 17U}) {
    CounterRandom random(1, Purpose::kSynthetic, 0, bound);
    const int draws = 20000 * static_cast<int>(bound);
    std::vector<int> counts(bound);
    for (int i = 0; i < draws; ++i) {
      const std::uint32_t value = random.below(bound);
      ASSERT_LT(value, bound);
      ++counts[value];
    }
    for (std::uint32_t value = 0; value < bound; ++value) {
      EXPECT_NEAR(counts[value], 20000, 700) << "bound " << bound << ", value " << value;  // 5 sigma
    }
  }
}

// With a bound of 3 * 2^30 the plain multiply-shift reaches the values that are multiples of 3 twice as
// often; the rejection must level that. (A bound this size takes 1/4 of all words, so a missing rejection
// shows at once.)
TEST(CounterRandomTest, BelowIsUnbiasedAtTheBoundWhereRejectionMattersMost) {
  const std::uint32_t bound = 3U << 30;
  CounterRandom random(5, Purpose::kSynthetic, 1, 2);
  std::array<int, 3> by_remainder{};
  for (int i = 0; i < 300000; ++i) ++by_remainder[random.below(bound) % 3];
  for (const int count : by_remainder)
    EXPECT_NEAR(count, 100000, 1300);  // 5 sigma; biased: 150000, 75000, 75000
}

TEST(CounterRandomTest, BelowRefusesAnEmptyRange) {
  CounterRandom random(0, Purpose::kOrder, 0, 0);
  EXPECT_THROW(random.below(0), InternalError);
}

TEST(CounterRandomTest, UniformLiesInTheHalfOpenUnitIntervalWithTheRightMoments) {
  CounterRandom random(3, Purpose::kInit, 0, 0);
  double sum = 0, squares = 0;
  const int draws = 200000;
  bool uses_low_bits = false;
  for (int i = 0; i < draws; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    uses_low_bits |= std::fmod(u * 0x1p53, 2.0) == 1.0;
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / draws, 0.5, 0.004);
  EXPECT_NEAR(squares / draws, 1.0 / 3, 0.004);
  EXPECT_TRUE(uses_low_bits);
}

TEST(CounterRandomTest, NormalHasTheMomentsOfAStandardNormal) {
  CounterRandom random(4, Purpose::kInit, 1, 0);
  const int draws = 400000;
  double sum = 0, squares = 0, fourth = 0, neighbours = 0, previous = 0;
  for (int i = 0; i < draws; ++i) {
    const double x = random.normal();
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    neighbours += x * previous;
    previous = x;
  }
  EXPECT_NEAR(sum / draws, 0.0, 0.008);
  EXPECT_NEAR(squares / draws, 1.0, 0.012);
  EXPECT_NEAR(fourth / draws, 3.0, 0.08);
  EXPECT_NEAR(neighbours / draws, 0.0, 0.008);  // the two of one Box-Muller pair are independent
}

}  // namespace
}  // namespace rn
