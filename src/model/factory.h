// Name -> network.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "model/options.h"

namespace rn::model {

// A network for image classification: images [N, 3, H, W] -> logits [N, K].
class Network : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(torch::Tensor images) = 0;
};

// Fresh weights drawn by `seed` (kaiming normal, fan out, as torchvision), convolution weights channels-last.
// Throws ConfigError for an unknown name or an option that the model does not have. Borrows `communicator`
// (sync_batch). Float32 on the CPU; the caller moves it.
std::shared_ptr<Network> make_network(const ModelOptions& options, int classes, std::uint64_t seed,
                                      Communicator* communicator);

// A row per layer for --dry-run: name, output shape for one image, parameters, multiply-adds * 2 of the forward pass.
struct LayerSummary {
  std::string name;
  std::vector<std::int64_t> output_shape;
  std::int64_t parameters = 0;
  std::int64_t forward_flops = 0;    // per image
};
std::vector<LayerSummary> summarize(Network& net, std::int64_t height, std::int64_t width);

}  // namespace rn::model
