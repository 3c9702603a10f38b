// Philox4x32-10 (Salmon et al. 2011) of many counters at a time, for who draws many numbers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace rn {

inline constexpr std::uint32_t kPhiloxMultiplier0 = 0xD2511F53, kPhiloxMultiplier1 = 0xCD9E8D57;
inline constexpr std::uint32_t kPhiloxWeyl0 = 0x9E3779B9, kPhiloxWeyl1 = 0xBB67AE85;
inline constexpr int kPhiloxRounds = 10;

// The four words of the counters `first`, `first` + 1, ... (64 bits) with `upper` above them, one block after
// another: what philox4x32 gives, with AVX-512 where the CPU has it.
inline constexpr std::size_t kPhiloxLanes = 16;
void philox_lanes(std::uint64_t first, std::array<std::uint32_t, 2> upper, std::array<std::uint32_t, 2> key,
                  std::uint32_t* words);

// The same in plain loops: the twin, and what other CPUs take.
void plain_philox_lanes(std::uint64_t first, std::array<std::uint32_t, 2> upper,
                        std::array<std::uint32_t, 2> key, std::uint32_t* words);

}  // namespace rn
