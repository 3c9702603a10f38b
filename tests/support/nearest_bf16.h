// Rounding to bf16 without the arithmetic that is under test.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace rn::testing_support {

// Rounding by search: the nearer of the two neighbouring bf16 numbers, on a tie the one with an even last
// bit.
inline float nearest_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const float low = std::bit_cast<float>(bits & 0xffff0000U);  // towards zero
  const float high = std::bit_cast<float>((bits & 0xffff0000U) + 0x10000U);
  const double down = std::fabs(static_cast<double>(x) - low);
  const double up = std::fabs(static_cast<double>(high) - x);
  if (down != up) return down < up ? low : high;
  return (std::bit_cast<std::uint32_t>(low) >> 16) % 2 == 0 ? low : high;
}

}  // namespace rn::testing_support
