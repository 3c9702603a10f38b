// The convolution that all networks here are made of.
#pragma once

#include <torch/torch.h>

namespace rn::model {

// Square kernel, padding that keeps the size at stride 1, no bias (a norm follows).
inline torch::nn::Conv2d make_convolution(std::int64_t in_channels, std::int64_t out_channels,
                                          std::int64_t kernel, std::int64_t stride) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, kernel)
                               .stride(stride)
                               .padding(kernel / 2)
                               .bias(false));
}

}  // namespace rn::model
