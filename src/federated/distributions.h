// Draws that the partitions and the simulated clients need beyond uniform and normal: gamma, Dirichlet, and
// subsets. All from a CounterRandom, since the std:: distributions differ between standard libraries.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/random.h"

namespace rn::federated {

// The logarithm of a Gamma(shape, 1) draw (Marsaglia and Tsang 2000). In logarithms, since for a small shape
// the draw itself is below the smallest double. REQUIRES: shape > 0.
double log_gamma_draw(CounterRandom& random, double shape);

// Fills `shares` with a draw of the symmetric Dirichlet(alpha, ..., alpha): shares >= 0 that sum to 1. For
// alpha near zero one share is 1 and the others 0. REQUIRES: alpha > 0, shares not empty.
void dirichlet_draw(CounterRandom& random, double alpha, std::span<double> shares);

// The same for Dirichlet(concentration[0], ...). A concentration of zero gives a share of zero. REQUIRES:
// equal sizes, one concentration above zero.
void dirichlet_draw(CounterRandom& random, std::span<const double> concentration, std::span<double> shares);

// Permutes `values` uniformly (Fisher-Yates). REQUIRES: fewer than 2^32 values.
void shuffle(CounterRandom& random, std::span<std::uint32_t> values);

// `count` different numbers of [0, n), every subset alike, ascending; O(count) draws and memory (Floyd).
// REQUIRES: 0 <= count <= n < 2^32.
std::vector<std::int64_t> draw_subset(CounterRandom& random, std::int64_t n, std::int64_t count);

}  // namespace rn::federated
