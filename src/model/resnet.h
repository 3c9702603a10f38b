// ResNet-18 (He et al. 2016, "Deep residual learning for image recognition") with torchvision's names.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "core/communicator.h"
#include "model/convolution.h"
#include "model/network.h"
#include "model/norm.h"
#include "model/options.h"

namespace rn::model {

// Stem, four stages of basic blocks with width * {1, 2, 4, 8} channels, mean over pixels, linear layer.
class ResNetImpl : public Network {
 public:
  // `blocks`: residual blocks per stage, {2, 2, 2, 2} for ResNet-18. `communicator` as in NormLayer. Throws
  // ConfigError for an unknown stem.
  ResNetImpl(const ModelOptions& options, int classes, const std::vector<int>& blocks,
             Communicator* communicator);

  torch::Tensor forward(torch::Tensor images) override;

 private:
  const bool imagenet_stem_;
  Convolution conv1_{nullptr};
  NormLayer bn1_{nullptr};
  std::vector<torch::nn::Sequential> stages_;
  torch::nn::Linear fc_{nullptr};
};

}  // namespace rn::model
