// The interface of every model.
#pragma once

#include <torch/torch.h>

namespace rn::model {

// A network for image classification: images [N, 3, H, W] -> logits [N, K]. N may be 0 (a rank without
// samples). Not thread-safe.
class Network : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(torch::Tensor images) = 0;
};

}  // namespace rn::model
