// Batch norm over the joined batch of all ranks, on the CPU and on GPUs.
#pragma once

#include <torch/torch.h>

#include <tuple>

#include "core/communicator.h"

namespace rn::model {

// Normalises input [N, C, H, W] (float64, float32, bf16 or fp16; any memory format) by mean and biased
// variance of the joined batch, in float32 at least. Returns {output, mean, unbiased variance}, the latter
// two [C] of the joined batch, in float32 (float64 for a float64 input), equal bits on all ranks.
//
// Collective, forward and backward: every rank calls both, with N >= 0. With a loss that is a sum over
// samples the gradient of the input equals that of BatchNorm2d on the concatenation; those of weight and bias
// are the LOCAL part, whose sum over the ranks (GradientReducer's work) equals BatchNorm2d's. Differentiable
// once. Borrows `communicator` until backward has run.
std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> sync_batch_norm(const torch::Tensor& input,
                                                                        const torch::Tensor& weight,
                                                                        const torch::Tensor& bias,
                                                                        double epsilon,
                                                                        Communicator& communicator);

}  // namespace rn::model
