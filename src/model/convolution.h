// The convolution that all networks here are made of.
#pragma once

#include <torch/torch.h>

#include "model/gradient_slot.h"
#include "model/options.h"

namespace rn::model {

// Square kernel, padding that keeps the size at stride 1, no bias (a norm follows). The parameter is `weight`
// [O, I, k, k], channels-last, as in torch.nn.Conv2d.
//
// Note [Convolution in bf16]. Under bf16 autocast on a CPU with AMX the weight's gradient is computed by
// kernels/weight_gradient.h, from bf16 operands in float32: LibTorch's operator rounds the result to bf16,
// and takes several times longer. The output and the input's gradient of small images with many channels come
// from kernels/convolution.h, of others from LibTorch. Shards of fewer than 16 images are LibTorch's
// altogether, so that the rounding of a step depends on the size of its shards. In float32, convolutions for
// which it pays come from model/float_convolution.h.
class ConvolutionImpl : public torch::nn::Conv2dImpl, public SlottedLayer {
 public:
  ConvolutionImpl(const ModelOptions& model_options, std::int64_t in_channels, std::int64_t out_channels,
                  std::int64_t kernel, std::int64_t stride);

  // [N, in_channels, H, W] -> [N, out_channels, H / stride, W / stride], rounded up.
  torch::Tensor forward(const torch::Tensor& input);

 private:
  const bool own_kernels_;
};
TORCH_MODULE(Convolution);

// Whether Note [Convolution in bf16] holds for this input and weight at this moment.
bool can_convolve_in_bf16(const torch::Tensor& input, const torch::Tensor& weight, std::int64_t stride,
                          std::int64_t padding);

// conv2d of input (any floating type) and float32 weight in bf16, differentiable once in both; the weight's
// gradient is float32, in the slot if there is one. REQUIRES: can_convolve_in_bf16 but for autocast.
torch::Tensor bf16_convolution(const torch::Tensor& input, const torch::Tensor& weight, std::int64_t stride,
                               std::int64_t padding, const GradientSlotPtr& slot = {});

}  // namespace rn::model
