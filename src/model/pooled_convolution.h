// A convolution under a 2x2 maximum and a relu in bf16, and gradients from what the maximum let through.
#pragma once

#include <torch/torch.h>

#include "kernels/convolution_shape.h"
#include "model/gradient_slot.h"

namespace rn::model {

// kernels/pooled_gradient.h on float32 tensors in channels-last, on several threads: from `dy` and `taken`,
// which the maximum left. The weight's is written into `dw`.
torch::Tensor pooled_input_gradient(const kernels::ConvolutionShape& shape, const torch::Tensor& x,
                                    const torch::Tensor& weight, const torch::Tensor& dy,
                                    const torch::Tensor& taken);
torch::Tensor pooled_weight_gradient(const kernels::ConvolutionShape& shape, const torch::Tensor& x,
                                     const torch::Tensor& dy, const torch::Tensor& taken, torch::Tensor dw);
torch::Tensor pooled_bias_gradient(const kernels::ConvolutionShape& shape, const torch::Tensor& dy,
                                   const torch::Tensor& taken);

// Whether the function below is for this input and float32 weight at this moment: bf16 autocast on a CPU with
// AVX-512, stride 1, no padding, and a weight whose gradient pooled_weight_gradient() computes.
bool can_convolve_and_pool_in_bf16(const torch::Tensor& input, const torch::Tensor& weight);

// relu(max_pool2d(conv2d(input, weight, bias), 2)) as float32, differentiable once. The sums and the gradient
// by the input are rounded to bf16, by LibTorch's operators; the gradients of weight and bias are float32
// sums, the weight's in the slot if there is one: LibTorch's would round them to bf16, and take longer. What
// follows is small: in float32 it needs no copies.
torch::Tensor convolve_and_pool_in_bf16(const torch::Tensor& input, const torch::Tensor& weight,
                                        const torch::Tensor& bias, const GradientSlotPtr& slot);

}  // namespace rn::model
