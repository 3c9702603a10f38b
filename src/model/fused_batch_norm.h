// Batch norm, the sum with a residual and a relu in one pass over the activation, forward and backward.
#pragma once

#include <torch/torch.h>

#include "model/options.h"

namespace rn::model {

// What follows the norm: act(norm(x) + residual).
struct NormTail {
  bool relu = false;
  torch::Tensor residual;  // of the output's shape; undefined: none
};

// The tail as LibTorch's own operators, in place on `normed`: the twin of what the fused functions do.
torch::Tensor apply_tail(torch::Tensor normed, const NormTail& tail);

// Whether the fused functions take this input under these parameters: on the CPU, channels-last, not empty,
// bf16 or float32 with float32 parameters, on a CPU with AVX-512 and its bf16 instructions.
bool can_fuse_batch_norm(const torch::Tensor& input, const torch::Tensor& weight);

// act(batch_norm(input) + residual) with the batch's own mean and variance, differentiable once in input,
// weight, bias and residual; kernels/norm_kernels.h has the formulas. Writes the mean and the unbiased
// variance (0 for one value per channel) into `mean` and `variance` [C]. Accumulates in float32 within 256
// rows, in float64 beyond, in a fixed order: the same bits for any number of threads. `plain`: the portable
// kernels, for every CPU, and for float64 with float64 parameters too.
torch::Tensor fused_batch_norm(const torch::Tensor& input, const torch::Tensor& weight,
                               const torch::Tensor& bias, double epsilon, const NormTail& tail,
                               const torch::Tensor& mean, const torch::Tensor& variance, bool plain = false);

// The same with given statistics [C], as in evaluation; not differentiable.
torch::Tensor fused_batch_norm_inference(const torch::Tensor& input, const torch::Tensor& weight,
                                         const torch::Tensor& bias, double epsilon, const NormTail& tail,
                                         const torch::Tensor& mean, const torch::Tensor& variance,
                                         bool plain = false);

}  // namespace rn::model
