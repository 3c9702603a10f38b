#include "model/small_cnns.h"

#include "core/error.h"

namespace rn::model {
namespace {

constexpr int kImageChannels = 3;

// Their layers are fixed, so an option that would change them is not silently ignored.
void check_options(const ModelOptions& options) {
  const ModelOptions defaults;
  if (options.stem != defaults.stem) throw ConfigError(cat("model.stem: ", options.name, " has none"));
  if (options.width != defaults.width)
    throw ConfigError(cat("model.width: ", options.name, " has a fixed width; leave it out"));
  if (options.zero_init_residual)
    throw ConfigError(cat("model.zero_init_residual: ", options.name, " has no residual blocks"));
}

torch::nn::Conv2d convolution(std::int64_t in_channels, std::int64_t out_channels, std::int64_t kernel) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, kernel));
}

}  // namespace

PflCnnImpl::PflCnnImpl(const ModelOptions& options, int classes)
    : conv1_(register_module("1", convolution(kImageChannels, 32, 3))),
      conv2_(register_module("3", convolution(32, 64, 3))),
      fc1_(register_module("8", torch::nn::Linear(64 * 14 * 14, 128))),
      fc2_(register_module("11", torch::nn::Linear(128, classes))) {
  check_options(options);
}

torch::Tensor PflCnnImpl::forward(torch::Tensor images) {
  auto x = torch::relu(conv1_->forward(images));
  x = torch::max_pool2d(torch::relu(conv2_->forward(x)), /*kernel_size=*/2);
  x = dropout(x.flatten(1), 0.25);
  x = dropout(torch::relu(fc1_->forward(x)), 0.5);
  return fc2_->forward(x);
}

LeNetImpl::LeNetImpl(const ModelOptions& options, int classes)
    : conv1_(register_module("conv1", convolution(kImageChannels, 6, 5))),
      conv2_(register_module("conv2", convolution(6, 16, 5))),
      fc1_(register_module("fc1", torch::nn::Linear(16 * 5 * 5, 120))),
      fc2_(register_module("fc2", torch::nn::Linear(120, 84))),
      fc3_(register_module("fc3", torch::nn::Linear(84, classes))) {
  check_options(options);
}

torch::Tensor LeNetImpl::forward(torch::Tensor images) {
  auto x = torch::max_pool2d(torch::relu(conv1_->forward(images)), /*kernel_size=*/2);
  x = torch::max_pool2d(torch::relu(conv2_->forward(x)), /*kernel_size=*/2);
  x = torch::relu(fc1_->forward(x.flatten(1)));
  return fc3_->forward(torch::relu(fc2_->forward(x)));
}

}  // namespace rn::model
