// ResNet-9: the small residual network that made CIFAR-10 fast (Page 2018, "How to train your ResNet";
// DAWNBench).
#pragma once

#include <torch/torch.h>

#include <vector>

#include "core/communicator.h"
#include "model/convolution.h"
#include "model/network.h"
#include "model/norm.h"
#include "model/options.h"

namespace rn::model {

// relu(bn(conv(x))) with a 3x3 kernel.
class ConvUnitImpl : public torch::nn::Module {
 public:
  ConvUnitImpl(std::int64_t in_channels, std::int64_t out_channels, const ModelOptions& options,
               Communicator* communicator);
  torch::Tensor forward(const torch::Tensor& input);  // [N, C, H, W] -> [N, C', H, W]

 private:
  Convolution conv_;
  NormLayer bn_;
};
TORCH_MODULE(ConvUnit);

// prep(64) - layer1(128, pool, residual) - layer2(256, pool) - layer3(512, pool, residual) - global max-pool
// - linear without bias, scaled by 0.125. `width` is the 64. Parameter names: prep.conv.weight,
// layer1.conv.conv.weight, layer1.res.0.conv.weight, ..., fc.weight.
class ResNet9Impl : public Network {
 public:
  // `communicator` as in NormLayer. Throws ConfigError for options that it does not have.
  ResNet9Impl(const ModelOptions& options, int classes, Communicator* communicator);

  torch::Tensor forward(torch::Tensor images) override;  // H, W >= 8

 private:
  // A convolution unit, 2x2 max-pool and, where `residual` is set, x + two units of x.
  struct Stage {
    ConvUnit unit{nullptr};
    torch::nn::Sequential residual{nullptr};
  };
  Stage make_stage(const std::string& name, std::int64_t in_channels, std::int64_t out_channels,
                   bool residual, const ModelOptions& options, Communicator* communicator);

  ConvUnit prep_{nullptr};
  std::vector<Stage> stages_;
  torch::nn::Linear fc_{nullptr};
};

}  // namespace rn::model
