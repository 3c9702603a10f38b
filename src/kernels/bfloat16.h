// bfloat16: the upper half of a float32. Always inlined, since files for different CPUs include this.
#pragma once

#include <bit>
#include <cstdint>

namespace rn::kernels {

struct BFloat16 {
  std::uint16_t bits;
};

[[gnu::always_inline]] inline float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

// Rounds to nearest, ties to even; a NaN stays one.
[[gnu::always_inline]] inline BFloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

}  // namespace rn::kernels
