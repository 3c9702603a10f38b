// The order of an epoch: a permutation that depends on seed and epoch only.
#pragma once

#include <cstdint>
#include <vector>

namespace rn::data {

// A uniformly drawn permutation of 0 .. n-1 (Fisher-Yates over CounterRandom). REQUIRES: 0 <= n <= 2^32 - 1.
std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::int64_t epoch);

}  // namespace rn::data
