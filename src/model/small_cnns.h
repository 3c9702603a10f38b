// The small networks of federated research, without norm layers and of fixed width.
#pragma once

#include <torch/torch.h>

#include "model/float_convolution.h"
#include "model/linear.h"
#include "model/network.h"
#include "model/options.h"

namespace rn::model {

// pfl-research's CIFAR-10 network: two unpadded 3x3 convolutions (32 and 64), 2x2 max-pool, dropout 0.25,
// linear 128, dropout 0.5, linear; Glorot weights. 1,626,442 parameters for 10 classes, named as in its
// nn.Sequential
// ("1.weight", "3.weight", "8.weight", "11.weight" and biases).
class PflCnnImpl : public Network {
 public:
  // Throws ConfigError for options that it does not have.
  PflCnnImpl(const ModelOptions& options, int classes);
  torch::Tensor forward(torch::Tensor images) override;  // [N, 3, 32, 32]
  Initialization initialization() const override { return Initialization::kGlorot; }

 private:
  ConvolutionRelu conv1_, conv2_;
  Linear fc1_, fc2_;
};

// NIID-Bench's network for CIFAR-10, after LeNet-5: 5x5 convolutions (6 and 16), each with relu and 2x2
// max-pool, linear 120, 84, classes. 62,006 parameters for 10 classes, named as there ("conv1.weight", ...,
// "fc3.bias").
class LeNetImpl : public Network {
 public:
  // Throws ConfigError for options that it does not have.
  LeNetImpl(const ModelOptions& options, int classes);
  torch::Tensor forward(torch::Tensor images) override;  // [N, 3, 32, 32]
  Initialization initialization() const override { return Initialization::kTorch; }

 private:
  ConvolutionRelu conv1_, conv2_;
  Linear fc1_, fc2_, fc3_;
};

}  // namespace rn::model
