// The basic residual block of He et al. 2016, with torchvision's names.
#pragma once

#include <torch/torch.h>

#include "core/communicator.h"
#include "model/convolution.h"
#include "model/norm.h"
#include "model/options.h"

namespace rn::model {

// relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)), where the shortcut is a strided 1x1 convolution with
// norm
// (`downsample`) if the shape changes, else x itself.
class ResidualBlockImpl : public torch::nn::Module {
 public:
  // `communicator` as in NormLayer.
  ResidualBlockImpl(std::int64_t in_channels, std::int64_t out_channels, std::int64_t stride,
                    const ModelOptions& options, Communicator* communicator);

  // [N, in_channels, H, W] -> [N, out_channels, H / stride, W / stride], rounded up.
  torch::Tensor forward(const torch::Tensor& input);

 private:
  Convolution conv1_, conv2_{nullptr};
  NormLayer bn1_{nullptr}, bn2_{nullptr};
  torch::nn::Sequential downsample_{nullptr};
  const std::int64_t
      shortcut_step_;  // of the pixels that the shortcut reads: Note [Narrow strided convolutions]
};
TORCH_MODULE(ResidualBlock);

}  // namespace rn::model
