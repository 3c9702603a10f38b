// Sums over clients whose bits do not depend on the order, nor on who computes which part.
//
// Every term is rounded to a multiple of kExactGrid; multiples of it whose sum stays below 2^13 are added in
// float64 without rounding, so any order and any grouping over ranks give the same bits
// (docs/adr/0005-exact-sums-over-clients.md). The rounding, 4.5e-13 at most, is below that of float32 weights
// above 1e-5.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>

namespace rn::federated {

inline constexpr double kExactGrid = 0x1p-40;
// Terms must be smaller than this. Of weights that sum to at most 1 and values below it, the sum stays below
// too.
inline constexpr double kExactLimit = 2048;

// sum[i] += weight * values[i]. REQUIRES: equal sizes, |weight * values[i]| < kExactLimit.
void add_exactly(std::span<const float> values, double weight, std::span<double> sum);
void add_exactly(std::span<const double> values, double weight, std::span<double> sum);

// The same for flat tensors of one device: values float32 or float64, sum float64.
void add_exactly(const torch::Tensor& values, double weight, torch::Tensor& sum);

}  // namespace rn::federated
