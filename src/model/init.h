// Fresh weights.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "model/network.h"

namespace rn::model {

// Draws all weights of convolutions and linear layers by the network's Initialization (network.h). Norm
// layers are left as constructed. A draw depends on (seed, index of the parameter, element in row-major
// order) only: equal on every rank, for any memory format. Convolution weights become channels-last.
void initialize(Network& net, std::uint64_t seed);

}  // namespace rn::model
