// Flat updates: what training has changed, and how far that is.
#pragma once

#include <torch/torch.h>

namespace rn::federated {

// The Euclidean norm: float32 within blocks of 4096 elements of a float32 tensor on the CPU, else float64. Of
// a whole storage: its padding is zero.
double norm_of(const torch::Tensor& values);

// weights -= start, and the norm of the difference: one pass over memory for float32 on the CPU. REQUIRES:
// storages of one size and dtype.
double subtract(torch::Tensor& weights, const torch::Tensor& start);

}  // namespace rn::federated
