// What a network consists of and costs, for --dry-run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/network.h"

namespace rn::model {

// A row per layer that has parameters, in the order in which one image passes them.
struct LayerSummary {
  std::string name;                        // torchvision's module name, e.g. "layer1.0.conv1"
  std::vector<std::int64_t> output_shape;  // for one image: [1, C, H, W] or [1, K]
  std::int64_t parameters = 0;
  // Multiply-adds * 2 of the forward pass of one image in convolutions and linear layers. Norms, activations
  // and pooling count as 0 (below 1 % of a ResNet); backward takes twice the forward pass.
  std::int64_t forward_flops = 0;
};

// Runs one image of zeros [1, 3, height, width] in evaluation mode on the network's device: no collective,
// statistics and mode unchanged. REQUIRES: a network with parameters.
std::vector<LayerSummary> summarize(Network& net, std::int64_t height, std::int64_t width);

}  // namespace rn::model
