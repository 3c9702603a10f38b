// bfloat16: the upper half of a float32.
//
// Always inlined: files that are compiled for different CPUs include this.
#pragma once

#include <bit>
#include <cstdint>

namespace rn {

struct BFloat16 {
  std::uint16_t bits;
};

[[gnu::always_inline]] inline float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

// Rounds to nearest, ties to even; infinities stay, a NaN becomes a quiet one. Without a branch, so that
// loops vectorise.
[[gnu::always_inline]] inline BFloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const std::uint32_t quiet_nan = (bits >> 16) | 0x40U;
  return {static_cast<std::uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? quiet_nan : rounded)};
}

}  // namespace rn
