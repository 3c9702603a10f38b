// Values for multi-rank tests: they depend on rank and index, and their sums are exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rn::dist::test {

// Small whole numbers in [-50, 50].
template <typename T>
T value(int rank, std::size_t i) {
  return static_cast<T>(
      static_cast<std::int64_t>((static_cast<std::size_t>(rank) * 37 + i * 13 + i / 101) % 101) - 50);
}

template <typename T>
T sum_of_values(int world_size, std::size_t i) {
  T sum = 0;
  for (int r = 0; r < world_size; ++r) sum += value<T>(r, i);
  return sum;
}

inline std::byte byte_value(int rank, std::size_t i) {
  return static_cast<std::byte>((static_cast<std::size_t>(rank) * 31 + i * 7 + i / 256) & 0xff);
}

// How the ranks of this machine are cut into nodes: 0 one node, 1 a node per rank, 2 and 3 pairs and triples
// (the last node may be smaller).
inline const std::vector<int> kRanksPerNode{0, 1, 2, 3};

// The first index where `count` values differ from expected(i), or -1; one comparison result per array keeps
// the output of a failing test short.
template <typename T, typename Expected>
std::ptrdiff_t first_difference(const T* data, std::size_t count, Expected expected) {
  for (std::size_t i = 0; i < count; ++i) {
    if (!(data[i] == expected(i))) return static_cast<std::ptrdiff_t>(i);
  }
  return -1;
}

}  // namespace rn::dist::test
