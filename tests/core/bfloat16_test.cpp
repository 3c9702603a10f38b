#include "core/bfloat16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "support/nearest_bf16.h"

namespace rn {
namespace {

using testing_support::nearest_bf16;

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
