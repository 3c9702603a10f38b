// Fresh weights.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace rn::model {

// Draws all weights of convolutions and linear layers as torchvision's ResNet does: convolutions kaiming
// normal by fan out (He et al. 2015), linear layers torch's default (uniform within 1 / sqrt(fan in), bias
// too). Norm layers are left as constructed. A draw depends on (seed, index of the parameter, element in
// row-major order) only: equal on every rank, for any memory format. Convolution weights become
// channels-last.
void initialize(torch::nn::Module& net, std::uint64_t seed);

}  // namespace rn::model
