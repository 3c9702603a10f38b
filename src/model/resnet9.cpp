#include "model/resnet9.h"

#include "core/error.h"

namespace rn::model {
namespace {

constexpr double kLogitScale = 0.125;

// The residual branch ends in a relu, whose slope at 0 is 0: a branch that starts at zero would stay there.
void check_options(const ModelOptions& options) {
  if (options.stem != "cifar") throw ConfigError("model.stem: resnet9 has the cifar stem only");
  if (options.zero_init_residual) {
    throw ConfigError(
        "model.zero_init_residual: resnet9 cannot have it (its residual branch ends in a relu)");
  }
}

}  // namespace

ConvUnitImpl::ConvUnitImpl(std::int64_t in_channels, std::int64_t out_channels, const ModelOptions& options,
                           Communicator* communicator)
    : conv_(register_module("conv", Convolution(options, in_channels, out_channels, 3, 1))),
      bn_(register_module("bn", NormLayer(options, out_channels, communicator))) {}

torch::Tensor ConvUnitImpl::forward(const torch::Tensor& input) {
  return bn_->forward_with(conv_->forward(input), {.relu = true, .residual = {}});
}

ResNet9Impl::ResNet9Impl(const ModelOptions& options, int classes, Communicator* communicator) {
  check_options(options);
  const std::int64_t width = options.width;
  prep_ = register_module("prep", ConvUnit(3, width, options, communicator));
  stages_.push_back(make_stage("layer1", width, 2 * width, /*residual=*/true, options, communicator));
  stages_.push_back(make_stage("layer2", 2 * width, 4 * width, /*residual=*/false, options, communicator));
  stages_.push_back(make_stage("layer3", 4 * width, 8 * width, /*residual=*/true, options, communicator));
  fc_ = register_module("fc", torch::nn::Linear(torch::nn::LinearOptions(8 * width, classes).bias(false)));
}

ResNet9Impl::Stage ResNet9Impl::make_stage(const std::string& name, std::int64_t in_channels,
                                           std::int64_t out_channels, bool residual,
                                           const ModelOptions& options, Communicator* communicator) {
  Stage stage;
  const auto children = std::make_shared<torch::nn::Module>();  // gives the names layer1.conv and layer1.res
  stage.unit = ConvUnit(in_channels, out_channels, options, communicator);
  children->register_module("conv", stage.unit.ptr());
  if (residual) {
    stage.residual = torch::nn::Sequential(ConvUnit(out_channels, out_channels, options, communicator),
                                           ConvUnit(out_channels, out_channels, options, communicator));
    children->register_module("res", stage.residual.ptr());
  }
  register_module(name, children);
  return stage;
}

torch::Tensor ResNet9Impl::forward(torch::Tensor images) {
  auto x = prep_->forward(images.contiguous(at::MemoryFormat::ChannelsLast));
  for (auto& stage : stages_) {
    x = at::max_pool2d(stage.unit->forward(x), /*kernel_size=*/2);
    if (!stage.residual.is_empty()) x = x + stage.residual->forward(x);
  }
  x = std::get<0>(at::adaptive_max_pool2d(x, {1, 1})).flatten(1);
  return fc_->forward(x) * kLogitScale;
}

}  // namespace rn::model
