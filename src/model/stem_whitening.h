// The first convolution as a fixed whitening transform of the images' patches.
#pragma once

#include <torch/torch.h>

namespace rn::model {

// Sets the filters of the network's first convolution to the principal components of its input patches, each
// scaled so that its output has variance 1, and their negatives, which relu would lose otherwise; filters
// beyond twice the number of components keep their values. The weight is frozen: trained, the filters of
// small variance would turn to the components of large variance within a few steps. Networks of this size
// then learn in fewer epochs (Page 2019, "How to train your ResNet"; Jordan 2024, "94% on CIFAR-10 in 3.29
// seconds on a single GPU", section 3.2).
//
// `images` [N, C, H, W] float32 on the CPU, normalised as in training. Deterministic for one number of
// threads. REQUIRES: a network whose first convolution takes C channels; before FlatParameters is made.
void whiten_stem(torch::nn::Module& net, const torch::Tensor& images);

}  // namespace rn::model
