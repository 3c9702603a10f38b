#include "core/bfloat16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace rn {
namespace {

// Rounding by search: the nearer of the two neighbouring bf16 numbers, on a tie the one with an even last
// bit.
float nearest_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const float low = std::bit_cast<float>(bits & 0xffff0000U);  // towards zero
  const float high = std::bit_cast<float>((bits & 0xffff0000U) + 0x10000U);
  const double down = std::fabs(static_cast<double>(x) - low);
  const double up = std::fabs(static_cast<double>(high) - x);
  if (down != up) return down < up ? low : high;
  return (std::bit_cast<std::uint32_t>(low) >> 16) % 2 == 0 ? low : high;
}

TEST(BFloat16Test, RoundsToTheNearestAndTiesToEven) {
  const unsigned seed = 7;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 200000; ++i) {
    auto bits = static_cast<std::uint32_t>(random());
    if (i % 4 == 0) bits = (bits & 0xffff0000U) | 0x8000U;  // ties
    const float x = std::bit_cast<float>(bits);
    if (!std::isfinite(x) || std::fabs(x) > 3e38F) continue;  // the neighbour above may be infinite
    ASSERT_EQ(std::bit_cast<std::uint32_t>(to_float(to_bfloat16(x))),
              std::bit_cast<std::uint32_t>(nearest_bf16(x)))
        << x;
  }
}

TEST(BFloat16Test, KeepsNanInfinityZeroAndOverflowsToInfinity) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(to_float(to_bfloat16(infinity)), infinity);
  EXPECT_EQ(to_float(to_bfloat16(-infinity)), -infinity);
  EXPECT_EQ(to_float(to_bfloat16(std::numeric_limits<float>::max())), infinity);
  EXPECT_TRUE(std::signbit(to_float(to_bfloat16(-0.0F))));
  // A NaN whose upper mantissa bits are zero would turn into infinity if it were cut.
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::bit_cast<float>(0x7f800001U)))));
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::bit_cast<float>(0xffffffffU)))));
}

}  // namespace
}  // namespace rn
