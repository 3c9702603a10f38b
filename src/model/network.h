// The interface of every model.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace rn::model {

// How fresh weights are drawn; norm layers keep what they are constructed with.
enum class Initialization {
  kResNet,  // as torchvision's: convolutions normal by fan out (He et al. 2015), the rest as kTorch
  kTorch,   // torch's default: weights and biases uniform within 1 / sqrt(fan in)
  kGlorot,  // weights uniform within sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010), biases as kTorch
};

// A network for image classification: images [N, 3, H, W] -> logits [N, K]. N may be 0 (a rank without
// samples). Not thread-safe.
class Network : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(torch::Tensor images) = 0;
  virtual Initialization initialization() const { return Initialization::kResNet; }

  // What the dropout layers of the coming training step draw from: before each step of a network that has
  // some. The same key gives the same masks.
  void set_dropout_key(std::uint64_t key) {
    dropout_key_ = key;
    dropout_calls_ = 0;
  }

 protected:
  // While training: input / (1 - p) with probability 1 - p, else 0, element by element; evaluating: input.
  // Draws from (key, number of the call since the key was set).
  torch::Tensor dropout(const torch::Tensor& input, double p);

 private:
  std::uint64_t dropout_key_ = 0;
  std::uint64_t dropout_calls_ = 0;
};

}  // namespace rn::model
