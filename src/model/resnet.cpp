#include "model/resnet.h"

#include "core/error.h"
#include "model/residual_block.h"

namespace rn::model {
namespace {

bool is_imagenet_stem(const ModelOptions& options) {
  if (options.stem != "cifar" && options.stem != "imagenet") {
    throw ConfigError(cat("model.stem: unknown value '", options.stem, "'; allowed: cifar, imagenet"));
  }
  return options.stem == "imagenet";
}

}  // namespace

ResNetImpl::ResNetImpl(const ModelOptions& options, int classes, const std::vector<int>& blocks,
                       Communicator* communicator)
    : imagenet_stem_(is_imagenet_stem(options)) {
  std::int64_t channels = options.width;
  conv1_ = register_module("conv1", imagenet_stem_ ? Convolution(options, 3, channels, 7, 2)
                                                   : Convolution(options, 3, channels, 3, 1));
  bn1_ = register_module("bn1", NormLayer(options, channels, communicator));
  for (std::size_t stage = 0; stage < blocks.size(); ++stage) {
    const std::int64_t out_channels = static_cast<std::int64_t>(options.width) << stage;
    torch::nn::Sequential sequence;
    for (int block = 0; block < blocks[stage]; ++block) {
      const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      sequence->push_back(ResidualBlock(channels, out_channels, stride, options, communicator));
      channels = out_channels;
    }
    stages_.push_back(register_module(cat("layer", stage + 1), sequence));
  }
  fc_ = register_module("fc", torch::nn::Linear(channels, classes));
}

torch::Tensor ResNetImpl::forward(torch::Tensor images) {
  auto x = images.contiguous(at::MemoryFormat::ChannelsLast);
  x = bn1_->forward_with(conv1_->forward(x), {.relu = true, .residual = {}});
  if (imagenet_stem_) x = at::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
  for (auto& stage : stages_) x = stage->forward(x);
  return fc_->forward(x.mean({2, 3}));
}

}  // namespace rn::model
