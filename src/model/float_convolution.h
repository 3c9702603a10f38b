// Convolution in float32 on a CPU with AVX-512, with bias, relu and max-pooling in the same pass.
#pragma once

#include <torch/torch.h>

#include "kernels/float_convolution.h"
#include "model/gradient_slot.h"
#include "model/options.h"

namespace rn::model {

// Whether float_convolution computes this, at this moment: float32 on a CPU with AVX-512, no autocast, weight
// [O, I, k, k] channels-last, at least one image.
bool can_convolve_in_float(const torch::Tensor& input, const torch::Tensor& weight, std::int64_t stride,
                           std::int64_t padding);

// activation(conv2d(input, weight, bias)), channels-last, differentiable once in all three. `bias` [O] may be
// undefined with kNone. The weight's gradient goes to the slot if there is one. REQUIRES:
// can_convolve_in_float.
torch::Tensor float_convolution(const torch::Tensor& input, const torch::Tensor& weight,
                                const torch::Tensor& bias, std::int64_t stride, std::int64_t padding,
                                kernels::FloatActivation activation, const GradientSlotPtr& slot = {});

// An unpadded convolution with bias, then relu, after a 2x2 max-pooling if asked for. Parameters `weight`
// [O, I, k, k] and `bias` [O] as in torch.nn.Conv2d.
class ConvolutionReluImpl : public torch::nn::Conv2dImpl, public SlottedLayer {
 public:
  enum class Pooling { kNone, kMax2x2 };
  ConvolutionReluImpl(const ModelOptions& model_options, std::int64_t in_channels, std::int64_t out_channels,
                      std::int64_t kernel, Pooling pooling = Pooling::kNone);

  // [N, in_channels, H, W] -> [N, out_channels, H - kernel + 1, W - kernel + 1], pooled: half of these.
  torch::Tensor forward(const torch::Tensor& input);

 private:
  const bool own_kernels_;
  const Pooling pooling_;
};
TORCH_MODULE(ConvolutionRelu);

}  // namespace rn::model
